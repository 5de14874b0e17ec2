//! What a node farther takes, and how several nodes fare, with their broker and without. Prints the tables of
//! `channels/benches/NODES.md`.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use channels_peers::aims::{self, Aim};
use channels_peers::broker::{Broker, Kind};
use channels_peers::clock;
use channels_peers::crowd::{Crowd, NODES, Tally};
use channels_peers::server::{Process, Server, program};
use channels_peers::stats::{median, p99, ratio};
use channels_peers::{flag, option};
use serde_json::Value;

fn main() -> io::Result<()> {
    let only: Option<String> = option("--only");
    let is_wanted = |what: &str| only.as_ref().is_none_or(|only| only == what);
    let mut aims = Vec::new();
    if is_wanted("farther") {
        aims.extend(farther()?);
    }
    for kind in [Kind::Nats, Kind::Redis] {
        if is_wanted(kind.name()) {
            aims.extend(several(kind)?);
        }
    }
    aims::print(&aims);
    Ok(())
}

/// How messages go from who publishes them to who receives them.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Hubs,
    Bare,
    /// To a member of the same hub.
    Local,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Hubs, "two hubs, with a member"),
    (Way::Bare, "bare async-nats"),
    (Way::Local, "one hub, with a member"),
];

/// What messages took: nanoseconds of CPU each, of who publishes, of who receives, and of both; how many went in a second; and how
/// late they came, in microseconds.
type Took = [f64; 6];

/// What it takes that a member is on another node, beside a message that goes by the bare client.
fn farther() -> io::Result<Vec<Aim>> {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let broker = Broker::start(Kind::Nats)?;
    let mut aims = Vec::new();
    println!("\n## A node farther, over NATS");
    for (rate, title) in [(RATE, "20,000 a second"), (0, "as fast as they come")] {
        let mut columns = [(); WAYS.len()].map(|()| Vec::<Took>::new());
        for _ in 0..rounds {
            for ((way, _), column) in WAYS.into_iter().zip(&mut columns) {
                column.push(took(way, rate, &broker)?);
            }
        }
        println!("\n### {title}\n");
        println!("| | CPU ns/message: publisher | receiver | both | messages/s | p50 µs | p99 µs |");
        println!("| --- | --: | --: | --: | --: | --: | --: |");
        for ((_, name), column) in WAYS.iter().zip(&columns) {
            let cells = (0..6).map(|at| median(column.iter().map(|took| took[at]).collect()));
            println!("| {name} |{}", cells.map(|cell| format!(" {cell:.0} |")).collect::<String>());
        }
        let [hubs, bare, local] = columns.map(|column| {
            let of = |at: usize| column.iter().map(|took| took[at]).collect::<Vec<_>>();
            (of(2), of(5))
        });
        let less: Vec<_> = hubs.0.iter().zip(&local.0).map(|(all, local)| all - local).collect();
        let title = if rate > 0 { "at 20,000 a second" } else { "at full speed" };
        let what = |what: &str| format!("a node farther, {title}: {what}, of bare `async-nats`'s");
        aims.push(Aim::new(&what("CPU a message, the member's included"), 1.3, ratio(&hubs.0, &bare.0)));
        aims.push(Aim::new(&what("CPU a message, less what one hub takes"), 1.3, ratio(&less, &bare.0)));
        aims.push(Aim::new(&what("p99, the member's included"), 1.3, ratio(&hubs.1, &bare.1)));
    }
    Ok(aims)
}

fn took(way: Way, rate: usize, broker: &Broker) -> io::Result<Took> {
    let count = (if flag("--quick") { 64 } else { 160 }) * 128 * if rate > 0 { 1 } else { 4 };
    let start = |role: &str, more: &[&str]| {
        let numbers = [rate, 5_120, count].map(|number| number.to_string());
        let [rate, warm, count] = &numbers;
        let program = program("farther");
        let command = [&program, "--role", role, "--rate", rate, "--warm", warm, "--count", count];
        Process::start_to_talk(0, &command.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>())
    };
    let read = |process: &mut Process| -> io::Result<Value> { Ok(serde_json::from_str(&process.line()?)?) };
    let each = |of: &Value| of["cpu"].as_f64().unwrap_or(f64::NAN) / count as f64;
    let url = broker.url();
    let (receiver, publisher) = if way == Way::Local {
        (read(&mut start("local", &[])?)?, Value::Null)
    } else {
        let with = ["--broker", &url, "--with", if way == Way::Hubs { "hub" } else { "bare" }];
        let mut receiver = start("receive", &with)?;
        let peer = receiver.line()?;
        let mut publisher = start("publish", &[&with[..], &["--peer", &peer]].concat())?;
        (read(&mut receiver)?, read(&mut publisher)?)
    };
    let number = |name: &str| receiver[name].as_f64().unwrap_or(f64::NAN);
    let (send, receive) = (if way == Way::Local { 0.0 } else { each(&publisher) }, each(&receiver));
    let rate = count as f64 / number("time") * 1e9;
    Ok([send, receive, send + receive, rate, number("p50") / 1e3, number("p99") / 1e3])
}

/// Several nodes, with thousands of clients, while their broker is there, and while it is not.
struct Cluster {
    broker: Broker,
    nodes: Vec<Server>,
    crowd: Crowd,
    /// All of `crowd` so far.
    unsaid: u64,
    stale: u64,
    /// Each row of its table.
    rows: Vec<String>,
}

fn several(kind: Kind) -> io::Result<Vec<Aim>> {
    let is_quick = flag("--quick");
    let seconds = option("--seconds").unwrap_or(if is_quick { 9 } else { 60 });
    let (away, back) = if is_quick { (4, 5) } else { (10, 8) };
    let mut cluster = Cluster::start(kind)?;
    println!("\n## {NODES} nodes over {}, {CLIENTS} clients, {} broadcasts a second\n", kind.name(), 1_000);
    let aim = |what: &str, most, is| Aim::new(&format!("{}: {what}", kind.name()), most, is);
    let mut aims = cluster.steady(seconds, &aim)?;

    println!(
        "| | local p99 µs | other nodes' p99 µs | deliveries/s | `$gap`s | missing, said | missing, unsaid | KiB of all nodes |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    println!("{}", std::mem::take(&mut cluster.rows).join("\n"));
    for outage in [Outage::Killed, Outage::Hangs] {
        aims.extend(cluster.outage(outage, away, back, &aim)?);
        println!("{}", std::mem::take(&mut cluster.rows).join("\n"));
    }
    let (missing, told) = cluster.end()?;
    println!("\nAt the end: {told}.");
    aims.push(aim(
        "messages that are missing, and nobody has said so",
        0.0,
        (cluster.unsaid + missing) as f64,
    ));
    aims.push(aim("messages that came twice, or were overtaken", 0.0, cluster.stale as f64));
    Ok(aims)
}

#[derive(Clone, Copy)]
enum Outage {
    Killed,
    Hangs,
}

impl Cluster {
    fn start(kind: Kind) -> io::Result<Self> {
        let broker = Broker::start(kind)?;
        let nodes = (0..NODES).map(|node| {
            let every = (NODES as u64 * 1_000_000 / 1_000).to_string();
            let (program, url, node) = (program("node"), broker.url(), node.to_string());
            let command = [&program, "--broker", &url, "--node", &node, "--every", &every];
            Server::start_to_talk(&command.map(ToString::to_string))
        });
        let nodes = nodes.collect::<io::Result<Vec<_>>>()?;
        let addrs: Vec<SocketAddr> = nodes.iter().map(|node| node.addr).collect();
        let mut crowd = Crowd::open(&addrs, CLIENTS)?;
        crowd.run(Duration::from_secs(1))?;
        crowd.take();
        let mut cluster = Self { broker, nodes, crowd, unsaid: 0, stale: 0, rows: Vec::new() };
        for node in &mut cluster.nodes {
            node.process.say("go")?;
        }
        // What begins with the first messages is not what is measured: `async-nats` takes memory for 32 messages of a subscription,
        // and then for as many again, which come within ten seconds each.
        cluster.crowd.run(Duration::from_secs(if flag("--quick") { 2 } else { 12 }))?;
        cluster.take();
        Ok(cluster)
    }

    /// For so many seconds, with all that is to be there.
    fn steady(&mut self, seconds: u64, aim: &impl Fn(&str, f64, f64) -> Aim) -> io::Result<Vec<Aim>> {
        let slice = (seconds / 12).clamp(1, 5);
        let (begin, before, own) = (Instant::now(), self.cpu(), clock::cpu());
        let (mut resident, mut all) = (Vec::new(), Tally::default());
        for _ in 0..seconds / slice {
            self.crowd.run(Duration::from_secs(slice))?;
            all.add(self.take());
            resident.push(self.resident().iter().sum::<f64>());
        }
        let time = begin.elapsed().as_secs_f64();
        let shares: Vec<_> =
            self.cpu().iter().zip(before).map(|(now, before)| (now - before) / time).collect();
        let own = (clock::cpu() - own) as f64 / 1e9 / time;
        let nodes: Vec<_> = shares[1..].iter().map(|share| format!("{share:.3}")).collect();
        println!(
            "CPU of a core: each node {}, the broker {:.3}, the clients {own:.3}; {:.0} ns of the nodes' a delivery.\n",
            nodes.join(", "),
            shares[0],
            shares[1..].iter().sum::<f64>() * time * 1e9 / all.deliveries as f64,
        );
        self.row(&format!("{seconds} s, all there"), &all, time);
        let third = resident.len() / 3;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let grown = mean(&resident[resident.len() - third..]) / mean(&resident[..third]);
        Ok(vec![
            aim("`$gap`s while all is there", 0.0, all.gaps as f64),
            aim("memory of the nodes, the last third of the first's", 1.05, grown),
        ])
    }

    /// The broker is away for so many seconds, and then is back for so many.
    fn outage(
        &mut self,
        outage: Outage,
        away: u64,
        back: u64,
        aim: &impl Fn(&str, f64, f64) -> Aim,
    ) -> io::Result<Vec<Aim>> {
        let name = match outage {
            Outage::Killed => "is killed",
            Outage::Hangs => "hangs",
        };
        let (before, _) = self.slices(away, &format!("before the broker {name}"))?;
        let resident = self.resident();
        match outage {
            Outage::Killed => self.broker.process.kill(),
            Outage::Hangs => self.broker.hang()?,
        }
        let (during, mut most) = self.slices(away, &format!("the broker {name}"))?;
        match outage {
            Outage::Killed => {
                self.broker.restart()?;
                while !self.broker.is_there() {
                    self.crowd.run(Duration::from_millis(1))?;
                }
            }
            Outage::Hangs => self.broker.go_on()?,
        }
        self.crowd.await_others();
        let (_, then) = self.slices(back, "the broker is back")?;
        most.iter_mut().zip(then).for_each(|(most, then)| *most = most.max(then));
        let grown = most.iter().zip(resident).map(|(most, before)| (most - before) / 1024.0);
        let waited = self.crowd.waited().map_or(f64::INFINITY, |waited| waited.as_secs_f64());
        Ok(vec![
            aim(&format!("p99 of local members while the broker {name}, of before"), 1.2, during / before),
            aim(
                &format!("KiB that a node grows by, when the broker {name}"),
                16_384.0,
                grown.fold(0.0, f64::max),
            ),
            aim(&format!("s until all nodes hear all others again, when the broker {name}"), 2.0, waited),
        ])
    }

    /// For so many seconds: the 99th percentile of when local messages came, the median of those of each half second, so that what
    /// comes to the machine now and then does not count; and the most memory that each node took.
    fn slices(&mut self, seconds: u64, what: &str) -> io::Result<(f64, Vec<f64>)> {
        let (mut all, mut late, mut most) = (Tally::default(), Vec::new(), vec![0.0_f64; NODES]);
        for _ in 0..seconds * 2 {
            self.crowd.run(Duration::from_millis(500))?;
            let tally = self.take();
            late.push(p99(tally.local.clone()));
            all.add(tally);
            most.iter_mut().zip(self.resident()).for_each(|(most, now)| *most = most.max(now));
        }
        self.row(&format!("{seconds} s, {what}"), &all, seconds as f64);
        Ok((median(late), most))
    }

    /// Has the nodes end their broadcasts, and waits until all who have missed something have been told. How many have not, and what
    /// the nodes say.
    fn end(&mut self) -> io::Result<(u64, String)> {
        let mut sent = Vec::new();
        let (mut failed, mut lost, mut downs) = (0, 0, 0);
        for node in &mut self.nodes {
            node.process.say("stop")?;
            let told: Value = serde_json::from_str(&node.process.line()?)?;
            let numbers = told["sent"].as_array().into_iter().flatten().filter_map(Value::as_u64);
            sent.push(numbers.collect::<Vec<_>>());
            let number = |name: &str| told[name].as_u64().unwrap_or(0);
            failed += number("failed");
            lost += number("lost");
            downs += number("downs");
        }
        self.crowd.run(TAIL)?;
        self.take();
        let all: u64 = sent.iter().flatten().sum();
        let told = format!(
            "the nodes have broadcast {all} messages, {failed} of which the broker's client did not take; they lost their \
             broker {downs} times, and told topics {lost} times of something missing"
        );
        Ok((self.crowd.missing(&sent), told))
    }

    fn take(&mut self) -> Tally {
        let tally = self.crowd.take();
        self.unsaid += tally.unsaid;
        self.stale += tally.stale;
        tally
    }

    fn row(&mut self, what: &str, tally: &Tally, seconds: f64) {
        let Tally { deliveries, gaps, said, unsaid, .. } = tally;
        self.rows.push(format!(
            "| {what} | {:.0} | {:.0} | {:.0} | {gaps} | {said} | {unsaid} | {:.0} |",
            p99(tally.local.clone()),
            p99(tally.remote.clone()),
            *deliveries as f64 / seconds,
            self.resident().iter().sum::<f64>() / 1024.0,
        ));
    }

    /// Seconds that the broker and the nodes have taken of the CPU.
    fn cpu(&self) -> Vec<f64> {
        let nodes = self.nodes.iter().map(|node| &node.process);
        std::iter::once(&self.broker.process)
            .chain(nodes)
            .map(|process| process.cpu_time().as_secs_f64())
            .collect()
    }

    fn resident(&self) -> Vec<f64> {
        self.nodes.iter().map(Server::resident).collect()
    }
}

/// How many messages a second are published, when they are not published as fast as they come.
const RATE: usize = 20_000;

const CLIENTS: usize = 3_000;

/// How long it takes until a node says how far it is with a topic that it has sent nothing to, and some.
const TAIL: Duration = Duration::from_millis(7_500);

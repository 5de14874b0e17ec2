//! What a delivery takes, what an idle subscriber takes, and what others notice of one that is stalled: ours and the peers, in
//! turns. Prints the tables of `channels/benches/RESULTS.md`.

use std::io;
use std::time::Duration;

use channels_peers::aims::{self, Aim};
use channels_peers::load::{Load, come_and_go};
use channels_peers::protocol::{BARE, CHANNELS, EXTENDED, FURTHER, Protocol, SOCKETIOXIDE, STOCK};
use channels_peers::server::{Server, program};
use channels_peers::stats::{median, p99, ratio};
use channels_peers::{flag, option};

struct Peer {
    name: &'static str,
    command: Vec<String>,
    protocol: &'static Protocol,
}

/// A column of a table, by the peers, and for each by the rounds.
type Column = Vec<Vec<f64>>;

fn main() -> io::Result<()> {
    let peers = peers();
    let rounds: usize = option("--rounds").unwrap_or(5);
    let bursts = [("single broadcasts", 1), ("bursts of 16", 16)];
    let mut aims = Vec::new();
    let mut memory = [vec![Vec::new(); peers.len()], vec![Vec::new(); peers.len()]];
    let only: Option<usize> = option("--clients");
    for (at, clients) in
        SIZES.into_iter().enumerate().filter(|(_, size)| only.is_none_or(|only| only == *size))
    {
        let mut columns = vec![[(); 3].map(|()| Column::from(vec![Vec::new(); peers.len()])); bursts.len()];
        for _ in 0..rounds {
            for (peer, of) in peers.iter().zip(0..) {
                let (server, before) = start(peer)?;
                let mut load =
                    Load::open(server.addr, peer.protocol, clients).map_err(|error| told(peer, error))?;
                let idle = (server.resident() - before) / clients as f64;
                for ((_, burst), columns) in bursts.iter().zip(&mut columns) {
                    let figures = deliver(&server, &mut load, *burst).map_err(|error| told(peer, error))?;
                    figures.into_iter().zip(columns).for_each(|(figure, column)| column[of].push(figure));
                }
                if clients == SIZES[2] {
                    memory[0][of].push(idle);
                    memory[1][of].push((server.resident() - before) / clients as f64);
                }
            }
        }
        for ((title, burst), [cpu, rate, late]) in bursts.iter().zip(&columns) {
            println!("\n### {clients} subscribers, {title}\n");
            let heads = ["server CPU ns/delivery", "deliveries/s", "p99 µs"];
            table(&peers, &heads, &[cpu, rate, late]);
            aims.extend(deliveries(&peers, *burst, at, [cpu, rate, late]));
        }
    }
    if only.is_some() {
        aims::print(&aims);
        return Ok(());
    }
    println!("\n### Resident bytes a subscriber, of {}\n", SIZES[2]);
    table(&peers, &["idle", "after the broadcasts"], &[&memory[0], &memory[1]]);
    aims.push(Aim::new("resident bytes an idle subscriber", 2560.0, median(memory[0][0].clone())));
    for (peer, most) in [("socketioxide", 0.1), ("axum + broadcast", 0.02)] {
        aims.extend(of(&peers, peer).map(|of| {
            Aim::new(&format!("the same, of {peer}'s"), most, ratio(&memory[0][0], &memory[0][of]))
        }));
    }
    aims.push(further(&peers[0])?);
    aims.extend(kept(&peers[0], rounds)?);
    aims.extend(stalled(&peers, rounds)?);
    come_and_leave(&peers[0])?;
    aims::print(&aims);
    Ok(())
}

/// Ours is the first.
fn peers() -> Vec<Peer> {
    let of = |name, command: &[&str], protocol| {
        let command = command.iter().map(ToString::to_string).collect();
        Peer { name, command, protocol }
    };
    let [axum, ours, socketioxide] = ["axum_server", "channels_server", "socketioxide_server"].map(program);
    let mut peers = vec![of("sansocket-channels", &[&ours], &CHANNELS)];
    if let Some(uwebsockets) = option::<String>("--uwebsockets") {
        peers.push(of("uWebSockets", &[&uwebsockets], &BARE));
    }
    peers.push(of("socketioxide", &[&socketioxide], &SOCKETIOXIDE));
    peers.push(of("axum + broadcast", &[&axum], &BARE));
    peers.push(of("the same, batched", &[&axum, "--batched"], &BARE));
    let only: Option<String> = option("--only");
    peers.retain(|peer| only.as_ref().is_none_or(|only| peer.name.contains(only.as_str())));
    peers
}

/// A server, and how many bytes it takes before anybody has subscribed.
fn start(peer: &Peer) -> io::Result<(Server, f64)> {
    let server = Server::start(&peer.command)?;
    // What a first client needs, all have.
    drop(Load::open(server.addr, peer.protocol, 1).map_err(|error| told(peer, error))?);
    let resident = server.resident();
    Ok((server, resident))
}

fn told(peer: &Peer, error: io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", peer.name))
}

/// The server's CPU time for each delivery, deliveries per second, and the 99th percentile of when they came.
fn deliver(server: &Server, load: &mut Load, burst: usize) -> io::Result<[f64; 3]> {
    let time = Duration::from_secs_f64(option("--seconds").unwrap_or(0.5));
    load.rounds(burst, time / 5)?;
    let before = server.cpu_time();
    let outcome = load.rounds(burst, time)?;
    let cpu = (server.cpu_time() - before).as_nanos() as f64;
    let deliveries = outcome.deliveries as f64;
    Ok([cpu / deliveries, deliveries / outcome.time.as_secs_f64(), p99(outcome.latencies)])
}

/// What each further topic of a connection takes.
fn further(ours: &Peer) -> io::Result<Aim> {
    let resident = |protocol| -> io::Result<f64> {
        let (server, before) = start(ours)?;
        let _load = Load::open(server.addr, protocol, SIZES[1])?;
        Ok((server.resident() - before) / SIZES[1] as f64)
    };
    let (protocol, count) = &FURTHER;
    let bytes = (resident(protocol)? - resident(&CHANNELS)?) / *count as f64;
    println!("\n### Resident bytes a further topic of each of {}, of {count}\n\n{bytes:.0}", SIZES[1]);
    Ok(Aim::new("resident bytes a further topic", 512.0, bytes))
}

/// What it takes that a topic has a history, and clients that speak both dialects.
fn kept(ours: &Peer, rounds: usize) -> io::Result<Vec<Aim>> {
    let without: &[&Protocol] = &[&CHANNELS];
    let kinds = [("without a history", without), ("with it, in both dialects", &[&STOCK, &EXTENDED])];
    let mut columns = [1, 16].map(|burst| (burst, kinds.map(|_| Vec::new())));
    for _ in 0..rounds {
        for (of, (_, protocols)) in kinds.iter().enumerate() {
            let (server, _) = start(ours)?;
            let mut load = Load::open_mixed(server.addr, protocols, SIZES[1])?;
            for (burst, columns) in &mut columns {
                let [cpu, ..] = deliver(&server, &mut load, *burst)?;
                columns[of].push(cpu);
            }
        }
    }
    println!("\n### {} subscribers, without and with a history\n", SIZES[1]);
    println!("| server CPU ns/delivery | {} | {} | with / without |", kinds[0].0, kinds[1].0);
    println!("| --- | --: | --: | --: |");
    let aims = columns.map(|(burst, [without, with])| {
        let what = if burst == 1 { "singly" } else { "in bursts of 16" };
        let ratio = ratio(&with, &without);
        println!("| {what} | {:.0} | {:.0} | {ratio:.2} |", median(without), median(with));
        Aim::new(&format!("CPU with a history and both dialects, of without, {what}"), 1.15, ratio)
    });
    Ok(aims.into())
}

/// The 99th percentile of when deliveries came to 1,000, without one that takes nothing and with it.
fn stalled(peers: &[Peer], rounds: usize) -> io::Result<Vec<Aim>> {
    let mut columns = [vec![Vec::new(); peers.len()], vec![Vec::new(); peers.len()]];
    for _ in 0..rounds {
        for (of, peer) in peers.iter().enumerate() {
            let (server, _) = start(peer)?;
            let mut load = Load::open(server.addr, peer.protocol, 1_000)?;
            let [_, _, without] = deliver(&server, &mut load, 16).map_err(|error| told(peer, error))?;
            load.stall(server.addr)?;
            let [_, _, with] = deliver(&server, &mut load, 16).map_err(|error| told(peer, error))?;
            columns[0][of].push(without);
            columns[1][of].push(with);
        }
    }
    println!("\n### 1,000 subscribers, bursts of 16, without and with one more that is stalled\n");
    println!("| server | p99 µs without | p99 µs with | with / without |\n| --- | --: | --: | --: |");
    for (peer, (without, with)) in peers.iter().zip(columns[0].iter().zip(&columns[1])) {
        let (before, then) = (median(without.clone()), median(with.clone()));
        println!("| {} | {before:.0} | {then:.0} | {:.2} |", peer.name, ratio(with, without));
    }
    Ok(vec![Aim::new("p99 with one that is stalled, of without", 1.1, ratio(&columns[1][0], &columns[0][0]))])
}

/// Joins and drops, 10,000 at once: what is left of them.
fn come_and_leave(ours: &Peer) -> io::Result<()> {
    let waves = if flag("--quick") { 2 } else { 10 };
    let (server, before) = start(ours)?;
    println!("\n### {} joins and drops\n", waves * SIZES[2]);
    println!("| after | resident KiB more than before | state |\n| --- | --: | --- |");
    let mut load = Load::open(server.addr, ours.protocol, 1)?;
    for wave in 1..=waves {
        come_and_go(server.addr, ours.protocol, SIZES[2])?;
        load.idle(Duration::from_millis(500))?;
        let state = load.question(r#"["1","2","control","state",{}]"#)?;
        let more = (server.resident() - before) / 1024.0;
        println!("| {} | {more:.0} | `{state}` |", wave * SIZES[2]);
    }
    Ok(())
}

fn table(peers: &[Peer], heads: &[&str], columns: &[&Column]) {
    let titles: Vec<_> = heads.iter().map(|head| format!(" {head} | ours / its ")).collect();
    println!("| server |{} |", titles.join("|"));
    println!("| --- |{}", " --: | --: |".repeat(heads.len()));
    for (of, peer) in peers.iter().enumerate() {
        let cells = columns.iter().map(|column| {
            format!(" {:.0} | {:.2} |", median(column[of].clone()), ratio(&column[0], &column[of]))
        });
        println!("| {} |{}", peer.name, cells.collect::<String>());
    }
}

/// The aims of a table of deliveries.
fn deliveries(peers: &[Peer], burst: usize, size: usize, [cpu, rate, late]: [&Column; 3]) -> Vec<Aim> {
    let kind = if burst == 1 { "single" } else { "bursts" };
    let most = if burst == 1 { [1.25, [1.0, 0.75, 0.75][size], 0.65] } else { [1.3, 0.6, 0.1] };
    let names = ["uWebSockets", "socketioxide", "axum + broadcast"];
    // Deliveries per second: of theirs, at most so many are ours.
    let slower = [1.0 / 0.8, 1.0 / 1.2, if burst == 1 { 1.0 / 1.4 } else { 1.0 / 8.0 }];
    let later = [1.25, 0.8, 0.7];
    let mut aims = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let Some(of) = of(peers, name) else { continue };
        let what = |what: &str| format!("{kind}, {}: {what}, of {name}'s", SIZES[size]);
        aims.push(Aim::new(&what("CPU"), most[at], ratio(&cpu[0], &cpu[of])));
        aims.push(Aim::new(&what("time a delivery"), round(slower[at]), ratio(&rate[of], &rate[0])));
        aims.push(Aim::new(&what("p99"), later[at], ratio(&late[0], &late[of])));
    }
    aims
}

fn round(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

fn of(peers: &[Peer], name: &str) -> Option<usize> {
    peers.iter().position(|peer| peer.name == name)
}

/// How many subscribers.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

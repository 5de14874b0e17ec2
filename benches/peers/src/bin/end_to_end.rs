//! Loads all echo servers in turns, and prints tables: medians over the rounds, and medians of the ratios to
//! ours within a round.

use std::time::Duration;

use peers::load::{Load, Outcome};
use peers::option;
use peers::payload::Kind;
use peers::server::{Server, ours, program, uwebsockets};
use peers::stats::median;
use peers::stream::client_config;

struct Case {
    title: &'static str,
    kind: Kind,
    size: usize,
    connections: usize,
    outstanding: usize,
    fragments: usize,
    group: Group,
}

/// Servers that are compared with each other.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    SingleThreaded,
    Deflate,
    Blocking,
    Tls,
    /// Ours, with one thread and with more.
    Workers,
}

/// Binary messages in one frame each.
const BINARY: Case = Case {
    title: "",
    kind: Kind::Binary,
    size: 16,
    connections: 32,
    outstanding: 16,
    fragments: 1,
    group: Group::SingleThreaded,
};
/// For servers with a thread per connection.
const BLOCKING: Case = Case { group: Group::Blocking, ..BINARY };
const TLS: Case = Case { group: Group::Tls, ..BINARY };
const MIB: usize = 1 << 20;
const KIB16: usize = 16 << 10;

const CASES: &[Case] = &[
    Case { title: "16 B", ..BINARY },
    Case { title: "125 B", size: 125, ..BINARY },
    Case { title: "1 KiB", size: 1024, ..BINARY },
    Case { title: "16 KiB", size: KIB16, ..BINARY },
    Case { title: "1 MiB", size: MIB, connections: 4, outstanding: 1, ..BINARY },
    Case { title: "16 B, one at a time", outstanding: 1, ..BINARY },
    Case { title: "125 B, one at a time", size: 125, outstanding: 1, ..BINARY },
    Case { title: "1 KiB, one at a time", size: 1024, outstanding: 1, ..BINARY },
    Case { title: "16 KiB, one at a time", size: KIB16, outstanding: 1, ..BINARY },
    Case { title: "125 B, one connection", size: 125, connections: 1, outstanding: 1, ..BINARY },
    Case { title: "125 B, many connections", size: 125, connections: 256, ..BINARY },
    Case { title: "16 KiB of ASCII text", kind: Kind::Text, size: KIB16, ..BINARY },
    Case { title: "16 KiB of mixed text", kind: Kind::Mixed, size: KIB16, ..BINARY },
    Case { title: "16 KiB in 8 fragments", size: KIB16, fragments: 8, ..BINARY },
    Case { title: "1 KiB of JSON, deflated", kind: Kind::Json, size: 1024, group: Group::Deflate, ..BINARY },
    Case {
        title: "1 KiB of JSON, deflated, one at a time",
        kind: Kind::Json,
        size: 1024,
        outstanding: 1,
        group: Group::Deflate,
        ..BINARY
    },
    Case {
        title: "16 KiB of JSON, deflated",
        kind: Kind::Json,
        size: KIB16,
        outstanding: 4,
        group: Group::Deflate,
        ..BINARY
    },
    Case {
        title: "16 KiB of JSON, deflated, one at a time",
        kind: Kind::Json,
        size: KIB16,
        outstanding: 1,
        group: Group::Deflate,
        ..BINARY
    },
    Case { title: "Blocking: 16 B", ..BLOCKING },
    Case { title: "Blocking: 125 B", size: 125, ..BLOCKING },
    Case { title: "Blocking: 1 KiB", size: 1024, ..BLOCKING },
    Case { title: "Blocking: 16 KiB", size: KIB16, ..BLOCKING },
    Case { title: "Blocking: 16 KiB of ASCII text", kind: Kind::Text, size: KIB16, ..BLOCKING },
    Case { title: "Blocking: 16 KiB of mixed text", kind: Kind::Mixed, size: KIB16, ..BLOCKING },
    Case { title: "Blocking: 1 MiB", size: MIB, connections: 4, outstanding: 1, ..BLOCKING },
    Case { title: "Blocking: 16 B, one at a time", outstanding: 1, ..BLOCKING },
    Case { title: "Blocking: 125 B, one at a time", size: 125, outstanding: 1, ..BLOCKING },
    Case { title: "Blocking: 1 KiB, one at a time", size: 1024, outstanding: 1, ..BLOCKING },
    Case { title: "Blocking: 16 KiB, one at a time", size: KIB16, outstanding: 1, ..BLOCKING },
    Case {
        title: "Blocking: 16 KiB of mixed text, one at a time",
        kind: Kind::Mixed,
        size: KIB16,
        outstanding: 1,
        ..BLOCKING
    },
    Case { title: "TLS: 125 B", size: 125, ..TLS },
    Case { title: "TLS: 125 B, one at a time", size: 125, outstanding: 1, ..TLS },
    Case { title: "TLS: 16 KiB", size: KIB16, ..TLS },
    Case { title: "Worker threads: 125 B", size: 125, group: Group::Workers, ..BINARY },
    Case { title: "Worker threads: 16 KiB", size: KIB16, group: Group::Workers, ..BINARY },
];

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let seconds: f64 = option("--seconds").unwrap_or(1.0);
    let only: Option<String> = option("--only");

    let mut servers = Vec::new();
    for group in [Group::SingleThreaded, Group::Deflate, Group::Blocking, Group::Tls, Group::Workers] {
        servers.extend(start(group).into_iter().map(|server| (group, server)));
    }
    let wanted = |case: &&Case| only.as_ref().is_none_or(|only| case.title.contains(only.as_str()));
    for case in CASES.iter().filter(wanted) {
        let servers = servers.iter().filter(|(group, _)| *group == case.group).map(|(_, server)| server);
        run(case, &servers.collect::<Vec<_>>(), rounds, seconds);
    }
    drop(servers);
    if only.is_none_or(|only| IDLE.contains(&only)) {
        idle();
    }
}

/// The first of them is what the others are compared with.
fn start(group: Group) -> Vec<Server> {
    let natural = ours("echo_server");
    let blocking = ours("echo_server_blocking");
    let ours = program("echo_sansocket");
    let yawc = program("echo_yawc");
    let mut servers = Vec::new();
    match group {
        Group::SingleThreaded => {
            servers.push(Server::start("sansocket", &[&natural, "--current-thread"]));
            servers.push(Server::start("sansocket, batched", &[&ours, "--batched"]));
            for (name, peer) in [
                ("yawc", "echo_yawc"),
                ("tokio-websockets", "echo_tokio_websockets"),
                ("tokio-tungstenite", "echo_tokio_tungstenite"),
                ("sockudo-ws", "echo_sockudo_ws"),
            ] {
                servers.push(Server::start(name, &[&program(peer)]));
                servers.push(Server::start(&format!("{name}, batched"), &[&program(peer), "--batched"]));
            }
            servers.push(Server::start("fastwebsockets", &[&program("echo_fastwebsockets")]));
            servers.push(Server::start("wtx", &[&program("echo_wtx")]));
            if let Some(uwebsockets) = uwebsockets() {
                servers.push(Server::start("uWebSockets (C++)", &[&uwebsockets]));
            }
            servers.push(Server::start("raw TCP", &[&program("echo_raw")]));
        }
        Group::Deflate => {
            servers.push(Server::start("sansocket", &[&natural, "--current-thread", "--deflate"]));
            servers.push(Server::start("sansocket, batched", &[&ours, "--batched", "--deflate"]));
            servers.push(Server::start("sansocket, blocking", &[&blocking, "--deflate"]));
            servers.push(Server::start("yawc", &[&yawc, "--deflate"]));
            servers.push(Server::start("yawc, batched", &[&yawc, "--batched", "--deflate"]));
            if let Some(uwebsockets) = uwebsockets() {
                servers.push(Server::start("uWebSockets (C++)", &[&uwebsockets, "--deflate"]));
            }
            let source = |name: &str| format!("{}/src/bin/{name}", env!("CARGO_MANIFEST_DIR"));
            if let Some(python) = option::<String>("--python") {
                let command = [&*python, &source("echo_websockets.py"), "--deflate"];
                servers.push(Server::start("websockets (python)", &command));
            }
            if option::<String>("--node").is_some() {
                servers.push(Server::start("ws (Node)", &["node", &source("echo_ws.cjs"), "--deflate"]));
            }
        }
        Group::Blocking => {
            servers.push(Server::start("sansocket, blocking", &[&blocking]));
            servers.push(Server::start("tungstenite", &[&program("echo_tungstenite")]));
        }
        Group::Tls => {
            servers.push(Server::start("sansocket, TLS", &[&ours, "--tls"]));
            let tungstenite = program("echo_tokio_tungstenite");
            servers.push(Server::start("tokio-tungstenite, TLS", &[&tungstenite, "--tls"]));
            servers.push(Server::start(
                "tokio-tungstenite, TLS, batched",
                &[&tungstenite, "--tls", "--batched"],
            ));
        }
        Group::Workers => {
            servers.push(Server::start("one thread", &[&natural, "--current-thread"]));
            servers.push(Server::start("a runtime of many threads, one worker", &[&natural]));
            servers.push(Server::start_on("0,1", "two workers, on the load client's core too", &[&natural]));
        }
    }
    servers
}

const IDLE: &str = "Idle connections";

/// Of servers that were just started: the connections of others would find memory that loads have left behind.
fn idle() {
    println!("\n### {IDLE}\n");
    println!(
        "What the server's resident memory grows by with each of 9,000 connections that have echoed one message.\n"
    );
    println!("| server | bytes a connection |");
    println!("| --- | --: |");
    let groups = [Group::SingleThreaded, Group::Blocking, Group::Tls].into_iter();
    for (group, server) in
        groups.flat_map(|group| start(group).into_iter().map(move |server| (group, server)))
    {
        let tls = (group == Group::Tls).then(|| client_config(false));
        let load = Load { connections: 9_000, size: 4, raw: server.is_raw(), tls, ..Load::default() };
        match load.idle(server.addr, server.pid()) {
            Ok(bytes) => println!("| {} | {bytes:.0} |", server.name),
            Err(error) => eprintln!("{}, {IDLE}: {error}", server.name),
        }
    }
}

fn run(case: &Case, servers: &[&Server], rounds: usize, seconds: f64) {
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (server, outcomes) in servers.iter().zip(&mut outcomes) {
            let load = Load {
                kind: case.kind,
                size: case.size,
                connections: case.connections,
                outstanding: case.outstanding,
                fragments: case.fragments,
                deflate: case.group == Group::Deflate,
                raw: server.is_raw(),
                tls: (case.group == Group::Tls).then(|| client_config(false)),
                warm_up: Duration::from_millis(100),
                duration: Duration::from_secs_f64(seconds),
            };
            match load.run(server.addr, Some(server.pid())) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => eprintln!("{}, {}: {error}", server.name, case.title),
            }
        }
    }
    println!("\n### {} ({} connections, {} outstanding)\n", case.title, case.connections, case.outstanding);
    println!("| server | messages/s | ratio | server CPU ns/message | ratio | p50 us | p99 us | p99.9 us |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    for (server, own) in servers.iter().zip(&outcomes) {
        let of = |value: &dyn Fn(&Outcome) -> f64| median(own.iter().map(value).collect());
        let ratio = |value: &dyn Fn(&Outcome) -> f64| {
            median(own.iter().zip(&outcomes[0]).map(|(own, ours)| value(own) / value(ours)).collect())
        };
        let latency = |share| of(&|outcome| outcome.latency.percentile(share) as f64 / 1000.0);
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
            server.name,
            of(&Outcome::per_second),
            ratio(&Outcome::per_second),
            of(&Outcome::cpu_nanos),
            ratio(&Outcome::cpu_nanos),
            latency(0.5),
            latency(0.99),
            latency(0.999),
        );
    }
}

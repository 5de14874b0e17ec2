//! Loads all echo servers in turns, and prints tables: medians over the rounds, and medians of the ratios to
//! ours within a round.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peers::load::{Load, Outcome};
use peers::option;
use peers::payload::Kind;
use peers::stats::median;

struct Case {
    title: &'static str,
    kind: Kind,
    size: usize,
    connections: usize,
    outstanding: usize,
    fragments: usize,
    deflate: bool,
}

/// Binary messages in one frame each.
const BINARY: Case = Case {
    title: "",
    kind: Kind::Binary,
    size: 16,
    connections: 32,
    outstanding: 16,
    fragments: 1,
    deflate: false,
};
const MIB: usize = 1 << 20;
const KIB16: usize = 16 << 10;

const CASES: &[Case] = &[
    Case { title: "16 B", ..BINARY },
    Case { title: "125 B", size: 125, ..BINARY },
    Case { title: "1 KiB", size: 1024, ..BINARY },
    Case { title: "16 KiB", size: KIB16, ..BINARY },
    Case { title: "1 MiB", size: MIB, connections: 4, outstanding: 1, ..BINARY },
    Case { title: "125 B, one at a time", size: 125, outstanding: 1, ..BINARY },
    Case { title: "125 B, one connection", size: 125, connections: 1, outstanding: 1, ..BINARY },
    Case { title: "125 B, many connections", size: 125, connections: 256, ..BINARY },
    Case { title: "16 KiB of ASCII text", kind: Kind::Text, size: KIB16, ..BINARY },
    Case { title: "16 KiB of mixed text", kind: Kind::Mixed, size: KIB16, ..BINARY },
    Case { title: "16 KiB in 8 fragments", size: KIB16, fragments: 8, ..BINARY },
    Case { title: "1 KiB of JSON, deflated", kind: Kind::Json, size: 1024, deflate: true, ..BINARY },
    Case {
        title: "1 KiB of JSON, deflated, one at a time",
        kind: Kind::Json,
        size: 1024,
        outstanding: 1,
        deflate: true,
        ..BINARY
    },
    Case {
        title: "16 KiB of JSON, deflated",
        kind: Kind::Json,
        size: KIB16,
        outstanding: 4,
        deflate: true,
        ..BINARY
    },
];

struct Server {
    name: String,
    raw: bool,
    deflate: bool,
    addr: SocketAddr,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The process gets `--addr`, and the first core for itself if `taskset` can give it.
fn start(name: &str, deflate: bool, command: &[&str]) -> Server {
    let addr = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let mut arguments = command.to_vec();
    let addr_text = addr.to_string();
    arguments.extend(["--addr", &addr_text]);
    if deflate {
        arguments.push("--deflate");
    }
    let process = Command::new("taskset")
        .args(["-c", "0"])
        .args(arguments)
        .stdout(Stdio::null())
        // Some peers are talkative about clients that leave.
        .stderr(Stdio::null())
        .spawn()
        .expect("taskset");
    drop(peers::load::connect(addr).unwrap_or_else(|error| panic!("{name} does not start: {error}")));
    Server { name: name.into(), raw: name == "raw TCP", deflate, addr, process }
}

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let seconds: f64 = option("--seconds").unwrap_or(1.0);
    let only: Option<String> = option("--only");
    let ours: String = option("--ours").expect("--ours DIRECTORY, with our example servers");
    let peers = std::env::current_exe().expect("a path").with_file_name("");
    let peer = |name: &str| peers.join(name).display().to_string();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");

    let natural = format!("{ours}/echo_server");
    let blocking = format!("{ours}/echo_server_blocking");
    let mut servers = Vec::new();
    for deflate in [false, true] {
        servers.push(start("sansocket", deflate, &[&natural, "--current-thread"]));
        servers.push(start("sansocket, batched", deflate, &[&peer("echo_sansocket"), "--batched"]));
        servers.push(start("sansocket, blocking", deflate, &[&blocking]));
        servers.push(start("yawc", deflate, &[&peer("echo_yawc")]));
        servers.push(start("yawc, batched", deflate, &[&peer("echo_yawc"), "--batched"]));
        if deflate {
            if let Some(python) = option::<String>("--python") {
                servers.push(start(
                    "websockets (python)",
                    true,
                    &[&python, &format!("{sources}/echo_websockets.py")],
                ));
            }
            if option::<String>("--node").is_some() {
                servers.push(start("ws (Node)", true, &["node", &format!("{sources}/echo_ws.cjs")]));
            }
        } else {
            for (name, program) in [
                ("tokio-websockets", "echo_tokio_websockets"),
                ("tokio-tungstenite", "echo_tokio_tungstenite"),
            ] {
                servers.push(start(name, false, &[&peer(program)]));
                servers.push(start(&format!("{name}, batched"), false, &[&peer(program), "--batched"]));
            }
            servers.push(start("fastwebsockets", false, &[&peer("echo_fastwebsockets")]));
            servers.push(start("raw TCP", false, &[&peer("echo_raw")]));
        }
    }
    let wanted = |case: &&Case| only.as_ref().is_none_or(|only| case.title.contains(only.as_str()));
    for case in CASES.iter().filter(wanted) {
        run(case, &servers, rounds, seconds);
    }
    if only.is_none_or(|only| IDLE.contains(&only)) {
        idle(&servers);
    }
}

const IDLE: &str = "Idle connections";

fn idle(servers: &[Server]) {
    println!("\n### {IDLE}\n");
    println!(
        "What the server's resident memory grows by with each of 9,000 connections that have echoed one message.\n"
    );
    println!("| server | bytes a connection |");
    println!("| --- | --: |");
    for server in servers.iter().filter(|server| !server.deflate) {
        let load = Load { connections: 9_000, size: 4, raw: server.raw, ..Load::default() };
        match load.idle(server.addr, server.process.id()) {
            Ok(bytes) => println!("| {} | {bytes:.0} |", server.name),
            Err(error) => eprintln!("{}, {IDLE}: {error}", server.name),
        }
    }
}

fn run(case: &Case, servers: &[Server], rounds: usize, seconds: f64) {
    let servers: Vec<_> = servers.iter().filter(|server| server.deflate == case.deflate).collect();
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (server, outcomes) in servers.iter().zip(&mut outcomes) {
            let load = Load {
                kind: case.kind,
                size: case.size,
                connections: case.connections,
                outstanding: case.outstanding,
                fragments: case.fragments,
                deflate: case.deflate,
                raw: server.raw,
                warm_up: Duration::from_millis(200),
                duration: Duration::from_secs_f64(seconds),
            };
            match load.run(server.addr, Some(server.process.id())) {
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

//! Runs the clients of all crates in turns against our echo server, and prints what CPU time a message takes that is
//! sent and comes back.

use std::process::{Command, Stdio};

use peers::option;
use peers::server::{Server, ours, program};
use peers::stats::median;

/// The first of them is what the others are compared with.
const CLIENTS: [&str; 7] = [
    "sansocket",
    "sansocket, blocking",
    "tokio-tungstenite",
    "tungstenite",
    "tokio-websockets",
    "fastwebsockets",
    "yawc",
];

struct Case {
    title: &'static str,
    size: usize,
    connections: usize,
    outstanding: usize,
}

const KIB16: usize = 16 << 10;

const CASES: [Case; 7] = [
    Case { title: "125 B", size: 125, connections: 32, outstanding: 16 },
    Case { title: "1 KiB", size: 1024, connections: 32, outstanding: 16 },
    Case { title: "16 KiB", size: KIB16, connections: 32, outstanding: 16 },
    Case { title: "125 B, one at a time", size: 125, connections: 32, outstanding: 1 },
    Case { title: "1 KiB, one at a time", size: 1024, connections: 32, outstanding: 1 },
    Case { title: "16 KiB, one at a time", size: KIB16, connections: 32, outstanding: 1 },
    // Bursts of them would not fit into the buffers between two sides that both write.
    Case { title: "1 MiB, one at a time", size: 1 << 20, connections: 4, outstanding: 1 },
];

struct Outcome {
    per_second: f64,
    cpu_nanos: f64,
}

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let only: Option<String> = option("--only");
    let server = Server::start("sansocket", &[&ours("echo_server"), "--current-thread"]);
    for case in &CASES {
        if only.as_ref().is_some_and(|only| !case.title.contains(only.as_str())) {
            continue;
        }
        let mut outcomes = CLIENTS.map(|_| Vec::new());
        for _ in 0..rounds {
            for (client, outcomes) in CLIENTS.iter().zip(&mut outcomes) {
                outcomes.push(run(case, client, &server));
            }
        }
        print(case, &outcomes);
    }
}

fn run(case: &Case, client: &str, server: &Server) -> Outcome {
    let seconds: f64 = option("--seconds").unwrap_or(1.0);
    let output = Command::new(program("client"))
        .args(["--of", client, "--addr", &server.addr.to_string(), "--size", &case.size.to_string()])
        .args([
            "--connections",
            &case.connections.to_string(),
            "--outstanding",
            &case.outstanding.to_string(),
        ])
        .args(["--seconds", &seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("the program");
    assert!(output.status.success(), "the client of {client} failed");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    Outcome { per_second: numbers[0], cpu_nanos: numbers[1] }
}

fn print(case: &Case, outcomes: &[Vec<Outcome>]) {
    let Case { title, connections, outstanding, .. } = case;
    println!("\n### Client: {title} ({connections} connections, {outstanding} outstanding)\n");
    println!("| client | messages/s | ratio | client CPU ns/message | ratio |");
    println!("| --- | --: | --: | --: | --: |");
    for (client, own) in CLIENTS.iter().zip(outcomes) {
        let of = |value: fn(&Outcome) -> f64| median(own.iter().map(value).collect());
        let ratio = |value: fn(&Outcome) -> f64| {
            median(own.iter().zip(&outcomes[0]).map(|(own, ours)| value(own) / value(ours)).collect())
        };
        let (per_second, cpu_nanos) =
            (|outcome: &Outcome| outcome.per_second, |outcome: &Outcome| outcome.cpu_nanos);
        println!(
            "| {client} | {:.0} | {:.2} | {:.0} | {:.2} |",
            of(per_second),
            ratio(per_second),
            of(cpu_nanos),
            ratio(cpu_nanos),
        );
    }
}

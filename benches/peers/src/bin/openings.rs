//! What it costs a server to open connections, and to end them: all servers in turns, medians over the rounds.

use std::io;
use std::time::{Duration, Instant};

use peers::load::{AT_ONCE, Load};
use peers::option;
use peers::server::{Server, ours, program, uwebsockets};
use peers::stats::{cpu_time_of, median};
use peers::stream::client_config;

struct Case {
    title: &'static str,
    connections: usize,
    at_once: usize,
    tls: Option<Tls>,
    servers: fn() -> Vec<Server>,
}

/// Whether the client resumes the TLS sessions of the round before.
#[derive(Clone, Copy, PartialEq)]
enum Tls {
    Full,
    Resumed,
}

const TCP: Case =
    Case { title: "", connections: 2_000, at_once: AT_ONCE, tls: None, servers: single_threaded };
const TLS: Case = Case { connections: 256, at_once: 1, servers: secure, ..TCP };

const CASES: &[Case] = &[
    Case { title: "Opening, many at once", ..TCP },
    Case { title: "Opening, one at a time", connections: 500, at_once: 1, ..TCP },
    Case { title: "Opening, blocking", connections: 500, servers: blocking, ..TCP },
    Case {
        title: "Opening, blocking, one at a time",
        connections: 500,
        at_once: 1,
        servers: blocking,
        ..TCP
    },
    Case { title: "Opening, full TLS handshake, one at a time", tls: Some(Tls::Full), ..TLS },
    Case { title: "Opening, TLS resumed, one at a time", tls: Some(Tls::Resumed), ..TLS },
];

/// What one round came to.
struct Outcome {
    per_second: f64,
    /// The server's CPU time for each.
    opening: f64,
    closing: f64,
}

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let only: Option<String> = option("--only");
    let wanted = |case: &&Case| only.as_ref().is_none_or(|only| case.title.contains(only.as_str()));
    for case in CASES.iter().filter(wanted) {
        run(case, &(case.servers)(), rounds);
    }
}

/// The first of them is what the others are compared with.
fn single_threaded() -> Vec<Server> {
    let mut servers = vec![Server::start("sansocket", &[&ours("echo_server"), "--current-thread"])];
    for (name, peer) in [
        ("tokio-websockets", "echo_tokio_websockets"),
        ("tokio-tungstenite", "echo_tokio_tungstenite"),
        ("sockudo-ws", "echo_sockudo_ws"),
        ("soketto", "echo_soketto"),
        ("wtx", "echo_wtx"),
    ] {
        servers.push(Server::start(name, &[&program(peer)]));
    }
    servers.push(Server::start("fastwebsockets, in hyper", &[&program("echo_fastwebsockets"), "--upgrade"]));
    if let Some(uwebsockets) = uwebsockets() {
        servers.push(Server::start("uWebSockets (C++)", &[&uwebsockets]));
    }
    servers
}

fn blocking() -> Vec<Server> {
    vec![
        Server::start("sansocket, blocking", &[&ours("echo_server_blocking")]),
        Server::start("tungstenite", &[&program("echo_tungstenite")]),
    ]
}

fn secure() -> Vec<Server> {
    vec![
        Server::start("sansocket", &[&program("echo_sansocket"), "--tls"]),
        Server::start("tokio-tungstenite", &[&program("echo_tokio_tungstenite"), "--tls"]),
    ]
}

fn run(case: &Case, servers: &[Server], rounds: usize) {
    // Each has a client of its own, with the sessions that it may resume.
    let load = || Load { tls: case.tls.map(|tls| client_config(tls == Tls::Resumed)), ..Load::default() };
    let loads: Vec<Load> = servers.iter().map(|_| load()).collect();
    let expected = if case.tls == Some(Tls::Resumed) { case.connections } else { 0 };
    for (server, load) in servers.iter().zip(&loads) {
        // What the first connections bring is not theirs alone.
        if let Err(error) = open(load, server, WARM_UP, case.at_once) {
            eprintln!("{}, {}: {error}", server.name, case.title);
        }
    }
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((server, load), outcomes) in servers.iter().zip(&loads).zip(&mut outcomes) {
            match open(load, server, case.connections, case.at_once) {
                Ok((outcome, resumed)) if resumed == expected => outcomes.push(outcome),
                Ok((_, resumed)) => {
                    eprintln!("{}, {}: {resumed} of {expected} were resumed", server.name, case.title);
                }
                Err(error) => eprintln!("{}, {}: {error}", server.name, case.title),
            }
        }
    }
    println!("\n### {} ({} connections)\n", case.title, case.connections);
    println!("| server | openings/s | server CPU us/opening | ratio | server CPU us/close |");
    println!("| --- | --: | --: | --: | --: |");
    for (server, own) in servers.iter().zip(&outcomes) {
        let of = |value: fn(&Outcome) -> f64| median(own.iter().map(value).collect());
        let ratio = own.iter().zip(&outcomes[0]).map(|(own, ours)| own.opening / ours.opening).collect();
        println!(
            "| {} | {:.0} | {:.1} | {:.2} | {:.1} |",
            server.name,
            of(|outcome| outcome.per_second),
            of(|outcome| outcome.opening),
            median(ratio),
            of(|outcome| outcome.closing),
        );
    }
}

/// Opens so many connections, and closes them without a farewell, as clients do that are gone. Tells how many have resumed
/// TLS, too.
fn open(load: &Load, server: &Server, connections: usize, at_once: usize) -> io::Result<(Outcome, usize)> {
    let pid = server.pid();
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / connections as f64;
    let (begin, before) = (Instant::now(), cpu_time_of(pid));
    let opened = load.open(server.addr, connections, at_once)?;
    let (elapsed, open) = (begin.elapsed(), cpu_time_of(pid));
    let resumed = opened.iter().filter(|stream| stream.is_resumed()).count();
    drop(opened);
    let closed = at_rest(pid);
    let per_second = connections as f64 / elapsed.as_secs_f64();
    Ok((Outcome { per_second, opening: micros(open - before), closing: micros(closed - open) }, resumed))
}

/// The CPU time of a server when it has nothing more to do.
fn at_rest(pid: u32) -> Duration {
    let mut before = cpu_time_of(pid);
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let now = cpu_time_of(pid);
        if now == before {
            return now;
        }
        before = now;
    }
}

const WARM_UP: usize = 64;

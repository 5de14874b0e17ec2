//! Shows that cost is linear: what a message costs the server with 1 to 10,000 connections, and what a byte of it
//! costs in messages of 1 B to 64 MiB.

use std::time::Duration;

use peers::load::Load;
use peers::option;
use peers::server::{Server, ours, program, uwebsockets};
use peers::stats::median;

const CONNECTIONS: [usize; 5] = [1, 32, 256, 1_000, 10_000];
const OUTSTANDING: usize = 16;
const SIZES: [usize; 8] = [1, 16, 256, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    let mut servers = vec![
        Server::start("sansocket", &[&ours("echo_server"), "--current-thread"]),
        Server::start("sockudo-ws, batched", &[&program("echo_sockudo_ws"), "--batched"]),
        Server::start("tokio-websockets, batched", &[&program("echo_tokio_websockets"), "--batched"]),
    ];
    if let Some(uwebsockets) = uwebsockets() {
        servers.push(Server::start("uWebSockets (C++)", &[&uwebsockets]));
    }
    servers.push(Server::start("raw TCP", &[&program("echo_raw")]));
    connections(&servers, rounds);
    sizes(&servers, rounds);
}

fn connections(servers: &[Server], rounds: usize) {
    println!("\n### By connections\n");
    println!(
        "Server CPU ns/message: 125 B, {OUTSTANDING} outstanding on each connection. One alone leaves the server \
         without work again and again, and it sleeps.\n"
    );
    let loads =
        CONNECTIONS.map(|connections| Load { size: 125, connections, outstanding: OUTSTANDING, ..load() });
    let medians = measure(servers, &loads, rounds);
    println!("| connections | {} |", names(servers));
    println!("| --: |{}", " --: |".repeat(servers.len()));
    for (load, medians) in loads.iter().zip(&medians) {
        let cells: Vec<_> = medians.iter().map(|nanos| format!("{nanos:.0}")).collect();
        println!("| {} | {} |", load.connections, cells.join(" | "));
    }
}

fn sizes(servers: &[Server], rounds: usize) {
    println!("\n### By sizes\n");
    println!(
        "Server CPU us/message (and ns/byte): 1 connection, 1 outstanding. Raw TCP sends on what has come of a message \
         while the rest is on its way, and so stays within the caches.\n"
    );
    let loads = SIZES.map(|size| Load { size, connections: 1, outstanding: 1, ..load() });
    let medians = measure(servers, &loads, rounds);
    println!("| message | {} |", names(servers));
    println!("| --: |{}", " --: |".repeat(servers.len()));
    for (load, medians) in loads.iter().zip(&medians) {
        let cell = |nanos: &f64| format!("{:.1} ({:.2})", nanos / 1000.0, nanos / load.size as f64);
        let cells: Vec<_> = medians.iter().map(cell).collect();
        println!("| {} | {} |", size_name(load.size), cells.join(" | "));
    }
}

/// The server's CPU time per message for each load on each server.
fn measure(servers: &[Server], loads: &[Load], rounds: usize) -> Vec<Vec<f64>> {
    let mut nanos = vec![vec![Vec::new(); servers.len()]; loads.len()];
    for _ in 0..rounds {
        for (load, nanos) in loads.iter().zip(&mut nanos) {
            for (server, nanos) in servers.iter().zip(nanos) {
                let load = Load { raw: server.is_raw(), ..load.clone() };
                match load.run(server.addr, Some(server.pid())) {
                    Ok(outcome) => nanos.push(outcome.cpu_nanos()),
                    Err(error) => eprintln!("{}, {load:?}: {error}", server.name),
                }
            }
        }
    }
    nanos.into_iter().map(|servers| servers.into_iter().map(median).collect()).collect()
}

fn load() -> Load {
    Load {
        fragments: 1,
        warm_up: Duration::from_millis(100),
        duration: Duration::from_secs_f64(option("--seconds").unwrap_or(1.0)),
        ..Load::default()
    }
}

fn names(servers: &[Server]) -> String {
    servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>().join(" | ")
}

fn size_name(size: usize) -> String {
    match size {
        0x400..0x10_0000 => format!("{} KiB", size >> 10),
        0x10_0000.. => format!("{} MiB", size >> 20),
        _ => format!("{size} B"),
    }
}

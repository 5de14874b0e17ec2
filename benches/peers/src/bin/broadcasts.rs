//! One client sends, the server sends it on to all: what does each message that is delivered cost the server?

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use peers::load;
use peers::option;
use peers::payload::{self, Kind};
use peers::server::{Server, program, uwebsockets};
use peers::stats::{cpu_time_of, median};

const CLIENTS: usize = 256;

fn main() {
    let rounds: usize = option("--rounds").unwrap_or(5);
    // The first of them is what the others are compared with.
    let mut servers: Vec<_> = ["sansocket", "tokio-tungstenite", "tokio-websockets", "yawc", "sockudo-ws"]
        .into_iter()
        .map(|of| Server::start(of, &[&program("broadcaster"), "--of", of]))
        .collect();
    if let Some(uwebsockets) = uwebsockets() {
        servers.push(Server::start("uWebSockets (C++)", &[&uwebsockets, "--broadcast"]));
    }
    for (title, size) in [("125 B", 125), ("16 KiB", 16 << 10)] {
        let mut nanos = vec![Vec::new(); servers.len()];
        for _ in 0..rounds {
            for (server, nanos) in servers.iter().zip(&mut nanos) {
                match broadcast(server, size) {
                    Ok(outcome) => nanos.push(outcome),
                    Err(error) => panic!("{}, {title}: {error}", server.name),
                }
            }
        }
        println!("\n### Broadcast: {title} to {CLIENTS} clients\n");
        println!("| server | server CPU ns/message delivered | ratio |");
        println!("| --- | --: | --: |");
        for (server, own) in servers.iter().zip(&nanos) {
            let ratio = median(own.iter().zip(&nanos[0]).map(|(own, ours)| own / ours).collect());
            println!("| {} | {:.0} | {ratio:.2} |", server.name, median(own.clone()));
        }
    }
}

/// The server's CPU time in nanoseconds for each message delivered.
fn broadcast(server: &Server, size: usize) -> io::Result<f64> {
    let seconds = Duration::from_secs_f64(option("--seconds").unwrap_or(1.0));
    let mut clients = (0..CLIENTS).map(|_| load::open(server.addr, false)).collect::<io::Result<Vec<_>>>()?;
    let messages: Vec<_> =
        payload::payloads(Kind::Binary, size).iter().map(|payload| frames(payload)).collect();
    let mut came = vec![0; messages[0].1.len()];
    let mut all = messages.iter().cycle().enumerate();
    let begin = Instant::now();
    let mut measured = None;
    loop {
        let (count, (sent, expected)) = all.next().expect("a cycle is endless");
        match measured {
            None if begin.elapsed() >= Duration::from_millis(100) => {
                measured = Some((count, Instant::now(), cpu_time_of(server.pid())));
            }
            Some((before, start, cpu)) if start.elapsed() >= seconds => {
                let cpu = cpu_time_of(server.pid()) - cpu;
                return Ok(cpu.as_nanos() as f64 / ((count - before) * CLIENTS) as f64);
            }
            _ => {}
        }
        clients[0].write_all(sent)?;
        for client in &mut clients {
            client.read_exact(&mut came)?;
            if came != *expected {
                return Err(io::Error::other("a message came changed"));
            }
        }
    }
}

/// A message as one client sends it, and as all receive it.
fn frames(payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    payload::client_frame(0x82, payload, [0x37, 0xfa, 0x21, 0x3d], &mut sent);
    payload::server_frame(0x82, payload, &mut received);
    (sent, received)
}

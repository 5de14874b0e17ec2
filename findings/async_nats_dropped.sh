#!/usr/bin/env bash
# Version: async-nats 0.50.0 with tokio 1.54.1. Seen: 2026-11-30.
#
# A program's connection to a broker of NATS is lost. It drops its client, which was the only one, and goes on with something else. A
# second later the broker is back. What does the broker see of the client?
#
# Expected: nothing. Dropping a client ends it, as it does while there is a connection. What was seen: its task goes on, and tries to
# connect for as long as the broker is away, since it looks whether anybody still has the client only while it is connected. So the
# broker gets a connection, with the whole opening, and then its end.
#
# It matters for programs that make a client anew when something is wrong with the old one, or one for each tenant or test: while a
# broker is away, each that was dropped goes on trying, with what it holds, and all come when the broker is back. `max_reconnects`
# bounds that.
#
# Needs bash and cargo. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

mkdir src
unset CARGO_TARGET_DIR
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
async-nats = { version = "=0.50.0", default-features = false, features = ["ring"] }
tokio = { version = "=1.54.1", features = ["io-util", "macros", "net", "rt", "time"] }
TOML
cat > src/main.rs <<'RUST'
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const INFO: &[u8] = b"INFO {\"server_id\":\"a\",\"version\":\"2.9.10\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n";

/// Takes a connection, and what comes, but for PINGs, until the client has published, or ended it: the broker's part.
async fn serve(listener: &TcpListener) -> (BufReader<TcpStream>, Vec<String>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(INFO).await.unwrap();
    let (mut stream, mut lines) = (BufReader::new(stream), Vec::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            lines.push("the end".to_owned());
            return (stream, lines);
        }
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n").await.unwrap();
        } else {
            lines.push(line.split_whitespace().next().unwrap_or_default().to_owned());
        }
        if line.starts_with("once") {
            return (stream, lines);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move { (serve(&listener).await, listener) });
    let client = async_nats::connect(address.to_string()).await.unwrap();
    client.publish("news", "once".into()).await.unwrap();
    let ((stream, lines), listener) = broker.await.unwrap();
    println!("while the program has a client: {lines:?}");
    drop((stream, listener));
    while client.connection_state() != async_nats::connection::State::Disconnected {
        sleep(Duration::from_millis(10)).await;
    }
    drop(client);
    sleep(Duration::from_secs(1)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let seen = timeout(Duration::from_secs(10), serve(&listener)).await;
    println!("after it was dropped: {:?}", seen.map(|(_, lines)| lines));
}
RUST
need cargo build --quiet
within 60 target/debug/finding > seen
as_it_was <<'SEEN'
while the program has a client: ["CONNECT", "PUB", "once"]
after it was dropped: Ok(["CONNECT", "the end"])
SEEN

#!/usr/bin/env bash
# Version: async-nats 0.50.0 with tokio 1.54.1. Seen: 2026-12-01.
#
# A program subscribes with room for 4,096 messages (`subscription_capacity`), and does nothing but take them, one after the other, on
# a runtime of two threads. A broker sends 100,000 short ones at once. How many come?
#
# Expected: all of them. The subscriber is never slow: it takes a message faster than one can be read. The room is for one that is, and
# the connection would be read no faster than that, as TCP has it. What was seen: ten thousand or more are dropped, and the program is
# told by hundreds of events that it is a slow consumer. Its connection reads whatever the socket has before anybody else has a turn,
# and what a subscription has no room for meanwhile it drops.
#
# It matters for programs that lower the default, of 65,536 messages, to bound memory: it is a bound of bursts, not of slowness, and
# counts messages however large they are.
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
futures-util = { version = "0.3", default-features = false }
tokio = { version = "=1.54.1", features = ["io-util", "macros", "net", "rt-multi-thread", "time"] }
TOML
cat > src/main.rs <<'RUST'
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

const INFO: &[u8] = b"INFO {\"server_id\":\"a\",\"version\":\"2.9.10\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n";
const COUNT: usize = 100_000;

/// The broker's part: once somebody has subscribed, all messages at once.
async fn serve(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(INFO).await.unwrap();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return;
        }
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n").await.unwrap();
        } else if let Some(rest) = line.strip_prefix("SUB news ") {
            let message = format!("MSG news {} 5\r\nhello\r\n", rest.trim());
            stream.write_all(message.repeat(COUNT).as_bytes()).await.unwrap();
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener));
    let slow = Arc::<AtomicUsize>::default();
    let options = ConnectOptions::new().subscription_capacity(4_096).event_callback({
        let slow = slow.clone();
        move |event| {
            slow.fetch_add(usize::from(matches!(event, Event::SlowConsumer(_))), Ordering::Relaxed);
            async {}
        }
    });
    let client = options.connect(address).await.unwrap();
    let mut news = client.subscribe("news").await.unwrap();
    let took = tokio::spawn(async move {
        let mut took = 0;
        // None comes for a second: it was the last.
        while took < COUNT && timeout(Duration::from_secs(1), news.next()).await.is_ok() {
            took += 1;
        }
        took
    });
    let took = took.await.unwrap();
    eprintln!("{took} of {COUNT}; {} events", slow.load(Ordering::Relaxed));
    println!("all have come: {}", took == COUNT);
    println!("more than a thousand were dropped: {}", COUNT - took > 1_000);
    println!("it is told of slow consumers: {}", slow.load(Ordering::Relaxed) > 0);
}
RUST
need nice cargo build --quiet --release
within 60 target/release/finding > seen
as_it_was <<'SEEN'
all have come: false
more than a thousand were dropped: true
it is told of slow consumers: true
SEEN

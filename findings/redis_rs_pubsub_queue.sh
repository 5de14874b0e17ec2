#!/usr/bin/env bash
# Version: the crate redis 1.8.1, with Debian's redis-server 7.0.15. Seen: 2026-11-30.
#
# A subscriber falls behind: it does not poll the stream of its `redis::aio::PubSub`. Redis has a limit for those, of 1 MiB here
# (`client-output-buffer-limit pubsub`). What becomes of 40 MB that are published?
#
# Expected: what becomes of a socket that is not read. Nothing reads it, the limit is exceeded, and Redis disconnects the subscriber,
# which then knows that it has missed something. What was seen: the crate reads all of it into a queue that has no limit, in the
# memory of the subscriber, and Redis sees a subscriber that keeps up, whatever its limit.
#
# It matters for servers that pass on to WebSockets what comes from Redis: one that is slow grows, where Redis was to see to it.
#
# Needs bash, cargo, python3 and redis-server. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system v=7.0.15 redis-server --version
mkdir src
unset CARGO_TARGET_DIR
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
redis = { version = "=1.8.1", default-features = false, features = ["tokio-comp"] }
tokio = { version = "=1.54.1", features = ["macros", "rt-multi-thread", "time"] }
futures-util = { version = "=0.3.34", default-features = false }
TOML
cat > src/main.rs <<'RUST'
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::StreamExt;

/// Publishes 40 MB at a pace that any reader keeps up with, and says whether the subscriber is still there.
async fn publish(client: &redis::Client, channel: &str) -> &'static str {
    let mut publisher = client.get_multiplexed_async_connection().await.unwrap();
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(channel).arg(vec![b'x'; 100_000]);
    for _ in 0..400 {
        if publish.query_async::<u64>(&mut publisher).await.unwrap() == 0 {
            return "disconnected";
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    "connected"
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    let client = redis::Client::open(format!("redis://{address}")).unwrap();

    let mut socket = TcpStream::connect(&address).unwrap();
    socket.write_all(b"SUBSCRIBE socket\r\n").unwrap();
    assert!(socket.read(&mut [0; 100]).unwrap() > 0);
    println!("a socket that is not read: {}", publish(&client, "socket").await);

    let mut subscriber = client.get_async_pubsub().await.unwrap();
    subscriber.subscribe("stream").await.unwrap();
    println!("a stream that is not polled: {}", publish(&client, "stream").await);
    let messages = tokio::time::timeout(Duration::from_secs(20), subscriber.on_message().take(400).count());
    println!("messages that it has when it is: {:?}", messages.await);
}
RUST
need cargo build --quiet --release
python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])' > port
timeout 120 redis-server --port "$(cat port)" --bind 127.0.0.1 --save "" --client-output-buffer-limit pubsub 1mb 0 0 > log &
for _ in {1..100}; do
    grep -qs 'Ready to accept' log && break
    sleep 0.1
done
within 60 target/release/finding "127.0.0.1:$(cat port)" > seen
as_it_was <<'SEEN'
a socket that is not read: disconnected
a stream that is not polled: connected
messages that it has when it is: Ok(400)
SEEN

#!/usr/bin/env bash
# Version: async-nats 0.50.0 with tokio 1.54.1, nats-py 2.16.0, and nats 2.29.3 from npm. Seen: 2026-11-30, with Node 20.20.2.
#
# A client of NATS subscribes, and flushes. The broker, which has answered every PING so far, answers none behind the SUB. What does the
# flush come to?
#
# Expected: it waits. A flush is a PING that the broker answers, as the documentation of most clients has it, and since a broker does in
# order what a connection asks for, it knows of the subscription when the flush is over: what another process publishes then, arrives.
# What was seen: that of npm does so. That of nats-py sends its PING ahead of the SUB, which waits for a task that writes, and so is over
# before the SUB has left. That of async-nats sends no PING: it is over when the bytes are in the socket.
#
# It matters for who subscribes, flushes, and then has somebody publish, as tests do: it is a race with two of the three. With
# any of them, it is confirmed by what comes back of what a client publishes to itself, behind the SUB.
#
# Needs bash, cargo, node, npm, and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi nats-py==2.16.0
from_npm nats@2.29.3
mkdir src
unset CARGO_TARGET_DIR
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
async-nats = { version = "=0.50.0", default-features = false, features = ["ring"] }
tokio = { version = "=1.54.1", features = ["macros", "rt"] }
TOML
cat > src/main.rs <<'RUST'
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = async_nats::connect(std::env::args().nth(1).unwrap()).await.unwrap();
    let _subscriber = client.subscribe("news").await.unwrap();
    let flush = tokio::time::timeout(std::time::Duration::from_secs(2), client.flush());
    println!("{}", if flush.await.is_ok() { "is over" } else { "waits" });
}
RUST
cat > client.py <<'PYTHON'
import asyncio
import os
import sys

import nats


async def main():
    client = await nats.connect(sys.argv[1])
    await client.subscribe("news")
    try:
        await client.flush(timeout=2)
        print("is over", flush=True)
    except nats.errors.TimeoutError:
        print("waits", flush=True)
    # The SUB has still to be written.
    await asyncio.sleep(1)
    os._exit(0)


asyncio.run(main())
PYTHON
cat > client.mjs <<'JAVASCRIPT'
import { connect } from 'nats';

const client = await connect({ servers: process.argv[2] });
client.subscribe('news');
const limit = new Promise((resolve) => setTimeout(() => resolve('waits'), 2000));
console.log(await Promise.race([client.flush().then(() => 'is over'), limit]));
process.exit();
JAVASCRIPT
cat > broker.py <<'PYTHON'
"""A broker, and the clients, one after the other: what each says, and what the broker reads behind its CONNECT."""

import socket
import subprocess
import threading

CLIENTS = {
    "async-nats": ["target/debug/finding"],
    "nats-py": ["python/bin/python", "client.py"],
    "nats (npm)": ["node", "client.mjs"],
}


def serve(listener, read):
    connection, _ = listener.accept()
    connection.sendall(b'INFO {"server_id": "a", "version": "2.9.10", "proto": 1, "max_payload": 1048576, "headers": true}\r\n')
    for line in connection.makefile("rb"):
        read.append(line.split()[0].decode())
        if read[-1] == "PING" and "SUB" not in read:
            connection.sendall(b"PONG\r\n")


for name, command in CLIENTS.items():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        read = []
        broker = threading.Thread(target=serve, args=(listener, read), daemon=True)
        broker.start()
        address = f"nats://127.0.0.1:{listener.getsockname()[1]}"
        said = subprocess.run([*command, address], stdout=subprocess.PIPE, timeout=30, check=False, text=True).stdout
        broker.join(10)
        print(f"{name}: the flush {said.strip()}, with a PING behind the SUB: {'PING' in read[read.index('SUB'):]}")
PYTHON
need cargo build --quiet
within 100 python3 broker.py > seen
as_it_was <<'SEEN'
async-nats: the flush is over, with a PING behind the SUB: False
nats-py: the flush is over, with a PING behind the SUB: False
nats (npm): the flush waits, with a PING behind the SUB: True
SEEN

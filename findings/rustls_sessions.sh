#!/usr/bin/env bash
# Version: rustls 0.23.45 with its provider ring. Seen: 2026-11-29.
#
# A server that is configured as the documentation does it: how many clients can resume their TLS 1.3 sessions when all of
# them come back, after a restart of a proxy for one?
#
# A good guess: all, since resumption is on by default, and the server sends each client two tickets. What was seen: 85, be it
# of 100, of 200 or of 1,000, though the last to come are the first to come back. The tickets are numbers of sessions that the
# server keeps, 256 of them; each connection takes two, and one that resumes needs one and takes two more.
# `ServerConfig::ticketer` set to `ring::Ticketer::new()` makes tickets self-contained, and then all of 1,000 resume.
#
# It matters for WebSocket servers: their clients stay for hours, and come back all at once.
#
# Needs bash and cargo. Runs in memory, without a socket. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

mkdir src
unset CARGO_TARGET_DIR
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
rustls = { version = "=0.23.45", default-features = false, features = ["std", "ring"] }
rcgen = { version = "=0.14.10", default-features = false, features = ["crypto", "pem", "ring"] }
TOML
cat > src/main.rs <<'RUST'
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

/// Whether the client resumed; afterwards it has what the server sends behind the handshake.
fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> bool {
    let mut client = ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    for _ in 0..20 {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        let mut there = &there[..];
        while !there.is_empty() {
            server.read_tls(&mut there).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        let mut back = &back[..];
        while !back.is_empty() {
            client.read_tls(&mut back).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    server.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn main() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let roots = Arc::new(roots);
    for (count, ticketer) in [(100, false), (200, false), (1000, false), (1000, true)] {
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        if ticketer {
            server.ticketer = ring::Ticketer::new().unwrap();
        }
        let server = Arc::new(server);
        // Each client has a memory of its own.
        let clients: Vec<_> = (0..count)
            .map(|_| {
                Arc::new(
                    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                        .with_safe_default_protocol_versions()
                        .unwrap()
                        .with_root_certificates(roots.clone())
                        .with_no_client_auth(),
                )
            })
            .collect();
        assert!(clients.iter().all(|client| !connect(client, &server)));
        // The last that came first, until one cannot.
        let resumed = clients.iter().rev().take_while(|client| connect(client, &server)).count();
        println!("{count} clients, ticketer {ticketer}: {resumed} resumed");
    }
}
RUST
need cargo build --quiet --release
within 60 target/release/finding > seen
as_it_was <<'SEEN'
100 clients, ticketer false: 85 resumed
200 clients, ticketer false: 85 resumed
1000 clients, ticketer false: 85 resumed
1000 clients, ticketer true: 1000 resumed
SEEN

//! Unix sockets.
#![cfg(unix)]

use std::os::unix::net::UnixStream;
use std::thread;

use sansocket::blocking::{accept, connect_over};
use sansocket::{Client, CloseCode, Message};

use crate::reach::{echo, runtime};

/// A client over a Unix socket, by both adapters.
#[test]
fn a_conversation() {
    for adapter in ["blocking", "tokio"] {
        let (near, far) = UnixStream::pair().unwrap();
        let serving = thread::spawn(move || accept(far).and_then(echo));
        talks(adapter, Client::new("ws://localhost/").unwrap(), near);
        serving.join().unwrap().unwrap();
    }
}

/// To a `wss://` URI, TLS is spoken over it, and nothing else is sent.
#[cfg(feature = "tokio-rustls")]
#[test]
fn tls_is_spoken_over_it() {
    use sansocket::blocking::accept_tls;

    use crate::reach::{Heard, certificates, pass};

    let (config, trust) = certificates();
    let client = Client::new("wss://localhost/").unwrap().tls(trust);
    let client = client.header("Authorization", "Bearer 1234").unwrap();
    for adapter in ["blocking", "tokio"] {
        let (near, between) = UnixStream::pair().unwrap();
        let (beyond, far) = UnixStream::pair().unwrap();
        let (config, heard) = (config.clone(), Heard::default());
        let serving =
            thread::spawn(move || accept_tls(far, config, &sansocket::Server::default()).and_then(echo));
        let told = heard.clone();
        let passing = thread::spawn(move || pass(between, beyond, &told));
        talks(adapter, client.clone(), near);
        serving.join().unwrap().unwrap();
        passing.join().unwrap();
        let heard = heard.all();
        assert_eq!(heard[..3], [22, 3, 1], "the first record is a handshake's");
        for secret in ["Bearer", "HTTP/1.1", "hello"] {
            assert!(!String::from_utf8_lossy(&heard).contains(secret), "{adapter}: {secret}");
        }
    }
}

fn talks(adapter: &str, client: Client, io: UnixStream) {
    if adapter == "blocking" {
        let mut ws = connect_over(client, io).unwrap();
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
        ws.close(CloseCode::NORMAL, "").unwrap();
        return;
    }
    io.set_nonblocking(true).unwrap();
    runtime().block_on(async {
        let io = tokio::net::UnixStream::from_std(io).unwrap();
        let mut ws = sansocket::tokio::connect_over(client, io).await.unwrap();
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
}

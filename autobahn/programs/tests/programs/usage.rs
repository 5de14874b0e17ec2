//! The programs, run as a user runs them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sansocket::blocking::{accept, connect};
use sansocket::{Client, CloseCode, Initiator, Message};

use crate::process::{PATIENCE, SERVERS, Server, spawn, wait};

#[test]
fn help() {
    const ECHO: &[&str] = &[
        "--addr HOST:PORT",
        "--max-message-size BYTES",
        "--handshake-timeout SECONDS",
        "--write-timeout SECONDS",
        "--close-timeout SECONDS",
        "--keepalive SECONDS",
        "--subprotocol NAME",
        "--deflate",
    ];
    for (name, options) in [
        ("echo_server", ECHO),
        ("echo_server", &["--current-thread"]),
        ("echo_server_blocking", ECHO),
        ("autobahn_client", &["--agent NAME"]),
        ("autobahn_client_blocking", &["--agent NAME"]),
        ("stream", &["--gib COUNT"]),
    ] {
        for help in ["--help", "-h"] {
            let help = succeeds(name, &[help]);
            assert!(help.contains(&format!("usage: {name} ")), "{help}");
            for option in options {
                assert!(help.contains(option), "{option} is missing in: {help}");
            }
        }
    }
}

#[test]
fn usage_errors() {
    for name in SERVERS.iter().chain(&["autobahn_client", "autobahn_client_blocking"]) {
        fails(name, &["--frob"], "\"--frob\" is not understood; --help tells how to use this program");
    }
    for name in SERVERS {
        fails(name, &["--addr"], "--addr needs a value; --help tells how to use this program");
        fails(
            name,
            &["--max-message-size", "-1"],
            "--max-message-size cannot be \"-1\"; --help tells how to use this program",
        );
        fails(
            name,
            &["--keepalive", "nan"],
            "--keepalive needs a number of seconds from 0 to 1000000000; --help tells how to use this program",
        );
    }
}

#[test]
fn a_server_that_cannot_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for name in SERVERS {
        let output = run(name, &["--addr", &addr]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(&format!("cannot listen on {addr}: ")), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn echo() {
    let servers = [
        Server::start(SERVERS[0], &[]),
        Server::start("echo_server", &["--current-thread"]),
        Server::start(SERVERS[1], &[]),
    ];
    for server in &servers {
        for _ in 0..2 {
            let mut ws = connect(&server.url).unwrap();
            for message in ["hello".into(), "".into(), "wörld".into(), Message::binary(vec![0, 0xff])] {
                ws.send(message.clone()).unwrap();
                assert_eq!(ws.recv().unwrap(), Some(message));
            }
            ws.close(CloseCode::NORMAL, "").unwrap();
        }
    }
    for server in servers {
        assert_eq!(server.stop("TERM"), Some(0));
    }
}

#[cfg(not(feature = "deflate"))]
#[test]
fn deflate() {
    for name in SERVERS {
        fails(
            name,
            &["--deflate"],
            "--deflate needs the feature `deflate`; --help tells how to use this program",
        );
    }
}

#[cfg(feature = "deflate")]
#[test]
fn deflate() {
    let offer = |server: &Server| {
        let config = sansocket::Config::default().deflate(sansocket::Deflate::default());
        let mut ws = connect(Client::new(&server.url).unwrap().config(config)).unwrap();
        for _ in 0..2 {
            ws.send("hello").unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
        }
        ws.deflate().is_some()
    };
    for name in SERVERS {
        assert!(offer(&Server::start(name, &["--deflate"])));
        assert!(!offer(&Server::start(name, &[])));
    }
}

/// More than all buffers between the two hold: the server must not stop reading while nobody reads its answers.
#[test]
fn more_than_the_buffers_hold() {
    for name in SERVERS {
        let server = Server::start(name, &[]);
        let (mut sender, mut receiver) = connect(&server.url).unwrap().split().unwrap();
        let message = Message::text("sansocket ".repeat(10_000));
        let sent = message.clone();
        let sending =
            thread::spawn(move || (0..200).try_for_each(|_| sender.send(sent.clone())).map(|()| sender));
        for _ in 0..200 {
            assert!(receiver.recv().unwrap().as_ref() == Some(&message), "{name}");
        }
        sending.join().unwrap().unwrap().close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(receiver.recv().unwrap(), None);
    }
}

#[test]
fn a_plain_get_gets_a_page() {
    for name in SERVERS {
        let server = Server::start(name, &[]);
        let mut tcp = server.connect();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut response = String::new();
        tcp.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.to_lowercase().contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        assert!(body.contains("sansocket"), "{body}");

        let mut tcp = server.connect();
        tcp.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut response = String::new();
        tcp.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    }
}

#[test]
fn a_signal_closes_every_connection() {
    for name in SERVERS {
        for signal in ["TERM", "INT"] {
            // Longer than the server is waited for.
            let server = Server::start(name, &["--handshake-timeout", "60"]);
            let mut connections: Vec<_> = (0..3).map(|_| connect(&server.url).unwrap()).collect();
            for ws in &mut connections {
                ws.send("still here").unwrap();
                assert_eq!(ws.recv().unwrap(), Some(Message::text("still here")));
            }
            // Clients that have not opened their connection yet do not keep the server.
            let (silent, mut half) = (server.connect(), server.connect());
            half.write_all(b"GET / HTTP/1.1\r\n").unwrap();

            let reading: Vec<_> = connections
                .into_iter()
                .map(|mut ws| {
                    thread::spawn(move || {
                        assert_eq!(ws.recv().unwrap(), None);
                        ws.closed().unwrap().clone()
                    })
                })
                .collect();
            assert_eq!(server.stop(signal), Some(0));
            for closed in reading {
                let closed = closed.join().unwrap();
                assert_eq!(closed.code, CloseCode::GOING_AWAY);
                assert_eq!(closed.initiator, Initiator::Remote);
                assert!(closed.clean);
            }
            drop((silent, half));
        }
    }
}

#[test]
fn subprotocols() {
    for name in SERVERS {
        let server = Server::start(name, &["--subprotocol", "v1.chat", "--subprotocol", "v2.chat"]);
        let offer = |subprotocols: &[&str]| {
            let client =
                Client::new(&server.url).unwrap().subprotocols(subprotocols.iter().copied()).unwrap();
            connect(client).unwrap().subprotocol().map(String::from)
        };
        assert_eq!(offer(&["v3.chat", "v2.chat", "v1.chat"]).as_deref(), Some("v2.chat"));
        assert_eq!(offer(&["v3.chat"]), None);
        assert_eq!(offer(&[]), None);
    }
}

#[test]
fn max_message_size() {
    for name in SERVERS {
        let server = Server::start(name, &["--max-message-size", "10"]);
        let mut ws = connect(&server.url).unwrap();
        ws.send("0123456789").unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("0123456789")));
        ws.send("0123456789a").unwrap();
        assert_eq!(ws.recv().unwrap(), None);
        let closed = ws.closed().unwrap();
        assert_eq!(
            (closed.code, &*closed.reason),
            (CloseCode::MESSAGE_TOO_BIG, "a frame is larger than the limit")
        );
    }
}

#[test]
fn handshake_timeout() {
    for name in SERVERS {
        let server = Server::start(name, &["--handshake-timeout", "0.2"]);
        let start = Instant::now();
        let mut silent = server.connect();
        let mut slow = server.connect();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        for tcp in [&mut silent, &mut slow] {
            let mut response = String::new();
            tcp.read_to_string(&mut response).unwrap();
            assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
            assert!(start.elapsed() >= Duration::from_millis(200));
        }
    }
}

#[test]
fn keepalive() {
    for name in SERVERS {
        let server = Server::start(name, &["--keepalive", "0.1"]);
        let mut tcp = server.connect();
        tcp.write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
        let mut received = Vec::new();
        tcp.read_to_end(&mut received).unwrap();
        assert!(received.ends_with(b"\r\n\r\n\x89\x00"), "a Ping, and nobody answered it: {received:?}");
    }
}

#[test]
fn the_autobahn_clients() {
    for name in ["autobahn_client", "autobahn_client_blocking"] {
        fails(name, &[], "the URL of the fuzzing server is missing; --help tells how to use this program");

        // What the testsuite does, with two cases.
        let peer = Peer::start(4, |tcp| {
            let pending = accept(tcp).unwrap();
            let target = pending.request().target().to_owned();
            let mut ws = pending.accept().unwrap();
            match &*target {
                "/getCaseCount" => ws.send("2").unwrap(),
                "/updateReports?agent=me" => {}
                case => {
                    assert!(
                        ["/runCase?case=1&agent=me", "/runCase?case=2&agent=me"].contains(&case),
                        "{case}"
                    );
                    ws.send("echo this").unwrap();
                    assert_eq!(ws.recv().unwrap(), Some(Message::text("echo this")));
                }
            }
            ws.close(CloseCode::NORMAL, "").unwrap();
        });
        assert_eq!(succeeds(name, &[&peer.url, "--agent", "me"]), "ran 2 cases\n");
        peer.end();
    }
}

/// Runs a program that prints something and ends with 0, without a word on stderr.
#[track_caller]
fn succeeds(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{name} {args:?}");
    assert_eq!(output.status.code(), Some(0), "{name} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that prints nothing and ends with 1 and a sentence on stderr.
#[track_caller]
fn fails(name: &str, args: &[&str], sentence: &str) {
    let output = run(name, args);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{sentence}\n"), "{name} {args:?}");
    assert_eq!(output.status.code(), Some(1), "{name} {args:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{name} {args:?}");
}

/// Runs a program to its end.
#[track_caller]
fn run(name: &str, args: &[&str]) -> Output {
    wait(name, spawn(name, args))
}

/// A server in a thread of this process, that does what it is told to several clients in turn.
struct Peer {
    url: String,
    thread: JoinHandle<()>,
}

impl Peer {
    fn start(clients: usize, serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            for tcp in listener.incoming().take(clients) {
                let tcp = tcp.unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                serve(tcp);
            }
        });
        Self { url, thread }
    }

    fn end(self) {
        self.thread.join().unwrap();
    }
}

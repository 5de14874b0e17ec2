//! The programs, run as a user runs them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sansocket::blocking::{Pending, accept, accept_with, connect};
use sansocket::{Client, CloseCode, Initiator, Message, Origins};

use crate::process::{Lines, PATIENCE, SERVERS, Server, spawn, wait};

const CLIENTS: [&str; 2] = ["client", "client_blocking"];

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
    const CLIENT: &[&str] =
        &["--send TEXT", "--subprotocol NAME", "--header 'Name: value'", "--timeout SECONDS", "--deflate"];
    for (name, options) in [
        ("echo_server", ECHO),
        ("echo_server", &["--current-thread"]),
        ("echo_server_blocking", ECHO),
        ("client", CLIENT),
        ("client_blocking", CLIENT),
        ("autobahn_client", &["--agent NAME"]),
        ("autobahn_client_blocking", &["--agent NAME"]),
        ("stream", &["--gib COUNT"]),
    ] {
        for help in ["--help", "-h"] {
            let help = succeeds(name, &[help], "");
            assert!(help.contains(&format!("usage: {name} ")), "{help}");
            for option in options {
                assert!(help.contains(option), "{option} is missing in: {help}");
            }
        }
    }
}

#[test]
fn usage_errors() {
    for name in SERVERS.iter().chain(&CLIENTS).chain(&["autobahn_client", "autobahn_client_blocking"]) {
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
    for name in CLIENTS {
        fails(name, &[], "the URL to connect to is missing; --help tells how to use this program");
        fails(
            name,
            &["ws://a", "--header", "b"],
            "--header needs a name, a colon and a value, unlike \"b\"; --help tells how to use this program",
        );
        fails(name, &["http://a"], "a WebSocket URI starts with ws:// or wss://");
        fails(name, &["ws://a", "--subprotocol", "b c"], "\"b c\" is not a subprotocol: it must be a token");
        fails(
            name,
            &["ws://a", "--header", "Upgrade: b"],
            "the header \"Upgrade\" is written by the handshake itself",
        );
    }
}

#[test]
fn a_server_that_cannot_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for name in SERVERS {
        let output = run(name, &["--addr", &addr], "");
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
        for client in CLIENTS {
            let texts = ["--send", "hello", "--send", "", "--send", "wörld"];
            assert_eq!(succeeds(client, &[&[&*server.url], &texts[..]].concat(), ""), "hello\n\nwörld\n");
            assert_eq!(succeeds(client, &[&server.url], "one\ntwo\r\n\nfour"), "one\ntwo\n\nfour\n");
            assert_eq!(succeeds(client, &[&server.url], ""), "");
        }
    }
    for server in servers {
        assert_eq!(server.stop("TERM"), Some(0));
    }
}

#[test]
fn deflate() {
    if cfg!(not(feature = "deflate")) {
        for name in SERVERS.iter().chain(&CLIENTS) {
            let sentence = "--deflate needs the feature `deflate`; --help tells how to use this program";
            fails(name, &["--deflate"], sentence);
        }
        return;
    }
    for name in SERVERS {
        let server = Server::start(name, &["--deflate"]);
        for client in CLIENTS {
            for deflate in [&["--deflate"][..], &[]] {
                let texts = ["--send", "hello", "--send", "hello"];
                let args = [&[&*server.url], &texts[..], deflate].concat();
                assert_eq!(succeeds(client, &args, ""), "hello\nhello\n");
            }
        }
    }
    for client in CLIENTS {
        for (deflate, offered) in [(&["--deflate"][..], "true\n"), (&[], "false\n")] {
            let peer = Peer::start(|tcp| {
                let pending = accept(tcp).unwrap();
                let headers = pending.request().headers();
                let offered = headers
                    .get("Sec-WebSocket-Extensions")
                    .is_some_and(|offered| offered.starts_with("permessage-deflate"));
                let mut ws = pending.accept().unwrap();
                ws.send(offered.to_string()).unwrap();
                while ws.recv().unwrap().is_some() {}
            });
            assert_eq!(succeeds(client, &[&[&*peer.url, "--send", "x"], deflate].concat(), ""), offered);
            peer.end();
        }
    }
}

/// More than all buffers between the two hold: neither may wait for the other to read.
#[test]
fn more_than_the_buffers_hold() {
    let lines = format!("{}\n", "sansocket ".repeat(10_000)).repeat(200);
    for name in SERVERS {
        let server = Server::start(name, &[]);
        for client in CLIENTS {
            assert!(succeeds(client, &[&server.url], &lines) == lines, "{client} with {name}");
        }
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
fn the_clients_when_the_server_stops() {
    for name in SERVERS {
        for client in CLIENTS {
            let server = Server::start(name, &[]);
            let mut child = spawn(client, &[&server.url]);
            let mut stdin = child.stdin.take().unwrap();
            let mut stdout = Lines::of(child.stdout.take().unwrap());
            stdin.write_all(b"hello\n").unwrap();
            assert_eq!(stdout.next(), "hello");
            assert_eq!(server.stop("TERM"), Some(0));
            // Though its stdin is still open.
            let output = wait(client, child);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            drop(stdin);
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
        for client in CLIENTS {
            let args = [&*server.url, "--subprotocol", "v2.chat", "--send", "hello"];
            assert_eq!(succeeds(client, &args, ""), "hello\n");
        }
    }
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut pending =
                accept_with(tcp, &sansocket::Server::default().origins(Origins::any())).unwrap();
            let offered = pending.websocket_request().unwrap().subprotocols().collect::<Vec<_>>().join("+");
            let headers = pending.request().headers();
            let text = format!("{offered} {:?} {:?}", headers.get("X-Test"), pending.request().origin());
            pending.choose_subprotocol(&["b"]);
            let mut ws = pending.accept().unwrap();
            ws.send(text).unwrap();
            while ws.recv().unwrap().is_some() {}
        });
        let args = ["--subprotocol", "a", "--subprotocol", "b"];
        let headers = ["--header", "X-Test:  one two ", "--header", "origin: http://a", "--send", "x"];
        let printed = succeeds(client, &[&[&*peer.url], &args[..], &headers[..]].concat(), "");
        assert_eq!(printed, "a+b Some(\"one two\") Some(\"http://a\")\n");
        peer.end();
    }
}

#[test]
fn max_message_size() {
    for name in SERVERS {
        let server = Server::start(name, &["--max-message-size", "10"]);
        for client in CLIENTS {
            assert_eq!(succeeds(client, &[&server.url, "--send", "0123456789"], ""), "0123456789\n");
            fails_after(
                client,
                &[&server.url, "--send", "0123456789", "--send", "0123456789a"],
                "0123456789\n",
                "the server closed the connection with 1009 (message too big) and the reason \
                 \"a frame is larger than the limit\", after 1 of 2 messages",
            );
        }
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
fn binary_messages() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut ws = accept(tcp).unwrap().accept().unwrap();
            for len in [0, 1, 5, 32, 33] {
                ws.send(Message::binary(vec![0xab; len])).unwrap();
            }
            while ws.recv().unwrap().is_some() {}
        });
        let all = " ab".repeat(32);
        assert_eq!(
            succeeds(client, &[&[&*peer.url], &["--send", "x"].repeat(5)[..]].concat(), ""),
            format!(
                "binary, 0 bytes\nbinary, 1 byte: ab\nbinary, 5 bytes: ab ab ab ab ab\n\
                 binary, 32 bytes:{all}\nbinary, 33 bytes:{all} ...\n"
            )
        );
        peer.end();
    }
}

#[test]
fn what_the_server_sends_while_the_client_closes() {
    for client in CLIENTS {
        let peer = Peer::start(|mut tcp| {
            upgrade(&mut tcp);
            // The client's Close frame: it has no more to say.
            let mut frame = [0; 8];
            tcp.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..2], [0x88, 0x82]);
            tcp.write_all(b"\x81\x06late 1\x81\x06late 2\x88\x02\x03\xe8").unwrap();
        });
        assert_eq!(succeeds(client, &[&peer.url], ""), "late 1\nlate 2\n");
        peer.end();
    }
}

#[test]
fn refusals() {
    for client in CLIENTS {
        let refused = |respond: fn(Pending<TcpStream>), sentence: &str| {
            let peer = Peer::start(move |tcp| respond(accept(tcp).unwrap()));
            fails(client, &[&peer.url, "--send", "hello"], sentence);
            peer.end();
        };
        refused(
            |pending| pending.reject(404, "no such room\nnor another\n").unwrap(),
            "the server refused the WebSocket connection with status 404, and says: no such room",
        );
        refused(
            |pending| {
                let reply = sansocket::handshake::Reply::new(307).unwrap();
                pending.respond(reply.header("Location", "wss://elsewhere/").unwrap()).unwrap();
            },
            "the server refused the WebSocket connection with status 307, and points to \
             wss://elsewhere/",
        );
        refused(
            |pending| pending.reject(403, "\x1b[31mred\x07").unwrap(),
            "the server refused the WebSocket connection with status 403, and says:  [31mred ",
        );
    }
}

#[test]
fn handshakes_that_fail() {
    for client in CLIENTS {
        let answered = |answer: &'static str, sentence: &str| {
            let peer = Peer::start(move |mut tcp| {
                read_head(&mut tcp);
                tcp.write_all(answer.as_bytes()).unwrap();
            });
            fails(client, &[&peer.url, "--send", "hello"], sentence);
            peer.end();
        };
        answered("", "the opening handshake failed: the connection ended during the opening handshake");
        answered(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "the opening handshake failed: the Sec-WebSocket-Accept header does not match the key that was sent",
        );
        answered(
            "SSH-2.0-OpenSSH_9.2\r\n",
            "the opening handshake failed: the first line is not an HTTP/1.1 request line or status line",
        );

        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let output = run(client, &[&format!("ws://{closed}"), "--send", "hello"], "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("cannot connect: "), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn servers_that_end_early() {
    for client in CLIENTS {
        for (code, reason, sentence) in [
            (1000, "bye", "with 1000 (normal closure) and the reason \"bye\""),
            (1011, "", "with 1011 (internal error)"),
            (4001, "as you wish", "with 4001 (private) and the reason \"as you wish\""),
        ] {
            let close = move |tcp| {
                let mut ws = accept(tcp).unwrap().accept().unwrap();
                let message = ws.recv().unwrap().unwrap();
                ws.send(message).unwrap();
                ws.close(CloseCode::new(code), reason).unwrap();
            };
            let sentence = format!("the server closed the connection {sentence}");
            let peer = Peer::start(close);
            let args = [&*peer.url, "--send", "hello", "--send", "world"];
            fails_after(client, &args, "hello\n", &format!("{sentence}, after 1 of 2 messages"));
            peer.end();

            // stdin stays open: it is the server that ends it.
            let peer = Peer::start(close);
            let mut child = spawn(client, &[&peer.url]);
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"hello\n").unwrap();
            let output = wait(client, child);
            drop(stdin);
            let (goodbye, stderr) = (code == 1000, String::from_utf8(output.stderr).unwrap());
            assert_eq!(stderr, if goodbye { String::new() } else { format!("{sentence}\n") });
            assert_eq!(output.status.code(), Some(i32::from(!goodbye)));
            assert_eq!(output.stdout, b"hello\n");
            peer.end();
        }

        let peer = Peer::start(|mut tcp| upgrade(&mut tcp));
        let lost = "the connection was lost: ";
        let output = run(client, &[&peer.url, "--send", "hello"], "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(lost), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
        peer.end();

        let peer = Peer::start(|mut tcp| {
            upgrade(&mut tcp);
            tcp.write_all(b"\x81\x02ok\x81\x02\xff\xff").unwrap();
            // The client waits for the server to close TCP, once it has said why it failed.
            let mut frames = Vec::new();
            while !frames.contains(&0x88) {
                let mut bytes = [0; 64];
                let len = tcp.read(&mut bytes).unwrap();
                frames.extend_from_slice(&bytes[..len]);
            }
        });
        let sentence = "the peer broke the WebSocket protocol: text is not valid UTF-8";
        fails_after(client, &[&peer.url, "--send", "hello", "--send", "world"], "ok\n", sentence);
        peer.end();
    }
}

#[test]
fn servers_that_do_not_answer() {
    for client in CLIENTS {
        // Not even a connection is accepted: the system does that.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", silent.local_addr().unwrap());
        let sentence = "the opening handshake was not completed in time";
        fails(client, &[&url, "--timeout", "0.2"], sentence);
        fails(client, &[&url, "--timeout", "0.2", "--send", "hello"], sentence);

        let hold = |mut tcp: TcpStream| {
            upgrade(&mut tcp);
            tcp.write_all(b"\x81\x02ok").unwrap();
            tcp.read_to_end(&mut Vec::new()).unwrap();
        };
        let peer = Peer::start(hold);
        let args = [&*peer.url, "--timeout", "0.5", "--send", "hello", "--send", "world"];
        fails_after(client, &args, "ok\n", "only 1 of 2 messages came within 0.5 s");
        peer.end();

        let peer = Peer::start(hold);
        let sentence = "the peer did not complete the closing handshake in time";
        fails_after(client, &[&peer.url, "--timeout", "0.5", "--send", "hello"], "ok\n", sentence);
        peer.end();

        let peer = Peer::start(hold);
        fails_after(client, &[&peer.url, "--timeout", "0.5"], "ok\n", sentence);
        peer.end();
    }
}

#[test]
fn a_stdout_that_is_closed() {
    let server = Server::start(SERVERS[0], &[]);
    for client in CLIENTS {
        let mut child = spawn(client, &[&server.url]);
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"hello\n").unwrap();
        let output = wait(client, child);
        drop(stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("cannot print a message: "), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_stdin_that_is_not_text() {
    let server = Server::start(SERVERS[0], &[]);
    for client in CLIENTS {
        let mut child = spawn(client, &[&server.url]);
        child.stdin.take().unwrap().write_all(b"hello\n\xff\nworld\n").unwrap();
        let output = wait(client, child);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("cannot read stdin: "), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"hello\n");
    }
}

#[test]
fn the_autobahn_clients() {
    for name in ["autobahn_client", "autobahn_client_blocking"] {
        fails(name, &[], "the URL of the fuzzing server is missing; --help tells how to use this program");

        // What the testsuite does, with two cases.
        let peer = Peer::start_many(4, |tcp| {
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
        assert_eq!(succeeds(name, &[&peer.url, "--agent", "me"], ""), "ran 2 cases\n");
        peer.end();
    }
}

/// Runs a program that prints something and ends with 0, without a word on stderr.
#[track_caller]
fn succeeds(name: &str, args: &[&str], stdin: &str) -> String {
    let output = run(name, args, stdin);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{name} {args:?}");
    assert_eq!(output.status.code(), Some(0), "{name} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that ends with 1 and a sentence on stderr.
#[track_caller]
fn fails(name: &str, args: &[&str], sentence: &str) {
    fails_after(name, args, "", sentence);
}

/// Runs a program that prints something, and then ends with 1 and a sentence on stderr.
#[track_caller]
fn fails_after(name: &str, args: &[&str], printed: &str, sentence: &str) {
    let output = run(name, args, "");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{sentence}\n"), "{name} {args:?}");
    assert_eq!(output.status.code(), Some(1), "{name} {args:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), printed, "{name} {args:?}");
}

/// Runs a program to its end.
#[track_caller]
fn run(name: &str, args: &[&str], stdin: &str) -> Output {
    let mut child = spawn(name, args);
    let (mut input, stdin) = (child.stdin.take().unwrap(), stdin.to_owned());
    let writing = thread::spawn(move || {
        // A program that fails may not read all of it.
        let _ = input.write_all(stdin.as_bytes());
    });
    let output = wait(name, child);
    writing.join().unwrap();
    output
}

/// A server in a thread of this process, that does what it is told to one client, or to several in turn.
struct Peer {
    url: String,
    thread: JoinHandle<()>,
}

impl Peer {
    fn start(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        Self::start_many(1, serve)
    }

    fn start_many(clients: usize, serve: impl Fn(TcpStream) + Send + 'static) -> Self {
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

/// Reads a client's request, and accepts it, whatever it says.
fn upgrade(tcp: &mut TcpStream) {
    let head = read_head(tcp);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = sansocket::handshake::accept_key(key);
    write!(
        tcp,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        std::str::from_utf8(&accept).unwrap(),
    )
    .unwrap();
}

fn read_head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tcp.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

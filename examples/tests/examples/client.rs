//! `client` and `client_blocking` in pipes, run as a user runs them.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use sansocket::blocking::{Pending, accept, accept_with};
use sansocket::{CloseCode, Config, Incoming, Message, Origins, Server};

use crate::program::{PATIENCE, path};

pub const CLIENTS: [&str; 2] = ["client", "client_blocking"];

#[test]
fn help() {
    const OPTIONS: [&str; 21] = [
        "--send TEXT",
        "--subprotocol NAME",
        "--header 'Name: value'",
        "-H",
        "--origin ORIGIN",
        "--bearer TOKEN",
        "--basic USER:PASSWORD",
        "--proxy URL",
        "--proxy-env",
        "--redirects N",
        "--cacert FILE",
        "--insecure",
        "--reconnect",
        "--http2",
        "--keepalive SECONDS",
        "--timeout SECONDS",
        "--deflate",
        "--ping [SECONDS]",
        "--time",
        "--no-color",
        "--history FILE",
    ];
    for name in CLIENTS {
        for help in ["--help", "-h"] {
            let help = succeeds(name, &[help], "");
            assert!(help.contains(&format!("usage: {name} URL ")), "{help}");
            for option in OPTIONS {
                assert!(help.contains(option), "{option} is missing in: {help}");
            }
        }
    }
}

#[test]
fn usage_errors() {
    for name in CLIENTS {
        let misused = |args: &[&str], why: &str| {
            fails(name, args, &format!("{why}; --help tells how to use this program"));
        };
        misused(&["--frob"], "\"--frob\" is not understood");
        misused(&[], "the URL to connect to is missing");
        misused(&["ws://a", "ws://b"], "\"ws://b\" is not understood");
        misused(&["--send"], "--send needs a value");
        misused(&["--timeout", "soon"], "--timeout cannot be \"soon\"");
        misused(&["--timeout", "-1"], "--timeout needs a number of seconds from 0 to 1000000000");
        misused(&["--ping", "1.s"], "--ping cannot be \"1.s\"");
        for option in ["--header", "-H"] {
            let why = format!("{option} needs a name, a colon and a value");
            misused(&["ws://a", option, "b"], &why);
        }
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
fn echo() {
    let url = echo_server();
    for client in CLIENTS {
        let texts = ["--send", "hello", "--send", "", "--send", "wörld"];
        assert_eq!(succeeds(client, &[&[&*url], &texts[..]].concat(), ""), "hello\n\nwörld\n");
        assert_eq!(succeeds(client, &[&url], "one\ntwo\r\n\n/four"), "one\ntwo\n\n/four\n");
        assert_eq!(succeeds(client, &[&url], ""), "");
    }
}

#[test]
fn deflate() {
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
        let peer = Peer::start(|tcp| {
            let server = Server::default().config(Config::default().deflate(sansocket::Deflate::default()));
            let mut ws = accept_with(tcp, &server).unwrap().accept().unwrap();
            assert!(ws.deflate().is_some());
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let args = [&*peer.url, "--deflate", "--send", "hello", "--send", "hello"];
        assert_eq!(succeeds(client, &args, ""), "hello\nhello\n");
        peer.end();
    }
}

/// What is printed is what came: what was asked for with `--ping` is told elsewhere.
#[test]
fn pings() {
    for client in CLIENTS {
        for option in [&["--ping"][..], &["--ping", "10"]] {
            let peer = Peer::start(|tcp| {
                let mut ws = accept(tcp).unwrap().accept().unwrap();
                let mut is_first = true;
                while let Some(incoming) = ws.recv_incoming().unwrap() {
                    // It has been answered.
                    if matches!(incoming, Incoming::Ping(_)) && mem::take(&mut is_first) {
                        ws.send("hello").unwrap();
                    }
                }
            });
            let output = run(client, &[option, &[&peer.url, "--send", "hello"]].concat(), "");
            assert_eq!(output.stdout, b"hello\n");
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(stderr.starts_with("latency ") && stderr.ends_with(" ms\n"), "{stderr}");
            assert_eq!(output.status.code(), Some(0));
            peer.end();
        }
    }
}

/// More than all buffers between the two hold: neither may wait for the other to read.
#[test]
fn more_than_the_buffers_hold() {
    let lines = format!("{}\n", "sansocket ".repeat(10_000)).repeat(200);
    let url = echo_server();
    for client in CLIENTS {
        assert!(succeeds(client, &[&url], &lines) == lines, "{client}");
    }
}

#[test]
fn when_the_server_stops() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut ws = accept(tcp).unwrap().accept().unwrap();
            let message = ws.recv().unwrap().unwrap();
            ws.send(message).unwrap();
            ws.close(CloseCode::GOING_AWAY, "").unwrap();
        });
        let mut child = spawn(client, &[&peer.url]);
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdin.write_all(b"hello\n").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "hello\n");
        // Though its stdin is still open.
        let output = wait(client, child);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        drop(stdin);
        peer.end();
    }
}

#[test]
fn subprotocols_and_headers() {
    for client in CLIENTS {
        for headers in [
            ["--header", "X-Test:  one two ", "--header", "origin: http://a"],
            ["-H", "X-Test: one two", "--origin", "http://a"],
        ] {
            let peer = Peer::start(|tcp| {
                let mut pending = accept_with(tcp, &Server::default().origins(Origins::any())).unwrap();
                let offered =
                    pending.websocket_request().unwrap().subprotocols().collect::<Vec<_>>().join("+");
                let request = pending.request();
                let text = format!("{offered} {:?} {:?}", request.headers().get("X-Test"), request.origin());
                pending.choose_subprotocol(&["b"]);
                let mut ws = pending.accept().unwrap();
                ws.send(text).unwrap();
                while ws.recv().unwrap().is_some() {}
            });
            let args = [&*peer.url, "--send", "x", "--subprotocol", "a", "--subprotocol", "b"];
            let printed = succeeds(client, &[&args[..], &headers].concat(), "");
            assert_eq!(printed, "a+b Some(\"one two\") Some(\"http://a\")\n");
            peer.end();
        }
    }
}

#[test]
fn a_message_that_is_too_big() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let server = Server::default().config(Config::default().max_message_size(10).max_frame_size(10));
            let mut ws = accept_with(tcp, &server).unwrap().accept().unwrap();
            while let Ok(Some(message)) = ws.recv() {
                ws.send(message).unwrap();
            }
        });
        fails_after(
            client,
            &[&peer.url, "--send", "0123456789", "--send", "0123456789a"],
            "0123456789\n",
            "the server closed the connection with 1009 (message too big) and the reason \
             \"a frame is larger than the limit\", after 1 of 2 messages",
        );
        peer.end();
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
            // It has no more to say.
            read_close(&mut tcp);
            tcp.write_all(b"\x81\x06late 1\x81\x06late 2\x88\x02\x03\xe8").unwrap();
        });
        assert_eq!(succeeds(client, &[&peer.url], ""), "late 1\nlate 2\n");
        peer.end();
    }
}

/// As many answers as were asked for, and no more.
#[test]
fn more_than_was_asked_for() {
    for client in CLIENTS {
        let peer = Peer::start(|mut tcp| {
            upgrade(&mut tcp);
            tcp.write_all(b"\x81\x03one\x81\x03two").unwrap();
            // A text, and the Close frame.
            tcp.read_exact(&mut [0; 15]).unwrap();
            tcp.write_all(b"\x81\x05three\x88\x02\x03\xe8").unwrap();
        });
        assert_eq!(succeeds(client, &[&peer.url, "--send", "x"], ""), "one\n");
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
    let url = echo_server();
    for client in CLIENTS {
        let mut child = spawn(client, &[&url]);
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
    let url = echo_server();
    for client in CLIENTS {
        let mut child = spawn(client, &[&url]);
        child.stdin.take().unwrap().write_all(b"hello\n\xff\nworld\n").unwrap();
        let output = wait(client, child);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("cannot read stdin: "), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"hello\n");
    }
}

/// Runs a program that prints something and ends with 0, without a word on stderr.
#[track_caller]
pub fn succeeds(name: &str, args: &[&str], stdin: &str) -> String {
    let output = run(name, args, stdin);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{name} {args:?}");
    assert_eq!(output.status.code(), Some(0), "{name} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that ends with 1 and a sentence on stderr.
#[track_caller]
pub fn fails(name: &str, args: &[&str], sentence: &str) {
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

/// Starts a program, with its three streams in our hands.
fn spawn(name: &str, args: &[&str]) -> Child {
    let mut command = Command::new(path(name));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a program, with patience.
#[track_caller]
fn wait(name: &str, child: Child) -> Output {
    let id = child.id();
    let (ended, output) = mpsc::channel();
    let waiting = thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        let _ = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
        panic!("{name} does not end");
    };
    waiting.join().unwrap().unwrap();
    output
}

/// Runs a program to its end.
#[track_caller]
pub fn run(name: &str, args: &[&str], stdin: &str) -> Output {
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

/// A server in a thread of this process, that does what it is told to one client.
pub struct Peer {
    pub url: String,
    thread: JoinHandle<()>,
}

impl Peer {
    pub fn start(serve: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            serve(tcp);
        });
        Self { url, thread }
    }

    pub fn end(self) {
        self.thread.join().unwrap();
    }
}

/// Where every message comes back, until the tests are over.
pub fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for tcp in listener.incoming() {
            thread::spawn(move || {
                let mut ws = accept(tcp?)?.accept()?;
                while let Some(message) = ws.recv()? {
                    ws.send(message)?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            });
        }
    });
    url
}

/// Reads a client's request, and accepts it, whatever it says.
pub fn upgrade(tcp: &mut TcpStream) {
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

/// Reads a client's Close frame, which has a code and no reason.
pub fn read_close(tcp: &mut TcpStream) {
    let mut frame = [0; 8];
    tcp.read_exact(&mut frame).unwrap();
    assert_eq!(frame[..2], [0x88, 0x82]);
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

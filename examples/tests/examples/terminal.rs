//! `client` and `client_blocking` on a terminal, which `script` provides; where there is none nothing is tested.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use std::{env, fs, process, thread};

use sansocket::blocking::accept;
use sansocket::handshake::Reply;
use sansocket::{CloseCode, Message};

use crate::client::{CLIENTS, Peer, echo_server, read_close, upgrade};
use crate::flags::TlsServer;
#[cfg(feature = "hyper")]
use crate::flags::http2_server;
use crate::program::{PATIENCE, path};
use crate::proxy;

/// What is typed is sent, or done, and all of it is shown.
#[test]
fn a_conversation() {
    let url = echo_server();
    for client in CLIENTS {
        let Some(mut terminal) = Terminal::start(client, &[&url], "") else { return };
        terminal.sees(&format!("connected to {url}/ at {}; /help", &url[5..]));
        terminal.enters("hällo");
        terminal.sees("> hällo\n");
        terminal.sees("< hällo\n");
        terminal.enters("//help");
        terminal.sees("< /help\n");
        terminal.enters("/ping");
        terminal.sees("> ping\n");
        terminal.sees("< pong after ");
        terminal.sees(" ms\n");
        terminal.enters("/binary 68 65 6C6c 00");
        let dump = "binary, 5 bytes\n  00000000  68 65 6c 6c 00                                   |hell.|\n";
        terminal.sees(&format!("> {dump}"));
        terminal.sees(&format!("< {dump}"));
        terminal.enters("/help");
        terminal.sees("/close [code] [reason]");
        terminal.enters("/frob it");
        terminal.sees("there is no command /frob; /help lists them, and //frob it is sent as /frob it\n");
        terminal.enters("/binary 6");
        terminal.sees("/binary needs pairs of hexadecimal digits, such as 68 65 6c\n");
        terminal.enters("/close soon");
        terminal.sees("/close needs a number, such as 1000 or 4001, before the reason\n");
        terminal.enters("/close 1006");
        terminal.sees("this endpoint must not send the close code 1006 (abnormal closure)\n");
        terminal.enters("/close 4000 going home");
        terminal.sees("> close 4000 (private) going home\n");
        terminal.sees("this client closed the connection with 4000 (private); open for ");
        terminal.sees(" s; sent 3 messages, 16 bytes; received 3 messages, 16 bytes; latency ");
        terminal.ends(0);
    }
}

/// The keys of a line, and the lines before it.
#[test]
fn editing() {
    let url = echo_server();
    for client in CLIENTS {
        let Some(mut terminal) = Terminal::start(client, &[&url], "") else { return };
        terminal.sees("/help");
        terminal.enters("wrld\x1b[D\x1b[D\x1b[Do\x01hello \x05!");
        terminal.sees("< hello world!\n");
        terminal.enters("two");
        terminal.sees("< two\n");
        terminal.enters("\x1b[A\x1b[A?");
        terminal.sees("< hello world!?\n");
        terminal.types("\x04");
        terminal.sees("this client closed the connection with 1000 (normal closure)");
        terminal.ends(0);
    }
}

/// All of it goes out, without a key that is pressed afterwards.
#[test]
fn pasted_lines() {
    let url = echo_server();
    let lines: Vec<_> = (0..40).map(|line| format!("line {line}, and then some more of it")).collect();
    for client in CLIENTS {
        let Some(mut terminal) = Terminal::start(client, &[&url], "") else { return };
        terminal.sees("/help");
        terminal.enters(&lines.join("\r"));
        for line in &lines {
            terminal.sees(&format!("< {line}\n"));
        }
        terminal.types("\x04");
        terminal.ends(0);
    }
}

/// What comes is shown above what is typed, and moves no cursor, sets no title, and passes for nothing else.
#[test]
fn a_server_that_interrupts() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            let mut ws = accept(tcp).unwrap().accept().unwrap();
            for _ in 0..2 {
                ws.recv().unwrap().unwrap();
                ws.send("\x1b]0;title\x07\x1b[2J\u{9b}5n\u{202e}\x08\x7f\r\n> faked\tby it").unwrap();
                ws.send(Message::binary(vec![b'~'; 257])).unwrap();
            }
            ws.close(CloseCode::new(4001), "\x1b[31mred").unwrap();
        });
        let Some(mut terminal) = Terminal::start(client, &[&peer.url], "") else { return };
        terminal.sees("/help");
        terminal.enters("now");
        terminal.types("half of ");
        terminal.sees("< \\x1b]0;title\\x07\\x1b[2J\\x9b5n\\u{202e}\\x08\\x7f\\r\n  > faked\tby it\n");
        let row = "7e ".repeat(16);
        terminal.sees(&format!("< binary, 257 bytes\n  00000000  {row} |~~~~~~~~~~~~~~~~|\n"));
        terminal.sees(&format!("\n  000000f0  {row} |~~~~~~~~~~~~~~~~|\n  ...\n"));
        terminal.enters("a line");
        terminal.sees("> half of a line\n");
        terminal.types("left");
        terminal.sees("the server closed the connection with 4001 (private) and the reason \"\\u{1b}[31mred\"; open for ");
        // The terminal is as it was, though a line was being typed.
        terminal.ends(1);
        peer.end();
    }
}

/// The first closes, and what comes before the server closes too is shown; the second does not wait for that.
#[test]
fn interrupted_twice() {
    for client in CLIENTS {
        let peer = Peer::start(|mut tcp| {
            upgrade(&mut tcp);
            read_close(&mut tcp);
            tcp.write_all(b"\x81\x04late").unwrap();
            assert_eq!(tcp.read(&mut [0]).unwrap(), 0);
        });
        let Some(mut terminal) = Terminal::start(client, &[&peer.url], "") else { return };
        terminal.sees("/help");
        terminal.types("\x03");
        terminal.sees("> close 1000 (normal closure)\n");
        terminal.sees("< late\n");
        terminal.types("\x03");
        terminal.ends(130);
        peer.end();
    }
}

/// Colors are for those who want them, and for terminals that know them.
#[test]
fn colors() {
    let url = echo_server();
    for client in CLIENTS {
        for (option, environment, colored) in [
            ("--time", "NO_COLOR=", true),
            ("--no-color", "", false),
            ("--time", "NO_COLOR=1", false),
            ("--time", "TERM=dumb", false),
        ] {
            let Some(mut terminal) = Terminal::start(client, &[&url, option], environment) else { return };
            terminal.sees("/help");
            terminal.enters("hello");
            terminal.sees("< hello\n");
            terminal.enters("/close");
            terminal.sees("this client closed");
            let output = terminal.ends(0);
            assert_eq!(output.contains("\x1b[36m< \x1b[0mhello"), colored, "{output:?}");
            assert_eq!(output.contains("\x1b[2m"), colored, "{output:?}");
            // Where the cursor cannot be moved there is no prompt, and the terminal shows itself what is typed.
            if environment == "TERM=dumb" {
                assert!(!output.contains('\x1b') && !output.contains("> hello"), "{output:?}");
            }
        }
    }
}

/// What is between the client and the server is told first.
#[test]
fn what_was_connected_to() {
    let url = echo_server();
    for client in CLIENTS {
        let to = url.clone();
        let peer = Peer::start(move |tcp| {
            let reply = Reply::new(302).unwrap().header("Location", &to).unwrap();
            accept(tcp).unwrap().respond(reply).unwrap();
        });
        let options = [&*peer.url, "--redirects", "1", "--send", "x"];
        let Some(mut terminal) = Terminal::start(client, &options, "") else { return };
        terminal.sees(&format!("connected to {url}/ at {}, redirected from {}/\n", &url[5..], peer.url));
        terminal.ends(0);
        peer.end();

        let through = proxy(None);
        let named = format!("http://joe:secret@{through}");
        let options = [&*url, "--proxy", &named, "--send", "x"];
        let Some(mut terminal) = Terminal::start(client, &options, "") else { return };
        terminal.sees(&format!("connected to {url}/ through http://joe:***@{through} at {through}\n"));
        assert!(!terminal.ends(0).contains("secret"));

        let Some(server) = TlsServer::start(&format!("first-line-{client}")) else { return };
        let options = [&*server.url, "--insecure", "--send", "x"];
        let Some(mut terminal) = Terminal::start(client, &options, "") else { return };
        terminal.sees("certificates are not verified: whoever answers is taken for the server\n");
        terminal.sees(&format!("connected to {}/ at {}, TLS 1.3 (TLS13_", server.url, &server.url[6..]));
        terminal.ends(0);
    }
}

#[cfg(feature = "hyper")]
#[test]
fn what_was_connected_to_by_http2() {
    let url = http2_server();
    let Some(mut terminal) = Terminal::start("client", &[&url, "--http2", "--send", "x"], "") else { return };
    terminal.sees(&format!("connected to {url}/, HTTP/2\n"));
    terminal.ends(0);
}

/// Each loss is a line, and each connection, with what was typed meanwhile, and at the end all are counted.
#[test]
fn reconnecting() {
    for client in CLIENTS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let ((is_closing, closing), (seen, was_seen)) = (mpsc::channel(), mpsc::channel());
        let serving = thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            upgrade(&mut tcp);
            tcp.write_all(b"\x88\x0a\x03\xf4\x1b[31mred").unwrap();
            tcp.read_exact(&mut [0; 8]).unwrap();
            is_closing.send(()).unwrap();
            was_seen.recv().unwrap();
            drop(tcp);
            let next = || accept(listener.accept().unwrap().0).unwrap();
            next().reject(503, "\x1b[31mred").unwrap();
            let mut ws = next().accept().unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let Some(mut terminal) = Terminal::start(client, &[&url, "--reconnect"], "") else { return };
        terminal.sees(&format!("connected to {url}/ at {}; /help", &url[5..]));
        closing.recv().unwrap();
        terminal.enters("late");
        terminal.sees("> late\n");
        seen.send(()).unwrap();
        terminal.sees("closed with 1012 (service restart): \"\\u{1b}[31mred\"; the next attempt follows in ");
        terminal.sees(" s, and a message was not sent\n");
        terminal.enters("hello");
        terminal.sees("status 503, and says: ");
        terminal.sees("[31mred; the next attempt follows in ");
        terminal.sees(&format!("connected to {url}/ at {}\n", &url[5..]));
        terminal.sees("> hello\n");
        terminal.sees("< hello\n");
        // The code would have it go on, were it the server's.
        terminal.enters("/close 4001");
        terminal.sees("this client closed the connection with 4001 (private); 2 connections in ");
        terminal
            .sees(" s; sent 2 messages, 9 bytes, of which 1 did not go out; received 1 message, 5 bytes\n");
        terminal.ends(0);
        serving.join().unwrap();
    }
}

/// Texts of the command line, and lines that nobody types, are shown, too.
#[test]
fn texts_that_are_not_typed() {
    let url = echo_server();
    for client in CLIENTS {
        let Some(mut terminal) =
            Terminal::start(client, &[&url, "--send", "/ping", "--deflate", "--time"], "")
        else {
            return;
        };
        terminal.sees(&format!("connected to {url}/ at {}\n", &url[5..]));
        terminal.sees(" > /ping\n");
        terminal.sees(" < /ping\n");
        terminal.sees("this client closed the connection with 1000 (normal closure); open for ");
        terminal.ends(0);

        let Some(mut terminal) = Terminal::start(client, &[&url, "</dev/null"], "") else { return };
        terminal.sees("sent 0 messages, 0 bytes; received 0 messages, 0 bytes\n");
        terminal.ends(0);
    }
}

#[test]
fn a_refusal() {
    for client in CLIENTS {
        let peer = Peer::start(|tcp| {
            accept(tcp).unwrap().reject(404, "no such room\n\nnor \x1b[31manother\n3\n4\n5\n6\n").unwrap();
        });
        let Some(mut terminal) = Terminal::start(client, &[&peer.url], "") else { return };
        terminal.sees("the server refused the WebSocket connection: 404 Not Found\n");
        terminal.sees("  no such room\n  nor \\x1b[31manother\n  3\n  4\n  5\n");
        assert!(!terminal.ends(1).contains("  6"));
        peer.end();
    }
}

/// What was typed is there the next time, and nobody else can read it.
#[test]
fn history() {
    use std::os::unix::fs::PermissionsExt;

    let url = echo_server();
    for client in CLIENTS {
        let file = env::temp_dir().join(format!("sansocket-{client}-history-{}", process::id()));
        let arguments = [url.as_str(), "--history", file.to_str().unwrap()];
        for keys in ["an old line", "\x1b[A and more"] {
            let Some(mut terminal) = Terminal::start(client, &arguments, "") else { return };
            terminal.sees("/help");
            terminal.enters(keys);
            terminal.sees("< an old line");
            terminal.types("\x04");
            terminal.ends(0);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "an old line\nan old line and more\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, (0..3000).map(|line| line.to_string()).collect::<Vec<_>>().join("\n") + "\n")
            .unwrap();
        let Some(mut terminal) = Terminal::start(client, &arguments, "") else { return };
        terminal.sees("/help");
        terminal.types("\x04");
        terminal.ends(0);
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.starts_with("2000\n") && kept.ends_with("2999\n"));
        fs::remove_file(&file).unwrap();
    }
}

/// A program on a terminal of its own, without the colors, the cursor's movements and the carriage returns of what it shows.
struct Terminal {
    child: Child,
    shown: mpsc::Receiver<Vec<u8>>,
    /// All of it.
    bytes: Vec<u8>,
    /// What of the text was seen.
    seen: usize,
}

impl Terminal {
    /// `None` where that cannot be. The arguments and the assignments to the environment are a shell's.
    fn start(name: &str, arguments: &[&str], environment: &str) -> Option<Self> {
        let program = path(name);
        let (program, arguments) = (program.display(), arguments.join(" "));
        // At the end it is told whether the terminal reads lines again.
        let command = format!(
            "stty cols 100 rows 40; {environment} '{program}' {arguments}; code=$?; echo ended; \
             stty -a | grep -q ' icanon.* echo ' || echo raw; exit $code"
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        script.env("SHELL", "/bin/sh").env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        if child.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            eprintln!("there is no terminal: there is no script");
            return None;
        }
        let mut child = child.unwrap();
        let (reading, shown) = mpsc::channel();
        let mut stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = stdout.read(&mut bytes) {
                if reading.send(bytes[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Self { child, shown, bytes: Vec::new(), seen: 0 })
    }

    fn types(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn enters(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    /// Waits until this is shown, after what was seen before.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.text();
            if let Some(place) = shown[self.seen..].find(text) {
                self.seen += place + text.len();
                return;
            }
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.bytes.extend(bytes),
                Err(error) => panic!("{error}: {text:?} is not in {:?}, of {shown:?}", &shown[self.seen..]),
            }
        }
    }

    /// Waits for the end, which leaves the terminal as it was; returns what was shown.
    #[track_caller]
    fn ends(mut self, code: i32) -> String {
        self.sees("ended\n");
        while let Ok(bytes) = self.shown.recv_timeout(PATIENCE) {
            self.bytes.extend(bytes);
        }
        assert!(!self.text().ends_with("raw\n"), "{:?}", self.text());
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{:?}", self.text());
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    /// What is shown without what moves the cursor, as far as it is whole.
    fn text(&self) -> String {
        let shown = String::from_utf8_lossy(&self.bytes).replace('\r', "");
        let mut parts = shown.split('\x1b');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|char: char| char.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
            text += &part[end..];
        }
        text
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

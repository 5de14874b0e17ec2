//! The examples, run as a user runs them. `cargo test` builds them before it runs this; with `--test` it does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod flags;
mod program;
#[cfg(feature = "client")]
mod terminal;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(any(feature = "client", feature = "tls"))]
use std::path::PathBuf;
use std::{fs, thread};

use program::{Program, client};
use sansocket::blocking::{ClientStream, WebSocket, accept};
use sansocket::handshake::ClientRequest;
use sansocket::{Client, CloseCode, Message};

/// The first line of each says how it is run.
#[test]
fn first_lines() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    for example in manifest.split("[[example]]\n").skip(1) {
        let value = |key| example.lines().find_map(|line: &str| line.strip_prefix(key));
        let name = value("name = ").unwrap().trim_matches('"');
        let path = value("path = ").unwrap().trim_matches('"');
        let feature = value("required-features = ").map(|features| features.trim_matches(['[', '"', ']']));
        let features = feature.map_or_else(String::new, |feature| format!(" --features {feature}"));
        let source = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let first = source.lines().next().unwrap();
        assert!(first.contains(&format!("`cargo run --release --example {name}{features}")), "{name}");
    }
    let mut examples = 0;
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(manifest.contains(&format!("path = \"{name}\"")), "{name} is in Cargo.toml");
            examples += 1;
        }
    }
    assert!(examples > 5);
}

/// The commands of the README. These two alone have an address of their own.
#[test]
fn echo() {
    let server = Program::start("echo_server", &[]);
    assert_eq!(server.line(), "listening on ws://127.0.0.1:9001");
    client("ws://127.0.0.1:9001").unwrap().close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(Program::start("echo_client", &[]).end(), ("hello\n".into(), true));
}

/// A server and a client in one thread, without an adapter.
#[test]
fn mio() {
    let closed = |role, reason, initiator| {
        format!(
            "{role}: Some(Closed {{ code: CloseCode(1000), reason: {reason:?}, initiator: {initiator}, clean: true }})"
        )
    };
    let [client, server] = [closed("Client", "", "Local"), closed("Server", "bye", "Remote")];
    assert_eq!(Program::start("mio", &[]).end(), (format!("Text(\"hello\")\n{client}\n{server}\n"), true));
}

/// One does not read, and the other does not notice.
#[test]
fn room() {
    let (_server, address) = Program::serve("room", &[]);
    let mut slow = client(format!("ws://{address}")).unwrap();
    let mut quick = client(format!("ws://{address}")).unwrap();
    slow.send("hi").unwrap();
    assert_eq!(slow.recv().unwrap(), Some("hi".into()));
    // It may have come in before that was said, or behind.
    quick.send("hello").unwrap();
    while quick.recv().unwrap() != Some("hello".into()) {}
    // More than the system holds for one that does not read.
    let said = Message::text("a".repeat(4096));
    for _ in 0..8192 {
        quick.send(said.clone()).unwrap();
        assert!(quick.recv().unwrap().is_some_and(|message| message == said));
    }
    while slow.recv().unwrap().is_some() {}
    closed_with(&slow, CloseCode::POLICY_VIOLATION, "too slow");
    quick.close(CloseCode::NORMAL, "").unwrap();
}

/// What is typed is sent, what comes is printed, and the end of either ends the program.
#[test]
fn split() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}", listener.local_addr().unwrap());
    let next = || accept(listener.accept().unwrap().0).unwrap().accept().unwrap();

    let typing = Program::start("split", &[&uri]);
    let mut ws = next();
    for line in ["one", "two"] {
        typing.write(&format!("{line}\n"));
        let message = ws.recv().unwrap().unwrap();
        assert_eq!(message.as_text(), Some(line));
        ws.send(message).unwrap();
        assert_eq!(typing.line(), line);
    }
    let closing = thread::spawn(move || {
        assert_eq!(ws.recv().unwrap(), None);
        assert_eq!(ws.closed().unwrap().reason, "bye");
    });
    assert_eq!(typing.end(), ("closed with 1000\n".into(), true));
    closing.join().unwrap();

    let waiting = Program::start("split", &[&uri]);
    next().close(CloseCode::GOING_AWAY, "").unwrap();
    assert_eq!(waiting.ended(), ("closed with 1001\n".into(), true));
}

#[cfg(feature = "json")]
#[test]
fn json() {
    let (_server, address) = Program::serve("json", &[]);
    let mut ws = client(format!("ws://{address}")).unwrap();
    for (question, answer) in [
        (r#"{"ask":"sum","of":[1,2.5]}"#, r#"{"sum":3.5}"#),
        (r#"{"ask":"length","of":"été"}"#, r#"{"length":3}"#),
    ] {
        ws.send(question).unwrap();
        assert_eq!(ws.recv().unwrap(), Some(answer.into()));
    }
    ws.send(r#"{"ask":"sum"}"#).unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    closed_with(&ws, CloseCode::INVALID_PAYLOAD_DATA, "not a question");

    let mut ws = client(format!("ws://{address}")).unwrap();
    ws.send(*b"\x01").unwrap();
    assert_eq!(ws.recv().unwrap(), None);
    closed_with(&ws, CloseCode::UNSUPPORTED_DATA, "JSON is text");
}

/// With the certificate that its comment tells how to make; where there is no `openssl` nothing is tested.
#[cfg(feature = "tls")]
#[test]
fn tls() {
    use sansocket::rustls::pki_types::{CertificateDer, pem::PemObject};
    use sansocket::rustls::{ClientConfig, RootCertStore, crypto::ring};

    let Some(folder) = certificate("tls") else { return };
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();

    let (server, address) = Program::serve("tls", &[cert.to_str().unwrap(), key.to_str().unwrap()]);
    let mut ws = client(Client::new(&format!("wss://{address}")).unwrap().tls(config.into())).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hello".into()));
    fs::remove_dir_all(folder).unwrap();
    drop(server);
}

#[test]
fn routes() {
    let (server, address) = Program::serve("routes", &[]);
    let to = |path: &str| Client::new(&format!("ws://{address}{path}")).unwrap();
    let bearer = |path: &str| to(path).header("Authorization", "Bearer secret").unwrap();

    let refused = |request: Client| client(request).unwrap_err().refusal().unwrap().clone();
    let unauthorised = refused(to("/echo?token=guess"));
    assert_eq!((unauthorised.status(), unauthorised.body()), (401, b"Which token?\n".as_slice()));
    assert_eq!(unauthorised.headers().get("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(refused(bearer("/elsewhere")).status(), 404);
    let page = ClientRequest::new(to("/echo?token=secret").uri()).origin("https://example.com").unwrap();
    assert_eq!(refused(Client::with_request(page)).status(), 403);
    assert!(server.complaint().contains("pages of this origin may not connect"));

    let mut room = client(bearer("/room/lobby").subprotocols(["v1.chat"]).unwrap()).unwrap();
    assert_eq!(room.recv().unwrap(), Some("lobby speaks v1.chat".into()));
    assert_eq!(room.recv().unwrap(), None);
    let mut ws = client(to("/echo?a=b&token=secret")).unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hello".into()));
}

/// The fourth is told that there is no room, and Ctrl-C closes the three.
#[cfg(unix)]
#[test]
fn routes_has_room_for_three() {
    let (server, address) = Program::serve("routes", &[]);
    let open = || client(format!("ws://{address}/echo?token=secret"));
    let mut three = [open().unwrap(), open().unwrap(), open().unwrap()];
    assert_eq!(open().unwrap_err().refusal().unwrap().status(), 503);
    assert!(server.complaint().contains("no room"));
    server.interrupt();
    for ws in &mut three {
        assert_eq!(ws.recv().unwrap(), None);
        closed_with(ws, CloseCode::GOING_AWAY, "the server stops");
    }
    assert_eq!(server.ended(), (format!("listening on ws://{address}\nbye\n"), true));
}

/// A page with events beside it, which come from every side.
#[test]
fn page() {
    let (server, address) = Program::serve("page", &[]);
    let mut ws = client(format!("ws://{address}/events")).unwrap();
    let mut comes = |event: &str| while ws.recv().unwrap().unwrap().as_text() != Some(event) {};
    assert!(get(address, "/").ends_with(include_str!("../../page.html")));
    assert!(get(address, "/elsewhere").starts_with("HTTP/1.1 404 "));
    let post = "POST /push HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n";
    assert!(request(address, &format!("{post}\r\nposted")).starts_with("HTTP/1.1 204 "));
    comes("posted");
    let elsewhere = request(address, &format!("{post}Origin: https://example.com\r\n\r\nposted"));
    assert!(elsewhere.starts_with("HTTP/1.1 403 "));
    server.write("typed\n");
    comes("typed");
    comes("a timer: five seconds more");
    comes("a thread, which may block, has done something");
}

#[test]
fn clock() {
    pushes("clock");
}

#[cfg(feature = "axum")]
#[test]
fn axum_upgrade() {
    pushes("axum_upgrade");
}

#[cfg(feature = "hyper")]
#[test]
fn hyper_upgrade() {
    pushes("hyper_upgrade");
}

/// There is a page, and what is pushed to it until Ctrl-C.
fn pushes(name: &str) {
    let (server, address) = Program::serve(name, &[]);
    let mut ws = client(format!("ws://{address}/events")).unwrap();
    assert!(get(address, "/").ends_with(include_str!("../../page.html")));
    assert!(get(address, "/favicon.ico").starts_with("HTTP/1.1 404 "));
    for event in ["0 seconds", "1 seconds"] {
        assert_eq!(ws.recv().unwrap(), Some(event.into()));
    }
    #[cfg(unix)]
    {
        server.interrupt();
        while ws.recv().unwrap().is_some() {}
        closed_with(&ws, CloseCode::GOING_AWAY, "the server stops");
        assert_eq!(server.ended(), (format!("open http://{address}\n"), true));
    }
}

/// The proxy connects to the server that it is asked for, or refuses; a server's refusal is told.
#[test]
fn proxy_client() {
    let (_server, address) = Program::serve("routes", &[]);
    let uri = format!("ws://{address}/echo");
    // Wait until it listens.
    client(format!("{uri}?token=secret")).unwrap().close(CloseCode::NORMAL, "").unwrap();
    let through = |proxy: SocketAddr, token| {
        let client = Program::start("proxy_client", &[&uri, &format!("http://{proxy}"), token]);
        let complaint = if token == "secret" { String::new() } else { client.complaint() };
        (client.end(), complaint)
    };
    assert_eq!(through(proxy(None), "secret").0, ("Some(Text(\"hello\"))\n".into(), true));
    let (ended, complaint) = through(proxy(None), "guess");
    assert_eq!(ended, (String::new(), false));
    assert!(complaint.contains("the server refused") && complaint.contains("Which token?"), "{complaint}");
    let (ended, complaint) = through(proxy(Some("HTTP/1.1 403 Forbidden\r\n\r\n")), "guess");
    assert_eq!(ended, (String::new(), false));
    assert!(complaint.contains("the proxy refused to connect to the server, with status 403"), "{complaint}");
}

/// A token that is refused is read anew, and refused again is the end; a server that stops is waited for.
#[cfg(unix)]
#[test]
fn careful_client() {
    let token = std::env::temp_dir().join(format!("sansocket-example-token-{}", std::process::id()));
    let (server, address) = Program::serve("routes", &[]);
    let start = |path: &str| {
        fs::write(&token, "guess\n").unwrap();
        Program::start("careful_client", &[&format!("ws://{address}{path}"), token.to_str().unwrap()])
    };
    let refused = "the server refused the WebSocket connection with status 401, and says: Which token?";
    // Until the server listens there is nobody.
    let until_refused = |client: &Program| {
        while !client.complaint().starts_with(&format!("{refused}; the next attempt follows in ")) {}
    };
    let guessing = start("/echo");
    until_refused(&guessing);
    assert_eq!(guessing.complaint(), refused);
    assert_eq!(guessing.ended(), (String::new(), true));

    let client = start("/echo");
    until_refused(&client);
    fs::write(&token, "secret").unwrap();
    assert_eq!((client.line(), client.line()), ("open".into(), "Text(\"hello\")".into()));
    server.interrupt();
    assert!(client.complaint().starts_with(
        "the connection was closed with 1001 (going away): \"the server stops\"; the next attempt follows in "
    ));
    fs::remove_file(token).unwrap();
}

/// The folder of a certificate, `cert.pem`, and its key, `key.pem`, made as the example `tls` tells; `None` where there is no
/// `openssl`.
#[cfg(any(feature = "client", feature = "tls"))]
fn certificate(name: &str) -> Option<PathBuf> {
    let source = include_str!("../../tls.rs").replace("\n//!", "");
    let command = source.split('`').find(|code| code.starts_with("openssl")).unwrap();
    let folder = std::env::temp_dir().join(format!("sansocket-example-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut words = command.split_whitespace();
    let made = std::process::Command::new(words.next().unwrap()).args(words).current_dir(&folder).output();
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        eprintln!("no certificate can be made: there is no openssl");
        return None;
    }
    assert!(made.unwrap().status.success());
    Some(folder)
}

/// A proxy for one connection, which is made, or answered like this.
fn proxy(refusal: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let head: Vec<_> =
            BufReader::new(&near).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        if let Some(refusal) = refusal {
            return near.write_all(refusal.as_bytes()).unwrap();
        }
        let to = head[0].strip_prefix("CONNECT ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
        assert_eq!(head[1], format!("Host: {to}"));
        let far = TcpStream::connect(to).unwrap();
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        for (mut from, mut to) in
            [(&near, &far), (&far, &near)].map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
        {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn get(address: SocketAddr, path: &str) -> String {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
}

/// All of the response.
fn request(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    io::read_to_string(tcp).unwrap()
}

#[track_caller]
fn closed_with(ws: &WebSocket<ClientStream>, code: CloseCode, reason: &str) {
    let closed = ws.closed().unwrap();
    assert_eq!((closed.code, &*closed.reason), (code, reason));
}

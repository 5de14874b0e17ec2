//! The opening handshake.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use sansocket::blocking::{accept, accept_with, connect, connect_over};
use sansocket::handshake::{HandshakeError, HeadError, Reply, RequestError, Response, ResponseError};
use sansocket::{Client, CloseCode, Config, Error, Message, Role, Server, TimedOut};

use crate::common::{TEXT, frame};
use crate::script::{Read, Script, Write};

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[track_caller]
fn handshake<T: std::fmt::Debug>(result: Result<T, Error>) -> HandshakeError {
    match result {
        Err(Error::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The response that a client was refused with.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Response {
    handshake(result).refusal().unwrap().clone()
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// 6455-4.1-02: a client connects over TCP, sends its handshake, and reads the server's; both sides see
/// what the other asked for and chose; the connection can be split.
#[test]
fn connect_and_accept_over_tcp() {
    let (listener, port) = listen();
    let serving = thread::spawn(move || {
        let mut pending = accept(listener.accept().unwrap().0).unwrap();
        assert_eq!(pending.request().target(), "/chat?a=b");
        assert_eq!(pending.request().headers().get("Authorization"), Some("Bearer 1"));
        pending.choose_subprotocol(&["v1", "v0"]);
        pending.header("X-Served-By", "one").unwrap();
        let mut ws = pending.accept().unwrap();
        assert_eq!(ws.subprotocol(), Some("v1"));
        while let Some(message) = ws.recv().unwrap() {
            ws.send(message).unwrap();
        }
    });
    let client = Client::new(&format!("ws://127.0.0.1:{port}/chat?a=b")).unwrap();
    let client = client.header("Authorization", "Bearer 1").unwrap().subprotocols(["v2", "v1"]).unwrap();
    let mut ws = connect(client).unwrap();
    assert_eq!(ws.subprotocol(), Some("v1"));
    assert_eq!(ws.response().unwrap().headers().get("X-Served-By"), Some("one"));
    assert!(ws.get_ref().tcp().nodelay().unwrap());
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
    ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(ws.closed().unwrap().clean);
    serving.join().unwrap();
}

/// Every address of a name is tried: a server that listens on any one of them is found.
#[test]
fn all_addresses_are_tried() {
    for address in ("localhost", 0).to_socket_addrs().unwrap() {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || accept(listener.accept().unwrap().0).unwrap().accept().unwrap());
        let ws = connect(format!("ws://localhost:{}", address.port())).unwrap();
        assert_eq!(ws.get_ref().tcp().peer_addr().unwrap(), address);
        serving.join().unwrap();
    }
}

/// 6455-4.1-13: a transport that cannot be opened fails the connection; and what is no WebSocket URI
/// fails before.
#[test]
fn the_transport_cannot_be_opened() {
    let (listener, port) = listen();
    drop(listener);
    let error = connect(format!("ws://127.0.0.1:{port}")).unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.kind() == ErrorKind::ConnectionRefused));
    assert!(matches!(connect("ws://name.invalid/").unwrap_err(), Error::Connect(_)));
    assert!(matches!(connect("http://127.0.0.1/").unwrap_err(), Error::Uri(_)));
}

/// Frames that are glued to the heads are not lost, in either role.
#[test]
fn frames_glued_to_the_heads() {
    let glued = [REQUEST.as_bytes(), &frame(Role::Server, TEXT, b"early")].concat();
    for size in [1, 7, 1000] {
        let reads = glued.chunks(size).map(|bytes| Read::Bytes(bytes.to_vec()));
        let script = Script::new(reads.collect::<Vec<_>>(), [Write::Take(1), Write::Take(3)]);
        let mut ws = accept(script.clone()).unwrap().accept().unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("early")));
        assert!(script.record().written.starts_with(b"HTTP/1.1 101 "));
    }
    let (near, far) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        let mut ws = accept(far).unwrap().accept().unwrap();
        ws.send("welcome").unwrap();
        assert_eq!(ws.recv().unwrap(), None);
    });
    let mut ws = connect_over("ws://example.com/", near).unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("welcome")));
    ws.close(CloseCode::NORMAL, "").unwrap();
    serving.join().unwrap();
}

/// The client of a server that rejects gets the status, the headers and the body, though they be cut
/// off by an error, or by the deadline.
#[test]
fn rejected() {
    let (near, far) = UnixStream::pair().unwrap();
    let reply = Reply::new(503).unwrap().header("Retry-After", "7").unwrap().body("busy");
    let serving = thread::spawn(move || accept(far).unwrap().respond(&reply).unwrap());
    let refused = connect_over("ws://example.com/", near);
    let response = refusal(refused);
    assert_eq!((response.status(), response.body()), (503, &b"busy"[..]));
    assert_eq!(response.headers().get("Retry-After"), Some("7"));
    serving.join().unwrap();

    let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot";
    for end in [None, Some(Read::End), Some(Read::Error(ErrorKind::ConnectionReset))] {
        let client = Client::new("ws://example.com/").unwrap().connect_timeout(Duration::from_millis(5));
        let script = Script::new([Read::Bytes(response.to_vec())].into_iter().chain(end), []);
        let response = refusal(connect_over(client, script));
        assert_eq!((response.status(), response.body()), (403, &b"not"[..]));
    }
}

/// A plain HTTP request is the caller's to answer; 6455-7.2.2-01: a malformed one is answered with its
/// status, and the transport is closed.
#[test]
fn other_requests() {
    const PLAIN: &[u8] = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let ask = |request: &'static [u8]| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let asking = thread::spawn(move || {
            far.write_all(request).unwrap();
            let mut answer = String::new();
            far.read_to_string(&mut answer).unwrap();
            answer
        });
        (near, asking)
    };
    let (near, asking) = ask(PLAIN);
    let pending = accept(near).unwrap();
    assert!(!pending.is_websocket());
    pending.respond(&Reply::new(200).unwrap().text("a page")).unwrap();
    let answer = asking.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("a page"), "{answer}");

    let (near, asking) = ask(PLAIN);
    assert_eq!(handshake(accept(near).unwrap().accept()), RequestError::MissingUpgrade.into());
    assert!(asking.join().unwrap().starts_with("HTTP/1.1 426 "));

    let (near, asking) = ask(b"nonsense\r\n\r\n");
    assert_eq!(handshake(accept(near)), RequestError::from(HeadError::InvalidStartLine).into());
    assert!(asking.join().unwrap().starts_with("HTTP/1.1 400 "));
}

/// 6455-7.2.1-02: a transport that is lost in the handshake fails it.
#[test]
fn the_transport_is_lost() {
    let reset = || Script::new([Read::Error(ErrorKind::ConnectionReset)], []);
    assert!(matches!(connect_over("ws://example.com/", reset()), Err(Error::ConnectionLost(_))));
    assert!(matches!(accept(reset()), Err(Error::ConnectionLost(_))));
    let end = || Script::new([Read::End], []);
    assert_eq!(
        handshake(connect_over("ws://example.com/", end())),
        ResponseError::from(HeadError::Incomplete).into()
    );
    assert_eq!(handshake(accept(end())), RequestError::from(HeadError::Incomplete).into());
    let broken = Script::new([], [Write::Take(9), Write::Error(ErrorKind::BrokenPipe)]);
    assert!(matches!(connect_over("ws://example.com/", broken), Err(Error::ConnectionLost(_))));
}

/// A peer that says nothing is given up at the timeout; a slow client is told so.
#[test]
fn timeouts() {
    let tiny = Duration::from_millis(5);
    let client = Client::new("ws://example.com/").unwrap().connect_timeout(tiny);
    let timed_out =
        |error| assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    let script = Script::default();
    timed_out(connect_over(client.clone(), script.clone()).unwrap_err());
    assert!(script.record().read_timeouts.iter().all(|timeout| timeout.unwrap() <= tiny));
    let (near, _far) = UnixStream::pair().unwrap();
    timed_out(connect_over(client, near).unwrap_err());

    let server = Server::default().handshake_timeout(tiny);
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(&REQUEST.as_bytes()[..9]).unwrap();
    let asking = thread::spawn(move || {
        let mut answer = String::new();
        far.read_to_string(&mut answer).unwrap();
        answer
    });
    timed_out(accept_with(near, &server).unwrap_err());
    assert!(asking.join().unwrap().starts_with("HTTP/1.1 408 "));
}

/// The configuration that a client or a server was given is that of its connections.
#[test]
fn configurations_arrive() {
    let config = Config::default().write_timeout(Duration::from_secs(77));
    let script = Script::new([Read::Bytes(REQUEST.into())], []);
    let server = Server::default().config(config);
    accept_with(script.clone(), &server).unwrap().accept().unwrap();
    assert_eq!(script.record().write_timeouts.last(), Some(&Some(Duration::from_secs(77))));
}

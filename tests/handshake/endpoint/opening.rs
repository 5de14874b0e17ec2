//! The opening handshake of an endpoint, and what becomes of one that does not come to a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use sansocket::handshake::{Limits, Reply, ResponseError};
use sansocket::{Config, Endpoint, EndpointEvent, Error, Role, Server};

use super::ROOMS;
use super::program::{Lone, Pair, REQUEST, World, accepted, client};
use crate::common::{TEXT, frame, random, secs, start};

/// 6455-4.2.2-01: a client and a server open a connection.
#[test]
fn a_connection_is_opened() {
    for room in ROOMS {
        let client = client().subprotocols(["v2", "v1"]).unwrap();
        let mut pair = Pair::new(room, &client, &Server::default());
        pair.server.accepts = false;
        pair.settle();
        assert_eq!(pair.server.events, ["request"]);
        let request = pair.server.endpoint.request().unwrap();
        assert_eq!(request.request().target(), "/chat");
        request.choose_subprotocol(&["v1"]);
        request.header("X-Served-By", "an endpoint").unwrap();
        request.set_config(request.config().clone().max_message_size(3));
        pair.server.endpoint.accept(pair.now);
        pair.settle();
        assert_eq!(pair.client.events, ["open"]);
        assert_eq!(pair.server.events, ["request", "open"]);
        for (program, role) in pair.both().into_iter().zip([Role::Client, Role::Server]) {
            let negotiated = program.endpoint.negotiated().unwrap();
            assert_eq!((negotiated.role(), negotiated.subprotocol()), (role, Some("v1")));
            assert!(program.endpoint.request().is_none());
        }
        let response = pair.client.endpoint.negotiated().unwrap().response().unwrap();
        assert_eq!(response.headers().get("X-Served-By"), Some("an endpoint"));
        // The configuration is that of the request.
        pair.client.endpoint.send("four").unwrap();
        pair.settle();
        assert_eq!(pair.server.events.last().unwrap(), "Protocol(MessageTooBig)");
    }
}

/// RFC 9110 section 10.1.5: a client names the crate, or what it was given, or nothing.
#[test]
fn user_agent() {
    for (client, named) in [
        (client(), Some(concat!("sansocket/", env!("CARGO_PKG_VERSION")))),
        (client().header("user-agent", "a/1").unwrap(), Some("a/1")),
        (client().without_user_agent(), None),
    ] {
        let mut pair = Pair::new(ROOMS[0], &client, &Server::default());
        pair.server.accepts = false;
        pair.settle();
        let request = pair.server.endpoint.request().unwrap();
        assert_eq!(request.request().headers().get("User-Agent"), named);
    }
}

/// What follows the request, or the response, at once is received.
#[test]
fn frames_behind_the_handshake() {
    for room in ROOMS {
        let mut lone = Lone::server(room, &Server::default());
        lone.send([REQUEST.as_bytes(), &frame(Role::Server, TEXT, b"early")].concat());
        lone.settle();
        assert_eq!(lone.program.events, ["request", "open", "text \"early\""]);

        let mut lone = Lone::client(room, &client());
        lone.settle();
        lone.send([accepted(&lone.seen), frame(Role::Client, TEXT, b"early")].concat());
        lone.settle();
        assert_eq!(lone.program.events, ["open", "text \"early\""]);
    }
}

/// 6455-4.2.1-01, 6455-4.2.2-07, 6455-4.2.2-09: what is no request for a WebSocket, or not one that may be accepted, is answered with
/// the status that says why. All of it goes out before the error is told, and the client has time to read it.
#[test]
fn a_request_that_is_refused() {
    let version = REQUEST.replace("Version: 13", "Version: 12");
    for room in ROOMS {
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n", "400 Bad Request"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required"),
            (&version, "426 Upgrade Required"),
            // RFC 9110 section 9.3.2: the response to HEAD has no content.
            (&REQUEST.replace("GET", "HEAD"), "405 Method Not Allowed"),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required"),
        ] {
            let mut lone = Lone::server(room, &Server::default());
            lone.send(request);
            lone.settle();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close");
            assert!(lone.response().starts_with(&head), "{}", lone.response());
            let end = if request.starts_with("HEAD") { "\r\n\r\n" } else { ".\n" };
            assert!(lone.response().ends_with(end), "whole: {}", lone.response());
            assert!(lone.from.is_over(), "and nothing more");
            assert_eq!(lone.program.events.last().unwrap(), "shut down");
            // It has two seconds, or until it has read it.
            if room == 7 {
                lone.run_for(Duration::from_millis(1999));
                assert!(!lone.program.over);
                lone.run_for(Duration::from_millis(1));
            } else {
                lone.to.end();
                lone.settle();
            }
            let told = lone.program.events.last().unwrap();
            assert!(told.starts_with("Request("), "{told}");
            assert_eq!(lone.program.endpoint.due(), Some(lone.now));
            assert!(lone.program.over);
        }
    }
}

/// An ordinary HTTP request is the program's to answer. That is no error.
#[test]
fn a_request_that_is_responded_to() {
    for room in ROOMS {
        let mut lone = Lone::server(room, &Server::default());
        lone.program.accepts = false;
        lone.send("GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n");
        lone.run_for(secs(1000));
        assert_eq!(lone.program.events, ["request"], "it may take its time");
        assert_eq!(lone.program.endpoint.due(), None);
        assert!(!lone.program.endpoint.request().unwrap().is_websocket());
        lone.program.endpoint.respond(Reply::new(200).unwrap().text("a page"), lone.now);
        lone.settle();
        assert!(lone.response().starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(lone.response().ends_with("\r\n\r\na page"));
        assert_eq!(lone.program.events, ["request", "shut down"]);
        lone.send("GET /another HTTP/1.1\r\nHost: example.com\r\n\r\n");
        lone.settle();
        assert_eq!(lone.program.events, ["request", "shut down"], "what follows is discarded");
        lone.ends = true;
        lone.settle();
        assert_eq!(lone.program.events, ["request", "shut down", "over"]);
        assert_eq!(lone.program.closed(), "not closed");
    }
}

/// One that asks for a WebSocket is not responded to with 2xx, which over HTTP/2 would accept it: the client is told of the
/// server's fault, and then the program.
#[test]
fn a_response_that_would_accept() {
    let mut lone = Lone::server(4096, &Server::default());
    lone.program.accepts = false;
    lone.send(REQUEST);
    lone.settle();
    lone.program.endpoint.respond(Reply::ok(), lone.now);
    lone.settle();
    assert!(lone.response().starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{}", lone.response());
    lone.ends = true;
    lone.settle();
    assert_eq!(lone.program.events, ["request", "shut down", "Build(AcceptingStatus(200))"]);
}

/// A request that is accepted though it asks for a page is answered with the page, or with why there is none.
#[test]
fn pages() {
    let server = Server::default().page("/", Reply::ok().html("<p>hi"));
    for (request, start, end, error) in [
        ("GET /", "HTTP/1.1 200 OK\r\n", "\r\n\r\n<p>hi", "Request(MissingUpgrade)"),
        ("HEAD /", "HTTP/1.1 200 OK\r\n", "\r\n\r\n", "Request(MissingUpgrade)"),
        ("PUT /", "HTTP/1.1 405 Method Not Allowed\r\n", ".\n", "Request(MethodNotGet)"),
        ("GET /favicon.ico", "HTTP/1.1 404 Not Found\r\n", ".\n", "Request(NoPage)"),
    ] {
        let mut lone = Lone::server(4096, &server);
        lone.send(format!("{request} HTTP/1.1\r\nHost: example.com\r\n\r\n"));
        lone.settle();
        assert!(lone.response().starts_with(start), "{}", lone.response());
        assert!(lone.response().ends_with(end), "{}", lone.response());
        lone.ends = true;
        lone.settle();
        assert!(lone.program.events.iter().any(|event| event == error), "{:?}", lone.program.events);
    }
}

/// A client has as long for each 64 KiB of a response as it had for its request; be it what the program says, or a page.
/// One that does not read it is told of as one that did not leave whole.
#[test]
fn a_response_that_is_read_slowly() {
    for responds in [true, false] {
        let page = Reply::ok().body(vec![b'x'; 230_000]);
        let server = Server::default().handshake_timeout(secs(5)).page("/page", page.clone());
        let slow = |pieces: usize| {
            let mut lone = Lone::server(4096, &server);
            lone.program.accepts = false;
            lone.send("GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n");
            lone.settle();
            lone.reads = false;
            if responds {
                lone.program.endpoint.respond(&page, lone.now);
            } else {
                lone.program.endpoint.accept(lone.now);
            }
            for _ in 0..pieces {
                lone.run_for(secs(4));
                for _ in 0..16 {
                    lone.take(4096);
                    lone.settle();
                }
            }
            lone
        };
        let mut read = slow(4);
        assert!(read.response().ends_with(&"x".repeat(230_000)));
        assert_eq!(read.program.events, ["request", "shut down"]);
        assert_eq!(read.run(), secs(2), "it may read that");
        let told = if responds { "over" } else { "Request(MissingUpgrade)" };
        assert_eq!(read.program.events, ["request", "shut down", told]);

        for pieces in [0, 1, 3] {
            let mut left = slow(pieces);
            assert!(!left.program.over);
            assert_eq!(left.run(), secs(5));
            let told = if responds { "TimedOut(OpeningHandshake)" } else { "Request(MissingUpgrade)" };
            assert_eq!(left.program.events, ["request", told]);
        }
    }
}

/// It takes no longer to write a large response to a client that takes little at a time.
#[test]
fn a_large_response_is_not_moved_for_each_byte() {
    let mut lone = Lone::server(61, &Server::default());
    lone.program.accepts = false;
    lone.send("GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n");
    lone.settle();
    // Moved for each write, it would be several gigabytes.
    lone.program.endpoint.respond(Reply::new(200).unwrap().body(vec![b'x'; 1 << 20]), lone.now);
    lone.settle();
    assert!(lone.response().ends_with(&"x".repeat(1 << 20)));
    assert_eq!(lone.program.events, ["request", "shut down"]);
}

/// A refusal keeps its response, with its body, whether that ends or is ended, or comes too slowly.
#[test]
fn a_client_is_refused() {
    for room in ROOMS {
        for (length, ends) in
            [("Content-Length: 6\r\n", false), ("", true), ("Content-Length: 7\r\n", true), ("", false)]
        {
            let mut lone = Lone::client(room, &client());
            lone.send(format!("HTTP/1.1 403 Forbidden\r\n{length}\r\nbanned"));
            lone.ends = ends;
            let took = lone.run();
            assert_eq!(took, secs(if length.is_empty() && !ends { 30 } else { 0 }));
            let Some(Error::Response(ResponseError::Refused(response))) = &lone.program.error else {
                panic!("{:?}", lone.program.events)
            };
            assert_eq!((response.status(), response.body()), (403, b"banned".as_slice()));
            assert_eq!((lone.program.events.len(), &*lone.program.closed()), (1, "not closed"));
        }
    }
}

/// 6455-4.1-39: a response that is none, or accepts something else, fails the client.
#[test]
fn a_response_that_does_not_accept() {
    for response in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "this is not HTTP\r\n\r\n",
        "",
    ] {
        let mut lone = Lone::client(4096, &client());
        lone.send(response);
        lone.ends = true;
        lone.settle();
        let [told] = &lone.program.events[..] else { panic!("{:?}", lone.program.events) };
        assert!(told.starts_with("Response("), "{told}");
        assert!(lone.program.endpoint.due() <= Some(lone.now));
    }
}

/// The opening handshake has its deadline, however the peer dribbles: a client gives up, a server says so by 408.
#[test]
fn the_handshake_takes_too_long() {
    for room in ROOMS {
        let mut pair = Pair::new(room, &client().connect_timeout(secs(3)), &Server::default());
        pair.server.over = true;
        pair.run_for(Duration::from_millis(2999));
        assert!(pair.client.events.is_empty());
        pair.run_for(Duration::from_millis(1));
        assert_eq!(pair.client.events, ["TimedOut(OpeningHandshake)"]);

        let mut lone = Lone::server(room, &Server::default().handshake_timeout(secs(3)));
        for byte in &REQUEST.as_bytes()[..29] {
            lone.send([*byte]);
            lone.run_for(Duration::from_millis(100));
        }
        assert!(lone.seen.is_empty());
        lone.run_for(Duration::from_millis(100));
        assert!(lone.response().starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{}", lone.response());
        assert_eq!(lone.program.events, ["shut down"]);
        assert_eq!(lone.run(), secs(2), "it may read that");
        assert_eq!(lone.program.events, ["shut down", "TimedOut(OpeningHandshake)"]);
    }
}

/// A response that comes in time counts, though the program looks late.
#[test]
fn what_has_come_counts_before_what_is_late() {
    let mut lone = Lone::client(4096, &client().connect_timeout(secs(3)));
    lone.settle();
    let response = accepted(&lone.seen);
    lone.send(response);
    lone.now += secs(100);
    lone.settle();
    assert_eq!(lone.program.events, ["open"]);

    let mut lone = Lone::server(4096, &Server::default());
    lone.settle();
    lone.send(REQUEST);
    lone.now += secs(100);
    lone.settle();
    assert_eq!(lone.program.events, ["request", "open"]);
}

/// The response that accepts has a deadline, too: the peer may send whatever it likes meanwhile.
#[test]
fn the_accepting_response_is_not_read() {
    let mut lone = Lone::server(10, &Server::default().handshake_timeout(secs(3)));
    lone.reads = false;
    lone.send(REQUEST);
    lone.settle();
    for _ in 0..29 {
        lone.send(frame(Role::Server, TEXT, b"!"));
        lone.run_for(Duration::from_millis(100));
    }
    assert_eq!(lone.program.messages.len(), 29);
    lone.run_for(Duration::from_millis(99));
    assert!(!lone.program.over);
    lone.run_for(Duration::from_millis(1));
    assert_eq!(lone.program.events.last().unwrap(), "TimedOut(OpeningHandshake)");
    assert_eq!(lone.program.closed(), "1006 \"\", Transport, not clean");
}

/// Once it was read, that deadline is none any more, though frames behind it wait; the write timeout is for these.
#[test]
fn the_accepting_response_is_read_late() {
    let config = Config::default().write_timeout(secs(3)).no_keepalive();
    let mut lone = Lone::server(1, &Server::default().handshake_timeout(secs(20)).config(config));
    lone.reads = false;
    lone.send(REQUEST);
    lone.settle();
    lone.program.endpoint.send("text").unwrap();
    lone.run_for(secs(19));
    let len = accepted(REQUEST.as_bytes()).len();
    for _ in 0..=len {
        lone.take(1);
        lone.settle();
    }
    lone.run_for(secs(2));
    lone.reads = true;
    lone.settle();
    assert_eq!(lone.program.events, ["request", "open"]);
    assert_eq!(lone.seen[len..], *b"\x81\x04text");
}

/// A transport that ends or fails before the request is whole; one of which nothing came is told the same way.
#[test]
fn the_transport_ends_before_the_request_is_whole() {
    for room in ROOMS {
        for part in ["", "GET / HT", &REQUEST[..REQUEST.len() - 1]] {
            let mut lone = Lone::server(room, &Server::default());
            lone.send(part);
            lone.ends = true;
            assert_eq!(lone.run(), secs(0));
            assert!(lone.response().starts_with("HTTP/1.1 400 "));
            assert_eq!(lone.program.events, ["shut down", "Request(Head(Incomplete))"]);

            let mut lone = Lone::server(room, &Server::default());
            lone.send(part);
            lone.settle();
            lone.to.reset();
            assert_eq!(lone.run(), secs(0));
            assert_eq!(lone.seen, b"");
            assert_eq!(lone.program.events, ["ConnectionLost(ConnectionReset)"]);
        }
        let mut lone = Lone::client(room, &client());
        lone.to.reset();
        lone.settle();
        assert_eq!(lone.program.events, ["ConnectionLost(ConnectionReset)"]);
    }
}

/// A transport that takes nothing any more, or takes no bytes without an error.
#[test]
fn writes_fail_before_there_is_a_connection() {
    for (fault, error) in [(Some(ErrorKind::BrokenPipe), "BrokenPipe"), (None, "WriteZero")] {
        let error = format!("ConnectionLost({error})");
        let mut lone = Lone::client(4096, &client());
        lone.from.fail_writes(fault);
        lone.settle();
        assert_eq!(lone.program.events, [&*error]);

        let mut lone = Lone::server(4096, &Server::default());
        lone.from.fail_writes(fault);
        lone.program.accepts = false;
        lone.send(REQUEST);
        lone.settle();
        lone.program.endpoint.respond(Reply::new(404).unwrap(), lone.now);
        lone.settle();
        assert_eq!(lone.program.events, ["request", &*error]);

        // What is wrong with a request comes first.
        let mut lone = Lone::server(4096, &Server::default());
        lone.from.fail_writes(fault);
        lone.send("nonsense\r\n\r\n");
        lone.settle();
        let [told] = &lone.program.events[..] else { panic!("{:?}", lone.program.events) };
        assert!(told.starts_with("Request("), "{told}");
    }
}

/// A head that never ends is not taken for ever.
#[test]
fn a_head_that_never_ends() {
    let limits = Limits::default().head_bytes(1000);
    let mut lone = Lone::server(4096, &Server::default().limits(limits));
    lone.send("GET / HTTP/1.1\r\n");
    lone.send("A: b\r\n".repeat(100_000));
    lone.settle();
    assert!(lone.response().starts_with("HTTP/1.1 431 "));
    assert_eq!(lone.program.events, ["shut down"]);
    lone.ends = true;
    lone.settle();
    assert_eq!(lone.program.events.len(), 2);
}

/// A stream that is not connected yet says so on some systems, instead of `WouldBlock`: a client is patient with it.
#[test]
fn a_stream_that_is_not_connected_yet() {
    let now = start();
    let mut endpoint = Endpoint::client(&client(), random, now);
    let mut unconnected = Unconnected;
    endpoint.read_from(&mut unconnected, now);
    assert!(matches!(endpoint.next_event(), Ok(None)));
    endpoint.write_to(&mut unconnected, now);
    assert!(matches!(endpoint.next_event(), Ok(None)));
    assert_eq!(endpoint.due(), Some(now + secs(30)));
    let mut request = Vec::new();
    endpoint.write_to(&mut request, now);
    endpoint.read_from(&mut accepted(&request).as_slice(), now);
    assert!(matches!(endpoint.next_event(), Ok(Some(EndpointEvent::Open))));
    // Of one that was connected it is an error.
    endpoint.write_to(&mut request, now);
    assert!(matches!(endpoint.next_event(), Ok(None)));
    endpoint.read_from(&mut unconnected, now);
    assert!(matches!(endpoint.next_event(), Err(Error::ConnectionLost(_))));
}

struct Unconnected;

impl Read for Unconnected {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::NotConnected.into())
    }
}

impl Write for Unconnected {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::NotConnected.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(ErrorKind::NotConnected.into())
    }
}

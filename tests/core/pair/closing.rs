//! The closing handshake between two endpoints: RFC 6455 sections 1.4, 5.5.1 and 7.1.

use std::time::Duration;

use sansocket::{CloseCode, CloseFrame, Closed, Initiator, Message, TimedOut};

use super::link::{Endpoint, Pair};
use crate::common::{Seen, closing, ping, pong, secs, text};

fn close(endpoint: &mut Endpoint, now: std::time::Instant, code: u16, reason: &str) {
    let close = CloseFrame { code: CloseCode::new(code), reason };
    endpoint.connection.close(Some(close), now, &mut endpoint.out).unwrap();
}

fn closed(code: u16, reason: &str, initiator: Initiator) -> Closed {
    Closed::new(CloseCode::new(code), reason, initiator, true)
}

/// 6455-5.5.1-12, 6455-5.5.1-13, 6455-7.1.4-01: the client closes: the server answers and closes the
/// transport at once; the client sees its end one way later, and closes its own.
#[test]
fn the_client_closes() {
    for longest in [1, 3, usize::MAX] {
        let mut pair = Pair::cutting(longest);
        let (began, delay) = (pair.now, pair.delay);
        close(&mut pair.client, began, 1000, "bye");
        pair.run_to_the_end();
        assert_eq!(pair.now - began, 2 * delay, "there and back: nobody waited for a timeout");
        assert_eq!(pair.server.events, [closing(1000, "bye")]);
        assert_eq!(pair.server.closed, Some(closed(1000, "bye", Initiator::Remote)));
        assert_eq!(pair.client.closed, Some(closed(1000, "", Initiator::Local)));
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13: the server closes: it closes the transport when the answer has come.
#[test]
fn the_server_closes() {
    let mut pair = Pair::cutting(2);
    let (began, delay) = (pair.now, pair.delay);
    close(&mut pair.server, began, 1001, "restart");
    pair.run_to_the_end();
    assert_eq!(pair.now - began, 3 * delay);
    assert_eq!(pair.client.closed, Some(closed(1001, "restart", Initiator::Remote)));
    assert_eq!(pair.server.closed, Some(closed(1001, "", Initiator::Local)));
}

/// 6455-5.5.1-16, 6455-5.5.1-07: both close at once: the frames cross, none is answered, both are clean.
#[test]
fn both_close_at_once() {
    let mut pair = Pair::cutting(1);
    let (began, delay) = (pair.now, pair.delay);
    close(&mut pair.client, began, 4000, "client");
    close(&mut pair.server, began, 4001, "server");
    pair.run_to_the_end();
    assert_eq!(pair.now - began, 2 * delay);
    assert_eq!(pair.client.events, [closing(4001, "server")]);
    assert_eq!(pair.server.events, [closing(4000, "client")]);
    assert_eq!(pair.client.closed, Some(closed(4001, "server", Initiator::Local)));
    assert_eq!(pair.server.closed, Some(closed(4000, "client", Initiator::Local)));
}

/// 6455-5.5.2-02: a Ping crosses the Close frame of the other end, which answers it (A13).
#[test]
fn ping_crosses_close() {
    let mut pair = Pair::cutting(1);
    let now = pair.now;
    pair.client.connection.sender().ping(b"crossing", &mut pair.client.out).unwrap();
    close(&mut pair.server, now, 1000, "");
    pair.run_to_the_end();
    assert_eq!(pair.server.events, [ping(b"crossing"), closing(1000, "")]);
    // The client had the server's Close frame first: what comes after it is discarded (section 1.4).
    assert_eq!(pair.client.events, [closing(1000, "")]);
    assert!(pair.client.closed.unwrap().clean && pair.server.closed.unwrap().clean);

    // Sent before that Close frame, the answer arrives.
    let mut pair = Pair::cutting(1);
    pair.client.connection.sender().ping(b"before", &mut pair.client.out).unwrap();
    pair.run_for(pair.delay);
    let now = pair.now;
    close(&mut pair.server, now, 1000, "");
    pair.run_to_the_end();
    assert_eq!(pair.client.events, [pong(b"before"), closing(1000, "")]);
}

/// 6455-5.5.1-06, 6455-1.4-01: messages that are under way when the other end closes still arrive.
#[test]
fn messages_cross_close() {
    let mut pair = Pair::cutting(5);
    let now = pair.now;
    pair.client.send(&Message::text("one"));
    pair.client.send(&Message::text("two"));
    close(&mut pair.server, now, 1000, "");
    pair.run_to_the_end();
    assert_eq!(pair.server.events, [text("one"), text("two"), closing(1000, "")]);
    assert_eq!(pair.server.closed, Some(closed(1000, "", Initiator::Local)));
}

/// 6455-5.5.1-15, 6455-7.1.4-01: the peer never answers the Close frame: the transport is given up when
/// the timeout has passed since the frame was sent, and not cleanly.
#[test]
fn the_peer_does_not_answer() {
    for client_closes in [true, false] {
        let mut pair = Pair::cutting(usize::MAX);
        pair.cut = true;
        let began = pair.now;
        let endpoint = if client_closes { &mut pair.client } else { &mut pair.server };
        close(endpoint, began, 1000, "");
        pair.run_for(Duration::from_millis(9_999));
        let endpoint = if client_closes { &pair.client } else { &pair.server };
        assert_eq!(endpoint.timed_out, None);
        pair.run_for(Duration::from_millis(1));
        let endpoint = if client_closes { pair.client } else { pair.server };
        assert_eq!(endpoint.timed_out, Some(TimedOut::ClosingHandshake));
        let closed = endpoint.closed.unwrap();
        assert_eq!((closed.code.get(), closed.clean, closed.initiator), (1006, false, Initiator::Local));
    }
}

/// The deadline is the first Close frame's: neither data nor Pings put it off.
#[test]
fn a_talkative_peer_does_not_put_off_the_deadline() {
    let mut pair = Pair::cutting(usize::MAX);
    let began = pair.now;
    close(&mut pair.client, began, 1000, "");
    // The server's input is lost, so that it never learns of the Close frame, and talks on.
    pair.client.out.clear();
    for _ in 0..11 {
        pair.server.send(&Message::text("and another thing"));
        pair.run_for(secs(1));
    }
    assert_eq!(pair.client.timed_out, Some(TimedOut::ClosingHandshake));
    let heard = pair.client.events.iter().filter(|event| matches!(event, Seen::Data { .. })).count();
    assert_eq!(heard, 10, "what it says is received until then");
}

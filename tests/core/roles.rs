//! RFC 6455 section 5.1: a client masks every frame, a server none, and each holds the other to it.
#![cfg(feature = "std")]

use std::time::Instant;

use sansocket::{Config, Connection, Event, MessageKind, ProtocolError, Role};

use crate::common::{
    self, BINARY, CLOSE, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, TEXT, close_frame, fails,
    fails_at, frame, give, naive,
};

/// Every kind of frame, as the peer of `to` would send it.
fn all_frames(to: Role) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for first in [FIRST_TEXT, TEXT, FIRST_BINARY, BINARY, CLOSE, PING, PONG] {
        for payload in [&b""[..], b"\x03\xe8payload"] {
            frames.push(frame(to, first, payload));
        }
    }
    frames
}

/// 6455-5.1-02, 6455-5.1-03: a server fails the connection at an unmasked frame of any kind, at its
/// second byte, with 1002; there is no way to make it accept one (A27).
#[test]
fn a_server_refuses_unmasked_frames() {
    let error = ProtocolError::UnmaskedFrameFromClient;
    for unmasked in all_frames(Role::Client) {
        let outcome = fails(Role::Server, &Config::default(), &unmasked, error);
        assert_eq!(outcome.events, []);
        assert_eq!(outcome.replies[0].1[..2], 1002u16.to_be_bytes());
        assert_eq!(fails_at(Role::Server, &Config::default(), &unmasked), (2, error));
    }
    let continuation = [frame(Role::Server, FIRST_TEXT, b"a"), frame(Role::Client, LAST_CONTINUATION, b"b")];
    fails(Role::Server, &Config::default(), &continuation.concat(), error);
}

/// 6455-5.1-05, 6455-5.1-06: a client fails the connection at a masked frame of any kind, at its second
/// byte, with 1002.
#[test]
fn a_client_refuses_masked_frames() {
    let error = ProtocolError::MaskedFrameFromServer;
    for masked in all_frames(Role::Server) {
        let outcome = fails(Role::Client, &Config::default(), &masked, error);
        assert_eq!(outcome.events, []);
        assert_eq!(outcome.replies[0].1[..2], 1002u16.to_be_bytes());
        assert_eq!(fails_at(Role::Client, &Config::default(), &masked), (2, error));
    }
    let continuation = [frame(Role::Client, FIRST_TEXT, b"a"), frame(Role::Server, LAST_CONTINUATION, b"b")];
    fails(Role::Client, &Config::default(), &continuation.concat(), error);
}

/// What an endpoint sends over a life in which it sends every kind of frame, by each call that sends.
fn everything_sent(role: Role) -> Vec<u8> {
    type Close = fn(&mut Connection<Instant>, Role, Instant, &mut Vec<u8>);
    let (mut connection, now) = common::open(role);
    let mut out = Vec::new();
    let sender = connection.sender();
    sender.text("text", &mut out).unwrap();
    sender.text("", &mut out).unwrap();
    sender.binary(&[1; 7_000], &mut out).unwrap();
    sender.fragment(MessageKind::Text, b"frag", false, &mut out).unwrap();
    sender.fragment(MessageKind::Text, b"", false, &mut out).unwrap();
    sender.fragment(MessageKind::Text, b"ment", true, &mut out).unwrap();
    let mut payload = *b"in place";
    let header = sender.fragment_header(MessageKind::Binary, &payload, true).unwrap();
    header.mask(&mut payload);
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&payload);
    sender.ping(b"ping", &mut out).unwrap();
    sender.pong(b"pong", &mut out).unwrap();
    sender.answer(&Event::Ping(b"answered"), &mut out);
    give(&mut connection, &frame(role, PING, b"coupled"), now, &mut out);
    let closes: [Close; 3] = [
        |connection, _, now, out| connection.close(None, now, out).unwrap(),
        |connection, role, now, out| drop(give(connection, &close_frame(role, 1000, "bye"), now, out)),
        |connection, _, now, out| assert!(connection.receive(&mut [0xff], now, out).is_err()),
    ];
    for close in closes {
        close(&mut common::open(role).0, role, now, &mut out);
    }
    // Due after 20 seconds of silence.
    connection.handle_timeout(now + common::secs(30), &mut out).unwrap();
    out
}

/// Whether each frame in `out` is masked.
fn masked(mut out: &[u8]) -> Vec<bool> {
    let mut masked = Vec::new();
    while let Ok(Some(frame)) = naive::decode(out) {
        masked.push(frame.masked);
        out = &out[frame.len..];
    }
    assert_eq!(out, [], "whole frames");
    masked
}

/// 6455-5.1-01, 6455-5.3-01, 6455-6.1-08, 6455-5.5.1-05: every frame that a client sends is masked: data,
/// fragments, Ping, Pong, the Close frames that begin, answer and fail, and the keepalive's.
#[test]
fn a_client_masks_every_frame() {
    let frames = masked(&everything_sent(Role::Client));
    assert_eq!(frames, [true; 15]);
}

/// 6455-5.1-04: no frame that a server sends is masked.
#[test]
fn a_server_masks_no_frame() {
    let frames = masked(&everything_sent(Role::Server));
    assert_eq!(frames, [false; 15]);
}

/// What one role sends, the other receives: of every kind of frame.
#[test]
fn the_roles_understand_each_other() {
    for (role, peer) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        let out = everything_sent(role);
        let outcome = common::every_way(peer, &Config::default(), &out);
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.messages().len(), 5);
        assert_eq!(outcome.closed.code.get(), 1005, "the first Close frame's, which had no code");
    }
}

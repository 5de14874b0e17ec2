//! RFC 6455 section 5.5, control frames; 5.5.2, Ping; 5.5.3, Pong. Close has a file of its own.
#![cfg(feature = "std")]

use sansocket::{CloseCode, CloseFrame, Config, Connection, Event, ProtocolError, Role, SendError, Sender};

use crate::common::{
    self, CLOSE, Outcome, PING, PONG, ROLES, announced, close_frame, closing, every_way, fails, fails_at,
    frame, give, header, ping, pong, sent,
};

/// 6455-5.5-01: a control frame with a length above 125 fails at its second byte, whatever it holds.
#[test]
fn longer_than_125_bytes_fails() {
    let error = ProtocolError::ControlFrameTooLong;
    for role in ROLES {
        let config = Config::default();
        for first in [CLOSE, PING, PONG] {
            for len in [126, 127, 200, 65535, 65536, 1 << 40] {
                let bytes = announced(role, first, len);
                fails(role, &config, &bytes, error);
                assert_eq!(fails_at(role, &config, &bytes), (2, error));
            }
            fails(role, &config, &frame(role, first, &[b'a'; 126]), error);
        }
    }
}

/// 6455-5.5-02, 6455-5.4-05: a control frame without FIN fails at its first byte; also inside a
/// fragmented message.
#[test]
fn fragmented_control_frames_fail() {
    let error = ProtocolError::FragmentedControlFrame;
    for role in ROLES {
        let config = Config::default();
        for before in [Vec::new(), frame(role, common::FIRST_TEXT, b"message")] {
            for first in [CLOSE, PING, PONG] {
                for payload in [&b""[..], b"\x03\xe8"] {
                    let control = frame(role, first & !common::FIN, payload);
                    let bytes = [before.clone(), control].concat();
                    fails(role, &config, &bytes, error);
                    assert_eq!(fails_at(role, &config, &bytes), (before.len() + 1, error));
                }
            }
        }
    }
}

/// 6455-5.5-01, 6455-5.5-02, 6455-5.4-05: control frames that are sent have at most 125 bytes, and FIN:
/// no call makes one without. A longer one is refused, and nothing sent.
#[test]
fn longer_than_125_bytes_is_not_sent() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        let too_long = [0; 126];
        assert_eq!(connection.sender().ping(&too_long, &mut out), Err(SendError::ControlPayloadTooLong));
        assert_eq!(connection.sender().pong(&too_long, &mut out), Err(SendError::ControlPayloadTooLong));
        let reason = "a".repeat(124);
        let close = CloseFrame { code: CloseCode::NORMAL, reason: &reason };
        assert_eq!(connection.close(Some(close), now, &mut out), Err(SendError::CloseReasonTooLong));
        assert_eq!(out, [], "nothing was sent");

        connection.sender().ping(&too_long[1..], &mut out).unwrap();
        connection.sender().pong(&too_long[1..], &mut out).unwrap();
        let close = CloseFrame { code: CloseCode::NORMAL, reason: &reason[1..] };
        connection.close(Some(close), now, &mut out).unwrap();
        let expected =
            [(PING, vec![0; 125]), (PONG, vec![0; 125]), (CLOSE, common::close_payload(1000, &reason[1..]))];
        assert_eq!(sent(role, &out), expected);
    }
}

/// 6455-5.5.2-01, 6455-5.5.2-02, 6455-5.5.3-01, 6455-6.2-02: a Ping is answered with a Pong that has the same payload,
/// of whatever length and bytes.
#[test]
fn ping_is_answered() {
    for role in ROLES {
        for len in 0..=125 {
            let payload = common::pseudo_random(len, usize::try_from(len).unwrap());
            let outcome = every_way(role, &Config::default(), &frame(role, PING, &payload));
            assert_eq!(outcome.events, [ping(&payload)]);
            assert_eq!(outcome.replies, [(PONG, payload)]);
        }
    }
}

/// 6455-5.5.2-03: each of several Pings is answered, in their order, while there is room.
#[test]
fn each_ping_is_answered() {
    for role in ROLES {
        let pings = (0..10u8).map(|i| frame(role, PING, &[i])).collect::<Vec<_>>();
        let outcome = every_way(role, &Config::default(), &pings.concat());
        let expected = (0..10).map(|i| (PONG, vec![i])).collect::<Vec<_>>();
        assert_eq!(outcome.replies, expected);
    }
}

/// 6455-5.5.2-02: a Ping is answered after this endpoint's own Close frame too, as long as the peer's
/// has not come (A13); after the peer's, it is not even looked at.
#[test]
fn ping_and_close() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.close(None, now, &mut out).unwrap();
        let bytes = [frame(role, PING, b"before"), frame(role, CLOSE, b""), frame(role, PING, b"after")];
        let events = give(&mut connection, &bytes.concat(), now, &mut out);
        assert_eq!(events, [ping(b"before"), common::Seen::Close(None)]);
        assert_eq!(sent(role, &out), [(CLOSE, vec![]), (PONG, b"before".to_vec())]);

        let bytes = [close_frame(role, 1000, ""), frame(role, PING, b"after")];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        assert_eq!(outcome.events, [closing(1000, "")]);
        assert_eq!(outcome.replies, [(CLOSE, b"\x03\xe8".to_vec())]);
    }
}

/// 6455-5.5.3-04: a Pong, asked for or not, gets no answer.
#[test]
fn pong_is_not_answered() {
    for role in ROLES {
        for payload in [&b""[..], b"unasked", &[0xff; 125]] {
            let outcome = every_way(role, &Config::default(), &frame(role, PONG, payload));
            let Outcome { events, replies, .. } = outcome;
            assert_eq!((events, replies), (vec![pong(payload)], vec![]));
        }
    }
}

/// 6455-5.5.3-02: a flood of Pings, while nothing can be written, does not make the output grow beyond
/// its bound; once it was written, the latest Ping is answered, and no other.
#[test]
fn ping_flood() {
    const BOUND: usize = 1000;
    let config = Config::default().write_buffer_size(BOUND);
    for role in ROLES {
        let now = common::start();
        let mut connection = common::connection(role, &config, now);
        let mut out = Vec::new();
        for i in 0..10_000u32 {
            let payload = [&i.to_be_bytes()[..], &[0; 121]].concat();
            give(&mut connection, &frame(role, PING, &payload), now, &mut out);
        }
        assert!(out.len() <= BOUND + 4 + 2 + 125, "{}", out.len());
        let answered = sent(role, &out);
        for (i, (first, payload)) in (0u32..).zip(&answered) {
            assert_eq!((*first, &payload[..4]), (PONG, &i.to_be_bytes()[..]), "the first ones, in order");
        }

        connection.on_written(1, now, &mut out);
        assert_eq!(sent(role, &out).len(), answered.len(), "there is still no room");
        out.clear();
        connection.on_written(1, now, &mut out);
        let held = sent(role, &out);
        assert_eq!((held.len(), &held[0].1[..4]), (1, &9_999u32.to_be_bytes()[..]));
        out.clear();
        connection.on_written(1, now, &mut out);
        assert_eq!(out, [], "once");
    }
}

/// A connection whose `out` was full when the Ping "held" came.
fn with_a_pong_held(role: Role) -> (Connection<std::time::Instant>, std::time::Instant) {
    let now = common::start();
    let config = Config::default().write_buffer_size(10);
    let mut connection = common::connection(role, &config, now);
    let mut full = vec![0; 11];
    give(&mut connection, &frame(role, PING, b"held"), now, &mut full);
    assert_eq!(full.len(), 11);
    (connection, now)
}

/// 6455-5.5.3-02: the answer to a newer Ping stands for the one held back: Pongs never go backwards.
#[test]
fn a_newer_pong_replaces_the_held_one() {
    for role in ROLES {
        let (mut connection, now) = with_a_pong_held(role);
        let mut out = Vec::new();
        give(&mut connection, &frame(role, PING, b"newer"), now, &mut out);
        assert_eq!(sent(role, &out), [(PONG, b"newer".to_vec())]);
        out.clear();
        connection.on_written(1, now, &mut out);
        assert_eq!(out, []);
    }
}

/// 6455-5.5.2-02: a Pong held back is not sent once the peer's Close frame has come, nor after failing;
/// it is after this endpoint's own Close.
#[test]
fn a_held_pong_and_close() {
    for role in ROLES {
        let mut out = Vec::new();
        let (mut connection, now) = with_a_pong_held(role);
        give(&mut connection, &close_frame(role, 1000, ""), now, &mut out);
        connection.on_written(1, now, &mut out);
        assert_eq!(sent(role, &out), [(CLOSE, b"\x03\xe8".to_vec())]);

        out.clear();
        let (mut connection, now) = with_a_pong_held(role);
        connection.receive(&mut [0xff], now, &mut out).unwrap_err();
        assert_eq!(sent(role, &out).len(), 1);
        out.clear();
        connection.on_written(1, now, &mut out);
        assert_eq!(out, []);

        out.clear();
        let (mut connection, now) = with_a_pong_held(role);
        connection.close(None, now, &mut out).unwrap();
        connection.on_written(1, now, &mut out);
        assert_eq!(sent(role, &out), [(CLOSE, vec![]), (PONG, b"held".to_vec())]);

        out.clear();
        let (mut connection, now) = with_a_pong_held(role);
        connection.close(None, now, &mut out).unwrap();
        give(&mut connection, &frame(role, CLOSE, b""), now, &mut out);
        connection.on_written(1, now, &mut out);
        assert_eq!(sent(role, &out), [(CLOSE, vec![])]);
    }
}

/// 6455-5.5.2-02: with the smallest write buffer there is, Pings are still answered when nothing waits.
#[test]
fn no_write_buffer() {
    for role in ROLES {
        let config = Config::default().write_buffer_size(0);
        let mut connection = common::connection(role, &config, common::start());
        let mut out = Vec::new();
        give(&mut connection, &frame(role, PING, b"1"), common::start(), &mut out);
        give(&mut connection, &frame(role, PING, b"2"), common::start(), &mut out);
        assert_eq!(sent(role, &out), [(PONG, b"1".to_vec())]);
        out.clear();
        connection.on_written(1, common::start(), &mut out);
        assert_eq!(sent(role, &out), [(PONG, b"2".to_vec())]);
    }
}

/// 6455-5.5.2-04, 6455-5.5.3-03: Pings and unasked Pongs are sent until the Close frame, and not after.
#[test]
fn ping_and_pong_while_open() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.sender().ping(b"", &mut out).unwrap();
        connection.sender().pong(b"heartbeat", &mut out).unwrap();
        assert_eq!(sent(role, &out), [(PING, vec![]), (PONG, b"heartbeat".to_vec())]);
        connection.close(None, now, &mut out).unwrap();
        let before = out.len();
        assert_eq!(connection.sender().ping(b"", &mut out), Err(SendError::Closing));
        assert_eq!(connection.sender().pong(b"", &mut out), Err(SendError::Closing));
        assert_eq!(out.len(), before);
    }
}

/// Without a [`Connection`], [`Sender::answer`] says whether it sent anything.
#[test]
fn answer_tells_whether_it_sent() {
    let mut sender = Sender::server(&Config::default().write_buffer_size(1));
    let mut out = Vec::new();
    assert!(!sender.answer(&Event::Pong(b""), &mut out));
    assert!(sender.answer(&Event::Ping(b""), &mut out));
    assert!(!sender.answer(&Event::Ping(b"held"), &mut out));
    assert!(!sender.answer_held(&mut out));
    out.clear();
    assert!(sender.answer_held(&mut out));
    assert!(!sender.answer_held(&mut Vec::new()));
    assert!(sender.answer(&Event::Close(None), &mut out));
    assert!(!sender.answer(&Event::Close(None), &mut out));
    assert_eq!(out, [&header(PONG, false, 4)[..], b"held", &header(CLOSE, false, 0)].concat());
}

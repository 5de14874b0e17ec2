//! RFC 6455 section 10.4, implementation-specific limits.
#![cfg(feature = "std")]

use sansocket::{Config, Connection, MessageKind, ProtocolError};

use crate::common::{
    self, BINARY, CONTINUATION, FIRST_BINARY, LAST_CONTINUATION, PING, ROLES, TEXT, announced, binary,
    every_way, fails, fails_at, frame, pseudo_random,
};

/// 6455-10.4-01, 6455-7.4.1-08: a frame at the limit passes; one byte more fails with 1009.
#[test]
fn frame_size() {
    for role in ROLES {
        for limit in [0u64, 1, 125, 126, 1000, 65535, 65536] {
            let config = Config::default().max_frame_size(limit);
            let payload = pseudo_random(1, usize::try_from(limit).unwrap());
            let outcome = every_way(role, &config, &frame(role, BINARY, &payload));
            assert_eq!((outcome.events, outcome.error), (vec![binary(&payload)], None));
            for first in [TEXT, BINARY, FIRST_BINARY] {
                let outcome =
                    fails(role, &config, &announced(role, first, limit + 1), ProtocolError::FrameTooBig);
                assert_eq!(outcome.replies[0].1[..2], 1009u16.to_be_bytes());
            }
        }
    }
}

/// 6455-10.4-01, 6455-7.4.1-08: a message at the limit passes, in one frame or in many; one byte more
/// fails with 1009, in whichever frame it is.
#[test]
fn message_size() {
    for role in ROLES {
        for limit in [0u64, 1, 125, 1000] {
            let config = Config::default().max_message_size(limit);
            let payload = pseudo_random(2, usize::try_from(limit).unwrap());
            let outcome = every_way(role, &config, &frame(role, BINARY, &payload));
            assert_eq!(outcome.events, [binary(&payload)]);
            let error = ProtocolError::MessageTooBig;
            let outcome = fails(role, &config, &announced(role, BINARY, limit + 1), error);
            assert_eq!(outcome.replies[0].1[..2], 1009u16.to_be_bytes());

            for cut in [0, payload.len() / 2, payload.len()] {
                let (front, back) = payload.split_at(cut);
                let begun = [frame(role, FIRST_BINARY, front), frame(role, CONTINUATION, back)].concat();
                let bytes = [begun.clone(), frame(role, LAST_CONTINUATION, b"")].concat();
                let outcome = every_way(role, &config, &bytes);
                assert_eq!(outcome.messages(), [(MessageKind::Binary, payload.clone())]);
                fails(role, &config, &[begun, announced(role, LAST_CONTINUATION, 1)].concat(), error);
            }
        }
    }
}

/// 6455-10.4-01: the number of fragments at the limit passes; one more, empty ones included, fails with
/// 1008 (A12).
#[test]
fn fragments() {
    for role in ROLES {
        for limit in 1..=4u32 {
            let config = Config::default().max_fragments(limit);
            let more = usize::try_from(limit).unwrap() - 1;
            let begun = frame(role, FIRST_BINARY, b"");
            let rest = frame(role, CONTINUATION, b"").repeat(more);
            let outcome = every_way(role, &config, &[begun, rest].concat());
            assert_eq!((outcome.events.len(), outcome.error), (more + 1, None));

            let begun = frame(role, FIRST_BINARY, b"");
            let rest = frame(role, CONTINUATION, b"").repeat(more);
            let bytes = [begun, rest, frame(role, LAST_CONTINUATION, b"")].concat();
            let outcome = fails(role, &config, &bytes, ProtocolError::TooManyFragments);
            assert_eq!(outcome.replies[0].1[..2], 1008u16.to_be_bytes());
        }
        // With the smallest number, messages in one frame still pass.
        let config = Config::default().max_fragments(1);
        let outcome = every_way(role, &config, &frame(role, BINARY, b"a").repeat(3));
        assert_eq!(outcome.messages().len(), 3);
    }
}

/// 6455-10.4-01: the limits are of each message: those before it do not count, nor do control frames.
#[test]
fn limits_are_of_each_message() {
    for role in ROLES {
        let config = Config::default().max_frame_size(10).max_message_size(15).max_fragments(3);
        let message = [
            frame(role, FIRST_BINARY, b"0123456789"),
            frame(role, PING, &[0; 125]),
            frame(role, CONTINUATION, b"01234"),
            frame(role, PING, &[0; 125]),
            frame(role, LAST_CONTINUATION, b""),
        ]
        .concat();
        let outcome = every_way(role, &config, &message.repeat(3));
        assert_eq!((outcome.messages().len(), outcome.error), (3, None));
    }
}

/// 6455-10.4-01: a limit is decided at the last byte of the header, before any byte of the payload.
#[test]
fn limits_are_decided_at_the_header() {
    for role in ROLES {
        for len in [11, 126, 65536, 1 << 32, (1 << 63) - 1] {
            let header = announced(role, BINARY, len);
            let bytes = [&header[..], b"payload"].concat();
            let config = Config::default().max_frame_size(10);
            assert_eq!(fails_at(role, &config, &bytes), (header.len(), ProtocolError::FrameTooBig));
            let config = Config::default().max_frame_size(u64::MAX).max_message_size(10);
            assert_eq!(fails_at(role, &config, &bytes), (header.len(), ProtocolError::MessageTooBig));
        }
    }
}

/// 6455-10.4-01: lengths near the end of what 64 bits hold neither wrap nor panic, nor is memory
/// reserved for them: neither in one frame, nor in the sum of a message's.
#[test]
fn no_overflow() {
    let unlimited = Config::default().max_frame_size(u64::MAX).max_message_size(u64::MAX);
    let largest = (1 << 63) - 1;
    for role in ROLES {
        let start = [announced(role, BINARY, largest), b"start".to_vec()].concat();
        for receive in [Connection::receive, Connection::receive_part] {
            let outcome = common::run(role, &unlimited, receive, [&start]);
            assert_eq!(outcome.error, None, "it may come");
        }
        // A message that has one byte, and is to have 2^63 in all.
        let begun = frame(role, FIRST_BINARY, b"a");
        let more = [begun.clone(), announced(role, CONTINUATION, largest)].concat();
        assert_eq!(common::run(role, &unlimited, Connection::receive, [&more]).error, None);
        let config = unlimited.clone().max_message_size(largest);
        assert_eq!(fails_at(role, &config, &more).1, ProtocolError::MessageTooBig);
        let config = unlimited.clone().max_message_size(largest + 1);
        assert_eq!(common::run(role, &config, Connection::receive, [&more]).error, None);
    }
}

/// 6455-10.4-01, 6455-10.4-02: without being asked, a connection has limits.
#[test]
fn defaults_are_finite() {
    for role in ROLES {
        let config = Config::default();
        let limit = 64 << 20;
        assert_eq!(
            fails_at(role, &config, &announced(role, BINARY, limit + 1)).1,
            ProtocolError::FrameTooBig
        );
        let begun = [frame(role, FIRST_BINARY, b"a"), announced(role, CONTINUATION, limit)].concat();
        assert_eq!(fails_at(role, &config, &begun).1, ProtocolError::MessageTooBig);
        let many = [frame(role, FIRST_BINARY, b""), frame(role, CONTINUATION, b"").repeat(131_072)].concat();
        let outcome = common::run(role, &config, Connection::receive, [&many]);
        assert_eq!(outcome.error, Some(ProtocolError::TooManyFragments));
        assert_eq!(outcome.events.len(), 131_072);
    }
}

/// 6455-10.4-01: receiving by parts is held to the same limits.
#[test]
fn parts_are_limited_too() {
    for role in ROLES {
        let config = Config::default().max_message_size(100);
        let bytes = [
            frame(role, FIRST_BINARY, &[0; 60]),
            frame(role, CONTINUATION, &[0; 40]),
            announced(role, CONTINUATION, 1),
        ]
        .concat();
        let outcome = common::run(role, &config, Connection::receive_part, bytes.chunks(7));
        assert_eq!(outcome.error, Some(ProtocolError::MessageTooBig));
    }
}

//! RFC 6455 section 5.6, data frames; 6.1, sending data; 6.2, receiving data.
#![cfg(feature = "std")]

use sansocket::{
    Config, Connection, Event, MessageKind, PreparedMessage, ReadyState, ReceiveState, Receiver, Role,
    SendError,
};

use crate::common::{
    self, BINARY, CLOSE, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, Noise, PING, PONG, ROLES,
    TEXT, announced, binary, every_way, fragment, frame, give, pseudo_random, sent, text,
};

/// 6455-5.6-03, 6455-6.2-03, 6455-6.2-04, 6455-6.2-08: a binary message arrives byte for byte, whatever
/// the bytes; a text message as text: the opcode says which.
#[test]
fn messages_received() {
    let all = (0..=u8::MAX).collect::<Vec<_>>();
    for role in ROLES {
        let bytes = [
            frame(role, BINARY, &all),
            frame(role, TEXT, "text — 🦀".as_bytes()),
            frame(role, BINARY, "text — 🦀".as_bytes()),
            frame(role, TEXT, b""),
            frame(role, BINARY, b""),
        ];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        let as_bytes = "text — 🦀".as_bytes();
        let expected = [binary(&all), text("text — 🦀"), binary(as_bytes), text(""), binary(b"")];
        assert_eq!(outcome.events, expected);
        assert_eq!((outcome.error, outcome.replies), (None, vec![]));
    }
}

/// 6455-5.6-01, 6455-5.6-02: a text message's fragments may end inside a code point.
#[test]
fn text_cut_inside_code_points() {
    for role in ROLES {
        let crab = "🦀".as_bytes();
        let bytes = [
            frame(role, FIRST_TEXT, &crab[..1]),
            frame(role, CONTINUATION, &crab[1..3]),
            frame(role, CONTINUATION, b""),
            frame(role, LAST_CONTINUATION, &crab[3..]),
        ];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        assert_eq!(outcome.messages(), [(MessageKind::Text, crab.to_vec())]);
    }
}

/// 6455-5.1-07, 6455-6.1-01, 6455-6.1-04, 6455-6.1-06, 6455-6.1-07, 6455-6.1-08, 6455-5.6-03: a message goes out as
/// one frame with its type and FIN, masked by a client, and arrives as it was sent.
#[test]
fn messages_sent() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 65535, 65536, 100_000] {
            let payload = pseudo_random(21, len);
            let words = "ñ".repeat(len / 2);
            let (mut connection, _) = common::open(role);
            let mut out = Vec::new();
            connection.sender().binary(&payload, &mut out).unwrap();
            connection.sender().text(&words, &mut out).unwrap();
            // Masked by a client, and by nobody else: `sent` demands it.
            assert_eq!(sent(role, &out), [(BINARY, payload.clone()), (TEXT, words.clone().into())]);

            let (mut peer, now) = common::open(other(role));
            let events = give(&mut peer, &out, now, &mut Vec::new());
            assert_eq!(events, [binary(&payload), text(&words)]);
        }
    }
}

/// A message that was framed once goes out on every connection as if it had been sent on it alone: the same
/// frame from all servers; with keys of their own from clients; and not where no message may be sent.
#[test]
fn framed_once() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 65535, 65536, 100_000] {
            let words = "ñ".repeat(len / 2);
            let framed = [PreparedMessage::new(pseudo_random(22, len)), PreparedMessage::new(words.as_str())];
            assert_eq!(framed[0].payload(), pseudo_random(22, len));
            assert_eq!((framed[1].kind(), framed[1].payload()), (MessageKind::Text, words.as_bytes()));
            for _ in 0..2 {
                let (mut connection, _) = common::open(role);
                let mut out = Vec::new();
                for message in &framed {
                    connection.sender().prepared(message, &mut out).unwrap();
                }
                let (mut peer, now) = common::open(other(role));
                let events = give(&mut peer, &out, now, &mut Vec::new());
                assert_eq!(events, [binary(&pseudo_random(22, len)), text(&words)]);
            }
        }

        let framed = PreparedMessage::new("text");
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.sender().fragment(MessageKind::Text, b"begun", false, &mut out).unwrap();
        let before = out.len();
        assert_eq!(connection.sender().prepared(&framed, &mut out), Err(SendError::MessageInProgress));
        assert_eq!(out.len(), before);
        connection.close(None, now, &mut out).unwrap();
        let before = out.len();
        assert_eq!(connection.sender().prepared(&framed, &mut out), Err(SendError::Closing));
        assert_eq!(out.len(), before);
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// 6455-6.1-02, 6455-5.5.1-06: data is sent in the OPEN state only: after a Close frame was sent, or
/// received and answered, every kind of data is refused, and no byte is sent. (CONNECTING has no
/// `Connection`, and so nothing to send with.)
#[test]
fn data_is_sent_while_open_only() {
    for role in ROLES {
        for we_close in [true, false] {
            let (mut connection, now) = common::open(role);
            let mut out = Vec::new();
            assert_eq!(connection.ready_state(), ReadyState::Open);
            if we_close {
                connection.close(None, now, &mut out).unwrap();
            } else {
                give(&mut connection, &frame(role, CLOSE, b""), now, &mut out);
            }
            assert_eq!(connection.ready_state(), ReadyState::Closing);
            let before = out.len();
            let sender = connection.sender();
            assert_eq!(sender.text("text", &mut out), Err(SendError::Closing));
            assert_eq!(sender.binary(b"binary", &mut out), Err(SendError::Closing));
            assert_eq!(sender.text_header("text"), Err(SendError::Closing));
            assert_eq!(sender.binary_header(b"binary"), Err(SendError::Closing));
            for last in [true, false] {
                let refused = sender.fragment(MessageKind::Text, b"a", last, &mut out);
                assert_eq!(refused, Err(SendError::Closing));
                let refused = sender.fragment_header(MessageKind::Text, b"a", last);
                assert_eq!(refused, Err(SendError::Closing));
            }
            assert_eq!(out.len(), before);
        }
    }
}

/// 6455-6.1-03, 6455-5.5.1-06: a Close frame between fragments ends the message: the rest is refused.
#[test]
fn closing_aborts_a_message() {
    for role in ROLES {
        for we_close in [true, false] {
            let (mut connection, now) = common::open(role);
            let mut out = Vec::new();
            connection.sender().fragment(MessageKind::Text, b"begun", false, &mut out).unwrap();
            if we_close {
                connection.close(None, now, &mut out).unwrap();
            } else {
                give(&mut connection, &frame(role, CLOSE, b""), now, &mut out);
            }
            let refused = connection.sender().fragment(MessageKind::Text, b"ended", true, &mut out);
            assert_eq!(refused, Err(SendError::Closing));
            assert_eq!(sent(role, &out), [(FIRST_TEXT, b"begun".to_vec()), (CLOSE, vec![])]);
        }
    }
}

/// A refused call leaves the output, and the message in progress, as they were.
#[test]
fn what_is_refused_changes_nothing() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = b"what waits to be written".to_vec();
        let before = out.clone();
        let sender = connection.sender();
        sender.fragment(MessageKind::Text, b"\xff", false, &mut out).unwrap_err();
        sender.ping(&[0; 126], &mut out).unwrap_err();
        let code = sansocket::CloseCode::new(1005);
        let close = sansocket::CloseFrame { code, reason: "" };
        connection.close(Some(close), now, &mut out).unwrap_err();
        assert_eq!(out, before);
        assert_eq!(connection.ready_state(), ReadyState::Open);
        connection.sender().text("and now", &mut out).unwrap();
        assert_eq!(sent(role, &out[before.len()..]), [(TEXT, b"and now".to_vec())]);
    }
}

/// 6455-6.2-04: the payload's position is told, so that it can be cut out of the input without a copy.
#[test]
fn positions() {
    for role in ROLES {
        let bytes = [frame(role, BINARY, b"one"), frame(role, PING, b"two"), frame(role, BINARY, &[3; 300])];
        let mut input = bytes.concat();
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        for (payload, whole) in [&b"one"[..], b"two", &[3; 300]].into_iter().zip(&bytes) {
            let received = connection.receive(&mut input, now, &mut out).unwrap().unwrap();
            assert_eq!(input[received.payload()], *payload);
            assert_eq!(received.consumed(), whole.len());
            assert_eq!(received.payload().end, received.consumed());
            input.drain(..received.consumed());
        }
        assert_eq!(input, []);
    }
}

/// How much is missing of the frame in progress is told, for a reader to make room.
#[test]
fn missing() {
    for role in ROLES {
        let mut receiver = Receiver::new(role, &Config::default());
        let bytes = frame(role, BINARY, &[1; 1000]);
        let header = bytes.len() - 1000;
        let mut input = Vec::new();
        for (i, byte) in bytes.iter().enumerate() {
            assert_eq!(receiver.missing(), if i < header { 0 } else { (bytes.len() - i) as u64 });
            input.push(*byte);
            assert_eq!(receiver.receive(&mut input).unwrap().is_some(), i + 1 == bytes.len());
        }
        assert_eq!((receiver.missing(), receiver.state()), (0, ReceiveState::Open));
    }
}

/// 6455-6.2-04: a frame of 16 MiB passes through a buffer of 4 KiB, part by part, with a control frame
/// after it, and never more than what one read brings is held.
#[test]
fn a_huge_frame_by_parts() {
    const LEN: usize = 16 << 20;
    const READ: usize = 4 << 10;
    for (role, first) in ROLES.into_iter().flat_map(|role| [(role, TEXT), (role, BINARY)]) {
        // Text whose code points lie across the ends of the reads.
        let payload = "€🦀a".repeat(LEN / 8);
        let bytes = [frame(role, first, payload.as_bytes()), frame(role, PING, b"after")].concat();
        let (mut connection, now) = common::open(role);
        let (mut input, mut out) = (Vec::with_capacity(READ), Vec::new());
        let mut position = 0;
        let mut ended = false;
        for read in bytes.chunks(READ) {
            input.extend_from_slice(read);
            while let Some(received) = connection.receive_part(&mut input, now, &mut out).unwrap() {
                if let Some(Event::Data(part)) = received.event(&input) {
                    assert_eq!(part.first, position == 0);
                    assert_eq!(part.payload, &payload.as_bytes()[position..][..part.payload.len()]);
                    position += part.payload.len();
                    ended = part.last;
                    assert_eq!(ended, position == LEN);
                }
                input.drain(..received.consumed());
            }
            assert!(input.len() < 16, "only an incomplete header stays");
        }
        assert!(ended && input.capacity() <= READ + 16);
        assert_eq!(sent(role, &out), [(PONG, b"after".to_vec())]);
    }
}

/// 6455-6.2-04: `receive` and `receive_part` can be mixed, within a message and within a frame.
#[test]
fn parts_and_frames_mixed() {
    let mut noise = Noise::new(22);
    for round in 0..300 {
        for role in ROLES {
            let first = pseudo_random(round, 40);
            let second = pseudo_random(round + 1, 300);
            let bytes = [
                frame(role, FIRST_BINARY, &first),
                frame(role, PING, b"between"),
                frame(role, LAST_CONTINUATION, &second),
                frame(role, TEXT, "and a text 🦀".as_bytes()),
            ]
            .concat();
            let (mut connection, now) = common::open(role);
            let (mut input, mut out) = (Vec::new(), Vec::new());
            let mut messages = Vec::new();
            let mut joined = Vec::new();
            for piece in common::cut_at_random(&mut noise, &bytes, 30) {
                input.extend_from_slice(piece);
                loop {
                    let receive = match noise.below(2) {
                        0 => Connection::receive,
                        _ => Connection::receive_part,
                    };
                    let Some(received) = receive(&mut connection, &mut input, now, &mut out).unwrap() else {
                        break;
                    };
                    if let Some(Event::Data(part)) = received.event(&input) {
                        assert_eq!(part.first, joined.is_empty());
                        joined.extend_from_slice(part.payload);
                        if part.last {
                            messages.push((part.kind, std::mem::take(&mut joined)));
                        }
                    }
                    input.drain(..received.consumed());
                }
            }
            let expected = [
                (MessageKind::Binary, [first, second].concat()),
                (MessageKind::Text, "and a text 🦀".into()),
            ];
            assert_eq!(messages, expected);
            assert_eq!(sent(role, &out), [(PONG, b"between".to_vec())]);
        }
    }
}

/// Parts are of data frames only: a control frame is handed out whole.
#[test]
fn control_frames_have_no_parts() {
    for role in ROLES {
        let bytes = frame(role, PING, b"ping");
        let (mut connection, now) = common::open(role);
        let (mut input, mut out) = (Vec::new(), Vec::new());
        for byte in &bytes[..bytes.len() - 1] {
            input.push(*byte);
            assert_eq!(connection.receive_part(&mut input, now, &mut out), Ok(None));
        }
        assert_eq!(give(&mut connection, &[], now, &mut out), []);
        input.push(bytes[bytes.len() - 1]);
        let received = connection.receive_part(&mut input, now, &mut out).unwrap().unwrap();
        assert_eq!(received.event(&input), Some(Event::Ping(b"ping")));
    }
}

/// A part is handed out once there is one: a header alone, or nothing new, gives none.
#[test]
fn no_empty_parts() {
    for role in ROLES {
        let mut receiver = Receiver::new(role, &Config::default());
        let mut input = announced(role, BINARY, 100);
        assert_eq!(receiver.receive_part(&mut input), Ok(None));
        let header = input.len();
        input.extend_from_slice(&frame(role, BINARY, &[7; 100])[header..][..10]);
        let part = receiver.receive_part(&mut input).unwrap().unwrap();
        let expected = fragment(MessageKind::Binary, true, false, &[7; 10]);
        assert_eq!(part.event(&input).map(common::Seen::from), Some(expected));
        input.drain(..part.consumed());
        assert_eq!(input, []);
        assert_eq!(receiver.receive_part(&mut input), Ok(None));
        assert_eq!(receiver.missing(), 90);
    }
}

//! RFC 6455 section 5.4, fragmentation.
#![cfg(feature = "std")]

use sansocket::{Assembler, Config, Event, Fragment, Message, MessageKind, ProtocolError, Role, SendError};

use crate::common::{
    self, BINARY, CLOSE, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, Noise, PING, PONG, ROLES,
    TEXT, closing, every_way, fails, fails_at, fragment, frame, ping, pong, pseudo_random, sent, text,
};

/// A message in fragments, as the peer of `to` sends them.
fn fragments(to: Role, kind: MessageKind, payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, payload) in payloads.iter().enumerate() {
        let opcode = if i == 0 { kind.opcode() as u8 } else { CONTINUATION };
        let fin = if i + 1 == payloads.len() { common::FIN } else { 0 };
        bytes.extend(frame(to, fin | opcode, payload));
    }
    bytes
}

/// 6455-5.4-02, 6455-5.4-03, 6455-5.4-10, 6455-5.4-09, 6455-5.2-01: a message in one frame, in two, and in many, is the same
/// message: the concatenation of its fragments.
#[test]
fn unfragmented_and_fragmented() {
    for role in ROLES {
        for kind in [MessageKind::Text, MessageKind::Binary] {
            let cuts: [&[&[u8]]; 6] = [
                &[b"Hello, world"],
                &[b"Hello,", b" world"],
                &[b"", b"Hello, world"],
                &[b"Hello, world", b""],
                &[b"Hello", b"", b",", b"", b"", b" world", b""],
                &[b"H", b"e", b"l", b"l", b"o", b",", b" ", b"w", b"o", b"r", b"l", b"d"],
            ];
            for payloads in cuts {
                let outcome = every_way(role, &Config::default(), &fragments(role, kind, payloads));
                assert_eq!(outcome.messages(), [(kind, b"Hello, world".to_vec())]);
                let last = payloads.len() - 1;
                for (i, (event, payload)) in outcome.events.iter().zip(payloads).enumerate() {
                    assert_eq!(*event, fragment(kind, i == 0, i == last, payload));
                }
            }
        }
    }
}

/// 6455-5.4-01: where a message was cut does not matter, also to the [`Assembler`]: any fragmentation
/// gives the same messages.
#[test]
fn any_fragmentation_gives_the_same_messages() {
    let mut noise = Noise::new(11);
    let long = pseudo_random(12, 3000);
    for round in 0..200 {
        for role in ROLES {
            let kind = [MessageKind::Text, MessageKind::Binary][round % 2];
            let whole = match kind {
                MessageKind::Text => "naïve 🦀 ".repeat(round).into_bytes(),
                MessageKind::Binary => long[..noise.below(3000)].to_vec(),
            };
            let mut payloads = common::cut_at_random(&mut noise, &whole, 700);
            payloads.insert(noise.below(payloads.len() + 1), b"");
            let bytes = [fragments(role, kind, &payloads), frame(role, PING, b"after")].concat();

            let (mut connection, now) = common::open(role);
            let (mut input, mut out, mut assembler) = (bytes, Vec::new(), Assembler::default());
            let mut messages = Vec::new();
            while let Some(received) = connection.receive(&mut input, now, &mut out).unwrap() {
                if let Some(Event::Data(part)) = received.event(&input) {
                    messages.extend(assembler.push(&part).unwrap());
                }
                input.drain(..received.consumed());
            }
            assert_eq!(messages.len(), 1);
            assert_eq!((messages[0].kind(), messages[0].payload()), (kind, &whole[..]));
            assert!(assembler.take().is_empty(), "nothing is left of it");
        }
    }
}

/// What has been joined of a message that never ends can be taken out.
#[test]
fn an_incomplete_message_can_be_taken() {
    let mut assembler = Assembler::default();
    let part = |payload, last| Fragment::new(MessageKind::Binary, true, last, payload);
    assert_eq!(assembler.push(&part(b"one, ", false)), Ok(None));
    assert_eq!(assembler.push(&part(b"two", false)), Ok(None));
    assert_eq!(assembler.take(), "one, two");
    assert_eq!(assembler.push(&part(b"next", true)), Ok(Some(Message::binary("next"))));
}

/// 6455-5.4-03: a continuation frame with no message to continue fails, at its first byte: as the
/// first frame, and after a message that has ended.
#[test]
fn continuation_without_a_message_fails() {
    let error = ProtocolError::ContinuationWithoutMessage;
    for role in ROLES {
        let config = Config::default();
        let befores = [
            Vec::new(),
            frame(role, TEXT, b"whole"),
            fragments(role, MessageKind::Binary, &[b"in ", b"fragments"]),
            frame(role, PONG, b""),
        ];
        for before in befores {
            for first in [CONTINUATION, LAST_CONTINUATION] {
                for payload in [&b""[..], b"payload"] {
                    let bytes = [before.clone(), frame(role, first, payload)].concat();
                    fails(role, &config, &bytes, error);
                    assert_eq!(fails_at(role, &config, &bytes), (before.len() + 1, error));
                }
            }
        }
    }
}

/// 6455-5.4-03, 6455-5.4-07, 6455-5.4-15: a new data frame inside a fragmented message fails, at its
/// first byte, whatever its type.
#[test]
fn interleaved_messages_fail() {
    let error = ProtocolError::MessageInProgress;
    for role in ROLES {
        let config = Config::default();
        for begin in [FIRST_TEXT, FIRST_BINARY] {
            for intruder in [FIRST_TEXT, TEXT, FIRST_BINARY, BINARY] {
                let before = [frame(role, begin, b"one"), frame(role, CONTINUATION, b"two")].concat();
                let bytes = [before.clone(), frame(role, intruder, b"another")].concat();
                let outcome = fails(role, &config, &bytes, error);
                assert_eq!(outcome.events.len(), 2, "what came before is delivered first");
                assert_eq!(fails_at(role, &config, &bytes), (before.len() + 1, error));
            }
        }
    }
}

/// 6455-5.4-08, 6455-5.4-04, 6455-6.2-02: control frames between fragments are handled as they come: a
/// Ping is answered before the message ends, and the message is not disturbed.
#[test]
fn control_frames_between_fragments() {
    for role in ROLES {
        let before = [frame(role, FIRST_TEXT, b"Hel"), frame(role, PING, b"first")].concat();
        let outcome = every_way(role, &Config::default(), &before);
        assert_eq!(outcome.replies, [(PONG, b"first".to_vec())], "the message has not ended");

        let bytes = [
            before,
            frame(role, PONG, b"unasked"),
            frame(role, CONTINUATION, b""),
            frame(role, PING, b""),
            frame(role, LAST_CONTINUATION, b"lo"),
            frame(role, CLOSE, b"\x03\xe8"),
        ];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        let expected = [
            fragment(MessageKind::Text, true, false, b"Hel"),
            ping(b"first"),
            pong(b"unasked"),
            fragment(MessageKind::Text, false, false, b""),
            ping(b""),
            fragment(MessageKind::Text, false, true, b"lo"),
            closing(1000, ""),
        ];
        assert_eq!(outcome.events, expected);
        let replies = [(PONG, b"first".to_vec()), (PONG, vec![]), (CLOSE, b"\x03\xe8".to_vec())];
        assert_eq!(outcome.replies, replies);
    }
}

/// 6455-5.4-06: fragments, and messages, are delivered in the order in which they came.
#[test]
fn order_is_kept() {
    for role in ROLES {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for i in 0..20u8 {
            let whole = [b'a' + i];
            bytes.extend(frame(role, TEXT, &whole));
            expected.push(fragment(MessageKind::Text, true, true, &whole));
            bytes.extend(fragments(role, MessageKind::Binary, &[&[i, 0], &[i, 1], &[i, 2]]));
            for (part, (first, last)) in
                [(true, false), (false, false), (false, true)].into_iter().enumerate()
            {
                let payload = [i, u8::try_from(part).unwrap()];
                expected.push(fragment(MessageKind::Binary, first, last, &payload));
            }
        }
        assert_eq!(every_way(role, &Config::default(), &bytes).events, expected);
    }
}

/// 6455-5.4-15, 6455-6.2-04: every fragment is of the type of the first.
#[test]
fn fragments_share_the_type_of_the_first() {
    for role in ROLES {
        // What is no text is fine in a binary message's continuation, and 1007 in a text message's.
        let binary = fragments(role, MessageKind::Binary, &[b"\xff", b"\xfe", b"\xfd"]);
        let outcome = every_way(role, &Config::default(), &binary);
        assert_eq!(outcome.messages(), [(MessageKind::Binary, b"\xff\xfe\xfd".to_vec())]);
        let text = fragments(role, MessageKind::Text, &[b"a", b"\xfe", b"c"]);
        fails(role, &Config::default(), &text, ProtocolError::InvalidUtf8);
    }
}

/// 6455-6.2-05: a data frame after the last fragment begins a new message.
#[test]
fn a_new_message_after_the_last_fragment() {
    for role in ROLES {
        let bytes = [
            fragments(role, MessageKind::Text, &[b"one", b" and"]),
            frame(role, TEXT, b"two"),
            fragments(role, MessageKind::Binary, &[b"thr", b"ee"]),
        ];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        assert_eq!(outcome.events[2], text("two"));
        let kinds = outcome.messages().into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(kinds, [MessageKind::Text, MessageKind::Text, MessageKind::Binary]);
    }
}

/// 6455-5.4-03, 6455-6.1-05, 6455-6.1-06, 6455-6.1-07, 6455-5.4-06: what is sent in fragments has the opcode on the
/// first, FIN on the last, and nothing else, in order.
#[test]
fn fragments_sent() {
    for role in ROLES {
        for (kind, first) in [(MessageKind::Text, FIRST_TEXT), (MessageKind::Binary, FIRST_BINARY)] {
            let (mut connection, _) = common::open(role);
            let mut out = Vec::new();
            let sender = connection.sender();
            sender.fragment(kind, b"one", false, &mut out).unwrap();
            sender.fragment(kind, b"", false, &mut out).unwrap();
            sender.ping(b"between", &mut out).unwrap();
            sender.fragment(kind, b"two", true, &mut out).unwrap();
            sender.fragment(kind, b"single", true, &mut out).unwrap();
            let expected = [
                (first, b"one".to_vec()),
                (CONTINUATION, vec![]),
                (PING, b"between".to_vec()),
                (LAST_CONTINUATION, b"two".to_vec()),
                (common::FIN | first, b"single".to_vec()),
            ];
            assert_eq!(sent(role, &out), expected);
        }
    }
}

/// 6455-5.4-07, 6455-5.4-15: while a fragmented message is in progress no other message is sent, nor a
/// fragment of another type; the refusal sends nothing, and the message goes on.
#[test]
fn interleaved_messages_are_not_sent() {
    for role in ROLES {
        for (kind, other) in
            [(MessageKind::Text, MessageKind::Binary), (MessageKind::Binary, MessageKind::Text)]
        {
            let (mut connection, _) = common::open(role);
            let mut out = Vec::new();
            let sender = connection.sender();
            sender.fragment(kind, b"one", false, &mut out).unwrap();
            let before = out.len();
            for last in [false, true] {
                let refused = sender.fragment(other, b"two", last, &mut out);
                assert_eq!(refused, Err(SendError::MessageInProgress));
                let refused = sender.fragment_header(other, &[0; 3], last);
                assert_eq!(refused, Err(SendError::MessageInProgress));
            }
            assert_eq!(sender.text("text", &mut out), Err(SendError::MessageInProgress));
            assert_eq!(sender.binary(b"binary", &mut out), Err(SendError::MessageInProgress));
            assert_eq!(sender.text_header("text"), Err(SendError::MessageInProgress));
            assert_eq!(sender.binary_header(b"binary"), Err(SendError::MessageInProgress));
            assert_eq!(out.len(), before, "nothing was sent");

            sender.fragment(kind, b"two", true, &mut out).unwrap();
            sender.text("text", &mut out).unwrap();
            assert_eq!(
                sent(role, &out)[1..],
                [(LAST_CONTINUATION, b"two".to_vec()), (TEXT, b"text".to_vec())]
            );
        }
    }
}

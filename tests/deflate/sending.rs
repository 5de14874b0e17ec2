//! Which messages are compressed, and what they look like on the wire, whole and part by part.

use crate::common::{
    BINARY, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, ROLES, TEXT, pseudo_random,
};
use crate::endpoint::{Endpoint, Foreign, RSV1, agreed, always, other, plain};
use crate::naive::Naive;
use sansocket::frame::Opcode;
use sansocket::{Config, Deflate, Message, MessageKind, PreparedMessage, Role, SendError};

fn endpoint(role: Role, deflate: &Deflate) -> Endpoint {
    Endpoint::new(role, &Config::default(), deflate, plain())
}

/// Sends `parts` as one message; returns the frames.
#[track_caller]
fn fragments(endpoint: &mut Endpoint, kind: MessageKind, parts: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let (sender, out) = endpoint.sender();
    for (i, part) in parts.iter().enumerate() {
        sender.fragment(kind, part, i + 1 == parts.len(), out).unwrap();
    }
    endpoint.sent()
}

/// 7692-6.1-01, 7692-6.1-02: messages below `min_size` are sent as they are; all are compressed unless it is set.
#[test]
fn small_messages_are_not_compressed() {
    for role in ROLES {
        for (deflate, min_size) in [
            (Deflate::default(), 0),
            (always().min_size(256), 256),
            (always().min_size(1), 1),
            (always().min_size(999), 999),
        ] {
            let mut endpoint = endpoint(role, &deflate);
            for size in [0, 1, 2, 255, 256, 257, 998, 999, 1000] {
                endpoint.send(&Message::binary(vec![7; size]));
                let [(first, payload)] = &endpoint.sent()[..] else { panic!("one frame") };
                if size < min_size {
                    assert_eq!((*first, payload.len()), (BINARY, size));
                } else {
                    assert_eq!(*first, BINARY | RSV1);
                }
            }
        }
    }
}

/// A message that was framed once for many connections is compressed by those that compress, each with its
/// window, and sent as it is by the others.
#[test]
fn framed_once() {
    for role in ROLES {
        let message = PreparedMessage::new("the same words, the same words".repeat(20));
        let mut endpoint = endpoint(role, &Deflate::default());
        let mut naive = Naive::new(15);
        for compress in [true, true, false, true] {
            let (sender, out) = endpoint.sender();
            sender.compress(compress);
            sender.prepared(&message, out).unwrap();
            let [(first, payload)] = &endpoint.sent()[..] else { panic!("one frame") };
            if compress {
                assert_eq!(*first, TEXT | RSV1);
                assert_eq!(naive.message(payload).unwrap(), message.payload());
            } else {
                assert_eq!((*first, &payload[..]), (TEXT, message.payload()));
            }
        }
    }
}

/// A message in parts counts by its first part, whatever the others are.
#[test]
fn the_first_part_decides() {
    for role in ROLES {
        let (small, large) = (&[7; 255][..], &[7; 256][..]);
        for (parts, compressed) in [
            ([small, large, large], false),
            ([large, small, small], true),
            ([b"", large, large], false),
            ([large, b"", b""], true),
            ([large, large, large], true),
        ] {
            let mut endpoint = endpoint(role, &Deflate::default().min_size(256));
            let frames = fragments(&mut endpoint, MessageKind::Binary, &parts);
            let bit = if compressed { RSV1 } else { 0 };
            let firsts = frames.iter().map(|(first, _)| *first).collect::<Vec<_>>();
            assert_eq!(firsts, [FIRST_BINARY | bit, CONTINUATION, LAST_CONTINUATION]);
            let payload = frames.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>();
            if compressed {
                assert_eq!(Naive::new(15).message(&payload).unwrap(), parts.concat());
            } else {
                assert_eq!(payload, parts.concat());
            }
        }
    }
}

/// Empty messages, and messages of empty parts, wherever they come, are one empty block.
#[test]
fn what_is_empty_is_an_empty_block() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        let mut naive = Naive::new(15);
        for text in ["", "", "Hello", "", "Hello", ""] {
            endpoint.send(&Message::text(text));
            let payload = endpoint.sent_payload(TEXT | RSV1);
            assert_eq!(naive.message(&payload).unwrap(), text.as_bytes());
            assert!(!text.is_empty() || payload == [0], "{payload:02x?}");
        }
        for parts in
            [&[&b""[..], b""][..], &[b"", b"", b""], &[b"", b"x", b""], &[b"x", b"", b"y"], &[b"x", b""]]
        {
            let frames = fragments(&mut endpoint, MessageKind::Text, parts);
            assert_eq!((frames.len(), frames[0].0), (parts.len(), FIRST_TEXT | RSV1));
            let payload = frames.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>();
            assert_eq!(naive.message(&payload).unwrap(), parts.concat(), "{parts:02x?}");
        }
        // In one frame, but begun as a fragment.
        let frames = fragments(&mut endpoint, MessageKind::Text, &[b""]);
        assert_eq!(frames, [(TEXT | RSV1, vec![0])]);
    }
}

/// 7692-7.2.1-06, 7692-7.2.1-01: what is sent of a message can be inflated at once: a fragment that is not the last ends with
/// the tail, and the last without.
#[test]
fn each_fragment_is_flushed() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        let mut naive = Naive::new(15);
        let parts = [&b"one, "[..], b"two, ", &vec![b'x'; 100_000], &pseudo_random(1, 70_000), b"one, two"];
        let frames = fragments(&mut endpoint, MessageKind::Binary, &parts);
        for ((first, payload), part) in frames.iter().zip(parts) {
            let inflated = if first & 0x80 == 0 {
                assert!(payload.ends_with(&[0x00, 0x00, 0xff, 0xff]));
                naive.blocks(payload)
            } else {
                assert!(!payload.ends_with(&[0x00, 0x00, 0xff, 0xff]));
                naive.message(payload)
            };
            assert_eq!(inflated.as_deref(), Ok(part));
        }
    }
}

/// A message larger than what is held at once goes through, out and in, part by part.
#[test]
fn a_large_message_streams() {
    let part = "All work and no play makes Jack a dull boy. ".repeat(1000);
    for from in ROLES {
        let mut sending = endpoint(from, &Deflate::default());
        let mut receiving = endpoint(other(from), &Deflate::default());
        let mut got = Vec::new();
        for i in 0..200 {
            let (sender, out) = sending.sender();
            sender.fragment(MessageKind::Text, part.as_bytes(), i == 199, out).unwrap();
            let out = sending.take_out();
            assert!(out.len() < part.len() / 50);
            got.extend(receiving.messages(&out));
        }
        assert_eq!(got, [Message::text(part.repeat(200))]);
    }
}

/// What does not shrink is sent as it is where the windows allow it: without takeover. With it, the window is kept
/// in step, and the message grows by no more than stored blocks need.
#[test]
fn what_does_not_shrink() {
    let noise = pseudo_random(3, 10_000);
    for role in ROLES {
        let neither = agreed("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), neither);
        endpoint.send(&Message::binary(noise.clone()));
        assert_eq!(endpoint.sent_payload(BINARY), noise);
        endpoint.send(&Message::text(""));
        assert_eq!(endpoint.sent_payload(TEXT), b"");
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), plain());
        endpoint.send(&Message::binary(noise.clone()));
        let payload = endpoint.sent_payload(BINARY | RSV1);
        assert!(payload.len() < noise.len() + 100);
        assert_eq!(Naive::new(15).message(&payload).unwrap(), noise);
    }
}

/// An opt-out counts from the next message on; a message that was begun is gone on with as it was.
#[test]
fn compression_is_switched_between_messages() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        let (sender, out) = endpoint.sender();
        sender.fragment(MessageKind::Text, b"one", false, out).unwrap();
        sender.compress(false);
        sender.fragment(MessageKind::Text, b"two", true, out).unwrap();
        sender.fragment(MessageKind::Text, b"one", false, out).unwrap();
        sender.compress(true);
        sender.fragment(MessageKind::Text, b"two", true, out).unwrap();
        let frames = endpoint.sent();
        assert_eq!(frames[0].0, FIRST_TEXT | RSV1);
        let payload = [&frames[0].1[..], &frames[1].1].concat();
        assert_eq!(Naive::new(15).message(&payload).unwrap(), b"onetwo");
        assert_eq!(frames[2..], [(FIRST_TEXT, b"one".to_vec()), (LAST_CONTINUATION, b"two".to_vec())]);
    }
}

/// A message whose payload its caller writes is not compressed.
#[test]
fn headers_are_of_plain_messages() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        let (sender, _) = endpoint.sender();
        let [text, binary] = [sender.text_header("text").unwrap(), sender.binary_header(b"binary").unwrap()];
        assert_eq!((text.rsv1, text.payload_len, text.opcode), (false, 4, Opcode::Text));
        assert_eq!((binary.rsv1, binary.payload_len, binary.opcode), (false, 6, Opcode::Binary));
    }
}

/// Nor are fragments whose payload their caller writes, whatever was negotiated; only a message that was begun
/// compressed cannot be gone on with so.
#[test]
fn headers_are_of_plain_fragments() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        for last in [false, true] {
            let mut payload = vec![7; 1000];
            let (sender, out) = endpoint.sender();
            let header = sender.fragment_header(MessageKind::Binary, &payload, last).unwrap();
            header.mask(&mut payload);
            out.extend_from_slice(&header.encode());
            out.extend_from_slice(&payload);
        }
        assert_eq!(endpoint.sent(), [(FIRST_BINARY, vec![7; 1000]), (LAST_CONTINUATION, vec![7; 1000])]);
        let (sender, out) = endpoint.sender();
        sender.fragment(MessageKind::Binary, b"compressed", false, out).unwrap();
        let refused = sender.fragment_header(MessageKind::Binary, &[1], true);
        assert_eq!(refused.err(), Some(SendError::MessageInProgress));
        sender.fragment(MessageKind::Binary, b", to the end", true, out).unwrap();
        let payload = endpoint.sent().into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>();
        assert_eq!(Naive::new(15).message(&payload).unwrap(), b"compressed, to the end");
    }
}

/// What is refused leaves the window as it was: the next message can be inflated.
#[test]
fn refused_messages_leave_the_window_alone() {
    for role in ROLES {
        let mut endpoint = endpoint(role, &always());
        let mut naive = Naive::new(15);
        let (sender, out) = endpoint.sender();
        sender.text("first", out).unwrap();
        assert_eq!(sender.fragment(MessageKind::Text, b"sec\xff", false, out), Err(SendError::InvalidUtf8));
        assert_eq!(sender.fragment(MessageKind::Text, b"sec\xe2", true, out), Err(SendError::InvalidUtf8));
        sender.fragment(MessageKind::Text, b"th", false, out).unwrap();
        assert_eq!(sender.binary(b"other", out), Err(SendError::MessageInProgress));
        assert_eq!(sender.fragment(MessageKind::Text, b"\xff", true, out), Err(SendError::InvalidUtf8));
        sender.fragment(MessageKind::Text, b"ird first", true, out).unwrap();
        let frames = endpoint.sent();
        assert_eq!(naive.message(&frames[0].1).unwrap(), b"first");
        assert_eq!(naive.message(&[&frames[1].1[..], &frames[2].1].concat()).unwrap(), b"third first");
    }
}

/// Level 0 makes stored blocks; levels above 9 are 9.
#[test]
fn levels() {
    let data = "compressible ".repeat(100);
    let sizes = [0, 1, 6, 9, 10, 255].map(|level| {
        let mut endpoint = endpoint(Role::Server, &always().level(level));
        endpoint.send(&Message::text(data.clone()));
        let payload = endpoint.sent_payload(TEXT | RSV1);
        assert_eq!(Naive::new(15).message(&payload).unwrap(), data.as_bytes());
        payload.len()
    });
    assert!(sizes[0] > data.len() && sizes[1] < data.len() / 10);
    assert_eq!((sizes[3], sizes[3]), (sizes[4], sizes[5]));
    assert_eq!(Foreign::new(9).message(data.as_bytes()).len(), sizes[3]);
}

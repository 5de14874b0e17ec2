//! The "Per-Message Compressed" bit (RFC 7692 sections 5 and 6).

use crate::common::{
    self, BINARY, CLOSE, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT,
};
use crate::endpoint::{Endpoint, HELLO, RSV1, always, every_way, other, plain};
use sansocket::{CloseCode, CloseFrame, Config, Message, MessageKind, ProtocolError};

/// 7692-6.1-04: "An endpoint receiving such a frame MUST _Fail the WebSocket Connection_": a control frame or a
/// fragment other than the first with the bit set.
#[test]
fn rsv1_is_for_first_frames_of_messages() {
    for role in ROLES {
        let fails = |frames: &[Vec<u8>]| {
            let (_, error) = every_way(role, &Config::default(), plain(), &frames.concat());
            assert_eq!(error, Some(ProtocolError::ReservedBitSet));
            assert_eq!(ProtocolError::ReservedBitSet.close_code(), CloseCode::PROTOCOL_ERROR);
        };
        for first in [PING, PONG, CLOSE] {
            fails(&[common::frame(role, first | RSV1, b"")]);
        }
        fails(&[common::frame(role, PING | RSV1, HELLO)]);
        // In a message that is compressed, and in one that is not.
        for begun in [FIRST_TEXT | RSV1, FIRST_TEXT] {
            let first = common::frame(role, begun, b"");
            for then in [CONTINUATION | RSV1, LAST_CONTINUATION | RSV1, PING | RSV1] {
                fails(&[first.clone(), common::frame(role, then, b"")]);
            }
        }
        // RSV2 and RSV3 still have no meaning.
        for bit in [0x20, 0x10] {
            for first in [TEXT, TEXT | RSV1, BINARY, PING] {
                fails(&[common::frame(role, first | bit, HELLO)]);
            }
        }
    }
}

/// 7692-5-17: without the extension "both" go on without compression: RSV1 has no meaning.
#[test]
fn without_the_extension_rsv1_has_no_meaning() {
    for role in ROLES {
        for first in [TEXT, BINARY, FIRST_TEXT, FIRST_BINARY] {
            common::fails(
                role,
                &Config::default().deflate(always()),
                &common::frame(role, first | RSV1, HELLO),
                ProtocolError::ReservedBitSet,
            );
        }
        let (mut connection, _) = common::open(role);
        let mut out = Vec::new();
        connection.sender().binary(&[0; 1000], &mut out).unwrap();
        assert_eq!(common::sent(role, &out), [(BINARY, vec![0; 1000])]);
    }
}

/// 7692-6.1-01, 7692-6.1-03, 7692-6-01: a compressed message has the bit on its first frame only, and control
/// frames, which are sent between its fragments, never have it.
#[test]
fn the_bit_is_set_on_the_first_frame_only() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), plain());
        let (sender, out) = endpoint.sender();
        let ping = [7; 125];
        sender.fragment(MessageKind::Text, b"Hel", false, out).unwrap();
        sender.ping(&ping, out).unwrap();
        sender.fragment(MessageKind::Text, b"", false, out).unwrap();
        sender.pong(&ping, out).unwrap();
        sender.fragment(MessageKind::Text, b"lo", true, out).unwrap();
        sender.binary(&[1; 300], out).unwrap();
        let close = CloseFrame { code: CloseCode::NORMAL, reason: "a reason, a reason, a reason" };
        sender.close(Some(close), out).unwrap();
        let frames = endpoint.sent();
        let firsts = frames.iter().map(|(first, _)| *first).collect::<Vec<_>>();
        let text = [FIRST_TEXT | RSV1, PING, CONTINUATION, PONG, LAST_CONTINUATION];
        assert_eq!(firsts, [&text[..], &[BINARY | RSV1, CLOSE]].concat());
        assert_eq!((&frames[1].1[..], &frames[3].1[..]), (&ping[..], &ping[..]));
        assert_eq!(frames[6].1, common::close_payload(1000, close.reason));
    }
}

/// 7692-6-01: control frames between the fragments of a compressed message are received as they are.
#[test]
fn control_frames_come_between_fragments() {
    for role in ROLES {
        for position in 0..=HELLO.len() {
            let (front, back) = HELLO.split_at(position);
            let frames = [
                common::frame(role, FIRST_TEXT | RSV1, front),
                common::frame(role, PING, HELLO),
                common::frame(role, LAST_CONTINUATION, back),
            ];
            let mut endpoint = Endpoint::new(role, &Config::default(), &always(), plain());
            assert_eq!(endpoint.messages(&frames.concat()), [Message::text("Hello")]);
            assert_eq!(endpoint.sent(), [(PONG, HELLO.to_vec())]);
        }
    }
}

/// 7692-6-02, 7692-6.1-02, 7692-6.2-02: compressed and plain messages may alternate: a plain one goes through as it
/// is, at either end.
#[test]
fn compressed_and_plain_messages_mix() {
    for from in ROLES {
        let mut sending = Endpoint::new(from, &Config::default(), &always(), plain());
        let mut receiving = Endpoint::new(other(from), &Config::default(), &always(), plain());
        for i in 0..200 {
            let message = Message::text(format!("{{\"number\":{i}}}"));
            let compress = i % 7 % 3 != 0;
            sending.sender().0.compress(compress);
            sending.send(&message);
            let out = sending.take_out();
            let [(first, payload)] = &crate::endpoint::frames(from, &out)[..] else { panic!("one frame") };
            if compress {
                assert_eq!(*first, TEXT | RSV1);
            } else {
                assert_eq!((*first, &payload[..]), (TEXT, message.payload()));
            }
            assert_eq!(receiving.messages(&out), [message]);
        }
    }
}

/// 7692-6.1-05: the opcode is the original message's; what is compressed need not be UTF-8, but what was
/// decompressed is "subject to the constraints for the original data type again".
#[test]
fn text_is_validated_once_inflated() {
    for role in ROLES {
        // What is compressed begins with 0xf2 0x48, which is not UTF-8.
        for (kind, expected) in [(TEXT, Message::text("Hello")), (BINARY, Message::binary(&b"Hello"[..]))] {
            let frame = common::frame(role, kind | RSV1, HELLO);
            let outcome = every_way(role, &Config::default(), plain(), &frame);
            assert_eq!(outcome, (vec![expected], None));
        }
        // A stored block: 0xff, or the front of a code point, is not text.
        for bytes in [&b"\xff"[..], b"\xed\xa0", b"abc\xe2\x82"] {
            let len = u16::try_from(bytes.len()).unwrap();
            let head = [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes()].concat();
            let payload = [&head[..], bytes, b"\x00"].concat();
            let frame = common::frame(role, TEXT | RSV1, &payload);
            let outcome = every_way(role, &Config::default(), plain(), &frame);
            assert_eq!(outcome, (vec![], Some(ProtocolError::InvalidUtf8)), "{bytes:02x?}");
            let frame = common::frame(role, BINARY | RSV1, &payload);
            let outcome = every_way(role, &Config::default(), plain(), &frame);
            assert_eq!(outcome, (vec![Message::binary(bytes.to_vec())], None));
        }
    }
}

/// A compressed text fails at the byte that shows that it is none, inside a frame, long before its end.
#[test]
fn compressed_text_fails_fast() {
    for role in ROLES {
        let mut bytes = common::announced(role, FIRST_TEXT | RSV1, 1 << 20);
        let payload = b"\x00\x05\x00\xfa\xffabc\xffd";
        let header = bytes.len();
        bytes.extend_from_slice(payload);
        if role == sansocket::Role::Server {
            common::mask(common::KEY, &mut bytes[header..]);
        }
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), plain());
        let failed = bytes.iter().position(|byte| endpoint.receive(&[*byte], false).1.is_some());
        assert_eq!(failed, Some(header + payload.len() - 2), "at the 0xff");
        endpoint.has_failed(CloseCode::INVALID_PAYLOAD_DATA);
        // A code point may be cut by the blocks, the fragments and the arrival.
        let frames = [
            common::frame(role, FIRST_TEXT | RSV1, b"\x00\x01\x00\xfe\xff\xe2\x00\x01\x00\xfe\xff\x82"),
            common::frame(role, LAST_CONTINUATION, b"\x00\x01\x00\xfe\xff\xac\x00"),
        ];
        let outcome = every_way(role, &Config::default(), plain(), &frames.concat());
        assert_eq!(outcome, (vec![Message::text("\u{20ac}")], None));
    }
}

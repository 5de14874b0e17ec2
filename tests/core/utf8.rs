//! UTF-8 (RFC 3629 section 4), as RFC 6455 sections 5.6 and 8.1 demand it of text.
#![cfg(feature = "std")]

use std::str;

use sansocket::utf8::Utf8Validator;
use sansocket::{CloseCode, Config, MessageKind, ProtocolError, Receiver, Role, SendError};

use crate::common::{
    self, FIRST_TEXT, LAST_CONTINUATION, PING, ROLES, TEXT, announced, every_way, fails, fails_at, frame,
    mask, text,
};

/// Texts with code points of every length, at every border between lengths.
const VALID: [&str; 8] = [
    "",
    "plain ASCII",
    "κόσμε",
    "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
    "\u{d7ff}\u{e000}\u{fffd}\u{fffe}",
    "\u{feff}a byte order mark is kept",
    "日本語とemoji 🦀🕸️ and a long run of plain ASCII after it, to reach the fast path",
    "🦀",
];

/// Invalid texts, and which byte is the first that nothing after it could put right.
const INVALID: [(&[u8], usize); 20] = [
    (b"\x80", 0),                         // a continuation byte alone
    (b"a\xbf", 1),                        //
    (b"\xc0\x80", 0),                     // overlong forms of U+0000
    (b"\xc1\xbf", 0),                     //
    (b"\xe0\x80\x80", 1),                 //
    (b"\xe0\x9f\xbf", 1),                 //
    (b"\xf0\x80\x80\x80", 1),             //
    (b"\xf0\x8f\xbf\xbf", 1),             //
    (b"\xed\xa0\x80", 1),                 // surrogates
    (b"\xed\xbf\xbf", 1),                 //
    (b"\xf4\x90\x80\x80", 1),             // above U+10FFFF
    (b"\xf5\x80\x80\x80", 0),             //
    (b"\xff", 0),                         // never in UTF-8
    (b"\xfe\xfe\xff\xff", 0),             //
    (b"\xc2a", 1),                        // cut short by another character
    (b"\xe2\x82a", 2),                    //
    (b"\xf0\x9f\xa6a", 3),                //
    (b"\xf0\x9f\xa6\xf0", 3),             //
    (b"plain\xe2\x82\xac\xf8", 8),        // after valid text
    (b"\xce\xba\xe1\xbd\xb9\xed\xa0", 6), // Autobahn's 6.4
];

/// Feeds `bytes` whole, in two pieces cut anywhere, and byte by byte, and compares with [`str::from_utf8`].
#[track_caller]
fn compare(bytes: &[u8]) {
    let hopeless = |prefix: &[u8]| str::from_utf8(prefix).is_err_and(|error| error.error_len().is_some());
    for cut in 0..=bytes.len() {
        let mut validator = Utf8Validator::default();
        let fed = validator.feed(&bytes[..cut]).and_then(|()| validator.feed(&bytes[cut..]));
        assert_eq!(fed.is_err(), hopeless(bytes), "{bytes:02x?} cut at {cut}");
        if fed.is_ok() {
            assert_eq!(validator.finish().is_ok(), str::from_utf8(bytes).is_ok(), "{bytes:02x?}");
        }
    }
    let mut validator = Utf8Validator::default();
    for (i, byte) in bytes.iter().enumerate() {
        let fed = validator.feed(&[*byte]);
        assert_eq!(fed.is_err(), hopeless(&bytes[..=i]), "{bytes:02x?} at byte {i}");
        if fed.is_err() {
            return;
        }
    }
    assert_eq!(validator.finish().is_ok(), str::from_utf8(bytes).is_ok(), "{bytes:02x?}");
}

/// 6455-8.1-01: every sequence of one and of two bytes.
#[test]
fn all_sequences_of_up_to_two_bytes() {
    for first in 0..=u8::MAX {
        compare(&[first]);
        for second in 0..=u8::MAX {
            compare(&[first, second]);
        }
    }
}

/// 6455-8.1-01: every sequence of three bytes that begins with a byte that three begin with, and its
/// neighbours; after all others come the ends of all ranges of RFC 3629's grammar.
#[test]
fn all_sequences_of_three_bytes() {
    let all = (0..=u8::MAX).collect::<Vec<_>>();
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            let thirds = if (0xe0..=0xef).contains(&first) { &all[..] } else { &ENDS[..] };
            for third in thirds {
                compare(&[first, second, *third]);
            }
        }
    }
}

/// 6455-8.1-01: sequences of four bytes, systematically.
#[test]
fn sequences_of_four_bytes() {
    for first in ENDS.into_iter().chain(0xf0..=0xff) {
        for second in 0..=u8::MAX {
            for third in ENDS {
                for fourth in ENDS {
                    compare(&[first, second, third, fourth]);
                }
            }
        }
    }
}

/// The ends of all ranges in the grammar of RFC 3629 section 4, and the bytes beside them.
const ENDS: [u8; 20] = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0,
    0xf4, 0xf5, 0xff,
];

/// 6455-8.1-01: longer texts, in pieces of every size.
#[test]
fn pieces_of_every_size() {
    for valid in VALID {
        for size in 1..=valid.len() {
            let mut validator = Utf8Validator::default();
            for piece in valid.as_bytes().chunks(size) {
                validator.feed(piece).unwrap();
                validator.feed(b"").unwrap();
            }
            validator.finish().unwrap();
        }
    }
    for (invalid, at) in INVALID {
        for prefix in VALID {
            compare(&[prefix.as_bytes(), invalid].concat());
        }
        let mut validator = Utf8Validator::default();
        let failed = invalid.iter().position(|byte| validator.feed(&[*byte]).is_err());
        assert_eq!(failed, Some(at), "{invalid:02x?}");
    }
}

/// A validator that finished is ready for the next text, whether or not the last one was whole.
#[test]
fn finish_starts_anew() {
    let mut validator = Utf8Validator::default();
    validator.feed(b"\xe2\x82").unwrap();
    validator.finish().unwrap_err();
    validator.feed("€".as_bytes()).unwrap();
    validator.finish().unwrap();
    validator.feed(b"\xac").unwrap_err();
}

/// 6455-5.6-02, 6455-5.6-01: valid text arrives as it was sent, in one frame or cut into fragments
/// anywhere, also inside a code point.
#[test]
fn valid_text() {
    for role in ROLES {
        let config = Config::default();
        for valid in VALID {
            assert_eq!(every_way(role, &config, &frame(role, TEXT, valid.as_bytes())).events, [text(valid)]);
            for cut in 0..=valid.len() {
                let (front, back) = valid.as_bytes().split_at(cut);
                let bytes = [
                    frame(role, FIRST_TEXT, front),
                    frame(role, PING, b"\xff"), // its payload is no text
                    frame(role, LAST_CONTINUATION, back),
                ];
                let outcome = every_way(role, &config, &bytes.concat());
                assert_eq!(outcome.messages(), [(MessageKind::Text, valid.into())]);
            }
        }
    }
}

/// 6455-5.6-02, 6455-8.1-01, 6455-7.4.1-06: text that is not UTF-8 fails with 1007, in one frame, in
/// two fragments cut anywhere, and after valid text.
#[test]
fn invalid_text_fails() {
    for role in ROLES {
        let config = Config::default();
        for (invalid, _) in INVALID {
            let bytes = frame(role, TEXT, invalid);
            let outcome = fails(role, &config, &bytes, ProtocolError::InvalidUtf8);
            assert_eq!(outcome.replies[0].1[..2], 1007u16.to_be_bytes());
            for cut in 0..=invalid.len() {
                let (front, back) = invalid.split_at(cut);
                let bytes = [frame(role, FIRST_TEXT, front), frame(role, LAST_CONTINUATION, back)];
                fails(role, &config, &bytes.concat(), ProtocolError::InvalidUtf8);
            }
        }
    }
}

/// 6455-5.6-02, 6455-8.1-01: that a long text is ASCII is seen while it is unmasked; one byte that is not, anywhere in it, is
/// seen too.
#[test]
fn one_byte_that_is_not_ascii() {
    let receive = |payload: &[u8], shift: usize| {
        let mut input = vec![0; shift];
        input.extend(frame(Role::Server, TEXT, payload));
        let mut receiver = Receiver::new(Role::Server, &Config::default());
        let received = receiver.receive(&mut input[shift..]);
        received.map(|received| input[shift..][received.unwrap().payload()].to_vec())
    };
    for len in (250..=260).chain(380..=400) {
        for at in 0..len {
            for shift in [0, 1, 15, 24] {
                let mut payload = vec![b'a'; len];
                payload[at] = 0xff;
                assert_eq!(receive(&payload, shift), Err(ProtocolError::InvalidUtf8), "{at} of {len}");
                payload.splice(at..=at, "é".bytes());
                assert_eq!(receive(&payload, shift).unwrap(), payload, "{at} of {len}");
            }
        }
    }
    // A code point begins before what is ASCII.
    let cut_short = [&[b'a'; 300][..], b"\xc3", &[b'a'; 300]].concat();
    for cut in [300, 301, 302] {
        let (front, back) = cut_short.split_at(cut);
        let bytes = [frame(Role::Server, FIRST_TEXT, front), frame(Role::Server, LAST_CONTINUATION, back)];
        fails(Role::Server, &Config::default(), &bytes.concat(), ProtocolError::InvalidUtf8);
    }
}

/// 6455-8.1-01: it fails at the first byte that nothing could put right, inside a frame whose rest has
/// not arrived (A4).
#[test]
fn invalid_text_fails_at_once() {
    for role in ROLES {
        for (invalid, at) in INVALID {
            for prefix in VALID {
                let mut payload = [prefix.as_bytes(), invalid, b"and so on"].concat();
                if role == Role::Server {
                    mask(common::KEY, &mut payload);
                }
                for first in [TEXT, FIRST_TEXT] {
                    let header = announced(role, first, 100_000);
                    let bytes = [&header[..], &payload].concat();
                    let failed = fails_at(role, &Config::default(), &bytes);
                    let expected = header.len() + prefix.len() + at + 1;
                    assert_eq!(failed, (expected, ProtocolError::InvalidUtf8), "{invalid:02x?}");
                }
            }
        }
    }
}

/// 6455-5.6-02: a message that ends inside a code point fails, though each byte was possible.
#[test]
fn truncated_text_fails() {
    for role in ROLES {
        for code_point in ["é", "€", "🦀"] {
            for len in 1..code_point.len() {
                let start = &code_point.as_bytes()[..len];
                let bytes = frame(role, TEXT, start);
                fails(role, &Config::default(), &bytes, ProtocolError::InvalidUtf8);
                let bytes = [frame(role, FIRST_TEXT, start), frame(role, LAST_CONTINUATION, b"")].concat();
                fails(role, &Config::default(), &bytes, ProtocolError::InvalidUtf8);
                // And the next message's bytes are not taken to complete it.
                let rest = &code_point.as_bytes()[len..];
                let bytes = [frame(role, TEXT, start), frame(role, TEXT, rest)].concat();
                fails(role, &Config::default(), &bytes, ProtocolError::InvalidUtf8);
            }
        }
    }
}

/// 6455-8.1-01, 6455-5.5.1-03, 6455-7.1.5-01: a close reason that is not UTF-8, or ends inside a code point,
/// fails with 1007, and the caller is told the code before it.
#[test]
fn invalid_close_reasons_fail() {
    for role in ROLES {
        for invalid in INVALID.map(|(invalid, _)| invalid).into_iter().chain([&b"\xe2\x82"[..]]) {
            for code in [1000u16, 1001, 4999] {
                let payload = [&code.to_be_bytes(), invalid].concat();
                let bytes = frame(role, common::CLOSE, &payload);
                let error = ProtocolError::InvalidCloseReason(CloseCode::new(code));
                fails(role, &Config::default(), &bytes, error);
            }
        }
    }
}

/// 6455-5.6-02: a sender refuses fragments that do not make UTF-8, as soon as that is certain, and can
/// go on with others.
#[test]
fn invalid_text_is_not_sent() {
    for role in ROLES {
        let (mut connection, _) = common::open(role);
        let mut out = Vec::new();
        let sender = connection.sender();
        for (invalid, _) in INVALID {
            let refused = sender.fragment(MessageKind::Text, invalid, false, &mut out);
            assert_eq!(refused, Err(SendError::InvalidUtf8));
        }
        let refused = sender.fragment(MessageKind::Text, b"\xe2\x82", true, &mut out);
        assert_eq!((refused, out.len()), (Err(SendError::InvalidUtf8), 0));

        sender.fragment(MessageKind::Text, b"\xe2\x82", false, &mut out).unwrap();
        let refused = sender.fragment(MessageKind::Text, b"\x41", true, &mut out);
        assert_eq!(refused, Err(SendError::InvalidUtf8));
        let refused = sender.fragment(MessageKind::Text, b"", true, &mut out);
        assert_eq!(refused, Err(SendError::InvalidUtf8));
        sender.fragment(MessageKind::Text, b"\xac", true, &mut out).unwrap();
        let expected = [(FIRST_TEXT, b"\xe2\x82".to_vec()), (LAST_CONTINUATION, b"\xac".to_vec())];
        assert_eq!(common::sent(role, &out), expected);
    }
}

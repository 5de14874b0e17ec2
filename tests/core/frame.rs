//! RFC 6455 section 5.2, base framing protocol; and the examples of section 5.7.
#![cfg(feature = "std")]

use sansocket::frame::{FrameHeader, MaskingKey, Opcode};
use sansocket::{Config, MessageKind, ProtocolError, Role, Sender};

use crate::common::{self, KEY, LEN_16, LEN_64, ROLES, announced, every_way, fails, fails_at, frame, header};

const OPCODES: [Opcode; 6] =
    [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];

/// Parses `bytes` whole, after seeing every shorter prefix of them as incomplete.
#[track_caller]
fn parse(bytes: &[u8]) -> FrameHeader {
    for len in 0..bytes.len() {
        assert_eq!(FrameHeader::parse(&bytes[..len]), Ok(None), "{len} bytes");
    }
    let (header, len) = FrameHeader::parse(bytes).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    let longer = [bytes, b"payload"].concat();
    assert_eq!(FrameHeader::parse(&longer), Ok(Some((header, len))), "with trailing bytes");
    header
}

/// How many bytes it takes to fail, and how.
#[track_caller]
fn parse_failure(bytes: &[u8]) -> (usize, ProtocolError) {
    let (at, error) = (0..=bytes.len())
        .find_map(|len| FrameHeader::parse(&bytes[..len]).err().map(|error| (len, error)))
        .expect("a failure");
    for len in at..=bytes.len() {
        assert_eq!(FrameHeader::parse(&bytes[..len]), Err(error), "the same failure with {len} bytes");
    }
    (at, error)
}

const fn of(opcode: Opcode, payload_len: u64) -> FrameHeader {
    FrameHeader { fin: true, rsv1: false, opcode, masking_key: None, payload_len }
}

/// 6455-5.2-06, 6455-5.2-08: every length is encoded in its one, minimal form, in network byte order,
/// and parsed from it, also when it comes byte by byte.
#[test]
fn lengths() {
    let lengths: [(u64, &[u8]); 12] = [
        (0, &[0x82, 0]),
        (1, &[0x82, 1]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (127, &[0x82, 126, 0, 127]),
        (256, &[0x82, 126, 1, 0]),
        (65535, &[0x82, 126, 0xff, 0xff]),
        (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ((1 << 32) - 1, &[0x82, 127, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        (1 << 32, &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]),
        (0x0102_0304_0506_0708, &[0x82, 127, 1, 2, 3, 4, 5, 6, 7, 8]),
        ((1 << 63) - 1, &[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (payload_len, bytes) in lengths {
        let header = of(Opcode::Binary, payload_len);
        assert_eq!(*header.encode(), *bytes, "{payload_len}");
        assert_eq!(parse(bytes), header);
    }
}

/// 6455-5.2-08: a length in a longer form than it needs fails, at the byte that shows it (A5).
#[test]
fn non_minimal_lengths_fail() {
    for len in 0..=125 {
        let bytes = [0x82, 126, 0, len];
        assert_eq!(parse_failure(&bytes), (4, ProtocolError::NonMinimalLength), "{len}");
    }
    for len in [0u64, 1, 125, 126, 127, 65534, 65535] {
        let bytes = [&[0x82, 127][..], &len.to_be_bytes()].concat();
        // Six zeros: whatever the last two bytes are, they would have fitted a shorter form.
        assert_eq!(parse_failure(&bytes), (8, ProtocolError::NonMinimalLength), "{len}");
    }
    for role in ROLES {
        let mut long = announced(role, 0x82, 5);
        long.splice(1..2, [long[1] & 0x80 | LEN_16, 0, 5]);
        fails(role, &Config::default(), &long, ProtocolError::NonMinimalLength);
        let mut longer = announced(role, 0x82, 5);
        longer.splice(1..2, [longer[1] & 0x80 | LEN_64, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        fails(role, &Config::default(), &longer, ProtocolError::NonMinimalLength);
    }
}

/// 6455-5.2-07: a 64-bit length with its most significant bit set fails at that bit's byte, with 1002,
/// before any limit is looked at (A6).
#[test]
fn most_significant_bit_of_the_length() {
    for len in [1 << 63, (1 << 63) + 1, u64::MAX - 20, u64::MAX] {
        let bytes = [&[0x82, 127][..], &len.to_be_bytes()].concat();
        assert_eq!(parse_failure(&bytes), (3, ProtocolError::LengthTooLarge), "{len:#x}");
        for role in ROLES {
            for limit in [0, u64::MAX] {
                let config = Config::default().max_frame_size(limit).max_message_size(limit);
                fails(role, &config, &announced(role, 0x82, len), ProtocolError::LengthTooLarge);
            }
        }
    }
}

/// 6455-5.2-05, 6455-5.3-06: with MASK a key of four bytes follows the length, which does not count
/// it; without, nothing does.
#[test]
fn masking_key() {
    for payload_len in [0, 125, 126, 65535, 65536, (1 << 63) - 1] {
        let unmasked = parse(&header(0x82, false, payload_len));
        assert_eq!(unmasked, of(Opcode::Binary, payload_len));
        let bytes = header(0x82, true, payload_len);
        let masked = parse(&bytes);
        assert_eq!(masked, FrameHeader { masking_key: Some(MaskingKey::new(KEY)), ..unmasked });
        assert_eq!(*masked.encode(), *bytes);
        assert!(bytes.len() <= FrameHeader::MAX_LEN);
    }
}

/// 6455-5.2-02, 6455-5.2-12: FIN, RSV1 and the opcode go to and from their bits; RSV2 and RSV3, which
/// nothing defines, cannot even be built.
#[test]
fn first_byte() {
    for opcode in OPCODES {
        for fin in [true, false] {
            for rsv1 in [true, false] {
                let header = FrameHeader { fin, rsv1, ..of(opcode, 0) };
                let first = u8::from(fin) << 7 | u8::from(rsv1) << 6 | opcode as u8;
                assert_eq!(*header.encode(), [first, 0]);
                if opcode.is_control() && !fin {
                    assert_eq!(parse_failure(&[first]), (1, ProtocolError::FragmentedControlFrame));
                } else {
                    assert_eq!(parse(&[first, 0]), header);
                }
            }
        }
    }
    assert_eq!(OPCODES.map(|opcode| opcode as u8), [0, 1, 2, 8, 9, 10]);
    assert_eq!(OPCODES.map(Opcode::is_control), [false, false, false, true, true, true]);
}

/// 6455-5.2-02, 6455-5.2-12, 6455-9.1-06: no frame that an endpoint sends has a reserved bit set.
#[test]
fn reserved_bits_are_never_sent() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        let sender = connection.sender();
        sender.text("text", &mut out).unwrap();
        sender.binary(&vec![0; 70_000], &mut out).unwrap();
        for last in [false, false, true] {
            sender.fragment(MessageKind::Binary, b"fragment", last, &mut out).unwrap();
        }
        sender.ping(b"ping", &mut out).unwrap();
        sender.pong(b"pong", &mut out).unwrap();
        connection.close(None, now, &mut out).unwrap();
        // `sent` refuses reserved bits.
        assert_eq!(common::sent(role, &out).len(), 8);
    }
}

/// 6455-5.2-03, 6455-5.2-12, 6455-5.2-11: each reserved bit fails the connection, alone or with
/// others, on every opcode, at the first byte: with no extension there is no extension data.
#[test]
fn reserved_bits_fail() {
    let config = Config::default();
    for role in ROLES {
        for opcode in OPCODES {
            // A continuation needs a message to be in.
            let before = match opcode {
                Opcode::Continuation => frame(role, 0x01, b"a"),
                _ => Vec::new(),
            };
            for reserved in 1..=7 {
                let first = 0x80 | reserved << 4 | opcode as u8;
                let bytes = [before.clone(), frame(role, first, b"")].concat();
                fails(role, &config, &bytes, ProtocolError::ReservedBitSet);
                assert_eq!(
                    fails_at(role, &config, &bytes),
                    (before.len() + 1, ProtocolError::ReservedBitSet)
                );
            }
        }
    }
}

/// 6455-5.2-04: each opcode that is not defined fails the connection, at the first byte.
#[test]
fn reserved_opcodes_fail() {
    let config = Config::default();
    for role in ROLES {
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            let error = ProtocolError::ReservedOpcode(opcode);
            for payload in [&b""[..], b"payload"] {
                for fin in [0x80, 0] {
                    let bytes = frame(role, fin | opcode, payload);
                    fails(role, &config, &bytes, error);
                    assert_eq!(fails_at(role, &config, &bytes), (1, error));
                }
            }
        }
    }
}

/// 6455-10.7-01, 6455-6.2-01: a frame with more than one fault fails at the first of them, however it
/// is cut: the peer reads the same Close frame.
#[test]
fn the_first_bad_byte_decides() {
    let config = Config::default();
    for role in ROLES {
        for first in 0..=u8::MAX {
            for second in [0, 1, 125, 126, 127, 0x80, 0x81, 0xfd, 0xfe, 0xff] {
                let bytes = [&[first, second][..], &[0; 12]].concat();
                let outcome = every_way(role, &config, &bytes);
                if let Some(error) = outcome.error {
                    assert_eq!(fails_at(role, &config, &bytes).1, error);
                }
            }
        }
    }
}

/// 6455-6.2-01: valid frames of every length form pass, however they are cut.
#[test]
fn frames_of_every_length_form() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 127, 65535, 65536] {
            let payload = common::pseudo_random(7, len);
            let outcome = every_way(role, &Config::default(), &frame(role, 0x82, &payload));
            assert_eq!((outcome.events, outcome.error), (vec![common::binary(&payload)], None));
        }
    }
}

/// 6455-5.7-01: section 5.7's examples, as received. Erratum 3432: the masked frame is a Pong.
#[test]
fn examples_received() {
    use crate::common::{binary, fragment, ping, pong, text};
    let (client, server) = (Role::Client, Role::Server);
    let (short, long) = (common::pseudo_random(1, 256), common::pseudo_random(2, 65536));
    let with = |header: &[u8], payload: &[u8]| [header, payload].concat();
    let examples = [
        (client, b"\x81\x05Hello".to_vec(), vec![text("Hello")]),
        (server, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(), vec![text("Hello")]),
        (
            client,
            b"\x01\x03Hel\x80\x02lo".to_vec(),
            vec![
                fragment(MessageKind::Text, true, false, b"Hel"),
                fragment(MessageKind::Text, false, true, b"lo"),
            ],
        ),
        (client, b"\x89\x05Hello".to_vec(), vec![ping(b"Hello")]),
        (server, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(), vec![pong(b"Hello")]),
        (client, with(b"\x82\x7e\x01\x00", &short), vec![binary(&short)]),
        (client, with(b"\x82\x7f\0\0\0\0\0\x01\0\0", &long), vec![binary(&long)]),
    ];
    for (role, bytes, events) in examples {
        let outcome = every_way(role, &Config::default(), &bytes);
        assert_eq!((outcome.events, outcome.error), (events, None));
    }
}

/// 6455-5.7-01, 6455-6.1-04: section 5.7's examples, as sent: data goes out in frames as section 5.2 has them.
#[test]
fn examples_sent() {
    let config = Config::default();
    let mut out = Vec::new();

    let mut server = Sender::server(&config);
    server.text("Hello", &mut out).unwrap();
    server.fragment(MessageKind::Text, b"Hel", false, &mut out).unwrap();
    server.fragment(MessageKind::Text, b"lo", true, &mut out).unwrap();
    server.ping(b"Hello", &mut out).unwrap();
    assert_eq!(out, b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello");

    out.clear();
    server.binary(&[7; 256], &mut out).unwrap();
    assert_eq!(out, [&b"\x82\x7e\x01\x00"[..], &[7; 256]].concat());
    out.clear();
    let payload = vec![7; 65536];
    server.binary(&payload, &mut out).unwrap();
    assert_eq!(out, [&b"\x82\x7f\0\0\0\0\0\x01\0\0"[..], &payload].concat());

    out.clear();
    let mut client = Sender::client(&config, |bytes| {
        for (byte, key) in bytes.iter_mut().zip(KEY.into_iter().cycle()) {
            *byte = key;
        }
    });
    client.text("Hello", &mut out).unwrap();
    client.pong(b"Hello", &mut out).unwrap();
    assert_eq!(
        out,
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    );
}

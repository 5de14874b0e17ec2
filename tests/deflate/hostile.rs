//! What a hostile peer can make of compressed messages: garbage, bombs, and work for nothing.

use crate::common::{
    self, BINARY, CONTINUATION, FIRST_BINARY, LAST_CONTINUATION, Noise, ROLES, TEXT, pseudo_random,
};
use crate::endpoint::{Endpoint, Foreign, RSV1, always, every_way, plain};
use sansocket::{CloseCode, Config, Message, ProtocolError, Role};

fn endpoint(role: Role, limit: u64) -> Endpoint {
    Endpoint::new(role, &Config::default().max_message_size(limit), &always(), plain())
}

/// The payload of a message of `len` zeros: about a thousandth of that.
fn bomb(len: usize) -> Vec<u8> {
    Foreign::new(9).message(&vec![0; len])
}

/// Garbage ends in 1007, or in a message; never in a panic, and in the same way however it arrives.
#[test]
fn garbage_fails() {
    let mut noise = Noise::new(1);
    let mut failed = 0;
    for seed in 0..400 {
        let mut payload = pseudo_random(seed, noise.below(80));
        if seed % 2 == 0 {
            // All but right.
            payload = Foreign::new(6).message("a text with a text in it, and a text".as_bytes());
            let place = noise.below(payload.len());
            payload[place] ^= 1 << noise.below(8);
        }
        let kind = if seed % 3 == 0 { TEXT } else { BINARY };
        let role = ROLES[noise.below(2)];
        let frame = common::frame(role, kind | RSV1, &payload);
        let (messages, error) =
            every_way(role, &Config::default().max_message_size(200), plain(), &frame.repeat(2));
        if let Some(error) = error {
            let known = [
                ProtocolError::InvalidCompressedData,
                ProtocolError::InvalidUtf8,
                ProtocolError::MessageTooBig,
            ];
            assert!(known.contains(&error), "{error:?}");
            failed += 1;
        }
        assert!(messages.iter().all(|message| message.len() <= 200));
    }
    assert!(failed > 200, "{failed}");
}

/// 6455-10.4-01: a message that fits may come in one frame, though it gains nothing and is larger there, by as much as blocks that
/// are stored need. What is larger still is refused at its header.
#[test]
fn a_frame_has_room_for_what_gains_nothing() {
    let noise = pseudo_random(1, 1_000);
    for role in ROLES {
        for limit in [0, 1, 100, 1_000] {
            let config = Config::default().max_message_size(limit as u64).max_frame_size(limit as u64);
            for level in [0, 1, 9] {
                let payload = Foreign::new(level).message(&noise[..limit]);
                assert!(payload.len() > limit);
                let frame = common::frame(role, BINARY | RSV1, &payload);
                let (messages, error) = every_way(role, &config, plain(), &frame);
                assert_eq!((messages, error), (vec![Message::binary(noise[..limit].to_vec())], None));
            }
            // Blocks without data, as they may come without end.
            let most = limit + limit / 8 + 64;
            for (len, refused) in [(most, None), (most + 1, Some(ProtocolError::FrameTooBig))] {
                let mut header = common::frame(role, BINARY | RSV1, &vec![0; len]);
                header.truncate(header.len() - len);
                let mut endpoint = Endpoint::new(role, &config, &always(), plain());
                assert_eq!(endpoint.receive(&header, false), (vec![], refused));
            }
        }
        let config = Config::default().max_message_size(u64::MAX).max_frame_size(u64::MAX);
        let frame = common::frame(role, BINARY | RSV1, &Foreign::new(0).message(&noise));
        assert_eq!(every_way(role, &config, plain(), &frame).1, None);
    }
}

/// 6455-10.4-01: a message is inflated up to the limit, and not beyond: 1009.
#[test]
fn the_limit_counts_what_was_inflated() {
    for role in ROLES {
        for limit in [0_usize, 1, 2, 1000, 1024, 1025, 4096, 100_000] {
            for (len, fits) in [(limit, true), (limit + 1, false), (10 * limit + 1000, false)] {
                let data = (0..len).map(|i: usize| i.to_le_bytes()[0] / 8).collect::<Vec<_>>();
                let payload = Foreign::new(6).message(&data);
                let mut endpoint = endpoint(role, limit as u64);
                let (messages, error) = endpoint.compressed(BINARY, &payload);
                if fits {
                    assert_eq!((messages, error), (vec![Message::binary(data)], None));
                } else {
                    assert_eq!((messages, error), (vec![], Some(ProtocolError::MessageTooBig)));
                    endpoint.has_failed(CloseCode::MESSAGE_TOO_BIG);
                }
            }
        }
    }
}

/// The same however it is cut; what comes first in the stream decides, the limit or a fault.
#[test]
fn the_first_fault_decides() {
    let stored = |bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).unwrap();
        [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
    };
    let letters = [b'a'; 30];
    for (payload, limit, expected) in [
        ([stored(&letters), stored(b"\xff")].concat(), 30, ProtocolError::InvalidUtf8),
        ([stored(&letters), stored(b"a\xff")].concat(), 30, ProtocolError::MessageTooBig),
        ([stored(&letters), stored(b"\xff"), stored(&letters)].concat(), 40, ProtocolError::InvalidUtf8),
        ([stored(&letters), vec![0x06]].concat(), 30, ProtocolError::InvalidCompressedData),
        ([stored(&letters), vec![0x06]].concat(), 29, ProtocolError::MessageTooBig),
        ([stored(b"\xff"), vec![0x06]].concat(), 29, ProtocolError::InvalidUtf8),
    ] {
        for role in ROLES {
            let frame = common::frame(role, TEXT | RSV1, &payload);
            let outcome = every_way(role, &Config::default().max_message_size(limit), plain(), &frame);
            assert_eq!(outcome, (vec![], Some(expected)), "{payload:02x?}, limit {limit}");
        }
    }
}

/// The limit is on all fragments together.
#[test]
fn a_bomb_in_fragments() {
    for role in ROLES {
        let payload = bomb(1 << 20);
        let mut endpoint = endpoint(role, (1 << 20) - 1);
        let mut bytes = common::frame(role, FIRST_BINARY | RSV1, &payload[..1]);
        for byte in &payload[1..] {
            bytes.extend(common::frame(role, CONTINUATION, &[*byte]));
        }
        bytes.extend(common::frame(role, LAST_CONTINUATION, b""));
        assert_eq!(endpoint.receive(&bytes, false), (vec![], Some(ProtocolError::MessageTooBig)));
        endpoint.has_failed(CloseCode::MESSAGE_TOO_BIG);
    }
}

/// Messages within the limit, one after the other, are no bomb; and each begins to count anew.
#[test]
fn the_limit_is_per_message() {
    let mut client = endpoint(Role::Client, 1 << 20);
    let payload = bomb(1 << 20);
    for _ in 0..20 {
        let (messages, error) = client.compressed(BINARY, &payload);
        assert_eq!((messages.len(), messages[0].len(), error), (1, 1 << 20, None));
    }
}

/// A bomb inside a bomb inside a bomb is inflated once: what is inside is data.
#[test]
fn a_nested_bomb_is_inflated_once() {
    let mut payload = bomb(1 << 20);
    for _ in 0..100 {
        payload = Foreign::new(9).message(&payload);
    }
    let mut client = endpoint(Role::Client, 1 << 20);
    let (messages, error) = client.compressed(BINARY, &payload);
    assert_eq!((messages.len(), error), (1, None));
}

/// Bytes that bring nothing, behind much that was inflated before: `benches/count` counts that each costs
/// the same, however much that is.
#[test]
fn small_fragments_of_a_large_message() {
    let payload = Foreign::new(9).sync(&vec![0; 32 << 20]);
    let mut client = endpoint(Role::Client, 64 << 20);
    let first = common::frame(Role::Client, FIRST_BINARY | RSV1, &payload);
    assert_eq!(client.receive(&first, false), (vec![], None));
    let empty_block = b"\x00\x00\x00\xff\xff";
    let fragments = empty_block.map(|byte| common::frame(Role::Client, CONTINUATION, &[byte])).concat();
    for _ in 0..1000 {
        assert_eq!(client.receive(&fragments, false), (vec![], None));
    }
}

/// Blocks of nothing are valid; what they cost, `benches/count` counts.
#[test]
fn endless_empty_blocks() {
    for block in [&b"\x00\x00\x00\xff\xff"[..], b"\x03\x00"] {
        let mut client = endpoint(Role::Client, 1 << 20);
        let first = common::frame(Role::Client, FIRST_BINARY | RSV1, b"");
        assert_eq!(client.receive(&first, false), (vec![], None));
        let frame = common::frame(Role::Client, CONTINUATION, &block.repeat(20_000));
        assert_eq!(client.receive(&frame, false), (vec![], None));
    }
}

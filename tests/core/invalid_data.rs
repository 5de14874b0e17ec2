//! RFC 6455 section 10.7, handling of invalid data: whatever comes, in whatever pieces.
#![cfg(feature = "std")]

use sansocket::{Config, Connection, ReadyState, Role};

use crate::common::{self, Noise, ROLES, every_way, frame, pseudo_random, run};

/// Small, so that limits are met too.
fn config() -> Config {
    Config::default().max_frame_size(200).max_message_size(300).max_fragments(5)
}

/// 6455-10.7-01, 6455-6.2-01: random bytes do not panic, and have the same outcome however they are cut.
#[test]
fn random_bytes() {
    let mut noise = Noise::new(31);
    for round in 0..2000 {
        let len = 1 + noise.below(60);
        let bytes = pseudo_random(round, len);
        for role in ROLES {
            every_way(role, &config(), &bytes);
        }
    }
}

/// Frames that are valid for the most part, as a peer gone wrong might send them.
fn nearly_valid(noise: &mut Noise, to: Role) -> Vec<u8> {
    let firsts = [0x01, 0x81, 0x02, 0x82, 0x00, 0x00, 0x80, 0x80, 0x88, 0x89, 0x8a];
    let mut bytes = Vec::new();
    for _ in 0..=noise.below(8) {
        let first = firsts[noise.below(firsts.len())];
        let len = [0, 1, 2, 5, 125, 126, 130][noise.below(7)];
        let payload = if noise.below(2) == 0 {
            "añ€🦀".repeat(20).into_bytes()[..len].to_vec()
        } else {
            pseudo_random(noise.below(1000) as u64, len)
        };
        bytes.extend(frame(to, first, &payload));
    }
    // And then a bit or two flip, or the end is lost.
    for _ in 0..noise.below(3) {
        let at = noise.below(bytes.len());
        bytes[at] ^= 1 << noise.below(8);
    }
    if noise.below(4) == 0 {
        bytes.truncate(noise.below(bytes.len()));
    }
    bytes
}

/// 6455-10.7-01, 6455-6.2-01: frames with faults do not panic, and have the same outcome however they
/// are cut.
#[test]
fn nearly_valid_frames() {
    let mut noise = Noise::new(32);
    for _ in 0..300 {
        for role in ROLES {
            let bytes = nearly_valid(&mut noise, role);
            every_way(role, &config(), &bytes);
        }
    }
    // Many more in a few random cuts each.
    for _ in 0..5_000 {
        for role in ROLES {
            let bytes = nearly_valid(&mut noise, role);
            let whole = run(role, &config(), Connection::receive, [&bytes]);
            let cut = common::cut_at_random(&mut noise, &bytes, 20);
            assert_eq!(run(role, &config(), Connection::receive, cut), whole);
        }
    }
}

/// 6455-10.7-01: every header of two bytes, alone and with what it announces.
#[test]
fn every_two_bytes() {
    for role in ROLES {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let bytes = [&[first, second][..], &pseudo_random(u64::from(second), 30)].concat();
                let whole = run(role, &config(), Connection::receive, [&bytes]);
                assert_eq!(run(role, &config(), Connection::receive, bytes.chunks(1)), whole);
            }
        }
    }
}

/// 6455-10.7-05, 6455-6.2-01: where a frame ends is told by its length and by nothing in its payload,
/// also if that looks like frames, or is no text.
#[test]
fn the_length_tells_where_a_frame_ends() {
    for role in ROLES {
        let inner = [frame(role, 0x88, b""), frame(role, 0xff, b"?"), vec![0xff; 9]].concat();
        let bytes =
            [frame(role, 0x82, &inner), frame(role, 0x89, &inner[..7]), frame(role, 0x81, b"text")].concat();
        let outcome = every_way(role, &Config::default(), &bytes);
        let expected = [common::binary(&inner), common::ping(&inner[..7]), common::text("text")];
        assert_eq!((outcome.events.as_slice(), outcome.error), (&expected[..], None));
    }
}

/// 6455-10.7-01: an endpoint that gets nothing but the wrong protocol fails at the first bytes.
#[test]
fn another_protocol() {
    for role in ROLES {
        for bytes in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01\x02\x00"]
        {
            let outcome = every_way(role, &Config::default(), bytes);
            assert_eq!(outcome.ready_state, ReadyState::Closing);
            assert!(outcome.error.is_some());
        }
    }
}

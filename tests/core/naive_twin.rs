//! The core, compared with a decoder that is obviously right: `common/naive.rs`.
#![cfg(feature = "std")]

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::{Config, Connection, Role};

use crate::common::{ROLES, Seen, frame, naive, run};

/// So that no limit is met: the twin knows none.
fn unlimited() -> Config {
    Config::default().max_frame_size(u64::MAX).max_message_size(u64::MAX).max_fragments(u32::MAX)
}

/// What the core makes of `bytes`: the events, and the code it fails with.
fn core(role: Role, pieces: &[&[u8]]) -> (Vec<Seen>, Option<u16>) {
    let outcome = run(role, &unlimited(), Connection::receive, pieces);
    (outcome.events, outcome.error.map(|error| error.close_code().get()))
}

/// A frame's first byte: mostly one that may be.
fn first_byte() -> impl Strategy<Value = u8> {
    let valid = [0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x88, 0x89, 0x8a];
    prop_oneof![15 => proptest::sample::select(valid.to_vec()), 1 => any::<u8>()]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let text = vec(any::<char>(), 0..40).prop_map(|text| text.into_iter().collect::<String>().into_bytes());
    let close =
        (990u16..1020, text.clone()).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat());
    prop_oneof![
        4 => text.clone(),
        // Text that ends, or begins, inside a code point.
        2 => (text, 0usize..4).prop_map(|(mut text, less)| { text.truncate(text.len().saturating_sub(less)); text }),
        2 => vec(any::<u8>(), 0..140),
        2 => close,
    ]
}

/// Frames for the peer of `to`, with a bit flipped here and there.
fn stream(to: Role) -> impl Strategy<Value = Vec<u8>> {
    let frames = vec((first_byte(), payload(), proptest::bool::weighted(0.03)), 0..8);
    let flips = vec((any::<proptest::sample::Index>(), 0..8), 0..3);
    (frames, flips, proptest::bool::weighted(0.7)).prop_map(move |(frames, flips, intact)| {
        let mut bytes = Vec::new();
        for (first, payload, wrong_mask) in frames {
            let to = if wrong_mask { other(to) } else { to };
            bytes.extend(frame(to, first, &payload));
        }
        if !intact && !bytes.is_empty() {
            for (index, bit) in flips {
                *index.get_mut(&mut bytes) ^= 1u8 << bit;
            }
        }
        bytes
    })
}

/// Messages of each kind in fragments, with control frames among them: all of it valid.
fn conversation(to: Role) -> impl Strategy<Value = Vec<u8>> {
    let text = vec(any::<char>(), 0..60).prop_map(|text| text.into_iter().collect::<String>());
    let control = (0x89u8..=0x8a, vec(any::<u8>(), 0..=125));
    let message = (any::<bool>(), text, vec(any::<proptest::sample::Index>(), 0..6), vec(control, 0..6));
    vec(message, 1..6).prop_map(move |messages| {
        let mut bytes = Vec::new();
        for (is_text, text, cuts, controls) in messages {
            let mut cuts = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect::<Vec<_>>();
            cuts.sort_unstable();
            cuts.push(text.len());
            let (mut start, mut opcode) = (0, if is_text { 1 } else { 2 });
            let mut controls = controls.into_iter();
            for (i, end) in cuts.iter().enumerate() {
                let fin = if i + 1 == cuts.len() { 0x80 } else { 0 };
                bytes.extend(frame(to, fin | opcode, &text.as_bytes()[start..*end]));
                (start, opcode) = (*end, 0);
                if let Some((first, payload)) = controls.next() {
                    bytes.extend(frame(to, first, &payload));
                }
            }
        }
        bytes
    })
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// 6455-6.2-01, 6455-10.7-01: on any stream, the core sees what the naive twin sees, and fails with
    /// the same code; only sooner, when a frame is bad whose rest is still to come.
    #[test]
    fn any_stream((client, server) in (stream(Role::Client), stream(Role::Server))) {
        for (role, bytes) in [(Role::Client, client), (Role::Server, server)] {
            let (events, code) = core(role, &[&bytes]);
            let twin = naive::receive(role, &bytes);
            if twin.1.is_none() && code.is_some() {
                // What would have completed the frame, if it is not absurdly long.
                let completed = [bytes, vec![0; 1 << 17]].concat();
                let twin = naive::receive(role, &completed);
                prop_assert_eq!(&twin.0, &events);
                prop_assert!(twin.1 == code || twin.1.is_none());
            } else {
                prop_assert_eq!((events, code), twin);
            }
        }
    }

    /// 6455-6.2-04, 6455-5.4-01: the same for valid streams, in any pieces; and none of them fails.
    #[test]
    fn valid_streams((client, server) in (conversation(Role::Client), conversation(Role::Server)), size in 1usize..200) {
        for (role, bytes) in [(Role::Client, client), (Role::Server, server)] {
            let twin = naive::receive(role, &bytes);
            prop_assert_eq!(twin.1, None);
            prop_assert_eq!(&core(role, &bytes.chunks(size).collect::<Vec<_>>()), &twin);
        }
    }
}

/// The twin itself reads the RFC's examples: it is not blind.
#[test]
fn the_twin_sees() {
    let (events, code) =
        naive::receive(Role::Client, b"\x01\x03Hel\x89\x00\x80\x02lo\x88\x02\x03\xe8\x81\x00");
    assert_eq!((events.len(), code), (4, None));
    for role in ROLES {
        for (bytes, code) in [
            (frame(role, 0xc1, b""), 1002),
            (frame(other(role), 0x81, b""), 1002),
            (frame(role, 0x81, b"\xff"), 1007),
            (frame(role, 0x80, b""), 1002),
            (frame(role, 0x88, b"\x03\xed"), 1002),
        ] {
            assert_eq!(naive::receive(role, &bytes), (vec![], Some(code)));
        }
    }
}

//! The fuzz targets' functions on pseudo-random bytes, and on their corpora.

#[path = "../../fuzz/src/deflate_contexts.rs"]
mod contexts;
#[path = "../../fuzz/src/deflate.rs"]
mod targets;

use std::fs;
use std::path::Path;

use crate::common::{Noise, pseudo_random};
use crate::endpoint::Foreign;
use contexts::deflate_contexts;
use targets::{deflate_inflate, deflate_negotiation, deflate_round_trip};

/// Replays a target's corpus, and gives it each input that is one byte long.
fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut seeds = 0;
    for seed in fs::read_dir(corpus).unwrap() {
        target(&fs::read(seed.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0);
    target(&[]);
    for byte in 0..=u8::MAX {
        target(&[byte]);
    }
}

#[test]
fn any_header_is_negotiated() {
    replay("deflate_negotiation", deflate_negotiation);
    let name = "permessage-deflate";
    let parameters = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    let rest = [
        "; ", "; ", ";", ", ", ",", "=", "=", "8", "9", "10", "15", "16", "\"9\"", "\"", "\\", " ", "\t",
        "foo", "\u{7f}", name,
    ];
    let words = [&parameters[..], &rest].concat();
    let mut noise = Noise::new(1);
    for seed in 0..20_000 {
        let mut data = pseudo_random(seed, 4);
        data.extend_from_slice(name.as_bytes());
        for _ in 0..noise.below(12) {
            data.extend_from_slice(words[noise.below(words.len())].as_bytes());
        }
        deflate_negotiation(&data);
    }
}

#[test]
fn any_payload_is_inflated() {
    replay("deflate_inflate", deflate_inflate);
    let mut noise = Noise::new(2);
    for seed in 0..2000 {
        let mut data = pseudo_random(seed, noise.below(200));
        if seed % 2 == 0 {
            // Something to inflate.
            let repeated = pseudo_random(seed, 1 + noise.below(30)).repeat(1 + noise.below(100));
            let payload = Foreign::new(6).message(&repeated);
            data.truncate(3);
            for piece in payload.chunks(63) {
                data.push(u8::try_from(piece.len() << 2 | 2).unwrap());
                data.extend_from_slice(piece);
            }
            data.push(0);
        }
        deflate_inflate(&data);
    }
}

#[test]
fn any_data_makes_the_round_trip() {
    replay("deflate_round_trip", deflate_round_trip);
    let mut noise = Noise::new(3);
    for seed in 0..500 {
        deflate_round_trip(&pseudo_random(seed, noise.below(2000)));
    }
}

#[test]
fn any_connections_speak_in_turns() {
    replay("deflate_contexts", deflate_contexts);
    let mut noise = Noise::new(4);
    for seed in 0..300 {
        deflate_contexts(&pseudo_random(seed, noise.below(1000)));
    }
}

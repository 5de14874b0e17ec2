//! Replays the fuzz targets' corpora: what the fuzzer once found, and where it starts from.
#![cfg(all(feature = "std", feature = "handshake"))]

#[path = "../../fuzz/src/targets/mod.rs"]
#[allow(unreachable_pub, reason = "it is the public part of a crate of its own")]
mod targets;

use std::fs;
use std::panic;
use std::path::Path;

#[test]
fn every_seed() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut seeds = 0;
        for seed in fs::read_dir(corpora.join(name)).unwrap() {
            let path = seed.unwrap().path();
            let data = fs::read(&path).unwrap();
            assert!(panic::catch_unwind(|| target(&data)).is_ok(), "{}", path.display());
            seeds += 1;
        }
        assert!(seeds > 0, "no seeds for {name}");
    }
}

/// Inputs that no corpus needs to hold.
#[test]
fn every_short_input() {
    for (_, target) in targets::TARGETS {
        target(&[]);
        for byte in 0..=u8::MAX {
            target(&[byte]);
        }
    }
}

//! The compressor's window (RFC 7692 section 7.2.1): it never looks back further than was agreed on.

use crate::common::{Noise, pseudo_random};
use crate::endpoint::{Endpoint, RSV1, agreed, always};
use crate::naive::Naive;
use crate::{common, common::BINARY};
use sansocket::{AgreedDeflate, Config, Role};

/// Data in which there is most to be gained by looking back just too far.
fn adversarial(window_bits: u8) -> Vec<Vec<u8>> {
    let window = 1_usize << window_bits;
    let mut distances = vec![window / 2, window - 1, window, window + 1];
    // On either side of what zlib leaves unused of a window: the longest match and a little.
    distances.extend(
        (window.saturating_sub(266)..window.saturating_sub(258)).chain(2 * window - 266..2 * window - 258),
    );
    if window_bits <= 10 {
        distances.extend(window - 16..window + 16);
    }
    let mut messages = vec![vec![0; 3 * window + 7]];
    for (seed, distance) in (2..).zip(distances) {
        if distance > 0 {
            let period = pseudo_random(seed, distance);
            messages.push([&period[..], &period, &period[..distance.min(600)]].concat());
        }
    }
    // Copies from random distances, of random lengths.
    let mut noise = Noise::new(u64::from(window_bits));
    let mut copies = pseudo_random(1, window / 2);
    while copies.len() < 4 * window {
        let back = 1 + noise.below(copies.len().min(window + window / 4));
        let start = copies.len() - back;
        for i in 0..3 + noise.below(300) {
            copies.push(copies[start + i % back]);
        }
        copies.push(noise.byte());
    }
    messages.push(copies);
    messages
}

#[track_caller]
fn never_looks_back_further(role: Role, agreed: AgreedDeflate, level: u8) {
    let bits = agreed.max_window_bits(role);
    let mut endpoint = Endpoint::new(role, &Config::default(), &always().level(level), agreed);
    let mut naive = Naive::new(bits);
    for message in adversarial(bits) {
        endpoint.send(&message.clone().into());
        let [(first, payload)] = &endpoint.sent()[..] else { panic!("one frame") };
        if *first == BINARY {
            assert!(agreed.no_context_takeover(role), "nothing was gained by compressing it");
            continue;
        }
        assert_eq!(*first, BINARY | RSV1);
        let what = format!("{role:?}, level {level}, window bits {bits}");
        assert_eq!(naive.message(payload).as_deref(), Ok(&message[..]), "{what}");
        if agreed.no_context_takeover(role) {
            naive.forget();
        }
    }
    assert!(!naive.saw_final, "no final block is made");
    if level > 0 {
        // It does look back, and uses most of a large window.
        assert!(naive.farthest > (1 << bits) / 3, "{}", naive.farthest);
    }
}

/// 7692-7.2.1-13, 7692-7.2.1-15, 7692-7.2.1-07, 7692-7.2.1-05, 7692-7-05, 7692-7.2.1-01: with every window and at every
/// level, in both directions, all distances are within the agreed window; 8 included, which zlib has no window for.
#[test]
fn distances_are_within_the_agreed_window() {
    for bits in 8..=15 {
        let offer = format!(
            "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={}",
            if bits == 8 { 8 } else { 24 - bits }
        );
        for level in 0..=9 {
            for role in common::ROLES {
                never_looks_back_further(role, agreed(&offer), level);
            }
        }
    }
}

/// The same without context takeover, where a compressor that was used before is used again.
#[test]
fn distances_are_within_the_message_without_takeover() {
    for bits in [8, 9, 11] {
        let offer = format!(
            "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}; \
             server_no_context_takeover; client_no_context_takeover"
        );
        for level in [1, 3, 6, 9] {
            for role in common::ROLES {
                never_looks_back_further(role, agreed(&offer), level);
            }
        }
    }
}

//! The fuzz targets that need nothing but sansocket, and what they share.
#![allow(clippy::expect_used, clippy::panic, reason = "a target reports what it finds by a panic")]

mod close;
mod frame_header;
mod handshake;
mod handshake_client;
mod handshake_server;
mod mask;
mod operations;
mod receiver;
mod seen;
mod text;
mod utf8;

use sansocket::frame::MAX_CONTROL_PAYLOAD;

pub use close::close;
pub use frame_header::frame_header;
pub use handshake_client::handshake_client;
pub use handshake_server::handshake_server;
pub use mask::mask;
pub use operations::operations;
pub use receiver::receiver;
pub use text::text;
pub use utf8::utf8;

/// A function that takes any bytes, and panics where an invariant is broken.
pub type Target = fn(&[u8]);

/// The targets of this module by their names, which are those of their corpora.
pub const TARGETS: [(&str, Target); 9] = [
    ("close", close),
    ("frame_header", frame_header),
    ("handshake_client", handshake_client),
    ("handshake_server", handshake_server),
    ("mask", mask),
    ("operations", operations),
    ("receiver", receiver),
    ("text", text),
    ("utf8", utf8),
];

/// Takes a target's choices off the front of its input, each as so many bytes: the fuzzer's mutations
/// stay local, and seeds can be written by hand. When the input is used up, every choice is 0.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As many of the next `len` bytes as there are.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A number below 2^16.
    fn number(&mut self) -> usize {
        u16::from_be_bytes(self.array()).into()
    }
}

/// Where to cut `len` bytes: ascending positions, the last of them `len`. Pieces have at most `longest`
/// bytes, and pseudo-random lengths.
fn cuts(len: usize, longest: usize, seed: u64) -> Vec<usize> {
    let mut noise = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut cuts = Vec::new();
    let mut position = 0;
    while position < len {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        position += 1 + usize::try_from(noise % longest as u64).expect("a small number");
        cuts.push(position.min(len));
    }
    if cuts.is_empty() {
        cuts.push(len);
    }
    cuts
}

/// Byte by byte, in small pieces, in larger ones, and in two.
fn every_cut(len: usize, seed: u64) -> impl Iterator<Item = Vec<usize>> {
    let in_two = usize::try_from(seed % (len as u64 + 1)).expect("at most `len`");
    [cuts(len, 1, seed), cuts(len, 4, seed), cuts(len, 64, seed), vec![in_two, len]].into_iter()
}

/// A seed for what need not be chosen by the fuzzer: any function of the input does.
fn hash(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Masking keys: always the same, so that runs compare.
fn random(bytes: &mut [u8]) {
    for (byte, value) in bytes.iter_mut().zip((0..=u8::MAX).cycle()) {
        *byte = value.wrapping_mul(37).wrapping_add(11);
    }
}

/// Octet i XOR key octet i MOD 4 (RFC 6455 section 5.3).
fn mask_naively(key: [u8; 4], payload: &mut [u8], offset: u64) {
    for (i, byte) in (offset % 4..).zip(payload) {
        *byte ^= key[usize::try_from(i % 4).expect("below 4")];
    }
}

/// What an endpoint sent, read naively: each frame's first byte, and its payload, unmasked. They must be
/// whole, of minimal lengths, without reserved bits, and masked if (and only if) the endpoint is a client.
#[track_caller]
fn frames(masked: bool, mut sent: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = sent {
        assert_eq!((first & 0x70, second & 0x80 != 0), (0, masked), "reserved bits, or the MASK bit");
        let len_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (len, rest) = rest.split_at(len_bytes);
        let len = match len_bytes {
            0 => usize::from(second & 0x7f),
            _ => len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let minimal = match len {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        assert_eq!(len_bytes, minimal, "the length's form");
        assert!(first & 8 == 0 || len <= MAX_CONTROL_PAYLOAD && first & 0x80 != 0, "a control frame");
        let (key, rest) = rest.split_at(if masked { 4 } else { 0 });
        let (payload, rest) = rest.split_at(len);
        let mut payload = payload.to_vec();
        if let Ok(key) = key.try_into() {
            mask_naively(key, &mut payload, 0);
        }
        frames.push((*first, payload));
        sent = rest;
    }
    assert!(sent.is_empty(), "whole frames");
    frames
}

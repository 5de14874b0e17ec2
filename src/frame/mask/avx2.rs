//! Masking long payloads with the widest vectors that the processor has.
//!
//! This module has `unsafe`, as one other has, `utf8::text`: to call what is compiled for more than every
//! processor of its kind has. What is called is safe code, the same that runs where there is no more: it
//! is its own safe twin. `cargo bench mask` shows what is won; `tests/core/masking.rs` and the fuzz target
//! `mask` compare both with the loop of the RFC; `tests/core/utf8.rs` has what is to be seen of text.

use alloc::vec::Vec;

use super::blocks::{append_blocks, apply_blocks, apply_short, rotate};

/// A payload, or part of one, this long is masked here: below, it is over before it is decided how.
pub(super) const MIN_LEN: usize = 256;

/// The widest vector's size in bytes.
const ALIGN: usize = 32;

/// A payload this long is aligned where it is copied.
const LONG: usize = 4 << 10;

/// See [`apply_blocks`]. The vectors are aligned: one that crosses the border of two cache lines takes twice
/// the time, and a payload behind its header begins anywhere.
///
/// Tells whether what comes of it is ASCII, if it is to `LOOK`; false otherwise.
#[inline]
pub(super) fn apply<const LOOK: bool>(part: &mut [u8], key: u32) -> bool {
    let (head, part) = part.split_at_mut(part.as_ptr().align_offset(ALIGN).min(part.len()));
    apply_short(head, key);
    apply_anywhere::<LOOK>(part, rotate(key, head.len() as u64)) && head.is_ascii()
}

#[inline]
fn apply_anywhere<const LOOK: bool>(part: &mut [u8], key: u32) -> bool {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[expect(unsafe_code, reason = "the module says why")]
        return unsafe { apply_avx2::<LOOK>(part, key) };
    }
    let all = apply_blocks::<64>(part, key);
    LOOK && all.is_ascii()
}

/// See [`append_blocks`]. Long payloads are written aligned, as in [`apply`]: it takes some time to get
/// there.
#[inline]
pub(super) fn append<'a>(payload: &'a [u8], key: u32, out: &mut Vec<u8>) -> &'a [u8] {
    if payload.len() < LONG {
        return append_anywhere(payload, key, out);
    }
    let unaligned = out.spare_capacity_mut().as_ptr().align_offset(ALIGN);
    let (head, payload) = payload.split_at(unaligned.min(payload.len()));
    let start = out.len();
    out.extend_from_slice(head);
    apply_short(&mut out[start..], key);
    append_anywhere(payload, rotate(key, head.len() as u64), out)
}

#[inline]
fn append_anywhere<'a>(payload: &'a [u8], key: u32, out: &mut Vec<u8>) -> &'a [u8] {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[expect(unsafe_code, reason = "the module says why")]
        return unsafe { append_avx2(payload, key, out) };
    }
    append_blocks::<64>(payload, key, out)
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn apply_avx2<const LOOK: bool>(part: &mut [u8], key: u32) -> bool {
    let all = apply_blocks::<128>(part, key);
    LOOK && all.is_ascii()
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn append_avx2<'a>(payload: &'a [u8], key: u32, out: &mut Vec<u8>) -> &'a [u8] {
    append_blocks::<128>(payload, key, out)
}

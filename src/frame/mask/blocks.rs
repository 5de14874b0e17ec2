//! Masking in blocks, which the compiler turns into the widest vector instructions that it was told of.

use alloc::vec::Vec;

/// The key whose first byte masks the byte that is `offset` further on.
#[inline]
pub(super) fn rotate(key: u32, offset: u64) -> u32 {
    key.rotate_right((offset % 4) as u32 * 8)
}

/// Masks in the widest blocks that fit: the compiler turns each into vector instructions.
#[inline]
pub(super) fn apply_short(part: &mut [u8], key: u32) {
    match part.len() {
        0..4 => part.iter_mut().zip(key.to_le_bytes()).for_each(|(byte, key)| *byte ^= key),
        4..8 => _ = apply_blocks::<4>(part, key),
        8..16 => _ = apply_blocks::<8>(part, key),
        16..32 => _ = apply_blocks::<16>(part, key),
        32..64 => _ = apply_blocks::<32>(part, key),
        64.. => _ = apply_blocks::<64>(part, key),
    }
}

/// Masks in blocks of `N` bytes, a multiple of 4. What is left over is the end of one block more, which
/// overlaps the block before it: it is masked before, and put in place after.
///
/// Returns all blocks, one over the other, for those who want to know whether a bit is set in any byte: for others, the
/// compiler leaves that out.
#[expect(clippy::inline_always, reason = "it is compiled for the processors that its caller is compiled for")]
#[inline(always)]
pub(super) fn apply_blocks<const N: usize>(part: &mut [u8], key: u32) -> [u8; N] {
    let Some(mut last) = part.last_chunk::<N>().copied() else {
        return [0; N];
    };
    apply_block(&mut last, rotate(key, part.len() as u64));
    let mut all = last;
    for block in part.as_chunks_mut::<N>().0 {
        let mut masked = *block;
        apply_block(&mut masked, key);
        *block = masked;
        all.iter_mut().zip(masked).for_each(|(all, byte)| *all |= byte);
    }
    if let Some(end) = part.last_chunk_mut() {
        *end = last;
    }
    all
}

/// Appends what there is of whole blocks, and returns the rest.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub(super) fn append_blocks<'a, const N: usize>(payload: &'a [u8], key: u32, out: &mut Vec<u8>) -> &'a [u8] {
    let (blocks, rest) = payload.as_chunks::<N>();
    for block in blocks {
        let mut block = *block;
        apply_block(&mut block, key);
        out.extend_from_slice(&block);
    }
    rest
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn apply_block<const N: usize>(block: &mut [u8; N], key: u32) {
    for word in block.as_chunks_mut::<4>().0 {
        *word = (u32::from_le_bytes(*word) ^ key).to_le_bytes();
    }
}

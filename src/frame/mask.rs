//! Masking (RFC 6455 section 5.3): the payload of every frame from client to server is `XOR`ed with a key.

use alloc::vec::Vec;

use super::wide;

/// The 32-bit key that a frame's payload is masked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// A key from its four bytes in network order. An endpoint's own keys come from a strong source
    /// of entropy and are used for one frame each (section 5.3).
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes, as they stand in the frame's header.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// Masks, or unmasks, part of a payload in place: `part[0]` is the payload's byte `offset`.
    ///
    /// "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)"
    ///
    /// ```
    /// # use sansocket::frame::MaskingKey;
    /// let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    /// let mut payload = *b"\x7f\x9f\x4d\x51\x58";
    /// let (start, end) = payload.split_at_mut(2);
    /// key.apply(start, 0);
    /// key.apply(end, 2);
    /// assert_eq!(&payload, b"Hello");
    /// ```
    #[inline]
    pub fn apply(self, part: &mut [u8], offset: u64) {
        let key = rotate(u32::from_le_bytes(self.0), offset);
        match part.len() {
            ..wide::MIN_LEN => apply_short(part, key),
            _ => wide::apply(part, key),
        }
    }

    /// Appends a payload, masked on the way.
    pub(crate) fn append(self, payload: &[u8], out: &mut Vec<u8>) {
        let key = u32::from_le_bytes(self.0);
        let rest = match payload.len() {
            ..wide::MIN_LEN => append_blocks::<64>(payload, key, out),
            _ => wide::append(payload, key, out),
        };
        let start = out.len();
        out.extend_from_slice(rest);
        self.apply(&mut out[start..], (payload.len() - rest.len()) as u64);
    }
}

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
        4..8 => apply_blocks::<4>(part, key),
        8..16 => apply_blocks::<8>(part, key),
        16..32 => apply_blocks::<16>(part, key),
        32..64 => apply_blocks::<32>(part, key),
        64.. => apply_blocks::<64>(part, key),
    }
}

/// Masks in blocks of `N` bytes, a multiple of 4. What is left over is the end of one block more, which
/// overlaps the block before it: it is masked before, and put in place after.
#[inline]
pub(super) fn apply_blocks<const N: usize>(part: &mut [u8], key: u32) {
    let Some(mut last) = part.last_chunk::<N>().copied() else {
        return;
    };
    apply_block(&mut last, rotate(key, part.len() as u64));
    for block in part.as_chunks_mut::<N>().0 {
        apply_block(block, key);
    }
    if let Some(end) = part.last_chunk_mut() {
        *end = last;
    }
}

/// Appends what there is of whole blocks, and returns the rest.
#[inline]
pub(super) fn append_blocks<'a, const N: usize>(payload: &'a [u8], key: u32, out: &mut Vec<u8>) -> &'a [u8] {
    let (blocks, rest) = payload.as_chunks::<N>();
    for block in blocks {
        let mut block = *block;
        apply_block(&mut block, key);
        out.extend_from_slice(&block);
    }
    rest
}

#[inline]
fn apply_block<const N: usize>(block: &mut [u8; N], key: u32) {
    for word in block.as_chunks_mut::<4>().0 {
        *word = (u32::from_le_bytes(*word) ^ key).to_le_bytes();
    }
}

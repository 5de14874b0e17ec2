//! Masking (RFC 6455 section 5.3): the payload of every frame from client to server is `XOR`ed with a key.

mod avx2;
mod blocks;
pub(crate) mod keys;

use alloc::vec::Vec;

use self::blocks::{append_blocks, apply_short, rotate};

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
    /// "transformed-octet-i = original-octet-i XOR masking-key-octet-j" (6455-5.3-05), where j is i modulo 4.
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
            ..avx2::MIN_LEN => apply_short(part, key),
            _ => _ = avx2::apply::<false>(part, key),
        }
    }

    /// Like [`apply`](Self::apply), and tells whether what comes of it is known to be ASCII: of a long part it is seen on
    /// the way, which takes less than another look at it.
    pub(crate) fn apply_to_text(self, part: &mut [u8], offset: u64) -> bool {
        if part.len() < avx2::MIN_LEN {
            self.apply(part, offset);
            return false;
        }
        avx2::apply::<true>(part, rotate(u32::from_le_bytes(self.0), offset))
    }

    /// Appends a payload, masked on the way.
    pub(crate) fn append(self, payload: &[u8], out: &mut Vec<u8>) {
        let key = u32::from_le_bytes(self.0);
        let rest = match payload.len() {
            ..avx2::MIN_LEN => append_blocks::<64>(payload, key, out),
            _ => avx2::append(payload, key, out),
        };
        let start = out.len();
        out.extend_from_slice(rest);
        self.apply(&mut out[start..], (payload.len() - rest.len()) as u64);
    }
}

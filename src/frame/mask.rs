//! Masking (RFC 6455 section 5.3): the payload of every frame from client to server is `XOR`ed with a key.

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
        // The key, rotated so that its first byte masks `part[0]`.
        let key = u32::from_le_bytes(self.0).rotate_right((offset % 4) as u32 * 8);
        // A loop over words, which the compiler turns into vector instructions; then the bytes left over.
        let (words, rest) = part.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_le_bytes(*word) ^ key).to_le_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key.to_le_bytes()) {
            *byte ^= key;
        }
    }
}

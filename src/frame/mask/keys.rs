//! Where a client's masking keys come from (RFC 6455 section 5.3).

use core::fmt;

use super::MaskingKey;

/// "The masking key is a 32-bit value chosen at random by the client. When preparing a masked frame, the
/// client MUST pick a fresh masking key from the set of allowed 32-bit values." (6455-5.3-02)
pub(crate) struct MaskingKeys {
    random: fn(&mut [u8]),
    /// Drawn ahead, since a strong source is costly to ask for four bytes.
    pool: [[u8; 4]; 64],
    /// How many keys of the pool were used: each is used once.
    used: usize,
}

impl MaskingKeys {
    pub(crate) fn new(random: fn(&mut [u8])) -> Self {
        Self { random, pool: [[0; 4]; 64], used: 64 }
    }

    pub(crate) fn next(&mut self) -> MaskingKey {
        if self.used >= self.pool.len() {
            (self.random)(self.pool.as_flattened_mut());
            self.used = 0;
        }
        let key = self.pool[self.used];
        self.used += 1;
        MaskingKey::new(key)
    }
}

impl fmt::Debug for MaskingKeys {
    /// Keeps the keys to come out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskingKeys").finish_non_exhaustive()
    }
}

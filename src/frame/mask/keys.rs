//! Where a client's masking keys come from (RFC 6455 section 5.3).

use core::fmt;

use super::MaskingKey;

/// "The masking key is a 32-bit value chosen at random by the client. When preparing a masked frame, the
/// client MUST pick a fresh masking key from the set of allowed 32-bit values." (6455-5.3-02)
pub(crate) struct MaskingKeys {
    random: fn(&mut [u8]),
    /// Drawn ahead, since a strong source is costly to ask for four bytes.
    pool: [[u8; 4]; POOL],
    /// How many keys of the pool were used: each is used once. All, while the use is [paused](Self::pause).
    used: usize,
    /// How many were used when it was paused; all, if it was not.
    paused_at: usize,
    /// Tells which process this is. What another one drew is not used: a fork has copied it, and both would.
    process: Option<fn() -> u32>,
    /// The process that drew the keys.
    drawn_in: u32,
}

impl MaskingKeys {
    pub(crate) fn new(random: fn(&mut [u8])) -> Self {
        Self { random, pool: [[0; 4]; POOL], used: POOL, paused_at: POOL, process: None, drawn_in: 0 }
    }

    pub(crate) fn next(&mut self) -> MaskingKey {
        if self.used >= POOL {
            self.resume();
        }
        let key = self.pool[self.used];
        self.used += 1;
        MaskingKey::new(key)
    }

    /// Has keys that were drawn ahead dropped in a process other than that which drew them, after each
    /// [pause](Self::pause).
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn watch_process(&mut self, process: fn() -> u32) {
        self.process = Some(process);
    }

    /// The next key may be wanted by another process.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn pause(&mut self) {
        if self.process.is_some() && self.used < POOL {
            self.paused_at = core::mem::replace(&mut self.used, POOL);
        }
    }

    /// Goes on with the pool after a pause, if it is this process's own; else draws another.
    fn resume(&mut self) {
        let process = self.process.map_or(0, |process| process());
        if self.paused_at < POOL && self.drawn_in == process {
            self.used = self.paused_at;
        } else {
            (self.random)(self.pool.as_flattened_mut());
            (self.used, self.drawn_in) = (0, process);
        }
        self.paused_at = POOL;
    }
}

impl fmt::Debug for MaskingKeys {
    /// Keeps the keys to come out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskingKeys").finish_non_exhaustive()
    }
}

/// How many keys are drawn at once.
const POOL: usize = 64;

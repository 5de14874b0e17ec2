//! The last bytes of the messages of a connection: its LZ77 window, from which a compressor or decompressor goes on.

use alloc::collections::VecDeque;
use core::fmt;

/// The last bytes of what was deflated, or inflated: as long as that was, at most.
#[derive(Default)]
pub(super) struct History {
    bytes: VecDeque<u8>,
    /// How long `bytes` may become.
    most: usize,
}

impl History {
    /// An empty one, which holds no memory, and is to hold `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: VecDeque::new(), most }
    }

    /// Appends what was deflated or inflated next.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.most)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.most);
        self.bytes.drain(..excess);
        let len = self.bytes.len() + bytes.len();
        let capacity = self.bytes.capacity();
        if len > capacity {
            // No more than there is at first; then by quarters, so that few messages find it full.
            let grown = len.max(capacity + capacity / 4).min(self.most);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// The older bytes, and the newer.
    pub(super) fn as_slices(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// Forgets all, and frees the memory.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
    }
}

impl fmt::Debug for History {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

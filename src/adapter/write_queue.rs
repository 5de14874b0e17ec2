//! What is to be written: small frames joined in one buffer, large payloads where they lie.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A queue of bytes.
///
/// ```text
/// bytes:     h p h p h | h p h | h p        h: header, p: small payload
///                  ^written    ^
/// payloads:            P0      P1           written when `bytes` is written up to their position
/// ```
#[derive(Default)]
pub(crate) struct WriteQueue {
    /// Headers and small payloads; whole frames but for the payloads that are to be put between.
    bytes: Vec<u8>,
    /// How many of `bytes` were written.
    written: usize,
    /// Large payloads, none empty, each with its position in `bytes`: ascending, and none below
    /// `written`.
    payloads: VecDeque<(usize, Bytes)>,
    /// The bytes in `payloads`.
    payloads_len: usize,
}

impl WriteQueue {
    /// How many bytes are to be written.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written + self.payloads_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append whole frames.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.take();
        }
        &mut self.bytes
    }

    /// Appends a payload without a copy. Its header is at the end of [`buffer`](Self::buffer).
    pub(crate) fn push_payload(&mut self, payload: Bytes) {
        self.payloads_len += payload.len();
        self.payloads.push_back((self.bytes.len(), payload));
    }

    /// Appends what was queued later, and nothing of it written.
    #[cfg(feature = "blocking")]
    pub(crate) fn append(&mut self, mut later: Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&later.bytes);
        self.payloads.extend(later.payloads.drain(..).map(|(at, payload)| (start + at, payload)));
        self.payloads_len += later.payloads_len;
        later.clear();
    }

    /// Fills `slices` from the front of the queue, and returns those it filled.
    pub(crate) fn slices<'a, 's>(&'a self, slices: &'s mut [IoSlice<'a>]) -> &'s [IoSlice<'a>] {
        let mut position = self.written;
        let mut filled = 0;
        let mut push = |slice: &'a [u8]| {
            if let Some(free) = slices.get_mut(filled)
                && !slice.is_empty()
            {
                *free = IoSlice::new(slice);
                filled += 1;
            }
        };
        for (at, payload) in self.payloads.iter().take(MAX_SLICES) {
            push(&self.bytes[position..*at]);
            push(payload);
            position = *at;
        }
        if self.payloads.len() <= MAX_SLICES {
            push(&self.bytes[position..]);
        }
        &slices[..filled]
    }

    /// Drops the first `len` bytes, which were written.
    pub(crate) fn advance(&mut self, mut len: usize) {
        loop {
            let end = self.payloads.front().map_or(self.bytes.len(), |(at, _)| *at);
            let step = len.min(end - self.written);
            self.written += step;
            len -= step;
            let Some((_, payload)) = self.payloads.front_mut().filter(|_| self.written == end) else {
                break;
            };
            let step = len.min(payload.len());
            payload.advance(step);
            self.payloads_len -= step;
            len -= step;
            if !payload.is_empty() {
                break;
            }
            self.payloads.pop_front();
        }
        if self.is_empty() {
            self.clear();
        } else if self.written > self.bytes.len() / 2 {
            self.compact();
        }
    }

    /// Drops everything, and gives the memory back: the thread keeps one buffer for whichever
    /// connection writes next.
    pub(crate) fn clear(&mut self) {
        self.payloads = VecDeque::new();
        self.payloads_len = 0;
        self.written = 0;
        let mut bytes = core::mem::take(&mut self.bytes);
        if bytes.capacity() <= MAX_SPARE {
            bytes.clear();
            SPARE.set(bytes);
        }
    }

    /// Moves what is not written to the front, so that the buffer does not grow while it is never
    /// quite drained. At most as many bytes as were written since the last time.
    fn compact(&mut self) {
        self.bytes.drain(..self.written);
        for (at, _) in &mut self.payloads {
            *at -= self.written;
        }
        self.written = 0;
    }
}

impl fmt::Debug for WriteQueue {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

std::thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How many slices one vectored write takes at most.
pub(crate) const MAX_SLICES: usize = 16;
/// A larger buffer is freed rather than kept.
const MAX_SPARE: usize = 128 << 10;

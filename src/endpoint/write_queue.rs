//! What is to be written: small frames joined in one buffer, large payloads where they lie.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::frame::FrameHeader;
use crate::thread_cache;

/// A queue of bytes.
///
/// ```text
/// bytes:     h p h p h | h p h | h p        h: header, p: small payload
///            ^front ^written   ^
/// payloads:            P0      P1           written when `bytes` is written up to their position
/// ```
#[derive(Default)]
pub(crate) struct WriteQueue {
    /// Headers and small payloads; whole frames but for the payloads that are to be put between.
    bytes: Vec<u8>,
    /// How many of `bytes` were written.
    written: usize,
    /// Where a frame begins before which all were written: at most `written`.
    front: usize,
    /// Large payloads, if there are any.
    payloads: Option<Box<Payloads>>,
}

#[derive(Debug, Default)]
struct Payloads {
    /// None empty, each with its position in `bytes`: ascending, and none below `written`.
    queue: VecDeque<(usize, Bytes)>,
    /// The bytes in all of them.
    len: usize,
}

impl WriteQueue {
    /// How many bytes are to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written + self.payloads.as_ref().map_or(0, |payloads| payloads.len)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append whole frames.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = thread_cache::take(&SPARE);
        }
        &mut self.bytes
    }

    /// Appends a payload without a copy. Its header is at the end of [`buffer`](Self::buffer), or part of it.
    pub(crate) fn push_payload(&mut self, payload: Bytes) {
        let payloads =
            self.payloads.get_or_insert_with(|| thread_cache::take(&SPARE_PAYLOADS).unwrap_or_default());
        payloads.len += payload.len();
        payloads.queue.push_back((self.bytes.len(), payload));
    }

    /// How many messages end in what is to be written: a look at each of its frames.
    pub(crate) fn messages(&self) -> usize {
        let mut payloads = self.payloads.iter().flat_map(|payloads| &payloads.queue).peekable();
        let (mut at, mut messages) = (self.front, 0);
        loop {
            if payloads.next_if(|(position, _)| *position == at).is_some() {
                // A prepared message, with its header.
                messages += 1;
                continue;
            }
            let Some((header, mut end)) = self.frame_at(at) else {
                return messages;
            };
            let start = end - usize::try_from(header.payload_len).unwrap_or_default();
            let apart = start < end && payloads.next_if(|(position, _)| *position == start).is_some();
            if apart {
                end = start;
            }
            let unwritten = apart || end > self.written;
            messages += usize::from(unwritten && header.fin && !header.opcode.is_control());
            at = end;
        }
    }

    /// Appends what was queued later, and nothing of it written.
    pub(crate) fn append(&mut self, mut later: Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&later.bytes);
        if let Some(later) = &mut later.payloads {
            let payloads = self.payloads.get_or_insert_default();
            payloads.queue.extend(later.queue.drain(..).map(|(at, payload)| (start + at, payload)));
            payloads.len += later.len;
        }
        later.clear();
    }

    /// All that is to be written, if it is in one piece, as it nearly always is.
    #[inline]
    pub(crate) fn one_slice(&self) -> Option<&[u8]> {
        if self.payloads.is_none() { self.bytes.get(self.written..) } else { None }
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
        let payloads = self.payloads.iter().flat_map(|payloads| &payloads.queue);
        for (at, payload) in payloads.take(MAX_SLICES) {
            push(&self.bytes[position..*at]);
            push(payload);
            position = *at;
        }
        // Behind so many payloads there is no free slice for it.
        push(&self.bytes[position..]);
        &slices[..filled]
    }

    /// Drops the first `len` bytes, which were written.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        if len >= self.len() {
            self.clear();
        } else {
            self.advance_partly(len);
        }
    }

    fn advance_partly(&mut self, mut len: usize) {
        while let Some(payloads) = &mut self.payloads
            && let Some((end, payload)) = payloads.queue.front_mut()
        {
            let step = len.min(*end - self.written);
            self.written += step;
            len -= step;
            let step = if self.written == *end { len.min(payload.len()) } else { 0 };
            payload.advance(step);
            payloads.len -= step;
            len -= step;
            if !payload.is_empty() {
                break;
            }
            self.front = *end;
            payloads.queue.pop_front();
        }
        self.written += len.min(self.bytes.len() - self.written);
        if self.written > self.bytes.len() / 2 {
            self.compact();
        }
    }

    /// Drops everything, and gives the memory back: the thread keeps one buffer for whichever
    /// connection writes next.
    pub(crate) fn clear(&mut self) {
        if let Some(mut payloads) = self.payloads.take()
            && payloads.queue.capacity() <= 2 * MAX_SLICES
        {
            payloads.queue.clear();
            payloads.len = 0;
            thread_cache::keep(&SPARE_PAYLOADS, Some(payloads));
        }
        (self.written, self.front) = (0, 0);
        thread_cache::keep_buffer(&SPARE, core::mem::take(&mut self.bytes));
    }

    /// Moves the frames that are not written to the front, so that the buffer does not grow while it is never
    /// quite drained. At most as many bytes as were written since the last time.
    fn compact(&mut self) {
        let next = self.payloads.as_ref().and_then(|payloads| payloads.queue.front()).map(|(at, _)| *at);
        while let Some((_, end)) = self.frame_at(self.front)
            && end <= self.written
            && next.is_none_or(|next| end <= next)
        {
            self.front = end;
        }
        if self.front > self.bytes.len() / 2 {
            self.bytes.drain(..self.front);
            for (at, _) in self.payloads.iter_mut().flat_map(|payloads| &mut payloads.queue) {
                *at -= self.front;
            }
            self.written -= self.front;
            self.front = 0;
        }
    }

    /// The header of the frame that begins at `at`, and where the frame ends if its payload lies behind it.
    fn frame_at(&self, at: usize) -> Option<(FrameHeader, usize)> {
        let (header, len) = FrameHeader::parse(self.bytes.get(at..)?).ok()??;
        let end = usize::try_from(header.payload_len).ok()?.checked_add(at + len)?;
        Some((header, end))
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
    static SPARE_PAYLOADS: Cell<Option<Box<Payloads>>> = const { Cell::new(None) };
}

/// How many slices one vectored write takes at most.
pub(crate) const MAX_SLICES: usize = 16;

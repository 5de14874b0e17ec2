//! What is to be written: small frames joined in one buffer, large payloads where they lie.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use bytes::{Buf, Bytes};

use crate::frame::FrameHeader;
use crate::thread_cache;

/// A queue of bytes.
///
/// ```text
/// bytes:     h p h p h b | h p h b | h p    h: header, p: small payload, b: beginning of a large one
///            ^front ^written     ^
/// payloads:              P0        P1       the rest of it, written when `bytes` is written up to its position
/// ```
#[derive(Default)]
pub(crate) struct WriteQueue {
    /// Headers, and payloads as far as they are copied; whole frames but for what is to be put between.
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
    /// How much of the first was written: it is held until all of it is.
    written: usize,
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

    /// How many bytes it keeps for that: a payload of which some was written is kept whole.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        let payloads = self.payloads.as_ref().map_or(0, |payloads| payloads.len + payloads.written);
        self.bytes.len() - self.written + payloads
    }

    /// Where to append whole frames.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = thread_cache::take(&SPARE);
        }
        &mut self.bytes
    }

    /// Appends the rest of a payload without a copy. What comes before it is at the end of [`buffer`](Self::buffer); or it
    /// is a whole frame.
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
            let payload = end - usize::try_from(header.payload_len).unwrap_or_default()..end;
            let apart = payloads.next_if(|(position, _)| payload.contains(position));
            if let Some((position, _)) = apart {
                end = *position;
            }
            let unwritten = apart.is_some() || end > self.written;
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

    /// What is to be written next: the bytes at the front that lie behind each other. Empty if nothing is left.
    ///
    /// Never several slices at once: `writev` on a socket whose peer is gone raises `SIGPIPE`, which ends a process that
    /// does not ignore it, and a plain write of the standard library does not.
    #[inline]
    pub(crate) fn front(&self) -> &[u8] {
        match &self.payloads {
            None => self.bytes.get(self.written..).unwrap_or_default(),
            Some(payloads) => self.front_of(payloads),
        }
    }

    fn front_of<'a>(&'a self, payloads: &'a Payloads) -> &'a [u8] {
        match payloads.queue.front() {
            Some((at, payload)) if *at == self.written => payload,
            Some((at, _)) => &self.bytes[self.written..*at],
            None => &self.bytes[self.written..],
        }
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
            payloads.written += step;
            len -= step;
            if !payload.is_empty() {
                break;
            }
            self.front = *end;
            payloads.queue.pop_front();
            payloads.written = 0;
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
            && payloads.queue.capacity() <= MAX_PAYLOADS
        {
            payloads.queue.clear();
            (payloads.len, payloads.written) = (0, 0);
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

/// A longer list of payloads is freed rather than kept.
const MAX_PAYLOADS: usize = 32;

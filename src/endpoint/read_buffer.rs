//! The buffer that bytes are read into, parsed in, and handed out of.

use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use crate::message::Message;
use crate::thread_cache;
use crate::utf8::{InvalidUtf8, TextInProgress};

/// Bytes that were read and not yet consumed. It grows with what arrives, never with what a header
/// announces, and is given back while a connection waits.
pub(crate) struct ReadBuffer {
    /// Starts at the first byte not consumed. Shares its memory with the payloads handed out.
    bytes: BytesMut,
    /// How much room to offer the next read: what recent reads have filled.
    room: usize,
    /// The size of the last frame that was larger than `room` can be, less what small ones brought since: so much arrived
    /// before, and may again.
    large: u32,
    /// The memory that `bytes` is part of, as far as that is known: what it had when it was taken from the thread. 0 when it
    /// has none.
    held: u32,
}

impl ReadBuffer {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { bytes: BytesMut::from(bytes), room: MIN_ROOM, large: 0, held: saturated(bytes.len()) }
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Hands out the bytes in `payload`, and consumes them and those before: without a copy, but for a small part of a
    /// large buffer.
    #[inline]
    pub(crate) fn take(&mut self, payload: Range<usize>) -> Bytes {
        if self.held > MAX_KEPT || payload.is_empty() {
            return self.take_rarely(payload);
        }
        let mut taken = self.bytes.split_to(payload.end.min(self.bytes.len())).freeze();
        taken.advance(payload.start.min(taken.len()));
        taken
    }

    /// Of a large buffer; or nothing, which keeps no buffer alive.
    #[cold]
    fn take_rarely(&mut self, payload: Range<usize>) -> Bytes {
        let taken = self.take_mut(payload).freeze();
        if taken.is_empty() { Bytes::new() } else { self.owned(taken) }
    }

    /// What was taken without a copy; a small part of a large buffer with one, so that whoever keeps it does not keep the
    /// buffer alive.
    pub(crate) fn owned(&mut self, taken: Bytes) -> Bytes {
        if self.is_small(taken.len()) { self.copied(&taken) } else { taken }
    }

    /// The same for a message that is not compressed, and was joined of parts, if that was necessary.
    pub(crate) fn owned_message(&mut self, message: Message) -> Result<Message, InvalidUtf8> {
        self.remember(message.len());
        if self.is_small(message.len()) {
            Message::new(message.kind(), self.copied(message.payload()))
        } else {
            Ok(message)
        }
    }

    fn is_small(&self, len: usize) -> bool {
        self.held > MAX_KEPT && len < self.held as usize / 2
    }

    /// Bytes in memory of their own. A large buffer that brings no large frames any more is not worth the copies: it is
    /// then given back.
    fn copied(&mut self, bytes: &[u8]) -> Bytes {
        self.large = self.large.saturating_sub(saturated(bytes.len().max(MIN_COPIED)));
        Bytes::copy_from_slice(bytes)
    }

    /// Like [`take`](Self::take), for what something may be joined to.
    pub(crate) fn take_mut(&mut self, payload: Range<usize>) -> BytesMut {
        self.remember(payload.end);
        let mut taken = self.bytes.split_to(payload.end.min(self.bytes.len()));
        taken.advance(payload.start.min(taken.len()));
        taken
    }

    /// So much came at once, and may again.
    #[inline]
    fn remember(&mut self, len: usize) {
        if len > MAX_ROOM {
            self.large = saturated(len);
        }
    }

    /// Drops some bytes that others stand behind.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let len = self.bytes.len() - range.len();
        self.bytes.copy_within(range.end.., range.start);
        self.bytes.truncate(len);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Where to append what is read next; `missing` bytes complete the frame at the front, or the last one
    /// of `text`.
    pub(crate) fn room(&mut self, missing: u64, text: Option<&mut TextInProgress>) -> &mut BytesMut {
        self.make_room(missing, text);
        &mut self.bytes
    }

    /// The same when it is empty, and nothing is missing: what there is of the memory at hand, if that is enough. So most
    /// messages that come alone lie behind each other, until it is begun again at the front.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn room_alone(&mut self) -> &mut BytesMut {
        if self.held == 0 {
            self.bytes = thread_cache::take(&SPARE);
            self.held = saturated(self.bytes.capacity());
        }
        if self.bytes.capacity() < self.room || self.held > MAX_KEPT {
            self.make_room(2 * self.room as u64, None);
        }
        &mut self.bytes
    }

    /// Makes room for the next read: behind `text`, if that is what it continues.
    fn make_room(&mut self, missing: u64, text: Option<&mut TextInProgress>) {
        let len = self.bytes.len();
        let before = text.as_ref().map_or(0, |text| text.len());
        if text.is_none() && (self.held == 0 || len == 0 && self.held > MAX_KEPT && self.large == 0) {
            self.bytes = thread_cache::take(&SPARE);
            self.held = 0;
        }
        if len + before == 0 {
            // Begin again at the front, if what was handed out is done with: that memory is in the caches.
            let _ = self.bytes.try_reclaim(self.bytes.capacity() + 1);
        }
        // No more for a large frame than has arrived, of it or of one before: it doubles, and ends exactly.
        let most = (before + len).max(self.large as usize).max(MAX_ROOM);
        // What there is of a small frame may be moved to make room for more than its rest.
        let least = if before + len < self.room { self.room } else { 1 };
        let room = usize::try_from(missing).map_or(most, |missing| missing.min(most)).max(least);
        if self.bytes.capacity() - len < room {
            match text {
                Some(text) if len == 0 => {
                    // Their memory may be one: it grows only when it is the text's alone.
                    self.bytes = BytesMut::new();
                    self.bytes = text.room(room);
                }
                _ => self.bytes.reserve(room),
            }
            // It begins at the front of all the memory there is.
            self.held = 0;
        }
        self.held = self.held.max(saturated(before + self.bytes.capacity()));
    }

    /// Reads once from a blocking stream.
    pub(crate) fn fill(
        &mut self,
        io: &mut impl std::io::Read,
        missing: u64,
        text: Option<&mut TextInProgress>,
    ) -> std::io::Result<usize> {
        let continues = text.is_some();
        let start = self.bytes.len();
        // A buffer that is larger is for the long way to give back.
        let little = self.room == MIN_ROOM && self.held as usize <= MIN_ROOM;
        let result = if little && start == 0 && missing == 0 && !continues {
            self.fill_alone(io)
        } else {
            self.make_room(missing, text);
            // `Read` takes initialised bytes only: no more of them than recent reads have filled, lest a peer that
            // sends little at a time has much initialised for it.
            self.bytes.resize(self.bytes.capacity().min(start + self.room), 0);
            let result = io.read(&mut self.bytes[start..]);
            self.bytes.truncate(start + result.as_ref().map_or(0, |len| *len));
            result
        };
        // One that was interrupted did not wait: what it reads may have come in part.
        let waited = result.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::Interrupted);
        if waited && start == 0 && !continues {
            self.shrink();
        }
        result
    }

    /// Reads a little, as nearly all reads of small messages do: into memory of the thread's, which is initialised already,
    /// and no room is made before it has come.
    fn fill_alone(&mut self, io: &mut impl std::io::Read) -> std::io::Result<usize> {
        let mut little = thread_cache::take(&LITTLE);
        little.resize(MIN_ROOM, 0);
        let result = io.read(&mut little);
        if let Ok(len @ 1..) = result {
            if self.held == 0 {
                self.bytes = thread_cache::take(&SPARE);
            }
            if self.bytes.capacity() < len {
                // At the front again, if what was handed out is done with.
                self.bytes.reserve(len.max(LITTLE_KEPT));
                self.held = 0;
            }
            self.held = self.held.max(saturated(self.bytes.capacity()));
            self.bytes.extend_from_slice(little.get(..len).unwrap_or_default());
        }
        thread_cache::keep(&LITTLE, little);
        result
    }

    /// Nothing came in all the time that a read had: what it took when more came is given back.
    fn shrink(&mut self) {
        if self.bytes.capacity() > MIN_ROOM {
            self.bytes = BytesMut::new();
            self.held = 0;
            self.room = MIN_ROOM;
        }
    }

    /// Tells how many bytes a read has appended.
    pub(crate) fn on_read(&mut self, len: usize) {
        if len >= self.room {
            self.room = (self.room * 2).min(MAX_ROOM);
        } else if len < self.room / 4 {
            self.room = (self.room / 2).max(MIN_ROOM);
        }
    }

    /// Gives the memory back while there is nothing in it, so that a connection that waits holds none:
    /// the thread keeps one buffer for whichever connection reads next. A `text` that has begun keeps it, unless
    /// it is small.
    pub(crate) fn release(&mut self, text: Option<&mut TextInProgress>) {
        if self.bytes.is_empty() && self.held > 0 {
            if let Some(text) = text {
                if text.len() >= MIN_ROOM {
                    return;
                }
                text.detach();
            }
            self.release_alone();
        }
    }

    /// The same when it is empty, and there is no text.
    #[inline]
    pub(crate) fn release_alone(&mut self) {
        let bytes = core::mem::take(&mut self.bytes);
        if self.held <= MAX_KEPT {
            thread_cache::keep(&SPARE, bytes);
        }
        self.held = 0;
    }
}

impl fmt::Debug for ReadBuffer {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("len", &self.bytes.len())
            .field("room", &self.room)
            .field("large", &self.large)
            .field("held", &self.held)
            .finish()
    }
}

/// A size as it is kept: idle connections are many, and the buffer of none is this large.
fn saturated(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

std::thread_local! {
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
    /// Of `MIN_ROOM` bytes, if there is one.
    static LITTLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a connection that is read from in this way keeps at least, for messages that come next.
const LITTLE_KEPT: usize = 512;
/// Room for the messages of a quiet connection.
const MIN_ROOM: usize = 4 << 10;
/// Beyond this, a read's system call costs little per byte. A frame of 64 KiB fits, with its header.
const MAX_ROOM: usize = (64 << 10) + 64;
/// Twice that: a larger buffer is freed rather than kept for another connection, and small parts of it are copied out.
const MAX_KEPT: u32 = 2 * ((64 << 10) + 64);
/// What a copy costs at least, in bytes.
const MIN_COPIED: usize = 1 << 10;

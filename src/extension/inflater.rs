//! Decompressing what is received (RFC 7692 section 7.2.2), never beyond the message limit.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::Inflated;
use super::deflate::{AgreedDeflate, TAIL};
use crate::error::ProtocolError;
use crate::message::MessageKind;
use crate::role::Role;
use crate::thread_cache;
use crate::utf8::Utf8Validator;

/// Inflates the messages of one connection.
#[derive(Debug)]
pub(crate) struct Inflater {
    max_message_size: u64,
    no_context_takeover: bool,
    /// With context takeover, its window is that of all compressed messages so far. `None` while there is
    /// no window to keep.
    window: Option<Box<Window>>,
    /// How many bytes the message in progress has come to: at most `max_message_size`.
    len: u64,
    /// The tail is due: a byte of the message came, and the last one was not the last of a final block.
    needs_tail: bool,
    /// How much of the tail was inflated, once all else of the message was.
    tail: usize,
    /// The text message in progress, as far as it was inflated.
    utf8: Utf8Validator,
    /// How many final blocks were come to the end of, and not [told](Self::take_final_blocks).
    final_blocks: usize,
}

impl Inflater {
    pub(crate) fn new(agreed: AgreedDeflate, role: Role, max_message_size: u64) -> Self {
        let peer = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        Self {
            max_message_size,
            no_context_takeover: agreed.no_context_takeover(peer),
            window: None,
            len: 0,
            needs_tail: false,
            tail: 0,
            utf8: Utf8Validator::default(),
            final_blocks: 0,
        }
    }

    /// Inflates the next part of a message, and appends up to `room` bytes to `out`; `last` says that the
    /// message ends with this part. Call again, with what was not consumed, until it is done.
    ///
    /// With a bound it ends after some final blocks, too, which are work.
    ///
    /// The first fault in the stream is what counts, be it in the deflated data, in the text, or that there
    /// is too much of it: how the message was cut makes no difference.
    pub(crate) fn inflate(
        &mut self,
        kind: MessageKind,
        part: &[u8],
        last: bool,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<Inflated, ProtocolError> {
        let end = out.len().saturating_add(room);
        let mut inflated = self.inflate_bytes(kind, part, end, out)?;
        // A message that ended with a final block needs no tail. Nor has one of no bytes at all a block that
        // the tail could end: it would become the front of the next message.
        while inflated.done && last && self.tail < TAIL.len() && self.needs_tail {
            let step = self.inflate_bytes(kind, &TAIL[self.tail..], end, out)?;
            self.tail += step.consumed;
            inflated.done = step.done;
        }
        if inflated.done && last {
            self.end_message(kind)?;
        }
        Ok(inflated)
    }

    /// How much work [`inflate`](Self::inflate) was since the last call, beside what it took and made, in bytes.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn take_final_blocks(&mut self) -> usize {
        core::mem::take(&mut self.final_blocks) * FINAL_BLOCK
    }

    /// Inflates until `input` is used up, or `out` is `end` bytes long, or after many final blocks.
    fn inflate_bytes(
        &mut self,
        kind: MessageKind,
        input: &[u8],
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<Inflated, ProtocolError> {
        let mut consumed = 0;
        while out.len() < end {
            let rest = input.get(consumed..).unwrap_or_default();
            // One byte more than the message may have shows that it has too many.
            let most = usize::try_from(self.max_message_size - self.len)
                .map_or(usize::MAX, |left| left.saturating_add(1))
                .min(end - out.len());
            let window = self.window.get_or_insert_with(Window::fresh);
            let Inflation { taken, made, room_left, status } = window.inflate(rest, most);
            // Text that was inflated lies before what could not be: its fault is the first.
            if kind == MessageKind::Text {
                self.utf8.feed(made)?;
            }
            self.len += made.len() as u64;
            if self.len > self.max_message_size {
                return Err(ProtocolError::MessageTooBig);
            }
            if out.capacity() - out.len() < made.len() {
                let left = self.max_message_size - self.len;
                grow(out, made.len(), usize::try_from(left).unwrap_or(usize::MAX));
            }
            out.extend_from_slice(made);
            self.needs_tail |= taken > 0;
            match status {
                Ok(Status::StreamEnd) => {
                    window.begin_again()?;
                    self.needs_tail = false;
                    self.final_blocks += 1;
                    // Who wants all inflated at once is not kept from it.
                    if self.final_blocks >= MAX_FINAL_BLOCKS && end < usize::MAX {
                        return Ok(Inflated { consumed: consumed + taken, done: false });
                    }
                }
                Ok(_) if taken > 0 || !made.is_empty() || rest.is_empty() => {}
                // It takes no more, which it would have said.
                Ok(_) | Err(_) => return Err(ProtocolError::InvalidCompressedData),
            }
            consumed += taken;
            if consumed == input.len() && room_left {
                return Ok(Inflated { consumed, done: true });
            }
        }
        Ok(Inflated { consumed, done: false })
    }

    fn end_message(&mut self, kind: MessageKind) -> Result<(), ProtocolError> {
        self.len = 0;
        self.tail = 0;
        self.needs_tail = false;
        if self.no_context_takeover
            && let Some(window) = self.window.take()
        {
            thread_cache::keep(&SPARE, Some(window));
        }
        match kind {
            MessageKind::Text => Ok(self.utf8.finish()?),
            MessageKind::Binary => Ok(()),
        }
    }
}

/// Makes room for `made` bytes, behind which no more than `left` follow. The buffer doubles when it is full, or grows by an
/// eighth once it is large: with what was inflated, not with what a ratio promises.
#[cold]
fn grow(out: &mut Vec<u8>, made: usize, left: usize) {
    let len = out.len();
    let more = if len < LARGE { len } else { len / 8 };
    out.reserve_exact(made.max(more.min(made.saturating_add(left))));
}

/// What is smaller doubles: for a moment there is its old memory beside the new, which so is half of it.
const LARGE: usize = 1 << 20;

/// A decompressor that takes any window a peer may use, and goes on after final blocks.
///
/// It inflates into a window of its own, in turns: a decompressor forgets its window at a final block, and
/// the protocol does not: "The next DEFLATE block follows" (RFC 7692 section 7.2.1).
///
/// ```text
/// bytes: [ 4 4 4 4 | 1 1 1 2 2 3 3 3 3 4 4 ]       the numbers of the turns
///                  ^ next
/// ```
struct Window {
    decompressor: Decompress,
    /// Of `WINDOW` bytes.
    bytes: Vec<u8>,
    /// Where in `bytes` to inflate to: below `WINDOW`.
    next: usize,
    /// How much of `bytes` was inflated to; what lies behind is not looked at, and may be an earlier
    /// connection's.
    filled: usize,
}

/// What one call of the decompressor came to.
struct Inflation<'s> {
    /// How many bytes it took.
    taken: usize,
    made: &'s [u8],
    /// It could have made more.
    room_left: bool,
    status: Result<Status, flate2::DecompressError>,
}

impl Window {
    /// With an empty window.
    fn fresh() -> Box<Self> {
        match thread_cache::take(&SPARE) {
            Some(mut spare) => {
                spare.decompressor.reset(false);
                (spare.next, spare.filled) = (0, 0);
                spare
            }
            None => Box::new(Self {
                decompressor: Decompress::new(false),
                bytes: alloc::vec![0; WINDOW],
                next: 0,
                filled: 0,
            }),
        }
    }

    /// Inflates to at most `most` bytes, and to no more than fit at the end of the window.
    fn inflate(&mut self, input: &[u8], most: usize) -> Inflation<'_> {
        let start = self.next;
        let room = most.min(WINDOW - start);
        let (total_in, total_out) = (self.decompressor.total_in(), self.decompressor.total_out());
        let to = &mut self.bytes[start..start + room];
        let status = self.decompressor.decompress(input, to, FlushDecompress::Sync);
        // Both are bounded by the slices.
        let taken = usize::try_from(self.decompressor.total_in() - total_in).unwrap_or(input.len());
        let made = usize::try_from(self.decompressor.total_out() - total_out).unwrap_or(room);
        self.next = (start + made) % WINDOW;
        self.filled = self.filled.max(start + made);
        Inflation { taken, made: &self.bytes[start..start + made], room_left: made < room, status }
    }

    /// After a final block, with the window as it is.
    fn begin_again(&mut self) -> Result<(), ProtocolError> {
        self.decompressor.reset(false);
        // The oldest byte first; there is none older than the first, as long as the window is not full.
        let (newer, older) =
            self.bytes[..self.filled].split_at(if self.filled < WINDOW { 0 } else { self.next });
        let mut set = |bytes| self.decompressor.set_dictionary(bytes);
        set(older).and(set(newer)).map_err(|_| ProtocolError::InvalidCompressedData)?;
        Ok(())
    }
}

impl fmt::Debug for Window {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("next", &self.next)
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

std::thread_local! {
    /// Making a decompressor costs far more than resetting one.
    static SPARE: Cell<Option<Box<Window>>> = const { Cell::new(None) };
}

/// How many bytes a final block counts for beside its own: after it the window is copied, which takes about as long as
/// to inflate so many.
const FINAL_BLOCK: usize = 256;

/// How many to inflate at once.
const MAX_FINAL_BLOCKS: usize = 512;

/// The largest LZ77 window.
const WINDOW: usize = 32 << 10;

//! Decompressing what is received (RFC 7692 section 7.2.2), never beyond the message limit.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;

use flate2::{Decompress, FlushDecompress, Status};

use super::{AgreedDeflate, TAIL};
use crate::error::ProtocolError;
use crate::message::MessageKind;
use crate::role::Role;
use crate::utf8::Utf8Validator;

/// Inflates the messages of one connection.
#[derive(Debug)]
pub(crate) struct Inflater {
    max_message_size: u64,
    no_context_takeover: bool,
    /// With context takeover, its window is that of all compressed messages so far. `None` while there is
    /// no window to keep.
    decompressor: Option<Box<Decompress>>,
    /// How many bytes the message in progress has come to: at most `max_message_size`.
    len: u64,
    /// How much of the tail was inflated, once all else of the message was.
    tail: usize,
    /// The text message in progress, as far as it was inflated.
    utf8: Utf8Validator,
    /// The window once more: a decompressor forgets its own at a final block, and the protocol does not.
    history: History,
    /// The tail is due: a byte of the message came, and the last one was not the last of a final block.
    needs_tail: bool,
}

/// How far [`Inflater::inflate`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inflated {
    /// How many bytes of the part were inflated.
    pub(crate) consumed: usize,
    /// All of the part was, and all it inflates to was appended.
    pub(crate) done: bool,
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
            decompressor: None,
            len: 0,
            tail: 0,
            utf8: Utf8Validator::default(),
            history: History::default(),
            needs_tail: false,
        }
    }

    /// Inflates the next part of a message, and appends up to `room` bytes to `out`; `last` says that the
    /// message ends with this part. Call again, with what was not consumed, until it is done.
    pub(crate) fn inflate(
        &mut self,
        kind: MessageKind,
        part: &[u8],
        last: bool,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<Inflated, ProtocolError> {
        let start = out.len();
        let end = start.saturating_add(room);
        let mut inflated = self.inflate_bytes(part, end, out)?;
        // A message that ended with a final block needs no tail. Nor has one of no bytes at all a block that
        // the tail could end: it would become the front of the next message.
        while inflated.done && last && self.tail < TAIL.len() && self.needs_tail {
            let step = self.inflate_bytes(&TAIL[self.tail..], end, out)?;
            self.tail += step.consumed;
            inflated.done = step.done;
        }
        if kind == MessageKind::Text {
            self.utf8.feed(out.get(start..).unwrap_or_default())?;
        }
        if inflated.done && last {
            self.end_message(kind)?;
        }
        Ok(inflated)
    }

    /// Inflates until `input` is used up, or `out` is `end` bytes long.
    fn inflate_bytes(
        &mut self,
        input: &[u8],
        end: usize,
        out: &mut Vec<u8>,
    ) -> Result<Inflated, ProtocolError> {
        let mut consumed = 0;
        while out.len() < end {
            let rest = input.get(consumed..).unwrap_or_default();
            let start = out.len();
            // One byte more than the message may have shows that it has too many.
            let left = usize::try_from(self.max_message_size - self.len)
                .map_or(usize::MAX, |left| left.saturating_add(1));
            // Memory grows with what was inflated, not with what a ratio promises.
            let room = (rest.len() * 4).max(start).max(MIN_ROOM).min(left).min(end - start);
            out.reserve_exact(room);
            out.resize(start + room, 0);
            let (taken, made) = self.step(rest, &mut out[start..])?;
            out.truncate(start + made);
            consumed += taken;
            self.len += made as u64;
            if self.len > self.max_message_size {
                return Err(ProtocolError::MessageTooBig);
            }
            // Room is left: all that the input inflates to was made.
            if consumed == input.len() && made < room {
                return Ok(Inflated { consumed, done: true });
            }
            if taken == 0 && made == 0 {
                return Err(ProtocolError::InvalidCompressedData);
            }
        }
        Ok(Inflated { consumed, done: false })
    }

    /// One call of the decompressor. Returns how many bytes it took of `input`, and how many it made.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), ProtocolError> {
        let decompressor = self.decompressor.get_or_insert_with(fresh);
        let (total_in, total_out) = (decompressor.total_in(), decompressor.total_out());
        let status = decompressor
            .decompress(input, out, FlushDecompress::Sync)
            .map_err(|_| ProtocolError::InvalidCompressedData)?;
        // Both are bounded by the slices.
        let taken = usize::try_from(decompressor.total_in() - total_in).unwrap_or(input.len());
        let made = usize::try_from(decompressor.total_out() - total_out).unwrap_or(out.len());
        let new = out.get(..made).unwrap_or_default();
        self.history.push(new);
        if taken > 0 {
            self.needs_tail = true;
        }
        if status == Status::StreamEnd {
            // "a DEFLATE block with BFINAL set to 1" may be used to flush (section 7.2.3.4): the next
            // block belongs to the same window.
            decompressor.reset(false);
            decompressor
                .set_dictionary(self.history.in_order())
                .map_err(|_| ProtocolError::InvalidCompressedData)?;
            self.needs_tail = false;
        }
        Ok((taken, made))
    }

    fn end_message(&mut self, kind: MessageKind) -> Result<(), ProtocolError> {
        self.len = 0;
        self.tail = 0;
        self.needs_tail = false;
        if self.no_context_takeover {
            if let Some(decompressor) = self.decompressor.take() {
                SPARE.set(Some(decompressor));
            }
            self.history = History::default();
        }
        match kind {
            MessageKind::Text => Ok(self.utf8.finish()?),
            MessageKind::Binary => Ok(()),
        }
    }
}

/// A decompressor with an empty window, which takes any window a peer may use.
fn fresh() -> Box<Decompress> {
    match SPARE.take() {
        Some(mut spare) => {
            spare.reset(false);
            spare
        }
        None => Box::new(Decompress::new(false)),
    }
}

/// The last 32 KiB that were inflated, or all if there are fewer.
#[derive(Debug, Default)]
struct History {
    bytes: Vec<u8>,
    /// Where in `bytes` the oldest is; 0 until there are 32 KiB.
    oldest: usize,
}

impl History {
    fn push(&mut self, new: &[u8]) {
        let new = &new[new.len().saturating_sub(WINDOW)..];
        let (added, rest) = new.split_at(new.len().min(WINDOW - self.bytes.len()));
        self.bytes.extend_from_slice(added);
        let (to_end, to_start) = rest.split_at(rest.len().min(WINDOW - self.oldest));
        self.bytes[self.oldest..][..to_end.len()].copy_from_slice(to_end);
        self.bytes[..to_start.len()].copy_from_slice(to_start);
        self.oldest = (self.oldest + rest.len()) % WINDOW;
    }

    fn in_order(&mut self) -> &[u8] {
        self.bytes.rotate_left(self.oldest);
        self.oldest = 0;
        &self.bytes
    }
}

std::thread_local! {
    /// Making a decompressor costs far more than resetting one.
    static SPARE: Cell<Option<Box<Decompress>>> = const { Cell::new(None) };
}

/// The largest LZ77 window.
const WINDOW: usize = 32 << 10;
/// The least room to inflate into.
const MIN_ROOM: usize = 1 << 10;

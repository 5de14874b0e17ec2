//! Decompressing what is received (RFC 7692 section 7.2.2), never beyond the message limit.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zlib_rs::Status;

use super::Inflated;
use super::decompressor::{Decompressor, Inflation};
use super::deflate::AgreedDeflate;
use super::history::History;
use crate::error::ProtocolError;
use crate::message::MessageKind;
use crate::role::Role;
use crate::utf8::Utf8Validator;

/// Inflates the messages of one connection.
#[derive(Debug)]
pub(crate) struct Inflater {
    max_message_size: u64,
    no_context_takeover: bool,
    /// The peer's window: of all compressed messages so far with context takeover, or of the message in progress.
    history: History,
    /// That of the message in progress: in the middle of a block nothing else can go on with it.
    decompressor: Option<Box<Decompressor>>,
    /// How many bytes the message in progress has come to: at most `max_message_size`.
    len: u64,
    /// The tail is due: a byte of the message came, and the last one was not the last of a final block.
    needs_tail: bool,
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
            history: History::new(1 << agreed.max_window_bits(peer)),
            decompressor: None,
            len: 0,
            needs_tail: false,
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
        let inflated = self.inflate_bytes(kind, part, last, end, out)?;
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
        last: bool,
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
            let decompressor = self.decompressor.get_or_insert_with(|| Decompressor::primed(&self.history));
            let Inflation { taken, made, room_left, status } = decompressor.inflate(rest, most);
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
            consumed += taken;
            self.needs_tail |= taken > 0;
            let final_block = status == Ok(Status::StreamEnd);
            let done = !final_block && consumed == input.len() && room_left;
            // The end of a message that is not taken over is nothing to remember.
            if !(done && last && self.no_context_takeover) {
                self.history.extend(made);
            }
            match status {
                Ok(Status::StreamEnd) => {
                    decompressor.prime(&self.history);
                    self.needs_tail = false;
                    self.final_blocks += 1;
                    // Who wants all inflated at once is not kept from it.
                    if self.final_blocks >= MAX_FINAL_BLOCKS && end < usize::MAX {
                        return Ok(Inflated { consumed, done: false });
                    }
                }
                Ok(_) if taken > 0 || !made.is_empty() || rest.is_empty() => {}
                // It takes no more, which it would have said.
                Ok(_) | Err(_) => return Err(ProtocolError::InvalidCompressedData),
            }
            if done {
                return Ok(Inflated { consumed, done });
            }
        }
        Ok(Inflated { consumed, done: false })
    }

    fn end_message(&mut self, kind: MessageKind) -> Result<(), ProtocolError> {
        if let Some(mut decompressor) = self.decompressor.take() {
            // A message that ended with a final block needs no tail. Nor has one of no bytes at all a block that
            // the tail could end.
            if self.needs_tail && !decompressor.ends_with_tail() {
                return Err(ProtocolError::InvalidCompressedData);
            }
            decompressor.give_back();
        }
        if self.no_context_takeover {
            self.history.clear();
        }
        self.len = 0;
        self.needs_tail = false;
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

/// How many bytes a final block counts for beside its own: after it the window is copied, which takes about as long as
/// to inflate so many.
const FINAL_BLOCK: usize = 256;

/// How many to inflate at once.
const MAX_FINAL_BLOCKS: usize = 512;

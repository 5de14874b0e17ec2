//! A decompressor: zlib's, that goes on from a window, and can tell that a message ended where another may go on.

use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;

use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use super::history::History;
use crate::thread_cache;

/// Inflates one message, or several with the same window. It holds 70 KiB: a thread keeps one, for whichever message needs it
/// next, and each message that has come in part holds one.
pub(super) struct Decompressor {
    inflate: Inflate,
    /// Where it inflates to, before that is copied to where it belongs.
    bytes: [u8; BYTES],
}

/// What one call of the decompressor came to.
pub(super) struct Inflation<'s> {
    /// How many bytes it took.
    pub(super) taken: usize,
    pub(super) made: &'s [u8],
    /// It could have made more.
    pub(super) room_left: bool,
    pub(super) status: Result<Status, InflateError>,
}

impl Decompressor {
    /// One that goes on from `history`, with the next block: the window is copied, which takes less than a microsecond.
    pub(super) fn primed(history: &History) -> Box<Self> {
        let mut this = thread_cache::take(&SPARE)
            .unwrap_or_else(|| Box::new(Self { inflate: Inflate::new(false, 15), bytes: [0; BYTES] }));
        this.prime(history);
        this
    }

    /// Goes on with the next block, be it after a final one, where the protocol does not forget the window: "The next DEFLATE
    /// block follows" (RFC 7692 section 7.2.1).
    pub(super) fn prime(&mut self, history: &History) {
        self.inflate.reset(false);
        let (older, newer) = history.as_slices();
        for bytes in [older, newer] {
            // Of a raw stream it does not fail.
            let _ = self.inflate.set_dictionary(bytes);
        }
    }

    /// Inflates to at most `most` bytes, and to no more than it has room for.
    pub(super) fn inflate(&mut self, input: &[u8], most: usize) -> Inflation<'_> {
        self.run(input, most, InflateFlush::SyncFlush)
    }

    /// Inflates the tail, which was removed from the end of a message; tells whether that ends a block, at the boundary of a
    /// byte, and is nothing else: then the window is all that the next message needs. So all messages end: "If the resulting
    /// data does not end with an empty DEFLATE block with no compression (the "BTYPE" bits are set to 00), append an empty DEFLATE
    /// block with no compression to the tail end." (7692-7.2.1-01)
    pub(super) fn ends_with_tail(&mut self) -> bool {
        // It stops where a block ends: behind the tail, if that was the rest of an empty one.
        let first = self.run(&TAIL_AND_BLOCK, BYTES, InflateFlush::Block);
        if !matches!(first, Inflation { taken: 4, made: [], status: Ok(Status::Ok), .. }) {
            return false;
        }
        // Bits that were left of the last byte would be the beginning of another block than this empty one.
        let Inflation { taken, made, status, .. } =
            self.run(&TAIL_AND_BLOCK[4..], BYTES, InflateFlush::Block);
        match status {
            // If a bit was left, it is a 1, since the tail ends in 1s, and has made this block the final one.
            Ok(Status::Ok) if taken == 5 && made.is_empty() => {
                self.run(&[], BYTES, InflateFlush::Block).status != Ok(Status::StreamEnd)
            }
            // The block of the tail was a final one.
            Ok(Status::StreamEnd) => taken == 0,
            _ => false,
        }
    }

    /// Keeps it for the next message of any connection.
    pub(super) fn give_back(self: Box<Self>) {
        thread_cache::keep(&SPARE, Some(self));
    }

    fn run(&mut self, input: &[u8], most: usize, flush: InflateFlush) -> Inflation<'_> {
        let room = most.min(BYTES);
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, &mut self.bytes[..room], flush);
        // Both are bounded by the slices.
        let taken = usize::try_from(self.inflate.total_in() - total_in).unwrap_or(input.len());
        let made = usize::try_from(self.inflate.total_out() - total_out).unwrap_or(room);
        Inflation { taken, made: &self.bytes[..made], room_left: made < room, status }
    }
}

impl fmt::Debug for Decompressor {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

std::thread_local! {
    /// Making a decompressor costs far more than priming one.
    static SPARE: Cell<Option<Box<Decompressor>>> = const { Cell::new(None) };
}

/// The tail, and an empty block behind it.
const TAIL_AND_BLOCK: [u8; 9] = [0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff];

/// Not so many that they push what else is needed out of the cache.
const BYTES: usize = 16 << 10;

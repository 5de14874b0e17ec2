//! Compressing what is sent (RFC 7692 section 7.2.1).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;

use flate2::{Compress, Compression, FlushCompress};

use super::deflate::{AgreedDeflate, Deflate, TAIL};
use crate::role::Role;
use crate::thread_cache;

/// Compresses the messages of one connection.
#[derive(Debug)]
pub(crate) struct Deflater {
    kind: CompressorKind,
    no_context_takeover: bool,
    min_size: usize,
    /// With context takeover, its window is that of all compressed messages so far. `None` while there is
    /// no window to keep.
    compressor: Option<Box<Compress>>,
}

impl Deflater {
    pub(crate) fn new(deflate: &Deflate, agreed: AgreedDeflate, role: Role) -> Self {
        let kind = CompressorKind {
            level: deflate.level,
            // zlib cannot make a window of 2^8. But one of 2^9 never looks back further than 2^9 less the
            // longest match and a little: that is below 2^8, and a test holds it to that.
            window_bits: agreed.max_window_bits(role).max(9),
        };
        Self {
            kind,
            no_context_takeover: agreed.no_context_takeover(role),
            min_size: deflate.min_size,
            compressor: None,
        }
    }

    /// Whether a message whose first, or only, part has `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn takes(&self, len: usize) -> bool {
        len >= self.min_size
    }

    /// The compressed form of the next part of a message, in a buffer of the thread's; it can be inflated as
    /// it arrives. `None` when a message in one part, the first and `last`, gains nothing, and the peer's
    /// window does not depend on it.
    pub(crate) fn deflate(&mut self, part: &[u8], first: bool, last: bool) -> Option<Vec<u8>> {
        let mut compressed = thread_cache::take(&SCRATCH);
        self.append_deflated(part, last, &mut compressed);
        if first && last && self.no_context_takeover && compressed.len() >= part.len() {
            Self::give_back(compressed);
            return None;
        }
        Some(compressed)
    }

    /// Gives back what [`deflate`](Self::deflate) lent.
    pub(crate) fn give_back(compressed: Vec<u8>) {
        thread_cache::keep_buffer(&SCRATCH, compressed);
    }

    fn append_deflated(&mut self, mut part: &[u8], last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        let compressor = self.compressor.get_or_insert_with(|| self.kind.take());
        loop {
            out.reserve((part.len() / 2).clamp(64, 64 << 10));
            let before = compressor.total_in();
            let status = compressor.compress_vec(part, out, FlushCompress::Sync);
            // Bounded by the length of `part`.
            let consumed = usize::try_from(compressor.total_in() - before).unwrap_or(part.len());
            part = part.get(consumed..).unwrap_or_default();
            // Raw deflate fails only for want of input or room; with room to spare all was flushed.
            if status.is_err() || (part.is_empty() && out.len() < out.capacity()) {
                break;
            }
        }
        if last {
            if out.len() - start > TAIL.len() && out.ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            } else {
                // Nothing to flush: an empty block, as in RFC 7692 section 7.2.3.6.
                out.truncate(start);
                out.push(0);
            }
            if self.no_context_takeover
                && let Some(compressor) = self.compressor.take()
            {
                self.kind.give_back(compressor);
            }
        }
    }
}

/// What distinguishes one fresh compressor from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct CompressorKind {
    level: u8,
    /// 9 to 15.
    window_bits: u8,
}

impl CompressorKind {
    /// A compressor with an empty window: the thread's spare one, if it is of this kind.
    fn take(self) -> Box<Compress> {
        match thread_cache::take(&SPARE) {
            Some((kind, mut spare)) if kind == self => {
                spare.reset();
                spare
            }
            _ => Box::new(Compress::new_with_window_bits(
                Compression::new(self.level.into()),
                false,
                self.window_bits,
            )),
        }
    }

    /// Keeps the compressor for the next message of any connection that needs one of this kind.
    fn give_back(self, compressor: Box<Compress>) {
        thread_cache::keep(&SPARE, Some((self, compressor)));
    }
}

std::thread_local! {
    /// Where a frame is compressed to: its header, which goes before it, tells its length.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Making a compressor costs far more than resetting one.
    static SPARE: Cell<Option<(CompressorKind, Box<Compress>)>> = const { Cell::new(None) };
}

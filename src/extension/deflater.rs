//! Compressing what is sent (RFC 7692 section 7.2.1).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

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
    /// How many bytes were compressed since others had their turn: at most a [`STEP`].
    worked: usize,
}

/// A part of a message that is being compressed, apart from the connection that it is sent on. If it is dropped, the
/// part was not sent, and the connection's next one begins with an empty window.
pub(crate) struct Deflating {
    compressor: Box<Compress>,
    /// A buffer of the thread's.
    compressed: Vec<u8>,
    /// How many bytes of the part were compressed.
    taken: usize,
    /// All of them were, and what they came to is in `compressed`.
    done: bool,
    /// See [`Deflater`].
    worked: usize,
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
            worked: 0,
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
        let mut deflating = self.begin();
        deflating.deflate(part, usize::MAX);
        self.end(deflating, part, first, last)
    }

    /// Begins to compress a part of a message. No other is compressed until this one has come to its
    /// [end](Self::end), or was dropped.
    pub(crate) fn begin(&mut self) -> Deflating {
        Deflating {
            compressor: self.compressor.take().unwrap_or_else(|| self.kind.take()),
            compressed: thread_cache::take(&SCRATCH),
            taken: 0,
            done: false,
            worked: self.worked,
        }
    }

    /// All of `part` was compressed: what [`deflate`](Self::deflate) returns.
    pub(crate) fn end(
        &mut self,
        deflating: Deflating,
        part: &[u8],
        first: bool,
        last: bool,
    ) -> Option<Vec<u8>> {
        let Deflating { compressor, mut compressed, worked, .. } = deflating;
        self.worked = worked;
        if last && self.no_context_takeover {
            self.kind.give_back(compressor);
        } else {
            self.compressor = Some(compressor);
        }
        if last {
            if compressed.len() > TAIL.len() && compressed.ends_with(&TAIL) {
                compressed.truncate(compressed.len() - TAIL.len());
            } else {
                // Nothing to flush: an empty block, as in RFC 7692 section 7.2.3.6.
                compressed.clear();
                compressed.push(0);
            }
        }
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
}

impl Deflating {
    /// Compresses some of `part`, which is the same in all calls; true when all of it was. Others are to have their turn
    /// before the next step.
    pub(crate) fn step(&mut self, part: &[u8]) -> bool {
        if self.worked >= STEP {
            self.worked = 0;
        }
        if !self.done {
            let before = self.taken;
            self.deflate(part, STEP - self.worked);
            self.worked += self.taken - before;
        }
        self.done
    }

    /// Compresses at most so many more bytes of `part`.
    fn deflate(&mut self, part: &[u8], most: usize) {
        let rest = part.get(self.taken..).unwrap_or_default();
        self.done = rest.len() <= most;
        let mut piece = if self.done { rest } else { &rest[..most] };
        let flush = if self.done { FlushCompress::Sync } else { FlushCompress::None };
        self.taken += piece.len();
        let out = &mut self.compressed;
        loop {
            out.reserve((piece.len() / 2).clamp(64, 64 << 10));
            let before = self.compressor.total_in();
            let status = self.compressor.compress_vec(piece, out, flush);
            // Bounded by the length of `piece`.
            let consumed = usize::try_from(self.compressor.total_in() - before).unwrap_or(piece.len());
            piece = piece.get(consumed..).unwrap_or_default();
            // Raw deflate fails only for want of input or room; with room to spare all was flushed.
            if status.is_err() || (piece.is_empty() && out.len() < out.capacity()) {
                break;
            }
        }
    }
}

impl fmt::Debug for Deflating {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflating")
            .field("compressed", &self.compressed.len())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
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

/// How much is compressed before others have their turn: some milliseconds, and no more than 20 where compressing is
/// slowest.
const STEP: usize = 64 << 10;

//! Compressing what is sent (RFC 7692 section 7.2.1).

use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use super::compressor::CompressorKind;
use super::deflate::{AgreedDeflate, Deflate, TAIL};
use super::history::History;
use super::pool::Ticket;
use crate::role::Role;
use crate::thread_cache;

/// Compresses the messages of one connection.
#[derive(Debug)]
pub(crate) struct Deflater {
    context: Context,
    no_context_takeover: bool,
    min_size: usize,
    /// How many bytes were compressed since others had their turn: at most a [`STEP`].
    worked: usize,
}

/// What was compressed before: what a connection keeps while it does not speak.
#[derive(Debug)]
pub(super) struct Context {
    kind: CompressorKind,
    history: History,
    ticket: Ticket,
}

/// A part of a message that is being compressed, apart from the connection that it is sent on. If it is dropped, the
/// part was not sent, and the connection's next one begins with an empty window.
pub(crate) struct Deflating {
    context: Context,
    /// A buffer of the thread's.
    compressed: Vec<u8>,
    /// How many bytes of the part were compressed.
    taken: usize,
    /// How many of these are in the history.
    kept: usize,
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
            context: Context::new(kind),
            no_context_takeover: agreed.no_context_takeover(role),
            min_size: deflate.min_size,
            worked: 0,
        }
    }

    /// Whether a message whose first, or only, part has `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn takes(&self, len: usize) -> bool {
        len >= self.min_size
    }

    /// What compresses each message alone, so that others of this kind make the same of it. `None`: the window is taken
    /// over.
    pub(crate) fn kind_without_takeover(&self) -> Option<CompressorKind> {
        self.no_context_takeover.then_some(self.context.kind)
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
        let fresh = Context::new(self.context.kind);
        Deflating::new(core::mem::replace(&mut self.context, fresh), self.worked)
    }

    /// All of `part` was compressed: what [`deflate`](Self::deflate) returns.
    pub(crate) fn end(
        &mut self,
        deflating: Deflating,
        part: &[u8],
        first: bool,
        last: bool,
    ) -> Option<Vec<u8>> {
        let Deflating { mut context, mut compressed, kept, worked, .. } = deflating;
        self.worked = worked;
        if last && self.no_context_takeover {
            context.forget();
        } else {
            context.history.extend(part.get(kept..).unwrap_or_default());
        }
        self.context = context;
        if last {
            remove_tail(&mut compressed);
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

impl Context {
    /// Of a connection that has sent nothing.
    pub(super) fn new(kind: CompressorKind) -> Self {
        let history = History::new(HISTORY.min(1 << kind.window_bits));
        Self { kind, history, ticket: Ticket::default() }
    }

    fn forget(&mut self) {
        self.history.clear();
        self.ticket.give_up();
    }
}

impl Deflating {
    pub(super) fn new(context: Context, worked: usize) -> Self {
        let compressed = thread_cache::take(&SCRATCH);
        Self { context, compressed, taken: 0, kept: 0, done: false, worked }
    }

    /// Compresses some of `part`, which is always the same; true when all of it was. What comes between two steps is
    /// time for others.
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

    /// What all of it came to, with the tail.
    pub(super) fn into_compressed(self) -> Vec<u8> {
        self.compressed
    }

    /// Compresses at most so many more bytes of `part`. It holds no compressor before and after: however many are under
    /// way, threads have no more compressors than fit into their pools.
    fn deflate(&mut self, part: &[u8], most: usize) {
        self.keep(part);
        let rest = part.get(self.taken..).unwrap_or_default();
        self.done = rest.len() <= most;
        let piece = if self.done { rest } else { &rest[..most] };
        let Context { kind, history, ticket } = &mut self.context;
        ticket.compress(*kind, history, piece, &mut self.compressed);
        self.taken += piece.len();
    }

    /// Has what was compressed before in the history, too.
    fn keep(&mut self, part: &[u8]) {
        if self.kept < self.taken {
            self.context.history.extend(&part[self.kept..self.taken]);
            self.kept = self.taken;
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

/// At the end of a message.
pub(super) fn remove_tail(compressed: &mut Vec<u8>) {
    if compressed.len() > TAIL.len() && compressed.ends_with(&TAIL) {
        compressed.truncate(compressed.len() - TAIL.len());
    } else {
        // Nothing to flush: an empty block, as in RFC 7692 section 7.2.3.6.
        compressed.clear();
        compressed.push(0);
    }
}

std::thread_local! {
    /// Where a frame is compressed to: its header, which goes before it, tells its length.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How much is compressed before others have their turn: some milliseconds, and no more than 20 where compressing is
/// slowest.
const STEP: usize = 64 << 10;

/// How much of its window a connection keeps: a compressor may use any part of it. To prime one takes a microsecond for each
/// KiB; with 8 KiB messages became 1 to 7 % larger than with all 32 in long conversations, and no larger in short ones.
const HISTORY: usize = 8 << 10;

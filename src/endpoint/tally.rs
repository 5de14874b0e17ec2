//! How many connections a server has in all, whichever `serve` accepted them.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many connections a server has, and had: see [`Server::connections`](crate::Server::connections).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Connections {
    /// Those that are in their opening handshake: their request is awaited, or its answer.
    pub opening: usize,
    /// Those whose opening handshake is over, and that have not ended.
    pub open: usize,
    /// All that there have been, whatever became of them.
    pub total: u64,
}

impl Connections {
    /// How many there are now.
    pub fn now(&self) -> usize {
        self.opening + self.open
    }
}

/// What all that counts for one server adds up to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    opening: AtomicUsize,
    open: AtomicUsize,
    total: AtomicU64,
}

impl Tally {
    pub(super) fn read(&self) -> Connections {
        Connections {
            opening: self.opening.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    /// A connection was accepted.
    pub(super) fn join(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.opening.fetch_add(1, Ordering::Relaxed);
    }

    /// The opening handshake of one is over.
    pub(super) fn end_handshake(&self) {
        self.opening.fetch_sub(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One has ended, and its handshake before it.
    pub(super) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

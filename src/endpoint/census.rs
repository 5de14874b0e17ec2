//! How many connections a server has, and whether there is room for one more.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::server::Server;

/// How many connections a [`Server`] has, and had: see [`Server::connections`].
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
}

/// A count of the connections that one `serve` has accepted.
#[derive(Debug)]
pub(crate) struct Census {
    connections: usize,
    /// Those whose opening handshake is not over: at most `connections`.
    handshakes: usize,
    /// Of the same, and of others of the server.
    tally: Arc<Tally>,
}

impl Census {
    pub(crate) fn new(server: &Server) -> Self {
        Self { connections: 0, handshakes: 0, tally: server.tally.clone() }
    }

    /// A connection was accepted.
    pub(crate) fn join(&mut self) {
        self.connections += 1;
        self.handshakes += 1;
        self.tally.total.fetch_add(1, Ordering::Relaxed);
        self.tally.opening.fetch_add(1, Ordering::Relaxed);
    }

    /// The opening handshake of a connection is over, or came to nothing.
    pub(crate) fn end_handshake(&mut self) {
        self.handshakes -= 1;
        self.tally.opening.fetch_sub(1, Ordering::Relaxed);
        self.tally.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection has ended, and its handshake before it.
    pub(crate) fn leave(&mut self) {
        self.connections -= 1;
        self.tally.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether one more connection may be accepted, be it to be told that there is no room for it.
    pub(crate) fn has_room(&self, server: &Server) -> bool {
        self.handshakes < server.max_handshakes
            && (self.connections < server.max_connections || server.when_full.is_some())
    }

    /// Whether the next connection is one too many: it has to be told so.
    pub(crate) fn is_full(&self, server: &Server) -> bool {
        self.connections >= server.max_connections
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }
}

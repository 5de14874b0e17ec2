//! How many connections a server has, and whether there is room for one more.

use alloc::sync::Arc;

use super::server::Server;
use super::tally::Tally;

/// A count of the connections that one `serve` has accepted.
#[derive(Debug)]
pub(crate) struct Census {
    connections: usize,
    /// Those whose opening handshake is not over: at most `connections`.
    handshakes: usize,
    /// Those that are only told that there is no room for them: at most `connections`.
    refused: usize,
    /// Of the same, and of others of the server.
    tally: Arc<Tally>,
}

impl Census {
    pub(crate) fn new(server: &Server) -> Self {
        Self { connections: 0, handshakes: 0, refused: 0, tally: server.tally.clone() }
    }

    /// A connection was accepted, be it to be refused.
    pub(crate) fn join(&mut self, refused: bool) {
        self.connections += 1;
        self.refused += usize::from(refused);
        self.handshakes += 1;
        self.tally.join();
    }

    /// The opening handshake of a connection is over, or came to nothing.
    pub(crate) fn end_handshake(&mut self) {
        self.handshakes -= 1;
        self.tally.end_handshake();
    }

    /// A connection has ended, and its handshake before it.
    pub(crate) fn leave(&mut self, refused: bool) {
        self.connections -= 1;
        self.refused -= usize::from(refused);
        self.tally.leave();
    }

    /// Whether one more connection may be accepted, be it to be told that there is no room for it.
    pub(crate) fn has_room(&self, server: &Server) -> bool {
        self.handshakes < server.max_handshakes && (!self.is_full(server) || server.when_full.is_some())
    }

    /// The same where nobody can wait.
    #[cfg(feature = "hyper")]
    pub(crate) fn has_room_now(&self, server: &Server) -> bool {
        self.handshakes < server.max_handshakes && !self.is_full(server)
    }

    /// Whether the next connection is one too many, and to be refused. Those that were keep nobody out.
    pub(crate) fn is_full(&self, server: &Server) -> bool {
        self.connections - self.refused >= server.max_connections
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }
}

//! How many connections a server has, and whether there is room for one more.

use super::server::Server;

/// A count of the connections that one `serve` has accepted.
#[derive(Debug, Default)]
pub(crate) struct Census {
    connections: usize,
    /// Those whose opening handshake is not over: at most `connections`.
    handshakes: usize,
}

impl Census {
    /// A connection was accepted.
    pub(crate) fn join(&mut self) {
        self.connections += 1;
        self.handshakes += 1;
    }

    /// The opening handshake of a connection is over, or came to nothing.
    pub(crate) fn end_handshake(&mut self) {
        self.handshakes -= 1;
    }

    /// A connection has ended, and its handshake before it.
    pub(crate) fn leave(&mut self) {
        self.connections -= 1;
    }

    /// Whether one more connection may be accepted.
    pub(crate) fn has_room(&self, server: &Server) -> bool {
        self.connections < server.max_connections && self.handshakes < server.max_handshakes
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }
}

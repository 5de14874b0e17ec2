//! How a server accepts connections, whichever adapter it uses: limits and timeouts.

use core::time::Duration;

use crate::config::Config;
use crate::handshake::Limits;

/// How a server treats the connections it accepts. The adapters' `accept` and `serve` take it.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{Config, Server};
///
/// let server = Server::default()
///     .config(Config::default().max_message_size(1 << 20))
///     .handshake_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) limits: Limits,
    pub(crate) config: Config,
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) shutdown_grace: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            config: Config::default(),
            // For the whole request, however it dribbles in: a browser sends it in one piece.
            handshake_timeout: Duration::from_secs(10),
            // An idle connection takes one or two kilobytes; file descriptors usually run out before.
            max_connections: 10_000,
            // With heads of 16 KiB, as long as they may be by default, 16 MiB.
            max_handshakes: 1_000,
            // As long as a closing handshake may take by default.
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Server {
    /// Sets the connections' limits and timeouts.
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets the limits of the opening handshake.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How long a client may take to send its request. 10 seconds by default.
    pub fn handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// How many connections `serve` has at once, handshakes included. 10,000 by default.
    ///
    /// At the limit no more are accepted, until one ends: clients wait in the listener's backlog, where
    /// they cost the server nothing.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// How many of the connections of `serve` may be in their opening handshake, which lasts until the
    /// handler has accepted or answered the request. 1,000 by default.
    ///
    /// Clients that dribble their requests can take these places, each for
    /// [`handshake_timeout`](Self::handshake_timeout), but not those of connections that are open.
    pub fn max_handshakes(self, max_handshakes: usize) -> Self {
        Self { max_handshakes, ..self }
    }

    /// How long `serve`, once it is to stop, waits for its connections to close. 10 seconds by default.
    pub fn shutdown_grace(self, shutdown_grace: Duration) -> Self {
        Self { shutdown_grace, ..self }
    }
}

//! How a server accepts connections: limits and timeouts. Both adapters take it.

use core::time::Duration;

use crate::config::Config;
use crate::handshake::Limits;

/// How a server treats the connections it accepts. The adapters' `accept` takes it.
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
}

impl Default for Server {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            config: Config::default(),
            // For the whole request, however it dribbles in: a browser sends it in one piece.
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl Server {
    /// Sets the connections' limits and timeouts.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the limits of the opening handshake.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a client may take to send its request. 10 seconds by default.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

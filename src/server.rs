//! How a server accepts connections, whichever adapter it uses: limits and timeouts, and the request
//! that waits for an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::adapter::Agreed;
use crate::config::Config;
use crate::error::{Error, TimedOut};
use crate::handshake::{
    Accept, Accepted, HandshakeError, HttpRequest, Limits, ReceivedRequest, Reply, Request, RequestError,
};

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

    /// How many connections `serve` has at once, handshakes included. 10,000 by default.
    ///
    /// At the limit no more are accepted, until one ends: clients wait in the listener's backlog, where
    /// they cost the server nothing.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many of the connections of `serve` may be in their opening handshake, which lasts until the
    /// handler has accepted or answered the request. 1,000 by default.
    ///
    /// Clients that dribble their requests can take these places, each for
    /// [`handshake_timeout`](Self::handshake_timeout), but not those of connections that are open.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.max_handshakes = handshakes;
        self
    }

    /// How long `serve`, once it is to stop, waits for its connections to close. 10 seconds by default.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }
}

/// A client's request that was read and is not yet answered: what the adapters' `Pending` has to look at
/// and to prepare.
#[derive(Debug)]
pub struct PendingRequest {
    received: ReceivedRequest,
    /// What was read: the request's head, and the first frames of a client that did not wait.
    input: Vec<u8>,
    accept: Accept,
    pub(crate) config: Config,
    /// How long the response may take.
    pub(crate) timeout: Duration,
}

impl PendingRequest {
    pub(crate) fn new(received: ReceivedRequest, input: Vec<u8>, server: &Server) -> Self {
        Self {
            received,
            input,
            accept: Accept::new(),
            config: server.config.clone(),
            timeout: server.handshake_timeout,
        }
    }

    /// Whether the request asks for a WebSocket. If not, it is the caller's to answer, with `respond`.
    pub fn is_websocket(&self) -> bool {
        self.websocket_request().is_some()
    }

    /// The request's head: target, host, origin, headers.
    pub fn request(&self) -> &HttpRequest {
        match &self.received {
            ReceivedRequest::WebSocket(request) => request,
            ReceivedRequest::Http(request) => request,
        }
    }

    /// The request, if it asks for a WebSocket: it tells the offered subprotocols too.
    pub fn websocket_request(&self) -> Option<&Request> {
        match &self.received {
            ReceivedRequest::WebSocket(request) => Some(request),
            ReceivedRequest::Http(_) => None,
        }
    }

    /// Chooses the first of the client's subprotocols that is among `supported`, if any is.
    pub fn choose_subprotocol(&mut self, supported: &[&str]) {
        let chosen = self.websocket_request().and_then(|request| request.choose_subprotocol(supported));
        if let Some(chosen) = chosen.map(String::from) {
            self.subprotocol(&chosen);
        }
    }

    /// Chooses a subprotocol. If it is not one that the client offered, `accept` will fail.
    pub fn subprotocol(&mut self, subprotocol: &str) {
        self.accept = core::mem::take(&mut self.accept).subprotocol(subprotocol);
    }

    /// Adds a header to the response that accepts the connection.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        Ok(self.accept.add_header(name, value)?)
    }

    /// Appends the response that accepts the connection, or the refusal of a request that cannot be
    /// accepted.
    pub(crate) fn accept(&mut self, out: &mut Vec<u8>) -> Result<(Accepted, Agreed), Error> {
        match &self.received {
            ReceivedRequest::WebSocket(request) => {
                let agreed = agree(request, &self.config, &mut self.accept);
                let accepted = request.accept(core::mem::take(&mut self.accept))?;
                accepted.encode(out);
                Ok((accepted, agreed))
            }
            ReceivedRequest::Http(_) => {
                let error = RequestError::MissingUpgrade;
                Reply::from(&error).encode(out);
                Err(error.into())
            }
        }
    }

    /// The bytes behind the request's head.
    pub(crate) fn read_ahead(&self) -> &[u8] {
        self.input.get(self.request().consumed()..).unwrap_or_default()
    }
}

/// Chooses among the extensions that the client offers.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "no extension is accepted"))]
fn agree(request: &Request, config: &Config, accept: &mut Accept) -> Agreed {
    #[cfg(feature = "deflate")]
    if let Some(deflate) = &config.settings.deflate
        && let Some((agreed, extension)) = deflate.agree_as_server(&request.extensions())
    {
        *accept = core::mem::take(accept).extension(extension);
        return Agreed { deflate: Some(agreed) };
    }
    Agreed::default()
}

/// Appends the answer to a request that could not be read, if there is one to give.
pub(crate) fn refuse(error: &Error, out: &mut Vec<u8>) {
    match error {
        Error::Handshake(HandshakeError::Request(error)) => Reply::from(error).encode(out),
        Error::TimedOut(TimedOut::OpeningHandshake) => Reply::request_timeout().encode(out),
        _ => {}
    }
}

//! A client's request that waits for an answer.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::error::Error;
use super::negotiated::Negotiated;
use super::origins::Origins;
use super::server::Server;
use crate::config::Config;
use crate::error::TimedOut;
use crate::handshake::{Accept, Accepted, HttpRequest, ReceivedRequest, Reply, Request, RequestError};

/// A client's request that was received and is not yet answered: to be looked at, and the response that accepts it
/// to be prepared. An adapter's `Pending` is one, with its stream.
#[derive(Debug)]
pub struct PendingRequest {
    received: ReceivedRequest,
    accept: Accept,
    /// A subprotocol was chosen, or none.
    chosen: bool,
    subprotocols: Arc<[String]>,
    origins: Origins,
    pub(crate) config: Config,
    /// How long the response may take.
    pub(crate) timeout: Duration,
}

impl PendingRequest {
    /// A request that came some other way than through an adapter: see [`http::receive`](mod@crate::http).
    pub fn new(received: ReceivedRequest, server: &Server) -> Self {
        Self {
            received,
            accept: Accept::new(),
            chosen: false,
            subprotocols: server.subprotocols.clone(),
            origins: server.origins.clone(),
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
        self.received.head()
    }

    /// The request, if it asks for a WebSocket: it tells the offered subprotocols too.
    pub fn websocket_request(&self) -> Option<&Request> {
        match &self.received {
            ReceivedRequest::WebSocket(request) => Some(request),
            ReceivedRequest::Http(_) => None,
        }
    }

    /// Whether the request comes from a page of the server itself, or from no page; see
    /// [`HttpRequest::is_same_origin`]. Accepting it fails unless [`Server::origins`] allows its origin.
    pub fn is_same_origin(&self) -> bool {
        self.request().is_same_origin()
    }

    /// Chooses the first of the client's subprotocols that is among `supported`, if any is.
    pub fn choose_subprotocol(&mut self, supported: &[&str]) {
        self.chosen = true;
        let chosen = self.websocket_request().and_then(|request| request.choose_subprotocol(supported));
        if let Some(chosen) = chosen.map(String::from) {
            self.subprotocol(&chosen);
        }
    }

    /// Chooses a subprotocol. If it is not one that the client offered, `accept` will fail.
    pub fn subprotocol(&mut self, subprotocol: &str) {
        self.chosen = true;
        self.accept = core::mem::take(&mut self.accept).subprotocol(subprotocol);
    }

    /// Adds a header to the response that accepts the connection.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        Ok(self.accept.add_header(name, value)?)
    }

    /// The response that accepts the connection, with the extensions that the server's configuration asks for. What it
    /// agrees on is the connection's: `Negotiated::from(&accepted)`.
    ///
    /// Fails if the request does not ask for a WebSocket, if it comes from a page that may not connect, and if a
    /// subprotocol was chosen that was not offered.
    pub fn into_accepted(mut self) -> Result<Accepted, Error> {
        if !self.chosen && !self.subprotocols.is_empty() {
            let supported: Vec<_> = self.subprotocols.iter().map(String::as_str).collect();
            let chosen = self.websocket_request().and_then(|request| request.choose_subprotocol(&supported));
            if let Some(chosen) = chosen.map(String::from) {
                self.subprotocol(&chosen);
            }
        }
        let Self { received, mut accept, config, origins, .. } = self;
        let ReceivedRequest::WebSocket(request) = received else {
            return Err(RequestError::MissingUpgrade.into());
        };
        origins.check(&request)?;
        if let Some(deflate) = &config.settings.deflate
            && let Some((_, extension)) = deflate.agree_as_server(&request.extensions())
        {
            accept = accept.extension(extension);
        }
        Ok(request.accept(accept)?)
    }

    /// Appends the response that accepts the connection, or the refusal of a request that cannot be accepted.
    pub(crate) fn accept(self, out: &mut Vec<u8>) -> Result<Negotiated, Error> {
        let accepted = self.into_accepted().inspect_err(|error| refuse(error, out))?;
        accepted.encode(out);
        Ok(Negotiated::from(&accepted))
    }
}

/// Appends the answer to a request that could not be read, if there is one to give.
pub(crate) fn refuse(error: &Error, out: &mut Vec<u8>) {
    match error {
        Error::Request(error) => Reply::from(error).encode(out),
        Error::TimedOut(TimedOut::OpeningHandshake) => Reply::request_timeout().encode(out),
        _ => {}
    }
}

/// How long a client that was answered may take to read that, and to close.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

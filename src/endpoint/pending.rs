//! A client's request that waits for an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::error::Error;
use super::negotiated::Negotiated;
use super::server::Server;
use crate::config::Config;
use crate::error::TimedOut;
use crate::extension::AgreedDeflate;
use crate::handshake::{Accept, HandshakeError, HttpRequest, ReceivedRequest, Reply, Request, RequestError};
use crate::role::Role;

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
        self.accept = self.accept.clone().header(name, value)?;
        Ok(())
    }

    /// Appends the response that accepts the connection, or the refusal of a request that cannot be
    /// accepted.
    pub(crate) fn accept(&mut self, out: &mut Vec<u8>) -> Result<Negotiated, Error> {
        match &self.received {
            ReceivedRequest::WebSocket(request) => {
                let deflate = agree_on_deflate(request, &self.config, &mut self.accept);
                let accepted = request.accept(&self.accept, out)?;
                let mut negotiated = Negotiated::new(Role::Server);
                if let Some(subprotocol) = accepted.subprotocol() {
                    negotiated = negotiated.with_subprotocol(subprotocol);
                }
                if let Some(deflate) = deflate {
                    negotiated = negotiated.with_deflate(deflate);
                }
                Ok(negotiated)
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

/// Accepts permessage-deflate, if the client offers it and it is asked for.
fn agree_on_deflate(request: &Request, config: &Config, accept: &mut Accept) -> Option<AgreedDeflate> {
    let deflate = config.settings.deflate.as_ref()?;
    let (agreed, extension) = deflate.agree_as_server(&request.extensions())?;
    *accept = core::mem::take(accept).extension(extension);
    Some(agreed)
}

/// Appends the answer to a request that could not be read, if there is one to give.
pub(crate) fn refuse(error: &Error, out: &mut Vec<u8>) {
    match error {
        Error::Handshake(HandshakeError::Request(error)) => Reply::from(error).encode(out),
        Error::TimedOut(TimedOut::OpeningHandshake) => Reply::request_timeout().encode(out),
        _ => {}
    }
}

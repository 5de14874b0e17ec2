//! Accepting connections: the server's opening handshake, in two steps.

use core::time::Duration;
use std::string::String;
use std::vec::Vec;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{timeout, timeout_at};

use super::connect::deadline;
use super::drive::timed_out;
use super::web_socket::WebSocket;
use crate::error::Error;
use crate::handshake::{
    Accept, HandshakeError, HttpRequest, Limits, Received, Reply, Request, ServerHandshake,
};
use crate::role::Role;
use crate::server::Server;

/// Reads a client's request from a stream, with the defaults of [`Server`]: see [`accept_with`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> Result<Pending<S>, Error> {
    accept_with(io, &Server::default()).await
}

/// Reads a client's request from a stream. It is then for the caller to look at the request, and to
/// [`accept`](Pending::accept) or [`reject`](Pending::reject) it.
///
/// A request that is malformed, or asks for a WebSocket in a way that RFC 6455 does not allow, is
/// answered with the fitting status, and returned as an error. A well-formed request that does not ask
/// for a WebSocket is the caller's to answer: [`Pending::is_websocket`] tells.
///
/// On a `TcpStream`, set `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
///
/// Dropped before it returns, the transport is closed.
pub async fn accept_with<S>(mut io: S, server: &Server) -> Result<Pending<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = BytesMut::with_capacity(1024);
    let received = timeout_at(deadline(server.handshake_timeout), receive(&mut io, &mut input, &server.limits));
    let error = match received.await {
        Ok(Ok(received)) => {
            return Ok(Pending { io, received, input, accept: Accept::new(), server: server.clone() });
        }
        Ok(Err(Error::Handshake(error))) => error,
        Ok(Err(error)) => return Err(error),
        Err(_) => HandshakeError::TimedOut,
    };
    let mut out = Vec::new();
    Reply::from(&error).encode(&mut out);
    // The client is told if it will listen; what is wrong is the request.
    let _ = reply(io, &out).await;
    match error {
        HandshakeError::TimedOut => Err(timed_out()),
        error => Err(error.into()),
    }
}

/// A request that was read and is not yet answered. Dropping it closes the transport.
#[derive(Debug)]
pub struct Pending<S> {
    io: S,
    received: Received,
    input: BytesMut,
    accept: Accept,
    server: Server,
}

impl<S> Pending<S> {
    /// Whether the request asks for a WebSocket. If not, it is the caller's to answer, with
    /// [`respond`](Self::respond).
    pub fn is_websocket(&self) -> bool {
        self.websocket_request().is_some()
    }

    /// The request's head: target, host, origin, headers.
    pub fn request(&self) -> &HttpRequest {
        match &self.received {
            Received::WebSocket(request) => request,
            Received::Http(request) => request,
        }
    }

    /// The request, if it asks for a WebSocket: it tells the offered subprotocols too.
    pub fn websocket_request(&self) -> Option<&Request> {
        match &self.received {
            Received::WebSocket(request) => Some(request),
            Received::Http(_) => None,
        }
    }

    /// Chooses the first of the client's subprotocols that is among `supported`, if any.
    pub fn choose_subprotocol(mut self, supported: &[&str]) -> Self {
        let chosen: Option<String> = self
            .websocket_request()
            .and_then(|request| request.choose_subprotocol(supported))
            .map(Into::into);
        if let Some(chosen) = chosen {
            self.accept = self.accept.subprotocol(chosen);
        }
        self
    }

    /// Chooses a subprotocol, which must be one that the client offered.
    pub fn subprotocol(mut self, subprotocol: &str) -> Self {
        self.accept = self.accept.subprotocol(subprotocol);
        self
    }

    /// Adds a header to the response that accepts the connection.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        self.accept = self.accept.header(name, value)?;
        Ok(self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pending<S> {
    /// Accepts the connection: sends the response that completes the opening handshake.
    ///
    /// A request that does not ask for a WebSocket is answered with 426, and returned as an error.
    ///
    /// Dropped before it returns, the transport is closed.
    pub async fn accept(mut self) -> Result<WebSocket<S>, Error> {
        let mut out = Vec::new();
        let Received::WebSocket(request) = &self.received else {
            let error = HandshakeError::MissingUpgrade;
            Reply::from(&error).encode(&mut out);
            reply(self.io, &out).await?;
            return Err(error.into());
        };
        let accepted = request.accept(&self.accept, &mut out)?;
        let written = timeout(self.server.handshake_timeout, async {
            self.io.write_all(&out).await?;
            self.io.flush().await
        });
        written.await.map_err(|_| timed_out())?.map_err(Error::ConnectionLost)?;
        let read_ahead = &self.input[request.consumed()..];
        let ws = WebSocket::from_upgraded(self.io, Role::Server, read_ahead, &self.server.config);
        Ok(ws.opened(accepted.subprotocol().map(Into::into), None))
    }

    /// Rejects the connection with an HTTP status and a text that says why.
    ///
    /// Dropped before it returns, the client may not get the whole response.
    pub async fn reject(self, status: u16, text: &str) -> Result<(), Error> {
        self.respond(&Reply::new(status)?.text(text)).await
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the
    /// transport.
    ///
    /// Dropped before it returns, the client may not get the whole response.
    pub async fn respond(self, response: &Reply) -> Result<(), Error> {
        let mut out = Vec::new();
        self.request().reply(response, &mut out);
        reply(self.io, &out).await
    }
}

/// Reads until the request's head is complete.
async fn receive<S: AsyncRead + Unpin>(
    io: &mut S,
    input: &mut BytesMut,
    limits: &Limits,
) -> Result<Received, Error> {
    let mut handshake = ServerHandshake::new(limits.clone());
    loop {
        if io.read_buf(input).await.map_err(Error::ConnectionLost)? == 0 {
            return Err(HandshakeError::Incomplete.into());
        }
        if let Some(received) = handshake.receive(input)? {
            return Ok(received);
        }
    }
}

/// Writes a last response, and closes the transport so that the client gets all of it: closing with
/// bytes unread would make TCP discard what is on its way.
async fn reply<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, out: &[u8]) -> Result<(), Error> {
    let replied = timeout(LINGER, async {
        io.write_all(out).await?;
        io.shutdown().await?;
        let mut discarded = [0; 1024];
        while io.read(&mut discarded).await? > 0 {}
        Ok(())
    });
    match replied.await {
        Ok(result) => result.map_err(Error::ConnectionLost),
        // It had time enough to read a page.
        Err(_) => Ok(()),
    }
}

/// How long a client that was answered may take to close.
const LINGER: Duration = Duration::from_secs(2);

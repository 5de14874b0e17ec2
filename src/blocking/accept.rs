//! Accepting connections: the server's opening handshake, in two steps.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::io;
use std::time::Instant;

use super::connect::Deadline;
use super::serve::Member;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::Transport;
use super::web_socket::{WebSocket, keep_write_timeout};
use crate::error::Error;
use crate::handshake::{HeadError, Limits, ReceivedRequest, Reply, RequestError, ServerHandshake};
use crate::role::Role;
use crate::server::{PendingRequest, Server, refuse};

/// Reads a client's request from a stream, with the defaults of [`Server`]: see [`accept_with`].
pub fn accept<S: Transport>(io: S) -> Result<Pending<S>, Error> {
    accept_with(io, &Server::default())
}

/// Reads a client's request from a stream. It is then for the caller to look at the request, and to
/// [`accept`](Pending::accept) or [`reject`](Pending::reject) it.
///
/// A request that is malformed, or asks for a WebSocket in a way that RFC 6455 does not allow, is
/// answered with the fitting status, and returned as an error. A well-formed request that does not ask
/// for a WebSocket is the caller's to answer: [`PendingRequest::is_websocket`] tells.
///
/// On a `TcpStream`, set `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
pub fn accept_with<S: Transport>(io: S, server: &Server) -> Result<Pending<S>, Error> {
    let now = Instant::now();
    accept_until(Deadline::after(now, server.handshake_timeout), io, server, now)
}

/// Like [`accept_with`], over TLS: "if the TLS handshake fails, close the connection; otherwise, all
/// further communication for the connection, including the server's handshake, MUST run through the
/// encrypted tunnel" (RFC 6455 section 4.2.2). Both handshakes together have
/// [`Server::handshake_timeout`].
///
/// What TLS knows of the client can be looked at before the request is answered:
///
/// ```no_run
/// # fn run(tcp: std::net::TcpStream, tls: std::sync::Arc<rustls::ServerConfig>) -> Result<(), sansocket::Error> {
/// let pending = sansocket::blocking::accept_tls(tcp, tls, &sansocket::Server::default())?;
/// if pending.get_ref().tls().peer_certificates().is_none() {
///     return pending.reject(403, "who are you?");
/// }
/// let ws = pending.accept()?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "rustls")]
pub fn accept_tls<S: Transport>(
    mut io: S,
    tls: Arc<rustls::ServerConfig>,
    server: &Server,
) -> Result<Pending<TlsStream<S>>, Error> {
    let deadline = Deadline::after(Instant::now(), server.handshake_timeout);
    let connection = rustls::ServerConnection::new(tls);
    let mut connection = connection.map_err(|error| Error::Connect(io::Error::other(error)))?;
    deadline.handshake(&mut connection, &mut io)?;
    let io = TlsStream::new(connection, io).map_err(Error::Connect)?;
    accept_until(deadline, io, server, Instant::now())
}

fn accept_until<S: Transport>(
    deadline: Deadline,
    mut io: S,
    server: &Server,
    now: Instant,
) -> Result<Pending<S>, Error> {
    let mut input = Vec::new();
    match receive(&mut io, &mut input, &server.limits, deadline, now) {
        Ok(received) => {
            Ok(Pending { io, request: PendingRequest::new(received, input, server), member: None })
        }
        Err(error) => {
            let mut out = Vec::new();
            refuse(&error, &mut out);
            // The client is told if it will listen; what is wrong is the request.
            let _ = reply(io, &out);
            Err(error)
        }
    }
}

/// A request that was read and is not yet answered, and its stream. Dropping it closes the transport.
#[derive(Debug)]
pub struct Pending<S> {
    io: S,
    request: PendingRequest,
    /// Of a connection that `serve` accepted.
    pub(super) member: Option<Arc<Member>>,
}

impl<S> Deref for Pending<S> {
    type Target = PendingRequest;

    fn deref(&self) -> &PendingRequest {
        &self.request
    }
}

impl<S> DerefMut for Pending<S> {
    fn deref_mut(&mut self) -> &mut PendingRequest {
        &mut self.request
    }
}

impl<S> Pending<S> {
    /// The stream, which knows the client's address.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: Transport> Pending<S> {
    /// Accepts the connection: sends the response that completes the opening handshake.
    ///
    /// A request that does not ask for a WebSocket is answered with 426, and returned as an error.
    pub fn accept(mut self) -> Result<WebSocket<S>, Error> {
        let mut out = Vec::new();
        let (accepted, agreed) = match self.request.accept(&mut out) {
            Ok(accepted) => accepted,
            Err(error) => {
                let _ = reply(self.io, &out);
                return Err(error);
            }
        };
        let now = Instant::now();
        Deadline::after(now, self.request.timeout).write_all(&mut self.io, &out, now)?;
        keep_write_timeout(&mut self.io, &self.request.config).map_err(Error::ConnectionLost)?;
        let Self { io, request, member } = self;
        let mut ws = WebSocket::new(io, Role::Server, agreed, request.read_ahead(), &request.config);
        if let Some(member) = member {
            ws.reading.join(member);
        }
        ws.opened(accepted.subprotocol().map(Into::into), None);
        Ok(ws)
    }

    /// Rejects the connection with an HTTP status and a text that says why.
    pub fn reject(self, status: u16, text: &str) -> Result<(), Error> {
        self.respond(&Reply::new(status)?.text(text))
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the
    /// transport.
    pub fn respond(self, response: &Reply) -> Result<(), Error> {
        let mut out = Vec::new();
        self.request().reply(response, &mut out);
        reply(self.io, &out)
    }
}

/// Reads until the request's head is complete.
fn receive(
    io: &mut impl Transport,
    input: &mut Vec<u8>,
    limits: &Limits,
    deadline: Deadline,
    mut now: Instant,
) -> Result<ReceivedRequest, Error> {
    let mut handshake = ServerHandshake::new(limits.clone());
    loop {
        if deadline.read(io, input, now)? == 0 {
            return Err(RequestError::from(HeadError::Incomplete).into());
        }
        if let Some(received) = handshake.receive(input)? {
            return Ok(received);
        }
        now = Instant::now();
    }
}

/// Writes a last response, and closes the transport so that the client gets all of it: closing with
/// bytes unread would make TCP discard what is on its way.
fn reply(mut io: impl Transport, out: &[u8]) -> Result<(), Error> {
    let now = Instant::now();
    let deadline = Deadline::after(now, LINGER);
    deadline.write_all(&mut io, out, now)?;
    match io.shutdown_write() {
        Ok(()) => {}
        // Dropping it is all that can be done.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        Err(error) => return Err(Error::ConnectionLost(error)),
    }
    let mut discarded = Vec::new();
    // It has time enough to read a page.
    while let Ok(1..) = deadline.read(&mut io, &mut discarded, Instant::now()) {
        discarded.clear();
    }
    Ok(())
}

/// How long a client that was answered may take to close.
const LINGER: Duration = Duration::from_secs(2);

//! Accepting connections: the server's opening handshake, in two steps.

use alloc::borrow::ToOwned;
#[cfg(feature = "rustls")]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::ops::{Deref, DerefMut};
#[cfg(feature = "rustls")]
use std::io;

use bytes::Bytes;

use super::deadline::{Deadline, answer, complete};
use super::server_stream::{PlainOrTls, ServerStream};
use super::shared_tcp::SharedTcp;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::tracker::InHandshake;
use super::transport::{Transport, keep_write_timeout};
use super::web_socket::WebSocket;
use crate::endpoint::{Answer, Error, LINGER, PendingParts, PendingRequest, Server};
#[cfg(feature = "rustls")]
use crate::endpoint::{HttpVersion, tls};
#[cfg(feature = "rustls")]
use crate::handshake::Limits;
use crate::handshake::{BuildError, Reply, ServerHandshake};

/// Reads a client's request from a stream, with the defaults of [`Server`]: see [`accept_with`].
pub fn accept<S: Transport>(io: S) -> Result<Pending<S>, Error> {
    accept_with(io, &Server::default())
}

/// Reads a client's request from a stream. It is then for the caller to look at the request, and to
/// [`accept`](Pending::accept) or [`reject`](Pending::reject) it.
///
/// A request that is malformed, or asks for a WebSocket in a way that RFC 6455 does not allow, is
/// answered with the fitting status, and returned as an error. A well-formed request that does not ask
/// for a WebSocket is the caller's to answer: [`PendingRequest::is_websocket`] tells, and [`PendingRequest::page`] what a
/// server with [pages](Server::page) has for it.
///
/// On a `TcpStream`, set `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
pub fn accept_with<S: Transport>(io: S, server: &Server) -> Result<Pending<S>, Error> {
    accept_until(Deadline::after(server.handshake_timeout), io, server)
}

/// Like [`accept_with`], over TLS: "all further communication for the connection (including the server's
/// handshake) MUST run through the encrypted tunnel" (6455-4.2.2-03). Both handshakes together have
/// [`Server::handshake_timeout`]. What is spoken is HTTP/1.1: a client that agreed on another protocol by ALPN, since
/// `config` lists it, is not answered, and [`Error::Connect`] names it.
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
    io: S,
    config: Arc<rustls::ServerConfig>,
    server: &Server,
) -> Result<Pending<TlsStream<S>>, Error> {
    let deadline = Deadline::after(server.handshake_timeout);
    accept_until(deadline, secure(io, config, deadline)?, server)
}

/// Over TLS, if the server is to speak it.
pub(super) fn accept_as(io: SharedTcp, server: &Server) -> Result<Pending<ServerStream>, Error> {
    let deadline = Deadline::after(server.handshake_timeout);
    #[cfg(feature = "rustls")]
    if let Some(config) = server.tls_config() {
        let stream = ServerStream(PlainOrTls::Tls(secure(io, config, deadline)?));
        return accept_until(deadline, stream, server);
    }
    accept_until(deadline, ServerStream(PlainOrTls::Plain(io)), server)
}

/// Completes the TLS handshake. A client that speaks HTTP without TLS is told so, in a way that it understands.
#[cfg(feature = "rustls")]
fn secure<S: Transport>(
    mut io: S,
    config: Arc<rustls::ServerConfig>,
    deadline: Deadline,
) -> Result<TlsStream<S>, Error> {
    io.set_blocking().map_err(Error::Connect)?;
    let mut received = Vec::new();
    let connect = |error| match error {
        Error::ConnectionLost(error) => Error::Connect(error),
        error => error,
    };
    if deadline.read(&mut io, &mut received).map_err(connect)? == 0 {
        return Err(Error::Connect(io::ErrorKind::UnexpectedEof.into()));
    }
    if let Err(error) = tls::check_first(&received) {
        // Of the request, nothing was read as one.
        let unread = ServerHandshake::new(Limits::default());
        let _ = answer(io, &Answer::to_unread(&unread, &error), LINGER);
        return Err(error);
    }
    let connection = rustls::ServerConnection::new(config);
    let mut connection = connection.map_err(|error| Error::Connect(io::Error::other(error)))?;
    deadline.handshake(&mut connection, &mut io, &received)?;
    tls::check_alpn(connection.alpn_protocol(), HttpVersion::Http1)?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    TlsStream::new(connection, io).map_err(Error::Connect)
}

fn accept_until<S: Transport>(deadline: Deadline, mut io: S, server: &Server) -> Result<Pending<S>, Error> {
    io.set_blocking().map_err(Error::ConnectionLost)?;
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut handshake = ServerHandshake::new(server.limits.clone());
    match complete(&mut io, &mut handshake, &mut out, &mut input, deadline) {
        Ok(received) => {
            let request = PendingRequest::new(received, server);
            Ok(Pending { io, request, read_ahead: input, token: None })
        }
        Err(error) => {
            // The client is told if it will listen; what is wrong is the request.
            let _ = answer(io, &Answer::to_unread(&handshake, &error), LINGER);
            Err(error)
        }
    }
}

/// A request that was read and is not yet answered, and its stream. Dropping it closes the transport.
pub struct Pending<S = ServerStream> {
    io: S,
    request: PendingRequest,
    /// The first frames of a client that did not wait.
    read_ahead: Vec<u8>,
    /// Of a connection that `serve` accepted.
    pub(super) token: Option<InHandshake>,
}

impl<S: fmt::Debug> fmt::Debug for Pending<S> {
    /// Keeps what was read behind the head, such as a body, out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("io", &self.io)
            .field("request", &self.request)
            .field("read_ahead", &self.read_ahead.len())
            .finish_non_exhaustive()
    }
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
    /// A request that does not ask for a WebSocket is answered as [`Server::page`] says, and returned as an error.
    pub fn accept(self) -> Result<WebSocket<S>, Error> {
        let Self { mut io, mut request, read_ahead, token } = self;
        let mut out = Vec::new();
        let negotiated = match request.accept(&mut out) {
            Ok(negotiated) => negotiated,
            Err(error) => {
                let _ = answer(io, &request.answer_to(&error), request.timeout);
                return Err(error);
            }
        };
        Deadline::after(request.timeout).write_all(&mut io, &out)?;
        keep_write_timeout(&mut io).map_err(Error::ConnectionLost)?;
        let mut ws = WebSocket::new(io, negotiated, &read_ahead, &request.config);
        if let Some(token) = token {
            ws.join(token.0.clone());
        }
        Ok(ws)
    }

    /// Rejects the connection with an HTTP status and a text that says why. Fails as [`respond`](Self::respond) does, and so
    /// if the status is none from 200 to 599.
    pub fn reject(self, status: u16, text: &str) -> Result<(), Error> {
        self.answer(Reply::new(status).map(|reply| reply.text(text.to_owned())))
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the
    /// transport.
    ///
    /// A request for a WebSocket, or a CONNECT, is not answered with 2xx, which would accept it over HTTP/2 (RFC 8441
    /// section 5): the client is told 500, and it fails with [`Error::Build`].
    pub fn respond(self, response: impl Borrow<Reply>) -> Result<(), Error> {
        self.answer(Ok(response))
    }

    /// Reads the body of a request that does not ask for a WebSocket, with at most `limit` bytes, to answer it then. It has
    /// [`Server::handshake_timeout`], anew. A client that waits to be told that its body is wanted (`Expect: 100-continue`) is
    /// told so.
    ///
    /// It is empty if there is none, as of every request for a WebSocket, and if it was read before. A chunked one (RFC 9112
    /// section 7.1) is put together; what is behind it is not looked at. A longer one is not waited for, and memory is taken
    /// for what has come: at most twice `limit`, beside what the head was read with.
    ///
    /// A body that cannot be read is answered here, and returned as an error. [`Error::Request`]: it is longer than `limit`
    /// (413), how long it is is not told in one valid way, its chunks are malformed, the client has ended it early (400), or
    /// it is in another coding beside (501). [`Error::TimedOut`]: it took too long (408). [`Error::ConnectionLost`]: the
    /// transport failed.
    ///
    /// ```no_run
    /// # use sansocket::{Error, blocking::Pending, handshake::Reply};
    /// fn echo(pending: Pending) -> Result<(), Error> {
    ///     let (pending, body) = pending.read_body(64 * 1024)?;
    ///     pending.respond(Reply::ok().body(body))
    /// }
    /// ```
    pub fn read_body(self, limit: usize) -> Result<(Self, Bytes), Error> {
        let Self { mut io, mut request, mut read_ahead, token } = self;
        let mut out = Vec::new();
        let read = match request.body(limit, &mut out) {
            Ok(Some(mut body)) => {
                complete(&mut io, &mut body, &mut out, &mut read_ahead, Deadline::after(request.timeout))
            }
            Ok(None) => Ok(Bytes::new()),
            Err(error) => Err(error),
        };
        match read {
            Ok(content) => Ok((Self { io, request, read_ahead, token }, content)),
            Err(error) => {
                let _ = answer(io, &request.answer_to(&error), LINGER);
                Err(error)
            }
        }
    }

    /// Hands the connection over as it came, to an HTTP library for one: the stream, whose reads and writes have no timeouts
    /// then, and all that was read from it, with the request's head. What [`read_body`](Self::read_body) took is not among it.
    ///
    /// A connection of `serve` counts as one until its handler returns, and no longer as one that is in its handshake. It is
    /// not told when the server stops, but cut off with what has not ended within [`Server::shutdown_grace`].
    pub fn into_parts(self) -> PendingParts<S> {
        let Self { mut io, request, read_ahead, token } = self;
        // On a connection that has ended already it may fail; reading will tell.
        let _ = io.set_read_timeout(None).and_then(|()| io.set_write_timeout(None));
        drop(token);
        request.into_parts(io, &read_ahead)
    }

    fn answer(self, reply: Result<impl Borrow<Reply>, BuildError>) -> Result<(), Error> {
        let (response, judged) = self.request.answer(reply);
        let answered = answer(self.io, &response, self.request.timeout);
        judged.and(answered)
    }
}

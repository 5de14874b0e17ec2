//! Accepting connections: the server's opening handshake, in two steps.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::mem::take;
use core::ops::{Deref, DerefMut};
#[cfg(feature = "tokio-rustls")]
use core::pin::pin;

use bytes::Bytes;
#[cfg(feature = "tokio-rustls")]
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

#[cfg(feature = "tokio-rustls")]
use super::deadline::within;
use super::deadline::{answer, complete, deadline, keep_spare, spare, write_within};
#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::server_stream::{PlainOrTls, ServerStream};
use super::tracker::Token;
use super::transport::Transport;
use super::web_socket::WebSocket;
use crate::endpoint::{Answer, Error, LINGER, PendingParts, PendingRequest, Server};
#[cfg(feature = "tokio-rustls")]
use crate::endpoint::{HttpVersion, tls};
#[cfg(feature = "tokio-rustls")]
use crate::handshake::Limits;
use crate::handshake::{BuildError, Reply, ServerHandshake};

/// Reads a client's request from a stream, with the defaults of [`Server`]: see [`accept_with`].
pub fn accept<S>(io: S) -> impl Future<Output = Result<Pending<S>, Error>>
where
    S: Transport,
{
    Box::pin(async {
        let server = Server::default();
        accept_until(|| deadline(server.handshake_timeout), io, &server).await
    })
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
///
/// Dropped before it returns, the transport is closed.
pub fn accept_with<S>(io: S, server: &Server) -> impl Future<Output = Result<Pending<S>, Error>>
where
    S: Transport,
{
    Box::pin(accept_until(|| deadline(server.handshake_timeout), io, server))
}

/// Like [`accept_with`], over TLS: "all further communication for the connection (including the server's
/// handshake) MUST run through the encrypted tunnel" (6455-4.2.2-03). Both handshakes together have
/// [`Server::handshake_timeout`]. What is spoken is HTTP/1.1: a client that agreed on another protocol by ALPN, since
/// `config` lists it, is not answered, and [`Error::Connect`] names it.
#[cfg(feature = "tokio-rustls")]
pub fn accept_tls<S>(
    io: S,
    config: alloc::sync::Arc<rustls::ServerConfig>,
    server: &Server,
) -> impl Future<Output = Result<Pending<tokio_rustls::server::TlsStream<PlainWrites<S>>>, Error>>
where
    S: Transport,
{
    Box::pin(async {
        let deadline = deadline(server.handshake_timeout);
        let stream = within(|| deadline, pin!(secure(io, config))).await?;
        accept_until(|| deadline, stream, server).await
    })
}

/// Over TLS, if the server is to speak it.
pub(super) async fn accept_as<S>(io: S, server: &Server) -> Result<Pending<ServerStream<S>>, Error>
where
    S: Transport,
{
    #[cfg(feature = "tokio-rustls")]
    if let Some(config) = server.tls_config() {
        let deadline = deadline(server.handshake_timeout);
        let stream = within(|| deadline, pin!(secure(io, config))).await?;
        let stream = ServerStream(PlainOrTls::Tls(Box::new(stream)));
        return accept_until(|| deadline, stream, server).await;
    }
    accept_until(|| deadline(server.handshake_timeout), ServerStream(PlainOrTls::Plain(io)), server).await
}

/// Completes the TLS handshake. A client that speaks HTTP without TLS is told so, in a way that it understands.
#[cfg(feature = "tokio-rustls")]
async fn secure<S>(
    mut io: S,
    config: alloc::sync::Arc<rustls::ServerConfig>,
) -> Result<tokio_rustls::server::TlsStream<PlainWrites<S>>, Error>
where
    S: Transport,
{
    let mut first = [0];
    io.read_exact(&mut first).await.map_err(Error::Connect)?;
    if let Err(error) = tls::check_first(&first) {
        // Of the request, nothing was read as one.
        let unread = ServerHandshake::new(Limits::default());
        let _ = answer(io, Answer::to_unread(&unread, &error), LINGER).await;
        return Err(error);
    }
    let mut fed = Ok(0);
    let securing = tokio_rustls::TlsAcceptor::from(config)
        .accept_with(PlainWrites(io), |connection| fed = connection.read_tls(&mut &first[..]));
    let mut stream = securing.await.map_err(Error::Connect)?;
    fed.map_err(Error::Connect)?;
    let connection = stream.get_mut().1;
    tls::check_alpn(connection.alpn_protocol(), HttpVersion::Http1)?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(stream)
}

async fn accept_until<S>(
    deadline: impl FnOnce() -> Instant,
    mut io: S,
    server: &Server,
) -> Result<Pending<S>, Error>
where
    S: Transport,
{
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut handshake = ServerHandshake::new(server.limits.clone());
    match complete(&mut io, &mut handshake, &mut out, &mut input, deadline).await {
        Ok(received) => {
            let request = PendingRequest::new(received, server);
            if input.is_empty() {
                keep_spare(take(&mut input));
            }
            Ok(Pending(Box::new(Unanswered { io, request, read_ahead: input, token: None })))
        }
        Err(error) => {
            // The client is told if it will listen; what is wrong is the request.
            let _ = Box::pin(answer(io, Answer::to_unread(&handshake, &error), LINGER)).await;
            Err(error)
        }
    }
}

/// A request that was read and is not yet answered, and its stream. Dropping it closes the transport.
///
/// It is boxed, like the futures that make and use it: the task of a connection that is open need not have room
/// for its opening handshake.
pub struct Pending<S = ServerStream>(Box<Unanswered<S>>);

struct Unanswered<S> {
    io: S,
    request: PendingRequest,
    /// The first frames of a client that did not wait.
    read_ahead: Vec<u8>,
    /// Of a connection that `serve` accepted.
    token: Option<Token>,
}

impl<S: fmt::Debug> fmt::Debug for Pending<S> {
    /// Keeps what was read behind the head, such as a body, out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("io", &self.0.io)
            .field("request", &self.0.request)
            .field("read_ahead", &self.0.read_ahead.len())
            .finish_non_exhaustive()
    }
}

impl<S> Deref for Pending<S> {
    type Target = PendingRequest;

    fn deref(&self) -> &PendingRequest {
        &self.0.request
    }
}

impl<S> DerefMut for Pending<S> {
    fn deref_mut(&mut self) -> &mut PendingRequest {
        &mut self.0.request
    }
}

impl<S> Pending<S> {
    /// The stream, which knows the client's address.
    pub fn get_ref(&self) -> &S {
        &self.0.io
    }

    /// The connection is one of those that `serve` accepted.
    pub(super) fn join(&mut self, token: Token) {
        self.0.token = Some(token);
    }
}

impl<S: Transport> Pending<S> {
    /// Accepts the connection: sends the response that completes the opening handshake.
    ///
    /// A request that does not ask for a WebSocket is answered as [`Server::page`] says, and returned as an error.
    ///
    /// Dropped before it returns, the transport is closed.
    pub fn accept(self) -> impl Future<Output = Result<WebSocket<S>, Error>> {
        // Boxed, since this future would be part of the task of a connection that is open, too.
        Box::pin(self.open())
    }

    /// Rejects the connection with an HTTP status and a text that says why. Fails as [`respond`](Self::respond) does, and so
    /// if the status is none from 200 to 599.
    ///
    /// Dropped before it returns, the client may not get the whole response.
    pub async fn reject(self, status: u16, text: &str) -> Result<(), Error> {
        self.answer(Reply::new(status).map(|reply| reply.text(text.to_owned()))).await
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the
    /// transport.
    ///
    /// A request for a WebSocket, or a CONNECT, is not answered with 2xx, which would accept it over HTTP/2 (RFC 8441
    /// section 5): the client is told 500, and it fails with [`Error::Build`].
    ///
    /// Dropped before it returns, the client may not get the whole response.
    pub fn respond<R: Borrow<Reply>>(
        self,
        response: R,
    ) -> impl Future<Output = Result<(), Error>> + use<S, R> {
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
    /// ```
    /// # use sansocket::{Error, tokio::Pending, handshake::Reply};
    /// async fn echo(pending: Pending) -> Result<(), Error> {
    ///     let (pending, body) = pending.read_body(64 * 1024).await?;
    ///     pending.respond(Reply::ok().body(body)).await
    /// }
    /// ```
    ///
    /// Dropped before it returns, the transport is closed.
    pub fn read_body(self, limit: usize) -> impl Future<Output = Result<(Self, Bytes), Error>> {
        Box::pin(self.receive_body(limit))
    }

    /// Hands the connection over as it came, to an HTTP library for one: the stream, and all that was read from it, with the
    /// request's head. What [`read_body`](Self::read_body) took is not among it.
    ///
    /// A connection of `serve` counts as one until its handler returns, and no longer as one that is in its handshake. It is
    /// not told when the server stops, but cut off with what has not ended within [`Server::shutdown_grace`].
    pub fn into_parts(self) -> PendingParts<S> {
        let Unanswered { io, request, read_ahead, .. } = *self.0;
        request.into_parts(io, &read_ahead)
    }

    fn answer<R: Borrow<Reply>>(
        self,
        reply: Result<R, BuildError>,
    ) -> impl Future<Output = Result<(), Error>> + use<S, R> {
        let Unanswered { io, request, token, .. } = *self.0;
        let (response, judged) = request.answer(reply);
        Box::pin(async move {
            let answered = answer(io, response, request.timeout).await;
            // Until then it is one of those that wait for their answers.
            drop(token);
            judged.and(answered)
        })
    }

    async fn open(self) -> Result<WebSocket<S>, Error> {
        let mut unanswered = self.0;
        let mut out = spare();
        let negotiated = match unanswered.request.accept(&mut out) {
            Ok(negotiated) => negotiated,
            Err(error) => return Err(Box::pin(refuse(*unanswered, error)).await),
        };
        let timeout = unanswered.request.timeout;
        write_within(&mut unanswered.io, &out, timeout).await?;
        keep_spare(out);
        let Unanswered { io, request, read_ahead, token } = *unanswered;
        let mut ws = WebSocket::new(io, negotiated, &read_ahead, &request.config);
        if let Some(token) = token {
            ws.receiver.join(token);
        }
        Ok(ws)
    }

    async fn receive_body(mut self, limit: usize) -> Result<(Self, Bytes), Error> {
        let Unanswered { io, request, read_ahead, .. } = &mut *self.0;
        let mut out = Vec::new();
        let read = match request.body(limit, &mut out) {
            Ok(Some(mut body)) => {
                let timeout = request.timeout;
                complete(io, &mut body, &mut out, read_ahead, || deadline(timeout)).await
            }
            Ok(None) => Ok(Bytes::new()),
            Err(error) => Err(error),
        };
        match read {
            Ok(content) => Ok((self, content)),
            Err(error) => {
                let refusal = self.0.request.answer_to(&error);
                let _ = answer(self.0.io, refusal, LINGER).await;
                Err(error)
            }
        }
    }
}

/// Answers a request that cannot be accepted, because of `error`.
async fn refuse<S: Transport>(unanswered: Unanswered<S>, error: Error) -> Error {
    let Unanswered { io, request, .. } = unanswered;
    let _ = answer(io, request.answer_to(&error), request.timeout).await;
    error
}

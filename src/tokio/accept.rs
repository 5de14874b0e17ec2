//! Accepting connections: the server's opening handshake, in two steps.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::pin::pin;
use core::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::connect::{USUAL_HEAD_BYTES, deadline, within, write};
use super::group::Member;
use super::web_socket::WebSocket;
use crate::error::Error;
use crate::handshake::{HeadError, Limits, ReceivedRequest, Reply, RequestError, ServerHandshake};
use crate::role::Role;
use crate::server::{PendingRequest, Server, refuse};

/// Reads a client's request from a stream, with the defaults of [`Server`]: see [`accept_with`].
pub fn accept<S>(io: S) -> impl Future<Output = Result<Pending<S>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
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
/// for a WebSocket is the caller's to answer: [`PendingRequest::is_websocket`] tells.
///
/// On a `TcpStream`, set `TCP_NODELAY`: what is sent is written whole, and waiting would only delay it.
///
/// Dropped before it returns, the transport is closed.
pub fn accept_with<S>(io: S, server: &Server) -> impl Future<Output = Result<Pending<S>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Box::pin(accept_until(|| deadline(server.handshake_timeout), io, server))
}

/// Like [`accept_with`], over TLS: "if the TLS handshake fails, close the connection; otherwise, all
/// further communication for the connection, including the server's handshake, MUST run through the
/// encrypted tunnel" (RFC 6455 section 4.2.2). Both handshakes together have
/// [`Server::handshake_timeout`].
#[cfg(feature = "rustls")]
pub fn accept_tls<S>(
    io: S,
    tls: alloc::sync::Arc<rustls::ServerConfig>,
    server: &Server,
) -> impl Future<Output = Result<Pending<tokio_rustls::server::TlsStream<S>>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Box::pin(async {
        let deadline = deadline(server.handshake_timeout);
        let tls = async { tokio_rustls::TlsAcceptor::from(tls).accept(io).await.map_err(Error::Connect) };
        let stream = within(|| deadline, pin!(tls)).await?;
        accept_until(|| deadline, stream, server).await
    })
}

pub(super) async fn accept_until<S>(
    deadline: impl FnOnce() -> Instant,
    mut io: S,
    server: &Server,
) -> Result<Pending<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Vec::with_capacity(USUAL_HEAD_BYTES);
    let received = within(deadline, pin!(receive(&mut io, &mut input, &server.limits))).await;
    match received {
        Ok(received) => {
            let request = PendingRequest::new(received, input, server);
            Ok(Pending(Box::new(Opening { io, request, member: None })))
        }
        Err(error) => {
            let mut out = Vec::new();
            refuse(&error, &mut out);
            // The client is told if it will listen; what is wrong is the request.
            let _ = Box::pin(reply(io, out)).await;
            Err(error)
        }
    }
}

/// A request that was read and is not yet answered, and its stream. Dropping it closes the transport.
///
/// It is boxed, like the futures that make and use it: the task of a connection that is open need not have room
/// for its opening handshake.
#[derive(Debug)]
pub struct Pending<S>(Box<Opening<S>>);

#[derive(Debug)]
struct Opening<S> {
    io: S,
    request: PendingRequest,
    /// Of a connection that `serve` accepted.
    member: Option<Member>,
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
    pub(super) fn join(&mut self, member: Member) {
        self.0.member = Some(member);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pending<S> {
    /// Accepts the connection: sends the response that completes the opening handshake.
    ///
    /// A request that does not ask for a WebSocket is answered with 426, and returned as an error.
    ///
    /// Dropped before it returns, the transport is closed.
    pub fn accept(self) -> impl Future<Output = Result<WebSocket<S>, Error>> {
        Box::pin(self.open())
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
    pub fn respond(self, response: &Reply) -> impl Future<Output = Result<(), Error>> + use<S> {
        let mut out = Vec::new();
        self.request().reply(response, &mut out);
        Box::pin(reply(self.0.io, out))
    }

    async fn open(self) -> Result<WebSocket<S>, Error> {
        let mut opening = self.0;
        let mut out = Vec::new();
        let (accepted, agreed) = match opening.request.accept(&mut out) {
            Ok(accepted) => accepted,
            Err(error) => {
                let _ = Box::pin(reply(opening.io, out)).await;
                return Err(error);
            }
        };
        let timeout = opening.request.timeout;
        within(|| deadline(timeout), pin!(write(&mut opening.io, &out))).await?;
        let Opening { io, request, member } = *opening;
        let mut ws = WebSocket::new(io, Role::Server, agreed, request.read_ahead(), &request.config);
        if let Some(member) = member {
            ws.receiver.join(member);
        }
        ws.opened(accepted.subprotocol().map(Into::into), None);
        Ok(ws)
    }
}

/// Reads until the request's head is complete.
async fn receive<S: AsyncRead + Unpin>(
    io: &mut S,
    input: &mut Vec<u8>,
    limits: &Limits,
) -> Result<ReceivedRequest, Error> {
    let mut handshake = ServerHandshake::new(limits.clone());
    loop {
        if io.read_buf(input).await.map_err(Error::ConnectionLost)? == 0 {
            return Err(RequestError::from(HeadError::Incomplete).into());
        }
        if let Some(received) = handshake.receive(input)? {
            return Ok(received);
        }
    }
}

/// Writes a last response, and closes the transport so that the client gets all of it: closing with
/// bytes unread would make TCP discard what is on its way.
async fn reply<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, out: Vec<u8>) -> Result<(), Error> {
    let replied = timeout(LINGER, async {
        io.write_all(&out).await?;
        io.shutdown().await?;
        let mut discarded = Vec::with_capacity(1024);
        while io.read_buf(&mut discarded).await? > 0 {
            discarded.clear();
        }
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

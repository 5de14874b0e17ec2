//! Accepting connections: the server's opening handshake, in two steps.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::pin::pin;

#[cfg(feature = "tokio-rustls")]
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::deadline::{answer, complete, deadline, within, write};
#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::server_stream::{PlainOrTls, ServerStream};
use super::tracker::Token;
use super::transport::Transport;
use super::web_socket::WebSocket;
#[cfg(feature = "tokio-rustls")]
use crate::endpoint::tls;
use crate::endpoint::{Error, PendingRequest, Server, refuse};
use crate::handshake::{Reply, ServerHandshake};

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
/// for a WebSocket is the caller's to answer: [`PendingRequest::is_websocket`] tells.
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
        let mut out = Vec::new();
        refuse(&error, &mut out);
        let _ = answer(io, out).await;
        return Err(error);
    }
    let mut fed = Ok(0);
    let securing = tokio_rustls::TlsAcceptor::from(config)
        .accept_with(PlainWrites(io), |connection| fed = connection.read_tls(&mut &first[..]));
    let mut stream = securing.await.map_err(|error| tls::explain(Error::Connect(error)))?;
    fed.map_err(Error::Connect)?;
    let connection = stream.get_mut().1;
    tls::check_alpn(connection.alpn_protocol())?;
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
    match complete(&mut io, ServerHandshake::new(server.limits.clone()), &mut out, &mut input, deadline).await
    {
        Ok(received) => {
            let request = PendingRequest::new(received, server);
            Ok(Pending(Box::new(Unanswered { io, request, read_ahead: input, token: None })))
        }
        Err(error) => {
            refuse(&error, &mut out);
            // The client is told if it will listen; what is wrong is the request.
            let _ = Box::pin(answer(io, out)).await;
            Err(error)
        }
    }
}

/// A request that was read and is not yet answered, and its stream. Dropping it closes the transport.
///
/// It is boxed, like the futures that make and use it: the task of a connection that is open need not have room
/// for its opening handshake.
#[derive(Debug)]
pub struct Pending<S = ServerStream>(Box<Unanswered<S>>);

#[derive(Debug)]
struct Unanswered<S> {
    io: S,
    request: PendingRequest,
    /// The first frames of a client that did not wait.
    read_ahead: Vec<u8>,
    /// Of a connection that `serve` accepted.
    token: Option<Token>,
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
        self.respond(&Reply::new(status)?.text(text.to_owned())).await
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the
    /// transport.
    ///
    /// Dropped before it returns, the client may not get the whole response.
    pub fn respond(self, response: &Reply) -> impl Future<Output = Result<(), Error>> + use<S> {
        let mut out = Vec::new();
        self.request().reply(response, &mut out);
        Box::pin(answer(self.0.io, out))
    }

    async fn open(self) -> Result<WebSocket<S>, Error> {
        let Unanswered { mut io, request, read_ahead, token } = *self.0;
        let (config, timeout) = (request.config.clone(), request.timeout);
        let mut out = Vec::new();
        let negotiated = match request.accept(&mut out) {
            Ok(negotiated) => negotiated,
            Err(error) => {
                let _ = Box::pin(answer(io, out)).await;
                return Err(error);
            }
        };
        within(|| deadline(timeout), pin!(write(&mut io, &out))).await?;
        let mut ws = WebSocket::new(io, negotiated, &read_ahead, &config);
        if let Some(token) = token {
            ws.receiver.join(token);
        }
        Ok(ws)
    }
}

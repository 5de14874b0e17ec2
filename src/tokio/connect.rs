//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

use alloc::boxed::Box;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::drive::timed_out;
use super::web_socket::WebSocket;
use crate::adapter::random;
use crate::client::Client;
use crate::error::Error;
use crate::handshake::uri::Uri;
use crate::handshake::{ClientHandshake, ResponseError};
use crate::role::Role;

/// Opens a connection to a `ws://` URI (with the feature `rustls` also `wss://`), or as a [`Client`]
/// says. Every address of the host is tried, within [`Client::connect_timeout`].
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response.
///
/// Dropped before it returns, the transport is closed.
///
/// The future is boxed: the task of a connection that is open need not have room for its opening handshake.
pub fn connect<C>(client: C) -> impl Future<Output = Result<WebSocket<ClientStream>, Error>>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
{
    Box::pin(async {
        let client = client.try_into()?;
        let deadline = deadline(client.connect_timeout);
        let opening = async {
            let tcp = connect_tcp(client.uri(), deadline).await.map_err(Error::Connect)?;
            secure(tcp, &client).await.map_err(Error::Connect)
        };
        let stream = within(|| deadline, pin!(opening)).await?;
        open(&client, stream, deadline).await
    })
}

/// Opens a connection over a stream that leads to the server already: a Unix socket, a proxy's tunnel,
/// or TLS of another make. See [`connect`].
pub fn connect_over<C, S>(client: C, io: S) -> impl Future<Output = Result<WebSocket<S>, Error>>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: AsyncRead + AsyncWrite + Unpin,
{
    Box::pin(async {
        let client = client.try_into()?;
        open(&client, io, deadline(client.connect_timeout)).await
    })
}

/// The stream of a client's connection: TCP, or TLS over it.
#[derive(Debug)]
pub struct ClientStream(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            Inner::Tcp(tcp) => Pin::new(tcp).$method($($argument),*),
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => Pin::new(tls).$method($($argument),*),
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_read(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Tcp(tcp) => tcp.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_shutdown(cx))
    }
}

/// Tries the host's addresses in turn, each for its share of the time that is left.
async fn connect_tcp(uri: &Uri, deadline: Instant) -> io::Result<TcpStream> {
    let addresses: Vec<_> = lookup_host((uri.host(), uri.port())).await?.collect();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left -= 1;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Messages are written whole: waiting for more to send would only delay them.
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => last_error = error,
            Err(_) => last_error = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last_error)
}

#[cfg(not(feature = "rustls"))]
#[expect(clippy::unused_async, reason = "the TLS handshake, with the feature `rustls`")]
async fn secure(tcp: TcpStream, client: &Client) -> io::Result<ClientStream> {
    if client.uri().is_secure() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a wss:// URI needs TLS: enable the feature `rustls`",
        ));
    }
    Ok(ClientStream(Inner::Tcp(tcp)))
}

/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (RFC 6455 section 4.1)
#[cfg(feature = "rustls")]
async fn secure(tcp: TcpStream, client: &Client) -> io::Result<ClientStream> {
    if !client.uri().is_secure() {
        return Ok(ClientStream(Inner::Tcp(tcp)));
    }
    let connector = tokio_rustls::TlsConnector::from(crate::tls::client_config(client)?);
    let tls = connector.connect(crate::tls::server_name(client.uri())?, tcp).await?;
    Ok(ClientStream(Inner::Tls(Box::new(tls))))
}

/// The client's opening handshake.
async fn open<S>(client: &Client, mut io: S, deadline: Instant) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut nonce = [0; 16];
    random(&mut nonce);
    let mut out = Vec::new();
    let mut handshake =
        ClientHandshake::start(&client.full_request(), client.limits.clone(), nonce, &mut out);
    within(|| deadline, pin!(write(&mut io, &out))).await?;
    let mut input = Vec::with_capacity(USUAL_HEAD_BYTES);
    loop {
        let read = async { io.read_buf(&mut input).await.map_err(Error::ConnectionLost) };
        match within(|| deadline, pin!(read)).await {
            Ok(1..) => {}
            Ok(0) => return Err(handshake.receive_eof(&input).into()),
            // A refusal is told all the same, with as much of its body as came.
            Err(error) => match handshake.receive_eof(&input) {
                refused @ ResponseError::Refused(_) => return Err(refused.into()),
                _ => return Err(error),
            },
        }
        if let Some(opened) = handshake.receive(&input)? {
            let read_ahead = &input[opened.consumed()..];
            let agreed = client.agreed(&opened)?;
            let mut ws = WebSocket::new(io, Role::Client, agreed, read_ahead, &client.config);
            let (subprotocol, response) = opened.into_parts();
            ws.opened(subprotocol, Some(response));
            return Ok(ws);
        }
    }
}

/// Room for a head that is not read in pieces then, as most need not be.
pub(super) const USUAL_HEAD_BYTES: usize = 1024;

pub(super) fn deadline(timeout: core::time::Duration) -> Instant {
    let now = Instant::now();
    // A timeout beyond what a clock can tell is one of a century.
    now.checked_add(timeout).unwrap_or_else(|| now + core::time::Duration::from_secs(100 * 365 * 86_400))
}

/// Fails at the deadline, for which it asks, and sets a timer, only if it has to wait. What it is to wait for is
/// pinned by the caller, whose future then holds it once: it would be here as an argument, and again as pinned.
pub(super) async fn within<T>(
    deadline: impl FnOnce() -> Instant,
    mut opening: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    match poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx))).await {
        Poll::Ready(result) => result,
        Poll::Pending => {
            // Boxed, since most often there is none.
            let timeout = Box::pin(timeout_at(deadline(), opening));
            timeout.await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}

/// Writes a whole head.
pub(super) async fn write(io: &mut (impl AsyncWrite + Unpin), out: &[u8]) -> Result<(), Error> {
    io.write_all(out).await.map_err(Error::ConnectionLost)?;
    io.flush().await.map_err(Error::ConnectionLost)
}

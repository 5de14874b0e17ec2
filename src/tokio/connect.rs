//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::pin::pin;

use tokio::time::Instant;

use super::client_stream::{ClientStream, PlainOrTls};
use super::deadline::{complete, deadline, within};
use super::dial::dial;
#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::transport::Transport;
use super::web_socket::WebSocket;
#[cfg(feature = "tokio-rustls")]
use crate::endpoint::tls;
use crate::endpoint::{Client, ClientOpening, Error, random};

/// Opens a connection to a `ws://` URI (with the feature `tokio-rustls` also `wss://`), or as a [`Client`]
/// says. Every address of the host is tried, as [`Attempts`](crate::Attempts) says, within
/// [`Client::connect_timeout`], which holds for the look-up of its name too. The system's look-ups cannot be ended: one that takes longer goes on in a thread of the runtime until the
/// system gives up, and a runtime that is dropped waits for it, unless by `shutdown_timeout`.
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response. A redirect is one, unless
/// [`Client::redirects`] has it followed.
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
        let mut client = client.try_into()?;
        let deadline = deadline(client.connect_timeout);
        loop {
            match establish(&client, deadline).await {
                Err(error) => client = client.redirected(error)?,
                opened => return opened,
            }
        }
    })
}

/// Opens a connection over a stream that leads to the server already: a Unix socket, or a proxy's tunnel. To a
/// `wss://` URI it speaks TLS over the stream, as [`connect`] does over TCP: without the feature `tokio-rustls` it
/// fails, and sends nothing. Over TLS of another make, see [`connect_as_is`].
///
/// ```no_run
/// # async fn run(tunnel: tokio::net::TcpStream) -> Result<(), sansocket::Error> {
/// use sansocket::Client;
///
/// let client = Client::new("wss://example.com/feed")?.header("Authorization", "Bearer 1234")?;
/// let ws = sansocket::tokio::connect_over(client, tunnel).await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropped before it returns, the transport is closed.
pub fn connect_over<C, S>(client: C, io: S) -> impl Future<Output = Result<WebSocket<ClientStream<S>>, Error>>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    Box::pin(async {
        let client = client.try_into()?;
        let deadline = deadline(client.connect_timeout);
        let stream = within(|| deadline, pin!(secure(io, &client))).await?;
        open(&client, stream, deadline).await
    })
}

/// Opens a connection over a stream as it is. The handshake, credentials and all, is sent in the clear if the stream
/// is not a secure one, **whatever the URI says**: this is for TLS of another make, and for streams that need none. See
/// [`connect`].
///
/// Dropped before it returns, the transport is closed.
pub fn connect_as_is<C, S>(client: C, io: S) -> impl Future<Output = Result<WebSocket<S>, Error>>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    Box::pin(async {
        let client = client.try_into()?;
        open(&client, io, deadline(client.connect_timeout)).await
    })
}

/// Opens one connection.
async fn establish(client: &Client, deadline: Instant) -> Result<WebSocket<ClientStream>, Error> {
    let uri = client.uri();
    let opening = async {
        let tcp = dial(client, uri.host(), uri.port(), deadline).await.map_err(Error::Connect)?;
        secure(tcp, client).await
    };
    let stream = within(|| deadline, pin!(opening)).await?;
    open(client, stream, deadline).await
}

#[cfg(not(feature = "tokio-rustls"))]
#[expect(clippy::unused_async, reason = "the TLS handshake, with the feature `tokio-rustls`")]
async fn secure<S>(io: S, client: &Client) -> Result<ClientStream<S>, Error> {
    if client.uri().is_secure() {
        return Err(Error::Connect(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "a wss:// URI needs TLS: enable the feature `tokio-rustls`",
        )));
    }
    Ok(ClientStream(PlainOrTls::Plain(io)))
}

/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (6455-4.1-14)
#[cfg(feature = "tokio-rustls")]
async fn secure<S>(io: S, client: &Client) -> Result<ClientStream<S>, Error>
where
    S: Transport,
{
    if !client.uri().is_secure() {
        return Ok(ClientStream(PlainOrTls::Plain(io)));
    }
    let config = client.tls_config().map_err(Error::Connect)?;
    let name = tls::server_name(client.uri()).map_err(Error::Connect)?;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, PlainWrites(io)).await;
    let mut stream = stream.map_err(|error| tls::explain_to_client(Error::Connect(error)))?;
    let connection = stream.get_mut().1;
    tls::check_alpn(connection.alpn_protocol())?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(ClientStream(PlainOrTls::Tls(Box::new(stream))))
}

/// The client's opening handshake.
async fn open<S>(client: &Client, mut io: S, deadline: Instant) -> Result<WebSocket<S>, Error>
where
    S: Transport,
{
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut opening = ClientOpening::start(client, random, &mut out);
    let negotiated = complete(&mut io, &mut opening, &mut out, &mut input, || deadline).await?;
    Ok(WebSocket::new(io, negotiated, &input, &client.config))
}

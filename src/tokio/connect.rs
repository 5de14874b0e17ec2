//! Opening connections: TCP, a proxy's tunnel, TLS, and the client's opening handshake.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::pin::pin;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client_stream::{ClientStream, Hop, PlainOrTls};
use super::deadline::{complete, deadline, within};
use super::dial::{addresses, dial};
#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::transport::Transport;
use super::web_socket::WebSocket;
#[cfg(feature = "tokio-rustls")]
use crate::endpoint::tls;
use crate::endpoint::{
    Client, ClientOpening, Error, HttpVersion, Proxy, Tunnel, by_proxy, first_address, random,
};

/// Opens a connection to a `ws://` URI (with the feature `tokio-rustls` also `wss://`), or as a [`Client`]
/// says, through a proxy if it has one. Every address of the host is tried, as [`Attempts`](crate::Attempts) says, within
/// [`Client::connect_timeout`], which holds for the look-up of its name too. The system's look-ups cannot be ended: one that
/// takes longer goes on in a thread of the runtime until the system gives up, and a runtime that is dropped waits for it,
/// unless by `shutdown_timeout`.
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response, and so does a proxy's. A
/// redirect is a refusal, unless [`Client::redirects`] has it followed.
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

/// Opens a connection over a stream that leads to the server already, such as a Unix socket, whatever proxy the client was
/// given. To a `wss://` URI it speaks TLS over the stream, as [`connect`] does over TCP: without the feature `tokio-rustls` it
/// fails, and sends nothing. Over TLS of another make, see [`connect_as_is`].
///
/// ```no_run
/// # async fn run(tunnel: tokio::net::TcpStream) -> Result<(), sansocket::Error> {
/// use sansocket::Client;
///
/// let client = Client::new("wss://example.com/feed")?.bearer("1234")?;
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
        let client = client.try_into()?.redirects(0);
        let deadline = deadline(client.connect_timeout);
        let stream = within(|| deadline, pin!(transport_over(io, &client, HttpVersion::Http1))).await?;
        open(&client, stream, Vec::new(), deadline).await
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
        let client = client.try_into()?.redirects(0);
        open(&client, io, Vec::new(), deadline(client.connect_timeout)).await
    })
}

/// Opens one connection.
async fn establish(client: &Client, deadline: Instant) -> Result<WebSocket<ClientStream>, Error> {
    let (stream, input) = transport(client, HttpVersion::Http1, deadline).await?;
    open(client, stream, input, deadline).await
}

/// A stream that leads to the server, through a proxy and over TLS where it is to, and what was read of it by then.
pub(crate) async fn transport(
    client: &Client,
    version: HttpVersion,
    deadline: Instant,
) -> Result<(ClientStream, Vec<u8>), Error> {
    let uri = client.uri();
    let opening = async {
        let (io, input) = match client.chosen_proxy()? {
            None => {
                let tcp = dial(client, uri.host(), uri.port(), deadline).await?;
                (Hop(PlainOrTls::Plain(tcp)), Vec::new())
            }
            Some(proxy) => {
                let address = if proxy.takes_addresses() {
                    let addresses = addresses(client, uri.host(), uri.port()).await;
                    Some(addresses.and_then(|addresses| first_address(&addresses)).map_err(Error::Connect)?)
                } else {
                    None
                };
                within(|| deadline, pin!(tunnel(client, proxy, address, deadline))).await.map_err(by_proxy)?
            }
        };
        let stream = to_server(io, client, version, &input).await?;
        Ok((stream, if uri.is_secure() { Vec::new() } else { input }))
    };
    within(|| deadline, pin!(opening)).await
}

/// A stream that leads to the server, over the given one, and TLS where it is to be.
pub(crate) async fn transport_over<S>(
    io: S,
    client: &Client,
    version: HttpVersion,
) -> Result<ClientStream<S>, Error>
where
    S: Transport,
{
    to_server(Hop(PlainOrTls::Plain(io)), client, version, &[]).await
}

/// A stream that leads to the server through a proxy, and what was read of it. `address` is the server's, for a proxy that
/// takes addresses.
async fn tunnel(
    client: &Client,
    proxy: &Proxy,
    address: Option<SocketAddr>,
    deadline: Instant,
) -> Result<(Hop<TcpStream>, Vec<u8>), Error> {
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut tunnel = Tunnel::start(client, proxy, address, &mut out)?;
    let tcp = dial(client, proxy.host(), proxy.port(), deadline).await?;
    let mut io = if proxy.is_secure() {
        Hop(secure(tcp, client, HttpVersion::Http1, proxy.host(), &[]).await?)
    } else {
        Hop(PlainOrTls::Plain(tcp))
    };
    complete(&mut io, &mut tunnel, &mut out, &mut input, || deadline).await?;
    Ok((io, input))
}

/// The stream that the request is sent over. `received` is what was read of `io`.
///
/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (6455-4.1-14)
async fn to_server<S>(
    io: Hop<S>,
    client: &Client,
    version: HttpVersion,
    received: &[u8],
) -> Result<ClientStream<S>, Error>
where
    S: Transport,
{
    let uri = client.uri();
    Ok(ClientStream(if uri.is_secure() {
        secure(io, client, version, uri.host(), received).await?
    } else {
        PlainOrTls::Plain(io)
    }))
}

#[cfg(not(feature = "tokio-rustls"))]
#[expect(clippy::unused_async, reason = "the TLS handshake, with the feature `tokio-rustls`")]
async fn secure<S>(_: S, _: &Client, _: HttpVersion, _: &str, _: &[u8]) -> Result<PlainOrTls<S>, Error> {
    Err(Error::Connect(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "wss:// and https:// need TLS: enable the feature `tokio-rustls`",
    )))
}

/// TLS to this host, over a stream of which `received` was read.
#[cfg(feature = "tokio-rustls")]
async fn secure<S>(
    io: S,
    client: &Client,
    version: HttpVersion,
    host: &str,
    received: &[u8],
) -> Result<PlainOrTls<S>, Error>
where
    S: Transport,
{
    let config = client.tls_config(version).map_err(Error::Connect)?;
    let name = tls::server_name(host).map_err(Error::Connect)?;
    let mut taken = Ok(());
    let connecting = tokio_rustls::TlsConnector::from(config).connect_with(name, PlainWrites(io), |tls| {
        taken = take(tls, received);
    });
    let stream = match taken {
        Ok(()) => connecting.await,
        Err(error) => Err(error),
    };
    let mut stream = stream.map_err(Error::Connect)?;
    let connection = stream.get_mut().1;
    tls::check_alpn(connection.alpn_protocol(), version)?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(PlainOrTls::Tls(Box::new(stream)))
}

/// Has TLS take what was read.
#[cfg(feature = "tokio-rustls")]
fn take(tls: &mut rustls::ClientConnection, mut received: &[u8]) -> std::io::Result<()> {
    while !received.is_empty() {
        tls.read_tls(&mut received)?;
        tls.process_new_packets()
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    }
    Ok(())
}

/// The client's opening handshake. `input` is what was read before it.
async fn open<S>(
    client: &Client,
    mut io: S,
    mut input: Vec<u8>,
    deadline: Instant,
) -> Result<WebSocket<S>, Error>
where
    S: Transport,
{
    let mut out = Vec::new();
    let mut opening = ClientOpening::start(client, random, &mut out);
    let negotiated = complete(&mut io, &mut opening, &mut out, &mut input, || deadline).await?;
    Ok(WebSocket::new(io, negotiated, &input, &client.config))
}

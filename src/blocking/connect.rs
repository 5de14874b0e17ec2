//! Opening connections: TCP, a proxy's tunnel, TLS, and the client's opening handshake.

use alloc::vec::Vec;
use std::net::{SocketAddr, TcpStream};

use super::client_stream::{ClientStream, Hop, PlainOrTls};
use super::deadline::{Deadline, complete};
use super::dial::{addresses, dial};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, keep_write_timeout};
use super::web_socket::WebSocket;
use crate::endpoint::{Client, ClientOpening, Error, Proxy, Tunnel, by_proxy, first_address, random};
#[cfg(feature = "rustls")]
use crate::endpoint::{HttpVersion, tls};

/// Opens a connection to a `ws://` URI (with the feature `rustls` also `wss://`), or as a [`Client`]
/// says, through a proxy if it has one. Every address of the host is tried, as [`Attempts`](crate::Attempts) says, within
/// [`Client::connect_timeout`], which holds for the look-up of its name too. The system's look-ups cannot be ended: one that
/// takes longer goes on in a thread of its own until the system gives up, and what it comes to is dropped. Where there are
/// several addresses, each attempt has a thread and a socket, too, and nor can an attempt be ended: one that stays silent has
/// both until that time has passed, even where another one has connected.
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response, and so does a proxy's. A
/// redirect is a refusal, unless [`Client::redirects`] has it followed.
pub fn connect<C>(client: C) -> Result<WebSocket<ClientStream>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
{
    let mut client = client.try_into()?;
    let deadline = Deadline::after(client.connect_timeout);
    loop {
        match establish(&client, deadline) {
            Err(error) => client = client.redirected(error)?,
            opened => return opened,
        }
    }
}

/// Opens a connection over a stream that leads to the server already, such as a Unix socket, whatever proxy the client was
/// given. To a `wss://` URI it speaks TLS over the stream, as [`connect`] does over TCP: without the feature `rustls` it fails,
/// and sends nothing. Over TLS of your own, see [`connect_as_is`].
///
/// ```no_run
/// # fn run(tunnel: std::net::TcpStream) -> Result<(), sansocket::Error> {
/// use sansocket::Client;
///
/// let client = Client::new("wss://example.com/feed")?.bearer("1234")?;
/// let ws = sansocket::blocking::connect_over(client, tunnel)?;
/// # Ok(())
/// # }
/// ```
pub fn connect_over<C, S>(client: C, mut io: S) -> Result<WebSocket<ClientStream<S>>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    let client = client.try_into()?.redirects(0);
    let deadline = Deadline::after(client.connect_timeout);
    io.set_blocking().map_err(Error::Connect)?;
    let stream = to_server(Hop(PlainOrTls::Plain(io)), &client, &[], deadline)?;
    open(&client, stream, Vec::new(), deadline)
}

/// Opens a connection over a stream as it is. The handshake, credentials and all, is sent in the clear if the stream
/// is not a secure one, **whatever the URI says**: this is for TLS of your own, such as a `TlsStream`, and for streams
/// that need none. See [`connect`].
pub fn connect_as_is<C, S>(client: C, mut io: S) -> Result<WebSocket<S>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    let client = client.try_into()?.redirects(0);
    io.set_blocking().map_err(Error::Connect)?;
    open(&client, io, Vec::new(), Deadline::after(client.connect_timeout))
}

/// Opens one connection.
fn establish(client: &Client, deadline: Deadline) -> Result<WebSocket<ClientStream>, Error> {
    let uri = client.uri();
    let (io, input) = match client.chosen_proxy()? {
        None => (Hop(PlainOrTls::Plain(dial(client, uri.host(), uri.port(), deadline)?)), Vec::new()),
        Some(proxy) => {
            let address = if proxy.takes_addresses() {
                let addresses = addresses(client, uri.host(), uri.port(), deadline)?;
                Some(first_address(&addresses).map_err(Error::Connect)?)
            } else {
                None
            };
            tunnel(client, proxy, address, deadline).map_err(by_proxy)?
        }
    };
    let stream = to_server(io, client, &input, deadline)?;
    let input = if uri.is_secure() { Vec::new() } else { input };
    open(client, stream, input, deadline)
}

/// A stream that leads to the server through a proxy, and what was read of it. `address` is the server's, for a proxy that
/// takes addresses.
fn tunnel(
    client: &Client,
    proxy: &Proxy,
    address: Option<SocketAddr>,
    deadline: Deadline,
) -> Result<(Hop<TcpStream>, Vec<u8>), Error> {
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut tunnel = Tunnel::start(client, proxy, address, &mut out)?;
    let tcp = dial(client, proxy.host(), proxy.port(), deadline)?;
    let mut io = if proxy.is_secure() {
        Hop(secure(tcp, client, proxy.host(), &[], deadline)?)
    } else {
        Hop(PlainOrTls::Plain(tcp))
    };
    complete(&mut io, &mut tunnel, &mut out, &mut input, deadline)?;
    Ok((io, input))
}

/// The stream that the request is sent over. `received` is what was read of `io`.
///
/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (6455-4.1-14)
fn to_server<S: Transport>(
    io: Hop<S>,
    client: &Client,
    received: &[u8],
    deadline: Deadline,
) -> Result<ClientStream<S>, Error> {
    let uri = client.uri();
    Ok(ClientStream(if uri.is_secure() {
        secure(io, client, uri.host(), received, deadline)?
    } else {
        PlainOrTls::Plain(io)
    }))
}

#[cfg(not(feature = "rustls"))]
fn secure<S>(_: S, _: &Client, _: &str, _: &[u8], _: Deadline) -> Result<PlainOrTls<S>, Error> {
    Err(Error::Connect(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "wss:// and https:// need TLS: enable the feature `rustls`",
    )))
}

/// TLS to this host, over a stream of which `received` was read.
#[cfg(feature = "rustls")]
fn secure<S: Transport>(
    mut io: S,
    client: &Client,
    host: &str,
    received: &[u8],
    deadline: Deadline,
) -> Result<PlainOrTls<S>, Error> {
    let config = client.tls_config(HttpVersion::Http1).map_err(Error::Connect)?;
    let name = tls::server_name(host).map_err(Error::Connect)?;
    let mut connection = rustls::ClientConnection::new(config, name)
        .map_err(|error| Error::Connect(std::io::Error::other(error)))?;
    deadline.handshake(&mut connection, &mut io, received)?;
    tls::check_alpn(connection.alpn_protocol(), HttpVersion::Http1)?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(PlainOrTls::Tls(TlsStream::new(connection, io).map_err(Error::Connect)?))
}

/// The client's opening handshake. `input` is what was read before it.
fn open<S: Transport>(
    client: &Client,
    mut io: S,
    mut input: Vec<u8>,
    deadline: Deadline,
) -> Result<WebSocket<S>, Error> {
    let mut out = Vec::new();
    let mut opening = ClientOpening::start(client, random, &mut out);
    let negotiated = complete(&mut io, &mut opening, &mut out, &mut input, deadline)?;
    keep_write_timeout(&mut io).map_err(Error::ConnectionLost)?;
    Ok(WebSocket::new(io, negotiated, &input, &client.config))
}

//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use super::client_stream::{ClientStream, PlainOrTls};
use super::deadline::{Deadline, complete};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, keep_write_timeout, non_zero};
use super::web_socket::WebSocket;
#[cfg(feature = "rustls")]
use crate::endpoint::tls;
use crate::endpoint::{Client, ClientOpening, Error, random, timed_out};
use crate::handshake::uri::Uri;

/// Opens a connection to a `ws://` URI (with the feature `rustls` also `wss://`), or as a [`Client`]
/// says. Every address of the host is tried, within [`Client::connect_timeout`], which holds for the look-up of its
/// name too. The system's look-ups cannot be ended: one that takes longer goes on in a thread of its own until the
/// system gives up, and what it comes to is dropped.
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response. A redirect is one, unless
/// [`Client::redirects`] has it followed.
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

/// Opens a connection over a stream that leads to the server already: a Unix socket, or a proxy's tunnel. To a
/// `wss://` URI it speaks TLS over the stream, as [`connect`] does over TCP: without the feature `rustls` it fails,
/// and sends nothing. Over TLS of your own, see [`connect_as_is`].
///
/// ```no_run
/// # fn run(tunnel: std::net::TcpStream) -> Result<(), sansocket::Error> {
/// use sansocket::Client;
///
/// let client = Client::new("wss://example.com/feed")?.header("Authorization", "Bearer 1234")?;
/// let ws = sansocket::blocking::connect_over(client, tunnel)?;
/// # Ok(())
/// # }
/// ```
pub fn connect_over<C, S>(client: C, io: S) -> Result<WebSocket<ClientStream<S>>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    let client = client.try_into()?;
    let deadline = Deadline::after(client.connect_timeout);
    let stream = secure(io, &client, deadline)?;
    open(&client, stream, deadline)
}

/// Opens a connection over a stream as it is. The handshake, credentials and all, is sent in the clear if the stream
/// is not a secure one, **whatever the URI says**: this is for TLS of your own, such as a `TlsStream`, and for streams
/// that need none. See [`connect`].
pub fn connect_as_is<C, S>(client: C, io: S) -> Result<WebSocket<S>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    let client = client.try_into()?;
    open(&client, io, Deadline::after(client.connect_timeout))
}

/// One connection.
fn establish(client: &Client, deadline: Deadline) -> Result<WebSocket<ClientStream>, Error> {
    let tcp = connect_tcp(client.uri(), deadline)?;
    let stream = secure(tcp, client, deadline)?;
    open(client, stream, deadline)
}

/// Tries the host's addresses in turn, each for its share of the time that is left.
fn connect_tcp(uri: &Uri, deadline: Deadline) -> Result<TcpStream, Error> {
    let addresses = look_up(uri, deadline)?;
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.left()? / left.max(1);
        left -= 1;
        match TcpStream::connect_timeout(&address, non_zero(share)) {
            Ok(tcp) => {
                // Messages are written whole: waiting for more to send would only delay them.
                tcp.set_nodelay(true).map_err(Error::Connect)?;
                return Ok(tcp);
            }
            Err(error) => last_error = error,
        }
    }
    Err(Error::Connect(last_error))
}

/// The addresses of the URI's host.
fn look_up(uri: &Uri, deadline: Deadline) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = uri.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, uri.port())]);
    }
    let (host, (found, addresses)) = ((uri.host().to_owned(), uri.port()), mpsc::sync_channel(1));
    let look_up = move || {
        // Nobody may be waiting for it any more.
        let _ = found.send(host.to_socket_addrs().map(Iterator::collect));
    };
    thread::Builder::new().name("sansocket look-up".into()).spawn(look_up).map_err(Error::Connect)?;
    let found: io::Result<_> = addresses.recv_timeout(deadline.left()?).map_err(|_| timed_out())?;
    found.map_err(Error::Connect)
}

#[cfg(not(feature = "rustls"))]
fn secure<S>(io: S, client: &Client, _deadline: Deadline) -> Result<ClientStream<S>, Error> {
    if client.uri().is_secure() {
        return Err(Error::Connect(io::Error::new(
            io::ErrorKind::Unsupported,
            "a wss:// URI needs TLS: enable the feature `rustls`",
        )));
    }
    Ok(ClientStream(PlainOrTls::Plain(io)))
}

/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (6455-4.1-14)
#[cfg(feature = "rustls")]
fn secure<S: Transport>(mut io: S, client: &Client, deadline: Deadline) -> Result<ClientStream<S>, Error> {
    if !client.uri().is_secure() {
        return Ok(ClientStream(PlainOrTls::Plain(io)));
    }
    let config = client.tls_config().map_err(Error::Connect)?;
    let name = tls::server_name(client.uri()).map_err(Error::Connect)?;
    let mut connection = rustls::ClientConnection::new(config, name)
        .map_err(|error| Error::Connect(io::Error::other(error)))?;
    deadline.handshake(&mut connection, &mut io, b"").map_err(tls::explain_to_client)?;
    tls::check_alpn(connection.alpn_protocol())?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(ClientStream(PlainOrTls::Tls(TlsStream::new(connection, io).map_err(Error::Connect)?)))
}

/// The client's opening handshake.
fn open<S: Transport>(client: &Client, mut io: S, deadline: Deadline) -> Result<WebSocket<S>, Error> {
    io.set_blocking().map_err(Error::Connect)?;
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let mut opening = ClientOpening::start(client, random, &mut out);
    let negotiated = complete(&mut io, &mut opening, &mut out, &mut input, deadline)?;
    keep_write_timeout(&mut io).map_err(Error::ConnectionLost)?;
    Ok(WebSocket::new(io, negotiated, &input, &client.config))
}

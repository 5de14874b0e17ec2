//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

use alloc::vec::Vec;
use std::io;

use super::client_stream::{ClientStream, PlainOrTls};
use super::deadline::{Deadline, complete};
use super::dial::dial;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, keep_write_timeout};
use super::web_socket::WebSocket;
#[cfg(feature = "rustls")]
use crate::endpoint::tls;
use crate::endpoint::{Client, ClientOpening, Error, random};

/// Opens a connection to a `ws://` URI (with the feature `rustls` also `wss://`), or as a [`Client`]
/// says. Every address of the host is tried, as [`Attempts`](crate::Attempts) says, within
/// [`Client::connect_timeout`], which holds for the look-up of its name too. Where there are several addresses, each attempt
/// has a thread, which ends within that time. The system's look-ups cannot be ended: one that takes longer goes on in a thread of its own until the
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

/// Opens one connection.
fn establish(client: &Client, deadline: Deadline) -> Result<WebSocket<ClientStream>, Error> {
    let uri = client.uri();
    let tcp = dial(client, uri.host(), uri.port(), deadline)?;
    let stream = secure(tcp, client, deadline)?;
    open(client, stream, deadline)
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

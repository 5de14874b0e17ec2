//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

use alloc::vec::Vec;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};

use super::client_stream::{ClientStream, TcpOrTls};
use super::deadline::{Deadline, complete};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, keep_write_timeout, non_zero};
use super::web_socket::WebSocket;
#[cfg(feature = "rustls")]
use crate::endpoint::tls;
use crate::endpoint::{Client, ClientOpening, Error, random};
use crate::handshake::uri::Uri;

/// Opens a connection to a `ws://` URI (with the feature `rustls` also `wss://`), or as a [`Client`]
/// says. Every address of the host is tried, within [`Client::connect_timeout`]; the system's name
/// resolution alone keeps its own time.
///
/// Fails with what kept the connection from being opened; a server's refusal holds its response.
pub fn connect<C>(client: C) -> Result<WebSocket<ClientStream>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
{
    let client = client.try_into()?;
    let deadline = Deadline::after(client.connect_timeout);
    let tcp = connect_tcp(client.uri(), deadline)?;
    let stream = secure(tcp, &client, deadline)?;
    open(&client, stream, deadline)
}

/// Opens a connection over a stream that leads to the server already: a Unix socket, a proxy's tunnel,
/// or a `TlsStream` over either. See [`connect`].
pub fn connect_over<C, S>(client: C, io: S) -> Result<WebSocket<S>, Error>
where
    C: TryInto<Client>,
    Error: From<C::Error>,
    S: Transport,
{
    let client = client.try_into()?;
    open(&client, io, Deadline::after(client.connect_timeout))
}

/// Tries the host's addresses in turn, each for its share of the time that is left.
fn connect_tcp(uri: &Uri, deadline: Deadline) -> Result<TcpStream, Error> {
    let addresses: Vec<_> = (uri.host(), uri.port()).to_socket_addrs().map_err(Error::Connect)?.collect();
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

#[cfg(not(feature = "rustls"))]
fn secure(tcp: TcpStream, client: &Client, _deadline: Deadline) -> Result<ClientStream, Error> {
    if client.uri().is_secure() {
        return Err(Error::Connect(io::Error::new(
            io::ErrorKind::Unsupported,
            "a wss:// URI needs TLS: enable the feature `rustls`",
        )));
    }
    Ok(ClientStream(TcpOrTls::Tcp(tcp)))
}

/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (6455-4.1-14)
#[cfg(feature = "rustls")]
fn secure(mut tcp: TcpStream, client: &Client, deadline: Deadline) -> Result<ClientStream, Error> {
    if !client.uri().is_secure() {
        return Ok(ClientStream(TcpOrTls::Tcp(tcp)));
    }
    let config = tls::client_config(client).map_err(Error::Connect)?;
    let name = tls::server_name(client.uri()).map_err(Error::Connect)?;
    let mut connection = rustls::ClientConnection::new(config, name)
        .map_err(|error| Error::Connect(io::Error::other(error)))?;
    deadline.handshake(&mut connection, &mut tcp)?;
    connection.set_buffer_limit(Some(tls::RECORDS));
    Ok(ClientStream(TcpOrTls::Tls(TlsStream::new(connection, tcp).map_err(Error::Connect)?)))
}

/// The client's opening handshake.
fn open<S: Transport>(client: &Client, mut io: S, deadline: Deadline) -> Result<WebSocket<S>, Error> {
    io.set_blocking().map_err(Error::Connect)?;
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let opening = ClientOpening::start(client, random, &mut out);
    let negotiated = complete(&mut io, opening, &mut out, &mut input, deadline)?;
    keep_write_timeout(&mut io).map_err(Error::ConnectionLost)?;
    Ok(WebSocket::new(io, negotiated, &input, &client.config))
}

//! Opening connections: name resolution, TCP, TLS, and the client's opening handshake.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;
use std::vec::Vec;

use super::drive::{is_timeout, non_zero};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, TryClone};
use super::web_socket::{WebSocket, keep_write_timeout};
use crate::adapter::random;
use crate::client::Client;
use crate::error::{Error, TimedOut};
use crate::handshake::uri::Uri;
use crate::handshake::{ClientHandshake, ResponseError};
use crate::role::Role;

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
    let deadline = Deadline::after(Instant::now(), client.connect_timeout);
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
    open(&client, io, Deadline::after(Instant::now(), client.connect_timeout))
}

/// The stream of a client's connection: TCP, or TLS over it.
#[derive(Debug)]
pub struct ClientStream(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<TcpStream, rustls::ClientConnection>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS connection, if there is one. It is locked while the guard is held: a thread that reads or
    /// writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        match &self.0 {
            Inner::Tcp(_) => None,
            Inner::Tls(tls) => Some(tls.tls()),
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($trait:ident, $self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.0 {
            Inner::Tcp(tcp) => $trait::$method(tcp, $($argument),*),
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => $trait::$method(tls, $($argument),*),
        }
    };
}

impl Read for ClientStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        forward!(Read, self.read(buf))
    }
}

impl Write for ClientStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        forward!(Write, self.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        forward!(Write, self.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        forward!(Write, self.flush())
    }
}

impl Transport for ClientStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        forward!(Transport, self.set_read_timeout(timeout))
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        forward!(Transport, self.set_write_timeout(timeout))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        forward!(Transport, self.shutdown_write())
    }
}

impl TryClone for ClientStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            Inner::Tcp(tcp) => Inner::Tcp(TryClone::try_clone(tcp)?),
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => Inner::Tls(tls.try_clone()?),
        }))
    }
}

/// Tries the host's addresses in turn, each for its share of the time that is left.
fn connect_tcp(uri: &Uri, deadline: Deadline) -> Result<TcpStream, Error> {
    let addresses: Vec<_> = (uri.host(), uri.port()).to_socket_addrs().map_err(Error::Connect)?.collect();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.left(Instant::now())? / left.max(1);
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
    Ok(ClientStream(Inner::Tcp(tcp)))
}

/// "If /secure/ is true, the client MUST perform a TLS handshake over the connection after opening the
/// connection and before sending the handshake data." (RFC 6455 section 4.1)
#[cfg(feature = "rustls")]
fn secure(mut tcp: TcpStream, client: &Client, deadline: Deadline) -> Result<ClientStream, Error> {
    if !client.uri().is_secure() {
        return Ok(ClientStream(Inner::Tcp(tcp)));
    }
    let config = crate::tls::client_config(client).map_err(Error::Connect)?;
    let name = crate::tls::server_name(client.uri()).map_err(Error::Connect)?;
    let mut tls = rustls::ClientConnection::new(config, name)
        .map_err(|error| Error::Connect(io::Error::other(error)))?;
    deadline.handshake(&mut tls, &mut tcp)?;
    Ok(ClientStream(Inner::Tls(TlsStream::new(tls, tcp).map_err(Error::Connect)?)))
}

/// The client's opening handshake.
fn open<S: Transport>(client: &Client, mut io: S, deadline: Deadline) -> Result<WebSocket<S>, Error> {
    let mut nonce = [0; 16];
    random(&mut nonce);
    let mut out = Vec::new();
    let mut handshake =
        ClientHandshake::start(&client.full_request(), client.limits.clone(), nonce, &mut out);
    deadline.write_all(&mut io, &out, Instant::now())?;
    let mut input = Vec::new();
    loop {
        match deadline.read(&mut io, &mut input, Instant::now()) {
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
            keep_write_timeout(&mut io, &client.config).map_err(Error::ConnectionLost)?;
            let mut ws = WebSocket::new(io, Role::Client, agreed, read_ahead, &client.config);
            let (subprotocol, response) = opened.into_parts();
            ws.opened(subprotocol, Some(response));
            return Ok(ws);
        }
    }
}

/// When an opening handshake has to be done: one deadline for all its reads and writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(now: Instant, timeout: Duration) -> Self {
        Self(now.checked_add(timeout))
    }

    /// How long there is to go.
    pub(super) fn left(self, now: Instant) -> Result<Duration, Error> {
        let Some(deadline) = self.0 else {
            return Ok(Duration::MAX);
        };
        match deadline.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(TimedOut::OpeningHandshake.into()),
        }
    }

    /// Makes the stream's next read and write keep the deadline.
    fn arm(self, io: &mut impl Transport, now: Instant) -> Result<(), Error> {
        let timeout = self.0.map(|_| self.left(now).map(non_zero)).transpose()?;
        io.set_read_timeout(timeout).map_err(Error::ConnectionLost)?;
        io.set_write_timeout(timeout).map_err(Error::ConnectionLost)
    }

    /// Completes the TLS handshake; the deadline holds for all its reads and writes together.
    #[cfg(feature = "rustls")]
    pub(super) fn handshake<D>(
        self,
        tls: &mut rustls::ConnectionCommon<D>,
        io: &mut impl Transport,
    ) -> Result<(), Error> {
        while tls.is_handshaking() || tls.wants_write() {
            self.arm(io, Instant::now())?;
            let moved = if tls.wants_write() { tls.write_tls(io) } else { tls.read_tls(io) };
            match moved {
                Ok(0) => return Err(Error::Connect(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Connect(error)),
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert that tells the peer; what counts is the error.
                let _ = tls.write_tls(io);
                return Err(Error::Connect(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
        io.flush().map_err(Error::Connect)
    }

    /// Appends what the next read brings. It begins now.
    pub(super) fn read(
        self,
        io: &mut impl Transport,
        input: &mut Vec<u8>,
        mut now: Instant,
    ) -> Result<usize, Error> {
        let start = input.len();
        loop {
            self.arm(io, now)?;
            // `Read` takes initialised bytes only.
            input.resize(start + READ_BYTES, 0);
            let result = io.read(&mut input[start..]);
            input.truncate(start + result.as_ref().map_or(0, |len| *len));
            match result {
                Ok(len) => return Ok(len),
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::ConnectionLost(error)),
            }
            now = Instant::now();
        }
    }

    /// Writes all of `out`. It begins now.
    pub(super) fn write_all(
        self,
        io: &mut impl Transport,
        mut out: &[u8],
        mut now: Instant,
    ) -> Result<(), Error> {
        while !out.is_empty() {
            self.arm(io, now)?;
            match io.write(out) {
                Ok(0) => return Err(Error::ConnectionLost(io::ErrorKind::WriteZero.into())),
                Ok(len) if len >= out.len() => break,
                Ok(len) => out = &out[len..],
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::ConnectionLost(error)),
            }
            now = Instant::now();
        }
        io.flush().map_err(Error::ConnectionLost)
    }
}

/// How much to read at once: most heads are not longer.
const READ_BYTES: usize = 1024;

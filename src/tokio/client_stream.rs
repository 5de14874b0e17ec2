//! The stream of a client's connection.

#[cfg(feature = "tokio-rustls")]
use alloc::boxed::Box;

use tokio::net::TcpStream;

#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::streams::stream;

/// The stream of a client's connection: TCP, or what [`connect_over`](super::connect_over) was given, or TLS over it.
#[derive(Debug)]
pub struct ClientStream<S = TcpStream>(pub(super) PlainOrTls<S>);

#[derive(Debug)]
pub(super) enum PlainOrTls<S> {
    Plain(S),
    #[cfg(feature = "tokio-rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<PlainWrites<S>>>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl<S> ClientStream<S> {
    /// The stream below TLS, if there is TLS. Reading from it or writing to it would corrupt the connection.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            PlainOrTls::Plain(io) => io,
            #[cfg(feature = "tokio-rustls")]
            PlainOrTls::Tls(tls) => &tls.get_ref().0.0,
        }
    }

    /// The TLS connection, if there is one: it knows the server's certificates.
    #[cfg(feature = "tokio-rustls")]
    pub fn tls(&self) -> Option<&rustls::ClientConnection> {
        match &self.0 {
            PlainOrTls::Plain(_) => None,
            PlainOrTls::Tls(tls) => Some(tls.get_ref().1),
        }
    }
}

stream!(ClientStream);

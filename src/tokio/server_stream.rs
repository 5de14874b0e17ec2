//! The stream of a server's connection.

#[cfg(feature = "tokio-rustls")]
use alloc::boxed::Box;

use tokio::net::TcpStream;

#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;
use super::streams::stream;

/// The stream of a connection that a server accepted: TCP, or what else its listener accepts, or TLS over it.
#[derive(Debug)]
pub struct ServerStream<S = TcpStream>(pub(super) PlainOrTls<S>);

#[derive(Debug)]
pub(super) enum PlainOrTls<S> {
    Plain(S),
    #[cfg(feature = "tokio-rustls")]
    Tls(Box<tokio_rustls::server::TlsStream<PlainWrites<S>>>),
}

impl ServerStream {
    /// The TCP stream, below TLS if there is any: it knows the client's address.
    pub fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl<S> ServerStream<S> {
    /// The stream below TLS, if there is TLS. Reading from it or writing to it would corrupt the connection.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            PlainOrTls::Plain(io) => io,
            #[cfg(feature = "tokio-rustls")]
            PlainOrTls::Tls(tls) => &tls.get_ref().0.0,
        }
    }

    /// The TLS connection, if there is one: it knows the name that the client asked for, and the client's certificates.
    #[cfg(feature = "tokio-rustls")]
    pub fn tls(&self) -> Option<&rustls::ServerConnection> {
        match &self.0 {
            PlainOrTls::Plain(_) => None,
            PlainOrTls::Tls(tls) => Some(tls.get_ref().1),
        }
    }
}

stream!(ServerStream);

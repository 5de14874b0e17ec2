//! The stream of a client's connection.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use std::net::TcpStream;

use super::streams::stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// The stream of a client's connection: TCP, or what [`connect_over`](super::connect_over) was given, or TLS over it.
#[derive(Debug)]
pub struct ClientStream<S = TcpStream>(pub(super) PlainOrTls<S>);

#[derive(Debug)]
pub(super) enum PlainOrTls<S> {
    Plain(S),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<S, rustls::ClientConnection>),
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
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS connection, if there is one. It is locked while the guard is held: a thread that reads or
    /// writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        match &self.0 {
            PlainOrTls::Plain(_) => None,
            PlainOrTls::Tls(tls) => Some(tls.tls()),
        }
    }
}

stream!(ClientStream<S>, S);

//! The stream of a server's connection.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use std::net::TcpStream;

use super::shared_tcp::SharedTcp;
use super::streams::stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// The stream of a connection that [`serve`](super::serve()) accepted: TCP, with `TCP_NODELAY`, or TLS over it. Clones are
/// handles of one descriptor.
#[derive(Debug)]
pub struct ServerStream(pub(super) PlainOrTls);

#[derive(Debug)]
pub(super) enum PlainOrTls {
    Plain(SharedTcp),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<SharedTcp>),
}

impl ServerStream {
    /// The TCP stream, below TLS if there is any: it knows the client's address.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            PlainOrTls::Plain(tcp) => &tcp.0,
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => &tls.get_ref().0,
        }
    }

    /// The TLS connection, if there is one: it knows the name that the client asked for, and the client's certificates.
    ///
    /// It is locked while the guard is held: a thread that reads or writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ServerConnection>> {
        match &self.0 {
            PlainOrTls::Plain(_) => None,
            PlainOrTls::Tls(tls) => Some(tls.tls()),
        }
    }
}

stream!(ServerStream);

//! The stream of a client's connection.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use std::net::TcpStream;

use super::streams::stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// The stream of a client's connection: TCP, or what [`connect_over`](super::connect_over) was given, or TLS over it. There
/// may be TLS to an `https://` proxy below that to the server, or in place of it.
#[derive(Debug)]
pub struct ClientStream<S = TcpStream>(pub(super) PlainOrTls<Hop<S>>);

/// The stream to the server, or to the proxy before it.
#[derive(Debug)]
pub(super) struct Hop<S>(pub(super) PlainOrTls<S>);

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
        self.0.get_ref().0.get_ref()
    }

    /// The TLS connection to the server, which `wss://` asks for, if there is one; TLS to a proxy is not meant. It is locked
    /// while the guard is held: a thread that reads or writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        self.0.tls()
    }

    /// The TLS connection to an `https://` proxy, if there is one; locked like [`tls`](Self::tls).
    #[cfg(feature = "rustls")]
    pub fn proxy_tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        self.0.get_ref().0.tls()
    }
}

impl<S> PlainOrTls<S> {
    fn get_ref(&self) -> &S {
        match self {
            Self::Plain(io) => io,
            #[cfg(feature = "rustls")]
            Self::Tls(tls) => tls.get_ref(),
        }
    }

    #[cfg(feature = "rustls")]
    fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.tls()),
        }
    }
}

stream!(ClientStream<S>, S);
stream!(Hop<S>, S);

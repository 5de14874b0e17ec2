//! The stream of a client's connection.

#[cfg(feature = "tokio-rustls")]
use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "tokio-rustls")]
use super::plain_writes::PlainWrites;

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

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            PlainOrTls::Plain(io) => Pin::new(io).$method($($argument),*),
            #[cfg(feature = "tokio-rustls")]
            PlainOrTls::Tls(tls) => Pin::new(tls).$method($($argument),*),
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            PlainOrTls::Plain(io) => io.is_write_vectored(),
            #[cfg(feature = "tokio-rustls")]
            PlainOrTls::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_shutdown(cx))
    }
}

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

/// The stream of a client's connection: TCP, or TLS over it.
#[derive(Debug)]
pub struct ClientStream(pub(super) TcpOrTls);

#[derive(Debug)]
pub(super) enum TcpOrTls {
    Tcp(TcpStream),
    #[cfg(feature = "tokio-rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<PlainWrites<TcpStream>>>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            TcpOrTls::Tcp(tcp) => tcp,
            #[cfg(feature = "tokio-rustls")]
            TcpOrTls::Tls(tls) => &tls.get_ref().0.0,
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            TcpOrTls::Tcp(tcp) => Pin::new(tcp).$method($($argument),*),
            #[cfg(feature = "tokio-rustls")]
            TcpOrTls::Tls(tls) => Pin::new(tls).$method($($argument),*),
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_read(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
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
            TcpOrTls::Tcp(tcp) => tcp.is_write_vectored(),
            #[cfg(feature = "tokio-rustls")]
            TcpOrTls::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.poll_shutdown(cx))
    }
}

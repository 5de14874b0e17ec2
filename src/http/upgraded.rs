//! The stream that hyper hands over.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use hyper::rt::{self, Read as _, Write as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream below a WebSocket that hyper handed over: TCP, TLS, a stream of HTTP/2, or what else hyper was given. What
/// hyper had read ahead of it is read first.
#[derive(Debug)]
pub struct Upgraded(pub(super) hyper::upgrade::Upgraded);

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper takes uninitialised bytes too, but only by `unsafe`; to initialise a few costs less than to read them.
        let len = buf.remaining().min(READ_BYTES);
        let mut read = rt::ReadBuf::new(buf.initialize_unfilled_to(len));
        ready!(Pin::new(&mut self.0).poll_read(cx, read.unfilled()))?;
        let len = read.filled().len();
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How much is read at once, at most.
const READ_BYTES: usize = 16 << 10;

//! A stream for TLS to be written to.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that is written to by plain writes, whatever number of slices there is to write.
///
/// rustls writes several records at once, with `writev` on a socket. On Unix that raises `SIGPIPE` when the peer is gone,
/// which ends a process that does not ignore it, as one whose `main` is not Rust's may not; a plain write fails instead.
/// So TLS that this crate makes is over such a stream, and TLS of your own had better be, where that matters.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper of one thing")]
pub struct PlainWrites<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for PlainWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// Several slices are joined: TLS that fails tries one last write, in which the alert that says why is the last slice.
impl<S: AsyncWrite + Unpin> AsyncWrite for PlainWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut slices = slices.iter().filter(|slice| !slice.is_empty()).peekable();
        let first = slices.next().map_or(&[][..], |slice| slice);
        if slices.peek().is_none() {
            return self.poll_write(cx, first);
        }
        let mut joined = first.to_vec();
        for slice in slices {
            if joined.len() + slice.len() > AT_ONCE {
                break;
            }
            joined.extend_from_slice(slice);
        }
        self.poll_write(cx, &joined)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How much is joined at most: some records, of which a socket takes most at once.
const AT_ONCE: usize = 64 << 10;

//! The stream that hyper hands over.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::{self, IoSlice};

use http::Version;
use hyper::rt::{self, Read as _, Write as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::receive::is_http1;

/// The stream below a WebSocket that hyper handed over: TCP, TLS, a stream of HTTP/2, or what else hyper was given. What
/// hyper had read ahead of it is read first.
///
/// Of HTTP/2, hyper holds what was written to it until the client gives room for it, also once the connection was given up,
/// and as long as the client's HTTP/2 connection goes on: not more than 64 KiB.
///
/// To shut down a stream of HTTP/2 ends it (`END_STREAM`). A client that has not ended its half a tenth of a second later is
/// not waited for: what is read then is the end, and to drop the stream resets it, with `NO_ERROR`. Firefox never ends its half,
/// and each stream counts against the connection's limit as long as it is there. That takes a runtime of tokio's whose time is
/// enabled, as the rest of this adapter does.
#[derive(Debug)]
pub struct Upgraded {
    io: hyper::upgrade::Upgraded,
    /// A stream of HTTP/2: it copies all that one call writes, and says that it has written it, be there room or not. What
    /// hyper holds so is none of ours that waits: it has no limit, and no deadline.
    ///
    /// Nor does one call read more of it than one frame. What has come in several is read together, so that it is answered
    /// together: each write is a message to hyper's task, and a frame of its own.
    is_http2: bool,
    /// How long the client has for its end of a stream of HTTP/2, once ours is sent. One that ends it is not reset: of a stream
    /// that was, `h2` forgets soon that it was there, and gives up a connection of which frames for such streams come a
    /// thousand times, as they may behind a proxy.
    ending: Option<Pin<Box<Sleep>>>,
}

impl Upgraded {
    pub(super) fn new(io: hyper::upgrade::Upgraded, version: Version) -> Self {
        Self { io, is_http2: !is_http1(version), ending: None }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ending.as_mut().is_some_and(|time| time.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        loop {
            // hyper takes uninitialised bytes too, but only by `unsafe`; to initialise a few costs less than to read them.
            let len = buf.remaining().min(READ_BYTES);
            let mut read = rt::ReadBuf::new(buf.initialize_unfilled_to(len));
            let polled = Pin::new(&mut self.io).poll_read(cx, read.unfilled());
            let len = read.filled().len();
            buf.advance(len);
            if buf.filled().len() == before {
                return polled;
            }
            // What an end or a failure says, it says again.
            if !self.is_http2 || len == 0 || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let len = if self.is_http2 { buf.len().min(WRITE_BYTES) } else { buf.len() };
        Pin::new(&mut self.io).poll_write(cx, &buf[..len])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_http2 {
            let buf = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, buf);
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        if self.is_http2 && self.ending.is_none() {
            self.ending = Some(Box::pin(sleep(ENDING)));
        }
        Poll::Ready(Ok(()))
    }
}

/// How much is read at once, at most.
const READ_BYTES: usize = 16 << 10;

/// How much is written at once, at most, to a stream of HTTP/2: as much as a frame of HTTP/2 holds by default.
const WRITE_BYTES: usize = 16 << 10;

/// Longer than an answer takes from a proxy nearby, whose connection may have many streams; and short enough for a page that
/// opens and closes one WebSocket after another to find a place.
const ENDING: Duration = Duration::from_millis(100);

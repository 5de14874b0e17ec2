//! A stream of HTTP/2 that carries a client's WebSocket.

use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http2_connection::Shared;

/// The stream below a WebSocket of a client's HTTP/2 connection. [`Http2::open`](super::Http2::open) makes it.
///
/// "After successfully processing the opening handshake, the peers should proceed with the WebSocket Protocol [..] using the
/// HTTP/2 stream from the CONNECT transaction as if it were the TCP connection" (RFC 8441 section 5):
///
/// - No more is written than the server has given room for, and as
///   [`Config::write_buffer_size`](crate::Config::write_buffer_size) of the connection's client allows; the server is given
///   room anew as what it sent is read.
/// - To shut it down ends the stream (`END_STREAM`), as the server's end of it is the end of what is read. To drop it ends it
///   too, behind what was written; and resets it (`RST_STREAM` with `CANCEL`) when the transport has taken that, if the server
///   has not ended it.
/// - A stream that was reset is an error of the kind [`ConnectionReset`](ErrorKind::ConnectionReset), which names the
///   reason; a connection that was given up by `GOAWAY`, of [`ConnectionAborted`](ErrorKind::ConnectionAborted).
pub struct Http2Stream {
    pub(super) shared: Arc<Shared>,
    pub(super) send: SendStream<Bytes>,
    pub(super) recv: RecvStream,
    /// What came of a frame, and is not read yet.
    pub(super) unread: Bytes,
    pub(super) is_shut: bool,
}

impl Http2Stream {
    /// The number that the stream has in its connection.
    pub fn id(&self) -> u32 {
        self.recv.stream_id().as_u32()
    }
}

impl fmt::Debug for Http2Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Stream").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl AsyncRead for Http2Stream {
    /// Reads what has come, of as many frames as there is room for: a WebSocket that reads several messages at once answers
    /// them at once.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            if self.unread.is_empty() {
                // What this says of an end or a failure, it says again.
                match self.recv.poll_data(cx) {
                    Poll::Ready(Some(Ok(data))) => self.unread = data,
                    Poll::Ready(Some(Err(error))) if buf.filled().len() == before => {
                        return Poll::Ready(Err(self.shared.lost(error)));
                    }
                    Poll::Pending if buf.filled().len() == before => return Poll::Pending,
                    Poll::Pending | Poll::Ready(None | Some(Err(_))) => break,
                }
            }
            let len = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread[..len]);
            self.unread.advance(len);
            // It fails for a stream that is over, which needs no room.
            let _ = self.recv.flow_control().release_capacity(len);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_shut {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // Only what is to be written: the room is taken from the other streams of the connection.
        self.send.reserve_capacity(buf.len().min(WRITE_BYTES));
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.shared.lost(error))),
                None => return self.poll_failure(cx).map(Err),
            }
        }
        let len = buf.len().min(WRITE_BYTES).min(self.send.capacity());
        match self.send.send_data(Bytes::copy_from_slice(&buf[..len]), false) {
            Ok(()) => Poll::Ready(Ok(len)),
            Err(_) => self.poll_failure(cx).map(Err),
        }
    }

    /// What was written, the connection's task writes as soon as the transport takes it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut {
            return Poll::Ready(Ok(()));
        }
        self.is_shut = true;
        match self.send.send_data(Bytes::new(), true) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(_) => self.poll_failure(cx).map(Err),
        }
    }
}

impl Http2Stream {
    /// Why nothing more can be written.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => Poll::Ready(self.shared.lost(reason.into())),
            Poll::Ready(Err(error)) => Poll::Ready(self.shared.lost(error)),
            // It is over, and for no such reason.
            Poll::Pending => Poll::Ready(ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        if !self.is_shut {
            // It fails for a stream that is over.
            let _ = self.send.send_data(Bytes::new(), true);
        }
        self.shared.leave(self.recv.flow_control().clone());
    }
}

/// How much is written at once, at most: as much as a frame of HTTP/2 holds by default.
const WRITE_BYTES: usize = 16 << 10;

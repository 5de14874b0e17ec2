//! The stream below a connection of HTTP/2.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives what was read of a stream before first: a server may be the first to speak, right behind a proxy's answer. Notes how
/// the last write or flush went, for whoever has given the stream away.
pub(super) struct Http2Transport<S> {
    read: Bytes,
    io: S,
    note: Note,
}

/// What was noted of a stream.
#[derive(Clone, Default)]
pub(super) struct Note(Arc<AtomicBool>);

impl Note {
    /// Whether the stream did not take, or pass on, all that it was given last: it is written to again before more is.
    pub(super) fn is_held_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.0.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}

impl<S> Http2Transport<S> {
    /// Of a stream of which `read` was read before.
    pub(super) fn new(read: Vec<u8>, io: S) -> (Self, Note) {
        let note = Note::default();
        (Self { read: read.into(), io, note: note.clone() }, note)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let len = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..len]);
        self.read.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.note.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

//! A stream that does what a script says, and records what is done to it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a read comes to.
#[derive(Debug)]
pub enum Read {
    Bytes(Vec<u8>),
    /// Nothing yet; wakes at once.
    Pending,
    End,
}

/// What was done to the stream.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub written: Vec<u8>,
    /// `written` up to where it was flushed.
    pub flushed: usize,
    pub writes: usize,
}

/// It takes all writes; when its script ends, reads never end.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    reads: VecDeque<Read>,
    /// Writes block for ever.
    stalled: bool,
    /// Closing it for writing does.
    stays_open: bool,
    record: Record,
}

impl Script {
    pub fn new(reads: impl IntoIterator<Item = Read>) -> Self {
        let script = Self::default();
        script.with(|inner| inner.reads.extend(reads));
        script
    }

    /// Takes no bytes.
    pub fn stalled(self) -> Self {
        self.with(|inner| inner.stalled = true);
        self
    }

    /// Is never closed for writing, however long that is waited for.
    pub fn staying_open(self) -> Self {
        self.with(|inner| inner.stays_open = true);
        self
    }

    pub fn record(&self) -> Record {
        self.with(|inner| inner.record.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|inner| match inner.reads.pop_front() {
            Some(Read::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                buf.put_slice(&bytes);
                if !rest.is_empty() {
                    inner.reads.push_front(Read::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(Read::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Read::End) => {
                inner.reads.push_front(Read::End);
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        })
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|inner| {
            inner.record.writes += 1;
            if inner.stalled {
                return Poll::Pending;
            }
            inner.record.written.extend_from_slice(buf);
            Poll::Ready(Ok(buf.len()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|inner| inner.record.flushed = inner.record.written.len());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.with(|inner| inner.stays_open) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

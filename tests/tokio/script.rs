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
    Error(io::ErrorKind),
    End,
}

/// What a write comes to.
#[derive(Debug)]
pub enum Write {
    /// Takes this many bytes at most.
    Take(usize),
    /// Nothing yet; wakes at once.
    Pending,
    Error(io::ErrorKind),
}

/// What was done to the stream.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub written: Vec<u8>,
    /// `written` up to where it was flushed.
    pub flushed: usize,
    pub writes: usize,
    pub reads: usize,
    pub shut_down: bool,
}

/// When its script ends, it takes all writes, and reads never end.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    reads: VecDeque<Read>,
    writes: VecDeque<Write>,
    /// Writes block for ever.
    stalled: bool,
    /// When the script of reads has ended: read this again and again, and let so much time pass.
    flood: Option<(Vec<u8>, std::time::Duration)>,
    record: Record,
}

impl Script {
    pub fn new(reads: impl IntoIterator<Item = Read>, writes: impl IntoIterator<Item = Write>) -> Self {
        let script = Self::default();
        script.with(|inner| {
            inner.reads.extend(reads);
            inner.writes.extend(writes);
        });
        script
    }

    /// Takes no bytes once the script of writes has ended.
    pub fn stalled(self) -> Self {
        self.with(|inner| inner.stalled = true);
        self
    }

    /// Never runs dry: reads `bytes` for ever, each time `each` later.
    pub fn flooding(self, bytes: Vec<u8>, each: std::time::Duration) -> Self {
        self.with(|inner| inner.flood = Some((bytes, each)));
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
        self.with(|inner| {
            inner.record.reads += 1;
            match inner.reads.pop_front() {
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
                Some(Read::Error(kind)) => Poll::Ready(Err(kind.into())),
                Some(Read::End) => {
                    inner.reads.push_front(Read::End);
                    Poll::Ready(Ok(()))
                }
                None => match &inner.flood {
                    Some((bytes, each)) => {
                        // Its first poll moves the clock.
                        let _ = std::pin::pin!(tokio::time::advance(*each)).poll(cx);
                        buf.put_slice(&bytes[..bytes.len().min(buf.remaining())]);
                        Poll::Ready(Ok(()))
                    }
                    None => Poll::Pending,
                },
            }
        })
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|inner| {
            inner.record.writes += 1;
            let len = match inner.writes.pop_front() {
                Some(Write::Take(most)) => buf.len().min(most),
                Some(Write::Pending) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Write::Error(kind)) => return Poll::Ready(Err(kind.into())),
                None if inner.stalled => return Poll::Pending,
                None => buf.len(),
            };
            inner.record.written.extend_from_slice(&buf[..len]);
            Poll::Ready(Ok(len))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|inner| inner.record.flushed = inner.record.written.len());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|inner| inner.record.shut_down = true);
        Poll::Ready(Ok(()))
    }
}

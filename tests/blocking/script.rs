//! A stream that does what a script says, and records what is done to it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket::blocking::{Transport, TryClone};

/// What a read comes to.
#[derive(Debug)]
pub enum Read {
    Bytes(Vec<u8>),
    Error(ErrorKind),
    End,
}

/// What a write, or a flush, comes to.
#[derive(Debug)]
pub enum Write {
    /// Takes this many bytes at most.
    Take(usize),
    Error(ErrorKind),
    /// Takes all of the write; the flush after it fails.
    FlushError(ErrorKind),
    Panic,
}

/// What was done to the stream.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub written: Vec<u8>,
    pub flushed: usize,
    pub writes: usize,
    pub read_timeouts: Vec<Option<Duration>>,
    pub write_timeouts: Vec<Option<Duration>>,
    pub shut_down: bool,
}

/// When its script ends, it takes all writes, and reads time out, at once.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    reads: VecDeque<Read>,
    writes: VecDeque<Write>,
    flush_error: Option<ErrorKind>,
    /// Whether what a write, or a flush, fails with is what all that follow it fail with.
    faults_last: bool,
    /// There is no other handle of it to be had.
    is_alone: bool,
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

    /// What a write, or a flush, fails with, all that follow it fail with.
    pub fn lasting(self) -> Self {
        self.with(|inner| inner.faults_last = true);
        self
    }

    /// It cannot be cloned.
    pub fn alone(self) -> Self {
        self.with(|inner| inner.is_alone = true);
        self
    }

    /// A write came to [`Write::Panic`]. Nothing more can be done with it.
    pub fn has_panicked(&self) -> bool {
        self.0.is_poisoned()
    }

    pub fn record(&self) -> Record {
        self.with(|inner| inner.record.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }
}

impl io::Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|inner| match inner.reads.pop_front() {
            Some(Read::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.len()));
                buf[..bytes.len()].copy_from_slice(&bytes);
                if !rest.is_empty() {
                    inner.reads.push_front(Read::Bytes(rest));
                }
                Ok(bytes.len())
            }
            Some(Read::Error(kind)) => Err(kind.into()),
            Some(Read::End) => {
                inner.reads.push_front(Read::End);
                Ok(0)
            }
            None => Err(ErrorKind::WouldBlock.into()),
        })
    }
}

impl io::Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.with(|inner| {
            inner.record.writes += 1;
            let len = match inner.writes.pop_front() {
                Some(Write::Take(most)) => buf.len().min(most),
                Some(Write::Error(kind)) => {
                    if inner.faults_last {
                        inner.writes.push_front(Write::Error(kind));
                    }
                    return Err(kind.into());
                }
                Some(Write::FlushError(kind)) => {
                    inner.flush_error = Some(kind);
                    buf.len()
                }
                Some(Write::Panic) => panic!("as the script says"),
                None => buf.len(),
            };
            inner.record.written.extend_from_slice(&buf[..len]);
            Ok(len)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|inner| {
            if let Some(kind) = inner.flush_error.take() {
                inner.flush_error = inner.faults_last.then_some(kind);
                return Err(kind.into());
            }
            inner.record.flushed = inner.record.written.len();
            Ok(())
        })
    }
}

impl Transport for Script {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO), "which is an error to sockets");
        self.with(|inner| inner.record.read_timeouts.push(timeout));
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO), "which is an error to sockets");
        self.with(|inner| inner.record.write_timeouts.push(timeout));
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.with(|inner| inner.record.shut_down = true);
        Ok(())
    }
}

impl TryClone for Script {
    fn try_clone(&self) -> io::Result<Self> {
        if self.with(|inner| inner.is_alone) { Err(ErrorKind::Other.into()) } else { Ok(self.clone()) }
    }
}

//! TLS over a stream, whose two directions two threads can use.
//!
//! rustls has one state for both. It is locked only while records are taken apart or made, and never
//! while bytes are moved, so that a thread that reads never waits behind one whose write is blocked.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::{Deref, DerefMut, Range};
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};

use rustls::{ConnectionCommon, ServerConnection};

use super::transport::{Transport, TryClone};
use crate::endpoint::sync::{Mutex, lock};
use crate::thread_cache;

/// TLS over a stream, whose two directions two threads can use if those of the stream below can be.
///
/// [`accept_tls`](super::accept_tls) makes those of servers. Of a [`rustls::ClientConnection`] and a stream,
/// [`new`](Self::new) makes one for [`connect_as_is`](super::connect_as_is). It takes what a
/// [`rustls::StreamOwned`] consists of, too: that is no [`Transport`], since its writes may wait for something
/// to read.
#[derive(Debug)]
pub struct TlsStream<S, C = ServerConnection> {
    io: S,
    shared: Arc<TlsShared<C>>,
}

/// Locked in this order, if more than one of them is:
///
/// ```text
/// incoming   by who reads, also while it waits for input    then tls; outgoing is only tried, for an alert
/// outgoing   by who writes, also while bytes are written    then tls
/// tls        by either, while records are taken apart or made; never while bytes are moved
/// ```
#[derive(Debug)]
struct TlsShared<C> {
    incoming: Mutex<Unread>,
    /// Records not yet written.
    outgoing: Mutex<Vec<u8>>,
    tls: Mutex<C>,
}

/// Bytes that were read, and that rustls has not yet taken: `bytes[unread]`.
#[derive(Debug, Default)]
struct Unread {
    /// All that the next read may fill. A connection's reads use the same memory, so it is initialised once.
    bytes: Vec<u8>,
    unread: Range<usize>,
}

impl<S, C> TlsStream<S, C> {
    /// The stream below. Reading from it or writing to it would corrupt the connection.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// The TLS connection: it knows the peer's certificates, the protocol that was negotiated, and on a server
    /// the name that the client asked for.
    ///
    /// It is locked while the guard is held: a thread that reads or writes then waits for it.
    pub fn tls(&self) -> impl Deref<Target = C> {
        lock(&self.shared.tls)
    }
}

impl<S: Transport, C: DerefMut<Target = ConnectionCommon<D>>, D> TlsStream<S, C> {
    /// TLS over `io`, by a connection of rustls. Completes the TLS handshake, if that is not over, without a
    /// deadline but for the timeouts that `io` has; fails with what kept it from being completed.
    pub fn new(mut tls: C, mut io: S) -> io::Result<Self> {
        if tls.is_handshaking() {
            tls.complete_io(&mut io)?;
        }
        let shared =
            TlsShared { incoming: Mutex::default(), outgoing: Mutex::default(), tls: Mutex::new(tls) };
        Ok(Self { io, shared: Arc::new(shared) })
    }

    /// See [`TlsShared::send`].
    fn send<T>(&mut self, f: impl FnOnce(&mut C) -> io::Result<T>) -> io::Result<T> {
        self.shared.send(&mut self.io, &mut lock(&self.shared.outgoing), f)
    }
}

impl<C: DerefMut<Target = ConnectionCommon<D>>, D> TlsShared<C> {
    /// Makes records of what `f` does, and writes them as far as one write of the stream goes. Those of before are
    /// written first: while any is left, no more are made.
    fn send<T>(
        &self,
        io: &mut impl Write,
        outgoing: &mut Vec<u8>,
        f: impl FnOnce(&mut C) -> io::Result<T>,
    ) -> io::Result<T> {
        if !outgoing.is_empty() {
            write_once(io, outgoing)?;
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut tls = lock(&self.tls);
        let result = f(&mut tls)?;
        *outgoing = thread_cache::take(&SPARE);
        while tls.wants_write() {
            tls.write_tls(outgoing)?;
        }
        drop(tls);
        // It was taken, so it counts as written. What keeps the records from being so will keep the next
        // write, or `flush`, too.
        let _ = write_once(io, outgoing);
        Ok(result)
    }

    /// Takes what there is for `buf` in what was read. `None`: more has to be read.
    fn take(&self, io: &mut impl Write, incoming: &mut Unread, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let taken = incoming.take(&mut lock(&self.tls), buf);
        taken.inspect_err(|_| self.alert(io))
    }

    /// Tells the peer, by an alert, what is wrong with what it sent; not if other writes had to be waited for.
    fn alert(&self, io: &mut impl Write) {
        if let Ok(mut outgoing) = self.outgoing.try_lock()
            && outgoing.is_empty()
        {
            // What counts is the error.
            let _ = self.send(io, &mut outgoing, |_| Ok(()));
        }
    }
}

impl Unread {
    /// Takes apart what was read, until there is something for `buf`. `None`: more has to be read.
    fn take<D>(&mut self, tls: &mut ConnectionCommon<D>, buf: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match tls.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result.map(Some),
            }
            let Some(mut unread) = self.bytes.get(self.unread.clone()).filter(|unread| !unread.is_empty())
            else {
                return Ok(None);
            };
            self.unread.start += tls.read_tls(&mut unread)?;
            tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Reads once. The buffer grows with what comes; when nothing comes in time, a large one is given back.
    fn fill(&mut self, io: &mut impl Read) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; MIN_READ];
        }
        let read = io.read(&mut self.bytes);
        match read {
            Ok(len) => {
                self.unread = 0..len;
                if len == self.bytes.len() && len < MAX_READ {
                    self.bytes.resize(2 * len, 0);
                }
            }
            Err(_) if self.bytes.len() > MIN_READ => self.bytes = Vec::new(),
            Err(_) => {}
        }
        read
    }
}

/// A call reads the stream below at most once, and fails with `Interrupted` if that brought no whole record: a peer that
/// sends one a byte at a time would else keep it for as long as it likes.
impl<S: Transport, C: DerefMut<Target = ConnectionCommon<D>>, D> Read for TlsStream<S, C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.shared.incoming);
        if let Some(len) = self.shared.take(&mut self.io, &mut incoming, buf)? {
            return Ok(len);
        }
        if incoming.fill(&mut self.io)? == 0 {
            // Whether the peer meant to end here is for rustls to say.
            lock(&self.shared.tls).read_tls(&mut io::empty())?;
        }
        let taken = self.shared.take(&mut self.io, &mut incoming, buf)?;
        taken.ok_or_else(|| io::ErrorKind::Interrupted.into())
    }
}

/// A call writes the stream below at most once, and fails with `Interrupted` if records are left. It takes at most what
/// rustls makes records of at once, 64 KiB, and nothing while records are left.
impl<S: Transport, C: DerefMut<Target = ConnectionCommon<D>>, D> Write for TlsStream<S, C> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(|tls| tls.writer().write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|tls| tls.writer().write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        write_once(&mut self.io, &mut lock(&self.shared.outgoing))?;
        self.io.flush()
    }
}

/// The timeouts are those of the stream below.
impl<S: Transport, C: DerefMut<Target = ConnectionCommon<D>>, D> Transport for TlsStream<S, C> {
    fn set_blocking(&mut self) -> io::Result<()> {
        self.io.set_blocking()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.send(|tls| {
            tls.send_close_notify();
            Ok(())
        })?;
        self.flush()?;
        self.io.shutdown_write()
    }

    fn unflushed(&self) -> usize {
        lock(&self.shared.outgoing).len() + self.io.unflushed()
    }

    fn times_out(&self) -> bool {
        self.io.times_out()
    }
}

impl<S: TryClone, C: DerefMut<Target = ConnectionCommon<D>>, D> TryClone for TlsStream<S, C> {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone()?, shared: self.shared.clone() })
    }
}

/// Writes records, by one write, and drops what was written; gives the memory back when all were. Fails with `Interrupted`
/// if some are left.
fn write_once(io: &mut impl Write, records: &mut Vec<u8>) -> io::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let written = io.write(records)?;
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    if written < records.len() {
        records.drain(..written);
        return Err(io::ErrorKind::Interrupted.into());
    }
    thread_cache::keep_buffer(&SPARE, core::mem::take(records));
    Ok(())
}

std::thread_local! {
    /// For the records of whichever connection writes next: one that waits holds no memory for them.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Room for the messages of a quiet connection.
const MIN_READ: usize = 4 << 10;
/// Beyond this, a read's system call costs little beside the decryption.
const MAX_READ: usize = 32 << 10;

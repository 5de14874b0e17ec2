//! TLS over TCP, whose two directions two threads can use.
//!
//! rustls has one state for both. It is locked only while records are taken apart or made, and never
//! while bytes are moved, so that a thread that reads never waits behind one whose write is blocked.

use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use rustls::ClientConnection;

use super::transport::{Transport, TryClone};

/// A handle of a TLS connection after the TLS handshake.
#[derive(Debug)]
pub(super) struct TlsStream {
    tcp: TcpStream,
    shared: Arc<Shared>,
}

/// Locked in this order, if more than one of them is.
#[derive(Debug)]
struct Shared {
    incoming: Mutex<Incoming>,
    /// Records not yet written; locked while they are.
    outgoing: Mutex<Vec<u8>>,
    tls: Mutex<ClientConnection>,
}

/// Bytes that were read, and that rustls has not yet taken: `bytes[taken..]`.
#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    taken: usize,
}

impl TlsStream {
    pub(super) fn new(tls: ClientConnection, tcp: TcpStream) -> Self {
        let shared = Shared { incoming: Mutex::default(), outgoing: Mutex::default(), tls: Mutex::new(tls) };
        Self { tcp, shared: Arc::new(shared) }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Makes records of what `f` does, and writes them as far as the stream's timeout allows.
    fn send<T>(&mut self, f: impl FnOnce(&mut ClientConnection) -> io::Result<T>) -> io::Result<T> {
        let mut outgoing = lock(&self.shared.outgoing);
        write_all(&mut self.tcp, &mut outgoing)?;
        let mut tls = lock(&self.shared.tls);
        let result = f(&mut tls)?;
        while tls.wants_write() {
            tls.write_tls(&mut *outgoing)?;
        }
        drop(tls);
        // It was taken, so it counts as written. What keeps the records from being so will keep the next
        // write, or `flush`, too.
        let _ = write_all(&mut self.tcp, &mut outgoing);
        Ok(result)
    }
}

impl Incoming {
    /// Takes apart what was read, until there is something for `buf`. `None`: more has to be read.
    fn take(&mut self, tls: &mut ClientConnection, buf: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            match tls.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Some(result),
            }
            let mut left = self.bytes.get(self.taken..).filter(|left| !left.is_empty())?;
            let before = left.len();
            if let Err(error) = tls.read_tls(&mut left) {
                return Some(Err(error));
            }
            self.taken += before - left.len();
            if let Err(error) = tls.process_new_packets() {
                return Some(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
    }
}

impl Read for TlsStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.shared.incoming);
        loop {
            if let Some(result) = incoming.take(&mut lock(&self.shared.tls), buf) {
                return result;
            }
            incoming.taken = 0;
            incoming.bytes.resize(READ_SIZE, 0);
            let read = self.tcp.read(&mut incoming.bytes);
            incoming.bytes.truncate(read.as_ref().map_or(0, |len| *len));
            if read? == 0 {
                // Whether the peer meant to end here is for rustls to say.
                lock(&self.shared.tls).read_tls(&mut io::empty())?;
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(|tls| tls.writer().write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|tls| tls.writer().write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all(&mut self.tcp, &mut lock(&self.shared.outgoing))?;
        self.tcp.flush()
    }
}

impl Transport for TlsStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Transport::set_read_timeout(&mut self.tcp, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Transport::set_write_timeout(&mut self.tcp, timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.send(|tls| {
            tls.send_close_notify();
            Ok(())
        })?;
        self.flush()?;
        self.tcp.shutdown_write()
    }
}

impl TryClone for TlsStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { tcp: self.tcp.try_clone()?, shared: self.shared.clone() })
    }
}

/// Writes records, and drops those that were written.
fn write_all(tcp: &mut TcpStream, records: &mut Vec<u8>) -> io::Result<()> {
    let mut written = 0;
    let result = loop {
        match records.get(written..) {
            None | Some([]) => break Ok(()),
            Some(left) => match tcp.write(left) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            },
        }
    };
    records.drain(..written);
    result
}

/// A panic in the other thread leaves the state as whole as it was between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest record and its header.
const READ_SIZE: usize = 5 + (16 << 10) + 256;

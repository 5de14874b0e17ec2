//! The stream of a server's connection.

use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::transport::{Transport, TryClone};

/// The stream of a connection that [`serve`](super::serve()) accepted, with `TCP_NODELAY`. Clones are handles of one
/// descriptor.
#[derive(Clone, Debug)]
pub struct ServerStream(pub(super) Arc<TcpStream>);

impl ServerStream {
    /// The TCP stream.
    pub fn tcp(&self) -> &TcpStream {
        &self.0
    }
}

impl Read for ServerStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self.0).read_vectored(bufs)
    }
}

impl Write for ServerStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

impl Transport for ServerStream {
    fn set_blocking(&mut self) -> io::Result<()> {
        self.0.set_nonblocking(false)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

impl TryClone for ServerStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

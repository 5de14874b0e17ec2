//! The stream of a client's connection.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, TryClone};

/// The stream of a client's connection: TCP, or TLS over it.
#[derive(Debug)]
pub struct ClientStream(pub(super) TcpOrTls);

#[derive(Debug)]
pub(super) enum TcpOrTls {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<TcpStream, rustls::ClientConnection>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            TcpOrTls::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            TcpOrTls::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS connection, if there is one. It is locked while the guard is held: a thread that reads or
    /// writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        match &self.0 {
            TcpOrTls::Tcp(_) => None,
            TcpOrTls::Tls(tls) => Some(tls.tls()),
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($trait:ident, $self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.0 {
            TcpOrTls::Tcp(tcp) => $trait::$method(tcp, $($argument),*),
            #[cfg(feature = "rustls")]
            TcpOrTls::Tls(tls) => $trait::$method(tls, $($argument),*),
        }
    };
}

impl Read for ClientStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        forward!(Read, self.read(buf))
    }
}

impl Write for ClientStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        forward!(Write, self.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        forward!(Write, self.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        forward!(Write, self.flush())
    }
}

impl Transport for ClientStream {
    fn set_blocking(&mut self) -> io::Result<()> {
        forward!(Transport, self.set_blocking())
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        forward!(Transport, self.set_read_timeout(timeout))
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        forward!(Transport, self.set_write_timeout(timeout))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        forward!(Transport, self.shutdown_write())
    }
}

impl TryClone for ClientStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            TcpOrTls::Tcp(tcp) => TcpOrTls::Tcp(TryClone::try_clone(tcp)?),
            #[cfg(feature = "rustls")]
            TcpOrTls::Tls(tls) => TcpOrTls::Tls(tls.try_clone()?),
        }))
    }
}

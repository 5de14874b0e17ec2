//! The stream of a client's connection.

#[cfg(feature = "rustls")]
use core::ops::Deref;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use super::transport::{Transport, TryClone};

/// The stream of a client's connection: TCP, or what [`connect_over`](super::connect_over) was given, or TLS over it.
#[derive(Debug)]
pub struct ClientStream<S = TcpStream>(pub(super) PlainOrTls<S>);

#[derive(Debug)]
pub(super) enum PlainOrTls<S> {
    Plain(S),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<S, rustls::ClientConnection>),
}

impl ClientStream {
    /// The TCP stream, below TLS if there is any.
    pub fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl<S> ClientStream<S> {
    /// The stream below TLS, if there is TLS. Reading from it or writing to it would corrupt the connection.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            PlainOrTls::Plain(io) => io,
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => tls.get_ref(),
        }
    }

    /// The TLS connection, if there is one. It is locked while the guard is held: a thread that reads or
    /// writes then waits for it.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Option<impl Deref<Target = rustls::ClientConnection>> {
        match &self.0 {
            PlainOrTls::Plain(_) => None,
            PlainOrTls::Tls(tls) => Some(tls.tls()),
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! forward {
    ($trait:ident, $self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.0 {
            PlainOrTls::Plain(io) => $trait::$method(io, $($argument),*),
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => $trait::$method(tls, $($argument),*),
        }
    };
}

impl<S: Transport> Read for ClientStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        forward!(Read, self.read(buf))
    }
}

impl<S: Transport> Write for ClientStream<S> {
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

impl<S: Transport> Transport for ClientStream<S> {
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

    fn times_out(&self) -> bool {
        match &self.0 {
            PlainOrTls::Plain(io) => io.times_out(),
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => tls.times_out(),
        }
    }

    fn unflushed(&self) -> usize {
        match &self.0 {
            PlainOrTls::Plain(io) => io.unflushed(),
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => tls.unflushed(),
        }
    }
}

impl<S: TryClone> TryClone for ClientStream<S> {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(match &self.0 {
            PlainOrTls::Plain(io) => PlainOrTls::Plain(io.try_clone()?),
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => PlainOrTls::Tls(tls.try_clone()?),
        }))
    }
}

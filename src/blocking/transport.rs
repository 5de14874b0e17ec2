//! What a blocking stream must be able to do, so that a connection over it can keep its deadlines; and what
//! timeouts are to it.

use core::time::Duration;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A stream whose reads and writes can time out.
///
/// After a timeout, a read or a write fails with [`WouldBlock`](io::ErrorKind::WouldBlock) or
/// [`TimedOut`](io::ErrorKind::TimedOut), as those of `std` do.
///
/// A stream over another one, as TLS is, reads or writes that one at most once a call. If that does not bring a call to its
/// end, be it a read, a write, a flush or [`shutdown_write`](Self::shutdown_write), it fails with
/// [`Interrupted`](io::ErrorKind::Interrupted), and is called again if there is time left. A call that went on by itself
/// would wait for each byte as long as the timeout says.
pub trait Transport: Read + Write {
    /// Has reads and writes wait, which a socket in non-blocking mode does not: called before a connection begins. A
    /// stream that always waits, or whose timeouts hold all the same, need not do anything.
    fn set_blocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Sets how long a read may take; `None`: as long as it will. Never called with zero.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Sets how long a write may take; `None`: as long as it will. Never called with zero.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Closes the stream for writing, so that the peer reads its end. A stream that cannot do that alone
    /// fails with [`Unsupported`](io::ErrorKind::Unsupported), and is closed when it is dropped.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// How many bytes writes have taken that are still to be written to a stream below, by [`flush`](Write::flush) or by the
    /// next write: by them it is known whether that one takes anything.
    fn unflushed(&self) -> usize {
        0
    }

    /// Whether a write takes no longer than the timeout that was set. Where it may, `send` leaves nothing
    /// queued: writing it later could keep the messages of other connections waiting.
    fn times_out(&self) -> bool {
        true
    }
}

/// A stream that two threads can use, one to read and one to write.
pub trait TryClone: Transport + Sized {
    /// Another handle of the same stream.
    fn try_clone(&self) -> io::Result<Self>;
}

/// Sockets have all of it.
macro_rules! socket {
    ($socket:ty) => {
        impl Transport for $socket {
            fn set_blocking(&mut self) -> io::Result<()> {
                self.set_nonblocking(false)
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                Self::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                Self::set_write_timeout(self, timeout)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }

        impl TryClone for $socket {
            fn try_clone(&self) -> io::Result<Self> {
                Self::try_clone(self)
            }
        }
    };
}

socket!(TcpStream);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream);

/// A stream without timeouts: a connection over it has no keepalive and no deadlines, and a peer that
/// vanishes leaves its calls waiting for as long as the stream does. A server is to drop it when the
/// connection has ended: that is what its client waits for.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper of one thing")]
pub struct NoDeadlines<S>(pub S);

impl<S: Read> Read for NoDeadlines<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl<S: Write> Write for NoDeadlines<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Transport for NoDeadlines<S> {
    fn set_read_timeout(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn times_out(&self) -> bool {
        false
    }
}

/// A stream that is written to one slice at a time, as the trait does it: rustls writes several records at once, with
/// `writev` on a socket, which raises `SIGPIPE` when the peer is gone.
#[cfg(feature = "rustls")]
pub(super) struct PlainWrites<'a, S>(pub(super) &'a mut S);

#[cfg(feature = "rustls")]
impl<S: Write> Write for PlainWrites<'_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a read or write gave up because of a timeout: which of the two kinds is the platform's choice.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Whether it is worth another try, if there is time left.
pub(super) fn is_passing(error: &io::Error) -> bool {
    is_timeout(error) || error.kind() == io::ErrorKind::Interrupted
}

/// The read timeout that the stream has: `None` when that is not known.
#[derive(Debug, Default)]
#[expect(clippy::option_option, reason = "not known, none, and some are three different things")]
pub(super) struct ReadTimeout(Option<Option<Duration>>);

impl ReadTimeout {
    /// Makes reads wait about this long. Setting a timeout is a system call, so a timeout that is set
    /// already will do if it is not much longer, or shorter by half: waking early does no harm.
    pub(super) fn set(&mut self, io: &mut impl Transport, wait: Option<Duration>) -> io::Result<()> {
        let near_enough = match (self.0, wait) {
            (Some(Some(set)), Some(wait)) => set >= wait / 2 && set <= wait.saturating_add(wait / 8),
            (Some(set), wait) => set == wait,
            (None, _) => false,
        };
        if !near_enough {
            io.set_read_timeout(wait.map(non_zero))?;
            self.0 = Some(wait);
        }
        Ok(())
    }
}

/// A timeout that streams accept: zero is an error to them.
pub(super) fn non_zero(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Has an open connection's writes give up at once where the transport has no room: who wants to wait asks for it.
pub(super) fn keep_write_timeout(io: &mut impl Transport) -> io::Result<()> {
    io.set_write_timeout(Some(BRIEF))
}

/// How long a write takes that only tries: what a socket with room takes, it takes at once.
pub(super) const BRIEF: Duration = Duration::from_millis(if cfg!(sansocket_loom) { 3_600_000 } else { 1 });

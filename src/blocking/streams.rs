//! Reading and writing what is a stream, or TLS over it: the streams of clients and of servers.

/// What a transport is, for a stream that is made of a `PlainOrTls`.
macro_rules! stream {
    ($stream:ty $(, $s:ident)?) => {
        impl$(<$s: crate::blocking::Transport>)? std::io::Read for $stream {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                crate::blocking::streams::forward!(std::io::Read, self.read(buf))
            }
        }

        impl$(<$s: crate::blocking::Transport>)? std::io::Write for $stream {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                crate::blocking::streams::forward!(std::io::Write, self.write(buf))
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                crate::blocking::streams::forward!(std::io::Write, self.write_vectored(bufs))
            }

            fn flush(&mut self) -> std::io::Result<()> {
                crate::blocking::streams::forward!(std::io::Write, self.flush())
            }
        }

        impl$(<$s: crate::blocking::Transport>)? crate::blocking::Transport for $stream {
            fn set_blocking(&mut self) -> std::io::Result<()> {
                crate::blocking::streams::forward!(crate::blocking::Transport, self.set_blocking())
            }

            fn set_read_timeout(&mut self, timeout: Option<core::time::Duration>) -> std::io::Result<()> {
                crate::blocking::streams::forward!(crate::blocking::Transport, self.set_read_timeout(timeout))
            }

            fn set_write_timeout(&mut self, timeout: Option<core::time::Duration>) -> std::io::Result<()> {
                crate::blocking::streams::forward!(crate::blocking::Transport, self.set_write_timeout(timeout))
            }

            fn shutdown_write(&mut self) -> std::io::Result<()> {
                crate::blocking::streams::forward!(crate::blocking::Transport, self.shutdown_write())
            }

            fn times_out(&self) -> bool {
                match &self.0 {
                    PlainOrTls::Plain(io) => crate::blocking::Transport::times_out(io),
                    #[cfg(feature = "rustls")]
                    PlainOrTls::Tls(tls) => crate::blocking::Transport::times_out(tls),
                }
            }

            fn unflushed(&self) -> usize {
                match &self.0 {
                    PlainOrTls::Plain(io) => crate::blocking::Transport::unflushed(io),
                    #[cfg(feature = "rustls")]
                    PlainOrTls::Tls(tls) => crate::blocking::Transport::unflushed(tls),
                }
            }
        }

        impl$(<$s: crate::blocking::TryClone>)? crate::blocking::TryClone for $stream {
            fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self(match &self.0 {
                    PlainOrTls::Plain(io) => PlainOrTls::Plain(crate::blocking::TryClone::try_clone(io)?),
                    #[cfg(feature = "rustls")]
                    PlainOrTls::Tls(tls) => PlainOrTls::Tls(crate::blocking::TryClone::try_clone(tls)?),
                }))
            }
        }
    };
}

/// Calls the method of whichever it is.
macro_rules! forward {
    ($trait:path, $self:ident.$method:ident($($argument:expr),*)) => {{
        use $trait as Trait;
        match &mut $self.0 {
            PlainOrTls::Plain(io) => Trait::$method(io, $($argument),*),
            #[cfg(feature = "rustls")]
            PlainOrTls::Tls(tls) => Trait::$method(tls, $($argument),*),
        }
    }};
}

pub(super) use {forward, stream};

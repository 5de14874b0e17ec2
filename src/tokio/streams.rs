//! Reading and writing what is a stream, or TLS over it: the streams of clients and of servers.

/// `AsyncRead` and `AsyncWrite` for a stream that is made of a `PlainOrTls`.
macro_rules! stream {
    ($stream:ident) => {
        impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> tokio::io::AsyncRead for $stream<S> {
            fn poll_read(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                crate::tokio::streams::forward!(self.poll_read(cx, buf))
            }
        }

        impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for $stream<S> {
            fn poll_write(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                buf: &[u8],
            ) -> core::task::Poll<std::io::Result<usize>> {
                crate::tokio::streams::forward!(self.poll_write(cx, buf))
            }

            fn poll_write_vectored(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> core::task::Poll<std::io::Result<usize>> {
                crate::tokio::streams::forward!(self.poll_write_vectored(cx, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                match &self.0 {
                    PlainOrTls::Plain(io) => io.is_write_vectored(),
                    #[cfg(feature = "tokio-rustls")]
                    PlainOrTls::Tls(tls) => tls.is_write_vectored(),
                }
            }

            fn poll_flush(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                crate::tokio::streams::forward!(self.poll_flush(cx))
            }

            fn poll_shutdown(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<std::io::Result<()>> {
                crate::tokio::streams::forward!(self.poll_shutdown(cx))
            }
        }
    };
}

/// Calls the method of whichever it is.
macro_rules! forward {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            PlainOrTls::Plain(io) => core::pin::Pin::new(io).$method($($argument),*),
            #[cfg(feature = "tokio-rustls")]
            PlainOrTls::Tls(tls) => core::pin::Pin::new(tls).$method($($argument),*),
        }
    };
}

pub(super) use {forward, stream};

//! The transport of all crates: memory, so that nothing but the crate is measured.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A transport that yields the same bytes again and again, and forgets what is written.
#[derive(Clone)]
pub struct Memory {
    bytes: Arc<[u8]>,
    at: usize,
    /// After the last byte the stream ends, instead of beginning again.
    once: bool,
}

impl Memory {
    /// Yields `bytes` for ever.
    pub fn endless(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), at: 0, once: false }
    }

    /// Yields `bytes`, and no more.
    pub fn once(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), at: 0, once: true }
    }

    fn next(&mut self, len: usize) -> &[u8] {
        if self.at == self.bytes.len() && !self.once {
            self.at = 0;
        }
        let start = self.at;
        self.at = self.bytes.len().min(start + len);
        &self.bytes[start..self.at]
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.next(buffer.len());
        for (to, from) in buffer.chunks_mut(PIECE).zip(bytes.chunks(PIECE)) {
            to[..from.len()].copy_from_slice(from);
        }
        Ok(bytes.len())
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(black_box(slices).iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        for piece in self.next(buffer.remaining()).chunks(PIECE) {
            buffer.put_slice(piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What wtx implements for tokio's streams, and for no other that is `AsyncRead`.
impl wtx::stream::StreamReader for Memory {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(AsyncReadExt::read(self, bytes).await?)
    }
}

impl wtx::stream::StreamWriter for Memory {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        Ok(AsyncWriteExt::write_all(self, bytes).await?)
    }

    async fn write_all_vectored(&mut self, parts: &[&[u8]]) -> wtx::Result<()> {
        let mut slices = [io::IoSlice::new(&[]); 8];
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = io::IoSlice::new(part);
        }
        let mut slices = &mut slices[..parts.len()];
        while !slices.is_empty() {
            match AsyncWriteExt::write_vectored(self, slices).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                len => io::IoSlice::advance_slices(&mut slices, len),
            }
        }
        Ok(())
    }
}

/// Bytes are copied in pieces of this size. glibc copies larger ones with an instruction that is twenty times
/// slower on some processors if the destination lies a little further into its page than the source into its own:
/// a matter of where the allocator put the two, which is nobody's merit or fault.
const PIECE: usize = 1024;

//! A WebSocket as a stream of bytes.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::program::Program;
use super::transport::Transport;
use super::wakers::Half;
use super::web_socket::WebSocket;
use crate::endpoint::Part;
use crate::endpoint::payloads::{COMPLETE, Payloads, UNSUPPORTED, WRITE_AT_MOST};
use crate::message::Message;

/// A WebSocket as a stream of bytes, for what speaks a protocol of its own over one. Made by
/// [`WebSocket::into_byte_stream`].
///
/// - **Reads** take the payloads of binary messages, one after the other: where one ends and the next begins is given up.
///   A text message is an error, [`InvalidData`](io::ErrorKind::InvalidData), that every further read tells too, and the
///   connection is closed with 1003; unless [`take_text`](Self::take_text) says that its bytes are bytes like others.
/// - **The end** is the peer's closing handshake, whatever its code is: [`WebSocket::closed`] tells that. A transport that
///   ends without it is an error.
/// - **Each write** is one binary message of at most 64 KiB, of which the transport is given what it takes at once. The rest
///   is written by the next call that writes, by a read before it waits, by [`flush`](AsyncWrite::poll_flush), which waits
///   until all is handed to the transport; or behind the program's back, when it does nothing of that for a while. While
///   [`Config::write_buffer_size`](crate::Config::write_buffer_size) bytes wait, a write does too. Small writes are better
///   put together by a [`BufWriter`](tokio::io::BufWriter).
/// - **Pings** are answered, and deadlines kept, as by the [`WebSocket`]: whether it is read or not.
/// - **Cancel safe**: a read that is dropped has lost nothing; a write that is dropped has sent nothing.
/// - **The end of what is written** is [`shutdown`](AsyncWrite::poll_shutdown), which sends Close with 1000. A WebSocket is not closed by halves:
///   no more can be written after that, but what the peer sends until it answers can be read to its end. The peer's writes
///   fail from when it has read the Close frame, so a protocol that ends one direction, and waits for the other's rest,
///   needs a sign of its own for that.
/// - **Errors** have the crate's [`Error`](crate::Error) in them.
///
/// ```no_run
/// # async fn run(ws: sansocket::tokio::WebSocket<tokio::net::TcpStream>) -> std::io::Result<()> {
/// let mut stream = ws.into_byte_stream();
/// let mut server = tokio::net::TcpStream::connect("127.0.0.1:22").await?;
/// tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
/// stream.close().await
/// # }
/// ```
///
/// Two tasks use it through [`tokio::io::split`].
#[derive(Debug)]
pub struct ByteStream<S: Transport> {
    ws: WebSocket<S>,
    payloads: Payloads,
}

impl<S: Transport> WebSocket<S> {
    /// Makes a stream of bytes of it, which gives up the borders of messages.
    pub fn into_byte_stream(self) -> ByteStream<S> {
        ByteStream { ws: self, payloads: Payloads::default() }
    }
}

impl<S: Transport> ByteStream<S> {
    /// Whether the bytes of text messages are read like those of binary ones. Not by default.
    pub fn take_text(mut self, take: bool) -> Self {
        self.payloads.take_text(take);
        self
    }

    /// The WebSocket, which tells how it closed.
    pub fn get_ref(&self) -> &WebSocket<S> {
        &self.ws
    }

    /// The WebSocket, and what was received and not yet read. It may be in the middle of a message, of which
    /// [`recv_part`](WebSocket::recv_part) returns the rest.
    pub fn into_parts(self) -> (WebSocket<S>, Bytes) {
        (self.ws, self.payloads.into_rest())
    }

    /// Closes the connection with 1000, and waits for the peer's Close frame and the end of the transport; see
    /// [`WebSocket::close`]. What still comes is discarded.
    ///
    /// Dropped before it returns, the Close frame was queued: call it again, or read, to go on.
    pub async fn close(&mut self) -> io::Result<()> {
        Ok(self.ws.close(COMPLETE.code, COMPLETE.reason).await?)
    }
}

impl<S: Transport> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0 {
            let unread = ready!(self.as_mut().poll_fill_buf(cx))?;
            let len = unread.len().min(buf.remaining());
            buf.put_slice(&unread[..len]);
            self.consume(len);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncBufRead for ByteStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { ws, payloads } = self.get_mut();
        while payloads.unread()?.is_empty() {
            match ready!(ws.receiver.poll_next_item::<Part>(Half::Receiving, cx, Program::Polled))? {
                Some(part) => {
                    if !payloads.push(part) {
                        // It fails only where the connection has ended, too. The program may do no more with it than
                        // drop it: what the transport takes is written at once.
                        let _ = ws.start_close(Some(UNSUPPORTED));
                        let _ = ws.sender.poll_flush(cx);
                    }
                }
                None => break,
            }
        }
        Poll::Ready(payloads.unread())
    }

    fn consume(mut self: Pin<&mut Self>, len: usize) {
        self.payloads.consume(len);
    }
}

impl<S: Transport> AsyncWrite for ByteStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let chunk = &buf[..buf.len().min(WRITE_AT_MOST)];
        if chunk.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sender = &mut self.ws.sender;
        ready!(sender.poll_room(cx))?;
        sender.queue(Message::from(chunk))?;
        // It is queued: what the transport does not take at once is not waited for.
        match sender.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            _ => Poll::Ready(Ok(chunk.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ws.sender.poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ws.start_close(Some(COMPLETE))?;
        self.poll_flush(cx)
    }
}

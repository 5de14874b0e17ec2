//! A WebSocket as a stream of bytes.

use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;

use super::transport::Transport;
use super::web_socket::WebSocket;
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
/// - **Each write** is one binary message of at most 64 KiB, and waits until it was handed to the transport: nothing is left
///   for [`flush`](Write::flush). Small writes are better put together by a [`BufWriter`](io::BufWriter).
/// - **Pings** are answered, and deadlines kept, by reads, and by writes where nobody reads, as by the [`WebSocket`].
/// - **The end of what is written** is [`shutdown`](Self::shutdown), which sends Close with 1000. A WebSocket is not closed by halves:
///   no more can be written after that, but what the peer sends until it answers can be read to its end. The peer's writes
///   fail from when it has read the Close frame, so a protocol that ends one direction, and waits for the other's rest,
///   needs a sign of its own for that.
/// - **Errors** have the crate's [`Error`](crate::Error) in them.
///
/// ```no_run
/// # fn run(ws: sansocket::blocking::WebSocket<std::net::TcpStream>) -> std::io::Result<()> {
/// use std::io::{BufRead, Write};
///
/// let mut stream = ws.into_byte_stream();
/// stream.write_all(b"HELO example.com\r\n")?;
/// let mut line = String::new();
/// stream.read_line(&mut line)?;
/// stream.close()
/// # }
/// ```
///
/// It is for one thread. Where one is to read while another writes, [split](WebSocket::split) the WebSocket: the one receives
/// messages, the other sends them.
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

    /// Sends Close with 1000: nothing more can be written, and the rest of what the peer sends can be read.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.ws.start_close(Some(COMPLETE))?;
        self.flush()
    }

    /// Closes the connection with 1000, and waits for the peer's Close frame and the end of the transport; see
    /// [`WebSocket::close`]. What still comes is discarded.
    pub fn close(&mut self) -> io::Result<()> {
        Ok(self.ws.close(COMPLETE.code, COMPLETE.reason)?)
    }
}

impl<S: Transport> Read for ByteStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let unread = self.fill_buf()?;
        let len = unread.len().min(buf.len());
        buf[..len].copy_from_slice(&unread[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<S: Transport> BufRead for ByteStream<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.payloads.unread()?.is_empty() {
            match self.ws.recv_part()? {
                Some(part) => {
                    if !self.payloads.push(part) {
                        // It fails only where the connection has ended, too. The program may do no more with it than
                        // drop it: what the transport takes is written at once.
                        let _ = self.ws.start_close(Some(UNSUPPORTED));
                        let _ = self.ws.sender.shared.flush_if_idle();
                    }
                }
                None => break,
            }
        }
        self.payloads.unread()
    }

    fn consume(&mut self, len: usize) {
        self.payloads.consume(len);
    }
}

impl<S: Transport> Write for ByteStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let chunk = &buf[..buf.len().min(WRITE_AT_MOST)];
        if !chunk.is_empty() {
            self.ws.feed(Message::from(chunk))?;
            self.ws.flush()?;
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.ws.flush()?)
    }
}

//! A writer that sends one message.

use std::io::{self, Write};

use bytes::Bytes;

use super::halves::WebSocketSender;
use super::sending::Sending;
use super::transport::Transport;
use crate::endpoint::Error;
use crate::message::MessageKind;

/// Sends what is written to it as one message, a fragment for each write, in constant memory. Made by
/// [`WebSocket::message_writer`](super::WebSocket::message_writer).
///
/// [`finish`](Self::finish) ends the message. If the writer is dropped before, the message stays
/// unfinished: it can be gone on with by [`WebSocket::feed_part`](super::WebSocket::feed_part), and no other can be sent.
///
/// ```no_run
/// # fn run(ws: &mut sansocket::blocking::WebSocket<std::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Read;
/// use sansocket::MessageKind;
///
/// let mut writer = ws.message_writer(MessageKind::Binary);
/// std::io::copy(&mut std::io::repeat(0).take(10 << 30), &mut writer)?;
/// writer.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MessageWriter<'a, S: Transport> {
    sending: Sending<'a, S>,
    kind: MessageKind,
}

impl<S: Transport> WebSocketSender<S> {
    /// A writer that sends what is written to it as one message, in fragments.
    pub fn message_writer(&mut self, kind: MessageKind) -> MessageWriter<'_, S> {
        MessageWriter::new(self.sending(), kind)
    }
}

impl<'a, S: Transport> MessageWriter<'a, S> {
    pub(super) fn new(sending: Sending<'a, S>, kind: MessageKind) -> Self {
        Self { sending, kind }
    }

    /// Ends the message, and writes all of it.
    pub fn finish(mut self) -> Result<(), Error> {
        self.sending.feed_part(self.kind, Bytes::new(), true)?;
        self.sending.flush()
    }
}

impl<S: Transport> Write for MessageWriter<'_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.sending.feed_part(self.kind, Bytes::copy_from_slice(buf), false)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.sending.flush()?)
    }
}

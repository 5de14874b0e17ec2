//! A writer that sends one message.

use std::io::{self, Write};

use super::halves::WebSocketSender;
use super::sending::Sending;
use super::transport::Transport;
use crate::endpoint::Error;
use crate::message::MessageKind;

/// Sends what is written to it as one message, in fragments, and in constant memory. What is written in small pieces is
/// gathered to fragments of 16 KiB, and sent when there is more, when the writer is flushed, or before anything else is
/// sent. Made by [`WebSocket::message_writer`](super::WebSocket::message_writer).
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
        self.sending.feed_last(self.kind)?;
        self.sending.flush()
    }
}

impl<S: Transport> Write for MessageWriter<'_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.sending.feed_written(self.kind, buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sending.feed_gathered()?;
        Ok(self.sending.flush()?)
    }
}

//! A writer that sends one message.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::halves::WebSocketSender;
use super::transport::Transport;
use crate::endpoint::Error;
use crate::endpoint::outgoing::PartToSend;
use crate::message::MessageKind;

/// Sends what is written to it as one message, in fragments, and in constant memory. What is written in small pieces is
/// gathered to fragments of 16 KiB, and sent when there is more, when the writer is flushed, or before anything else is
/// sent. Made by [`WebSocket::message_writer`](super::WebSocket::message_writer).
///
/// Shutting it down ends the message: writing to it then fails. If it is dropped before, the message stays
/// unfinished: it can be gone on with by [`WebSocket::feed_part`](super::WebSocket::feed_part), and no other can
/// be sent.
///
/// ```no_run
/// # async fn run(ws: &mut sansocket::tokio::WebSocket<tokio::net::TcpStream>) -> std::io::Result<()> {
/// use sansocket::MessageKind;
/// use tokio::io::AsyncWriteExt;
///
/// let mut file = tokio::io::repeat(0).take(10 << 30);
/// # use tokio::io::AsyncReadExt;
/// let mut writer = ws.message_writer(MessageKind::Binary);
/// tokio::io::copy(&mut file, &mut writer).await?;
/// writer.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct MessageWriter<'a, S: Transport> {
    sender: &'a mut WebSocketSender<S>,
    kind: MessageKind,
    /// The last fragment was queued.
    ended: bool,
}

impl<S: Transport> WebSocketSender<S> {
    /// A writer that sends what is written to it as one message, in fragments.
    pub fn message_writer(&mut self, kind: MessageKind) -> MessageWriter<'_, S> {
        MessageWriter { sender: self, kind, ended: false }
    }

    /// Keeps what was written of a message, as [`Outbound::gather`](crate::endpoint::Outbound::gather) does.
    fn gather(&mut self, kind: MessageKind, bytes: &[u8]) -> bool {
        self.shared.lock().outbound.gather(kind, bytes)
    }

    /// Queues what was gathered, once there is room for it, and compresses it before if it is to be.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_room(cx))?;
        let mut locked = self.shared.lock();
        if let Some(part) = PartToSend::gathered(&mut locked.outbound) {
            locked.outbound.queue_or_set_aside(part)?;
        }
        drop(locked);
        self.poll_aside(cx)
    }

    /// Queues the last part of a message, with what was gathered of it.
    fn queue_last(&mut self, kind: MessageKind) -> Result<(), Error> {
        let outbound = &mut self.shared.lock().outbound;
        let part = PartToSend::last(kind, outbound);
        outbound.queue_or_set_aside(part)
    }
}

impl<S: Transport> AsyncWrite for MessageWriter<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { sender, kind, ended } = &mut *self;
        if *ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !buf.is_empty() && !sender.gather(*kind, buf) {
            ready!(sender.poll_gathered(cx))?;
            if !sender.gather(*kind, buf) {
                ready!(sender.poll_room(cx))?;
                let payload = Bytes::copy_from_slice(buf);
                sender.queue_or_set_aside(PartToSend { kind: *kind, payload, last: false })?;
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.sender.poll_gathered(cx))?;
        self.sender.poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.sender.poll_aside(cx))?;
            // Where nothing may be sent, there is nothing to wait for.
            if self.sender.is_open() {
                ready!(self.sender.poll_room(cx))?;
            }
            let kind = self.kind;
            self.sender.queue_last(kind)?;
            self.ended = true;
        }
        self.poll_flush(cx)
    }
}

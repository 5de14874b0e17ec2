//! `Stream` and `Sink` for a WebSocket and its halves, and a writer that sends one message.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use super::shared::Half;
use super::split::{WebSocketReceiver, WebSocketSender};
use super::web_socket::WebSocket;
use crate::error::Error;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// The messages received; ends after the closing handshake, or after the first error.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(Half::Receiving, cx).map(Result::transpose)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        self.closed().is_some()
    }
}

/// The messages received; ends after the closing handshake, or after the first error.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocketReceiver<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(Half::Receiving, cx).map(Result::transpose)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocketReceiver<S> {
    fn is_terminated(&self) -> bool {
        self.closed().is_some()
    }
}

/// Closing the sink closes the connection with 1000, as [`WebSocket::close`] does.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.sender.queue(|outbound| outbound.send(message))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.start_close(Some(NORMAL))?;
        while ready!(self.receiver.poll_recv(Half::Sending, cx))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}

/// Closing the sink sends a Close frame with 1000, as [`WebSocketSender::close`] does.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocketSender<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.queue(|outbound| outbound.send(message))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WebSocketSender::poll_flush(&mut self, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.start_close(Some(NORMAL))?;
        WebSocketSender::poll_close(&mut self, cx)
    }
}

/// Sends what is written to it as one message, a fragment for each write, in constant memory. Made by
/// [`WebSocket::message_writer`].
///
/// Shutting it down ends the message: writing to it then fails. If it is dropped before, the message stays unfinished: it can be
/// gone on with by [`WebSocket::feed_part`], and no other can be sent.
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
pub struct MessageWriter<'a, S> {
    sender: &'a mut WebSocketSender<S>,
    kind: MessageKind,
    /// The last fragment was queued.
    ended: bool,
}

impl<'a, S> MessageWriter<'a, S> {
    pub(super) fn new(sender: &'a mut WebSocketSender<S>, kind: MessageKind) -> Self {
        Self { sender, kind, ended: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MessageWriter<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { sender, kind, ended } = &mut *self;
        if *ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(sender.poll_room(cx)).map_err(io::Error::other)?;
        sender
            .queue(|outbound| outbound.send_part(*kind, Bytes::copy_from_slice(buf), false))
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            let kind = self.kind;
            self.sender
                .queue(|outbound| outbound.send_part(kind, Bytes::new(), true))
                .map_err(io::Error::other)?;
            self.ended = true;
        }
        self.poll_flush(cx)
    }
}

const NORMAL: CloseFrame<'static> = CloseFrame { code: CloseCode::NORMAL, reason: "" };

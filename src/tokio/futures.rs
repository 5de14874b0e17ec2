//! `Stream` and `Sink` for a WebSocket and its halves.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;

use super::halves::{WebSocketReceiver, WebSocketSender};
use super::program::Program;
use super::transport::Transport;
use super::wakers::Half;
use super::web_socket::WebSocket;
use crate::endpoint::{Error, Incoming, Nothing};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::Message;

/// The messages received; ends after the closing handshake, or after the first error.
impl<S: Transport> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_next_item::<Message>(Half::Receiving, cx, Program::Polled).map(Result::transpose)
    }
}

impl<S: Transport> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        self.receiver.is_over()
    }
}

/// The messages received; ends after the closing handshake, or after the first error.
impl<S: Transport> Stream for WebSocketReceiver<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_item::<Message>(Half::Receiving, cx, Program::Polled).map(Result::transpose)
    }
}

impl<S: Transport> FusedStream for WebSocketReceiver<S> {
    fn is_terminated(&self) -> bool {
        self.is_over()
    }
}

impl<S: Transport> WebSocket<S> {
    /// The messages received, and Pings and Pongs between them, as a stream that ends as that of messages does: see
    /// [`recv_incoming`](Self::recv_incoming).
    ///
    /// ```
    /// use futures_util::TryStreamExt;
    /// use sansocket::tokio::{Incoming, WebSocket};
    /// use tokio::net::TcpStream;
    ///
    /// /// Counts the Pongs until the connection is closed.
    /// async fn pongs(ws: &mut WebSocket<TcpStream>) -> Result<usize, sansocket::Error> {
    ///     let mut incoming = ws.incoming();
    ///     let mut pongs = 0;
    ///     while let Some(incoming) = incoming.try_next().await? {
    ///         pongs += usize::from(matches!(incoming, Incoming::Pong(_)));
    ///     }
    ///     Ok(pongs)
    /// }
    /// ```
    ///
    /// Cancel safe: nothing received is lost when the stream is dropped.
    pub fn incoming(&mut self) -> impl FusedStream<Item = Result<Incoming, Error>> + Unpin {
        self.receiver.incoming()
    }
}

impl<S: Transport> WebSocketReceiver<S> {
    /// The messages received, with Pings and Pongs; see [`WebSocket::incoming`].
    pub fn incoming(&mut self) -> impl FusedStream<Item = Result<Incoming, Error>> + Unpin {
        AllIncoming(self)
    }
}

/// All that is received.
struct AllIncoming<'a, S: Transport>(&'a mut WebSocketReceiver<S>);

impl<S: Transport> Stream for AllIncoming<'_, S> {
    type Item = Result<Incoming, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_item::<Incoming>(Half::Receiving, cx, Program::Polled).map(Result::transpose)
    }
}

impl<S: Transport> FusedStream for AllIncoming<'_, S> {
    fn is_terminated(&self) -> bool {
        self.0.is_over()
    }
}

/// Closing the sink closes the connection with 1000, as [`WebSocket::close`] does.
///
/// A large message that is to be compressed is set aside by `start_send`, and compressed by the next `poll_ready`,
/// `poll_flush` or `poll_close`, step by step, or at once by whatever else is sent before.
impl<S: Transport> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.sender.queue_or_set_aside(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.sender.poll_aside(cx))?;
        self.start_close(Some(NORMAL))?;
        self.receiver.poll_next_item::<Nothing>(Half::Sending, cx, Program::Closing).map_ok(drop)
    }
}

/// Closing the sink sends a Close frame with 1000, as [`WebSocketSender::close`] does. Large messages are compressed as
/// by that of [`WebSocket`].
impl<S: Transport> Sink<Message> for WebSocketSender<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.queue_or_set_aside(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WebSocketSender::poll_flush(&mut self, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        self.start_close(Some(NORMAL))?;
        WebSocketSender::poll_close(&mut self, cx)
    }
}

const NORMAL: CloseFrame<'static> = CloseFrame { code: CloseCode::NORMAL, reason: "" };

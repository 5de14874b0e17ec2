//! The two halves of a WebSocket, for two tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::shared::{Reading, Shared};
use super::timer::{Timer, now};
use super::tracker::Token;
use super::wakers::Half;
use crate::config::Config;
use crate::connection::Closed;
use crate::endpoint::outbound::ToSend;
use crate::endpoint::outgoing::{Compressing, Outgoing, PartToSend, try_feed};
use crate::endpoint::{Error, Inbound, Incoming, Item, Negotiated, Outbound, Part, Queued, Sendable, random};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// The halves of a new connection. `read_ahead` is what was read behind the opening handshake.
pub(super) fn halves<S>(
    io: S,
    negotiated: &Negotiated,
    read_ahead: &[u8],
    config: &Config,
) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
    let inbound = Inbound::new(negotiated, config, read_ahead, now());
    let reading = Box::new(Reading { inbound, timer: Timer::default(), token: None });
    let shared = Arc::new(Shared::new(io, Outbound::new(negotiated, config, random)));
    let receiver = WebSocketReceiver { reading: Some(reading), shared: shared.clone() };
    (WebSocketSender { timer: Timer::default(), shared }, receiver)
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It answers the peer's Pings and Close frame, and keeps the deadlines, while
/// [`recv`](Self::recv) is awaited.
#[derive(Debug)]
pub struct WebSocketReceiver<S> {
    /// `None` only while it is being dropped.
    reading: Option<Box<Reading>>,
    shared: Arc<Shared<S>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket).
#[derive(Debug)]
pub struct WebSocketSender<S> {
    timer: Timer,
    shared: Arc<Shared<S>>,
}

impl<S> WebSocketReceiver<S> {
    /// How the connection closed, once [`recv`](Self::recv) has returned `None` or an error that ends
    /// the connection.
    pub fn closed(&self) -> Option<&Closed> {
        self.reading.as_ref()?.inbound.closed()
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, token: Token) {
        if let Some(reading) = &mut self.reading {
            reading.join(token, &self.shared);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketReceiver<S> {
    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        self.next::<Message>()
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_incoming(&mut self) -> impl Future<Output = Result<Option<Incoming>, Error>> {
        self.next::<Incoming>()
    }

    /// The next part of a message; see [`WebSocket::recv_part`](super::WebSocket::recv_part).
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_part(&mut self) -> impl Future<Output = Result<Option<Part>, Error>> {
        self.next::<Part>()
    }

    fn next<T: Item>(&mut self) -> impl Future<Output = Result<Option<T>, Error>> {
        poll_fn(|cx| self.poll_next_item::<T>(Half::Receiving, cx))
    }

    /// The next thing that `T` asks for, for a task that polls as `half`.
    #[inline]
    pub(super) fn poll_next_item<T: Item>(
        &mut self,
        half: Half,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<T>, Error>> {
        match &mut self.reading {
            Some(reading) => reading.poll_next::<S, T>(cx, &self.shared, half),
            None => Poll::Ready(Ok(None)),
        }
    }
}

impl<S> Drop for WebSocketReceiver<S> {
    /// Leaves the state to the sending half, which can then complete the closing handshake by itself.
    fn drop(&mut self) {
        self.shared.leave(self.reading.take());
    }
}

impl<S> Drop for WebSocketSender<S> {
    fn drop(&mut self) {
        self.shared.leave(None);
    }
}

impl<S> WebSocketSender<S> {
    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.shared.lock().outbound.sending.sender().compress(compress);
    }

    /// The stream, locked.
    pub(super) fn stream(&self) -> impl Deref<Target = S> {
        self.shared.stream()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketSender<S> {
    /// Sends a message; see [`WebSocket::send`](super::WebSocket::send).
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub fn send(&mut self, message: impl Sendable) -> impl Future<Output = Result<(), Error>>
    where
        S: Send + 'static,
    {
        Sending { sender: self, message: Outgoing::new(message.to_send()) }
    }

    #[inline]
    fn poll_send<M: ToSend>(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Outgoing<M>,
    ) -> Poll<Result<(), Error>>
    where
        S: Send + 'static,
    {
        if message.is_large() {
            ready!(self.shared.poll_compress(cx, message))?;
        }
        match message {
            Outgoing::AsItIs(message) => self.shared.poll_send(cx, &mut self.timer, message),
            Outgoing::Compressing(message) => self.poll_send_compressed(cx, message),
        }
    }

    #[cold]
    fn poll_send_compressed(
        &mut self,
        cx: &Context<'_>,
        message: &mut Option<Box<Compressing>>,
    ) -> Poll<Result<(), Error>>
    where
        S: Send + 'static,
    {
        self.shared.poll_send(cx, &mut self.timer, message)
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
    ///
    /// Dropped before it returns, the message was not queued.
    pub fn feed(&mut self, message: impl Sendable) -> impl Future<Output = Result<(), Error>> {
        self.feed_outgoing(message.to_send())
    }

    /// Queues a message like [`feed`](Self::feed), if there is room; see
    /// [`WebSocket::try_feed`](super::WebSocket::try_feed).
    pub fn try_feed(&mut self, message: impl Sendable) -> Result<bool, Error> {
        try_feed(message.to_send(), &*self.shared)
    }

    /// How much is queued and not yet written.
    pub fn queued(&self) -> Queued {
        self.shared.lock().outbound.queued()
    }

    /// Queues part of a message; see [`WebSocket::feed_part`](super::WebSocket::feed_part).
    ///
    /// Dropped before it returns, the part was not queued.
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> impl Future<Output = Result<(), Error>> {
        self.feed_outgoing(PartToSend { kind, payload: payload.into(), last })
    }

    fn feed_outgoing(&mut self, message: impl ToSend) -> impl Future<Output = Result<(), Error>> {
        let mut message = Outgoing::new(message);
        poll_fn(move |cx| {
            if message.is_large() {
                ready!(self.shared.poll_compress(cx, &mut message))?;
            }
            match &mut message {
                Outgoing::AsItIs(message) => self.shared.poll_feed(cx, &mut self.timer, message),
                Outgoing::Compressing(message) => self.shared.poll_feed(cx, &mut self.timer, message),
            }
        })
    }

    /// Writes everything that was queued.
    ///
    /// Cancel safe: what is left is written by the next call of either half that writes.
    pub fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|cx| self.poll_flush(cx))
    }

    /// Sends a Ping; see [`WebSocket::ping`](super::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> {
        let mut ping = Some(move |outbound: &mut Outbound| outbound.ping(payload));
        poll_fn(move |cx| self.shared.poll_write(cx, &mut self.timer, &mut ping))
    }

    /// Sends a Pong that no Ping asked for; see [`WebSocket::pong`](super::WebSocket::pong).
    pub fn pong(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> {
        let mut pong = Some(move |outbound: &mut Outbound| outbound.pong(payload));
        poll_fn(move |cx| self.shared.poll_write(cx, &mut self.timer, &mut pong))
    }

    /// Sends a Close frame. No message can be sent after it. Does nothing if one was sent before.
    ///
    /// The closing handshake is completed by the receiving half's
    /// [`recv`](WebSocketReceiver::recv), which returns `None` then. If that half was dropped, this
    /// call completes it, within [`Config::close_timeout`](crate::Config::close_timeout).
    ///
    /// Dropped before it returns, the Close frame was queued: call it again to go on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(Some(CloseFrame { code, reason }))?;
        poll_fn(|cx| self.poll_close(cx)).await
    }

    /// Queues a Close frame, and returns at once; [`flush`](Self::flush) or the receiving half sends it.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.shared.start_close(close)
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        self.shared.poll_sending(Half::Sending, cx, |locked, cx| locked.poll_room(cx, &mut self.timer))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        self.shared
            .poll_sending(Half::Sending, cx, |locked, cx| locked.poll_flush_in_time(cx, &mut self.timer))
    }

    /// Compresses what [`queue_or_set_aside`](Self::queue_or_set_aside) set aside.
    pub(super) fn poll_aside(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_aside(cx)
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let orphan = self.shared.lock().orphan.take();
        let Some(mut reading) = orphan else {
            return self.poll_flush(cx);
        };
        let closed = loop {
            match reading.poll_next::<S, Part>(cx, &self.shared, Half::Sending) {
                Poll::Ready(Ok(Some(_))) => {}
                poll => break poll.map_ok(drop),
            }
        };
        self.shared.lock().orphan = Some(reading);
        closed
    }

    /// Queues a message, or leaves it to the next poll to compress it before.
    pub(super) fn queue_or_set_aside(&mut self, message: impl ToSend) -> Result<(), Error> {
        self.shared.lock().outbound.queue_or_set_aside(message)
    }
}

/// A message is sent. It is a type of its own to be inlined, as a closure that does this would not be.
struct Sending<'a, S, M> {
    sender: &'a mut WebSocketSender<S>,
    message: Outgoing<M>,
}

/// None of its fields is pinned.
impl<S, M> Unpin for Sending<'_, S, M> {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static, M: ToSend> Future for Sending<'_, S, M> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, message } = &mut *self;
        sender.poll_send(cx, message)
    }
}

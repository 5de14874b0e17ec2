//! The two halves of a WebSocket, for two tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::ops::Deref;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::drive::{Reading, Timer, now};
use super::group::Member;
use super::shared::{Both, Half};
use crate::adapter::{Agreed, Inbound, Incoming, Outbound, Part, Step, Want};
use crate::config::Config;
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind, PreparedMessage};
use crate::role::Role;

/// The halves of a new connection. `read_ahead` is what was read behind the opening handshake.
pub(super) fn halves<S>(
    io: S,
    role: Role,
    agreed: Agreed,
    read_ahead: &[u8],
    config: &Config,
) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
    let now = now();
    let reading = Box::new(Reading::new(Inbound::new(role, config, agreed, read_ahead, now), now));
    let both = Arc::new(Both::new(io, Outbound::new(role, config, agreed)));
    let receiver = WebSocketReceiver { reading: Some(reading), both: both.clone() };
    (WebSocketSender { timer: Timer::default(), both }, receiver)
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It answers the peer's Pings and Close frame, and keeps the deadlines, while
/// [`recv`](Self::recv) is awaited.
#[derive(Debug)]
pub struct WebSocketReceiver<S> {
    /// `None` only while it is being dropped.
    reading: Option<Box<Reading>>,
    both: Arc<Both<S>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket).
#[derive(Debug)]
pub struct WebSocketSender<S> {
    timer: Timer,
    both: Arc<Both<S>>,
}

impl<S> WebSocketReceiver<S> {
    /// How the connection closed, once [`recv`](Self::recv) has returned `None` or an error that ends
    /// the connection.
    pub fn closed(&self) -> Option<&Closed> {
        self.reading.as_ref()?.closed()
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, member: Member) {
        if let Some(reading) = &mut self.reading {
            reading.join(member, &self.both);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketReceiver<S> {
    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        poll_fn(|cx| self.poll_recv(Half::Receiving, cx))
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_incoming(&mut self) -> impl Future<Output = Result<Option<Incoming>, Error>> {
        poll_fn(|cx| {
            let step = self.poll_step(Half::Receiving, cx, Want::MessagesAndPings);
            step.map_ok(|step| step.and_then(Step::into_incoming))
        })
    }

    /// The next part of a message; see [`WebSocket::recv_part`](super::WebSocket::recv_part).
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_part(&mut self) -> impl Future<Output = Result<Option<Part>, Error>> {
        poll_fn(|cx| {
            let step = self.poll_step(Half::Receiving, cx, Want::Parts);
            step.map_ok(|step| step.and_then(Step::into_part))
        })
    }

    /// The next message, for a task that polls as `half`.
    pub(super) fn poll_recv(&mut self, half: Half, cx: &Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if let Some(reading) = &mut self.reading
            && let Some(message) = reading.whole_message(&self.both)
        {
            return Poll::Ready(Ok(Some(message)));
        }
        self.poll_step(half, cx, Want::Messages).map_ok(|step| step.and_then(Step::into_message))
    }

    fn poll_step(&mut self, half: Half, cx: &Context<'_>, want: Want) -> Poll<Result<Option<Step>, Error>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(Ok(None));
        };
        reading.poll_next(cx, &self.both, half, want).map(Option::transpose)
    }
}

impl<S> Drop for WebSocketReceiver<S> {
    /// Leaves the state to the sending half, which can then complete the closing handshake by itself.
    fn drop(&mut self) {
        self.both.leave(self.reading.take());
    }
}

impl<S> Drop for WebSocketSender<S> {
    fn drop(&mut self) {
        self.both.leave(None);
    }
}

impl<S> WebSocketSender<S> {
    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.both.lock().outbound.sending.sender().compress(compress);
    }

    /// The stream, locked.
    pub(super) fn stream(&self) -> impl Deref<Target = S> {
        self.both.stream()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketSender<S> {
    /// Sends a message; see [`WebSocket::send`](super::WebSocket::send).
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub fn send(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>>
    where
        S: Send + 'static,
    {
        let mut message = Some(message.into());
        poll_fn(move |cx| self.both.poll_send(cx, &mut self.timer, &mut message))
    }

    /// Sends a message that was framed once for many connections; see [`PreparedMessage`]. What
    /// [`send`](Self::send) promises, this does.
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> impl Future<Output = Result<(), Error>>
    where
        S: Send + 'static,
    {
        let mut message = Some(move |outbound: &mut Outbound| outbound.send_prepared(message));
        poll_fn(move |cx| self.both.poll_send(cx, &mut self.timer, &mut message))
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
    ///
    /// Dropped before it returns, the message was not queued.
    pub fn feed(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |cx| self.both.poll_feed(cx, &mut self.timer, &mut message))
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
        let payload = payload.into();
        let mut part = Some(move |outbound: &mut Outbound| outbound.send_part(kind, payload, last));
        poll_fn(move |cx| self.both.poll_feed(cx, &mut self.timer, &mut part))
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
        poll_fn(move |cx| self.both.poll_write(cx, &mut self.timer, &mut ping))
    }

    /// Sends a Pong that no Ping asked for; see [`WebSocket::pong`](super::WebSocket::pong).
    pub fn pong(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> {
        let mut pong = Some(move |outbound: &mut Outbound| outbound.pong(payload));
        poll_fn(move |cx| self.both.poll_write(cx, &mut self.timer, &mut pong))
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
        self.both.start_close(close)
    }

    pub(super) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.both.poll_sending(Half::Sending, cx, |shared, cx| shared.poll_room(cx, &mut self.timer))
    }

    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.both.poll_sending(Half::Sending, cx, |shared, cx| shared.poll_flush_in_time(cx, &mut self.timer))
    }

    pub(super) fn poll_close(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let Some(mut reading) = self.both.with(|shared| shared.orphan.take()) else {
            return self.poll_flush(cx);
        };
        let result = loop {
            match reading.poll_next(cx, &self.both, Half::Sending, Want::Parts) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Err(error)),
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.both.with(|shared| shared.orphan = Some(reading));
        Poll::Ready(ready!(result))
    }

    pub(super) fn queue(
        &mut self,
        f: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.both.queue(f)
    }
}

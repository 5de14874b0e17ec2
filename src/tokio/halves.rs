//! The two halves of a WebSocket, for two tasks.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;

use super::program::Program;
use super::shared::{Reading, Shared};
use super::timer::{Timer, now};
use super::tracker::Token;
use super::transport::Transport;
use super::wakers::Half;
use crate::config::Config;
use crate::connection::Closed;
use crate::endpoint::outgoing::{Begun, Outgoing, PartToSend, compressed, try_feed};
use crate::endpoint::sendable::ToSend;
use crate::endpoint::{Error, Inbound, Incoming, Item, Negotiated, Outbound, Part, Queued, Sendable, random};
#[cfg(feature = "deflate")]
use crate::extension::AgreedDeflate;
use crate::frame::{CloseCode, CloseFrame};
use crate::handshake::Response;
use crate::message::{Message, MessageKind};

/// The halves of a new connection. `read_ahead` is what was read behind the opening handshake.
pub(super) fn halves<S: Transport>(
    io: S,
    negotiated: Negotiated,
    read_ahead: &[u8],
    config: &Config,
) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
    let now = now();
    let inbound = Inbound::new(&negotiated, config, read_ahead, now);
    let outbound = Outbound::new(&negotiated, config, random, now);
    let shared = Arc::new(Shared::new(io, negotiated, inbound, outbound));
    shared.watch(&mut shared.reading.take(), Program::Receives);
    let receiver = WebSocketReceiver { shared: shared.clone() };
    (WebSocketSender { timer: Timer::default(), shared }, receiver)
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It answers the peer's Pings and Close frame, and keeps the deadlines, while
/// [`recv`](Self::recv) is awaited; while it is not, a task does: see [who reads](super#who-reads).
#[derive(Debug)]
pub struct WebSocketReceiver<S: Transport> {
    pub(super) shared: Arc<Shared<S>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket).
#[derive(Debug)]
pub struct WebSocketSender<S: Transport> {
    timer: Timer,
    pub(super) shared: Arc<Shared<S>>,
}

impl<S: Transport> WebSocketReceiver<S> {
    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.negotiated.subprotocol()
    }

    /// The parameters of permessage-deflate, if it was negotiated.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<AgreedDeflate> {
        self.shared.negotiated.deflate()
    }

    /// The server's response to the opening handshake, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.shared.negotiated.response()
    }

    /// How the connection closed, once it has. Messages that were received before, and the error that ended it, are
    /// still to be received then, if the program was not receiving.
    pub fn closed(&self) -> Option<&Closed> {
        self.shared.closed.get()
    }

    /// The stream below; see [`WebSocket::get_ref`](super::WebSocket::get_ref). The other half waits while the guard is
    /// held.
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.shared.stream()
    }

    /// Whether nothing is left to be received.
    pub(super) fn is_over(&self) -> bool {
        self.shared.reading.take().inbound.is_over()
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, token: Token) {
        self.shared.reading.take().join(token, &self.shared);
    }

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

    pub(super) fn next<T: Item>(&mut self) -> Next<'_, S, T> {
        Next { receiver: self, item: PhantomData }
    }

    /// The next thing that `T` asks for, for a task that polls as `half`. When it waits, the program
    /// [`Waits`](Program::Waits), or has just [`Polled`](Program::Polled), or is [`Closing`](Program::Closing).
    #[inline]
    pub(super) fn poll_next_item<T: Item>(
        &mut self,
        half: Half,
        cx: &Context<'_>,
        waits: Program,
    ) -> Poll<Result<Option<T>, Error>> {
        let mut reading = self.shared.reading.take();
        if half == Half::Receiving && reading.is_calm() && reading.poll_calmly(cx, &self.shared).is_pending()
        {
            if reading.program != waits {
                self.shared.note(&mut reading, waits);
            }
            return Poll::Pending;
        }
        // What most calls come to.
        if let Some(item) = reading.inbound.whole::<T>(&mut &*self.shared) {
            self.shared.set_unread(reading.inbound.is_unread());
            if reading.program != Program::Receives {
                self.shared.note(&mut reading, Program::Receives);
            }
            return Poll::Ready(Ok(Some(item)));
        }
        self.poll_next_after::<T>(reading, half, cx, waits)
    }

    fn poll_next_after<T: Item>(
        &self,
        mut reading: impl DerefMut<Target = Reading>,
        half: Half,
        cx: &Context<'_>,
        waits: Program,
    ) -> Poll<Result<Option<T>, Error>> {
        let poll = reading.poll_next::<S, T>(cx, &self.shared, half);
        let program = if poll.is_ready() { Program::Receives } else { waits };
        if reading.program != program {
            self.shared.note(&mut reading, program);
        }
        poll
    }
}

impl<S: Transport> WebSocketReceiver<S> {
    /// A call that waited was dropped.
    #[cold]
    fn give_up(&self) {
        let mut reading = self.shared.reading.take();
        if matches!(reading.program, Program::Waits | Program::Rests) {
            self.shared.watch(&mut reading, Program::Receives);
        }
        self.shared.set_waits(false);
    }
}

/// The next thing that `T` asks for.
pub(super) struct Next<'a, S: Transport, T> {
    receiver: &'a mut WebSocketReceiver<S>,
    item: PhantomData<fn() -> T>,
}

impl<S: Transport, T: Item> Future for Next<'_, S, T> {
    type Output = Result<Option<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_next_item::<T>(Half::Receiving, cx, Program::Waits)
    }
}

impl<S: Transport, T> Drop for Next<'_, S, T> {
    /// The program may do something else next.
    #[inline]
    fn drop(&mut self) {
        if self.receiver.shared.waits() {
            self.receiver.give_up();
        }
    }
}

impl<S: Transport> Drop for WebSocketReceiver<S> {
    /// What still comes is discarded.
    fn drop(&mut self) {
        let shared = &self.shared;
        // Nothing more will be received that an answer could wait for.
        shared.set_unread(false);
        let last = self.closed().is_some() || shared.lock().halves == 1;
        let mut reading = shared.reading.take();
        let cared_for = reading.program == Program::Neglects;
        reading.program = if last && !cared_for { Program::Alone } else { Program::Left };
        drop(reading);
        if cared_for {
            // It discards from now on, be there as much read ahead as may be.
            shared.wakers.wake_half(Half::Receiving);
        } else if !last {
            shared.take_care();
        }
        shared.leave();
    }
}

impl<S: Transport> Drop for WebSocketSender<S> {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl<S: Transport> WebSocketSender<S> {
    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.negotiated.subprotocol()
    }

    /// The parameters of permessage-deflate, if it was negotiated.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<AgreedDeflate> {
        self.shared.negotiated.deflate()
    }

    /// The server's response to the opening handshake, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.shared.negotiated.response()
    }

    /// How the connection closed, once it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.shared.closed.get()
    }

    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.shared.lock().outbound.sending.sender().compress(compress);
    }

    /// The stream below; see [`WebSocket::get_ref`](super::WebSocket::get_ref). The other half waits while the guard is
    /// held.
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.shared.stream()
    }

    /// Sends a message; see [`WebSocket::send`](super::WebSocket::send).
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub fn send(&mut self, message: impl Sendable) -> impl Future<Output = Result<(), Error>> {
        Sending { sender: self, message: Outgoing::new(message.to_send()) }
    }

    #[inline]
    fn poll_send<M: ToSend>(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Outgoing<M>,
    ) -> Poll<Result<(), Error>> {
        match message.small() {
            Some(message) => self.shared.poll_send(cx, &mut self.timer, message),
            None => self.poll_send_large(cx, message),
        }
    }

    #[cold]
    fn poll_send_large<M: ToSend>(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Outgoing<M>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.shared.poll_compress(cx, message))?;
        match message {
            Outgoing::AsItIs(message) => self.shared.poll_send(cx, &mut self.timer, message),
            Outgoing::Compressing(Begun(message)) => self.shared.poll_send(cx, &mut self.timer, message),
        }
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

    /// Whether messages can be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.shared.lock().outbound.is_open()
    }

    /// What was queued when the connection ended, and was not written.
    pub(super) fn unwritten(&self) -> Queued {
        self.shared.lock().outbound.unwritten()
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
            if let Some(message) = message.small() {
                return self.shared.poll_feed(cx, &mut self.timer, message);
            }
            ready!(self.shared.poll_compress(cx, &mut message))?;
            match &mut message {
                Outgoing::AsItIs(message) => self.shared.poll_feed(cx, &mut self.timer, message),
                Outgoing::Compressing(Begun(message)) => self.shared.poll_feed(cx, &mut self.timer, message),
            }
        })
    }

    /// Writes everything that was queued. Fails like [`send`](Self::send), if the peer closes before it has taken that; which
    /// may still be written then.
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
        if self.closed().is_none() {
            self.start_close(Some(CloseFrame { code, reason }))?;
        }
        poll_fn(|cx| self.poll_close(cx)).await
    }

    /// Queues a Close frame, and returns at once; [`flush`](Self::flush) or the receiving half sends it.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.shared.start_close(close)
    }

    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        self.shared.poll_room(cx, &mut self.timer)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_aside(cx))?;
        self.shared.poll_sending(Half::Sending, cx, |locked, cx| {
            let poll = locked.poll_flush_in_time(cx, &mut self.timer);
            locked.unless_refused(poll)
        })
    }

    /// Compresses what [`queue_or_set_aside`](Self::queue_or_set_aside) set aside.
    pub(super) fn poll_aside(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_aside(cx)
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll_close(cx, &mut self.timer)
    }

    /// Queues a message, however much is queued. One that is to be compressed is, all at once.
    pub(super) fn queue(&mut self, message: impl ToSend) -> Result<(), Error> {
        if !message.is_large() {
            return self.shared.lock().outbound.queue(|outbound| message.queue(outbound));
        }
        compressed(message, &*self.shared, |queue| self.shared.lock().outbound.queue(queue))
    }

    /// Queues a message, or leaves it to the next poll to compress it before.
    pub(super) fn queue_or_set_aside(&mut self, message: impl ToSend) -> Result<(), Error> {
        self.shared.lock().outbound.queue_or_set_aside(message)
    }
}

/// A message is sent. It is a type of its own to be inlined, as a closure that does this would not be.
struct Sending<'a, S: Transport, M> {
    sender: &'a mut WebSocketSender<S>,
    message: Outgoing<M>,
}

/// None of its fields is pinned.
impl<S: Transport, M> Unpin for Sending<'_, S, M> {}

impl<S: Transport, M: ToSend> Future for Sending<'_, S, M> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, message } = &mut *self;
        sender.poll_send(cx, message)
    }
}

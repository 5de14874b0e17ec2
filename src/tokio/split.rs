//! The two halves of a WebSocket, for two tasks.
//!
//! The receiving half has its state to itself; the transport and the sending half's state are shared
//! behind a lock, which is held only inside `poll` functions.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::sync::Mutex;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::drive::{Half, Reading, Shared, Timer, Wakers, lock, now};
use crate::adapter::{Incoming, Outbound, Part, Step, Want};
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

pub(super) fn split<S>(
    reading: Reading,
    shared: Shared<S>,
    timer: Timer,
) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
    let both = Arc::new(Both { shared: Mutex::new(shared), wakers: Arc::default() });
    let receiver = WebSocketReceiver { reading: Some(Box::new(reading)), both: both.clone() };
    (WebSocketSender { timer, both }, receiver)
}

#[derive(Debug)]
struct Both<S> {
    shared: Mutex<Shared<S>>,
    wakers: Arc<Wakers>,
}

impl<S> Both<S> {
    /// Does something as the sending half. The deadlines that come of it are for both halves to keep: a
    /// receiving half that waits is woken to see a new one.
    fn sending<T>(&self, f: impl FnOnce(&mut Shared<S>) -> T) -> T {
        let mut shared = lock(&self.shared);
        let before = shared.outbound.sending.poll_timeout();
        let result = f(&mut shared);
        let after = shared.outbound.sending.poll_timeout();
        drop(shared);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.wakers.wake_half(Half::Receiving);
        }
        result
    }

    fn poll_sending<T>(&self, cx: &Context<'_>, f: impl FnOnce(&mut Shared<S>, &mut Context<'_>) -> T) -> T {
        self.wakers.poll(Half::Sending, cx, |cx| self.sending(|shared| f(shared, cx)))
    }
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
        self.reading.as_ref().and_then(|reading| reading.closed.as_ref())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketReceiver<S> {
    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
        poll_fn(|cx| self.poll_step(cx, Want::MessagesAndPings))
            .await
            .map(|step| step.and_then(Step::into_incoming))
    }

    /// The next part of a message; see [`WebSocket::recv_part`](super::WebSocket::recv_part).
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        poll_fn(|cx| self.poll_step(cx, Want::Parts)).await.map(|step| step.and_then(Step::into_part))
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.poll_step(cx, Want::Messages).map_ok(|step| step.and_then(Step::into_message))
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, want: Want) -> Poll<Result<Option<Step>, Error>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(Ok(None));
        };
        let both = &self.both;
        both.wakers
            .poll(Half::Receiving, cx, |cx| reading.poll_next(cx, &both.shared, want))
            .map(Option::transpose)
    }
}

impl<S> Drop for WebSocketReceiver<S> {
    /// Leaves the state to the sending half, which can then complete the closing handshake by itself.
    fn drop(&mut self) {
        lock(&self.both.shared).orphan = self.reading.take();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketSender<S> {
    /// Sends a message; see [`WebSocket::send`](super::WebSocket::send).
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
    ///
    /// Dropped before it returns, the message was not queued.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(|outbound| outbound.send(message.into()))
    }

    /// Queues part of a message; see [`WebSocket::feed_part`](super::WebSocket::feed_part).
    ///
    /// Dropped before it returns, the part was not queued.
    pub async fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(|outbound| outbound.send_part(kind, payload.into(), last))
    }

    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        lock(&self.both.shared).outbound.sending.sender().compress(compress);
    }

    /// Writes everything that was queued.
    ///
    /// Cancel safe: what is left is written by the next call of either half that writes.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends a Ping; see [`WebSocket::ping`](super::WebSocket::ping).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(|outbound| outbound.ping(payload))?;
        self.flush().await
    }

    /// Sends a Pong that no Ping asked for; see [`WebSocket::pong`](super::WebSocket::pong).
    pub async fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(|outbound| outbound.pong(payload))?;
        self.flush().await
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
        self.queue(|outbound| outbound.close(close, now()))?;
        // It sleeps until a later deadline than that of the closing handshake.
        self.both.wakers.wake_half(Half::Receiving);
        Ok(())
    }

    pub(super) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.both.poll_sending(cx, |shared, cx| shared.poll_room(cx, &mut self.timer))
    }

    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.both.poll_sending(cx, |shared, cx| shared.poll_flush_in_time(cx, &mut self.timer))
    }

    pub(super) fn poll_close(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.both.poll_sending(cx, |shared, cx| {
            let Some(mut reading) = shared.orphan.take() else {
                return shared.poll_flush_in_time(cx, &mut self.timer);
            };
            let result = loop {
                match reading.poll_next(cx, &mut *shared, Want::Parts) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => break Poll::Ready(Err(error)),
                    Poll::Ready(None) => break Poll::Ready(Ok(())),
                    Poll::Pending => break Poll::Pending,
                }
            };
            shared.orphan = Some(reading);
            Poll::Ready(ready!(result))
        })
    }

    pub(super) fn queue(
        &mut self,
        f: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.both.sending(|shared| shared.outbound.queue(f))
    }
}

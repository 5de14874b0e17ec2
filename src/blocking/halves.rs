//! The two halves of a WebSocket, for two threads.

use alloc::sync::Arc;
use core::ops::Deref;
use core::task::Poll;
use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use super::ports::HalfPort;
use super::sending::Sending;
use super::shared::{Reading, Shared, SplitReader};
use super::transport::{Transport, TryClone};
use crate::connection::Closed;
use crate::endpoint::outgoing::try_feed;
use crate::endpoint::sync::{lock, try_lock};
use crate::endpoint::{Error, Incoming, Item, Negotiated, Nothing, Outbound, Part, Queued, Sendable};
#[cfg(feature = "deflate")]
use crate::extension::AgreedDeflate;
use crate::frame::{CloseCode, CloseFrame};
use crate::handshake::Response;
use crate::message::{Message, MessageKind};

pub(super) fn split<S: TryClone>(
    reading: Reading,
    sender: WebSocketSender<S>,
) -> Result<(WebSocketSender<S>, WebSocketReceiver<S>), Error> {
    let shared = sender.shared.clone();
    shared.part(reading).map_err(Error::ConnectionLost)?;
    Ok((sender, WebSocketReceiver { shared }))
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It answers the peer's Pings and Close frame, and keeps the deadlines, while [`recv`](Self::recv)
/// runs; when nobody receives, the calls of the sending half do: see [who reads](super#who-reads).
#[derive(Debug)]
pub struct WebSocketReceiver<S: Transport> {
    pub(super) shared: Arc<Shared<S>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket). When it is dropped, what [`send`](Self::send) left
/// queued is written, which may take [`Config::write_timeout`](crate::Config::write_timeout).
#[derive(Debug)]
pub struct WebSocketSender<S: Transport> {
    pub(super) shared: Arc<Shared<S>>,
}

impl<S: Transport> WebSocketReceiver<S> {
    /// The stream below; see [`WebSocket::get_ref`](super::WebSocket::get_ref).
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.shared.stream_read()
    }

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

    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.next::<Message>()
    }

    /// The next message, if it comes in this time; see [`WebSocket::recv_timeout`](super::WebSocket::recv_timeout).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Poll<Option<Message>>, Error> {
        let until = Instant::now().checked_add(timeout);
        receive(&self.shared, |reading, mut port| reading.next_until(&mut port, until), Poll::Ready(None))
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    pub fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
        self.next::<Incoming>()
    }

    /// The next part of a message; see [`WebSocket::recv_part`](super::WebSocket::recv_part).
    pub fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        self.next::<Part>()
    }

    fn next<T: Item>(&mut self) -> Result<Option<T>, Error> {
        next(&self.shared)
    }
}

impl<S: Transport> Drop for WebSocketReceiver<S> {
    /// Leaves the state to the sending half, which can then complete the closing handshake by itself. If its `close` has
    /// returned, nobody will: then the transport is closed for writing, so that the peer need not wait for that.
    fn drop(&mut self) {
        self.shared.orphan();
        self.shared.close_orphaned();
    }
}

impl<S: Transport + Send + 'static> WebSocketSender<S> {
    /// Sends a message. What [`WebSocket::send`](super::WebSocket::send) promises, this does: if the
    /// receiving half has more to receive, the message may be left queued. That half answers while this one compresses
    /// the message, and may answer a Close frame, after which it is not sent.
    pub fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        let unread = self.shared.is_unread();
        self.sending().send(unread, message.to_send())
    }
}

impl<S: Transport> WebSocketSender<S> {
    /// The stream has the write timeout.
    pub(super) fn new(io: S, negotiated: Negotiated, outbound: Outbound) -> Self {
        Self { shared: Arc::new(Shared::new(io, negotiated, outbound)) }
    }

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

    /// The stream below. Reading from it or writing to it would corrupt the connection. What [`send`](Self::send) left
    /// queued, and the other half's answers, are not written while the guard is held, and a second guard waits for the first.
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.shared.stream()
    }

    /// How the connection closed, once it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.shared.closed.get()
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
    pub fn feed(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.sending().feed(message.to_send())
    }

    /// Queues a message like [`feed`](Self::feed), if there is room; see
    /// [`WebSocket::try_feed`](super::WebSocket::try_feed).
    pub fn try_feed(&mut self, message: impl Sendable) -> Result<bool, Error> {
        try_feed(message.to_send(), &*self.shared)
    }

    /// How much is queued and not yet written.
    pub fn queued(&self) -> Queued {
        self.shared.outbound().queued()
    }

    /// Whether messages can be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.shared.outbound().is_open()
    }

    /// What was queued when the connection ended, and was not written.
    pub(super) fn unwritten(&self) -> Queued {
        self.shared.outbound().unwritten()
    }

    /// Queues part of a message; see [`WebSocket::feed_part`](super::WebSocket::feed_part).
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        self.sending().feed_part(kind, payload, last)
    }

    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.shared.outbound().sending.sender().compress(compress);
    }

    /// Writes everything that was queued. Fails like [`send`](Self::send), if the peer closes before it has taken that; which
    /// may still be written then.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.sending().flush()
    }

    /// Sends a Ping; see [`WebSocket::ping`](super::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sending().write(|outbound| outbound.ping(payload))
    }

    /// Sends a Pong that no Ping asked for; see [`WebSocket::pong`](super::WebSocket::pong).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sending().write(|outbound| outbound.pong(payload))
    }

    /// Sends a Close frame. No message can be sent after it. Does nothing if one was sent before.
    ///
    /// The closing handshake is completed by the receiving half's
    /// [`recv`](WebSocketReceiver::recv), which returns `None` then. If that half was dropped, this
    /// call completes it, within [`Config::close_timeout`](crate::Config::close_timeout); also if it is dropped while
    /// this call writes.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if self.closed().is_none() {
            self.queue_close(Some(CloseFrame { code, reason }))?;
        }
        if !self.shared.is_orphaned() {
            self.sending().flush_close()?;
        }
        if self.shared.is_orphaned() {
            next::<S, Nothing>(&self.shared)?;
        }
        Ok(())
    }

    /// Queues a Close frame, and returns at once. No message can be sent after it. Does nothing if one was
    /// sent before. [`flush`](Self::flush) sends it, or the receiving half before it waits the next time; if that waits
    /// already, it is sent here, as far as the transport takes it at once.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.queue_close(close)?;
        if self.shared.reader().and_then(try_lock).is_none() {
            // The next call finds out.
            let _ = self.shared.flush_if_idle();
        }
        Ok(())
    }

    pub(super) fn queue_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.shared.outbound().queue(|outbound| outbound.close(close, Instant::now()))
    }

    pub(super) fn sending(&mut self) -> Sending<'_, S> {
        Sending::half(&self.shared)
    }
}

impl<S: Transport> Drop for WebSocketSender<S> {
    fn drop(&mut self) {
        self.shared.flush_left();
    }
}

/// Receives the next thing. `None` too if there is no receiving half's state, which a half always has.
fn next<S: Transport, T: Item>(shared: &Shared<S>) -> Result<Option<T>, Error> {
    receive(shared, |reading, port| reading.next(port), None)
}

fn receive<S: Transport, T>(
    shared: &Shared<S>,
    next: impl FnOnce(&mut Reading, HalfPort<'_, S>) -> Result<T, Error>,
    none: T,
) -> Result<T, Error> {
    shared.note_received();
    let mut reader = shared.reader().map(lock);
    let Some(SplitReader { reading: Some(reading), io }) = reader.as_deref_mut() else {
        return Ok(none);
    };
    let item = next(reading, HalfPort { io, shared });
    shared.set_unread(reading.inbound.is_unread());
    shared.closed.note(reading.inbound.closed());
    item
}

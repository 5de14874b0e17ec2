//! The two halves of a WebSocket, for two threads.

use alloc::boxed::Box;
use alloc::sync::Arc;
use std::io;
use std::time::Instant;

use bytes::Bytes;

use super::drive::Reading;
use super::shared::{Both, Shared, lock};
use super::transport::{Transport, TryClone};
use crate::adapter::{Incoming, Outbound, Part, Step, Want};
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind, PreparedMessage};

pub(super) fn split<S: TryClone>(
    reading: Reading,
    sender: WebSocketSender<S>,
) -> io::Result<(WebSocketSender<S>, WebSocketReceiver<S>)> {
    let both = sender.both.clone();
    let receiving = Receiving { reading, io: both.part()? };
    receiving.tell_unread(&both);
    Ok((sender, WebSocketReceiver { receiving: Some(Box::new(receiving)), both }))
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It answers the peer's Pings and Close frame, and keeps the deadlines, while [`recv`](Self::recv)
/// runs.
#[derive(Debug)]
pub struct WebSocketReceiver<S> {
    /// `None` only while it is being dropped.
    receiving: Option<Box<Receiving<S>>>,
    both: Arc<Both<S>>,
}

/// The sending half of a [`WebSocket`](super::WebSocket). When it is dropped, what [`send`](Self::send) left
/// queued is written, which may take [`Config::write_timeout`](crate::Config::write_timeout).
#[derive(Debug)]
pub struct WebSocketSender<S: Transport> {
    pub(super) both: Arc<Both<S>>,
}

impl<S> WebSocketReceiver<S> {
    /// How the connection closed, once [`recv`](Self::recv) has returned `None` or an error that ends
    /// the connection.
    pub fn closed(&self) -> Option<&Closed> {
        self.receiving.as_ref()?.reading.closed()
    }
}

impl<S: Transport> WebSocketReceiver<S> {
    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        if let Some(receiving) = &mut self.receiving
            && let Some(message) = receiving.whole_message(&self.both)
        {
            return Ok(Some(message));
        }
        self.step(Want::Messages).map(|step| step.and_then(Step::into_message))
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    pub fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
        self.step(Want::MessagesAndPings).map(|step| step.and_then(Step::into_incoming))
    }

    /// The next part of a message; see [`WebSocket::recv_part`](super::WebSocket::recv_part).
    pub fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        self.step(Want::Parts).map(|step| step.and_then(Step::into_part))
    }

    fn step(&mut self, want: Want) -> Result<Option<Step>, Error> {
        match &mut self.receiving {
            Some(receiving) => receiving.step(&self.both, want),
            None => Ok(None),
        }
    }
}

impl<S> Drop for WebSocketReceiver<S> {
    /// Leaves the state to the sending half, which can then complete the closing handshake by itself.
    fn drop(&mut self) {
        self.both.set_unread(false);
        *lock(&self.both.orphan) = self.receiving.take();
    }
}

impl<S: Transport + Send + 'static> WebSocketSender<S> {
    /// Sends a message. What [`WebSocket::send`](super::WebSocket::send) promises, this does: if the
    /// receiving half has more to receive, the message may be left queued.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.both.send(self.both.is_unread(), |outbound| outbound.send(message.into()))
    }

    /// Sends a message that was framed once for many connections; see [`PreparedMessage`]. What
    /// [`send`](Self::send) promises, this does.
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.both.send(self.both.is_unread(), |outbound| outbound.send_prepared(message))
    }
}

impl<S: Transport> WebSocketSender<S> {
    /// The stream has the write timeout.
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        Self { both: Arc::new(Both::new(io, outbound)) }
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.both.feed(|outbound| outbound.send(message.into()))
    }

    /// Queues part of a message; see [`WebSocket::feed_part`](super::WebSocket::feed_part).
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        self.both.feed(|outbound| outbound.send_part(kind, payload.into(), last))
    }

    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.both.outbound().sending.sender().compress(compress);
    }

    /// Writes everything that was queued.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.both.flush()
    }

    /// Sends a Ping; see [`WebSocket::ping`](super::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|outbound| outbound.ping(payload))?;
        self.flush()
    }

    /// Sends a Pong that no Ping asked for; see [`WebSocket::pong`](super::WebSocket::pong).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|outbound| outbound.pong(payload))?;
        self.flush()
    }

    /// Sends a Close frame. No message can be sent after it. Does nothing if one was sent before.
    ///
    /// The closing handshake is completed by the receiving half's
    /// [`recv`](WebSocketReceiver::recv), which returns `None` then. If that half was dropped, this
    /// call completes it, within [`Config::close_timeout`](crate::Config::close_timeout).
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(Some(CloseFrame { code, reason }))?;
        match &mut *lock(&self.both.orphan) {
            Some(receiving) => {
                while receiving.step(&self.both, Want::Parts)?.is_some() {}
                Ok(())
            }
            None => self.both.flush(),
        }
    }

    /// Queues a Close frame, and returns at once. No message can be sent after it. Does nothing if one was
    /// sent before. [`flush`](Self::flush) sends it, or the receiving half before it waits the next time.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.queue(|outbound| outbound.close(close, Instant::now()))
    }

    fn queue(&mut self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        self.both.outbound().queue(f)
    }
}

impl<S: Transport> Drop for WebSocketSender<S> {
    fn drop(&mut self) {
        self.both.flush_left();
    }
}

/// What the receiving half has to itself.
#[derive(Debug)]
pub(super) struct Receiving<S> {
    reading: Reading,
    /// For reading, and for closing the transport.
    io: S,
}

impl<S: Transport> Receiving<S> {
    fn whole_message(&mut self, both: &Both<S>) -> Option<Message> {
        let message = self.reading.whole_message(Shared { io: &mut self.io, both })?;
        self.tell_unread(both);
        Some(message)
    }

    fn step(&mut self, both: &Both<S>, want: Want) -> Result<Option<Step>, Error> {
        // It may have to wait: what is sent meanwhile is not to wait for that.
        both.set_unread(false);
        let step = self.reading.next(Shared { io: &mut self.io, both }, want);
        self.tell_unread(both);
        step
    }

    fn tell_unread(&self, both: &Both<S>) {
        both.set_unread(!self.reading.inbound.input.is_empty());
    }
}

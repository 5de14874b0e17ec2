//! The two halves of a WebSocket, for two threads.
//!
//! There are two locks, so that a thread that receives never waits behind one whose write is blocked:
//! both peers could otherwise wait for each other. `outbound` is held to queue frames, and never while
//! bytes are written; `io` is held while bytes are written. Whoever lets go of `io` looks at the queue
//! once more, so that a frame that was queued meanwhile is not left behind.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use bytes::Bytes;

use super::drive::{self, Port, Reading};
use super::transport::{Transport, TryClone};
use crate::adapter::{Incoming, Outbound, Part, Step, Want};
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

pub(super) fn split<S: TryClone>(
    reading: Reading,
    io: S,
    outbound: Outbound,
) -> io::Result<(WebSocketSender<S>, WebSocketReceiver<S>)> {
    let receiving = Receiving { reading, io: io.try_clone()? };
    let both =
        Arc::new(Both { outbound: Mutex::new(outbound), io: Mutex::new(io), orphan: Mutex::new(None) });
    let receiver = WebSocketReceiver { receiving: Some(Box::new(receiving)), both: both.clone() };
    Ok((WebSocketSender { both }, receiver))
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

/// The sending half of a [`WebSocket`](super::WebSocket).
#[derive(Debug)]
pub struct WebSocketSender<S> {
    both: Arc<Both<S>>,
}

impl<S> WebSocketReceiver<S> {
    /// How the connection closed, once [`recv`](Self::recv) has returned `None` or an error that ends
    /// the connection.
    pub fn closed(&self) -> Option<&Closed> {
        self.receiving.as_ref().and_then(|receiving| receiving.reading.closed.as_ref())
    }
}

impl<S: Transport> WebSocketReceiver<S> {
    /// The next message; see [`WebSocket::recv`](super::WebSocket::recv).
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
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
        *lock(&self.both.orphan) = self.receiving.take();
    }
}

impl<S: Transport> WebSocketSender<S> {
    /// Sends a message. When it returns, the message was handed to the transport.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Queues a message; see [`WebSocket::feed`](super::WebSocket::feed).
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.make_room()?;
        self.queue(|outbound| outbound.send(message.into()))
    }

    /// Queues part of a message; see [`WebSocket::feed_part`](super::WebSocket::feed_part).
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        self.make_room()?;
        self.queue(|outbound| outbound.send_part(kind, payload.into(), last))
    }

    /// Whether messages that are sent from now on are compressed; see
    /// [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        lock(&self.both.outbound).sending.sender().compress(compress);
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
        self.queue(|outbound| outbound.close(Some(CloseFrame { code, reason }), Instant::now()))?;
        match &mut *lock(&self.both.orphan) {
            Some(receiving) => {
                while receiving.step(&self.both, Want::Parts)?.is_some() {}
                Ok(())
            }
            None => self.both.flush(),
        }
    }

    fn make_room(&self) -> Result<(), Error> {
        let full = lock(&self.both.outbound).is_full();
        if full { self.both.flush() } else { Ok(()) }
    }

    fn queue(&mut self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        lock(&self.both.outbound).queue(f)
    }
}

/// What the receiving half has to itself.
#[derive(Debug)]
struct Receiving<S> {
    reading: Reading,
    /// For reading, and for closing the transport.
    io: S,
}

impl<S: Transport> Receiving<S> {
    fn step(&mut self, both: &Both<S>, want: Want) -> Result<Option<Step>, Error> {
        self.reading.next(Shared { io: &mut self.io, both }, want)
    }
}

#[derive(Debug)]
struct Both<S> {
    outbound: Mutex<Outbound>,
    /// For writing.
    io: Mutex<S>,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    orphan: Mutex<Option<Box<Receiving<S>>>>,
}

impl<S: Transport> Both<S> {
    /// Writes what is queued, after what another thread is writing.
    fn flush(&self) -> Result<(), Error> {
        self.write(lock(&self.io))?;
        self.flush_if_idle()
    }

    /// Writes what is queued, unless another thread is writing: that one will look again.
    fn flush_if_idle(&self) -> Result<(), Error> {
        while !lock(&self.outbound).queue.is_empty() {
            match self.io.try_lock() {
                Ok(io) => self.write(io)?,
                Err(TryLockError::Poisoned(io)) => self.write(io.into_inner())?,
                Err(TryLockError::WouldBlock) => break,
            }
        }
        Ok(())
    }

    fn write(&self, mut io: MutexGuard<'_, S>) -> Result<(), Error> {
        loop {
            let mut outbound = lock(&self.outbound);
            if let Some(ended) = outbound.ended() {
                return ended.map_err(Error::ConnectionLost);
            }
            let mut queue = core::mem::take(&mut outbound.queue);
            drop(outbound);
            if queue.is_empty() {
                return Ok(());
            }
            drive::write_all(&mut *io, &mut queue).inspect_err(|error| {
                lock(&self.outbound).fail_writes(matches!(error, Error::TimedOut(_)));
            })?;
            lock(&self.outbound).answer_held();
        }
    }
}

/// The receiving half's way to the rest.
struct Shared<'a, S> {
    io: &'a mut S,
    both: &'a Both<S>,
}

impl<S: Transport> Port for Shared<'_, S> {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        self.io
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut lock(&self.both.outbound))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.both.flush_if_idle()
    }

    /// The other thread may close the connection while this one waits for input: its deadline is then
    /// noticed at most this much later.
    fn longest_wait(&mut self) -> Option<Duration> {
        Some(lock(&self.both.outbound).sending.close_timeout())
    }
}

/// A panic in the other half's thread leaves the state as whole as it was between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

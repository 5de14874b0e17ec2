//! The two halves of a WebSocket, for two threads.
//!
//! A thread that receives never waits for a write, neither its own nor the other thread's: both peers
//! could otherwise wait for each other to read. So there are two locks: `outbound` is held to queue
//! frames, and never while bytes are written; `writer` is held while bytes are written. Whoever lets go of
//! `writer` looks at the queue once more, so that a frame that was queued meanwhile is not left behind.
//! And what the receiving thread writes, it tries briefly, and tries again between two reads.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use bytes::Bytes;

use super::drive::{self, Port, Reading, non_zero};
use super::transport::{Transport, TryClone};
use crate::adapter::{Incoming, Outbound, Part, Step, Want, WriteQueue};
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::framed::FramedMessage;
use crate::message::{Message, MessageKind};

pub(super) fn split<S: TryClone>(
    reading: Reading,
    io: S,
    outbound: Outbound,
) -> io::Result<(WebSocketSender<S>, WebSocketReceiver<S>)> {
    let receiving = Receiving { reading, io: io.try_clone()? };
    let write_timeout = non_zero(outbound.sending.write_timeout());
    let both = Arc::new(Both {
        outbound: Mutex::new(outbound),
        writer: Mutex::new(Writer { io, timeout: write_timeout }),
        write_timeout,
        unflushed: AtomicBool::new(false),
        orphan: Mutex::new(None),
    });
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
        *lock(&self.both.orphan) = self.receiving.take();
    }
}

impl<S: Transport> WebSocketSender<S> {
    /// Sends a message. When it returns, the message was handed to the transport.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Sends a message that was framed once for many connections; see [`FramedMessage`]. What
    /// [`send`](Self::send) promises, this does.
    pub fn send_framed(&mut self, message: &FramedMessage) -> Result<(), Error> {
        self.make_room()?;
        self.queue(|outbound| outbound.send_framed(message))?;
        self.flush()
    }

    /// Queues a message. [`flush`](Self::flush) sends it; a receiving half that waits already does not.
    /// Waits, or writes, like [`WebSocket::feed`](super::WebSocket::feed).
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
    fn whole_message(&mut self, both: &Both<S>) -> Option<Message> {
        self.reading.whole_message(Shared { io: &mut self.io, both })
    }

    fn step(&mut self, both: &Both<S>, want: Want) -> Result<Option<Step>, Error> {
        self.reading.next(Shared { io: &mut self.io, both }, want)
    }
}

#[derive(Debug)]
struct Both<S> {
    outbound: Mutex<Outbound>,
    writer: Mutex<Writer<S>>,
    /// How long a write of the sending half may take.
    write_timeout: Duration,
    /// The stream took bytes that it has not passed on, as TLS may; set by whoever has `writer`.
    unflushed: AtomicBool,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    orphan: Mutex<Option<Box<Receiving<S>>>>,
}

#[derive(Debug)]
struct Writer<S> {
    io: S,
    /// The write timeout that `io` has.
    timeout: Duration,
}

impl<S: Transport> Both<S> {
    /// Writes what is queued, after what another thread is writing.
    fn flush(&self) -> Result<(), Error> {
        self.write(lock(&self.writer), self.write_timeout)?;
        self.flush_if_idle(self.write_timeout)?;
        Ok(())
    }

    /// Writes what is queued, unless another thread is writing: that one will look again. False if so, or
    /// if the transport did not take all in time.
    fn flush_if_idle(&self, timeout: Duration) -> Result<bool, Error> {
        loop {
            let written = match self.writer.try_lock() {
                Ok(writer) => self.write(writer, timeout)?,
                Err(TryLockError::Poisoned(writer)) => self.write(writer.into_inner(), timeout)?,
                Err(TryLockError::WouldBlock) => false,
            };
            if !written || lock(&self.outbound).queue.is_empty() {
                return Ok(written);
            }
        }
    }

    /// Writes what is queued. False when the transport did not take all in time, and is to be given more.
    fn write(&self, mut writer: MutexGuard<'_, Writer<S>>, timeout: Duration) -> Result<bool, Error> {
        loop {
            let mut outbound = lock(&self.outbound);
            if let Some(ended) = outbound.ended() {
                outbound.queue.clear();
                return ended.map(|()| true).map_err(Error::ConnectionLost);
            }
            if outbound.queue.is_empty() && !self.unflushed.load(Ordering::Relaxed) {
                return Ok(true);
            }
            let mut queue = core::mem::take(&mut outbound.queue);
            drop(outbound);
            let len = queue.len();
            let written = writer.write_all(&mut queue, timeout);
            self.unflushed.store(written.is_err(), Ordering::Relaxed);
            let mut outbound = lock(&self.outbound);
            if queue.len() < len || written.is_ok() {
                outbound.sending.on_written();
            }
            match written {
                Ok(()) => {
                    outbound.answer_held();
                }
                Err(Error::TimedOut(_)) if timeout < self.write_timeout => {
                    outbound.sending.on_write_blocked(Instant::now());
                    queue.append(core::mem::take(&mut outbound.queue));
                    outbound.queue = queue;
                    return Ok(false);
                }
                Err(error) => {
                    outbound.fail_writes(matches!(error, Error::TimedOut(_)));
                    return Err(error);
                }
            }
        }
    }
}

impl<S: Transport> Writer<S> {
    fn write_all(&mut self, queue: &mut WriteQueue, timeout: Duration) -> Result<(), Error> {
        if self.timeout != timeout {
            self.io.set_write_timeout(Some(timeout)).map_err(Error::ConnectionLost)?;
            self.timeout = timeout;
        }
        drive::write_all(&mut self.io, queue)
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

    fn flush(&mut self) -> Result<bool, Error> {
        self.both.flush_if_idle(BRIEF.min(self.both.write_timeout))
    }

    /// The other thread may close the connection while this one waits for input: its deadline is then
    /// noticed at most this much later.
    fn longest_wait(&mut self) -> Option<Duration> {
        let outbound = lock(&self.both.outbound);
        let written = outbound.queue.is_empty() && !self.both.unflushed.load(Ordering::Relaxed);
        Some(if written { outbound.sending.close_timeout() } else { AGAIN })
    }
}

/// How long the receiving half tries to write: what a socket with room takes, it takes at once.
const BRIEF: Duration = Duration::from_millis(1);

/// How long the receiving half waits for input before it tries again to write.
const AGAIN: Duration = Duration::from_millis(10);

/// A panic in the other half's thread leaves the state as whole as it was between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The sending half's state, and the transport that it writes to. The halves of a WebSocket share them. A
//! whole WebSocket has them, too, and shares them with the thread of `flusher`, if with anybody.
//!
//! A thread that receives never waits for a write of another thread: both peers could otherwise wait for
//! each other to read. So there are two locks:
//!
//! ```text
//!                                            outbound                  writer
//! frames are queued, deadlines looked at     held                      anybody's, or nobody's
//! `send` writes what it queued               held                      only tried; else as `flush`
//! `flush`                                    second                    first, waited for
//! the receiving half, or `flusher`, writes   second                    first, only tried
//! bytes are written                          let go of (whole: held)   held
//! nothing is queued any more                 let go of second          let go of first
//! a whole WebSocket waits for input          free                      held
//! ```
//!
//! Since `writer` is let go of while `outbound` is locked, and nothing is queued, a frame that was queued by
//! somebody who found `writer` taken is not left behind. What the receiving half writes, it tries briefly,
//! and tries again between two reads.
//!
//! # When `send` leaves a message queued
//!
//! A system call for each message is most of what a small message costs. So while more of what was read
//! waits to be received, `send` leaves its message in the queue: the answers to what came together go
//! together. The receiving half writes what is queued before it waits for input. But its thread may do
//! something else next, or may have waited already when a sending half in another thread still took its
//! `unread` for true: [`flusher`] writes what is left then.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Deref;
use core::time::Duration;
use std::io::{self, IoSlice};
use std::time::Instant;

use super::flusher::{self, Flush, Unwritten};
use super::tracker::Token;
use super::transport::{BRIEF, ReadTimeout, Transport, TryClone, is_timeout, non_zero};
use crate::endpoint::outbound::ToSend;
use crate::endpoint::outgoing::compressed;
use crate::endpoint::sync::atomic::{AtomicBool, Ordering};
use crate::endpoint::sync::{Mutex, MutexGuard, lock, try_lock};
use crate::endpoint::write_queue::WriteQueue;
use crate::endpoint::{Error, Inbound, MAX_SLICES, Outbound, SendSide};
use crate::error::{SendError, TimedOut};

/// The sending half's state, and the way to it.
#[derive(Debug)]
pub(super) struct Shared<S> {
    outbound: Mutex<Outbound>,
    pub(super) writer: Mutex<Writer<S>>,
    /// A write can be tried briefly, so that messages may be left queued.
    pub(super) times_out: bool,
    /// The stream took bytes that it has not passed on, as TLS may; set by whoever has `writer`.
    pub(super) unflushed: AtomicBool,
    /// Some of what was read is still to be received. A hint for the sending half.
    unread: AtomicBool,
    /// Whether `send` left something queued; changed while `outbound` is locked.
    unwritten: Unwritten,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it, and holds
    /// this lock meanwhile, from before the others.
    pub(super) orphan: Mutex<Option<Box<SplitReader<S>>>>,
}

impl<S> Shared<S> {
    /// Tells whether some of what was read is still to be received.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// See [`set_unread`](Self::set_unread).
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The stream.
    pub(super) fn stream(&self) -> impl Deref<Target = S> {
        Stream(lock(&self.writer))
    }

    pub(super) fn outbound(&self) -> MutexGuard<'_, Outbound> {
        lock(&self.outbound)
    }
}

impl<S> SendSide for &Shared<S> {
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut Shared::outbound(self))
    }
}

impl<S: Transport> Shared<S> {
    /// The stream has the write timeout.
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        let timeout = non_zero(outbound.sending.write_timeout());
        Self {
            outbound: Mutex::new(outbound),
            times_out: io.times_out(),
            writer: Mutex::new(Writer { io, timeout, set: BRIEF, whole: true }),
            unflushed: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            unwritten: Unwritten::default(),
            orphan: Mutex::new(None),
        }
    }

    /// Whether nothing waits to be written, or to be passed on by the stream.
    pub(super) fn is_written(&self, outbound: &Outbound) -> bool {
        outbound.queue.is_empty() && !self.unflushed.load(Ordering::Relaxed)
    }

    /// Queues data, once there is room for it.
    pub(super) fn feed(&self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        self.room()?.queue(f)
    }

    /// Waits until there is room in the queue.
    #[inline]
    fn room(&self) -> Result<MutexGuard<'_, Outbound>, Error> {
        let outbound = self.outbound();
        if !outbound.is_full() {
            return Ok(outbound);
        }
        drop(outbound);
        self.flush()?;
        Ok(self.outbound())
    }

    /// Writes what is queued, after what another thread is writing.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let writer = lock(&self.writer);
        self.write(writer, self.outbound(), false).map(drop)
    }

    /// Writes what is queued, unless another thread is writing: that one will see it. False if so, or if
    /// the transport did not take all in a little time.
    pub(super) fn flush_if_idle(&self) -> Result<bool, Error> {
        match try_lock(&self.writer) {
            Some(writer) => self.write(writer, self.outbound(), true),
            None => Ok(false),
        }
    }

    /// Writes what `send` left queued, before the sending half is dropped. Not with a stream that panicked.
    pub(super) fn flush_left(&self) {
        if self.unwritten.is_any() && !self.writer.is_poisoned() {
            // Nobody is there to be told.
            let _ = self.flush();
        }
    }

    /// Writes what is queued, or tries `briefly`: false when the transport did not take all, and is to be given
    /// more time.
    pub(super) fn write<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer<S>>,
        mut outbound: MutexGuard<'a, Outbound>,
        briefly: bool,
    ) -> Result<bool, Error> {
        loop {
            if let Some(ended) = outbound.ended() {
                outbound.queue.clear();
                self.unwritten.set_none();
                return ended.map(|()| true);
            }
            if self.is_written(&outbound) {
                self.unwritten.set_none();
                // Before `outbound` is: see the top of this file.
                drop(writer);
                return Ok(true);
            }
            // Of the closing handshake, if it has begun.
            let deadline = if briefly { None } else { outbound.sending.poll_timeout() };
            let written;
            if writer.whole {
                written = writer.write_all(&mut outbound.queue, briefly, deadline);
            } else {
                (written, outbound) = self.write_apart(&mut writer, outbound, briefly, deadline);
            }
            self.unflushed.store(written.is_err(), Ordering::Relaxed);
            if let Err(failed) = written {
                return write_failed(&mut outbound, failed, briefly);
            }
            outbound.on_written();
        }
    }

    /// Writes the queue while the other half may queue more.
    fn write_apart<'a>(
        &'a self,
        writer: &mut Writer<S>,
        mut outbound: MutexGuard<'a, Outbound>,
        briefly: bool,
        deadline: Option<Instant>,
    ) -> (Result<(), Failed>, MutexGuard<'a, Outbound>) {
        let mut queue = outbound.take_queue();
        drop(outbound);
        let written = writer.write_all(&mut queue, briefly, deadline);
        outbound = self.outbound();
        outbound.put_back(queue);
        (written, outbound)
    }
}

impl<S: Transport + Send + 'static> Shared<S> {
    /// Sends a message; a large one is compressed before, without either lock.
    #[inline]
    pub(super) fn send_message(self: &Arc<Self>, unread: bool, message: impl ToSend) -> Result<(), Error> {
        if message.is_large() {
            return compressed(message, &**self, |queue| self.send(unread, queue));
        }
        self.send(unread, |outbound| message.queue(outbound))
    }

    /// Queues a message, and writes it; or leaves that to a later write, if some of what was read is
    /// `unread`.
    #[inline]
    fn send(
        self: &Arc<Self>,
        unread: bool,
        message: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut outbound = self.room()?;
        outbound.queue(message)?;
        if unread && self.times_out {
            let watched = self.unwritten.set_any();
            drop(outbound);
            if watched || flusher::watch(self) { Ok(()) } else { self.flush() }
        } else if let Some(writer) = try_lock(&self.writer) {
            self.write(writer, outbound, false).map(drop)
        } else {
            drop(outbound);
            self.flush()
        }
    }
}

impl<S: Transport + Send> Flush for Shared<S> {
    fn unwritten(&self) -> &Unwritten {
        &self.unwritten
    }

    fn write_briefly(&self) -> bool {
        // If it is written already, by a thread that has `writer`, it need not be tried.
        let blocked = try_lock(&self.writer)
            .is_some_and(|writer| matches!(self.write(writer, self.outbound(), true), Ok(false)));
        if blocked {
            // The next call of the connection's owner finds out.
            let _ = self.outbound().handle_timeout(Instant::now());
        }
        !blocked
    }
}

impl<S: TryClone> Shared<S> {
    /// Another handle of the stream, for a receiving half in another thread.
    pub(super) fn part(&self) -> io::Result<S> {
        let mut writer = lock(&self.writer);
        writer.whole = false;
        writer.io.try_clone()
    }
}

/// The stream in what is locked.
struct Stream<'a, S>(MutexGuard<'a, Writer<S>>);

impl<S> Deref for Stream<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.io
    }
}

#[derive(Debug)]
pub(super) struct Writer<S> {
    pub(super) io: S,
    /// How long the transport may take nothing, where a write is not only tried.
    timeout: Duration,
    /// The timeout that is set. It is `BRIEF` but after a wait, so that what is written at once sets none.
    set: Duration,
    /// No receiving half in another thread needs the queue while bytes are written.
    whole: bool,
}

impl<S: Transport> Writer<S> {
    /// Writes the whole queue, or tries `briefly`. It takes no longer than until `deadline`.
    #[inline]
    fn write_all(
        &mut self,
        queue: &mut WriteQueue,
        briefly: bool,
        deadline: Option<Instant>,
    ) -> Result<(), Failed> {
        let before = queue.len();
        self.try_write_all(queue, briefly, deadline)
            .map_err(|error| Failed { error, took_some: queue.len() < before })
    }

    fn try_write_all(
        &mut self,
        queue: &mut WriteQueue,
        briefly: bool,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        self.wait_for(BRIEF)?;
        let brief_end = briefly.then(|| Instant::now() + BRIEF);
        let mut waits = false;
        loop {
            let written = if queue.is_empty() {
                self.io.flush().map(|()| None)
            } else if let Some(slice) = queue.one_slice() {
                self.io.write(slice).map(Some)
            } else {
                self.io.write_vectored(queue.slices(&mut [IoSlice::new(&[]); MAX_SLICES])).map(Some)
            };
            match written {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => return Err(Error::ConnectionLost(io::ErrorKind::WriteZero.into())),
                Ok(Some(len)) => {
                    queue.advance(len);
                    if !queue.is_empty() && brief_end.is_some_and(|end| end <= Instant::now()) {
                        return Err(TimedOut::Write.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if !is_timeout(&error) => return Err(Error::ConnectionLost(error)),
                Err(_) if briefly || waits => return Err(TimedOut::Write.into()),
                Err(_) => {
                    waits = true;
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    self.wait_for(left.map_or(self.timeout, |left| non_zero(left).min(self.timeout)))?;
                }
            }
        }
    }

    /// Has writes time out after so long.
    fn wait_for(&mut self, timeout: Duration) -> Result<(), Error> {
        if self.set != timeout {
            self.set = timeout;
            self.io.set_write_timeout(Some(timeout)).map_err(Error::ConnectionLost)?;
        }
        Ok(())
    }
}

/// A write that did not come to its end.
struct Failed {
    error: Error,
    /// The transport took some of the bytes.
    took_some: bool,
}

/// Takes note of it. False if it is only that the transport did not take all of what was tried briefly.
#[cold]
fn write_failed(
    outbound: &mut Outbound,
    Failed { error, took_some }: Failed,
    briefly: bool,
) -> Result<bool, Error> {
    let timed_out = matches!(error, Error::TimedOut(_));
    if took_some {
        outbound.on_written();
    }
    if timed_out && briefly {
        outbound.sending.on_write_blocked(Instant::now());
        return Ok(false);
    }
    outbound.fail_writes(timed_out);
    match outbound.sending.handle_timeout(Instant::now()) {
        // It was the closing handshake's.
        Err(passed) if timed_out => Err(passed.into()),
        _ => Err(error),
    }
}

/// The receiving half's state: whoever receives has it alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    /// The read timeout that the stream has.
    pub(super) timeout: ReadTimeout,
    /// Of a connection that `serve` accepted.
    pub(super) token: Option<Arc<Token>>,
}

/// What the receiving half has to itself.
#[derive(Debug)]
pub(super) struct SplitReader<S> {
    pub(super) reading: Reading,
    /// For reading, and for closing the transport.
    pub(super) io: S,
}

//! The sending half's state, and the transport that it writes to. The halves of a WebSocket share them. A
//! whole WebSocket has them, too, and shares them with the thread of `later`, if with anybody.
//!
//! A thread that receives never waits for a write of another thread: both peers could otherwise wait for
//! each other to read. So there are two locks: `writer` is held while bytes are written; `outbound` is held to
//! queue frames, and, where there are halves, never while bytes are written. Who has `outbound` only tries to
//! lock `writer`, and does not wait. And `writer` is let go of while `outbound` is locked, and nothing is queued:
//! so a frame that was queued by somebody who found `writer` taken is not left behind. What the receiving
//! half writes, it tries briefly, and tries again between two reads.
//!
//! # When `send` leaves a message queued
//!
//! A system call for each message is most of what a small message costs. So while more of what was read
//! waits to be received, `send` leaves its message in the queue: the answers to what came together go
//! together. The receiving half writes what is queued before it waits for input. But its thread may do
//! something else next, or may have waited already when a sending half in another thread still took its
//! `unread` for true: [`later`] writes what is left then.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use super::drive::{self, Port, non_zero};
use super::later::{self, Late, Left};
use super::split::Receiving;
use super::transport::{Transport, TryClone};
use crate::adapter::{Outbound, WriteQueue};
use crate::error::{Error, SendError, TimedOut};

/// The sending half's state, and the way to it.
#[derive(Debug)]
pub(super) struct Both<S> {
    outbound: Mutex<Outbound>,
    writer: Mutex<Writer<S>>,
    /// A write can be tried briefly, so that messages may be left queued.
    times_out: bool,
    /// The stream took bytes that it has not passed on, as TLS may; set by whoever has `writer`.
    unflushed: AtomicBool,
    /// Some of what was read is still to be received. A hint for the sending half.
    unread: AtomicBool,
    /// Whether `send` left something queued; changed while `outbound` is locked.
    left: Left,
    /// The receiving half's state, once that half was dropped: `close` completes the handshake with it.
    pub(super) orphan: Mutex<Option<Box<Receiving<S>>>>,
}

impl<S> Both<S> {
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

impl<S: Transport> Both<S> {
    /// The stream has the write timeout.
    pub(super) fn new(io: S, outbound: Outbound) -> Self {
        let timeout = non_zero(outbound.sending.write_timeout());
        Self {
            outbound: Mutex::new(outbound),
            times_out: io.times_out(),
            writer: Mutex::new(Writer { io, timeout, set: timeout, whole: true }),
            unflushed: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            left: Left::default(),
            orphan: Mutex::new(None),
        }
    }

    /// Queues data, once there is room for it.
    pub(super) fn feed(&self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        self.room()?.queue(f)
    }

    /// Waits until there is room in the queue.
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
    fn flush_if_idle(&self) -> Result<bool, Error> {
        match self.try_writer() {
            Some(writer) => self.write(writer, self.outbound(), true),
            None => Ok(false),
        }
    }

    /// Writes what `send` left queued, before the sending half is dropped. Not with a stream that panicked.
    pub(super) fn flush_left(&self) {
        if self.left.is_any() && !self.writer.is_poisoned() {
            // Nobody is there to be told.
            let _ = self.flush();
        }
    }

    fn try_writer(&self) -> Option<MutexGuard<'_, Writer<S>>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(writer)) => Some(writer.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Writes what is queued, or tries `briefly`: false when the transport did not take all, and is to be given
    /// more time.
    fn write<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer<S>>,
        mut outbound: MutexGuard<'a, Outbound>,
        briefly: bool,
    ) -> Result<bool, Error> {
        loop {
            if let Some(ended) = outbound.ended() {
                outbound.queue.clear();
                self.left.set_none();
                return ended.map(|()| true).map_err(Error::ConnectionLost);
            }
            if outbound.queue.is_empty() && !self.unflushed.load(Ordering::Relaxed) {
                self.left.set_none();
                // Before `outbound` is: see the top of this file.
                drop(writer);
                return Ok(true);
            }
            let written;
            if writer.whole {
                written = writer.write_all(&mut outbound.queue, briefly);
            } else {
                (written, outbound) = self.write_apart(&mut writer, outbound, briefly);
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
    ) -> (Result<(), Failed>, MutexGuard<'a, Outbound>) {
        let mut queue = core::mem::take(&mut outbound.queue);
        drop(outbound);
        let written = writer.write_all(&mut queue, briefly);
        outbound = self.outbound();
        if !queue.is_empty() {
            queue.append(core::mem::take(&mut outbound.queue));
            outbound.queue = queue;
        }
        (written, outbound)
    }
}

impl<S: Transport + Send + 'static> Both<S> {
    /// Queues a message, and writes it; or leaves that to a later write, if some of what was read is
    /// `unread`.
    pub(super) fn send(
        self: &Arc<Self>,
        unread: bool,
        message: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut outbound = self.room()?;
        outbound.queue(message)?;
        if unread && self.times_out {
            let listed = self.left.set_any();
            drop(outbound);
            if listed || later::list(self) { Ok(()) } else { self.flush() }
        } else if let Some(writer) = self.try_writer() {
            self.write(writer, outbound, false).map(drop)
        } else {
            drop(outbound);
            self.flush()
        }
    }
}

impl<S: Transport + Send> Late for Both<S> {
    fn left(&self) -> &Left {
        &self.left
    }

    fn write_briefly(&self) -> bool {
        // If it is written already, by a thread that has `writer`, it need not be tried.
        let blocked = self
            .try_writer()
            .is_some_and(|writer| matches!(self.write(writer, self.outbound(), true), Ok(false)));
        if blocked {
            let mut outbound = self.outbound();
            if let Err(timed_out) = outbound.sending.handle_timeout(Instant::now()) {
                outbound.fail_writes(timed_out == TimedOut::Write);
            }
        }
        !blocked
    }
}

impl<S: TryClone> Both<S> {
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
struct Writer<S> {
    io: S,
    /// How long a write may take that is not tried briefly.
    timeout: Duration,
    /// The timeout that is set.
    set: Duration,
    /// No receiving half in another thread needs the queue while bytes are written.
    whole: bool,
}

impl<S: Transport> Writer<S> {
    #[inline]
    fn write_all(&mut self, queue: &mut WriteQueue, briefly: bool) -> Result<(), Failed> {
        let before = queue.len();
        let (timeout, until) =
            if briefly { (BRIEF, Instant::now().checked_add(BRIEF)) } else { (self.timeout, None) };
        if self.set != timeout {
            self.keep(timeout)?;
        }
        match drive::write_all(&mut self.io, queue, until) {
            Ok(()) => Ok(()),
            Err(error) => Err(Failed { error, took_some: queue.len() < before }),
        }
    }

    /// Has writes time out after so long.
    #[cold]
    fn keep(&mut self, timeout: Duration) -> Result<(), Failed> {
        let kept = self.io.set_write_timeout(Some(timeout)).map_err(Error::ConnectionLost);
        self.set = timeout;
        kept.map_err(|error| Failed { error, took_some: false })
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
    Err(error)
}

/// A receiving half's way to the rest.
pub(super) struct Shared<'a, S> {
    /// Its own handle of the stream.
    pub(super) io: &'a mut S,
    pub(super) both: &'a Both<S>,
}

impl<S: Transport> Port for Shared<'_, S> {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        self.io
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.both.outbound())
    }

    fn flush(&mut self) -> Result<bool, Error> {
        self.both.flush_if_idle()
    }

    /// The other thread may close the connection while this one waits for input: its deadline is then
    /// noticed at most this much later.
    fn longest_wait(&mut self) -> Option<Duration> {
        let outbound = self.both.outbound();
        let written = outbound.queue.is_empty() && !self.both.unflushed.load(Ordering::Relaxed);
        Some(if written { outbound.sending.close_timeout() } else { AGAIN })
    }
}

/// A whole WebSocket's way to the rest. It reads from the stream that it writes to, which is locked from
/// the first look at it to the next write: a thread that waits for input has left nothing queued.
pub(super) struct Whole<'a, S> {
    both: &'a Both<S>,
    writer: Option<MutexGuard<'a, Writer<S>>>,
}

impl<'a, S> Whole<'a, S> {
    pub(super) fn new(both: &'a Both<S>) -> Self {
        Self { both, writer: None }
    }

    fn writer(&mut self) -> MutexGuard<'a, Writer<S>> {
        self.writer.take().unwrap_or_else(|| lock(&self.both.writer))
    }
}

impl<S: Transport> Port for Whole<'_, S> {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        let writer = self.writer();
        &mut self.writer.insert(writer).io
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.both.outbound())
    }

    fn flush(&mut self) -> Result<bool, Error> {
        let writer = self.writer();
        self.both.write(writer, self.both.outbound(), false)
    }

    fn longest_wait(&mut self) -> Option<Duration> {
        None
    }
}

/// How long a thread tries to write that has something else to do: what a socket with room takes, it takes
/// at once.
const BRIEF: Duration = Duration::from_millis(1);

/// How long the receiving half waits for input before it tries again to write.
const AGAIN: Duration = Duration::from_millis(10);

/// A panic in the other half's thread leaves the state as whole as it was between two calls.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

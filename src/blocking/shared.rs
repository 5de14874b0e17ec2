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
//! between two writes of one call             held                      held
//! nothing is queued any more                 let go of second          let go of first
//! a whole WebSocket waits for input          free                      held
//! ```
//!
//! A third one, `reader`, is held by whoever receives for a WebSocket that was split, from before these: by the receiving
//! half in its calls; and once that was dropped, by `close`. Dropping it only tries the lock: if `close` has it, that does
//! the rest. A sending half tries it, too, to [look](super::sending) at what has come while nobody receives; also while it
//! writes, and has `writer`. It has it for a moment only, and then does itself what a drop meanwhile could not.
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
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

use super::flusher::{Flush, Unwritten};
use super::retry::{Retry, Wrote};
use super::tracker::Token;
use super::transport::{BRIEF, ReadTimeout, Transport, TryClone, non_zero};
use super::writing::{Tries, Waits, Writer};
use crate::endpoint::sync::atomic::{AtomicBool, Ordering, fence};
use crate::endpoint::sync::{Mutex, MutexGuard, lock, try_lock};
use crate::endpoint::{Error, HowClosed, Inbound, Negotiated, Outbound, Queued, SendSide};
use crate::error::SendError;
use crate::sender::SendState;

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
    /// Something was sent since the program last received.
    sent: AtomicBool,
    /// A look at what has come left something queued.
    owes: AtomicBool,
    /// Whether `send` left something queued; changed while `outbound` is locked.
    pub(super) unwritten: Unwritten,
    /// What the receiving half has, once there are halves. Whoever receives holds this lock meanwhile, from before the
    /// others: that half, or `close`, once it was dropped.
    reader: OnceLock<Box<Mutex<SplitReader<S>>>>,
    /// The receiving half was dropped.
    orphaned: AtomicBool,
    /// How the connection closed, once it has; if there are halves.
    pub(super) closed: HowClosed,
    /// What the opening handshake came to.
    pub(super) negotiated: Negotiated,
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

    /// A call that receives begins.
    #[inline]
    pub(super) fn note_received(&self) {
        self.sent.store(false, Ordering::Relaxed);
    }

    /// A call that sends begins. Whether the one before sent, too.
    #[inline]
    pub(super) fn note_sent(&self) -> bool {
        let sent = LOOKS && self.sent.load(Ordering::Relaxed);
        if LOOKS && !sent {
            self.sent.store(true, Ordering::Relaxed);
        }
        sent
    }

    /// A look at what has come is over: whether it left something queued.
    pub(super) fn set_owes(&self, owes: bool) {
        self.owes.store(owes, Ordering::Relaxed);
    }

    /// The receiving half was dropped: nobody will wait for input but `close`.
    pub(super) fn orphan(&self) {
        self.set_unread(false);
        self.orphaned.store(true, Ordering::Release);
        // Either it gets the lock that it tries next, or who has it finds out.
        fence(Ordering::SeqCst);
    }

    /// Whether that half was dropped, asked by one who has just released the lock that it tried.
    pub(super) fn is_orphaned_by_now(&self) -> bool {
        fence(Ordering::SeqCst);
        self.is_orphaned()
    }

    /// See [`orphan`](Self::orphan).
    pub(super) fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }

    /// The stream.
    pub(super) fn stream(&self) -> impl Deref<Target = S> {
        Stream::Writes(lock(&self.writer))
    }

    /// The receiving half's handle of it: that half must not wait for a write of the other.
    pub(super) fn stream_read(&self) -> impl Deref<Target = S> {
        self.reader().map_or_else(|| Stream::Writes(lock(&self.writer)), |reader| Stream::Reads(lock(reader)))
    }

    /// What the receiving half has, once there are halves.
    pub(super) fn reader(&self) -> Option<&Mutex<SplitReader<S>>> {
        self.reader.get().map(Box::as_ref)
    }

    /// There are no halves any more: gives what was the receiving half's.
    pub(super) fn join(&self) -> Option<Reading> {
        let mut reading = lock(self.reader()?).reading.take()?;
        reading.timeout = ReadTimeout::default();
        lock(&self.writer).whole = true;
        Some(reading)
    }

    pub(super) fn outbound(&self) -> MutexGuard<'_, Outbound> {
        lock(&self.outbound)
    }
}

impl<S> SendSide for &Shared<S> {
    fn now(&self, _then: Instant) -> Instant {
        Instant::now()
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut Shared::outbound(self))
    }
}

impl<S: Transport> Shared<S> {
    /// The stream has the write timeout.
    pub(super) fn new(io: S, negotiated: Negotiated, outbound: Outbound) -> Self {
        Self {
            outbound: Mutex::new(outbound),
            times_out: io.times_out(),
            writer: Mutex::new(Writer { io, set: BRIEF, whole: true }),
            unflushed: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            owes: AtomicBool::new(false),
            unwritten: Unwritten::default(),
            reader: OnceLock::new(),
            orphaned: AtomicBool::new(false),
            closed: HowClosed::default(),
            negotiated,
        }
    }

    /// Whether nothing waits to be written, or to be passed on by the stream.
    pub(super) fn is_written(&self, outbound: &Outbound) -> bool {
        outbound.queue.is_empty() && !self.unflushed.load(Ordering::Relaxed)
    }

    /// Whether a Close frame was written: nothing more will be.
    pub(super) fn has_sent_all(&self) -> bool {
        let outbound = self.outbound();
        let queued = outbound.queued() != Queued::default();
        outbound.sending.state() == SendState::CloseSent && !queued && self.is_written(&outbound)
    }

    /// Tries for a moment to write what is queued, unless another thread is writing: that one will see it.
    pub(super) fn flush_if_idle(&self) -> Result<Wrote, Error> {
        match try_lock(&self.writer) {
            Some(writer) => self.write(writer, self.outbound(), &mut Tries(true)),
            None => Ok(Wrote::Nothing),
        }
    }

    /// Writes what `send` left queued, and what is owed to the peer, before the sending half is dropped. Not with a stream
    /// that panicked.
    pub(super) fn flush_left(&self) {
        if (self.unwritten.is_any() || self.owes.load(Ordering::Relaxed)) && !self.writer.is_poisoned() {
            // Nobody is there to be told.
            let _ = self.write(lock(&self.writer), self.outbound(), &mut Tries(false));
        }
    }

    /// The receiving half was dropped. If the sending half's `close` has returned, nobody will wait for the peer's end:
    /// then the transport is closed for writing, so that the peer need not wait for that.
    pub(super) fn close_orphaned(&self) {
        if self.has_sent_all()
            && let Some(mut reader) = self.reader().and_then(try_lock)
            && let SplitReader { reading: Some(reading), io } = &mut *reader
            && reading.inbound.closed().is_none()
        {
            // It fails only where there is nothing left to close.
            let _ = io.shutdown_write();
        }
    }

    /// Writes what is queued. Where the transport has to be waited for, it is until a deadline has passed, or the
    /// caller gives up. It may look at what has come meanwhile.
    ///
    /// A write that waits is told only at its end whether the transport took something meanwhile. So each waits for a
    /// part of the time at most: see [`patience`].
    pub(super) fn write<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer<S>>,
        mut outbound: MutexGuard<'a, Outbound>,
        waits: &mut impl Waits<'a, S>,
    ) -> Result<Wrote, Error> {
        let mut wait = BRIEF;
        loop {
            if let Some(ended) = outbound.ended() {
                outbound.queue.clear();
                self.unwritten.set_none();
                return ended.map(|()| Wrote::All);
            }
            if self.is_written(&outbound) {
                self.unwritten.set_none();
                // Before `outbound` is: see the top of this file.
                drop(writer);
                return Ok(Wrote::All);
            }
            let before = outbound.queue.len();
            let written;
            if writer.whole {
                written = writer.write_all(&mut outbound.queue, wait);
            } else {
                (written, outbound) = self.write_apart(&mut writer, outbound, wait);
            }
            self.unflushed.store(!matches!(written, Ok(Wrote::All)), Ordering::Relaxed);
            match written {
                Ok(Wrote::All) => outbound.on_written(before, Instant::now),
                Ok(wrote) => {
                    // It was waited for, not only tried.
                    let takes_none = wrote == Wrote::Nothing && wait != BRIEF;
                    wait = blocked(&mut outbound, wrote);
                    if waits.gives_up() {
                        return Ok(wrote);
                    }
                    outbound.handle_timeout(Instant::now())?;
                    if LOOKS {
                        drop(outbound);
                        writer = waits.look(writer);
                        outbound = self.outbound();
                        if takes_none && waits.is_over(&outbound) {
                            return Err(SendError::Closing.into());
                        }
                    }
                }
                Err(error) => {
                    outbound.fail_writes(false);
                    return Err(error);
                }
            }
        }
    }

    /// Writes the queue while the other half may queue more.
    fn write_apart<'a>(
        &'a self,
        writer: &mut Writer<S>,
        mut outbound: MutexGuard<'a, Outbound>,
        wait: Duration,
    ) -> (Result<Wrote, Error>, MutexGuard<'a, Outbound>) {
        let mut queue = outbound.take_queue();
        drop(outbound);
        let written = writer.write_all(&mut queue, wait);
        outbound = self.outbound();
        outbound.put_back(queue);
        (written, outbound)
    }
}

impl<S: Transport + Send> Flush for Shared<S> {
    fn unwritten(&self) -> &Unwritten {
        &self.unwritten
    }

    fn write_briefly(&self, retry: &mut Retry) -> Option<Duration> {
        let wrote = self.flush_if_idle().ok()?;
        retry.note(wrote);
        if wrote == Wrote::All {
            return None;
        }
        let (now, mut outbound) = (Instant::now(), self.outbound());
        // The next call of the connection's owner finds out.
        outbound.handle_timeout(now).ok()?;
        let left = outbound.sending.poll_timeout().map(|deadline| deadline.saturating_duration_since(now));
        Some(left.map_or(retry.after(), |left| left.min(retry.after())))
    }
}

impl<S: TryClone> Shared<S> {
    /// There are halves from now on: leaves what is the receiving half's to it, with a handle of the stream of its own.
    pub(super) fn part(&self, mut reading: Reading) -> io::Result<()> {
        self.closed.note(reading.inbound.closed());
        reading.timeout = ReadTimeout::default();
        self.set_unread(reading.inbound.is_unread());
        self.orphaned.store(false, Ordering::Relaxed);
        let mut writer = lock(&self.writer);
        writer.whole = false;
        let Some(reader) = self.reader() else {
            let io = writer.io.try_clone()?;
            self.reader.get_or_init(|| Box::new(Mutex::new(SplitReader { reading: Some(reading), io })));
            return Ok(());
        };
        drop(writer);
        lock(reader).reading = Some(reading);
        Ok(())
    }
}

/// The stream in what is locked.
enum Stream<'a, S> {
    Writes(MutexGuard<'a, Writer<S>>),
    Reads(MutexGuard<'a, SplitReader<S>>),
}

impl<S> Deref for Stream<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Self::Writes(writer) => &writer.io,
            Self::Reads(reader) => &reader.io,
        }
    }
}

/// The transport took no more, after it had taken some, or nothing: says how long to wait for it.
#[cold]
fn blocked(outbound: &mut Outbound, wrote: Wrote) -> Duration {
    let now = Instant::now();
    if let Wrote::Some(took) = wrote {
        outbound.on_written(took, || now);
    }
    outbound.sending.on_write_blocked(now);
    patience(outbound, now)
}

/// How long one write may wait: until the next look, or an eighth of the time that deadlines give, also of the one that may
/// begin meanwhile. And half of what is left of it, since whoever receives sees the deadline pass, but not what is taken
/// while a write waits.
fn patience(outbound: &Outbound, now: Instant) -> Duration {
    let sending = &outbound.sending;
    let most = (sending.write_timeout().min(sending.close_timeout()) / 8).min(LOOK_AFTER);
    let left = sending.poll_timeout().map(|deadline| deadline.saturating_duration_since(now) / 2);
    non_zero(left.map_or(most, |left| left.min(most)))
}

/// The receiving half's state: whoever receives has it alone.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    /// The read timeout that the stream has; another handle of it may have another.
    pub(super) timeout: ReadTimeout,
    /// Of what is queued.
    pub(super) retry: Retry,
    /// Of a connection that `serve` accepted, until it has ended.
    pub(super) token: Option<Arc<Token>>,
}

/// What the receiving half has to itself.
#[derive(Debug)]
pub(super) struct SplitReader<S> {
    /// `None` while the halves are joined.
    pub(super) reading: Option<Reading>,
    /// For reading, and for closing the transport.
    pub(super) io: S,
}

/// Whether it is looked at what has come at all: loom has no time.
const LOOKS: bool = !cfg!(sansocket_loom);

/// How long a program may send without receiving before what has come is looked at.
pub(super) const LOOK_AFTER: Duration = if LOOKS { Duration::from_millis(200) } else { Duration::MAX };

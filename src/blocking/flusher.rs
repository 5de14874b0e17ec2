//! A thread that writes what was left queued: one for the process, which begins when it is first needed,
//! and ends when it has not been for some seconds. The child of a fork gets one of its own.
//!
//! Nearly always the owner of a connection that left a message writes it itself, a moment later, with others.
//! So the thread looks at a connection a millisecond after that, and writes only what nobody has written
//! meanwhile. A connection that left something is watched, once, until a look finds that nothing is left, or that its
//! transport takes nothing; one whose owner waits for input has nothing. While none is watched, the thread sleeps until one
//! is, or one that takes nothing is to be [tried again](Retry).
//!
//! Being watched does not keep a connection alive: one that was dropped has written what it left.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::retry::Retry;
use crate::endpoint::process::process;
use crate::endpoint::sync::atomic::{AtomicU32, Ordering};
use crate::endpoint::sync::{Condvar, Mutex, lock, sleep, spawn, wait_while};

/// A connection, as far as the thread knows it.
pub(super) trait Flush: Send + Sync {
    /// Whether something is left queued.
    fn unwritten(&self) -> &Unwritten;

    /// Writes what is queued, if the transport takes it at once. If it does not, or another thread is writing, tells when to
    /// try again. An error is kept for the next call of the connection's owner.
    fn write_briefly(&self, retry: &mut Retry) -> Option<Duration>;
}

/// Whether a connection left something queued, and whether it is watched for that.
///
/// ```text
///           set_any        set_none        set_any        set_none
/// number  0 ------->  1  ----------->  2  ------->  3  ----------->  4     odd: something is left
///
///                 set_any, and then `watch`              unwatch
/// watched    0   --------------------------> process ------------->    0
///                                                    <-------------
///                                                    rewatch, if odd
/// ```
///
/// One whose transport takes nothing is not watched, though something is left: who leaves something anew, when all was
/// written, has it watched again.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Odd while something is left; changed while the connection's `outbound` is locked.
    number: AtomicU32,
    /// By the thread of which process: set while the number is odd, except between the thread's `unwatch` and `rewatch`,
    /// and while the transport takes nothing. Always swapped.
    watched: AtomicU32,
}

impl Unwritten {
    /// Something is left. False if it is to be [watched](watch). Not called by two threads at once.
    pub(super) fn set_any(&self) -> bool {
        if self.is_any() {
            return true;
        }
        self.step();
        // The thread first takes the connection from what it watches, and then looks at the number (`rewatch`). Both
        // swap the flag: so either it swaps later, and sees the new number, or this sees that the connection is not
        // watched.
        let process = process();
        self.watched.swap(process, Ordering::AcqRel) == process
    }

    /// All was written. Not called by two threads at once.
    pub(super) fn set_none(&self) {
        if self.is_any() {
            self.step();
        }
    }

    /// Whether something is left.
    pub(super) fn is_any(&self) -> bool {
        is_any(self.number.load(Ordering::Relaxed))
    }

    fn step(&self) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number.wrapping_add(1), Ordering::Relaxed);
    }

    /// Takes the connection from what is watched: what is left from now on is watched anew.
    fn unwatch(&self) {
        self.watched.swap(0, Ordering::AcqRel);
    }

    /// Whether the connection is to be watched again, because something is left, and whoever left it did
    /// not have it watched.
    fn rewatch(&self) -> bool {
        self.is_any() && self.watched.swap(process(), Ordering::AcqRel) == 0
    }
}

fn is_any(number: u32) -> bool {
    number % 2 == 1
}

/// Has the thread look at a connection that left something. False if there can be no thread.
pub(super) fn watch<F: Flush + 'static>(flush: &Arc<F>) -> bool {
    let mut register = lock(&REGISTER);
    let process = process();
    if register.running_in != process {
        // After a fork, what the parent had watched is for the parent to write.
        *register = Register::NEW;
        if !spawn("sansocket-flush", run) {
            flush.unwritten().unwatch();
            return false;
        }
        register.running_in = process;
    }
    let number = flush.unwritten().number.load(Ordering::Relaxed);
    let flush: Weak<F> = Arc::downgrade(flush);
    register.watched.push(Watched { flush, number, retry: Retry::default() });
    if core::mem::take(&mut register.sleeps) {
        WAKE.notify_one();
    }
    true
}

/// What the thread is told.
///
/// ```text
/// whoever leaves something   adds it, and starts the thread, or wakes it
/// the thread                 takes over what was added, and lets go of it to sleep, or to end
/// ```
///
/// No other lock is held or taken meanwhile, and nothing is written.
struct Register {
    /// What was given to watch, and the thread has not taken over.
    watched: Vec<Watched>,
    /// The process in which there is a thread: a fork copies this, and not the thread. 0: there is none.
    running_in: u32,
    /// It is to be woken.
    sleeps: bool,
}

impl Register {
    const NEW: Self = Self { watched: Vec::new(), running_in: 0, sleeps: false };
}

#[cfg(not(sansocket_loom))]
static REGISTER: Mutex<Register> = Mutex::new(Register::NEW);
#[cfg(not(sansocket_loom))]
static WAKE: Condvar = Condvar::new();
#[cfg(sansocket_loom)]
loom::lazy_static! {
    static ref REGISTER: Mutex<Register> = Mutex::new(Register::NEW);
    static ref WAKE: Condvar = Condvar::new();
}

/// Whether there is a thread, for a test of loom's: it must not end before.
#[cfg(sansocket_loom)]
pub fn flusher_runs() -> bool {
    lock(&REGISTER).running_in != 0
}

/// The thread.
fn run() {
    let mut list = List::default();
    while list.take_over() {
        sleep(FLUSH_AFTER);
        list.look();
    }
}

/// What the thread has to look at.
#[derive(Default)]
struct List {
    soon: VecDeque<Watched>,
    /// Transports that did not take all, by when to try each again, and a number of its own. Only one a look: others are
    /// not to wait for all of them.
    blocked: BTreeMap<(Instant, u64), Watched>,
    next: u64,
}

impl List {
    /// Takes over what was given to watch; waits until something is, if there is nothing else to do. False when that
    /// takes long, and the thread is to end.
    fn take_over(&mut self) -> bool {
        let mut register = lock(&REGISTER);
        if self.soon.is_empty() {
            let again = self.blocked.first_key_value().map(|((again, _), _)| *again);
            let time = again.map_or(IDLE, |again| again.saturating_duration_since(Instant::now()));
            register.sleeps = true;
            register = wait_while(&WAKE, register, time, |register| register.watched.is_empty());
            register.sleeps = false;
        }
        self.soon.extend(register.watched.drain(..));
        if self.soon.is_empty() && self.blocked.is_empty() {
            register.running_in = 0;
        }
        register.running_in != 0
    }

    fn look(&mut self) {
        let again = self.blocked.first_entry().filter(|blocked| blocked.key().0 <= Instant::now());
        if let Some(blocked) = again {
            let watched = blocked.remove();
            self.take(|| watched.look_again());
        }
        for _ in 0..self.soon.len() {
            if let Some(watched) = self.soon.pop_front() {
                self.take(|| watched.look());
            }
        }
    }

    fn take(&mut self, look: impl FnOnce() -> Verdict) {
        // A transport that panics is left to its owner, whose next call finds out.
        match catch_unwind(AssertUnwindSafe(look)).unwrap_or(Verdict::Over) {
            Verdict::Soon(watched) => self.soon.push_back(watched),
            Verdict::Blocked(time, watched) => {
                self.blocked.insert((Instant::now() + time, self.next), watched);
                self.next += 1;
            }
            Verdict::Over => {}
        }
    }
}

/// A connection that is watched, or whose transport takes nothing.
struct Watched {
    flush: Weak<dyn Flush>,
    /// What [`Unwritten`] said when it was last looked at.
    number: u32,
    retry: Retry,
}

/// What a look came to.
enum Verdict {
    /// Something is left: look again.
    Soon(Watched),
    /// The transport did not take it: try again after this time.
    Blocked(Duration, Watched),
    /// Nothing is left.
    Over,
}

impl Watched {
    fn look(mut self) -> Verdict {
        let Some(flush) = self.flush.upgrade() else {
            return Verdict::Over;
        };
        let unwritten = flush.unwritten();
        let before = core::mem::replace(&mut self.number, unwritten.number.load(Ordering::Relaxed));
        if is_any(self.number) && self.number != before {
            return Verdict::Soon(self);
        }
        unwritten.unwatch();
        self.write(&*flush)
    }

    /// Its transport took nothing: it is not watched.
    fn look_again(self) -> Verdict {
        match self.flush.upgrade() {
            Some(flush) if flush.unwritten().number.load(Ordering::Relaxed) == self.number => {
                self.write(&*flush)
            }
            // All was written, and what was left since then is watched anew.
            _ => Verdict::Over,
        }
    }

    fn write(mut self, flush: &dyn Flush) -> Verdict {
        let left = is_any(self.number);
        if let Some(time) = left.then(|| flush.write_briefly(&mut self.retry)).flatten() {
            return Verdict::Blocked(time, self);
        }
        if flush.unwritten().rewatch() { Verdict::Soon(self) } else { Verdict::Over }
    }
}

/// How often the thread looks at what was left.
const FLUSH_AFTER: Duration = Duration::from_millis(1);

/// How long it waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(5);

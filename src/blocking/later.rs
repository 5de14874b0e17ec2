//! A thread that writes what was left queued: one for the process, which begins when it is first needed,
//! and ends when it has not been for some seconds.
//!
//! Nearly always the owner of a connection that left a message writes it itself, a moment later, with others.
//! So the thread looks at a connection a millisecond after that, and writes only what nobody has written
//! meanwhile. A connection that left something is listed, once, until a look finds that nothing is left; one
//! whose owner waits for input has nothing. While none is listed, the thread sleeps until one is.
//!
//! The list does not keep a connection alive: one that was dropped has written what it left.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// A connection, as far as the thread knows it.
pub(super) trait Late: Send + Sync {
    /// Whether something is left queued.
    fn left(&self) -> &Left;

    /// Writes what is queued, if the transport takes it at once. False if it does not. An error is kept for
    /// the next call of the connection's owner.
    fn write_briefly(&self) -> bool;
}

/// Whether a connection left something queued, and whether it is listed for that.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Odd while something is left. Another number each time that something is, and each time that it was written.
    number: AtomicU32,
    listed: AtomicBool,
}

impl Left {
    /// Something is left. False if it is to be [listed](list). Not called by two threads at once.
    pub(super) fn set_any(&self) -> bool {
        if self.is_any() {
            return true;
        }
        self.step();
        // The thread first takes the connection from its list, and then looks at the number (`relist`). So
        // either it sees the new number, or this sees that the connection is not listed.
        self.listed.load(Ordering::SeqCst) || self.listed.swap(true, Ordering::SeqCst)
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
        self.number.store(number.wrapping_add(1), Ordering::SeqCst);
    }

    /// Takes the connection from the list: what is left from now on is listed anew.
    fn unlist(&self) {
        self.listed.store(false, Ordering::SeqCst);
    }

    /// Whether the connection is to be listed again, because something is left, and whoever left it did
    /// not list it.
    fn relist(&self) -> bool {
        is_any(self.number.load(Ordering::SeqCst)) && !self.listed.swap(true, Ordering::SeqCst)
    }
}

fn is_any(number: u32) -> bool {
    number % 2 == 1
}

/// Has the thread look at a connection that left something. False if there can be no thread.
pub(super) fn list<L: Late + 'static>(late: &Arc<L>) -> bool {
    let mut register = register();
    if !register.running {
        if thread::Builder::new().name("sansocket-later".into()).spawn(run).is_err() {
            late.left().unlist();
            return false;
        }
        register.running = true;
    }
    let number = late.left().number.load(Ordering::Relaxed);
    let late: Weak<L> = Arc::downgrade(late);
    register.listed.push(Listed { late, number });
    if core::mem::take(&mut register.sleeps) {
        WAKE.notify_one();
    }
    true
}

/// What the thread is told.
struct Register {
    /// What was listed, and the thread has not taken over.
    listed: Vec<Listed>,
    /// There is a thread.
    running: bool,
    /// It is to be woken.
    sleeps: bool,
}

static REGISTER: Mutex<Register> = Mutex::new(Register { listed: Vec::new(), running: false, sleeps: false });
static WAKE: Condvar = Condvar::new();

fn register() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread.
fn run() {
    let mut list = List::default();
    while list.take_over() {
        thread::sleep(LOOK);
        list.look();
    }
}

/// What the thread has to look at.
#[derive(Default)]
struct List {
    soon: VecDeque<Listed>,
    /// Transports that did not take all, and when to try each again. Only one a look: others are not to wait
    /// for all of them.
    blocked: VecDeque<(Instant, Listed)>,
}

impl List {
    /// Takes over what was listed; waits until something is, if there is nothing else to do. False when that
    /// takes long, and the thread is to end.
    fn take_over(&mut self) -> bool {
        let mut register = register();
        if self.soon.is_empty() && self.blocked.is_empty() {
            register.sleeps = true;
            let woken = WAKE.wait_timeout_while(register, IDLE, |register| register.listed.is_empty());
            register = woken.unwrap_or_else(PoisonError::into_inner).0;
            register.sleeps = false;
            register.running = !register.listed.is_empty();
        }
        self.soon.extend(register.listed.drain(..));
        register.running
    }

    fn look(&mut self) {
        self.unblock();
        if self.blocked.front().is_some_and(|(again, _)| *again <= Instant::now())
            && let Some((_, listed)) = self.blocked.pop_front()
        {
            self.look_at(listed);
        }
        for _ in 0..self.soon.len() {
            if let Some(listed) = self.soon.pop_front() {
                self.look_at(listed);
            }
        }
    }

    /// What its owner has written meanwhile is not blocked any more.
    fn unblock(&mut self) {
        for _ in 0..self.blocked.len() {
            match self.blocked.pop_front() {
                Some((_, listed)) if listed.has_changed() => self.soon.push_back(listed),
                blocked => self.blocked.extend(blocked),
            }
        }
    }

    fn look_at(&mut self, listed: Listed) {
        // A transport that panics is left to its owner, who will see for himself.
        match catch_unwind(AssertUnwindSafe(|| listed.look())).unwrap_or(Look::Over) {
            Look::Soon(listed) => self.soon.push_back(listed),
            Look::Blocked(listed) => self.blocked.push_back((Instant::now() + AGAIN, listed)),
            Look::Over => {}
        }
    }
}

/// A connection that is listed.
struct Listed {
    late: Weak<dyn Late>,
    /// What [`Left`] said when it was last looked at.
    number: u32,
}

/// What a look came to.
enum Look {
    /// Something is left: look again.
    Soon(Listed),
    /// The transport did not take it.
    Blocked(Listed),
    /// Nothing is left.
    Over,
}

impl Listed {
    /// Something was written, or left, since the last look; or the connection was dropped.
    fn has_changed(&self) -> bool {
        let number = |late: Arc<dyn Late>| late.left().number.load(Ordering::Relaxed);
        // What a transport does when it is dropped is not to end the thread.
        catch_unwind(AssertUnwindSafe(|| self.late.upgrade().map(number) != Some(self.number)))
            .unwrap_or(true)
    }

    fn look(mut self) -> Look {
        let Some(late) = self.late.upgrade() else {
            return Look::Over;
        };
        let left = late.left();
        let before = core::mem::replace(&mut self.number, left.number.load(Ordering::Relaxed));
        if is_any(self.number) && self.number != before {
            return Look::Soon(self);
        }
        left.unlist();
        let written = !is_any(self.number) || late.write_briefly();
        match (left.relist(), written) {
            (true, true) => Look::Soon(self),
            (true, false) => Look::Blocked(self),
            (false, _) => Look::Over,
        }
    }
}

/// How often the thread looks at what was left.
const LOOK: Duration = Duration::from_millis(1);

/// When it tries again a transport that did not take all.
const AGAIN: Duration = Duration::from_millis(10);

/// How long it waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(5);

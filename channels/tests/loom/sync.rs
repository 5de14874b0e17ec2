//! What `src/sync.rs` has, with a step of loom's before a lock is taken, and when a mutex is free again: others may have their turn there.
//!
//! Loom leaves out orders that come to the same, as far as it knows: of steps at different things. It knows nothing of what threads
//! share by other means, such as tokio's tasks, and what wakes them. So all steps are at one thing. It orders them, too: what there
//! is without a lock, such as counters, everybody sees as it is.

use std::ops::{Deref, DerefMut};
use std::sync::TryLockError;

use loom::thread::{self, Thread};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(Lock<std::sync::Mutex<T>>);

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(Lock<std::sync::RwLock<T>>);

#[derive(Debug, Default)]
struct Lock<L> {
    lock: L,
    waiting: Waiting,
}

/// Who waits for a lock. Threads take turns, and only at their steps: nobody comes between a try that fails and the wait.
type Waiting = std::sync::Mutex<Vec<Thread>>;

#[derive(Debug)]
pub(crate) struct Guard<'a, G> {
    /// `None` only while it is being dropped.
    guard: Option<G>,
    waiting: &'a Waiting,
    /// What comes behind it, such as to wake somebody, may come later.
    ends_in_step: bool,
}

pub(crate) type MutexGuard<'a, T> = Guard<'a, std::sync::MutexGuard<'a, T>>;
type ReadGuard<'a, T> = Guard<'a, std::sync::RwLockReadGuard<'a, T>>;
type WriteGuard<'a, T> = Guard<'a, std::sync::RwLockWriteGuard<'a, T>>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Lock { lock: value.into(), waiting: Waiting::default() })
    }

    pub(crate) fn try_lock(&self) -> Result<MutexGuard<'_, T>, ()> {
        step();
        self.0.guard(self.0.lock.try_lock(), true).ok_or(())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<L> Lock<L> {
    /// A test that panics is over.
    fn guard<G>(&self, taken: Result<G, TryLockError<G>>, ends_in_step: bool) -> Option<Guard<'_, G>> {
        taken.ok().map(|guard| Guard { guard: Some(guard), waiting: &self.waiting, ends_in_step })
    }

    fn take<'a, G>(
        &'a self,
        ends_in_step: bool,
        take: impl Fn(&'a L) -> Result<G, TryLockError<G>>,
    ) -> Guard<'a, G> {
        loop {
            step();
            if let Some(guard) = self.guard(take(&self.lock), ends_in_step) {
                return guard;
            }
            self.waiting.lock().unwrap().push(thread::current());
            thread::park();
        }
    }
}

impl<G: Deref> Deref for Guard<'_, G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        self.guard.as_ref().unwrap()
    }
}

impl<G: DerefMut> DerefMut for Guard<'_, G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        self.guard.as_mut().unwrap()
    }
}

impl<G> Drop for Guard<'_, G> {
    fn drop(&mut self) {
        self.guard = None;
        self.waiting.lock().unwrap().drain(..).for_each(|thread| thread.unpark());
        if self.ends_in_step {
            step();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.0.take(true, std::sync::Mutex::try_lock)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> ReadGuard<'_, T> {
    lock.0.take(false, std::sync::RwLock::try_read)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> WriteGuard<'_, T> {
    lock.0.take(false, std::sync::RwLock::try_write)
}

fn step() {
    drop(STEPS.lock());
}

loom::lazy_static! {
    static ref STEPS: loom::sync::Mutex<()> = loom::sync::Mutex::new(());
}

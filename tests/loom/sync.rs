//! What `src/endpoint/sync.rs` has, of loom's. Loom has no time: a wait for some time is over when others have had
//! their turn.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::vec::Vec;

pub(crate) use loom::sync::atomic;
use loom::thread::{self, Thread};

use self::atomic::{AtomicBool, Ordering};

/// A lock of which a try can fail in every order. Loom's own takes a thread that is about to try for one that waits:
/// <https://github.com/tokio-rs/loom/issues/376>.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    taken: AtomicBool,
    /// Loom's threads take turns, and only at its own steps: nobody comes between a look at `taken` and one at these.
    waiting: std::sync::Mutex<Vec<Thread>>,
    value: std::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            waiting: std::sync::Mutex::default(),
            value: std::sync::Mutex::new(value),
        }
    }

    /// A test that panics is over.
    pub(crate) fn is_poisoned(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only while it is being dropped.
    value: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap()
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.mutex.taken.store(false, Ordering::Release);
        self.mutex.waiting.lock().unwrap().drain(..).for_each(|thread| thread.unpark());
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
        mutex.waiting.lock().unwrap().push(thread::current());
        thread::park();
    }
}

pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    let taken = mutex.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
    taken.ok().map(|_| MutexGuard { mutex, value: Some(mutex.value.try_lock().unwrap()) })
}

/// Nobody waits for it long enough to be woken.
#[derive(Debug)]
pub(crate) struct Condvar;

impl Condvar {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn notify_one(&self) {}

    pub(crate) fn notify_all(&self) {}
}

pub(crate) fn wait_while<'a, T>(
    _condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    _time: Duration,
    _condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let mutex = guard.mutex;
    drop(guard);
    lock(mutex)
}

pub(crate) fn sleep(_time: Duration) {
    thread::yield_now();
}

pub(crate) fn spawn(name: &str, run: fn()) -> bool {
    thread::Builder::new().name(name.into()).spawn(run).is_ok()
}

/// What one has at a time, and two hardly ever want at once.
#[derive(Debug)]
pub(crate) struct Turn<T>(Mutex<T>);

impl<T> Turn<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn take(&self) -> MutexGuard<'_, T> {
        lock(&self.0)
    }

    pub(crate) fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        try_lock(&self.0)
    }
}

//! What tasks and threads share state through, and wait with: the standard library's. In its place `tests/loom` puts
//! a file of the same name, with loom's, which run a test in every order that their steps can be taken in.
//!
//! The locks, and which are taken while others are held; beside each is drawn who holds it while doing what:
//!
//! ```text
//! blocking/shared    reader -> writer -> outbound; outbound ..> writer; writer ..> reader    -> waits for it
//! blocking/tls       incoming -> tls; outgoing -> tls; incoming ..> outgoing   ..> only tries it
//! tokio/shared       reading -> locked -> wakers
//! tokio/{tracker, watch}: one each, while reading is held, or no other
//! blocking/{flusher, stop, tracker}: one each, and no other meanwhile
//! http/http2_connection: two, and no other meanwhile
//! ```
//!
//! Those of `tls` are taken while `writer` is held, or none.

use core::time::Duration;
use std::sync::{PoisonError, TryLockError};
use std::thread;

#[cfg(feature = "tokio")]
use atomic_refcell::{AtomicRefCell, AtomicRefMut};

#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use std::sync::atomic;
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks a mutex, poisoned or not: a panic in another task or thread leaves the state behind each of ours as
/// whole as it was between two calls.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, if nobody else has it.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What one has at a time, and two hardly ever want at once. It has no queue: who finds it taken lets other threads run
/// until it is free, which takes no longer than another one's poll.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Turn<T>(AtomicRefCell<T>);

#[cfg(feature = "tokio")]
impl<T> Turn<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(AtomicRefCell::new(value))
    }

    #[inline]
    pub(crate) fn take(&self) -> AtomicRefMut<'_, T> {
        self.0.try_borrow_mut().unwrap_or_else(|_| self.wait())
    }

    /// The same, if nobody else has it.
    pub(crate) fn try_take(&self) -> Option<AtomicRefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }

    #[cold]
    fn wait(&self) -> AtomicRefMut<'_, T> {
        loop {
            thread::yield_now();
            if let Some(taken) = self.try_take() {
                return taken;
            }
        }
    }
}

/// Waits so long, or until `condition` does not hold.
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout_while(guard, time, condition).unwrap_or_else(PoisonError::into_inner).0
}

/// Waits so long.
pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}

/// Starts a thread. False if there can be none.
pub(crate) fn spawn(name: &str, run: fn()) -> bool {
    thread::Builder::new().name(name.into()).spawn(run).is_ok()
}

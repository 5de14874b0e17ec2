//! What tasks and threads share state through: locks and flags of the standard library; or, in `tests/loom`,
//! loom's, which run a test in every order that they can be taken in.

use std::sync::PoisonError;

#[cfg(sansocket_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(sansocket_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Locks a mutex, poisoned or not: a panic in another task or thread leaves the state behind each of ours as
/// whole as it was between two calls.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

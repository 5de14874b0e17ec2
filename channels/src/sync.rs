//! Locks: the standard library's. In its place `tests/loom` puts a file of the same name, with which loom runs a test in every
//! order that its threads can take them in.

pub(crate) use std::sync::{Mutex, MutexGuard, RwLock};
use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

/// Nothing panics while it holds a lock of ours, but what belongs to others is dropped where it may: the state is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

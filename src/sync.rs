//! What tasks share state through: locks and flags of the standard library; or, in `tests/loom`, loom's,
//! which run a test in every order that they can be taken in.

#[cfg(sansocket_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool};
#[cfg(not(sansocket_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

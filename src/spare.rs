//! What a thread keeps for whichever connection needs it next, so that few connections hold a buffer and
//! none allocates one for each message.
//!
//! A connection may be dropped while its thread ends, after what the thread kept: then there is nothing to
//! take, and what is given is dropped.

use core::cell::Cell;
use std::thread::LocalKey;

/// Takes what the thread keeps, if anything.
#[inline]
pub(crate) fn take<T: Default>(spare: &'static LocalKey<Cell<T>>) -> T {
    spare.try_with(Cell::take).unwrap_or_default()
}

/// Keeps `value` in place of what was kept.
#[inline]
pub(crate) fn keep<T>(spare: &'static LocalKey<Cell<T>>, value: T) {
    // It fails when the thread ends.
    let _ = spare.try_with(|spare| spare.set(value));
}

//! What a thread keeps for whichever connection needs it next, so that few connections hold a buffer and
//! none allocates one for each message.
//!
//! A connection may be dropped while its thread ends, after what the thread kept: then there is nothing to
//! take, and what is given is dropped.

use alloc::vec::Vec;
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

/// Keeps the memory of `buffer`, unless it has none, or more than is worth keeping.
#[inline]
pub(crate) fn keep_buffer(spare: &'static LocalKey<Cell<Vec<u8>>>, mut buffer: Vec<u8>) {
    if (1..=MAX_BUFFER).contains(&buffer.capacity()) {
        buffer.clear();
        keep(spare, buffer);
    }
}

/// A larger buffer is freed rather than kept.
const MAX_BUFFER: usize = 128 << 10;

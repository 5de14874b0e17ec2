//! Who is woken when a transport is ready.

use alloc::sync::Arc;
use core::task::Waker;

use crate::endpoint::sync::{Mutex, lock};

/// The wakers of the tasks that poll one transport. A transport remembers one waker a direction: this one
/// stands for all, so that no task's wake-up is lost when another polls, or is cancelled.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<[Option<Waker>; 3]>);

/// Who polls a transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Half {
    Receiving,
    Sending,
    /// Neither: the task that writes what was left queued.
    Flusher,
}

impl Wakers {
    /// Remembers the waker of the task that polls as `half`.
    pub(super) fn register(&self, half: Half, waker: &Waker) {
        let mut wakers = lock(&self.0);
        let slot = &mut wakers[half as usize];
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            let replaced = slot.replace(waker.clone());
            // Not under the lock: a task may be dropped with its last waker.
            drop(wakers);
            drop(replaced);
        }
    }

    /// Whether somebody polled as `half`, and was not woken since.
    pub(super) fn has(&self, half: Half) -> bool {
        lock(&self.0)[half as usize].is_some()
    }

    /// Has `half` polled again.
    pub(super) fn wake_half(&self, half: Half) {
        let waker = lock(&self.0)[half as usize].take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl alloc::task::Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = core::mem::take(&mut *lock(&self.0));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

//! Who is woken when a transport is ready.

use alloc::sync::Arc;
use core::task::Waker;

use crate::endpoint::sync::Turn;
use crate::endpoint::sync::atomic::{AtomicBool, Ordering};

/// The wakers of the tasks that poll one transport. A transport remembers one waker a direction: this one
/// stands for all, so that no task's wake-up is lost when another polls, or is cancelled. Beside them, what the halves
/// tell each other without a lock.
#[derive(Debug)]
pub(super) struct Wakers {
    known: Turn<[Option<Waker>; 3]>,
    /// There is one of the receiving half. A hint for that half: whoever takes a waker clears it, and wakes then, so a half
    /// that finds it set too late is about to be woken.
    receives: AtomicBool,
    /// Some of what was read is still to be received. A hint for the sending half.
    pub(super) unread: AtomicBool,
    /// A call of `recv` waits, or was dropped while it did. The receiving half's own.
    pub(super) waits: AtomicBool,
}

/// Which waker it is, as long as somebody keeps it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct WakerId(usize, usize);

impl WakerId {
    pub(super) fn of(waker: &Waker) -> Self {
        Self(waker.data().addr(), core::ptr::from_ref(waker.vtable()).addr())
    }
}

/// Who polls a transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Half {
    Receiving,
    Sending,
    /// Neither: the task that writes what was left queued.
    Flusher,
}

/// By hand, since loom's are not `Default`.
impl Default for Wakers {
    fn default() -> Self {
        Self {
            known: Turn::new([None, None, None]),
            receives: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        }
    }
}

impl Wakers {
    /// Remembers the waker of the task that polls as `half`.
    #[inline(never)]
    pub(super) fn register(&self, half: Half, waker: &Waker) {
        let mut known = self.known.take();
        let slot = &mut known[half as usize];
        let replaced = if slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            None
        } else {
            slot.replace(waker.clone())
        };
        if half == Half::Receiving {
            self.receives.store(true, Ordering::Relaxed);
        }
        // Not under the lock: a task may be dropped with its last waker.
        drop(known);
        drop(replaced);
    }

    /// Whether the receiving half was not woken since it was registered.
    #[inline]
    pub(super) fn is_receiving(&self) -> bool {
        self.receives.load(Ordering::Relaxed)
    }

    /// Whether somebody polled as `half`, and was not woken since.
    pub(super) fn has(&self, half: Half) -> bool {
        self.known.take()[half as usize].is_some()
    }

    /// Has `half` polled again.
    pub(super) fn wake_half(&self, half: Half) {
        let mut known = self.known.take();
        let waker = known[half as usize].take();
        if half == Half::Receiving {
            self.receives.store(false, Ordering::Relaxed);
        }
        drop(known);
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
        let mut known = self.known.take();
        let wakers = core::mem::take(&mut *known);
        self.receives.store(false, Ordering::Relaxed);
        drop(known);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

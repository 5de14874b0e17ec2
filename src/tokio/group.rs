//! The connections that one `serve` has accepted: how many they are, and how they learn that it stops.
//!
//! Each holds a [`Member`] from being accepted to the end of its WebSocket, whichever task that is in.
//! Its waker is here: that of its task during the opening handshake, then one that wakes whoever polls the
//! WebSocket. So a message costs no more than a look at a flag.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use super::shared::lock;
use crate::sync::{AtomicBool, Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(super) struct Group {
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of the members, at their places.
    wakers: Vec<Option<Waker>>,
    /// The places that no member has.
    free: Vec<usize>,
    /// The members whose opening handshake is not over.
    handshakes: usize,
    /// Of the task that waits for members to leave.
    watcher: Option<Waker>,
}

impl State {
    fn members(&self) -> usize {
        self.wakers.len() - self.free.len()
    }
}

impl Group {
    pub(super) fn join(self: &Arc<Self>) -> Member {
        let mut state = self.state();
        state.handshakes += 1;
        let place = state.free.pop().unwrap_or_else(|| {
            state.wakers.push(None);
            state.wakers.len() - 1
        });
        Member { place, handshaking: true, group: self.clone() }
    }

    /// Ready while there are fewer members, and fewer handshakes among them, than these.
    pub(super) fn poll_fewer(&self, cx: &Context<'_>, members: usize, handshakes: usize) -> Poll<()> {
        let mut state = self.state();
        if state.members() < members && state.handshakes < handshakes {
            return Poll::Ready(());
        }
        state.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Tells all members to stop.
    pub(super) fn stop(&self) {
        // Whoever leaves a waker behind after this sees that it is set.
        self.stopping.store(true, Ordering::Release);
        let wakers: Vec<_> = self.state().wakers.iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A connection's place in a group.
#[derive(Debug)]
pub(super) struct Member {
    place: usize,
    handshaking: bool,
    group: Arc<Group>,
}

impl Member {
    /// Whether to stop; if not, the task will be woken for it.
    pub(super) fn poll_stop(&self, cx: &Context<'_>) -> bool {
        self.set_waker(Some(cx.waker()));
        self.is_to_stop()
    }

    /// The opening handshake is over: from now on `waker` is to be woken.
    pub(super) fn open(&mut self, waker: &Waker) {
        self.set_waker(Some(waker));
        self.leave_handshake();
    }

    pub(super) fn is_to_stop(&self) -> bool {
        self.group.stopping.load(Ordering::Acquire)
    }

    fn set_waker(&self, waker: Option<&Waker>) {
        let waker = waker.cloned();
        let replaced =
            self.group.state().wakers.get_mut(self.place).map(|known| core::mem::replace(known, waker));
        // Not before the lock is released: a task may be dropped with its last waker, and a member with it.
        drop(replaced);
    }

    fn leave_handshake(&mut self) {
        if core::mem::take(&mut self.handshaking) {
            let mut state = self.group.state();
            state.handshakes -= 1;
            wake(state);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.set_waker(None);
        self.leave_handshake();
        let mut state = self.group.state();
        state.free.push(self.place);
        wake(state);
    }
}

/// Wakes the watcher.
fn wake(mut state: MutexGuard<'_, State>) {
    let watcher = state.watcher.take();
    drop(state);
    if let Some(watcher) = watcher {
        watcher.wake();
    }
}

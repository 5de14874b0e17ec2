//! The connections that one `serve` has accepted: how many they are, and how they learn that it stops.
//!
//! Each holds a [`Member`] from being accepted to the end of its WebSocket, whichever task that is in.
//! When it waits for input it leaves its waker here, once, since a task's waker is always the same; so a
//! message costs no more than a look at a flag.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};
use std::collections::HashMap;

use super::shared::lock;
use crate::sync::{AtomicBool, Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(super) struct Group {
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    members: usize,
    /// The members whose opening handshake is not over.
    handshakes: usize,
    next_id: u64,
    /// Of the members that wait.
    wakers: HashMap<u64, Waker>,
    /// Of the task that waits for members to leave.
    watcher: Option<Waker>,
}

impl Group {
    pub(super) fn join(self: &Arc<Self>) -> Member {
        let mut state = self.state();
        state.members += 1;
        state.handshakes += 1;
        state.next_id += 1;
        Member { id: state.next_id, handshaking: true, waker: None, group: self.clone() }
    }

    /// Ready while there are fewer members, and fewer handshakes among them, than these.
    pub(super) fn poll_fewer(&self, cx: &Context<'_>, members: usize, handshakes: usize) -> Poll<()> {
        let mut state = self.state();
        if state.members < members && state.handshakes < handshakes {
            return Poll::Ready(());
        }
        state.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Tells all members to stop.
    pub(super) fn stop(&self) {
        // Whoever leaves a waker behind after this sees that it is set.
        self.stopping.store(true, Ordering::Release);
        let wakers = core::mem::take(&mut self.state().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A connection's place in a group.
#[derive(Debug)]
pub(super) struct Member {
    id: u64,
    handshaking: bool,
    /// The waker that was left with the group.
    waker: Option<Waker>,
    group: Arc<Group>,
}

impl Member {
    /// The opening handshake is over.
    pub(super) fn open(&mut self) {
        if core::mem::take(&mut self.handshaking) {
            let mut state = self.group.state();
            state.handshakes -= 1;
            wake(state);
        }
    }

    /// Whether to stop; if not, the task will be woken for it.
    pub(super) fn poll_stop(&mut self, cx: &Context<'_>) -> bool {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            let replaced = self.group.state().wakers.insert(self.id, cx.waker().clone());
            // Not before the lock is released: a task may be dropped with its last waker, and a member with it.
            drop(replaced);
        }
        self.group.stopping.load(Ordering::Acquire)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.open();
        let mut state = self.group.state();
        state.members -= 1;
        let waker = state.wakers.remove(&self.id);
        wake(state);
        drop(waker);
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

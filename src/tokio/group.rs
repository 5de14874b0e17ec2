//! The connections that one `serve` has accepted: how many they are, how they learn that it stops, and how
//! they are ended if they do not.
//!
//! Each has a place as long as its task runs, which holds a [`Task`], or its WebSocket is open, whichever task
//! that is in: it holds a [`Member`], from being accepted on. Its waker is here: that of its task during the
//! opening handshake, then one that wakes whoever polls the WebSocket. So a message costs no more than a look at a
//! flag. (A `JoinSet` would keep the tasks, too, but with an allocation for each.)

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use tokio::task::JoinHandle;

use super::shared::lock;
use crate::sync::{AtomicBool, Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(super) struct Group {
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: Vec<Place>,
    /// The places that no connection has.
    free: Vec<usize>,
    /// The connections whose opening handshake is not over.
    handshakes: usize,
    /// Of the task that waits for connections to leave.
    watcher: Option<Waker>,
}

impl State {
    fn connections(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// A connection's, or free.
#[derive(Debug, Default)]
struct Place {
    /// Wakes the one that is to learn that the server stops.
    waker: Option<Waker>,
    /// Its task, to abort it.
    task: Option<JoinHandle<()>>,
    /// There is a [`Task`].
    running: bool,
    /// There is a [`Member`].
    open: bool,
    /// Its opening handshake is not over.
    handshaking: bool,
}

impl Group {
    /// Spawns the task of a connection that was accepted.
    pub(super) fn spawn<T>(self: &Arc<Self>, connection: impl FnOnce(Task, Member) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (task, member) = self.join();
        let place = task.place;
        let handle = tokio::task::spawn(connection(task, member));
        if let Some(place) = self.state().places.get_mut(place)
            // It may have ended.
            && place.running
        {
            place.task = Some(handle);
        }
    }

    fn join(self: &Arc<Self>) -> (Task, Member) {
        let mut state = self.state();
        state.handshakes += 1;
        let taken = Place { running: true, open: true, handshaking: true, ..Place::default() };
        let place = state.free.pop().unwrap_or(state.places.len());
        match state.places.get_mut(place) {
            Some(free) => *free = taken,
            None => state.places.push(taken),
        }
        drop(state);
        (Task { place, group: self.clone() }, Member { place, group: self.clone() })
    }

    /// Ready while there are fewer connections, and fewer handshakes among them, than these.
    pub(super) fn poll_fewer(&self, cx: &Context<'_>, connections: usize, handshakes: usize) -> Poll<()> {
        let mut state = self.state();
        let fewer = state.connections() < connections && state.handshakes < handshakes;
        state.watcher = (!fewer).then(|| cx.waker().clone());
        if fewer { Poll::Ready(()) } else { Poll::Pending }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.state().connections()
    }

    /// Tells all members to stop.
    pub(super) fn stop(&self) {
        // Whoever leaves a waker behind after this sees that it is set.
        self.stopping.store(true, Ordering::Release);
        let wakers: Vec<_> = self.state().places.iter_mut().filter_map(|place| place.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Aborts all tasks.
    fn abort(&self) {
        let tasks: Vec<_> = self.state().places.iter_mut().filter_map(|place| place.task.take()).collect();
        tasks.iter().for_each(JoinHandle::abort);
    }

    /// The connection at this place does something that others may wait for.
    ///
    /// What `change` returns is dropped after the lock is released: a task may be dropped with its last waker,
    /// and a member with it.
    fn change<T>(&self, place: usize, change: impl FnOnce(&mut Place) -> T) {
        let mut state = self.state();
        let State { places, free, handshakes, watcher } = &mut *state;
        let Some(connection) = places.get_mut(place) else {
            return;
        };
        let was_handshaking = connection.handshaking;
        let changed = change(connection);
        if was_handshaking && !connection.handshaking {
            *handshakes -= 1;
        }
        if !connection.running && !connection.open {
            free.push(place);
        }
        let watcher = watcher.take();
        drop(state);
        drop(changed);
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Aborts a group's tasks when it is dropped.
#[derive(Debug)]
pub(super) struct Aborting(pub(super) Arc<Group>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection's task runs.
#[derive(Debug)]
pub(super) struct Task {
    place: usize,
    group: Arc<Group>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.group.change(self.place, |place| {
            place.running = false;
            place.task.take()
        });
    }
}

/// A connection's WebSocket, or the request for one.
#[derive(Debug)]
pub(super) struct Member {
    place: usize,
    group: Arc<Group>,
}

impl Member {
    /// Whether to stop; if not, the task will be woken for it.
    pub(super) fn poll_stop(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let replaced =
            self.group.state().places.get_mut(self.place).and_then(|place| place.waker.replace(waker));
        // Not before the lock is released, as in `change`.
        drop(replaced);
        self.is_to_stop()
    }

    /// The opening handshake is over: from now on `waker` is to be woken.
    pub(super) fn open(&self, waker: &Waker) {
        let waker = waker.clone();
        self.group.change(self.place, |place| {
            place.handshaking = false;
            place.waker.replace(waker)
        });
    }

    pub(super) fn is_to_stop(&self) -> bool {
        self.group.stopping.load(Ordering::Acquire)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.group.change(self.place, |place| {
            (place.handshaking, place.open) = (false, false);
            place.waker.take()
        });
    }
}

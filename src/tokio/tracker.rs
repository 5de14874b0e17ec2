//! The connections that one `serve` has accepted: how many they are, how they learn that it stops, and how
//! they are ended if they do not.
//!
//! Each has a slot as long as its task runs, which holds a [`TaskToken`], or its WebSocket is open, whichever task
//! that is in: it holds a [`Token`], from being accepted on. Its waker is here: that of its task during the
//! opening handshake, then one that wakes whoever polls the WebSocket. So a message costs no more than a look at a
//! flag. (A `JoinSet` would keep the tasks, too, but with an allocation for each.)

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;
use core::task::{Context, Poll, Waker};
use std::io;

use tokio::task::JoinHandle;

use crate::endpoint::Server;
use crate::endpoint::census::Census;
use crate::endpoint::sync::atomic::{AtomicBool, Ordering};
use crate::endpoint::sync::{Mutex, MutexGuard, lock};

#[derive(Debug)]
pub(super) struct Tracker {
    stopping: AtomicBool,
    ended: AtomicBool,
    state: Mutex<State>,
}

/// ```text
/// `serve`               counts, and leaves its waker; takes out the wakers to wake, and the tasks to abort
/// a connection's tasks  join, leave their wakers, and leave
/// ```
///
/// No other lock is taken meanwhile. What is taken out is woken, aborted or dropped afterwards.
#[derive(Debug)]
struct State {
    census: Census,
    slots: Vec<Slot>,
    /// The slots that no connection has.
    free: Vec<usize>,
    /// Of the tasks that wait for connections to leave: mostly one.
    watchers: Vec<Waker>,
}

/// A connection's, or free.
#[derive(Debug, Default)]
struct Slot {
    /// Wakes the one that is to learn that the server stops.
    waker: Option<Waker>,
    /// Its task, to abort it.
    task: Option<JoinHandle<()>>,
    /// There is a [`TaskToken`].
    running: bool,
    /// It is to be told that there is no room for it.
    refused: bool,
    progress: Progress,
    /// How many connections had it before: tells whose it is, to who may come late.
    turn: u32,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Progress {
    /// Its opening handshake is not over; there is a [`Token`].
    Opening,
    /// There is a [`Token`].
    Open,
    /// Its WebSocket, or the request for one, was dropped.
    #[default]
    Gone,
}

impl Tracker {
    /// Of no connections yet, which are to count as the server's.
    pub(super) fn new(server: &Server) -> Self {
        let state =
            State { census: Census::new(server), slots: Vec::new(), free: Vec::new(), watchers: Vec::new() };
        Self { stopping: AtomicBool::new(false), ended: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Spawns the task of a connection that was accepted, be it to be refused, since it is one too many.
    pub(super) fn spawn<T>(
        self: &Arc<Self>,
        server: &Server,
        connection: impl FnOnce(bool, TaskToken, Token) -> T,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        let refused = state.census.is_full(server);
        let joined = self.join(&mut state, refused);
        drop(state);
        self.run(joined, |task, token| connection(refused, task, token));
    }

    /// The same, unless the server stops, or has no room for the connection.
    #[cfg(feature = "hyper")]
    pub(super) fn try_spawn<T>(
        self: &Arc<Self>,
        server: &Server,
        connection: impl FnOnce(TaskToken, Token) -> T,
    ) -> Result<(), NotSpawned>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        self.check(&state, server)?;
        let joined = self.join(&mut state, false);
        drop(state);
        self.run(joined, connection);
        Ok(())
    }

    /// Whether one more would be spawned now.
    #[cfg(feature = "hyper")]
    pub(super) fn check_room(&self, server: &Server) -> Result<(), NotSpawned> {
        self.check(&self.state(), server)
    }

    #[cfg(feature = "hyper")]
    fn check(&self, state: &State, server: &Server) -> Result<(), NotSpawned> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(NotSpawned::Stopping);
        }
        if state.census.has_room_now(server) { Ok(()) } else { Err(NotSpawned::Full) }
    }

    fn run<T>(&self, joined: Joined, connection: impl FnOnce(TaskToken, Token) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let Joined { turn, task, token } = joined;
        let slot = task.slot;
        let handle = tokio::task::spawn(connection(task, token));
        let mut state = self.state();
        // If not before, whoever aborts all tasks takes the lock after this, and finds the handle.
        if self.ended.load(Ordering::Acquire) {
            drop(state);
            handle.abort();
        } else if let Some(slot) = state.slots.get_mut(slot)
            // The task may have ended already, and another connection have the slot.
            && (slot.running, slot.turn) == (true, turn)
        {
            slot.task = Some(handle);
        }
    }

    fn join(self: &Arc<Self>, state: &mut State, refused: bool) -> Joined {
        state.census.join(refused);
        let slot = state.free.pop().unwrap_or(state.slots.len());
        let turn = state.slots.get(slot).map_or(0, |free| free.turn.wrapping_add(1));
        let taken = Slot { running: true, refused, progress: Progress::Opening, turn, ..Slot::default() };
        match state.slots.get_mut(slot) {
            Some(free) => *free = taken,
            None => state.slots.push(taken),
        }
        let token = Token { slot, tracker: self.clone() };
        Joined { turn, task: TaskToken { slot, tracker: self.clone() }, token }
    }

    /// Ready while there is room for one more connection.
    pub(super) fn poll_room(&self, cx: &Context<'_>, server: &Server) -> Poll<()> {
        self.poll_census(cx, |census| census.has_room(server))
    }

    /// Ready while there are fewer connections than these.
    pub(super) fn poll_fewer(&self, cx: &Context<'_>, connections: usize) -> Poll<()> {
        self.poll_census(cx, |census| census.connections() < connections)
    }

    fn poll_census(&self, cx: &Context<'_>, ready: impl FnOnce(&Census) -> bool) -> Poll<()> {
        let mut state = self.state();
        let ready = ready(&state.census);
        // Never the last of its task, which may be dropped with that: `cx` has it.
        state.watchers.retain(|watcher| !watcher.will_wake(cx.waker()));
        if ready {
            return Poll::Ready(());
        }
        state.watchers.push(cx.waker().clone());
        Poll::Pending
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.state().census.connections()
    }

    /// Tells all connections to stop.
    pub(super) fn stop(&self) {
        // Whoever leaves a waker behind after this sees that it is set.
        self.stopping.store(true, Ordering::Release);
        let wakers: Vec<_> = self.state().slots.iter().filter_map(|slot| slot.waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Aborts all tasks, and has what was kept of connections elsewhere end.
    pub(super) fn abort(&self) {
        self.ended.store(true, Ordering::Release);
        let mut state = self.state();
        let tasks: Vec<_> = state.slots.iter_mut().filter_map(|slot| slot.task.take()).collect();
        let wakers: Vec<_> = state.slots.iter_mut().filter_map(|slot| slot.waker.take()).collect();
        drop(state);
        tasks.iter().for_each(JoinHandle::abort);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The connection of this slot does something that others may wait for.
    ///
    /// What `change` returns is dropped after the lock is released: a task may be dropped with its last waker,
    /// and a token with it.
    fn change<T>(&self, slot: usize, change: impl FnOnce(&mut Slot) -> T) {
        let mut state = self.state();
        let State { census, slots, free, watchers } = &mut *state;
        let Some(connection) = slots.get_mut(slot) else {
            return;
        };
        let before = connection.progress;
        let changed = change(connection);
        if before == Progress::Opening && connection.progress != Progress::Opening {
            census.end_handshake();
        }
        if !connection.running && connection.progress == Progress::Gone {
            census.leave(connection.refused);
            free.push(slot);
        }
        let watchers = take(watchers);
        drop(state);
        drop(changed);
        watchers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A connection that was joined, and has no task yet.
struct Joined {
    turn: u32,
    task: TaskToken,
    token: Token,
}

/// Why a connection has got no task.
#[cfg(feature = "hyper")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotSpawned {
    Full,
    Stopping,
}

/// Aborts a tracker's tasks when it is dropped.
#[derive(Debug)]
pub(super) struct AbortOnDrop(pub(super) Arc<Tracker>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection's task runs.
#[derive(Debug)]
pub(super) struct TaskToken {
    slot: usize,
    tracker: Arc<Tracker>,
}

impl Drop for TaskToken {
    fn drop(&mut self) {
        self.tracker.change(self.slot, |slot| {
            slot.running = false;
            slot.task.take()
        });
    }
}

/// A connection's WebSocket, or the request for one.
#[derive(Debug)]
pub(super) struct Token {
    slot: usize,
    tracker: Arc<Tracker>,
}

impl Token {
    /// Whether to stop; if not, the task will be woken for it.
    pub(super) fn poll_stop(&self, cx: &Context<'_>) -> bool {
        let mut state = self.tracker.state();
        let replaced = match state.slots.get_mut(self.slot) {
            Some(slot) if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) => {
                slot.waker.replace(cx.waker().clone())
            }
            _ => None,
        };
        drop(state);
        // Not before the lock is released, as in `change`.
        drop(replaced);
        self.is_to_stop()
    }

    /// The opening handshake is over: from now on `waker` is to be woken.
    pub(super) fn open(&self, waker: &Waker) {
        let waker = waker.clone();
        self.tracker.change(self.slot, |slot| {
            slot.progress = Progress::Open;
            slot.waker.replace(waker)
        });
    }

    /// Whether there is something to tell the connection.
    #[inline]
    pub(super) fn is_told(&self) -> bool {
        self.is_to_stop() || self.is_cut_off()
    }

    pub(super) fn is_to_stop(&self) -> bool {
        self.tracker.stopping.load(Ordering::Acquire)
    }

    /// Whether the server has ended, and the connection has to.
    pub(super) fn is_cut_off(&self) -> bool {
        self.tracker.ended.load(Ordering::Acquire)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.tracker.change(self.slot, |slot| {
            slot.progress = Progress::Gone;
            slot.waker.take()
        });
    }
}

/// How a connection ends that its server has cut off.
pub(super) fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended")
}

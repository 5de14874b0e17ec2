//! What a client wants of one topic, in the order in which it was said.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use crate::channel::AnySession;
use crate::close::Leave;
use crate::payload::Payload;
use crate::seat::Seat;
use crate::sync::{Mutex, MutexGuard, lock};
use crate::waiter::Waiter;

/// What a client wants of one topic, in the order in which it was said, to be worked off by one task at a time: there is one
/// only while there is something to do.
pub(crate) struct Inbox {
    pub(crate) topic: Arc<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commands: VecDeque<Command>,
    /// Somebody works it off.
    is_running: bool,
    /// Of the session, or of the join that is under way.
    seat: Option<Arc<Seat>>,
    /// The session is to have its say in what its seat holds.
    is_held: bool,
    /// That of the seat, while nobody works.
    session: Option<Box<dyn AnySession>>,
    /// Somebody waits for room.
    is_awaited: bool,
    /// Whoever works. Told when something comes that may put an end to a join.
    waiter: Waiter,
}

/// A session, and its place.
pub(crate) struct Seated {
    pub(crate) seat: Arc<Seat>,
    pub(crate) session: Box<dyn AnySession>,
}

/// What a client wants.
pub(crate) enum Command {
    Join {
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
        /// As they came.
        params: Payload,
        /// When it came.
        since: Instant,
    },
    Push {
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
        event: Box<str>,
        payload: Payload,
    },
    Leave {
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
    },
    /// The session of this seat is over, or the join that was under way: whoever wanted that has seen to the rest.
    EndSession {
        seat: Arc<Seat>,
        why: Leave,
    },
    /// The connection is over.
    End {
        why: Leave,
        /// To handle what was said before.
        permit: Option<OwnedSemaphorePermit>,
    },
}

impl Inbox {
    pub(crate) fn new(topic: Arc<str>) -> Self {
        Self { topic, state: Mutex::default() }
    }

    /// Adds what the client wants. True: somebody has to begin to work it off. Fails when it is full; then there is news when
    /// there is room.
    pub(crate) fn push(&self, command: Command, max: usize) -> Result<bool, Command> {
        let mut state = lock(&self.state);
        if state.commands.len() >= max {
            state.is_awaited = true;
            return Err(command);
        }
        let interrupts = !matches!(command, Command::Push { .. });
        state.commands.push_back(command);
        Ok(start(state, interrupts))
    }

    /// The session of this seat, if it is the one, was ended by the server: what it has not handled is dropped.
    pub(crate) fn end_session(&self, seat: &Arc<Seat>, why: Leave) -> bool {
        let mut state = lock(&self.state);
        if !state.seat.as_ref().is_some_and(|own| Arc::ptr_eq(own, seat)) {
            return false;
        }
        let is_join = |command: &Command| matches!(command, Command::Join { .. });
        let next = state.commands.iter().position(is_join).unwrap_or(state.commands.len());
        let mut at = 0;
        // A leave has its answer.
        state.commands.retain(|command| {
            at += 1;
            at > next || !matches!(command, Command::Push { .. })
        });
        state.commands.push_front(Command::EndSession { seat: seat.clone(), why });
        start(state, true)
    }

    /// This seat, if it is the one, holds something that its session is to have its say in.
    pub(crate) fn hold(&self, seat: &Arc<Seat>) -> bool {
        let mut state = lock(&self.state);
        if !state.seat.as_ref().is_some_and(|own| Arc::ptr_eq(own, seat)) {
            return false;
        }
        state.is_held = true;
        start(state, false)
    }

    /// Whether it does; told once.
    pub(crate) fn take_held(&self) -> bool {
        std::mem::take(&mut lock(&self.state).is_held)
    }

    /// The connection has ended: what the client said before is still handled, with a permit, or dropped.
    pub(crate) fn end(&self, why: Leave, permit: Option<OwnedSemaphorePermit>) -> bool {
        let mut state = lock(&self.state);
        if permit.is_none() {
            state.commands.clear();
        }
        state.commands.push_back(Command::End { why, permit });
        start(state, true)
    }

    /// What there is of the session when somebody begins to work.
    pub(crate) fn take_seated(&self) -> Option<Seated> {
        let mut state = lock(&self.state);
        let session = state.session.take()?;
        Some(Seated { seat: state.seat.clone()?, session })
    }

    /// What is next, and whether somebody waits for the room that it leaves.
    pub(crate) fn next(&self) -> Option<(Command, bool)> {
        let mut state = lock(&self.state);
        let command = state.commands.pop_front()?;
        Some((command, std::mem::take(&mut state.is_awaited)))
    }

    /// Ends the work, if there is none: tells whether there still is a session. Fails if something has come.
    pub(crate) fn rest(&self, seated: Option<Seated>) -> Result<bool, Option<Seated>> {
        let mut state = lock(&self.state);
        if !state.commands.is_empty() || state.is_held {
            return Err(seated);
        }
        state.is_running = false;
        state.session = seated.map(|seated| seated.session);
        // An inbox that is idle has no memory of its last burst.
        state.commands = VecDeque::new();
        // It is of a task that ends.
        let waker = state.waiter.take();
        let outcome = Ok(state.session.is_some());
        drop(state);
        drop(waker);
        outcome
    }

    pub(crate) fn seat(&self) -> Option<Arc<Seat>> {
        lock(&self.state).seat.clone()
    }

    pub(crate) fn set_seat(&self, seat: Option<Arc<Seat>>) {
        let mut state = lock(&self.state);
        let old = std::mem::replace(&mut state.seat, seat);
        // It was the old one that held something.
        state.is_held = false;
        drop(state);
        drop(old);
    }

    /// Puts what was next back: it is next again.
    pub(crate) fn put_back(&self, command: Command) {
        lock(&self.state).commands.push_front(command);
    }

    /// Waits until a join has waited for so long, and takes it out. Cancel safe.
    pub(crate) async fn overdue(&self, limit: Duration) -> Command {
        loop {
            let since = poll_fn(|cx| self.poll_until(cx, State::first_join)).await;
            match since.checked_add(limit) {
                Some(due) if due <= Instant::now() => {
                    if let Some(join) = self.take_join() {
                        return join;
                    }
                }
                // Hardly ever.
                Some(due) => Box::pin(sleep_until(due)).await,
                None => pending().await,
            }
        }
    }

    fn take_join(&self) -> Option<Command> {
        let mut state = lock(&self.state);
        let at = state.commands.iter().position(|command| matches!(command, Command::Join { .. }))?;
        state.commands.remove(at)
    }

    /// Whether there will be no session soon, as far as can be told.
    pub(crate) fn is_leaving(&self) -> bool {
        let state = lock(&self.state);
        let mut commands = state.commands.iter();
        let leaves =
            |command: &Command| matches!(command, Command::Leave { .. } | Command::EndSession { .. });
        let joins = |command: &Command| matches!(command, Command::Join { .. });
        commands.clone().any(leaves) || (state.seat.is_none() && !commands.any(joins))
    }

    /// Waits until something has come that puts an end to a join: its leave, a newer one, its end or that of the connection.
    /// Cancel safe.
    pub(crate) async fn superseded(&self, seat: &Arc<Seat>) {
        poll_fn(|cx| self.poll_until(cx, |state| state.supersedes(seat).then_some(()))).await;
    }

    fn poll_until<T>(&self, cx: &Context<'_>, is_there: impl FnOnce(&State) -> Option<T>) -> Poll<T> {
        let mut state = lock(&self.state);
        match is_there(&state) {
            Some(there) => Poll::Ready(there),
            None => state.waiter.wait(cx),
        }
    }
}

impl State {
    /// When the first join came that waits.
    fn first_join(&self) -> Option<Instant> {
        self.commands.iter().find_map(|command| match command {
            Command::Join { since, .. } => Some(*since),
            _ => None,
        })
    }

    /// Whether something has come that puts an end to the join of this seat.
    fn supersedes(&self, seat: &Arc<Seat>) -> bool {
        self.commands.iter().any(|command| match command {
            Command::Join { .. } | Command::End { .. } | Command::Leave { join_ref: None, .. } => true,
            Command::Leave { join_ref: left, .. } => *left == seat.join_ref,
            Command::EndSession { seat: ended, .. } => Arc::ptr_eq(ended, seat),
            Command::Push { .. } => false,
        })
    }
}

/// Something has come: whether somebody has to begin to work it off.
fn start(mut state: MutexGuard<'_, State>, interrupts: bool) -> bool {
    let starts = !std::mem::replace(&mut state.is_running, true);
    let waker = if interrupts { state.waiter.take() } else { None };
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
    starts
}

//! Who waits for a change of what a lock guards.

use std::task::{Context, Poll, Waker};

/// The one task that waits for a change of what a lock guards; it is behind that lock, too.
///
/// No wake is lost: the task looks at what it waits for, and [waits](Self::wait), without unlocking between the two, and whoever
/// changes that takes the [waker](Self::take) before he unlocks, and wakes it. So if there is a waker, what its task waits for has
/// not come about. A task that is dropped, or waits for something else by now, is woken once for nothing.
#[derive(Default)]
pub(crate) struct Waiter(Option<Waker>);

impl Waiter {
    /// The task waits from now on.
    pub(crate) fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether a task waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// What wakes the task, if it waits: to be called when nothing is locked.
    #[must_use = "who waits is to be woken"]
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.0.take()
    }
}

/// What the connection's task is woken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Woken {
    /// There are frames, and nothing else.
    ToWrite,
    /// There is something else to do, be there frames or not.
    ToLook,
}

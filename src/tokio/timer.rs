//! The clock, and a timer for deadlines that move.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::task::unconstrained;
use tokio::time::Sleep;

/// Wakes at a deadline that may move. Moving it further costs nothing: the timer then fires early
/// once, and is set anew.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Whether it has not fired at `now`.
    #[inline]
    pub(super) fn is_after(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|sleep| sleep.deadline().into_std() > now)
    }

    /// Ready once `deadline` has passed; never, without one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
            self.0 = None;
            return Poll::Pending;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.deadline() < deadline {
            ready!(poll(sleep.as_mut(), cx));
            sleep.as_mut().reset(deadline);
        }
        ready!(poll(sleep.as_mut(), cx));
        // Spent: the next deadline gets a new one.
        self.0 = None;
        Poll::Ready(())
    }
}

/// Not within the budget that a task has for its turn: a `Sleep` that finds it spent says that it has not passed, and is not
/// there for anybody to be woken by.
fn poll(sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    pin!(unconstrained(sleep)).poll(cx)
}

/// The time, which a test may have stopped.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

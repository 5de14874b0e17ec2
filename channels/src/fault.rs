//! Code of others that panics.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// It panicked. What it said has gone where panics go.
#[derive(Debug)]
pub(crate) struct Panicked;

/// What a future comes to, which may panic, as may its drop. What it shares it has to leave in order itself, as when its task
/// ended so.
pub(crate) async fn caught<F: Future + Unpin>(future: F) -> Result<F::Output, Panicked> {
    let mut contained = Contained(Some(future));
    poll_fn(|cx| {
        let Some(future) = &mut contained.0 else {
            return Poll::Ready(Err(Panicked));
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

/// What may panic when it is dropped.
struct Contained<T>(Option<T>);

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        dropped(self.0.take());
    }
}

/// The same, within some time. `None`: it took longer, or panicked.
pub(crate) async fn caught_within<F: Future + Unpin>(limit: Duration, future: F) -> Option<F::Output> {
    timeout(limit, caught(future)).await.ok()?.ok()
}

/// What a call comes to, which may panic.
pub(crate) fn called<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// Drops what may panic then.
pub(crate) fn dropped<T>(value: T) {
    let _ = called(|| drop(value));
}

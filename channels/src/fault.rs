//! Code of others that panics.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// It panicked. What it said has gone where panics go.
#[derive(Debug)]
pub(crate) struct Panicked;

/// What a future comes to, which may panic. What it shares it has to leave in order itself, as when its task ended so.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// The same, within some time. `None`: it took longer, or panicked.
pub(crate) async fn caught_within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, caught(future)).await.ok()?.ok()
}

/// Drops what may panic then.
pub(crate) fn dropped<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

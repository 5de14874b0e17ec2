//! Counting what goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many of something go on, and a way to wait until none does.
#[derive(Default)]
pub(crate) struct Running(Arc<Count>);

#[derive(Default)]
struct Count {
    count: AtomicUsize,
    /// Told when there are none.
    none: Notify,
}

/// One of them. Dropped, it is over.
pub(crate) struct Run(Arc<Count>);

impl Running {
    /// One more.
    pub(crate) fn begin(&self) -> Run {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Run(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until there are none. Cancel safe.
    pub(crate) async fn none(&self) {
        loop {
            // Hears of what happens from here on.
            let none = self.0.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Release) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

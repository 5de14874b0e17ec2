//! Tasks that belong to somebody.

use tokio::task::JoinHandle;

/// A task that ends when this is dropped.
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Waits until it has ended.
    pub(super) async fn ended(mut self) {
        // It does not matter whether it was stopped.
        let _ = (&mut self.0).await;
    }

    /// Stops it, and waits until it has.
    pub(super) async fn stop(self) {
        self.0.abort();
        self.ended().await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

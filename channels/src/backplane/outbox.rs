//! What waits for a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
#[cfg(any(feature = "nats", feature = "redis"))]
use tokio::sync::oneshot;

use super::BackplaneError;

/// What waits for a broker, in its order: as many items, and as many bytes, as there may be.
pub(crate) struct Outbox<T> {
    sender: Sender<(T, usize)>,
    bytes: Arc<AtomicUsize>,
}

/// The other end.
pub(crate) struct Waiting<T> {
    receiver: Receiver<(T, usize)>,
    bytes: Arc<AtomicUsize>,
}

/// Both ends of one that is empty.
pub(crate) fn outbox<T>() -> (Outbox<T>, Waiting<T>) {
    let (sender, receiver) = channel(ITEMS);
    let bytes = Arc::<AtomicUsize>::default();
    (Outbox { sender, bytes: bytes.clone() }, Waiting { receiver, bytes })
}

impl<T> Outbox<T> {
    /// Adds an item of so many bytes, if there is room.
    pub(crate) fn push(&self, item: T, len: usize) -> Result<(), BackplaneError> {
        if self.bytes.fetch_add(len, Ordering::Relaxed).saturating_add(len) > BYTES {
            self.bytes.fetch_sub(len, Ordering::Relaxed);
            return Err(BackplaneError::Full);
        }
        self.sender.try_send((item, len)).map_err(|error| {
            self.bytes.fetch_sub(len, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => BackplaneError::Full,
                TrySendError::Closed(_) => BackplaneError::Down,
            }
        })
    }
}

#[cfg(any(feature = "nats", feature = "redis"))]
impl<T: Send + 'static> Outbox<T> {
    /// Adds an item that tells, or is dropped, when what was before it is done with, as soon as there is room; waits for that.
    pub(crate) fn flush(
        &self,
        item: impl FnOnce(oneshot::Sender<()>) -> T,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (sender, flushed) = oneshot::channel();
        let (item, outbox) = (item(sender), self.sender.clone());
        async move {
            // Without another end it is dropped, too.
            let _ = outbox.send((item, 0)).await;
            let _ = flushed.await;
        }
    }
}

impl<T> Waiting<T> {
    /// The next; `None`: there will be no more. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        let (item, len) = self.receiver.recv().await?;
        self.bytes.fetch_sub(len, Ordering::Relaxed);
        Some(item)
    }

    /// The next, if one waits.
    #[cfg(any(feature = "nats", feature = "redis"))]
    pub(crate) fn take(&mut self) -> Option<T> {
        let (item, len) = self.receiver.try_recv().ok()?;
        self.bytes.fetch_sub(len, Ordering::Relaxed);
        Some(item)
    }
}

/// How many items may wait,
const ITEMS: usize = 8_192;

/// and how many bytes they may have.
const BYTES: usize = 8 << 20;

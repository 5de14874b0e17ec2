//! What has come, and is not told yet.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_nats::Subscriber;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::Notify;

use crate::sync::{Mutex, lock};

/// What has come by a subscription, and is not told yet.
///
/// The client would keep 65,536 messages of each, however large they are: what has come is taken from it every few messages that are
/// told, and has the room that there is for all of a connection.
pub(super) struct Untold {
    subscriber: Subscriber,
    /// `None`: it is what is sent to the node.
    topic: Option<Arc<str>>,
    waiting: VecDeque<Bytes>,
    /// How many were told since the last look at the client, which costs as much as one,
    told: usize,
    /// and how much room these had, which is given back then.
    freed: usize,
    room: Arc<Room>,
}

/// The room for what is not told yet, of all subscriptions of a connection.
pub(super) struct Room {
    /// How many bytes it has.
    taken: AtomicUsize,
    /// Told of each message for which there is none.
    dropped: Arc<Dropped>,
}

/// What was dropped, and is not told yet.
#[derive(Default)]
pub(super) struct Dropped {
    lost: Mutex<Lost>,
    is_changed: Notify,
}

/// What is to be told to be lost.
#[derive(Default)]
pub(super) struct Lost {
    /// Something of any topic, or of what is sent to the node.
    pub(super) any: bool,
    pub(super) topics: BTreeSet<Arc<str>>,
}

impl Dropped {
    /// Something of a topic was dropped; `None`: of any, or of what is sent to the node.
    pub(super) fn add(&self, topic: Option<&Arc<str>>) {
        let mut lost = lock(&self.lost);
        match topic {
            Some(topic) if !lost.topics.contains(topic) => drop(lost.topics.insert(topic.clone())),
            Some(_) => {}
            None => lost.any = true,
        }
        self.is_changed.notify_one();
    }

    /// Waits until there is something.
    pub(super) async fn take(&self) -> Lost {
        self.is_changed.notified().await;
        std::mem::take(&mut *lock(&self.lost))
    }
}

impl Room {
    pub(super) fn new(dropped: Arc<Dropped>) -> Self {
        Self { taken: AtomicUsize::new(0), dropped }
    }
}

impl Untold {
    pub(super) fn new(subscriber: Subscriber, topic: Option<Arc<str>>, room: Arc<Room>) -> Self {
        Self { subscriber, topic, waiting: VecDeque::new(), told: 0, freed: 0, room }
    }

    /// The next; `None`: there will be no more. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let is_over = (self.waiting.is_empty() || self.told >= TOGETHER) && self.look(cx);
        self.told += 1;
        let next = self.waiting.pop_front();
        match &next {
            Some(envelope) => self.freed += size(envelope),
            None if is_over => {}
            None => {
                // Many may have waited.
                self.waiting.shrink_to(FEW);
                return Poll::Pending;
            }
        }
        Poll::Ready(next)
    }

    /// Takes in all that has come. Whether there will be no more.
    fn look(&mut self, cx: &mut Context<'_>) -> bool {
        self.told = 0;
        self.room.taken.fetch_sub(std::mem::take(&mut self.freed), Ordering::Relaxed);
        loop {
            match Pin::new(&mut self.subscriber).poll_next(cx) {
                Poll::Ready(Some(message)) => self.take_in(message.payload),
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    fn take_in(&mut self, envelope: Bytes) {
        let size = size(&envelope);
        if self.room.taken.fetch_add(size, Ordering::Relaxed).saturating_add(size) > MOST {
            self.room.taken.fetch_sub(size, Ordering::Relaxed);
            self.room.dropped.add(self.topic.as_ref());
        } else {
            self.waiting.push_back(envelope);
        }
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        let waiting: usize = self.waiting.iter().map(size).sum();
        self.room.taken.fetch_sub(waiting + self.freed, Ordering::Relaxed);
    }
}

fn size(envelope: &Bytes) -> usize {
    size_of::<Bytes>() + envelope.len()
}

/// How many bytes may wait: what four nodes may have waiting for the broker, should all of it come at once.
const MOST: usize = 32 << 20;

/// After how many that were told it is looked whether more has come.
const TOGETHER: usize = 16;

/// For how many there is room though none wait.
const FEW: usize = 64;

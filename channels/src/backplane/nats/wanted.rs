//! What a node wants of its broker.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::super::BackplaneError;
use super::super::outbox::Outbox;
use crate::sync::{Mutex, lock};

/// What a node wants of its broker, for whoever has the connection to see to.
#[derive(Default)]
pub(super) struct Wanted {
    state: Mutex<State>,
    /// Told when there are changes, or somebody asks.
    news: Notify,
}

#[derive(Default)]
struct State {
    /// What is subscribed to.
    topics: HashSet<Arc<str>>,
    /// What of it has changed, or may have, since the connection began or was last told. Without a connection there are none: the
    /// next one begins with all topics.
    changes: Option<HashSet<Arc<str>>>,
    /// Who waits to be told that all changes so far are confirmed.
    asking: Vec<oneshot::Sender<()>>,
    /// Where to publish, while the connection is up.
    link: Option<Link>,
}

/// A connection that is up.
pub(super) struct Link {
    pub(super) outbox: Outbox<Outgoing>,
    /// How many bytes an envelope may have.
    pub(super) most: usize,
}

/// What is on its way.
pub(super) enum Outgoing {
    Envelope(Subject, Bytes),
    /// Somebody waits until the broker has what is before this.
    Flush(oneshot::Sender<()>),
}

/// What was asked for since the last time: topics with whether they are wanted now, and who waits for that to be confirmed.
pub(super) type News = (Vec<(Arc<str>, bool)>, Vec<oneshot::Sender<()>>);

impl Wanted {
    /// Wants a topic, and to be told when the broker knows. `None`: there is no connection, and the next one begins with it.
    pub(super) fn subscribe(&self, topic: &str) -> Option<oneshot::Receiver<()>> {
        let mut state = lock(&self.state);
        if !state.topics.contains(topic) {
            let topic: Arc<str> = topic.into();
            state.topics.insert(topic.clone());
            state.changed(topic);
        }
        state.changes.as_ref()?;
        let (sender, confirmed) = oneshot::channel();
        state.asking.push(sender);
        self.news.notify_one();
        Some(confirmed)
    }

    /// Wants it no more.
    pub(super) fn unsubscribe(&self, topic: &str) {
        let mut state = lock(&self.state);
        if let Some(topic) = state.topics.take(topic) {
            state.changed(topic);
            self.news.notify_one();
        }
    }

    pub(super) fn send(&self, subject: String, envelope: Bytes) -> Result<(), BackplaneError> {
        let state = lock(&self.state);
        let link = state.link.as_ref().ok_or(BackplaneError::Down)?;
        if envelope.len() > link.most {
            return Err(BackplaneError::TooBig);
        }
        let len = subject.len() + envelope.len();
        link.outbox.push(Outgoing::Envelope(subject.into(), envelope), len)
    }

    /// Waits until the broker has what was sent so far, or the connection is lost.
    pub(super) async fn flush(&self) {
        let flushing = lock(&self.state).link.as_ref().map(|link| link.outbox.flush(Outgoing::Flush));
        if let Some(flushing) = flushing {
            flushing.await;
        }
    }

    /// There is a connection, which needs all of these before it is up.
    pub(super) fn begin(&self) -> Vec<Arc<str>> {
        let mut state = lock(&self.state);
        state.changes = Some(HashSet::new());
        state.topics.iter().cloned().collect()
    }

    /// It has what it began with, and is up. What has changed since is news.
    pub(super) fn open(&self, link: Link) {
        lock(&self.state).link = Some(link);
    }

    /// It has ended: what waits there is dropped, and who asks is refused.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        (state.changes, state.link) = (None, None);
        state.asking.clear();
    }

    /// Waits until something is asked for. Cancel safe.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn take(&self) -> News {
        let mut state = lock(&self.state);
        let changes = state.changes.as_mut().map(mem::take).unwrap_or_default();
        let topics = &state.topics;
        let changes = changes.into_iter().map(|topic| (topic.clone(), topics.contains(&topic))).collect();
        (changes, mem::take(&mut state.asking))
    }
}

impl State {
    fn changed(&mut self, topic: Arc<str>) {
        if let Some(changes) = &mut self.changes {
            changes.insert(topic);
        }
    }
}

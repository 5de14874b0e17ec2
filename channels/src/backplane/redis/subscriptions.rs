//! Which topics a node wants to hear, and which of them the broker knows about.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use crate::backplane::BackplaneError;
use crate::sync::{Mutex, lock};

/// Which topics a node wants to hear, and which of them the broker knows about.
#[derive(Default)]
pub(super) struct Subscriptions {
    state: Mutex<State>,
    /// Told when something has changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// There is a connection, for which changes are noted.
    is_connected: bool,
    /// Those that are wanted, and those that the broker is to hear of or to forget yet.
    topics: HashMap<Arc<str>, Topic>,
    /// Topics of which there may be something to tell the broker, in the order of their changes: each once, and it says so.
    changed: VecDeque<Arc<str>>,
    /// Who waits for a topic to be confirmed.
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<()>>>,
}

#[derive(Default)]
struct Topic {
    is_wanted: bool,
    is_changed: bool,
    at_broker: AtBroker,
}

/// What the broker knows of a topic.
#[derive(Clone, Copy, Default, PartialEq)]
enum AtBroker {
    #[default]
    Nothing,
    /// It has been asked to subscribe the node.
    Asked,
    /// It has done so.
    Confirmed,
}

/// What the broker is told at once.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) subscribe: Vec<Arc<str>>,
    pub(super) unsubscribe: Vec<Arc<str>>,
    /// Of how many topics something might have changed: these, and others.
    pub(super) count: usize,
}

impl Subscriptions {
    /// Wants a topic. What is returned is told when that is confirmed, or dropped when the connection is lost before.
    pub(super) fn subscribe(&self, topic: &str) -> Result<oneshot::Receiver<()>, BackplaneError> {
        let (confirm, confirmed) = oneshot::channel();
        let mut state = lock(&self.state);
        let State { is_connected, topics, changed, waiting } = &mut *state;
        let name = topics.get_key_value(topic).map_or_else(|| topic.into(), |(name, _)| name.clone());
        let topic = topics.entry(Arc::clone(&name)).or_default();
        topic.is_wanted = true;
        if !*is_connected {
            return Err(BackplaneError::Down);
        }
        if topic.at_broker == AtBroker::Confirmed {
            // Who waits does so no more, whoever it is.
            let _ = confirm.send(());
            return Ok(confirmed);
        }
        waiting.entry(name.clone()).or_default().push(confirm);
        if topic.at_broker == AtBroker::Nothing && !mem::replace(&mut topic.is_changed, true) {
            changed.push_back(name);
            self.changed.notify_one();
        }
        Ok(confirmed)
    }

    /// Wants it no more.
    pub(super) fn unsubscribe(&self, topic: &str) {
        let mut state = lock(&self.state);
        let Some((name, _)) = state.topics.get_key_value(topic) else { return };
        let name = name.clone();
        if !state.is_connected {
            state.topics.remove(topic);
            return;
        }
        let Some(topic) = state.topics.get_mut(topic) else { return };
        topic.is_wanted = false;
        if !mem::replace(&mut topic.is_changed, true) {
            state.changed.push_back(name);
            self.changed.notify_one();
        }
    }

    /// There is a connection, at which the broker knows of nothing. Returns how many topics it is to hear of.
    pub(super) fn connected(&self) -> usize {
        let mut state = lock(&self.state);
        state.is_connected = true;
        let State { topics, changed, .. } = &mut *state;
        *changed = topics.keys().cloned().collect();
        for topic in topics.values_mut() {
            topic.is_changed = true;
        }
        changed.len()
    }

    /// The connection is lost: who waits for it does so in vain.
    pub(super) fn disconnected(&self) {
        let mut state = lock(&self.state);
        let State { is_connected, topics, changed, waiting } = &mut *state;
        *is_connected = false;
        topics.retain(|_, topic| topic.is_wanted);
        for topic in topics.values_mut() {
            *topic = Topic { is_wanted: true, ..Topic::default() };
        }
        (*changed, *waiting) = (VecDeque::new(), HashMap::new());
    }

    /// The next changes; `None`: the broker knows all.
    pub(super) fn take(&self) -> Option<Changes> {
        let mut state = lock(&self.state);
        let State { topics, changed, waiting, .. } = &mut *state;
        if changed.is_empty() {
            // What a reconnection has filled may have been large.
            changed.shrink_to(BATCH);
            return None;
        }
        let mut changes = Changes { count: changed.len().min(BATCH), ..Changes::default() };
        for name in changed.drain(..changes.count) {
            let Entry::Occupied(mut entry) = topics.entry(name.clone()) else { continue };
            let topic = entry.get_mut();
            topic.is_changed = false;
            match (topic.is_wanted, topic.at_broker) {
                (true, AtBroker::Nothing) => {
                    topic.at_broker = AtBroker::Asked;
                    changes.subscribe.push(name);
                }
                (true, _) => {}
                (false, at_broker) => {
                    entry.remove();
                    waiting.remove(&name);
                    if at_broker != AtBroker::Nothing {
                        changes.unsubscribe.push(name);
                    }
                }
            }
        }
        Some(changes)
    }

    /// The broker has confirmed that the node is subscribed to these.
    pub(super) fn confirmed(&self, topics: &[Arc<str>]) {
        let mut state = lock(&self.state);
        for name in topics {
            if let Some(topic) = state.topics.get_mut(name) {
                topic.at_broker = AtBroker::Confirmed;
            }
            for waiting in state.waiting.remove(name).into_iter().flatten() {
                // Who waits does so no more, whoever it is.
                let _ = waiting.send(());
            }
        }
        if state.waiting.is_empty() {
            // Many may have waited.
            state.waiting.shrink_to(BATCH);
        }
    }

    /// Returns when there may be changes. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// How many topics the broker is told of at once.
const BATCH: usize = 1_000;

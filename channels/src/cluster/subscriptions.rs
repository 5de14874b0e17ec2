//! Which topics this node wants to hear of.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Cluster;
use crate::sync::{Mutex, lock};

/// Which topics this node wants to hear of: those in which somebody has an interest, and those in which somebody had one just now.
#[derive(Default)]
pub(super) struct Subscriptions(Mutex<All>);

#[derive(Default)]
struct All {
    by_topic: HashMap<Arc<str>, Subscription>,
    /// Since when nobody has an interest, or had none for a moment.
    idle: VecDeque<(Instant, Arc<str>)>,
}

struct Subscription {
    interests: usize,
    /// Since when there are none.
    idle_since: Option<Instant>,
    /// Told when the broker has confirmed it. `None`: it has.
    unconfirmed: Option<Unconfirmed>,
    /// Somebody has not waited for that: what he has missed is lost.
    is_early: bool,
}

/// An interest in a topic. When the last one is dropped, this node hears of it for some time more.
pub(crate) struct Interest {
    cluster: Weak<Cluster>,
    topic: Arc<str>,
}

/// What is told when the broker has confirmed a subscription.
pub(super) type Unconfirmed = Arc<Notify>;

impl Subscriptions {
    /// Adds an interest. If it is the first, the subscription has to be made, and confirmed as this one.
    pub(super) fn add(&self, topic: &Arc<str>) -> Option<Unconfirmed> {
        let mut all = lock(&self.0);
        if let Some(known) = all.by_topic.get_mut(topic) {
            known.interests += 1;
            known.idle_since = None;
            return None;
        }
        let unconfirmed = Unconfirmed::default();
        let subscription = Subscription {
            interests: 1,
            idle_since: None,
            unconfirmed: Some(unconfirmed.clone()),
            is_early: false,
        };
        all.by_topic.insert(topic.clone(), subscription);
        Some(unconfirmed)
    }

    fn remove(&self, topic: &Arc<str>) {
        let mut all = lock(&self.0);
        let Some(known) = all.by_topic.get_mut(topic) else {
            return;
        };
        known.interests -= 1;
        if known.interests == 0 {
            let now = Instant::now();
            known.idle_since = Some(now);
            all.idle.push_back((now, topic.clone()));
        }
    }

    /// Forgets those in which nobody has had an interest for some time, and has the broker told of each.
    pub(super) fn forget_idle(&self, now: Instant, mut unsubscribe: impl FnMut(&str)) {
        let mut all = lock(&self.0);
        while let Some((since, _)) = all.idle.front()
            && *since + LINGER <= now
            && let Some((since, topic)) = all.idle.pop_front()
        {
            if all.by_topic.get(&topic).is_some_and(|known| known.idle_since == Some(since)) {
                all.by_topic.remove(&topic);
                // Nobody subscribes to it anew before that.
                unsubscribe(&topic);
            }
        }
    }

    /// The broker has confirmed it, and not one that was made before or after. Whether somebody has not waited for that.
    pub(super) fn confirm(&self, topic: &str, which: &Unconfirmed) -> bool {
        let mut all = lock(&self.0);
        let is_it = |known: &&mut Subscription| {
            known.unconfirmed.as_ref().is_some_and(|unconfirmed| Arc::ptr_eq(unconfirmed, which))
        };
        let Some(known) = all.by_topic.get_mut(topic).filter(is_it) else {
            return false;
        };
        known.unconfirmed = None;
        which.notify_waiters();
        std::mem::take(&mut known.is_early)
    }

    /// The broker has confirmed all.
    pub(super) fn confirm_all(&self) {
        for known in lock(&self.0).by_topic.values_mut() {
            known.unconfirmed.take().into_iter().for_each(|waiting| waiting.notify_waiters());
            known.is_early = false;
        }
    }

    /// Waits until the broker has confirmed it. Cancel safe.
    pub(super) async fn confirmed(&self, topic: &str) {
        loop {
            let unconfirmed = lock(&self.0).by_topic.get(topic).and_then(|known| known.unconfirmed.clone());
            let Some(unconfirmed) = unconfirmed else {
                return;
            };
            let notified = unconfirmed.notified();
            let is_still = lock(&self.0).by_topic.get(topic).is_some_and(|known| known.unconfirmed.is_some());
            if !is_still {
                return;
            }
            notified.await;
        }
    }

    /// Nobody waits any longer, whether the broker has confirmed it or not.
    pub(super) fn go_on(&self, topic: &str) {
        if let Some(known) = lock(&self.0).by_topic.get_mut(topic) {
            known.is_early |= known.unconfirmed.is_some();
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).by_topic.len()
    }
}

impl Interest {
    pub(super) fn new(cluster: &Arc<Cluster>, topic: Arc<str>) -> Self {
        Self { cluster: Arc::downgrade(cluster), topic }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.upgrade() {
            cluster.subscriptions.remove(&self.topic);
        }
    }
}

/// How long this node hears of a topic in which nobody has an interest any more: who reloads a page is back before that.
const LINGER: Duration = Duration::from_secs(5);

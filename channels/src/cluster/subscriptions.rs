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
    /// How many connections to the broker there have been.
    connections: u64,
}

struct Subscription {
    interests: usize,
    /// Since when there are none.
    idle_since: Option<Instant>,
    /// Told when the broker has confirmed it. `None`: it has.
    unconfirmed: Option<Unconfirmed>,
    /// The backplane could not have it confirmed: the next connection begins with it.
    is_refused: bool,
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
            is_refused: false,
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

    /// How many connections to the broker there have been.
    pub(super) fn connections(&self) -> u64 {
        lock(&self.0).connections
    }

    /// The broker has confirmed it, and not one that was made before or after. Whether somebody has not waited for that.
    pub(super) fn confirm(&self, topic: &str, which: &Unconfirmed) -> bool {
        let mut all = lock(&self.0);
        let Some(known) = all.unconfirmed(topic, which) else {
            return false;
        };
        known.confirm();
        std::mem::take(&mut known.is_early)
    }

    /// The backplane could not have it confirmed, and was asked when there had been so many connections. Whether it is to be asked
    /// anew: one that has begun since may have begun without it.
    pub(super) fn refuse(&self, topic: &str, which: &Unconfirmed, connections: u64) -> bool {
        let mut all = lock(&self.0);
        let is_late = all.connections != connections;
        let Some(known) = all.unconfirmed(topic, which) else {
            return false;
        };
        known.is_refused = !is_late;
        is_late
    }

    /// There is a connection, which has begun with all that were refused before. Those that the backplane has not answered for yet
    /// are confirmed by its answer.
    pub(super) fn connected(&self) {
        let mut all = lock(&self.0);
        all.connections += 1;
        for known in all.by_topic.values_mut().filter(|known| known.is_refused) {
            known.confirm();
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

impl All {
    /// A subscription that is not confirmed, and not one that was made before or after.
    fn unconfirmed(&mut self, topic: &str, which: &Unconfirmed) -> Option<&mut Subscription> {
        self.by_topic.get_mut(topic).filter(|known| {
            known.unconfirmed.as_ref().is_some_and(|unconfirmed| Arc::ptr_eq(unconfirmed, which))
        })
    }
}

impl Subscription {
    fn confirm(&mut self) {
        self.is_refused = false;
        self.unconfirmed.take().into_iter().for_each(|waiting| waiting.notify_waiters());
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

//! Which other nodes there are.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::{Mutex, lock};

/// Which other nodes there are: those that have said so of late.
#[derive(Default)]
pub(super) struct Nodes(Mutex<HashMap<u64, Alive>>);

/// That a node has said so.
struct Alive {
    until: Instant,
    /// It has said that it ends: whatever comes behind that makes it no younger.
    is_ending: bool,
}

impl Nodes {
    /// A node has said that it lives. True: that is new.
    pub(super) fn hear(&self, node: u64, now: Instant) -> bool {
        let mut nodes = lock(&self.0);
        // There are never so many: it is not to grow whatever a broker says.
        if nodes.len() >= MOST && !nodes.contains_key(&node) {
            return false;
        }
        let mut is_new = false;
        let alive = nodes.entry(node).or_insert_with(|| {
            is_new = true;
            Alive::begin(now)
        });
        if !alive.is_ending {
            alive.until = now + SILENCE;
        }
        is_new
    }

    /// Something of a node is to be kept for as long as it lives, whether it has said so yet or not. False: there are too many.
    pub(crate) fn keep(&self, node: u64, now: Instant) -> bool {
        let mut nodes = lock(&self.0);
        if nodes.len() >= MOST && !nodes.contains_key(&node) {
            return false;
        }
        nodes.entry(node).or_insert_with(|| Alive::begin(now));
        true
    }

    /// A node ends: it is gone in a while, in which who was there may be back elsewhere.
    pub(super) fn end(&self, node: u64, now: Instant) {
        if let Some(alive) = lock(&self.0).get_mut(&node) {
            *alive = Alive { until: now + LINGER, is_ending: true };
        }
    }

    /// There was no connection to the broker: nobody could be heard.
    pub(super) fn forgive(&self, now: Instant) {
        for alive in lock(&self.0).values_mut().filter(|alive| !alive.is_ending) {
            alive.until = now + SILENCE;
        }
    }

    /// Forgets those that have been silent for too long, and tells which these are.
    pub(super) fn forget_silent(&self, now: Instant) -> Vec<u64> {
        let mut gone = Vec::new();
        lock(&self.0).retain(|node, alive| {
            let is_alive = alive.until > now;
            if !is_alive {
                gone.push(*node);
            }
            is_alive
        });
        gone
    }

    pub(super) fn has(&self, node: u64) -> bool {
        lock(&self.0).contains_key(&node)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Alive {
    fn begin(now: Instant) -> Self {
        Self { until: now + SILENCE, is_ending: false }
    }
}

/// How often a node says that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(15);

/// For how long a node may be silent.
const SILENCE: Duration = Duration::from_secs(45);

/// As who is lost on one node: see [`presence`](crate::presence).
const LINGER: Duration = Duration::from_secs(5);

const MOST: usize = 1_024;

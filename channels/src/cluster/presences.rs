//! What a node tells others of who is present on its topics.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::envelope::{self, Turn};
use super::{BATCH, Cluster, nodes};
use crate::hub::Hub;
use crate::sync::{Mutex, lock};
use crate::topic::Topic;

/// Topics whose presences other nodes are to be told of.
#[derive(Default)]
pub(super) struct Presences {
    /// What has changed.
    changed: Mutex<Vec<Arc<Topic>>>,
    /// When the others are told how far it is, by topic: every now and then, from the first change on.
    marks: Mutex<VecDeque<DueMark>>,
}

/// When a topic is to be marked.
struct DueMark {
    at: Instant,
    name: Arc<str>,
    topic: Weak<Topic>,
    /// How many times more, once it has ended.
    left: u32,
}

impl Cluster {
    /// The presence of a topic may have changed here.
    pub(crate) fn presence_changed(&self, topic: &Arc<Topic>) {
        let wants_teller = topic.with_presence(|presence, _| {
            // For however long there is no connection, what would be told does not pile up.
            let is_up = self.is_up();
            if !is_up {
                presence.skip_untold();
            }
            is_up && presence.wants_teller()
        });
        if wants_teller == Some(true) {
            lock(&self.presences.changed).push(topic.clone());
            self.has_news.notify_one();
        }
    }

    /// Tells the others what has changed in presences.
    pub(super) fn tell_presences(&self) {
        let changed = std::mem::take(&mut *lock(&self.presences.changed));
        for topic in changed {
            let line = self.lines.line(&topic.name);
            let _line = lock(&line);
            let ops = topic.with_presence(|presence, _| presence.take_untold()).unwrap_or_default();
            let mut rest = &*ops;
            while !rest.is_empty() {
                let versions = topic.with_presence(|presence, _| presence.advance()).unwrap_or_default();
                if versions.0 == 0 {
                    let (at, name) = (Instant::now() + nodes::BEAT, topic.name.clone());
                    let due = DueMark { at, name, topic: Arc::downgrade(&topic), left: FAREWELLS };
                    lock(&self.presences.marks).push_back(due);
                }
                let (envelope, told) = envelope::presence(self.node.0, versions, rest);
                // What does not leave is asked for when the others hear of the version.
                self.send(&topic.name, envelope.into()).ok();
                rest = &rest[told..];
            }
        }
    }

    /// Tells the others how far presences are that are due, or some of them. Whether there are more.
    pub(super) fn mark_presences(&self, hub: &Hub, now: Instant) -> bool {
        if !self.is_up() {
            return false;
        }
        for _ in 0..BATCH {
            let due = {
                let mut marks = lock(&self.presences.marks);
                if marks.front().is_some_and(|due| due.at <= now) { marks.pop_front() } else { None }
            };
            let Some(mut due) = due else {
                return false;
            };
            let is_over = due.topic.strong_count() == 0;
            // Of one that is no more nothing is left, or what another has of its name.
            let alive = due.topic.upgrade().or_else(|| hub.inner().registry.topic(&due.name));
            let version = alive.and_then(|topic| topic.with_presence(|presence, _| presence.version()));
            if self.mark(&due.name, Turn::NONE, Some(version.unwrap_or(0))).is_err() {
                lock(&self.presences.marks).push_front(due);
                return false;
            }
            due.left -= u32::from(is_over);
            if due.left > 0 {
                due.at = now + nodes::BEAT;
                lock(&self.presences.marks).push_back(due);
            }
        }
        true
    }

    /// Has all presences marked now.
    pub(super) fn mark_presences_now(&self, now: Instant) {
        for due in &mut *lock(&self.presences.marks) {
            due.at = due.at.min(now);
        }
    }
}

/// How many times it is told that a topic has ended. While a connection has failed and nobody has noticed, what is told is lost.
const FAREWELLS: u32 = 3;

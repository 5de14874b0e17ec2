//! What nodes send, at random, and an account of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::{Hub, PublishError};
use serde_json::json;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::random::Random;
use crate::site::Engine;

/// What is sent in one order to a topic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Reliable,
    Keyed,
    Volatile,
    /// To all topics that a pattern matches.
    Pattern,
}

/// All that is sent: where to, and how.
pub const WAYS: [(&str, Kind); 7] = [
    ("plain:1", Kind::Reliable),
    ("plain:1", Kind::Keyed),
    ("plain:1", Kind::Volatile),
    ("plain:2", Kind::Reliable),
    ("plain:{id}", Kind::Pattern),
    ("kept:1", Kind::Reliable),
    ("room:1", Kind::Reliable),
];

/// The topics that all of it is about.
pub const TOPICS: [&str; 4] = ["plain:1", "plain:2", "kept:1", "room:1"];

/// How much each node has sent in each way.
#[derive(Clone, Default)]
pub struct Sent(BTreeMap<(&'static str, Kind, usize), u64>);

/// What sends from all nodes.
#[derive(Clone)]
pub struct Traffic {
    engine: Engine,
    sent: Arc<Mutex<Sent>>,
}

/// A node that sends, until this is dropped.
pub struct Sending(AbortHandle);

impl Kind {
    /// That of an event.
    pub fn of(event: &str) -> Option<Self> {
        [Self::Reliable, Self::Keyed, Self::Volatile, Self::Pattern]
            .into_iter()
            .find(|kind| kind.event() == event)
    }

    fn event(self) -> &'static str {
        match self {
            Self::Reliable => "said",
            Self::Keyed => "cursor",
            Self::Volatile => "typing",
            Self::Pattern => "all",
        }
    }

    /// Whether the newest is all that has to come.
    pub fn may_be_skipped(self) -> bool {
        matches!(self, Self::Keyed | Self::Volatile)
    }

    /// Whether nobody is told that the last is lost.
    pub fn may_be_lost(self) -> bool {
        self == Self::Volatile
    }
}

impl Sent {
    /// What has been sent to a topic: how, by which node, and how much.
    pub fn to(&self, topic: &str) -> impl Iterator<Item = (Kind, usize, u64)> {
        let is_matched = topic.starts_with("plain:");
        self.0.iter().filter_map(move |((to, kind, node), number)| {
            let is_it = *to == topic || (*kind == Kind::Pattern && is_matched);
            is_it.then_some((*kind, *node, *number))
        })
    }

    /// What a node has sent is of no account any more: whether it has left it nobody knows.
    pub fn forget(&mut self, node: usize) {
        self.0.retain(|(_, _, of), _| *of != node);
    }
}

impl Traffic {
    pub fn new(engine: Engine) -> Self {
        Self { engine, sent: Arc::default() }
    }

    pub fn sent(&self) -> Sent {
        self.sent.lock().unwrap().clone()
    }

    pub fn forget(&self, node: usize) {
        self.sent.lock().unwrap().forget(node);
    }

    /// A node sends a message.
    pub fn send(&self, hub: &Hub, node: usize, (topic, kind): (&'static str, Kind)) {
        let key = (topic, kind, node);
        let number = self.sent.lock().unwrap().0.get(&key).copied().unwrap_or(0) + 1;
        let publish = match kind {
            Kind::Reliable => hub.to(topic),
            Kind::Keyed => hub.to(topic).keyed(&node.to_string()),
            Kind::Volatile => hub.to(topic).volatile(),
            Kind::Pattern => hub.to_pattern(topic),
        };
        match publish.send(kind.event(), &json!({ "node": node, "n": number })) {
            // What the broker is to number has come to nobody; what it is not, to members of this node.
            Err(PublishError::Backplane(_)) if self.engine.is_sequenced() && topic == "kept:1" => {}
            Ok(_) | Err(PublishError::Backplane(_)) => {
                self.sent.lock().unwrap().0.insert(key, number);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A node sends whatever, every now and then.
    pub fn begin(&self, hub: &Hub, node: usize, seed: u64) -> Sending {
        let (traffic, hub, mut random) = (self.clone(), hub.clone(), Random(seed));
        let sending = tokio::spawn(async move {
            loop {
                traffic.send(&hub, node, WAYS[random.below(WAYS.len())]);
                sleep(Duration::from_millis(random.below(30) as u64)).await;
            }
        });
        Sending(sending.abort_handle())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

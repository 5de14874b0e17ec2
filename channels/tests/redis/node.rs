//! A node, which remembers what it is told.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::Position;
use sansocket_channels::backplane::{
    Backplane, BackplaneError, Keep, NodeId, Redis, Sequencer, Since, Sink, Told,
};
use tokio::time::{Instant, sleep};

use crate::broker::Broker;

/// What a node is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    Message(String, Bytes),
    Sequenced(String, String, u64, Bytes),
    Control(Bytes),
    Lost,
    Down,
    Up,
}

/// A node, which remembers what it is told.
pub struct Node {
    redis: Redis,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Node {
    /// One that has begun, and is up.
    pub async fn new(id: u64, broker: &Broker) -> Self {
        Self::with(id, Redis::new(&broker.url()).unwrap()).await
    }

    pub async fn with(id: u64, redis: Redis) -> Self {
        let node = Self::begun(id, redis).await;
        node.until("it is up", |heard| heard.contains(&Heard::Up)).await;
        node
    }

    /// One that has begun.
    pub async fn begun(id: u64, redis: Redis) -> Self {
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let sink = heard.clone();
        redis
            .start(NodeId::new(id), Sink::new(move |told| sink.lock().unwrap().push(told.into())))
            .await
            .unwrap();
        Self { redis, heard }
    }

    pub fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap()
    }

    /// Waits until it has heard something.
    pub async fn until(&self, what: &str, is_so: impl Fn(&[Heard]) -> bool) {
        eventually(what, || is_so(&self.heard())).await;
    }

    /// The messages of a topic so far, as text.
    pub fn messages(&self, of: &str) -> Vec<String> {
        let messages = self.heard().clone().into_iter().filter_map(|heard| match heard {
            Heard::Message(topic, envelope) if topic == of => Some(text(&envelope)),
            _ => None,
        });
        messages.collect()
    }

    /// Those that were appended: the epoch, the offset, and the text.
    pub fn sequenced(&self, of: &str) -> Vec<(String, u64, String)> {
        let messages = self.heard().clone().into_iter().filter_map(|heard| match heard {
            Heard::Sequenced(topic, epoch, offset, envelope) if topic == of => {
                Some((epoch, offset, text(&envelope)))
            }
            _ => None,
        });
        messages.collect()
    }

    pub fn say(&self, topic: &str, message: &str) -> Result<(), BackplaneError> {
        self.redis.publish(topic, message.to_owned().into())
    }

    pub async fn append(&self, topic: &str, message: &str, keep: Keep) -> Result<(), BackplaneError> {
        self.sequencer().unwrap().append(topic, message.to_owned().into(), keep).await
    }

    /// What is kept, or what came after an offset of the life that the topic has now.
    pub async fn since(&self, topic: &str, offset: Option<u64>, keep: Keep) -> Since {
        let all = Sequencer::since(&self.redis, topic, None, keep).await.unwrap();
        let Some(offset) = offset else { return all };
        self.since_position(topic, &Position { epoch: all.position.epoch, offset }, keep).await
    }

    pub async fn since_position(&self, topic: &str, position: &Position, keep: Keep) -> Since {
        Sequencer::since(&self.redis, topic, Some(position), keep).await.unwrap()
    }
}

impl Deref for Node {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.redis
    }
}

impl From<Told<'_>> for Heard {
    fn from(told: Told<'_>) -> Self {
        match told {
            Told::Message { topic, envelope } => Self::Message(topic.to_owned(), envelope),
            Told::Sequenced { topic, position, envelope } => {
                Self::Sequenced(topic.to_owned(), position.epoch, position.offset, envelope)
            }
            Told::Control(envelope) => Self::Control(envelope),
            Told::Lost(_) => Self::Lost,
            Told::Down => Self::Down,
            Told::Up => Self::Up,
        }
    }
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    within(30, what, &mut is_so).await;
}

/// The same, for so many seconds at most.
pub async fn within(seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < end, "not so within {seconds} seconds: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

pub fn text(envelope: &[u8]) -> String {
    String::from_utf8_lossy(envelope).into_owned()
}

/// What a topic keeps that keeps all.
pub fn all() -> Keep {
    Keep::new(100_000, 100 << 20, Duration::from_secs(600))
}

pub fn is_down<T: Debug>(result: &Result<T, BackplaneError>) -> bool {
    matches!(result, Err(BackplaneError::Down))
}

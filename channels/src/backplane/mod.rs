//! What joins the hubs of several processes: a broker, as a hub sees it.
//!
//! A hub that is [given one](crate::HubBuilder::backplane) is a node: what is sent to a topic reaches its members on all nodes. There is
#![cfg_attr(feature = "nats", doc = "[`Nats`],")]
#![cfg_attr(not(feature = "nats"), doc = "`Nats`, with the feature `nats`,")]
#![cfg_attr(feature = "redis", doc = "[`Redis`],")]
#![cfg_attr(not(feature = "redis"), doc = "`Redis`, with the feature `redis`,")]
#![cfg_attr(feature = "test", doc = "and for tests [`MemoryBus`].")]
#![cfg_attr(not(feature = "test"), doc = "and for tests `MemoryBus`, with the feature `test`.")]
//! What is promised with each of them is in [the guide](crate::guide::scaling).
//!
//! A program that has another broker implements [`Backplane`]. It moves envelopes, which it does not look into; numbers that are
//! missing, nodes that have gone and who is present are the hub's.

#[cfg(feature = "test")]
mod memory;
#[cfg(any(feature = "nats", feature = "redis"))]
mod names;
#[cfg(feature = "nats")]
mod nats;
pub(crate) mod outbox;
#[cfg(feature = "redis")]
mod redis;
mod sink;

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::history::Position;

#[cfg(feature = "test")]
pub use memory::{MemoryBus, MemoryNode};
#[cfg(feature = "nats")]
pub use nats::Nats;
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use sink::{Sink, Told};

/// A future that is dropped wherever its user likes.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A broker, as a node sees it: it carries envelopes between nodes, each at most once.
///
/// All but [`start`](Self::start), [`subscribe`](Self::subscribe) and [`flush`](Self::flush) is called wherever it may be, with a
/// runtime or without, and waits for nothing. Of one node and topic, envelopes arrive in the order in which they were published, or not
/// at all.
///
/// Its tasks end when it is dropped. What [`start`](Self::start), [`subscribe`](Self::subscribe) and a [`Sequencer`] wait for is to come
/// about, or to fail, before long: the hub is there for as long as they wait.
pub trait Backplane: Send + Sync + 'static {
    /// Begins, as this node: from now on the [`Sink`] is told everything, and it is for as long as this lives. It says
    /// [`up`](Sink::up) whenever there is a connection, with the first one, too, and [`down`](Sink::down) when it is lost.
    ///
    /// Called once, and again a second later if it fails. A broker that is not there yet is no failure: it is waited for.
    fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>>;

    /// Wants what is published to a topic from now on, until [`unsubscribe`](Self::unsubscribe). It is done when the broker has
    /// confirmed that.
    ///
    /// A failure says that it has not been confirmed: whatever the connection comes to, it is subscribed before [`Sink::up`] is said
    /// again. Dropped before it returns, it is subscribed as well.
    fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>>;

    /// Wants it no more.
    fn unsubscribe(&self, topic: &str);

    /// Publishes to all nodes that have subscribed to a topic. What has to wait for the broker does so in a bounded queue; that it
    /// is full is an error.
    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError>;

    /// The same, to a node, or to all.
    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError>;

    /// Waits until nothing is left in this process of what was published, or sent to nodes, before: it was written, or lost with its
    /// connection. A hub that has been drained waits for that, for a second at most, so that its program may end then.
    ///
    /// By default it waits for nothing, which is right where nothing is left after [`publish`](Self::publish).
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    /// What puts the messages of topics with a history into one order for all nodes, if the broker can. Without it, each node has its
    /// own.
    fn sequencer(&self) -> Option<&dyn Sequencer> {
        None
    }
}

/// One order, and one memory, for the messages of a topic on all nodes.
///
/// Names of topics, and nothing else, are what it has in common with [`Backplane::publish`].
pub trait Sequencer: Send + Sync {
    /// Gives an envelope the topic's next offset, keeps it, and has it come to all nodes that have subscribed to the topic, this one
    /// too, as [`Sink::sequenced`]. It is done when the broker has it; calls that are made one after the other keep their order,
    /// though the first has not returned when the second is made.
    ///
    /// After a failure, the envelope may have been appended or not.
    fn append<'a>(
        &'a self,
        topic: &'a str,
        envelope: Bytes,
        keep: Keep,
    ) -> BoxFuture<'a, Result<(), BackplaneError>>;

    /// How far the topic is, and what is kept of it after a position, or, after `None` or one of another life, all that is. If there
    /// is no such topic, its life begins with this.
    fn since<'a>(
        &'a self,
        topic: &'a str,
        position: Option<&'a Position>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Since, BackplaneError>>;
}

/// How much of a topic is kept: what is too much, or too old, is forgotten, the oldest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Keep {
    /// How many envelopes.
    pub entries: usize,
    /// How many bytes all of them have.
    pub bytes: usize,
    /// For how long.
    pub time: Duration,
}

impl Keep {
    /// One that a hub would give, for tests of a [`Sequencer`].
    pub fn new(entries: usize, bytes: usize, time: Duration) -> Self {
        Self { entries, bytes, time }
    }
}

/// What is kept of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "implementations make it")]
pub struct Since {
    /// How far the topic is: the epoch is a new one for each life of the topic, and has 1 to 32 letters and digits.
    pub position: Position,
    /// The newest of what came after that, in its order, without a gap up to the position.
    pub messages: Vec<Kept>,
}

/// An envelope that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "implementations make it")]
pub struct Kept {
    /// Its offset.
    pub offset: u64,
    /// For how long it has been kept.
    pub age: Duration,
    /// What was appended.
    pub envelope: Bytes,
}

/// A node: one life of one hub. It is drawn at random, so that a program that begins anew is another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub(crate) u64);

impl NodeId {
    /// One that a hub would give, for tests of a [`Backplane`].
    pub fn new(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for NodeId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why something does not reach the other nodes.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackplaneError {
    /// There is no connection to the broker at the moment: it is being made anew.
    Down,
    /// As much waits for the broker as may: it does not keep up.
    Full,
    /// It is more than the broker takes at once: send less, or name fewer connections and users.
    TooBig,
    /// What the broker said, or its client.
    Broker(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for BackplaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "there is no connection to the broker: it is being made anew",
            Self::Full => "as much waits for the broker as may: send less, or wait",
            Self::TooBig => "it is more than the broker takes at once: send less, or name fewer connections",
            Self::Broker(_) => "the broker, or its client, has failed",
        })
    }
}

impl Error for BackplaneError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broker(error) => Some(&**error),
            _ => None,
        }
    }
}

//! Where a backplane tells what comes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::history::Position;

/// Where a backplane tells a node what comes. Clones are one.
///
/// What is told of one topic is told one after the other. It waits for nothing, and nothing that comes is trusted to be an
/// envelope: what is none is ignored and [counted](crate::Metrics::backplane_ignored).
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Told<'_>) + Send + Sync>);

/// What a backplane tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "who looks at it wants to know all")]
pub enum Told<'a> {
    /// See [`Sink::message`].
    Message {
        /// What it was published to.
        topic: &'a str,
        /// What was published.
        envelope: Bytes,
    },
    /// See [`Sink::sequenced`].
    Sequenced {
        /// What it was appended to.
        topic: &'a str,
        /// Where it is there.
        position: Position,
        /// What was appended.
        envelope: Bytes,
    },
    /// See [`Sink::control`].
    Control(Bytes),
    /// See [`Sink::lost`].
    Lost(Option<&'a str>),
    /// See [`Sink::down`].
    Down,
    /// See [`Sink::up`].
    Up,
}

impl Sink {
    /// One that tells a function, in place of a hub: for tests of a [`Backplane`](super::Backplane).
    pub fn new(told: impl Fn(Told<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// This was published to a topic, by any node: this one is told what it has published itself, too, if the broker does so.
    ///
    /// A hub keeps nothing of it: it may be a part of what was read at once.
    pub fn message(&self, topic: &str, envelope: Bytes) {
        (self.0)(Told::Message { topic, envelope });
    }

    /// This was [appended](super::Sequencer::append) to a topic, by any node.
    pub fn sequenced(&self, topic: &str, position: Position, envelope: Bytes) {
        (self.0)(Told::Sequenced { topic, position, envelope });
    }

    /// This was sent to this node, or to all.
    pub fn control(&self, envelope: Bytes) {
        (self.0)(Told::Control(envelope));
    }

    /// Something is missing that was published to a topic, or to any, or sent to this node.
    pub fn lost(&self, topic: Option<&str>) {
        (self.0)(Told::Lost(topic));
    }

    /// There is no connection to the broker. What was published within the last 20 seconds before may be lost: a connection that has
    /// failed has to be noticed within these.
    pub fn down(&self) {
        (self.0)(Told::Down);
    }

    /// There is one, and what was subscribed to is so again. What was published meanwhile is taken to be lost.
    pub fn up(&self) {
        (self.0)(Told::Up);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

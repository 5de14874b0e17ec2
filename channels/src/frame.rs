//! A frame that waits to be sent, and how much memory all of them take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sansocket::{Message, PreparedMessage};
use tokio::time::Instant;

use crate::metrics::Counters;

/// A frame that waits to be sent: in memory once, in however many queues it is. It counts from when it is made until the last
/// who has it has dropped it.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Framed once, for all to whom it is sent.
    message: PreparedMessage,
    class: Class,
    /// How long it takes to be handed over counts.
    is_broadcast: bool,
    since: Instant,
    memory: Arc<Memory>,
}

/// What a frame is to those who lack room for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// It is sent, or what [`OnFull`](crate::OnFull) says comes about.
    Reliable,
    /// It is sent only to those for whom little waits.
    Volatile,
    /// It takes the place of the one of its topic and key that waits. Without one, it is like a reliable one.
    Keyed(Arc<str>),
    /// It answers the client, or tells it how a session ended: there is a reserve for those.
    Answer,
    /// It answers a heartbeat, and goes before all that waits: a client that does not get it in time gives the connection up.
    Heartbeat,
}

impl Frame {
    pub(crate) fn new(message: Message, class: Class, memory: &Arc<Memory>) -> Arc<Self> {
        Self::make(PreparedMessage::new(message), class, memory, false)
    }

    /// One that is to be sent to members of a topic.
    pub(crate) fn broadcast(message: Message, class: Class, memory: &Arc<Memory>) -> Arc<Self> {
        Self::make(PreparedMessage::new(message), class, memory, true)
    }

    /// One of a message that was sent before.
    pub(crate) fn prepared(message: PreparedMessage, class: Class, memory: &Arc<Memory>) -> Arc<Self> {
        Self::make(message, class, memory, false)
    }

    fn make(message: PreparedMessage, class: Class, memory: &Arc<Memory>, is_broadcast: bool) -> Arc<Self> {
        let frame = Self { message, class, is_broadcast, since: Instant::now(), memory: memory.clone() };
        memory.held.fetch_add(frame.size(), Ordering::Relaxed);
        frame.into()
    }

    /// Whoever had it is done with it: a queue has handed it over to the transport, or whoever has made it to the queues. If he was
    /// the last, that is how long it took. To drop it is something else.
    pub(crate) fn handed_over(self: Arc<Self>) {
        if self.is_broadcast
            && let Some(frame) = Arc::into_inner(self)
        {
            frame.counters().delivery.add(frame.since.elapsed());
        }
    }

    /// Of the hub.
    pub(crate) fn counters(&self) -> &Counters {
        &self.memory.counters
    }

    pub(crate) fn message(&self) -> &PreparedMessage {
        &self.message
    }

    pub(crate) fn class(&self) -> &Class {
        &self.class
    }

    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        match &self.class {
            Class::Keyed(key) => Some(key),
            _ => None,
        }
    }

    /// How many bytes a client is sent.
    pub(crate) fn len(&self) -> usize {
        self.message.payload().len()
    }

    /// Since when it waits.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// How much memory it takes, about.
    fn size(&self) -> usize {
        self.len() + size_of::<Self>()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.size(), Ordering::Relaxed);
    }
}

/// How much memory the frames take that wait in a hub, each of them counted once.
#[derive(Debug)]
pub(crate) struct Memory {
    held: AtomicUsize,
    limit: usize,
    /// What becomes of frames is counted.
    counters: Arc<Counters>,
}

impl Memory {
    pub(crate) fn new(limit: usize, counters: &Arc<Counters>) -> Arc<Self> {
        Self { held: AtomicUsize::new(0), limit, counters: counters.clone() }.into()
    }

    /// How many bytes wait.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// More wait than may.
    pub(crate) fn is_spent(&self) -> bool {
        self.held() > self.limit
    }

    /// A fifth is free.
    pub(crate) fn is_relieved(&self) -> bool {
        self.held() <= self.limit - self.limit / 5
    }
}

//! What hears what comes on a connection, and tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis::{PushInfo, PushKind, Value};
use bytes::Bytes;
use tokio::sync::Notify;

use super::wire::{Names, Published};
use crate::backplane::Sink;
use crate::sync::{Mutex, lock};

/// What hears what comes on one connection, and tells it, for as long as that connection is the node's.
pub(super) struct Ear {
    names: Arc<Names>,
    /// Until it is closed. What is told is told within the lock: of two connections, the later one tells nothing before the earlier one
    /// has told all that it will.
    sink: Mutex<Option<Sink>>,
    /// How much has come.
    heard: AtomicU64,
    /// Told when the connection ends.
    lost: Arc<Notify>,
}

impl Ear {
    pub(super) fn new(names: Arc<Names>, sink: Sink, lost: Arc<Notify>) -> Self {
        Self { names, sink: Mutex::new(Some(sink)), heard: AtomicU64::new(0), lost }
    }

    /// This has come. Called by the task that reads, one at a time.
    pub(super) fn hear(&self, push: PushInfo) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        match push.kind {
            PushKind::Message => {
                if let Ok([Value::BulkString(channel), Value::BulkString(message)]) =
                    <[Value; 2]>::try_from(push.data)
                {
                    self.tell(&channel, message.into());
                }
            }
            PushKind::Disconnection => self.lost.notify_one(),
            _ => {}
        }
    }

    /// How much has come so far: if it is more than it was, the connection lives.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// From now on nothing is told.
    pub(super) fn close(&self) {
        lock(&self.sink).take();
    }

    /// Tells what was published to a channel. What is none of a node's is ignored.
    fn tell(&self, channel: &[u8], message: Bytes) {
        let sink = lock(&self.sink);
        let (Some(sink), Ok(channel)) = (&*sink, str::from_utf8(channel)) else { return };
        match self.names.topic_of(channel) {
            None => sink.control(message),
            Some(topic) => match Published::parse(&message) {
                Some(Published::Plain(envelope)) => sink.message(&topic, envelope),
                Some(Published::Sequenced(position, envelope)) => sink.sequenced(&topic, position, envelope),
                // Whoever published it: for the node to count.
                None => sink.message(&topic, message),
            },
        }
    }
}

//! What hears what comes on a connection, and what tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis::{PushInfo, PushKind, Value};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::wire::{Names, Published};
use crate::backplane::Sink;
use crate::backplane::outbox::{Outbox, Waiting};

/// What hears what comes on one connection. It is told by [a task of its own](tell), since whoever reads cannot let others go on
/// between two of a burst; a node that does not keep up loses the connection.
pub(super) struct Ear {
    heard: Outbox<Heard>,
    /// How much has come.
    count: AtomicU64,
    /// Told when the connection ends, or is not worth keeping.
    lost: Arc<Notify>,
}

/// A message, and the channel that it has come by.
pub(super) struct Heard {
    channel: Vec<u8>,
    message: Vec<u8>,
}

impl Ear {
    pub(super) fn new(heard: Outbox<Heard>, lost: Arc<Notify>) -> Self {
        Self { heard, count: AtomicU64::new(0), lost }
    }

    /// This has come. Called by the task that reads, one at a time.
    pub(super) fn hear(&self, push: PushInfo) {
        self.count.fetch_add(1, Ordering::Relaxed);
        match push.kind {
            PushKind::Message => {
                if let Ok([Value::BulkString(channel), Value::BulkString(message)]) =
                    <[Value; 2]>::try_from(push.data)
                {
                    let len = channel.len() + message.len();
                    if self.heard.push(Heard { channel, message }, len).is_err() {
                        self.lost.notify_one();
                    }
                }
            }
            PushKind::Disconnection => self.lost.notify_one(),
            _ => {}
        }
    }

    /// How much has come so far: if it is more than it was, the connection lives.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Tells what has been heard, in its order, and lets others go on now and then: members are to take what they are sent meanwhile.
pub(super) async fn tell(mut heard: Waiting<Heard>, names: &Names, sink: &Sink) {
    let mut count = 0_usize;
    while let Some(Heard { channel, message }) = heard.next().await {
        if let Ok(channel) = str::from_utf8(&channel) {
            pass_on(names, sink, channel, message.into());
        }
        count += 1;
        if count.is_multiple_of(AT_ONCE) {
            yield_now().await;
        }
    }
}

fn pass_on(names: &Names, sink: &Sink, channel: &str, message: Bytes) {
    let Some(topic) = names.topic_of(channel) else {
        return sink.control(message);
    };
    match Published::parse(&message) {
        Some(Published::Plain(envelope)) => sink.message(&topic, envelope),
        Some(Published::Sequenced(position, envelope)) => sink.sequenced(&topic, position, envelope),
        // Whoever published it: for the node to count.
        None => sink.message(&topic, message),
    }
}

/// How many are told before others have their turn.
const AT_ONCE: usize = 64;

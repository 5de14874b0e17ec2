//! What the broker does in one step, so that no node sees, or does, anything in between.
//!
//! A topic with a history has two keys. `at` is a hash: the epoch `e`, the offset `o`, `b`, how many bytes the log has, and `r`, the
//! `run_id` of the broker, with which the epoch ends: whatever it has kept over a restart, or has of another broker that it replaces, may
//! lack the end, of which clients have had the offsets already. `log` is a
//! list: of each message that is kept, when it came and how long it is, as a text, and then the message itself; the newest is the last,
//! and has the offset `o`. So there is no gap that could be in it, nor does it need offsets; what is forgotten goes from its front, and
//! to look at that, no message has to be copied. The log ends when nothing in it is young enough, `at` an hour later. Should the broker
//! drop one of them for want of memory, the topic keeps nothing, or begins a new life.
//!
//! To append, and to forget one for it, takes as long with 10,000 messages as with 10: Redis 7.0 needs 15 microseconds for 200 bytes,
//! and 70 for 20,000. A stream in place of the list took 20 and 130, since its oldest message has to be copied to learn its length.
//!
//! Numbers in Lua are doubles, exact up to 2^53. As many messages take 285 years at a million a second, and milliseconds since 1970 are
//! not yet a 5,000th of that. Lua writes numbers with 14 digits, which the scripts do not leave to it where an offset is meant.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisError, RedisResult, Script, cmd};
use bytes::Bytes;

use super::is_loss;
use super::wire::{Names, is_epoch};
use crate::backplane::{BackplaneError, Keep, Kept, Since};
use crate::history::Position;

/// Both scripts.
pub(super) struct Scripts {
    append: Script,
    since: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { append: Script::new(APPEND), since: Script::new(SINCE) }
    }
}

impl Scripts {
    /// Has the broker know them.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.append.load_async(connection).await?;
        self.since.load_async(connection).await?;
        Ok(())
    }

    /// The command that appends an envelope to a topic.
    pub(super) fn append(&self, names: &Names, topic: &str, envelope: &[u8], life: &Life<'_>) -> Cmd {
        let (keys, channel) = (names.keys(topic), names.topic(topic));
        let mut command = Cmd::with_capacity(12, envelope.len() + 3 * channel.len() + 192);
        command.arg("EVALSHA").arg(self.append.get_hash()).arg(keys.len()).arg(&keys);
        for arg in life.args() {
            command.arg(arg);
        }
        command.arg(channel).arg(envelope);
        command
    }

    /// What is kept of a topic after a position.
    pub(super) async fn since(
        &self,
        mut connection: MultiplexedConnection,
        names: &Names,
        topic: &str,
        known: Option<&Position>,
        life: &Life<'_>,
    ) -> Result<Since, BackplaneError> {
        let mut call = self.since.prepare_invoke();
        call.key(&names.keys(topic));
        for arg in life.args() {
            call.arg(arg);
        }
        call.arg(known.map_or("", |known| &known.epoch)).arg(known.map_or(0, |known| known.offset));
        let reply = call.invoke_async(&mut connection).await.map_err(|error: RedisError| {
            if is_loss(&error) { BackplaneError::Down } else { BackplaneError::Broker(Box::new(error)) }
        });
        parse(reply?)
            .ok_or_else(|| BackplaneError::Broker("the keys of a topic are not what they were".into()))
    }
}

/// What the life of a topic goes by.
pub(super) struct Life<'a> {
    /// Its epoch, if it begins now.
    pub(super) epoch: &'a str,
    pub(super) keep: Keep,
    /// The `run_id` of the broker.
    pub(super) run: &'a str,
}

impl Life<'_> {
    fn args(&self) -> [String; 5] {
        let Keep { entries, bytes, time } = self.keep;
        let (entries, bytes, time) = (entries.to_string(), bytes.to_string(), millis(time).to_string());
        [self.epoch.to_owned(), entries, bytes, time, self.run.to_owned()]
    }
}

/// The command that has the broker know what [`Scripts::append`] calls.
pub(super) fn load_append() -> Cmd {
    let mut command = cmd("SCRIPT");
    command.arg("LOAD").arg(APPEND);
    command
}

/// Epoch, offset, what time it is, and the end of the log.
fn parse((epoch, offset, now, log): (String, u64, u64, Vec<Bytes>)) -> Option<Since> {
    let first = (offset + 1).checked_sub(log.len() as u64 / 2)?;
    let kept = |(offset, pair): (u64, &[Bytes; 2])| {
        let [note, envelope] = pair;
        let (at, _) = str::from_utf8(note).ok()?.split_once(' ')?;
        // The broker's clock may have been set back.
        let age = Duration::from_millis(now.saturating_sub(at.parse().ok()?));
        Some(Kept { offset, age, envelope: envelope.clone() })
    };
    let messages = (first..).zip(log.as_chunks().0).map(kept).collect::<Option<_>>()?;
    is_epoch(&epoch).then_some(Since { position: Position { epoch, offset }, messages })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}

/// What both scripts begin with, and then each of them.
const APPEND: &str = concat!(include_str!("topic.lua"), include_str!("append.lua"));
const SINCE: &str = concat!(include_str!("topic.lua"), include_str!("since.lua"));

/// As long as something may be kept.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

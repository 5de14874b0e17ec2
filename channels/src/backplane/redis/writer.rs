//! What a node sends, in its order.

use std::io::Write;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisWrite, ServerErrorKind, Value};
use tokio::sync::oneshot;

use super::scripts::load_append;
use crate::backplane::BackplaneError;
use crate::backplane::outbox::Waiting;

/// What waits for its turn.
pub(super) enum Item {
    Command(Command),
    /// Somebody waits until this is dropped, when what is before it was answered, or the connection is lost.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Command {
    cmd: Cmd,
    len: usize,
    /// Of what appends: who wants to know what came of it.
    answer: Option<oneshot::Sender<Result<(), BackplaneError>>>,
}

impl Command {
    /// Publishes a header and an envelope behind it.
    pub(super) fn publish(channel: &str, header: &[u8], envelope: &[u8]) -> Self {
        let len = channel.len() + header.len() + envelope.len() + OVERHEAD;
        let mut command = Cmd::with_capacity(3, len);
        command.arg("PUBLISH").arg(channel);
        let mut message = command.writer_for_next_arg();
        for part in [header, envelope] {
            // Writing to memory does not fail.
            let _ = message.write_all(part);
        }
        drop(message);
        Self { cmd: command, len, answer: None }
    }

    /// Appends an envelope of so many bytes.
    pub(super) fn append(
        command: Cmd,
        len: usize,
        answer: oneshot::Sender<Result<(), BackplaneError>>,
    ) -> Self {
        Self { cmd: command, len: len + OVERHEAD, answer: Some(answer) }
    }

    /// About how many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// Sends what waits, as much at once as there is, and then what came meanwhile. Returns when the connection is not worth keeping; who
/// waits for an answer is then told nothing.
///
/// With one batch under way at a time, what is in memory twice or thrice is no more than a batch, whether the broker answers or not.
pub(super) async fn write(mut waiting: Waiting<Item>, mut connection: MultiplexedConnection) {
    let mut next = waiting.next().await;
    while next.is_some() {
        let mut batch = Batch::default();
        while let Some(item) = next {
            match item {
                Item::Command(command) => batch.add(command),
                Item::Flush(flush) => batch.flushes.push(flush),
            }
            next = if batch.is_full() { None } else { waiting.take() };
        }
        if !batch.send(&mut connection).await {
            return;
        }
        next = waiting.next().await;
    }
}

/// Commands that are sent at once.
#[derive(Default)]
struct Batch {
    pipeline: Pipeline,
    answers: Vec<Option<oneshot::Sender<Result<(), BackplaneError>>>>,
    len: usize,
    /// Who waits until it was sent, and answered.
    flushes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn add(&mut self, Command { cmd, len, answer }: Command) {
        self.pipeline.add_command(cmd);
        self.answers.push(answer);
        self.len += len;
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= BATCH || self.len >= BATCH_BYTES
    }

    /// Sends it, and tells who waits. Returns whether the connection is worth keeping.
    ///
    /// A broker that has forgotten the script (`SCRIPT FLUSH`) is told it, and what has failed so is sent anew, in its order. Should
    /// another node tell the broker while the batch is read, some of it was appended, and what was before that has no place any more.
    async fn send(self, connection: &mut MultiplexedConnection) -> bool {
        let count = self.answers.len();
        if count == 0 {
            return true;
        }
        let Ok(replies) = connection.send_packed_commands(&self.pipeline, 0, count).await else {
            return false;
        };
        let (mut is_good, mut has_gap, mut unknown) = (true, false, Vec::new());
        for ((command, reply), answer) in self.pipeline.cmd_iter().zip(replies).zip(self.answers) {
            match (failure(reply), answer) {
                (Some(error), Some(answer)) if is(&error, ServerErrorKind::NoScript) => {
                    unknown.push((command.clone(), answer));
                }
                (outcome, Some(answer)) => {
                    has_gap |= outcome.is_none() && !unknown.is_empty();
                    is_good &= tell(answer, outcome);
                }
                // Who published cannot be told any more; a connection that is lost says to all that something is missing.
                (outcome, None) => is_good &= outcome.is_none(),
            }
        }
        if unknown.is_empty() || has_gap {
            return is_good;
        }
        let mut pipeline = Pipeline::new();
        pipeline.add_command(load_append());
        let (commands, answers): (Vec<_>, Vec<_>) = unknown.into_iter().unzip();
        for command in commands {
            pipeline.add_command(command);
        }
        let Ok(replies) = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await else {
            return false;
        };
        for (reply, answer) in replies.into_iter().skip(1).zip(answers) {
            is_good &= tell(answer, failure(reply));
        }
        is_good
    }
}

/// Tells what came of an append. Returns whether the connection is worth keeping: that to a broker which has become a replica is not.
fn tell(answer: oneshot::Sender<Result<(), BackplaneError>>, error: Option<RedisError>) -> bool {
    let is_good = !error.as_ref().is_some_and(|error| is(error, ServerErrorKind::ReadOnly));
    // Who waits does so no more, whoever it is.
    let _ = answer.send(error.map_or(Ok(()), |error| Err(BackplaneError::Broker(Box::new(error)))));
    is_good
}

fn failure(reply: Value) -> Option<RedisError> {
    match reply {
        Value::ServerError(error) => Some(error.into()),
        _ => None,
    }
}

fn is(error: &RedisError, kind: ServerErrorKind) -> bool {
    error.kind() == ErrorKind::Server(kind)
}

/// How many commands are sent at once,
const BATCH: usize = 512;

/// and after how many bytes there is no further one.
const BATCH_BYTES: usize = 1 << 20;

/// About how many bytes a command has beyond its name and its envelope.
const OVERHEAD: usize = 256;

//! What happens to a client that connects again, beside messages.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::super::queued::Queued;
use super::ended::Ended;
use crate::handshake::Response;
use crate::message::Message;

/// What the adapters' `Reconnecting::recv_event` returns.
#[non_exhaustive]
#[derive(Debug)]
pub enum Event {
    /// A connection was opened: `current` has it, with the server's response.
    Open,
    /// A message came.
    Message(Message),
    /// The connection was lost, or could not be opened, and another attempt follows.
    Lost(Lost),
}

/// A connection has ended, or an attempt has failed, and another one follows. Its `Display` is a line for a log.
#[derive(Clone, Debug)]
pub struct Lost {
    ended: Arc<Ended>,
    retry_in: Duration,
    unwritten: Queued,
}

impl Lost {
    pub(super) fn new(ended: Ended, retry_in: Duration, unwritten: Queued) -> Self {
        Self { ended: Arc::new(ended), retry_in, unwritten }
    }

    /// How it ended.
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// The server's response, if it refused.
    pub fn refusal(&self) -> Option<&Response> {
        self.ended.refusal()
    }

    /// How long after its end the next attempt begins.
    pub fn retry_in(&self) -> Duration {
        self.retry_in
    }

    /// What was sent over this connection and not written: the last so many messages, and the bytes of frames that were still
    /// queued. They have not arrived, not even the one of which a part was written. Those before them were handed to the
    /// transport, which does not tell whether they arrived: only an answer of the server does.
    ///
    /// What the function sent that opened the connection counts, too: to a server that speaks first, right behind its response,
    /// `send` may leave it queued.
    ///
    /// Of several connections together, if a program that sends and does not receive has lost several.
    pub fn unwritten(&self) -> Queued {
        self.unwritten
    }

    /// The same, with what was not written before, and has not been told.
    pub(super) fn with(mut self, untold: Option<&Self>) -> Self {
        self.unwritten = sum(self.unwritten, untold.map(Self::unwritten).unwrap_or_default());
        self
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the next attempt follows in {:.1} s", self.ended, self.retry_in.as_secs_f64())?;
        match self.unwritten.messages {
            0 => Ok(()),
            1 => f.write_str(", and a message was not sent"),
            messages => write!(f, ", and {messages} messages were not sent"),
        }
    }
}

/// What is told to the function that opens a connection.
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    lost: Option<Lost>,
}

impl Attempt {
    pub(super) fn new(number: u32, lost: Option<Lost>) -> Self {
        Self { number, lost }
    }

    /// The how manieth it is since a connection last [lasted](super::Policy::reset_after): 1 for the first.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What came of the last connection or attempt, with what was [not written](Lost::unwritten) of that one alone; `None` for
    /// the first of all.
    pub fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// The server's response, if it refused the last attempt. After 401 the token is to be another one: if that is refused
    /// with 401 too, there is no third attempt.
    pub fn refusal(&self) -> Option<&Response> {
        self.lost()?.refusal()
    }
}

/// Where a client that connects again is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// It waits until the next attempt is due; before the first, it waits to be used.
    Waiting,
    /// It connects.
    Connecting,
    /// A connection is open, as far as is known: messages can be sent.
    Open,
    /// It is closing, or has ended: `recv` has to find out how, and what came before.
    Closing,
    /// It has ended, and does not connect again.
    Over,
}

/// Both together.
pub(super) fn sum(one: Queued, other: Queued) -> Queued {
    Queued {
        bytes: one.bytes.saturating_add(other.bytes),
        messages: one.messages.saturating_add(other.messages),
    }
}

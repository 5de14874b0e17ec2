//! What an endpoint is whose opening handshake came to nothing: a last response is written, and the stream closed.

use alloc::vec::Vec;
use core::time::Duration;

use super::answer::Answer;
use super::closing::{End, Ending, Outcome, Turn};
use super::error::Error;
use super::events::EndpointEvent;

/// It did not come to a connection.
pub(super) struct Refused {
    /// What of the response is not on its way yet.
    answer: Answer,
    /// How long each part of it may take.
    timeout: Duration,
    end: End,
}

impl Refused {
    /// Ends with `error`, if any, when `answer` is written.
    pub(super) fn new(error: Option<Error>, answer: Answer, timeout: Duration) -> Self {
        let ending = if answer.is_empty() { Ending::Over } else { Ending::Flush { discard: true } };
        Self { answer, timeout, end: End::new(error, ending) }
    }

    /// How far it has ended.
    pub(super) fn ending(&self) -> Ending {
        self.end.ending
    }

    /// What is to be written next, and in which time, if there is something.
    pub(super) fn next_part(&mut self) -> Option<(Vec<u8>, Duration)> {
        let writes = matches!(self.end.ending, Ending::Flush { .. });
        let part = if writes { self.answer.next_part() } else { None };
        part.map(|part| (part, self.timeout))
    }

    pub(super) fn next_event(&mut self) -> Result<Option<EndpointEvent>, Error> {
        match self.end.ending {
            Ending::Flush { .. } | Ending::Await | Ending::Drain => Ok(None),
            Ending::Shutdown => {
                self.end.ending = Ending::Shutdown.after(&Outcome::Done, Turn::Ours);
                Ok(Some(EndpointEvent::ShutDown))
            }
            Ending::Over => self.end.error.take().map_or(Ok(Some(EndpointEvent::Over)), Err),
        }
    }

    /// Goes on after what came of reading, writing, or waiting. Tells whether the response is written by that.
    pub(super) fn did(&mut self, outcome: Outcome) -> bool {
        let writes = matches!(self.end.ending, Ending::Flush { .. });
        self.end.ending = self.end.ending.after(&outcome, Turn::Ours);
        match outcome {
            Outcome::Written => return writes,
            Outcome::Failed(error) if writes => {
                self.end.error.get_or_insert(error);
            }
            _ => {}
        }
        false
    }
}

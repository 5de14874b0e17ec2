//! The answer to a push.

use bytes::Bytes;
use sansocket::Message;
use serde::Serialize;

use crate::payload::{PayloadError, to_json};
use crate::wire::{binary, text};

/// The answer to a push. A client that did not ask for one gets none, whatever this is.
#[derive(Clone, Debug)]
pub struct Reply {
    answer: Answer,
    stop: bool,
}

#[derive(Clone, Debug)]
enum Answer {
    None,
    Json(String),
    Binary(Bytes),
}

impl Reply {
    /// No answer: the client, if it waits for one, runs into its time limit.
    pub fn none() -> Self {
        Self::of(Answer::None)
    }

    /// That it was done.
    pub fn ok() -> Self {
        Self::of(Answer::Json("{}".into()))
    }

    /// That it was done, and what came of it. Fails if that cannot be JSON. What is larger than
    /// [`Limits::payload`](crate::Limits::payload) is refused with `too big` in its place.
    pub fn with(response: &impl Serialize) -> Result<Self, PayloadError> {
        Ok(Self::of(Answer::Json(to_json(response)?)))
    }

    /// That it was done, and bytes that came of it.
    pub fn binary(response: impl Into<Bytes>) -> Self {
        Self::of(Answer::Binary(response.into()))
    }

    /// Ends the session after the answer: the client is told that the topic is closed, and does not join it again.
    pub fn stop(self) -> Self {
        Self { stop: true, ..self }
    }

    pub(crate) fn stops(&self) -> bool {
        self.stop
    }

    /// How many bytes the answer is.
    pub(crate) fn len(&self) -> usize {
        match &self.answer {
            Answer::None => 0,
            Answer::Json(json) => json.len(),
            Answer::Binary(data) => data.len(),
        }
    }

    /// The frame that answers.
    pub(crate) fn frame(&self, join_ref: Option<&str>, reference: &str, topic: &str) -> Option<Message> {
        match &self.answer {
            Answer::None => None,
            Answer::Json(json) => Some(text::reply(join_ref, reference, topic, "ok", json).into()),
            Answer::Binary(data) => Some(binary::reply(join_ref, reference, topic, "ok", data).into()),
        }
    }

    fn of(answer: Answer) -> Self {
        Self { answer, stop: false }
    }
}

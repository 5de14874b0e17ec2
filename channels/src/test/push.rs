//! What a page pushes, and is answered.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::fail;
use super::frame::{Content, Frame};
use super::page::{Page, is_answer, value};
use crate::payload::Payload;

impl Page {
    /// Pushes, and waits for the answer: what came of it, or the refusal.
    pub async fn push(&mut self, topic: &str, event: &str, payload: &impl Serialize) -> Result<Value, Value> {
        let reference = self.send_push(topic, event, payload);
        self.reply(topic, &reference).await
    }

    /// The same, where bytes are the answer.
    pub async fn push_for_binary(
        &mut self,
        topic: &str,
        event: &str,
        payload: &impl Serialize,
    ) -> Result<Bytes, Value> {
        let reference = self.send_push(topic, event, payload);
        match self.answer_to(topic, &reference).await? {
            Content::Binary(bytes) => Ok(bytes),
            Content::Json(value) => fail(&format!("the answer on {topic} is no bytes: {value}")),
        }
    }

    /// Pushes bytes, and waits for the answer, as [`push`](Self::push) does: JSON or bytes.
    pub async fn push_binary(&mut self, topic: &str, event: &str, data: &[u8]) -> Result<Payload, Value> {
        let (join_ref, reference) = (self.join_ref(topic).unwrap_or_default(), self.next_ref());
        let names = [&*join_ref, &*reference, topic, event];
        // A push.
        let mut frame = vec![0];
        frame.extend(names.iter().map(|name| {
            u8::try_from(name.len()).unwrap_or_else(|_| fail(&format!("{name} has more than 255 bytes")))
        }));
        frame.extend(names.iter().flat_map(|name| name.bytes()));
        frame.extend_from_slice(data);
        self.send_message(Bytes::from(frame));
        Ok(match self.answer_to(topic, &reference).await? {
            Content::Binary(bytes) => Payload::bytes(bytes),
            Content::Json(value) => Payload::text(value.to_string()),
        })
    }

    /// Pushes, and wants no answer.
    pub fn cast(&mut self, topic: &str, event: &str, payload: &impl Serialize) {
        self.send(self.join_ref(topic).as_deref(), None, topic, event, &value(payload));
    }

    fn send_push(&mut self, topic: &str, event: &str, payload: &impl Serialize) -> String {
        let reference = self.next_ref();
        self.send(self.join_ref(topic).as_deref(), Some(&reference), topic, event, &value(payload));
        reference
    }

    /// The answer with this ref, which is JSON.
    pub(super) async fn reply(&mut self, topic: &str, reference: &str) -> Result<Value, Value> {
        match self.answer_to(topic, reference).await? {
            Content::Json(response) => Ok(response),
            Content::Binary(_) => {
                fail(&format!("the answer on {topic} is bytes: `push_for_binary` gives them"))
            }
        }
    }

    async fn answer_to(&mut self, topic: &str, reference: &str) -> Result<Content, Value> {
        let is_reply = |frame: &Frame| frame.reference.as_deref() == Some(reference) && is_answer(frame);
        match self.next(REPLY_PATIENCE, is_reply).await.map(|frame| frame.content) {
            Some(Content::Json(mut reply)) => {
                let response = reply["response"].take();
                if reply["status"] == "ok" { Ok(Content::Json(response)) } else { Err(response) }
            }
            Some(bytes) => Ok(bytes),
            None => fail(&format!("there is no reply on {topic}")),
        }
    }
}

/// How long a page waits for a reply: a second more than clients do.
const REPLY_PATIENCE: Duration = Duration::from_secs(11);

//! The answer that something is refused.

use std::fmt;

use sansocket::Message;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::wire::text;

/// The answer that a join or a push is refused: `{"reason": …}`. The reason is a word of your own, which clients and logs see;
/// the text of an error is none.
#[derive(Clone, Debug)]
pub struct Refusal {
    reason: String,
    is_final: bool,
    details: Map<String, Value>,
}

impl Refusal {
    /// Refused for good: a client whose join is refused so does not try again.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true, details: Map::new() }
    }

    /// Refused for now: a client whose join is refused so tries again after a while.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { is_final: false, ..Self::new(reason) }
    }

    /// `unknown event`: what a session says that does not know the event.
    pub fn unknown_event() -> Self {
        Self::new("unknown event")
    }

    /// More that the client is told, beside the reason: the fields of an object. Anything else is left out.
    pub fn details(mut self, fields: &impl Serialize) -> Self {
        if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
            self.details.extend(fields.into_iter().filter(|(name, _)| name != "reason"));
        }
        self
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// What the client is told, in JSON, which may be so long: one that is longer is `too big`.
    pub(crate) fn response(&self, limit: usize) -> String {
        let json = self.json();
        if json.len() > limit { TOO_BIG.to_owned() } else { json }
    }

    fn json(&self) -> String {
        let mut json = String::from("{\"reason\":");
        text::push_string(&mut json, &self.reason);
        for (name, value) in &self.details {
            json.push(',');
            text::push_string(&mut json, name);
            json.push(':');
            json.push_str(&value.to_string());
        }
        json.push('}');
        json
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

/// What a client is told whose join is refused.
pub(crate) fn refused(
    join_ref: Option<&str>,
    reference: Option<&str>,
    topic: &str,
    refusal: &Refusal,
    limit: usize,
) -> impl Iterator<Item = Message> + use<> {
    let reply =
        reference.map(|reference| text::reply(join_ref, reference, topic, "error", &refusal.response(limit)));
    // Without it, clients try again for ever.
    let close = refusal.is_final().then(|| text::frame(join_ref, join_ref, topic, "phx_close", "{}"));
    reply.into_iter().chain(close).map(Message::from)
}

/// What a client is told whose answer is larger than a payload may be.
pub(crate) const TOO_BIG: &str = "{\"reason\":\"too big\"}";

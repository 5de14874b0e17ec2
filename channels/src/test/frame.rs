//! Frames as a page reads them.

use bytes::Bytes;
use sansocket::Message;
use serde_json::Value;

/// A frame from the server, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) join_ref: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) topic: String,
    pub(super) event: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Json(Value),
    Binary(Bytes),
}

impl Frame {
    /// `None`: it is none that a page understands.
    pub(super) fn parse(message: &Message) -> Option<Self> {
        match message {
            Message::Text(text) => {
                let (join_ref, reference, topic, event, payload) = serde_json::from_str(text).ok()?;
                Some(Self { join_ref, reference, topic, event, content: Content::Json(payload) })
            }
            Message::Binary(frame) => Self::parse_binary(frame),
        }
    }

    fn parse_binary(frame: &Bytes) -> Option<Self> {
        let names = match frame.first()? {
            0 => 3,
            1 => 4,
            2 => 2,
            _ => return None,
        };
        let lengths = frame.get(1..=names)?;
        let mut at = 1 + names;
        let mut texts = Vec::new();
        for len in lengths {
            let end = at + usize::from(*len);
            texts.push(String::from_utf8(frame.get(at..end)?.to_vec()).ok()?);
            at = end;
        }
        let data = frame.slice(at..);
        let some = |text: String| (!text.is_empty()).then_some(text);
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        Some(match names {
            3 => Self {
                join_ref: some(next()),
                reference: None,
                topic: next(),
                event: next(),
                content: Content::Binary(data),
            },
            4 => {
                let (join_ref, reference, topic, status) = (some(next()), some(next()), next(), next());
                let event = if status == "ok" { "phx_reply" } else { "phx_error" }.to_owned();
                Self { join_ref, reference, topic, event, content: Content::Binary(data) }
            }
            _ => Self {
                join_ref: None,
                reference: None,
                topic: next(),
                event: next(),
                content: Content::Binary(data),
            },
        })
    }
}

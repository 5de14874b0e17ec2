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
    /// Of what is part of the topic's history.
    pub(super) offset: Option<u64>,
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
                let mut frame: Vec<Value> = serde_json::from_str(text).ok()?;
                let offset = if frame.len() == 6 { Some(frame.pop()?.as_u64()?) } else { None };
                let frame = serde_json::from_value(frame.into()).ok()?;
                let (join_ref, reference, topic, event, payload) = frame;
                Some(Self { join_ref, reference, topic, event, content: Content::Json(payload), offset })
            }
            Message::Binary(frame) => Self::parse_binary(frame),
        }
    }

    fn parse_binary(frame: &Bytes) -> Option<Self> {
        let names = match frame.first()? {
            0 => 3,
            1 => 4,
            2 | 3 => 2,
            _ => return None,
        };
        let lengths = frame.get(1..=names)?;
        let mut at = 1 + names;
        let mut offset = None;
        if *frame.first()? == 3 {
            offset = Some(u64::from_be_bytes(frame.get(at..at + 8)?.try_into().ok()?));
            at += 8;
        }
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
                offset,
            },
            4 => {
                let (join_ref, reference, topic, status) = (some(next()), some(next()), next(), next());
                let event = if status == "ok" { "phx_reply" } else { "phx_error" }.to_owned();
                Self { join_ref, reference, topic, event, content: Content::Binary(data), offset }
            }
            _ => Self {
                join_ref: None,
                reference: None,
                topic: next(),
                event: next(),
                content: Content::Binary(data),
                offset,
            },
        })
    }
}

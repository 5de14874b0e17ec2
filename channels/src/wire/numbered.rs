//! Frames with a number: what clients that speak the extended dialect are sent of a topic with a history.

use std::fmt::Write;

use sansocket::{Message, Utf8Bytes};

use super::{binary, text};

/// A frame for all members that is whole but for its number. That has its room: to say it copies nothing.
pub(crate) struct Draft(Kind);

enum Kind {
    /// `[null,null,topic,event,payload`.
    Text(String),
    Binary(Vec<u8>),
}

impl Draft {
    /// The payload is JSON already.
    pub(crate) fn text(topic: &str, event: &str, payload: &str) -> Self {
        Self(Kind::Text(text::begun(None, None, topic, event, &[payload], ROOM)))
    }

    pub(crate) fn binary(topic: &str, event: &str, data: &[u8]) -> Self {
        Self(Kind::Binary(binary::positioned(topic, event, data)))
    }

    pub(crate) fn numbered(self, offset: u64) -> Message {
        match self.0 {
            Kind::Text(mut frame) => {
                // Writing to a string does not fail.
                let _ = write!(frame, ",{offset}]");
                Utf8Bytes::from(frame).into()
            }
            Kind::Binary(mut frame) => {
                binary::set_offset(&mut frame, offset);
                frame.into()
            }
        }
    }
}

/// What a member is sent in place of a message that is not for it: the number alone.
pub(crate) fn position(topic: &str, offset: u64) -> Message {
    Draft::text(topic, "$pos", "{}").numbered(offset)
}

/// A frame that has this number, as it is in the stock dialect.
pub(crate) fn stock(frame: &Message, offset: u64) -> Message {
    match frame {
        Message::Text(frame) => {
            let number = format!(",{offset}]");
            let begun = frame.strip_suffix(&*number).unwrap_or(frame);
            Utf8Bytes::from([begun, "]"].concat()).into()
        }
        Message::Binary(frame) => binary::without_offset(frame).into(),
    }
}

/// A comma, the largest number, and a bracket.
const ROOM: usize = 22;

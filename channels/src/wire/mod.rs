//! What is on the wire: frames as clients send them, and as they are sent to clients.

pub(crate) mod binary;
pub(crate) mod numbered;
pub(crate) mod text;

use crate::payload::Payload;

/// A frame that a client sent, taken apart.
#[derive(Debug)]
pub(crate) struct Received {
    /// The join that it belongs to.
    pub(crate) join_ref: Option<Box<str>>,
    /// What the answer is to repeat; none is wanted without one.
    pub(crate) reference: Option<Box<str>>,
    pub(crate) topic: Box<str>,
    pub(crate) event: Box<str>,
    pub(crate) payload: Payload,
}

/// Why a frame is none. The connection is closed for it, with this word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Malformed {
    Frame,
    Topic,
    Event,
    Ref,
}

impl Malformed {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Topic => "topic",
            Self::Event => "event",
            Self::Ref => "ref",
        }
    }
}

/// Fails if one of the names is longer than names are, or is empty where it has to name something.
fn check(refs: [Option<&str>; 2], topic: &str, event: &str) -> Result<(), Malformed> {
    if refs.iter().flatten().any(|reference| reference.len() > MAX_REF) {
        return Err(Malformed::Ref);
    }
    if !(1..=MAX_TOPIC).contains(&topic.len()) {
        return Err(Malformed::Topic);
    }
    if !(1..=MAX_EVENT).contains(&event.len()) {
        return Err(Malformed::Event);
    }
    Ok(())
}

/// The longest ref, in bytes.
const MAX_REF: usize = 32;

/// The longest topic, in bytes: its length is one byte in binary frames.
pub(crate) const MAX_TOPIC: usize = 255;

/// The longest event, in bytes.
pub(crate) const MAX_EVENT: usize = 64;

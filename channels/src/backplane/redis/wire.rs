//! What things are called at the broker, and what is published there.
//!
//! To a node, or to all, an envelope is published as it is. To a topic, it follows a byte: 0, if it was
//! [published](crate::backplane::Backplane::publish); or 1, and then the epoch, `:`, the offset in decimal digits, and `:`, if it was
//! [appended](crate::backplane::Sequencer::append).

use std::borrow::Cow;

use bytes::Bytes;

use crate::backplane::NodeId;
use crate::backplane::names::escaped;
use crate::history::Position;

/// The names of channels and keys that begin with a prefix.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
}

/// What is published to a topic.
pub(super) enum Published {
    Plain(Bytes),
    Sequenced(Position, Bytes),
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The channel of a topic.
    pub(super) fn topic(&self, topic: &str) -> String {
        [&self.prefix, ":t:", &*escaped(topic)].concat()
    }

    /// The channel of all nodes.
    pub(super) fn all(&self) -> String {
        format!("{}:c:all", self.prefix)
    }

    /// The channel of a node.
    pub(super) fn node(&self, node: NodeId) -> String {
        format!("{}:c:{node}", self.prefix)
    }

    /// The keys of a topic: how far it is, and what it keeps. A cluster has both in one place, which is that of what is in braces.
    pub(super) fn keys(&self, topic: &str) -> [String; 2] {
        let tag = format!("{{{}:{}}}", self.prefix, escaped(topic));
        [format!("{tag}:at"), format!("{tag}:log")]
    }

    /// The topic that has this channel. `None`: it is that of nodes.
    pub(super) fn topic_of<'a>(&self, channel: &'a str) -> Option<Cow<'a, str>> {
        unescaped(channel.strip_prefix(&self.prefix)?.strip_prefix(":t:")?)
    }
}

impl Published {
    /// What a message is; `None`: nothing that a node publishes.
    pub(super) fn parse(message: &Bytes) -> Option<Self> {
        match *message.first()? {
            PLAIN => Some(Self::Plain(message.slice(1..))),
            SEQUENCED => {
                let mut parts = message[1..].splitn(3, |byte| *byte == b':');
                let mut text = || str::from_utf8(parts.next()?).ok();
                let (epoch, offset) = (text()?, text()?.parse().ok()?);
                let envelope = message.slice_ref(parts.next()?);
                is_epoch(epoch)
                    .then(|| Self::Sequenced(Position { epoch: epoch.to_owned(), offset }, envelope))
            }
            _ => None,
        }
    }
}

/// Whether it is what a node may have begun a topic's life with.
pub(super) fn is_epoch(epoch: &str) -> bool {
    (1..=32).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The reverse of [`escaped`].
fn unescaped(name: &str) -> Option<Cow<'_, str>> {
    let Some((start, rest)) = name.split_once('=').filter(|_| name != "=") else {
        return Some(name.trim_end_matches('=').into());
    };
    let mut topic = start.as_bytes().to_vec();
    for part in rest.split('=') {
        let (digits, plain) = part.split_at_checked(2)?;
        topic.push(u8::from_str_radix(digits, 16).ok()?);
        topic.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(topic).ok().map(Cow::from)
}

/// What a message begins with that was published,
pub(super) const PLAIN: u8 = 0;

/// and one that was appended: `append.lua` has it, too.
const SEQUENCED: u8 = 1;

//! Who is present on a topic, as a program sees it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::hub::Hub;
use crate::payload::{PayloadError, to_fields};
use crate::refusal::Refusal;

/// Who is present on a topic, at the moment: see [`TopicOptions::presence`](crate::TopicOptions::presence).
///
/// A key is a user, or the [`ConnId`](crate::ConnId) of a connection that is nobody's. It has a meta for each session that is
/// tracked: what was [tracked](crate::Cx::track), and its `phx_ref`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presences {
    by_key: BTreeMap<String, Vec<Value>>,
    untracked: u64,
}

impl Presences {
    /// Who is present, in the order of the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    /// What was tracked of a key, in the order in which it was; nothing if it is not present.
    pub fn metas(&self, key: &str) -> &[Value] {
        self.by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many keys are present.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many times a session of this topic was not tracked, or not updated, since there was no room: see
    /// [`Limits::presence`](crate::Limits::presence).
    pub fn untracked(&self) -> u64 {
        self.untracked
    }
}

impl Hub {
    /// Who is present on a topic; nobody if it has no members, or [no presence](crate::TopicOptions::presence). It tells of
    /// changes at once, of which members hear a moment later.
    pub fn presence(&self, topic: &str) -> Presences {
        let topic = self.inner().registry.topic(topic);
        let listed = topic
            .and_then(|topic| topic.with_presence(|presence, _| (presence.list(), presence.untracked())));
        let (list, untracked) = listed.unwrap_or_default();
        let mut by_key = BTreeMap::<_, Vec<_>>::new();
        for (key, json) in list {
            by_key.entry(key.to_string()).or_default().push(serde_json::from_str(&json).unwrap_or_default());
        }
        Presences { by_key, untracked }
    }
}

/// Why a session cannot be tracked.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrackError {
    /// What is to be told of it is no object in JSON.
    Payload(PayloadError),
    /// The route has no [presence](crate::TopicOptions::presence).
    NoPresence,
    /// The session has not begun, or has ended: what is to be told from the join on is for
    /// [`Joined::track`](crate::Joined::track).
    NotJoined,
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payload(_) => "what is tracked has to be an object in JSON",
            Self::NoPresence => "the route has no presence: see `TopicOptions::presence`",
            Self::NotJoined => "the session has not begun, or has ended",
        })
    }
}

impl std::error::Error for TrackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            _ => None,
        }
    }
}

impl From<PayloadError> for TrackError {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

impl From<TrackError> for Refusal {
    /// A word for each.
    fn from(error: TrackError) -> Self {
        Self::new(match error {
            TrackError::Payload(_) => "bad payload",
            TrackError::NoPresence => "no presence",
            TrackError::NotJoined => "not joined",
        })
    }
}

/// What is told of a session, as JSON. What is called as the references are that are added to it is left out: clients go by
/// those.
pub(crate) fn to_meta(meta: &impl Serialize) -> Result<String, PayloadError> {
    let mut fields = to_fields(meta)?;
    for name in ["phx_ref", "phx_ref_prev"] {
        fields.remove(name);
    }
    Ok(Value::Object(fields).to_string())
}

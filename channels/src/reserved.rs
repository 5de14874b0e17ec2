//! What is the protocol's in a client's parameters.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::conn_id::ConnId;
use crate::history::Position;
use crate::payload::Payload;
use crate::wire::text::push_string;

/// Where a client left off, as it says: `$since` among the parameters of a join.
#[derive(Debug)]
pub(crate) struct Since {
    /// `None`: what it says is no position.
    pub(crate) position: Option<Position>,
    /// Which connection it was then. Who names another's is not sent what that one was not to have: less than without.
    pub(crate) conn: Option<ConnId>,
}

/// The parameters of a join without the keys that begin with `$`: they are the protocol's, and no handler sees them. What has
/// none stays as it came. `None`: there is a key that is no text.
pub(crate) fn without_reserved(params: Payload) -> Option<(Payload, Option<Since>)> {
    // What is no object has no keys; an escape may stand for a `$`, too.
    let Some(json) = params.json().filter(|json| json.starts_with('{') && json.contains(['$', '\\'])) else {
        return Some((params, None));
    };
    let Kept { json, since } = serde_json::Deserializer::from_str(json).deserialize_map(Keeping).ok()?;
    Some((Payload::text(json), since))
}

impl Since {
    fn parse(json: &str) -> Self {
        let value = serde_json::from_str::<Value>(json).unwrap_or_default();
        let conn = &value["c"];
        let is_right = conn.is_null() || conn.is_string();
        let position = match (value["e"].as_str(), value["o"].as_u64()) {
            (Some(epoch), Some(offset)) if is_right => Some(Position { epoch: epoch.into(), offset }),
            _ => None,
        };
        Self { position, conn: conn.as_str().and_then(|conn| conn.parse().ok()) }
    }
}

/// What there is of an object without its reserved keys, and what one of them says.
struct Kept {
    json: String,
    since: Option<Since>,
}

/// Copies the entries of an object, but those.
struct Keeping;

impl<'de> Visitor<'de> for Keeping {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
        let mut kept = Kept { json: "{".into(), since: None };
        while let Some((key, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            if key == "$since" {
                kept.since = Some(Since::parse(value.get()));
            }
            if !key.starts_with('$') {
                if kept.json.len() > 1 {
                    kept.json.push(',');
                }
                push_string(&mut kept.json, &key);
                kept.json.push(':');
                kept.json.push_str(value.get());
            }
        }
        kept.json.push('}');
        Ok(kept)
    }
}

//! What is the protocol's in a client's parameters.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::payload::Payload;
use crate::wire::text::push_string;

/// The parameters of a join without the keys that begin with `$`: they are the protocol's, and no handler sees them. What has
/// none stays as it came. `None`: there is a key that is no text.
pub(crate) fn without_reserved(params: Payload) -> Option<Payload> {
    // What is no object has no keys; an escape may stand for a `$`, too.
    let Some(json) = params.json().filter(|json| json.starts_with('{') && json.contains(['$', '\\'])) else {
        return Some(params);
    };
    serde_json::Deserializer::from_str(json).deserialize_map(Kept).map(Payload::text).ok()
}

/// Copies the entries of an object, but those.
struct Kept;

impl<'de> Visitor<'de> for Kept {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut json = String::from("{");
        while let Some((key, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            if !key.starts_with('$') {
                if json.len() > 1 {
                    json.push(',');
                }
                push_string(&mut json, &key);
                json.push(':');
                json.push_str(value.get());
            }
        }
        json.push('}');
        Ok(json)
    }
}

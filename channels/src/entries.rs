//! What pages are told of who is present: entries, and what they are called.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::wire::text::push_string;

/// What an entry is called on the wire: `phx_ref`, unique among all nodes. Those of one node grow.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Reference {
    pub(crate) node: u64,
    pub(crate) number: u64,
}

/// Entries by key and reference, and what they are in JSON.
#[derive(Clone, Default)]
pub(crate) struct Entries(pub(crate) BTreeMap<(Arc<str>, Reference), Arc<str>>);

impl fmt::Display for Reference {
    /// Some of the node's random bits are enough: pages compare those of one key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}{:x}", self.node >> 24, self.number)
    }
}

impl Entries {
    /// `{"key":{"metas":[{"phx_ref":"…"}]}}`
    pub(crate) fn json(&self) -> String {
        let mut json = String::from("{");
        let mut last = None;
        for ((key, _), meta) in &self.0 {
            if last == Some(key) {
                json.push(',');
            } else {
                if last.is_some() {
                    json.push_str("]},");
                }
                push_string(&mut json, key);
                json.push_str(":{\"metas\":[");
                last = Some(key);
            }
            json.push_str(meta);
        }
        json.push_str(if last.is_some() { "]}}" } else { "}" });
        json
    }
}

/// What a session is in the lists of pages, and how many bytes of that come before its fields.
pub(crate) fn meta(reference: Reference, previous: Option<Reference>, fields: &str) -> (String, usize) {
    let mut json = format!("{{\"phx_ref\":\"{reference}\"");
    if let Some(previous) = previous {
        // Writing to a text does not fail.
        let _ = write!(json, ",\"phx_ref_prev\":\"{previous}\"");
    }
    let head = json.len();
    let fields = &fields[1..];
    if fields != "}" {
        json.push(',');
    }
    (json + fields, head)
}

/// The fields of that, if its reference and the one before have so many bytes there.
pub(crate) fn fields(meta: &str, head: usize) -> String {
    let rest = &meta[head..];
    ["{", rest.strip_prefix(',').unwrap_or(rest)].concat()
}

/// What that takes in a state at most, whether it replaces another or not: what is there may be updated, even if nothing is
/// added.
pub(crate) fn length(key: &str, fields: &str) -> usize {
    let mut around = String::from(":{\"metas\":[{\"phx_ref\":\"\",\"phx_ref_prev\":\"\",}]},");
    push_string(&mut around, key);
    around.len() + 2 * REFERENCE + fields.len()
}

/// How long a reference is at most.
const REFERENCE: usize = 26;

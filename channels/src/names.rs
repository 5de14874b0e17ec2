//! What names may be: those of topics, and those of events.

use crate::wire::{MAX_EVENT, MAX_TOPIC};

/// Whether clients may join what has this name.
pub(crate) fn is_topic(name: &str) -> bool {
    (1..=MAX_TOPIC).contains(&name.len())
        && name != PHOENIX
        && !name.starts_with('$')
        && !name.chars().any(char::is_control)
}

/// Whether an event of a program's own may have this name.
pub(crate) fn is_event(name: &str) -> bool {
    (1..=MAX_EVENT).contains(&name.len()) && !is_reserved(name)
}

/// Whether the event belongs to the protocol.
fn is_reserved(event: &str) -> bool {
    event.starts_with("phx_") || event.starts_with('$')
}

/// Whether no client may say it: it belongs to the protocol, or pages take it for the server's list of who is present, whoever has
/// sent it.
pub(crate) fn is_servers(event: &str) -> bool {
    is_reserved(event) || matches!(event, "presence_state" | "presence_diff")
}

/// The topic of heartbeats.
pub(crate) const PHOENIX: &str = "phoenix";

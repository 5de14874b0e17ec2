//! How far other nodes are on a topic, as far as this one has heard.

use std::collections::HashMap;

use tokio::time::Instant;

use super::envelope::Turn;

/// How far other nodes are on a topic, as far as this one has heard.
pub(crate) struct Heard {
    by_node: HashMap<u64, Last>,
    /// Since when nothing should be missing.
    since: Instant,
}

/// The last of a node's envelopes that was heard.
struct Last {
    turn: Turn,
    /// The node says that it was its last.
    is_whole: bool,
}

/// What an envelope is to who has heard those before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hearing {
    /// The next, or the first.
    Next,
    /// Others are missing before it.
    Missing,
    /// One that has been heard, or that later ones have overtaken: it is ignored.
    Stale,
}

impl Default for Heard {
    fn default() -> Self {
        Self { by_node: HashMap::new(), since: Instant::now() }
    }
}

impl Heard {
    /// An envelope has come.
    pub(crate) fn hear(&mut self, node: u64, turn: Turn) -> Hearing {
        if turn.number == 0 {
            return Hearing::Next;
        }
        let Some(last) = self.by_node.get_mut(&node) else {
            self.put(node, turn, false);
            // Nothing was heard of the one before, if there was one.
            let is_missing = turn.number > 1 && self.should_have(turn);
            return if is_missing { Hearing::Missing } else { Hearing::Next };
        };
        let next = match last.turn.series {
            series if series == turn.series => last.turn.number.saturating_add(1),
            series if series > turn.series => return Hearing::Stale,
            // Of the series before nothing is missing, or that is not known.
            _ if last.is_whole => 1,
            _ => 0,
        };
        let is_stale = last.turn.series == turn.series && turn.number < next;
        if is_stale {
            return Hearing::Stale;
        }
        *last = Last { turn, is_whole: false };
        if turn.number == next { Hearing::Next } else { Hearing::Missing }
    }

    /// A node says which envelope was its last. False: some are missing.
    pub(crate) fn mark(&mut self, node: u64, turn: Turn) -> bool {
        if turn.number == 0 {
            // It says something else.
            return true;
        }
        let is_heard = match self.by_node.get(&node) {
            None => !self.should_have(turn),
            Some(last) if last.turn.series > turn.series => return true,
            Some(last) if last.turn.series == turn.series => {
                if turn.number < last.turn.number {
                    // It was overtaken.
                    return true;
                }
                turn.number == last.turn.number
            }
            // Of a series that has begun since.
            Some(_) => false,
        };
        self.put(node, turn, true);
        is_heard
    }

    /// What was heard of a node counts no more.
    pub(crate) fn forget(&mut self, node: u64) {
        self.by_node.remove(&node);
    }

    /// Something may have been missing until now, which has been told.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the last that was sent before this one came so late that it should have been heard.
    fn should_have(&self, turn: Turn) -> bool {
        turn.quiet < self.since.elapsed()
    }

    fn put(&mut self, node: u64, turn: Turn, is_whole: bool) {
        // There are never so many nodes: it is not to grow whatever a broker says.
        if self.by_node.len() >= MAX_NODES && !self.by_node.contains_key(&node) {
            self.by_node.clear();
        }
        self.by_node.insert(node, Last { turn, is_whole });
    }
}

/// Of so many nodes it is known.
const MAX_NODES: usize = 1_024;

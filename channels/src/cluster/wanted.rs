//! What a node asks all others, as fast as there is room for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::envelope::Control;
use super::{BATCH, Cluster};
use crate::sync::{Mutex, lock};

/// What all other nodes are to be asked of topics, each once.
pub(super) type Wants = Mutex<BTreeSet<(Wanted, Arc<str>)>>;

/// What a node wants to be told of a topic.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Wanted {
    /// How far others are with it.
    Turn,
    /// Who is present there.
    State,
}

impl Cluster {
    /// A topic has begun that has a presence: what is known of it elsewhere?
    pub(crate) fn want_presence(&self, topic: &Arc<str>) {
        self.want(Wanted::State, topic);
        self.ask_wanted();
    }

    /// Other nodes are to be [asked](Self::ask_wanted).
    pub(super) fn want(&self, what: Wanted, topic: &Arc<str>) {
        // Without a connection, all are asked when there is one.
        if self.is_up() {
            lock(&self.wanted).insert((what, topic.clone()));
        }
    }

    /// Asks the other nodes what is wanted of them, or some of it. Whether there is more.
    pub(super) fn ask_wanted(&self) -> bool {
        for _ in 0..BATCH {
            let Some((what, topic)) = lock(&self.wanted).pop_first() else {
                return false;
            };
            let name = (*topic).to_owned();
            let question = match what {
                Wanted::Turn => Control::TurnWanted { topic: name },
                Wanted::State => Control::StateWanted { topic: name },
            };
            if self.control(None, &question).is_err() {
                self.want(what, &topic);
                return false;
            }
        }
        true
    }
}

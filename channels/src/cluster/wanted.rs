//! What a node asks all others, and has to answer, as fast as there is room for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::envelope::Control;
use super::{BATCH, Cluster};
use crate::backplane::BackplaneError;
use crate::hub::Hub;
use crate::sync::{Mutex, lock};

/// What is wanted of topics, each once.
pub(super) type Wants = Mutex<BTreeSet<(Wanted, Arc<str>)>>;

/// What is wanted of a topic.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Wanted {
    /// To be told how far others are with it.
    Turn,
    /// To be told who is present there.
    State,
    /// That others are told who is present here: they have asked, and there was no room for the answer.
    Answer,
}

impl Cluster {
    /// A topic has begun that has a presence: what is known of it elsewhere?
    pub(crate) fn want_presence(&self, topic: &Arc<str>) {
        let question = Control::StateWanted { topic: (**topic).to_owned() };
        if let Err(BackplaneError::Full) = self.control(None, &question) {
            self.want(Wanted::State, topic);
        }
    }

    /// This is to be [seen to](Self::tell_wanted).
    pub(super) fn want(&self, what: Wanted, topic: &Arc<str>) {
        // Without a connection, all are asked when there is one.
        if self.is_up() {
            lock(&self.wanted).insert((what, topic.clone()));
        }
    }

    /// Asks the other nodes what is wanted of them, and tells what they have asked, or some of it. Whether there is more.
    pub(super) fn tell_wanted(&self, hub: &Hub) -> bool {
        for _ in 0..BATCH {
            let Some((what, topic)) = lock(&self.wanted).pop_first() else {
                return false;
            };
            let name = || (*topic).to_owned();
            let told = match what {
                Wanted::Turn => self.control(None, &Control::TurnWanted { topic: name() }),
                Wanted::State => self.control(None, &Control::StateWanted { topic: name() }),
                Wanted::Answer => self.tell_state(hub, &topic),
            };
            // What fails otherwise would do so again.
            if let Err(BackplaneError::Full) = told {
                self.want(what, &topic);
                return false;
            }
        }
        true
    }
}

//! Telling members who is present.

use std::sync::Arc;

use sansocket::PreparedMessage;
use tokio::time::{Instant, sleep_until};

use crate::frame::{Class, Frame, Memory};
use crate::hub::Hub;
use crate::outgoing::To;
use crate::topic::Topic;
use crate::wire::text;

/// Who tells the members of a topic what has changed in its presence, when it is time: one task for a topic, while there is
/// something to be told, or somebody who was lost may come back.
pub(crate) struct Announcer {
    hub: Hub,
    topic: Arc<Topic>,
    /// Nothing is left to be done.
    is_done: bool,
}

impl Announcer {
    /// Begins, if there is something to be done, and nobody who will. Called with nothing locked: a runtime that has ended
    /// drops the task at once.
    pub(crate) fn begin(hub: &Hub, topic: &Arc<Topic>) {
        let wants = topic.with_presence(|presence, seats| presence.wants_task(seats.len()));
        if wants == Some(true) {
            let announcer = Self { hub: hub.clone(), topic: topic.clone(), is_done: false };
            topic.runtime().spawn(announcer.run());
        }
        tell_others(hub, topic);
    }

    async fn run(mut self) {
        let sooner = self.topic.with_presence(|presence, _| presence.sooner()).unwrap_or_default();
        while let Some(Some(due)) = self.topic.with_presence(|presence, seats| presence.wait(seats.len())) {
            tokio::select! {
                () = sleep_until(due) => {}
                () = sooner.notified() => continue,
            }
            self.announce(Instant::now());
        }
        self.is_done = true;
    }

    fn announce(&self, now: Instant) {
        let diff = self.topic.with_presence(|presence, seats| presence.take(now, seats.len()));
        if let Some(diff) = diff.flatten().filter(|diff| !diff.is_empty()) {
            let frame = text::frame(None, None, &self.topic.name, "presence_diff", &diff.json());
            let frame = Frame::new(frame.into(), Class::Answer, &self.hub.inner().memory);
            self.topic.with_presence(|presence, seats| {
                if presence.apply(diff) {
                    for seat in seats {
                        seat.connection.queue.broadcast(&frame, seat, 0, &To::All);
                    }
                }
            });
            self.hub.inner().relieve();
        }
        // Who was lost is gone by now.
        tell_others(&self.hub, &self.topic);
        self.hub.inner().registry.retire(&self.topic);
    }
}

impl Drop for Announcer {
    /// The runtime has ended before.
    fn drop(&mut self) {
        if !self.is_done {
            self.topic.with_presence(|presence, _| presence.abandon(Instant::now()));
            tell_others(&self.hub, &self.topic);
            self.hub.inner().registry.retire(&self.topic);
        }
    }
}

/// Has other nodes told what has changed here, if there are any.
fn tell_others(hub: &Hub, topic: &Arc<Topic>) {
    if let Some(cluster) = &hub.inner().cluster {
        cluster.presence_changed(topic);
    }
}

/// What somebody is told who joins: what the members know.
pub(crate) struct State {
    pub(crate) frame: Arc<Frame>,
    /// Of the presence: he gets the diffs from the next one on.
    pub(crate) generation: u64,
}

impl State {
    /// `None`: the topic has no presence.
    pub(crate) fn new(topic: &Topic, memory: &Arc<Memory>) -> Option<Self> {
        let announced = topic.with_presence(|presence, seats| {
            if seats.is_empty() {
                presence.announce_all();
            }
            presence.announced().clone()
        })?;
        let generation = announced.generation();
        if let Some(frame) = announced.waiting() {
            return Some(Self { frame, generation });
        }
        let message = announced.state().cloned().unwrap_or_else(|| {
            // It belongs to no join, so that it is one for all who join meanwhile: many who come back at once wait for it. To a
            // page that has joined anew before it comes it is as right as the diffs behind it.
            PreparedMessage::new(text::frame(None, None, &topic.name, "presence_state", &announced.json()))
        });
        let frame = Frame::prepared(message, Class::Answer, memory);
        topic.with_presence(|presence, _| presence.keep_state(generation, &frame));
        Some(Self { frame, generation })
    }
}

//! What a topic has heard of other nodes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::heard::Heard;
use crate::history::Position;

/// What a topic has heard of other nodes.
#[derive(Default)]
pub(crate) struct Abroad {
    pub(crate) heard: Heard,
    pub(crate) course: Course,
}

/// How far a topic is with the broker that numbers its messages:
///
/// ```text
/// behind ---sync---> syncing ---all that was kept is here, and what came meanwhile---> live
///    ^------------------------- something is missing ----------------------------------'
/// ```
#[derive(Default)]
pub(crate) struct Course {
    stage: Stage,
    /// It has been live: its offset is the broker's.
    has_been_live: bool,
    /// What has come while it was not live, in its order. Too much of it is forgotten: the broker has it.
    waiting: VecDeque<(Position, Bytes)>,
    /// Of all in `waiting`.
    bytes: usize,
    /// That has been too much.
    is_torn: bool,
    /// Told when it is live.
    live: Arc<Notify>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Behind,
    /// A task gets it there.
    Syncing,
    Live,
}

impl Course {
    /// Whether it has all that the broker keeps: messages have their turns as they come.
    pub(crate) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    pub(crate) fn has_been_live(&self) -> bool {
        self.has_been_live
    }

    /// A message waits until its turn comes.
    pub(crate) fn wait(&mut self, position: Position, envelope: Bytes) {
        self.bytes += envelope.len();
        self.waiting.push_back((position, envelope));
        if self.waiting.len() > ENVELOPES || self.bytes > BYTES {
            self.waiting = VecDeque::new();
            self.bytes = 0;
            self.is_torn = true;
        }
    }

    /// All that waits: nothing of it is needed any more.
    pub(crate) fn forget_waiting(&mut self) -> VecDeque<(Position, Bytes)> {
        (self.bytes, self.is_torn) = (0, false);
        std::mem::take(&mut self.waiting)
    }

    /// Whether some of what waited was forgotten since this was asked: what the broker has told may be without it.
    pub(crate) fn take_torn(&mut self) -> bool {
        std::mem::take(&mut self.is_torn)
    }

    pub(crate) fn next(&mut self) -> Option<(Position, Bytes)> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.1.len();
        Some(next)
    }

    /// Something may be missing. True: a task is to be begun that gets it.
    pub(crate) fn fall_behind(&mut self) -> bool {
        std::mem::replace(&mut self.stage, Stage::Syncing) != Stage::Syncing
    }

    /// The task has ended, and has got all there is, or not.
    pub(crate) fn end_sync(&mut self, is_live: bool) {
        self.stage = if is_live { Stage::Live } else { Stage::Behind };
        self.has_been_live |= is_live;
        self.live.notify_waiters();
    }

    /// What tells when the task has ended, if there is one.
    pub(crate) fn syncing(&self) -> Option<Arc<Notify>> {
        (self.stage == Stage::Syncing).then(|| self.live.clone())
    }
}

/// How many envelopes wait at most,
const ENVELOPES: usize = 1_024;

/// and how many bytes they have.
const BYTES: usize = 1 << 20;

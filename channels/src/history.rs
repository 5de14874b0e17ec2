//! What a topic was sent of late, for those who come back.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use sansocket::Message;
use tokio::time::Instant;

use crate::audience::Audience;
use crate::cluster::Hearing;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::outgoing::{Held, To};
use crate::parcel::Missed;
use crate::reserved::Since;
use crate::wire::numbered::Draft;

/// How far a topic with a history is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "it has a life and a number")]
pub struct Position {
    /// Which of the topic's lives it is: those have other names that begin when this one is over, or the program anew.
    pub epoch: String,
    /// How many messages that are numbered have been sent in it.
    pub offset: u64,
}

/// How much a topic keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// What a topic was sent of late, for those who come back: messages are numbered by their turn, and the newest are kept.
pub(crate) struct History {
    topic: Arc<str>,
    epoch: Arc<str>,
    extent: Extent,
    /// That of the newest message, be it kept or not; 0 before the first.
    offset: u64,
    /// The newest number that says that a message has come to nobody; 0: there is none.
    lost_at: u64,
    /// The newest messages, without a gap.
    ring: VecDeque<Entry>,
    /// Of all in `ring`.
    bytes: usize,
}

/// A message that is kept.
struct Entry {
    at: Instant,
    /// As clients get it that speak the extended dialect.
    frame: Message,
    missed: Missed,
    audience: Audience,
    to: To,
    /// Connections that have come back, and were not to have it as what they were before; a few at most.
    heirs: Vec<ConnId>,
}

/// What a member is sent that joins, and how far that begins.
pub(crate) struct Catchup {
    frames: Vec<Held>,
    pub(crate) epoch: Arc<str>,
    /// Before the first of `frames`.
    from: u64,
    /// Behind the last.
    to: u64,
    /// They are all that it has missed.
    is_recovered: bool,
    /// How many of the last it is sent if there is no room for all of them.
    latest: usize,
}

impl History {
    /// Begins a life.
    pub(crate) fn new(topic: Arc<str>, extent: Extent) -> Self {
        let extent = Extent { time: extent.time.min(LONGEST), ..extent };
        Self { topic, epoch: new_epoch(), extent, offset: 0, lost_at: 0, ring: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch.to_string(), offset: self.offset }
    }

    pub(crate) fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Begins another life, of this name or one of its own, after this offset.
    pub(crate) fn begin_epoch(&mut self, epoch: Option<Arc<str>>, offset: u64) {
        self.clear();
        self.epoch = epoch.unwrap_or_else(new_epoch);
        (self.offset, self.lost_at) = (offset, 0);
    }

    /// What a message with this position is to who has all before.
    pub(crate) fn turn(&self, position: &Position) -> Hearing {
        match position.offset.checked_sub(self.offset) {
            _ if *position.epoch != *self.epoch => Hearing::Missing,
            Some(0) | None => Hearing::Stale,
            Some(1) => Hearing::Next,
            Some(_) => Hearing::Missing,
        }
    }

    /// How many messages are kept.
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long a message is kept, at most.
    pub(crate) fn time(&self) -> Duration {
        self.extent.time
    }

    /// When the newest message came that is kept.
    pub(crate) fn newest(&self) -> Option<Instant> {
        self.ring.back().map(|entry| entry.at)
    }

    /// A message has its turn, be it that it came before now: its frame, and its number.
    pub(crate) fn append(
        &mut self,
        draft: Draft,
        audience: &Audience,
        to: &To,
        at: Instant,
        now: Instant,
    ) -> (Message, u64) {
        self.offset += 1;
        let frame = draft.numbered(self.offset);
        let (message, audience, to) = (frame.clone(), audience.clone(), to.clone());
        let missed = Missed::default();
        let entry = Entry { at, frame: message, missed, audience, to, heirs: Vec::new() };
        self.bytes += entry.bytes();
        self.ring.push_back(entry);
        self.trim(now);
        (frame, self.offset)
    }

    /// This number, the next one, says that a message has come to nobody: whoever has missed that has not got all.
    pub(crate) fn lose_at(&mut self, offset: u64) {
        self.lost_at = offset;
    }

    /// The newest message, if it is kept, is not for these either, who were others before.
    pub(crate) fn leave_out(&mut self, heirs: &[ConnId]) {
        if let Some(newest) = self.ring.back_mut() {
            for heir in heirs {
                newest.add_heir(*heir);
            }
        }
    }

    /// Forgets what is too old, and what is too much.
    pub(crate) fn trim(&mut self, now: Instant) {
        let Extent { entries, bytes, time } = self.extent;
        while let Some(oldest) = self.ring.front()
            && (self.ring.len() > entries || self.bytes > bytes || oldest.at + time <= now)
        {
            self.bytes -= oldest.bytes();
            self.ring.pop_front();
        }
        if self.ring.is_empty() {
            self.clear();
        }
    }

    /// Forgets all messages, but not how many they were.
    pub(crate) fn clear(&mut self) {
        self.ring = VecDeque::new();
        self.bytes = 0;
    }

    /// What a connection is sent that joins: all that it has missed, if it comes back and all of that is kept; else the newest
    /// messages, of which there are so many.
    pub(crate) fn catch_up(
        &mut self,
        connection: &Connection,
        since: Option<&Since>,
        latest: usize,
        now: Instant,
    ) -> Catchup {
        self.trim(now);
        let missed = since.and_then(|since| self.missed(since));
        // None of the newest is one that it has had: then all that it has missed would be kept.
        let count = missed.unwrap_or_else(|| self.ring.len().min(latest));
        let first = self.ring.len() - count;
        let mut offset = self.offset - count as u64;
        let mut catchup = Catchup {
            frames: Vec::with_capacity(count),
            epoch: self.epoch.clone(),
            from: offset,
            to: self.offset,
            is_recovered: missed.is_some(),
            latest: missed.map_or(0, |missed| missed.min(latest)),
        };
        for entry in self.ring.range_mut(first..) {
            offset += 1;
            let is_meant = entry.is_meant_for(connection, since.and_then(|since| since.conn));
            let to = if is_meant { entry.to.clone() } else { To::All };
            let frame = entry.missed.of(connection, is_meant, &self.topic, &entry.frame, offset);
            catchup.frames.extend(frame.map(|frame| Held { frame, offset, to }));
        }
        catchup
    }

    /// How many messages came after a position, if all of them are kept, and none was lost.
    fn missed(&self, since: &Since) -> Option<usize> {
        let position = since.position.as_ref().filter(|position| *position.epoch == *self.epoch)?;
        let missed = usize::try_from(self.offset.checked_sub(position.offset)?).ok()?;
        (missed <= self.ring.len() && position.offset >= self.lost_at).then_some(missed)
    }
}

impl Entry {
    /// What it takes in memory.
    fn bytes(&self) -> usize {
        let Audience { except, except_users, .. } = &self.audience;
        let users = except_users.iter().map(|user| user.len() + size_of::<Arc<str>>()).sum::<usize>();
        let names = except.len() * size_of::<ConnId>() + users;
        size_of::<Self>() + self.frame.len() + names + self.to.size()
    }

    /// Whether a connection is to have it that was this one before, as it says. What is not for it stays so when it comes back as
    /// yet another, which may be before it has heard of it.
    fn is_meant_for(&mut self, connection: &Connection, before: Option<ConnId>) -> bool {
        let Some(before) = before.filter(|id| self.audience.except.contains(id) || self.heirs.contains(id))
        else {
            return self.audience.includes(connection);
        };
        if before != connection.id {
            self.add_heir(connection.id);
        }
        false
    }

    fn add_heir(&mut self, heir: ConnId) {
        if !self.heirs.contains(&heir) {
            self.heirs.truncate(HEIRS - 1);
            self.heirs.insert(0, heir);
        }
    }
}

impl Catchup {
    /// What it may be sent, the most first.
    pub(crate) fn choices(&self) -> [&[Held]; 2] {
        [&self.frames, &self.frames[self.frames.len() - self.latest..]]
    }

    /// The number before what follows: so many of the last frames.
    pub(crate) fn from(&self, sent: usize) -> u64 {
        if sent == self.frames.len() { self.from } else { self.to - sent as u64 }
    }

    /// Whether these are all that it has missed.
    pub(crate) fn recovers(&self, sent: usize) -> bool {
        self.is_recovered && sent == self.frames.len()
    }
}

/// No two lives have one name, be they of one program or of two: it is drawn at random.
fn new_epoch() -> Arc<str> {
    // Keyed by the system.
    format!("{:x}", RandomState::new().hash_one(())).into()
}

/// The longest time that something is kept. A moment so far away can still be told.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How often in a row a client may come back that hears of nothing between, until it gets what was not for the first of these.
const HEIRS: usize = 4;

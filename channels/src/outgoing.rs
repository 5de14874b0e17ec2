//! What a session has a say in before it is sent to its client.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::connection::Dialect;
use crate::frame::{Class, Frame};
use crate::limits::{Limits, Room};
use crate::payload::Payload;
use crate::pushed::Pushed;
use crate::seat::Seat;
use crate::wire::numbered::position;

/// What becomes of a message to the topic's members for one of them: see [`Session::outgoing`](crate::Session::outgoing).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outgoing {
    /// It is sent as it is.
    Pass,
    /// It is not sent to this member.
    Skip,
    /// This is sent in place of its payload, be that JSON or bytes. What is larger than
    /// [`Limits::payload`](crate::Limits::payload) is skipped.
    Instead(Payload),
}

/// A message to the topic's members that their sessions have a say in; shared by all of them.
pub(crate) struct Intercepted {
    pub(crate) event: Box<str>,
    pub(crate) payload: Payload,
}

/// To whom a frame goes.
#[derive(Clone)]
pub(crate) enum To {
    /// To this member.
    One,
    /// To the topic's members.
    All,
    /// To them too, by way of their sessions.
    Sessions(Arc<Intercepted>),
}

impl To {
    /// How many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::One | Self::All => 0,
            Self::Sessions(intercepted) => {
                size_of::<Intercepted>() + intercepted.event.len() + intercepted.payload.len()
            }
        }
    }
}

impl Intercepted {
    /// The frame that a member is sent whose session has its say: one of its own, unless it is the one for all. What is skipped
    /// still has its number.
    pub(crate) fn frame(&self, seat: &Seat, held: Held, outgoing: Outgoing) -> Option<Arc<Frame>> {
        let (connection, topic, Held { frame, offset, .. }) = (&seat.connection, &seat.topic, held);
        let is_numbered = offset > 0 && connection.dialect == Dialect::Extended;
        let message = match outgoing {
            Outgoing::Pass => return Some(frame),
            Outgoing::Instead(payload) if payload.len() <= connection.hub.inner().limits.payload => {
                if is_numbered {
                    payload.draft(topic, &self.event).numbered(offset)
                } else {
                    payload.message(topic, &self.event)
                }
            }
            Outgoing::Instead(_) | Outgoing::Skip if is_numbered => position(topic, offset),
            Outgoing::Instead(_) | Outgoing::Skip => return None,
        };
        Some(connection.frame(message, frame.class().clone()))
    }
}

/// What waits on a connection for sessions to have their say, and all that follows it on their topics.
#[derive(Default)]
pub(crate) struct Holds {
    /// By the numbers of their seats; none is empty.
    by_seat: HashMap<u32, Hold>,
    /// What all of them take.
    room: Room,
}

/// What is to be sent of a topic to one member, in its order, from a message on that its session has a say in and has not had it
/// yet: that is the first.
pub(crate) struct Hold {
    held: VecDeque<Held>,
    /// When it began. What was sent before the member joined may be older.
    since: Instant,
    /// How many have been the first before.
    gone: u64,
    /// Where the frame of a key waits: as the how manieth of all.
    keys: HashMap<Arc<str>, u64>,
}

/// A frame that is held.
#[derive(Clone)]
pub(crate) struct Held {
    /// As it is unless the session wants it otherwise.
    pub(crate) frame: Arc<Frame>,
    /// In the topic's history; 0: none.
    pub(crate) offset: u64,
    pub(crate) to: To,
}

impl Holds {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_seat.is_empty()
    }

    /// What they take.
    pub(crate) fn room(&self) -> Room {
        self.room
    }

    /// Since when the frame waits that has waited longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let since = |hold: &Hold| Some(hold.since.max(hold.held.front()?.frame.since()));
        self.by_seat.values().filter_map(since).min()
    }

    /// How many frames a seat holds.
    pub(crate) fn len(&self, seat: u32) -> usize {
        self.by_seat.get(&seat).map_or(0, |hold| hold.held.len())
    }

    /// Adds a frame, or puts it in the place of the one of its key, beside what is queued; `Ended`: there is no room for both.
    pub(crate) fn push(&mut self, seat: u32, held: Held, queued: &Backlog, limits: &Limits) -> Pushed {
        let frame = &held.frame;
        let old = self.by_seat.get(&seat).and_then(|hold| Some((hold.place(frame)?, hold)));
        let old = old.map(|(at, hold)| (at, hold.held[at].frame.len()));
        let bytes = queued.bytes() + self.room.bytes - old.map_or(0, |(_, len)| len);
        let room =
            if *frame.class() == Class::Answer { limits.queue.with(limits.reserve) } else { limits.queue };
        let fits = match old {
            Some(_) => bytes.saturating_add(frame.len()) <= room.bytes,
            None => queued.fits(frame.len(), room.without(self.room)),
        };
        if *frame.class() == Class::Volatile && (!fits || bytes >= limits.volatile) {
            frame.counters().dropped_volatile.add(1);
            return Pushed::Dropped;
        }
        if !fits {
            return Pushed::Ended;
        }
        let hold = self.by_seat.entry(seat).or_insert_with(Hold::begin);
        self.room.bytes += frame.len();
        if let Some((at, len)) = old {
            self.room.bytes -= len;
            frame.counters().replaced.add(1);
            hold.held[at] = held;
            return Pushed::Replaced;
        }
        self.room.frames += 1;
        if let Some(key) = frame.key() {
            hold.keys.insert(key.clone(), hold.gone + hold.held.len() as u64);
        }
        hold.held.push_back(held);
        Pushed::Taken
    }

    /// What the session of a seat has its say in next.
    pub(crate) fn intercepted(&self, seat: u32) -> Option<(Held, Arc<Intercepted>)> {
        let first = self.by_seat.get(&seat)?.held.front()?;
        match &first.to {
            To::Sessions(intercepted) => Some((first.clone(), intercepted.clone())),
            To::One | To::All => None,
        }
    }

    /// The first of a seat, if its session has no say in it.
    pub(crate) fn pop_ready(&mut self, seat: u32) -> Option<Held> {
        if self.intercepted(seat).is_some() { None } else { self.pop(seat) }
    }

    /// The first of a seat.
    pub(crate) fn pop(&mut self, seat: u32) -> Option<Held> {
        let hold = self.by_seat.get_mut(&seat)?;
        let held = hold.held.pop_front()?;
        if let Some(key) = held.frame.key()
            && hold.keys.get(key) == Some(&hold.gone)
        {
            hold.keys.remove(key);
        }
        hold.gone += 1;
        if hold.held.is_empty() {
            self.by_seat.remove(&seat);
        }
        self.room.bytes -= held.frame.len();
        self.room.frames -= 1;
        Some(held)
    }

    /// All of a seat.
    pub(crate) fn take(&mut self, seat: u32) -> Option<Hold> {
        let hold = self.by_seat.remove(&seat)?;
        self.room.bytes -= hold.held.iter().map(|held| held.frame.len()).sum::<usize>();
        self.room.frames -= hold.held.len();
        Some(hold)
    }
}

impl Hold {
    fn begin() -> Self {
        Self { held: VecDeque::new(), since: Instant::now(), gone: 0, keys: HashMap::new() }
    }

    /// What goes to this member alone.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| matches!(held.to, To::One))
    }

    /// Where the frame waits whose place one takes. Not the first: its session may be having its say just now.
    fn place(&self, frame: &Frame) -> Option<usize> {
        let at = self.keys.get(frame.key()?)?.checked_sub(self.gone)?;
        usize::try_from(at).ok().filter(|at| *at > 0)
    }
}

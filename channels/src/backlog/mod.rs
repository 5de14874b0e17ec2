//! What waits to be sent on a connection, in its order.

mod chain;

use std::collections::VecDeque;
use std::sync::Arc;

use self::chain::{Chain, Line};
use crate::frame::{Class, Frame};
use crate::limits::Room;
use crate::seat::Seat;

/// What waits to be sent on a connection, in its order.
///
/// ```text
/// row      a, b, c            most of the time: frames only
/// chain    a, b, gap, c       each can be taken out, or replaced where it stands, without a look at the others
/// ```
#[derive(Default)]
pub(crate) struct Backlog {
    /// All of it, while little waits, or nothing has to be found, which is most of the time.
    row: VecDeque<Waiting>,
    /// All of it, from when something has to be found among much until nothing waits.
    chain: Option<Box<Chain>>,
    /// In all entries that are frames.
    frames: usize,
    bytes: usize,
}

/// A frame that waits.
struct Waiting {
    frame: Arc<Frame>,
    /// How far the seat has come in its topic's history when this is sent; 0: there is none.
    offset: u64,
    /// The number of the seat that it belongs to; 0: none.
    seat: u32,
}

/// What waits in its place.
enum Entry {
    Frame(Waiting),
    Gap(Gap),
}

/// Here were frames of a seat that were dropped, up to that offset.
pub(crate) struct Gap {
    seat: Arc<Seat>,
    /// Of the topic's life, if it has a history: there may be another one when this is told.
    epoch: Option<Arc<str>>,
    offset: u64,
}

/// What is sent next.
pub(crate) enum Front {
    Frame(Arc<Frame>),
    Gap(Gap),
}

/// Where a frame waits that was found, as long as nothing changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum At {
    InRow(usize),
    InChain(chain::At),
}

impl Backlog {
    /// Nothing waits, no gap either.
    pub(crate) fn is_empty(&self) -> bool {
        self.row.is_empty() && self.chain.as_ref().is_none_or(|chain| chain.is_empty())
    }

    /// How many frames wait.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// How many bytes its frames have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one more frame of so many bytes finds room.
    pub(crate) fn fits(&self, len: usize, room: Room) -> bool {
        self.fits_all(1, len, room)
    }

    /// Whether so many more frames find room that have so many bytes together.
    pub(crate) fn fits_all(&self, frames: usize, len: usize, room: Room) -> bool {
        fits(self.bytes, self.frames + frames - 1, len, room)
    }

    /// Adds a frame of a seat, if it is of any: else 0.
    pub(crate) fn push_back(&mut self, frame: Arc<Frame>, seat: u32, offset: u64) {
        self.count(&frame);
        let waiting = Waiting { frame, offset, seat };
        if let Some(chain) = &mut self.chain {
            return chain.push_back(Entry::Frame(waiting));
        }
        if self.row.capacity() == 0 {
            // Many have no more at once.
            self.row.reserve_exact(1);
        }
        self.row.push_back(waiting);
    }

    /// Adds a frame of no seat, before all that waits.
    pub(crate) fn push_front(&mut self, frame: Arc<Frame>) {
        self.count(&frame);
        let waiting = Waiting { frame, offset: 0, seat: 0 };
        match &mut self.chain {
            Some(chain) => chain.push_front(Entry::Frame(waiting)),
            None => self.row.push_front(waiting),
        }
    }

    /// The next, if that is a frame.
    pub(crate) fn front(&self) -> Option<&Arc<Frame>> {
        match &self.chain {
            Some(chain) => chain.front()?.frame(),
            None => self.row.front().map(|waiting| &waiting.frame),
        }
    }

    /// Takes out the next, if that is a frame.
    pub(crate) fn pop_frame(&mut self) -> Option<Arc<Frame>> {
        let frame = match &mut self.chain {
            Some(chain) => chain.pop_frame()?,
            None => self.row.pop_front()?.frame,
        };
        self.uncount(Some(&frame));
        if self.is_empty() {
            self.spare(Some(&frame));
        }
        Some(frame)
    }

    pub(crate) fn pop_front(&mut self) -> Option<Front> {
        if let Some(frame) = self.pop_frame() {
            return Some(Front::Frame(frame));
        }
        let gap = self.chain.as_mut()?.pop_gap()?;
        if self.is_empty() {
            self.spare(None);
        }
        Some(Front::Gap(gap))
    }

    /// Nothing waits behind that: gives memory back, but for what the next burst needs.
    fn spare(&mut self, last: Option<&Frame>) {
        self.chain = None;
        let capacity = self.row.capacity();
        // Who is sent nothing but answers to heartbeats is idle, and so is who has been sent one answer, to his join.
        let is_idle = last.is_some_and(|frame| match frame.class() {
            Class::Heartbeat => true,
            Class::Answer => capacity == 1,
            _ => false,
        });
        if is_idle || capacity > KEPT {
            self.row = VecDeque::new();
        }
    }

    /// The frame that has waited longest, but for those that went before all others.
    pub(crate) fn oldest(&self) -> Option<&Arc<Frame>> {
        let in_chain = self.chain.iter().flat_map(|chain| chain.entries()).filter_map(Entry::frame);
        let mut frames = self.row.iter().map(|waiting| &waiting.frame).chain(in_chain);
        frames.find(|frame| *frame.class() != Class::Heartbeat)
    }

    /// Where the frame of this seat and key waits, if one does.
    pub(crate) fn find(&mut self, seat: u32, key: &Arc<str>) -> Option<At> {
        if self.chain.is_some() || self.frames > SCANNED {
            return self.chain().find(seat, key).map(At::InChain);
        }
        let is_it = |waiting: &Waiting| waiting.seat == seat && waiting.frame.key() == Some(key);
        self.row.iter().position(is_it).map(At::InRow)
    }

    /// Puts a frame in the place of another of its seat and key. Fails if it finds no room.
    pub(crate) fn replace(&mut self, at: At, frame: &Arc<Frame>, room: Room) -> bool {
        let old = match at {
            At::InRow(at) => self.row.get(at).map(|waiting| &waiting.frame),
            At::InChain(at) => self.chain().entry(at).and_then(Entry::frame),
        };
        let old_len = old.map_or(0, |old| old.len());
        if (self.bytes - old_len).saturating_add(frame.len()) > room.bytes {
            return false;
        }
        let new = frame.clone();
        let old = match at {
            At::InRow(at) => self.row.get_mut(at).map(|waiting| std::mem::replace(&mut waiting.frame, new)),
            At::InChain(at) => self.chain().replace(at, new),
        };
        self.count(frame);
        self.uncount(old.as_deref());
        true
    }

    /// Drops the frame that waits there.
    pub(crate) fn remove(&mut self, at: At) {
        let removed = match at {
            At::InRow(at) => self.row.remove(at).map(|waiting| waiting.frame),
            At::InChain(at) => self.chain().remove(at).and_then(Entry::into_frame),
        };
        self.uncount(removed.as_deref());
    }

    /// Drops as many of the seat's oldest frames as leave room for one more of so many bytes; a gap is in their place. How many
    /// it dropped: none, if all of them were too few.
    pub(crate) fn drop_oldest(&mut self, seat: &Arc<Seat>, len: usize, room: Room) -> usize {
        let Some(&Line { oldest, frames, bytes, .. }) = self.chain().line(seat.number) else {
            return 0;
        };
        if !fits(self.bytes - bytes, self.frames - frames, len, room) {
            return 0;
        }
        let (mut next, mut dropped) = (oldest, 0);
        while let Some(at) = next
            && !self.fits(len, room)
        {
            let chain = self.chain();
            next = chain.newer(at);
            let frame = match chain.entry(at).and_then(Entry::frame).map(|frame| frame.class()) {
                // A gap.
                None => continue,
                // Nobody relies on it.
                Some(Class::Volatile) => chain.remove(at).and_then(Entry::into_frame),
                Some(_) => chain.lose(at, seat),
            };
            self.uncount(frame.as_deref());
            dropped += 1;
        }
        dropped
    }

    /// A frame of this seat was dropped that was to be the last: there is a gap.
    pub(crate) fn drop_newest(&mut self, seat: &Arc<Seat>, offset: u64) {
        let chain = self.chain();
        let gap = Gap::new(seat, offset);
        match chain.last_gap(seat.number).filter(|last| last.epoch == gap.epoch) {
            Some(last) => last.offset = offset,
            None => chain.push_back(Entry::Gap(gap)),
        }
    }

    fn chain(&mut self) -> &mut Chain {
        let row = &mut self.row;
        self.chain.get_or_insert_with(|| Box::new(std::mem::take(row).into()))
    }

    fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.len();
    }

    fn uncount(&mut self, frame: Option<&Frame>) {
        if let Some(frame) = frame {
            self.frames -= 1;
            self.bytes -= frame.len();
        }
    }
}

impl Gap {
    fn new(seat: &Arc<Seat>, offset: u64) -> Self {
        Self { seat: seat.clone(), epoch: seat.epoch(offset), offset }
    }

    /// What says so.
    pub(crate) fn frame(&self) -> Arc<Frame> {
        self.seat.gap(self.epoch.as_deref(), self.offset)
    }
}

impl Entry {
    /// The number of the seat that it belongs to; 0: none.
    fn seat(&self) -> u32 {
        match self {
            Self::Frame(waiting) => waiting.seat,
            Self::Gap(gap) => gap.seat.number,
        }
    }

    fn frame(&self) -> Option<&Arc<Frame>> {
        match self {
            Self::Frame(waiting) => Some(&waiting.frame),
            Self::Gap(_) => None,
        }
    }

    fn into_frame(self) -> Option<Arc<Frame>> {
        match self {
            Self::Frame(waiting) => Some(waiting.frame),
            Self::Gap(_) => None,
        }
    }

    /// Whether it is a gap, or a frame that may be dropped.
    fn is_in_line(&self) -> bool {
        let is_answer = |frame: &Frame| matches!(frame.class(), Class::Answer | Class::Heartbeat);
        self.seat() != 0 && !self.frame().is_some_and(|frame| is_answer(frame))
    }
}

fn fits(bytes: usize, frames: usize, len: usize, room: Room) -> bool {
    bytes.saturating_add(len) <= room.bytes && frames < room.frames.min(MOST_FRAMES)
}

/// Among how many frames one is looked for without a chain.
const SCANNED: usize = 16;

/// How many places are kept when nothing waits: a burst of as many costs no allocation.
const KEPT: usize = 16;

/// With their gaps, they have numbers.
const MOST_FRAMES: usize = 1 << 30;

//! What waits to be sent on a connection, in its order.

use std::collections::HashMap;
use std::iter::successors;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use crate::frame::{Class, Frame};
use crate::limits::Room;
use crate::seat::Seat;

/// What waits to be sent on a connection, in its order: a list of which each entry can be taken out, or replaced where it stands,
/// without a look at the others.
///
/// ```text
/// places  [ b ][   ][ a ][ gap ][ c ]
/// order   a -> b -> gap -> c
/// lines   of each seat: its frames that may be dropped, and its gaps, in their order; only while there are marks
/// ```
#[derive(Default)]
pub(crate) struct Backlog {
    places: Places,
    first: Option<At>,
    last: Option<At>,
    /// In all entries that are frames. In a line no gap follows another: there are no more of them than frames and seats.
    frames: usize,
    bytes: usize,
    /// Made when they are needed, and kept until nothing waits: most of the time, little waits, or nothing has to be found.
    marks: Option<Box<Marks>>,
}

/// What waits in its place.
pub(crate) struct Entry {
    pub(crate) what: What,
    /// The number of the seat that it belongs to; 0: none.
    pub(crate) seat: u32,
    /// How far the seat has come in its topic's history when this is sent; 0: there is none.
    pub(crate) offset: u64,
}

pub(crate) enum What {
    Frame(Arc<Frame>),
    /// Here were frames that were dropped, up to that offset.
    Gap(Arc<Seat>),
}

/// Where something waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct At(NonZeroU32);

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    /// One without an entry; `behind` it is the next of them.
    free: Option<At>,
}

struct Place {
    entry: Option<Entry>,
    before: Option<At>,
    behind: Option<At>,
    /// In the line of its seat.
    older: Option<At>,
    newer: Option<At>,
}

#[derive(Default)]
struct Marks {
    /// By seat and key.
    keys: HashMap<(u32, Arc<str>), At>,
    /// By seat.
    lines: HashMap<u32, Line>,
}

#[derive(Default)]
struct Line {
    oldest: Option<At>,
    newest: Option<At>,
    /// In those entries that are frames.
    frames: usize,
    bytes: usize,
}

impl Backlog {
    /// Nothing waits, no gap either.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
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

    pub(crate) fn push_back(&mut self, entry: Entry) {
        let at = self.link(self.last, entry, None);
        self.enter_line(at);
        self.count(at);
    }

    /// Adds a frame of no seat, before all that waits.
    pub(crate) fn push_front(&mut self, frame: Arc<Frame>) {
        let entry = Entry { what: What::Frame(frame), seat: 0, offset: 0 };
        let at = self.link(None, entry, self.first);
        self.count(at);
    }

    pub(crate) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.remove(self.first?)?;
        if self.is_empty() {
            self.marks = None;
            let capacity = self.places.all.capacity();
            // Who is sent nothing but answers to heartbeats is idle, and so is who has been sent one answer, to his join.
            let is_idle = entry.frame().is_some_and(|frame| match frame.class() {
                Class::Heartbeat => true,
                Class::Answer => capacity == 1,
                _ => false,
            });
            if is_idle || capacity > KEPT {
                self.places = Places::default();
            } else {
                self.places.clear();
            }
        }
        Some(entry)
    }

    /// The frame that has waited longest, but for those that went before all others.
    pub(crate) fn oldest(&self) -> Option<&Arc<Frame>> {
        let mut frames = self.order().filter_map(|at| self.frame(at));
        frames.find(|frame| *frame.class() != Class::Heartbeat)
    }

    /// Where the frame of this seat and key waits, if one does.
    pub(crate) fn find(&mut self, seat: u32, key: &Arc<str>) -> Option<At> {
        if self.marks.is_some() || self.frames > SCANNED {
            return self.marks().keys.get(&(seat, key.clone())).copied();
        }
        self.order().find(|at| {
            let entry = self.places[*at].entry.as_ref().filter(|entry| entry.seat == seat);
            entry.and_then(Entry::frame).and_then(|frame| frame.key()) == Some(key)
        })
    }

    /// Puts a frame in the place of another of its seat and key. Fails if it finds no room.
    pub(crate) fn replace(&mut self, at: At, frame: &Arc<Frame>, room: Room) -> bool {
        let old = self.frame(at).map_or(0, |old| old.len());
        if (self.bytes - old).saturating_add(frame.len()) > room.bytes {
            return false;
        }
        self.exchange(at, What::Frame(frame.clone()));
        true
    }

    /// Takes out what waits there.
    pub(crate) fn remove(&mut self, at: At) -> Option<Entry> {
        self.uncount(at);
        self.leave_line(at);
        let Place { older, newer, .. } = self.places[at];
        let free = self.places.free.replace(at);
        let place = &mut self.places[at];
        let (entry, before, behind) = (place.entry.take(), place.before, place.behind);
        place.behind = free;
        match before {
            Some(before) => self.places[before].behind = behind,
            None => self.first = behind,
        }
        match behind {
            Some(behind) => self.places[behind].before = before,
            None => self.last = before,
        }
        self.merge(older, newer);
        entry
    }

    /// Drops as many of the seat's oldest frames as leave room for one more of so many bytes; a gap is in their place. How many
    /// it dropped: none, if all of them were too few.
    pub(crate) fn drop_oldest(&mut self, seat: &Arc<Seat>, len: usize, room: Room) -> usize {
        let Some(&Line { oldest, frames, bytes, .. }) = self.marks().lines.get(&seat.number) else {
            return 0;
        };
        if !fits(self.bytes - bytes, self.frames - frames, len, room) {
            return 0;
        }
        let (mut next, mut dropped) = (oldest, 0);
        while let Some(at) = next
            && !self.fits(len, room)
        {
            next = self.places[at].newer;
            match self.frame(at).map(|frame| frame.class()) {
                None => continue,
                // Nobody relies on it.
                Some(Class::Volatile) => drop(self.remove(at)),
                Some(_) => self.lose(at, seat),
            }
            dropped += 1;
        }
        dropped
    }

    /// A frame of this seat was dropped that was to be the last: there is a gap.
    pub(crate) fn drop_newest(&mut self, seat: &Arc<Seat>, offset: u64) {
        let newest = self.marks().lines.get(&seat.number).and_then(|line| line.newest);
        match newest.and_then(|at| self.places[at].entry.as_mut()) {
            Some(gap @ Entry { what: What::Gap(_), .. }) => gap.offset = offset,
            _ => self.push_back(Entry { what: What::Gap(seat.clone()), seat: seat.number, offset }),
        }
    }

    /// Has the frames that say so in place of a seat's gaps.
    pub(crate) fn tell_gaps(&mut self, seat: &Seat) {
        let line = self.marks.as_ref().and_then(|marks| marks.lines.get(&seat.number));
        let mut next = line.and_then(|line| line.oldest);
        while let Some(at) = next {
            next = self.places[at].newer;
            if let Some(Entry { what: What::Gap(_), offset, .. }) = self.places[at].entry {
                self.leave_line(at);
                let place = &mut self.places[at];
                (place.older, place.newer) = (None, None);
                if let Some(entry) = &mut place.entry {
                    entry.what = What::Frame(seat.gap(offset));
                }
                self.count(at);
            }
        }
    }

    /// Has a gap in place of a frame: one, for all that were dropped one after the other.
    fn lose(&mut self, at: At, seat: &Arc<Seat>) {
        self.exchange(at, What::Gap(seat.clone()));
        let Place { older, newer, .. } = self.places[at];
        self.merge(older, Some(at));
        self.merge(Some(at), newer);
    }

    /// If both are gaps, which follow each other in a line, the later one is left: it says it all.
    fn merge(&mut self, earlier: Option<At>, later: Option<At>) {
        let is_gap = |at: Option<At>| at.is_some_and(|at| self.is_gap(at));
        if is_gap(earlier) && is_gap(later) {
            earlier.and_then(|at| self.remove(at));
        }
    }

    /// Changes what is there; it stays in the line of its seat.
    fn exchange(&mut self, at: At, what: What) {
        self.uncount(at);
        if let Some(entry) = &mut self.places[at].entry {
            entry.what = what;
        }
        self.count(at);
    }

    fn frame(&self, at: At) -> Option<&Arc<Frame>> {
        self.places[at].entry.as_ref()?.frame()
    }

    fn is_gap(&self, at: At) -> bool {
        matches!(&self.places[at].entry, Some(Entry { what: What::Gap(_), .. }))
    }

    fn order(&self) -> impl Iterator<Item = At> {
        successors(self.first, |at| self.places[*at].behind)
    }

    /// Adds an entry between two that follow each other.
    fn link(&mut self, before: Option<At>, entry: Entry, behind: Option<At>) -> At {
        let at = self.places.add(Place { entry: Some(entry), before, behind, older: None, newer: None });
        match before {
            Some(before) => self.places[before].behind = Some(at),
            None => self.first = Some(at),
        }
        match behind {
            Some(behind) => self.places[behind].before = Some(at),
            None => self.last = Some(at),
        }
        at
    }

    fn marks(&mut self) -> &mut Marks {
        if self.marks.is_none() {
            self.marks = Some(Box::default());
            (self.frames, self.bytes) = (0, 0);
            let mut next = self.first;
            while let Some(at) = next {
                self.enter_line(at);
                self.count(at);
                next = self.places[at].behind;
            }
        }
        self.marks.get_or_insert_default()
    }

    /// Adds what is there to the line of its seat, as the newest.
    fn enter_line(&mut self, at: At) {
        let Some(marks) = &mut self.marks else {
            return;
        };
        let Some(entry) = self.places[at].entry.as_ref().filter(|entry| entry.is_in_line()) else {
            return;
        };
        let line = marks.lines.entry(entry.seat).or_default();
        let older = line.newest.replace(at);
        match older {
            Some(older) => self.places[older].newer = Some(at),
            None => line.oldest = Some(at),
        }
        self.places[at].older = older;
    }

    fn leave_line(&mut self, at: At) {
        let Some(marks) = &mut self.marks else {
            return;
        };
        let Place { entry: Some(entry), older, newer, .. } = &self.places[at] else {
            return;
        };
        let (seat, older, newer) = (entry.seat, *older, *newer);
        let Some(line) = marks.lines.get_mut(&seat).filter(|_| entry.is_in_line()) else {
            return;
        };
        match older {
            Some(older) => self.places[older].newer = newer,
            None => line.oldest = newer,
        }
        match newer {
            Some(newer) => self.places[newer].older = older,
            None => line.newest = older,
        }
        if line.oldest.is_none() {
            marks.lines.remove(&seat);
        }
    }

    /// Counts the frame that is there, if there is one.
    fn count(&mut self, at: At) {
        let Some(entry) = &self.places[at].entry else {
            return;
        };
        let Some(frame) = entry.frame() else {
            return;
        };
        self.frames += 1;
        self.bytes += frame.len();
        let Some(marks) = &mut self.marks else {
            return;
        };
        if let Some(line) = marks.lines.get_mut(&entry.seat).filter(|_| entry.is_in_line()) {
            line.frames += 1;
            line.bytes += frame.len();
        }
        if let Some(key) = frame.key() {
            marks.keys.insert((entry.seat, key.clone()), at);
        }
    }

    fn uncount(&mut self, at: At) {
        let Some(entry) = &self.places[at].entry else {
            return;
        };
        let Some(frame) = entry.frame() else {
            return;
        };
        self.frames -= 1;
        self.bytes -= frame.len();
        let Some(marks) = &mut self.marks else {
            return;
        };
        if let Some(line) = marks.lines.get_mut(&entry.seat).filter(|_| entry.is_in_line()) {
            line.frames -= 1;
            line.bytes -= frame.len();
        }
        if let Some(key) = frame.key() {
            marks.keys.remove(&(entry.seat, key.clone()));
        }
    }
}

impl Entry {
    fn frame(&self) -> Option<&Arc<Frame>> {
        match &self.what {
            What::Frame(frame) => Some(frame),
            What::Gap(_) => None,
        }
    }

    /// Whether it is a gap, or a frame that may be dropped.
    fn is_in_line(&self) -> bool {
        let is_answer = |frame: &Frame| matches!(frame.class(), Class::Answer | Class::Heartbeat);
        self.seat != 0 && !self.frame().is_some_and(|frame| is_answer(frame))
    }
}

impl Places {
    /// Has no entries any more.
    fn clear(&mut self) {
        self.all.clear();
        self.free = None;
    }

    fn add(&mut self, place: Place) -> At {
        if let Some(at) = self.free {
            self.free = self[at].behind;
            self[at] = place;
            return at;
        }
        if self.all.capacity() == 0 {
            // Many have no more at once.
            self.all.reserve_exact(1);
        }
        self.all.push(place);
        // As many as there are, at most, fit into it.
        let number = u32::try_from(self.all.len()).ok().and_then(NonZeroU32::new);
        At(number.unwrap_or(NonZeroU32::MAX))
    }
}

impl Index<At> for Places {
    type Output = Place;

    fn index(&self, at: At) -> &Place {
        &self.all[at.0.get() as usize - 1]
    }
}

impl IndexMut<At> for Places {
    fn index_mut(&mut self, at: At) -> &mut Place {
        &mut self.all[at.0.get() as usize - 1]
    }
}

fn fits(bytes: usize, frames: usize, len: usize, room: Room) -> bool {
    bytes.saturating_add(len) <= room.bytes && frames < room.frames.min(MOST_FRAMES)
}

/// Among how many frames one is looked for without marks.
const SCANNED: usize = 16;

/// How many places are kept when nothing waits: a burst of as many costs no allocation.
const KEPT: usize = 16;

/// With their gaps, they have numbers.
const MOST_FRAMES: usize = 1 << 30;

//! What waits to be sent on a connection, where something has to be found among it.

use std::collections::{HashMap, VecDeque};
use std::iter::successors;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use super::{Entry, Gap, Waiting};
use crate::frame::Frame;
use crate::seat::Seat;

/// What waits, in its order: a list of which each entry can be taken out, or replaced where it stands, without a look at the others.
///
/// ```text
/// places  [ b ][   ][ a ][ gap ][ c ]
/// order   a -> b -> gap -> c
/// lines   of each seat: its frames that may be dropped, and its gaps, in their order
/// ```
#[derive(Default)]
pub(super) struct Chain {
    places: Places,
    first: Option<At>,
    last: Option<At>,
    /// By seat and key.
    keys: HashMap<(u32, Arc<str>), At>,
    /// By seat.
    lines: HashMap<u32, Line>,
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

/// In a line no gap follows another: of all seats there are no more of them than frames and seats.
#[derive(Default)]
pub(super) struct Line {
    pub(super) oldest: Option<At>,
    newest: Option<At>,
    /// In those entries that are frames.
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

impl Chain {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entry(self.first?)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        successors(self.first, |at| self.places[*at].behind).filter_map(|at| self.entry(at))
    }

    pub(super) fn entry(&self, at: At) -> Option<&Entry> {
        self.places[at].entry.as_ref()
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        let at = self.link(self.last, entry, None);
        self.enter_line(at);
        self.note(at);
    }

    /// Adds an entry that is in no line.
    pub(super) fn push_front(&mut self, entry: Entry) {
        let at = self.link(None, entry, self.first);
        self.note(at);
    }

    /// Takes out the first, if that is a frame.
    pub(super) fn pop_frame(&mut self) -> Option<Arc<Frame>> {
        self.front()?.frame()?;
        self.remove(self.first?)?.into_frame()
    }

    /// Takes out the first, if that is a gap.
    pub(super) fn pop_gap(&mut self) -> Option<Gap> {
        if self.front()?.frame().is_some() {
            return None;
        }
        match self.remove(self.first?)? {
            Entry::Gap(gap) => Some(gap),
            Entry::Frame(_) => None,
        }
    }

    /// Where the frame of this seat and key waits, if one does.
    pub(super) fn find(&self, seat: u32, key: &Arc<str>) -> Option<At> {
        self.keys.get(&(seat, key.clone())).copied()
    }

    /// Those of a seat that may be dropped.
    pub(super) fn line(&self, seat: u32) -> Option<&Line> {
        self.lines.get(&seat)
    }

    /// What follows in the line.
    pub(super) fn newer(&self, at: At) -> Option<At> {
        self.places[at].newer
    }

    /// The newest of a seat, if that is a gap.
    pub(super) fn last_gap(&mut self, seat: u32) -> Option<&mut Gap> {
        let at = self.lines.get(&seat)?.newest?;
        match self.places[at].entry.as_mut()? {
            Entry::Gap(gap) => Some(gap),
            Entry::Frame(_) => None,
        }
    }

    /// Takes out what waits there.
    pub(super) fn remove(&mut self, at: At) -> Option<Entry> {
        self.forget(at);
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

    /// Has another frame in place of one of its seat and key: that.
    pub(super) fn replace(&mut self, at: At, frame: Arc<Frame>) -> Option<Arc<Frame>> {
        self.exchange(at, |old| Entry::Frame(Waiting { frame, ..*old }))
    }

    /// Has a gap in place of a frame, which it returns: one, for all that were dropped one after the other.
    pub(super) fn lose(&mut self, at: At, seat: &Arc<Seat>) -> Option<Arc<Frame>> {
        let lost = self.exchange(at, |old| Entry::Gap(Gap::new(seat, old.offset)));
        let Place { older, newer, .. } = self.places[at];
        self.merge(older, Some(at));
        self.merge(Some(at), newer);
        lost
    }

    /// If both are gaps, which follow each other in a line, the later one is left: it says it all.
    fn merge(&mut self, earlier: Option<At>, later: Option<At>) {
        let is_gap = |at: Option<At>| matches!(at.and_then(|at| self.entry(at)), Some(Entry::Gap(_)));
        if is_gap(earlier) && is_gap(later) {
            earlier.and_then(|at| self.remove(at));
        }
    }

    /// Has something else in place of a frame, which it returns, in the line of its seat.
    fn exchange(&mut self, at: At, new: impl FnOnce(&Waiting) -> Entry) -> Option<Arc<Frame>> {
        self.forget(at);
        let entry = self.places[at].entry.as_mut()?;
        let Entry::Frame(old) = entry else {
            return None;
        };
        let new = new(old);
        let old = std::mem::replace(entry, new);
        self.note(at);
        old.into_frame()
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

    /// Adds what is there to the line of its seat, as the newest.
    fn enter_line(&mut self, at: At) {
        let Some(entry) = self.places[at].entry.as_ref().filter(|entry| entry.is_in_line()) else {
            return;
        };
        let line = self.lines.entry(entry.seat()).or_default();
        let older = line.newest.replace(at);
        match older {
            Some(older) => self.places[older].newer = Some(at),
            None => line.oldest = Some(at),
        }
        self.places[at].older = older;
    }

    fn leave_line(&mut self, at: At) {
        let Place { entry: Some(entry), older, newer, .. } = &self.places[at] else {
            return;
        };
        let (seat, older, newer) = (entry.seat(), *older, *newer);
        let Some(line) = self.lines.get_mut(&seat).filter(|_| entry.is_in_line()) else {
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
            self.lines.remove(&seat);
        }
    }

    /// Counts the frame that is there, if there is one, and knows where its key is.
    fn note(&mut self, at: At) {
        let Some((entry, frame)) = self.places[at].frame() else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&entry.seat()).filter(|_| entry.is_in_line()) {
            line.frames += 1;
            line.bytes += frame.len();
        }
        if let Some(key) = frame.key() {
            self.keys.insert((entry.seat(), key.clone()), at);
        }
    }

    fn forget(&mut self, at: At) {
        let Some((entry, frame)) = self.places[at].frame() else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&entry.seat()).filter(|_| entry.is_in_line()) {
            line.frames -= 1;
            line.bytes -= frame.len();
        }
        if let Some(key) = frame.key() {
            self.keys.remove(&(entry.seat(), key.clone()));
        }
    }
}

impl From<VecDeque<Waiting>> for Chain {
    fn from(row: VecDeque<Waiting>) -> Self {
        let mut chain = Self::default();
        for waiting in row {
            chain.push_back(Entry::Frame(waiting));
        }
        chain
    }
}

impl Place {
    fn frame(&self) -> Option<(&Entry, &Arc<Frame>)> {
        let entry = self.entry.as_ref()?;
        Some((entry, entry.frame()?))
    }
}

impl Places {
    fn add(&mut self, place: Place) -> At {
        if let Some(at) = self.free {
            self.free = self[at].behind;
            self[at] = place;
            return at;
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

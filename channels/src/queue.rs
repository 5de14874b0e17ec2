//! The queue of a connection, and its end.

use std::iter;
use std::sync::{Arc, Mutex};

use sansocket::Message;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backlog::{Backlog, Entry, What};
use crate::close::Cut;
use crate::frame::{Class, Frame};
use crate::limits::{Limits, Room};
use crate::options::OnFull;
use crate::seat::Seat;
use crate::sync::lock;

/// What waits to be sent on a connection: filled from anywhere, without waiting, and emptied by the connection's task.
///
/// ```text
/// broadcast --+
/// push -------+--> backlog --> feed, feed, ..., flush
/// reply ------+       ^ what there is no room for is dropped, or all of it is, and the connection cut
/// ```
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when there is a frame where there was none, when the connection is cut, and when there is something else to do.
    wake: Notify,
    limits: Arc<Limits>,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    /// What is taken from the backlog, and not yet by the transport.
    unsent: Option<Arc<Frame>>,
    /// What follows the answers to joins that are under way. It has as much room again.
    held: Option<Box<Held>>,
    /// Nothing is queued any more. The first reason counts.
    end: Option<End>,
}

#[derive(Default)]
struct Held {
    /// By the numbers of their seats, in their order.
    frames: Vec<(u32, Arc<Frame>)>,
    bytes: usize,
}

enum End {
    /// The task has not heard of it.
    Cut(Box<Cut>),
    Over,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    Taken,
    /// It was put in the place of an older one of its key, which is not sent.
    Replaced,
    /// As many older ones of its topic were dropped for it.
    Displaced(usize),
    Dropped,
    /// The connection or the session has ended, or does so now.
    Ended,
}

impl Pushed {
    /// It will be sent, if nothing comes between.
    pub(crate) fn is_taken(self) -> bool {
        matches!(self, Self::Taken | Self::Replaced | Self::Displaced(_))
    }
}

impl Queue {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), limits }
    }

    /// Adds a frame, of this seat's topic, if it is of any, and with that offset in its history, if it has one: else 0.
    ///
    /// If the connection ends for want of room, what waits is dropped by its task: this may be called with a topic locked. As it
    /// may be where older frames are dropped for this one: they are no more than were added, one each time.
    pub(crate) fn push(&self, frame: &Arc<Frame>, seat: Option<&Arc<Seat>>, offset: u64) -> Pushed {
        let mut state = lock(&self.state);
        let before = state.to_do();
        let pushed = state.push(frame, seat, offset, &self.limits);
        let wakes = state.to_do() != before;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
        pushed
    }

    /// Adds a frame of a seat that is about to be taken: it follows the answer.
    pub(crate) fn hold(&self, frame: &Arc<Frame>, seat: u32) -> Pushed {
        let Room { bytes, frames } = self.limits.queue;
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return Pushed::Ended;
        }
        let held = state.held.get_or_insert_default();
        held.bytes = held.bytes.saturating_add(frame.len());
        if held.bytes <= bytes && held.frames.len() < frames {
            held.frames.push((seat, frame.clone()));
            return Pushed::Taken;
        }
        state.end = Some(End::Cut(Box::new(Cut::slow())));
        drop(state);
        self.wake.notify_one();
        Pushed::Ended
    }

    /// The seat is taken: adds the answer to its join, and what was held for it.
    pub(crate) fn release(&self, seat: &Arc<Seat>, reply: Option<&Arc<Frame>>) {
        let mut state = lock(&self.state);
        let before = state.to_do();
        let held = state.unhold(seat.number);
        for frame in reply.into_iter().chain(&held) {
            state.push(frame, Some(seat), 0, &self.limits);
        }
        let wakes = state.to_do() != before;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
    }

    /// The seat is not taken: what was held for it, to be dropped.
    #[must_use = "it is dropped when nothing is locked"]
    pub(crate) fn unhold(&self, seat: u32) -> Vec<Arc<Frame>> {
        lock(&self.state).unhold(seat)
    }

    /// The next message to send. The one before is the transport's by now.
    pub(crate) fn pop(&self) -> Option<Message> {
        let mut state = lock(&self.state);
        let sent = state.unsent.take();
        let frame = match state.backlog.pop_front() {
            None => None,
            Some(Entry { what: What::Frame(frame), .. }) => Some(frame),
            Some(Entry { what: What::Gap(seat), offset, .. }) => {
                drop(state);
                let gap = seat.gap(offset);
                state = lock(&self.state);
                Some(gap)
            }
        };
        let message = frame.as_ref().map(|frame| frame.message().clone());
        state.unsent = frame;
        drop(state);
        drop(sent);
        message
    }

    /// What was taken from the queue is the transport's by now.
    pub(crate) fn sent(&self) {
        let sent = lock(&self.state).unsent.take();
        drop(sent);
    }

    /// What the transport has not taken, in its order. Nothing more is queued by then.
    pub(crate) fn rest(&self) -> Vec<Arc<Frame>> {
        let (unsent, mut backlog) = {
            let mut state = lock(&self.state);
            (state.unsent.take(), std::mem::take(&mut state.backlog))
        };
        let frame = |entry: Entry| match entry.what {
            What::Frame(frame) => frame,
            What::Gap(seat) => seat.gap(entry.offset),
        };
        unsent.into_iter().chain(iter::from_fn(|| backlog.pop_front().map(frame))).collect()
    }

    /// Ends the connection. Nothing more is queued; the first who ends it has his way.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        state.end = Some(End::Cut(Box::new(cut)));
        drop(state);
        self.wake.notify_one();
    }

    /// The same, at once without all that waits.
    pub(crate) fn abandon(&self, cut: Cut) {
        let mut state = lock(&self.state);
        let dropped = state.clear();
        state.end.get_or_insert_with(|| End::Cut(Box::new(cut)));
        drop(state);
        drop(dropped);
        self.wake.notify_one();
    }

    /// Has nothing queued any more, since the connection has ended by itself.
    pub(crate) fn finish(&self) {
        let mut state = lock(&self.state);
        state.end = Some(End::Over);
        let dropped = state.clear();
        drop(state);
        drop(dropped);
    }

    /// How the connection is to be ended, if it is; told once.
    pub(crate) fn take_cut(&self) -> Option<Cut> {
        let mut state = lock(&self.state);
        match state.end.take() {
            Some(End::Cut(cut)) => {
                state.end = Some(End::Over);
                Some(*cut)
            }
            other => {
                state.end = other;
                None
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).backlog.is_empty()
    }

    /// Whether the connection is to be ended.
    pub(crate) fn is_cut(&self) -> bool {
        lock(&self.state).end.is_some()
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.state).backlog.bytes()
    }

    /// Since when the frame waits that has waited longest, if one waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let held = state.held.as_ref().and_then(|held| held.frames.first()).map(|(_, frame)| frame);
        let frames = [state.unsent.as_ref(), held, state.backlog.oldest()];
        frames.into_iter().flatten().map(|frame| frame.since()).min()
    }

    /// Has the connection's task look at what there is to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for something to do. Cancel safe; it may be ready for nothing.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Waits until the connection is to be ended. Cancel safe.
    pub(crate) async fn until_cut(&self) {
        while !self.is_cut() {
            self.woken().await;
        }
        // Whoever else waits for something to do is to look too.
        self.wake.notify_one();
    }
}

impl State {
    /// What there is to do for the connection's task: to write, and to end.
    fn to_do(&self) -> (bool, bool) {
        (!self.backlog.is_empty(), self.end.is_some())
    }

    fn push(&mut self, frame: &Arc<Frame>, seat: Option<&Arc<Seat>>, offset: u64, limits: &Limits) -> Pushed {
        if self.end.is_some() {
            return Pushed::Ended;
        }
        let offset = seat.map_or(0, |seat| seat.reach(offset));
        let (number, len) = (seat.map_or(0, |seat| seat.number), frame.len());
        let mut room = limits.queue;
        match frame.class() {
            Class::Reliable => {}
            Class::Volatile if self.backlog.bytes() < limits.volatile && self.backlog.fits(len, room) => {}
            Class::Volatile => return Pushed::Dropped,
            Class::Keyed(key) => {
                if let Some(at) = self.backlog.find(number, key) {
                    if self.backlog.replace(at, frame, room) {
                        return Pushed::Replaced;
                    }
                    // It is out of date in any case.
                    self.backlog.remove(at);
                }
            }
            Class::Answer | Class::Heartbeat => room = room.with(limits.reserve),
        }
        let mut pushed = Pushed::Taken;
        if !self.backlog.fits(len, room) {
            pushed = self.overflow(frame, seat, offset, room);
            if !pushed.is_taken() {
                return pushed;
            }
        }
        if *frame.class() == Class::Heartbeat {
            self.backlog.push_front(frame.clone());
        } else {
            self.backlog.push_back(Entry { what: What::Frame(frame.clone()), seat: number, offset });
        }
        pushed
    }

    /// There is no room for a frame: makes room, or says what becomes of it.
    fn overflow(&mut self, frame: &Frame, seat: Option<&Arc<Seat>>, offset: u64, room: Room) -> Pushed {
        let is_answer = matches!(frame.class(), Class::Answer | Class::Heartbeat);
        let Some(seat) = seat.filter(|seat| !is_answer && seat.on_full() != OnFull::Close) else {
            self.end = Some(End::Cut(Box::new(Cut::slow())));
            return Pushed::Ended;
        };
        if seat.on_full() == OnFull::DropOldest {
            let dropped = self.backlog.drop_oldest(seat, frame.len(), room);
            if dropped > 0 {
                return Pushed::Displaced(dropped);
            }
        }
        self.backlog.drop_newest(seat, offset);
        Pushed::Dropped
    }

    fn unhold(&mut self, seat: u32) -> Vec<Arc<Frame>> {
        let Some(held) = &mut self.held else {
            return Vec::new();
        };
        let frames = std::mem::take(&mut held.frames);
        let (own, others): (Vec<_>, Vec<_>) = frames.into_iter().partition(|(number, _)| *number == seat);
        held.bytes = others.iter().map(|(_, frame)| frame.len()).sum();
        held.frames = others;
        if held.frames.is_empty() {
            self.held = None;
        }
        own.into_iter().map(|(_, frame)| frame).collect()
    }

    /// All that waits, to be dropped when this is not locked.
    fn clear(&mut self) -> Self {
        let end = self.end.take();
        let all = std::mem::take(self);
        self.end = end;
        all
    }
}

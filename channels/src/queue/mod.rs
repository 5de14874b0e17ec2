//! The queue of a connection, and its end.

mod adding;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::iter;
use std::sync::Arc;
use std::task::{Context, Poll};

use sansocket::PreparedMessage;
use tokio::time::Instant;

use crate::backlog::{Backlog, Front};
use crate::close::Cut;
use crate::frame::Frame;
use crate::history::Catchup;
use crate::limits::{Limits, Room};
use crate::outgoing::{Held as OnHold, Hold, Holds, Intercepted, To};
use crate::pushed::Pushed;
use crate::seat::Seat;
use crate::sync::{Mutex, lock};
use crate::waiter::{Waiter, Woken};

/// What waits to be sent on a connection: filled from anywhere, without waiting, and emptied by the connection's task.
///
/// ```text
/// broadcast --+
/// push -------+--> backlog --> feed, feed, ..., flush
/// reply ------+       ^ what there is no room for is dropped, or all of it is, and the connection cut
/// ```
pub(crate) struct Queue {
    state: Mutex<State>,
    limits: Arc<Limits>,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    /// What is taken from the backlog, and not yet by the transport.
    unsent: Option<Arc<Frame>>,
    /// Since when something waits for the client without a break. What was sent before it joined may be older.
    busy: Option<Instant>,
    /// What follows the answers to joins that are under way. It has as much room again.
    held: Option<Box<Held>>,
    /// What waits for sessions, with what follows it. It counts as queued.
    holds: Option<Box<Holds>>,
    /// Nothing is queued any more.
    is_ended: bool,
    /// How that came about, until the task has heard of it. The first reason counts.
    cut: Option<Box<Cut>>,
    /// There is something else to do.
    is_nudged: bool,
    /// The connection's task. Told when there is a frame where there was none, an end, or something else to do.
    waiter: Waiter,
}

/// What became of what waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fed {
    /// Nothing waits any more.
    All,
    /// As much is taken as may be while nothing can be added.
    Some,
    /// The next one is not taken, or is still to be made: see [`Queue::next`].
    NotNext,
}

#[derive(Default)]
struct Held {
    /// By the numbers of their seats, in their order.
    frames: Vec<(u32, Arc<Frame>)>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { state: Mutex::default(), limits }
    }

    /// Adds a frame, of this seat's topic, if it is of any, and with that offset in its history, if it has one: else 0.
    ///
    /// If the connection ends for want of room, what waits is dropped by its task: this may be called with a topic locked. As it
    /// may be where older frames are dropped for this one: they are no more than were added, one each time.
    pub(crate) fn push(&self, frame: &Arc<Frame>, seat: Option<&Arc<Seat>>, offset: u64) -> Pushed {
        self.change(|state| state.add(frame, seat, offset, &To::One, &self.limits))
    }

    /// The same, of a frame that goes to all members of a topic, by way of their sessions or not.
    pub(crate) fn broadcast(&self, frame: &Arc<Frame>, seat: &Arc<Seat>, offset: u64, to: &To) -> Pushed {
        self.change(|state| state.add(frame, Some(seat), offset, to, &self.limits))
    }

    /// The same, of a frame that waits for nothing which a session has its say in.
    pub(crate) fn push_past(&self, frame: &Arc<Frame>, seat: &Arc<Seat>) -> Pushed {
        self.change(|state| state.push(frame, Some(seat), 0, &self.limits))
    }

    /// How many frames wait for a seat's session, or behind what does.
    pub(crate) fn on_hold(&self, seat: u32) -> usize {
        lock(&self.state).holds.as_ref().map_or(0, |holds| holds.len(seat))
    }

    /// What a seat's session is to have its say in next, if there is anything, and its frame as it is.
    pub(crate) fn intercepted(&self, seat: u32) -> Option<(OnHold, Arc<Intercepted>)> {
        lock(&self.state).holds.as_ref()?.intercepted(seat)
    }

    /// The session has had its say in that: adds the frame that came of it, if one did, and what follows until there is something
    /// again that it has its say in. Does nothing if the seat holds nothing any more.
    pub(crate) fn settle(&self, seat: &Arc<Seat>, frame: Option<Arc<Frame>>) {
        let mut sent = Vec::new();
        let settled = self.change(|state| {
            let held = state.holds.as_mut()?.pop(seat.number)?;
            state.begin_now();
            let mut next = frame.map(|frame| (frame, held.offset));
            loop {
                if let Some((frame, offset)) = next {
                    let is_taken = state.push(&frame, Some(seat), offset, &self.limits).is_taken();
                    sent.push((frame, is_taken));
                }
                let Some(held) = state.holds.as_mut().and_then(|holds| holds.pop_ready(seat.number)) else {
                    break;
                };
                next = Some((held.frame, held.offset));
            }
            state.forget_holds();
            Some(held)
        });
        // It may be what is sent: that is done later.
        drop(settled);
        for (frame, is_taken) in sent {
            if is_taken {
                frame.handed_over();
            }
        }
    }

    /// A seat has ended: adds what it holds for its member alone. The rest, which no session has its say in any more, and what all
    /// were sent behind it, is to be dropped.
    #[must_use = "it is dropped when nothing is locked"]
    pub(crate) fn end_hold(&self, seat: &Arc<Seat>) -> Option<Hold> {
        self.change(|state| {
            let hold = state.holds.as_mut()?.take(seat.number)?;
            state.forget_holds();
            state.begin_now();
            for own in hold.own() {
                state.push(&own.frame, Some(seat), own.offset, &self.limits);
            }
            Some(hold)
        })
    }

    /// Adds a frame of a seat that is about to be taken: it follows the answer.
    pub(crate) fn hold(&self, frame: &Arc<Frame>, seat: u32) -> Pushed {
        let Room { bytes, frames } = self.limits.queue;
        self.change(|state| {
            if state.is_ended {
                return Pushed::Ended;
            }
            let held = state.held.get_or_insert_default();
            held.bytes = held.bytes.saturating_add(frame.len());
            if held.bytes <= bytes && held.frames.len() < frames {
                held.frames.push((seat, frame.clone()));
                return Pushed::Taken;
            }
            state.cut(Cut::slow());
            Pushed::Ended
        })
    }

    /// The seat is taken: adds the answer to its join, behind it of what the topic was sent before the most that there is room for, and
    /// then what was held for it, and who is present. The answer, which has so many bytes at most, says how many of those before are
    /// sent, the last. True: the client is told.
    pub(crate) fn release(
        &self,
        seat: &Arc<Seat>,
        answer: impl FnOnce(usize) -> Option<Arc<Frame>>,
        answer_len: usize,
        catchup: Option<&Catchup>,
        presence: Option<&Arc<Frame>>,
    ) -> bool {
        self.change(|state| {
            state.begin_now();
            let mut behind = state.unhold(seat.number);
            behind.extend(presence.cloned());
            let room = self.limits.queue.without(state.on_hold());
            let len = answer_len + behind.iter().map(|frame| frame.len()).sum::<usize>();
            let fits = |before: &&[OnHold]| {
                let before_len = before.iter().map(|before| before.frame.len()).sum::<usize>();
                state.backlog.fits_all(1 + before.len() + behind.len(), len + before_len, room)
            };
            let before =
                catchup.and_then(|catchup| catchup.choices().into_iter().find(fits)).unwrap_or_default();
            let answer = answer(before.len());
            let is_told =
                answer.is_some_and(|answer| state.push(&answer, Some(seat), 0, &self.limits).is_taken());
            for OnHold { frame, offset, to } in before {
                state.add(frame, Some(seat), *offset, to, &self.limits);
            }
            for frame in &behind {
                state.add(frame, Some(seat), 0, &To::One, &self.limits);
            }
            is_told
        })
    }

    /// The seat is not taken: what was held for it, to be dropped.
    #[must_use = "it is dropped when nothing is locked"]
    pub(crate) fn unhold(&self, seat: u32) -> Vec<Arc<Frame>> {
        lock(&self.state).unhold(seat)
    }

    /// Gives `take` the messages that wait, in their order, until it says that it has not taken one. While it is asked nothing is
    /// added: it waits for nothing, and comes back to no queue.
    pub(crate) fn feed<E>(
        &self,
        mut take: impl FnMut(&PreparedMessage) -> Result<bool, E>,
    ) -> Result<Fed, E> {
        let mut state = lock(&self.state);
        let mut bytes = 0;
        while bytes < FED_AT_ONCE {
            let Some(frame) = state.unsent.as_ref().or_else(|| state.backlog.front()) else {
                return Ok(if state.has_frames() { Fed::NotNext } else { Fed::All });
            };
            if !take(frame.message())? {
                return Ok(Fed::NotNext);
            }
            bytes += frame.len();
            let sent = state.unsent.take().or_else(|| state.backlog.pop_frame());
            sent.into_iter().for_each(Frame::handed_over);
        }
        Ok(Fed::Some)
    }

    /// Takes the next message to send. Until it is [sent](Self::sent), it is the next one again.
    pub(crate) fn next(&self) -> Option<PreparedMessage> {
        let mut state = lock(&self.state);
        if state.unsent.is_none() {
            state.unsent = match state.backlog.pop_front()? {
                Front::Frame(frame) => Some(frame),
                Front::Gap(gap) => {
                    drop(state);
                    let gap = gap.frame();
                    state = lock(&self.state);
                    Some(gap)
                }
            };
        }
        state.unsent.as_ref().map(|frame| frame.message().clone())
    }

    /// What was taken from the queue is the transport's by now.
    pub(crate) fn sent(&self) {
        let sent = lock(&self.state).unsent.take();
        sent.into_iter().for_each(Frame::handed_over);
    }

    /// What the transport has not taken, in its order. Nothing more is queued by then.
    pub(crate) fn rest(&self) -> VecDeque<Arc<Frame>> {
        let (unsent, mut backlog) = {
            let mut state = lock(&self.state);
            (state.unsent.take(), std::mem::take(&mut state.backlog))
        };
        let frame = |front| match front {
            Front::Frame(frame) => frame,
            Front::Gap(gap) => gap.frame(),
        };
        unsent.into_iter().chain(iter::from_fn(|| backlog.pop_front().map(frame))).collect()
    }

    /// Ends the connection. Nothing more is queued; the first who ends it has his way.
    pub(crate) fn cut(&self, cut: Cut) {
        self.change(|state| {
            state.cut(cut);
        });
    }

    /// The same, at once without all that waits. How many frames that were.
    pub(crate) fn abandon(&self, cut: Cut) -> usize {
        let dropped = self.change(|state| {
            let dropped = state.clear();
            state.cut(cut);
            dropped
        });
        dropped.frames()
    }

    /// Has nothing queued any more, since the connection has ended. How many frames waited.
    pub(crate) fn finish(&self) -> usize {
        let mut state = lock(&self.state);
        state.is_ended = true;
        // The waker has the task, which has this.
        let dropped = (state.clear(), state.waiter.take());
        drop(state);
        dropped.0.frames()
    }

    /// How the connection is to be ended, if it is; told once.
    pub(crate) fn take_cut(&self) -> Option<Box<Cut>> {
        lock(&self.state).cut.take()
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        !lock(&self.state).has_frames()
    }

    /// What waits takes so much room, be it on hold.
    pub(crate) fn waiting(&self) -> Room {
        let state = lock(&self.state);
        Room { bytes: state.backlog.bytes(), frames: state.backlog.frames() }.with(state.on_hold())
    }

    /// Since when what it is sent waits for the client to take it, or the first of that.
    pub(crate) fn untaken(&self) -> Option<Instant> {
        lock(&self.state).untaken()
    }

    /// Since when the frame waits that has waited longest, be it for the client, for the answer to a join, or for a session.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let held = state.held.as_ref().and_then(|held| held.frames.first()).map(|(_, frame)| frame.since());
        let on_hold = state.holds.as_ref().and_then(|holds| holds.oldest());
        [state.untaken(), held, on_hold].into_iter().flatten().min()
    }

    /// Has the connection's task look at what there is to do.
    pub(crate) fn wake(&self) {
        self.change(|state| state.is_nudged = true);
    }

    /// Changes what waits, and wakes the connection's task if there is something else to do.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        // Of many changes, most come while the task has something to do.
        let before = state.waiter.is_waiting().then(|| state.to_do());
        let outcome = change(&mut state);
        let is_new = before.is_some_and(|before| state.to_do() != before);
        let waker = if is_new { state.waiter.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        outcome
    }

    /// Waits for something to do: a frame, an end, or that somebody [says so](Self::wake), which is told once.
    pub(crate) fn poll_woken(&self, cx: &Context<'_>) -> Poll<Woken> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.is_nudged) || state.is_ended {
            return Poll::Ready(Woken::ToLook);
        }
        if state.has_frames() { Poll::Ready(Woken::ToWrite) } else { state.waiter.wait(cx) }
    }

    /// Waits until the connection is to be ended. Cancel safe.
    pub(crate) async fn until_cut(&self) {
        let poll = |cx: &mut Context<'_>| {
            let mut state = lock(&self.state);
            if state.is_ended { Poll::Ready(()) } else { state.waiter.wait(cx) }
        };
        poll_fn(poll).await;
    }
}

impl State {
    /// What there is to do for the connection's task: to write, to end, and whatever else.
    fn to_do(&self) -> (bool, bool, bool) {
        (self.has_frames(), self.is_ended, self.is_nudged)
    }

    /// Something waits for the client.
    fn has_frames(&self) -> bool {
        self.unsent.is_some() || !self.backlog.is_empty()
    }

    fn cut(&mut self, cut: Cut) {
        if !self.is_ended {
            self.is_ended = true;
            self.cut = Some(Box::new(cut));
        }
    }

    /// What is added now may have been made long ago: it waits from now on.
    fn begin_now(&mut self) {
        if !self.has_frames() {
            self.busy = Some(Instant::now());
        }
    }

    fn untaken(&self) -> Option<Instant> {
        let frames = [self.unsent.as_ref(), self.backlog.oldest()];
        let oldest = frames.into_iter().flatten().map(|frame| frame.since()).min();
        oldest.max(self.busy.filter(|_| oldest.is_some()))
    }

    fn on_hold(&self) -> Room {
        self.holds.as_ref().map_or(Room::default(), |holds| holds.room())
    }

    fn forget_holds(&mut self) {
        self.holds.take_if(|holds| holds.is_empty());
    }

    /// Adds a frame, or has it wait behind what its session has its say in.
    fn add(
        &mut self,
        frame: &Arc<Frame>,
        seat: Option<&Arc<Seat>>,
        offset: u64,
        to: &To,
        limits: &Limits,
    ) -> Pushed {
        let on_hold = |seat: &u32| self.holds.as_ref().is_some_and(|holds| holds.len(*seat) > 0);
        let is_intercepted = matches!(to, To::Sessions(_));
        match seat.map(|seat| seat.number).filter(|seat| is_intercepted || on_hold(seat)) {
            Some(seat) => self.hold(seat, OnHold { frame: frame.clone(), offset, to: to.clone() }, limits),
            None => self.push(frame, seat, offset, limits),
        }
    }

    /// Has a frame wait for a session. Who lacks room for it is closed, whatever the route says.
    fn hold(&mut self, seat: u32, held: OnHold, limits: &Limits) -> Pushed {
        if self.is_ended {
            return Pushed::Ended;
        }
        let pushed = self.holds.get_or_insert_default().push(seat, held, &self.backlog, limits);
        self.forget_holds();
        if pushed == Pushed::Ended {
            self.cut(Cut::slow());
        }
        pushed
    }

    /// How many wait.
    fn frames(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |held| held.frames.len());
        self.backlog.frames() + usize::from(self.unsent.is_some()) + held + self.on_hold().frames
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
        let (cut, waiter) = (self.cut.take(), std::mem::take(&mut self.waiter));
        let (is_ended, is_nudged) = (self.is_ended, self.is_nudged);
        let rest = Self { is_ended, cut, is_nudged, waiter, ..Self::default() };
        std::mem::replace(self, rest)
    }
}

/// After how many bytes others may add something: it takes no longer than to compress one message that is not compressed apart.
const FED_AT_ONCE: usize = 4 << 10;

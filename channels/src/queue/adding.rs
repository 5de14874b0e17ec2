//! What becomes of a frame that is added: by its class, and by what the route says of a queue that is full.

use std::sync::Arc;

use super::State;
use crate::close::Cut;
use crate::frame::{Class, Frame};
use crate::limits::{Limits, Room};
use crate::options::OnFull;
use crate::pushed::Pushed;
use crate::seat::Seat;

impl State {
    /// Adds a frame for the client to take.
    pub(super) fn push(
        &mut self,
        frame: &Arc<Frame>,
        seat: Option<&Arc<Seat>>,
        offset: u64,
        limits: &Limits,
    ) -> Pushed {
        if self.is_ended {
            return Pushed::Ended;
        }
        let offset = seat.map_or(0, |seat| seat.reach(offset));
        let (number, len) = (seat.map_or(0, |seat| seat.number), frame.len());
        let mut room = limits.queue.without(self.on_hold());
        match frame.class() {
            Class::Reliable => {}
            Class::Volatile if self.backlog.bytes() < limits.volatile && self.backlog.fits(len, room) => {}
            Class::Volatile => {
                frame.counters().dropped_volatile.add(1);
                return Pushed::Dropped;
            }
            Class::Keyed(key) => {
                if let Some(at) = self.backlog.find(number, key) {
                    frame.counters().replaced.add(1);
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
        if !self.has_frames() {
            self.busy = self.busy.max(Some(frame.since()));
        }
        if *frame.class() == Class::Heartbeat {
            self.backlog.push_front(frame.clone());
        } else {
            self.backlog.push_back(frame.clone(), number, offset);
        }
        pushed
    }

    /// There is no room for a frame: makes room, or says what becomes of it.
    fn overflow(&mut self, frame: &Frame, seat: Option<&Arc<Seat>>, offset: u64, room: Room) -> Pushed {
        let is_answer = matches!(frame.class(), Class::Answer | Class::Heartbeat);
        let Some(seat) = seat.filter(|seat| !is_answer && seat.on_full() != OnFull::Close) else {
            self.cut(Cut::slow());
            return Pushed::Ended;
        };
        if seat.on_full() == OnFull::DropOldest {
            let dropped = self.backlog.drop_oldest(seat, frame.len(), room);
            if dropped > 0 {
                frame.counters().dropped_oldest.add(dropped);
                return Pushed::Displaced;
            }
        }
        frame.counters().dropped_newest.add(1);
        self.backlog.drop_newest(seat, offset);
        Pushed::Dropped
    }
}

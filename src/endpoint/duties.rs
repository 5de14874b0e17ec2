//! What a connection owes its peer beside receiving messages, and whether its program receives or not: answers, a look at
//! the clock, and a server's farewell.

use std::time::Instant;

use super::admission::STOPPING;
use super::ahead::{Ahead, Control};
use super::closing::{Act, Ending};
use super::events::Nothing;
#[cfg(feature = "tokio")]
use super::farewell::patience;
use super::inbound::{Delivery, Inbound, Next};
use super::outbound::{Outbound, SendSide};
use crate::error::TimedOut;
use crate::frame::CloseFrame;
use crate::message::Event;
use crate::sender::SendState;

impl Inbound {
    /// What is to be done for a program that does not receive: control frames are answered, and all else that was read
    /// stays to be received.
    pub(crate) fn look_ahead(&mut self, link: &mut impl SendSide) -> Next<Nothing> {
        if self.takes_a_rest() {
            return Next::Yield;
        }
        let act = if self.is_open() { self.look(link) } else { None };
        if let Some(ahead) = self.ahead_mut() {
            ahead.neglected = true;
        }
        match act.or_else(|| self.over(link)) {
            Some(act) => Next::Do(act),
            None => Next::Over(None),
        }
    }

    /// Starts the closing handshake for the application, because its server stops. False if it was started
    /// before, or nothing can be sent any more. What was read stays to be received, if the program is to come back to it.
    pub(crate) fn stop(&mut self, now: Instant, outbound: &mut Outbound) -> bool {
        if outbound.sending.state() != SendState::Open {
            return false;
        }
        let ahead = self.ahead_mut().map(|ahead| ahead.discards = true);
        if ahead.is_none() || self.input.is_empty() {
            self.take_unfinished();
            self.delivery = Delivery::Discarded;
        }
        outbound.queue(|outbound| outbound.close(Some(STOPPING), now)).is_ok()
    }

    /// When to wake if nothing is read before: the deadline of the receiving half alone.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.end_ref() {
            Some(end) if end.ending == Ending::Await => end.farewell.as_ref()?.until,
            // A peer that is not read from is not judged.
            None if !self.is_full() => self.receiving.poll_timeout(),
            _ => None,
        }
    }

    /// When to wake if nothing is written before: the deadlines of the sending half, and when that was silent for too long.
    #[inline]
    pub(crate) fn poll_sending(&self, outbound: &Outbound) -> Option<Instant> {
        [outbound.sending.poll_timeout(), self.silence(outbound)].into_iter().flatten().min()
    }

    /// When a Ping is due because we were silent, if not before because the peer was, which costs less to ask.
    #[inline]
    fn silence(&self, outbound: &Outbound) -> Option<Instant> {
        let asks = self.receiving.is_silent_first(&outbound.sending) || self.is_full();
        if asks { self.receiving.poll_silence(&outbound.sending) } else { None }
    }

    /// Does what is due, as of the last read.
    pub(crate) fn handle_timeout(&mut self, outbound: &mut Outbound) -> Result<(), TimedOut> {
        // A peer that takes nothing is not waited for, though it may have something to say.
        if outbound.has_timed_out() {
            return Err(TimedOut::Write);
        }
        outbound.sending.handle_timeout(self.now).inspect_err(|timed_out| {
            if *timed_out == TimedOut::Write {
                // Whoever waits for the write is told so, too.
                outbound.write_timed_out();
            }
        })?;
        if self.is_full() {
            self.spare();
        }
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= self.now);
        if !is_due(self.poll_timeout()) && !is_due(self.silence(outbound)) {
            // A connection that waits is not to be given a buffer.
            return Ok(());
        }
        let out = outbound.queue.buffer();
        self.receiving.handle_timeout(self.now, &mut outbound.sending, out)
    }

    /// The peer is not judged by its silence up to now.
    pub(super) fn spare(&mut self) {
        self.receiving.on_read_ahead(0, true, self.now);
    }

    /// How much may be read ahead of what the program receives, if it does not.
    pub(crate) fn most(&self) -> Option<usize> {
        let most = self.receiving.config().settings.read_buffer_size;
        // What comes behind what is kept is discarded at once.
        self.ahead().filter(|ahead| ahead.neglected && !ahead.has_kept())?;
        Some(most.saturating_sub(self.input.unread().len()).max(1))
    }

    /// Whether as much was read as may be ahead of what the program receives.
    pub(super) fn is_full(&self) -> bool {
        self.ahead().is_some_and(|ahead| ahead.full)
    }

    /// Looks at what was read and not received. What is to be done then, unless that was the end.
    #[cold]
    pub(super) fn look(&mut self, link: &mut impl SendSide) -> Option<Act> {
        let role = self.receiving.role();
        let next_frame = self.receiving.next_frame();
        let rare = self.rare.get_or_insert_default();
        let ahead = rare.ahead.get_or_insert_with(|| Ahead::new(next_frame));
        let before = ahead.looked();
        let broken = loop {
            match ahead.look(self.input.unread(), role) {
                Ok(Some(Control::Ping(payload))) => {
                    link.outbound(|outbound| outbound.answer(&Event::Ping(&payload), self.now));
                    self.answered = true;
                }
                Ok(Some(Control::Pong)) => {}
                Ok(Some(Control::Close(payload))) => match CloseFrame::parse(&payload) {
                    Ok(close) => {
                        let now = link.now(self.now);
                        self.receiving.close_ahead(close);
                        link.outbound(|outbound| outbound.answer(&Event::Close(close), now));
                        self.end(None, Ending::Flush { discard: true });
                        return None;
                    }
                    Err(error) => break Some(error),
                },
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = broken {
            let next_frame = ahead.looked();
            self.receiving.fail_ahead();
            self.tell_failure(error, next_frame, link);
            return None;
        }
        let arrived = core::mem::take(&mut ahead.arrived);
        if arrived > 0 {
            self.receiving.on_read_ahead(arrived, ahead.looked() > before, self.now);
        }
        let most = self.receiving.config().settings.read_buffer_size.max(1);
        if ahead.discards && self.input.unread().len() >= most {
            ahead.keep(self.input.unread().len());
        }
        if let Some(discarded) = ahead.take_discarded(self.input.unread().len()) {
            self.input.remove(discarded);
        }
        ahead.full = !ahead.has_kept() && self.input.unread().len() >= most;
        Some(if ahead.full { Act::Hold } else { Act::Fill })
    }

    /// The program has received something of an input of `before` bytes. Whether what comes can only be looked at.
    #[cold]
    pub(super) fn received_of(&mut self, before: usize, link: &mut impl SendSide) -> bool {
        let unread = self.input.unread().len();
        let Some(rare) = &mut self.rare else {
            return false;
        };
        let Some(ahead) = &mut rare.ahead else {
            return false;
        };
        ahead.on_received(before.saturating_sub(unread));
        // What it waits for may be more than is read ahead of it.
        ahead.neglected = false;
        if core::mem::take(&mut ahead.full) {
            // Nothing was read meanwhile: that is not the peer's silence.
            self.receiving.on_read_ahead(0, true, link.now(self.now));
        }
        let kept = ahead.has_kept();
        if ahead.is_over() {
            rare.ahead = None;
            if rare.end.is_none() {
                self.rare = None;
            }
        }
        kept
    }

    /// What was looked at and kept, of a connection that has ended, is incomplete.
    pub(super) fn forget_ahead(&mut self) {
        if let Some(rare) = &mut self.rare
            && rare.end.is_some()
            && rare.ahead.take().is_some()
        {
            self.input.clear();
            self.assembly = None;
        }
    }
}

impl Outbound {
    /// Whoever receives looks at the clock: what was sent since it last did counts from `then`.
    #[inline]
    pub(crate) fn on_look(&mut self, then: Instant) {
        if core::mem::take(&mut self.spoke) {
            self.sending.on_sent(then);
        }
    }

    /// Nobody waits for the closing handshake any more, if it is under way: the peer has a moment for the rest of it.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.sending.close_by(now.checked_add(patience(self.sending.close_timeout())));
    }
}

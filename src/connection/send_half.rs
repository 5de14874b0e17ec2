//! The sending half of a connection: its frames, and the deadlines of what was sent.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::clock::Instant;
use super::closing::{Closing, Initiator};
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::frame::CloseFrame;
use crate::message::Event;
use crate::role::Role;
use crate::sender::{SendState, Sender};

/// The sending half of a connection: a [`Sender`], and the deadlines of what was sent.
#[derive(Debug)]
pub struct SendHalf<I> {
    sender: Sender,
    /// When something was last sent, as far as is known.
    sent: I,
    /// Boxed, since most of a connection's life there is neither.
    rare: Option<Box<Rare<I>>>,
}

#[derive(Debug)]
struct Rare<I> {
    /// Set by the first Close frame sent.
    closing: Option<Closing<I>>,
    /// Set when the transport takes no more bytes.
    blocked: Option<Blocked<I>>,
}

/// What is known of a transport that took no more bytes.
#[derive(Debug)]
struct Blocked<I> {
    /// It still has to take some.
    waits: bool,
    /// By when it has to; `None` when it need not, or that is beyond what `I` can tell.
    deadline: Option<I>,
    /// When it last took some for which it had been waited: its peer has read.
    taken: Option<I>,
}

impl<I: Instant> SendHalf<I> {
    #[inline]
    pub(crate) fn new(sender: Sender, now: I) -> Self {
        Self { sender, sent: now, rare: None }
    }

    /// This endpoint's role.
    pub fn role(&self) -> Role {
        self.sender.role()
    }

    /// The sender, for data, Pings and Pongs. To close, use [`close`](Self::close), which arms the
    /// deadline of the closing handshake.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Starts the closing handshake, and arms its deadline.
    pub fn close(
        &mut self,
        close: Option<CloseFrame<'_>>,
        now: I,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sender.close(close, out)?;
        self.close_sent(Initiator::Local, now);
        Ok(())
    }

    /// Sends what a received event demands: a Pong for a Ping, a Close frame for a Close frame.
    /// Returns whether it appended anything.
    #[inline]
    pub fn answer(&mut self, event: &Event<'_>, now: I, out: &mut Vec<u8>) -> bool {
        match event {
            Event::Data(_) | Event::Pong(_) => false,
            Event::Ping(_) => self.sender.answer(event, out),
            Event::Close(_) => {
                let answered = self.sender.answer(event, out);
                self.close_sent(Initiator::Remote, now);
                answered
            }
        }
    }

    /// Whether a Pong is held back.
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(crate) fn holds_pong(&self) -> bool {
        self.sender.holds_pong()
    }

    /// Fails the connection; see [`Sender::fail`].
    pub fn fail(&mut self, error: ProtocolError, now: I, out: &mut Vec<u8>) {
        self.sender.fail(error, out);
        self.close_sent(Initiator::Local, now);
    }

    /// The transport took so many bytes, which are no longer in `out`: sends the Pong that was held back while there
    /// was no room, if there is now. To be called after each write, also when `out` is empty then.
    #[inline]
    pub fn on_written(&mut self, bytes: usize, now: I, out: &mut Vec<u8>) {
        self.on_taken(bytes, out.is_empty(), || now);
        if bytes > 0 {
            self.on_sent(now);
        }
        self.answer_held(out);
    }

    /// The first half of [`on_written`](Self::on_written): whether the transport has taken `all`. It asks for the time
    /// only if it had been waited for.
    #[inline]
    pub(crate) fn on_taken(&mut self, bytes: usize, all: bool, now: impl FnOnce() -> I) {
        if self.rare.is_some() {
            self.prolong(bytes, all, now());
        }
    }

    /// Something was sent, then or not long after.
    #[inline]
    pub(crate) fn on_sent(&mut self, now: I) {
        self.sent = now;
    }

    /// The other half of it.
    #[inline]
    pub(crate) fn answer_held(&mut self, out: &mut Vec<u8>) {
        self.sender.answer_held(out);
    }

    #[cold]
    fn prolong(&mut self, bytes: usize, all: bool, now: I) {
        let settings = &self.sender.config().settings;
        let (most, time) = (now.checked_add(settings.write_timeout), settings.time_of(bytes));
        let blocked = self.rare.as_mut().and_then(|rare| rare.blocked.as_mut());
        let Some(blocked) = blocked.filter(|blocked| blocked.waits) else {
            return;
        };
        blocked.taken = Some(now);
        blocked.waits = !all;
        let prolonged = blocked.deadline.zip(time).and_then(|(deadline, time)| deadline.checked_add(time));
        blocked.deadline = match (blocked.deadline, prolonged.zip(most)) {
            _ if all => None,
            (Some(_), Some((prolonged, most))) => Some(prolonged.min(most)),
            (deadline, _) => deadline.and(most),
        };
    }

    /// The transport takes no more bytes for now: it must take some within
    /// [`Config::write_timeout`](crate::Config::write_timeout), and enough of them to keep
    /// [`Config::min_data_rate`](crate::Config::min_data_rate). To be called when a write would wait, or
    /// before one that may.
    pub fn on_write_blocked(&mut self, now: I) {
        let timeout = self.write_timeout();
        let blocked = &mut self.rare().blocked;
        let blocked = blocked.get_or_insert(Blocked { waits: false, deadline: None, taken: None });
        if !blocked.waits {
            (blocked.waits, blocked.deadline) = (true, now.checked_add(timeout));
        }
    }

    /// Whether the transport is waited for to take bytes.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked().is_some_and(|blocked| blocked.waits)
    }

    /// When the transport last took bytes for which it had been waited, told once.
    pub(super) fn last_taken(&mut self) -> Option<I> {
        let rare = self.rare.as_mut()?;
        let blocked = rare.blocked.as_mut()?;
        let taken = blocked.taken.take();
        if !blocked.waits {
            rare.blocked = None;
            if rare.closing.is_none() {
                self.rare = None;
            }
        }
        taken
    }

    /// Whether there is a deadline.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn has_deadline(&self) -> bool {
        self.closing().is_some() || self.is_blocked()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<I> {
        [self.close_deadline(), self.write_deadline()].into_iter().flatten().min()
    }

    /// When something was last sent.
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(super) fn sent(&self) -> I {
        self.sent
    }

    /// When a keepalive Ping is to be sent, if nothing else is before.
    #[inline]
    pub(super) fn poll_silence(&self) -> Option<I> {
        // What waits to be written is sent as soon as a Ping would be; and after a Close frame nothing is.
        if self.is_blocked() || self.state() != SendState::Open {
            return None;
        }
        let (interval, _) = self.sender.config().settings.keepalive?;
        self.sent.checked_add(interval)
    }

    /// A keepalive Ping is sent.
    pub(super) fn ping(&mut self, now: I, out: &mut Vec<u8>) {
        // It can be sent: no Close frame was.
        let _ = self.sender.ping(b"", out);
        self.sent = now;
    }

    /// Tells which deadline has passed at `now`, if any.
    pub fn handle_timeout(&mut self, now: I) -> Result<(), TimedOut> {
        let passed = |deadline: Option<I>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.close_deadline()) {
            return Err(TimedOut::ClosingHandshake);
        }
        if passed(self.write_deadline()) {
            return Err(TimedOut::Write);
        }
        Ok(())
    }

    /// What this half may still send.
    pub fn state(&self) -> SendState {
        self.sender.state()
    }

    /// How long the closing handshake may take, from [`Config::close_timeout`](crate::Config::close_timeout).
    pub fn close_timeout(&self) -> Duration {
        self.sender.config().settings.close_timeout
    }

    /// How much may be queued, from [`Config::write_buffer_size`](crate::Config::write_buffer_size).
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn write_buffer_size(&self) -> usize {
        self.sender.config().settings.write_buffer_size
    }

    /// How long the transport may take no bytes, from
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    pub fn write_timeout(&self) -> Duration {
        self.sender.config().settings.write_timeout
    }

    /// A Close frame was sent: who was the first to send one stands.
    fn close_sent(&mut self, initiator: Initiator, now: I) {
        if self.closing().is_none() {
            let deadline = now.checked_add(self.close_timeout());
            self.rare().closing = Some(Closing { initiator, deadline });
        }
    }

    /// The closing handshake, if it is under way, is to be over at `deadline`, if not before.
    #[cfg(feature = "tokio")]
    pub(crate) fn close_by(&mut self, deadline: Option<I>) {
        if let Some(closing) = self.rare.as_mut().and_then(|rare| rare.closing.as_mut()) {
            closing.deadline = [closing.deadline, deadline].into_iter().flatten().min();
        }
    }

    /// Whether the peer has closed: it has no use for what is still to be sent.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn is_refused(&self) -> bool {
        self.initiator() == Initiator::Remote
    }

    /// Whether this endpoint has closed, or failed, before the peer closed.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn has_closed(&self) -> bool {
        self.initiator() == Initiator::Local
    }

    /// Who was the first to send a Close frame, as far as this half knows.
    pub(super) fn initiator(&self) -> Initiator {
        self.closing().map_or(Initiator::Transport, |closing| closing.initiator)
    }

    fn write_deadline(&self) -> Option<I> {
        self.blocked()?.deadline
    }

    fn close_deadline(&self) -> Option<I> {
        self.closing()?.deadline
    }

    fn closing(&self) -> Option<&Closing<I>> {
        self.rare.as_ref()?.closing.as_ref()
    }

    fn blocked(&self) -> Option<&Blocked<I>> {
        self.rare.as_ref()?.blocked.as_ref()
    }

    fn rare(&mut self) -> &mut Rare<I> {
        self.rare.get_or_insert_with(|| Box::new(Rare { closing: None, blocked: None }))
    }
}

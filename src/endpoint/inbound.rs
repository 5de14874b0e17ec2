//! The receiving half of a connection, and what is to be done next: the driver of every adapter.
//!
//! ```text
//!          +------------------------- next() --------------------------+
//!          v                 |                    |                    v
//!   Next::Item(..)     Next::Do(act)        (looks at what       Next::Over(..)
//!   to the caller            |               was read)           to the caller
//!                     the adapter does it
//!                            |
//!                      did(outcome) ---> next()
//! ```
//!
//! An adapter moves bytes, waits and wakes; what is done when, and what follows from what came of it, is decided
//! here. Nothing here reads, writes, waits, or looks at a clock.

use alloc::boxed::Box;
use core::convert::Infallible;
use core::ops::Range;
use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::admission::STOPPING;
use super::ahead::{Ahead, Control};
use super::assembly::{Assembly, Inflation};
use super::closing::{Act, End, Ending, Outcome, unexpected_eof};
use super::error::Error;
use super::events::{Found, Item, Part};
use super::negotiated::Negotiated;
use super::outbound::{Outbound, SendSide};
use super::read_buffer::ReadBuffer;
use crate::config::Config;
use crate::connection::{Closed, ReceiveHalf};
use crate::error::{ProtocolError, TimedOut};
use crate::frame::CloseFrame;
use crate::message::{Event, Fragment, Message, MessageKind};
use crate::sender::SendState;

/// The receiving half with its buffers.
#[derive(Debug)]
pub(crate) struct Inbound {
    receiving: ReceiveHalf<Instant>,
    input: ReadBuffer,
    /// Boxed, since there is none until a message comes that is more than one frame, read whole.
    assembly: Option<Box<Assembly>>,
    delivery: Delivery,
    /// An answer was queued since it was last tried to write: it is to be sent "as soon as is practical"
    /// (6455-5.5.2-03).
    answered: bool,
    /// How much work was done since others had their turn, in bytes: a little over [`ENOUGH`] at most.
    worked: u32,
    /// The time of the last read: one look at the clock for all the messages it brought.
    now: Instant,
    /// What is not met with most of a connection's life.
    rare: Option<Box<Rare>>,
}

/// What most connections have nothing of, most of the time.
#[derive(Debug, Default)]
struct Rare {
    /// Set while there may be something in the input that was looked at and not received.
    ahead: Option<Ahead>,
    /// Set once nothing more will be read that is to be received.
    end: Option<End>,
}

/// What becomes of the message in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Delivery {
    /// It will be handed out whole, if there is one.
    Whole,
    /// Parts of it were handed out.
    InParts,
    /// It is discarded, and so is all that follows: the Close frame was sent for the application.
    Discarded,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Something that was asked for. If [`take_answered`](Inbound::take_answered) says so, what is queued is to
    /// be written, as far as it goes.
    Item(T),
    /// Much was done, and there is more to do: let others have their turn, and ask again.
    Yield,
    /// Do this, and tell [`did`](Inbound::did) what came of it.
    Do(Act),
    /// The connection has ended: with this error, if it was not returned before.
    Over(Option<Error>),
}

/// What a look at what was read came to.
enum Step<T> {
    Item(T),
    /// Enough for now, though there is more to look at.
    Yield,
    /// All that was read has been looked at: read more.
    NeedInput,
    /// A Close frame was received: nothing more will be.
    Closed,
}

impl Inbound {
    /// The receiving half of a new connection. `read_ahead` holds what was read behind the opening handshake.
    #[inline]
    pub(crate) fn new(negotiated: &Negotiated, config: &Config, read_ahead: &[u8], now: Instant) -> Self {
        let mut inbound = Self {
            receiving: ReceiveHalf::new(negotiated.role(), config, now),
            input: ReadBuffer::new(read_ahead),
            assembly: None,
            delivery: Delivery::Whole,
            answered: false,
            worked: 0,
            now,
            rare: None,
        };
        inbound.receiving.leave_text();
        if let Some(agreed) = negotiated.deflate() {
            inbound.receiving.use_deflate(agreed);
            inbound.assembly.get_or_insert_default().use_deflate(negotiated.role(), config, agreed);
        }
        inbound
    }

    /// What most calls come to: a message in one frame that was read whole, and nothing before it. All else is
    /// for [`next`](Self::next).
    #[inline]
    pub(crate) fn whole<T: Item>(&mut self, link: &mut impl SendSide) -> Option<T> {
        if self.rare.is_some() {
            return None;
        }
        self.whole_message::<T>().unwrap_or_else(|error| {
            self.fail(error, link);
            None
        })
    }

    /// What comes next: the first thing that `T` asks for, or what is to be done to get it.
    pub(crate) fn next<T: Item>(&mut self, link: &mut impl SendSide) -> Next<T> {
        if self.is_open() || self.ahead().is_some() {
            let before = self.input.unread().len();
            let step = self.advance::<T>(link);
            let looked_at = self.ahead().is_some() && self.received_of(before, link);
            match step {
                Ok(Step::Item(item)) => return Next::Item(item),
                Ok(Step::Yield) => return Next::Yield,
                Ok(Step::NeedInput) if self.is_open() => {
                    // What follows what was kept has been discarded, all but control frames.
                    let act = if looked_at { self.look(link) } else { Some(Act::Fill) };
                    if let Some(act) = act {
                        return Next::Do(act);
                    }
                }
                Ok(Step::Closed) if self.is_open() => self.end(None, Ending::Flush { discard: true }),
                Ok(Step::NeedInput | Step::Closed) => {}
                Err(error) => self.fail(error, link),
            }
            // All that came before the end was handed out.
            self.forget_ahead();
        }
        match self.over(link) {
            Some(act) => Next::Do(act),
            None => Next::Over(self.end_mut().and_then(|end| end.error.take())),
        }
    }

    /// What is to be done for a program that does not receive: control frames are answered, and all else that was read
    /// stays to be received.
    pub(crate) fn look_ahead(&mut self, link: &mut impl SendSide) -> Next<Infallible> {
        let act = if self.is_open() { self.look(link) } else { None };
        match act.or_else(|| self.over(link)) {
            Some(act) => Next::Do(act),
            None => Next::Over(None),
        }
    }

    /// What is to be done of a connection that ends. `None`: nothing is left to do.
    fn over(&mut self, link: &mut impl SendSide) -> Option<Act> {
        let Some(end) = self.end_ref() else {
            return Some(Act::Fill);
        };
        let act = end.ending.act();
        if act.is_none() && end.closed.is_none() {
            self.record_end(link);
        }
        act
    }

    /// Tells what came of what [`next`](Self::next) asked for, and when.
    pub(crate) fn did(&mut self, outcome: Outcome, now: Instant, outbound: &mut Outbound) {
        self.now = now;
        let Some(end) = self.rare.as_mut().and_then(|rare| rare.end.as_mut()) else {
            self.answered = false;
            match outcome {
                Outcome::Read(len) => {
                    // Even a peer that never pauses, and sends nothing that is handed out, is left for others.
                    self.work(len / 4);
                    self.input.on_read(len);
                    if let Some(ahead) = self.ahead_mut() {
                        ahead.arrived += len;
                    }
                }
                Outcome::Again | Outcome::Late | Outcome::Written | Outcome::Done => {}
                Outcome::Eof => self.end(Some(unexpected_eof()), Ending::Over),
                Outcome::ReadFailed(error) | Outcome::Failed(error) => self.end(Some(error), Ending::Over),
            }
            return;
        };
        let close_first = self.receiving.should_close_transport(&outbound.sending);
        end.ending = end.ending.after(&outcome, close_first);
        let late = outbound.sending.poll_timeout().is_some_and(|deadline| deadline <= now);
        if late && matches!(end.ending, Ending::Flush { .. } | Ending::Drain) {
            // The peer had time enough: both Close frames have passed, or none will be read.
            end.ending = Ending::Over;
        }
    }

    /// The error that it ended with is still to be told, to whoever closes it.
    #[cfg(feature = "tokio")]
    pub(crate) fn put_back(&mut self, error: Error) {
        if let Some(end) = self.end_mut() {
            end.error = Some(error);
        }
    }

    /// Whether an answer was queued that is still to be written.
    #[inline]
    pub(crate) fn take_answered(&mut self) -> bool {
        core::mem::take(&mut self.answered)
    }

    /// How the connection closed, once it has.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.end_ref()?.closed.as_ref()
    }

    /// Whether it has closed, and all that was received before, and its error, was handed out.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_over(&self) -> bool {
        self.ahead().is_none()
            && self.end_ref().is_some_and(|end| end.closed.is_some() && end.error.is_none())
    }

    /// How much may be read ahead of what the program receives, if it is known not to.
    pub(crate) fn most(&self) -> Option<usize> {
        self.ahead()?;
        let most = self.receiving.config().settings.read_buffer_size;
        Some(most.saturating_sub(self.input.unread().len()).max(1))
    }

    /// Whether as much was read as may be ahead of what the program receives.
    fn is_full(&self) -> bool {
        self.ahead().is_some_and(|ahead| ahead.full)
    }

    /// How far it has ended, if nothing more will be received.
    pub(super) fn ending(&self) -> Option<Ending> {
        Some(self.end_ref()?.ending)
    }

    /// Whether some of what was read is still to be received.
    #[inline]
    pub(crate) fn is_unread(&self) -> bool {
        !self.input.is_empty()
    }

    /// Where to append what is read next; [`did`](Self::did) is to be told how much that is.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let missing = self.missing();
        self.input.room(missing, self.assembly.as_mut().and_then(|assembly| assembly.text()))
    }

    /// Reads once; [`did`](Self::did) is to be told how much.
    pub(crate) fn fill(&mut self, io: &mut impl io::Read) -> io::Result<usize> {
        let missing = self.missing();
        self.input.fill(io, missing, self.assembly.as_mut().and_then(|assembly| assembly.text()))
    }

    /// Gives back what memory it can, since nothing arrives for now.
    pub(crate) fn release(&mut self) {
        self.worked = 0;
        self.input.release(self.assembly.as_mut().and_then(|assembly| assembly.text()));
    }

    /// Starts the closing handshake for the application, because its server stops. False if it was started
    /// before, or nothing can be sent any more. What was read stays to be received, if the program is to come back to it.
    pub(crate) fn stop(&mut self, now: Instant, outbound: &mut Outbound) -> bool {
        if outbound.sending.state() != SendState::Open {
            return false;
        }
        let is_read = !self.input.is_empty();
        match self.ahead_mut() {
            Some(ahead) if is_read => ahead.discards = true,
            _ => {
                self.take_unfinished();
                self.delivery = Delivery::Discarded;
            }
        }
        outbound.queue(|outbound| outbound.close(Some(STOPPING), now)).is_ok()
    }

    /// When to wake if nothing is read before: the deadline of the receiving half alone.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        // A peer that is not read from is not judged.
        if self.is_full() { None } else { self.receiving.poll_timeout() }
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
        if self.poll_timeout().is_none_or(|due| self.now < due) {
            // A connection that waits is not to be given a buffer.
            return Ok(());
        }
        let out = outbound.queue.buffer();
        self.receiving.handle_timeout(self.now, &mut outbound.sending, out)
    }

    #[inline]
    fn whole_message<T: Item>(&mut self) -> Result<Option<T>, ProtocolError> {
        if T::PARTS || self.delivery != Delivery::Whole {
            return Ok(None);
        }
        let Some((kind, payload)) = self.receiving.receive_whole(self.input.unread_mut(), self.now) else {
            return Ok(None);
        };
        let message = Message::new(kind, self.input.take(payload))?;
        Ok(T::pick(Found::Message(message)))
    }

    /// Looks at what was read until there is something to hand out. Pongs and Close frames that are
    /// due are in the outbound queue then.
    fn advance<T: Item>(&mut self, link: &mut impl SendSide) -> Result<Step<T>, ProtocolError> {
        // Before each wait: all that was read has been handed out, and was no part of a message.
        if self.input.is_empty() && self.assembly.is_none() {
            return Ok(Step::NeedInput);
        }
        if let Some(item) = self.whole_message::<T>()? {
            return Ok(Step::Item(item));
        }
        if T::PARTS
            && let Some(part) = self.take_unfinished()
            && let Some(item) = T::pick(Found::Part(part))
        {
            return Ok(Step::Item(item));
        }
        loop {
            if self.worked >= ENOUGH {
                self.worked = 0;
                return Ok(Step::Yield);
            }
            // A message of which parts were handed out is not assembled: what is left of it is skipped.
            let parts = T::PARTS || self.delivery != Delivery::Whole;
            let step = match self.inflate_next(parts)? {
                Some(step) => step,
                None => self.next_frame(parts, link)?,
            };
            let found = match step {
                Step::Item(Some(found)) => found,
                Step::Item(None) => continue,
                Step::Yield => return Ok(Step::Yield),
                Step::NeedInput => return Ok(Step::NeedInput),
                Step::Closed => return Ok(Step::Closed),
            };
            if self.delivery != Delivery::Discarded
                && let Some(item) = T::pick(found)
            {
                return Ok(Step::Item(item));
            }
        }
    }

    /// What the next frame, or part of one, came to, if anything.
    fn next_frame(
        &mut self,
        parts: bool,
        link: &mut impl SendSide,
    ) -> Result<Step<Option<Found>>, ProtocolError> {
        if self.input.is_empty() {
            return Ok(Step::NeedInput);
        }
        let input = self.input.unread_mut();
        let received = if parts {
            self.receiving.receive_part(input, self.now)?
        } else {
            self.receiving.receive(input, self.now)?
        };
        let Some(received) = received else {
            return Ok(Step::NeedInput);
        };
        Ok(Step::Item(match received.event(self.input.unread()) {
            Some(Event::Data(fragment)) => {
                let Fragment { kind, compressed, last, .. } = fragment;
                self.data(kind, compressed, last, received.payload(), parts)?
            }
            Some(event @ Event::Ping(_)) => {
                let ahead = self.rare.as_mut().and_then(|rare| rare.ahead.as_mut());
                if !ahead.is_some_and(Ahead::take_answered) {
                    link.outbound(|outbound| outbound.answer(&event, self.now));
                    self.answered = true;
                }
                Some(Found::Ping(self.input.take(received.payload())))
            }
            Some(Event::Pong(_)) => Some(Found::Pong(self.input.take(received.payload()))),
            Some(event @ Event::Close(_)) => {
                let now = link.now(self.now);
                link.outbound(|outbound| outbound.answer(&event, now));
                self.input.clear();
                return Ok(Step::Closed);
            }
            None => {
                self.input.clear();
                None
            }
        }))
    }

    /// A data frame, or part of one, was received.
    fn data(
        &mut self,
        kind: MessageKind,
        compressed: bool,
        last: bool,
        payload: Range<usize>,
        parts: bool,
    ) -> Result<Option<Found>, ProtocolError> {
        let payload = self.input.take_mut(payload);
        if !compressed && parts {
            let payload = self.input.owned(payload.freeze());
            return Ok(Some(Found::Part(self.part(kind, payload, last))));
        }
        let assembly = self.assembly.get_or_insert_default();
        if compressed {
            assembly.begin_inflating(kind, payload.freeze(), last);
            return Ok(None);
        }
        Ok(match assembly.push(kind, last, payload)? {
            Some(message) => Some(Found::Message(self.input.owned_message(message)?)),
            None => None,
        })
    }

    /// Takes the fragments that were joined before the caller asked for parts.
    fn take_unfinished(&mut self) -> Option<Part> {
        let (kind, joined, utf8) = self.assembly.as_mut()?.take_unfinished()?;
        self.receiving.resume_text(utf8);
        Some(self.part(kind, joined, false))
    }

    fn part(&mut self, kind: MessageKind, payload: Bytes, last: bool) -> Part {
        let first = self.delivery == Delivery::Whole;
        if self.delivery != Delivery::Discarded {
            self.delivery = if last { Delivery::Whole } else { Delivery::InParts };
        }
        Part { kind, first, last, payload }
    }

    /// How many more bytes to make room for, so that the frame in progress can be handed out whole.
    fn missing(&self) -> u64 {
        if self.delivery == Delivery::Whole { self.receiving.missing() } else { 0 }
    }

    /// An error was found in what was received.
    #[cold]
    fn fail(&mut self, error: ProtocolError, link: &mut impl SendSide) {
        self.receiving.fail();
        if let Some(end) = self.end_mut() {
            // It was failed when this was looked at, or the transport has ended.
            end.error = Some(Error::Protocol(error));
            return;
        }
        self.tell_failure(error, link);
    }

    fn tell_failure(&mut self, error: ProtocolError, link: &mut impl SendSide) {
        let now = link.now(self.now);
        link.outbound(|outbound| outbound.fail(error, now));
        self.end(Some(Error::Protocol(error)), Ending::Flush { discard: true });
    }

    /// Looks at what was read and not received. What is to be done then, unless that was the end.
    #[cold]
    fn look(&mut self, link: &mut impl SendSide) -> Option<Act> {
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
                        self.receiving.end_ahead(Some(close));
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
            self.receiving.end_ahead(None);
            self.tell_failure(error, link);
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
    fn received_of(&mut self, before: usize, link: &mut impl SendSide) -> bool {
        let unread = self.input.unread().len();
        let Some(rare) = &mut self.rare else {
            return false;
        };
        let Some(ahead) = &mut rare.ahead else {
            return false;
        };
        ahead.on_received(before.saturating_sub(unread));
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

    /// Whether more may be read that is to be received.
    fn is_open(&self) -> bool {
        self.end_ref().is_none()
    }

    fn end_ref(&self) -> Option<&End> {
        self.rare.as_ref()?.end.as_ref()
    }

    fn end_mut(&mut self) -> Option<&mut End> {
        self.rare.as_mut()?.end.as_mut()
    }

    fn ahead(&self) -> Option<&Ahead> {
        self.rare.as_ref()?.ahead.as_ref()
    }

    fn ahead_mut(&mut self) -> Option<&mut Ahead> {
        self.rare.as_mut()?.ahead.as_mut()
    }

    /// What was looked at and kept, of a connection that has ended, is incomplete.
    fn forget_ahead(&mut self) {
        if let Some(rare) = &mut self.rare
            && rare.end.is_some()
            && rare.ahead.take().is_some()
        {
            self.input.clear();
            self.assembly = None;
        }
    }

    #[cold]
    fn end(&mut self, error: Option<Error>, ending: Ending) {
        self.rare.get_or_insert_default().end = Some(End::new(error, ending));
    }

    /// The transport has ended.
    #[cold]
    fn record_end(&mut self, link: &mut impl SendSide) {
        if self.ahead().is_none() {
            self.input.clear();
            self.assembly = None;
        }
        let receiving = &mut self.receiving;
        let closed = link.outbound(|outbound| {
            outbound.end();
            let mut closed = receiving.receive_eof(&outbound.sending);
            closed.clean &= !outbound.has_lost();
            closed
        });
        if let Some(end) = self.end_mut() {
            end.closed = Some(closed);
        }
    }

    /// Inflates some of the fragment that is being inflated, if one is: what that came to, if anything.
    fn inflate_next(&mut self, parts: bool) -> Result<Option<Step<Option<Found>>>, ProtocolError> {
        let Some(assembly) = &mut self.assembly else {
            return Ok(None);
        };
        let Some((inflation, worked)) = assembly.inflate(parts)? else {
            return Ok(None);
        };
        self.work(worked);
        Ok(Some(Step::Item(match inflation {
            Inflation::Nothing => None,
            Inflation::Message(message) => Some(Found::Message(message)),
            Inflation::Part(kind, payload, last) => Some(Found::Part(self.part(kind, payload, last))),
        })))
    }

    /// Counts what was done.
    fn work(&mut self, bytes: usize) {
        self.worked = self.worked.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// How much work to do before others have their turn, in bytes that were inflated, or were to be: some milliseconds.
const ENOUGH: u32 = 256 << 10;

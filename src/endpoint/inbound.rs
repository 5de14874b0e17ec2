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
use std::io::{self, Read as _};
use std::time::Instant;

use bytes::BytesMut;

use super::ahead::Ahead;
use super::assembly::Assembly;
use super::closing::{Act, End, Ending, Outcome, Turn, unexpected_eof};
use super::error::Error;
use super::events::Item;
use super::farewell::{Farewell, is_of_close_frame, patience};
use super::negotiated::Negotiated;
use super::outbound::{Outbound, SendSide};
use super::read_buffer::ReadBuffer;
use crate::config::Config;
use crate::connection::{Closed, ReceiveHalf};
use crate::error::ProtocolError;

/// The receiving half with its buffers.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(super) receiving: ReceiveHalf<Instant>,
    pub(super) input: ReadBuffer,
    /// Boxed, since there is none until a message comes that is more than one frame, read whole.
    pub(super) assembly: Option<Box<Assembly>>,
    pub(super) delivery: Delivery,
    /// An answer was queued since it was last tried to write: it is to be sent "as soon as is practical"
    /// (6455-5.5.2-03).
    pub(super) answered: bool,
    /// How much work was done since others had their turn, in bytes: a little over [`ENOUGH`] at most.
    pub(super) worked: u32,
    /// The time of the last read: one look at the clock for all the messages it brought.
    pub(super) now: Instant,
    /// What is not met with most of a connection's life.
    pub(super) rare: Option<Box<Rare>>,
}

/// What most connections have nothing of, most of the time.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Set while there may be something in the input that was looked at and not received.
    pub(super) ahead: Option<Ahead>,
    /// Set once nothing more will be read that is to be received; boxed, since a program that does not receive has the rest.
    pub(super) end: Option<Box<End>>,
}

/// What becomes of the message in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delivery {
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
pub(super) enum Step<T> {
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
            None => Next::Over(self.take_error::<T>(link)),
        }
    }

    /// The error that it ended with, if that was not told before. What the peer has made of our own Close frame is no error
    /// to who discards all that comes.
    fn take_error<T: Item>(&mut self, link: &mut impl SendSide) -> Option<Error> {
        let end = self.end_mut()?;
        let error = end.error.take()?;
        let answers = T::DISCARDS && end.farewell.is_none() && matches!(error, Error::Protocol(_));
        let silent = answers && link.outbound(|outbound| outbound.sending.has_closed());
        (!silent).then_some(error)
    }

    /// What is to be done of a connection that ends. `None`: nothing is left to do.
    pub(super) fn over(&mut self, link: &mut impl SendSide) -> Option<Act> {
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
        // A read that has waited tells little of when something was sent meanwhile; all else that was done took no time.
        outbound.on_look(if matches!(outcome, Outcome::Read(_)) { now } else { self.now });
        self.now = now;
        let Some(end) = self.rare.as_mut().and_then(|rare| rare.end.as_mut()) else {
            self.answered = false;
            match outcome {
                Outcome::Read(len) => {
                    self.on_read(len, now);
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
        let turn = match &end.farewell {
            _ if !self.receiving.should_close_transport(&outbound.sending) => Turn::Theirs,
            Some(farewell) if !farewell.is_over() => Turn::OursLater,
            _ => Turn::Ours,
        };
        let ending = end.ending.after(&outcome, turn);
        if let (Ending::Flush { .. }, Ending::Await, Some(farewell)) = (end.ending, ending, &mut end.farewell)
        {
            farewell.until = now.checked_add(patience(outbound.sending.close_timeout()));
        }
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let late = passed(outbound.sending.poll_timeout());
        let waited = late || end.farewell.as_ref().is_some_and(|farewell| passed(farewell.until));
        end.ending = match ending {
            // The peer had time enough: both Close frames have passed, or none will be read.
            Ending::Flush { .. } | Ending::Drain if late => Ending::Over,
            Ending::Await if waited => Ending::Shutdown,
            ending => ending,
        };
    }

    /// The error that it ended with is still to be told, to whoever closes it.
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

    /// How far it has ended, if nothing more will be received.
    pub(super) fn ending(&self) -> Option<Ending> {
        Some(self.end_ref()?.ending)
    }

    /// Whether all that was read was received, whole messages, and there is nothing else to think of: what is read next
    /// begins with a frame, and its deadline is no earlier than that of what was read before.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.input.is_empty()
            && self.rare.is_none()
            && self.assembly.as_ref().is_none_or(|assembly| assembly.is_idle())
            && self.receiving.missing() == 0
            && self.delivery == Delivery::Whole
    }

    /// Whether what comes next may have an earlier deadline than what came before.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_pinged(&self) -> bool {
        self.receiving.is_pinged()
    }

    /// So much was read: what [`did`](Self::did) comes to while it is [open](Self::is_open) and nothing is ahead.
    #[inline]
    pub(crate) fn on_read(&mut self, len: usize, now: Instant) {
        self.now = now;
        self.answered = false;
        // Even a peer that never pauses, and sends nothing that is handed out, is left for others.
        self.work(len / 4);
        self.input.on_read(len);
    }

    /// Whether some of what was read is still to be received.
    #[inline]
    pub(crate) fn is_unread(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether some of it was looked at, since the program did not receive.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead().is_some()
    }

    /// When something was last read, or tried to be.
    pub(crate) fn looked(&self) -> Instant {
        self.now
    }

    /// Where to append what is read next; [`did`](Self::did) is to be told how much that is.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let missing = self.missing();
        self.input.room(missing, self.assembly.as_mut().and_then(|assembly| assembly.text()))
    }

    /// The same while it is [calm](Self::is_calm).
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn room_alone(&mut self) -> &mut BytesMut {
        self.input.room_alone()
    }

    /// Gives back what room it made for that, since nothing arrives for now.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn release_alone(&mut self) {
        self.worked = 0;
        self.input.release_alone();
    }

    /// Reads once; [`did`](Self::did) is to be told how much.
    pub(crate) fn fill(&mut self, io: &mut impl io::Read) -> io::Result<usize> {
        let (missing, most) = (self.missing(), self.most());
        let text = self.assembly.as_mut().and_then(|assembly| assembly.text());
        match most {
            None => self.input.fill(io, missing, text),
            Some(most) => self.input.fill(&mut io::Read::by_ref(io).take(most as u64), missing, text),
        }
    }

    /// Reads once, and discards it; [`did`](Self::did) is to be told how much.
    pub(crate) fn discard(&mut self, io: &mut impl io::Read) -> io::Result<usize> {
        let mut discarded = [0; 1024];
        let len = io.read(&mut discarded)?;
        self.on_discarded(discarded.get(..len).unwrap_or_default());
        Ok(len)
    }

    /// This was read, to be discarded.
    pub(crate) fn on_discarded(&mut self, bytes: &[u8]) {
        if let Some(farewell) = self.end_mut().and_then(|end| end.farewell.as_mut()) {
            farewell.look(bytes);
        }
    }

    /// Gives back what memory it can, since nothing arrives for now.
    pub(crate) fn release(&mut self) {
        self.worked = 0;
        self.input.release(self.assembly.as_mut().and_then(|assembly| assembly.text()));
    }

    /// An error was found in what was received.
    #[cold]
    pub(super) fn fail(&mut self, error: ProtocolError, link: &mut impl SendSide) {
        self.receiving.fail();
        if let Some(end) = self.end_mut() {
            // It was failed when this was looked at, or has ended otherwise; if that was after we had closed, what is told of
            // that comes first.
            let closed = end.farewell.is_none() && link.outbound(|outbound| outbound.sending.has_closed());
            if !closed || (end.error.is_none() && !is_of_close_frame(error)) {
                end.error = Some(Error::Protocol(error));
            }
            return;
        }
        let (next_frame, _) = self.receiving.next_frame();
        self.tell_failure(error, next_frame, link);
    }

    /// Tells the peer of an error. The `next_frame` that is not the one at fault, if that was begun, begins there.
    ///
    /// If we have closed before, nothing more can be said. Nor is anybody to be troubled with a Close frame that the peer has
    /// made a mistake in: it is the end, and not a clean one.
    pub(super) fn tell_failure(&mut self, error: ProtocolError, next_frame: u64, link: &mut impl SendSide) {
        if link.outbound(|outbound| outbound.sending.has_closed()) {
            let told = (!is_of_close_frame(error)).then_some(Error::Protocol(error));
            return self.end(told, Ending::Flush { discard: true });
        }
        let now = link.now(self.now);
        link.outbound(|outbound| outbound.fail(error, now));
        let mut farewell = Farewell::new(error, next_frame);
        farewell.look(self.input.unread());
        self.end(Some(Error::Protocol(error)), Ending::Flush { discard: true });
        if let Some(end) = self.end_mut() {
            end.farewell = Some(farewell);
        }
    }

    /// Whether more may be read that is to be received.
    pub(super) fn is_open(&self) -> bool {
        self.end_ref().is_none()
    }

    pub(super) fn end_ref(&self) -> Option<&End> {
        self.rare.as_ref()?.end.as_deref()
    }

    pub(super) fn end_mut(&mut self) -> Option<&mut End> {
        self.rare.as_mut()?.end.as_deref_mut()
    }

    pub(super) fn ahead(&self) -> Option<&Ahead> {
        self.rare.as_ref()?.ahead.as_ref()
    }

    pub(super) fn ahead_mut(&mut self) -> Option<&mut Ahead> {
        self.rare.as_mut()?.ahead.as_mut()
    }

    #[cold]
    pub(super) fn end(&mut self, error: Option<Error>, ending: Ending) {
        self.rare.get_or_insert_default().end = Some(Box::new(End::new(error, ending)));
    }

    /// The transport has ended.
    #[cold]
    pub(super) fn record_end(&mut self, link: &mut impl SendSide) {
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
}

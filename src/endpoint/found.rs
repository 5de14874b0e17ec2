//! What is found in what was read: messages, parts of messages, and control frames.

use core::ops::Range;

use bytes::Bytes;

use super::ahead::Ahead;
use super::assembly::Inflation;
use super::events::{Found, Item, Part};
use super::inbound::{Delivery, Inbound, Step};
use super::outbound::SendSide;
use crate::error::ProtocolError;
use crate::message::{Event, Fragment, Message, MessageKind};

impl Inbound {
    #[inline]
    pub(super) fn whole_message<T: Item>(&mut self) -> Result<Option<T>, ProtocolError> {
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
    pub(super) fn advance<T: Item>(&mut self, link: &mut impl SendSide) -> Result<Step<T>, ProtocolError> {
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
            if self.takes_a_rest() {
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

    /// Whether so much work was done that others are to have their turn.
    pub(super) fn takes_a_rest(&mut self) -> bool {
        let enough = self.worked >= ENOUGH;
        if enough {
            self.worked = 0;
        }
        enough
    }

    /// What the next frame, or part of one, came to, if anything.
    pub(super) fn next_frame(
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
    pub(super) fn data(
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
    pub(super) fn take_unfinished(&mut self) -> Option<Part> {
        let (kind, joined, utf8) = self.assembly.as_mut()?.take_unfinished()?;
        self.receiving.resume_text(utf8);
        Some(self.part(kind, joined, false))
    }

    pub(super) fn part(&mut self, kind: MessageKind, payload: Bytes, last: bool) -> Part {
        let first = self.delivery == Delivery::Whole;
        if self.delivery != Delivery::Discarded {
            self.delivery = if last { Delivery::Whole } else { Delivery::InParts };
        }
        Part { kind, first, last, payload }
    }

    /// How many more bytes to make room for, so that the frame in progress can be handed out whole.
    pub(super) fn missing(&self) -> u64 {
        if self.delivery == Delivery::Whole { self.receiving.missing() } else { 0 }
    }

    /// Inflates some of the fragment that is being inflated, if one is: what that came to, if anything.
    pub(super) fn inflate_next(&mut self, parts: bool) -> Result<Option<Step<Option<Found>>>, ProtocolError> {
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
    pub(super) fn work(&mut self, bytes: usize) {
        self.worked = self.worked.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// How much work to do before others have their turn, in bytes that were inflated, or were to be: some milliseconds.
const ENOUGH: u32 = 256 << 10;

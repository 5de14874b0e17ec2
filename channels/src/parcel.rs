//! A message on its way to members of a topic.

use std::cell::OnceCell;
use std::sync::Arc;

use sansocket::Message;

use crate::audience::Audience;
use crate::connection::{Connection, Dialect};
use crate::frame::{Class, Frame};
use crate::options::TopicOptions;
use crate::outgoing::{Intercepted, To};
use crate::payload::Payload;
use crate::wire::numbered::{Draft, position, stock};

/// A message on its way to members of a topic: made once for all of them, before the topic is locked.
pub(crate) struct Parcel<'a> {
    pub(crate) event: &'a str,
    pub(crate) payload: Payload,
    pub(crate) form: Form,
    pub(crate) audience: &'a Audience,
}

/// What is made of a message before the topic is locked.
pub(crate) enum Form {
    /// A frame, the same for all.
    Whole(Arc<Frame>),
    /// It is part of the topic's history, and takes the next number.
    Draft(Draft),
}

/// The frames of a message that has a number: for each dialect one, which is made when the first asks for it.
pub(crate) struct Numbered<'a> {
    topic: &'a str,
    /// As it is in the extended dialect.
    message: Message,
    pub(crate) offset: u64,
    /// It is sent to all members now, and not one of them what he has missed.
    is_broadcast: bool,
    extended: OnceCell<Arc<Frame>>,
    stock: OnceCell<Arc<Frame>>,
    position: OnceCell<Arc<Frame>>,
}

impl<'a> Numbered<'a> {
    pub(crate) fn new(topic: &'a str, message: Message, offset: u64) -> Self {
        let (extended, stock, position) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { topic, message, offset, is_broadcast: false, extended, stock, position }
    }

    /// One that is sent to all members now.
    pub(crate) fn broadcast(topic: &'a str, message: Message, offset: u64) -> Self {
        Self { is_broadcast: true, ..Self::new(topic, message, offset) }
    }

    /// What a connection is sent: the message, if it is meant; else no more than its number, if it can read that.
    pub(crate) fn of(&self, connection: &Connection, is_meant: bool) -> Option<&Arc<Frame>> {
        let memory = &connection.hub.inner().memory;
        let make = if self.is_broadcast { Frame::broadcast } else { Frame::new };
        let frame = |message| make(message, Class::Reliable, memory);
        Some(match (connection.dialect, is_meant) {
            (Dialect::Extended, true) => self.extended.get_or_init(|| frame(self.message.clone())),
            (Dialect::Extended, false) => self
                .position
                .get_or_init(|| connection.frame(position(self.topic, self.offset), Class::Reliable)),
            (Dialect::Stock, true) => self.stock.get_or_init(|| frame(stock(&self.message, self.offset))),
            (Dialect::Stock, false) => return None,
        })
    }

    /// It is in the queues of those that took it.
    pub(crate) fn handed_over(self) {
        let frames = [self.extended, self.stock].into_iter().filter_map(OnceCell::into_inner);
        frames.for_each(Frame::handed_over);
    }
}

impl Parcel<'_> {
    /// To whom it goes, on a topic with these options.
    pub(crate) fn to(&self, options: &TopicOptions) -> To {
        if !options.intercepts(self.event) {
            return To::All;
        }
        To::Sessions(Arc::new(Intercepted { event: self.event.into(), payload: self.payload.clone() }))
    }
}

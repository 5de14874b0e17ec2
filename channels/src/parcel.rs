//! A message on its way to members of a topic.

use std::cell::OnceCell;
use std::sync::{Arc, Weak};

use sansocket::Message;

use crate::audience::Audience;
use crate::connection::{Connection, Dialect};
use crate::frame::{Class, Frame, Memory};
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
    /// The topic was named, and not found by a pattern: it lives on for that.
    pub(crate) is_named: bool,
}

/// What is made of a message before the topic is locked.
pub(crate) enum Form {
    /// A frame, the same for all.
    Whole(Arc<Frame>),
    /// It is part of the topic's history, and takes the next number.
    Draft(Draft),
}

impl Form {
    /// Of a message that is part of the topic's history, or is not.
    pub(crate) fn of(
        payload: &Payload,
        topic: &str,
        event: &str,
        is_kept: bool,
        class: &Class,
        memory: &Arc<Memory>,
    ) -> Self {
        if is_kept {
            Self::Draft(payload.draft(topic, event))
        } else {
            Self::Whole(Frame::broadcast(payload.message(topic, event), class.clone(), memory))
        }
    }
}

/// The frames of a message that has a number and is sent to all members: one of each shape, made when the first asks for it.
pub(crate) struct Numbered<'a> {
    topic: &'a str,
    /// As it is in the extended dialect.
    message: Message,
    offset: u64,
    frames: [OnceCell<Arc<Frame>>; SHAPES],
}

/// The frames of a message that is kept, while they wait for somebody who has missed it: who misses it, too, is sent the same.
#[derive(Default)]
pub(crate) struct Missed([Weak<Frame>; SHAPES]);

/// What a connection is sent of a message that has a number.
#[derive(Clone, Copy)]
enum Shape {
    Extended,
    Stock,
    /// No more than the number: it is not meant.
    Position,
}

impl<'a> Numbered<'a> {
    pub(crate) fn new(topic: &'a str, message: Message, offset: u64) -> Self {
        Self { topic, message, offset, frames: Default::default() }
    }

    /// What a connection is sent, if it is meant, or not.
    pub(crate) fn of(&self, connection: &Connection, is_meant: bool) -> Option<&Arc<Frame>> {
        let shape = Shape::of(connection, is_meant)?;
        Some(self.frames[shape as usize].get_or_init(|| {
            let message = shape.message(self.topic, &self.message, self.offset);
            match shape {
                Shape::Position => connection.frame(message, Class::Reliable),
                _ => Frame::broadcast(message, Class::Reliable, &connection.hub.inner().memory),
            }
        }))
    }

    /// It is in the queues of those that took it.
    pub(crate) fn handed_over(self) {
        self.frames.into_iter().filter_map(OnceCell::into_inner).for_each(Frame::handed_over);
    }
}

impl Missed {
    /// What a connection is sent of the message, if it is meant, or not.
    pub(crate) fn of(
        &mut self,
        connection: &Connection,
        is_meant: bool,
        topic: &str,
        message: &Message,
        offset: u64,
    ) -> Option<Arc<Frame>> {
        let shape = Shape::of(connection, is_meant)?;
        let waiting = &mut self.0[shape as usize];
        Some(waiting.upgrade().unwrap_or_else(|| {
            let frame = connection.frame(shape.message(topic, message, offset), Class::Reliable);
            *waiting = Arc::downgrade(&frame);
            frame
        }))
    }
}

impl Shape {
    /// The message, if it is meant; else no more than its number, if the connection can read that.
    fn of(connection: &Connection, is_meant: bool) -> Option<Self> {
        match (connection.dialect, is_meant) {
            (Dialect::Extended, true) => Some(Self::Extended),
            (Dialect::Extended, false) => Some(Self::Position),
            (Dialect::Stock, true) => Some(Self::Stock),
            (Dialect::Stock, false) => None,
        }
    }

    /// Of a message that is in the extended dialect.
    fn message(self, topic: &str, message: &Message, offset: u64) -> Message {
        match self {
            Self::Extended => message.clone(),
            Self::Stock => stock(message, offset),
            Self::Position => position(topic, offset),
        }
    }
}

impl Parcel<'_> {
    /// To whom it goes, on a topic with these options.
    pub(crate) fn to(&self, options: &TopicOptions) -> To {
        if !options.intercepts(self.event) {
            return To::All;
        }
        let payload = match &self.form {
            Form::Whole(frame) => self.payload.within(frame.message()),
            Form::Draft(_) => self.payload.clone(),
        };
        To::Sessions(Arc::new(Intercepted { event: self.event.into(), payload }))
    }
}

/// How many shapes there are.
const SHAPES: usize = 3;

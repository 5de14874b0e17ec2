//! What can be sent.

use alloc::boxed::Box;

use super::compressing::{Compressing, begin_compressing, begin_prepared};
use super::outbound::{COMPRESS_APART_FROM, Outbound};
use crate::error::SendError;
use crate::message::{Message, PreparedMessage};

/// What is to be sent, once there is room for it.
pub trait ToSend {
    /// Queues it.
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError>;

    /// Whether it is so large that it is to be compressed apart, if it is to be compressed.
    #[inline]
    fn is_large(&self) -> bool {
        false
    }

    /// Begins to compress it, unless it is to be sent as it is.
    fn begin(self, _: &mut Outbound) -> Result<Result<Box<Compressing>, Self>, SendError>
    where
        Self: Sized,
    {
        Ok(Err(self))
    }
}

impl<F: FnOnce(&mut Outbound) -> Result<(), SendError>> ToSend for F {
    #[inline]
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError> {
        self(outbound)
    }
}

/// Not in a closure, since each message would be moved once more.
impl ToSend for Message {
    #[inline]
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError> {
        outbound.send(self)
    }

    #[inline]
    fn is_large(&self) -> bool {
        self.len() >= COMPRESS_APART_FROM
    }

    fn begin(self, outbound: &mut Outbound) -> Result<Result<Box<Compressing>, Self>, SendError> {
        Ok(match begin_compressing(outbound.sending.sender(), self.len(), None)? {
            Some(deflating) => Ok(Compressing::new(self.kind(), None, self.into_payload(), deflating).into()),
            None => Err(self),
        })
    }
}

impl ToSend for &PreparedMessage {
    #[inline]
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError> {
        outbound.send_prepared(self)
    }

    #[inline]
    fn is_large(&self) -> bool {
        self.payload().len() >= COMPRESS_APART_FROM
    }

    fn begin(self, outbound: &mut Outbound) -> Result<Result<Box<Compressing>, Self>, SendError> {
        let begun = begin_prepared(outbound.sending.sender(), self)?;
        Ok(begun.map_or(Err(self), |compressing| Ok(compressing.into())))
    }
}

/// What can be sent: what can be made a [`Message`], or a `&`[`PreparedMessage`].
pub trait Sendable: sealed::Sendable {}

impl<T: sealed::Sendable> Sendable for T {}

mod sealed {
    use super::{Message, PreparedMessage, ToSend};

    pub trait Sendable {
        type ToSend: ToSend;

        fn to_send(self) -> Self::ToSend;
    }

    impl<M: Into<Message>> Sendable for M {
        type ToSend = Message;

        #[inline]
        fn to_send(self) -> Message {
            self.into()
        }
    }

    impl Sendable for &PreparedMessage {
        type ToSend = Self;

        fn to_send(self) -> Self {
            self
        }
    }
}

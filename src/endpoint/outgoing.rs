//! What is on its way to be queued, and may have to be compressed before.

use alloc::boxed::Box;

use bytes::Bytes;

use super::aside::PART_BYTES;
pub(crate) use super::compressing::Compressing;
use super::compressing::begin_compressing;
use super::error::Error;
use super::outbound::{COMPRESS_APART_FROM, Outbound, SendSide};
use super::sendable::ToSend;
use crate::error::SendError;
use crate::message::MessageKind;

/// What is to be sent. A large message that is to be compressed is [begun](Outbound::begin), then compressed
/// [step by step](Compressing::step), without the connection, and queued when that is done. Dropped before, it is not
/// sent.
#[derive(Debug)]
pub(crate) enum Outgoing<M> {
    /// `None`: it was queued.
    AsItIs(Option<M>),
    /// The same.
    Compressing(Begun),
}

/// What was begun to be compressed: a type of its own, since it is so seldom there that what drops it is to be kept out
/// of where each message is dropped. (12 instructions a message.)
#[derive(Debug)]
pub(crate) struct Begun(pub(crate) Option<Box<Compressing>>);

impl Drop for Begun {
    #[inline]
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            drop_begun(begun);
        }
    }
}

#[cold]
#[inline(never)]
fn drop_begun(begun: Box<Compressing>) {
    drop(begun);
}

impl<M: ToSend> Outgoing<M> {
    #[inline]
    pub(crate) fn new(message: M) -> Self {
        Self::AsItIs(Some(message))
    }

    /// The message, if there is no more to do with it than to queue it.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn small(&mut self) -> Option<&mut Option<M>> {
        match self {
            Self::AsItIs(message) if !message.as_ref().is_some_and(ToSend::is_large) => Some(message),
            Self::AsItIs(_) | Self::Compressing(_) => None,
        }
    }
}

impl ToSend for Box<Compressing> {
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError> {
        outbound.send_compressing(*self)
    }
}

impl Outbound {
    /// Begins to compress `message`, unless it is to be sent as it is.
    pub(crate) fn begin<M: ToSend>(&mut self, message: M) -> Result<Outgoing<M>, Error> {
        if self.has_lost() {
            // Why not, queueing it tells.
            return Ok(Outgoing::new(message));
        }
        let begun = self.queue(|outbound| message.begin(outbound))?;
        Ok(begun.map_or_else(Outgoing::new, |begun| Outgoing::Compressing(Begun(Some(begun)))))
    }
}

#[cfg(feature = "tokio")]
impl Outbound {
    /// Queues a message, or sets it aside, to be compressed before anything else is queued.
    pub(crate) fn queue_or_set_aside(&mut self, message: impl ToSend) -> Result<(), Error> {
        if !message.is_large() {
            return self.queue(|outbound| message.queue(outbound));
        }
        match self.begin(message)? {
            Outgoing::AsItIs(message) => {
                message.map_or(Ok(()), |message| self.queue(|this| message.queue(this)))
            }
            Outgoing::Compressing(mut begun) => {
                if let Some(compressing) = begun.0.take() {
                    self.set_aside(*compressing);
                }
                Ok(())
            }
        }
    }
}

/// What is written to the writer of a message.
impl Outbound {
    /// Keeps `bytes` that were written of a message, to be sent with what is written behind them, or before anything else is
    /// queued. False if they are to be queued: they are many, or too many behind what was gathered, or are not to be sent.
    pub(crate) fn gather(&mut self, kind: MessageKind, bytes: &[u8]) -> bool {
        if !self.is_open() || bytes.len() > PART_BYTES {
            return false;
        }
        let sender = self.sending.sender();
        let sent = sender.message_of(kind, sender.compresses(bytes.len()));
        let gathered = sent.is_ok_and(|sent| self.aside.gather(sent, bytes));
        self.note_aside();
        gathered
    }

    /// What is being gathered.
    pub(crate) fn gathers(&self) -> Option<MessageKind> {
        self.aside.gathers()
    }

    /// Takes what was gathered, to queue it as a part.
    pub(crate) fn take_gathered(&mut self) -> Option<(MessageKind, Bytes)> {
        let gathered = self.aside.take_gathered();
        self.note_aside();
        gathered
    }
}

/// Compresses a large message, if it is to be compressed, all at once; the connection is free meanwhile. `send` is given
/// what to queue then.
pub(crate) fn compressed<M: ToSend, L: SendSide, T>(
    message: M,
    mut link: L,
    send: impl FnOnce(&mut dyn FnMut(&mut Outbound) -> Result<(), SendError>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut outgoing = link.outbound(|outbound| outbound.begin(message))?;
    if let Outgoing::Compressing(Begun(Some(compressing))) = &mut outgoing {
        while !compressing.step() {}
    }
    send(&mut |outbound| match &mut outgoing {
        Outgoing::AsItIs(message) => message.take().map_or(Ok(()), |message| message.queue(outbound)),
        Outgoing::Compressing(Begun(message)) => {
            message.take().map_or(Ok(()), |message| message.queue(outbound))
        }
    })
}

/// Queues `message`, if there is room for it.
#[inline]
pub(crate) fn try_feed<L: SendSide + Copy>(message: impl ToSend, mut link: L) -> Result<bool, Error> {
    if !message.is_large() {
        return link.outbound(|outbound| outbound.try_queue(|outbound| message.queue(outbound)));
    }
    if !link.outbound(|outbound| outbound.has_room()) {
        return Ok(false);
    }
    compressed(message, link, |queue| link.outbound(|outbound| outbound.try_queue(queue)))
}

/// A part of a message.
#[derive(Debug)]
pub(crate) struct PartToSend {
    pub(crate) kind: MessageKind,
    pub(crate) payload: Bytes,
    pub(crate) last: bool,
}

impl PartToSend {
    /// What was [gathered](Outbound::gather) of a message, if anything was.
    pub(crate) fn gathered(outbound: &mut Outbound) -> Option<Self> {
        outbound.take_gathered().map(|(kind, payload)| Self { kind, payload, last: false })
    }

    /// The last part of a message, with what was gathered of it.
    pub(crate) fn last(kind: MessageKind, outbound: &mut Outbound) -> Self {
        let mut part = Self { kind, payload: Bytes::new(), last: true };
        // Of another kind it is in the way, which queueing tells.
        if outbound.gathers() == Some(kind) {
            part.payload = outbound.take_gathered().map_or_else(Bytes::new, |(_, bytes)| bytes);
        }
        part
    }
}

impl ToSend for PartToSend {
    fn queue(self, outbound: &mut Outbound) -> Result<(), SendError> {
        outbound.send_part(self.kind, self.payload, self.last)
    }

    fn is_large(&self) -> bool {
        self.payload.len() >= COMPRESS_APART_FROM
    }

    fn begin(self, outbound: &mut Outbound) -> Result<Result<Box<Compressing>, Self>, SendError> {
        let (sender, part) = (outbound.sending.sender(), Some(self.last));
        let Some(deflating) = begin_compressing(sender, self.payload.len(), part)? else {
            return Ok(Err(self));
        };
        // Whoever sends it is told now: another may be the next who queues something.
        sender.message_of(self.kind, true)?.add(&self.payload, self.last)?;
        Ok(Ok(Compressing::new(self.kind, part, self.payload, deflating).into()))
    }
}

//! What was given to be sent, and is still to become a frame before anything else is queued.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::compressing::Compressing;
use crate::message::{Fragmented, MessageKind};

/// What was set aside; boxed, since most of the time there is nothing.
#[derive(Debug, Default)]
pub(super) struct SetAside(Option<Box<Aside>>);

#[derive(Debug)]
enum Aside {
    /// A message that is still to be compressed.
    Compressing(Compressing),
    /// The beginning of a part of a message, of at most [`PART_BYTES`], written in small pieces: each fragment has a header,
    /// is looked at by itself, and counts for a peer's limit. With the message so far.
    Gathered(Fragmented, Vec<u8>),
}

impl SetAside {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a message ends with it.
    pub(super) fn ends_message(&self) -> bool {
        matches!(self.0.as_deref(), Some(Aside::Compressing(compressing)) if compressing.ends_message())
    }

    #[cfg(feature = "tokio")]
    pub(super) fn compress(&mut self, compressing: Compressing) {
        self.0 = Some(Box::new(Aside::Compressing(compressing)));
    }

    /// Takes what is to be compressed, to go on with that.
    pub(super) fn take_compressing(&mut self) -> Option<Compressing> {
        match *self.0.take_if(|aside| matches!(**aside, Aside::Compressing(_)))? {
            Aside::Compressing(compressing) => Some(compressing),
            Aside::Gathered(..) => None,
        }
    }

    /// Adds `bytes` to what was gathered behind what was sent of the message. False if they are to be sent as a part
    /// themselves, behind it: they are too many, not of the same message, or text that cannot be valid.
    pub(super) fn gather(&mut self, mut sent: Fragmented, bytes: &[u8]) -> bool {
        let Some(aside) = self.0.as_deref_mut() else {
            let begins = sent.add(bytes, false).is_ok();
            self.0 = begins.then(|| Box::new(Aside::Gathered(sent, bytes.into())));
            return begins;
        };
        let Aside::Gathered(message, gathered) = aside else {
            return false;
        };
        let mut with = message.clone();
        let goes_on = with.kind == sent.kind
            && gathered.len() + bytes.len() <= PART_BYTES
            && with.add(bytes, false).is_ok();
        if goes_on {
            *message = with;
            gathered.extend_from_slice(bytes);
        }
        goes_on
    }

    /// What is being gathered.
    pub(super) fn gathers(&self) -> Option<MessageKind> {
        match self.0.as_deref()? {
            Aside::Gathered(message, _) => Some(message.kind),
            Aside::Compressing(_) => None,
        }
    }

    /// Takes what was gathered.
    pub(super) fn take_gathered(&mut self) -> Option<(MessageKind, Bytes)> {
        match *self.0.take_if(|aside| matches!(**aside, Aside::Gathered(..)))? {
            Aside::Gathered(message, bytes) => Some((message.kind, bytes.into())),
            Aside::Compressing(_) => None,
        }
    }
}

/// More need not be gathered: beside so many bytes a frame's header, and its write, cost next to nothing.
pub(super) const PART_BYTES: usize = 16 << 10;

//! What was given to be sent, and is still to become a frame before anything else is queued.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::compressing::Compressing;
use crate::message::MessageKind;

/// What was set aside; boxed, since most of the time there is nothing.
#[derive(Debug, Default)]
pub(super) struct SetAside(Option<Box<Aside>>);

#[derive(Debug)]
enum Aside {
    /// A message that is still to be compressed.
    Compressing(Compressing),
    /// The beginning of a part of a message, of at most [`PART_BYTES`], written in small pieces: each fragment has a header,
    /// is looked at by itself, and counts for a peer's limit.
    Gathered(MessageKind, Vec<u8>),
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

    /// Adds `bytes` to what was gathered. False if they are to be sent as a part themselves, behind it: they are too many, or
    /// not of the same message.
    pub(super) fn gather(&mut self, kind: MessageKind, bytes: &[u8]) -> bool {
        let gathered = self.0.get_or_insert_with(|| Box::new(Aside::Gathered(kind, Vec::new())));
        match &mut **gathered {
            Aside::Gathered(of, gathered) if *of == kind && gathered.len() + bytes.len() <= PART_BYTES => {
                gathered.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    /// What is being gathered.
    pub(super) fn gathers(&self) -> Option<MessageKind> {
        match self.0.as_deref()? {
            Aside::Gathered(kind, _) => Some(*kind),
            Aside::Compressing(_) => None,
        }
    }

    /// Takes what was gathered.
    pub(super) fn take_gathered(&mut self) -> Option<(MessageKind, Bytes)> {
        match *self.0.take_if(|aside| matches!(**aside, Aside::Gathered(..)))? {
            Aside::Gathered(kind, bytes) => Some((kind, bytes.into())),
            Aside::Compressing(_) => None,
        }
    }
}

/// More need not be gathered: beside so many bytes a frame's header, and its write, cost next to nothing.
pub(super) const PART_BYTES: usize = 16 << 10;

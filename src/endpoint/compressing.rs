//! A message that is compressed while its connection does other things.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::error::SendError;
use crate::extension::{Deflater, Deflating};
use crate::frame::{FrameHeader, Opcode};
use crate::message::MessageKind;
use crate::sender::Sender;

/// A message, or a part of one, that is being compressed: step by step, since a large one takes seconds, and apart from
/// the connection that sends it, which answers its peer meanwhile. If it is dropped, it was not sent.
pub struct Compressing {
    kind: MessageKind,
    /// Of a part of a message: whether it is the last.
    part: Option<bool>,
    payload: Bytes,
    deflating: Deflating,
}

impl Compressing {
    pub(super) fn new(kind: MessageKind, part: Option<bool>, payload: Bytes, deflating: Deflating) -> Self {
        Self { kind, part, payload, deflating }
    }

    /// Compresses some of it; true when all of it was. Others are to have their turn before the next step.
    pub(crate) fn step(&mut self) -> bool {
        self.deflating.step(&self.payload)
    }

    /// All of it was compressed: the header of its frame, and either its compressed payload, or its own.
    pub(super) fn end(self, sender: &mut Sender) -> Result<(FrameHeader, Result<Vec<u8>, Bytes>), SendError> {
        let Self { kind, part, payload, deflating } = self;
        let opcode = match part {
            Some(last) => sender.next_fragment(kind, &payload, last, true)?,
            None => sender.check_between_messages().map(|()| kind.opcode())?,
        };
        let (first, last) = (opcode != Opcode::Continuation, part.unwrap_or(true));
        let compressed =
            sender.deflater().and_then(|deflater| deflater.end(deflating, &payload, first, last));
        let header = sender.compressed_header(opcode, compressed.as_deref(), &payload, last);
        Ok((header, compressed.ok_or(payload)))
    }
}

/// Begins to compress a message of `len` bytes, or a part of one, the last or not. `None`: it is sent as it is.
pub(super) fn begin_compressing(
    sender: &mut Sender,
    len: usize,
    part: Option<bool>,
) -> Result<Option<Deflating>, SendError> {
    if part.is_some() { sender.check_open() } else { sender.check_between_messages() }?;
    Ok(if sender.compresses(len) { sender.deflater().map(Deflater::begin) } else { None })
}

impl fmt::Debug for Compressing {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressing")
            .field("kind", &self.kind)
            .field("len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

//! A message that is compressed while its connection does other things.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::error::SendError;
use crate::extension::{CompressorKind, Deflater, Deflating};
use crate::frame::{FrameHeader, Opcode};
use crate::message::{MessageKind, PreparedMessage};
use crate::sender::Sender;

/// A message, or a part of one, that is being compressed: step by step, since a large one takes seconds, and apart from
/// the connection that sends it, which answers its peer meanwhile. If it is dropped, it was not sent.
pub struct Compressing(Work);

enum Work {
    Own {
        kind: MessageKind,
        /// Of a part of a message: whether it is the last.
        part: Option<bool>,
        payload: Bytes,
        deflating: Deflating,
    },
    /// For all connections that are sent the same, by whichever goes on with it.
    Shared(PreparedMessage, CompressorKind),
}

/// What was compressed, to be queued.
pub(super) enum Compressed {
    /// The header of its frame, and either its compressed payload, or its own.
    Own(FrameHeader, Result<Vec<u8>, Bytes>),
    Shared(PreparedMessage),
}

impl Compressing {
    pub(super) fn new(kind: MessageKind, part: Option<bool>, payload: Bytes, deflating: Deflating) -> Self {
        Self(Work::Own { kind, part, payload, deflating })
    }

    /// Compresses some of it; true when all of it was. Others are to have their turn before the next step.
    pub(crate) fn step(&mut self) -> bool {
        match &mut self.0 {
            Work::Own { payload, deflating, .. } => deflating.step(payload),
            Work::Shared(message, kind) => message.compress_step(*kind).unwrap_or(true),
        }
    }

    /// Whether it is a whole message, or the last part of one.
    pub(super) fn ends_message(&self) -> bool {
        !matches!(self.0, Work::Own { part: Some(false), .. })
    }

    /// All of it was compressed.
    pub(super) fn end(self, sender: &mut Sender) -> Result<Compressed, SendError> {
        let (kind, part, payload, deflating) = match self.0 {
            Work::Own { kind, part, payload, deflating } => (kind, part, payload, deflating),
            Work::Shared(message, _) => return Ok(Compressed::Shared(message)),
        };
        let opcode = match part {
            Some(last) => sender.next_fragment(kind, &payload, last, true)?,
            None => sender.check_between_messages().map(|()| kind.opcode())?,
        };
        let (first, last) = (opcode != Opcode::Continuation, part.unwrap_or(true));
        let compressed =
            sender.deflater().and_then(|deflater| deflater.end(deflating, &payload, first, last));
        let header = sender.compressed_header(opcode, compressed.as_deref(), &payload, last);
        Ok(Compressed::Own(header, compressed.ok_or(payload)))
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

/// The same for a message that was prepared for many connections: those that can share what it is compressed to compress it
/// together.
pub(super) fn begin_prepared(
    sender: &mut Sender,
    message: &PreparedMessage,
) -> Result<Option<Compressing>, SendError> {
    let len = message.payload().len();
    if let Some(kind) = sender.shared_compressor(len)
        && let Some(done) = message.is_compressed(kind)
    {
        sender.check_between_messages()?;
        return Ok((!done).then(|| Compressing(Work::Shared(message.clone(), kind))));
    }
    let begun = begin_compressing(sender, len, None)?;
    Ok(begun.map(|deflating| Compressing::new(message.kind(), None, message.shared_payload(), deflating)))
}

impl fmt::Debug for Compressing {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, len) = match &self.0 {
            Work::Own { kind, payload, .. } => (*kind, payload.len()),
            Work::Shared(message, _) => (message.kind(), message.payload().len()),
        };
        f.debug_struct("Compressing").field("kind", &kind).field("len", &len).finish_non_exhaustive()
    }
}

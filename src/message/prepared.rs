//! A message that is framed once, for all to whom it is sent.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::{Message, MessageKind};
use crate::extension::{CompressedOnce, CompressorKind};
use crate::frame::FrameHeader;

/// A message with the header of its frame before it: made once, and sent on any number of connections. Cheap
/// to clone: it shares its bytes.
///
/// A server's connections send the frame as it is, and all of them the same bytes. So do those that compress without
/// context takeover, as with `Deflate::shared_compressor`: the first one compresses the message for all whose level and
/// window are the same. A client masks each frame with a key of its own, and a connection with context takeover has a window
/// of its own: they frame the message for themselves.
///
/// ```
/// use sansocket::{Config, PreparedMessage, Sender};
///
/// let news = PreparedMessage::new("Hello");
/// for _subscriber in 0..3 {
///     let mut sender = Sender::server(&Config::default());
///     let mut out = Vec::new();
///     sender.prepared(&news, &mut out)?;
///     assert_eq!(out, b"\x81\x05Hello");
/// }
/// # Ok::<(), sansocket::SendError>(())
/// ```
#[derive(Clone)]
pub struct PreparedMessage(Arc<Prepared>);

struct Prepared {
    kind: MessageKind,
    /// A whole message in one frame, unmasked.
    frame: Bytes,
    /// Where the payload begins in `frame`.
    header_len: usize,
    /// The same, compressed: frames, too.
    compressed: CompressedOnce,
}

impl PreparedMessage {
    /// Frames a message. Its payload is copied behind the header.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let (kind, payload) = (message.kind(), message.payload());
        let frame = frame(kind, payload, false);
        let header_len = frame.len() - payload.len();
        Self(Arc::new(Prepared { kind, frame, header_len, compressed: CompressedOnce::default() }))
    }

    /// Whether the message is text or binary.
    #[inline]
    pub fn kind(&self) -> MessageKind {
        self.0.kind
    }

    /// The payload, text or not.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header_len..]
    }

    /// All of the frame.
    #[inline]
    pub(crate) fn frame(&self) -> &Bytes {
        &self.0.frame
    }

    /// The payload, without a copy.
    pub fn shared_payload(&self) -> Bytes {
        self.0.frame.slice(self.0.header_len..)
    }

    /// Whether all of it was compressed with a compressor of this kind. `None`: there are too many kinds, and each connection
    /// is to compress for itself.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn is_compressed(&self, kind: CompressorKind) -> Option<bool> {
        Some(self.0.compressed.form(kind)?.is_done())
    }

    /// Compresses some of it with a compressor of this kind, for all who have one; true when all of it was, by whomever.
    /// `None`: as above.
    pub(crate) fn compress_step(&self, kind: CompressorKind) -> Option<bool> {
        let form = self.0.compressed.form(kind)?;
        Some(form.step(self.payload(), |compressed| frame(self.kind(), compressed, true)))
    }

    /// The frame that is sent by those with a compressor of this kind: compressed, if that gains anything.
    pub(crate) fn compressed_frame(&self, kind: CompressorKind) -> Option<&Bytes> {
        while !self.compress_step(kind)? {}
        let compressed = self.0.compressed.form(kind)?.get();
        Some(compressed.unwrap_or(&self.0.frame))
    }
}

fn frame(kind: MessageKind, payload: &[u8], compressed: bool) -> Bytes {
    let header = FrameHeader {
        fin: true,
        rsv1: compressed,
        opcode: kind.opcode(),
        masking_key: None,
        payload_len: payload.len() as u64,
    };
    let mut frame = Vec::new();
    header.append_frame(payload, &mut frame);
    frame.into()
}

impl fmt::Debug for PreparedMessage {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.payload().len();
        f.debug_struct("PreparedMessage")
            .field("kind", &self.kind())
            .field("len", &len)
            .finish_non_exhaustive()
    }
}

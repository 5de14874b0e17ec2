//! A message that is framed once, for all to whom it is sent.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::{Message, MessageKind};
use crate::frame::FrameHeader;

/// A message with the header of its frame before it: made once, and sent on any number of connections. Cheap
/// to clone: it shares its bytes.
///
/// A server's connections send the frame as it is, and all of them the same bytes. A client masks each frame
/// with a key of its own, and a connection that compresses has a window of its own: they frame the message
/// for themselves.
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
pub struct PreparedMessage {
    kind: MessageKind,
    /// A whole message in one frame, unmasked.
    frame: Bytes,
    /// Where the payload begins in `frame`.
    header_len: usize,
}

impl PreparedMessage {
    /// Frames a message. Its payload is copied behind the header.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let (kind, payload) = (message.kind(), message.payload());
        let header = FrameHeader {
            fin: true,
            rsv1: false,
            opcode: kind.opcode(),
            masking_key: None,
            payload_len: payload.len() as u64,
        };
        let mut frame = Vec::new();
        header.append_frame(payload, &mut frame);
        Self { kind, header_len: frame.len() - payload.len(), frame: frame.into() }
    }

    /// Whether the message is text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The payload, text or not.
    pub fn payload(&self) -> &[u8] {
        &self.frame[self.header_len..]
    }

    /// All of the frame.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The payload, without a copy.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn shared_payload(&self) -> Bytes {
        self.frame.slice(self.header_len..)
    }
}

impl fmt::Debug for PreparedMessage {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.payload().len();
        f.debug_struct("PreparedMessage").field("kind", &self.kind).field("len", &len).finish_non_exhaustive()
    }
}

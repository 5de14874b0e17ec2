//! Frames (RFC 6455 section 5.2): the header, its opcode, masking, and the payload of a Close frame.
//!
//! Pure functions over bytes; no state, no I/O. What a *sequence* of frames means is
//! [`Receiver`](crate::Receiver)'s and [`Sender`](crate::Sender)'s business.

mod close;
mod header;
mod mask;

pub use close::{CloseCode, CloseFrame, OwnedCloseFrame};
pub use header::{EncodedHeader, FrameHeader};
pub use mask::MaskingKey;
pub(crate) use mask::keys::MaskingKeys;

use crate::error::ProtocolError;

/// What a frame is for (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what the RFC defines; others are refused")]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message in progress.
    Continuation = 0x0,
    /// The only, or first, fragment of a text message.
    Text = 0x1,
    /// The only, or first, fragment of a binary message.
    Binary = 0x2,
    /// Starts, or answers, the closing handshake.
    Close = 0x8,
    /// Asks for a Pong.
    Ping = 0x9,
    /// Answers a Ping, or says unasked that this endpoint is alive.
    Pong = 0xa,
}

impl Opcode {
    /// "Control frames are identified by opcodes where the most significant bit of the opcode is 1"
    /// (RFC 6455 section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl TryFrom<u8> for Opcode {
    type Error = ProtocolError;

    /// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_"
    /// (6455-5.2-04).
    fn try_from(nibble: u8) -> Result<Self, ProtocolError> {
        Ok(match nibble {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            reserved => return Err(ProtocolError::ReservedOpcode(reserved)),
        })
    }
}

/// "All control frames MUST have a payload length of 125 bytes or less" (6455-5.5-01).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The payload of a control frame, inline: holding one back allocates nothing.
#[derive(Clone, Copy)]
pub(crate) struct ControlPayload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    /// At most [`MAX_CONTROL_PAYLOAD`].
    len: u8,
}

impl ControlPayload {
    /// `None` when `parts` together exceed [`MAX_CONTROL_PAYLOAD`].
    pub(crate) fn new(parts: &[&[u8]]) -> Option<Self> {
        let mut payload = Self { bytes: [0; MAX_CONTROL_PAYLOAD], len: 0 };
        for part in parts {
            let start = usize::from(payload.len);
            payload.bytes.get_mut(start..start + part.len())?.copy_from_slice(part);
            payload.len += u8::try_from(part.len()).ok()?;
        }
        Some(payload)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

impl core::fmt::Debug for ControlPayload {
    /// Keeps payloads out of logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlPayload").field("len", &self.len).finish_non_exhaustive()
    }
}

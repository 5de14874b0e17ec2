//! Close codes and the payload of a Close frame (RFC 6455 sections 5.5.1, 7.1.5, 7.1.6 and 7.4).

use core::fmt;

use super::ControlPayload;
use crate::error::{ProtocolError, SendError};
use crate::utf8::Utf8Bytes;

/// A status code that says why a connection is closed (RFC 6455 section 7.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: never on the wire; stands for a Close frame that had no code.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// 1006: never on the wire; stands for a transport that ended without a Close frame.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// 1007: data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD_DATA: Self = Self(1007);
    /// 1008: a message broke the endpoint's policy, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition kept the endpoint from fulfilling the request.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (registered with IANA after RFC 6455).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (registered with IANA after RFC 6455).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid response (registered with IANA after RFC 6455).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// A code from its number. Any number is a code here; [`Self::is_allowed_on_the_wire`] says
    /// whether a Close frame may carry it.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a Close frame may carry this code, in either direction: 1000-1003, 1007-1014, and 3000-4999.
    ///
    /// 1004 is reserved; 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame by an
    /// endpoint" (6455-7.4.1-04, 6455-7.4.1-05, 6455-7.4.1-12); the rest of 1000-2999 is reserved for future
    /// versions (section 7.4.2).
    pub const fn is_allowed_on_the_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake failed",
            3000..=3999 => "library",
            4000..=4999 => "private",
            _ => "reserved",
        };
        write!(f, "{} ({name})", self.0)
    }
}

/// What a Close frame says: "the first two bytes of the body MUST be a 2-byte unsigned integer (in network
/// byte order) representing a status code" (6455-5.5.1-02), then "UTF-8-encoded data with value /reason/"
/// (6455-5.5.1-03).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what the RFC defines")]
pub struct CloseFrame<'a> {
    /// Why the connection is closed.
    pub code: CloseCode,
    /// The reason in words, for debugging; at most [`Self::MAX_REASON`] bytes.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason in bytes: a control frame's 125, less the code's 2.
    pub const MAX_REASON: usize = super::MAX_CONTROL_PAYLOAD - 2;

    /// The same, with a reason of its own.
    pub fn into_owned(self) -> OwnedCloseFrame {
        self.into()
    }

    /// Reads an unmasked payload; `None` when it is empty, which is a Close frame without a code.
    ///
    /// Fails if the payload is one byte, if the code must not be on the wire, and if the reason is not UTF-8: that error
    /// has the code.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((&code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() { Ok(None) } else { Err(ProtocolError::TruncatedCloseCode) };
        };
        let code = CloseCode(u16::from_be_bytes(code));
        if !code.is_allowed_on_the_wire() {
            return Err(ProtocolError::InvalidCloseCode(code));
        }
        match core::str::from_utf8(reason) {
            Ok(reason) => Ok(Some(Self { code, reason })),
            Err(_) => Err(ProtocolError::InvalidCloseReason(code)),
        }
    }

    /// The payload, if the code may be sent and the reason is not too long.
    pub(crate) fn encode(&self) -> Result<ControlPayload, SendError> {
        if !self.code.is_allowed_on_the_wire() {
            return Err(SendError::InvalidCloseCode(self.code));
        }
        ControlPayload::new(&[&self.code.0.to_be_bytes(), self.reason.as_bytes()])
            .ok_or(SendError::CloseReasonTooLong)
    }
}

/// A [`CloseFrame`] that owns its reason: to be kept, or sent to another task or thread. Cheap to clone.
///
/// ```
/// use sansocket::{CloseCode, CloseFrame, OwnedCloseFrame};
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// sender.send(OwnedCloseFrame::new(CloseCode::GOING_AWAY, "the game is over"))?;
/// let close = receiver.recv()?;
/// // Whoever has the WebSocket: `ws.start_close(Some(close.as_frame()))`, or `ws.close(close.code, &close.reason)`.
/// assert_eq!(close.as_frame(), CloseFrame { code: CloseCode::GOING_AWAY, reason: "the game is over" });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what the RFC defines")]
pub struct OwnedCloseFrame {
    /// Why the connection is closed.
    pub code: CloseCode,
    /// The reason in words, for debugging; one that is longer than [`CloseFrame::MAX_REASON`] bytes cannot be sent.
    pub reason: Utf8Bytes,
}

impl OwnedCloseFrame {
    /// A close frame; the reason may be empty.
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The same, with a reason that is borrowed: what is sent.
    pub fn as_frame(&self) -> CloseFrame<'_> {
        CloseFrame { code: self.code, reason: &self.reason }
    }
}

impl From<CloseFrame<'_>> for OwnedCloseFrame {
    fn from(close: CloseFrame<'_>) -> Self {
        Self::new(close.code, close.reason)
    }
}

impl<'a> From<&'a OwnedCloseFrame> for CloseFrame<'a> {
    fn from(close: &'a OwnedCloseFrame) -> Self {
        close.as_frame()
    }
}

//! What can go wrong, and whose fault it is: the peer's ([`ProtocolError`]), the caller's
//! ([`SendError`]), or time's ([`TimedOut`]).
//!
//! What an error means on the wire is a function of the error: [`ProtocolError::close_code`].

use core::fmt;

use crate::frame::CloseCode;
use crate::utf8::InvalidUtf8;

/// The peer broke RFC 6455, or went beyond a limit: the connection is failed (section 7.1.7).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProtocolError {
    /// A continuation frame with no message in progress (section 5.4).
    ContinuationWithoutMessage,
    /// A control frame with a payload above 125 bytes (section 5.5).
    ControlFrameTooLong,
    /// A control frame without FIN (section 5.5).
    FragmentedControlFrame,
    /// A frame above [`Config::max_frame_size`](crate::Config::max_frame_size) (section 10.4).
    FrameTooBig,
    /// A Close frame with a code that must not be on the wire (section 7.4).
    InvalidCloseCode(CloseCode),
    /// A Close frame whose reason is not UTF-8 (section 8.1), such as one that was cut inside a character. The code that
    /// stood before it is here, and tells why the peer closes: it is what section 7.1.5 calls the connection's close
    /// code. The frame is no part of a closing handshake, so [`Closed`](crate::Closed) says 1006, as for all that fails.
    InvalidCloseReason(CloseCode),
    /// A compressed message that cannot be inflated (RFC 7692 section 7.2.2).
    InvalidCompressedData,
    /// Text that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A 64-bit length whose most significant bit is set (section 5.2).
    LengthTooLarge,
    /// A masked frame from a server (section 5.1).
    MaskedFrameFromServer,
    /// A new data frame while a fragmented message is in progress (section 5.4).
    MessageInProgress,
    /// A message above [`Config::max_message_size`](crate::Config::max_message_size) (section 10.4).
    MessageTooBig,
    /// A length that is not in its minimal form (section 5.2).
    NonMinimalLength,
    /// RSV1, RSV2 or RSV3 without an extension that defines it (section 5.2).
    ReservedBitSet,
    /// An opcode that is not defined (section 5.2).
    ReservedOpcode(u8),
    /// More fragments in a message than [`Config::max_fragments`](crate::Config::max_fragments).
    TooManyFragments,
    /// A Close frame with a payload of one byte (section 5.5.1).
    TruncatedCloseCode,
    /// An unmasked frame from a client (section 5.1). Caddy 2.6 writes such a Close frame when it reloads its configuration.
    UnmaskedFrameFromClient,
}

impl ProtocolError {
    /// The code of the Close frame that reports this error to the peer.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidCloseReason(_) | Self::InvalidCompressedData | Self::InvalidUtf8 => {
                CloseCode::INVALID_PAYLOAD_DATA
            }
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments => CloseCode::POLICY_VIOLATION,
            Self::ContinuationWithoutMessage
            | Self::ControlFrameTooLong
            | Self::FragmentedControlFrame
            | Self::InvalidCloseCode(_)
            | Self::LengthTooLarge
            | Self::MaskedFrameFromServer
            | Self::MessageInProgress
            | Self::NonMinimalLength
            | Self::ReservedBitSet
            | Self::ReservedOpcode(_)
            | Self::TruncatedCloseCode
            | Self::UnmaskedFrameFromClient => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The rule that was broken, in words that fit a Close frame's reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ContinuationWithoutMessage => "a continuation frame came with no message in progress",
            Self::ControlFrameTooLong => "a control frame's payload is longer than 125 bytes",
            Self::FragmentedControlFrame => "a control frame is fragmented",
            Self::FrameTooBig => "a frame is larger than the limit",
            Self::InvalidCloseCode(_) => "a Close frame's code must not be on the wire",
            Self::InvalidCloseReason(_) => "a Close frame's reason is not valid UTF-8",
            Self::InvalidCompressedData => "a compressed message cannot be inflated",
            Self::InvalidUtf8 => "text is not valid UTF-8",
            Self::LengthTooLarge => "a frame's length has its most significant bit set",
            Self::MaskedFrameFromServer => "a frame from the server is masked",
            Self::MessageInProgress => "a new message began inside a fragmented one",
            Self::MessageTooBig => "a message is larger than the limit",
            Self::NonMinimalLength => "a frame's length is not in its minimal form",
            Self::ReservedBitSet => "a reserved bit is set that no extension defines",
            Self::ReservedOpcode(_) => "a frame's opcode is not defined",
            Self::TooManyFragments => "a message has more fragments than the limit",
            Self::TruncatedCloseCode => "a Close frame's payload is one byte long",
            Self::UnmaskedFrameFromClient => "a frame from the client is not masked",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer broke the WebSocket protocol: {}", self.reason())?;
        match self {
            Self::InvalidCloseCode(code) => write!(f, ": {code}"),
            Self::InvalidCloseReason(code) => write!(f, ", behind the code {code}"),
            Self::ReservedOpcode(opcode) => write!(f, ": {opcode:#x}"),
            // Caddy 2.6 ends WebSockets by a Close frame to each side, and masks neither.
            Self::UnmaskedFrameFromClient => {
                f.write_str(" (a proxy that closes its connections, as at a reload, may have written it)")
            }
            _ => Ok(()),
        }
    }
}

impl core::error::Error for ProtocolError {}

impl From<InvalidUtf8> for ProtocolError {
    fn from(InvalidUtf8: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// The caller asked to send what the protocol, or the state of the connection, forbids. Nothing was
/// sent, but for [`Closing`](Self::Closing), and the connection goes on as before.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SendError {
    /// A Close frame was sent: "The application MUST NOT send any more data frames" (6455-5.5.1-06).
    ///
    /// Where the peer has closed while a call of an adapter waited for the transport, what was queued before is still written
    /// with the answer to its Close frame, as far as it is taken: the peer may receive it whole, or not.
    Closing,
    /// The reason is longer than [`CloseFrame::MAX_REASON`](crate::CloseFrame::MAX_REASON) bytes.
    CloseReasonTooLong,
    /// A Ping or Pong with more than 125 bytes (section 5.5).
    ControlPayloadTooLong,
    /// The code must not be on the wire, or not from this role (section 7.4).
    InvalidCloseCode(CloseCode),
    /// The fragments of a text message do not make valid UTF-8 (section 5.6).
    InvalidUtf8,
    /// A fragmented message must be ended before another begins (section 5.4).
    MessageInProgress,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closing => f.write_str("a Close frame was sent: nothing more may be sent"),
            Self::CloseReasonTooLong => f.write_str("a close reason must be at most 123 bytes long"),
            Self::ControlPayloadTooLong => {
                f.write_str("the payload of a Ping or Pong must be at most 125 bytes long")
            }
            Self::InvalidCloseCode(code) => write!(f, "this endpoint must not send the close code {code}"),
            Self::InvalidUtf8 => f.write_str("the fragments of a text message must together be valid UTF-8"),
            Self::MessageInProgress => f.write_str(
                "a fragmented message is in progress: send its last fragment before another message",
            ),
        }
    }
}

impl core::error::Error for SendError {}

/// A deadline passed: the connection is over, without the peer's consent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TimedOut {
    /// The peer did not complete the closing handshake within
    /// [`Config::close_timeout`](crate::Config::close_timeout).
    ClosingHandshake,
    /// The opening handshake, from resolving the host's name to the peer's answer, took too long.
    OpeningHandshake,
    /// The same, and it was a client's proxy that had not yet opened a tunnel.
    Proxy,
    /// The peer was silent, and did not answer a Ping, for as long as
    /// [`Config::keepalive`](crate::Config::keepalive) allows.
    Keepalive,
    /// The peer took nothing off the transport within
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    Write,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClosingHandshake => "the peer did not complete the closing handshake in time",
            Self::OpeningHandshake => "the opening handshake was not completed in time",
            Self::Proxy => "the proxy did not open a tunnel to the server in time",
            Self::Keepalive => "the peer sent nothing and did not answer a Ping in time",
            Self::Write => "the peer did not read what was sent to it in time",
        })
    }
}

impl core::error::Error for TimedOut {}

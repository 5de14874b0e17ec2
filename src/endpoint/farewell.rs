//! What a server waits for that has failed a connection, before it closes the transport: the peer's Close frame, for a
//! moment.
//!
//! "If _The WebSocket Connection is Established_ prior to the point where the endpoint is required to _Fail the WebSocket
//! Connection_, the endpoint SHOULD send a Close frame with an appropriate status code (Section 7.4) before proceeding to
//! _Close the WebSocket Connection_." (6455-7.1.7-05) A peer that gets the Close frame and the end of the transport at once
//! may not see the one for the other: a browser tells its page of an accident, or, right behind the opening handshake, not
//! even that it was open.

use core::time::Duration;
use std::time::Instant;

use crate::error::ProtocolError;
use crate::frame::Opcode;

/// The wait for a peer's Close frame.
///
/// "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the remote endpoint
/// after being instructed to _Fail the WebSocket Connection_." (6455-7.1.7-07) Nor is it: it is discarded, neither told nor
/// answered, and [`Closed`](crate::Closed) does not know of it. All that it does is to end the wait. So it is looked for
/// whatever was broken, by lengths alone; where those are none, it is not found, and the time passes.
#[derive(Debug)]
pub(super) struct Farewell {
    /// So many bytes are to come before the next header.
    skip: u64,
    /// What has come of a header, without the masking key: `len` bytes.
    header: [u8; 10],
    len: usize,
    /// It has come.
    found: bool,
    /// When not to wait any longer, once our own Close frame was written.
    pub(super) until: Option<Instant>,
}

impl Farewell {
    /// Of a connection that was failed because of `error`, with `skip` bytes still to come of a frame.
    pub(super) fn new(error: ProtocolError, skip: u64) -> Self {
        // The frame at fault may itself be a Close frame: there will be no other.
        let found = is_of_close_frame(error);
        Self { skip, header: [0; 10], len: 0, found, until: None }
    }

    /// Whether it has come.
    pub(super) fn is_over(&self) -> bool {
        self.found
    }

    /// Looks at what is discarded.
    pub(super) fn look(&mut self, mut bytes: &[u8]) {
        while !self.found {
            let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            self.skip -= skipped as u64;
            let Some((byte, rest)) = bytes[skipped..].split_first() else {
                return;
            };
            bytes = rest;
            self.header[self.len] = *byte;
            self.len += 1;
            if let Some(payload) = self.payload_len() {
                let masked = self.header[1] & 0x80 != 0;
                self.skip = payload.saturating_add(if masked { 4 } else { 0 });
                self.found = self.header[0] & 0x0f == Opcode::Close as u8;
                self.len = 0;
            }
        }
    }

    /// The length of the payload, if all of it has come.
    fn payload_len(&self) -> Option<u64> {
        let [_, second, extended @ ..] = self.header.get(..self.len)? else {
            return None;
        };
        let bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            len => return Some(len.into()),
        };
        let joined = |len, byte: &u8| len << 8 | u64::from(*byte);
        (extended.len() == bytes).then(|| extended.iter().fold(0, joined))
    }
}

/// Whether a Close frame is at fault.
pub(super) fn is_of_close_frame(error: ProtocolError) -> bool {
    matches!(
        error,
        ProtocolError::InvalidCloseCode(_)
            | ProtocolError::InvalidCloseReason(_)
            | ProtocolError::TruncatedCloseCode
    )
}

/// How long a peer is waited for that a server has failed, or that no program waits for: a part of
/// [`Config::close_timeout`](crate::Config::close_timeout), which begins with our own Close frame and holds for all that comes
/// after it; and no longer than a moment, however long that is.
pub(super) fn patience(close_timeout: Duration) -> Duration {
    (close_timeout / 10).min(A_MOMENT)
}

const A_MOMENT: Duration = Duration::from_secs(1);

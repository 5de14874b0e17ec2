//! How far a connection has closed (RFC 6455 section 7.1), and how it did.

use alloc::string::String;

use crate::frame::{CloseCode, CloseFrame};

/// The state of a connection that was opened (RFC 6455 sections 4.1, 7.1.3 and 7.1.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the states that the RFC names, once a connection was opened")]
pub enum ReadyState {
    /// Messages may be sent.
    Open,
    /// A Close frame was sent or received.
    Closing,
    /// The transport has ended.
    Closed,
}

/// How a connection closed (RFC 6455 sections 7.1.4 to 7.1.6).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closed {
    /// The code of the first Close frame received; 1005 if it had none, 1006 if none was received.
    pub code: CloseCode,
    /// The reason in that Close frame. Not meant for the eyes of end users (section 5.5.1).
    pub reason: String,
    /// Who ended the connection.
    pub initiator: Initiator,
    /// Both Close frames had passed when the transport ended.
    pub clean: bool,
}

impl Closed {
    /// What a connection would tell: for tests of what is done about it.
    pub fn new(code: CloseCode, reason: impl Into<String>, initiator: Initiator, clean: bool) -> Self {
        Self { code, reason: reason.into(), initiator, clean }
    }

    /// The code and the reason as a Close frame, to be passed on to another connection for example. `None` where no Close
    /// frame can say that: for a code that is never on the wire, 1005 and 1006.
    pub fn close_frame(&self) -> Option<CloseFrame<'_>> {
        self.code.is_allowed_on_the_wire().then_some(CloseFrame { code: self.code, reason: &self.reason })
    }
}

/// Who was the first to end a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one, the other, or neither")]
pub enum Initiator {
    /// This endpoint sent the first Close frame.
    Local,
    /// The peer sent the first Close frame.
    Remote,
    /// Neither did: the transport was lost.
    Transport,
}

/// The closing handshake.
#[derive(Debug)]
pub(super) struct Closing<I> {
    pub(super) initiator: Initiator,
    /// `None` when it is beyond what `I` can tell.
    pub(super) deadline: Option<I>,
}

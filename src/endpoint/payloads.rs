//! The payloads of messages as one stream of bytes, in which the borders between them are given up.

use std::io;

use bytes::{Buf, Bytes};

use super::events::Part;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::MessageKind;

/// What was received and is still to be read.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    rest: Bytes,
    takes_text: bool,
    /// Text has come that is not taken: what follows it is not what follows the bytes before it.
    refused: bool,
}

impl Payloads {
    /// Whether the bytes of text messages are taken too.
    pub(crate) fn take_text(&mut self, take: bool) {
        self.takes_text = take;
    }

    /// What is to be read next; nothing, if more has to be received. Fails once there was text that is not taken.
    pub(crate) fn unread(&self) -> io::Result<&[u8]> {
        if self.refused {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the peer sent text where bytes are expected",
            ));
        }
        Ok(&self.rest)
    }

    /// So much was read.
    pub(crate) fn consume(&mut self, len: usize) {
        self.rest.advance(len.min(self.rest.len()));
    }

    /// Takes what comes next, when all before it was read. False for text that is not taken: [`UNSUPPORTED`] says so to the
    /// peer.
    pub(crate) fn push(&mut self, part: Part) -> bool {
        self.refused |= part.kind == MessageKind::Text && !self.takes_text;
        self.rest = part.payload;
        !self.refused
    }

    /// What was received and not read.
    pub(crate) fn into_rest(self) -> Bytes {
        self.rest
    }
}

/// "an endpoint is terminating the connection because it has received a type of data it cannot accept" (RFC 6455 section
/// 7.4.1).
pub(crate) const UNSUPPORTED: CloseFrame<'static> =
    CloseFrame { code: CloseCode::UNSUPPORTED_DATA, reason: "text came where bytes are expected" };

/// How a byte stream that was written to its end is closed.
pub(crate) const COMPLETE: CloseFrame<'static> = CloseFrame { code: CloseCode::NORMAL, reason: "" };

/// How many bytes a message has at most that a write makes: so that a peer has limits that it fits, and has something to
/// read soon.
pub(crate) const WRITE_AT_MOST: usize = 64 << 10;

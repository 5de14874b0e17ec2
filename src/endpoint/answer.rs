//! The last response to a request, on its way: the transport is closed behind it.

use alloc::vec::Vec;
use core::mem::take;
use core::time::Duration;

use bytes::Bytes;

use super::error::Error;
use crate::error::TimedOut;
use crate::handshake::{HttpRequest, Reply, ServerHandshake};

/// What is written, part by part, before the transport is closed; nothing, if there is nothing to say.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The head, and what of the body is written with it.
    start: Vec<u8>,
    /// The rest of the body, which is the response's: a slow client holds no copy.
    rest: Bytes,
}

impl Answer {
    /// The response to this request.
    pub(crate) fn new(request: &HttpRequest, reply: &Reply) -> Self {
        let (mut start, mut rest) = (Vec::new(), request.content_of(reply));
        reply.encode_head(&mut start);
        start.extend_from_slice(&rest.split_to(rest.len().min(PART_BYTES)));
        Self { start, rest }
    }

    /// The response to a request that could not be read.
    pub(crate) fn to_unread(handshake: &ServerHandshake, error: &Error) -> Self {
        let mut start = Vec::new();
        if let Some(reply) = refusal(error) {
            handshake.refuse(&reply, &mut start);
        }
        Self { start, rest: Bytes::new() }
    }

    /// The parts, each of which a client has to take in the time that there is for an answer.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(self.start.as_slice()).chain(self.rest.chunks(PART_BYTES))
    }

    /// Whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.start.is_empty() && self.rest.is_empty()
    }

    /// Takes the next of the parts out.
    pub(super) fn next_part(&mut self) -> Option<Vec<u8>> {
        let part = match take(&mut self.start) {
            start if start.is_empty() => self.rest.split_to(self.rest.len().min(PART_BYTES)).to_vec(),
            start => start,
        };
        (!part.is_empty()).then_some(part)
    }
}

/// The response that tells a client of an error, if it is to be told.
pub(super) fn refusal(error: &Error) -> Option<Reply> {
    match error {
        Error::Request(error) => Some(Reply::from(error)),
        Error::TimedOut(TimedOut::OpeningHandshake) => Some(Reply::request_timeout()),
        _ => None,
    }
}

/// How long a client whose request could not be read may take to read why, and any to close behind its answer.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// How much is written in the time for an answer: a page that is larger has more.
const PART_BYTES: usize = 64 << 10;

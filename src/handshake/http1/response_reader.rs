//! Reading an HTTP/1.1 response that arrives in pieces.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::head::HeadReader;
use super::refusal_body::RefusalBody;
use crate::handshake::error::{HeadError, ResponseError};
use crate::handshake::limits::Limits;
use crate::handshake::response::{Response, StatusLine};

/// Reads the response to a request that asks for a connection: a head if it is accepted, and a refusal with the start of its
/// body.
#[derive(Debug)]
pub(crate) struct ResponseReader {
    /// Of what is yet to come: what was skipped counts, and is taken off.
    limits: Limits,
    /// Whether a response with this status accepts, and has no body.
    accepts: fn(u16) -> bool,
    /// Where in the input the response in progress starts: after the responses that were skipped.
    start: usize,
    progress: Progress,
}

impl ResponseReader {
    pub(crate) fn new(limits: Limits, accepts: fn(u16) -> bool) -> Self {
        Self { limits, accepts, start: 0, progress: Progress::Head(HeadReader::default()) }
    }

    /// Takes all bytes received so far; the caller only appends to them between calls. The response that accepts, and
    /// where it ends in the input; `None`: it is not complete. The work is linear in the input, however it is cut.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Option<(Response, usize)>, ResponseError> {
        loop {
            let response = input.get(self.start..).unwrap_or_default();
            match &mut self.progress {
                Progress::Head(head) => {
                    let Some((line, headers)) = head.read(response, &self.limits)? else {
                        return Ok(None);
                    };
                    let (status, len) = (line.status, headers.text_len());
                    let response = Response { line, headers, body: Vec::new() };
                    match status {
                        _ if (self.accepts)(status) => return Ok(Some((response, self.start + len))),
                        // "A client MUST be able to parse one or more 1xx responses received prior to a final response,
                        // even if the client does not expect one." (RFC 9110 section 15.2)
                        100..200 => {
                            let left = self.limits.interim_responses.checked_sub(1);
                            self.limits.interim_responses =
                                left.ok_or(ResponseError::TooManyInterimResponses)?;
                            self.limits.head_bytes -= len;
                            self.start += len;
                        }
                        _ => {
                            self.start += len;
                            let limit = self.limits.refusal_body_bytes;
                            let body = RefusalBody::new(status, response.headers(), limit);
                            self.progress = Progress::Body(Box::new(response), body);
                        }
                    }
                }
                Progress::Body(refusal, body) => {
                    let is_complete = body.read(response, &mut refusal.body);
                    return if is_complete { Err(ResponseError::Refused(refusal.clone())) } else { Ok(None) };
                }
            }
        }
    }

    /// The refusal whose body is being read.
    #[cfg(feature = "std")]
    pub(crate) fn refusal(&self) -> Option<&Response> {
        match &self.progress {
            Progress::Body(refusal, _) => Some(refusal),
            Progress::Head(_) => None,
        }
    }

    /// Nothing more comes: a refusal with as much of its body as came, or [`HeadError::Incomplete`].
    pub(crate) fn read_eof(&mut self, input: &[u8]) -> ResponseError {
        match self.read(input) {
            Err(error) => error,
            Ok(_) => match &self.progress {
                Progress::Body(refusal, _) => ResponseError::Refused(refusal.clone()),
                Progress::Head(_) => HeadError::Incomplete.into(),
            },
        }
    }
}

/// What is being read.
#[derive(Debug)]
enum Progress {
    Head(HeadReader<StatusLine>),
    /// The body of a refusal.
    Body(Box<Response>, RefusalBody),
}

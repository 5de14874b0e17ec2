//! The body of an HTTP/1.1 response that refuses.

use alloc::vec::Vec;

use crate::handshake::headers::{Headers, KnownName};

/// Collects the start of a refusal's body.
#[derive(Debug)]
pub(crate) struct RefusalBody {
    /// How many bytes of the body on the wire are of interest.
    end: usize,
    /// How many of them were looked at.
    position: usize,
    /// Of the chunked coding.
    chunk: Option<Chunk>,
}

impl RefusalBody {
    /// The body of a response with this status and these headers, of which `limit` bytes on the wire are of interest.
    pub(crate) fn new(status: u16, headers: &Headers, limit: usize) -> Self {
        let is_chunked = headers.has(KnownName::TransferEncoding);
        // "If a message is received with both a Transfer-Encoding and a Content-Length header field, the
        // Transfer-Encoding overrides the Content-Length." (RFC 9112 section 6.3) A malformed length is no length.
        let length = if is_chunked { None } else { headers.get("Content-Length") };
        // RFC 9110 section 8.6: `Content-Length = 1*DIGIT`; `parse` alone would take a sign.
        let length = length.filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        let end = match (status, length.and_then(|length| length.parse().ok())) {
            (204 | 304, _) => 0,
            (_, Some(length)) => limit.min(length),
            (_, None) => limit,
        };
        Self { end, position: 0, chunk: is_chunked.then_some(Chunk::Size(0)) }
    }

    /// Reads on in `input`, the body on the wire so far, and appends what is in it. `true`: nothing more is to come, or
    /// to be read.
    pub(crate) fn read(&mut self, input: &[u8], body: &mut Vec<u8>) -> bool {
        let visible = input.get(..self.end).unwrap_or(input);
        let new = visible.get(self.position..).unwrap_or_default();
        self.position = visible.len();
        let is_last_chunk = if let Some(chunk) = &mut self.chunk {
            new.iter().any(|&byte| chunk.read(byte, body))
        } else {
            body.extend_from_slice(new);
            false
        };
        is_last_chunk || self.position == self.end
    }
}

/// The chunked coding of RFC 9112 section 7.1: `1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF`, the last one of size 0.
///
/// It only serves to show what a server said, so it does not insist: what is no chunk is taken as it is.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the size; what it is so far.
    Size(usize),
    /// Between the size and the end of its line.
    Extension(usize),
    /// In the data; how much is left.
    Data(usize),
    /// In the line end after the data.
    End,
}

impl Chunk {
    /// Reads one byte. `true`: the last chunk was read.
    fn read(&mut self, byte: u8, body: &mut Vec<u8>) -> bool {
        *self = match (*self, byte) {
            (Self::Size(0) | Self::Extension(0), b'\n') => return true,
            (Self::Size(size) | Self::Extension(size), b'\n') => Self::Data(size),
            (Self::Size(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size(size.saturating_mul(16).saturating_add(digit as usize)),
                None => Self::Extension(size),
            },
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::Data(left), _) => {
                body.push(byte);
                if left > 1 { Self::Data(left - 1) } else { Self::End }
            }
            (Self::End, b'\n') => Self::Size(0),
            (Self::End, _) => Self::End,
        };
        false
    }
}

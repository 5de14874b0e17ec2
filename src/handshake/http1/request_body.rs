//! The body of an HTTP/1.1 request: how long it is (RFC 9112 section 6), and what is in it (section 7.1).

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

use crate::handshake::error::RequestError;
use crate::handshake::grammar::{elements, is_token_byte, is_value_byte};
use crate::handshake::headers::KnownName;
use crate::handshake::http_request::HttpRequest;

/// Reads the body of a request that does not ask for a WebSocket.
///
/// What says how long it is is read strictly, since a proxy in front may read it in another way: a `Content-Length` that
/// is repeated, or stands beside a `Transfer-Encoding`, is refused, and so is all that is not exactly in the chunked
/// coding. Extensions of chunks, and fields behind the last one, are dropped.
///
/// ```
/// use sansocket::handshake::{Limits, ReceivedRequest, Reply, RequestBody, ServerHandshake};
///
/// # let mut network = vec![b"llo".to_vec()];
/// # let mut read = || network.pop().unwrap();
/// let mut input = b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhe".to_vec();
/// let Ok(Some(ReceivedRequest::Http(request))) = ServerHandshake::new(Limits::default()).receive(&input) else {
///     panic!("it is a request");
/// };
/// input.drain(..request.consumed());
/// let mut out = Vec::new();
/// let body = RequestBody::start(&request, 64 * 1024, &mut out).and_then(|mut body| loop {
///     // Write `out`, in which the client may be asked to go on.
///     match body.receive(&mut input)? {
///         Some(content) => break Ok(content),
///         None => input.extend(read()), // At the end of the connection: `RequestError::IncompleteBody`.
///     }
/// });
/// let reply = body.map_or_else(|error| Reply::from(&error), |content| Reply::ok().body(content));
/// request.reply(&reply, &mut out)?;
/// # assert!(out.ends_with(b"\r\n\r\nhello"));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
pub struct RequestBody {
    coding: Coding,
    /// How much there may be in it.
    limit: usize,
    content: Vec<u8>,
}

impl RequestBody {
    /// The body of this request, in which there may be `limit` bytes. If the client waits to be told that it is wanted
    /// (`Expect: 100-continue`), that is appended to `out`.
    ///
    /// Fails with [`InvalidBodyLength`](RequestError::InvalidBodyLength),
    /// [`UnsupportedTransferCoding`](RequestError::UnsupportedTransferCoding), and, if it says that it is longer than it may
    /// be, [`BodyTooLarge`](RequestError::BodyTooLarge).
    pub fn start(request: &HttpRequest, limit: usize, out: &mut Vec<u8>) -> Result<Self, RequestError> {
        let coding = Coding::of(request)?;
        if matches!(coding, Coding::Length(len) if len > limit) {
            return Err(RequestError::BodyTooLarge);
        }
        // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation." (RFC 9110
        // section 10.1.1)
        let expects = |expectation: Result<&str, _>| {
            expectation.is_ok_and(|name| name.eq_ignore_ascii_case("100-continue"))
        };
        if request.minor_version() > 0
            && !matches!(coding, Coding::Length(0))
            && request.headers().tokens("Expect").any(expects)
        {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Ok(Self { coding, limit, content: Vec::new() })
    }

    /// Takes what has come of it out of `input`, to which the caller appends what was received behind the head. What is
    /// behind the body stays there, and is not looked at: the connection is to be closed.
    ///
    /// `None`: the body is not complete. The work is linear in the input, however it is cut, and memory is taken for what has
    /// come, at most twice the limit. An error should be answered with `Reply::from(&error)`:
    /// [`InvalidChunk`](RequestError::InvalidChunk), or [`BodyTooLarge`](RequestError::BodyTooLarge), also where what is
    /// around the chunks is more than they, and 16 KiB. It is not called again when there is a body, or an error.
    pub fn receive(&mut self, input: &mut Vec<u8>) -> Result<Option<Bytes>, RequestError> {
        let mut unread = input.as_slice();
        let is_complete = self.read(&mut unread)?;
        let read = input.len() - unread.len();
        input.drain(..read);
        // As a slice it keeps no more memory than it is long.
        Ok(is_complete.then(|| mem::take(&mut self.content).into_boxed_slice().into()))
    }

    /// Reads on. `true`: the end was read.
    fn read(&mut self, input: &mut &[u8]) -> Result<bool, RequestError> {
        let Self { coding, limit, content } = self;
        match coding {
            Coding::Length(left) => {
                let most = content.len() + *left;
                Ok(take_data(input, left, content, most))
            }
            Coding::Chunked { state, around } => loop {
                if let State::Data(left) = state {
                    if !take_data(input, left, content, *limit) {
                        return Ok(false);
                    }
                    *state = State::DataEnd;
                }
                let Some((byte, rest)) = input.split_first() else {
                    return Ok(false);
                };
                *input = rest;
                *around += 1;
                if *around > content.len().saturating_add(MAX_AROUND) {
                    return Err(RequestError::BodyTooLarge);
                }
                match state.next(*byte)? {
                    State::Data(len) if len > *limit - content.len() => {
                        return Err(RequestError::BodyTooLarge);
                    }
                    State::Over => return Ok(true),
                    next => *state = next,
                }
            },
        }
    }
}

impl fmt::Debug for RequestBody {
    /// Keeps the body out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { coding, limit, content } = self;
        f.debug_struct("RequestBody")
            .field("coding", coding)
            .field("limit", limit)
            .field("content", &content.len())
            .finish()
    }
}

/// Takes data of which so much is `left`, into `content`, in which there may be so much in the end. `true`: all of it is there.
fn take_data(input: &mut &[u8], left: &mut usize, content: &mut Vec<u8>, most: usize) -> bool {
    let (data, rest) = input.split_at(input.len().min(*left));
    (*input, *left) = (rest, *left - data.len());
    let len = content.len() + data.len();
    if len > content.capacity() {
        // As `Vec` grows, but not beyond what there may be.
        let capacity = content.capacity().saturating_mul(2).min(most).max(len);
        content.reserve_exact(capacity - content.len());
    }
    content.extend_from_slice(data);
    *left == 0
}

/// How the end of a body is found.
#[derive(Debug)]
enum Coding {
    /// So much is left.
    Length(usize),
    /// With how many bytes were read that are none of the data.
    Chunked { state: State, around: usize },
}

impl Coding {
    /// RFC 9112 section 6.3, for requests, without what it leaves to a server's leniency.
    fn of(request: &HttpRequest) -> Result<Self, RequestError> {
        let headers = request.headers();
        let length = headers.only(KnownName::ContentLength, RequestError::InvalidBodyLength)?;
        if headers.has(KnownName::TransferEncoding) {
            // "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the
            // message as if the framing is faulty" (RFC 9112 section 6.1).
            if length.is_some() || request.minor_version() == 0 {
                return Err(RequestError::InvalidBodyLength);
            }
            let mut before = 0;
            let mut last: &[u8] = b"";
            for coding in headers.all(KnownName::TransferEncoding).flat_map(elements) {
                before += usize::from(!last.is_empty());
                last = coding;
            }
            // "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the final
            // encoding, the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad
            // Request) status code" (RFC 9112 section 6.3).
            return match (last.eq_ignore_ascii_case(b"chunked"), before) {
                (true, 0) => Ok(Self::Chunked { state: State::default(), around: 0 }),
                (true, _) => Err(RequestError::UnsupportedTransferCoding),
                (false, _) => Err(RequestError::InvalidBodyLength),
            };
        }
        let Some(length) = length else {
            return Ok(Self::Length(0));
        };
        // RFC 9110 section 8.6: `Content-Length = 1*DIGIT`.
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(RequestError::InvalidBodyLength);
        }
        let add = |len: usize, digit: &u8| len.checked_mul(10)?.checked_add(usize::from(digit - b'0'));
        let length = length.iter().try_fold(0, add);
        length.map(Self::Length).ok_or(RequestError::BodyTooLarge)
    }
}

/// Where in the chunked coding of RFC 9112 section 7.1 the next byte is. A line ends in CR LF, and in nothing else.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The first digit of a size.
    #[default]
    Start,
    /// Another, or what follows; the size so far.
    Size(usize),
    /// Whitespace before an extension.
    Blank(usize),
    /// In extensions.
    Extension(usize),
    /// The second byte of the line end behind a size.
    SizeEnd(usize),
    /// The data; how much is left.
    Data(usize),
    /// The line end behind it.
    DataEnd,
    DataLineEnd,
    /// The first byte of a line behind the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    /// The second byte of the empty line.
    LastLineEnd,
    /// Nothing.
    Over,
}

impl State {
    /// What follows `byte`, which is none of the data.
    fn next(self, byte: u8) -> Result<Self, RequestError> {
        Ok(match (self, byte) {
            (Self::Start, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Self::Size(hex(byte)),
            // "recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer
            // conversion overflows or precision loss" (RFC 9112 section 7.1).
            (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let size = size.checked_mul(16).ok_or(RequestError::BodyTooLarge)?;
                Self::Size(size + hex(byte))
            }
            (Self::Size(size) | Self::Blank(size), b' ' | b'\t') => Self::Blank(size),
            (Self::Size(size) | Self::Blank(size), b';') => Self::Extension(size),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Extension(size), _) if is_value_byte(byte) => Self::Extension(size),
            (Self::SizeEnd(0) | Self::TrailerEnd, b'\n') => Self::Trailer,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataLineEnd,
            (Self::DataLineEnd, b'\n') => Self::Start,
            (Self::Trailer, b'\r') => Self::LastLineEnd,
            (Self::Trailer | Self::TrailerName, _) if is_token_byte(byte) => Self::TrailerName,
            (Self::TrailerName, b':') => Self::TrailerValue,
            (Self::TrailerValue, b'\r') => Self::TrailerEnd,
            (Self::TrailerValue, _) if is_value_byte(byte) => Self::TrailerValue,
            (Self::LastLineEnd, b'\n') => Self::Over,
            _ => return Err(RequestError::InvalidChunk),
        })
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> usize {
    char::from(digit).to_digit(16).unwrap_or_default() as usize
}

/// How much more than the data may be around it: sizes, line ends, extensions, and the fields behind the last chunk.
const MAX_AROUND: usize = 16 << 10;

//! Reading the head of an HTTP/1.1 request or response: start line, header lines, empty line.
//!
//! `httparse` does the parsing. What it leaves to its caller is here: to find the end of the head in input that arrives
//! in pieces, without starting again for each, and to refuse what is too long or not strictly HTTP (bare CR or LF,
//! folding) as soon as it is seen.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::ops::Range;
use core::str;

use httparse::Status;

use super::Limits;
use super::error::HandshakeError;
use super::header::{InvalidList, debug_lines, elements, is_token, is_value_byte, tokens};
use super::name::Name;

/// The headers of a request or response, in the order of their lines. Names are ASCII case-insensitive.
///
/// HTTP does not say which encoding a value is in. The methods that return text leave out a value that is not UTF-8;
/// those that return bytes have them all.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers {
    /// The head as it was received, from the first byte to the empty line.
    head: Box<[u8]>,
    /// Ranges of `head`.
    fields: Vec<Field>,
}

impl Headers {
    /// Parses a head whose header lines start at `start`, and are no more than `most`. `None`: they are not complete, or
    /// not valid.
    fn parse(input: &[u8], start: usize, most: usize) -> Option<Self> {
        let mut few = [httparse::EMPTY_HEADER; FEW];
        let mut many = Vec::new();
        let room = few.get_mut(..most).unwrap_or_else(|| {
            many.resize(most, httparse::EMPTY_HEADER);
            &mut many
        });
        let Ok(Status::Complete((len, parsed))) = httparse::parse_headers(input.get(start..)?, room) else {
            return None;
        };
        let head = Box::from(input.get(..start + len)?);
        let fields = parsed
            .iter()
            .map(|header| Field {
                known: Name::of(header.name.as_bytes()),
                name: range_in(input, header.name.as_bytes()),
                value: range_in(input, header.value),
            })
            .collect();
        Some(Self { head, fields })
    }

    /// The value of the first header of this name, if it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_bytes(name).and_then(|value| str::from_utf8(value).ok())
    }

    /// The value of the first header of this name.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all headers of this name.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let has_name = move |field: &&Field| self.bytes(&field.name).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(has_name).map(|field| self.bytes(&field.value))
    }

    /// The elements of a comma-separated list of tokens, over all headers of this name.
    pub fn tokens<'a>(&'a self, name: &str) -> impl Iterator<Item = Result<&'a str, InvalidList>> {
        tokens(self.get_all(name))
    }

    /// Whether there is a header of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// All headers, name and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.text(&field.name), self.bytes(&field.value)))
    }

    /// The number of header lines.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The length of the head they were read from: what follows is not part of it.
    pub(super) fn consumed(&self) -> usize {
        self.head.len()
    }

    /// The values of all headers of a name that the handshake knows.
    pub(super) fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let has_name = move |field: &&Field| field.known == Some(name);
        self.fields.iter().filter(has_name).map(|field| self.bytes(&field.value))
    }

    /// Whether there is a header of a name that the handshake knows.
    pub(super) fn has(&self, name: Name) -> bool {
        self.all(name).next().is_some()
    }

    /// The value of a header that must not be repeated.
    pub(super) fn only(&self, name: Name) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(value) }
    }

    /// Whether `Connection` says `Upgrade`, "treated as an ASCII case-insensitive value" (RFC 6455 section 4.2.1).
    pub(super) fn connection_upgrades(&self) -> Result<bool, HandshakeError> {
        let mut found = false;
        for option in self.all(Name::Connection).flat_map(elements) {
            if option.eq_ignore_ascii_case(b"upgrade") {
                found = true;
            } else if !is_token(option) {
                return Err(HandshakeError::InvalidConnection);
            }
        }
        Ok(found)
    }

    /// Whether no line ends in a bare LF, which `httparse` takes for a line end, too.
    fn lines_end_in_crlf(&self) -> bool {
        let before = |field: &Field| self.head.get(..field.name.start).unwrap_or_default();
        self.head.ends_with(b"\r\n\r\n") && self.fields.iter().all(|field| before(field).ends_with(b"\r\n"))
    }

    /// A part of the head that is known to be ASCII.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        str::from_utf8(self.bytes(range)).unwrap_or_default()
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.head.get(range.clone()).unwrap_or_default()
    }
}

/// There are several headers of a name.
pub(super) struct Repeated;

/// Without the values that are secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_lines(self.iter(), f)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Field {
    /// What the handshakes look up instead of the name, a dozen times a head.
    known: Option<Name>,
    name: Range<usize>,
    /// Without the whitespace around it.
    value: Range<usize>,
}

/// Where in `head` a part of it is.
fn range_in(head: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(head.as_ptr().addr());
    start..start + part.len()
}

/// A head that was read whole.
#[derive(Debug)]
pub(super) struct Head<L> {
    pub(super) line: L,
    pub(super) headers: Headers,
}

/// The first line of a head.
pub(super) trait StartLine: Default {
    /// Whether empty lines before it are skipped.
    const AFTER_EMPTY_LINES: bool;

    fn may_start_with(byte: u8) -> bool;

    /// Parses `input[line]`, the line without its CR LF: it contains no control characters but tabs.
    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HandshakeError>;
}

/// The minor version of `HTTP-version` (RFC 9112 section 2.3), which is that of HTTP/1.
///
/// Not left to `httparse`, to which HTTP/1.2 is an error: RFC 6455 section 4.2.1 has "An HTTP/1.1 or higher GET request".
pub(super) fn minor_version(version: &[u8]) -> Result<u8, HandshakeError> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => Ok(minor - b'0'),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HandshakeError::UnsupportedHttpVersion)
        }
        _ => Err(HandshakeError::InvalidStartLine),
    }
}

/// Reads a head that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct HeadReader<L> {
    /// Where the line in progress starts.
    line_start: usize,
    /// How far that line was searched for its end: the bytes before are not looked at again until the line is complete.
    position: usize,
    start_line: Option<L>,
    /// Where the header lines start, and how many are complete.
    headers_start: usize,
    headers: usize,
}

impl<L: StartLine> HeadReader<L> {
    /// Reads on in `input`, which starts where it started in the last call and has only grown.
    ///
    /// `None`: the head is not complete. After a head or an error the next call gives the same again.
    pub(super) fn read(&mut self, input: &[u8], limits: &Limits) -> Result<Option<Head<L>>, HandshakeError> {
        if self.position == 0
            && let Some(head) = Self::read_whole(input, limits)
        {
            return Ok(Some(head));
        }
        while let Some(line) = self.find_line(input, limits)? {
            let next = line.end + "\r\n".len();
            match (&self.start_line, line.is_empty()) {
                // RFC 9112 section 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
                // at least one empty line (CRLF) received prior to the request-line."
                (None, true) => {}
                (None, false) => {
                    self.start_line = Some(L::parse(input, line)?);
                    self.headers_start = next;
                }
                (Some(_), false) => self.headers += 1,
                (Some(_), true) => {
                    let head = input.get(..next).unwrap_or_default();
                    // The line ends, their number and the characters of values have been checked.
                    let headers = Headers::parse(head, self.headers_start, self.headers)
                        .ok_or(HandshakeError::InvalidHeaderName)?;
                    let done = mem::take(self);
                    return Ok(done.start_line.map(|line| Head { line, headers }));
                }
            }
            self.line_start = next;
            self.position = next;
        }
        Ok(None)
    }

    /// Reads a head that is there from its first byte to its last, as it usually is, and is valid: then nothing but
    /// `httparse` needs to look at its lines. For all else, `None`, there is the way line by line.
    fn read_whole(input: &[u8], limits: &Limits) -> Option<Head<L>> {
        let visible = input.get(..limits.head_bytes).unwrap_or(input);
        if !L::may_start_with(*visible.first()?) {
            return None;
        }
        let line_end = value_len(visible.get(..limits.start_line_bytes).unwrap_or(visible));
        let line = L::parse(visible, 0..line_end).ok()?;
        let headers_start = line_end + "\r\n".len();
        if headers_start > limits.start_line_bytes {
            return None;
        }
        let headers = Headers::parse(visible, headers_start, limits.headers.min(FEW))?;
        headers.lines_end_in_crlf().then_some(Head { line, headers })
    }

    /// Finds the end of the line in progress: the line is without its CR LF.
    fn find_line(&mut self, input: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, HandshakeError> {
        let limit = match self.start_line {
            None => limits.head_bytes.min(self.line_start.saturating_add(limits.start_line_bytes)),
            Some(_) => limits.head_bytes,
        };
        let visible = input.get(..limit).unwrap_or(input);
        if let Some(&first) = visible.get(self.line_start) {
            self.check_first(first, limits)?;
        }

        let rest = visible.get(self.position..).unwrap_or_default();
        let len = value_len(rest);
        self.position += len;
        match rest.get(len..).unwrap_or_default() {
            [b'\r', b'\n', ..] => Ok(Some(self.line_start..self.position)),
            [] | [b'\r'] if visible.len() < limit => Ok(None),
            [] | [b'\r'] if self.start_line.is_none() && self.position > self.line_start => {
                Err(HandshakeError::StartLineTooLong)
            }
            [] | [b'\r'] => Err(HandshakeError::HeadTooLarge),
            [b'\r' | b'\n', ..] => Err(HandshakeError::InvalidLineEnd),
            _ if self.start_line.is_none() => Err(HandshakeError::InvalidStartLine),
            _ if visible.get(self.line_start..self.position).unwrap_or_default().contains(&b':') => {
                Err(HandshakeError::InvalidHeaderValue)
            }
            _ => Err(HandshakeError::InvalidHeaderName),
        }
    }

    /// Checks the first byte of a line, which may be that of its end.
    fn check_first(&self, first: u8, limits: &Limits) -> Result<(), HandshakeError> {
        match (&self.start_line, first) {
            (_, b'\n') | (Some(_), b'\r') => Ok(()),
            (None, b'\r') if L::AFTER_EMPTY_LINES => Ok(()),
            (None, _) if L::may_start_with(first) => Ok(()),
            (None, _) => Err(HandshakeError::InvalidStartLine),
            // RFC 9112 section 5.2: "A server that receives an obs-fold in a request message [..] MUST either reject
            // the message by sending a 400 (Bad Request) [..] or replace each received obs-fold".
            (Some(_), b' ' | b'\t') => Err(HandshakeError::FoldedHeader),
            (Some(_), _) if self.headers < limits.headers => Ok(()),
            (Some(_), _) => Err(HandshakeError::TooManyHeaders),
        }
    }
}

/// How many bytes at the front may stand in a line.
fn value_len(bytes: &[u8]) -> usize {
    // Without a way out between the bytes of a block, the compiler looks at all of them at once.
    let (blocks, _) = bytes.as_chunks::<16>();
    let clean =
        blocks.iter().take_while(|block| block.iter().fold(true, |clean, byte| clean & is_value_byte(*byte)));
    let len = 16 * clean.count();
    let rest = bytes.get(len..).unwrap_or_default();
    len + rest.iter().position(|&byte| !is_value_byte(byte)).unwrap_or(rest.len())
}

/// How many header lines most heads have at most.
const FEW: usize = 16;

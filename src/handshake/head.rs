//! Reading the head of an HTTP/1.1 request or response: start line, header lines, empty line.
//!
//! Not a general HTTP parser: it reads one head, strictly (CR LF, no folding, no stray bytes), and resumes at the byte
//! where it stopped. So the work is linear in the input however it is cut, and the first bad byte fails the handshake
//! at once, also inside an unfinished line.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::ops::Range;
use core::str;

use super::Limits;
use super::error::HandshakeError;
use super::header::{InvalidList, is_token_byte, is_value_byte, tokens, trim};

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
        // RFC 6455 section 4.1: "all header field names in both HTTP requests and HTTP responses are case-insensitive."
        self.fields
            .iter()
            .filter(|field| field.name.len() == name.len())
            .filter(|field| self.bytes(&field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.bytes(&field.value))
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

    /// The value of a header that must not be repeated.
    pub(super) fn only(&self, name: &str, repeated: HandshakeError) -> Result<Option<&[u8]>, HandshakeError> {
        let mut values = self.get_all(name);
        let value = values.next();
        if values.next().is_some() { Err(repeated) } else { Ok(value) }
    }

    /// Whether `Connection` says `Upgrade`, "treated as an ASCII case-insensitive value" (RFC 6455 section 4.2.1).
    pub(super) fn connection_upgrades(&self) -> Result<bool, HandshakeError> {
        let mut found = false;
        for option in self.tokens("Connection") {
            let option = option.map_err(|_| HandshakeError::InvalidConnection)?;
            found |= option.eq_ignore_ascii_case("upgrade");
        }
        Ok(found)
    }

    /// A part of the head that is known to be ASCII.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        str::from_utf8(self.bytes(range)).unwrap_or_default()
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.head.get(range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
        }
        map.finish()
    }
}

/// A head that was read whole.
#[derive(Debug)]
pub(super) struct Head<L> {
    pub(super) line: L,
    pub(super) headers: Headers,
    /// The length of the head: what follows is not part of it.
    pub(super) consumed: usize,
}

/// The first line of a head.
pub(super) trait StartLine: Default {
    /// Whether empty lines before it are skipped.
    const AFTER_EMPTY_LINES: bool;

    fn may_start_with(byte: u8) -> bool;

    /// Parses `input[line]`, the line without its CR LF.
    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HandshakeError>;
}

/// Reads a head that arrives in pieces.
///
/// ```text
/// GET /chat HTTP/1.1 CR LF Host: example.com CR LF Upgr
/// '---- StartLine ---'  |  |'--''-- Value --'  |  |'--- Name, ended by the input:
///            StartLineEnd  ||          ValueEnd  |      `position` stays behind the `r`
///                  LineStart, Name          LineStart
/// ```
#[derive(Debug, Default)]
pub(super) struct HeadReader<L> {
    /// What the byte at `position` belongs to.
    phase: Phase,
    /// The bytes before it were looked at and are not looked at again.
    position: usize,
    /// Where the line in progress starts.
    line_start: usize,
    /// Where the colon of the header line in progress is, in `Value` and `ValueEnd`.
    colon: usize,
    line: L,
    fields: Vec<Field>,
}

impl<L: StartLine> HeadReader<L> {
    /// Reads on in `input`, which starts where it started in the last call and has only grown.
    ///
    /// `None`: the head is not complete. After a head or an error the next call gives the same again.
    pub(super) fn read(&mut self, input: &[u8], limits: &Limits) -> Result<Option<Head<L>>, HandshakeError> {
        loop {
            let limit = match self.phase {
                Phase::StartLine | Phase::StartLineEnd => {
                    limits.head_bytes.min(self.line_start.saturating_add(limits.start_line_bytes))
                }
                _ => limits.head_bytes,
            };
            let visible = input.get(..limit).unwrap_or(input);

            self.position += self.phase.run_len(visible.get(self.position..).unwrap_or_default());
            let Some(&byte) = visible.get(self.position) else {
                return match self.phase {
                    _ if self.position < limit => Ok(None),
                    Phase::StartLine | Phase::StartLineEnd => Err(HandshakeError::StartLineTooLong),
                    _ => Err(HandshakeError::HeadTooLarge),
                };
            };

            self.phase = match (self.phase, byte) {
                // RFC 9112 section 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
                // at least one empty line (CRLF) received prior to the request-line."
                (Phase::BeforeStartLine, b'\r') if L::AFTER_EMPTY_LINES => Phase::EmptyLine,
                (Phase::EmptyLine, b'\n') => Phase::BeforeStartLine,
                (Phase::BeforeStartLine, _) if L::may_start_with(byte) => {
                    self.line_start = self.position;
                    Phase::StartLine
                }
                (Phase::StartLine, b'\r') => Phase::StartLineEnd,
                (Phase::StartLineEnd, b'\n') => {
                    self.line = L::parse(input, self.line_start..self.position - 1)?;
                    self.fields.reserve(USUAL_HEADERS);
                    Phase::LineStart
                }

                (Phase::LineStart, b'\r') => Phase::HeadEnd,
                // RFC 9112 section 5.2: "A server that receives an obs-fold in a request message [..] MUST either reject
                // the message by sending a 400 (Bad Request) [..] or replace each received obs-fold".
                (Phase::LineStart, b' ' | b'\t') => return Err(HandshakeError::FoldedHeader),
                (Phase::LineStart, _) if is_token_byte(byte) => {
                    if self.fields.len() >= limits.headers {
                        return Err(HandshakeError::TooManyHeaders);
                    }
                    self.line_start = self.position;
                    Phase::Name
                }
                (Phase::Name, b':') => {
                    self.colon = self.position;
                    Phase::Value
                }
                (Phase::Value, b'\r') => Phase::ValueEnd,
                (Phase::ValueEnd, b'\n') => {
                    self.fields.push(Field::new(input, self.line_start, self.colon, self.position - 1));
                    Phase::LineStart
                }
                (Phase::HeadEnd, b'\n') => {
                    let consumed = self.position + 1;
                    let done = mem::take(self);
                    let head = Box::from(input.get(..consumed).unwrap_or_default());
                    let headers = Headers { head, fields: done.fields };
                    return Ok(Some(Head { line: done.line, headers, consumed }));
                }

                (_, b'\n')
                | (Phase::EmptyLine | Phase::StartLineEnd | Phase::ValueEnd | Phase::HeadEnd, _) => {
                    return Err(HandshakeError::InvalidLineEnd);
                }
                (Phase::BeforeStartLine | Phase::StartLine, _) => {
                    return Err(HandshakeError::InvalidStartLine);
                }
                // RFC 9112 section 5.1: "No whitespace is allowed between the field name and colon."
                (Phase::LineStart | Phase::Name, _) => return Err(HandshakeError::InvalidHeaderName),
                (Phase::Value, _) => return Err(HandshakeError::InvalidHeaderValue),
            };
            self.position += 1;
        }
    }
}

/// What the next byte of a head belongs to.
#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    BeforeStartLine,
    /// After the CR of an empty line before the start line.
    EmptyLine,
    StartLine,
    /// After the CR of the start line.
    StartLineEnd,
    /// At a header line or the empty line that ends the head.
    LineStart,
    Name,
    Value,
    /// After the CR of a header line.
    ValueEnd,
    /// After the CR of the empty line that ends the head.
    HeadEnd,
}

impl Phase {
    /// How many bytes at the front keep the reader in this phase.
    fn run_len(self, bytes: &[u8]) -> usize {
        let end = match self {
            Self::StartLine | Self::Value => bytes.iter().position(|&byte| !is_value_byte(byte)),
            Self::Name => bytes.iter().position(|&byte| !is_token_byte(byte)),
            _ => Some(0),
        };
        end.unwrap_or(bytes.len())
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Field {
    name: Range<usize>,
    /// Without the whitespace around it.
    value: Range<usize>,
}

impl Field {
    /// The line `input[line_start..line_end]`, with its colon at `colon`.
    fn new(input: &[u8], line_start: usize, colon: usize, line_end: usize) -> Self {
        let value = input.get(colon + 1..line_end).unwrap_or_default();
        let end = colon + 1 + value.trim_ascii_end().len();
        let start = end - trim(value).len();
        Self { name: line_start..colon, value: start..end }
    }
}

/// Room for the headers of most requests, so that the list is allocated once.
const USUAL_HEADERS: usize = 16;

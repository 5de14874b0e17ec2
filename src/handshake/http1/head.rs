//! Reading the head of an HTTP/1.1 request or response: start line, header lines, empty line.
//!
//! `httparse` parses the header lines. What it leaves to its caller is here: to find the end of the head in input that
//! arrives in pieces, without starting again for each, and to refuse what is too long or not strictly HTTP (bare CR or
//! LF, folding in a request) as soon as it is seen. So are start lines: it knows no HTTP/1.2, and is laxer than RFC 9112.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use httparse::Status;

use crate::handshake::error::HeadError;
use crate::handshake::grammar::{is_token, is_token_byte, is_value_byte};
use crate::handshake::headers::{Field, Headers};
use crate::handshake::http_request::RequestLine;
use crate::handshake::limits::Limits;
use crate::handshake::response::StatusLine;

/// Reads a head that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct HeadReader<L> {
    /// Where the line in progress starts.
    line_start: usize,
    /// How far that line was searched for its end: the bytes before are not looked at again until the line is complete.
    position: usize,
    /// With where the header lines start.
    start_line: Option<(L, usize)>,
    /// How many header lines are complete.
    headers: usize,
    /// Whether one of them goes on in another line.
    folded: bool,
}

impl<L: StartLine> HeadReader<L> {
    /// Reads on in `input`, which starts where it started in the last call and has only grown.
    ///
    /// `None`: the head is not complete. After a head or an error the next call gives the same again.
    pub(crate) fn read(&mut self, input: &[u8], limits: &Limits) -> Result<Option<(L, Headers)>, HeadError> {
        if self.position == 0
            && let Some(head) = Self::read_whole(input, limits)
        {
            return Ok(Some(head));
        }
        while let Some(line) = self.find_line(input, limits)? {
            let next = line.end + "\r\n".len();
            match (&self.start_line, line.is_empty()) {
                // "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line
                // (CRLF) received prior to the request-line." (RFC 9112 section 2.2)
                (None, true) => {}
                (None, false) => self.start_line = Some((L::parse(input, line)?, next)),
                (Some(_), false) if matches!(input.get(line.start), Some(b' ' | b'\t')) => self.folded = true,
                (Some(_), false) => self.headers += 1,
                (Some((_, start)), true) => {
                    let head = input.get(..next).unwrap_or_default();
                    // The line ends, their number and the characters of values have been checked.
                    let headers = if self.folded {
                        parse_headers(&unfold(head, *start), *start, self.headers)
                    } else {
                        parse_headers(head, *start, self.headers)
                    };
                    let headers = headers.ok_or(HeadError::InvalidHeaderName)?;
                    let done = mem::take(self);
                    return Ok(done.start_line.map(|(line, _)| (line, headers)));
                }
            }
            self.line_start = next;
            self.position = next;
        }
        Ok(None)
    }

    /// Reads a head that is there from its first byte to its last, as it usually is, and is valid: then nothing but
    /// `httparse` needs to look at its lines. For all else, `None`, there is the way line by line.
    fn read_whole(input: &[u8], limits: &Limits) -> Option<(L, Headers)> {
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
        Some((line, parse_headers(visible, headers_start, limits.headers.min(FEW))?))
    }

    /// Finds the end of the line in progress: the line is without its CR LF.
    fn find_line(&mut self, input: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, HeadError> {
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
                Err(HeadError::StartLineTooLong)
            }
            [] | [b'\r'] => Err(HeadError::HeadTooLarge),
            [b'\r' | b'\n', ..] => Err(HeadError::InvalidLineEnd),
            _ if self.start_line.is_none() => Err(HeadError::InvalidStartLine),
            _ => match visible.get(self.line_start..self.position) {
                // The second line of a value needs no colon.
                Some(line) if matches!(line, [b' ' | b'\t', ..]) || line.contains(&b':') => {
                    Err(HeadError::InvalidHeaderValue)
                }
                _ => Err(HeadError::InvalidHeaderName),
            },
        }
    }

    /// Checks the first byte of a line, which may be that of its end.
    fn check_first(&self, first: u8, limits: &Limits) -> Result<(), HeadError> {
        match (&self.start_line, first) {
            (_, b'\n') | (Some(_), b'\r') => Ok(()),
            (None, b'\r') if L::AFTER_EMPTY_LINES => Ok(()),
            (None, _) if L::may_start_with(first) => Ok(()),
            // A record of TLS, with a client's first message, or with a server's alert.
            (None, 0x16 | 0x15) => Err(HeadError::Tls),
            (None, _) => Err(HeadError::InvalidStartLine),
            // "A server that receives an obs-fold in a request message [..] MUST either reject the message by sending a
            // 400 (Bad Request) [..] or replace each received obs-fold" (RFC 9112 section 5.2).
            (Some(_), b' ' | b'\t') if L::UNFOLDS && self.headers > 0 => Ok(()),
            (Some(_), b' ' | b'\t') => Err(HeadError::FoldedHeader),
            (Some(_), _) if self.headers < limits.headers => Ok(()),
            (Some(_), _) => Err(HeadError::TooManyHeaders),
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

/// "A user agent that receives an obs-fold in a response message [..] MUST replace each received obs-fold with one or
/// more SP octets prior to interpreting the field value." (RFC 9112 section 5.2) It is as many, so that everything stays
/// where it was. The header lines start at `start`.
fn unfold(head: &[u8], start: usize) -> Vec<u8> {
    let mut head = head.to_vec();
    // What was looked at: no byte is twice, but for whitespace before a fold.
    let mut done = start;
    loop {
        let rest = head.get_mut(done..).unwrap_or_default();
        let Some(fold) = rest.windows(3).position(|bytes| matches!(bytes, [b'\r', b'\n', b' ' | b'\t']))
        else {
            return head;
        };
        let (before, behind) = rest.split_at_mut(fold + "\r\n".len());
        let blanks_before =
            before.iter().rev().skip("\r\n".len()).take_while(|byte| is_blank(**byte)).count();
        let blanks_behind = behind.iter().take_while(|byte| is_blank(**byte)).count();
        before.iter_mut().rev().take("\r\n".len() + blanks_before).for_each(|byte| *byte = b' ');
        behind.iter_mut().take(blanks_behind).for_each(|byte| *byte = b' ');
        done += fold + "\r\n".len() + blanks_behind;
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Parses a head whose header lines start at `start`, and are no more than `most`. `None`: they are not complete, or
/// not valid.
fn parse_headers(input: &[u8], start: usize, most: usize) -> Option<Headers> {
    let mut few = [httparse::EMPTY_HEADER; FEW];
    let mut many = Vec::new();
    let room = few.get_mut(..most).unwrap_or_else(|| {
        many.resize(most, httparse::EMPTY_HEADER);
        &mut many
    });
    let Ok(Status::Complete((len, parsed))) = httparse::parse_headers(input.get(start..)?, room) else {
        return None;
    };
    let head = input.get(..start + len)?;
    let fields: Vec<Field> = parsed
        .iter()
        .map(|header| {
            let name = header.name.as_bytes();
            Field::new(name, range_in(head, name), range_in(head, header.value))
        })
        .collect();
    // `httparse` takes a bare LF for a line end, too.
    let before = |field: &Field| head.get(..field.name.start).unwrap_or_default();
    let all_crlf = head.ends_with(b"\r\n\r\n") && fields.iter().all(|field| before(field).ends_with(b"\r\n"));
    all_crlf.then(|| Headers::new(Box::from(head), fields))
}

/// Where in `head` a part of it is.
fn range_in(head: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(head.as_ptr().addr());
    start..start + part.len()
}

/// The first line of a head.
pub(crate) trait StartLine: Default {
    /// Whether empty lines before it are skipped.
    const AFTER_EMPTY_LINES: bool;

    /// Whether a header line that begins with whitespace goes on with the value before it.
    const UNFOLDS: bool;

    fn may_start_with(byte: u8) -> bool;

    /// Parses `input[line]`, the line without its CR LF: it contains no control characters but tabs.
    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError>;
}

impl StartLine for RequestLine {
    const AFTER_EMPTY_LINES: bool = true;
    const UNFOLDS: bool = false;

    fn may_start_with(byte: u8) -> bool {
        is_token_byte(byte)
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError> {
        let mut parts = input.get(line.clone()).unwrap_or_default().splitn(3, |&byte| byte == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(HeadError::InvalidStartLine);
        };
        if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
            return Err(HeadError::InvalidStartLine);
        }
        let method = line.start..line.start + method.len();
        let target = method.end + 1..method.end + 1 + target.len();
        Ok(Self { method, target, major_version: 1, minor_version: minor_version(version)? })
    }
}

impl StartLine for StatusLine {
    const AFTER_EMPTY_LINES: bool = false;
    const UNFOLDS: bool = true;

    fn may_start_with(byte: u8) -> bool {
        byte == b'H'
    }

    fn parse(input: &[u8], line: Range<usize>) -> Result<Self, HeadError> {
        let text = input.get(line.clone()).unwrap_or_default();
        let (version, rest) = text.split_at_checked(8).ok_or(HeadError::InvalidStartLine)?;
        let minor_version = minor_version(version)?;
        let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', reason @ ..] = rest
        else {
            return Err(HeadError::InvalidStartLine);
        };
        let status = 100 * u16::from(hundreds - b'0') + 10 * u16::from(tens - b'0') + u16::from(ones - b'0');
        Ok(Self { minor_version, status, reason: line.end - reason.len()..line.end })
    }
}

/// The minor version of `HTTP-version` (RFC 9112 section 2.3), which is that of HTTP/1: "An HTTP/1.1 or higher GET
/// request" (6455-4.2.1-02) may be one of HTTP/1.2.
fn minor_version(version: &[u8]) -> Result<u8, HeadError> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => Ok(minor - b'0'),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HeadError::UnsupportedHttpVersion)
        }
        _ => Err(HeadError::InvalidStartLine),
    }
}

/// How many header lines most heads have at most.
const FEW: usize = 16;

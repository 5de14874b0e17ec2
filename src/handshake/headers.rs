//! The headers of a head that was received.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::str;

use super::grammar::{InvalidList, tokens};
#[cfg(feature = "http")]
use super::grammar::{is_token, trim};

/// The headers of a request or response, in the order of their lines. Names are ASCII case-insensitive.
///
/// HTTP does not say which encoding a value is in. The methods that return text leave out a value that is not UTF-8;
/// those that return bytes have them all.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers {
    /// The head as it was received, from the first byte to the empty line; or its parts, if it was parsed elsewhere.
    text: Box<[u8]>,
    /// Ranges of `text`.
    fields: Vec<Field>,
    /// Which of the names that the handshakes know are among the fields: most are not, and are not searched for.
    known: u16,
}

impl Headers {
    /// Headers whose names and values are parts of `text`.
    #[inline]
    pub(super) fn new(text: Box<[u8]>, fields: Vec<Field>) -> Self {
        let known = fields.iter().filter_map(|field| field.known).fold(0, |known, name| known | name.bit());
        Self { text, fields, known }
    }

    /// Headers that an HTTP library has parsed, behind what else there is of the head in `text`. `None`: one has a name that
    /// is no token, which some libraries let through.
    #[cfg(feature = "http")]
    pub(super) fn from_lines<'a>(
        mut text: Vec<u8>,
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<Self> {
        let mut add = |part: &[u8]| {
            let start = text.len();
            text.extend_from_slice(part);
            start..text.len()
        };
        let mut fields = Vec::new();
        for (name, value) in lines {
            let name = name.as_bytes();
            if !is_token(name) {
                return None;
            }
            fields.push(Field::new(name, add(name), add(trim(value))));
        }
        Some(Self::new(text.into_boxed_slice(), fields))
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

    /// The head as it was received.
    #[cfg(feature = "std")]
    pub(crate) fn as_received(&self) -> &[u8] {
        &self.text
    }

    /// How long the head was, with the empty lines before it, and the one behind it.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The values of all headers of a name that the handshake knows.
    pub(super) fn all(&self, name: KnownName) -> impl Iterator<Item = &[u8]> {
        let has_name = move |field: &&Field| field.known == Some(name);
        let fields = if self.has(name) { self.fields.as_slice() } else { &[] };
        fields.iter().filter(has_name).map(|field| self.bytes(&field.value))
    }

    /// The value of the first header of a name that the handshake knows, if it is UTF-8.
    pub(super) fn first(&self, name: KnownName) -> Option<&str> {
        self.all(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Whether there is a header of a name that the handshake knows.
    pub(super) fn has(&self, name: KnownName) -> bool {
        self.known & name.bit() != 0
    }

    /// The value of a header that must not be repeated: else it fails with the error.
    pub(super) fn only<E>(&self, name: KnownName, repeated: E) -> Result<Option<&[u8]>, E> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(repeated) } else { Ok(value) }
    }

    /// A part of the text; empty if it is not UTF-8.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        str::from_utf8(self.bytes(range)).unwrap_or_default()
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// Without the values that are secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_lines(self.iter(), f)
    }
}

/// A header line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Field {
    /// What the handshakes look up instead of the name, a dozen times a head.
    known: Option<KnownName>,
    pub(super) name: Range<usize>,
    /// Without the whitespace around it.
    value: Range<usize>,
}

impl Field {
    /// A line with this name, and where name and value are in the text.
    #[inline]
    pub(super) fn new(written: &[u8], name: Range<usize>, value: Range<usize>) -> Self {
        Self { known: KnownName::of(written), name, value }
    }
}

/// A name that the handshakes look up: recognised once, when a head is parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KnownName {
    Connection,
    ContentLength,
    Host,
    Origin,
    SecWebSocketAccept,
    SecWebSocketExtensions,
    SecWebSocketKey,
    SecWebSocketProtocol,
    SecWebSocketVersion,
    TransferEncoding,
    Upgrade,
}

impl KnownName {
    /// Its place in a set of names.
    #[inline]
    fn bit(self) -> u16 {
        1 << self as u16
    }

    /// "all header field names in both HTTP requests and HTTP responses are case-insensitive." (6455-4.1-47)
    #[inline]
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        // Only two names are equally long, so that one comparison decides.
        let (known, written): (_, &[u8]) = match (name.len(), name) {
            (4, _) => (Self::Host, b"Host"),
            (6, _) => (Self::Origin, b"Origin"),
            (7, _) => (Self::Upgrade, b"Upgrade"),
            (10, _) => (Self::Connection, b"Connection"),
            (14, _) => (Self::ContentLength, b"Content-Length"),
            (17, [b'S' | b's', ..]) => (Self::SecWebSocketKey, b"Sec-WebSocket-Key"),
            (17, _) => (Self::TransferEncoding, b"Transfer-Encoding"),
            (20, _) => (Self::SecWebSocketAccept, b"Sec-WebSocket-Accept"),
            (21, _) => (Self::SecWebSocketVersion, b"Sec-WebSocket-Version"),
            (22, _) => (Self::SecWebSocketProtocol, b"Sec-WebSocket-Protocol"),
            (24, _) => (Self::SecWebSocketExtensions, b"Sec-WebSocket-Extensions"),
            _ => return None,
        };
        // Nearly always it is as it is written in the RFC, which is compared at once.
        (name == written || name.eq_ignore_ascii_case(written)).then_some(known)
    }
}

/// Header lines for `Debug`, which ends up in logs: credentials do not.
pub(super) fn debug_lines<'a>(
    lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    const SECRETS: [&str; 5] =
        ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Sec-WebSocket-Key"];
    let mut map = f.debug_map();
    for (name, value) in lines {
        let is_secret = SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name));
        let value = if is_secret { b"***" } else { value };
        map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
    }
    map.finish()
}

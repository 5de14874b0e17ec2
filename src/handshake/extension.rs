//! The extension list of RFC 6455 section 9.1.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str;

use super::build_error::BuildError;
use super::grammar::{InvalidList, as_token, is_token, is_token_byte};

/// An element of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a name and its parameters, in order.
///
/// ```
/// use sansocket::handshake::Extension;
///
/// let offer = Extension::new("permessage-deflate")?
///     .param("client_max_window_bits", None)?
///     .param("server_max_window_bits", Some("10"))?;
/// assert_eq!(offer.to_string(), "permessage-deflate; client_max_window_bits; server_max_window_bits=10");
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Extension {
    /// A token.
    name: String,
    /// Names and values are tokens: values are kept without quotes.
    params: Vec<(String, Option<String>)>,
}

impl Extension {
    /// An extension without parameters.
    pub fn new(name: &str) -> Result<Self, BuildError> {
        Ok(Self { name: checked_token(name)?, params: Vec::new() })
    }

    /// Adds a parameter.
    pub fn param(mut self, name: &str, value: Option<&str>) -> Result<Self, BuildError> {
        self.params.push((checked_token(name)?, value.map(checked_token).transpose()?));
        Ok(self)
    }

    /// An extension whose name is known to be a token.
    #[cfg(feature = "deflate")]
    pub(crate) fn constant(name: &'static str) -> Self {
        Self { name: name.to_owned(), params: Vec::new() }
    }

    /// Adds a parameter whose name and value are known to be tokens.
    #[cfg(feature = "deflate")]
    pub(crate) fn constant_param(mut self, name: &'static str, value: Option<String>) -> Self {
        self.params.push((name.to_owned(), value));
        self
    }

    /// The name of the extension. Names are compared exactly.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameters in the order they were written; a value is given without its quotes.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Parses the `Sec-WebSocket-Extensions` lines of a head, in their order, as one list. No lines give an empty list.
    ///
    /// ```
    /// use sansocket::handshake::Extension;
    ///
    /// let extensions = Extension::parse_list(["foo", "bar; baz=\"2\""])?;
    /// assert_eq!(extensions[1].name(), "bar");
    /// assert_eq!(extensions[1].params().next(), Some(("baz", Some("2"))));
    /// # Ok::<(), sansocket::handshake::InvalidList>(())
    /// ```
    pub fn parse_list<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<Vec<Self>, InvalidList> {
        let mut extensions: Vec<Self> = Vec::new();
        parse_extensions(lines, |part| match part {
            Part::Extension(name) => extensions.push(Self { name: name.to_owned(), params: Vec::new() }),
            Part::Param(name, value) => {
                if let Some(extension) = extensions.last_mut() {
                    extension.params.push((name.to_owned(), value.map(Cow::into_owned)));
                }
            }
        })?;
        Ok(extensions)
    }

    /// Whether the lines form a list that [`parse_list`](Self::parse_list) takes, without keeping anything: a list
    /// takes many times the memory of its text.
    pub(super) fn check_list<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<(), InvalidList> {
        parse_extensions(lines, |_| ())
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in self.params() {
            write!(f, "; {name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

fn checked_token(token: &str) -> Result<String, BuildError> {
    if is_token(token.as_bytes()) {
        Ok(token.to_owned())
    } else {
        Err(BuildError::InvalidExtension(token.to_owned()))
    }
}

/// A part of an extension list, in the order of its text.
enum Part<'a> {
    Extension(&'a str),
    /// A parameter of the last extension.
    Param(&'a str, Option<Cow<'a, str>>),
}

/// RFC 6455 section 9.1:
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
/// ```
///
/// A list over several lines is the lists of its lines: "this header field MAY be split or combined across multiple
/// lines" (6455-9.1-03). A line break inside an extension would put a comma there, which none may have, not even
/// quoted.
fn parse_extensions<L: AsRef<[u8]>>(
    lines: impl IntoIterator<Item = L>,
    mut visit: impl FnMut(Part<'_>),
) -> Result<(), InvalidList> {
    let mut lines_seen = false;
    let mut extensions_seen = false;
    for line in lines {
        lines_seen = true;
        let mut text = Text(line.as_ref());
        loop {
            text.skip_whitespace();
            if text.is_at_end() {
                break;
            }
            if text.eat(b',') {
                continue; // An empty element.
            }
            extensions_seen = true;
            visit(Part::Extension(text.token()?));
            while text.eat(b';') {
                let name = text.token()?;
                let value = if text.eat(b'=') { Some(text.token_or_quoted()?) } else { None };
                visit(Part::Param(name, value));
            }
            if !text.is_at_end() && !text.eat(b',') {
                return Err(InvalidList);
            }
        }
    }
    // `1#extension`: a header that lists nothing is malformed.
    if lines_seen && !extensions_seen { Err(InvalidList) } else { Ok(()) }
}

/// The rest of a header value; what was read from it is gone. Whitespace between the parts ("implied *LWS") is skipped.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn skip_whitespace(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// Takes the byte if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        if self.0.first() != Some(&byte) {
            return false;
        }
        self.0 = self.0.get(1..).unwrap_or_default();
        true
    }

    fn token(&mut self) -> Result<&'a str, InvalidList> {
        self.skip_whitespace();
        let len = self.0.iter().take_while(|&&byte| is_token_byte(byte)).count();
        let (token, rest) = self.0.split_at(len);
        self.0 = rest;
        self.skip_whitespace();
        as_token(token).ok_or(InvalidList)
    }

    fn token_or_quoted(&mut self) -> Result<Cow<'a, str>, InvalidList> {
        self.skip_whitespace();
        if !self.eat(b'"') {
            return self.token().map(Cow::Borrowed);
        }

        // "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the
        // 'token' ABNF." (6455-9.1-02) So a byte between the quotes belongs to a token, escaped or not, and the first
        // that does not ends the search.
        let mut value: Cow<'a, str> = Cow::Borrowed("");
        loop {
            let len = self.0.iter().take_while(|&&byte| is_token_byte(byte)).count();
            let (part, rest) = self.0.split_at(len);
            self.0 = rest;
            value += str::from_utf8(part).map_err(|_| InvalidList)?;
            if self.eat(b'"') {
                break;
            }
            let ([b'\\', escaped, rest @ ..], true) = (self.0, self.is_escape()) else {
                return Err(InvalidList);
            };
            self.0 = rest;
            value.to_mut().push(char::from(*escaped));
        }
        if value.is_empty() {
            return Err(InvalidList);
        }
        self.skip_whitespace();
        Ok(value)
    }

    /// Whether a backslash and a byte that a token may have are next.
    fn is_escape(&self) -> bool {
        matches!(self.0, [b'\\', escaped, ..] if is_token_byte(*escaped))
    }
}

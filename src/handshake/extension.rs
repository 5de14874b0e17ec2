//! The extension list of RFC 6455 section 9.1.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::error::BuildError;
use super::grammar::{InvalidList, as_token, elements, is_token, trim};

/// An element of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): a name and its parameters, in order.
///
/// ```
/// use sansocket::handshake::Extension;
///
/// let offer = Extension::new("permessage-deflate")?
///     .param("client_max_window_bits", None)?
///     .param("server_max_window_bits", Some("10"))?;
/// assert_eq!(offer.to_string(), "permessage-deflate; client_max_window_bits; server_max_window_bits=10");
/// assert_eq!(Extension::parse_list([offer.to_string()]), Ok(vec![offer]));
/// # Ok::<(), sansocket::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Extension {
    /// A token.
    pub(crate) name: String,
    /// Names and values are tokens: values are kept without quotes.
    pub(crate) params: Vec<(String, Option<String>)>,
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

    /// The name of the extension. Names are compared exactly.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameters in the order they were written; a value is given without its quotes.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Parses the `Sec-WebSocket-Extensions` lines of a head, in their order, as one list. No lines give an empty list.
    pub fn parse_list<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<Vec<Self>, InvalidList> {
        let mut extensions = Vec::new();
        parse(lines, Some(&mut extensions))?;
        Ok(extensions)
    }

    /// The names in lines that form a list.
    pub(super) fn names<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a str> {
        lines.flat_map(elements).filter_map(|element| parts(element).next().and_then(as_token))
    }

    /// Whether the lines form a list that [`parse_list`](Self::parse_list) takes, without keeping anything: a list
    /// takes many times the memory of its text.
    pub(super) fn check_list<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<(), InvalidList> {
        parse(lines, None)
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

/// RFC 6455 section 9.1:
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
/// ```
///
/// A list over several lines is the lists of its lines: "this header field MAY be split or combined across multiple
/// lines" (6455-9.1-03). A line break inside an extension would put a comma there. None may have a comma, nor a
/// semicolon, not even quoted. Whitespace around the parts ("implied *LWS") is skipped.
///
/// The extensions go into `list`, if there is one.
fn parse<L: AsRef<[u8]>>(
    lines: impl IntoIterator<Item = L>,
    mut list: Option<&mut Vec<Extension>>,
) -> Result<(), InvalidList> {
    let (mut has_lines, mut has_elements) = (false, false);
    for line in lines {
        has_lines = true;
        for element in elements(line.as_ref()) {
            has_elements = true;
            let mut parts = parts(element);
            let name = parts.next().and_then(as_token).ok_or(InvalidList)?;
            let mut params = Vec::new();
            for part in parts {
                let (name, value) = parse_param(part).ok_or(InvalidList)?;
                if list.is_some() {
                    params.push((name.to_owned(), value.map(Cow::into_owned)));
                }
            }
            if let Some(list) = &mut list {
                list.push(Extension { name: name.to_owned(), params });
            }
        }
    }
    // `1#extension`: a header that lists nothing is malformed.
    if has_lines && !has_elements { Err(InvalidList) } else { Ok(()) }
}

/// An extension's name and parameters.
fn parts(extension: &[u8]) -> impl Iterator<Item = &[u8]> {
    extension.split(|&byte| byte == b';').map(trim)
}

/// A parameter's name, and its value without quotes.
fn parse_param(param: &[u8]) -> Option<(&str, Option<Cow<'_, str>>)> {
    let mut parts = param.splitn(2, |&byte| byte == b'=').map(trim);
    let name = as_token(parts.next()?)?;
    let value = match parts.next() {
        Some([b'"', quoted @ .., b'"']) => Some(Cow::Owned(unescape(quoted)?)),
        Some(token) => Some(Cow::Borrowed(as_token(token)?)),
        None => None,
    };
    Some((name, value))
}

/// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token'
/// ABNF." (6455-9.1-02)
fn unescape(quoted: &[u8]) -> Option<String> {
    let (mut value, mut bytes) = (Vec::new(), quoted.iter());
    while let Some(&byte) = bytes.next() {
        value.push(if byte == b'\\' { *bytes.next()? } else { byte });
    }
    as_token(&value).map(ToOwned::to_owned)
}

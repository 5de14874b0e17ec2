//! WebSocket URIs (RFC 6455 sections 3 and 11.1): what a client is asked to connect to.
//!
//! ```text
//! ws-URI  = "ws:"  "//" host [ ":" port ] path [ "?" query ]
//! wss-URI = "wss:" "//" host [ ":" port ] path [ "?" query ]
//! ```

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::Ipv6Addr;
use core::str::FromStr;

/// A `ws:` or `wss:` URI (RFC 6455 section 3), checked and taken apart.
///
/// - The host is ASCII, in lower case. A name in another script must be converted to its `xn--` form by the caller.
/// - A character that the syntax excludes from path and query, such as a space or `é`, is percent-encoded; an escape
///   that is there (`%20`) is kept as it is, and a `%` that starts no escape is an error.
/// - User name and password, and fragments, are refused: neither has a meaning in a WebSocket URI.
///
/// ```
/// let uri = sansocket::Uri::parse("wss://Example.com/chat?room=1")?;
/// assert!(uri.is_secure());
/// assert_eq!(uri.host(), "example.com");
/// assert_eq!(uri.port(), 443);
/// assert_eq!(uri.resource_name(), "/chat?room=1");
/// # Ok::<(), sansocket::UriError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Uri {
    secure: bool,
    /// `host [ ":" port ]`, without the default port: the value of the `Host` header.
    authority: String,
    /// The length of the host at the front of `authority`, brackets included.
    host_len: usize,
    port: u16,
    resource_name: String,
}

impl Uri {
    /// Parses an absolute WebSocket URI.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        if uri.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UriError::ControlCharacter);
        }

        let (scheme, rest) = uri.split_once("://").ok_or(UriError::UnsupportedScheme)?;
        // "The URI is called "secure" [..] if the scheme component matches "wss" case-insensitively." (6455-3-02)
        let secure = scheme.eq_ignore_ascii_case("wss");
        if !secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(UriError::UnsupportedScheme);
        }

        // "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs.
        // [..] the character "#", when not indicating the start of a fragment, MUST be escaped as %23." (6455-3-04,
        // 6455-3-05)
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }

        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_authority(authority)?;
        // "The port component is OPTIONAL; the default for "ws" is port 80, while the default for "wss" is port 443."
        // (6455-3-01)
        let default_port = if secure { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let host = host.to_ascii_lowercase();
        let host_len = host.len();
        let authority = if port == default_port { host } else { format!("{host}:{port}") };

        Ok(Self { secure, authority, host_len, port, resource_name: resource_name(rest)? })
    }

    /// The URI that a reference on the resource at this one leads to, such as the `Location` of a redirect (RFC 3986
    /// section 5.2): a whole URI, one without a scheme (`//host/path`), a path from the root or from here, or a query.
    ///
    /// The schemes `http` and `https`, which redirects come with, are taken for `ws` and `wss`. A fragment is dropped, since
    /// it has no meaning in a WebSocket URI. All else is as [`parse`](Self::parse) has it.
    ///
    /// ```
    /// let uri = sansocket::Uri::parse("wss://example.com/rooms/1?user=2")?;
    /// assert_eq!(uri.resolve("../lobby")?.to_string(), "wss://example.com/lobby");
    /// assert_eq!(uri.resolve("https://eu.example.com/")?.to_string(), "wss://eu.example.com/");
    /// # Ok::<(), sansocket::UriError>(())
    /// ```
    pub fn resolve(&self, reference: &str) -> Result<Self, UriError> {
        if reference.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UriError::ControlCharacter);
        }
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        let (scheme, relative) = match split_scheme(reference) {
            None => (if self.secure { "wss" } else { "ws" }, reference),
            Some((scheme, rest)) => match &*scheme.to_ascii_lowercase() {
                "ws" | "http" => ("ws", rest),
                "wss" | "https" => ("wss", rest),
                _ => return Err(UriError::UnsupportedScheme),
            },
        };
        let elsewhere = relative.strip_prefix("//");
        let (authority, rest) = match elsewhere {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            None if relative.len() < reference.len() => return Err(UriError::MissingHost),
            None => (self.authority(), relative),
        };
        let (path, query) = split_query(rest);
        let (own_path, own_query) = split_query(&self.resource_name);
        let (path, query) = match path {
            "" if elsewhere.is_none() => (own_path.to_owned(), query.or(own_query)),
            "" => (String::new(), query),
            _ if path.starts_with('/') => (remove_dot_segments(path), query),
            // "a string consisting of the reference's path component appended to all but the last segment of the base
            // URI's path" (RFC 3986 section 5.2.3).
            _ => {
                let folder = own_path.rsplit_once('/').map_or("", |(folder, _)| folder);
                (remove_dot_segments(&format!("{folder}/{path}")), query)
            }
        };
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        Self::parse(&format!("{scheme}://{authority}{path}{query}"))
    }

    /// Whether the scheme is `wss`: the connection must be a TLS connection.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.get(..self.host_len).unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port to connect to, be it the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the `Host` header has them: IPv6 in brackets, no port where it is the default.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Host and port, be it the scheme's default: IPv6 in brackets.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.authority.get(..self.host_len).unwrap_or_default(), self.port)
    }

    /// What is asked for on the server: the path, and the query if there is one.
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(uri: &str) -> Result<Self, UriError> {
        Self::parse(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority, self.resource_name)
    }
}

/// Why a text is not a WebSocket URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UriError {
    /// A control character, such as a line end, somewhere in the URI.
    ControlCharacter,
    /// Not an absolute URI with the scheme `ws` or `wss`.
    UnsupportedScheme,
    /// `#` and what follows it.
    Fragment,
    /// A user name or password before the host.
    UserInfo,
    /// No host.
    MissingHost,
    /// A host name that is not ASCII.
    NonAsciiHost,
    /// A host with a character that no host may have, or a malformed IPv6 address.
    InvalidHost,
    /// A port that is empty, 0, above 65535, or not a number.
    InvalidPort,
    /// A `%` that two hexadecimal digits do not follow.
    InvalidPercentEncoding,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlCharacter => "a WebSocket URI cannot contain control characters or line ends",
            Self::UnsupportedScheme => "a WebSocket URI starts with ws:// or wss://",
            Self::Fragment => "a WebSocket URI has no fragment: write a literal # as %23",
            Self::UserInfo => {
                "a WebSocket URI has no user name or password: send them in an Authorization header"
            }
            Self::MissingHost => "the WebSocket URI names no host",
            Self::NonAsciiHost => "the host is not ASCII: convert it to its xn-- form (IDNA)",
            Self::InvalidHost => "the host is not a valid host name or IP address",
            Self::InvalidPort => "the port is not a number from 1 to 65535",
            Self::InvalidPercentEncoding => {
                "a % in path or query is not followed by two hexadecimal digits: write a literal % as %25"
            }
        })
    }
}

impl core::error::Error for UriError {}

/// Takes `host [ ":" port ]` apart and checks both; an IPv6 address keeps its brackets. The `Host` header has the same
/// syntax.
pub(crate) fn split_authority(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    // No part may have the character: what stands before it is the reason why the authority is wrong.
    split_host(authority).map_err(|error| if authority.contains('@') { UriError::UserInfo } else { error })
}

fn split_host(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let len = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(UriError::InvalidHost)?;
        let address = authority.get(1..end).unwrap_or_default();
        address.parse::<Ipv6Addr>().map_err(|_| UriError::InvalidHost)?;
        end + 1
    } else {
        authority.bytes().take_while(|&byte| is_plain(byte)).count()
    };

    let (host, rest) = authority.split_at(len);
    match rest.strip_prefix(':') {
        port if host.is_empty() && (port.is_some() || rest.is_empty()) => Err(UriError::MissingHost),
        Some(port) => match port.parse() {
            // `parse` alone would take a sign.
            Ok(number @ 1..) if !port.starts_with('+') => Ok((host, Some(number))),
            _ => Err(UriError::InvalidPort),
        },
        None if rest.is_empty() => Ok((host, None)),
        // "Characters in the host component that are excluded by the syntax defined above MUST be converted from
        // Unicode to ASCII as specified in [RFC3987]" (6455-11.1.1-01, 6455-11.1.2-01), with tables that are not part
        // of this crate.
        None if !host.starts_with('[') && rest.split(':').next().is_some_and(|name| !name.is_ascii()) => {
            Err(UriError::NonAsciiHost)
        }
        None => Err(UriError::InvalidHost),
    }
}

/// The scheme that a reference begins with (RFC 3986 section 3.1), and what follows its colon.
pub(crate) fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some((scheme, rest))
}

fn split_query(path_and_query: &str) -> (&str, Option<&str>) {
    path_and_query.split_once('?').map_or((path_and_query, None), |(path, query)| (path, Some(query)))
}

/// A path that begins with `/`, without the segments `.` and `..` (RFC 3986 section 5.2.4).
fn remove_dot_segments(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // What remains is a folder.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// "The "resource-name" [..] can be constructed by concatenating the following: [..] "/" if the path component is empty
/// [..] the path component [..] "?" if the query component is non-empty [..] the query component" (6455-3-03).
///
/// "Characters in other components that are excluded by the syntax defined above MUST be converted from Unicode to
/// ASCII by first encoding the characters as UTF-8 and then replacing the corresponding bytes using their
/// percent-encoded form" (6455-11.1.1-02, 6455-11.1.2-02).
fn resource_name(path_and_query: &str) -> Result<String, UriError> {
    let text = match path_and_query.split_once('?') {
        Some((path, "")) => path,
        _ => path_and_query,
    };
    let mut name = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        name.push('/');
    }
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'%' if text.bytes().skip(i + 1).take(2).filter(u8::is_ascii_hexdigit).count() < 2 => {
                return Err(UriError::InvalidPercentEncoding);
            }
            b'%' | b':' | b'@' | b'/' | b'?' => name.push(char::from(byte)),
            _ if is_plain(byte) => name.push(char::from(byte)),
            _ => {
                // A `String` takes whatever is written.
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    Ok(name)
}

/// What the syntax leaves as it is everywhere: RFC 3986 sections 2.2, `sub-delims`, and 2.3, `unreserved`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'$' | b'&'..=b',' | b'-' | b'.' | b';' | b'=' | b'_' | b'~')
}

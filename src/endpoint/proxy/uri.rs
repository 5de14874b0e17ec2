//! A proxy as its URI names it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::handshake::uri::{UriError, split_authority};

/// A proxy, through which a client's connection goes: `http://user:password@proxy.example:3128`.
///
/// | scheme | how a tunnel is asked for | port where the URI has none |
/// | --- | --- | --- |
/// | `http://`, or none | CONNECT of HTTP/1.1 (RFC 9110 section 9.3.6) | 1080 |
/// | `https://` | the same over TLS; needs the feature `rustls` or `tokio-rustls` | 443 |
/// | `socks5://` | SOCKS 5 (RFC 1928), for the first address that the client finds for the host | 1080 |
/// | `socks5h://` | SOCKS 5, for the host's name, which the proxy looks up | 1080 |
///
/// The ports are those that curl takes. User name and password are percent-encoded where they have other characters than
/// letters and digits. A proxy is told them (by `Basic`, RFC 7617, or RFC 1929), and host and port of the server: all else
/// is between client and server. By `http://` and `socks5://` both are sent in the clear, as is the rest of a `ws://`
/// connection.
///
/// `Display`, which error texts have, shows the user name where there is a password, and never the password: a user name alone
/// may be a secret, too, such as a token. `Debug` shows neither.
///
/// ```
/// use sansocket::Proxy;
///
/// let proxy = Proxy::parse("http://joe:s%40cret@Proxy.example:3128")?;
/// assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
/// assert_eq!(proxy.to_string(), "http://joe:***@proxy.example:3128");
/// # Ok::<(), sansocket::ProxyUriError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    scheme: Scheme,
    /// In lower case; an IPv6 address has its brackets.
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
}

impl Proxy {
    /// Parses a proxy's URI. A path other than `/` is refused: it has no meaning.
    pub fn parse(uri: &str) -> Result<Self, ProxyUriError> {
        let (scheme, rest) = match uri.split_once("://") {
            Some((scheme, rest)) => (Scheme::parse(scheme)?, rest),
            None => (Scheme::Http, uri),
        };
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(scheme.credentials(credentials)?), authority),
            None => (None, rest),
        };
        let (host, port) = split_authority(authority.strip_suffix('/').unwrap_or(authority))?;
        let port = port.unwrap_or(if scheme == Scheme::Https { 443 } else { 1080 });
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port, credentials })
    }

    /// The proxy's own host: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken to the proxy itself.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether the client looks the server's name up, and not the proxy.
    pub(crate) fn takes_addresses(&self) -> bool {
        self.scheme == Scheme::Socks5
    }

    /// Whether it speaks SOCKS.
    pub(super) fn is_socks(&self) -> bool {
        matches!(self.scheme, Scheme::Socks5 | Scheme::Socks5h)
    }

    /// User name and password.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }
}

impl FromStr for Proxy {
    type Err = ProxyUriError;

    fn from_str(uri: &str) -> Result<Self, ProxyUriError> {
        Self::parse(uri)
    }
}

macro_rules! try_from {
    ($($uri:ty),+) => {$(
        impl TryFrom<$uri> for Proxy {
            type Error = ProxyUriError;

            fn try_from(uri: $uri) -> Result<Self, ProxyUriError> {
                Self::parse(uri.as_ref())
            }
        }
    )+};
}

try_from!(&str, &String, String);

/// Without the password, or what stands for one.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        match &self.credentials {
            None => {}
            Some((_, password)) if password.is_empty() => f.write_str("***@")?,
            Some((user, _)) => write!(f, "{}:***@", user.escape_debug())?,
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Without user name and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "Proxy({}://{credentials}{}:{})", self.scheme.name(), self.host, self.port)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    Http,
    Https,
    Socks5,
    Socks5h,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Socks5, Self::Socks5h];

    fn parse(scheme: &str) -> Result<Self, ProxyUriError> {
        let known = Self::ALL.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.name()));
        known.ok_or(ProxyUriError::UnsupportedScheme)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// User name and password, if the proxy can be told them.
    fn credentials(self, text: &str) -> Result<(String, String), ProxyUriError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
        let can_be_told = match self {
            // "a user-id containing a colon character is invalid" (RFC 7617 section 2)
            Self::Http | Self::Https => !user.contains(':'),
            // In front of each is a byte that says how long it is (RFC 1929 section 2), and there is a user.
            Self::Socks5 | Self::Socks5h => (1..=255).contains(&user.len()) && password.len() <= 255,
        };
        if can_be_told { Ok((user, password)) } else { Err(ProxyUriError::InvalidCredentials) }
    }
}

/// Why a text is not a proxy's URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyUriError {
    /// Not one of the schemes that [`Proxy`] lists.
    UnsupportedScheme,
    /// No host, or not a host's name or address, or something behind it.
    InvalidHost,
    /// A port that is empty, 0, above 65535, or not a number.
    InvalidPort,
    /// A user name or password with a control character, with one that ends the authority of a URI and so must be
    /// percent-encoded, or with a `%` that two hexadecimal digits do not follow; or that is too long for SOCKS, or has a
    /// colon where HTTP allows none.
    InvalidCredentials,
    /// A variable of the environment that is not UTF-8.
    NotUtf8,
}

impl From<UriError> for ProxyUriError {
    fn from(error: UriError) -> Self {
        if error == UriError::InvalidPort { Self::InvalidPort } else { Self::InvalidHost }
    }
}

impl fmt::Display for ProxyUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedScheme => {
                "the proxy's URI does not start with http://, https://, socks5:// or socks5h://"
            }
            Self::InvalidHost => "the proxy's host is not a valid host name or IP address",
            Self::InvalidPort => "the proxy's port is not a number from 1 to 65535",
            Self::InvalidCredentials => {
                "the user name or the password for the proxy cannot be sent: percent-encode what are not letters and digits"
            }
            Self::NotUtf8 => {
                "the environment's variable for the proxy is not UTF-8: percent-encode user name and password"
            }
        })
    }
}

impl core::error::Error for ProxyUriError {}

fn percent_decoded(text: &str) -> Result<String, ProxyUriError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let byte = match byte {
            b'%' => match digit().zip(digit()).map(|(high, low)| u8::try_from(16 * high + low)) {
                Some(Ok(byte)) => byte,
                _ => return Err(ProxyUriError::InvalidCredentials),
            },
            b'/' | b'?' | b'#' | b'@' => return Err(ProxyUriError::InvalidCredentials),
            _ => byte,
        };
        decoded.push(byte);
    }
    let decoded = String::from_utf8(decoded).ok().filter(|text| !text.chars().any(char::is_control));
    decoded.ok_or(ProxyUriError::InvalidCredentials)
}

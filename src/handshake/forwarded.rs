//! What a proxy says that its client asked for: `X-Forwarded-Host`, and `Forwarded` (RFC 7239).

use core::str;

use super::grammar::{InvalidList, is_token_byte, trim};
use super::headers::Headers;
use super::uri::split_authority;

/// The header in which a proxy names the host that its client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ForwardedHost {
    /// `X-Forwarded-Host`: a host with an optional port, or a list of them. Apache adds it by itself, nginx with
    /// `proxy_set_header X-Forwarded-Host $http_host`, `HAProxy` with
    /// `http-request add-header X-Forwarded-Host %[req.hdr(Host)]`.
    XForwardedHost,
    /// `Forwarded`, the parameter `host` (RFC 7239 section 5.3), in quotes if it has a port. nginx adds it with
    /// `proxy_set_header Forwarded "host=\"$http_host\""`.
    Forwarded,
}

impl ForwardedHost {
    /// The host that the last proxy names; `None`: it names none.
    ///
    /// Each proxy adds to the end of the list, be it to its last line or as one more, so that what stands before is what
    /// others, or the client, have told it. Lines are read apart: what is left open in one does not reach the next.
    pub(super) fn find(self, headers: &Headers) -> Result<Option<&str>, InvalidList> {
        let Some(line) = headers.get_all(self.name()).last() else {
            return Ok(None);
        };
        let last = match self {
            Self::XForwardedHost => line.rsplit(|&byte| byte == b',').next().map(trim),
            Self::Forwarded => last_host(line)?,
        };
        let check = |host| str::from_utf8(host).ok().filter(|host| split_authority(host).is_ok());
        last.map(|host| check(host).ok_or(InvalidList)).transpose()
    }

    /// The name of the header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::XForwardedHost => "X-Forwarded-Host",
            Self::Forwarded => "Forwarded",
        }
    }
}

/// The `host` of the last element, if it has one. Fails if the list breaks the grammar of RFC 7239 section 4:
///
/// ```text
/// Forwarded         = 1#forwarded-element
/// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
/// forwarded-pair    = token "=" ( token / quoted-string )
/// ```
///
/// "A recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110 section 5.6.1.2): those that come
/// before others, as where nginx adds to what no client sent. An empty last one is refused: it is of a proxy that had nothing to
/// say, and what stands before it may be the client's.
fn last_host(mut list: &[u8]) -> Result<Option<&[u8]>, InvalidList> {
    let (mut host, mut is_empty) = (None, true);
    loop {
        let (name, mut rest) = split_token(trim(list));
        if !name.is_empty() {
            let value = rest.strip_prefix(b"=").and_then(split_value);
            let value = value.ok_or(InvalidList)?;
            rest = value.1;
            is_empty = false;
            // "Each parameter MUST NOT occur more than once per field-value." (RFC 7239 section 4)
            if name.eq_ignore_ascii_case(b"host") && host.replace(value.0).is_some() {
                return Err(InvalidList);
            }
        }
        list = match trim(rest) {
            [] if !is_empty => return Ok(host),
            [b';', rest @ ..] => rest,
            [b',', rest @ ..] => {
                (host, is_empty) = (None, true);
                rest
            }
            _ => return Err(InvalidList),
        };
    }
}

/// A token, or what is between quotes, as it is written.
///
/// "Recipients that process the value of a quoted-string MUST handle a quoted-pair as if it were replaced by the octet following
/// the backslash." (RFC 9110 section 5.6.4) Here the value is a host, in which nothing needs a backslash: one that has it is
/// refused, as what is no host, and all other values are only skipped.
fn split_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        return Some(split_token(text)).filter(|(value, _)| !value.is_empty());
    };
    let mut escaped = false;
    let end = quoted.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (value, rest) = quoted.split_at(end);
    Some((value, rest.get(1..)?))
}

fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|&&byte| is_token_byte(byte)).count())
}

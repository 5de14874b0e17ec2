//! A server's response, as a client reads it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
#[cfg(feature = "std")]
use core::time::Duration;
#[cfg(feature = "std")]
use std::time::{SystemTime, UNIX_EPOCH};

use super::grammar::tokens;
use super::headers::{Headers, KnownName};
#[cfg(feature = "std")]
use super::http_date;

/// A server's HTTP response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    pub(super) line: StatusLine,
    pub(super) headers: Headers,
    /// Of a refusal, as far as it was read.
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// The text after the status code. It may be empty, and means nothing to a program.
    pub fn reason(&self) -> &str {
        self.headers.text(&self.line.reason)
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The start of a refusal's body, as far as [`Limits::refusal_body_bytes`](super::Limits::refusal_body_bytes) goes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How long the server asks the client to wait before it tries again (RFC 9110 section 10.2.3): the header `Retry-After`, in
    /// seconds or as a date. `None` if it does not, or says neither; zero for a date that has passed.
    ///
    /// A date is compared with the response's own, so that a client's clock may be wrong, and with `now` if it has none.
    /// Nothing bounds what a server may say: [`Policy::max_retry_after`](crate::reconnect::Policy::max_retry_after) does.
    #[cfg(feature = "std")]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.get("Retry-After")?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // All that can go wrong is that it is too large.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let date = self.headers.get("Date").and_then(|date| http_date::parse(date, now)).unwrap_or(now);
        Some(Duration::from_secs(http_date::parse(value, now)?.saturating_sub(date)))
    }

    /// Whether it answers an ordinary request, in place of that for an upgrade, which some proxies do not pass on: with a page,
    /// or that it should be asked for one, 426, where that is not about the version.
    pub(super) fn ignores_upgrade(&self) -> bool {
        let (status, mut versions) = (self.status(), self.websocket_versions().peekable());
        matches!(status, 200..300)
            || status == 426 && (versions.peek().is_none() || versions.any(|version| version == 13))
    }

    /// What the body says in its first line, if it is plain text: at most 200 characters, none of which controls a terminal.
    pub(crate) fn first_line(&self) -> Option<String> {
        let is_text = |media: &str| media.trim_start().to_ascii_lowercase().starts_with("text/plain");
        let body = String::from_utf8_lossy(&self.body);
        let line = body.lines().map(str::trim).find(|line| !line.is_empty());
        let line = line.filter(|_| self.headers.get("Content-Type").is_none_or(is_text))?;
        Some(line.chars().take(200).map(|char| if char.is_control() { ' ' } else { char }).collect())
    }

    /// The versions of the WebSocket protocol that the server says it speaks (RFC 6455 section 4.4).
    pub fn websocket_versions(&self) -> impl Iterator<Item = u8> {
        // "Limited to 0-255 range, with no leading zeros" (RFC 6455 section 4.3), nor a sign.
        let parse = |version: &str| version.parse().ok().filter(|parsed: &u8| parsed.to_string() == version);
        tokens(self.headers.all(KnownName::SecWebSocketVersion)).flatten().filter_map(parse)
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 section 4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct StatusLine {
    pub(super) minor_version: u8,
    pub(super) status: u16,
    /// A range of the head.
    pub(super) reason: Range<usize>,
}

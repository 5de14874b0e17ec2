//! The versions of HTTP by which a server can be asked for a WebSocket.

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HttpVersion {
    /// 1.1, whose requests are upgraded (RFC 6455).
    Http1,
    /// 2, by extended CONNECT (RFC 8441).
    #[cfg(feature = "http2")]
    Http2,
}

//! The header names that the handshakes look up, recognised once, when a head is parsed.

/// A header that means something to a handshake.
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

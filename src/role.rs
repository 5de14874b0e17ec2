//! The two ends of a connection (RFC 6455 section 1.2).

/// Which end of the connection this endpoint is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// The endpoint that opened the connection: it masks every frame it sends.
    Client,
    /// The endpoint that accepted the connection: it never masks.
    Server,
}

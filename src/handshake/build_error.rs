//! What this endpoint must not put into an opening handshake.

use alloc::string::String;
use core::fmt;

/// This endpoint asked for something that must not be sent. Nothing the peer does causes it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Not a header name: a name is a non-empty token.
    InvalidHeaderName(String),
    /// The value given for this header has a character other than visible ASCII, space and tab.
    InvalidHeaderValue(String),
    /// A header that the handshake itself writes, or that has a method of its own.
    ReservedHeader(String),
    /// Not a subprotocol: a subprotocol is a non-empty token.
    InvalidSubprotocol(String),
    /// A subprotocol offered twice.
    RepeatedSubprotocol(String),
    /// A subprotocol that the client did not offer.
    UnofferedSubprotocol(String),
    /// An extension whose name, parameter name or parameter value is not a token.
    InvalidExtension(String),
    /// An extension accepted twice.
    RepeatedExtension(String),
    /// An extension that the client did not offer.
    UnofferedExtension(String),
    /// Not a status that ends a handshake: it is below 200 or above 599.
    InvalidStatus(u16),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHeaderName(name) => write!(f, "{name:?} is not a header name"),
            Self::InvalidHeaderValue(name) => {
                write!(f, "the value of the header {name:?} has a character that is not visible ASCII")
            }
            Self::ReservedHeader(name) => write!(f, "the header {name:?} is written by the handshake itself"),
            Self::InvalidSubprotocol(name) => write!(f, "{name:?} is not a subprotocol: it must be a token"),
            Self::RepeatedSubprotocol(name) => write!(f, "the subprotocol {name:?} is offered twice"),
            Self::UnofferedSubprotocol(name) => {
                write!(f, "the client did not offer the subprotocol {name:?}")
            }
            Self::InvalidExtension(name) => {
                write!(f, "{name:?} is not a token: extensions and their parameters must be")
            }
            Self::RepeatedExtension(name) => write!(f, "the extension {name:?} is accepted twice"),
            Self::UnofferedExtension(name) => write!(f, "the client did not offer the extension {name:?}"),
            Self::InvalidStatus(status) => {
                write!(f, "{status} is not a status from 200 to 599")
            }
        }
    }
}

impl core::error::Error for BuildError {}

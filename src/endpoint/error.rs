//! Why a call of an adapter failed.

use core::convert::Infallible;
use core::fmt;
use std::io;

use crate::error::{ProtocolError, SendError, TimedOut};
use crate::handshake::uri::UriError;
use crate::handshake::{BuildError, HandshakeError, RequestError, ResponseError};

/// Why a call of an adapter failed.
#[non_exhaustive]
#[derive(Debug)]
pub enum Error {
    /// The URI is not a WebSocket URI.
    Uri(UriError),
    /// The transport could not be opened: name resolution, TCP, or TLS.
    Connect(io::Error),
    /// The opening handshake failed, or was refused.
    Handshake(HandshakeError),
    /// What the caller asked to put into the opening handshake may not stand there.
    Build(BuildError),
    /// The peer broke the protocol, and was told so.
    Protocol(ProtocolError),
    /// What the caller asked for may not be sent; the connection goes on.
    Send(SendError),
    /// A deadline passed: the connection is over.
    TimedOut(TimedOut),
    /// The transport ended without the closing handshake: what every network does now and then. The
    /// close code is 1006.
    ConnectionLost(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => error.fmt(f),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Handshake(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::TimedOut(error) => error.fmt(f),
            Self::ConnectionLost(error) => write!(f, "the connection was lost: {error}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Uri(error) => Some(error),
            Self::Connect(error) | Self::ConnectionLost(error) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Build(error) => Some(error),
            Self::Protocol(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::TimedOut(error) => Some(error),
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Self::TimedOut(error)
    }
}

impl From<UriError> for Error {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Handshake(error.into())
    }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        Self::Handshake(error.into())
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

//! Why a call of an adapter failed.

use core::convert::Infallible;
use core::fmt;
use std::io;

#[cfg(feature = "rustls")]
use super::certificate::CertificateError;
use super::proxy::{ProxyError, ProxyUriError};
use super::redirect::RedirectError;
use super::transport_error::TransportError;
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::handshake::uri::UriError;
use crate::handshake::{BuildError, HeadError, RequestError, Response, ResponseError};

/// Why a call of an adapter failed.
#[non_exhaustive]
#[derive(Debug)]
pub enum Error {
    /// The URI is not a WebSocket URI.
    Uri(UriError),
    /// The transport could not be opened: name resolution, TCP, or TLS. What went wrong in TLS is in it as it was, a
    /// `rustls::Error`.
    Connect(io::Error),
    /// A proxy gave no tunnel to the server.
    Proxy(ProxyError),
    /// The client's request breaks a rule, or asks for no WebSocket where one was to be accepted.
    Request(RequestError),
    /// The server's response breaks a rule, or refuses.
    Response(ResponseError),
    /// The server redirects, to where the client was not to follow: see [`Client::redirects`](crate::Client::redirects).
    Redirect(RedirectError),
    /// A certificate or a private key for TLS cannot be used.
    #[cfg(feature = "rustls")]
    Certificate(CertificateError),
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

impl Error {
    /// The server's response, if it refused, or redirected.
    pub fn refusal(&self) -> Option<&Response> {
        match self {
            Self::Response(ResponseError::Refused(response)) => Some(response),
            Self::Redirect(error) => Some(error.response()),
            _ => None,
        }
    }

    /// Whether it is what every network does now and then: the peer is gone, or silent.
    pub(crate) fn is_peer_gone(&self) -> bool {
        matches!(
            self,
            Self::ConnectionLost(_)
                | Self::TimedOut(_)
                | Self::Request(RequestError::Head(HeadError::Incomplete) | RequestError::IncompleteBody)
                | Self::Response(ResponseError::Head(HeadError::Incomplete))
        )
    }

    /// The error in it.
    fn inner(&self) -> &(dyn core::error::Error + 'static) {
        match self {
            Self::Uri(error) => error,
            Self::Connect(error) | Self::ConnectionLost(error) => error,
            Self::Proxy(error) => error,
            Self::Request(error) => error,
            Self::Response(error) => error,
            Self::Redirect(error) => error,
            #[cfg(feature = "rustls")]
            Self::Certificate(error) => error,
            Self::Build(error) => error,
            Self::Protocol(error) => error,
            Self::Send(error) => error,
            Self::TimedOut(error) => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {}", TransportError(error)),
            Self::ConnectionLost(error) => write!(f, "the connection was lost: {}", TransportError(error)),
            _ => write!(f, "{}", self.inner()),
        }
    }
}

impl core::error::Error for Error {
    /// What is below the error in it, which says all itself: who prints the chain reads nothing twice.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.inner().source()
    }
}

macro_rules! from {
    ($($error:ident => $variant:ident),+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )+};
}

from!(UriError => Uri, RequestError => Request, ResponseError => Response, BuildError => Build);
from!(RedirectError => Redirect);
#[cfg(feature = "rustls")]
from!(CertificateError => Certificate);
from!(ProxyError => Proxy, ProtocolError => Protocol, SendError => Send, TimedOut => TimedOut);

impl From<ProxyUriError> for Error {
    fn from(error: ProxyUriError) -> Self {
        Self::Proxy(ProxyError::Uri(error))
    }
}

/// What converts into a [`Client`](crate::Client) without fail is one.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// For readers and writers of bytes: the error is in it, whose kind is the transport's, or the nearest one.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Connect(error)
            | Error::ConnectionLost(error)
            | Error::Proxy(ProxyError::Connect(error) | ProxyError::Lost(error)) => error.kind(),
            Error::Proxy(ProxyError::Uri(_)) => io::ErrorKind::InvalidInput,
            Error::Proxy(ProxyError::Response(_) | ProxyError::NotSocks) => io::ErrorKind::InvalidData,
            Error::Proxy(_) => io::ErrorKind::ConnectionRefused,
            Error::Request(_) | Error::Response(_) | Error::Redirect(_) | Error::Protocol(_) => {
                io::ErrorKind::InvalidData
            }
            Error::Send(SendError::Closing) => io::ErrorKind::BrokenPipe,
            Error::Uri(_) | Error::Build(_) | Error::Send(_) => io::ErrorKind::InvalidInput,
            #[cfg(feature = "rustls")]
            Error::Certificate(_) => io::ErrorKind::InvalidInput,
            Error::TimedOut(_) => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

//! How a connection ended, or an attempt to open one, and whether that is the end of all.

use core::fmt;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::time::SystemTime;

use super::super::addresses::Unreachable;
use super::super::error::Error;
use super::super::proxy::{ProxyError, SocksReply};
use crate::connection::{Closed, Initiator};
use crate::frame::CloseCode;
use crate::handshake::{HeadError, Response, ResponseError};

/// How a connection ended, or an attempt to open one. Its `Display` is a sentence for a log.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "by the closing handshake, or without it")]
pub enum Ended {
    /// By the closing handshake.
    Closed(Closed),
    /// It failed.
    Failed(Error),
}

impl Ended {
    /// What receiving came to, if it was no message; `closed` is how the connection closed.
    pub(crate) fn of(received: Result<(), Error>, closed: Option<&Closed>) -> Self {
        let lost = || Closed::new(CloseCode::ABNORMAL_CLOSURE, "", Initiator::Transport, false);
        match received {
            Ok(()) => Self::Closed(closed.cloned().unwrap_or_else(lost)),
            Err(error) => Self::Failed(error),
        }
    }

    /// The code that the server closed the connection with; [`CloseCode::NO_STATUS_RECEIVED`] if it gave none. `None` if it
    /// did not close it.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed(closed) => Some(closed.code).filter(|code| *code != CloseCode::ABNORMAL_CLOSURE),
            Self::Failed(_) => None,
        }
    }

    /// The server's response, if it refused to open the connection.
    pub fn refusal(&self) -> Option<&Response> {
        match self {
            Self::Closed(_) => None,
            Self::Failed(error) => error.refusal(),
        }
    }

    /// Whether it makes no sense to connect again: see [the table](super#what-ends-it). The second of two refusals with 401
    /// is final too, which one alone cannot tell.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Closed(closed) => is_final_code(closed.code),
            Self::Failed(error) => is_final_error(error),
        }
    }

    /// Whether it is a refusal that a new token may be the answer to.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.refusal().is_some_and(|response| response.status() == 401)
    }

    /// How long the server asks to wait.
    pub(super) fn retry_after(&self, date: SystemTime) -> Option<Duration> {
        self.refusal()?.retry_after(date)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) if closed.reason.is_empty() => {
                write!(f, "the connection was closed with {}", closed.code)
            }
            // What controls a terminal is not passed on to it.
            Self::Closed(closed) => {
                write!(f, "the connection was closed with {}: {:?}", closed.code, closed.reason)
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Those by which the server says that it is done, or that the same would come of it again. Private codes mean what the
/// server's programmers agreed on.
fn is_final_code(code: CloseCode) -> bool {
    match code {
        CloseCode::GOING_AWAY
        | CloseCode::NO_STATUS_RECEIVED
        | CloseCode::ABNORMAL_CLOSURE
        | CloseCode::INTERNAL_ERROR
        | CloseCode::SERVICE_RESTART
        | CloseCode::TRY_AGAIN_LATER
        | CloseCode::BAD_GATEWAY => false,
        code => code.get() < 3000,
    }
}

fn is_final_error(error: &Error) -> bool {
    match error {
        // The program's own fault.
        Error::Uri(_) | Error::Build(_) | Error::Request(_) | Error::Send(_) => true,
        #[cfg(feature = "rustls")]
        Error::Certificate(_) => true,
        Error::Connect(error) => is_final_of_connecting(error),
        Error::Response(ResponseError::Refused(response)) => is_final_status(response.status()),
        Error::Response(ResponseError::Head(HeadError::Incomplete)) => false,
        // It speaks no WebSocket, or not as the RFC has it.
        Error::Response(_) | Error::Protocol(_) => true,
        Error::Proxy(error) => is_final_of_proxy(error),
        Error::Redirect(_) => true,
        Error::TimedOut(_) | Error::ConnectionLost(_) => false,
    }
}

/// A name that cannot be, or TLS that is not built in. What the system says is the network's, or may be: a name is not
/// found where there is no network, an address cannot be used where it has none of that kind, and a certificate is not the
/// server's where somebody asks for money first.
fn is_final_of_connecting(error: &io::Error) -> bool {
    let is_of_several =
        error.get_ref().is_some_and(<dyn core::error::Error + Send + Sync>::is::<Unreachable>);
    let is_of_system = is_of_several || error.raw_os_error().is_some();
    !is_of_system && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

/// A proxy that cannot be reached, or cannot reach the server, may be able to later; its rules stay.
fn is_final_of_proxy(error: &ProxyError) -> bool {
    match error {
        ProxyError::Refused(response) => is_final_status(response.status()),
        ProxyError::Connect(error) => is_final_of_connecting(error),
        ProxyError::Lost(_) | ProxyError::Incomplete => false,
        ProxyError::Socks(reply) => matches!(
            reply,
            SocksReply::NotAllowed | SocksReply::CommandNotSupported | SocksReply::AddressTypeNotSupported
        ),
        ProxyError::Uri(_)
        | ProxyError::Response(_)
        | ProxyError::HostTooLong
        | ProxyError::NotSocks
        | ProxyError::AuthenticationWanted
        | ProxyError::AuthenticationFailed => true,
    }
}

/// A server that is not ready, or has too much to do, may be later; 401 asks for another token.
fn is_final_status(status: u16) -> bool {
    !matches!(status, 401 | 408 | 425 | 429 | 500..)
}

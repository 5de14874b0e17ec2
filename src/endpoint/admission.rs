//! What the adapters' `serve` share: which errors of `accept` a server outlives, and what it says when it stops.

use alloc::format;
use core::fmt;
use core::time::Duration;
use std::io::{self, ErrorKind};

use super::failure::{Cause, Listener};
use crate::frame::{CloseCode, CloseFrame};

/// "1001 indicates that an endpoint is "going away", such as a server going down" (RFC 6455 section 7.4.1).
pub(crate) const STOPPING: CloseFrame<'static> =
    CloseFrame { code: CloseCode::GOING_AWAY, reason: "the server stops" };

/// How long to leave a listener alone after an error. It grows while nothing can be accepted.
#[derive(Debug)]
pub(crate) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl BackOff {
    /// How long to wait before `accept` is called again, unless a connection ends before. Fails with the
    /// errors after which calling it again is of no use.
    ///
    /// An error that is not known is waited out: a server that waits in vain does less harm than one that
    /// ends for no reason.
    ///
    /// `listener` is told of those that may not be a client's doing.
    pub(crate) fn after(&mut self, error: io::Error, listener: &Listener) -> io::Result<Duration> {
        match error.kind() {
            // The client was gone before it was accepted, or a signal came: there may be more clients.
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {
                Ok(Duration::ZERO)
            }
            // It does not listen, or not any more.
            ErrorKind::InvalidInput | ErrorKind::Unsupported => Err(error),
            _ if error.raw_os_error().is_some_and(|code| NOT_A_LISTENER.contains(&code)) => Err(error),
            // Out of file descriptors (EMFILE, ENFILE) or of memory (ENOBUFS, ENOMEM), or the network is
            // down: that does not last.
            _ => {
                listener.tell(None, Cause::Accept(error));
                let wait = self.0;
                self.0 = LONGEST.min(wait * 2);
                Ok(wait)
            }
        }
    }

    /// A connection was accepted.
    pub(crate) fn reset(&mut self) {
        self.0 = SHORTEST;
    }
}

/// Says where it is that a server cannot listen.
pub(crate) fn cannot_listen(address: impl fmt::Debug, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address:?}: {error}"))
}

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// EBADF and ENOTSOCK, which have no kinds of their own.
const NOT_A_LISTENER: [i32; 2] = if cfg!(windows) {
    [10_009, 10_038]
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    [9, 88]
} else {
    [9, 38]
};

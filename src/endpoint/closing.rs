//! How a connection ends, whatever moves its bytes: the one table of what follows what.

#[cfg(any(feature = "blocking", feature = "tokio"))]
use alloc::boxed::Box;
use std::io;
#[cfg(any(feature = "blocking", feature = "tokio"))]
use std::sync::OnceLock;

use super::error::Error;
use super::farewell::Farewell;
use crate::connection::Closed;

/// A connection that is ending, or has ended: nothing more will be received.
#[derive(Debug)]
pub(crate) struct End {
    /// To be returned once.
    pub(super) error: Option<Error>,
    pub(super) ending: Ending,
    /// How it closed, once that is over.
    pub(super) closed: Option<Closed>,
    /// Of a connection that we have failed.
    pub(super) farewell: Option<Farewell>,
}

impl End {
    /// A connection that ends with `error`, if any.
    pub(super) fn new(error: Option<Error>, ending: Ending) -> Self {
        Self { error, ending, closed: None, farewell: None }
    }
}

/// Who closes the transport first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// We do: a server, once both Close frames have passed.
    Ours,
    /// We do, but not yet: a server that has failed the connection waits a moment for the peer's Close frame.
    OursLater,
    /// The peer does: a server.
    Theirs,
}

/// How far a connection has ended. "An endpoint SHOULD use a method that cleanly closes the TCP connection,
/// [..] discarding any trailing bytes that may have been received" (6455-7.1.1-01).
///
/// ```text
///           written, our turn             done                     end
///   Flush -----------------------> Shutdown ----> Drain ----------------------> Over
///     | |                          ^ |    ^         ^ |                           ^
///     | |     end, or our turn now | |    +---------|-+ end, their turn           |
///     | +--------> Await ----------+ +--------------|-----------------------------+
///     |   written, our turn later                   |   done, their turn
///     +---------------------------------------------+
///           written, their turn
/// ```
///
/// From each of them, a failure or a deadline that passes leads to `Over`, but from `Await` to `Shutdown`; and what is
/// queued can be written though nothing can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Our Close frame is to be written. What the peer sends meanwhile is to be discarded, since it may read
    /// only when it has written; until it has ended its direction.
    Flush { discard: bool },
    /// The peer is to see our Close frame before the end of the transport, and to answer it; what it sends is discarded.
    Await,
    /// The transport is to be closed for writing: by a server first, by a client last.
    Shutdown,
    /// The peer is to close the transport; what it sends before is discarded.
    Drain,
    /// Nothing is left to do.
    Over,
}

/// What is to be done with the transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    /// [Do what is due](super::inbound::Inbound::handle_timeout); write what is queued, as far as it goes; then
    /// read, no longer than until the next deadline.
    Fill,
    /// Like `Fill`, but read nothing: as much was read as may be ahead of what the program receives.
    Hold,
    /// Write what is queued, and if not all of it goes, `discard` what there is to read.
    Flush { discard: bool },
    /// Close the transport for writing.
    Shutdown,
    /// Read, and discard.
    Discard,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// So many bytes were read, more than none.
    Read(usize),
    /// The peer has ended its direction.
    Eof,
    /// All that was queued was written.
    Written,
    /// The transport was closed for writing.
    Done,
    /// Nothing was, but it is worth another try: a wait ended early, or something is due.
    Again,
    /// The deadline has passed.
    Late,
    /// Reading failed.
    ReadFailed(Error),
    /// Something else failed, or is too late.
    Failed(Error),
}

/// What a read came to.
impl From<Result<usize, Error>> for Outcome {
    fn from(read: Result<usize, Error>) -> Self {
        match read {
            Ok(0) => Self::Eof,
            Ok(len) => Self::Read(len),
            Err(error) => Self::ReadFailed(error),
        }
    }
}

impl Ending {
    /// What is to be done with the transport.
    pub(super) fn act(self) -> Option<Act> {
        match self {
            Self::Flush { discard } => Some(Act::Flush { discard }),
            Self::Shutdown => Some(Act::Shutdown),
            Self::Await | Self::Drain => Some(Act::Discard),
            Self::Over => None,
        }
    }

    /// Whether there is something to do that waits for nothing, if only what is to be written is not `blocked`.
    pub(super) fn goes_on(self, blocked: bool) -> bool {
        match self {
            Self::Flush { .. } => !blocked,
            Self::Await | Self::Drain => false,
            Self::Shutdown | Self::Over => true,
        }
    }

    /// What follows after `outcome`.
    #[expect(clippy::match_same_arms, reason = "a table, cell by cell")]
    pub(super) fn after(self, outcome: &Outcome, turn: Turn) -> Self {
        match (self, outcome, turn) {
            (Self::Flush { .. }, Outcome::Written, Turn::Theirs) => Self::Drain,
            (Self::Flush { discard: true }, Outcome::Written, Turn::OursLater) => Self::Await,
            (Self::Flush { .. }, Outcome::Written, _) => Self::Shutdown,
            (Self::Flush { .. }, Outcome::Eof | Outcome::ReadFailed(_), _) => Self::Flush { discard: false },
            (Self::Await, Outcome::Eof | Outcome::Late, _) => Self::Shutdown,
            (Self::Await, Outcome::Read(_), Turn::Ours) => Self::Shutdown,
            (Self::Shutdown, Outcome::Done, Turn::Theirs) => Self::Over,
            (Self::Shutdown, Outcome::Done, _) => Self::Drain,
            (Self::Drain, Outcome::Eof, Turn::Theirs) => Self::Shutdown,
            (Self::Drain, Outcome::Eof, _) => Self::Over,
            (_, Outcome::Late | Outcome::ReadFailed(_) | Outcome::Failed(_), _) => Self::Over,
            (unchanged, ..) => unchanged,
        }
    }
}

/// How a transport that ended too early is reported.
pub(super) fn unexpected_eof() -> Error {
    let why = "the peer ended it without a closing handshake";
    Error::ConnectionLost(io::Error::new(io::ErrorKind::UnexpectedEof, why))
}

/// How a connection closed, once it has: for all who have a part of it.
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[derive(Debug, Default)]
pub(crate) struct HowClosed(OnceLock<Box<Closed>>);

#[cfg(any(feature = "blocking", feature = "tokio"))]
impl HowClosed {
    pub(crate) fn get(&self) -> Option<&Closed> {
        self.0.get().map(Box::as_ref)
    }

    /// Takes over what the receiving half knows, if it does.
    pub(crate) fn note(&self, closed: Option<&Closed>) {
        if let Some(closed) = closed {
            self.0.get_or_init(|| Box::new(closed.clone()));
        }
    }
}

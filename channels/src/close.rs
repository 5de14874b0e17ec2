//! How a connection is closed by the server, and why a session ends.

use std::time::Duration;

use sansocket::CloseFrame;

/// How a connection is closed: a code, which tells clients whether to come back, and a word for logs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Close {
    code: u16,
    reason: String,
}

impl Close {
    /// 4500: thrown out for good. Whoever it is comes back at once, if it is no client of ours: first see that it will be
    /// refused then.
    pub fn kicked() -> Self {
        Self::of(4500, "kicked")
    }

    /// The client is to come back: a code from 4000 to 4499. `None`: another code, or a reason over 123 bytes.
    pub fn retry(code: u16, reason: &str) -> Option<Self> {
        Self::within(matches!(code, 4000..=4499), code, reason)
    }

    /// The client is to stay away: a code from 3500 to 3999, or from 4500 to 4999. `None`: another code, or a reason over 123
    /// bytes. Clients that are not ours come back all the same.
    pub fn last(code: u16, reason: &str) -> Option<Self> {
        Self::within(matches!(code, 3500..=3999 | 4500..=4999), code, reason)
    }

    fn within(is_within: bool, code: u16, reason: &str) -> Option<Self> {
        (is_within && reason.len() <= CloseFrame::MAX_REASON).then(|| Self::of(code, reason))
    }

    pub(crate) fn of(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The word for logs.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why a session has ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Leave {
    /// The client left the topic.
    Left,
    /// The client joined the topic anew.
    Replaced,
    /// The client closed the connection. What it had pushed before is still handled, as long as there is not too much of it.
    Closed,
    /// The connection was lost, or closed for what the client sent, or for a token that expired. What was not handled then is
    /// dropped.
    Lost,
    /// The client did not take what it was sent, or not soon enough when memory was short.
    Slow,
    /// The server ended the session or the connection.
    Kicked,
    /// The session's own handler ended it.
    Stopped,
    /// The server stops.
    Drained,
}

impl Leave {
    /// Whether the user may be back in a moment, though nobody said so.
    pub(crate) fn lingers(self) -> bool {
        !matches!(self, Self::Left | Self::Kicked | Self::Stopped)
    }
}

/// A connection that the server ends.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) close: Close,
    pub(crate) why: Leave,
    /// How long what is queued may take to be written before the Close frame. None: it is dropped.
    pub(crate) flush: Option<Duration>,
    /// How long the client may take to close.
    pub(crate) grace: Duration,
}

impl Cut {
    /// How long a client may take to close that is not known to be slow.
    pub(crate) const GRACE: Duration = Duration::from_secs(5);

    /// What is queued is written, and the client may take some time.
    pub(crate) fn gently(close: Close, why: Leave) -> Self {
        Self { close, why, flush: Some(FLUSH), grace: Self::GRACE }
    }

    /// What a client has earned that does not read.
    pub(crate) fn slow() -> Self {
        Self { close: Close::of(4008, "slow consumer"), why: Leave::Slow, flush: None, grace: SLOW_GRACE }
    }

    /// What a client gets that waits longest, when there is no memory left.
    pub(crate) fn overloaded() -> Self {
        Self { close: Close::of(1013, "overloaded"), ..Self::slow() }
    }

    /// What a client has earned that sends what it must not.
    pub(crate) fn bad_input(word: &str) -> Self {
        Self::gently(Close::of(1008, word), Leave::Lost)
    }
}

/// How long what is queued may take to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// How long a client may take to close that does not read: most of them take nothing more.
const SLOW_GRACE: Duration = Duration::from_secs(1);

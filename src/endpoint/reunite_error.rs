//! Two halves that do not belong together.

use core::fmt;

/// Two halves that are not of one connection: they go on as they are.
#[expect(clippy::exhaustive_structs, reason = "both halves, and no more")]
pub struct ReuniteError<Sender, Receiver> {
    /// The sending half.
    pub sender: Sender,
    /// The receiving half of another connection.
    pub receiver: Receiver,
}

impl<Sender, Receiver> fmt::Debug for ReuniteError<Sender, Receiver> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<Sender, Receiver> fmt::Display for ReuniteError<Sender, Receiver> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are of different connections")
    }
}

impl<Sender, Receiver> core::error::Error for ReuniteError<Sender, Receiver> {}

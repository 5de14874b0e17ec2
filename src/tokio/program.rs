//! What is known of the program that has a WebSocket: whether it receives, or somebody has to in its place.

/// Whether the program receives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Program {
    /// It has, or may be about to, since it was last looked at.
    Receives,
    /// It waits in a call.
    Waits,
    /// It has waited in a call since it was last looked at.
    Rests,
    /// It has polled, and may poll again when it is woken: nobody tells if it will not.
    Polled,
    /// The same of a whole WebSocket that it closes, as the sending half.
    Closing,
    /// It has not, since it was last looked at.
    Pauses,
    /// It has not for so long that a caretaker does what has to be done.
    Neglects,
    /// It has dropped the receiving half, and a caretaker does.
    Left,
    /// The same, without a caretaker: there is no runtime for it.
    Alone,
}

//! How much waits to be written.

/// How much was queued to be sent that the transport has not taken yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Queued {
    /// In bytes of frames, those of Pings, Pongs and Close included.
    pub bytes: usize,
    /// In messages, the one included of which only a part was taken. One that is sent in parts counts when its last was
    /// queued.
    pub messages: usize,
}

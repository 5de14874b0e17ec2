//! What became of a frame that was to be queued.

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    Taken,
    /// It was put in the place of an older one of its key, which is not sent.
    Replaced,
    /// Older ones of its topic were dropped for it.
    Displaced,
    Dropped,
    /// The connection or the session has ended, or does so now.
    Ended,
}

impl Pushed {
    /// It will be sent, if nothing comes between.
    pub(crate) fn is_taken(self) -> bool {
        matches!(self, Self::Taken | Self::Replaced | Self::Displaced)
    }
}

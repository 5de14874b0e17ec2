//! What the topics of a route have beyond members.

use std::time::Duration;

/// What the topics of a pattern have beyond members: see [`HubBuilder::channel_with`](crate::HubBuilder::channel_with).
///
/// ```
/// use sansocket_channels::{Hub, OnFull, Relay, TopicOptions};
///
/// let options = TopicOptions::new().on_full(OnFull::DropOldest);
/// let hub = Hub::builder().channel_with("prices:{symbol}", options, Relay).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TopicOptions {
    pub(crate) on_full: OnFull,
}

impl TopicOptions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of a client that does not take what it is sent; it is closed by default.
    pub fn on_full(self, on_full: OnFull) -> Self {
        Self { on_full, ..self }
    }
}

/// What becomes of a reliable message, or of its client, when there is no room for it in the client's queue: see
/// [`Limits::queue`](crate::Limits::queue).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnFull {
    /// The connection is closed with 4008: its client comes back.
    #[default]
    Close,
    /// The message is dropped. The client is told by a `$gap` before the topic's next one.
    DropNewest,
    /// As many of the topic's messages that wait as there has to be room for are dropped, the oldest first, and a `$gap` is in
    /// their place.
    DropOldest,
}

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
    pub(crate) presence: bool,
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

    /// The topics have a list of who is there, with what [`Joined::track`](crate::Joined::track) and
    /// [`Cx::track`](crate::Cx::track) tell of each session: clients that join get it as `presence_state`, and what changes as
    /// `presence_diff`, as the stock client's `Presence` takes them, and the server has [`Hub::presence`](crate::Hub::presence).
    ///
    /// What changes is gathered for a tenth of a second, from 1,000 members on for a second, and all members are told of it at
    /// once, who joins of himself, too. A session that is left, or ended by the server or its own handler, is gone with the next of
    /// these. One whose connection is lost or closed, or that has crashed, stays for five seconds more, and then is gone, unless
    /// its user tracks another meanwhile, which takes its place: a page that is loaded anew does not flicker in the lists of the
    /// others.
    ///
    /// Who joins a topic is sent a state as large as the list, which is made and kept once for all who join between two diffs: it
    /// costs little but the bytes that are sent. It has to have room in the client's queue, beside the states of other topics that
    /// are joined at once: see [`Limits::presence`](crate::Limits::presence).
    ///
    /// ```
    /// use sansocket_channels::{Events, Hub, Joined, Reply, TopicOptions};
    /// use serde_json::json;
    ///
    /// let room = Events::new()
    ///     .on_join(async |_, _| Joined::new(()).track(&json!({ "typing": false })))
    ///     .on("typing", async |cx, _| {
    ///         cx.track(&json!({ "typing": true }))?;
    ///         Ok(Reply::ok())
    ///     });
    /// let hub = Hub::builder().channel_with("room:{id}", TopicOptions::new().presence(), room).build()?;
    /// assert_eq!(hub.presence("room:1").len(), 0);
    /// # Ok::<(), sansocket_channels::BuildError>(())
    /// ```
    pub fn presence(self) -> Self {
        Self { presence: true, ..self }
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
    /// The message is dropped. The client is told by a `$gap` before the topic's next one, or when it has taken what waits.
    DropNewest,
    /// As many of the topic's messages that wait as there has to be room for are dropped, the oldest first, and a `$gap` is in
    /// their place. If all of them were too few, it is the message that is dropped.
    DropOldest,
}

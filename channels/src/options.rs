//! What the topics of a route have beyond members.

use std::time::Duration;

use crate::limits::Limits;

/// What the topics of a pattern have beyond members: see [`HubBuilder::channel_with`](crate::HubBuilder::channel_with).
///
/// ```
/// use std::time::Duration;
///
/// use sansocket_channels::{Hub, OnFull, Relay, TopicOptions};
///
/// let options = TopicOptions::new().history(100, Duration::from_secs(60)).on_full(OnFull::DropOldest);
/// let hub = Hub::builder().channel_with("prices:{symbol}", options, Relay).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TopicOptions {
    /// How many messages are kept, and how long.
    pub(crate) history: Option<(usize, Duration)>,
    pub(crate) latest: usize,
    pub(crate) on_full: OnFull,
    pub(crate) presence: bool,
    /// The events that sessions have a say in.
    pub(crate) intercept: Vec<&'static str>,
}

impl TopicOptions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the newest messages of each topic, so many and for so long, for clients that come back: ours join with the
    /// [`Position`](crate::Position) up to which they have been told everything, and are sent what they have missed, each what was
    /// for it. That is all of it; or, if some is not kept any more, or there is no room for it in the client's queue beside who is
    /// [present](Self::presence), the client is told that, and sent the [latest](Self::latest), as one that has not been here. Other
    /// clients notice nothing.
    ///
    /// Kept is what is sent to all members, whomever it [leaves out](crate::Publish::except); not what is sent
    /// [only](crate::Publish::only) to some, pushed to one, or asks one.
    ///
    /// A topic begins when it is joined, or sent to [by its name](crate::Hub::to), and lives on without members for as long as it
    /// keeps a message, from when the last of them left, or it was sent to by its name. What is sent
    /// [by a pattern](crate::Hub::to_pattern) is kept, too, but begins no topic, and does not make one live on for longer.
    /// [`Limits::history`](crate::Limits::history) is the most that there may be.
    pub fn history(self, entries: usize, keep: Duration) -> Self {
        Self { history: Some((entries, keep)), ..self }
    }

    /// Sends the newest messages that are kept, so many at most, to each client that joins and is not sent what it has missed,
    /// whatever it speaks: behind the answer, and before all that is sent from then on. So a topic whose newest message is its state
    /// has it at each page, after any absence. If there is no room for them in its queue, it gets none of them. Nothing without a
    /// [history](Self::history).
    pub fn latest(self, n: usize) -> Self {
        Self { latest: n, ..self }
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

    /// Has [`Session::outgoing`](crate::Session::outgoing) asked about each message to the topic's members whose event is one
    /// of these. Called again, about those of the last call.
    ///
    /// It has its price: such a message waits until each member's session has nothing else to do, and has it in its turn; the
    /// others on these topics wait only where one of these does. Where there is no room for what waits so, the connection is
    /// closed, whatever is to become of it [otherwise](Self::on_full).
    pub fn intercept(self, events: impl IntoIterator<Item = &'static str>) -> Self {
        Self { intercept: events.into_iter().collect(), ..self }
    }

    pub(crate) fn intercepts(&self, event: &str) -> bool {
        self.intercept.contains(&event)
    }

    /// What cannot be with these limits, if there is something.
    pub(crate) fn fault(&self, limits: &Limits) -> Option<&'static str> {
        let (entries, time) = self.history?;
        let too_many = (entries > limits.history.entries).then_some("no topic keeps so many messages");
        too_many.or((time > limits.history.time).then_some("no topic keeps messages for so long"))
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

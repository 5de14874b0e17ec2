//! Handles: a connection, and all of a user.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ask::{AskError, ask, load};
use crate::close::{Close, Cut, Leave};
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::dom::{self, Op};
use crate::frame::Class;
use crate::hub::{ConnInfo, Hub};
use crate::payload::to_json;
use crate::publish::{PublishError, Sent, check, check_payload};
use crate::seat::Seat;

/// A connection, be it alive or not: what is done with one that has ended has no effect, and is no error.
#[derive(Clone, Debug)]
pub struct Conn {
    hub: Hub,
    id: ConnId,
}

impl Conn {
    pub(crate) fn new(hub: Hub, id: ConnId) -> Self {
        Self { hub, id }
    }

    /// Sends an event of a topic to this connection, if it is a member. [`Sent::local`] is 1, or 0 if it is not.
    ///
    /// Fails if the payload is no JSON or too large, and if the event's name is none.
    pub fn push(&self, topic: &str, event: &str, payload: &impl Serialize) -> Result<Sent, PublishError> {
        push(&self.hub, self.alive().as_slice(), topic, event, payload)
    }

    /// Sends changes of the page to this connection, if it is a member of the topic. See [`dom`](crate::dom).
    ///
    /// Fails if they are too large together, or too deep in one another.
    pub fn dom(&self, topic: &str, ops: impl IntoIterator<Item = Op>) -> Result<Sent, PublishError> {
        let payload = dom::payload(ops)?;
        check_payload(payload.len(), &self.hub)?;
        Ok(push_to(self.alive().as_slice(), topic, dom::EVENT, &payload))
    }

    /// Asks the page, if it is a member of the topic, and waits for its answer, for no longer than `within` and
    /// [`Limits::ask`](crate::Limits::ask).
    ///
    /// Dropped before it returns, the answer is ignored.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        topic: &str,
        event: &str,
        question: &impl Serialize,
        within: Duration,
    ) -> Result<T, AskError> {
        ask(&self.seat(topic)?, event, question, within).await
    }

    /// Has the page load a module, or a style sheet if the URL's path ends in `.css`, and waits until it has, as [`ask`](Self::ask)
    /// does. What is loaded already is not loaded again.
    ///
    /// A page loads what [`channels-dom.js`](crate::dom) is told to allow, by default all of its own origin: what it does not allow,
    /// and what fails, is [`AskError::Refused`]. A URL may be relative to the page.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sansocket_channels::{AskError, Conn};
    /// # async fn chart(conn: &Conn) -> Result<(), AskError> {
    /// conn.load("report", "/chart.css", Duration::from_secs(5)).await?;
    /// conn.load("report", "/chart.js", Duration::from_secs(5)).await?;
    /// conn.ask("report", "draw", &[3, 1, 2], Duration::from_secs(5)).await
    /// # }
    /// ```
    pub async fn load(&self, topic: &str, url: &str, within: Duration) -> Result<(), AskError> {
        load(&self.seat(topic)?, url, within).await
    }

    /// Ends its session on a topic, with [`Leave::Kicked`]: the client is told, and does not join it again. A join that is under
    /// way is refused with `unauthorized`; to throw somebody out, first see to it that later ones are.
    pub fn leave(&self, topic: &str) {
        leave(self.alive().as_slice(), topic);
    }

    /// Closes it. What is queued is sent before, for a second at most; each session ends with [`Leave::Kicked`].
    pub fn close(&self, close: Close) {
        if let Some(connection) = self.alive() {
            connection.queue.cut(Cut::gently(close, Leave::Kicked));
        }
    }

    /// What it is at the moment; `None` if it has ended.
    pub fn info(&self) -> Option<ConnInfo> {
        self.alive().map(|connection| ConnInfo::of(&connection))
    }

    fn seat(&self, topic: &str) -> Result<Arc<Seat>, AskError> {
        let seat = self.alive().and_then(|connection| connection.seat(topic));
        seat.ok_or_else(|| {
            self.hub.inner().counters.count_ask(Some(&AskError::Gone));
            AskError::Gone
        })
    }

    fn alive(&self) -> Option<Arc<Connection>> {
        self.hub.inner().registry.connection(self.id)
    }
}

/// All connections of a user, be there any or not.
#[derive(Clone, Debug)]
pub struct User {
    hub: Hub,
    id: String,
}

impl User {
    pub(crate) fn new(hub: Hub, id: &str) -> Self {
        Self { hub, id: id.to_owned() }
    }

    /// Sends an event of a topic to those connections that are members.
    ///
    /// Fails if the payload is no JSON or too large, and if the event's name is none.
    pub fn push(&self, topic: &str, event: &str, payload: &impl Serialize) -> Result<Sent, PublishError> {
        push(&self.hub, &self.alive(), topic, event, payload)
    }

    /// Ends their sessions on a topic, as [`Conn::leave`] does.
    pub fn leave(&self, topic: &str) {
        leave(&self.alive(), topic);
    }

    /// Closes them, as [`Conn::close`] does. Clients that are not ours come back at once: to throw somebody out, first see to
    /// it that he is refused then.
    #[expect(clippy::needless_pass_by_value, reason = "it is taken as by `Conn::close`")]
    pub fn close(&self, close: Close) {
        for connection in self.alive() {
            connection.queue.cut(Cut::gently(close.clone(), Leave::Kicked));
        }
    }

    /// What they are at the moment.
    pub fn connections(&self) -> Vec<ConnInfo> {
        self.alive().iter().map(|connection| ConnInfo::of(connection)).collect()
    }

    fn alive(&self) -> Vec<Arc<Connection>> {
        self.hub.inner().registry.connections_of(&self.id)
    }
}

fn push(
    hub: &Hub,
    connections: &[Arc<Connection>],
    topic: &str,
    event: &str,
    payload: &impl Serialize,
) -> Result<Sent, PublishError> {
    let payload = to_json(payload)?;
    check(event, payload.len(), hub)?;
    Ok(push_to(connections, topic, event, &payload))
}

fn push_to(connections: &[Arc<Connection>], topic: &str, event: &str, payload: &str) -> Sent {
    let seats = connections.iter().filter_map(|connection| connection.seat(topic));
    let joined = seats.filter(|seat| seat.is_joined());
    let taken = joined
        .map(|seat| seat.push(seat.frame(None, event, payload), Class::Reliable))
        .filter(|pushed| pushed.is_taken());
    Sent::new(taken.count())
}

fn leave(connections: &[Arc<Connection>], topic: &str) {
    for connection in connections {
        if let Some(seat) = connection.seat(topic) {
            connection.end_seat(&seat, Leave::Kicked);
        }
    }
}

//! Handles: a connection, and all of a user, on whichever node they are.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::ask::{AskError, LOAD, ask, counted, load, to_question, to_request};
use crate::backplane::BackplaneError;
use crate::close::{Close, Cut, Leave};
use crate::cluster::Elsewhere;
use crate::cluster::envelope::{Deed, Whom};
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::dom::{self, Op};
use crate::frame::Class;
use crate::hub::{ConnInfo, Hub};
use crate::payload::to_json;
use crate::publish::{PublishError, Sent, check, check_payload};
use crate::seat::Seat;

/// A connection, be it alive or not, and on whichever node: what is done with one that has ended has no effect, and is no error.
/// Nor is what does not get to the node that has it, but where it is said.
#[derive(Clone, Debug)]
pub struct Conn {
    hub: Hub,
    id: ConnId,
}

impl Conn {
    pub(crate) fn new(hub: Hub, id: ConnId) -> Self {
        Self { hub, id }
    }

    /// Sends an event of a topic to this connection, if it is a member. [`Sent::local`] is 1, or 0 if it is not, or is one of another
    /// node.
    ///
    /// Fails if the payload is no JSON or too large, and if the event's name is none; and if it is a connection of another node, and
    /// does not get there.
    pub fn push(&self, topic: &str, event: &str, payload: &impl Serialize) -> Result<Sent, PublishError> {
        let payload = to_json(payload)?;
        check(event, payload.len(), &self.hub)?;
        self.send(topic, event, payload)
    }

    /// Sends changes of the page to this connection, if it is a member of the topic. See [`dom`](crate::dom).
    ///
    /// Fails if they are too large together, or too deep in one another.
    pub fn dom(&self, topic: &str, ops: impl IntoIterator<Item = Op>) -> Result<Sent, PublishError> {
        let payload = dom::payload(ops)?;
        check_payload(payload.len(), &self.hub)?;
        self.send(topic, dom::EVENT, payload)
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
        if let Some(node) = self.elsewhere() {
            let asked = async {
                let question = to_question(&self.hub, event, question)?;
                node.ask(&self.hub, self.id, topic, event, question, within).await?.parse()
            };
            return counted(&self.hub, asked.await);
        }
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
        if let Some(node) = self.elsewhere() {
            let asked = async {
                let question = to_request(&self.hub, url)?;
                node.ask(&self.hub, self.id, topic, LOAD, question, within).await?.parse::<IgnoredAny>()
            };
            return counted(&self.hub, asked.await).map(drop);
        }
        load(&self.seat(topic)?, url, within).await
    }

    /// Ends its session on a topic, with [`Leave::Kicked`]: the client is told, and does not join it again. A join that is under
    /// way is refused with `unauthorized`; to throw somebody out, first see to it that later ones are.
    pub fn leave(&self, topic: &str) {
        match self.elsewhere() {
            Some(node) => drop(node.order(Whom::Conn(self.id), Deed::Leave { topic: topic.to_owned() })),
            None => leave(self.alive().as_slice(), topic),
        }
    }

    /// Closes it. What is queued is sent before, for a second at most; each session ends with [`Leave::Kicked`].
    #[expect(clippy::needless_pass_by_value, reason = "most are made for it")]
    pub fn close(&self, close: Close) {
        match self.elsewhere() {
            Some(node) => drop(node.order(Whom::Conn(self.id), Deed::close(&close))),
            None => cut(self.alive().as_slice(), &close),
        }
    }

    /// What it is at the moment; `None` if it has ended, or is one of another node.
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

    fn send(&self, topic: &str, event: &str, payload: String) -> Result<Sent, PublishError> {
        let Some(node) = self.elsewhere() else {
            return Ok(push_to(self.alive().as_slice(), topic, event, &payload));
        };
        let (topic, event) = (topic.to_owned(), event.to_owned());
        node.order(Whom::Conn(self.id), Deed::Push { topic, event, payload })?;
        Ok(Sent::new(0))
    }

    /// The node that has it, if that is not this one.
    fn elsewhere(&self) -> Option<Elsewhere<'_>> {
        self.hub.inner().cluster.as_ref()?.elsewhere(self.id)
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

    /// Sends an event of a topic to those connections that are members, on all nodes.
    ///
    /// Fails if the payload is no JSON or too large, and if the event's name is none; and if it has reached no other node than this
    /// one.
    pub fn push(&self, topic: &str, event: &str, payload: &impl Serialize) -> Result<Sent, PublishError> {
        let payload = to_json(payload)?;
        check(event, payload.len(), &self.hub)?;
        let sent = push_to(&self.alive(), topic, event, &payload);
        let (topic, event) = (topic.to_owned(), event.to_owned());
        self.order(|| Deed::Push { topic, event, payload })?;
        Ok(sent)
    }

    /// Ends their sessions on a topic, as [`Conn::leave`] does, on all nodes.
    pub fn leave(&self, topic: &str) {
        leave(&self.alive(), topic);
        self.order(|| Deed::Leave { topic: topic.to_owned() }).ok();
    }

    /// Closes them, as [`Conn::close`] does, on all nodes. Clients that are not ours come back at once: to throw somebody out, first see to
    /// it that he is refused then.
    #[expect(clippy::needless_pass_by_value, reason = "it is taken as by `Conn::close`")]
    pub fn close(&self, close: Close) {
        cut(&self.alive(), &close);
        self.order(|| Deed::close(&close)).ok();
    }

    /// What those of this node are at the moment.
    pub fn connections(&self) -> Vec<ConnInfo> {
        self.alive().iter().map(|connection| ConnInfo::of(connection)).collect()
    }

    fn alive(&self) -> Vec<Arc<Connection>> {
        self.hub.inner().registry.connections_of(&self.id)
    }

    /// Has the other nodes do it, too, if there are any.
    fn order(&self, what: impl FnOnce() -> Deed) -> Result<(), BackplaneError> {
        let cluster = self.hub.inner().cluster.as_ref();
        cluster.map_or(Ok(()), |cluster| cluster.order(None, Whom::User(self.id.clone()), what()))
    }
}

/// Sends an event of a topic to those of these connections that are members.
pub(crate) fn push_to(connections: &[Arc<Connection>], topic: &str, event: &str, payload: &str) -> Sent {
    let seats = connections.iter().filter_map(|connection| connection.seat(topic));
    let joined = seats.filter(|seat| seat.is_joined());
    let taken = joined
        .map(|seat| seat.push(seat.frame(None, event, payload), Class::Reliable))
        .filter(|pushed| pushed.is_taken());
    Sent::new(taken.count())
}

/// Ends the sessions of these connections on a topic.
pub(crate) fn leave(connections: &[Arc<Connection>], topic: &str) {
    for connection in connections {
        if let Some(seat) = connection.seat(topic) {
            connection.end_seat(&seat, Leave::Kicked);
        }
    }
}

/// Closes these connections.
pub(crate) fn cut(connections: &[Arc<Connection>], close: &Close) {
    for connection in connections {
        connection.queue.cut(Cut::gently(close.clone(), Leave::Kicked));
    }
}

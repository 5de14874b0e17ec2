//! What a handler knows of its client, and can do about it.

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ask::{AskError, ask, load};
use crate::close::Leave;
use crate::conn_id::ConnId;
use crate::dom::{self, Op};
use crate::frame::Class;
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::payload::to_json;
use crate::presences::{TrackError, to_meta};
use crate::publish::{Publish, PublishError, Sent, check, check_payload};
use crate::refusal::Refusal;
use crate::seat::Seat;

/// Who a handler has to do with, where, and ways to answer.
///
/// Clones are cheap, and may outlive the handler, in a task for one: what they [push](Self::push), ask and
/// answer once the session has ended goes nowhere, but what they broadcast goes to those who are members.
#[derive(Clone)]
pub struct Cx {
    seat: Arc<Seat>,
    /// Which message is handled.
    turn: u64,
}

impl Cx {
    pub(crate) fn new(seat: Arc<Seat>, turn: u64) -> Self {
        Self { seat, turn }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.seat.topic
    }

    /// A parameter of the topic, by its name in the pattern. Fails with `unmatched topic` if it cannot be such a value, or if
    /// the pattern has none of this name.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, Refusal> {
        let text = self.seat.route.pattern.param(&self.seat.topic, name);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| Refusal::new("unmatched topic"))
    }

    /// The connection.
    pub fn conn(&self) -> ConnId {
        self.seat.connection.id
    }

    /// The user, if it is one's.
    pub fn user(&self) -> Option<&str> {
        self.seat.connection.identity.name().map(|name| &**name)
    }

    /// What [`Identity::with`](crate::Identity::with) has added.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.seat.connection.identity.value()
    }

    /// What the client said when it connected.
    pub fn handshake(&self) -> &Handshake {
        &self.seat.connection.handshake
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.seat.connection.hub
    }

    /// Sends an event to this client. What is pushed while it joins follows the answer to its join.
    ///
    /// Fails if the payload is no JSON or too large, and if the event's name is none.
    pub fn push(&self, event: &str, payload: &impl Serialize) -> Result<(), PublishError> {
        let payload = to_json(payload)?;
        check(event, payload.len(), self.hub())?;
        self.seat.push(self.seat.frame(None, event, &payload), Class::Reliable);
        Ok(())
    }

    /// Sends an event with bytes to this client, as [`push`](Self::push) does.
    ///
    /// Fails if they are too many, and if the event's name is none.
    pub fn push_binary(&self, event: &str, data: impl AsRef<[u8]>) -> Result<(), PublishError> {
        let data = data.as_ref();
        check(event, data.len(), self.hub())?;
        self.seat.push(self.seat.binary(event, data), Class::Reliable);
        Ok(())
    }

    /// Sends changes of the page to this client. See [`dom`](crate::dom).
    ///
    /// Fails if they are too large together, or too deep in one another.
    pub fn dom(&self, ops: impl IntoIterator<Item = Op>) -> Result<(), PublishError> {
        let payload = dom::payload(ops)?;
        check_payload(payload.len(), self.hub())?;
        self.seat.push(self.seat.frame(None, dom::EVENT, &payload), Class::Reliable);
        Ok(())
    }

    /// Sends an event to all members of the topic, this one too if it has joined. See [`Hub::broadcast`].
    pub fn broadcast(&self, event: &str, payload: &impl Serialize) -> Result<Sent, PublishError> {
        self.hub().broadcast(self.topic(), event, payload)
    }

    /// Sends to all members of the topic but this one.
    pub fn others(&self) -> Publish<'_> {
        self.hub().to(self.topic()).except(self.conn())
    }

    /// Asks the page, and waits for its answer, for no longer than `within` and [`Limits::ask`](crate::Limits::ask). The answer
    /// passes by the handler that asks, and by what the client has pushed meanwhile, up to
    /// [`Limits::unhandled`](crate::Limits::unhandled) and 64 more messages: behind those it is not heard. While a client joins it
    /// cannot be asked: that is [`AskError::Gone`].
    ///
    /// Dropped before it returns, the answer is ignored.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        event: &str,
        question: &impl Serialize,
        within: Duration,
    ) -> Result<T, AskError> {
        ask(&self.seat, event, question, within).await
    }

    /// Has the page load a script or a style sheet, and waits until it has, as [`Conn::load`](crate::Conn::load) does.
    pub async fn load(&self, url: &str, within: Duration) -> Result<(), AskError> {
        load(&self.seat, url, within).await
    }

    /// The answer to the message that is handled, to be given later: what the handler returns is none then. `None`: the client
    /// wants no answer, or has one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sansocket_channels::{Cx, Events, Payload, Refusal, Reply};
    ///
    /// async fn slow(cx: Cx, _: Payload) -> Result<Reply, Refusal> {
    ///     if let Some(answer) = cx.reply_to() {
    ///         tokio::spawn(async move {
    ///             tokio::time::sleep(Duration::from_secs(40)).await;
    ///             answer.ok(&"done")
    ///         });
    ///     }
    ///     Ok(Reply::none())
    /// }
    ///
    /// let channel = Events::new().on("slow", slow);
    /// ```
    pub fn reply_to(&self) -> Option<ReplyTo> {
        let reference = self.seat.take_reference(self.turn)?;
        Some(ReplyTo { seat: self.seat.clone(), reference: Some(reference) })
    }

    /// Who is present is told this of the session, an object, from now on: in place of what was told before, if something was.
    /// One for which there is [no room](crate::Limits::presence) stays as it was.
    ///
    /// Fails if it is no object, if the route has no [presence](crate::TopicOptions::presence), and if the session has not begun,
    /// or has ended.
    pub fn track(&self, meta: &impl Serialize) -> Result<(), TrackError> {
        let meta = to_meta(meta)?;
        if !self.seat.route.options.presence {
            return Err(TrackError::NoPresence);
        }
        let is_member = self.hub().inner().registry.track(&self.seat, &meta);
        if is_member { Ok(()) } else { Err(TrackError::NotJoined) }
    }

    /// The session is not present any more, if it was. It is a member all the same.
    pub fn untrack(&self) {
        self.hub().inner().registry.untrack(&self.seat);
    }

    /// Ends the session: the client is told at once that the topic is closed, and does not join it again. It does nothing while
    /// the client joins: refuse it.
    pub fn close(&self) {
        if self.seat.is_joined() {
            self.seat.connection.end_seat(&self.seat, Leave::Stopped);
        }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("topic", &self.topic())
            .field("conn", &self.conn())
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

/// An answer that is given later. Dropped, it is `{"reason": "no reply"}`.
pub struct ReplyTo {
    seat: Arc<Seat>,
    /// Until it is answered.
    reference: Option<Box<str>>,
}

impl ReplyTo {
    /// That it was done, and what came of it. Fails, and answers `bad payload`, if that is no JSON or too large.
    pub fn ok(mut self, response: &impl Serialize) -> Result<(), PublishError> {
        let limit = self.seat.connection.hub.inner().limits.payload;
        let fault = match to_json(response) {
            Ok(json) if json.len() <= limit => {
                self.answer("ok", &json);
                return Ok(());
            }
            Ok(_) => PublishError::TooBig,
            Err(error) => error.into(),
        };
        self.answer("error", &Refusal::new("bad payload").response(limit));
        Err(fault)
    }

    /// That it is refused.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this")]
    pub fn error(mut self, refusal: Refusal) {
        let limit = self.seat.connection.hub.inner().limits.payload;
        self.answer("error", &refusal.response(limit));
    }

    fn answer(&mut self, status: &str, response: &str) {
        if let Some(reference) = self.reference.take() {
            self.seat.push(self.seat.reply(&reference, status, response), Class::Answer);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.answer("error", "{\"reason\":\"no reply\"}");
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("topic", &self.seat.topic).finish_non_exhaustive()
    }
}

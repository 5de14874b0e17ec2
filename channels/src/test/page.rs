//! A page without a browser.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use sansocket::Message;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::fail;
use super::frame::{Content, Frame};
use super::link::{FromPage, ToPage, Wire};
use crate::close::Close;
use crate::conn_id::ConnId;
use crate::connection::Dialect;
use crate::handshake::Handshake;
use crate::history::Position;
use crate::hub::Hub;
use crate::identity::Identity;
use crate::opening::Admitted;

/// A page without a browser: it joins, pushes, answers, and is told what the server sends.
///
/// What it waits for has to come within a second of the runtime's clock, or for a reply within eleven; else it panics, as a test
/// does that fails. Dropped, its connection is lost.
pub struct Page {
    hub: Hub,
    identity: Identity,
    handshake: Handshake,
    dialect: Dialect,
    wire: Wire,
    /// What nobody has expected yet.
    kept: VecDeque<Frame>,
    /// The last ref.
    reference: u64,
    /// What is joined: the join's ref and parameters, by topic.
    joined: HashMap<String, (String, Value)>,
    /// Up to where everything has come, by topic, of those that have a history.
    since: HashMap<String, Since>,
    answers: HashMap<String, Answering>,
    closed: Option<Close>,
}

/// Up to where everything has come of a topic, and on which connection.
struct Since {
    position: Position,
    conn: ConnId,
}

/// What answers a question.
struct Answering(Box<dyn FnMut(Value) -> Result<Value, Value> + Send>);

impl Page {
    pub(super) fn open(hub: &Hub, identity: Identity) -> Self {
        Self::of(admit(hub, identity, Handshake::none(), Dialect::Extended))
    }

    pub(super) fn of(admitted: Admitted) -> Self {
        let connection = admitted.connection().clone();
        Self {
            wire: Wire::open(admitted),
            hub: connection.hub.clone(),
            identity: connection.identity.clone(),
            handshake: connection.handshake.clone(),
            dialect: connection.dialect,
            kept: VecDeque::new(),
            reference: 0,
            joined: HashMap::new(),
            since: HashMap::new(),
            answers: HashMap::new(),
            closed: None,
        }
    }

    /// The same, connected anew as a client that speaks Phoenix Channels V2 and nothing more. For a moment its user has both
    /// connections.
    pub fn stock(mut self) -> Self {
        self.dialect = Dialect::Stock;
        self.wire = self.dial();
        self
    }

    /// Its connection.
    pub fn conn(&self) -> ConnId {
        self.wire.conn
    }

    /// Joins a topic: what the server says, be it that it has, or why not.
    pub async fn join(&mut self, topic: &str, params: &impl Serialize) -> Result<Value, Value> {
        self.since.remove(topic);
        self.join_since(topic, value(params)).await
    }

    /// Leaves a topic, and waits until the server has said so.
    pub async fn leave(&mut self, topic: &str) {
        let reference = self.next_ref();
        self.send(self.join_ref(topic).as_deref(), Some(&reference), topic, "phx_leave", &json!({}));
        let left = self.reply(topic, &reference).await;
        self.joined.remove(topic);
        self.since.remove(topic);
        if let Err(why) = left {
            fail(&format!("{topic} cannot be left: {why}"));
        }
    }

    /// The payload of the next event of this name on the topic. What comes before it is kept.
    pub async fn expect(&mut self, topic: &str, event: &str) -> Value {
        match self.next_event(topic, event).await {
            Content::Json(value) => value,
            Content::Binary(_) => fail(&format!("{event} on {topic} came with bytes")),
        }
    }

    /// The bytes of the next event of this name on the topic. What comes before it is kept.
    pub async fn expect_binary(&mut self, topic: &str, event: &str) -> Bytes {
        match self.next_event(topic, event).await {
            Content::Binary(bytes) => bytes,
            Content::Json(_) => fail(&format!("{event} on {topic} came with JSON")),
        }
    }

    /// The payload of the very next frame, which has to be this event on this topic: nothing has come before it that was not
    /// expected.
    pub async fn expect_next(&mut self, topic: &str, event: &str) -> Value {
        match self.next(PATIENCE, |_| true).await {
            Some(Frame { content: Content::Json(value), topic: of, event: name, .. })
                if (&*of, &*name) == (topic, event) =>
            {
                value
            }
            other => fail(&format!("{event} on {topic} is not next: {other:?}")),
        }
    }

    /// Nothing waits to be expected, and nothing comes for a second.
    pub async fn expect_nothing(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.kept.is_empty() && self.receive(deadline).await {}
        if !self.kept.is_empty() {
            fail(&format!("something came: {:?}", self.kept));
        }
    }

    /// How the page answers questions of this name, whenever it is waited for anything: with `Ok`, or refuses with `Err`.
    pub fn answer(&mut self, event: &str, f: impl FnMut(Value) -> Result<Value, Value> + Send + 'static) {
        self.answers.insert(event.to_owned(), Answering(Box::new(f)));
    }

    /// Waits for a second, and answers what is asked meanwhile.
    pub async fn linger(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.receive(deadline).await {}
        // Nothing comes any more if there is no connection.
        sleep_until(deadline).await;
    }

    /// Takes nothing any more that is sent to it.
    pub fn stall(&mut self) {
        self.wire.stall.send_replace(true);
    }

    /// Takes it again.
    pub fn resume(&mut self) {
        self.wire.stall.send_replace(false);
    }

    /// Loses its connection, as when a network fails.
    pub fn cut(&mut self) {
        // What was on its way is lost, too.
        let (to_hub, _) = mpsc::unbounded_channel();
        let (_, from_hub) = mpsc::unbounded_channel();
        self.wire = Wire { conn: self.wire.conn, to_hub, from_hub, stall: watch::Sender::new(false) };
        // What does not come again has come before.
        self.kept.retain(|frame| frame.offset.is_some());
    }

    /// Closes its connection, as when it is left.
    pub fn close(&mut self) {
        let _ = self.wire.to_hub.send(FromPage::Close);
    }

    /// Connects anew, as whom it was let in before, and joins what it had joined. What it has missed of topics that have a
    /// [history](crate::TopicOptions::history) comes then; or, if it does not, a `$gap` is there to be expected, as with our client.
    pub async fn reconnect(&mut self) {
        let before = self.hub.conn(self.conn());
        self.cut();
        // A user who may have no connection more has one again when the hub has seen that.
        while before.info().is_some() {
            tokio::task::yield_now().await;
        }
        self.wire = self.dial();
        self.closed = None;
        for (topic, (_, params)) in std::mem::take(&mut self.joined) {
            if let Err(why) = self.join_since(&topic, params).await {
                fail(&format!("{topic} cannot be joined again: {why}"));
            }
        }
    }

    /// How the server has closed the connection.
    pub async fn closed(&mut self) -> Close {
        let deadline = Instant::now() + CLOSE_PATIENCE;
        while self.closed.is_none() && self.receive(deadline).await {}
        self.closed.clone().unwrap_or_else(|| fail("the connection is not closed"))
    }

    /// Sends a message as it is: for tests of what no page sends.
    pub fn send_message(&mut self, message: impl Into<Message>) {
        let _ = self.wire.to_hub.send(FromPage::Send(message.into()));
    }

    /// The next message as it is, if one comes within a second. What was kept is not among them, nor are answers given.
    pub async fn next_message(&mut self) -> Option<Message> {
        match timeout_at(Instant::now() + PATIENCE, self.wire.from_hub.recv()).await {
            Ok(Some(ToPage::Message(message))) => Some(message),
            Ok(Some(ToPage::Closed(close))) => {
                self.closed = Some(close);
                None
            }
            Ok(None) | Err(_) => None,
        }
    }

    fn dial(&self) -> Wire {
        Wire::open(admit(&self.hub, self.identity.clone(), self.handshake.clone(), self.dialect))
    }

    async fn join_since(&mut self, topic: &str, params: Value) -> Result<Value, Value> {
        let join_ref = self.next_ref();
        let mut sent = params.clone();
        let since = self.since.remove(topic);
        if let (Some(Since { position, conn }), Value::Object(sent)) = (&since, &mut sent) {
            let since = json!({ "e": position.epoch, "o": position.offset, "c": conn });
            sent.insert("$since".into(), since);
        }
        self.send(Some(&join_ref), Some(&join_ref), topic, "phx_join", &sent);
        // From now on, so that messages behind the reply are this page's.
        self.joined.insert(topic.to_owned(), (join_ref.clone(), params));
        let joined = self.reply(topic, &join_ref).await;
        match &joined {
            Ok(response) => {
                self.seek(topic, &response["$pos"]);
                if since.is_some() && response["$recovered"] != true {
                    self.kept.push_back(Frame {
                        join_ref: Some(join_ref),
                        reference: None,
                        topic: topic.to_owned(),
                        event: "$gap".into(),
                        content: Content::Json(response["$pos"].clone()),
                        offset: None,
                    });
                }
            }
            Err(_) => drop(self.joined.remove(topic)),
        }
        joined
    }

    /// From now on the next message has the number behind this one.
    fn seek(&mut self, topic: &str, position: &Value) {
        if let (Some(epoch), Some(offset)) = (position["e"].as_str(), position["o"].as_u64()) {
            let position = Position { epoch: epoch.into(), offset };
            self.since.insert(topic.to_owned(), Since { position, conn: self.conn() });
        }
    }

    pub(super) fn join_ref(&self, topic: &str) -> Option<String> {
        self.joined.get(topic).map(|(join_ref, _)| join_ref.clone())
    }

    pub(super) fn next_ref(&mut self) -> String {
        self.reference += 1;
        self.reference.to_string()
    }

    pub(super) fn send(
        &mut self,
        join_ref: Option<&str>,
        reference: Option<&str>,
        topic: &str,
        event: &str,
        payload: &Value,
    ) {
        self.send_message(json!([join_ref, reference, topic, event, payload]).to_string());
    }

    async fn next_event(&mut self, topic: &str, event: &str) -> Content {
        let is_event = |frame: &Frame| frame.topic == topic && frame.event == event;
        let frame = self.next(PATIENCE, is_event).await;
        let Some(frame) = frame else {
            fail(&format!("no {event} on {topic}; {:?}", self.kept));
        };
        frame.content
    }

    pub(super) async fn next(
        &mut self,
        patience: Duration,
        is_meant: impl Fn(&Frame) -> bool,
    ) -> Option<Frame> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.kept.iter().position(&is_meant) {
                return self.kept.remove(at);
            }
            if !self.receive(deadline).await {
                return None;
            }
        }
    }

    /// Takes in the next frame, or answers it. False: none comes any more, or in time.
    async fn receive(&mut self, deadline: Instant) -> bool {
        match timeout_at(deadline, self.wire.from_hub.recv()).await {
            Ok(Some(ToPage::Message(message))) => {
                let Some(frame) = Frame::parse(&message) else {
                    fail(&format!("the page does not understand {message:?}"));
                };
                self.take(frame);
                true
            }
            Ok(Some(ToPage::Closed(close))) => {
                self.closed = Some(close);
                false
            }
            Ok(None) | Err(_) => false,
        }
    }

    fn take(&mut self, frame: Frame) {
        // As a page does: what belongs to a join that is over is dropped.
        if frame.join_ref.is_some() && !is_answer(&frame) && frame.join_ref != self.join_ref(&frame.topic) {
            return;
        }
        if frame.event == "phx_close" && frame.join_ref.is_some() {
            self.joined.remove(&frame.topic);
            self.since.remove(&frame.topic);
        }
        if let (Some(offset), Some(Since { position, .. })) = (frame.offset, self.since.get_mut(&frame.topic))
        {
            if offset != position.offset + 1 {
                fail(&format!("{} {offset} came behind {}", frame.topic, position.offset));
            }
            position.offset = offset;
        }
        if frame.event == "$pos" {
            return;
        }
        if let ("$gap", Content::Json(position)) = (&*frame.event, &frame.content) {
            let position = position.clone();
            self.since.remove(&frame.topic);
            self.seek(&frame.topic, &position);
        }
        if let (Some(reference), Some(Answering(answer))) =
            (&frame.reference, self.answers.get_mut(&frame.event))
            && let Content::Json(question) = &frame.content
        {
            let (status, response) = match answer(question.clone()) {
                Ok(response) => ("ok", response),
                Err(response) => ("error", response),
            };
            let reply = json!({ "ref": reference, "status": status, "response": response });
            let join_ref = frame.join_ref.clone();
            self.send(join_ref.as_deref(), None, &frame.topic, "$reply", &reply);
        } else {
            self.kept.push_back(frame);
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("conn", &self.wire.conn).finish_non_exhaustive()
    }
}

fn admit(hub: &Hub, identity: Identity, handshake: Handshake, dialect: Dialect) -> Admitted {
    Admitted::new(hub, identity, handshake, dialect).unwrap_or_else(|| {
        fail("there are as many connections of the user as there may be, or the hub drains")
    })
}

pub(super) fn is_answer(frame: &Frame) -> bool {
    frame.event == "phx_reply"
}

pub(super) fn value(payload: &impl Serialize) -> Value {
    serde_json::to_value(payload).unwrap_or_else(|error| fail(&format!("the payload is no JSON: {error}")))
}

/// How long a page waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same, for the end of its connection: what is queued may take a second before it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(4);

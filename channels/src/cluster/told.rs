//! What a node does about what it is told by others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::envelope::{Answered, Control, Deed, News, Publication, ToTopic, Turn, Whom};
use super::wanted::Wanted;
use super::{ALL, Cluster, Hearing};
use crate::announcer::Announcer;
use crate::ask::{AskError, put};
use crate::backplane::{BackplaneError, NodeId, Told};
use crate::close::Close;
use crate::conn::{cut, leave, push_to};
use crate::frame::Class;
use crate::hub::Hub;
use crate::notes::HubNote;
use crate::parcel::{Form, Parcel};
use crate::route::Pattern;
use crate::sync::lock;
use crate::topic::Topic;

impl Cluster {
    /// The backplane tells something.
    pub(super) fn told(&self, hub: &Hub, what: Told<'_>) {
        match what {
            Told::Message { topic, envelope } => match ToTopic::decode(&envelope) {
                Some(envelope) if envelope.node == self.node.0 => {}
                Some(envelope) => {
                    self.counters.backplane_received.add(1);
                    self.hear(hub, topic, envelope);
                }
                None => self.counters.backplane_ignored.add(1),
            },
            Told::Sequenced { topic, position, envelope } => {
                self.counters.backplane_received.add(1);
                let topic = hub.inner().registry.topic(topic);
                if let Some(topic) = topic.filter(|topic| topic.route.options.history.is_some()) {
                    self.hear_sequenced(hub, &topic, position, envelope);
                }
            }
            Told::Control(envelope) => match Control::decode(&envelope) {
                Some((node, _)) if node == self.node.0 => {}
                Some((node, control)) => {
                    self.counters.backplane_received.add(1);
                    self.obey(hub, node, control);
                }
                None => self.counters.backplane_ignored.add(1),
            },
            Told::Lost(topic) => self.lose(hub, topic),
            Told::Down => {
                if self.is_up.swap(false, Ordering::Relaxed) {
                    *lock(&self.down) = Some(Instant::now());
                    lock(&self.wanted).clear();
                    hub.inner().note(&HubNote::BrokerDown);
                }
            }
            Told::Up => self.come_up(hub),
        }
    }

    /// Something of a topic is missing, or of any.
    pub(super) fn lose(&self, hub: &Hub, topic: Option<&str>) {
        self.note_loss(hub, topic);
        self.has_news.notify_one();
    }

    fn note_loss(&self, hub: &Hub, topic: Option<&str>) {
        self.counters.backplane_lost.add(1);
        let registry = &hub.inner().registry;
        if let Some(topic) = topic.filter(|topic| *topic != ALL) {
            registry.topic(topic).iter().for_each(|topic| self.lose_of(hub, topic));
        } else {
            if self.is_sequenced() {
                // Topics with a history are not told that something is missing before that is known.
                self.want(Wanted::Turn, &ALL.into());
            } else {
                lock(&self.heard).clear();
            }
            registry.topics().iter().for_each(|topic| self.lose_of(hub, topic));
        }
    }

    fn lose_of(&self, hub: &Hub, topic: &Arc<Topic>) {
        if self.sequences(topic) {
            // The broker has what is missing. Of the rest, nodes say how much they have sent: they may have said so already.
            self.fall_behind(topic);
            self.want(Wanted::Turn, &topic.name);
        } else {
            topic.with_abroad(|abroad| abroad.heard.clear());
            topic.lose(hub.inner());
        }
        // What is known of its presence may not be right any more.
        if topic.with_presence(|_, _| ()).is_some() {
            self.want(Wanted::State, &topic.name);
        }
    }

    /// There is a connection to the broker.
    fn come_up(&self, hub: &Hub) {
        let is_first = !self.has_been_up.swap(true, Ordering::Relaxed);
        self.subscriptions.connected();
        // Before anything that is sent from now on.
        self.tell_unappended(hub.inner());
        self.is_up.store(true, Ordering::Relaxed);
        hub.inner().note(&HubNote::BrokerUp);
        self.nodes.forgive(Instant::now());
        self.beat(None);
        let (now, topics) = (Instant::now(), hub.inner().registry.topics());
        // What was told before anybody noticed that the connection had failed was lost with it.
        if let Some(down) = lock(&self.down).take() {
            self.lines.mark_again(down);
        }
        self.mark_presences_now(now);
        if is_first {
            // Whoever joined before was not told of others.
            lock(&self.heard).clear();
            for topic in &topics {
                self.lose_of(hub, topic);
            }
        } else {
            self.note_loss(hub, None);
        }
        // Others may have forgotten this node.
        for topic in topics {
            if topic.with_presence(|presence, _| presence.begin_telling()).is_some() {
                self.presence_changed(&topic);
            }
        }
        self.tell_due(hub, now);
    }

    fn want_state(&self, node: u64, topic: &str) {
        self.control(Some(NodeId(node)), &Control::StateWanted { topic: topic.to_owned() }).ok();
    }

    /// Another node has sent something to a topic.
    fn hear(&self, hub: &Hub, topic: &str, envelope: ToTopic<'_>) {
        let ToTopic { node, turn, what } = envelope;
        if topic == ALL {
            return self.hear_all(hub, node, turn, what);
        }
        let Some(topic) = hub.inner().registry.topic(topic) else {
            return;
        };
        match what {
            News::Message(message) => {
                match topic.with_abroad(|abroad| abroad.heard.hear(node, turn)) {
                    Some(Hearing::Stale) => return self.counters.backplane_stale.add(1),
                    Some(Hearing::Missing) => {
                        self.counters.backplane_lost.add(1);
                        topic.lose(hub.inner());
                    }
                    Some(Hearing::Next) | None => {}
                }
                deliver(hub, &topic, &message);
            }
            News::Mark { presence } => {
                if topic.with_abroad(|abroad| abroad.heard.mark(node, turn)) == Some(false) {
                    self.counters.backplane_lost.add(1);
                    topic.lose(hub.inner());
                }
                // The node sends nothing any more: the last may have been lost on its way here.
                if presence.is_none() && self.sequences(&topic) {
                    self.fall_behind(&topic);
                }
                let is_known = |version| topic.with_presence(|presence, _| presence.knows(node, version));
                if presence.and_then(is_known) == Some(false) {
                    self.want_state(node, &topic.name);
                }
            }
            // What is known of a node is forgotten with it.
            News::Presence { .. } | News::State { .. } if !self.nodes.keep(node, Instant::now()) => {
                self.counters.backplane_ignored.add(1);
            }
            News::Presence { from, to, ops } => {
                let now = Instant::now();
                match topic.with_presence(|presence, _| presence.hear(node, from, to, ops, now)) {
                    Some(true) => presence_heard(hub, &topic),
                    Some(false) => self.want_state(node, &topic.name),
                    None => {}
                }
            }
            News::State { version, before, is_last, entries } => {
                let (part, now) = ((before, is_last), Instant::now());
                let heard =
                    topic.with_presence(|presence, _| presence.hear_all(node, version, part, entries, now));
                if heard.is_some() {
                    presence_heard(hub, &topic);
                }
            }
            // It has a number, and comes with that.
            News::Lost => self.counters.backplane_ignored.add(1),
        }
    }

    /// Another node has sent something to all topics that a pattern matches.
    fn hear_all(&self, hub: &Hub, node: u64, turn: Turn, what: News<'_>) {
        let (hearing, message) = match what {
            News::Message(message) => (lock(&self.heard).hear(node, turn), Some(message)),
            News::Mark { .. } if lock(&self.heard).mark(node, turn) => (Hearing::Next, None),
            News::Mark { .. } => (Hearing::Missing, None),
            _ => return self.counters.backplane_ignored.add(1),
        };
        match hearing {
            Hearing::Stale => return self.counters.backplane_stale.add(1),
            Hearing::Missing => {
                self.counters.backplane_lost.add(1);
                hub.inner().registry.topics().iter().for_each(|topic| topic.lose(hub.inner()));
            }
            Hearing::Next => {}
        }
        let Some(message) = message else {
            return;
        };
        let Some(Ok(pattern)) = message.pattern.map(Pattern::parse) else {
            return self.counters.backplane_ignored.add(1);
        };
        for topic in hub.inner().registry.topics() {
            if pattern.matches(&topic.name) {
                deliver(hub, &topic, &message);
            }
        }
    }

    /// Another node wants something of this one.
    fn obey(&self, hub: &Hub, node: u64, control: Control) {
        let registry = &hub.inner().registry;
        if !matches!(control, Control::Bye) && self.nodes.hear(node, Instant::now()) {
            // It may not know of this one.
            self.beat(Some(NodeId(node)));
        }
        match control {
            Control::Beat => {}
            Control::Bye => self.nodes.end(node, Instant::now()),
            Control::StateWanted { topic } => {
                if let Err(BackplaneError::Full) = self.tell_state(hub, &topic) {
                    self.want(Wanted::Answer, &topic.into());
                }
            }
            Control::TurnWanted { topic } => {
                // Who has sent nothing has nothing to say.
                if let Some(line) = self.lines.known(&topic) {
                    let mut line = lock(&line);
                    if self.mark(line.topic(), line.turn(), None).is_err() {
                        self.lines.mark_later(&mut line);
                    }
                }
            }
            Control::Do { whom, what } => {
                let connections = match whom {
                    Whom::Conn(conn) => registry.connection(conn).into_iter().collect(),
                    Whom::User(user) => registry.connections_of(&user),
                };
                match what {
                    Deed::Push { topic, event, payload } => {
                        push_to(&connections, &topic, &event, &payload);
                    }
                    Deed::Leave { topic } => leave(&connections, &topic),
                    Deed::Close { code, reason } => {
                        let close = Close::retry(code, &reason).or_else(|| Close::last(code, &reason));
                        if let Some(close) = close {
                            cut(&connections, &close);
                        }
                    }
                }
            }
            Control::Ask { number, conn, topic, event, within, question } => {
                let Some((_, runtime)) = self.begun.get() else {
                    return;
                };
                let (hub, seat) = (hub.clone(), registry.connection(conn).and_then(|conn| conn.seat(&topic)));
                runtime.spawn(async move {
                    let answered = match seat {
                        Some(seat) => put(&seat, &event, &question, within).await,
                        None => Err(AskError::Gone),
                    };
                    let answer = Answered::of(answered);
                    if let Some(cluster) = &hub.inner().cluster {
                        // Who asks waits no longer than he wants to.
                        cluster.control(Some(NodeId(node)), &Control::Answered { number, answer }).ok();
                    }
                });
            }
            Control::Answered { number, answer } => self.asks.answer(node, number, answer),
        }
    }

    /// Tells the others all that is in a presence here. What fails is to be told later, from its beginning.
    pub(super) fn tell_state(&self, hub: &Hub, topic: &str) -> Result<(), BackplaneError> {
        let line = self.lines.line(topic);
        let _line = lock(&line);
        let alive = hub.inner().registry.topic(topic);
        let told =
            alive.and_then(|topic| topic.with_presence(|presence, _| (presence.version(), presence.state())));
        let (version, entries) = told.unwrap_or_default();
        let mut before = 0;
        loop {
            let (envelope, told) = super::envelope::state(self.node.0, version, before, &entries[before..]);
            self.send(topic, envelope.into())?;
            before += told;
            if before == entries.len() {
                return Ok(());
            }
        }
    }
}

/// Another node has changed a presence.
pub(super) fn presence_heard(hub: &Hub, topic: &Arc<Topic>) {
    Announcer::begin(hub, topic);
    // Who was lost here, and is there now, may have been the last.
    hub.inner().registry.retire(topic);
}

/// Delivers a message of another node to the members of a topic.
fn deliver(hub: &Hub, topic: &Arc<Topic>, message: &Publication<'_>) {
    let inner = hub.inner();
    let Publication { event, class, audience, payload, .. } = message;
    let is_kept = *class == Class::Reliable && audience.only.is_none() && topic.numbers(inner);
    let form = Form::of(payload, &topic.name, event, is_kept, class, &inner.memory);
    // What is kept with what the broker's client has read around it would take more than it says.
    let payload =
        if is_kept && topic.route.options.intercepts(event) { payload.copied() } else { payload.clone() };
    let taken = topic.send(Parcel { event, payload, form, audience, is_named: false });
    inner.counters.deliveries.add(taken);
    inner.relieve();
}

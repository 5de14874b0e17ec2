//! Sending to the members of topics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;

use crate::audience::Audience;
use crate::backplane::BackplaneError;
use crate::cluster::{ALL, Cluster};
use crate::conn_id::ConnId;
use crate::dom::{self, Op};
use crate::frame::Class;
use crate::hub::Hub;
use crate::names::{is_event, is_topic};
use crate::parcel::{Form, Parcel};
use crate::payload::{Payload, PayloadError, to_json};
use crate::refusal::Refusal;
use crate::route::Pattern;
use crate::topic::Topic;

/// A message that is to be sent to members of topics: to whom, until it says what.
///
/// It waits for nobody: each connection has a queue, which its own task empties, and a client that does not take what is sent is
/// closed, unless its [route](crate::TopicOptions::on_full) says otherwise. It may be called on any thread, with a runtime or
/// without.
///
/// ```
/// # use sansocket_channels::{Hub, Open};
/// # let hub = Hub::builder().channel("room:{id}", Open).build()?;
/// hub.to("room:1").except_user("ada").send("said", &"hi")?;
/// hub.to_topics(["room:1", "room:2"]).send("said", &"hi")?;
/// hub.to_pattern("room:{id}").send_binary("snow", vec![1, 2, 3])?;
/// hub.to("room:1").keyed("ada").send("cursor", &(3, 4))?; // Where it was before is of no use to anybody.
/// hub.to("room:1").volatile().send("typing", &"ada")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Publish<'a> {
    hub: &'a Hub,
    topics: Topics<'a>,
    audience: Audience,
    class: Class,
    /// To no other node.
    is_local: bool,
}

#[derive(Clone)]
enum Topics<'a> {
    One(&'a str),
    Some(Vec<&'a str>),
    Matching(&'a str),
}

impl<'a> Publish<'a> {
    pub(crate) fn to(hub: &'a Hub, topic: &'a str) -> Self {
        Self::of(hub, Topics::One(topic))
    }

    pub(crate) fn to_topics(hub: &'a Hub, mut topics: Vec<&'a str>) -> Self {
        topics.sort_unstable();
        topics.dedup();
        Self::of(hub, Topics::Some(topics))
    }

    pub(crate) fn to_pattern(hub: &'a Hub, pattern: &'a str) -> Self {
        Self::of(hub, Topics::Matching(pattern))
    }

    fn of(hub: &'a Hub, topics: Topics<'a>) -> Self {
        Self { hub, topics, audience: Audience::default(), class: Class::Reliable, is_local: false }
    }

    /// Leaves a connection out.
    pub fn except(mut self, conn: ConnId) -> Self {
        self.audience.except.push(conn);
        self
    }

    /// Leaves all connections of a user out.
    pub fn except_user(mut self, user: &str) -> Self {
        self.audience.except_users.push(user.into());
        self
    }

    /// Sends to none but these connections, if they are members. Called again, to none but those of the last call.
    pub fn only(mut self, conns: impl IntoIterator<Item = ConnId>) -> Self {
        let mut only: Vec<_> = conns.into_iter().collect();
        only.sort_unstable();
        only.dedup();
        self.audience.only = Some(only);
        self
    }

    /// Sends what is good for nothing later: it is queued only for those for whom little waits, less than
    /// [`Limits::volatile`](crate::Limits::volatile), and dropped for the others, who are not told.
    pub fn volatile(mut self) -> Self {
        self.class = Class::Volatile;
        self
    }

    /// Sends the newest of its key, such as a price or where a cursor is: where an older one of the topic still waits, it takes its
    /// place in the queue, and the older one is not sent. If none waits, it is sent as any other message. A key has at most 64 bytes.
    ///
    /// Of this and [`volatile`](Self::volatile), what is called last counts.
    pub fn keyed(mut self, key: &str) -> Self {
        self.class = Class::Keyed(key.into());
        self
    }

    /// Sends it to none but the members on this node: what each node knows by itself, and tells its own. It is not part of a history
    /// that is [one for all nodes](crate::backplane::Sequencer).
    pub fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Sends an event with a payload. That there is nobody to send it to is no error.
    ///
    /// Fails if the payload is no JSON or too large, and if a name or the key is none.
    pub fn send(self, event: &str, payload: &(impl Serialize + ?Sized)) -> Result<Sent, PublishError> {
        self.send_payload(event, &Payload::text(to_json(payload)?))
    }

    /// Sends an event with bytes.
    ///
    /// Fails if they are too many, and if a name or the key is none.
    pub fn send_binary(self, event: &str, data: impl Into<Bytes>) -> Result<Sent, PublishError> {
        self.send_payload(event, &Payload::bytes(data.into()))
    }

    /// Sends changes of the page, all in one message, which a page makes in this order. See [`dom`](crate::dom).
    ///
    /// Fails if they are too large together, or too deep in one another, and if a topic's name is none.
    pub fn dom(self, ops: impl IntoIterator<Item = Op>) -> Result<Sent, PublishError> {
        let payload = dom::payload(ops)?;
        check_payload(payload.len(), self.hub)?;
        self.put(dom::EVENT, &Payload::text(payload))
    }

    /// Sends an event with a payload that is ready.
    pub(crate) fn send_payload(self, event: &str, payload: &Payload) -> Result<Sent, PublishError> {
        check(event, payload.len(), self.hub)?;
        self.put(event, payload)
    }

    fn put(self, event: &str, payload: &Payload) -> Result<Sent, PublishError> {
        if matches!(&self.class, Class::Keyed(key) if key.len() > MAX_KEY) {
            return Err(PublishError::Key);
        }
        self.hub.note_runtime();
        let registry = &self.hub.inner().registry;
        match &self.topics {
            Topics::One(name) => {
                check_topic(name)?;
                self.put_named(name, event, payload).map(Sent::new)
            }
            Topics::Some(names) => {
                names.iter().try_for_each(|name| check_topic(name))?;
                let mut sent = Ok(Sent::new(0));
                for name in names {
                    match (self.put_named(name, event, payload), &mut sent) {
                        (Ok(local), Ok(sent)) => sent.local += local,
                        (Err(error), Ok(_)) => sent = Err(error),
                        // The first is told.
                        (_, Err(_)) => {}
                    }
                }
                sent
            }
            Topics::Matching(text) => {
                let pattern = Pattern::parse(text).map_err(|_| PublishError::Topic)?;
                let deliver = || {
                    let topics = registry.topics();
                    let matching = topics.iter().filter(|topic| pattern.matches(&topic.name));
                    matching.map(|topic| self.deliver(topic, event, payload, false)).sum()
                };
                let Some(cluster) = self.cluster() else {
                    return Ok(Sent::new(deliver()));
                };
                let envelope = cluster.message(Some(text), event, payload, &self.class, &self.audience);
                Ok(Sent::new(cluster.publish(ALL, envelope, self.is_counted(), deliver)?))
            }
        }
    }

    /// Sends it to a topic that was named. How many queues of this node took it.
    fn put_named(&self, name: &str, event: &str, payload: &Payload) -> Result<usize, PublishError> {
        let inner = self.hub.inner();
        let deliver = || {
            let is_kept = self.is_kept() && !inner.is_sequenced();
            let topic =
                if is_kept { inner.registry.topic_to_keep(name, inner) } else { inner.registry.topic(name) };
            topic.map_or(0, |topic| self.deliver(&topic, event, payload, true))
        };
        let Some(cluster) = self.cluster() else {
            return Ok(deliver());
        };
        let envelope = cluster.message(None, event, payload, &self.class, &self.audience);
        if self.is_kept()
            && inner.is_sequenced()
            && let Some(keep) = inner.keep(name)
        {
            cluster.append(name, envelope, keep)?;
            return Ok(0);
        }
        Ok(cluster.publish(name, envelope, self.is_counted(), deliver)?)
    }

    /// Sends it to the members on this node. How many queues took it.
    fn deliver(&self, topic: &Arc<Topic>, event: &str, payload: &Payload, is_named: bool) -> usize {
        let inner = self.hub.inner();
        let is_kept = self.is_kept() && topic.numbers(inner);
        let form = Form::of(payload, &topic.name, event, is_kept, &self.class, &inner.memory);
        let taken =
            topic.send(Parcel { event, payload: payload.clone(), form, audience: &self.audience, is_named });
        inner.counters.broadcasts.add(1);
        inner.counters.deliveries.add(taken);
        inner.relieve();
        taken
    }

    /// What is not for all members, or is not sent to all, is not part of a topic's history.
    fn is_kept(&self) -> bool {
        self.audience.only.is_none() && self.class == Class::Reliable
    }

    /// That it does not arrive is to be told.
    fn is_counted(&self) -> bool {
        self.class != Class::Volatile
    }

    /// What joins this node to others, if it is for them.
    fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.hub.inner().cluster.as_ref().filter(|_| !self.is_local)
    }
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish").finish_non_exhaustive()
    }
}

/// What became of what was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// In how many queues of this node it is.
    pub local: usize,
}

impl Sent {
    pub(crate) fn new(local: usize) -> Self {
        Self { local }
    }
}

/// Why something cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The payload cannot be JSON: a map whose keys are no strings, for one.
    Payload(PayloadError),
    /// The payload has more bytes than [`Limits::payload`](crate::Limits::payload): send less at once, or where to fetch it.
    TooBig,
    /// No topic can have this name, or it is no pattern.
    Topic,
    /// The hub [has been drained](Hub::drain): nobody is there any more, and nobody is let in. Stop.
    Draining,
    /// No event of a program's own can have this name: it has 1 to 64 bytes, and does not begin with `phx_` or `$`.
    Event,
    /// A key has at most 64 bytes.
    Key,
    /// It has not reached the other nodes. This node's members have it, but for a message that is numbered by the
    /// [broker](crate::backplane::Sequencer), which reaches nobody then.
    Backplane(BackplaneError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payload(_) => "the payload cannot be sent",
            Self::TooBig => "the payload has more bytes than `Limits::payload`",
            Self::Topic => "no topic can have this name, or it is no pattern",
            Self::Draining => "the hub has been drained: nobody is there to send to",
            Self::Event => "an event's name has 1 to 64 bytes, and does not begin with `phx_` or `$`",
            Self::Key => "a key has at most 64 bytes",
            Self::Backplane(_) => "it has not reached the other nodes",
        })
    }
}

impl std::error::Error for PublishError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            Self::Backplane(error) => Some(error),
            _ => None,
        }
    }
}

impl From<PayloadError> for PublishError {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

impl From<BackplaneError> for PublishError {
    fn from(error: BackplaneError) -> Self {
        Self::Backplane(error)
    }
}

impl From<PublishError> for Refusal {
    /// A word for each. What passes, [`Draining`](PublishError::Draining) and that there is no broker, is refused for now: a join that
    /// sends does not keep a page away for good.
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Payload(_) => Self::new("bad payload"),
            PublishError::TooBig | PublishError::Backplane(BackplaneError::TooBig) => Self::new("too big"),
            PublishError::Topic => Self::new("unmatched topic"),
            PublishError::Draining => Self::retry("busy"),
            PublishError::Event => Self::new("reserved event"),
            PublishError::Key => Self::new("bad key"),
            PublishError::Backplane(_) => Self::retry("backplane"),
        }
    }
}

/// Fails if such an event, with so many bytes, cannot be sent.
pub(crate) fn check(event: &str, len: usize, hub: &Hub) -> Result<(), PublishError> {
    if is_event(event) { check_payload(len, hub) } else { Err(PublishError::Event) }
}

/// Fails if so many bytes cannot be sent.
pub(crate) fn check_payload(len: usize, hub: &Hub) -> Result<(), PublishError> {
    if len > hub.inner().limits.payload {
        return Err(PublishError::TooBig);
    }
    if hub.inner().drained.load(Ordering::Relaxed) {
        return Err(PublishError::Draining);
    }
    Ok(())
}

fn check_topic(name: &str) -> Result<(), PublishError> {
    if is_topic(name) { Ok(()) } else { Err(PublishError::Topic) }
}

/// The longest key, in bytes.
const MAX_KEY: usize = 64;

//! Sending to the members of topics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sansocket::Message;
use serde::Serialize;

use crate::audience::Audience;
use crate::conn_id::ConnId;
use crate::dom::{self, Op};
use crate::frame::{Class, Frame};
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
        Self { hub, topics, audience: Audience::default(), class: Class::Reliable }
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
        // What is not for all members, or is not sent to all, is not part of a topic's history.
        let is_kept = self.audience.only.is_none() && self.class == Class::Reliable;
        self.each(is_kept, |topic| {
            let form = if is_kept && topic.route.options.history.is_some() {
                Form::Draft(payload.draft(&topic.name, event))
            } else {
                Form::Whole(self.frame(payload.message(&topic.name, event)))
            };
            let is_named = !matches!(self.topics, Topics::Matching(_));
            Parcel { event, payload: payload.clone(), form, audience: &self.audience, is_named }
        })
    }

    fn frame(&self, message: Message) -> Arc<Frame> {
        Frame::broadcast(message, self.class.clone(), &self.hub.inner().memory)
    }

    /// Sends the message of each topic, which is made once for all members, and only if there is the topic, or it begins with what
    /// is kept.
    fn each<'p>(&self, is_kept: bool, parcel: impl Fn(&Topic) -> Parcel<'p>) -> Result<Sent, PublishError> {
        let inner = self.hub.inner();
        let registry = &inner.registry;
        if matches!(&self.class, Class::Keyed(key) if key.len() > MAX_KEY) {
            return Err(PublishError::Key);
        }
        let named =
            |name: &&str| if is_kept { registry.topic_to_keep(name, inner) } else { registry.topic(name) };
        let mut sent = Sent { local: 0 };
        let mut send = |topic: &Arc<Topic>| {
            let taken = topic.send(parcel(topic));
            inner.counters.broadcasts.add(1);
            inner.counters.deliveries.add(taken);
            sent.local += taken;
            inner.relieve();
        };
        match &self.topics {
            Topics::One(name) => {
                check_topic(name)?;
                named(name).iter().for_each(&mut send);
            }
            Topics::Some(names) => {
                names.iter().try_for_each(|name| check_topic(name))?;
                names.iter().filter_map(named).for_each(|topic| send(&topic));
            }
            Topics::Matching(pattern) => {
                let pattern = Pattern::parse(pattern).map_err(|_| PublishError::Topic)?;
                let topics = registry.topics();
                topics.iter().filter(|topic| pattern.matches(&topic.name)).for_each(send);
            }
        }
        Ok(sent)
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
        })
    }
}

impl std::error::Error for PublishError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Payload(error) => Some(error),
            _ => None,
        }
    }
}

impl From<PayloadError> for PublishError {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

impl From<PublishError> for Refusal {
    /// A word for each.
    fn from(error: PublishError) -> Self {
        Self::new(match error {
            PublishError::Payload(_) => "bad payload",
            PublishError::TooBig => "too big",
            PublishError::Topic => "unmatched topic",
            PublishError::Draining => "busy",
            PublishError::Event => "reserved event",
            PublishError::Key => "bad key",
        })
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

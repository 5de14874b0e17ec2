//! Topics whose messages the broker puts into one order.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::envelope::{News, ToTopic};
use super::{Cluster, envelope};
use crate::audience::Audience;
use crate::backplane::outbox::{Outbox, Waiting, outbox};
use crate::backplane::{BackplaneError, BoxFuture, Keep, Since};
use crate::history::Position;
use crate::hub::{Hub, Inner};
use crate::parcel::{Form, Parcel};
use crate::payload::Payload;
use crate::sync::{Mutex, lock};
use crate::topic::Topic;

/// What waits to be put into its topic's order.
pub(super) struct Appends {
    outbox: Outbox<Append>,
    /// Until this begins.
    waiting: Mutex<Option<Waiting<Append>>>,
    /// Topics that something was sent to and has not come to: all are to be told.
    unappended: Mutex<BTreeSet<Arc<str>>>,
}

pub(super) struct Append {
    topic: Arc<str>,
    envelope: Bytes,
    keep: Keep,
}

impl Default for Appends {
    fn default() -> Self {
        let (outbox, waiting) = outbox();
        Self { outbox, waiting: Some(waiting).into(), unappended: Mutex::default() }
    }
}

impl Appends {
    pub(super) fn take_waiting(&self) -> Option<Waiting<Append>> {
        lock(&self.waiting).take()
    }
}

impl Cluster {
    /// Has the broker give a message its number, with which it comes back to all nodes, this one too.
    pub(crate) fn append(&self, topic: &str, envelope: Vec<u8>, keep: Keep) -> Result<(), BackplaneError> {
        let (topic, len) = (topic.into(), envelope.len());
        let append = Append { topic, envelope: envelope.into(), keep };
        self.counted(|| self.appends.outbox.push(append, len))
    }

    /// Waits until a topic whose messages the broker numbers has what is kept of it, though not for ever. Cancel safe.
    pub(crate) async fn catches_up(&self, topic: &Topic) {
        let syncing = || topic.with_abroad(|abroad| abroad.course.syncing()).flatten();
        let wait = async {
            while let Some(ended) = syncing() {
                let ended = ended.notified();
                if syncing().is_none() {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(super::PATIENCE, wait).await.ok();
    }

    /// Sees to it that a topic has what the broker keeps of it.
    pub(crate) fn look_after(&self, topic: &Arc<Topic>) {
        let is_behind = |abroad: &mut super::Abroad| !abroad.course.is_live() && abroad.course.fall_behind();
        if self.is_up()
            && self.is_sequenced()
            && topic.route.options.history.is_some()
            && topic.with_abroad(is_behind) == Some(true)
            && let Some((hub, runtime)) = self.begun.get()
        {
            runtime.spawn(sync(hub.clone(), Arc::downgrade(topic)));
        }
    }

    /// Something of a topic may be missing that the broker keeps.
    pub(super) fn fall_behind(&self, topic: &Arc<Topic>) {
        if topic.with_abroad(|abroad| abroad.course.fall_behind()) == Some(true)
            && let Some((hub, runtime)) = self.begun.get()
        {
            runtime.spawn(sync(hub.clone(), Arc::downgrade(topic)));
        }
    }

    /// A message has come with its number.
    pub(super) fn hear_sequenced(&self, hub: &Hub, topic: &Arc<Topic>, position: Position, envelope: Bytes) {
        let is_live = topic.with_abroad(|abroad| {
            let is_live = abroad.course.is_live();
            if !is_live {
                abroad.course.wait(position.clone(), envelope.clone());
            }
            is_live
        });
        if is_live == Some(true) && !deliver(hub, topic, &position, Duration::ZERO, &envelope) {
            self.fall_behind(topic);
            topic.with_abroad(|abroad| abroad.course.wait(position, envelope));
        }
    }

    /// Something that was sent to a topic has come to nobody: all are told, the others when there is a connection.
    fn unappended(&self, hub: &Hub, topic: Arc<str>) {
        if let Some(topic) = hub.inner().registry.topic(&topic) {
            topic.lose(hub.inner());
        }
        lock(&self.appends.unappended).insert(topic);
        self.tell_unappended();
    }

    /// Tells the others what has come to nobody.
    pub(super) fn tell_unappended(&self) {
        let unappended = std::mem::take(&mut *lock(&self.appends.unappended));
        for topic in unappended {
            if self.send(&topic, envelope::lost(self.node.0).into()).is_err() {
                lock(&self.appends.unappended).insert(topic);
            }
        }
    }
}

/// Puts what waits into its topic's order, for as long as there is the hub.
pub(super) async fn append(hub: Weak<Inner>, waiting: Option<Waiting<Append>>) {
    let Some(mut waiting) = waiting else {
        return;
    };
    while let Some(first) = waiting.next().await {
        let Some(hub) = Hub::upgrade(&hub) else {
            return;
        };
        let Some((cluster, sequencer)) =
            hub.inner().cluster.as_ref().and_then(|cluster| Some((cluster, cluster.backplane.sequencer()?)))
        else {
            return;
        };
        let start = |Append { topic, envelope, keep }| -> BoxFuture<'_, Appended> {
            Box::pin(async move {
                let done = sequencer.append(&topic, envelope, keep).await;
                (topic, done)
            })
        };
        let mut flying = Flying(vec![start(first)]);
        while !flying.0.is_empty() {
            tokio::select! {
                biased;
                (topic, done) = poll_fn(|cx| flying.poll(cx)) => {
                    if done.is_err() {
                        cluster.counters.backplane_failed.add(1);
                        cluster.unappended(&hub, topic);
                    }
                }
                Some(next) = waiting.next(), if flying.0.len() < AT_ONCE => flying.0.push(start(next)),
            }
        }
    }
}

/// Appends that are under way, in their order.
struct Flying<'a>(Vec<BoxFuture<'a, Appended>>);

/// What has come of one: to which topic, and whether it was appended.
type Appended = (Arc<str>, Result<(), BackplaneError>);

impl Flying<'_> {
    /// The first that is done.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Appended> {
        for at in 0..self.0.len() {
            if let Poll::Ready(done) = Pin::new(&mut self.0[at]).poll(cx) {
                drop(self.0.remove(at));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    }
}

/// Gets what the broker keeps of a topic, until nothing is missing.
async fn sync(hub: Weak<Inner>, topic: Weak<Topic>) {
    loop {
        let (Some(hub), Some(topic)) = (Hub::upgrade(&hub), topic.upgrade()) else {
            return;
        };
        let end = |is_live| topic.with_abroad(|abroad| abroad.course.end_sync(is_live));
        let found = hub.inner().cluster.as_ref().and_then(|cluster| {
            Some((cluster, cluster.backplane.sequencer()?, hub.inner().keep(&topic.name)?))
        });
        let Some((cluster, sequencer, keep)) = found else {
            end(false);
            return;
        };
        let known = topic.known_position();
        match sequencer.since(&topic.name, known.as_ref(), keep).await {
            Ok(since) => {
                if resume(&hub, &topic, since) {
                    return;
                }
            }
            Err(_) if !cluster.is_up() => {
                end(false);
                return;
            }
            Err(_) => cluster.counters.backplane_failed.add(1),
        }
        drop((hub, topic));
        sleep(PAUSE).await;
    }
}

/// A topic gets what was kept, and then what came meanwhile. False: something is missing.
fn resume(hub: &Hub, topic: &Arc<Topic>, since: Since) -> bool {
    let Since { position, messages } = since;
    let from = messages.first().map_or(position.offset, |first| first.offset.saturating_sub(1));
    topic.begin_at(&position, from, hub.inner());
    for kept in messages {
        let at = Position { epoch: position.epoch.clone(), offset: kept.offset };
        if !deliver(hub, topic, &at, kept.age, &kept.envelope) {
            return false;
        }
    }
    loop {
        let next = topic.with_abroad(|abroad| {
            let next = abroad.course.next();
            if next.is_none() {
                abroad.course.end_sync(true);
            }
            next
        });
        let Some((position, envelope)) = next.flatten() else {
            return true;
        };
        if !deliver(hub, topic, &position, Duration::ZERO, &envelope) {
            return false;
        }
    }
}

/// Delivers a message that has its number, and is so old. False: others are missing before it.
fn deliver(hub: &Hub, topic: &Arc<Topic>, position: &Position, age: Duration, envelope: &Bytes) -> bool {
    let inner = hub.inner();
    let (event, payload, audience) =
        if let Some(ToTopic { what: News::Message(message), .. }) = ToTopic::decode(envelope) {
            (message.event, message.payload, message.audience)
        } else {
            inner.counters.backplane_ignored.add(1);
            // It has its number all the same.
            ("$pos", Payload::text("{}"), Audience::default())
        };
    let form = Form::Draft(payload.draft(&topic.name, event));
    let parcel = Parcel { event, payload, form, audience: &audience, is_named: false };
    let taken = topic.send_at(parcel, position, age);
    inner.counters.deliveries.add(taken.unwrap_or(0));
    inner.relieve();
    taken.is_some()
}

/// How many appends are under way at once.
const AT_ONCE: usize = 64;

/// How long nothing is done about a broker that does not say what it keeps.
const PAUSE: Duration = Duration::from_millis(100);

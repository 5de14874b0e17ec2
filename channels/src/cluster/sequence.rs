//! Topics whose messages the broker puts into one order.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::envelope::{News, ToTopic};
use super::{Cluster, envelope};
use crate::audience::Audience;
use crate::backplane::outbox::{Outbox, Waiting, outbox};
use crate::backplane::{BackplaneError, BoxFuture, Keep, Since};
use crate::history::Position;
use crate::hub::{Hub, Inner};
use crate::parcel::{Form, Parcel};
use crate::payload::Payload;
use crate::running::{Run, Running};
use crate::sync::{Mutex, lock};
use crate::topic::Topic;

/// What waits to be put into its topic's order.
pub(super) struct Appends {
    outbox: Outbox<Append>,
    /// Until this begins.
    waiting: Mutex<Option<Waiting<Append>>>,
    /// Topics that something was sent to and has not come to: all are to be told.
    unappended: Mutex<BTreeSet<Arc<str>>>,
    /// What waits, and what is under way.
    pub(super) running: Running,
}

pub(super) struct Append {
    topic: Arc<str>,
    envelope: Bytes,
    keep: Keep,
    /// It says that something has come to nobody.
    is_notice: bool,
    run: Run,
}

impl Default for Appends {
    fn default() -> Self {
        let (outbox, waiting) = outbox();
        Self {
            outbox,
            waiting: Some(waiting).into(),
            unappended: Mutex::default(),
            running: Running::default(),
        }
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
        let line = self.lines.line(topic);
        let mut line = lock(&line);
        // Nodes that the last does not come to hear of it then.
        line.touch();
        self.lines.mark_later(&mut line);
        let (topic, len) = (line.topic().clone(), envelope.len());
        let run = self.appends.running.begin();
        let append = Append { topic, envelope: envelope.into(), keep, is_notice: false, run };
        self.counted(|| self.appends.outbox.push(append, len))
    }

    /// Waits until a topic whose messages the broker numbers has what is kept of it, or until then. Cancel safe.
    pub(crate) async fn catches_up(&self, topic: &Topic, until: Instant) {
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
        timeout_at(until, wait).await.ok();
    }

    /// Whether the broker numbers a topic's messages.
    pub(super) fn sequences(&self, topic: &Topic) -> bool {
        self.is_sequenced() && topic.route.options.history.is_some()
    }

    /// Sees to it that a topic has what the broker keeps of it, if that is anything.
    pub(crate) fn look_after(&self, topic: &Arc<Topic>) {
        if self.is_up()
            && self.sequences(topic)
            && topic.with_abroad(|abroad| abroad.course.is_live()) == Some(false)
        {
            self.fall_behind(topic);
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
    fn unappended(&self, hub: &Hub, topic: &Arc<str>) {
        // Of all that fails with a connection, members are told at once.
        if lock(&self.appends.unappended).insert(topic.clone())
            && let Some(topic) = hub.inner().registry.topic(topic)
        {
            topic.lose(hub.inner());
        }
        if self.is_up() {
            self.tell_unappended(hub.inner());
        }
    }

    /// Tells the others what has come to nobody, in the topic's order: so it comes before what follows, and to nodes that have no
    /// connection now.
    pub(super) fn tell_unappended(&self, hub: &Inner) {
        let unappended = std::mem::take(&mut *lock(&self.appends.unappended));
        for topic in unappended {
            // Of a topic that keeps nothing any more, nothing comes.
            let Some(keep) = hub.keep(&topic) else {
                continue;
            };
            let envelope = Bytes::from(envelope::lost(self.node.0));
            let len = envelope.len();
            let run = self.appends.running.begin();
            let notice = Append { topic: topic.clone(), envelope, keep, is_notice: true, run };
            if self.appends.outbox.push(notice, len).is_err() {
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
        let start = |Append { topic, envelope, keep, is_notice, run }| -> BoxFuture<'_, Appended> {
            Box::pin(async move {
                let done = sequencer.append(&topic, envelope, keep).await;
                Appended { topic, is_notice, is_done: done.is_ok(), _run: run }
            })
        };
        let mut flying = Flying(vec![start(first)]);
        while !flying.0.is_empty() {
            tokio::select! {
                biased;
                appended = poll_fn(|cx| flying.poll(cx)) => match appended {
                    Appended { is_done: true, .. } => {}
                    // Not at once, but before long.
                    Appended { topic, is_notice: true, .. } => {
                        lock(&cluster.appends.unappended).insert(topic);
                    }
                    Appended { topic, .. } => {
                        cluster.counters.backplane_failed.add(1);
                        cluster.unappended(&hub, &topic);
                    }
                },
                Some(next) = waiting.next(), if flying.0.len() < AT_ONCE => flying.0.push(start(next)),
            }
        }
    }
}

/// Appends that are under way, in their order.
struct Flying<'a>(Vec<BoxFuture<'a, Appended>>);

/// What has come of one.
struct Appended {
    topic: Arc<str>,
    is_notice: bool,
    is_done: bool,
    /// Until that has been seen to.
    _run: Run,
}

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
        // What has come until now the broker has: it is among what it tells, or of a life that has ended.
        let forgotten = topic.with_abroad(|abroad| abroad.course.forget_waiting()).unwrap_or_default();
        let ignored = forgotten.iter().filter(|(_, envelope)| ToTopic::decode(envelope).is_none()).count();
        cluster.counters.backplane_ignored.add(ignored);
        let known = topic.known_position();
        match sequencer.since(&topic.name, known.as_ref(), keep).await {
            Ok(since) => {
                if resume(&hub, &topic, since) {
                    return;
                }
            }
            Err(_) if !cluster.is_up() => {
                end(false);
                // It may be up by now, and have found that a task sees to it.
                cluster.look_after(&topic);
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
            let is_live = next.is_none() && !abroad.course.take_torn();
            if is_live {
                abroad.course.end_sync(true);
            }
            (next, is_live)
        });
        match next {
            Some((Some((position, envelope)), _)) => {
                if !deliver(hub, topic, &position, Duration::ZERO, &envelope) {
                    return false;
                }
            }
            Some((None, false)) => return false,
            Some((None, true)) | None => return true,
        }
    }
}

/// Delivers a message that has its number, and is so old. False: others are missing before it.
fn deliver(hub: &Hub, topic: &Arc<Topic>, position: &Position, age: Duration, envelope: &Bytes) -> bool {
    let inner = hub.inner();
    let nothing = || ("$pos", Payload::text("{}"), Audience::default());
    // What is no message has its number all the same.
    let (event, payload, audience) = match ToTopic::decode(envelope) {
        Some(ToTopic { what: News::Message(message), .. }) => {
            (message.event, message.payload, message.audience)
        }
        Some(ToTopic { what: News::Lost, .. }) => {
            // Members here were told when it failed; what was on its way then may have come since.
            let is_lost = topic.lose_at(position, inner);
            inner.counters.backplane_lost.add(usize::from(is_lost));
            nothing()
        }
        _ => {
            inner.counters.backplane_ignored.add(1);
            nothing()
        }
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

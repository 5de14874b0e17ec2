//! What a node does that is one of several.
//!
//! ```text
//! Publish ---> line of the topic ---> backplane ===> backplane ---> told ---> members of the topic
//!              (numbers it)                                         (heard: what is missing?)
//! ```

mod asks;
mod course;
pub(crate) mod envelope;
mod heard;
mod lines;
mod nodes;
mod presences;
mod sequence;
mod subscriptions;
mod told;
mod wanted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use self::asks::Asks;
use self::envelope::{Control, Deed, Turn, Whom};
use self::lines::Lines;
use self::nodes::Nodes;
use self::presences::Presences;
use self::sequence::Appends;
use self::subscriptions::{Subscriptions, Unconfirmed};
use self::wanted::Wants;
use crate::ask::{Answer, AskError};
use crate::audience::Audience;
use crate::backplane::{Backplane, BackplaneError, NodeId, Sink};
use crate::conn_id::ConnId;
use crate::frame::Class;
use crate::history::Position;
use crate::hub::{Hub, Inner};
use crate::limits::Limits;
use crate::metrics::{Counters, Metrics};
use crate::payload::Payload;
use crate::route::Route;
use crate::sync::{Mutex, lock};

pub(crate) use self::course::Abroad;
pub(crate) use self::heard::Hearing;
pub(crate) use self::subscriptions::Interest;

/// What a node does that is one of several.
///
/// Locks are taken in this order: the line of a topic, whatever the [registry](crate::registry) has, and the others.
pub(crate) struct Cluster {
    node: NodeId,
    backplane: Box<dyn Backplane>,
    counters: Arc<Counters>,
    /// For which hub, and where all of this is done, once it has begun.
    begun: OnceLock<(Weak<Inner>, Handle)>,
    is_up: AtomicBool,
    /// It has been up, or is.
    has_been_up: AtomicBool,
    /// Since when it is not, if it was.
    down: Mutex<Option<Instant>>,
    /// The others have been told that this node ends.
    is_ended: AtomicBool,
    lines: Lines,
    subscriptions: Subscriptions,
    /// What makes this node hear of what goes to all topics.
    all: OnceLock<Interest>,
    /// How far the others are with that.
    heard: Mutex<heard::Heard>,
    nodes: Nodes,
    asks: Asks,
    appends: Appends,
    presences: Presences,
    wanted: Wants,
    /// Told when others are to be told or asked something before long.
    has_news: Arc<Notify>,
}

/// A node, to be told what to do with one of its connections.
pub(crate) struct Elsewhere<'a> {
    cluster: &'a Cluster,
    node: NodeId,
}

impl Cluster {
    pub(crate) fn new(
        node: NodeId,
        backplane: Box<dyn Backplane>,
        limits: &Limits,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        Arc::new(Self {
            node,
            backplane,
            counters: counters.clone(),
            begun: OnceLock::new(),
            is_up: AtomicBool::new(false),
            has_been_up: AtomicBool::new(false),
            down: Mutex::default(),
            is_ended: AtomicBool::new(false),
            lines: Lines::new(limits.topics),
            subscriptions: Subscriptions::default(),
            all: OnceLock::new(),
            heard: Mutex::default(),
            nodes: Nodes::default(),
            asks: Asks::default(),
            appends: Appends::default(),
            presences: Presences::default(),
            wanted: Wants::default(),
            has_news: Arc::default(),
        })
    }

    /// Begins, unless it has.
    pub(crate) fn start(self: &Arc<Self>, hub: &Weak<Inner>, runtime: &Handle) {
        if self.begun.set((hub.clone(), runtime.clone())).is_ok() {
            self.all.get_or_init(|| self.interest(&ALL.into()));
            runtime.spawn(run(hub.clone(), self.has_news.clone()));
            runtime.spawn(sequence::append(hub.clone(), self.appends.take_waiting()));
        }
    }

    /// Whether the broker has the order of topics with a history.
    pub(crate) fn is_sequenced(&self) -> bool {
        self.backplane.sequencer().is_some()
    }

    /// What other nodes are to deliver to members of a topic, or of all that a pattern matches.
    pub(crate) fn message(
        &self,
        pattern: Option<&str>,
        event: &str,
        payload: &Payload,
        class: &Class,
        audience: &Audience,
    ) -> Vec<u8> {
        envelope::message(self.node.0, pattern, event, payload, class, audience)
    }

    /// Delivers something here, and has the others deliver it. Both are done in one order, whoever calls. What is counted is told to
    /// be missing where it is. How many took it here.
    pub(crate) fn publish(
        &self,
        topic: &str,
        mut envelope: Vec<u8>,
        is_counted: bool,
        deliver: impl FnOnce() -> usize,
    ) -> Result<usize, BackplaneError> {
        let line = self.lines.line(topic);
        let mut line = lock(&line);
        let delivered = deliver();
        if is_counted {
            // Even if it does not leave: it is missing then.
            envelope::set_turn(&mut envelope, line.advance());
            self.lines.mark_later(&mut line);
        }
        self.send(topic, envelope.into())?;
        Ok(delivered)
    }

    /// An interest in a topic, so that this node hears of it.
    pub(crate) fn interest(self: &Arc<Self>, topic: &Arc<str>) -> Interest {
        let interest = Interest::new(self, topic.clone());
        if let Some(unconfirmed) = self.subscriptions.add(topic)
            && let Some((hub, runtime)) = self.begun.get()
        {
            runtime.spawn(subscribe(hub.clone(), topic.clone(), unconfirmed));
        }
        interest
    }

    /// Waits until this node hears of a topic that somebody joins, and has what is kept of it, and what he says that he has had, though
    /// not for long: what it misses then is told. The interest is to be held until he has joined. Cancel safe.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        hub: &Inner,
        name: &Arc<str>,
        route: &Route,
        had: Option<&Position>,
        within: Duration,
    ) -> Interest {
        let until = Instant::now() + within.min(PATIENCE);
        let interest = self.interest(name);
        self.hears(name, until).await;
        if self.is_sequenced()
            && route.options.history.is_some()
            && let Some(topic) = hub.registry.topic_to_keep(name, hub)
        {
            self.look_after(&topic);
            // On another node, to which messages come sooner: it is not to be taken for one of another life.
            if had.is_some_and(|had| topic.is_behind(had)) {
                self.fall_behind(&topic);
            }
            self.catches_up(&topic, until).await;
        }
        interest
    }

    async fn hears(&self, topic: &str, until: Instant) {
        if self.is_up() || !self.has_been_up.load(Ordering::Relaxed) {
            timeout_at(until, self.subscriptions.confirmed(topic)).await.ok();
        }
        self.subscriptions.go_on(topic);
    }

    /// Has all connections of a user, or one of a node, do something there.
    pub(crate) fn order(&self, to: Option<NodeId>, whom: Whom, what: Deed) -> Result<(), BackplaneError> {
        self.control(to, &Control::Do { whom, what })
    }

    /// The node that has a connection, if it is not this one.
    pub(crate) fn elsewhere(&self, conn: ConnId) -> Option<Elsewhere<'_>> {
        let (node, _) = conn.parts();
        (node != self.node.0).then_some(Elsewhere { cluster: self, node: NodeId(node) })
    }

    /// This node ends.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
        self.control(None, &Control::Bye).ok();
    }

    /// Waits until nothing that was sent so far has yet to leave for the broker.
    pub(crate) async fn flush(&self) {
        self.appends.running.none().await;
        self.backplane.flush().await;
    }

    /// Says that this node lives, unless it has said that it ends.
    fn beat(&self, to: Option<NodeId>) {
        if !self.is_ended.load(Ordering::Relaxed) {
            self.control(to, &Control::Beat).ok();
        }
    }

    /// Adds what it has to the numbers of its hub.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        metrics.nodes = self.nodes.len() as u64;
        metrics.backplane_down = u64::from(!self.is_up());
        metrics.subscriptions = self.subscriptions.len() as u64;
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    fn send(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.counted(|| self.backplane.publish(topic, envelope))
    }

    fn control(&self, to: Option<NodeId>, what: &Control) -> Result<(), BackplaneError> {
        self.counted(|| self.backplane.control(to, what.encode(self.node.0)))
    }

    fn counted(&self, send: impl FnOnce() -> Result<(), BackplaneError>) -> Result<(), BackplaneError> {
        let sent = if self.is_up() { send() } else { Err(BackplaneError::Down) };
        let counter =
            if sent.is_ok() { &self.counters.backplane_sent } else { &self.counters.backplane_failed };
        counter.add(1);
        sent
    }

    /// Does what is to be done every second.
    fn tick(&self, hub: &Hub, now: Instant) {
        self.subscriptions.forget_idle(now, |topic| self.backplane.unsubscribe(topic));
        if !self.is_up() {
            return;
        }
        self.tell_unappended(hub.inner());
        for node in self.nodes.forget_silent(now) {
            self.forget_node(hub, node, now);
        }
    }

    /// Tells and asks the others what is due, or some of it, so that what the program sends finds room between. Whether there is more.
    fn tell_due(&self, hub: &Hub, now: Instant) -> bool {
        if self.is_ended.load(Ordering::Relaxed) {
            return false;
        }
        let rests = [self.mark_lines(hub, now), self.mark_presences(hub, now), self.tell_wanted(hub)];
        rests.contains(&true)
    }

    /// Tells the others how far this node is with a topic. What fails is to be told later.
    fn mark(&self, topic: &str, turn: Turn, presence: Option<u64>) -> Result<(), BackplaneError> {
        let mut mark = envelope::mark(self.node.0, presence);
        envelope::set_turn(&mut mark, turn);
        self.send(topic, mark.into())
    }

    /// Tells the others how far this node is with topics that it sends nothing to any more, or with some. Whether there are more.
    fn mark_lines(&self, hub: &Hub, now: Instant) -> bool {
        if !self.is_up() {
            return false;
        }
        let due = self.lines.due(now, BATCH);
        let (is_full, mut is_failed) = (due.len() == BATCH, false);
        for line in due {
            let mut line = lock(&line);
            if is_failed || self.mark(line.topic(), line.turn(), None).is_err() {
                self.lines.mark_later(&mut line);
                is_failed = true;
                continue;
            }
            // The last may have been lost on its way here, too.
            let topic = hub.inner().registry.topic(line.topic()).filter(|topic| self.sequences(topic));
            if let Some(topic) = topic {
                self.fall_behind(&topic);
            }
        }
        is_full && !is_failed
    }

    /// A node is no more, nor who was present there.
    fn forget_node(&self, hub: &Hub, node: u64, now: Instant) {
        self.asks.forget(node);
        lock(&self.heard).forget(node);
        for topic in hub.inner().registry.topics() {
            topic.with_abroad(|abroad| abroad.heard.forget(node));
            if topic.with_presence(|presence, _| presence.forget_node(node, now)).is_some() {
                told::presence_heard(hub, &topic);
            }
        }
    }
}

impl Elsewhere<'_> {
    /// Has the node do something with one of its connections.
    pub(crate) fn order(&self, whom: Whom, what: Deed) -> Result<(), BackplaneError> {
        self.cluster.order(Some(self.node), whom, what)
    }

    /// Asks a page there, with a question in JSON.
    pub(crate) async fn ask(
        &self,
        hub: &Hub,
        conn: ConnId,
        topic: &str,
        event: &str,
        question: String,
        within: Duration,
    ) -> Result<Answer, AskError> {
        let cluster = self.cluster;
        if cluster.is_up() && !cluster.nodes.has(self.node.0) {
            return Err(AskError::Gone);
        }
        let within = within.min(hub.inner().limits.ask);
        let mut asked = cluster.asks.begin(self.node.0);
        let (number, topic, event) = (asked.number, topic.to_owned(), event.to_owned());
        let ask = Control::Ask { number, conn, topic, event, within, question };
        cluster.control(Some(self.node), &ask).map_err(AskError::Backplane)?;
        timeout(within, asked.answer()).await.unwrap_or(Err(AskError::TimedOut))
    }
}

/// Begins, and does what is to be done from time to time, for as long as there is the hub.
async fn run(hub: Weak<Inner>, has_news: Arc<Notify>) {
    loop {
        let Some(this) = Hub::upgrade(&hub) else {
            return;
        };
        let Some(cluster) = &this.inner().cluster else {
            return;
        };
        let told = hub.clone();
        let sink = Sink::new(move |what| {
            if let Some(hub) = Hub::upgrade(&told)
                && let Some(cluster) = &hub.inner().cluster
            {
                cluster.told(&hub, what);
            }
        });
        if cluster.backplane.start(cluster.node, sink).await.is_ok() {
            break;
        }
        cluster.counters.backplane_failed.add(1);
        drop(this);
        sleep(RETRY).await;
    }
    let (mut tick, mut beat, mut is_more) = (interval(TICK), interval(nodes::BEAT), false);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            now = tick.tick() => Due::Tick(now),
            () = sleep(PACE), if is_more => Due::Rest,
            _ = beat.tick() => Due::Beat,
            () = has_news.notified() => Due::News,
        };
        if matches!(due, Due::News) {
            // More may change meanwhile, and is told with it.
            sleep(GATHER).await;
        }
        let Some(hub) = Hub::upgrade(&hub) else {
            return;
        };
        let Some(cluster) = &hub.inner().cluster else {
            return;
        };
        match due {
            Due::Tick(now) => {
                cluster.tick(&hub, now);
                is_more = cluster.tell_due(&hub, now);
            }
            Due::Rest => is_more = cluster.tell_due(&hub, Instant::now()),
            Due::Beat => cluster.beat(None),
            Due::News => {
                cluster.tell_presences();
                is_more = cluster.tell_due(&hub, Instant::now());
            }
        }
    }
}

/// What is to be done.
enum Due {
    Tick(Instant),
    /// What was too much.
    Rest,
    Beat,
    News,
}

/// Subscribes to a topic.
async fn subscribe(hub: Weak<Inner>, topic: Arc<str>, unconfirmed: Unconfirmed) {
    let Some(hub) = Hub::upgrade(&hub) else {
        return;
    };
    let Some(cluster) = &hub.inner().cluster else {
        return;
    };
    loop {
        let connections = cluster.subscriptions.connections();
        if cluster.backplane.subscribe(&topic).await.is_ok() {
            if cluster.subscriptions.confirm(&topic, &unconfirmed) {
                cluster.lose(&hub, Some(&topic));
            }
            return;
        }
        // If it fails, there is no connection: it is subscribed before there is one.
        if !cluster.subscriptions.refuse(&topic, &unconfirmed, connections) {
            return;
        }
    }
}

/// What is sent to the topics that a pattern matches is published to this, which no client can join.
pub(crate) const ALL: &str = "$all";

/// How long a join waits until this node hears of its topic, and has what is kept of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long nothing is done about a backplane that has failed to start.
const RETRY: Duration = Duration::from_secs(1);

const TICK: Duration = Duration::from_secs(1);

/// How much of a kind is told at once,
const BATCH: usize = 1_024;

/// and how long it is until more of it is.
const PACE: Duration = Duration::from_millis(10);

/// For how long news is gathered.
const GATHER: Duration = Duration::from_millis(20);

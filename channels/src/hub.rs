//! The registry of a process, from which everything is sent.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use sansocket::Config;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::backplane::{Backplane, Keep, NodeId};
use crate::builder::{BuildError, HubBuilder, Opening, add_route};
use crate::channel::Channel;
use crate::close::{Cut, Leave};
use crate::cluster::Cluster;
use crate::conn::{Conn, User};
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::entries::Reference;
use crate::flush::Flushes;
use crate::frame::Memory;
use crate::history::Position;
use crate::limits::Limits;
use crate::longpoll::Table;
use crate::metrics::Counters;
use crate::names::is_topic;
use crate::options::TopicOptions;
use crate::publish::{Publish, PublishError, Sent};
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::route::{Pattern, Route, Routes};
use crate::running::Running;
use crate::slow::SlowOnes;
use crate::sync::{Mutex, lock};

/// The registry of a process: which channel answers for a topic, who is connected, who is a member of what. Everything is sent
/// from here.
///
/// To clone it is cheap, and all clones are one hub. What sends is a plain function: it may be called on any thread, with a
/// runtime or without, and waits for no client. What waits is `async`, and may be dropped.
///
/// ```
/// use sansocket_channels::{Hub, Open};
///
/// let hub = Hub::builder().channel("news", Open).build()?;
/// let sent = hub.broadcast("news", "tick", &1)?;
/// assert_eq!(sent.local, 0); // Nobody has joined.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) routes: Routes,
    /// Of each queue, too.
    pub(crate) limits: Arc<Limits>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) slow: SlowOnes,
    pub(crate) opening: Opening,
    pub(crate) registry: Arc<Registry>,
    /// What joins this node to others, if anything does.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) flushes: Flushes,
    /// The first that is known: where topics that are sent to before anybody has joined them do what they have to do later, and what
    /// other nodes tell is heard.
    pub(crate) runtime: OnceLock<Handle>,
    /// Connections whose clients poll.
    pub(crate) polls: Table,
    /// That of the last connection, which the next one shares if it is to have the same.
    config: Mutex<Config>,
    /// Turns of joins.
    pub(crate) joins: Semaphore,
    /// Of topics whose connections have ended: to handle what was said before. It is the only work that no client waits for.
    pub(crate) rests: Arc<Semaphore>,
    /// Nobody is let in any more.
    pub(crate) draining: AtomicBool,
    /// Nobody is left.
    pub(crate) drained: AtomicBool,
    /// Connections whose task goes on.
    pub(crate) open: Running,
    /// What clients have said, and sessions are told, that is being worked off: it may go on when the connection has ended.
    pub(crate) work: Running,
    /// Held by who closes connections for want of memory.
    relieving: Mutex<()>,
    /// What begins the names of connections.
    node: u64,
    /// What ends the name of the next one.
    next: AtomicU64,
    /// The number of the next entry in a presence.
    next_reference: AtomicU64,
}

impl Hub {
    /// Begins a hub.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// Sends an event to all members of a topic, on all [nodes](crate::backplane). It waits for none of them, and it is no error if
    /// there are none.
    ///
    /// All members see a topic's broadcasts in one order, and those of one task in the order of its calls. The frame is made
    /// once for all.
    ///
    /// Fails if the payload is no JSON or too large, and if a name is none; and if it has reached no other node than this one, though
    /// it was to.
    pub fn broadcast(
        &self,
        topic: &str,
        event: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Sent, PublishError> {
        self.to(topic).send(event, payload)
    }

    /// The same with choices.
    pub fn to<'a>(&'a self, topic: &'a str) -> Publish<'a> {
        Publish::to(self, topic)
    }

    /// To the members of each of these topics, once for each topic.
    pub fn to_topics<'a>(&'a self, topics: impl IntoIterator<Item = &'a str>) -> Publish<'a> {
        Publish::to_topics(self, topics.into_iter().collect())
    }

    /// To the members of each topic that the pattern matches: `room:{id}`, or `{all*}`. It looks at each that there is.
    pub fn to_pattern<'a>(&'a self, pattern: &'a str) -> Publish<'a> {
        Publish::to_pattern(self, pattern)
    }

    /// A connection, be it alive or not.
    pub fn conn(&self, id: ConnId) -> Conn {
        Conn::new(self.clone(), id)
    }

    /// All connections of a user, be there any or not.
    pub fn user(&self, id: &str) -> User {
        User::new(self.clone(), id)
    }

    /// Who is connected to this node, in no order.
    pub fn connections(&self) -> Vec<ConnInfo> {
        self.0.registry.connections().iter().map(|connection| ConnInfo::of(connection)).collect()
    }

    /// The topics that there are, in no order: those that have members, and those that live on with what they
    /// [keep](TopicOptions::history).
    pub fn topics(&self) -> Vec<TopicInfo> {
        let topics = self.0.registry.topics();
        let infos = topics.iter().filter_map(|topic| {
            let (members, position) = topic.state()?;
            Some(TopicInfo { name: topic.name.to_string(), members, position })
        });
        infos.collect()
    }

    /// The members of a topic on this node, in no order, nobody twice.
    pub fn members(&self, topic: &str) -> Vec<Member> {
        let seats = self.0.registry.topic(topic).map(|topic| topic.seats()).unwrap_or_default();
        seats.iter().map(|seat| Member::of(&seat.connection)).collect()
    }

    /// Has a channel answer for the topics of a pattern from now on, as [`HubBuilder::channel_with`] does. Who has joined by
    /// another route stays, and a topic that has members keeps the options of the first until the last of them leaves.
    ///
    /// Fails for a pattern that is none, or that ties with another, and for options that the limits do not allow.
    pub fn route(
        &self,
        pattern: &str,
        options: TopicOptions,
        channel: impl Channel,
    ) -> Result<(), BuildError> {
        if let Some(fault) = options.fault(&self.0.limits) {
            return Err(BuildError::Limits(fault));
        }
        add_route(&self.0.routes, pattern, options, channel)
    }

    /// Removes the route of a pattern, if there is one: nobody joins by it any more, each session ends with [`Leave::Kicked`], and
    /// what its topics keep is forgotten, where there are members by another route when the last of them has left. How many
    /// sessions it ended.
    ///
    /// What a pattern calls its parameters makes no other route of it: `room:{x}` removes `room:{id}`, which it would tie with.
    pub fn unroute(&self, pattern: &str) -> usize {
        let pattern = Pattern::parse(pattern).ok();
        let Some(route) = pattern.and_then(|pattern| self.0.routes.remove(&pattern)) else {
            return 0;
        };
        let topics = self.0.registry.topics();
        let matching = topics.iter().filter(|topic| route.pattern.matches(&topic.name));
        // A topic may have members by several routes, of which it was the first.
        let seats = matching.flat_map(|topic| topic.seats()).filter(|seat| Arc::ptr_eq(&seat.route, &route));
        let ended = seats.filter(|seat| seat.connection.end_seat(seat, Leave::Kicked)).count();
        // Those without members.
        for topic in topics.iter().filter(|topic| Arc::ptr_eq(&topic.route, &route)) {
            self.0.registry.retire(topic);
        }
        ended
    }

    pub(crate) fn new(
        routes: Routes,
        limits: Limits,
        opening: Opening,
        node: NodeId,
        backplane: Option<Box<dyn Backplane>>,
    ) -> Self {
        let counters = Arc::<Counters>::default();
        let cluster = backplane.map(|backplane| Cluster::new(node, backplane, &limits, &counters));
        let hub = Self(Arc::new(Inner {
            routes,
            joins: Semaphore::new(limits.joins_at_once.min(Semaphore::MAX_PERMITS)),
            rests: Arc::new(Semaphore::new(RESTS)),
            memory: Memory::new(limits.memory, &counters),
            counters,
            slow: SlowOnes::default(),
            registry: Arc::new(Registry::new(&limits, cluster.clone())),
            cluster,
            flushes: Flushes::default(),
            runtime: OnceLock::new(),
            polls: Table::new(&limits),
            limits: limits.into(),
            opening,
            config: Mutex::default(),
            draining: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            open: Running::default(),
            work: Running::default(),
            relieving: Mutex::default(),
            node: node.0,
            next: AtomicU64::new(1),
            next_reference: AtomicU64::new(1),
        }));
        hub.note_runtime();
        hub
    }

    /// Called in a runtime, or without one: if it is the first, other nodes are joined from now on, if there are any.
    pub(crate) fn note_runtime(&self) {
        if self.0.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.0.runtime.get_or_init(|| {
                // Before anybody goes on who finds that it is noted.
                if let Some(cluster) = &self.0.cluster {
                    cluster.start(&Arc::downgrade(&self.0), &runtime);
                }
                runtime
            });
        }
    }

    /// The hub, unless it is gone.
    pub(crate) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(Self)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The route of a topic that somebody wants to join, as far as there is a say in it before its channel.
    pub(crate) fn admit(&self, topic: &str) -> Result<Arc<Route>, Refusal> {
        let route = self.routes.find(topic).filter(|_| is_topic(topic));
        let route = route.ok_or_else(|| Refusal::new("unmatched topic"))?;
        if self.is_draining() || !self.registry.has_room(topic) {
            return Err(Refusal::retry("busy"));
        }
        Ok(route)
    }

    /// What a connection may do whose server has this configuration: what the hub allows, and all else as that says.
    pub(crate) fn configure(&self, server: &Config) -> Config {
        let frame = self.limits.frame as u64;
        let config =
            server.clone().max_message_size(frame).max_frame_size(frame).write_timeout(self.limits.write);
        let mut last = lock(&self.config);
        if *last != config {
            *last = config;
        }
        last.clone()
    }

    /// Whether the broker has the order of topics with a history.
    pub(crate) fn is_sequenced(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.is_sequenced())
    }

    /// How much is kept of a topic, if anything is.
    pub(crate) fn keep(&self, topic: &str) -> Option<Keep> {
        let known = self.registry.topic(topic).map(|topic| topic.route.clone());
        let (entries, time) = known.or_else(|| self.routes.find(topic))?.options.history?;
        Some(Keep::new(entries, self.limits.history.bytes, time))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Sees to it that the frames which wait do not take more memory than they may: drops what those are still sent who are
    /// being closed, and closes who waits longest, until a fifth is free. Called with nothing locked, after frames were queued.
    pub(crate) fn relieve(&self) {
        if !self.memory.is_spent() {
            return;
        }
        // One is enough.
        let Ok(_turn) = self.relieving.try_lock() else {
            return;
        };
        // Nobody has to go for those who do so already.
        self.counters.dropped_at_end.add(self.flushes.relieve(&self.memory));
        let connections = self.registry.connections();
        let waiting = connections.iter().filter_map(|other| Some((other.queue.oldest()?, other)));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        for (_, connection) in waiting {
            if self.memory.is_relieved() {
                break;
            }
            self.counters.dropped_at_end.add(connection.queue.abandon(Cut::overloaded()));
        }
    }

    pub(crate) fn next_id(&self) -> ConnId {
        ConnId::new(self.node, self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_reference(&self) -> Reference {
        let number = self.next_reference.fetch_add(1, Ordering::Relaxed);
        Reference { node: self.node, number }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// What a connection is, at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnInfo {
    /// Its name.
    pub id: ConnId,
    /// Whose it is.
    pub user: Option<String>,
    /// What it has joined, in no order.
    pub topics: Vec<String>,
    /// How many bytes wait to be sent.
    pub queued: usize,
    /// When it was made.
    pub since: SystemTime,
}

impl ConnInfo {
    pub(crate) fn of(connection: &Connection) -> Self {
        let Member { conn, user } = Member::of(connection);
        Self {
            id: conn,
            user,
            topics: connection.topics(),
            queued: connection.queue.waiting().bytes,
            since: connection.since,
        }
    }
}

/// What a topic is, at the moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: usize,
    /// How far it is, if it has a [history](TopicOptions::history).
    pub position: Option<Position>,
}

/// A member of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Member {
    /// The connection.
    pub conn: ConnId,
    /// Whose it is.
    pub user: Option<String>,
}

impl Member {
    fn of(connection: &Connection) -> Self {
        Self { conn: connection.id, user: connection.identity.name().map(ToString::to_string) }
    }
}

/// Of how many topics and connections that have ended the rest is handled at once.
const RESTS: usize = 1_000;

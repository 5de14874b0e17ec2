//! Who is connected, and who is a member of what.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sansocket::Message;

use crate::announcer::{Announcer, State};
use crate::archive::Archive;
use crate::close::Leave;
use crate::cluster::Cluster;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::history::Extent;
use crate::hub::Inner;
use crate::limits::Limits;
use crate::notes::Note;
use crate::reserved::Since;
use crate::seat::{Remains, Seat};
use crate::sync::{MutexGuard, RwLock, lock, read, write};
use crate::topic::{Members, Topic};
use crate::welcome::Welcome;

/// Who is connected, and who is a member of what, on this node. It is right at every moment, without sweeps.
///
/// Locks are taken in this order: the topics, one topic, a seat, a queue; and whatever is locked, the archive.
pub(crate) struct Registry {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    connections: RwLock<Connections>,
    pub(crate) archive: Arc<Archive<Topic>>,
    /// Of each topic.
    pub(crate) extent: Extent,
    max_topics: usize,
    /// What topics are told by of other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
}

#[derive(Default)]
struct Connections {
    by_id: HashSet<ById>,
    by_user: HashMap<Arc<str>, Vec<Arc<Connection>>>,
}

/// A connection, as it is known by its id.
struct ById(Arc<Connection>);

impl Registry {
    pub(crate) fn new(limits: &Limits, cluster: Option<Arc<Cluster>>) -> Self {
        Self {
            topics: RwLock::default(),
            connections: RwLock::default(),
            archive: Arc::new(Archive::new(limits.histories)),
            extent: limits.history,
            max_topics: limits.topics,
            cluster,
        }
    }

    /// Adds a connection, unless its user has as many as there may be.
    pub(crate) fn connect(&self, connection: &Arc<Connection>, max_of_user: usize) -> bool {
        let mut connections = write(&self.connections);
        if let Some(user) = connection.identity.name() {
            let own = connections.by_user.entry(user.clone()).or_default();
            if own.len() >= max_of_user {
                return false;
            }
            own.push(connection.clone());
        }
        connections.by_id.insert(ById(connection.clone()));
        true
    }

    /// Forgets a connection. False: it is not known any more.
    pub(crate) fn disconnect(&self, connection: &Connection) -> bool {
        let mut connections = write(&self.connections);
        let gone = connections.by_id.take(&connection.id);
        if let Some(user) = connection.identity.name()
            && let Some(own) = connections.by_user.get_mut(user)
        {
            own.retain(|other| other.id != connection.id);
            if own.is_empty() {
                connections.by_user.remove(user);
            }
        }
        drop(connections);
        gone.is_some()
    }

    pub(crate) fn connection(&self, id: ConnId) -> Option<Arc<Connection>> {
        read(&self.connections).by_id.get(&id).map(|ById(connection)| connection.clone())
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        read(&self.connections).by_id.iter().map(|ById(connection)| connection.clone()).collect()
    }

    pub(crate) fn connections_of(&self, user: &str) -> Vec<Arc<Connection>> {
        read(&self.connections).by_user.get(user).cloned().unwrap_or_default()
    }

    /// Whether there is this topic, or room for one more.
    pub(crate) fn has_room(&self, topic: &str) -> bool {
        let topics = read(&self.topics);
        topics.len() < self.max_topics || topics.contains_key(topic) || self.archive.has_idle()
    }

    /// Makes the seat's connection a member: from now on it is sent what the others are. The reply to its join goes before, and
    /// what it has missed, and who is present. With these fields, if there are any, it is present, too. Does nothing if the seat
    /// has ended. False: there would be more topics than there may be, or its route has been removed.
    pub(crate) fn enter(self: &Arc<Self>, seat: &Arc<Seat>, welcome: Welcome, meta: Option<&str>) -> bool {
        loop {
            let Some(topic) = self.topic_to_enter(seat) else {
                return false;
            };
            let state = State::new(&topic, &seat.connection.hub.inner().memory);
            let mut members = lock(&topic.members);
            if members.is_over || !members.know(state.as_ref()) {
                continue;
            }
            if seat.route.is_over() {
                self.clear(&topic, members);
                return false;
            }
            // What it keeps is of another route, which was asked first before.
            if members.seats.is_empty() && !Arc::ptr_eq(&topic.route, &seat.route) {
                self.forget(&topic, members);
                continue;
            }
            let catch_up = |since: Option<&Since>| {
                let history = members.history(&topic, self)?;
                Some(history.catch_up(&seat.connection, since, topic.route.options.latest))
            };
            if seat.open(welcome, catch_up, state.as_ref().map(|state| &state.frame)) {
                members.add(seat);
                if let Some(meta) = meta {
                    members.track(seat, meta);
                }
            }
            self.clear(&topic, members);
            Announcer::begin(&seat.connection.hub, &topic);
            if let Some(cluster) = &self.cluster {
                cluster.look_after(&topic);
            }
            return true;
        }
    }

    /// Ends a seat, with these frames: nothing of the topic follows. `None`: its session has crashed. False if it had ended.
    pub(crate) fn leave(
        &self,
        seat: &Arc<Seat>,
        frames: impl IntoIterator<Item = Message>,
        why: Option<Leave>,
    ) -> bool {
        self.end(seat, why, |seat| seat.end(frames))
    }

    /// The same on the server's behalf, be it of a member, or of who is about to be one.
    pub(crate) fn revoke(&self, seat: &Arc<Seat>, why: Leave) -> bool {
        self.end(seat, Some(why), Seat::revoke)
    }

    fn end(
        &self,
        seat: &Arc<Seat>,
        why: Option<Leave>,
        end: impl FnOnce(&Arc<Seat>) -> Option<Remains>,
    ) -> bool {
        let Some(topic) = self.topic(&seat.topic) else {
            return end(seat).is_some();
        };
        let mut members = lock(&topic.members);
        let left = members.remove(seat);
        let remains = end(seat);
        if left.is_some() {
            members.untrack(seat, why.is_none_or(Leave::lingers));
        }
        self.clear(&topic, members);
        Announcer::begin(&seat.connection.hub, &topic);
        if let (Some(_), Some(why)) = (&left, why) {
            seat.connection.note(&Note::Left { topic: &seat.topic, why });
        }
        drop(left);
        remains.is_some()
    }

    /// A member is present with these fields. False: it is none.
    pub(crate) fn track(&self, seat: &Arc<Seat>, meta: &str) -> bool {
        self.with_member(seat, |members| members.track(seat, meta))
    }

    /// A member is not present.
    pub(crate) fn untrack(&self, seat: &Arc<Seat>) {
        self.with_member(seat, |members| members.untrack(seat, false));
    }

    fn with_member(&self, seat: &Arc<Seat>, f: impl FnOnce(&mut Members)) -> bool {
        let Some(topic) = self.topic(&seat.topic) else {
            return false;
        };
        let mut members = lock(&topic.members);
        let is_member = members.position(seat).is_some();
        if is_member {
            f(&mut members);
        }
        drop(members);
        Announcer::begin(&seat.connection.hub, &topic);
        is_member
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.topics).get(name).cloned()
    }

    /// A topic's name, as all share it who are interested in it, if there is one.
    pub(crate) fn name(&self, topic: &str) -> Arc<str> {
        read(&self.topics).get_key_value(topic).map_or_else(|| topic.into(), |(name, _)| name.clone())
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        read(&self.topics).values().cloned().collect()
    }

    /// Forgets a topic without members if its route has been removed, or its time is over.
    pub(crate) fn retire(&self, topic: &Arc<Topic>) {
        self.clear(topic, lock(&topic.members));
    }

    fn topic_to_enter(self: &Arc<Self>, seat: &Seat) -> Option<Arc<Topic>> {
        let name = &seat.topic;
        if let Some(topic) = self.topic(name).filter(|topic| !lock(&topic.members).is_over) {
            return Some(topic);
        }
        let mut topics = write(&self.topics);
        if let Some(topic) = topics.get(name).filter(|topic| !lock(&topic.members).is_over) {
            return Some(topic.clone());
        }
        let hub = seat.connection.hub.inner();
        let topic = Topic::new(hub, name.clone(), seat.route.clone(), seat.connection.runtime.clone());
        self.add(&mut topics, topic)
    }

    /// The topic of this name, for something that is sent to it. If its route keeps that, it begins with it if need be.
    pub(crate) fn topic_to_keep(self: &Arc<Self>, name: &str, hub: &Inner) -> Option<Arc<Topic>> {
        let known = self.topic(name);
        let keeps = |topic: &Arc<Topic>| topic.route.options.history.is_some();
        if known.as_ref().is_some_and(|topic| !keeps(topic) || !lock(&topic.members).is_over) {
            return known;
        }
        let route = hub.routes.find(name).filter(|route| route.options.history.is_some())?;
        let runtime = hub.runtime.get()?.clone();
        let mut topics = write(&self.topics);
        if let Some(topic) = topics.get(name).filter(|topic| !lock(&topic.members).is_over) {
            return Some(topic.clone());
        }
        // Whoever removes it has all topics looked at behind that.
        if route.is_over() {
            return None;
        }
        let topic = self.add(&mut topics, Topic::new(hub, name.into(), route, runtime))?;
        if let Some(kept) = lock(&topic.members).history(&topic, self) {
            kept.touch(true);
        }
        Some(topic)
    }

    /// Adds a topic, in the place of one of its name that is over, or of another without members if there are as many as there may
    /// be. `None`: there are, and none is to be had.
    fn add(&self, topics: &mut HashMap<Arc<str>, Arc<Topic>>, topic: Arc<Topic>) -> Option<Arc<Topic>> {
        if topics.len() >= self.max_topics && !topics.contains_key(&topic.name) {
            let idle = self.take_idle()?;
            topics.remove(&idle.name);
        }
        topics.insert(topic.name.clone(), topic.clone());
        if let Some(cluster) = self.cluster.as_ref().filter(|_| topic.route.options.presence) {
            cluster.want_presence(&topic.name);
        }
        Some(topic)
    }

    /// Ends the topic without members that is not used the longest, if one of the first is to be had. Called with the topics
    /// locked.
    fn take_idle(&self) -> Option<Arc<Topic>> {
        for _ in 0..TRIES {
            let (then, topic) = self.archive.take_idle()?;
            let mut members = lock(&topic.members);
            if !members.is_unused_since(then) || !members.seats.is_empty() {
                continue;
            }
            if members.linger() {
                members.history.as_mut().into_iter().for_each(|kept| kept.put_last(true));
                continue;
            }
            members.is_over = true;
            let history = members.history.take();
            drop(members);
            drop(history);
            return Some(topic);
        }
        None
    }

    /// Forgets what topics keep until it is no more than there may be.
    pub(crate) fn shrink(&self) {
        while self.archive.is_over_full()
            && let Some((then, topic)) = self.archive.take_first()
        {
            let mut members = lock(&topic.members);
            if !members.is_unused_since(then) {
                continue;
            }
            let is_idle = members.seats.is_empty();
            if is_idle && !members.linger() {
                self.forget(&topic, members);
            } else if let Some(kept) = &mut members.history {
                kept.clear();
                kept.put_last(is_idle);
            }
        }
    }

    /// Forgets a topic without members, unless it lives on.
    fn clear(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
        if members.is_over || !members.seats.is_empty() || members.linger() {
            return;
        }
        let lives_on = !topic.route.is_over() && topic.watch(&mut members);
        if !lives_on {
            self.forget(topic, members);
        }
    }

    /// Forgets a topic without members.
    pub(crate) fn forget(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
        members.is_over = true;
        let history = members.history.take();
        // The topics are locked before one of them.
        drop(members);
        let mut topics = write(&self.topics);
        if topics.get(&topic.name).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(&topic.name);
        }
        drop(topics);
        drop(history);
    }
}

impl Borrow<ConnId> for ById {
    fn borrow(&self) -> &ConnId {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// How many topics without members are looked at, with all topics locked, until one makes room for another.
const TRIES: usize = 8;

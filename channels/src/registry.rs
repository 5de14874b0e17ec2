//! Who is connected, and who is a member of what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use sansocket::Message;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::announcer::{Announcer, State};
use crate::close::Leave;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::parcel::Parcel;
use crate::presence::Presence;
use crate::route::Route;
use crate::seat::Seat;
use crate::sync::{lock, read, write};

/// Who is connected, and who is a member of what, on this node. It is right at every moment, without sweeps.
///
/// Locks are taken in this order: the topics, one topic, a seat, a queue.
#[derive(Default)]
pub(crate) struct Registry {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    connections: RwLock<Connections>,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<ConnId, Arc<Connection>>,
    by_user: HashMap<Arc<str>, Vec<Arc<Connection>>>,
}

/// A topic that has members, or had them just now: who was lost is present for some time.
pub(crate) struct Topic {
    name: Arc<str>,
    route: Arc<Route>,
    /// Where what it has to do later is done.
    runtime: Handle,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    /// In no order.
    seats: Vec<Arc<Seat>>,
    /// Where each is.
    positions: HashMap<ConnId, usize>,
    /// If the route has any.
    presence: Option<Box<Presence>>,
    /// The last member has left, and nobody lingers: who joins needs another topic of this name.
    is_over: bool,
}

impl Registry {
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
        connections.by_id.insert(connection.id, connection.clone());
        true
    }

    pub(crate) fn disconnect(&self, connection: &Connection) {
        let mut connections = write(&self.connections);
        let gone = connections.by_id.remove(&connection.id);
        if let Some(user) = connection.identity.name()
            && let Some(own) = connections.by_user.get_mut(user)
        {
            own.retain(|other| other.id != connection.id);
            if own.is_empty() {
                connections.by_user.remove(user);
            }
        }
        drop(connections);
        drop(gone);
    }

    pub(crate) fn connection(&self, id: ConnId) -> Option<Arc<Connection>> {
        read(&self.connections).by_id.get(&id).cloned()
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        read(&self.connections).by_id.values().cloned().collect()
    }

    pub(crate) fn connections_of(&self, user: &str) -> Vec<Arc<Connection>> {
        read(&self.connections).by_user.get(user).cloned().unwrap_or_default()
    }

    /// Whether a topic has members, or there is room for one more that has.
    pub(crate) fn has_room(&self, topic: &str, max: usize) -> bool {
        let topics = read(&self.topics);
        topics.len() < max || topics.contains_key(topic)
    }

    /// Makes the seat's connection a member: from now on it is sent what the others are. The reply to its join goes before.
    /// With these fields, if there are any, it is present. Does nothing if the seat has ended. False: there would be more topics
    /// than there may be, or its route has been removed.
    pub(crate) fn enter(
        &self,
        seat: &Arc<Seat>,
        reply: Option<Message>,
        meta: Option<&str>,
        max: usize,
    ) -> bool {
        loop {
            let Some(topic) = self.topic_to_enter(seat, max) else {
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
            if Seat::open(seat, reply) {
                let position = members.seats.len();
                members.positions.insert(seat.connection.id, position);
                members.seats.push(seat.clone());
                if let Some(state) = state {
                    seat.connection.queue.push(&state.frame, Some(seat), 0);
                }
                if let Some(meta) = meta {
                    members.track(seat, meta);
                }
            }
            self.clear(&topic, members);
            Announcer::begin(&seat.connection.hub, &topic);
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

    fn end(&self, seat: &Arc<Seat>, why: Option<Leave>, end: impl FnOnce(&Arc<Seat>) -> bool) -> bool {
        let Some(topic) = self.topic(&seat.topic) else {
            return end(seat);
        };
        let mut members = lock(&topic.members);
        let left = members.remove(seat);
        let ended = end(seat);
        if left.is_some() {
            members.untrack(seat, why.is_none_or(Leave::lingers));
        }
        self.clear(&topic, members);
        Announcer::begin(&seat.connection.hub, &topic);
        drop(left);
        ended
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

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        read(&self.topics).values().cloned().collect()
    }

    fn topic_to_enter(&self, seat: &Seat, max: usize) -> Option<Arc<Topic>> {
        let name = &seat.topic;
        if let Some(topic) = self.topic(name).filter(|topic| topic.admits(&seat.route)) {
            return Some(topic);
        }
        let mut topics = write(&self.topics);
        if let Some(topic) = topics.get(name).filter(|topic| topic.admits(&seat.route)) {
            return Some(topic.clone());
        }
        if topics.len() >= max && !topics.contains_key(name) {
            return None;
        }
        let limits = &seat.connection.hub.inner().limits;
        let presence = seat.route.options.presence.then(|| Presence::new(limits).into());
        let topic = Arc::new(Topic {
            name: name.clone(),
            route: seat.route.clone(),
            runtime: seat.connection.runtime.clone(),
            members: Members { presence, ..Members::default() }.into(),
        });
        topics.insert(name.clone(), topic.clone());
        Some(topic)
    }

    /// Forgets a topic without members, unless somebody lingers.
    pub(crate) fn tidy(&self, topic: &Arc<Topic>) {
        self.clear(topic, lock(&topic.members));
    }

    fn clear(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
        if members.is_over || !members.seats.is_empty() || members.linger() {
            return;
        }
        members.is_over = true;
        // The topics are locked before one of them.
        drop(members);
        let mut topics = write(&self.topics);
        if topics.get(&topic.name).is_some_and(|known| Arc::ptr_eq(known, topic)) {
            topics.remove(&topic.name);
        }
    }
}

impl Topic {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Looks at the presence and the members, if there is a presence, with the topic locked.
    pub(crate) fn with_presence<T>(&self, f: impl FnOnce(&mut Presence, &[Arc<Seat>]) -> T) -> Option<T> {
        if !self.route.options.presence {
            return None;
        }
        let mut members = lock(&self.members);
        let Members { presence, seats, .. } = &mut *members;
        presence.as_mut().map(|presence| f(presence, seats))
    }

    /// Whether who joins by this route may be a member. What lingers of a route that was removed is over by that.
    fn admits(&self, route: &Arc<Route>) -> bool {
        let mut members = lock(&self.members);
        members.is_over |= members.seats.is_empty() && !Arc::ptr_eq(&self.route, route);
        !members.is_over
    }

    /// Appends a message to the queues of all members that are meant. How many took it.
    pub(crate) fn send(&self, parcel: &Parcel<'_>) -> usize {
        let members = lock(&self.members);
        let deliver = |seat: &&Arc<Seat>| {
            parcel.audience.includes(&seat.connection)
                && seat.connection.queue.push(&parcel.frame, Some(seat), 0).is_taken()
        };
        match &parcel.audience.only {
            None => members.seats.iter().filter(deliver).count(),
            // Few of many.
            Some(ids) => {
                let positions = ids.iter().filter_map(|id| members.positions.get(id));
                positions.map(|at| &members.seats[*at]).filter(deliver).count()
            }
        }
    }

    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        lock(&self.members).seats.clone()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.members).seats.len()
    }
}

impl Members {
    /// Removes this seat, unless its connection has another by now.
    fn remove(&mut self, seat: &Arc<Seat>) -> Option<Arc<Seat>> {
        let at = self.position(seat)?;
        self.positions.remove(&seat.connection.id);
        let left = self.seats.swap_remove(at);
        if let Some(moved) = self.seats.get(at) {
            self.positions.insert(moved.connection.id, at);
        }
        Some(left)
    }

    /// Where this seat is, if it is a member's.
    fn position(&self, seat: &Arc<Seat>) -> Option<usize> {
        let at = *self.positions.get(&seat.connection.id)?;
        Arc::ptr_eq(&self.seats[at], seat).then_some(at)
    }

    /// Whether a state is what the members know.
    fn know(&self, state: Option<&State>) -> bool {
        let presence = self.presence.as_ref().zip(state);
        presence.is_none_or(|(presence, state)| presence.is_at(state.generation))
    }

    fn track(&mut self, seat: &Seat, meta: &str) {
        let connection = &seat.connection;
        if let Some(presence) = &mut self.presence {
            let key = connection.identity.name().cloned().unwrap_or_else(|| connection.id.to_string().into());
            let reference = connection.hub.inner().next_reference();
            presence.track(connection.id, key, meta, reference, Instant::now());
        }
    }

    fn untrack(&mut self, seat: &Seat, lingers: bool) {
        if let Some(presence) = &mut self.presence {
            presence.leave(seat.connection.id, lingers, Instant::now());
        }
    }

    /// Whether somebody was lost who may come back.
    fn linger(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.lingers())
    }
}

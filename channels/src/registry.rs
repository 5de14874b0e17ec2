//! Who is connected, and who is a member of what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use sansocket::Message;
use tokio::runtime::Handle;

use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::parcel::Parcel;
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

/// A topic that has members, or had them just now.
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
    /// The last member has left: who joins needs another topic of this name.
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
    /// Does nothing if the seat has ended. False: there would be more topics than there may be, or its route has been removed.
    pub(crate) fn enter(&self, seat: &Arc<Seat>, reply: Option<Message>, max: usize) -> bool {
        loop {
            let Some(topic) = self.topic_to_enter(seat, max) else {
                return false;
            };
            let mut members = lock(&topic.members);
            if members.is_over {
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
            }
            self.clear(&topic, members);
            return true;
        }
    }

    /// Ends a seat, with these frames: nothing of the topic follows. False if it had ended.
    pub(crate) fn leave(&self, seat: &Arc<Seat>, frames: impl IntoIterator<Item = Message>) -> bool {
        self.end(seat, |seat| seat.end(frames))
    }

    /// The same on the server's behalf, be it of a member, or of who is about to be one.
    pub(crate) fn revoke(&self, seat: &Arc<Seat>) -> bool {
        self.end(seat, Seat::revoke)
    }

    fn end(&self, seat: &Arc<Seat>, end: impl FnOnce(&Arc<Seat>) -> bool) -> bool {
        let Some(topic) = self.topic(&seat.topic) else {
            return end(seat);
        };
        let mut members = lock(&topic.members);
        let left = members.remove(seat);
        let ended = end(seat);
        self.clear(&topic, members);
        drop(left);
        ended
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.topics).get(name).cloned()
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        read(&self.topics).values().cloned().collect()
    }

    fn topic_to_enter(&self, seat: &Seat, max: usize) -> Option<Arc<Topic>> {
        let name = &seat.topic;
        if let Some(topic) = self.topic(name).filter(|topic| !lock(&topic.members).is_over) {
            return Some(topic);
        }
        let mut topics = write(&self.topics);
        if let Some(topic) = topics.get(name).filter(|topic| !lock(&topic.members).is_over) {
            return Some(topic.clone());
        }
        if topics.len() >= max && !topics.contains_key(name) {
            return None;
        }
        let topic = Arc::new(Topic {
            name: name.clone(),
            route: seat.route.clone(),
            runtime: seat.connection.runtime.clone(),
            members: Mutex::default(),
        });
        topics.insert(name.clone(), topic.clone());
        Some(topic)
    }

    /// Forgets a topic without members.
    fn clear(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
        if !members.seats.is_empty() || members.is_over {
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
        let at = *self.positions.get(&seat.connection.id)?;
        if !Arc::ptr_eq(&self.seats[at], seat) {
            return None;
        }
        self.positions.remove(&seat.connection.id);
        let left = self.seats.swap_remove(at);
        if let Some(moved) = self.seats.get(at) {
            self.positions.insert(moved.connection.id, at);
        }
        Some(left)
    }
}

//! Who is connected, and who is a member of what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};

use sansocket::Message;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::announcer::{Announcer, State};
use crate::archive::Archive;
use crate::audience::Audience;
use crate::close::Leave;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::frame::Frame;
use crate::history::{Extent, History, Position};
use crate::kept::Kept;
use crate::limits::Limits;
use crate::outgoing::To;
use crate::parcel::{Form, Numbered, Parcel};
use crate::presence::Presence;
use crate::reserved::Since;
use crate::route::Route;
use crate::seat::Seat;
use crate::sync::{lock, read, write};
use crate::welcome::Welcome;

/// Who is connected, and who is a member of what, on this node. It is right at every moment, without sweeps.
///
/// Locks are taken in this order: the topics, one topic, a seat, a queue; and whatever is locked, the archive.
pub(crate) struct Registry {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    connections: RwLock<Connections>,
    archive: Arc<Archive<Topic>>,
    /// Of each topic.
    extent: Extent,
    max_topics: usize,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<ConnId, Arc<Connection>>,
    by_user: HashMap<Arc<str>, Vec<Arc<Connection>>>,
}

/// A topic that has members, or had them just now, or that lives on: with what it keeps, and with who was lost, and may come back.
pub(crate) struct Topic {
    registry: Weak<Registry>,
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
    /// From the first member on, if the route wants one.
    history: Option<Kept<Topic>>,
    /// The last member has left, nobody lingers, and nothing is kept: who joins needs another topic of this name.
    is_over: bool,
}

impl Registry {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            topics: RwLock::default(),
            connections: RwLock::default(),
            archive: Arc::new(Archive::new(limits.histories)),
            extent: limits.history,
            max_topics: limits.topics,
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
            if seat.open(welcome, catch_up) {
                members.add(seat);
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
        if topics.len() >= self.max_topics && !topics.contains_key(name) {
            let idle = self.take_idle()?;
            topics.remove(&idle.name);
        }
        let limits = &seat.connection.hub.inner().limits;
        let presence = seat.route.options.presence.then(|| Presence::new(limits).into());
        let topic = Arc::new(Topic {
            registry: Arc::downgrade(self),
            name: name.clone(),
            route: seat.route.clone(),
            runtime: seat.connection.runtime.clone(),
            members: Members { presence, ..Members::default() }.into(),
        });
        topics.insert(name.clone(), topic.clone());
        Some(topic)
    }

    /// Ends the topic without members that is not used the longest, if there is one. Called with the topics locked.
    fn take_idle(&self) -> Option<Arc<Topic>> {
        loop {
            let (then, topic) = self.archive.take_idle()?;
            let mut members = lock(&topic.members);
            if members.is_idle_since(then) {
                members.is_over = true;
                let history = members.history.take();
                drop(members);
                drop(history);
                return Some(topic);
            }
        }
    }

    /// Forgets what topics keep until it is no more than there may be.
    fn shrink(&self) {
        while self.archive.is_over_full()
            && let Some((then, topic)) = self.archive.take_first()
        {
            let mut members = lock(&topic.members);
            if members.is_idle_since(then) {
                self.forget(&topic, members);
            } else if !members.seats.is_empty()
                && let Some(kept) = &mut members.history
                && !kept.is_used_since(then, false)
            {
                kept.clear();
                // The others are before it now.
                kept.touch(false);
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
    fn forget(&self, topic: &Arc<Topic>, mut members: MutexGuard<'_, Members>) {
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

    /// Appends a message to what is kept, if it is to be, and to the queues of all members that are meant. How many took it.
    pub(crate) fn send(self: &Arc<Self>, parcel: Parcel<'_>) -> usize {
        let to = parcel.to(&self.route.options);
        let mut asked = Vec::new();
        let sent = self.deliver(parcel, &to, |seat| {
            if matches!(to, To::Sessions(_)) {
                asked.push(seat.clone());
            }
        });
        // Now that the topic is not locked any more.
        for seat in asked {
            seat.connection.hold(&seat);
        }
        sent
    }

    /// Does that. Those that took it are told to `taken`.
    fn deliver(self: &Arc<Self>, parcel: Parcel<'_>, to: &To, mut taken: impl FnMut(&Arc<Seat>)) -> usize {
        let Parcel { form, audience, .. } = parcel;
        let mut push = |seat: &Arc<Seat>, frame: &Arc<Frame>, offset, is_meant| {
            let to = if is_meant { to } else { &To::All };
            let is_taken = seat.connection.queue.broadcast(frame, seat, offset, to).is_taken() && is_meant;
            if is_taken {
                taken(seat);
            }
            is_taken
        };
        let mut members = lock(&self.members);
        let draft = match form {
            Form::Whole(frame) => {
                return members
                    .deliver(audience, |seat, is_meant| is_meant && push(seat, &frame, 0, is_meant));
            }
            Form::Draft(draft) => draft,
        };
        let Some(kept) = &mut members.history else {
            // Nobody has been here yet, or anybody is any more.
            return 0;
        };
        let (message, offset) = kept.append(draft, audience, to);
        let (is_watched, is_too_much) = (kept.is_watched(), kept.is_too_much());
        if !is_watched {
            self.watch(&mut members);
        }
        let numbered = Numbered::new(&self.name, message, offset);
        let sent = members.deliver(audience, |seat, is_meant| {
            let frame = numbered.of(&seat.connection, is_meant);
            frame.is_some_and(|frame| push(seat, frame, offset, is_meant))
        });
        drop(members);
        if is_too_much && let Some(registry) = self.registry.upgrade() {
            registry.shrink();
        }
        sent
    }

    /// How many members it has, and how far it is, if it has a history; `None` if it is over.
    pub(crate) fn state(&self) -> Option<(usize, Option<Position>)> {
        let members = lock(&self.members);
        let position = members.history.as_ref().map(|kept| kept.history().position());
        (!members.is_over && (!members.seats.is_empty() || position.is_some()))
            .then(|| (members.seats.len(), position))
    }

    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        lock(&self.members).seats.clone()
    }

    /// Sees to it that what it keeps is forgotten in time, and so is the topic, if it has no members. False: it is time.
    fn watch(self: &Arc<Self>, members: &mut Members) -> bool {
        let is_idle = members.seats.is_empty();
        let Some(kept) = &mut members.history else {
            return false;
        };
        let end = kept.next_end(is_idle);
        end.is_some_and(|end| {
            kept.watch(|| self.runtime.spawn(tend(Arc::downgrade(self), end)).abort_handle())
        })
    }

    /// Forgets what it has kept for long enough. When there is something to do again, if there is.
    fn tend(self: &Arc<Self>) -> Option<Instant> {
        let registry = self.registry.upgrade()?;
        let mut members = lock(&self.members);
        let is_idle = members.seats.is_empty();
        let kept = members.history.as_mut()?;
        let end = kept.next_end(is_idle);
        if end.is_none() {
            kept.unwatch();
            if is_idle {
                registry.forget(self, members);
            }
        }
        end
    }
}

/// Sees to the end of what a topic keeps.
async fn tend(topic: Weak<Topic>, mut end: Instant) {
    loop {
        sleep_until(end).await;
        match topic.upgrade().and_then(|topic| topic.tend()) {
            Some(next) => end = next,
            None => return,
        }
    }
}

impl Members {
    /// What is kept, from now on if the route wants that.
    fn history(&mut self, topic: &Arc<Topic>, registry: &Registry) -> Option<&mut Kept<Topic>> {
        let (entries, time) = topic.route.options.history?;
        Some(self.history.get_or_insert_with(|| {
            let extent = Extent { entries, time, ..registry.extent };
            Kept::new(History::new(topic.name.clone(), extent), &registry.archive, topic)
        }))
    }

    fn add(&mut self, seat: &Arc<Seat>) {
        self.positions.insert(seat.connection.id, self.seats.len());
        self.seats.push(seat.clone());
        if self.seats.len() == 1
            && let Some(kept) = &mut self.history
        {
            kept.touch(false);
        }
    }

    /// Does something with each member, if it is among those that are meant, or could be. For how many it says true.
    fn deliver(&self, audience: &Audience, mut f: impl FnMut(&Arc<Seat>, bool) -> bool) -> usize {
        let deliver = |seat: &&Arc<Seat>| f(seat, audience.includes(&seat.connection));
        match &audience.only {
            None => self.seats.iter().filter(deliver).count(),
            // Few of many.
            Some(ids) => {
                let positions = ids.iter().filter_map(|id| self.positions.get(id));
                positions.map(|at| &self.seats[*at]).filter(deliver).count()
            }
        }
    }

    /// Whether it has no members, and nothing has happened to it since.
    fn is_idle_since(&mut self, then: Instant) -> bool {
        let is_idle = self.seats.is_empty() && !self.is_over;
        is_idle && self.history.as_mut().is_some_and(|kept| !kept.is_used_since(then, true))
    }

    /// Removes this seat, unless its connection has another by now.
    fn remove(&mut self, seat: &Arc<Seat>) -> Option<Arc<Seat>> {
        let at = self.position(seat)?;
        self.positions.remove(&seat.connection.id);
        let left = self.seats.swap_remove(at);
        if let Some(moved) = self.seats.get(at) {
            self.positions.insert(moved.connection.id, at);
        }
        if self.seats.is_empty()
            && let Some(kept) = &mut self.history
        {
            kept.touch(true);
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

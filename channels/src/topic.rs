//! A topic, and its members.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::announcer::State;
use crate::audience::Audience;
use crate::cluster::{Abroad, Hearing, Interest};
use crate::frame::{Class, Frame};
use crate::history::{Extent, History, Position};
use crate::hub::Inner;
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::outgoing::To;
use crate::parcel::{Form, Numbered, Parcel};
use crate::presence::Presence;
use crate::registry::Registry;
use crate::route::Route;
use crate::seat::{Seat, gap};
use crate::sync::{Mutex, lock};
use crate::wire::text;

/// A topic that has members, or had them just now, or that lives on: with what it keeps, and with who was lost, and may come back.
pub(crate) struct Topic {
    registry: Weak<Registry>,
    pub(crate) name: Arc<str>,
    pub(crate) route: Arc<Route>,
    /// Where what it has to do later is done.
    runtime: Handle,
    pub(crate) members: Mutex<Members>,
    /// Other nodes tell of it for as long as it is there.
    _interest: Option<Interest>,
}

#[derive(Default)]
pub(crate) struct Members {
    /// In no order: each knows where it is.
    pub(crate) seats: Vec<Arc<Seat>>,
    /// If the route has any.
    presence: Option<Box<Presence>>,
    /// From the first member or message on, if the route wants one.
    pub(crate) history: Option<Kept<Topic>>,
    /// What other nodes have told of it, if there are any.
    pub(crate) abroad: Option<Box<Abroad>>,
    /// The last member has left, nobody lingers, and nothing is kept: who joins needs another topic of this name.
    pub(crate) is_over: bool,
}

impl Topic {
    /// One without members.
    pub(crate) fn new(hub: &Inner, name: Arc<str>, route: Arc<Route>, runtime: Handle) -> Arc<Self> {
        let cluster = hub.cluster.as_ref();
        let node = cluster.map(|_| hub.next_reference());
        let presence = route.options.presence.then(|| Presence::new(&hub.limits, node).into());
        let abroad = cluster.map(|_| Box::default());
        Arc::new(Self {
            registry: Arc::downgrade(&hub.registry),
            _interest: cluster.map(|cluster| cluster.interest(&name)),
            name,
            route,
            runtime,
            members: Members { presence, abroad, ..Members::default() }.into(),
        })
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

    /// Whether this node numbers its messages.
    pub(crate) fn numbers(&self, hub: &Inner) -> bool {
        self.route.options.history.is_some() && !hub.is_sequenced()
    }

    /// Appends a message to what is kept, if it is to be, and to the queues of all members that are meant. How many took it.
    pub(crate) fn send(self: &Arc<Self>, parcel: Parcel<'_>) -> usize {
        self.put(parcel, None).unwrap_or(0)
    }

    /// The same with one that has its number, and is so old. `None`: others are missing before it.
    pub(crate) fn send_at(
        self: &Arc<Self>,
        parcel: Parcel<'_>,
        position: &Position,
        age: Duration,
    ) -> Option<usize> {
        self.put(parcel, Some((position, age)))
    }

    fn put(self: &Arc<Self>, parcel: Parcel<'_>, at: Option<(&Position, Duration)>) -> Option<usize> {
        let to = parcel.to(&self.route.options);
        let mut asked = Vec::new();
        let sent = self.deliver(parcel, &to, at, |seat| {
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
    fn deliver(
        self: &Arc<Self>,
        parcel: Parcel<'_>,
        to: &To,
        at: Option<(&Position, Duration)>,
        mut taken: impl FnMut(&Arc<Seat>),
    ) -> Option<usize> {
        let Parcel { form, audience, is_named, .. } = parcel;
        let mut push = |seat: &Arc<Seat>, frame: &Arc<Frame>, offset, is_meant| {
            let to = if is_meant { to } else { &To::All };
            let is_taken = seat.connection.queue.broadcast(frame, seat, offset, to).is_taken() && is_meant;
            if is_taken {
                taken(seat);
            }
            is_taken
        };
        let only = self.only(audience);
        let mut members = lock(&self.members);
        let draft = match form {
            Form::Whole(frame) => {
                let push = |seat: &_, is_meant| is_meant && push(seat, &frame, 0, is_meant);
                let sent = members.deliver(audience, only.as_deref(), push);
                drop(members);
                if sent > 0 {
                    frame.handed_over();
                }
                return Some(sent);
            }
            Form::Draft(draft) => draft,
        };
        let is_idle = members.seats.is_empty();
        let Some(kept) = &mut members.history else {
            // It is over.
            return Some(0);
        };
        let age = match at.map(|(position, age)| (kept.history().turn(position), age)) {
            None => Duration::ZERO,
            Some((Hearing::Next, age)) => age,
            Some((Hearing::Stale, _)) => return Some(0),
            Some((Hearing::Missing, _)) => return None,
        };
        let (message, offset) = kept.append(draft, audience, to, age, is_idle && !is_named);
        let (is_watched, is_too_much) = (kept.is_watched(), kept.is_too_much());
        if !is_watched {
            self.watch(&mut members);
        }
        let numbered = Numbered::new(&self.name, message, offset);
        let mut heirs = Vec::new();
        let sent = members.deliver(audience, only.as_deref(), |seat, is_meant| {
            if !is_meant && seat.was_left_out(audience) {
                heirs.push(seat.connection.id);
            }
            let frame = numbered.of(&seat.connection, is_meant);
            frame.is_some_and(|frame| push(seat, frame, offset, is_meant))
        });
        members.history.as_mut().into_iter().for_each(|kept| kept.leave_out(&heirs));
        drop(members);
        if sent > 0 {
            numbered.handed_over();
        }
        if is_too_much && let Some(registry) = self.registry.upgrade() {
            registry.shrink();
        }
        Some(sent)
    }

    /// Members have missed something of other nodes, and no more is known of what: they are told. A history that this node numbers
    /// begins another life.
    pub(crate) fn lose(&self, hub: &Inner) {
        let mut members = lock(&self.members);
        if let Some(kept) = members.history.as_mut().filter(|_| self.numbers(hub)) {
            let offset = kept.history().offset();
            kept.begin_epoch(None, offset);
        }
        members.tell_gap(self, hub);
    }

    /// The broker's number that comes next, if this is it, says that a message has come to nobody: members are told before they have
    /// that number, and who has not had it when he comes back.
    pub(crate) fn lose_at(&self, position: &Position, hub: &Inner) -> bool {
        let mut members = lock(&self.members);
        let Some(kept) =
            members.history.as_mut().filter(|kept| kept.history().turn(position) == Hearing::Next)
        else {
            return false;
        };
        kept.lose_at(position.offset);
        members.tell_gap(self, hub);
        true
    }

    /// How far it is in the order that the broker has, if it has been there.
    pub(crate) fn known_position(&self) -> Option<Position> {
        let members = lock(&self.members);
        let has_been_live = members.abroad.as_ref().is_some_and(|abroad| abroad.course.has_been_live());
        members.history.as_ref().filter(|_| has_been_live).map(|kept| kept.history().position())
    }

    /// Whether it has not come so far in the life that a position is of.
    pub(crate) fn is_behind(&self, position: &Position) -> bool {
        self.known_position()
            .is_some_and(|known| known.epoch == position.epoch && known.offset < position.offset)
    }

    /// The broker has it so far, and what it has told begins after an offset. If something is missing until there, a life of that name
    /// begins, and members are told.
    pub(crate) fn begin_at(&self, position: &Position, from: u64, hub: &Inner) {
        let mut members = lock(&self.members);
        let Some(kept) = &mut members.history else {
            return;
        };
        let own = kept.history();
        // It may have gone on since the broker has said so.
        if *position.epoch == **own.epoch() && own.offset() >= from {
            return;
        }
        kept.begin_epoch(Some(position.epoch.as_str().into()), from);
        members.tell_gap(self, hub);
    }

    /// Looks at what other nodes have told, if there are any, with the topic locked.
    pub(crate) fn with_abroad<T>(&self, f: impl FnOnce(&mut Abroad) -> T) -> Option<T> {
        lock(&self.members).abroad.as_mut().map(|abroad| f(abroad))
    }

    /// The seats of those that alone are meant, be they members or not: few of many. Called with nothing locked.
    fn only(&self, audience: &Audience) -> Option<Vec<Arc<Seat>>> {
        let (ids, registry) = (audience.only.as_ref()?, self.registry.upgrade()?);
        Some(ids.iter().filter_map(|id| registry.connection(*id)?.seat(&self.name)).collect())
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

    /// Adds what it has to the numbers of its hub.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        let members = lock(&self.members);
        metrics.topics += u64::from(!members.seats.is_empty());
        metrics.members += members.seats.len() as u64;
        if let Some(presence) = &members.presence {
            metrics.presence_entries += presence.len() as u64;
        }
        if let Some(kept) = &members.history {
            metrics.history_entries += kept.history().len() as u64;
            metrics.history_bytes += kept.history().bytes() as u64;
        }
    }

    /// Sees to it that what it keeps is forgotten in time, and so is the topic, if it has no members. False: it is time.
    pub(crate) fn watch(self: &Arc<Self>, members: &mut Members) -> bool {
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
            if is_idle && !members.linger() {
                registry.forget(self, members);
            }
        }
        end
    }
}

impl Members {
    /// What is kept, from now on if the route wants that.
    pub(crate) fn history(&mut self, topic: &Arc<Topic>, registry: &Registry) -> Option<&mut Kept<Topic>> {
        let (entries, time) = topic.route.options.history?;
        Some(self.history.get_or_insert_with(|| {
            let extent = Extent { entries, time, ..registry.extent };
            Kept::new(History::new(topic.name.clone(), extent), &registry.archive, topic)
        }))
    }

    /// Tells all members that they have missed something, and in which life of the topic they are.
    pub(crate) fn tell_gap(&self, topic: &Topic, hub: &Inner) {
        if self.seats.is_empty() {
            return;
        }
        let history = self.history.as_ref().map(Kept::history);
        let payload = history.map_or("{}".to_owned(), |history| gap(history.epoch(), history.offset()));
        // It belongs to no join, so that it is one for all.
        let message = text::frame(None, None, &topic.name, "$gap", &payload).into();
        let frame = Frame::new(message, Class::Answer, &hub.memory);
        for seat in &self.seats {
            if let Some(history) = history {
                seat.begin_epoch(history.epoch(), history.offset());
            }
            let offset = history.map_or(0, History::offset);
            seat.connection.queue.broadcast(&frame, seat, offset, &To::All);
        }
        hub.counters.gaps.add(self.seats.len());
    }

    pub(crate) fn add(&mut self, seat: &Arc<Seat>) {
        seat.position.store(as_position(self.seats.len()), Ordering::Relaxed);
        self.seats.push(seat.clone());
        if self.seats.len() == 1
            && let Some(kept) = &mut self.history
        {
            kept.touch(false);
        }
    }

    /// Does something with each member, if it is among those that are meant, or could be. For how many it says true.
    fn deliver(
        &self,
        audience: &Audience,
        only: Option<&[Arc<Seat>]>,
        mut f: impl FnMut(&Arc<Seat>, bool) -> bool,
    ) -> usize {
        if audience.is_all() {
            // Nothing of them is looked at.
            return self.seats.iter().filter(|seat| f(seat, true)).count();
        }
        let deliver = |seat: &&Arc<Seat>| f(seat, seat.is_meant(audience));
        match only {
            None => self.seats.iter().filter(deliver).count(),
            Some(seats) => {
                let members = seats.iter().filter(|seat| self.position(seat).is_some());
                members.filter(deliver).count()
            }
        }
    }

    /// Whether it is not over, and nothing has happened to it since.
    pub(crate) fn is_unused_since(&mut self, then: Instant) -> bool {
        let is_idle = self.seats.is_empty();
        !self.is_over && self.history.as_mut().is_some_and(|kept| !kept.is_used_since(then, is_idle))
    }

    /// Removes this seat, if it is a member's.
    pub(crate) fn remove(&mut self, seat: &Arc<Seat>) -> Option<Arc<Seat>> {
        let at = self.position(seat)?;
        let left = self.seats.swap_remove(at);
        if let Some(moved) = self.seats.get(at) {
            moved.position.store(as_position(at), Ordering::Relaxed);
        }
        if self.seats.is_empty()
            && let Some(kept) = &mut self.history
        {
            kept.touch(true);
        }
        Some(left)
    }

    /// Where this seat is, if it is a member's.
    pub(crate) fn position(&self, seat: &Arc<Seat>) -> Option<usize> {
        let at = seat.position.load(Ordering::Relaxed) as usize;
        self.seats.get(at).is_some_and(|own| Arc::ptr_eq(own, seat)).then_some(at)
    }

    /// Whether a state is what the members know.
    pub(crate) fn know(&self, state: Option<&State>) -> bool {
        let presence = self.presence.as_ref().zip(state);
        presence.is_none_or(|(presence, state)| presence.is_at(state.generation))
    }

    pub(crate) fn track(&mut self, seat: &Seat, meta: &str) {
        let connection = &seat.connection;
        if let Some(presence) = &mut self.presence {
            let key = connection.identity.name().cloned().unwrap_or_else(|| connection.id.to_string().into());
            let reference = connection.hub.inner().next_reference();
            if !presence.track(connection.id, key, meta, reference, Instant::now()) {
                connection.hub.inner().counters.untracked.add(1);
            }
        }
    }

    pub(crate) fn untrack(&mut self, seat: &Seat, lingers: bool) {
        if let Some(presence) = &mut self.presence {
            presence.leave(seat.connection.id, lingers, Instant::now());
        }
    }

    /// Whether somebody was lost who may come back.
    pub(crate) fn linger(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.lingers())
    }
}

/// Where a seat is: there are fewer than there is memory for.
fn as_position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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

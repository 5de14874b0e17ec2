//! What is known of a connection, wherever it is asked for.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use sansocket::Message;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::close::Leave;
use crate::conn_id::ConnId;
use crate::frame::{Class, Frame};
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::identity::Identity;
use crate::inbox::{Command, Inbox, Seated};
use crate::notes::Note;
use crate::queue::Queue;
use crate::refusal::{Refusal, refused};
use crate::runner;
use crate::seat::Seat;
use crate::span::Span;
use crate::sync::{Mutex, lock};

/// What is known of a connection, wherever it is asked for. Its task is in [`drive`](crate::drive).
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) hub: Hub,
    pub(crate) identity: Identity,
    pub(crate) handshake: Handshake,
    pub(crate) dialect: Dialect,
    pub(crate) since: SystemTime,
    pub(crate) queue: Queue,
    pub(crate) span: Span,
    /// The number of the next seat.
    seats: AtomicU32,
    /// Turns of its joins. None: it cannot have as many topics.
    pub(crate) joins: Option<Box<Semaphore>>,
    /// The number of the next question to the page.
    pub(crate) asked: AtomicU64,
    /// How many questions wait for their answers.
    pub(crate) asking: AtomicU32,
    /// Where handlers run: what ends a session may be called where there is no runtime.
    pub(crate) runtime: Handle,
    /// By topic: what has messages to be handled, or a session. Locked before the inboxes themselves.
    inboxes: Mutex<Inboxes>,
}

/// Which protocol the client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    /// Phoenix Channels V2, and nothing more.
    Stock,
    /// What our client asks for by `ext=1`.
    Extended,
}

#[derive(Default)]
struct Inboxes {
    by_topic: HashSet<OfTopic>,
    /// The connection has ended, so: nothing is added any more.
    ended: bool,
}

/// An inbox, as it is known by its topic.
struct OfTopic(Arc<Inbox>);

/// What became of a command.
pub(crate) enum Delivered {
    Yes,
    /// There is no room; the connection's task is woken when there is.
    Full(Command),
    /// It is for a topic that is not joined.
    NotJoined(Command),
    /// It would be a topic too many, until one has been left that is about to be.
    Busy(Command),
    /// It would be a topic too many.
    TooMany(Command),
}

impl Connection {
    pub(crate) fn new(
        id: ConnId,
        hub: Hub,
        identity: Identity,
        handshake: Handshake,
        dialect: Dialect,
    ) -> Self {
        let limits = &hub.inner().limits;
        let joins = limits.joins_per_connection.min(Semaphore::MAX_PERMITS);
        let runtime = Handle::current();
        hub.note_runtime();
        Self {
            id,
            span: Span::new(id, identity.name().map(|user| &**user)),
            identity,
            handshake,
            dialect,
            since: SystemTime::now(),
            queue: Queue::new(limits.clone()),
            seats: AtomicU32::new(1),
            joins: (joins < limits.topics_per_connection).then(|| Box::new(Semaphore::new(joins))),
            asked: AtomicU64::new(1),
            asking: AtomicU32::new(0),
            runtime,
            inboxes: Mutex::default(),
            hub,
        }
    }

    /// Hands a command to whoever works off those of its topic, unless as many as `unhandled` wait there.
    pub(crate) fn deliver(self: &Arc<Self>, topic: &str, command: Command, unhandled: usize) -> Delivered {
        let limits = &self.hub.inner().limits;
        let mut inboxes = lock(&self.inboxes);
        if inboxes.ended {
            return Delivered::Yes;
        }
        let inbox = match inboxes.by_topic.get(topic) {
            Some(OfTopic(inbox)) => inbox.clone(),
            None if !matches!(command, Command::Join { .. }) => return Delivered::NotJoined(command),
            None if inboxes.by_topic.len() >= limits.topics_per_connection => {
                let is_busy = inboxes.by_topic.iter().any(|OfTopic(inbox)| inbox.is_leaving());
                return if is_busy { Delivered::Busy(command) } else { Delivered::TooMany(command) };
            }
            None => {
                let inbox = Arc::new(Inbox::new(self.hub.inner().registry.name(topic)));
                inboxes.by_topic.insert(OfTopic(inbox.clone()));
                inbox
            }
        };
        match inbox.push(command, unhandled) {
            Ok(starts) => {
                if starts {
                    self.work_off(inbox);
                }
                Delivered::Yes
            }
            Err(command) => Delivered::Full(command),
        }
    }

    /// Queues an answer that belongs to no session.
    pub(crate) fn answer(&self, message: Message) {
        self.queue.push(&self.frame(message, Class::Answer), None, 0);
    }

    /// A frame to be queued.
    pub(crate) fn frame(&self, message: Message, class: Class) -> Arc<Frame> {
        Frame::new(message, class, &self.hub.inner().memory)
    }

    /// A number that no other seat has whose frames wait.
    pub(crate) fn next_seat(&self) -> u32 {
        self.seats.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells the client that a join is refused.
    pub(crate) fn refuse_join(
        &self,
        join_ref: Option<&str>,
        reference: Option<&str>,
        topic: &str,
        refusal: &Refusal,
    ) {
        for frame in refused(join_ref, reference, topic, refusal, self.hub.inner().limits.payload) {
            self.answer(frame);
        }
        self.note(&Note::Refused { topic, refusal });
    }

    /// The seat on a topic, if the client has one, or is about to.
    pub(crate) fn seat(&self, topic: &str) -> Option<Arc<Seat>> {
        lock(&self.inboxes).by_topic.get(topic)?.0.seat()
    }

    /// The topics that are joined.
    pub(crate) fn topics(&self) -> Vec<String> {
        let inboxes = lock(&self.inboxes);
        let joined = inboxes.by_topic.iter().filter_map(|OfTopic(inbox)| inbox.seat());
        joined.filter(|seat| seat.is_joined()).map(|seat| seat.topic.to_string()).collect()
    }

    /// Ends a session at once, or a join that is under way, on the server's behalf.
    /// False: it had ended.
    pub(crate) fn end_seat(self: &Arc<Self>, seat: &Arc<Seat>, why: Leave) -> bool {
        if !self.hub.inner().registry.revoke(seat, why) {
            return false;
        }
        let inboxes = lock(&self.inboxes);
        if let Some(OfTopic(inbox)) = inboxes.by_topic.get(&*seat.topic)
            && inbox.end_session(seat, why)
        {
            self.work_off(inbox.clone());
        }
        true
    }

    /// Has a session have its say in what its seat holds.
    pub(crate) fn hold(self: &Arc<Self>, seat: &Arc<Seat>) {
        let inboxes = lock(&self.inboxes);
        if let Some(OfTopic(inbox)) = inboxes.by_topic.get(&*seat.topic)
            && inbox.hold(seat)
        {
            self.work_off(inbox.clone());
        }
    }

    /// The connection has ended: it is no member of anything any more, and each session is told.
    #[expect(clippy::mutable_key_type, reason = "an inbox is known by its topic, which stays")]
    pub(crate) fn end(self: &Arc<Self>, why: Leave) {
        let ended = {
            let mut inboxes = lock(&self.inboxes);
            inboxes.ended = true;
            std::mem::take(&mut inboxes.by_topic)
        };
        self.hub.inner().counters.dropped_at_end.add(self.queue.finish());
        for OfTopic(inbox) in ended {
            if let Some(seat) = inbox.seat() {
                self.hub.inner().registry.leave(&seat, [], Some(why));
            }
            // Who closes is done when what it said before has been handled; who is lost, or closed by the server, is done.
            let permit = (why == Leave::Closed).then(|| self.hub.inner().rests.clone().try_acquire_owned());
            if inbox.end(why, permit.and_then(Result::ok)) {
                self.work_off(inbox);
            }
        }
    }

    /// Lets an inbox rest, and forgets it if there is no session. Fails if it has more to do.
    pub(crate) fn retire(&self, inbox: &Arc<Inbox>, seated: Option<Seated>) -> Result<(), Option<Seated>> {
        let mut inboxes = lock(&self.inboxes);
        if !inbox.rest(seated)? {
            inboxes.forget(inbox);
        }
        Ok(())
    }

    /// Forgets an inbox that nobody works off any more.
    pub(crate) fn forget(&self, inbox: &Arc<Inbox>) {
        lock(&self.inboxes).forget(inbox);
    }

    fn work_off(self: &Arc<Self>, inbox: Arc<Inbox>) {
        let run = self.hub.inner().work.begin();
        self.runtime.spawn(self.span.around(runner::work_off(self.clone(), inbox, run)));
    }
}

impl Inboxes {
    fn forget(&mut self, inbox: &Arc<Inbox>) {
        if self.by_topic.get(&*inbox.topic).is_some_and(|OfTopic(known)| Arc::ptr_eq(known, inbox)) {
            self.by_topic.remove(&*inbox.topic);
        }
    }
}

impl Borrow<str> for OfTopic {
    fn borrow(&self) -> &str {
        &self.0.topic
    }
}

impl Hash for OfTopic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.topic.hash(state);
    }
}

impl PartialEq for OfTopic {
    fn eq(&self, other: &Self) -> bool {
        self.0.topic == other.0.topic
    }
}

impl Eq for OfTopic {}

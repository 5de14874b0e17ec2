//! A connection's place on a topic, from a join to its end.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use sansocket::Message;
use tokio::sync::oneshot;

use crate::ask::Answer;
use crate::audience::Audience;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::frame::{Class, Frame};
use crate::history::Catchup;
use crate::options::OnFull;
use crate::outgoing::Hold;
use crate::pushed::Pushed;
use crate::refusal::{Refusal, refused};
use crate::reserved::Since;
use crate::route::Route;
use crate::sync::{Mutex, lock};
use crate::welcome::Welcome;
use crate::wire::{binary, text};

/// A connection's place on a topic, from a join to its end: what may be sent of the topic goes through it, so that nothing
/// precedes the join's reply, or follows the end.
pub(crate) struct Seat {
    /// Which of the connection's it is: not 0.
    pub(crate) number: u32,
    /// Where it is among the topic's members, if it is: theirs, and used with the topic locked.
    pub(crate) position: AtomicU32,
    pub(crate) connection: Arc<Connection>,
    pub(crate) topic: Arc<str>,
    pub(crate) route: Arc<Route>,
    /// What all that belongs to this join repeats.
    pub(crate) join_ref: Option<Box<str>>,
    /// From when it is joined, if the topic has a history.
    course: OnceLock<Box<Course>>,
    /// Locked after the topic, and before the connection's queue.
    state: Mutex<State>,
}

/// How far a seat is in its topic's history.
struct Course {
    /// Of the topic's life: told in each position. Locked after all else.
    epoch: Mutex<Arc<str>>,
    /// The greatest offset that was queued or dropped; 0: none. Written with the queue locked, or with `epoch`, when that is another.
    reached: AtomicU64,
    /// Which connection the client was before, as it says, if it has come back.
    before: Option<ConnId>,
}

struct State {
    phase: Phase,
    /// The message that is handled: the second, the first, none yet.
    turn: u64,
    /// What the answer to that message is to repeat, until there is one.
    reference: Option<Box<str>>,
}

/// What a seat leaves behind. Dropped, those are woken who wait for an answer: that is when nothing is locked.
#[must_use = "it is dropped when nothing is locked"]
pub(crate) struct Remains {
    _held: Vec<Arc<Frame>>,
    _hold: Option<Hold>,
    _ended: Phase,
}

enum Phase {
    /// What is pushed follows the reply.
    Joining {
        /// What the answer to the join repeats.
        reference: Option<Box<str>>,
    },
    Joined {
        /// Questions to the page, and their numbers: no more than may wait for answers at once.
        asks: Vec<(u64, oneshot::Sender<Answer>)>,
    },
    Ended,
}

impl Seat {
    pub(crate) fn new(
        connection: Arc<Connection>,
        topic: Arc<str>,
        route: Arc<Route>,
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
    ) -> Self {
        let state = State { phase: Phase::Joining { reference }, turn: 0, reference: None };
        Self {
            number: connection.next_seat(),
            position: AtomicU32::new(0),
            connection,
            topic,
            route,
            join_ref,
            course: OnceLock::new(),
            state: state.into(),
        }
    }

    /// Queues a frame of the topic. Called with nothing locked.
    pub(crate) fn push(self: &Arc<Self>, message: Message, class: Class) -> Pushed {
        let pushed = {
            let (queue, frame) = (&self.connection.queue, self.connection.frame(message, class));
            let state = lock(&self.state);
            match state.phase {
                Phase::Joining { .. } => queue.hold(&frame, self.number),
                Phase::Joined { .. } => queue.push(&frame, Some(self), 0),
                Phase::Ended => Pushed::Ended,
            }
        };
        self.connection.hub.inner().relieve();
        pushed
    }

    /// Queues an answer that waits for nothing which the session has its say in. Called with nothing locked.
    pub(crate) fn push_past(self: &Arc<Self>, message: Message) {
        let answer = self.connection.frame(message, Class::Answer);
        let state = lock(&self.state);
        if matches!(state.phase, Phase::Joined { .. }) {
            self.connection.queue.push_past(&answer, self);
        }
    }

    /// Whether its client is meant.
    pub(crate) fn is_meant(&self, audience: &Audience) -> bool {
        audience.includes(&self.connection) && !self.was_left_out(audience)
    }

    /// Whether its client is not, as the connection that it was before.
    pub(crate) fn was_left_out(&self, audience: &Audience) -> bool {
        self.course
            .get()
            .and_then(|course| course.before)
            .is_some_and(|before| audience.except.contains(&before))
    }

    /// What becomes of frames that find no room.
    pub(crate) fn on_full(&self) -> OnFull {
        self.route.options.on_full
    }

    /// A frame with this offset is queued or dropped, or one without, which is 0: how far the seat has come. Called with the queue
    /// locked.
    pub(crate) fn reach(&self, offset: u64) -> u64 {
        let Some(course) = self.course.get() else {
            return 0;
        };
        if offset == 0 {
            return course.reached.load(Ordering::Relaxed);
        }
        course.reached.store(offset, Ordering::Relaxed);
        offset
    }

    /// The frame that says that what the client has not had up to this offset of a life is lost; without a life, that something is.
    pub(crate) fn gap(&self, epoch: Option<&str>, offset: u64) -> Arc<Frame> {
        self.connection.hub.inner().counters.gaps.add(1);
        let payload = epoch.map_or_else(|| "{}".to_owned(), |epoch| gap(epoch, offset));
        self.connection.frame(self.frame(None, "$gap", &payload), Class::Answer)
    }

    /// The life of the topic, if it has a history that has come to this offset.
    pub(crate) fn epoch(&self, offset: u64) -> Option<Arc<str>> {
        let course = self.course.get()?;
        let epoch = lock(&course.epoch);
        // What lies beyond is of the life before.
        (offset <= course.reached.load(Ordering::Relaxed)).then(|| epoch.clone())
    }

    /// The topic's life is another from now on. Called with the topic locked.
    pub(crate) fn begin_epoch(&self, epoch: &Arc<str>, offset: u64) {
        if let Some(course) = self.course.get() {
            let mut known = lock(&course.epoch);
            known.clone_from(epoch);
            course.reached.store(offset, Ordering::Relaxed);
        }
    }

    /// A frame that belongs to this join.
    pub(crate) fn frame(&self, reference: Option<&str>, event: &str, payload: &str) -> Message {
        text::frame(self.join_ref.as_deref(), reference, &self.topic, event, payload).into()
    }

    /// A frame of bytes that belongs to this join.
    pub(crate) fn binary(&self, event: &str, data: &[u8]) -> Message {
        binary::push(self.join_ref.as_deref(), &self.topic, event, data).into()
    }

    /// The frame that says how it ended, to which the join's own ref belongs.
    pub(crate) fn ending(&self, event: &str, payload: &str) -> Message {
        self.frame(self.join_ref.as_deref(), event, payload)
    }

    /// An answer to a frame of this join.
    pub(crate) fn reply(&self, reference: &str, status: &str, response: &str) -> Message {
        text::reply(self.join_ref.as_deref(), reference, &self.topic, status, response).into()
    }

    /// What the answer to the join is to repeat, if the client wants one and has none.
    pub(crate) fn join_reference(&self) -> Option<Box<str>> {
        lock(&self.state).phase.reference().map(Into::into)
    }

    /// The join has succeeded, unless it was ended before: then false. The reply goes first, then what was sent before, then what
    /// was pushed meanwhile, and who is present. Called with the topic locked.
    pub(crate) fn open(
        self: &Arc<Self>,
        welcome: Welcome,
        catch_up: impl FnOnce(Option<&Since>) -> Option<Catchup>,
        presence: Option<&Arc<Frame>>,
    ) -> bool {
        let mut state = lock(&self.state);
        if !matches!(state.phase, Phase::Joining { .. }) {
            return false;
        }
        let catchup = catch_up(welcome.since());
        let before = welcome.since().and_then(|since| since.conn);
        let (answer_len, mut recovers) = (welcome.max_len(), None);
        let answer = |sent| {
            if let Some(catchup) = &catchup {
                let (epoch, reached) = (catchup.epoch.clone().into(), catchup.from(sent).into());
                self.course.get_or_init(|| Box::new(Course { epoch, reached, before }));
            }
            recovers = welcome.recovers(catchup.as_ref(), sent);
            welcome.reply(catchup.as_ref(), sent).map(|reply| self.connection.frame(reply, Class::Answer))
        };
        if self.connection.queue.release(self, answer, answer_len, catchup.as_ref(), presence) {
            self.connection.hub.inner().counters.count_recovery(recovers);
        }
        state.phase = Phase::Joined { asks: Vec::new() };
        true
    }

    /// Ends it, with these frames; `None` if it had ended. Called with the topic locked, when the connection is none of its
    /// members any more.
    pub(crate) fn end(self: &Arc<Self>, frames: impl IntoIterator<Item = Message>) -> Option<Remains> {
        self.end_with(|_| frames)
    }

    /// Ends a join that has not succeeded, with the answer that it is refused, if it is.
    pub(crate) fn refuse(self: &Arc<Self>, refusal: Option<&Refusal>) {
        drop(
            self.end_with(|phase| refusal.map(|refusal| self.refused(phase, refusal)).into_iter().flatten()),
        );
    }

    /// Ends it on the server's behalf: the client is told that it is no member any more, or that it may not become one. Called
    /// like [`end`](Self::end).
    pub(crate) fn revoke(self: &Arc<Self>) -> Option<Remains> {
        self.end_with(|phase| {
            let is_joined = matches!(phase, Phase::Joined { .. });
            let refused = (!is_joined).then(|| self.refused(phase, &Refusal::new("unauthorized")));
            let closed = is_joined.then(|| self.ending("phx_close", "{}"));
            refused.into_iter().flatten().chain(closed)
        })
    }

    /// The frames that say that the join is refused.
    fn refused(&self, phase: &Phase, refusal: &Refusal) -> impl Iterator<Item = Message> + use<> {
        let limit = self.connection.hub.inner().limits.payload;
        refused(self.join_ref.as_deref(), phase.reference(), &self.topic, refusal, limit)
    }

    fn end_with<F: IntoIterator<Item = Message>>(
        self: &Arc<Self>,
        frames: impl FnOnce(&Phase) -> F,
    ) -> Option<Remains> {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Ended) {
            return None;
        }
        let hold = self.connection.queue.end_hold(self);
        for frame in frames(&state.phase) {
            self.connection.queue.push(&self.connection.frame(frame, Class::Answer), Some(self), 0);
        }
        let held = match state.phase {
            Phase::Joining { .. } => self.connection.queue.unhold(self.number),
            Phase::Joined { .. } | Phase::Ended => Vec::new(),
        };
        let ended = std::mem::replace(&mut state.phase, Phase::Ended);
        Some(Remains { _held: held, _hold: hold, _ended: ended })
    }

    pub(crate) fn is_joined(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Joined { .. })
    }

    /// Another message is handled. Its number.
    pub(crate) fn begin_turn(&self, reference: Option<Box<str>>) -> u64 {
        let mut state = lock(&self.state);
        state.turn += 1;
        state.reference = reference;
        state.turn
    }

    /// What the answer to a message is to repeat, for whoever answers it.
    pub(crate) fn take_reference(&self, turn: u64) -> Option<Box<str>> {
        let mut state = lock(&self.state);
        if state.turn == turn { state.reference.take() } else { None }
    }

    /// Sends a question, if it is joined.
    pub(crate) fn ask(
        self: &Arc<Self>,
        number: u64,
        question: Message,
        answer: oneshot::Sender<Answer>,
    ) -> bool {
        let mut state = lock(&self.state);
        let Phase::Joined { asks } = &mut state.phase else {
            return false;
        };
        let question = self.connection.frame(question, Class::Answer);
        // It passes by what its handler may have to do with.
        let is_taken = self.connection.queue.push_past(&question, self).is_taken();
        if is_taken {
            asks.push((number, answer));
        }
        is_taken
    }

    /// Who waits for the answer to a question.
    pub(crate) fn take_ask(&self, number: u64) -> Option<oneshot::Sender<Answer>> {
        let mut state = lock(&self.state);
        let Phase::Joined { asks } = &mut state.phase else {
            return None;
        };
        let at = asks.iter().position(|(asked, _)| *asked == number)?;
        Some(asks.swap_remove(at).1)
    }
}

/// What a client is told that has lost what it has not had up to this offset.
pub(crate) fn gap(epoch: &str, offset: u64) -> String {
    format!("{{\"e\":\"{epoch}\",\"o\":{offset}}}")
}

impl Phase {
    /// What the answer to a join that is under way repeats.
    fn reference(&self) -> Option<&str> {
        match self {
            Self::Joining { reference } => reference.as_deref(),
            Self::Joined { .. } | Self::Ended => None,
        }
    }
}

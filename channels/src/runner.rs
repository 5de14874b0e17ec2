//! Who works off what clients want: joins, messages, leaves.

use std::pin::pin;
use std::sync::Arc;

use sansocket::Message;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::channel::{Admitted, AnySession};
use crate::close::Leave;
use crate::connection::Connection;
use crate::cx::Cx;
use crate::fault::{called, caught, caught_within, dropped};
use crate::frame::Class;
use crate::inbox::{Command, Inbox, Seated};
use crate::names::is_servers;
use crate::notes::Note;
use crate::outgoing::Intercepted;
use crate::payload::Payload;
use crate::presences::TrackError;
use crate::refusal::{Refusal, TOO_BIG};
use crate::reserved::{Since, without_reserved};
use crate::running::Run;
use crate::seat::Seat;
use crate::welcome::Welcome;
use crate::wire::text;

/// Works off what a client wants of one topic, until there is no more: one thing at a time, in its order.
pub(crate) async fn work_off(connection: Arc<Connection>, inbox: Arc<Inbox>, run: Run) {
    let mut runner = Runner { seated: inbox.take_seated(), connection, inbox, is_done: false, _run: run };
    loop {
        if runner.inbox.take_held() {
            runner.outgoing().await;
        }
        let Some((command, is_awaited)) = runner.inbox.next() else {
            match runner.connection.retire(&runner.inbox, runner.seated.take()) {
                Ok(()) => break,
                Err(seated) => runner.seated = seated,
            }
            continue;
        };
        if is_awaited {
            runner.connection.queue.wake();
        }
        match command {
            // What it replaces goes first; meanwhile it waits.
            Command::Join { .. } if runner.seated.is_some() => runner.replace(command).await,
            Command::Join { join_ref, reference, params, since } => {
                // Boxed, since most of what is worked off is not a join.
                Box::pin(runner.join(join_ref, reference, params, since)).await;
            }
            Command::Push { join_ref, reference, event, payload } => {
                runner.push(join_ref, reference, &event, payload).await;
            }
            Command::Leave { join_ref, reference } => runner.leave(join_ref, reference).await,
            Command::EndSession { seat, why } if runner.is_seated(&seat) => runner.end([], why).await,
            // Its session had ended before.
            Command::EndSession { .. } => {}
            Command::End { why, permit } => {
                runner.end([], why).await;
                drop(permit);
            }
        }
    }
    runner.is_done = true;
}

struct Runner {
    connection: Arc<Connection>,
    inbox: Arc<Inbox>,
    seated: Option<Seated>,
    /// Nothing is left to be done.
    is_done: bool,
    _run: Run,
}

impl Runner {
    async fn replace(&mut self, join: Command) {
        self.inbox.put_back(join);
        let close = self.seated.as_ref().map(|seated| seated.seat.ending("phx_close", "{}"));
        self.end(close, Leave::Replaced).await;
    }

    async fn join(
        &mut self,
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
        params: Payload,
        since: Instant,
    ) {
        let hub = self.connection.hub.clone();
        let inner = hub.inner();
        let admitted = inner.admit(&self.inbox.topic).and_then(|route| {
            let (params, after) = without_reserved(params).ok_or_else(|| Refusal::new("bad payload"))?;
            Ok((route, params, after))
        });
        let (route, params, after) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let topic = &self.inbox.topic;
                return self.connection.refuse_join(
                    join_ref.as_deref(),
                    reference.as_deref(),
                    topic,
                    &refusal,
                );
            }
        };
        let topic = self.inbox.topic.clone();
        let seat = Arc::new(Seat::new(self.connection.clone(), topic, route.clone(), join_ref, reference));
        self.inbox.set_seat(Some(seat.clone()));
        let cx = Cx::new(seat.clone(), 0);
        let joining = async {
            // The semaphores are never closed.
            let _own = match &self.connection.joins {
                Some(joins) => joins.acquire().await.ok(),
                None => None,
            };
            let _turn = inner.joins.acquire().await;
            caught(route.channel.join(&cx, params)).await
        };
        let outcome = tokio::select! {
            biased;
            () = self.inbox.superseded(&seat) => None,
            outcome = timeout(inner.limits.join.saturating_sub(since.elapsed()), joining) => Some(outcome),
        };
        // Held until the client is a member. Whatever comes meanwhile, there is a session by now, which is to be told of its end.
        let _interest = match (&inner.cluster, &outcome) {
            (Some(cluster), Some(Ok(Ok(Ok(_))))) => {
                let within = inner.limits.join.saturating_sub(since.elapsed());
                let had = after.as_ref().and_then(|after| after.position.as_ref());
                Some(cluster.prepare(inner, &seat.topic, &route, had, within).await)
            }
            _ => None,
        };
        let refusal = match outcome {
            Some(Ok(Ok(Ok(admitted)))) if admitted.response.len() > inner.limits.payload => {
                dropped(admitted.session);
                Some(Refusal::new("too big"))
            }
            Some(Ok(Ok(Ok(admitted)))) if admitted.meta.is_some() && !route.options.presence => {
                dropped(admitted.session);
                Some(TrackError::NoPresence.into())
            }
            Some(Ok(Ok(Ok(admitted)))) => match self.enter(&seat, admitted, after) {
                Ok(()) => return,
                Err(session) => {
                    dropped(session);
                    Some(Refusal::retry("busy"))
                }
            },
            Some(Ok(Ok(Err(refusal)))) => Some(refusal),
            Some(Ok(Err(_))) => Some(Refusal::retry("join crashed")),
            Some(Err(_)) => Some(Refusal::retry("timeout")),
            None => None,
        };
        seat.refuse(refusal.as_ref());
        self.inbox.set_seat(None);
        let topic = &seat.topic;
        self.connection.note(&match &refusal {
            Some(refusal) => Note::Refused { topic, refusal },
            None => Note::Cancelled { topic },
        });
    }

    /// The client is a member from now on, unless something has ended that already: then it is told to the session. Fails if
    /// there would be more topics than there may be.
    fn enter(
        &mut self,
        seat: &Arc<Seat>,
        admitted: Admitted,
        after: Option<Since>,
    ) -> Result<(), Box<dyn AnySession>> {
        let Admitted { session, response, meta } = admitted;
        let welcome = Welcome::new(seat, &response, after);
        let inner = self.connection.hub.inner();
        if !inner.registry.enter(seat, welcome, meta.as_deref()) {
            return Err(session);
        }
        // What follows the reply may be much.
        inner.relieve();
        let topic = &seat.topic;
        let is_joined = seat.is_joined();
        self.connection.note(&if is_joined { Note::Joined { topic } } else { Note::Cancelled { topic } });
        self.seated = Some(Seated { seat: seat.clone(), session });
        if self.connection.queue.on_hold(seat.number) > 0 {
            // Of what it has missed.
            self.connection.hold(seat);
        }
        Ok(())
    }

    async fn push(
        &mut self,
        join_ref: Option<Box<str>>,
        reference: Option<Box<str>>,
        event: &str,
        payload: Payload,
    ) {
        let Some(Seated { seat, session }) = &mut self.seated else {
            if let Some(reference) = reference {
                unmatched(&self.connection, &reference, &self.inbox.topic);
            }
            return;
        };
        if join_ref.is_some() && join_ref != seat.join_ref {
            return;
        }
        let seat = seat.clone();
        if is_servers(event) {
            if let Some(reference) = reference {
                seat.push(seat.reply(&reference, "error", RESERVED), Class::Answer);
            }
            return;
        }
        let turn = seat.begin_turn(reference);
        let cx = Cx::new(seat.clone(), turn);
        let limits = &self.connection.hub.inner().limits;
        let handling = caught_within(limits.handler, session.handle(&cx, event, payload));
        let Some(handled) = meanwhile(&self.connection, &self.inbox, handling).await else {
            return self.crash();
        };
        if let Some(reference) = seat.take_reference(turn) {
            let answer = match &handled {
                Ok(reply) if reply.len() > limits.payload => Some(seat.reply(&reference, "error", TOO_BIG)),
                Ok(reply) => reply.frame(seat.join_ref.as_deref(), &reference, &seat.topic),
                Err(refusal) => Some(seat.reply(&reference, "error", &refusal.response(limits.payload))),
            };
            if let Some(answer) = answer {
                seat.push(answer, Class::Answer);
            }
        }
        if handled.is_ok_and(|reply| reply.stops()) {
            // What the handler has sent goes before the end.
            self.outgoing().await;
            self.end([seat.ending("phx_close", "{}")], Leave::Stopped).await;
        }
    }

    /// Lets the session have its say in what is held at the moment.
    async fn outgoing(&mut self) {
        let Some(Seated { seat, session }) = &mut self.seated else {
            return;
        };
        // Of no message.
        let cx = Cx::new(seat.clone(), 0);
        let queue = &self.connection.queue;
        // Not what comes meanwhile: commands have their turn, too.
        for n in 1..=queue.on_hold(seat.number) {
            let Some((held, intercepted)) = queue.intercepted(seat.number) else {
                break;
            };
            let Intercepted { event, payload } = &*intercepted;
            let Ok(outgoing) = called(|| session.outgoing(&cx, event, payload)) else {
                return self.crash();
            };
            queue.settle(seat, intercepted.frame(seat, held, outgoing));
            if n % AT_ONCE == 0 {
                self.connection.hub.inner().relieve();
                yield_now().await;
            }
        }
        // What is sent instead may be much.
        self.connection.hub.inner().relieve();
        if queue.on_hold(seat.number) > 0 {
            // A session that sends what it has its say in has no end of it.
            yield_now().await;
        }
    }

    async fn leave(&mut self, join_ref: Option<Box<str>>, reference: Option<Box<str>>) {
        let Some(Seated { seat, .. }) = &self.seated else {
            if let Some(reference) = reference {
                done(&self.connection, join_ref.as_deref(), &reference, &self.inbox.topic);
            }
            return;
        };
        if join_ref.is_some() && join_ref != seat.join_ref {
            return;
        }
        let reply = reference.map(|reference| seat.reply(&reference, "ok", "{}"));
        let close = seat.ending("phx_close", "{}");
        self.end(reply.into_iter().chain([close]), Leave::Left).await;
    }

    /// Ends the session, with these frames, and tells it.
    async fn end(&mut self, frames: impl IntoIterator<Item = Message>, why: Leave) {
        let Some(Seated { seat, session }) = self.seated.take() else {
            return;
        };
        let inner = self.connection.hub.inner();
        inner.registry.leave(&seat, frames, Some(why));
        self.inbox.set_seat(None);
        let turn = seat.begin_turn(None);
        let cx = Cx::new(seat, turn);
        let leaving = caught_within(inner.limits.handler, session.leave(&cx, why));
        if meanwhile(&self.connection, &self.inbox, leaving).await.is_none() {
            self.connection.note(&Note::Crashed { topic: &self.inbox.topic });
        }
    }

    fn is_seated(&self, seat: &Arc<Seat>) -> bool {
        self.seated.as_ref().is_some_and(|seated| Arc::ptr_eq(&seated.seat, seat))
    }

    /// The session has panicked, or takes too long.
    fn crash(&mut self) {
        if let Some(Seated { seat, session }) = self.seated.take() {
            self.connection.hub.inner().registry.leave(&seat, [crashed(&seat)], None);
            self.inbox.set_seat(None);
            dropped(session);
            self.connection.note(&Note::Crashed { topic: &self.inbox.topic });
        }
    }
}

impl Drop for Runner {
    /// The runtime has ended before the work.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        if let Some(seat) = self.inbox.seat() {
            self.connection.hub.inner().registry.leave(&seat, [crashed(&seat)], None);
        }
        self.connection.forget(&self.inbox);
        self.connection.queue.wake();
    }
}

/// Waits for something that may take long, and refuses the joins behind it in time: clients do not wait for ever.
async fn meanwhile<T>(connection: &Connection, inbox: &Inbox, working: impl Future<Output = T>) -> T {
    let mut working = pin!(working);
    loop {
        let join = tokio::select! {
            biased;
            outcome = &mut working => return outcome,
            join = inbox.overdue(connection.hub.inner().limits.join) => join,
        };
        if let Command::Join { join_ref, reference, .. } = join {
            let refusal = Refusal::retry("timeout");
            connection.refuse_join(join_ref.as_deref(), reference.as_deref(), &inbox.topic, &refusal);
            // There is room for another.
            connection.queue.wake();
        }
    }
}

/// What a client is told whose session has crashed: it joins anew.
fn crashed(seat: &Seat) -> Message {
    seat.ending("phx_error", "{\"reason\":\"channel_crash\"}")
}

/// What a client is told that has not joined the topic which it pushes to.
pub(crate) fn unmatched(connection: &Connection, reference: &str, topic: &str) {
    let frame = text::reply(None, reference, topic, "error", "{\"reason\":\"unmatched topic\"}");
    connection.answer(frame.into());
}

/// What a client is told whose wish is done, whether there was something to do or not.
pub(crate) fn done(connection: &Connection, join_ref: Option<&str>, reference: &str, topic: &str) {
    connection.answer(text::reply(join_ref, reference, topic, "ok", "{}").into());
}

/// What a client is told that pushes an event that is the protocol's.
const RESERVED: &str = "{\"reason\":\"reserved event\"}";

/// How many messages a session has its say in before others have their turns.
const AT_ONCE: usize = 64;

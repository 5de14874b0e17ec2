//! A connection's task.

use std::collections::VecDeque;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;

use sansocket::Message;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::ask::answer;
use crate::close::{Close, Cut, Leave};
use crate::connection::{Connection, Delivered};
use crate::counters::Batch;
use crate::frame::{Class, Frame};
use crate::inbox::Command;
use crate::link::{Incoming, Link};
use crate::names::PHOENIX;
use crate::opening::Admitted;
use crate::pace::Pace;
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::runner::{done, unmatched};
use crate::slow::watched;
use crate::wire::{Malformed, Received, binary, text};

/// A connection's whole life: reads what the client sends, and hands it to whoever works it off; writes what is queued.
pub(crate) async fn drive<L: Link>(admitted: Admitted, mut link: L) -> Result<(), L::Error> {
    let connection = admitted.connection().clone();
    match Driver::new(&connection).run(&mut link).await {
        Ended::Client(why) => admitted.end(why),
        Ended::Error(error) => {
            admitted.end(Leave::Lost);
            return Err(error);
        }
        // Boxed, as all that a connection which is open need not have room for.
        Ended::Server(cut) => Box::pin(close(&admitted, &mut link, cut)).await,
    }
    Ok(())
}

/// Ends a connection on the server's behalf.
async fn close<L: Link>(admitted: &Admitted, link: &mut L, cut: Box<Cut>) {
    let rest = cut.flush.map(|within| (within, admitted.connection().queue.rest()));
    // Before anything is waited for, so that nobody is a member any more who has to go.
    admitted.cut(&cut);
    if let Some((within, mut rest)) = rest {
        let counters = &admitted.connection().hub.inner().counters;
        let _ = timeout(within, write_all(&mut rest, Batch::new(counters), link)).await;
        counters.dropped_at_end.add(rest.len());
    }
    link.close(&cut.close, cut.grace).await;
}

/// Who ends a connection.
enum Ended<E> {
    Client(Leave),
    /// Nobody: it failed.
    Error(E),
    Server(Box<Cut>),
}

/// What waits for room.
struct Held {
    topic: Box<str>,
    command: Command,
    len: usize,
}

struct Driver<'a> {
    connection: &'a Arc<Connection>,
    /// What there was no room for, and what came behind it, in its order: heartbeats, answers and the end pass it by.
    held: VecDeque<Held>,
    held_bytes: usize,
    pace: Pace,
    /// When the client has to say anew who it is.
    expiry: Option<Pin<Box<Sleep>>>,
}

impl<'a> Driver<'a> {
    fn new(connection: &'a Arc<Connection>) -> Self {
        let expiry = connection.identity.lasts().map(|lasts| Box::pin(sleep(lasts)));
        let pace = Pace::new(&connection.hub.inner().limits);
        Self { connection, held: VecDeque::new(), held_bytes: 0, pace, expiry }
    }

    async fn run<L: Link>(mut self, link: &mut L) -> Ended<L::Error> {
        let connection = self.connection;
        let queue = &connection.queue;
        loop {
            if let Some(cut) = queue.take_cut() {
                return Ended::Server(cut);
            }
            if !queue.is_empty() {
                let written = tokio::select! {
                    biased;
                    written = watched(connection, self.write(link)) => written,
                    () = queue.until_cut() => continue,
                };
                if let Err(error) = written {
                    return Ended::Error(error);
                }
            }
            self.deliver_held();
            connection.hub.inner().relieve();
            let waits_until = self.pace.waits_until();
            tokio::select! {
                biased;
                incoming = link.recv(), if self.looks_ahead() && waits_until.is_none() => match incoming {
                    Ok(Incoming::Message(message)) => self.receive(&message),
                    Ok(Incoming::Closed(why)) => {
                        self.deliver_last(why);
                        return Ended::Client(why);
                    }
                    Err(error) => return Ended::Error(error),
                },
                () = ready(()), if !queue.is_empty() => {}
                () = poll_fn(|cx| queue.poll_woken(cx)) => {}
                () = until(waits_until), if waits_until.is_some() => {}
                Some(()) = over(&mut self.expiry) => {
                    self.expiry = None;
                    queue.cut(Cut::gently(Close::of(4001, "token expired"), Leave::Lost));
                }
            }
        }
    }

    /// Writes some of what is queued, together. Dropped before it returns, the queue knows what the transport has not taken.
    async fn write<L: Link>(&self, link: &mut L) -> Result<(), L::Error> {
        let queue = &self.connection.queue;
        let mut batch = Batch::new(&self.connection.hub.inner().counters);
        while let Some(message) = queue.pop() {
            let len = message.len();
            link.feed(message).await?;
            batch.add(len);
            if batch.frames == BATCH_FRAMES || batch.bytes >= BATCH_BYTES {
                queue.sent();
                break;
            }
        }
        drop(batch);
        link.flush().await
    }

    /// Whether there is room for one more message that finds none.
    fn looks_ahead(&self) -> bool {
        self.held.len() < LOOK_AHEAD_MESSAGES && self.held_bytes < LOOK_AHEAD_BYTES
    }

    fn deliver_held(&mut self) {
        while let Some(Held { topic, command, len }) = self.held.pop_front() {
            self.held_bytes -= len;
            if let Some(command) = self.deliver(&topic, command) {
                self.held_bytes += len;
                self.held.push_front(Held { topic, command, len });
                return;
            }
        }
        // Most of the time nothing waits.
        self.held = VecDeque::new();
    }

    /// What a client says before it goes finds room in any case.
    fn deliver_last(&mut self, why: Leave) {
        if why == Leave::Closed {
            for Held { topic, command, .. } in self.held.drain(..) {
                self.connection.deliver(&topic, command, usize::MAX);
            }
        }
    }

    fn receive(&mut self, message: &Message) {
        let limits = &self.connection.hub.inner().limits;
        let received = match message {
            Message::Text(text) => text::parse(text, limits.nesting),
            Message::Binary(frame) => binary::parse(frame),
        };
        match received {
            Ok(received) => self.handle(received, message.len()),
            Err(malformed) => self.cut(malformed),
        }
        self.pace.spend(message.len());
        let counters = &self.connection.hub.inner().counters;
        counters.frames_in.add(1);
        counters.bytes_in.add(message.len());
        if let Some(until) = self.pace.waits_until() {
            // From now on it is not read.
            counters.throttled.add_time(until - Instant::now());
        }
    }

    fn cut(&self, malformed: Malformed) {
        self.connection.queue.cut(Cut::bad_input(malformed.word()));
    }

    fn handle(&mut self, received: Received, len: usize) {
        let Received { join_ref, reference, topic, event, payload } = received;
        if *topic == *PHOENIX {
            return self.heartbeat(join_ref.as_deref(), reference.as_deref(), &event);
        }
        let command = match &*event {
            "phx_join" => Command::Join { join_ref, reference, params: payload, since: Instant::now() },
            "phx_leave" => Command::Leave { join_ref, reference },
            "$reply" => return self.take_answer(join_ref.as_deref(), reference.as_deref(), &topic, &payload),
            _ => Command::Push { join_ref, reference, event, payload },
        };
        let waits = if self.held.is_empty() { self.deliver(&topic, command) } else { Some(command) };
        if let Some(command) = waits {
            self.held_bytes += len;
            self.held.push_back(Held { topic, command, len });
        }
    }

    /// Answered here and now: it passes by handlers, and by what is queued.
    fn heartbeat(&self, join_ref: Option<&str>, reference: Option<&str>, event: &str) {
        match reference {
            Some(reference) if event == "heartbeat" => {
                let reply = text::reply(join_ref, reference, PHOENIX, "ok", "{}");
                let reply = self.connection.frame(reply.into(), Class::Heartbeat);
                self.connection.queue.push(&reply, None, 0);
            }
            Some(reference) => unmatched(self.connection, reference, PHOENIX),
            None => {}
        }
    }

    /// An answer to a question passes by the handler, which may wait for it.
    fn take_answer(&self, join_ref: Option<&str>, reference: Option<&str>, topic: &str, payload: &Payload) {
        let Some(seat) = self.connection.seat(topic).filter(|seat| seat.is_joined()) else {
            if let Some(reference) = reference {
                unmatched(self.connection, reference, topic);
            }
            return;
        };
        if join_ref.is_some() && join_ref != seat.join_ref.as_deref() {
            return;
        }
        let (status, response) = match answer(payload) {
            Some((number, answer)) => {
                // Nobody may wait for it any more.
                if let Some(asker) = seat.take_ask(number) {
                    let _ = asker.send(answer);
                }
                ("ok", "{}")
            }
            None => ("error", "{\"reason\":\"bad payload\"}"),
        };
        if let Some(reference) = reference {
            seat.push_past(seat.reply(reference, status, response));
        }
    }

    /// `Some`: there is no room for it.
    fn deliver(&self, topic: &str, command: Command) -> Option<Command> {
        match self.connection.deliver(topic, command, self.connection.hub.inner().limits.unhandled) {
            Delivered::Full(command) => return Some(command),
            Delivered::NotJoined(Command::Push { reference: Some(reference), .. }) => {
                unmatched(self.connection, &reference, topic);
            }
            Delivered::NotJoined(Command::Leave { join_ref, reference: Some(reference) }) => {
                done(self.connection, join_ref.as_deref(), &reference, topic);
            }
            Delivered::TooMany(Command::Join { join_ref, reference, .. }) => {
                let refusal = Refusal::new("too many channels joined");
                self.connection.refuse_join(join_ref.as_deref(), reference.as_deref(), topic, &refusal);
            }
            Delivered::Busy(Command::Join { join_ref, reference, .. }) => {
                self.connection.refuse_join(
                    join_ref.as_deref(),
                    reference.as_deref(),
                    topic,
                    &Refusal::retry("busy"),
                );
            }
            Delivered::Yes | Delivered::NotJoined(_) | Delivered::Busy(_) | Delivered::TooMany(_) => {}
        }
        None
    }
}

/// Writes these frames. Dropped before it returns, those are left that the transport has not taken.
async fn write_all<L: Link>(
    frames: &mut VecDeque<Arc<Frame>>,
    mut batch: Batch<'_>,
    link: &mut L,
) -> Result<(), L::Error> {
    while let Some(frame) = frames.front() {
        link.feed(frame.message().clone()).await?;
        batch.add(frame.len());
        if let Some(sent) = frames.pop_front() {
            sent.handed_over();
        }
    }
    link.flush().await
}

/// Waits for that moment, if there is one.
async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        // Few clients wait.
        Box::pin(sleep_until(moment)).await;
    }
}

/// Waits until that is over; `None`: there is nothing that could be.
async fn over(sleep: &mut Option<Pin<Box<Sleep>>>) -> Option<()> {
    sleep.as_mut()?.await;
    Some(())
}

/// How much is written at once: then others have their turn, and the client is heard.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 64 << 10;

/// How much is read behind a message that finds no room: heartbeats, answers and the end of the connection are among it.
const LOOK_AHEAD_MESSAGES: usize = 64;
const LOOK_AHEAD_BYTES: usize = 256 << 10;

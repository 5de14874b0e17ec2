//! A connection's task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use sansocket::Message;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::ask::answer;
use crate::close::{Close, Cut, Leave};
use crate::connection::{Connection, Delivered};
use crate::counters::Batch;
use crate::flush::Flush;
use crate::frame::Class;
use crate::inbox::Command;
use crate::limits::Limits;
use crate::link::{Error, Incoming, Sink, Source as _};
use crate::names::PHOENIX;
use crate::opening::Admitted;
use crate::pace::Pace;
use crate::payload::Payload;
use crate::queue::Fed;
use crate::refusal::Refusal;
use crate::runner::{done, unmatched};
use crate::slow::watched;
use crate::waiter::Woken;
use crate::wire::{Malformed, Received, binary, text};

/// A connection's whole life: reads what the client sends, and hands it to whoever works it off; writes what is queued.
///
/// No `async fn`, whose arguments would have room twice in the task of each connection.
pub(crate) fn drive<S: Sink>(
    admitted: Admitted,
    (sink, source): (S, S::Source),
) -> impl Future<Output = Result<(), Error<S>>> + Send {
    let mut driver = Driver::new(admitted, sink, source);
    async move { driver.run().await }
}

struct Driver<S: Sink> {
    /// Dropped, the connection has ended.
    admitted: Admitted,
    sink: S,
    source: S::Source,
    /// The transport has not taken all that it was given.
    is_behind: bool,
    /// Most of the time nothing waits.
    waiting: Option<Box<Waiting>>,
    pace: Pace,
    /// Until when the client is not read, if it was too fast.
    pause: Option<Pin<Box<Sleep>>>,
    /// When the client has to say anew who it is.
    expiry: Option<Pin<Box<Sleep>>>,
}

/// What there was no room for, and what came behind it, in its order: heartbeats, answers and the end pass it by.
#[derive(Default)]
struct Waiting {
    held: VecDeque<Held>,
    bytes: usize,
}

/// What waits for room.
struct Held {
    topic: Box<str>,
    command: Command,
    len: usize,
}

/// What became of what is queued.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Written {
    All,
    /// As much as is written at once: others are to have their turn.
    Some,
    /// The transport does not take it.
    Behind,
}

impl<S: Sink> Driver<S> {
    fn new(admitted: Admitted, sink: S, source: S::Source) -> Self {
        let expiry = admitted.connection().identity.lasts().map(|lasts| Box::pin(sleep(lasts)));
        let pace = Pace::new();
        Self { admitted, sink, source, is_behind: false, waiting: None, pace, pause: None, expiry }
    }

    fn connection(&self) -> &Arc<Connection> {
        self.admitted.connection()
    }

    fn limits(&self) -> &Limits {
        &self.connection().hub.inner().limits
    }

    async fn run(&mut self) -> Result<(), Error<S>> {
        loop {
            let queue = &self.admitted.connection().queue;
            if let Some(cut) = queue.take_cut() {
                // Boxed, as all that a connection which is open need not have room for.
                Box::pin(self.close(cut)).await;
                return Ok(());
            }
            if self.is_behind || !queue.is_empty() {
                let (connection, sink) = (self.admitted.connection(), &mut self.sink);
                if poll_fn(move |cx| Poll::Ready(try_write(cx, connection, sink))).await? == Written::Behind {
                    self.is_behind = true;
                    // Who does not take what is sent is not read. Boxed, since most do.
                    tokio::select! {
                        biased;
                        () = poll_fn(|cx| poll_over(cx, &mut self.expiry)) => {
                            queue.cut(expired());
                            continue;
                        }
                        written = Box::pin(watched(connection, write(connection, &mut self.sink))) => drop(written?),
                        () = queue.until_cut() => continue,
                    }
                }
                self.is_behind = false;
            }
            self.deliver_held();
            self.connection().hub.inner().relieve();
            self.pause = self.pace.waits_until(self.limits()).map(|moment| Box::pin(sleep_until(moment)));
            let looks_ahead = self.looks_ahead() && self.pause.is_none();
            let (connection, sink) = (self.admitted.connection(), &mut self.sink);
            tokio::select! {
                biased;
                // Before anything that may be ready each time.
                () = poll_fn(|cx| poll_over(cx, &mut self.expiry)) => connection.queue.cut(expired()),
                incoming = self.source.recv(), if looks_ahead => match incoming? {
                    Incoming::Message(message) => self.receive(&message),
                    Incoming::Closed(why) => {
                        self.deliver_last(why);
                        self.admitted.end(why);
                        return Ok(());
                    }
                },
                written = poll_fn(move |cx| poll_write(cx, connection, sink)) => {
                    self.is_behind = written? == Written::Behind;
                }
                () = poll_fn(|cx| poll_over(cx, &mut self.pause)) => {}
            }
        }
    }

    /// Ends the connection on the server's behalf.
    async fn close(&mut self, cut: Box<Cut>) {
        let connection = self.admitted.connection();
        let inner = connection.hub.inner();
        let rest =
            cut.flush.map(|within| (within, inner.flushes.begin(connection.id, connection.queue.rest())));
        // Before anything is waited for, so that nobody is a member any more who has to go.
        self.admitted.cut(&cut);
        if let Some((within, rest)) = rest {
            let _ = timeout(within, write_all(&rest, Batch::new(&inner.counters), &mut self.sink)).await;
            inner.counters.dropped_at_end.add(rest.len());
        }
        self.sink.close(&mut self.source, &cut.close, cut.grace).await;
    }

    /// Whether there is room for one more message that finds none.
    fn looks_ahead(&self) -> bool {
        self.waiting.as_deref().is_none_or(|waiting| {
            waiting.held.len() < LOOK_AHEAD_MESSAGES && waiting.bytes < LOOK_AHEAD_BYTES
        })
    }

    fn deliver_held(&mut self) {
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        while let Some(Held { topic, command, len }) = waiting.held.pop_front() {
            if let Some(command) = self.deliver(&topic, command) {
                waiting.held.push_front(Held { topic, command, len });
                self.waiting = Some(waiting);
                return;
            }
            waiting.bytes -= len;
        }
    }

    /// What a client says before it goes finds room in any case.
    fn deliver_last(&mut self, why: Leave) {
        let waiting = self.waiting.take().filter(|_| why == Leave::Closed);
        for Held { topic, command, .. } in waiting.into_iter().flat_map(|waiting| waiting.held) {
            self.connection().deliver(&topic, command, usize::MAX);
        }
    }

    fn receive(&mut self, message: &Message) {
        let received = match message {
            Message::Text(text) => text::parse(text, self.limits().nesting),
            Message::Binary(frame) => binary::parse(frame),
        };
        match received {
            Ok(received) => self.handle(received, message.len()),
            Err(malformed) => self.cut(malformed),
        }
        let inner = self.admitted.connection().hub.inner();
        self.pace.spend(message.len(), &inner.limits);
        inner.counters.frames_in.add(1);
        inner.counters.bytes_in.add(message.len());
        if let Some(until) = self.pace.waits_until(&inner.limits) {
            // From now on it is not read.
            inner.counters.throttled.add_time(until - Instant::now());
        }
    }

    fn cut(&self, malformed: Malformed) {
        self.connection().queue.cut(Cut::bad_input(malformed.word()));
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
        let waits = if self.waiting.is_none() { self.deliver(&topic, command) } else { Some(command) };
        if let Some(command) = waits {
            let waiting = self.waiting.get_or_insert_default();
            waiting.bytes += len;
            waiting.held.push_back(Held { topic, command, len });
        }
    }

    /// Answered here and now: it passes by handlers, and by what is queued.
    fn heartbeat(&self, join_ref: Option<&str>, reference: Option<&str>, event: &str) {
        match reference {
            Some(reference) if event == "heartbeat" => {
                let reply = text::reply(join_ref, reference, PHOENIX, "ok", "{}");
                let reply = self.connection().frame(reply.into(), Class::Heartbeat);
                self.connection().queue.push(&reply, None, 0);
            }
            Some(reference) => unmatched(self.connection(), reference, PHOENIX),
            None => {}
        }
    }

    /// An answer to a question passes by the handler, which may wait for it.
    fn take_answer(&self, join_ref: Option<&str>, reference: Option<&str>, topic: &str, payload: &Payload) {
        let Some(seat) = self.connection().seat(topic).filter(|seat| seat.is_joined()) else {
            if let Some(reference) = reference {
                unmatched(self.connection(), reference, topic);
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
        match self.connection().deliver(topic, command, self.limits().unhandled) {
            Delivered::Full(command) => return Some(command),
            Delivered::NotJoined(Command::Push { reference: Some(reference), .. }) => {
                unmatched(self.connection(), &reference, topic);
            }
            Delivered::NotJoined(Command::Leave { join_ref, reference: Some(reference) }) => {
                done(self.connection(), join_ref.as_deref(), &reference, topic);
            }
            Delivered::TooMany(Command::Join { join_ref, reference, .. }) => {
                let refusal = Refusal::new("too many channels joined");
                self.connection().refuse_join(join_ref.as_deref(), reference.as_deref(), topic, &refusal);
            }
            Delivered::Busy(Command::Join { join_ref, reference, .. }) => {
                self.connection().refuse_join(
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

/// Writes what is queued, whenever there is something, as long as the transport takes it at once: what comes is waited for
/// meanwhile. Ready when there is something else to do.
fn poll_write<S: Sink>(
    cx: &mut Context<'_>,
    connection: &Connection,
    sink: &mut S,
) -> Poll<Result<Written, Error<S>>> {
    while ready!(connection.queue.poll_woken(cx)) == Woken::ToWrite {
        let written = try_write(cx, connection, sink)?;
        if written != Written::All {
            return Poll::Ready(Ok(written));
        }
    }
    Poll::Ready(Ok(Written::All))
}

/// Writes some of what is queued, if the transport takes it at once. Else whoever waits for it begins again where this ended.
fn try_write<S: Sink>(
    cx: &mut Context<'_>,
    connection: &Connection,
    sink: &mut S,
) -> Result<Written, Error<S>> {
    match pin!(write(connection, sink)).poll(cx) {
        Poll::Ready(written) => written,
        Poll::Pending => Ok(Written::Behind),
    }
}

/// Writes some of what is queued, together. Dropped before it returns, the queue knows what the transport has not taken.
async fn write<S: Sink>(connection: &Connection, sink: &mut S) -> Result<Written, Error<S>> {
    let queue = &connection.queue;
    let mut batch = Batch::new(&connection.hub.inner().counters);
    while !is_enough(&batch) {
        let fed = queue.feed(|message| {
            let is_taken = !is_enough(&batch) && sink.try_feed(message)?;
            if is_taken {
                batch.add(message.payload().len());
            }
            Ok(is_taken)
        })?;
        match fed {
            Fed::All => {
                drop(batch);
                sink.flush().await?;
                return Ok(Written::All);
            }
            Fed::NotNext if !is_enough(&batch) => {
                let Some(message) = queue.next() else {
                    continue;
                };
                // Boxed, since most of the time there is room.
                Box::pin(sink.feed(&message)).await?;
                batch.add(message.payload().len());
                queue.sent();
            }
            Fed::Some | Fed::NotNext => {}
        }
    }
    drop(batch);
    sink.flush().await?;
    Ok(Written::Some)
}

/// Writes these frames. Dropped before it returns, those are left that the transport has not taken.
async fn write_all<S: Sink>(rest: &Flush<'_>, mut batch: Batch<'_>, sink: &mut S) -> Result<(), Error<S>> {
    while let Some(message) = rest.next() {
        sink.feed(&message).await?;
        batch.add(message.payload().len());
        rest.sent();
    }
    sink.flush().await
}

/// Whether as much is written as is at once.
fn is_enough(batch: &Batch<'_>) -> bool {
    batch.frames >= BATCH_FRAMES || batch.bytes >= BATCH_BYTES
}

/// Ready, once, when that is over; never, if there is nothing that could be.
fn poll_over(cx: &mut Context<'_>, sleep: &mut Option<Pin<Box<Sleep>>>) -> Poll<()> {
    match sleep {
        Some(sleeping) => ready!(sleeping.as_mut().poll(cx)),
        None => return Poll::Pending,
    }
    *sleep = None;
    Poll::Ready(())
}

/// The client has to say anew who it is.
fn expired() -> Cut {
    Cut::gently(Close::of(4001, "token expired"), Leave::Lost)
}

/// How much is written at once: then others have their turn, and the client is heard.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 64 << 10;

/// How much is read behind a message that finds no room: heartbeats, answers and the end of the connection are among it.
const LOOK_AHEAD_MESSAGES: usize = 64;
const LOOK_AHEAD_BYTES: usize = 256 << 10;

//! What the requests of one client meet at.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sansocket::PreparedMessage;
use sansocket::handshake::HttpRequest;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::link::Lost;
use crate::link::Incoming;
use crate::sync::{Mutex, lock};

/// What the requests of one client meet at: polls take out what the connection's task has put in, and the bodies of others bring
/// what it takes.
pub(super) struct Mailbox {
    /// Who has it is the client.
    token: Box<str>,
    /// The first that was said: of pages that are its own, browsers do not say it with the request that opens a connection.
    origin: OnceLock<Box<str>>,
    state: Mutex<State>,
    /// Told when a poll may be answered.
    filled: Notify,
    /// Told when the connection's task has something to look at.
    emptied: Notify,
    incoming: mpsc::Sender<Incoming>,
    /// Of the request whose body is read.
    turns: Arc<Semaphore>,
}

struct State {
    phase: Phase,
    /// For the next poll.
    messages: Vec<PreparedMessage>,
    /// In all of `messages`.
    bytes: usize,
    /// An answer with messages is being written: until it has arrived, no other poll has more.
    is_writing: bool,
    /// The newest poll: earlier ones are over.
    poll: u64,
    /// When the last poll ended. None: the newest waits.
    seen: Option<Instant>,
    /// How long there may be no poll.
    absence: Duration,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Phase {
    /// There is to be more, before a poll is answered.
    Filling,
    /// Polls may have what there is, which is something.
    Ready,
    /// Nothing more is put in. Polls may have what there is, and then are told.
    Closed,
    /// A poll was.
    Told,
    /// The client, or the hub, lacks something: nothing behind it may follow.
    Lost,
}

/// What a poll is answered.
pub(super) enum Polled {
    /// What is taken, until it has [arrived](Mailbox::arrived), or is [lost](Mailbox::lose).
    Messages(Vec<PreparedMessage>),
    /// For now.
    Nothing,
    /// Nothing any more, or another poll was begun.
    Over,
}

impl Mailbox {
    pub(super) fn new(token: Box<str>, origin: Option<Box<str>>, incoming: mpsc::Sender<Incoming>) -> Self {
        let state = State {
            phase: Phase::Filling,
            messages: Vec::new(),
            bytes: 0,
            is_writing: false,
            poll: 0,
            seen: Some(Instant::now()),
            absence: UNUSED,
        };
        Self {
            token,
            origin: origin.map(OnceLock::from).unwrap_or_default(),
            state: Mutex::new(state),
            filled: Notify::new(),
            emptied: Notify::new(),
            incoming,
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether a request that has the token, and whose origin may connect, may come from the same page as those before.
    pub(super) fn is_of(&self, request: &HttpRequest) -> bool {
        request.origin().is_none_or(|origin| **self.origin.get_or_init(|| origin.into()) == *origin)
    }

    /// Waits so long until there is something. It ends the poll that waits, if one does. Cancel safe.
    pub(super) async fn poll(&self, wait: Duration) -> Polled {
        let mut turn = Turn::begin(self);
        let waiting = async {
            loop {
                // Hears of what happens from here on.
                let filled = self.filled.notified();
                if let Some(polled) = turn.take() {
                    return polled;
                }
                filled.await;
            }
        };
        let polled = timeout(wait, waiting).await.unwrap_or(Polled::Nothing);
        turn.absence = absence(wait);
        polled
    }

    /// Hands over what a client has sent, when the connection's task takes it. False: it takes nothing more.
    pub(super) async fn take_in(&self, incoming: Incoming) -> bool {
        self.incoming.send(incoming).await.is_ok()
    }

    /// Of whoever brings messages, one after the other.
    pub(super) fn turns(&self) -> Arc<Semaphore> {
        self.turns.clone()
    }

    /// An answer with messages has reached the client, as far as is known.
    pub(super) fn arrived(&self) {
        lock(&self.state).is_writing = false;
        self.filled.notify_waiters();
    }

    /// The client, or the hub, lacks something.
    pub(super) fn lose(&self) {
        let mut state = lock(&self.state);
        state.phase = Phase::Lost;
        state.is_writing = false;
        let dropped = std::mem::take(&mut state.messages);
        drop(state);
        drop(dropped);
        self.filled.notify_waiters();
        self.emptied.notify_one();
    }

    /// Takes the message, if there is room.
    pub(super) fn put(&self, message: &PreparedMessage) -> Result<bool, Lost> {
        let mut state = lock(&self.state);
        if state.phase == Phase::Lost {
            return Err(Lost);
        }
        let has_room = state.bytes < ROOM;
        if has_room {
            state.bytes += message.payload().len().max(1);
            state.messages.push(message.clone());
        }
        Ok(has_room)
    }

    /// Polls may have what there is.
    pub(super) fn hand_out(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Filling && !state.messages.is_empty() {
            state.phase = Phase::Ready;
            drop(state);
            self.filled.notify_waiters();
        }
    }

    /// Nothing more is put in: when what there is was taken, polls are told.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Filling | Phase::Ready) {
            state.phase = Phase::Closed;
            drop(state);
            self.filled.notify_waiters();
        }
    }

    /// Whether a poll was told, or nobody is there to be.
    pub(super) fn is_told(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Told | Phase::Lost)
    }

    /// Waits until there is something for the connection's task to look at, and no longer than nobody may poll. Fails if the client
    /// is lost. Cancel safe.
    pub(super) async fn looked_at(&self) -> Result<(), Lost> {
        let rest = {
            let state = lock(&self.state);
            let absent = state.seen.map_or(Duration::ZERO, |seen| seen.elapsed());
            let rest = state.absence.saturating_sub(absent);
            if state.phase == Phase::Lost || rest.is_zero() {
                return Err(Lost);
            }
            rest
        };
        let _ = timeout(rest, self.emptied.notified()).await;
        Ok(())
    }
}

/// A poll that goes on.
struct Turn<'a> {
    mailbox: &'a Mailbox,
    number: u64,
    /// How long there may be no other behind it.
    absence: Duration,
}

impl<'a> Turn<'a> {
    fn begin(mailbox: &'a Mailbox) -> Self {
        let mut state = lock(&mailbox.state);
        state.poll += 1;
        state.seen = None;
        let number = state.poll;
        drop(state);
        // The one before.
        mailbox.filled.notify_waiters();
        Self { mailbox, number, absence: ABANDONED }
    }

    /// What there is to answer.
    fn take(&self) -> Option<Polled> {
        let mut state = lock(&self.mailbox.state);
        if state.poll != self.number {
            return Some(Polled::Over);
        }
        if state.phase == Phase::Filling || state.is_writing {
            return None;
        }
        let polled = if state.messages.is_empty() {
            Polled::Over
        } else {
            state.bytes = 0;
            state.is_writing = true;
            Polled::Messages(std::mem::take(&mut state.messages))
        };
        state.phase = match (state.phase, &polled) {
            (Phase::Ready, _) => Phase::Filling,
            (Phase::Closed, Polled::Over) => Phase::Told,
            (other, _) => other,
        };
        Some(polled)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.mailbox.state);
        if state.poll == self.number {
            state.seen = Some(Instant::now());
            state.absence = self.absence;
        }
        drop(state);
        self.mailbox.emptied.notify_one();
    }
}

/// How long a client may be away whose polls wait so long.
fn absence(wait: Duration) -> Duration {
    wait.saturating_add(wait / 2)
}

/// How many bytes there are of messages, before there may be no other: as many as are written at once to a WebSocket.
const ROOM: usize = 64 << 10;

/// How long a client may be away that has not begun to poll. Phoenix's begins at once; whom it costs nothing is not to fill the table.
const UNUSED: Duration = Duration::from_secs(5);

/// The same, of a client that has left its poll. Phoenix's does so when its page goes, and does not come back to the connection.
const ABANDONED: Duration = Duration::from_secs(2);

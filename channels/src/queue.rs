//! What waits to be sent on a connection.

use std::collections::VecDeque;
use std::sync::Mutex;

use sansocket::Message;
use tokio::sync::Notify;

use crate::close::Cut;
use crate::limits::Room;
use crate::sync::lock;

/// What waits to be sent on a connection: filled from anywhere, without waiting, and emptied by the connection's task.
///
/// ```text
/// broadcast --+
/// push -------+--> frames --> feed, feed, ..., flush
/// reply ------+       ^ one too many: all are dropped, and the connection is cut
/// ```
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when there is a frame where there was none, when the connection is cut, and when there is something else to do.
    wake: Notify,
    room: Room,
    /// In addition to `room`.
    reserve: Room,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Message>,
    /// In all of `frames`.
    bytes: usize,
    /// Nothing is queued any more. The first reason counts.
    end: Option<End>,
}

enum End {
    /// The task has not heard of it.
    Cut(Cut),
    Over,
}

/// What a frame is to those who lack room for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// An application's: it is sent, or the connection is closed.
    Reliable,
    /// It answers the client, or tells it how a session ended: there is a reserve for those.
    Answer,
    /// It answers a heartbeat, and goes before all that waits: a client that does not get it in time gives the connection up.
    Heartbeat,
}

impl Queue {
    pub(crate) fn new(room: Room, reserve: Room) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), room, reserve }
    }

    /// Adds a frame. False: the connection has ended, or does so now, since there is no room. What waits is dropped by the
    /// connection's task then: this may be called with a topic locked.
    pub(crate) fn push(&self, message: Message, class: Class) -> bool {
        let reserve = match class {
            Class::Reliable => Room { bytes: 0, frames: 0 },
            Class::Answer | Class::Heartbeat => self.reserve,
        };
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return false;
        }
        let bytes = state.bytes.saturating_add(message.len());
        if bytes > self.room.bytes.saturating_add(reserve.bytes)
            || state.frames.len() >= self.room.frames.saturating_add(reserve.frames)
        {
            state.end = Some(End::Cut(Cut::slow()));
            drop(state);
            self.wake.notify_one();
            return false;
        }
        state.bytes = bytes;
        if class == Class::Heartbeat {
            state.frames.push_front(message);
        } else {
            state.frames.push_back(message);
        }
        let was_empty = state.frames.len() == 1;
        drop(state);
        if was_empty {
            self.wake.notify_one();
        }
        true
    }

    /// The next frame to send.
    pub(crate) fn pop(&self) -> Option<Message> {
        let mut state = lock(&self.state);
        let message = state.frames.pop_front()?;
        state.bytes -= message.len();
        if state.frames.is_empty() && state.frames.capacity() > KEPT {
            state.frames = VecDeque::new();
        }
        Some(message)
    }

    /// Ends the connection. Nothing more is queued; the first who ends it has his way.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        state.end = Some(End::Cut(cut));
        drop(state);
        self.wake.notify_one();
    }

    /// Has nothing queued any more, since the connection has ended by itself.
    pub(crate) fn finish(&self) {
        let mut state = lock(&self.state);
        state.end = Some(End::Over);
        state.bytes = 0;
        let dropped = std::mem::take(&mut state.frames);
        drop(state);
        drop(dropped);
    }

    /// How the connection is to be ended, if it is; told once.
    pub(crate) fn take_cut(&self) -> Option<Cut> {
        let mut state = lock(&self.state);
        match state.end.take() {
            Some(End::Cut(cut)) => {
                state.end = Some(End::Over);
                Some(cut)
            }
            other => {
                state.end = other;
                None
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).frames.is_empty()
    }

    /// Whether the connection is to be ended.
    pub(crate) fn is_cut(&self) -> bool {
        lock(&self.state).end.is_some()
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.state).bytes
    }

    /// Has the connection's task look at what there is to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for something to do. Cancel safe; it may be ready for nothing.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Waits until the connection is to be ended. Cancel safe.
    pub(crate) async fn until_cut(&self) {
        while !self.is_cut() {
            self.woken().await;
        }
        // Whoever else waits for something to do is to look too.
        self.wake.notify_one();
    }
}

/// How many frames' room a queue that is empty keeps: a burst of as many costs no allocation.
const KEPT: usize = 64;

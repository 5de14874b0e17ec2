//! How much of everything there may be.

use std::time::Duration;

use crate::history::Extent;

/// How much of everything a hub takes, and how long it waits. Each has a finite default.
///
/// | limit | default | beyond it |
/// | --- | --- | --- |
/// | [`connections_per_user`](Self::connections_per_user) | 100 | 503 |
/// | [`handshakes`](Self::handshakes) at once of a service | 1,000 | 503 |
/// | [`authenticate`](Self::authenticate) | 5 s | 503 |
/// | [`join`](Self::join) | 8 s | the join is refused with `timeout`, to be tried again |
/// | [`handler`](Self::handler) | 30 s | the session has crashed |
/// | [`ask`](Self::ask) | 60 s | [`AskError::TimedOut`](crate::AskError) |
/// | [`asks`](Self::asks) of a connection | 64 | [`AskError::TooMany`](crate::AskError) |
/// | [`joins_at_once`](Self::joins_at_once) of a hub | 1,000 | wait |
/// | [`joins_per_connection`](Self::joins_per_connection) at once | 100 | wait |
/// | [`topics_per_connection`](Self::topics_per_connection) | 100 | the join is refused with `too many channels joined` |
/// | [`topics`](Self::topics) of a hub | 1,000,000 | the join is refused with `busy`, to be tried again |
/// | [`frame`](Self::frame) that a client sends | 64 KiB | Close 1009 |
/// | [`nesting`](Self::nesting) of a payload that a client sends | 64 | Close 1008 |
/// | [`messages`](Self::messages) that a client sends | 50/s, 300 at once | not read for a while |
/// | [`bytes`](Self::bytes) that a client sends | 1 MiB/s | not read for a while |
/// | [`unhandled`](Self::unhandled) of a topic and connection | 16 | 64 more, of whichever topic, then not read |
/// | [`payload`](Self::payload) that is sent | 256 KiB | [`PublishError::TooBig`](crate::PublishError) |
/// | [`queue`](Self::queue) of a connection | 1 MiB, 1,024 frames | Close 4008, or what [`OnFull`](crate::OnFull) says |
/// | [`reserve`](Self::reserve) for answers | 64 KiB, 64 frames | Close 4008 |
/// | [`volatile`](Self::volatile): what may wait before a volatile message | 64 KiB | it is dropped |
/// | [`memory`](Self::memory) of all frames that wait | 256 MiB | Close 1013, of who waits longest |
/// | [`write`](Self::write), while the client takes no byte | 10 s | the connection is lost |
/// | [`presence`](Self::presence) of a topic | 10,000 entries of 1 KiB | not tracked, and counted |
/// | [`history`](Self::history) of a topic | 1,000 messages, 1 MiB, 1 hour | the oldest messages are forgotten |
/// | [`histories`](Self::histories) of a hub | 256 MiB | those of the topics are forgotten that are not used the longest |
/// | [`polls`](Self::polls), the connections of a hub whose clients poll | 10,000 | 503 |
/// | [`poll`](Self::poll) that waits | 10 s | the answer that there is nothing |
/// | [`post`](Self::post) of a client that polls | 1 MiB | 413, and the connection is lost |
/// | [`posts`](Self::posts) of all that poll, at once | 256 MiB | 503 |
///
/// Names are of the wire: a topic has at most 255 bytes, an event 64, a ref 32; Close 1008 beyond. The key of a keyed message has at
/// most 64 bytes. How many connections there
/// are, and how long they may be silent, is for [`Server`](sansocket::Server) and [`Config`](sansocket::Config) to say.
///
/// ```
/// use sansocket_channels::{Hub, Limits, Open};
///
/// let hub = Hub::builder().channel("news", Open).limits(Limits::default().topics_per_connection(10)).build()?;
/// # Ok::<(), sansocket_channels::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) connections_per_user: usize,
    pub(crate) handshakes: usize,
    pub(crate) authenticate: Duration,
    pub(crate) join: Duration,
    pub(crate) handler: Duration,
    pub(crate) ask: Duration,
    pub(crate) asks: usize,
    pub(crate) joins_at_once: usize,
    pub(crate) joins_per_connection: usize,
    pub(crate) topics_per_connection: usize,
    pub(crate) topics: usize,
    pub(crate) frame: usize,
    pub(crate) nesting: usize,
    pub(crate) messages_per_second: u32,
    pub(crate) messages_at_once: u32,
    pub(crate) bytes_per_second: u32,
    pub(crate) unhandled: usize,
    pub(crate) payload: usize,
    pub(crate) queue: Room,
    pub(crate) reserve: Room,
    pub(crate) volatile: usize,
    pub(crate) memory: usize,
    pub(crate) write: Duration,
    pub(crate) presence_entries: usize,
    pub(crate) presence_meta: usize,
    pub(crate) history: Extent,
    pub(crate) histories: usize,
    pub(crate) polls: usize,
    pub(crate) poll: Duration,
    pub(crate) post: usize,
    pub(crate) posts: usize,
}

/// Room in a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
}

impl Room {
    pub(crate) fn with(self, more: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(more.bytes), frames: self.frames.saturating_add(more.frames) }
    }

    pub(crate) fn without(self, taken: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(taken.bytes),
            frames: self.frames.saturating_sub(taken.frames),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_user: 100,
            handshakes: 1_000,
            authenticate: Duration::from_secs(5),
            // Pages wait ten seconds: the answer is to come before they try again.
            join: Duration::from_secs(8),
            handler: Duration::from_secs(30),
            ask: Duration::from_secs(60),
            asks: 64,
            joins_at_once: 1_000,
            joins_per_connection: 100,
            topics_per_connection: 100,
            topics: 1_000_000,
            frame: 64 << 10,
            nesting: 64,
            messages_per_second: 50,
            // A page that comes back joins all its topics, and pushes what has waited.
            messages_at_once: 300,
            bytes_per_second: 1 << 20,
            unhandled: 16,
            payload: 256 << 10,
            queue: Room { bytes: 1 << 20, frames: 1_024 },
            reserve: Room { bytes: 64 << 10, frames: 64 },
            volatile: 64 << 10,
            memory: 256 << 20,
            write: Duration::from_secs(10),
            presence_entries: 10_000,
            presence_meta: 1 << 10,
            history: Extent { entries: 1_000, bytes: 1 << 20, time: Duration::from_secs(60 * 60) },
            histories: 256 << 20,
            polls: 10_000,
            // Phoenix's own, of which clients wait twice as long.
            poll: Duration::from_secs(10),
            post: 1 << 20,
            posts: 256 << 20,
        }
    }
}

impl Limits {
    /// How many connections a user may have at once.
    pub fn connections_per_user(self, connections: usize) -> Self {
        Self { connections_per_user: connections, ..self }
    }

    /// How many handshakes may wait for `authenticate` at once, inside HTTP servers that speak in the types of the `http` crate;
    /// elsewhere that is [`Server::max_handshakes`](sansocket::Server::max_handshakes).
    pub fn handshakes(self, handshakes: usize) -> Self {
        Self { handshakes, ..self }
    }

    /// How long `authenticate` may take.
    pub fn authenticate(self, time: Duration) -> Self {
        Self { authenticate: time, ..self }
    }

    /// How long a join may take, waiting for its turn included, and for what the client has said on the topic before.
    pub fn join(self, time: Duration) -> Self {
        Self { join: time, ..self }
    }

    /// How long a handler may take for one message, or for the end of its session.
    pub fn handler(self, time: Duration) -> Self {
        Self { handler: time, ..self }
    }

    /// How long an answer may be waited for, whatever the question says.
    pub fn ask(self, time: Duration) -> Self {
        Self { ask: time, ..self }
    }

    /// How many questions to one connection may wait for their answers.
    pub fn asks(self, asks: usize) -> Self {
        Self { asks, ..self }
    }

    /// How many joins may be under way in the hub.
    pub fn joins_at_once(self, joins: usize) -> Self {
        Self { joins_at_once: joins, ..self }
    }

    /// How many joins of one connection may be under way.
    pub fn joins_per_connection(self, joins: usize) -> Self {
        Self { joins_per_connection: joins, ..self }
    }

    /// How many topics a connection may have joined.
    pub fn topics_per_connection(self, topics: usize) -> Self {
        Self { topics_per_connection: topics, ..self }
    }

    /// How many topics may have members, or live on with what they [keep](crate::TopicOptions::history): of those without members,
    /// the one makes room that was left first, unless somebody [lingers](crate::TopicOptions::presence) there.
    pub fn topics(self, topics: usize) -> Self {
        Self { topics, ..self }
    }

    /// How many bytes a client's message may have, whatever the server's
    /// [configuration](sansocket::Config::max_message_size) says.
    pub fn frame(self, bytes: usize) -> Self {
        Self { frame: bytes, ..self }
    }

    /// How deep the arrays and objects of a client's payload may be nested.
    pub fn nesting(self, nesting: usize) -> Self {
        Self { nesting, ..self }
    }

    /// How many messages a client may send each second in the long run, and at once.
    pub fn messages(self, per_second: u32, at_once: u32) -> Self {
        Self { messages_per_second: per_second, messages_at_once: at_once, ..self }
    }

    /// How many bytes a client may send each second.
    pub fn bytes(self, per_second: u32) -> Self {
        Self { bytes_per_second: per_second, ..self }
    }

    /// How many messages of one connection and topic may wait for their handler. Behind one that finds no room, 64 more are read,
    /// or 256 KiB, for the heartbeats and answers among them; all else waits, in its order.
    pub fn unhandled(self, messages: usize) -> Self {
        Self { unhandled: messages, ..self }
    }

    /// How many bytes the payload may have of what is sent.
    pub fn payload(self, bytes: usize) -> Self {
        Self { payload: bytes, ..self }
    }

    /// How many bytes, and how many frames, may wait to be sent on one connection.
    pub fn queue(self, bytes: usize, frames: usize) -> Self {
        Self { queue: Room { bytes, frames }, ..self }
    }

    /// How much more may wait of what answers the client: replies, questions, and that a session has ended.
    pub fn reserve(self, bytes: usize, frames: usize) -> Self {
        Self { reserve: Room { bytes, frames }, ..self }
    }

    /// How many bytes may wait on a connection for which a [volatile](crate::Publish::volatile) message is queued: with as many, or
    /// more, it is dropped.
    pub fn volatile(self, bytes: usize) -> Self {
        Self { volatile: bytes, ..self }
    }

    /// How many bytes the frames may take that wait in the hub, each of them counted once for all connections that it waits for, and
    /// with what is kept of it beside its bytes. Beyond it, what connections are still sent that are being closed is dropped, and
    /// others are closed with 1013, until a fifth of it is free: first the one whose oldest frame has waited longest.
    ///
    /// What a connection's WebSocket has taken, and not yet written, is not among it: it has a limit of its own.
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// How long a client may take no byte of what is sent to it, whatever the server's
    /// [configuration](sansocket::Config::write_timeout) says.
    pub fn write(self, time: Duration) -> Self {
        Self { write: time, ..self }
    }

    /// How many sessions of a topic may be tracked in its [presence](crate::TopicOptions::presence), and how many bytes of JSON
    /// may be told of each. All of them together may take half of a [queue](Self::queue), since who joins is sent them: where
    /// that is less, it counts. What is beyond is not tracked, or stays as it was, and is
    /// [counted](crate::Presences::untracked).
    pub fn presence(self, entries: usize, bytes: usize) -> Self {
        Self { presence_entries: entries, presence_meta: bytes, ..self }
    }

    /// How many messages a topic may keep, how many bytes, what is around them included, and how long:
    /// [`TopicOptions::history`](crate::TopicOptions::history) may ask for no more messages and no more time.
    pub fn history(self, messages: usize, bytes: usize, time: Duration) -> Self {
        Self { history: Extent { entries: messages, bytes, time }, ..self }
    }

    /// How many bytes all topics together may keep. Beyond it, topics without members end that still live on with what they keep,
    /// unless that is nothing, and, if there are none, the others forget it: those first that are not used the longest.
    pub fn histories(self, bytes: usize) -> Self {
        Self { histories: bytes, ..self }
    }

    /// How many connections there may be whose clients [poll](crate::guide::long_polling). Each poll that waits is a connection to
    /// [`Server`](sansocket::Server) besides.
    pub fn polls(self, connections: usize) -> Self {
        Self { polls: connections, ..self }
    }

    /// How long a poll waits for something to be answered. A client that does not poll for half as long again is lost, and one
    /// that never has after five seconds; stock clients wait for twenty.
    pub fn poll(self, wait: Duration) -> Self {
        Self { poll: wait, ..self }
    }

    /// How many bytes a client that polls may send in one request, which brings all messages that it has by then: in any case as
    /// many as one that is as large as a [`frame`](Self::frame) may be.
    pub fn post(self, bytes: usize) -> Self {
        Self { post: bytes, ..self }
    }

    /// How many bytes the requests may have by which all clients that poll send at once: those of one are held until its messages
    /// were taken, for ten seconds at most. What has come counts, not what is said to come. [`Hub::serve`](crate::Hub::serve) and
    /// [`Hub::handle`](crate::Hub::handle) count a request when it was read: of those that are being read there are no more than
    /// [`Server::max_handshakes`](sansocket::Server::max_handshakes).
    pub fn posts(self, bytes: usize) -> Self {
        Self { posts: bytes, ..self }
    }

    /// What cannot be, if there is something.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let counts = [
            (self.joins_at_once, "no join may be under way"),
            (self.joins_per_connection, "no join may be under way"),
            (self.topics_per_connection, "no topic may be joined"),
            (self.topics, "no topic may have members"),
            (self.unhandled, "no message may wait for its handler"),
            (self.queue.frames, "no frame may wait to be sent"),
            (self.volatile, "no volatile message may be sent"),
            (self.messages_per_second as usize, "no message may be sent by a client"),
            (self.messages_at_once as usize, "no message may be sent by a client"),
            (self.bytes_per_second as usize, "no byte may be sent by a client"),
            (self.connections_per_user, "no connection may be of a user"),
            (self.handshakes, "no handshake may be under way"),
            (self.polls, "no client may poll"),
            (self.posts, "no client that polls may send"),
            (usize::from(!self.poll.is_zero()), "no poll may wait"),
        ];
        let none = counts.into_iter().find(|(count, _)| *count == 0).map(|(_, fault)| fault);
        let is_too_big = self.payload.saturating_add(NAMES) > self.queue.bytes.min(self.memory);
        none.or(is_too_big
            .then_some("a payload may be, with its names, larger than the queue, or than all memory"))
    }
}

/// More than what is around a payload in a frame: a topic, an event and two refs, with escapes for each character that may be.
const NAMES: usize = 2 << 10;

//! The pair: two endpoints, and the pipes between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sansocket::{Closed, Config, Connection, Event, Message, Role, TimedOut};

use crate::common::{self, Noise, Seen};

/// A connection, with the buffers that an adapter would give it.
pub struct Endpoint {
    pub connection: Connection<Instant>,
    pub input: Vec<u8>,
    pub out: Vec<u8>,
    pub events: Vec<Seen>,
    /// Set once the connection is over, and how it ended.
    pub closed: Option<Closed>,
    /// What it gave up for.
    pub timed_out: Option<TimedOut>,
    /// Whether it sends each message back.
    pub echoes: bool,
    /// Its output is stuck: the transport takes nothing from it.
    pub blocked: bool,
}

impl Endpoint {
    fn new(role: Role, config: &Config, now: Instant) -> Self {
        Self {
            connection: common::connection(role, config, now),
            input: Vec::new(),
            out: Vec::new(),
            events: Vec::new(),
            closed: None,
            timed_out: None,
            echoes: false,
            blocked: false,
        }
    }

    pub fn send(&mut self, message: &Message) {
        let sender = self.connection.sender();
        match message {
            Message::Text(text) => sender.text(text, &mut self.out).unwrap(),
            Message::Binary(payload) => sender.binary(payload, &mut self.out).unwrap(),
        }
    }

    /// Whether this end has closed the transport, or seen it end.
    pub fn is_done(&self) -> bool {
        self.closed.is_some()
    }

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.input.extend_from_slice(bytes);
        while let Ok(Some(received)) = self.connection.receive(&mut self.input, now, &mut self.out) {
            if let Some(event) = received.event(&self.input) {
                if let (true, Event::Data(part)) = (self.echoes, event) {
                    let sender = self.connection.sender();
                    sender.fragment(part.kind, part.payload, part.last, &mut self.out).unwrap();
                }
                self.events.push(event.into());
            }
            self.input.drain(..received.consumed());
        }
    }

    fn end(&mut self) {
        let closed = self.connection.receive_eof();
        self.closed.get_or_insert(closed);
    }
}

/// One direction of the transport: pieces that arrive at their moment, and perhaps the end.
#[derive(Default)]
struct Pipe {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// The sending end was closed; the reader sees it at this moment.
    end: Option<Instant>,
}

/// A client and a server, connected.
pub struct Pair {
    pub now: Instant,
    pub client: Endpoint,
    pub server: Endpoint,
    to_server: Pipe,
    to_client: Pipe,
    noise: Noise,
    /// How long a piece is under way.
    pub delay: Duration,
    /// The longest piece that arrives at once.
    pub longest: usize,
    /// Bytes are lost on their way, for good, as when a cable is cut.
    pub cut: bool,
    /// Call `handle_timeout` at every opportunity, due or not: it must make no difference.
    pub spurious: bool,
}

impl Pair {
    pub fn new(config: &Config) -> Self {
        Self::with_configs(config, config)
    }

    pub fn with_configs(client: &Config, server: &Config) -> Self {
        let now = common::start();
        Self {
            now,
            client: Endpoint::new(Role::Client, client, now),
            server: Endpoint::new(Role::Server, server, now),
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            noise: Noise::new(41),
            delay: Duration::from_millis(10),
            longest: usize::MAX,
            cut: false,
            spurious: false,
        }
    }

    /// A pair with the default configuration whose pipes cut into pieces of at most `longest` bytes.
    pub fn cutting(longest: usize) -> Self {
        Self { longest, ..Self::new(&Config::default()) }
    }

    /// Writes what waits, closes what is to be closed, and delivers what has arrived by now.
    fn settle(&mut self) {
        loop {
            let arrival = self.now + self.delay;
            let written = self.write(Role::Client, arrival) | self.write(Role::Server, arrival);
            let arrived = self.deliver(Role::Client) | self.deliver(Role::Server);
            if !written && !arrived {
                return;
            }
        }
    }

    /// Moves an endpoint's output into its pipe; ends the pipe when the endpoint wants the transport closed.
    fn write(&mut self, from: Role, arrival: Instant) -> bool {
        let (endpoint, pipe) = match from {
            Role::Client => (&mut self.client, &mut self.to_server),
            Role::Server => (&mut self.server, &mut self.to_client),
        };
        if endpoint.blocked {
            if !endpoint.out.is_empty() {
                endpoint.connection.on_write_blocked(self.now);
            }
            return false;
        }
        let mut progress = !endpoint.out.is_empty();
        if progress {
            let longest = self.longest.min(endpoint.out.len());
            for piece in common::cut_at_random(&mut self.noise, &endpoint.out, longest) {
                if !self.cut {
                    pipe.pieces.push_back((arrival, piece.to_vec()));
                }
            }
            let len = endpoint.out.len();
            endpoint.out.clear();
            endpoint.connection.on_written(len, self.now, &mut endpoint.out);
        }
        if pipe.end.is_none() && (endpoint.connection.should_close_transport() || endpoint.is_done()) {
            endpoint.end();
            pipe.end = Some(arrival);
            progress = true;
        }
        progress
    }

    /// Gives an endpoint the pieces that have arrived, each on its own, and the end after them.
    fn deliver(&mut self, to: Role) -> bool {
        let (endpoint, pipe) = match to {
            Role::Client => (&mut self.client, &mut self.to_client),
            Role::Server => (&mut self.server, &mut self.to_server),
        };
        if endpoint.is_done() {
            return false;
        }
        let mut progress = false;
        while pipe.pieces.front().is_some_and(|(arrival, _)| *arrival <= self.now) {
            if let Some((_, piece)) = pipe.pieces.pop_front() {
                endpoint.receive(&piece, self.now);
                progress = true;
            }
            if self.spurious {
                // What is due is done in `step`; nothing is, now.
                let before = endpoint.out.len();
                assert_eq!(endpoint.connection.handle_timeout(self.now, &mut endpoint.out), Ok(()));
                assert_eq!(endpoint.out.len(), before);
            }
        }
        if pipe.pieces.is_empty() && !self.cut && pipe.end.is_some_and(|end| end <= self.now) {
            endpoint.end();
            progress = true;
        }
        progress
    }

    /// The next moment at which something happens; `None` if nothing ever will.
    fn next_moment(&self) -> Option<Instant> {
        let of = |endpoint: &Endpoint, incoming: &Pipe| {
            let piece = incoming.pieces.front().map(|(arrival, _)| *arrival);
            let end = incoming.end.filter(|_| !self.cut);
            let moments = [endpoint.connection.poll_timeout(), piece.or(end)];
            moments.into_iter().flatten().min().filter(|_| !endpoint.is_done())
        };
        let moments = [of(&self.client, &self.to_client), of(&self.server, &self.to_server)];
        moments.into_iter().flatten().min()
    }

    /// Lets time pass until `now`, at which something is due or arrives.
    fn advance(&mut self, now: Instant) {
        assert!(now >= self.now, "time does not go backwards");
        self.now = now;
        for endpoint in [&mut self.client, &mut self.server] {
            if endpoint.is_done() {
                continue;
            }
            if let Err(timed_out) = endpoint.connection.handle_timeout(now, &mut endpoint.out) {
                endpoint.timed_out = Some(timed_out);
                endpoint.end();
            }
        }
        self.settle();
    }

    /// Lets all that happens within `duration` happen.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.advance(next);
        }
        self.now = end;
    }

    /// Lets everything happen until both ends are done.
    pub fn run_to_the_end(&mut self) {
        self.settle();
        while let Some(next) = self.next_moment() {
            self.advance(next);
        }
        assert!(self.client.is_done() && self.server.is_done(), "both ends come to an end");
    }
}

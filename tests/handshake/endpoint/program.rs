//! Programs around an endpoint, that go round only when a poll or `due` says so: no thread, no clock, no sleep.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use sansocket::handshake::{Accept, Limits, ReceivedRequest, ServerHandshake};
use sansocket::{Client, Config, Endpoint, EndpointEvent, Error, Message, Role, Server};

use super::LEVELS;
use super::pipe::{Pipe, READ, WRITE};
use crate::common::{self, Sent};

/// A client's request, with the key of RFC 6455 section 1.2.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A program with one endpoint.
#[derive(Debug)]
pub struct Program {
    pub endpoint: Endpoint,
    inbound: Pipe,
    outbound: Pipe,
    /// What happened, in words.
    pub events: Vec<String>,
    pub messages: Vec<Message>,
    /// What it ended with.
    pub error: Option<Error>,
    /// Accepts what it is asked for.
    pub accepts: bool,
    /// Sends each message back.
    pub echoes: bool,
    /// Answers the next message with this one.
    pub answer: Option<Message>,
    /// It has dropped the stream.
    pub over: bool,
    /// The most that was queued after a round, in bytes.
    pub most_queued: usize,
}

impl Program {
    pub fn client(client: &Client, [inbound, outbound]: [&Pipe; 2], now: Instant) -> Self {
        Self::new(Endpoint::client(client, common::random, now), inbound, outbound)
    }

    pub fn server(server: &Server, [inbound, outbound]: [&Pipe; 2], now: Instant) -> Self {
        Self::new(Endpoint::server(server, now), inbound, outbound)
    }

    fn new(endpoint: Endpoint, inbound: &Pipe, outbound: &Pipe) -> Self {
        Self {
            endpoint,
            inbound: inbound.clone(),
            outbound: outbound.clone(),
            events: Vec::new(),
            messages: Vec::new(),
            error: None,
            accepts: true,
            echoes: false,
            answer: None,
            over: false,
            most_queued: 0,
        }
    }

    /// Goes round as often as it is told to, which must come to an end. Whether it was.
    #[track_caller]
    pub fn go(&mut self, now: Instant) -> bool {
        let (mut rounds, mut idle) = (0, 0);
        while !self.over && self.is_to_go(now) {
            let before = (self.inbound.moved(), self.outbound.moved(), self.events.len());
            self.round(now);
            let moved = before != (self.inbound.moved(), self.outbound.moved(), self.events.len());
            idle = if moved { 0 } else { idle + 1 };
            assert!(idle < 6, "it goes round for nothing: {:#?}", self.endpoint);
            rounds += 1;
        }
        rounds > 0
    }

    fn is_to_go(&self, now: Instant) -> bool {
        let ready = if self.inbound.room() == LEVELS {
            self.endpoint.wants_read() && self.inbound.is_ready(READ)
                || self.endpoint.wants_write() && self.outbound.is_ready(WRITE)
        } else {
            self.inbound.take_ready(READ) | self.outbound.take_ready(WRITE)
        };
        ready || self.endpoint.due().is_some_and(|due| due <= now)
    }

    /// Goes once round, as the documentation says.
    pub fn round(&mut self, now: Instant) {
        self.endpoint.read_from(&mut self.inbound, now);
        while self.next_event(now) {}
        if !self.over {
            self.endpoint.write_to(&mut self.outbound, now);
            self.most_queued = self.most_queued.max(self.endpoint.queued().bytes);
        }
    }

    /// Takes note of what happened next, if anything.
    pub fn next_event(&mut self, now: Instant) -> bool {
        match self.endpoint.next_event() {
            Ok(None) => return false,
            Ok(Some(event)) => {
                let line = self.react(event, now);
                self.events.push(line);
            }
            Err(failed) => {
                self.events.push(error(&failed));
                self.error = Some(failed);
                self.drop_stream();
            }
        }
        !self.over
    }

    fn react(&mut self, event: EndpointEvent, now: Instant) -> String {
        match event {
            EndpointEvent::Request if self.accepts => {
                self.endpoint.accept(now);
                "request".into()
            }
            EndpointEvent::Request => "request".into(),
            EndpointEvent::Open => "open".into(),
            EndpointEvent::Message(message) => {
                if let Some(answer) = self.answer.take().or_else(|| self.echoes.then(|| message.clone())) {
                    self.endpoint.send(answer).unwrap();
                }
                let line = line(&message);
                self.messages.push(message);
                line
            }
            EndpointEvent::Ping(payload) => format!("ping {payload:?}"),
            EndpointEvent::Pong(payload) => format!("pong {payload:?}"),
            EndpointEvent::ShutDown => {
                self.outbound.end();
                "shut down".into()
            }
            EndpointEvent::Over => {
                self.drop_stream();
                "over".into()
            }
            other => panic!("an event of a new kind: {other:?}"),
        }
    }

    fn drop_stream(&mut self) {
        self.over = true;
        self.outbound.end();
        self.inbound.fail_writes(Some(ErrorKind::BrokenPipe));
    }

    /// How the connection closed: code, who began, and whether it was clean.
    pub fn closed(&self) -> String {
        self.endpoint.closed().map_or("not closed".into(), |closed| {
            let clean = if closed.clean { "clean" } else { "not clean" };
            format!("{} {:?}, {:?}, {clean}", closed.code.get(), closed.reason, closed.initiator)
        })
    }
}

fn line(message: &Message) -> String {
    match message {
        Message::Text(text) if text.len() <= 125 => format!("text {:?}", text.as_str()),
        message => format!("{:?} of {} bytes", message.kind(), message.payload().len()),
    }
}

fn error(error: &Error) -> String {
    match error {
        Error::ConnectionLost(error) => format!("ConnectionLost({:?})", error.kind()),
        other => format!("{other:?}"),
    }
}

/// Time passes.
pub trait World {
    fn now(&mut self) -> &mut Instant;

    /// Does all that can be done now.
    fn settle(&mut self);

    /// When something is due.
    fn due(&self) -> Option<Instant>;

    /// Lets all that happens within `duration` happen.
    #[track_caller]
    fn run_for(&mut self, duration: Duration) {
        let end = *self.now() + duration;
        self.settle();
        while let Some(due) = self.due().filter(|due| *due <= end) {
            assert!(due > *self.now(), "time goes on");
            *self.now() = due;
            self.settle();
        }
        *self.now() = end;
    }

    /// Lets all happen that ever will; returns how long it took.
    #[track_caller]
    fn run(&mut self) -> Duration {
        let start = *self.now();
        self.settle();
        while let Some(due) = self.due() {
            assert!(due < start + common::secs(3600), "it never ends");
            *self.now() = due;
            self.settle();
        }
        *self.now() - start
    }
}

/// A client and a server.
#[derive(Debug)]
pub struct Pair {
    pub now: Instant,
    pub client: Program,
    pub server: Program,
    pub pipes: [Pipe; 2],
}

impl Pair {
    /// Over pipes that hold so many bytes.
    pub fn new(room: usize, client: &Client, server: &Server) -> Self {
        let (now, pipes) = (common::start(), [Pipe::new(room), Pipe::new(room)]);
        let [up, down] = &pipes;
        let client = Program::client(client, [down, up], now);
        let server = Program::server(server, [up, down], now);
        Self { now, client, server, pipes }
    }

    /// With this configuration, after the opening handshake.
    #[track_caller]
    pub fn open(room: usize, config: &Config) -> Self {
        let client = client().config(config.clone());
        let mut pair = Self::new(room, &client, &Server::default().config(config.clone()));
        pair.settle();
        assert_eq!(pair.client.events, ["open"]);
        assert_eq!(pair.server.events, ["request", "open"]);
        pair.client.events.clear();
        pair.server.events.clear();
        pair
    }

    pub fn both(&mut self) -> [&mut Program; 2] {
        [&mut self.client, &mut self.server]
    }
}

pub fn client() -> Client {
    Client::new("ws://example.com/chat").unwrap()
}

impl World for Pair {
    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn settle(&mut self) {
        while self.client.go(self.now) | self.server.go(self.now) {}
    }

    fn due(&self) -> Option<Instant> {
        let programs = [&self.client, &self.server].into_iter().filter(|program| !program.over);
        programs.filter_map(|program| program.endpoint.due()).min()
    }
}

/// A program, and a peer that does what a test says.
#[derive(Debug)]
pub struct Lone {
    pub now: Instant,
    pub program: Program,
    /// From the peer to the program.
    pub to: Pipe,
    /// From the program to the peer.
    pub from: Pipe,
    /// What the peer sends, as far as there is room.
    pub sends: VecDeque<u8>,
    /// It ends its direction when that is sent.
    pub ends: bool,
    /// It reads.
    pub reads: bool,
    pub seen: Vec<u8>,
}

impl Lone {
    pub fn client(room: usize, client: &Client) -> Self {
        let (now, pipes) = (common::start(), [Pipe::new(room), Pipe::new(room)]);
        let [to, from] = &pipes;
        Self::new(Program::client(client, [to, from], now), pipes, now)
    }

    pub fn server(room: usize, server: &Server) -> Self {
        let (now, pipes) = (common::start(), [Pipe::new(room), Pipe::new(room)]);
        let [to, from] = &pipes;
        Self::new(Program::server(server, [to, from], now), pipes, now)
    }

    fn new(program: Program, [to, from]: [Pipe; 2], now: Instant) -> Self {
        Self { now, program, to, from, sends: VecDeque::new(), ends: false, reads: true, seen: Vec::new() }
    }

    /// In this role and with this configuration, after the opening handshake.
    #[track_caller]
    pub fn open(role: Role, room: usize, config: &Config) -> Self {
        let mut lone = match role {
            Role::Client => Self::client(room, &client().config(config.clone())),
            Role::Server => Self::server(room, &Server::default().config(config.clone())),
        };
        if role == Role::Server {
            lone.send(REQUEST);
        }
        lone.settle();
        if role == Role::Client {
            let response = accepted(&lone.seen);
            lone.send(response);
            lone.settle();
        }
        assert_eq!(lone.program.events.last().map(String::as_str), Some("open"));
        lone.program.events.clear();
        lone.seen.clear();
        lone
    }

    /// The peer sends.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.sends.extend(bytes.as_ref());
    }

    /// The peer sends a frame with this first byte.
    pub fn send_frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let to = self.role();
        self.send(common::frame(to, first, payload.as_ref()));
    }

    fn role(&self) -> Role {
        self.program.endpoint.negotiated().unwrap().role()
    }

    /// What the peer has seen: frames.
    #[track_caller]
    pub fn frames(&self) -> Vec<Sent> {
        common::sent(self.role(), &self.seen)
    }

    /// What the peer has seen: a response.
    #[track_caller]
    pub fn response(&self) -> &str {
        std::str::from_utf8(&self.seen).unwrap()
    }

    /// The peer takes so many bytes.
    pub fn take(&mut self, len: usize) {
        let mut bytes = vec![0; len];
        let mut at = 0;
        while at < len {
            match self.from.read(&mut bytes[at..]) {
                Ok(0) => break,
                Ok(read) => at += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.seen.extend_from_slice(&bytes[..at]);
    }

    /// The peer does what it can.
    pub fn act(&mut self) -> bool {
        let (seen, sends) = (self.seen.len(), self.sends.len());
        while !self.sends.is_empty() {
            match self.to.write(self.sends.make_contiguous()) {
                Ok(len) => drop(self.sends.drain(..len)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.sends.clear(),
            }
        }
        while self.to.flush().is_err() {}
        if self.sends.is_empty() && std::mem::take(&mut self.ends) {
            self.to.end();
        }
        if self.reads {
            self.take(1 << 20);
        }
        (seen, sends) != (self.seen.len(), self.sends.len())
    }
}

impl World for Lone {
    fn now(&mut self) -> &mut Instant {
        &mut self.now
    }

    fn settle(&mut self) {
        while self.act() | self.program.go(self.now) {}
    }

    fn due(&self) -> Option<Instant> {
        self.program.endpoint.due().filter(|_| !self.program.over)
    }
}

/// The response that accepts a request.
#[track_caller]
pub fn accepted(request: &[u8]) -> Vec<u8> {
    let Ok(Some(ReceivedRequest::WebSocket(request))) =
        ServerHandshake::new(Limits::default()).receive(request)
    else {
        panic!("no request for a WebSocket");
    };
    let mut response = Vec::new();
    request.accept(Accept::new()).unwrap().encode(&mut response);
    response
}

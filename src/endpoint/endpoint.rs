//! A whole endpoint without I/O: opening handshake, connection, deadlines and both buffers in one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use super::answer::{Answer, LINGER};
use super::client::Client;
use super::closing::{Act, Outcome};
use super::error::Error;
use super::events::EndpointEvent;
use super::negotiated::Negotiated;
use super::open::{Open, insist};
use super::opening::{ClientOpening, append, exchange, timed_out};
use super::outbound::Outbound;
use super::pending::PendingRequest;
use super::queued::Queued;
use super::refused::Refused;
use super::sendable::{Sendable, ToSend as _};
use super::server::Server;
use crate::config::Config;
use crate::connection::Closed;
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::handshake::{Reply, ServerHandshake};

/// A client or a server over a stream that does not wait, for programs with an event loop of their own.
///
/// It has one rule of use: **whenever the stream may be ready, and at [`due`](Self::due), go once round:
/// [`read_from`](Self::read_from), [`next_event`](Self::next_event) until it returns `None`, and
/// [`write_to`](Self::write_to).** Calls that find nothing to do do nothing, and `next_event` tells of all errors.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Instant;
///
/// use sansocket::{Endpoint, EndpointEvent, Error};
///
/// /// Goes once round, for a server that echoes. False, or an error: drop the stream.
/// fn go_round(server: &mut Endpoint, stream: &mut (impl Read + Write), now: Instant) -> Result<bool, Error> {
///     server.read_from(stream, now);
///     while let Some(event) = server.next_event()? {
///         match event {
///             EndpointEvent::Request => server.accept(now),
///             EndpointEvent::Message(message) => server.send(message)?,
///             EndpointEvent::ShutDown => { /* Close the stream for writing. */ }
///             EndpointEvent::Over => return Ok(false),
///             _ => {}
///         }
///     }
///     server.write_to(stream, now);
///     Ok(true)
/// }
/// ```
///
/// A round takes no more than some milliseconds, but for what is sent: a large message that was compressed is inflated in
/// several, which are [due](Self::due) at once.
///
/// What is read and not yet handed out is bounded by the limits of [`Config`]. So are answers: while
/// [`Config::write_buffer_size`] bytes wait to be written, and among them what was sent in a round with a message, the
/// next message is held back, and nothing is read behind it. All else that is sent is the program's to bound, by what
/// [`queued`](Self::queued) says.
pub struct Endpoint {
    state: State,
    config: Config,
    random: fn(&mut [u8]),
    /// When the opening handshake, or the response that ends it, has to be done.
    deadline: Option<Instant>,
    /// As it was last told.
    now: Instant,
    /// What was read of an opening handshake.
    input: Vec<u8>,
    /// What is to be written before all frames, a request, a response, or a part of one; and how much of it was.
    out: Vec<u8>,
    written: usize,
    /// The stream was not read until it had no more.
    more: bool,
    /// The stream took not all that was written, or has not passed it on.
    blocked: bool,
    /// To be told next.
    told: Option<EndpointEvent>,
    /// All was told.
    over: bool,
}

enum State {
    Connecting(Box<ClientOpening>),
    Accepting(Box<(ServerHandshake, Server)>),
    Pending(Box<PendingRequest>),
    Open(Box<Open>),
    /// It did not come to a connection: a last response is written, and the stream closed.
    Refused(Box<Refused>),
}

impl Endpoint {
    /// A client over a stream that leads, or will lead, to its server; see [`Sender::client`](crate::Sender::client)
    /// for `random`. It speaks no TLS: for a `wss://` URI, its bytes are to pass through the program's.
    pub fn client(client: &Client, random: fn(&mut [u8]), now: Instant) -> Self {
        let mut out = Vec::new();
        // Its stream leads to one server.
        let opening = ClientOpening::start(&client.clone().redirects(0), random, &mut out);
        let state = State::Connecting(Box::new(opening));
        let deadline = now.checked_add(client.connect_timeout);
        Self { deadline, out, ..Self::new(state, &client.config, random, now) }
    }

    /// A server over a stream that was accepted.
    pub fn server(server: &Server, now: Instant) -> Self {
        let state = State::Accepting(Box::new((ServerHandshake::new(server.limits.clone()), server.clone())));
        let deadline = now.checked_add(server.handshake_timeout);
        // A server masks nothing.
        Self { deadline, ..Self::new(state, &server.config, |_| {}, now) }
    }

    fn new(state: State, config: &Config, random: fn(&mut [u8]), now: Instant) -> Self {
        Self {
            state,
            config: config.clone(),
            random,
            deadline: None,
            now,
            input: Vec::new(),
            out: Vec::new(),
            written: 0,
            more: true,
            blocked: false,
            told: None,
            over: false,
        }
    }

    /// Reads what there is, as far as it is to be read. What is left is [due](Self::due) at once.
    pub fn read_from(&mut self, io: &mut impl Read, now: Instant) {
        self.now = now;
        self.more = true;
        let mut read = 0;
        while read < ENOUGH
            && let Some(act) = self.reading()
        {
            let result = match (act, &mut self.state) {
                (Act::Fill, State::Open(open)) => open.inbound.fill(io),
                (Act::Fill, _) => append(&mut self.input, io),
                (_, State::Open(open)) => open.inbound.discard(io),
                _ => io.read(&mut [0; 1024]),
            };
            match &result {
                Ok(len) => read += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if self.is_to_wait(error) => {
                    self.more = false;
                    break;
                }
                Err(_) => {}
            }
            let outcome = Outcome::from(result.map_err(Error::ConnectionLost));
            match &mut self.state {
                State::Open(open) => open.was_read(act, outcome, now),
                _ => self.did(outcome),
            }
        }
        if let State::Open(open) = &mut self.state {
            open.looked &= read == 0;
        }
    }

    /// Tells the time in a round that reads nothing: what is due then is done by [`next_event`](Self::next_event).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    /// What happened, one thing at a time. `None`: nothing more in this round.
    ///
    /// It fails once, and after all else: when the opening handshake came to nothing, a deadline passed, the peer broke
    /// the protocol, or the transport was lost. What the peer is to be told of it was written; drop the stream.
    pub fn next_event(&mut self) -> Result<Option<EndpointEvent>, Error> {
        if self.over {
            return Ok(None);
        }
        if self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.deadline = None;
            self.did(Outcome::Failed(timed_out()));
        }
        if let Some(told) = self.told.take() {
            return Ok(Some(told));
        }
        let event = match &mut self.state {
            State::Open(open) => open.next_event(self.now, self.more)?,
            State::Refused(refused) => refused.next_event()?,
            State::Connecting(_) | State::Accepting(_) | State::Pending(_) => None,
        };
        self.over = matches!(event, Some(EndpointEvent::Over));
        Ok(event)
    }

    /// Writes what is queued, as far as the stream takes it.
    pub fn write_to(&mut self, io: &mut impl Write, now: Instant) {
        self.now = now;
        let result = self.write(io);
        self.blocked = result.as_ref().is_err_and(|error| self.is_to_wait(error));
        match (result, &mut self.state) {
            (Ok(()), _) => self.did(Outcome::Written),
            (Err(_), State::Open(open)) if self.blocked && self.out.is_empty() => {
                open.outbound.sending.on_write_blocked(now);
            }
            (Err(_), _) if self.blocked => {}
            (Err(error), State::Open(open)) if self.out.is_empty() => open.fail_writes(error, now),
            (Err(error), _) => {
                self.out.clear();
                self.did(Outcome::Failed(Error::ConnectionLost(error)));
            }
        }
    }

    /// Whether it waits for the stream to have something to read: what to ask a poll for that tells of states, and not
    /// of changes, such as `poll(2)`.
    pub fn wants_read(&self) -> bool {
        self.reading().is_some()
    }

    /// Whether it waits for the stream to take more; see [`wants_read`](Self::wants_read).
    pub fn wants_write(&self) -> bool {
        self.blocked
    }

    /// When to go round, if the stream is not ready before.
    pub fn due(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let (goes_on, deadline) = match &self.state {
            State::Open(open) => (open.goes_on(self.blocked), open.deadline()),
            State::Refused(refused) => (refused.ending().goes_on(self.blocked), None),
            State::Connecting(_) | State::Accepting(_) | State::Pending(_) => (false, None),
        };
        let to_read = self.more && self.wants_read();
        let to_write = !self.blocked && self.written < self.out.len();
        if goes_on || to_read || to_write || self.told.is_some() {
            return Some(self.now);
        }
        [self.deadline, deadline].into_iter().flatten().min()
    }

    /// The request that is to be answered.
    pub fn request(&mut self) -> Option<&mut PendingRequest> {
        match &mut self.state {
            State::Pending(request) => Some(request),
            _ => None,
        }
    }

    /// Accepts the request. One that does not ask for a WebSocket is answered as [`Server::page`] says, which is an error that
    /// [`next_event`](Self::next_event) tells. Does nothing if there is no request to be answered.
    pub fn accept(&mut self, now: Instant) {
        self.now = now;
        if let State::Pending(request) = &mut self.state {
            let timeout = request.timeout;
            match request.accept(&mut self.out) {
                Ok(negotiated) => {
                    self.config = request.config.clone();
                    self.open(negotiated);
                    self.deadline = now.checked_add(timeout);
                }
                Err(error) => {
                    let answer = request.answer_to(&error);
                    self.refuse(Some(error), answer, timeout);
                }
            }
        }
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the stream. The client has
    /// [`Server::handshake_timeout`] for each 64 KiB of it. Does nothing if there is no request to be answered.
    ///
    /// A request for a WebSocket, or a CONNECT, is not answered with 2xx, which would accept it over HTTP/2 (RFC 8441
    /// section 5): the client is told 500, and [`next_event`](Self::next_event) fails with [`Error::Build`].
    pub fn respond(&mut self, response: impl Borrow<Reply>, now: Instant) {
        self.now = now;
        if let State::Pending(request) = &self.state {
            let ((answer, judged), timeout) = (request.answer(Ok(response)), request.timeout);
            self.refuse(judged.err(), answer, timeout);
        }
    }

    /// Queues a message. Fails where none may be sent: before the connection is open, and when it is closing.
    pub fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.queue(|outbound| message.to_send().queue(outbound))
    }

    /// Queues a Ping, with at most 125 bytes that the Pong will repeat. Fails like [`send`](Self::send).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|outbound| outbound.ping(payload))
    }

    /// Starts the closing handshake. Does nothing if a Close frame was sent before; fails before the connection is open.
    pub fn close(&mut self, close: Option<CloseFrame<'_>>, now: Instant) -> Result<(), Error> {
        self.now = now;
        self.queue(|outbound| outbound.close(close, now))
    }

    /// How much is queued and not yet written.
    pub fn queued(&self) -> Queued {
        self.open_connection().map(|open| open.outbound.queued()).unwrap_or_default()
    }

    /// What the opening handshake came to, once it is over.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.open_connection().map(|open| &open.negotiated)
    }

    /// How the connection closed, once it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.open_connection()?.inbound.closed()
    }

    fn open_connection(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            _ => None,
        }
    }

    fn queue(&mut self, f: impl FnOnce(&mut Outbound) -> Result<(), SendError>) -> Result<(), Error> {
        match &mut self.state {
            State::Open(open) => open.queue(f),
            _ => Err(Error::ConnectionLost(ErrorKind::NotConnected.into())),
        }
    }

    /// What to read for, if for anything.
    fn reading(&self) -> Option<Act> {
        let act = match &self.state {
            State::Connecting(_) | State::Accepting(_) => Some(Act::Fill),
            State::Pending(_) => None,
            State::Open(open) => open.act(),
            State::Refused(refused) => refused.ending().act(),
        };
        act.filter(|act| !matches!(act, Act::Flush { discard: false } | Act::Shutdown))
    }

    /// Whether it is no error, but something to wait for: a client may be given a stream that is not connected yet.
    fn is_to_wait(&self, error: &io::Error) -> bool {
        error.kind() == ErrorKind::WouldBlock
            || error.kind() == ErrorKind::NotConnected && matches!(self.state, State::Connecting(_))
    }

    /// Writes all, and has the stream pass it on.
    fn write(&mut self, io: &mut impl Write) -> io::Result<()> {
        // What was written before a wait may not have been passed on.
        let mut unflushed = self.blocked;
        loop {
            while self.written < self.out.len() {
                self.written += insist(|| io.write(&self.out[self.written..]))?;
                unflushed = true;
            }
            (self.out, self.written) = (Vec::new(), 0);
            if !self.begin_part() {
                break;
            }
        }
        if let State::Open(open) = &mut self.state {
            self.deadline = None;
            unflushed |= open.write(io, self.now)?;
        }
        if unflushed { insist(|| io.flush().map(|()| 1)).map(drop) } else { Ok(()) }
    }

    /// Has the next part of a last response written, if there is one.
    fn begin_part(&mut self) -> bool {
        if let State::Refused(refused) = &mut self.state
            && let Some((part, timeout)) = refused.next_part()
        {
            self.out = part;
            self.deadline = self.now.checked_add(timeout);
            return true;
        }
        false
    }

    /// Goes on after what came of reading, writing, or waiting.
    fn did(&mut self, outcome: Outcome) {
        let (input, out) = (&mut self.input, &mut self.out);
        match &mut self.state {
            State::Open(open) => open.did(outcome, self.now),
            State::Refused(refused) => {
                if refused.did(outcome) {
                    self.deadline = self.now.checked_add(LINGER);
                }
            }
            State::Pending(_) => {}
            State::Connecting(opening) => match exchange(&mut **opening, outcome, input, out) {
                Ok(None) => {}
                Ok(Some(negotiated)) => self.open(negotiated),
                Err(error) => {
                    out.clear();
                    self.refuse(Some(error), Answer::default(), LINGER);
                }
            },
            State::Accepting(accepting) => match exchange(&mut accepting.0, outcome, input, out) {
                Ok(None) => {}
                Ok(Some(received)) => {
                    let request = PendingRequest::new(received, &accepting.1);
                    self.state = State::Pending(Box::new(request));
                    self.told = Some(EndpointEvent::Request);
                    self.deadline = None;
                }
                Err(error) => {
                    let answer = Answer::to_unread(&accepting.0, &error);
                    self.refuse(Some(error), answer, LINGER);
                }
            },
        }
    }

    fn open(&mut self, negotiated: Negotiated) {
        let input = core::mem::take(&mut self.input);
        let open = Open::new(negotiated, &self.config, self.random, &input, self.now);
        self.state = State::Open(Box::new(open));
        self.told = Some(EndpointEvent::Open);
        self.deadline = None;
    }

    /// Ends what is no connection, when `answer` is written, each part of it in so much time.
    fn refuse(&mut self, error: Option<Error>, answer: Answer, timeout: Duration) {
        self.state = State::Refused(Box::new(Refused::new(error, answer, timeout)));
        self.deadline = None;
        self.begin_part();
    }
}

impl fmt::Debug for Endpoint {
    /// Keeps heads and messages out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open_connection();
        f.debug_struct("Endpoint")
            .field("inbound", &open.map(|open| &open.inbound))
            .field("outbound", &open.map(|open| &open.outbound))
            .field("due", &self.due())
            .finish_non_exhaustive()
    }
}

/// How many bytes to read in one round: others have their turn then.
const ENOUGH: usize = 64 << 10;

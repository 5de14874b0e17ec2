//! A whole endpoint without I/O: opening handshake, connection, deadlines and both buffers in one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::time::Instant;

use bytes::Bytes;

use super::client::Client;
use super::closing::{Act, Ending, Outcome};
use super::error::Error;
use super::events::Incoming;
use super::inbound::{Inbound, Next};
use super::negotiated::Negotiated;
use super::opening::{ClientOpening, Opening, ServerOpening, timed_out};
use super::outbound::{Outbound, Queued, Sendable, ToSend as _};
use super::pending::{PendingRequest, refuse};
use super::server::Server;
use super::write_queue::MAX_SLICES;
use crate::config::Config;
use crate::connection::Closed;
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::handshake::Reply;
use crate::message::Message;

/// A client or a server over a stream that does not wait, for programs with an event loop of their own.
///
/// It has one rule of use: **whenever the stream may be ready, and at [`due`](Self::due), call, in this order,
/// [`handle_timeout`](Self::handle_timeout), [`read_from`](Self::read_from), [`next_event`](Self::next_event) until
/// it returns `None`, and [`write_to`](Self::write_to).** Calls that find nothing to do do nothing. Errors of the
/// stream are told by `next_event`, like all others, each once.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::time::Instant;
///
/// use sansocket::{Endpoint, EndpointEvent, Error};
///
/// /// Goes once round, for a server that echoes. False: the stream is to be dropped.
/// fn go_round(server: &mut Endpoint, stream: &mut (impl Read + Write), now: Instant) -> Result<bool, Error> {
///     server.handle_timeout(now);
///     server.read_from(stream, now);
///     while let Some(event) = server.next_event()? {
///         match event {
///             EndpointEvent::Request => server.accept()?,
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
/// What is read and not yet handed out, and what is queued, is bounded by the limits of [`Config`]: nothing is
/// handed out while [`Config::write_buffer_size`] bytes wait to be written.
#[derive(Debug)]
pub struct Endpoint {
    state: State,
    config: Config,
    random: fn(&mut [u8]),
    /// How long the opening may take, and the response that ends one.
    timeout: Duration,
    /// When it has to be done.
    deadline: Option<Instant>,
    now: Instant,
    /// What was read of an opening handshake.
    input: Vec<u8>,
    /// What is to be written before all frames: a request, or a response.
    out: Vec<u8>,
    /// There may be more to read at once.
    more: bool,
    /// To be returned next, once.
    told: Option<Result<EndpointEvent, Error>>,
}

#[derive(Debug)]
enum State {
    Connecting(Box<ClientOpening>),
    Accepting(Box<(ServerOpening, Server)>),
    Pending(Box<PendingRequest>),
    Open(Box<Open>),
    /// There is no connection: a last response is written, and the transport closed.
    Ending(Ending),
}

/// An open connection.
#[derive(Debug)]
struct Open {
    negotiated: Negotiated,
    inbound: Inbound,
    outbound: Outbound,
    /// What is to be done with the transport; `None` until [`Inbound::next`] is asked.
    act: Option<Act>,
}

/// What happened to an [`Endpoint`].
#[derive(Debug)]
#[non_exhaustive]
pub enum EndpointEvent {
    /// A client's request has come: [`accept`](Endpoint::accept) it, or [`respond`](Endpoint::respond).
    Request,
    /// The opening handshake is over.
    Open,
    /// A message.
    Message(Message),
    /// A Ping's application data. It has been answered.
    Ping(Bytes),
    /// A Pong's application data.
    Pong(Bytes),
    /// All was written: close the stream for writing.
    ShutDown,
    /// Nothing is left to do: drop the stream.
    Over,
}

impl Endpoint {
    /// A client over a stream that leads to its server; see [`Sender::client`](crate::Sender::client) for `random`.
    pub fn client(client: &Client, random: fn(&mut [u8]), now: Instant) -> Self {
        let mut out = Vec::new();
        let state = State::Connecting(Box::new(ClientOpening::start(client, random, &mut out)));
        Self { out, ..Self::new(state, &client.config, random, client.connect_timeout, now) }
    }

    /// A server over a stream that was accepted.
    pub fn server(server: &Server, now: Instant) -> Self {
        let state = State::Accepting(Box::new((ServerOpening::new(&server.limits), server.clone())));
        // A server masks nothing.
        Self::new(state, &server.config, |_| {}, server.handshake_timeout, now)
    }

    fn new(state: State, config: &Config, random: fn(&mut [u8]), timeout: Duration, now: Instant) -> Self {
        let (config, deadline) = (config.clone(), now.checked_add(timeout));
        let (input, out) = (Vec::new(), Vec::new());
        Self { state, config, random, timeout, deadline, now, input, out, more: false, told: None }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        match &mut self.state {
            State::Open(open) => {
                open.did(Outcome::Again, now);
                let late = match open.act {
                    Some(Act::Fill) => open.inbound.handle_timeout(&mut open.outbound).map_err(Error::from),
                    _ => Ok(()),
                };
                if let Err(error) = late {
                    open.did(Outcome::Failed(error), now);
                }
            }
            _ if self.deadline.is_some_and(|deadline| deadline <= now) => self.did(Outcome::Late),
            _ => {}
        }
    }

    /// Reads what there is, as far as it is to be read.
    pub fn read_from(&mut self, io: &mut impl Read, now: Instant) {
        self.now = now;
        self.more = false;
        for _ in 0..MAX_READS {
            let act = match &self.state {
                State::Open(open) => open.act,
                State::Ending(ending) => ending.act(),
                State::Connecting(_) | State::Accepting(_) => Some(Act::Fill),
                State::Pending(_) => None,
            };
            let read = match (act, &mut self.state) {
                (Some(Act::Fill), State::Open(open)) => open.inbound.fill(io),
                (Some(Act::Fill), _) => append(&mut self.input, io),
                (Some(Act::Flush { discard: true } | Act::Discard), _) => io.read(&mut [0; 1024]),
                _ => return,
            };
            match read {
                Ok(0) => return self.did(Outcome::Eof),
                Ok(len) => self.did(Outcome::Read(len)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.release(),
                Err(error) => return self.did(Outcome::Failed(Error::ConnectionLost(error))),
            }
        }
        self.more = true;
    }

    /// What happened, one thing at a time. `None`: all was told, or more is to be written before.
    pub fn next_event(&mut self) -> Result<Option<EndpointEvent>, Error> {
        if let Some(told) = self.told.take() {
            return told.map(Some);
        }
        match &mut self.state {
            State::Open(open) => open.next_event(self.now),
            State::Ending(ending @ Ending::Shutdown) => {
                *ending = ending.after(&Outcome::Done, true);
                Ok(Some(EndpointEvent::ShutDown))
            }
            State::Ending(Ending::Over) => Ok(Some(EndpointEvent::Over)),
            _ => Ok(None),
        }
    }

    /// Writes what is queued, as far as it goes.
    pub fn write_to(&mut self, io: &mut impl Write, now: Instant) {
        self.now = now;
        while !self.out.is_empty() {
            match io.write(&self.out) {
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.did(Outcome::Failed(Error::ConnectionLost(error))),
            }
        }
        match &mut self.state {
            State::Open(open) => open.write_to(io, now),
            State::Ending(Ending::Flush { .. }) => self.did(Outcome::Written),
            _ => {}
        }
    }

    /// When to go round, if the stream is not ready before.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            _ if self.more || self.told.is_some() => Some(self.now),
            State::Open(open) if open.act.is_none() && !open.outbound.is_full() => Some(self.now),
            State::Open(open) => [open.inbound.poll_timeout(), open.outbound.sending.poll_timeout()]
                .into_iter()
                .flatten()
                .min(),
            State::Ending(Ending::Shutdown | Ending::Over) => Some(self.now),
            _ => self.deadline,
        }
    }

    /// The request that is to be answered.
    pub fn request(&mut self) -> Option<&mut PendingRequest> {
        match &mut self.state {
            State::Pending(request) => Some(request),
            _ => None,
        }
    }

    /// Accepts the request. One that does not ask for a WebSocket is answered with 426, and returned as an error.
    /// Does nothing if there is none.
    pub fn accept(&mut self) -> Result<(), Error> {
        if self.request().is_none() {
            return Ok(());
        }
        let ending = State::Ending(Ending::Flush { discard: true });
        let State::Pending(request) = core::mem::replace(&mut self.state, ending) else {
            return Ok(());
        };
        self.deadline = self.now.checked_add(self.timeout);
        let negotiated = request.accept(&mut self.out)?;
        self.open(negotiated);
        Ok(())
    }

    /// Answers the request with an HTTP response that does not open a WebSocket, and closes the stream. Does nothing
    /// if there is no request.
    pub fn respond(&mut self, response: &Reply) {
        if let State::Pending(request) = &self.state {
            request.request().reply(response, &mut self.out);
            self.end(Ending::Flush { discard: true });
        }
    }

    /// Queues a message. Fails where none may be sent: before the connection is open, and when it is closing.
    pub fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.queue(|outbound, _| message.to_send().queue(outbound))
    }

    /// Queues a Ping, with at most 125 bytes that the Pong will repeat.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|outbound, _| outbound.ping(payload))
    }

    /// Starts the closing handshake. Does nothing if a Close frame was sent before.
    pub fn close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        self.queue(|outbound, now| outbound.close(close, now))
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

    fn queue(
        &mut self,
        f: impl FnOnce(&mut Outbound, Instant) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        match &mut self.state {
            State::Open(open) => open.outbound.queue(|outbound| f(outbound, self.now)),
            _ => Err(Error::ConnectionLost(ErrorKind::NotConnected.into())),
        }
    }

    fn release(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.inbound.release();
        }
    }

    /// Goes on after what came of reading, writing, or waiting.
    fn did(&mut self, outcome: Outcome) {
        match &mut self.state {
            State::Open(open) => open.did(outcome, self.now),
            State::Ending(ending) => *ending = ending.after(&outcome, true),
            State::Connecting(opening) => {
                match exchange(&mut **opening, outcome, &mut self.input, &mut self.out) {
                    Ok(None) => {}
                    Ok(Some(negotiated)) => self.open(negotiated),
                    Err(error) => {
                        self.told = Some(Err(error));
                        self.end(Ending::Over);
                    }
                }
            }
            State::Accepting(accepting) => {
                let (opening, server) = &mut **accepting;
                match exchange(opening, outcome, &mut self.input, &mut self.out) {
                    Ok(None) => {}
                    Ok(Some(received)) => {
                        let request = PendingRequest::new(received, server);
                        self.state = State::Pending(Box::new(request));
                        self.told = Some(Ok(EndpointEvent::Request));
                        self.deadline = None;
                    }
                    Err(error) => {
                        refuse(&error, &mut self.out);
                        self.told = Some(Err(error));
                        self.end(Ending::Flush { discard: true });
                    }
                }
            }
            State::Pending(_) => {}
        }
    }

    fn open(&mut self, negotiated: Negotiated) {
        let inbound = Inbound::new(&negotiated, &self.config, &self.input, self.now);
        let outbound = Outbound::new(&negotiated, &self.config, self.random);
        self.input = Vec::new();
        self.state = State::Open(Box::new(Open { negotiated, inbound, outbound, act: None }));
        self.told = Some(Ok(EndpointEvent::Open));
    }

    fn end(&mut self, ending: Ending) {
        self.deadline = self.now.checked_add(self.timeout);
        self.state = State::Ending(ending);
    }
}

impl Open {
    fn next_event(&mut self, now: Instant) -> Result<Option<EndpointEvent>, Error> {
        self.act = None;
        // An answer to what would be handed out is not to wait in memory for a peer that does not read.
        if self.outbound.is_full() && !self.inbound.has_ended() {
            return Ok(None);
        }
        match self.inbound.next::<Incoming>(&mut self.outbound) {
            Next::Item(Incoming::Message(message)) => Ok(Some(EndpointEvent::Message(message))),
            Next::Item(Incoming::Ping(payload)) => Ok(Some(EndpointEvent::Ping(payload))),
            Next::Item(Incoming::Pong(payload)) => Ok(Some(EndpointEvent::Pong(payload))),
            Next::Do(Act::Shutdown) => {
                self.inbound.did(Outcome::Done, now, &mut self.outbound);
                Ok(Some(EndpointEvent::ShutDown))
            }
            Next::Do(act) => {
                self.act = Some(act);
                Ok(None)
            }
            Next::Over(Some(error)) => Err(error),
            Next::Over(None) => Ok(Some(EndpointEvent::Over)),
        }
    }

    fn write_to(&mut self, io: &mut impl Write, now: Instant) {
        while !self.outbound.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            match io.write_vectored(self.outbound.queue.slices(&mut slices)) {
                Ok(0) => return self.fail_writes(ErrorKind::WriteZero.into(), now),
                Ok(len) => {
                    self.outbound.queue.advance(len);
                    self.outbound.on_written();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.outbound.sending.on_write_blocked(now);
                }
                Err(error) => return self.fail_writes(error, now),
            }
        }
        if matches!(self.act, Some(Act::Flush { .. })) {
            self.did(Outcome::Written, now);
        }
    }

    /// What is unread may be received all the same; the end of it tells what became of the connection.
    fn fail_writes(&mut self, error: io::Error, now: Instant) {
        self.outbound.fail_writes(false);
        if self.act != Some(Act::Fill) {
            self.did(Outcome::Failed(Error::ConnectionLost(error)), now);
        }
    }

    fn did(&mut self, outcome: Outcome, now: Instant) {
        self.inbound.did(outcome, now, &mut self.outbound);
        if self.inbound.has_ended() {
            self.act = None;
        }
    }
}

fn exchange<O: Opening>(
    opening: &mut O,
    outcome: Outcome,
    input: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Option<O::Done>, Error> {
    match outcome {
        Outcome::Read(_) => Ok(opening.receive(input, out)?.map(|(done, consumed)| {
            input.drain(..consumed);
            done
        })),
        Outcome::Failed(error) => Err(opening.ended(Some(error), input)),
        Outcome::Late => Err(opening.ended(Some(timed_out()), input)),
        Outcome::Eof | Outcome::Written | Outcome::Done | Outcome::Again => Err(opening.ended(None, input)),
    }
}

/// Reads once to the end of `input`.
fn append(input: &mut Vec<u8>, io: &mut impl Read) -> io::Result<usize> {
    let start = input.len();
    input.resize(start + READ_BYTES, 0);
    let read = io.read(&mut input[start..]);
    input.truncate(start + read.as_ref().map_or(0, |len| *len));
    read
}

/// How often to read in one round: others have their turn then.
const MAX_READS: usize = 16;

/// How much to read of an opening handshake at once: most heads are not longer.
const READ_BYTES: usize = 1024;

//! A connection: both directions, what couples them, and their deadlines. No I/O, no clock, no buffer.
//!
//! [`Connection`] is two halves that can be parted: [`Receiving`] (the receiver and the keepalive,
//! which sees the peer's silence) and [`Sending`] (the sender, and the deadlines of what was sent).
//! Between them pass three calls only: [`Sending::answer`], [`Sending::fail`], and the keepalive's
//! Ping. Adapters that give each half to a task or thread make these calls themselves, and lock
//! nothing for a data frame.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::time::Instant;

use crate::config::Config;
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::frame::{CloseCode, CloseFrame};
use crate::keepalive::{Due, Keepalive, Times};
use crate::message::Event;
#[cfg(any(feature = "blocking", feature = "tokio"))]
use crate::message::MessageKind;
use crate::receiver::{ReceiveState, Received, Receiver};
use crate::role::Role;
use crate::sender::{SendState, Sender};

/// A connection after the opening handshake.
///
/// Its methods are of three kinds: getters; what the network and the clock did
/// ([`receive`](Self::receive), [`receive_eof`](Self::receive_eof),
/// [`handle_timeout`](Self::handle_timeout)); and what the application wants ([`sender`](Self::sender),
/// [`close`](Self::close)). All output is appended to the caller's `out`, in whole frames; after any
/// call, write `out`, and sleep no longer than [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use std::time::Instant;
/// use sansocket::{CloseCode, CloseFrame, Config, Connection, Event, ReadyState};
///
/// let now = Instant::now();
/// let mut server = Connection::server(&Config::default(), now);
/// let mut out = Vec::new();
///
/// // A client's Ping, masked with the key 0, and a Close frame with the code 1000.
/// let mut input = b"\x89\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8".to_vec();
/// while let Some(received) = server.receive(&mut input, now, &mut out)? {
///     input.drain(..received.consumed());
/// }
/// assert_eq!(out, b"\x8a\x02hi\x88\x02\x03\xe8");
/// assert_eq!(server.ready_state(), ReadyState::Closing);
/// assert!(server.should_close_transport());
/// # Ok::<(), sansocket::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiving: Receiving,
    sending: Sending,
}

impl Connection {
    /// A client's connection; see [`Sender::client`] for `random`.
    pub fn client(config: &Config, random: fn(&mut [u8]), now: Instant) -> Self {
        Self {
            receiving: Receiving::new(Role::Client, config, now),
            sending: Sending::new(Sender::client(config, random)),
        }
    }

    /// A server's connection.
    pub fn server(config: &Config, now: Instant) -> Self {
        Self {
            receiving: Receiving::new(Role::Server, config, now),
            sending: Sending::new(Sender::server(config)),
        }
    }

    /// Advances by at most one frame, and appends to `out` what it demands. `None`: more input is
    /// needed. The contract is [`Receiver`]'s.
    ///
    /// On an error the connection has failed: the Close frame that says so is in `out`.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        let result = self.receiving.receive(input, now);
        self.couple(input, result, now, out)
    }

    /// Like [`receive`](Self::receive), but hands out data frames as far as they have arrived; see
    /// [`Receiver::receive_part`].
    pub fn receive_part(
        &mut self,
        input: &mut [u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        let result = self.receiving.receive_part(input, now);
        self.couple(input, result, now, out)
    }

    /// Compresses messages, and receives compressed ones, with the `agreed` parameters. What is received
    /// is inflated by an [`Assembler`](crate::Assembler) that was told the same.
    #[cfg(feature = "deflate")]
    pub fn use_deflate(&mut self, deflate: &crate::Deflate, agreed: crate::AgreedDeflate) {
        self.receiving.use_deflate();
        self.sending.sender.use_deflate(deflate, agreed);
    }

    /// Fails the connection because of an error in what was received, one that an
    /// [`Assembler`](crate::Assembler) found: those that [`receive`](Self::receive) returns have failed it
    /// already.
    pub fn fail(&mut self, error: ProtocolError, now: Instant, out: &mut Vec<u8>) {
        self.receiving.fail();
        self.sending.fail(error, now, out);
    }

    /// The transport ended: tells how the connection closed.
    pub fn receive_eof(&mut self) -> Closed {
        self.receiving.receive_eof(&self.sending)
    }

    /// The sending direction, for data, Pings and Pongs. To close, use [`close`](Self::close), which arms
    /// the deadline of the closing handshake.
    pub fn sender(&mut self) -> &mut Sender {
        self.sending.sender()
    }

    /// Starts the closing handshake, which the peer is to complete within
    /// [`Config::close_timeout`]; messages that arrive before its Close frame are still received.
    pub fn close(
        &mut self,
        close: Option<CloseFrame<'_>>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sending.close(close, now, out)
    }

    /// Sends the Pong that was held back while `out` was full: to be called once `out` was written.
    pub fn answer_held(&mut self, out: &mut Vec<u8>) {
        self.sending.sender.answer_held(out);
    }

    /// Tells that the transport takes no more bytes for now, or that it took some: see
    /// [`Sending::on_write_blocked`].
    pub fn on_write_blocked(&mut self, now: Instant) {
        self.sending.on_write_blocked(now);
    }

    /// See [`Sending::on_written`].
    pub fn on_written(&mut self) {
        self.sending.on_written();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ready_state() == ReadyState::Closed {
            return None;
        }
        [self.receiving.poll_timeout(), self.sending.poll_timeout()].into_iter().flatten().min()
    }

    /// Does what is due at `now`: sends a keepalive Ping, or tells that the peer has taken too long,
    /// after which the transport is to be dropped. Calls before anything is due do nothing.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), TimedOut> {
        self.sending.handle_timeout(now)?;
        self.receiving.handle_timeout(now, &mut self.sending, out)
    }

    /// The state of the connection in the RFC's terms.
    pub fn ready_state(&self) -> ReadyState {
        self.receiving.ready_state(&self.sending)
    }

    /// Whether to close the transport as soon as `out` is written; see
    /// [`Receiving::should_close_transport`].
    pub fn should_close_transport(&self) -> bool {
        self.receiving.should_close_transport(&self.sending)
    }

    /// Parts the two directions, so that each can have a task or a thread of its own.
    pub fn into_parts(self) -> (Receiving, Sending) {
        (self.receiving, self.sending)
    }

    fn couple(
        &mut self,
        input: &[u8],
        result: Result<Option<Received>, ProtocolError>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        match &result {
            Ok(Some(received)) => {
                if let Some(event) = received.event(input) {
                    self.sending.answer(&event, now, out);
                }
            }
            Ok(None) => {}
            Err(error) => self.sending.fail(*error, now, out),
        }
        result
    }
}

/// The receiving half of a connection: a [`Receiver`], the keepalive, and the peer's Close frame.
#[derive(Debug)]
pub struct Receiving {
    receiver: Receiver,
    /// `None` without [`Config::keepalive`], and once it has done its part.
    keepalive: Option<Keepalive>,
    /// How much of the input had arrived when it was last found to be incomplete.
    seen: usize,
    /// What the first Close frame said (sections 7.1.5 and 7.1.6); boxed, since most of a connection's
    /// life there is none.
    close: Option<Box<(CloseCode, String)>>,
    /// The transport has ended.
    eof: bool,
}

impl Receiving {
    #[inline]
    pub(crate) fn new(role: Role, config: &Config, now: Instant) -> Self {
        Self {
            receiver: Receiver::new(role, config),
            keepalive: config.settings.keepalive.map(|_| Keepalive::new(now)),
            seen: 0,
            close: None,
            eof: false,
        }
    }

    /// Takes compressed messages; see [`Connection::use_deflate`].
    #[cfg(feature = "deflate")]
    pub(crate) fn use_deflate(&mut self) {
        self.receiver.use_deflate();
    }

    /// Advances by at most one frame; the contract is [`Receiver`]'s. The caller passes every control
    /// frame's event to [`Sending::answer`], and an error to [`Sending::fail`].
    #[inline]
    pub fn receive(&mut self, input: &mut [u8], now: Instant) -> Result<Option<Received>, ProtocolError> {
        let received = self.receiver.receive(input)?;
        self.note(received.as_ref(), input, now);
        Ok(received)
    }

    /// Like [`receive`](Self::receive), but hands out data frames as far as they have arrived.
    #[inline]
    pub fn receive_part(
        &mut self,
        input: &mut [u8],
        now: Instant,
    ) -> Result<Option<Received>, ProtocolError> {
        let received = self.receiver.receive_part(input)?;
        self.note(received.as_ref(), input, now);
        Ok(received)
    }

    /// The transport ended: tells how the connection closed.
    ///
    /// "If the TCP connection is closed after the WebSocket closing handshake was completed, the
    /// WebSocket connection is said to have been closed _cleanly_." (section 7.1.4)
    pub fn receive_eof(&mut self, sending: &Sending) -> Closed {
        self.eof = true;
        let initiator = sending.closing.as_ref().map_or(Initiator::Transport, |closing| closing.initiator);
        match &self.close {
            Some(close) => {
                let clean = sending.sender.state() == SendState::CloseSent;
                Closed { code: close.0, reason: close.1.clone(), initiator, clean }
            }
            // "If _The WebSocket Connection is Closed_ and no Close control frame was received by the
            // endpoint [...], _The WebSocket Connection Close Code_ is considered to be 1006."
            None => {
                Closed { code: CloseCode::ABNORMAL_CLOSURE, reason: String::new(), initiator, clean: false }
            }
        }
    }

    /// See [`Receiver::receive_whole`].
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    #[inline]
    pub(crate) fn receive_whole(
        &mut self,
        input: &mut [u8],
        now: Instant,
    ) -> Option<(MessageKind, core::ops::Range<usize>)> {
        let received = self.receiver.receive_whole(input)?;
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.on_bytes(now);
        }
        self.seen = 0;
        Some(received)
    }

    /// See [`Receiver::leave_text`].
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn leave_text(&mut self) {
        self.receiver.leave_text();
    }

    /// See [`Receiver::resume_text`].
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn resume_text(&mut self, utf8: crate::utf8::Utf8Validator) {
        self.receiver.resume_text(utf8);
    }

    /// Receives nothing more, because of an error in what was received.
    pub fn fail(&mut self) {
        self.receiver.fail();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.receiver.state() {
            ReceiveState::Open => self.keepalive.as_ref()?.poll_timeout(self.keepalive_times()?),
            ReceiveState::CloseReceived | ReceiveState::Failed => None,
        }
    }

    /// Does what is due at `now`: a keepalive Ping, or giving up on the peer.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        sending: &mut Sending,
        out: &mut Vec<u8>,
    ) -> Result<(), TimedOut> {
        let (Some(times), Some(_)) = (self.keepalive_times(), self.poll_timeout()) else {
            return Ok(());
        };
        if sending.sender.state() == SendState::CloseSent {
            // After our Close frame it is the closing handshake's deadline that counts.
            self.keepalive = None;
        }
        match self.keepalive.as_mut().and_then(|keepalive| keepalive.handle_timeout(times, now)) {
            Some(Due::Ping) => {
                // It can be sent: no Close frame was.
                let _ = sending.sender.ping(b"", out);
                Ok(())
            }
            Some(Due::GiveUp) => Err(TimedOut::Keepalive),
            None => Ok(()),
        }
    }

    /// How many more bytes complete the frame in progress; see [`Receiver::missing`].
    pub fn missing(&self) -> u64 {
        self.receiver.missing()
    }

    /// What this half still takes.
    pub fn state(&self) -> ReceiveState {
        self.receiver.state()
    }

    /// The state of the connection in the RFC's terms.
    pub fn ready_state(&self, sending: &Sending) -> ReadyState {
        match (self.eof, self.receiver.state(), sending.sender.state()) {
            (true, ..) => ReadyState::Closed,
            (false, ReceiveState::Open, SendState::Open) => ReadyState::Open,
            // "Upon either sending or receiving a Close control frame, it is said that _The WebSocket
            // Closing Handshake is Started_ and that the WebSocket connection is in the CLOSING state."
            (false, ..) => ReadyState::Closing,
        }
    }

    /// Whether to close the transport as soon as `out` is written.
    ///
    /// "If an endpoint is a server, it MUST close the TCP connection immediately" once both Close
    /// frames have passed; "the client SHOULD wait for the server to close the connection" (section
    /// 5.5.1). The same when the connection was failed: a server closes, a client waits, until
    /// [`TimedOut::ClosingHandshake`].
    pub fn should_close_transport(&self, sending: &Sending) -> bool {
        self.receiver.role() == Role::Server
            && self.receiver.state() != ReceiveState::Open
            && sending.sender.state() == SendState::CloseSent
    }

    fn keepalive_times(&self) -> Option<Times> {
        self.receiver.config().settings.keepalive
    }

    #[inline]
    fn note(&mut self, received: Option<&Received>, input: &[u8], now: Instant) {
        let seen = if received.is_some() { 0 } else { input.len() };
        if let Some(keepalive) = &mut self.keepalive
            && (received.is_some() || seen > self.seen)
        {
            keepalive.on_bytes(now);
        }
        self.seen = seen;
        if self.receiver.state() == ReceiveState::CloseReceived && self.close.is_none() {
            self.note_close(received, input);
        }
    }

    #[cold]
    fn note_close(&mut self, received: Option<&Received>, input: &[u8]) {
        if let Some(Event::Close(close)) = received.and_then(|received| received.event(input)) {
            // "If this Close control frame contains no status code, _The WebSocket Connection Close
            // Code_ is considered to be 1005."
            self.close = Some(Box::new(match close {
                Some(close) => (close.code, close.reason.into()),
                None => (CloseCode::NO_STATUS_RECEIVED, String::new()),
            }));
        }
    }
}

/// The sending half of a connection: a [`Sender`], and the deadlines of what was sent.
#[derive(Debug)]
pub struct Sending {
    sender: Sender,
    /// Set by the first Close frame sent; boxed, since most of a connection's life there is none.
    closing: Option<Box<Closing>>,
    /// Set while the transport takes no bytes.
    write_deadline: Option<Instant>,
}

/// The closing handshake.
#[derive(Debug)]
struct Closing {
    initiator: Initiator,
    /// `None` when it is beyond what an `Instant` can tell.
    deadline: Option<Instant>,
}

impl Sending {
    #[inline]
    pub(crate) fn new(sender: Sender) -> Self {
        Self { sender, closing: None, write_deadline: None }
    }

    /// This endpoint's role.
    pub fn role(&self) -> Role {
        self.sender.role()
    }

    /// The sender, for data, Pings and Pongs. To close, use [`close`](Self::close), which arms the
    /// deadline of the closing handshake.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Starts the closing handshake, and arms its deadline.
    pub fn close(
        &mut self,
        close: Option<CloseFrame<'_>>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sender.close(close, out)?;
        self.close_sent(Initiator::Local, now);
        Ok(())
    }

    /// Sends what a received event demands: a Pong for a Ping, a Close frame for a Close frame.
    /// Returns whether it appended anything.
    #[inline]
    pub fn answer(&mut self, event: &Event<'_>, now: Instant, out: &mut Vec<u8>) -> bool {
        match event {
            Event::Data(_) | Event::Pong(_) => false,
            Event::Ping(_) => self.sender.answer(event, out),
            Event::Close(_) => {
                let answered = self.sender.answer(event, out);
                self.close_sent(Initiator::Remote, now);
                answered
            }
        }
    }

    /// Sends the Pong that was held back while `out` was full; see [`Sender::answer_held`].
    pub fn answer_held(&mut self, out: &mut Vec<u8>) -> bool {
        self.sender.answer_held(out)
    }

    /// Whether a Pong is held back.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn holds_pong(&self) -> bool {
        self.sender.holds_pong()
    }

    /// Fails the connection; see [`Sender::fail`].
    pub fn fail(&mut self, error: ProtocolError, now: Instant, out: &mut Vec<u8>) {
        self.sender.fail(error, out);
        self.close_sent(Initiator::Local, now);
    }

    /// The transport takes no more bytes for now: it must take some within [`Config::write_timeout`].
    pub fn on_write_blocked(&mut self, now: Instant) {
        if self.write_deadline.is_none() {
            self.write_deadline = now.checked_add(self.write_timeout());
        }
    }

    /// The transport took bytes.
    pub fn on_written(&mut self) {
        self.write_deadline = None;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.close_deadline(), self.write_deadline].into_iter().flatten().min()
    }

    /// Tells which deadline has passed at `now`, if any.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), TimedOut> {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.close_deadline()) {
            return Err(TimedOut::ClosingHandshake);
        }
        if passed(self.write_deadline) {
            return Err(TimedOut::Write);
        }
        Ok(())
    }

    /// What this half may still send.
    pub fn state(&self) -> SendState {
        self.sender.state()
    }

    /// How long the closing handshake may take, from [`Config::close_timeout`].
    pub fn close_timeout(&self) -> Duration {
        self.sender.config().settings.close_timeout
    }

    /// How much may be queued, from [`Config::write_buffer_size`].
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn write_buffer_size(&self) -> usize {
        self.sender.config().settings.write_buffer_size
    }

    /// How long the transport may take no bytes, from [`Config::write_timeout`].
    pub fn write_timeout(&self) -> Duration {
        self.sender.config().settings.write_timeout
    }

    /// A Close frame was sent: who was the first to send one stands.
    fn close_sent(&mut self, initiator: Initiator, now: Instant) {
        if self.closing.is_none() {
            let deadline = now.checked_add(self.close_timeout());
            self.closing = Some(Box::new(Closing { initiator, deadline }));
        }
    }

    fn close_deadline(&self) -> Option<Instant> {
        self.closing.as_ref()?.deadline
    }
}

/// The state of a connection that was opened (RFC 6455 sections 4.1, 7.1.3 and 7.1.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReadyState {
    /// Messages may be sent.
    Open,
    /// A Close frame was sent or received.
    Closing,
    /// The transport has ended.
    Closed,
}

/// How a connection closed (RFC 6455 sections 7.1.4 to 7.1.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closed {
    /// The code of the first Close frame received; 1005 if it had none, 1006 if none was received.
    pub code: CloseCode,
    /// The reason in that Close frame. Not meant for the eyes of end users (section 5.5.1).
    pub reason: String,
    /// Who ended the connection.
    pub initiator: Initiator,
    /// Both Close frames had passed when the transport ended.
    pub clean: bool,
}

/// Who was the first to end a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Initiator {
    /// This endpoint sent the first Close frame.
    Local,
    /// The peer sent the first Close frame.
    Remote,
    /// Neither did: the transport was lost.
    Transport,
}

//! The receiving half of a connection: events, the peer's silence, and its Close frame.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::clock::Instant;
use super::closing::{Closed, ReadyState};
use super::keepalive::{Due, Keepalive};
use super::send_half::SendHalf;
use crate::config::Config;
use crate::error::{ProtocolError, TimedOut};
use crate::extension::AgreedDeflate;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::Event;
#[cfg(all(feature = "std", feature = "handshake"))]
use crate::message::MessageKind;
use crate::receiver::{ReceiveState, Received, Receiver};
use crate::role::Role;
use crate::sender::SendState;

/// The receiving half of a connection: a [`Receiver`], the keepalive, and the peer's Close frame.
#[derive(Debug)]
pub struct ReceiveHalf<I> {
    receiver: Receiver,
    /// `None` without [`Config::keepalive`], and once it has done its part.
    keepalive: Option<Keepalive<I>>,
    /// What the first Close frame said (sections 7.1.5 and 7.1.6); boxed, since most of a connection's
    /// life there is none.
    close: Option<Box<(CloseCode, String)>>,
    /// A look ahead has found that nothing more will come: the peer's Close frame, or what is none.
    over: bool,
    /// The transport has ended.
    eof: bool,
}

impl<I: Instant> ReceiveHalf<I> {
    #[inline]
    pub(crate) fn new(role: Role, config: &Config, now: I) -> Self {
        Self {
            receiver: Receiver::new(role, config),
            keepalive: config.settings.keepalive.map(|_| Keepalive::new(now)),
            close: None,
            over: false,
            eof: false,
        }
    }

    /// Takes compressed messages; see [`Connection::use_deflate`](super::Connection::use_deflate).
    pub(crate) fn use_deflate(&mut self, agreed: AgreedDeflate) {
        self.receiver.use_deflate(agreed);
    }

    /// Advances by at most one frame; the contract is [`Receiver`]'s. The caller passes every control
    /// frame's event to [`SendHalf::answer`], and an error to [`SendHalf::fail`].
    #[inline]
    pub fn receive(&mut self, input: &mut [u8], now: I) -> Result<Option<Received>, ProtocolError> {
        let received = self.receiver.receive(input)?;
        self.note(received.as_ref(), input, now);
        Ok(received)
    }

    /// Like [`receive`](Self::receive), but hands out data frames as far as they have arrived.
    #[inline]
    pub fn receive_part(&mut self, input: &mut [u8], now: I) -> Result<Option<Received>, ProtocolError> {
        let received = self.receiver.receive_part(input)?;
        self.note(received.as_ref(), input, now);
        Ok(received)
    }

    /// The transport ended: tells how the connection closed.
    ///
    /// "If the TCP connection is closed after the WebSocket closing handshake was completed, the WebSocket
    /// connection is said to have been closed _cleanly_." (6455-7.1.4-01)
    pub fn receive_eof(&mut self, sending: &SendHalf<I>) -> Closed {
        self.eof = true;
        let initiator = sending.initiator();
        match &self.close {
            Some(close) => {
                let clean = sending.state() == SendState::CloseSent;
                Closed { code: close.0, reason: close.1.clone(), initiator, clean }
            }
            // "If _The WebSocket Connection is Closed_ and no Close control frame was received by the
            // endpoint [..], _The WebSocket Connection Close Code_ is considered to be 1006." (6455-7.1.5-01)
            None => {
                Closed { code: CloseCode::ABNORMAL_CLOSURE, reason: String::new(), initiator, clean: false }
            }
        }
    }

    /// See [`Receiver::receive_whole`].
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(crate) fn receive_whole(
        &mut self,
        input: &mut [u8],
        now: I,
    ) -> Option<(MessageKind, core::ops::Range<usize>)> {
        let received = self.receiver.receive_whole(input)?;
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.on_frame(now);
        }
        Some(received)
    }

    /// See [`Receiver::leave_text`].
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn leave_text(&mut self) {
        self.receiver.leave_text();
    }

    /// See [`Receiver::resume_text`].
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn resume_text(&mut self, utf8: crate::utf8::Utf8Validator) {
        self.receiver.resume_text(utf8);
    }

    /// See [`Receiver::next_frame`].
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn next_frame(&self) -> (u64, usize) {
        self.receiver.next_frame()
    }

    /// What it was given.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn config(&self) -> &Config {
        self.receiver.config()
    }

    /// This endpoint's role.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn role(&self) -> Role {
        self.receiver.role()
    }

    /// Bytes were read ahead of what is received: whether they complete frames that show that the peer is alive.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn on_read_ahead(&mut self, bytes: usize, frames: bool, now: I) {
        if let Some(keepalive) = &mut self.keepalive {
            let time = if frames { None } else { self.receiver.config().settings.time_of(bytes) };
            keepalive.on_part(time, now);
        }
    }

    /// The peer's Close frame was seen ahead of what is received.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn close_ahead(&mut self, close: Option<CloseFrame<'_>>) {
        self.over = true;
        self.record_close(close);
    }

    /// An error was seen ahead of what is received.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn fail_ahead(&mut self) {
        self.over = true;
    }

    /// Receives nothing more, because of an error in what was received.
    pub fn fail(&mut self) {
        self.receiver.fail();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<I> {
        match self.receiver.state() {
            ReceiveState::Open if !self.over => {
                self.keepalive.as_ref()?.poll_timeout(self.keepalive_times()?)
            }
            _ => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing is sent before: to send a keepalive Ping after
    /// silence of our own, unless the peer was silent for too long and is to answer one.
    #[inline]
    #[must_use]
    pub fn poll_silence(&self, sending: &SendHalf<I>) -> Option<I> {
        let pinged = self.keepalive.as_ref()?.is_pinged();
        let receives = self.receiver.state() == ReceiveState::Open && !self.over;
        if receives && !pinged { sending.poll_silence() } else { None }
    }

    /// Whether we have been silent for longer than the peer: else its silence is due no later than ours.
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(crate) fn is_silent_first(&self, sending: &SendHalf<I>) -> bool {
        self.keepalive.as_ref().is_some_and(|keepalive| keepalive.is_after(sending.sent()))
    }

    /// Does what is due at `now`: a keepalive Ping, or giving up on the peer.
    pub fn handle_timeout(
        &mut self,
        now: I,
        sending: &mut SendHalf<I>,
        out: &mut Vec<u8>,
    ) -> Result<(), TimedOut> {
        let (Some(times), Some(_)) = (self.keepalive_times(), self.poll_timeout()) else {
            return Ok(());
        };
        if let Some(keepalive) = &mut self.keepalive {
            if let Some(taken) = sending.last_taken() {
                keepalive.on_life(taken);
            }
            if keepalive.is_pinged() && sending.is_blocked() {
                // The Ping may still wait to be written; a peer that takes nothing meets the write deadline. Until then
                // it is looked at again, but not all the time, however short the time for an answer is.
                let pause = (sending.write_timeout() / 8).min(LOOK_AFTER).saturating_sub(times.1);
                keepalive.on_life(now.checked_add(pause).unwrap_or(now));
            }
        }
        if sending.state() == SendState::CloseSent {
            // After our Close frame it is the closing handshake's deadline that counts.
            self.keepalive = None;
        }
        let silent = self.poll_silence(sending).is_some_and(|due| due <= now);
        match self.keepalive.as_mut().and_then(|keepalive| keepalive.handle_timeout(times, silent, now)) {
            Some(Due::Ping) => {
                sending.ping(now, out);
                Ok(())
            }
            Some(Due::GiveUp) => Err(TimedOut::Keepalive),
            None => Ok(()),
        }
    }

    /// Whether a keepalive Ping waits for its answer: what comes then may make the next deadline an earlier one.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_pinged(&self) -> bool {
        self.keepalive.as_ref().is_some_and(Keepalive::is_pinged)
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
    pub fn ready_state(&self, sending: &SendHalf<I>) -> ReadyState {
        match (self.eof, self.receiver.state(), sending.state()) {
            (true, ..) => ReadyState::Closed,
            (false, ReceiveState::Open, SendState::Open) => ReadyState::Open,
            // "Upon either sending or receiving a Close control frame, it is said that _The WebSocket Closing
            // Handshake is Started_ and that the WebSocket connection is in the CLOSING state."
            // (6455-7.1.3-01)
            (false, ..) => ReadyState::Closing,
        }
    }

    /// Whether to close the transport as soon as `out` is written.
    ///
    /// "The server MUST close the underlying TCP connection immediately; the client SHOULD wait for the
    /// server to close the connection" (6455-5.5.1-13, 6455-5.5.1-14) once both Close frames have passed. The
    /// same when the connection was failed: a server closes, a client waits, until
    /// [`TimedOut::ClosingHandshake`]. Some browsers take a Close frame that comes with the end of the transport for an
    /// accident: a server that has failed the connection had better give the peer a moment to end it, as the adapters do.
    pub fn should_close_transport(&self, sending: &SendHalf<I>) -> bool {
        self.receiver.role() == Role::Server
            && (self.over || self.receiver.state() != ReceiveState::Open)
            && sending.state() == SendState::CloseSent
    }

    fn keepalive_times(&self) -> Option<(Duration, Duration)> {
        self.receiver.config().settings.keepalive
    }

    #[inline]
    fn note(&mut self, received: Option<&Received>, input: &[u8], now: I) {
        if let Some(keepalive) = &mut self.keepalive {
            if received.is_some() && self.receiver.missing() == 0 {
                keepalive.on_frame(now);
            } else {
                let len = received.map_or(input.len(), Received::consumed);
                let arrived = keepalive.on_look(len, received.is_none());
                if arrived > 0 {
                    keepalive.on_part(self.receiver.config().settings.time_of(arrived), now);
                }
            }
        }
        if self.receiver.state() == ReceiveState::CloseReceived && self.close.is_none() {
            self.note_close(received, input);
        }
    }

    #[cold]
    fn note_close(&mut self, received: Option<&Received>, input: &[u8]) {
        if let Some(Event::Close(close)) = received.and_then(|received| received.event(input)) {
            self.record_close(close);
        }
    }

    fn record_close(&mut self, close: Option<CloseFrame<'_>>) {
        // "If this Close control frame contains no status code, _The WebSocket Connection Close Code_ is
        // considered to be 1005." (6455-7.1.5-01)
        self.close = Some(Box::new(match close {
            Some(close) => (close.code, close.reason.into()),
            None => (CloseCode::NO_STATUS_RECEIVED, String::new()),
        }));
    }
}

/// How long it takes at most to see that a Ping has been written.
const LOOK_AFTER: Duration = Duration::from_secs(1);

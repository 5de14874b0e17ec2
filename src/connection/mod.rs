//! A connection: both directions, what couples them, and their deadlines, by any clock. No I/O, no buffer.
//!
//! [`Connection`] is two halves that can be parted: [`ReceiveHalf`] (the receiver and the keepalive, which
//! sees the peer's silence) and [`SendHalf`] (the sender, and the deadlines of what was sent). Between them
//! pass three calls only: [`SendHalf::answer`], [`SendHalf::fail`], and the keepalive's Ping. Adapters that
//! give each half to a task or thread make these calls themselves, and lock nothing for a data frame.

mod clock;
mod closing;
mod keepalive;
mod receive_half;
mod send_half;

use alloc::vec::Vec;

pub use self::clock::Instant;
pub use self::closing::{Closed, Initiator, ReadyState};
pub use self::receive_half::ReceiveHalf;
pub use self::send_half::SendHalf;
use crate::config::Config;
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::extension::{AgreedDeflate, Deflate};
use crate::frame::CloseFrame;
use crate::receiver::Received;
use crate::role::Role;
use crate::sender::Sender;

/// A connection after the opening handshake.
///
/// Its methods are of three kinds: getters; what the network and the clock did ([`receive`](Self::receive),
/// [`receive_eof`](Self::receive_eof), [`on_written`](Self::on_written),
/// [`on_write_blocked`](Self::on_write_blocked), [`handle_timeout`](Self::handle_timeout)); and what the
/// application wants ([`sender`](Self::sender), [`close`](Self::close)). All output is appended to the
/// caller's `out`, in whole frames. The [one rule](crate#the-one-rule-of-use) joins them.
///
/// ```
/// use core::time::Duration;
/// use sansocket::{CloseCode, CloseFrame, Config, Connection, Event, ReadyState};
///
/// let now = Duration::ZERO; // Since some start: here, that of the connection.
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
pub struct Connection<I> {
    receiving: ReceiveHalf<I>,
    sending: SendHalf<I>,
}

impl<I: Instant> Connection<I> {
    /// A client's connection; see [`Sender::client`] for `random`.
    pub fn client(config: &Config, random: fn(&mut [u8]), now: I) -> Self {
        Self {
            receiving: ReceiveHalf::new(Role::Client, config, now),
            sending: SendHalf::new(Sender::client(config, random), now),
        }
    }

    /// A server's connection.
    pub fn server(config: &Config, now: I) -> Self {
        Self {
            receiving: ReceiveHalf::new(Role::Server, config, now),
            sending: SendHalf::new(Sender::server(config), now),
        }
    }

    /// Advances by at most one frame, and appends to `out` what it demands. `None`: more input is
    /// needed. The contract is [`Receiver`](crate::Receiver)'s.
    ///
    /// On an error the connection has failed: the Close frame that says so is in `out`.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        now: I,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        let result = self.receiving.receive(input, now);
        self.couple(input, result, now, out)
    }

    /// Like [`receive`](Self::receive), but hands out data frames as far as they have arrived; see
    /// [`Receiver::receive_part`](crate::Receiver::receive_part).
    pub fn receive_part(
        &mut self,
        input: &mut [u8],
        now: I,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ProtocolError> {
        let result = self.receiving.receive_part(input, now);
        self.couple(input, result, now, out)
    }

    /// Compresses messages, and receives compressed ones, with the `agreed` parameters. What is received
    /// is inflated by an [`Assembler`](crate::Assembler) that was told the same.
    pub fn use_deflate(&mut self, deflate: &Deflate, agreed: AgreedDeflate) {
        self.receiving.use_deflate(agreed);
        self.sending.sender().use_deflate(deflate, agreed);
    }

    /// Fails the connection because of an error in what was received, one that an
    /// [`Assembler`](crate::Assembler) found: those that [`receive`](Self::receive) returns have failed it
    /// already.
    pub fn fail(&mut self, error: ProtocolError, now: I, out: &mut Vec<u8>) {
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
        now: I,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.sending.close(close, now, out)
    }

    /// The transport took so many bytes, which are no longer in `out`; see [`SendHalf::on_written`].
    pub fn on_written(&mut self, bytes: usize, now: I, out: &mut Vec<u8>) {
        self.sending.on_written(bytes, now, out);
    }

    /// The transport takes no more bytes for now; see [`SendHalf::on_write_blocked`].
    pub fn on_write_blocked(&mut self, now: I) {
        self.sending.on_write_blocked(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<I> {
        if self.ready_state() == ReadyState::Closed {
            return None;
        }
        let Self { receiving, sending } = self;
        [receiving.poll_timeout(), sending.poll_timeout(), receiving.poll_silence(sending)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `now`: sends a keepalive Ping, or tells that the peer has taken too long,
    /// after which the transport is to be dropped. Calls before anything is due do nothing.
    pub fn handle_timeout(&mut self, now: I, out: &mut Vec<u8>) -> Result<(), TimedOut> {
        self.sending.handle_timeout(now)?;
        self.receiving.handle_timeout(now, &mut self.sending, out)
    }

    /// The state of the connection in the RFC's terms.
    pub fn ready_state(&self) -> ReadyState {
        self.receiving.ready_state(&self.sending)
    }

    /// Whether to close the transport as soon as `out` is written; see
    /// [`ReceiveHalf::should_close_transport`].
    pub fn should_close_transport(&self) -> bool {
        self.receiving.should_close_transport(&self.sending)
    }

    /// Parts the two directions, so that each can have a task or a thread of its own.
    pub fn into_parts(self) -> (ReceiveHalf<I>, SendHalf<I>) {
        (self.receiving, self.sending)
    }

    fn couple(
        &mut self,
        input: &[u8],
        result: Result<Option<Received>, ProtocolError>,
        now: I,
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

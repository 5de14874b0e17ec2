//! A whole WebSocket: both halves in one hand.

use core::ops::Deref;

use bytes::Bytes;

use super::halves::{self, WebSocketReceiver, WebSocketSender};
use super::transport::Transport;
use super::writer::MessageWriter;
use crate::config::Config;
use crate::connection::Closed;
use crate::endpoint::{Error, Incoming, Negotiated, Nothing, Part, Queued, Sendable};
#[cfg(feature = "deflate")]
use crate::extension::AgreedDeflate;
use crate::frame::{CloseCode, CloseFrame};
use crate::handshake::Response;
use crate::handshake::uri::Uri;
use crate::message::{Message, MessageKind};

/// A WebSocket connection over a stream.
///
/// Pings and Close frames of the peer are answered, whether the program receives or not: see [who
/// reads](super#who-reads). When it is dropped the transport is closed as it stands: [`close`](Self::close) it first, so that the peer
/// can tell the end from an accident. Once a Close frame was written, it may be dropped: a task waits a moment for the answer,
/// a tenth of [`Config::close_timeout`] and at most 1 second. Once the peer has closed, too: a task writes what is queued, and
/// the answer, within that timeout.
#[derive(Debug)]
pub struct WebSocket<S: Transport> {
    pub(super) sender: WebSocketSender<S>,
    pub(super) receiver: WebSocketReceiver<S>,
}

impl<S: Transport> WebSocket<S> {
    /// A WebSocket over a stream whose opening handshake was carried out elsewhere, by an HTTP server for one, and
    /// came to `negotiated`: a [`Negotiated`], or just a [`Role`](crate::Role), if nothing was agreed on.
    /// `read_ahead` holds the bytes that were read behind it.
    pub fn from_upgraded(
        io: S,
        negotiated: impl Into<Negotiated>,
        read_ahead: &[u8],
        config: &Config,
    ) -> Self {
        Self::new(io, negotiated.into(), read_ahead, config)
    }

    pub(super) fn new(io: S, negotiated: Negotiated, read_ahead: &[u8], config: &Config) -> Self {
        let (sender, receiver) = halves::halves(io, negotiated, read_ahead, config);
        Self { sender, receiver }
    }

    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.sender.subprotocol()
    }

    /// The parameters of permessage-deflate, if it was negotiated.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<AgreedDeflate> {
        self.sender.deflate()
    }

    /// Whether messages that are sent from now on are compressed, if permessage-deflate was negotiated;
    /// see [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.sender.compress(compress);
    }

    /// The server's response to the opening handshake, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.sender.response()
    }

    /// Where [redirects](crate::Client::redirects) have led, on a client that has followed any.
    pub fn redirected_to(&self) -> Option<&Uri> {
        self.sender.shared.negotiated.redirected_to()
    }

    /// How the connection closed, once it has. Messages that were received before, and the error that ended it, are
    /// still to be received then, if the program was not receiving.
    pub fn closed(&self) -> Option<&Closed> {
        self.receiver.closed()
    }

    /// The stream below. Reading from it or writing to it would corrupt the connection. A second guard waits for the first: two
    /// in one expression wait for ever.
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.sender.get_ref()
    }

    /// Parts the WebSocket in two halves for two tasks. The receiving half answers the peer's Pings
    /// and Close frame.
    pub fn split(self) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
        (self.sender, self.receiver)
    }
}

impl<S: Transport> WebSocket<S> {
    /// The next message. `None`: the connection has ended. [`closed`](Self::closed) tells how, and whether that was by the
    /// closing handshake: `clean`.
    ///
    /// Before it waits, everything that was queued is written. An error ends the connection: it is
    /// returned once, after all messages that were received before it, and then `None`.
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        self.receiver.recv()
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_incoming(&mut self) -> impl Future<Output = Result<Option<Incoming>, Error>> {
        self.receiver.recv_incoming()
    }

    /// The next part of a message, as it arrives: a message of any size is received in constant memory.
    ///
    /// If [`recv`](Self::recv) is called before the last part of a message, the rest of it is skipped.
    ///
    /// Cancel safe: nothing received is lost.
    pub fn recv_part(&mut self) -> impl Future<Output = Result<Option<Part>, Error>> {
        self.receiver.recv_part()
    }

    /// Sends a message: text, bytes, a [`Message`], or a `&PreparedMessage`.
    ///
    /// When it returns, the message was handed to the transport, unless more of what was read waits to be
    /// received: then the answers to all of it go together, before the task waits for anything. See [when a message is written](super#when-a-message-is-written).
    ///
    /// What comes while it waits is read ahead, up to [`Config::read_buffer_size`]: two peers that send each other more
    /// than that and what the transport holds, and both wait for it, come to [`Config::write_timeout`]. Halves in tasks of
    /// their own do not. If it is found that the peer has closed, it fails with
    /// [`SendError::Closing`](crate::SendError::Closing).
    ///
    /// A large message that is to be compressed is compressed step by step: other tasks have their turn between, and
    /// the receiving half answers meanwhile. See [large messages](super#large-messages).
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub fn send(&mut self, message: impl Sendable) -> impl Future<Output = Result<(), Error>> {
        self.sender.send(message)
    }

    /// Queues a message. It is sent by [`flush`](Self::flush), or by [`recv`](Self::recv) before it
    /// waits. Waits only while [`Config::write_buffer_size`] bytes are queued.
    ///
    /// Dropped before it returns, the message was not queued.
    pub fn feed(&mut self, message: impl Sendable) -> impl Future<Output = Result<(), Error>> {
        self.sender.feed(message)
    }

    /// Queues a message, if there is room for it. False: it was not queued, since [`Config::write_buffer_size`] bytes
    /// wait to be written. Fails where no message may be sent, like [`send`](Self::send).
    ///
    /// It never waits, and writes nothing: [`flush`](Self::flush) does, and [`recv`](Self::recv) before it waits. A
    /// large message that is to be compressed is compressed at once, where [`feed`](Self::feed) lets other tasks have
    /// their turn. With [`queued`](Self::queued) it is for a program that will not wait for a slow client, but leaves messages out, or
    /// closes the connection.
    pub fn try_feed(&mut self, message: impl Sendable) -> Result<bool, Error> {
        self.sender.try_feed(message)
    }

    /// How much is queued and not yet written.
    pub fn queued(&self) -> Queued {
        self.sender.queued()
    }

    /// Queues part of a message: the first part begins it, `last` ends it. Waits like
    /// [`feed`](Self::feed).
    ///
    /// Each part is sent as a fragment. Between the parts of one message no other can be sent.
    ///
    /// Dropped before it returns, the part was not queued.
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> impl Future<Output = Result<(), Error>> {
        self.sender.feed_part(kind, payload, last)
    }

    /// A writer that sends what is written to it as one message, in fragments.
    pub fn message_writer(&mut self, kind: MessageKind) -> MessageWriter<'_, S> {
        self.sender.message_writer(kind)
    }

    /// Writes everything that was queued. Fails like [`send`](Self::send), if the peer closes before it has taken that; which
    /// may still be written then.
    ///
    /// Cancel safe: what is left is written by the next call that writes.
    pub fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        self.sender.flush()
    }

    /// Sends a Ping, with at most 125 bytes that the Pong will repeat;
    /// [`recv_incoming`](Self::recv_incoming) returns it.
    ///
    /// Dropped before it returns, the Ping was either not sent, or will be sent by the next call that
    /// writes.
    pub fn ping(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.sender.ping(payload)
    }

    /// Sends a Pong that no Ping asked for: a sign of life that is not answered.
    ///
    /// Cancel safety as with [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.sender.pong(payload)
    }

    /// Closes the connection: sends a Close frame, waits for the peer's and for the end of the
    /// transport, no longer than [`Config::close_timeout`]. Messages that still arrive are discarded;
    /// to receive them, use [`start_close`](Self::start_close), and then [`recv`](Self::recv) until it
    /// returns `None`.
    ///
    /// Does nothing on a connection that was closed before. Fails when the peer does not complete the
    /// closing handshake. What breaks the protocol meanwhile is no error, nor is a Close frame of the peer's that does so one of
    /// `recv`: [`closed`](Self::closed) tells that the end was not clean.
    ///
    /// Dropped before it returns, the Close frame was queued: call it again, or `recv`, to go on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(Some(CloseFrame { code, reason }))?;
        self.receiver.next::<Nothing>().await.map(drop)
    }

    /// Queues a Close frame, and returns at once. No message can be sent after it. Does nothing if a
    /// Close frame was sent before.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        if self.closed().is_some() {
            return Ok(());
        }
        self.sender.start_close(close)
    }
}

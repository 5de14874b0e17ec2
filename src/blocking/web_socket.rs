//! A whole WebSocket: both directions in one thread.

use alloc::sync::Arc;
use core::ops::Deref;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::time::Instant;

use bytes::Bytes;

use super::halves::{self, WebSocketReceiver, WebSocketSender};
use super::ports::WholePort;
use super::retry::Retry;
use super::sending::Sending;
use super::shared::Reading;
use super::tracker::{Progress, Token};
use super::transport::{ReadTimeout, Transport, TryClone, keep_write_timeout};
use super::writer::MessageWriter;
use crate::config::Config;
use crate::connection::Closed;
use crate::endpoint::{
    Error, Inbound, Incoming, Item, Negotiated, Nothing, Outbound, Part, Queued, Sendable, random,
};
#[cfg(feature = "deflate")]
use crate::extension::AgreedDeflate;
use crate::frame::{CloseCode, CloseFrame};
use crate::handshake::Response;
use crate::handshake::uri::Uri;
use crate::message::{Message, MessageKind};

/// A WebSocket connection over a stream.
///
/// Pings and Close frames of the peer are answered by [`recv`](Self::recv), and in a program that does not call it by the
/// calls that send: see [who reads](super#who-reads). When the WebSocket is dropped, what [`send`](Self::send) left
/// queued is written, and so are answers, which may take [`Config::write_timeout`], and the transport is closed as it
/// stands: [`close`](Self::close) it first, so that the peer can tell the end from an accident. Nor is an answer to a Close
/// frame waited for, by which some peers tell it, too.
#[derive(Debug)]
pub struct WebSocket<S: Transport> {
    pub(super) reading: Reading,
    /// The sending half.
    pub(super) sender: WebSocketSender<S>,
}

impl<S: Transport> WebSocket<S> {
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
        self.reading.inbound.closed()
    }

    /// The stream below. Reading from it or writing to it would corrupt the connection. What
    /// [`send`](Self::send) left queued is not written while the guard is held, and a second guard waits for the first: two in
    /// one expression wait for ever.
    pub fn get_ref(&self) -> impl Deref<Target = S> {
        self.sender.get_ref()
    }
}

impl<S: Transport> WebSocket<S> {
    /// A WebSocket over a stream whose opening handshake was carried out elsewhere, and came to `negotiated`: a
    /// [`Negotiated`], or just a [`Role`](crate::Role), if nothing was agreed on. `read_ahead` holds the bytes that
    /// were read behind it. A socket is set to blocking mode. Fails when that, or the stream's timeouts, cannot be set.
    pub fn from_upgraded(
        mut io: S,
        negotiated: impl Into<Negotiated>,
        read_ahead: &[u8],
        config: &Config,
    ) -> io::Result<Self> {
        io.set_blocking()?;
        keep_write_timeout(&mut io)?;
        Ok(Self::new(io, negotiated.into(), read_ahead, config))
    }

    /// The stream is to have the [write timeout](keep_write_timeout).
    #[inline]
    pub(super) fn new(io: S, negotiated: Negotiated, read_ahead: &[u8], config: &Config) -> Self {
        let now = Instant::now();
        let inbound = Inbound::new(&negotiated, config, read_ahead, now);
        let outbound = Outbound::new(&negotiated, config, random, now);
        let sender = WebSocketSender::new(io, negotiated, outbound);
        Self {
            reading: Reading {
                inbound,
                timeout: ReadTimeout::default(),
                retry: Retry::default(),
                token: None,
            },
            sender,
        }
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, token: Arc<Token>) {
        token.advance(Progress::Open);
        self.reading.token = Some(token);
    }

    /// The next message. `None`: the connection has ended. [`closed`](Self::closed) tells how, and whether that was by the
    /// closing handshake: `clean`.
    ///
    /// Before it waits, everything that was queued is written. An error ends the connection: it is
    /// returned once, after all messages that were received before it, and then `None`.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.next::<Message>()
    }

    /// The next message, if it comes in this time, else [`Poll::Pending`]: nothing is lost then, also of a message that has
    /// come in part, and the connection goes on. `Ready(None)` is what `None` is of [`recv`](Self::recv).
    ///
    /// ```no_run
    /// # fn run(ws: &mut sansocket::blocking::WebSocket<std::net::TcpStream>) -> Result<(), sansocket::Error> {
    /// use core::task::Poll;
    /// use core::time::Duration;
    ///
    /// loop {
    ///     match ws.recv_timeout(Duration::from_millis(100))? {
    ///         Poll::Ready(Some(message)) => println!("{message:?}"),
    ///         Poll::Ready(None) => break,
    ///         Poll::Pending => println!("do something else"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What has come already is looked at whatever the timeout is, zero too, which takes a millisecond. It may return late
    /// by an eighth of the timeout, as [deadlines](super#deadlines) may be noticed; and by some milliseconds, where
    /// there is something to write that the transport does not take. The connection's own deadlines hold meanwhile, and
    /// fail the call as they fail `recv`. Over a stream without timeouts, such as [`NoDeadlines`](super::NoDeadlines), it
    /// waits as long as the stream does: until the peer has sent something, be it no whole message.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Poll<Option<Message>>, Error> {
        let until = Instant::now().checked_add(timeout);
        self.sender.shared.note_received();
        self.reading.next_until(&mut WholePort::new(&self.sender.shared), until)
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    pub fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
        self.next::<Incoming>()
    }

    /// The next part of a message, as it arrives: a message of any size is received in constant memory.
    ///
    /// If [`recv`](Self::recv) is called before the last part of a message, the rest of it is skipped.
    pub fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        self.next::<Part>()
    }

    /// Queues a message. It is sent by [`flush`](Self::flush), or by [`recv`](Self::recv) before it
    /// waits. Writes what is queued when that is [`Config::write_buffer_size`] bytes.
    pub fn feed(&mut self, message: impl Sendable) -> Result<(), Error> {
        self.sending().feed(message.to_send())
    }

    /// Queues a message, if there is room for it. False: it was not queued, since [`Config::write_buffer_size`] bytes
    /// wait to be written. Fails where no message may be sent, like [`send`](Self::send).
    ///
    /// It never waits, and writes nothing: [`flush`](Self::flush) does, and [`recv`](Self::recv) before it waits. With
    /// [`queued`](Self::queued) it is for a program that will not wait for a slow client, but leaves messages out, or
    /// closes the connection.
    pub fn try_feed(&mut self, message: impl Sendable) -> Result<bool, Error> {
        self.sender.try_feed(message)
    }

    /// How much is queued and not yet written.
    pub fn queued(&self) -> Queued {
        self.sender.queued()
    }

    /// Queues part of a message: the first part begins it, `last` ends it. Writes like
    /// [`feed`](Self::feed).
    ///
    /// Each part is sent as a fragment. Between the parts of one message no other can be sent.
    pub fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        self.sending().feed_part(kind, payload, last)
    }

    /// A writer that sends what is written to it as one message, in fragments.
    pub fn message_writer(&mut self, kind: MessageKind) -> MessageWriter<'_, S> {
        MessageWriter::new(self.sending(), kind)
    }

    /// Writes everything that was queued. Fails like [`send`](Self::send), if the peer closes before it has taken that; which
    /// may still be written then.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.sending().flush()
    }

    /// Sends a Ping, with at most 125 bytes that the Pong will repeat;
    /// [`recv_incoming`](Self::recv_incoming) returns it.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sending().write(|outbound| outbound.ping(payload))
    }

    /// Sends a Pong that no Ping asked for: a sign of life that is not answered.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sending().write(|outbound| outbound.pong(payload))
    }

    /// Closes the connection: sends a Close frame, waits for the peer's and for the end of the
    /// transport, no longer than [`Config::close_timeout`]. Messages that still arrive are discarded;
    /// to receive them, use [`start_close`](Self::start_close), and then [`recv`](Self::recv) until it
    /// returns `None`.
    ///
    /// Does nothing on a connection that was closed before. Fails when the peer does not complete the
    /// closing handshake. What breaks the protocol meanwhile is no error, nor is a Close frame of the peer's that does so one of
    /// `recv`: [`closed`](Self::closed) tells that the end was not clean.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(Some(CloseFrame { code, reason }))?;
        self.next::<Nothing>().map(drop)
    }

    /// Queues a Close frame, and returns at once. No message can be sent after it. Does nothing if a
    /// Close frame was sent before.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        if self.closed().is_some() {
            return Ok(());
        }
        self.sender.queue_close(close)
    }

    fn next<T: Item>(&mut self) -> Result<Option<T>, Error> {
        self.sender.shared.note_received();
        self.reading.next::<T>(WholePort::new(&self.sender.shared))
    }

    fn sending(&mut self) -> Sending<'_, S> {
        Sending::whole(&self.sender.shared, &mut self.reading)
    }
}

impl<S: Transport + Send + 'static> WebSocket<S> {
    /// Sends a message: text, bytes, a [`Message`], or a `&PreparedMessage`.
    ///
    /// When it returns, the message was handed to the transport, unless more of what was read waits to be
    /// received. Then it is written with what is sent next: by [`recv`](Self::recv) before it waits, by
    /// [`flush`](Self::flush), when [`Config::write_buffer_size`] bytes are queued, when the WebSocket is
    /// dropped, and otherwise some two milliseconds later, behind the caller's back. If that fails, the next
    /// call tells so. See [when a message is written](super#when-a-message-is-written).
    ///
    /// While it waits for the transport, what has come is looked at a few times a second, and read ahead up to
    /// [`Config::read_buffer_size`]: two peers that send each other more than that and what the transport holds, and both
    /// wait for it, come to [`Config::write_timeout`]. Halves in threads of their own do not. If it finds that the peer
    /// has closed, it fails with [`SendError::Closing`](crate::SendError::Closing).
    pub fn send(&mut self, message: impl Sendable) -> Result<(), Error> {
        let unread = self.reading.inbound.is_unread() && !self.reading.inbound.is_ahead();
        self.sending().send(unread, message.to_send())
    }
}

impl<S: TryClone> WebSocket<S> {
    /// Parts the WebSocket in two halves for two threads. The receiving half answers the peer's
    /// Pings and Close frame. Fails with [`Error::ConnectionLost`] when the stream cannot be cloned, since the process has
    /// too many files open for one: the transport is closed then.
    pub fn split(self) -> Result<(WebSocketSender<S>, WebSocketReceiver<S>), Error> {
        halves::split(self.reading, self.sender)
    }
}

//! A whole WebSocket: both directions in one task.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::drive::{Half, Reading, Shared, Timer, Wakers, now};
use super::split::{self, WebSocketReceiver, WebSocketSender};
use super::stream::MessageWriter;
use crate::adapter::{self, Agreed, Incoming, Outbound, Part, Step, Want};
use crate::config::Config;
use crate::connection::Closed;
use crate::error::{Error, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::handshake::Response;
use crate::message::{Message, MessageKind};
use crate::role::Role;

/// A WebSocket connection over a stream.
///
/// Pings and Close frames of the peer are answered by whichever call waits for the transport. When it
/// is dropped the transport is closed as it stands: [`close`](Self::close) it first, so that the peer
/// can tell the end from an accident.
#[derive(Debug)]
pub struct WebSocket<S> {
    pub(super) reading: Reading,
    pub(super) shared: Shared<S>,
    /// The deadline of what is being sent.
    pub(super) timer: Timer,
    /// Made when the WebSocket is used as a `Stream` or a `Sink`, and so perhaps from two tasks.
    wakers: Option<Arc<Wakers>>,
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "there is nothing in it"))]
    agreed: Agreed,
    subprotocol: Option<Box<str>>,
    response: Option<Box<Response>>,
}

impl<S> WebSocket<S> {
    /// A WebSocket over a stream whose opening handshake was done elsewhere, by an HTTP server for one.
    /// `read_ahead` holds the bytes that were read behind it.
    pub fn from_upgraded(io: S, role: Role, read_ahead: &[u8], config: &Config) -> Self {
        Self::new(io, role, Agreed::default(), read_ahead, config)
    }

    pub(super) fn new(io: S, role: Role, agreed: Agreed, read_ahead: &[u8], config: &Config) -> Self {
        let (inbound, outbound) = adapter::halves(role, config, agreed, read_ahead, now());
        Self {
            reading: Reading::new(inbound),
            shared: Shared::new(io, outbound),
            timer: Timer::default(),
            wakers: None,
            agreed,
            subprotocol: None,
            response: None,
        }
    }

    pub(super) fn opened(mut self, subprotocol: Option<String>, response: Option<Response>) -> Self {
        self.subprotocol = subprotocol.map(String::into_boxed_str);
        self.response = response.map(Box::new);
        self
    }

    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The parameters of permessage-deflate, if it was negotiated.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<crate::AgreedDeflate> {
        self.agreed.deflate
    }

    /// Whether messages that are sent from now on are compressed, if permessage-deflate was negotiated;
    /// see [`Sender::compress`](crate::Sender::compress).
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.shared.outbound.sending.sender().compress(compress);
    }

    /// The server's response to the opening handshake, on a client.
    pub fn response(&self) -> Option<&Response> {
        self.response.as_deref()
    }

    /// How the connection closed, once [`recv`](Self::recv) has returned `None` or an error that ends
    /// the connection.
    pub fn closed(&self) -> Option<&Closed> {
        self.reading.closed.as_ref()
    }

    /// The stream below. Reading from it or writing to it would corrupt the connection.
    pub fn get_ref(&self) -> &S {
        &self.shared.io
    }

    /// Parts the WebSocket in two halves for two tasks. The receiving half answers the peer's Pings
    /// and Close frame.
    pub fn split(self) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
        split::split(self.reading, self.shared, self.timer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The next message. `None`: the connection was closed by the closing handshake; see
    /// [`closed`](Self::closed).
    ///
    /// Before it waits, everything that was queued is written. An error ends the connection: it is
    /// returned once, after all messages that were received before it, and then `None`.
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Like [`recv`](Self::recv), and returns Pings and Pongs too. Pings have been answered.
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv_incoming(&mut self) -> Result<Option<Incoming>, Error> {
        poll_fn(|cx| self.poll_step(cx, Want::MessagesAndPings))
            .await
            .map(|step| step.and_then(Step::into_incoming))
    }

    /// The next part of a message, as it arrives: a message of any size is received in constant memory.
    ///
    /// If [`recv`](Self::recv) is called before the last part of a message, the rest of it is skipped.
    ///
    /// Cancel safe: nothing received is lost.
    pub async fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        poll_fn(|cx| self.poll_step(cx, Want::Parts)).await.map(|step| step.and_then(Step::into_part))
    }

    /// Sends a message. When it returns, the message was handed to the transport.
    ///
    /// It does not receive meanwhile: two peers that send each other more than the transport holds, and
    /// both wait for it, come to [`Config::write_timeout`]. Halves in tasks of their own do not.
    ///
    /// Dropped before it returns, the message was either not sent at all, or will be sent whole, by the
    /// next call that writes.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message. It is sent by [`flush`](Self::flush), or by [`recv`](Self::recv) before it
    /// waits. Waits only while [`Config::write_buffer_size`] bytes are queued.
    ///
    /// Dropped before it returns, the message was not queued.
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_room(cx, &mut self.timer)).await?;
        self.shared.outbound.queue(|outbound| outbound.send(message.into()))
    }

    /// Queues part of a message: the first part begins it, `last` ends it. Waits like
    /// [`feed`](Self::feed).
    ///
    /// Each part is sent as a fragment. Between the parts of one message no other can be sent.
    ///
    /// Dropped before it returns, the part was not queued.
    pub async fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_room(cx, &mut self.timer)).await?;
        self.shared.outbound.queue(|outbound| outbound.send_part(kind, payload.into(), last))
    }

    /// A writer that sends what is written to it as one message, in fragments.
    pub fn message_writer(&mut self, kind: MessageKind) -> MessageWriter<'_, S> {
        MessageWriter::new(self, kind)
    }

    /// Writes everything that was queued.
    ///
    /// Cancel safe: what is left is written by the next call that writes.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_flush_in_time(cx, &mut self.timer)).await
    }

    /// Sends a Ping, with at most 125 bytes that the Pong will repeat;
    /// [`recv_incoming`](Self::recv_incoming) returns it.
    ///
    /// Dropped before it returns, the Ping was either not sent, or will be sent by the next call that
    /// writes.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send_control(|outbound| outbound.ping(payload)).await
    }

    /// Sends a Pong that no Ping asked for: a sign of life that is not answered.
    ///
    /// Cancel safety as with [`ping`](Self::ping).
    pub async fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send_control(|outbound| outbound.pong(payload)).await
    }

    /// Closes the connection: sends a Close frame, waits for the peer's and for the end of the
    /// transport, no longer than [`Config::close_timeout`]. Messages that still arrive are discarded;
    /// to receive them, use [`start_close`](Self::start_close), and then [`recv`](Self::recv) until it
    /// returns `None`.
    ///
    /// Does nothing on a connection that was closed before. Fails when the peer does not complete the
    /// closing handshake.
    ///
    /// Dropped before it returns, the Close frame was queued: call it again, or `recv`, to go on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(Some(CloseFrame { code, reason }))?;
        while self.recv_part().await?.is_some() {}
        Ok(())
    }

    /// Queues a Close frame, and returns at once. No message can be sent after it. Does nothing if a
    /// Close frame was sent before.
    pub fn start_close(&mut self, close: Option<CloseFrame<'_>>) -> Result<(), Error> {
        if self.closed().is_some() {
            return Ok(());
        }
        self.shared.outbound.queue(|outbound| outbound.close(close, now()))
    }

    async fn send_control(
        &mut self,
        queue: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll_room(cx, &mut self.timer)).await?;
        self.shared.outbound.queue(queue)?;
        self.flush().await
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.poll_step(cx, Want::Messages).map_ok(|step| step.and_then(Step::into_message))
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, want: Want) -> Poll<Result<Option<Step>, Error>> {
        self.reading.poll_next(cx, &mut self.shared, want).map(Option::transpose)
    }

    /// Polls as one of two tasks.
    pub(super) fn poll_as<T>(
        &mut self,
        half: Half,
        cx: &Context<'_>,
        f: impl FnOnce(&mut Self, &mut Context<'_>) -> T,
    ) -> T {
        let wakers = self.wakers.get_or_insert_default().clone();
        wakers.poll(half, cx, |cx| f(self, cx))
    }
}

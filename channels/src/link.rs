//! What moves a connection's messages.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sansocket::tokio::{Transport, WebSocket};
use sansocket::{CloseCode, CloseFrame, Initiator, Message, MessageKind, Utf8Bytes};
use tokio::time::timeout;

use crate::close::{Close, Leave};

/// What moves a connection's messages: a WebSocket, or a page of the test kit.
pub(crate) trait Link: Send {
    /// What it fails with.
    type Error: Send;

    /// What the client sends next. Cancel safe.
    fn recv(&mut self) -> impl Future<Output = Result<Incoming, Self::Error>> + Send;

    /// Takes a message to be sent; waits only while there is no room. Dropped before it returns, it was not taken.
    fn feed(&mut self, message: Message) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Sends what it has taken. Cancel safe.
    fn flush(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Closes, within this time.
    fn close(&mut self, close: &Close, within: Duration) -> impl Future<Output = ()> + Send;
}

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message),
    /// A message that is larger than one may be.
    TooBig,
    /// Nothing more: why its sessions end.
    Closed(Leave),
}

/// A WebSocket, of which no message is received that is larger than the hub allows, whatever its own configuration says.
pub(crate) struct Socket<S: Transport> {
    ws: WebSocket<S>,
    max_frame: usize,
    /// What there is of a message that comes in parts.
    begun: BytesMut,
}

impl<S: Transport> Socket<S> {
    pub(crate) fn new(ws: WebSocket<S>, max_frame: usize) -> Self {
        Self { ws, max_frame, begun: BytesMut::new() }
    }
}

impl<S: Transport> Link for Socket<S> {
    type Error = sansocket::Error;

    async fn recv(&mut self) -> Result<Incoming, sansocket::Error> {
        loop {
            let Some(part) = self.ws.recv_part().await? else {
                let by_server = self.ws.closed().is_some_and(|closed| closed.initiator == Initiator::Local);
                return Ok(Incoming::Closed(if by_server { Leave::Drained } else { Leave::Closed }));
            };
            if self.begun.len() + part.payload.len() > self.max_frame {
                return Ok(Incoming::TooBig);
            }
            let payload = match (part.first, part.last) {
                (true, true) => part.payload,
                (_, false) => {
                    self.begun.extend_from_slice(&part.payload);
                    continue;
                }
                (false, true) => {
                    self.begun.extend_from_slice(&part.payload);
                    std::mem::take(&mut self.begun).freeze()
                }
            };
            return Ok(message(part.kind, payload).map_or(Incoming::Closed(Leave::Lost), Incoming::Message));
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), sansocket::Error> {
        self.ws.feed(message).await
    }

    async fn flush(&mut self) -> Result<(), sansocket::Error> {
        self.ws.flush().await
    }

    async fn close(&mut self, close: &Close, within: Duration) {
        let code = CloseCode::new(close.code());
        let _ = self.ws.start_close(Some(CloseFrame { code, reason: close.reason() }));
        let closing = async { while matches!(self.ws.recv_part().await, Ok(Some(_))) {} };
        let _ = timeout(within, closing).await;
    }
}

/// A message of these bytes. That text is UTF-8 was seen when it came.
fn message(kind: MessageKind, payload: Bytes) -> Option<Message> {
    Some(match kind {
        MessageKind::Text => Message::Text(Utf8Bytes::try_from(payload).ok()?),
        MessageKind::Binary => Message::Binary(payload),
    })
}

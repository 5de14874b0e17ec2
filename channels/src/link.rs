//! What moves a connection's messages.

use std::future::Future;
use std::time::Duration;

use sansocket::tokio::{Transport, WebSocket};
use sansocket::{CloseCode, CloseFrame, Initiator, Message};
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
    /// Nothing more: why its sessions end.
    Closed(Leave),
}

impl<S: Transport> Link for WebSocket<S> {
    type Error = sansocket::Error;

    async fn recv(&mut self) -> Result<Incoming, sansocket::Error> {
        let received = self.recv().await?;
        Ok(received.map_or_else(|| Incoming::Closed(ended(self)), Incoming::Message))
    }

    async fn feed(&mut self, message: Message) -> Result<(), sansocket::Error> {
        self.feed(message).await
    }

    async fn flush(&mut self) -> Result<(), sansocket::Error> {
        self.flush().await
    }

    async fn close(&mut self, close: &Close, within: Duration) {
        let code = CloseCode::new(close.code());
        let _ = self.start_close(Some(CloseFrame { code, reason: close.reason() }));
        let closing = async { while matches!(self.recv_part().await, Ok(Some(_))) {} };
        let _ = timeout(within, closing).await;
    }
}

/// Why the sessions end of a connection that was closed.
fn ended<S: Transport>(ws: &WebSocket<S>) -> Leave {
    let by_server = ws.closed().is_some_and(|closed| closed.initiator == Initiator::Local);
    if by_server { Leave::Drained } else { Leave::Closed }
}

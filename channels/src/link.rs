//! What moves a connection's messages.

use std::future::Future;
use std::time::Duration;

use sansocket::tokio::{Transport, WebSocketReceiver, WebSocketSender};
use sansocket::{CloseCode, CloseFrame, Initiator, Message, PreparedMessage};
use tokio::time::timeout;

use crate::close::{Close, Leave};

/// What a client's messages come from: the receiving half of a WebSocket, the bodies of a client that polls, or a page of the test
/// kit. It is apart from the [`Sink`], so that what comes can be waited for while something is written.
pub(crate) trait Source: Send {
    /// What it fails with.
    type Error: Send;

    /// What the client sends next. Cancel safe.
    fn recv(&mut self) -> impl Future<Output = Result<Incoming, Self::Error>> + Send;
}

/// What a client's messages go to.
pub(crate) trait Sink: Send {
    /// What they come from.
    type Source: Source;

    /// Takes a message to be sent, if that is done at once. False: it has to be [fed](Self::feed). Called with the connection's queue
    /// locked: it wakes nobody.
    fn try_feed(&mut self, message: &PreparedMessage) -> Result<bool, Error<Self>>;

    /// Takes a message to be sent; waits only while there is no room. Dropped before it returns, it was not taken.
    fn feed(&mut self, message: &PreparedMessage) -> impl Future<Output = Result<(), Error<Self>>> + Send;

    /// Sends what it has taken. Cancel safe.
    fn flush(&mut self) -> impl Future<Output = Result<(), Error<Self>>> + Send;

    /// Closes, within this time.
    fn close(
        &mut self,
        source: &mut Self::Source,
        close: &Close,
        within: Duration,
    ) -> impl Future<Output = ()> + Send;
}

/// What both fail with.
pub(crate) type Error<S> = <<S as Sink>::Source as Source>::Error;

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message),
    /// Nothing more: why its sessions end.
    Closed(Leave),
}

impl<S: Transport> Source for WebSocketReceiver<S> {
    type Error = sansocket::Error;

    async fn recv(&mut self) -> Result<Incoming, sansocket::Error> {
        let received = self.recv().await?;
        Ok(received.map_or_else(|| Incoming::Closed(ended(self)), Incoming::Message))
    }
}

impl<S: Transport> Sink for WebSocketSender<S> {
    type Source = WebSocketReceiver<S>;

    fn try_feed(&mut self, message: &PreparedMessage) -> Result<bool, sansocket::Error> {
        // A large one may have to be compressed, step by step.
        if message.payload().len() >= LARGE { Ok(false) } else { self.try_feed(message) }
    }

    async fn feed(&mut self, message: &PreparedMessage) -> Result<(), sansocket::Error> {
        self.feed(message).await
    }

    async fn flush(&mut self) -> Result<(), sansocket::Error> {
        self.flush().await
    }

    async fn close(&mut self, source: &mut WebSocketReceiver<S>, close: &Close, within: Duration) {
        let code = CloseCode::new(close.code());
        let _ = self.start_close(Some(CloseFrame { code, reason: close.reason() }));
        let closing = async { while matches!(source.recv_part().await, Ok(Some(_))) {} };
        let _ = timeout(within, closing).await;
    }
}

/// Why the sessions end of a connection that was closed.
fn ended<S: Transport>(receiver: &WebSocketReceiver<S>) -> Leave {
    let by_server = receiver.closed().is_some_and(|closed| closed.initiator == Initiator::Local);
    if by_server { Leave::Drained } else { Leave::Closed }
}

/// From how many bytes on a message is compressed step by step, if it is to be compressed.
const LARGE: usize = 4 << 10;

//! What takes the place of a socket.

use std::sync::Arc;
use std::time::Duration;

use sansocket::PreparedMessage;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::mailbox::Mailbox;
use crate::close::Close;
use crate::hub::Hub;
use crate::link::{Incoming, Sink, Source};

/// The hub's end of a connection whose client polls: what its bodies bring.
pub(crate) struct PollSource {
    mailbox: Arc<Mailbox>,
    incoming: mpsc::Receiver<Incoming>,
}

/// What its polls take. Dropped, it is known no more.
pub(crate) struct PollSink {
    hub: Hub,
    mailbox: Arc<Mailbox>,
}

/// Nobody polls any more, or something has not arrived.
#[derive(Debug)]
pub(crate) struct Lost;

pub(super) fn halves(
    hub: Hub,
    mailbox: Arc<Mailbox>,
    incoming: mpsc::Receiver<Incoming>,
) -> (PollSink, PollSource) {
    (PollSink { hub, mailbox: mailbox.clone() }, PollSource { mailbox, incoming })
}

impl Source for PollSource {
    type Error = Lost;

    async fn recv(&mut self) -> Result<Incoming, Lost> {
        loop {
            tokio::select! {
                biased;
                looked_at = self.mailbox.looked_at() => looked_at?,
                // There is always what the mailbox has to send by.
                Some(incoming) = self.incoming.recv() => return Ok(incoming),
            }
        }
    }
}

impl Sink for PollSink {
    type Source = PollSource;

    fn try_feed(&mut self, message: &PreparedMessage) -> Result<bool, Lost> {
        self.mailbox.put(message)
    }

    async fn feed(&mut self, message: &PreparedMessage) -> Result<(), Lost> {
        while !self.mailbox.put(message)? {
            self.mailbox.hand_out();
            self.mailbox.looked_at().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        self.mailbox.hand_out();
        Ok(())
    }

    /// The client is not told the code: there is no place for it.
    async fn close(&mut self, source: &mut PollSource, _: &Close, within: Duration) {
        source.incoming.close();
        self.mailbox.close();
        let told = async { while !self.mailbox.is_told() && self.mailbox.looked_at().await.is_ok() {} };
        let _ = timeout(within, told).await;
    }
}

impl Drop for PollSink {
    fn drop(&mut self) {
        self.hub.inner().polls.remove(self.mailbox.token());
        self.mailbox.close();
    }
}

//! What takes the place of a socket.

use std::sync::Arc;
use std::time::Duration;

use sansocket::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::mailbox::Mailbox;
use crate::close::Close;
use crate::hub::Hub;
use crate::link::{Incoming, Link};

/// The hub's end of a connection whose client polls. Dropped, it is known no more.
pub(crate) struct PollLink {
    hub: Hub,
    mailbox: Arc<Mailbox>,
    incoming: mpsc::Receiver<Incoming>,
}

/// Nobody polls any more, or something has not arrived.
#[derive(Debug)]
pub(crate) struct Lost;

impl PollLink {
    pub(super) fn new(hub: Hub, mailbox: Arc<Mailbox>, incoming: mpsc::Receiver<Incoming>) -> Self {
        Self { hub, mailbox, incoming }
    }
}

impl Link for PollLink {
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

    async fn feed(&mut self, message: Message) -> Result<(), Lost> {
        let mut message = Some(message);
        loop {
            self.mailbox.put(&mut message)?;
            if message.is_none() {
                return Ok(());
            }
            self.mailbox.looked_at().await?;
        }
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        self.mailbox.hand_out();
        Ok(())
    }

    /// The client is not told the code: there is no place for it.
    async fn close(&mut self, _: &Close, within: Duration) {
        self.incoming.close();
        self.mailbox.close();
        let told = async { while !self.mailbox.is_told() && self.mailbox.looked_at().await.is_ok() {} };
        let _ = timeout(within, told).await;
    }
}

impl Drop for PollLink {
    fn drop(&mut self) {
        self.hub.inner().polls.remove(self.mailbox.token());
        self.mailbox.close();
    }
}

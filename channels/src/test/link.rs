//! What takes the place of a socket.

use std::time::Duration;

use sansocket::{Message, ProtocolError};
use tokio::sync::{mpsc, watch};

use crate::close::{Close, Leave};
use crate::link::{Incoming, Link};

/// The hub's end of a page's connection. What is taken counts as sent; while the page stalls, nothing is.
pub(super) struct PageLink {
    pub(super) from_page: mpsc::UnboundedReceiver<FromPage>,
    pub(super) to_page: mpsc::UnboundedSender<ToPage>,
    pub(super) stalled: watch::Receiver<bool>,
    pub(super) max_frame: usize,
}

/// What a page does.
pub(super) enum FromPage {
    Send(Message),
    Close,
}

/// What a page is told.
pub(super) enum ToPage {
    Message(Message),
    Closed(Close),
}

/// The page is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl PageLink {
    async fn until_taken(&mut self) -> Result<(), Gone> {
        self.stalled.wait_for(|stalled| !stalled).await.map(drop).map_err(|_| Gone)
    }
}

impl Link for PageLink {
    type Error = Gone;

    async fn recv(&mut self) -> Result<Incoming, Gone> {
        Ok(match self.from_page.recv().await.ok_or(Gone)? {
            FromPage::Send(message) if message.len() > self.max_frame => {
                // As the core does.
                let error = ProtocolError::MessageTooBig;
                let _ =
                    self.to_page.send(ToPage::Closed(Close::of(error.close_code().get(), error.reason())));
                return Err(Gone);
            }
            FromPage::Send(message) => Incoming::Message(message),
            FromPage::Close => Incoming::Closed(Leave::Closed),
        })
    }

    async fn feed(&mut self, message: Message) -> Result<(), Gone> {
        self.until_taken().await?;
        self.to_page.send(ToPage::Message(message)).map_err(|_| Gone)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn close(&mut self, close: &Close, within: Duration) {
        // A page that stalls learns of it when it has read what was before; its transport is gone by then.
        let _ = self.to_page.send(ToPage::Closed(close.clone()));
        let _ = tokio::time::timeout(within, self.until_taken()).await;
    }
}

//! What takes the place of a socket.

use std::time::Duration;

use sansocket::{Message, MessageKind, PreparedMessage, ProtocolError, Utf8Bytes};
use tokio::sync::{mpsc, watch};

use crate::close::{Close, Leave};
use crate::conn_id::ConnId;
use crate::drive::drive;
use crate::link::{Incoming, Sink, Source};
use crate::opening::Admitted;

/// The page's end of its connection.
pub(super) struct Wire {
    pub(super) conn: ConnId,
    pub(super) to_hub: mpsc::UnboundedSender<FromPage>,
    pub(super) from_hub: mpsc::UnboundedReceiver<ToPage>,
    pub(super) stall: watch::Sender<bool>,
}

impl Wire {
    pub(super) fn open(admitted: Admitted) -> Self {
        let (to_hub, from_page) = mpsc::unbounded_channel();
        let (to_page, from_hub) = mpsc::unbounded_channel();
        let stall = watch::Sender::new(false);
        let conn = admitted.connection().id;
        let max_frame = admitted.connection().hub.inner().limits.frame;
        let source = PageSource { from_page, to_page: to_page.clone(), max_frame };
        let sink = PageSink { taken: Vec::new(), to_page, stalled: stall.subscribe() };
        // It ends by itself when the page is gone.
        tokio::spawn(async { drop(drive(admitted, (sink, source)).await) });
        Self { conn, to_hub, from_hub, stall }
    }
}

/// The hub's end of a page's connection: what the page sends.
struct PageSource {
    from_page: mpsc::UnboundedReceiver<FromPage>,
    to_page: mpsc::UnboundedSender<ToPage>,
    max_frame: usize,
}

/// What the page is told. What is taken counts as sent; while the page stalls, nothing is.
struct PageSink {
    /// Told when nothing is locked any more.
    taken: Vec<ToPage>,
    to_page: mpsc::UnboundedSender<ToPage>,
    stalled: watch::Receiver<bool>,
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
struct Gone;

impl Source for PageSource {
    type Error = Gone;

    async fn recv(&mut self) -> Result<Incoming, Gone> {
        Ok(match self.from_page.recv().await.ok_or(Gone)? {
            FromPage::Send(message) if message.len() > self.max_frame => {
                // As the core does with a frame.
                let error = ProtocolError::FrameTooBig;
                let _ =
                    self.to_page.send(ToPage::Closed(Close::of(error.close_code().get(), error.reason())));
                return Err(Gone);
            }
            FromPage::Send(message) => Incoming::Message(message),
            FromPage::Close => Incoming::Closed(Leave::Closed),
        })
    }
}

impl PageSink {
    async fn until_taken(&mut self) -> Result<(), Gone> {
        self.stalled.wait_for(|stalled| !stalled).await.map(drop).map_err(|_| Gone)
    }
}

impl Sink for PageSink {
    type Source = PageSource;

    fn try_feed(&mut self, message: &PreparedMessage) -> Result<bool, Gone> {
        let is_taken = !*self.stalled.borrow();
        if is_taken {
            self.taken.push(ToPage::Message(as_sent(message)));
        }
        Ok(is_taken)
    }

    async fn feed(&mut self, message: &PreparedMessage) -> Result<(), Gone> {
        self.flush().await?;
        self.until_taken().await?;
        self.taken.push(ToPage::Message(as_sent(message)));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        self.taken.drain(..).try_for_each(|taken| self.to_page.send(taken)).map_err(|_| Gone)
    }

    async fn close(&mut self, _: &mut PageSource, close: &Close, within: Duration) {
        // A page that stalls learns of it when it has read what was before; its transport is gone by then.
        let _ = self.to_page.send(ToPage::Closed(close.clone()));
        let _ = tokio::time::timeout(within, self.until_taken()).await;
    }
}

/// A message as the page sees it.
fn as_sent(message: &PreparedMessage) -> Message {
    let payload = message.shared_payload();
    match message.kind() {
        MessageKind::Text => Utf8Bytes::try_from(payload).unwrap_or_default().into(),
        MessageKind::Binary => payload.into(),
    }
}

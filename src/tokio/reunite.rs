//! Two halves become a WebSocket again.

use alloc::sync::Arc;

use super::halves::{WebSocketReceiver, WebSocketSender};
use super::transport::Transport;
use super::web_socket::WebSocket;
use crate::endpoint::ReuniteError;

impl<S: Transport> WebSocketReceiver<S> {
    /// Joins the halves of one connection to the WebSocket that was split, at whatever stage it is: nothing that was
    /// received or queued is lost. Fails if the two are not of one connection, and gives both back.
    ///
    /// ```no_run
    /// # async fn run(ws: sansocket::tokio::WebSocket<tokio::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut sender, receiver) = ws.split();
    /// sender.send("hello").await?;
    /// let mut ws = receiver.reunite(sender)?;
    /// ws.close(sansocket::CloseCode::NORMAL, "").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reunite(
        self,
        sender: WebSocketSender<S>,
    ) -> Result<WebSocket<S>, ReuniteError<WebSocketSender<S>, Self>> {
        if Arc::ptr_eq(&self.shared, &sender.shared) {
            Ok(WebSocket { sender, receiver: self })
        } else {
            Err(ReuniteError { sender, receiver: self })
        }
    }
}

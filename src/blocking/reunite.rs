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
    /// The second handle of the stream is kept until the WebSocket is dropped, or split again.
    ///
    /// ```no_run
    /// # fn run(ws: sansocket::blocking::WebSocket<std::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut sender, receiver) = ws.split()?;
    /// sender.send("hello")?;
    /// let mut ws = receiver.reunite(sender)?;
    /// ws.close(sansocket::CloseCode::NORMAL, "")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reunite(
        self,
        sender: WebSocketSender<S>,
    ) -> Result<WebSocket<S>, ReuniteError<WebSocketSender<S>, Self>> {
        if !Arc::ptr_eq(&self.shared, &sender.shared) {
            return Err(ReuniteError { sender, receiver: self });
        }
        match self.shared.join() {
            // This half leaves nothing behind when it is dropped.
            Some(reading) => Ok(WebSocket { reading, sender }),
            // Which two halves of one connection never are.
            None => Err(ReuniteError { sender, receiver: self }),
        }
    }
}

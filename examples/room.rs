//! A chat in which nobody waits for who reads slowly: `cargo run --release --example room`

use sansocket::tokio::{Pending, serve_with};
use sansocket::{CloseCode, Config, Error, PreparedMessage, Server};
use tokio::sync::broadcast::{self, error::RecvError};

/// How far a client may be behind the others, in messages: they are held once, for all of them.
const BEHIND: usize = 64;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let server = Server::default().config(Config::default().max_message_size(4096));
    let room = broadcast::Sender::new(BEHIND);
    serve_with(listener, &server, tokio::signal::ctrl_c(), move |pending| chat(pending, room.clone())).await
}

async fn chat(pending: Pending, room: broadcast::Sender<PreparedMessage>) -> Result<(), Error> {
    let mut ws = pending.accept().await?;
    let mut said = room.subscribe();
    loop {
        tokio::select! {
            message = ws.recv() => match message? {
                // Framed here once, for all who listen: at least this one.
                Some(message) => drop(room.send(PreparedMessage::new(message))),
                None => return Ok(()),
            },
            message = said.recv() => match message {
                Ok(message) => ws.send(&message).await?,
                Err(RecvError::Lagged(_)) => return ws.close(CloseCode::POLICY_VIOLATION, "too slow").await,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

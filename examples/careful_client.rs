//! A client that comes back: `cargo run --release --example careful_client -- ws://127.0.0.1:9001/echo TOKEN_FILE`

use sansocket::reconnect::{Attempt, Event, Policy};
use sansocket::tokio::{ClientStream, WebSocket, connect, reconnect_with};
use sansocket::{Client, Error};

#[tokio::main]
async fn main() {
    let mut ws = reconnect_with(&Policy::default(), open);
    loop {
        match ws.recv_event().await {
            Ok(Some(Event::Message(message))) => println!("{message:?}"),
            Ok(Some(Event::Lost(lost))) => eprintln!("{lost}"),
            Ok(Some(_)) => println!("open"),
            Ok(None) => return println!("closed: {:?}", ws.closed()),
            Err(error) => return eprintln!("{error}"),
        }
    }
}

/// The token may be another one each time: after 401, for one.
async fn open(_: Attempt) -> Result<WebSocket<ClientStream>, Error> {
    let [uri, token] = [1, 2].map(|n| std::env::args().nth(n).unwrap_or_default());
    let token = std::fs::read_to_string(token).map_err(Error::Connect)?;
    let client = Client::new(&uri)?.bearer(token.trim())?.redirects(5).proxy_from_env();
    let mut ws = connect(client).await?;
    ws.send("hello").await?;
    Ok(ws)
}

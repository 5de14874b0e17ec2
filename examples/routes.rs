//! Paths, subprotocols, a token, limits, and a stop in good order: `cargo run --release --example routes`
//!
//! Pages of other origins are refused by default, with 403: `Server::origins`.

use futures_util::StreamExt;
use sansocket::handshake::{HttpRequest, Reply};
use sansocket::tokio::{Pending, serve_with};
use sansocket::{CloseCode, Error, Server};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let server = Server::default().subprotocols(["v2.chat", "v1.chat"]).max_connections(3).when_full(503)?;
    let server = server.on_error(|failure| eprintln!("{failure}"));
    // On Ctrl-C all connections are closed with 1001, and what has not ended in 10 seconds is dropped.
    serve_with(listener, &server, tokio::signal::ctrl_c(), route).await?;
    println!("bye");
    Ok(())
}

async fn route(pending: Pending) -> Result<(), Error> {
    if token(pending.request()) != Some("secret") {
        let refusal = Reply::new(401)?.header("WWW-Authenticate", "Bearer")?.text("Which token?\n");
        return pending.respond(&refusal).await;
    }
    let path = pending.request().path().to_owned();
    match path.rsplit_once('/') {
        Some(("", "echo")) => {
            let (sender, receiver) = pending.accept().await?.split();
            receiver.forward(sender).await
        }
        Some(("/room", name)) => {
            let mut ws = pending.accept().await?;
            ws.send(format!("{name} speaks {}", ws.subprotocol().unwrap_or("anything"))).await?;
            ws.close(CloseCode::NORMAL, "").await
        }
        _ => pending.reject(404, "There are /echo and /room/NAME.\n").await,
    }
}

/// From a header, or from the query: a browser's WebSocket sends no headers of the page's choice.
fn token(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    header.or_else(|| request.query()?.split('&').find_map(|pair| pair.strip_prefix("token=")))
}

//! A page to which a server pushes: `cargo run --release --example clock`

use std::time::{Duration, Instant};

use sansocket::tokio::{Pending, serve_with};
use sansocket::{Error, Server, handshake::Reply};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    let server = Server::default().page("/", Reply::ok().html(include_str!("page.html")));
    serve_with(listener, &server, tokio::signal::ctrl_c(), push).await
}

/// Until the page is closed, or the server stops: then `send` fails. Who only sends need not receive.
async fn push(pending: Pending) -> Result<(), Error> {
    let (mut ws, opened) = (pending.accept().await?, Instant::now());
    loop {
        ws.send(format!("{} seconds", opened.elapsed().as_secs())).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

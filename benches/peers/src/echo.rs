//! What the echo servers of the peers share.

use std::future::Future;
use std::io;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::ACCEPT;

/// Listens on `--addr`, on one thread, and runs `echo` for each connection.
pub fn serve<F: Future + 'static>(echo: impl Fn(TcpStream) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let listener = TcpListener::bind(addr()).await.expect("an address that is free");
        loop {
            let (tcp, _) = listener.accept().await.expect("a connection");
            tcp.set_nodelay(true).expect("a socket option");
            let echo = echo(tcp);
            // A client that fails is the client's affair. Not every peer's connection is `Send`.
            tokio::task::spawn_local(async move { drop(echo.await) });
        }
    }));
}

/// Listens on `--addr`, and runs `echo` for each connection in a thread of its own, until it returns nothing.
pub fn serve_blocking(echo: fn(std::net::TcpStream) -> Option<()>) {
    let listener = std::net::TcpListener::bind(addr()).expect("an address that is free");
    for tcp in listener.incoming() {
        let tcp = tcp.expect("a connection");
        tcp.set_nodelay(true).expect("a socket option");
        std::thread::spawn(move || echo(tcp));
    }
}

/// Echoes the messages of a peer that is a stream and a sink of them: one by one, or batched, all that are there and
/// then one write. (To read between two writes would write what is queued.)
pub async fn messages<W, M, E>(mut ws: W, batched: bool, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut batch = Vec::new();
    while let Some(message) = ws.next().await {
        let message = message?;
        if !is_data(&message) {
            continue;
        }
        if !batched {
            ws.send(message).await?;
            continue;
        }
        batch.push(message);
        while let Some(Some(message)) = ws.next().now_or_never() {
            batch.push(message?);
        }
        for message in batch.drain(..) {
            ws.feed(message).await?;
        }
        ws.flush().await?;
    }
    Ok(())
}

/// Where to listen.
pub fn addr() -> String {
    crate::option("--addr").unwrap_or_else(|| String::from("127.0.0.1:9001"))
}

/// The opening handshake for peers that leave it to hyper. It is not what is measured: it answers the only
/// key that the load client sends.
pub async fn handshake(tcp: &mut TcpStream, deflate: bool) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let extensions = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{extensions}\r\n"
    );
    tcp.write_all(response.as_bytes()).await
}

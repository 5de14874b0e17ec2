//! What the echo servers of the peers share.

use std::future::Future;
use std::io;

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

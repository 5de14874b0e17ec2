//! A hub that is served, and what its clients say over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use sansocket::tokio::{ClientStream, WebSocket};
use sansocket::{Client, Message, Server};
use sansocket_channels::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A hub that is served until this is stopped.
pub struct Served {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub async fn new(hub: &Hub) -> Self {
        Self::by(hub, Server::default()).await
    }

    pub async fn by(hub: &Hub, server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let hub = hub.clone();
        let serving = tokio::spawn(async move { hub.serve(listener, &server, stopped).await });
        Self { address, stop, serving }
    }

    /// Stops it, and waits until it has.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.serving).await.unwrap().unwrap();
    }
}

/// A client of a server at this address, which is told the rest of its path.
pub fn client(address: SocketAddr, query: &str) -> Client {
    Client::new(&format!("ws://{address}/socket/websocket{query}")).unwrap()
}

/// Connects; the status of the refusal, if there is one.
pub async fn connect(client: Client) -> Result<WebSocket<ClientStream>, u16> {
    match soon(sansocket::tokio::connect(client)).await {
        Ok(ws) => Ok(ws),
        Err(error) => Err(error.refusal().unwrap_or_else(|| panic!("{error}")).status()),
    }
}

/// The next message, if it is text.
pub async fn told(ws: &mut WebSocket<ClientStream>) -> String {
    match soon(ws.recv()).await.unwrap() {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?} {:?}", ws.closed()),
    }
}

/// The response to a request, whole.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    soon(tcp.read_to_end(&mut response)).await.unwrap();
    String::from_utf8(response).unwrap()
}

/// The head of the response to a request, or some of it.
pub async fn head(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes())
        .await
        .unwrap();
    let mut response = [0; 64];
    soon(tcp.read_exact(&mut response)).await.unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// What does not wait for ever.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap()
}

//! axum with `tokio::sync::broadcast`, as its example of a chat has it, but with one task for each client instead of two.
//! With `--batched`, what has come meanwhile is written together.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use channels_peers::{addr, filling, flag};
use futures_util::SinkExt;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // As many frames as our queues have room for.
        let (news, _) = broadcast::channel::<Utf8Bytes>(1024);
        let app =
            Router::new().route("/news", get(subscribe)).route("/control", get(control)).with_state(news);
        let listener = TcpListener::bind(addr()).await.expect("an address that is free").tap_io(|tcp| {
            tcp.set_nodelay(true).expect("a socket option");
        });
        axum::serve(listener, app).await.expect("it serves");
    });
}

/// "For scenarios where you expect a lot of connections and don't need high read load performance a smaller buffer, e.g. 4 KiB,
/// would be appropriate."
async fn subscribe(upgrade: WebSocketUpgrade, State(news): State<Sender<Utf8Bytes>>) -> Response {
    let upgrade = upgrade.read_buffer_size(4 << 10);
    let news = news.subscribe();
    upgrade.on_upgrade(async move |socket| {
        take_part(socket, news, flag("--batched")).await;
    })
}

async fn take_part(mut socket: WebSocket, mut news: Receiver<Utf8Bytes>, batched: bool) -> Option<()> {
    loop {
        tokio::select! {
            message = socket.recv() => drop(message?.ok()?),
            message = news.recv() => match message {
                Ok(message) if batched => {
                    socket.feed(Message::Text(message)).await.ok()?;
                    while let Ok(message) = news.try_recv() {
                        socket.feed(Message::Text(message)).await.ok()?;
                    }
                    socket.flush().await.ok()?;
                }
                Ok(message) => socket.send(Message::Text(message)).await.ok()?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            },
        }
    }
}

async fn control(upgrade: WebSocketUpgrade, State(news): State<Sender<Utf8Bytes>>) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let filling = filling(0);
        while let Some(Ok(Message::Text(times))) = socket.recv().await {
            for _ in 0..times.parse().unwrap_or(0) {
                news.send(filling.as_str().into()).ok();
            }
        }
    })
}

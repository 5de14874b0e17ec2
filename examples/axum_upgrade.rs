//! A page to which a server pushes, inside axum: `cargo run --release --example axum_upgrade --features axum`

use std::time::{Duration, Instant};

use axum::{Extension, Router, response::Response, routing, serve::ListenerExt};
use sansocket::{Server, http::WebSocketUpgrade};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    let server = Server::default();
    let app = Router::new().route("/", routing::get(axum::response::Html(include_str!("page.html"))));
    let app = app.route("/events", routing::any(push)).layer(Extension(server.clone()));
    let stop = async move {
        drop(tokio::signal::ctrl_c().await);
        // What has become a WebSocket is not axum's to stop; but over HTTP/2, axum waits for it.
        sansocket::http::stop(&server).await;
    };
    axum::serve(listener.tap_io(|tcp| drop(tcp.set_nodelay(true))), app).with_graceful_shutdown(stop).await
}

async fn push(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut ws| {
        let opened = Instant::now();
        while ws.send(format!("{} seconds", opened.elapsed().as_secs())).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

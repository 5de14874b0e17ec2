//! Pushing from a handler of axum's: `cargo run --release -p sansocket-channels --example axum --features tower`
//!
//! `curl --data hello http://127.0.0.1:8000/news`
#![expect(clippy::print_stdout, reason = "it tells its address")]

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use sansocket_channels::{Drain, Hub, Open};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let hub = Hub::builder().channel("news", Open).build()?;
    let service = hub.service();
    let app = Router::new()
        .route("/", get(async || Html(include_str!("axum.html"))))
        .route("/news", post(publish))
        .route_service("/channels.js", service.clone())
        .route_service("/socket/longpoll", service.clone())
        .route_service("/socket/websocket", service)
        .with_state(hub.clone());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("open http://{}", listener.local_addr()?);
    let stop = async move {
        tokio::signal::ctrl_c().await.ok();
        // What has become a WebSocket is not axum's to stop.
        hub.drain(Drain::default()).await;
    };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

/// The hub is part of the state, and sends from wherever it is.
async fn publish(State(hub): State<Hub>, text: String) -> String {
    match hub.broadcast("news", "told", &json!({ "text": text })) {
        Ok(sent) => format!("told {} pages\n", sent.local),
        Err(error) => format!("{error}\n"),
    }
}

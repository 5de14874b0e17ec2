//! The first example of the README, as it stands there: `cargo run -p sansocket-channels --example news`, and open
//! <http://127.0.0.1:8000/>.

use std::time::Duration;

use sansocket::Server;
use sansocket_channels::{Hub, Open};
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().channel("news", Open).page("/", "text/html", PAGE).build()?;
    let news = hub.clone();
    tokio::spawn(async move {
        for n in 0.. {
            tokio::time::sleep(Duration::from_secs(1)).await; // Whatever happens in your program.
            news.broadcast("news", "tick", &json!({ "n": n })).ok(); // From any task or thread; never waits for a browser.
        }
    });
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    Ok(hub.serve(listener, &Server::default(), tokio::signal::ctrl_c()).await?)
}

const PAGE: &str = r#"<!doctype html><p id="status">?</p> <script type="module">
import { Socket } from "/channels.js";
const news = new Socket("/socket").channel("news");
news.on("tick", ({ n }) => { document.getElementById("status").textContent = n; });
await news.join(); </script>"#;

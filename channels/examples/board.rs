//! A board to draw on together: `cargo run --release -p sansocket-channels --example board`
#![expect(clippy::print_stdout, reason = "it tells its address")]

use std::time::Duration;

use sansocket::Server;
use sansocket_channels::{Channel, Cx, Hub, Joined, Leave, Payload, Refusal, Reply, Session, TopicOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    // Who joins gets the drawing, which is the newest lines of the last hour.
    let options = TopicOptions::new().history(1_000, Duration::from_secs(3600)).latest(1_000);
    let hub = Hub::builder()
        .channel_with("board:{name}", options, Boards)
        .page("/", "text/html", include_str!("board.html"))
        .build()?;
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    Ok(hub.serve(listener, &Server::default(), tokio::signal::ctrl_c()).await?)
}

struct Boards;

/// Somebody at a board.
struct Board;

/// Shares of the board's width and height.
#[derive(Deserialize, Serialize)]
struct Point(f32, f32);

impl Channel for Boards {
    type Session = Board;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Board>, Refusal> {
        Ok(Joined::new(Board))
    }
}

impl Session for Board {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        let by = cx.conn().to_string();
        match event {
            // One that waits to be sent is replaced by a newer one of the same hand: nobody is sent where it was.
            "hand" => {
                let at: Point = payload.parse()?;
                cx.others().keyed(&by).send("hand", &json!({ "by": by, "at": at }))?;
            }
            "line" => {
                let line: Vec<Point> = payload.parse()?;
                if line.len() > 500 {
                    return Err(Refusal::new("too long"));
                }
                cx.others().send("line", &json!({ "by": by, "line": line }))?;
            }
            _ => return Err(Refusal::unknown_event()),
        }
        Ok(Reply::ok())
    }

    async fn leave(self, cx: &Cx, _: Leave) {
        cx.others().keyed(&cx.conn().to_string()).send("hand", &json!({ "by": cx.conn(), "at": null })).ok();
    }
}

//! Rooms, with who is there and who is typing: `cargo run --release -p sansocket-channels --example chat`
#![expect(clippy::print_stdout, reason = "it tells its address")]

use std::time::Duration;

use sansocket::Server;
use sansocket_channels::{
    Channel, Cx, Denied, Handshake, Hub, Identity, Joined, OnFull, Payload, Refusal, Reply, Session,
    TopicOptions,
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let options = TopicOptions::new()
        // Who joins sees the last 50 messages, and who was away all that he has missed.
        .history(500, Duration::from_secs(3600))
        .latest(50)
        .presence()
        // Who reads slowly misses something, and is told so. Nobody waits for him, and he is not thrown out.
        .on_full(OnFull::DropOldest);
    let hub = Hub::builder()
        .channel_with("room:{name}", options, Rooms)
        .authenticate(authenticate)
        .page("/", "text/html", include_str!("chat.html"))
        .build()?;
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    Ok(hub.serve(listener, &Server::default(), tokio::signal::ctrl_c()).await?)
}

/// Before the connection is opened. Here the token is the name; yours would prove it.
async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
    match handshake.bearer().map(str::trim) {
        Some(name) if (1..=30).contains(&name.len()) => Ok(Identity::user(name)),
        _ => Err(Denied::UNAUTHORIZED),
    }
}

struct Rooms;

/// A person in a room.
struct Room;

#[derive(Deserialize)]
struct Say {
    text: String,
}

impl Channel for Rooms {
    type Session = Room;

    async fn join(&self, cx: &Cx, _: Payload) -> Result<Joined<Room>, Refusal> {
        // Not everybody may be everywhere.
        if cx.param::<String>("name")? == "cellar" {
            return Err(Refusal::new("unauthorized"));
        }
        Joined::new(Room).track(&json!({}))
    }
}

impl Session for Room {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        match event {
            "say" => {
                let Say { text } = payload.parse()?;
                if text.len() > 2000 {
                    return Err(Refusal::new("too long"));
                }
                cx.broadcast("said", &json!({ "by": cx.user(), "text": text }))?;
            }
            // Of this only the newest is worth something: who is behind is not sent it.
            "typing" => drop(cx.others().volatile().send("typing", &json!({ "by": cx.user() }))?),
            _ => return Err(Refusal::unknown_event()),
        }
        Ok(Reply::ok())
    }
}

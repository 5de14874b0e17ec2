//! A server that asks its page, and shows it how long work goes on: `cargo run --release -p sansocket-channels --example ask`
#![expect(clippy::print_stdout, reason = "it tells its address")]

use std::time::Duration;

use sansocket::Server;
use sansocket_channels::{AskError, Cx, Events, Hub, Payload, Refusal, Reply, ReplyTo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let hub = Hub::builder()
        .channel("work", Events::new().on("start", start))
        .page("/", "text/html", include_str!("ask.html"))
        .build()?;
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    Ok(hub.serve(listener, &Server::default(), tokio::signal::ctrl_c()).await?)
}

/// The page wants work to be done. While this waits, nothing else that the page pushes is handled; so the work is done in a task,
/// which answers when it is over.
async fn start(cx: Cx, _: Payload) -> Result<Reply, Refusal> {
    // The answer comes past what waits to be handled.
    let question = json!({ "text": "How many tables are to be set?", "of": [3, 12, 40] });
    let tables: u32 = cx.ask("choose", &question, Duration::from_secs(20)).await?;
    if let Some(answer) = cx.reply_to() {
        tokio::spawn(work(cx, tables.min(100), answer));
    }
    Ok(Reply::none())
}

async fn work(cx: Cx, tables: u32, answer: ReplyTo) {
    for table in 1..=tables {
        sleep(Duration::from_millis(150)).await;
        cx.push("progress", &json!({ "done": table, "of": tables })).ok();
        if table * 2 == tables {
            let question = json!({ "text": "Half of them are set. Go on?", "of": [true, false] });
            match cx.ask("choose", &question, Duration::from_secs(30)).await {
                Ok(true) => {}
                Ok(false) => return answer.error(Refusal::new("stopped")),
                // The page has gone: nobody waits for the answer.
                Err(AskError::Gone) => return,
                Err(_) => return answer.error(Refusal::new("nobody answered")),
            }
        }
    }
    answer.ok(&json!({ "tables": tables })).ok();
}

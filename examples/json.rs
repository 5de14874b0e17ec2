//! Types in text messages, as JSON: `cargo run --release --example json --features json`

use sansocket::tokio::{Pending, serve};
use sansocket::{CloseCode, Message};
use serde::{Deserialize, Serialize};

/// `{"ask":"sum","of":[1,2]}`
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    Sum { of: Vec<f64> },
    Length { of: String },
}

/// `{"sum":3.0}`
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Sum(f64),
    Length(usize),
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    serve(listener, client).await
}

async fn client(pending: Pending) -> std::io::Result<()> {
    let mut ws = pending.accept().await?;
    while let Some(message) = ws.recv().await? {
        let Message::Text(text) = message else {
            return Ok(ws.close(CloseCode::UNSUPPORTED_DATA, "JSON is text").await?);
        };
        let Ok(question) = serde_json::from_str(&text) else {
            return Ok(ws.close(CloseCode::INVALID_PAYLOAD_DATA, "not a question").await?);
        };
        ws.send(serde_json::to_string(&answer(question))?).await?;
    }
    Ok(())
}

fn answer(question: Question) -> Answer {
    match question {
        Question::Sum { of } => Answer::Sum(of.iter().sum()),
        Question::Length { of } => Answer::Length(of.chars().count()),
    }
}

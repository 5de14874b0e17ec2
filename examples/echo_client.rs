//! A client that sends one message and prints the answer: `cargo run --release --example echo_client`

#[tokio::main]
async fn main() -> Result<(), sansocket::Error> {
    let mut ws = sansocket::tokio::connect("ws://127.0.0.1:9001").await?;
    ws.send("hello").await?;
    if let Some(sansocket::Message::Text(text)) = ws.recv().await? {
        println!("{text}");
    }
    ws.close(sansocket::CloseCode::NORMAL, "").await
}

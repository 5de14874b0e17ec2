//! Sends every message back: `cargo run --release --example echo_server`

use futures_util::StreamExt;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    println!("listening on ws://127.0.0.1:9001");
    sansocket::tokio::serve("127.0.0.1:9001", async |pending| {
        let (sender, receiver) = pending.accept().await?.split();
        receiver.forward(sender).await
    })
    .await
}

//! An echo server: `cargo run --release --example echo_server`.

#[tokio::main]
async fn main() -> std::io::Result<()> {
    println!("listening on ws://127.0.0.1:9001");
    sansocket::tokio::serve("127.0.0.1:9001", async |pending| {
        let mut ws = pending.accept().await?;
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, sansocket::Error>(())
    })
    .await
}

//! A client through a proxy: `cargo run --release --example proxy_client -- 127.0.0.1:3128 ws://127.0.0.1:9001/echo TOKEN`

use std::io;
use std::time::Duration;

use sansocket::{Client, CloseCode, Uri, tokio::connect_over};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [proxy, uri, token] = [1, 2, 3].map(|n| std::env::args().nth(n).unwrap_or_default());
    let client = Client::new(&uri)?.header("Authorization", &format!("Bearer {token}"))?;
    let tunnel = timeout(Duration::from_secs(30), tunnel(&proxy, client.uri())).await??;
    let mut ws = match connect_over(client, tunnel).await {
        Ok(ws) => ws,
        Err(error) => {
            if let Some(refusal) = error.refusal() {
                println!("{} {}", refusal.status(), String::from_utf8_lossy(refusal.body()));
            }
            return Err(error.into());
        }
    };
    ws.send("hello").await?;
    println!("{:?}", ws.recv().await?);
    Ok(ws.close(CloseCode::NORMAL, "").await?)
}

/// The buffer is the stream from here on: it may have read what the server said behind the proxy's answer.
async fn tunnel(proxy: &str, to: &Uri) -> io::Result<BufReader<TcpStream>> {
    // IPv6 keeps its brackets, and a default port is named too.
    let host = to.authority().trim_end_matches(&format!(":{}", to.port()));
    let to = format!("{host}:{}", to.port());
    let mut tunnel = BufReader::new(TcpStream::connect(proxy).await?);
    tunnel.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await?;
    let (mut head, mut limited) = (String::new(), (&mut tunnel).take(8192));
    while !head.ends_with("\r\n\r\n") {
        if limited.read_line(&mut head).await? == 0 {
            return Err(io::Error::other("the proxy gives no answer"));
        }
    }
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(tunnel),
        _ => Err(io::Error::other(format!("the proxy refuses: {head}"))),
    }
}

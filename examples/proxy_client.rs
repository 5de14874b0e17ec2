//! A client through a proxy: `cargo run --release --example proxy_client -- ws://127.0.0.1:9001/echo http://127.0.0.1:3128 TOKEN`
//!
//! Or `socks5h://..`; and `proxy_from_env` takes the proxy that the environment names.

use std::process::ExitCode;

use sansocket::{Client, CloseCode, Error, tokio::connect};

#[tokio::main]
async fn main() -> ExitCode {
    let [uri, proxy, token] = [1, 2, 3].map(|n| std::env::args().nth(n).unwrap_or_default());
    match talk(&uri, &proxy, &token).await {
        Ok(()) => ExitCode::SUCCESS,
        // A refusal, be it the proxy's or the server's, says whose it is.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn talk(uri: &str, proxy: &str, token: &str) -> Result<(), Error> {
    let client = Client::new(uri)?.proxy(proxy)?.bearer(token)?;
    let mut ws = connect(client).await?;
    ws.send("hello").await?;
    println!("{:?}", ws.recv().await?);
    ws.close(CloseCode::NORMAL, "").await
}

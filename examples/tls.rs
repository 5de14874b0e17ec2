//! Echoes over TLS: `cargo run --release --example tls --features tls -- 127.0.0.1:9001 cert.pem key.pem`
//!
//! A certificate to try it with: `openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30
//! -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`

use futures_util::StreamExt;
use sansocket::{Server, tokio::serve_with};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let [address, cert, key] = [1, 2, 3].map(|n| std::env::args().nth(n).unwrap_or_default());
    // A clone's `reload_tls` reads both files anew, while this serves: when the certificate was renewed.
    let server = Server::default().tls_pem(cert, key)?;
    serve_with(address, &server, tokio::signal::ctrl_c(), async |pending| {
        let (sender, receiver) = pending.accept().await?.split();
        receiver.forward(sender).await
    })
    .await
}

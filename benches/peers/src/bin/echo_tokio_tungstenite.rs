//! tokio-tungstenite; with `--tls`, over TLS. Its default read buffer of 128 KiB is zeroed at each read: 8 KiB is its
//! best size.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async_with_config;
use tungstenite::protocol::WebSocketConfig;

fn main() {
    if peers::flag("--tls") {
        let acceptor = TlsAcceptor::from(peers::certificate::server_config());
        peers::echo::serve(move |tcp| {
            let securing = acceptor.accept(tcp);
            async { echo(securing.await?).await }
        });
    } else {
        peers::echo::serve(echo);
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> Result<(), tungstenite::Error> {
    let config = WebSocketConfig::default().read_buffer_size(8 << 10);
    let ws = accept_async_with_config(io, Some(config)).await?;
    peers::echo::messages(ws, peers::flag("--batched"), |message: &tungstenite::Message| {
        message.is_binary() || message.is_text()
    })
    .await
}

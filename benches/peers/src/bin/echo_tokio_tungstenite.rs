//! tokio-tungstenite. Its default read buffer of 128 KiB is zeroed at each read: 8 KiB is its best size.

use tokio_tungstenite::accept_async_with_config;
use tungstenite::protocol::WebSocketConfig;

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |tcp| async move {
        let config = WebSocketConfig::default().read_buffer_size(8 << 10);
        let ws = accept_async_with_config(tcp, Some(config)).await?;
        peers::echo::messages(ws, batched, |message: &tungstenite::Message| {
            message.is_binary() || message.is_text()
        })
        .await
    });
}

//! tokio-tungstenite. Its default read buffer of 128 KiB is zeroed at each read: 8 KiB is its best size.

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio_tungstenite::accept_async_with_config;
use tungstenite::protocol::WebSocketConfig;

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |tcp| async move {
        let config = WebSocketConfig::default().read_buffer_size(8 << 10);
        let mut ws = accept_async_with_config(tcp, Some(config)).await?;
        let mut batch = Vec::new();
        while let Some(message) = ws.next().await {
            let message = message?;
            if !message.is_binary() && !message.is_text() {
                continue;
            }
            if !batched {
                ws.send(message).await?;
                continue;
            }
            // All that are there, then one write: a read between two writes would write what is queued.
            batch.push(message);
            while let Some(Some(message)) = ws.next().now_or_never() {
                batch.push(message?);
            }
            for message in batch.drain(..) {
                ws.feed(message).await?;
            }
            ws.flush().await?;
        }
        Ok::<_, tungstenite::Error>(())
    });
}

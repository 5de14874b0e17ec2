//! sockudo-ws.

use futures_util::{FutureExt, SinkExt, StreamExt};
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Error, WebSocketStream};

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |mut tcp| async move {
        server_handshake(&mut tcp).await?;
        let config = Config::builder().max_message_size(128 << 20).max_frame_size(128 << 20).build();
        let mut ws = WebSocketStream::server(tcp, config);
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
            // All that are there, then one write.
            batch.push(message);
            while let Some(Some(message)) = ws.next().now_or_never() {
                batch.push(message?);
            }
            for message in batch.drain(..) {
                ws.feed(message).await?;
            }
            ws.flush().await?;
        }
        Ok::<_, Error>(())
    });
}

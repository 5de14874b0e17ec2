//! tokio-websockets, with the settings of its own echo server.

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio_websockets::{Config, Limits, ServerBuilder};

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |tcp| async move {
        let builder = ServerBuilder::new()
            .config(Config::default().frame_size(usize::MAX).flush_threshold(64 << 10))
            .limits(Limits::unlimited());
        let (_, mut ws) = builder.accept(tcp).await?;
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
        Ok::<_, tokio_websockets::Error>(())
    });
}

//! tokio-websockets, with the settings of its own echo server.

use tokio_websockets::{Config, Limits, ServerBuilder};

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |tcp| async move {
        let builder = ServerBuilder::new()
            .config(Config::default().frame_size(usize::MAX).flush_threshold(64 << 10))
            .limits(Limits::unlimited());
        let (_, ws) = builder.accept(tcp).await?;
        peers::echo::messages(ws, batched, |message: &tokio_websockets::Message| {
            message.is_binary() || message.is_text()
        })
        .await
    });
}

//! sockudo-ws.

use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Message, WebSocketStream};

fn main() {
    let batched = peers::flag("--batched");
    peers::echo::serve(move |mut tcp| async move {
        server_handshake(&mut tcp).await?;
        let config = Config::builder().max_message_size(128 << 20).max_frame_size(128 << 20).build();
        let ws = WebSocketStream::server(tcp, config);
        peers::echo::messages(ws, batched, |message: &Message| message.is_binary() || message.is_text()).await
    });
}

//! tungstenite, a thread per connection. Its default read buffer of 128 KiB is zeroed at each read: 8 KiB is its
//! best size. It cannot tell whether more messages have come, so that answers cannot be batched.

use tungstenite::accept_with_config;
use tungstenite::protocol::WebSocketConfig;

fn main() {
    peers::echo::serve_blocking(|tcp| {
        let config = WebSocketConfig::default().read_buffer_size(8 << 10);
        let mut ws = accept_with_config(tcp, Some(config)).ok()?;
        loop {
            let message = ws.read().ok()?;
            if message.is_binary() || message.is_text() {
                ws.send(message).ok()?;
            }
        }
    });
}

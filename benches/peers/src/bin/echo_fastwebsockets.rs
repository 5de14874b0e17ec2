//! fastwebsockets. Its `read_frame` loses bytes when it is cancelled, so that answers cannot be batched.

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};

fn main() {
    peers::echo::serve(|mut tcp| async move {
        peers::echo::handshake(&mut tcp, false).await?;
        let mut ws = FragmentCollector::new(WebSocket::after_handshake(tcp, Role::Server));
        loop {
            let frame = ws.read_frame().await?;
            match frame.opcode {
                OpCode::Close => return Ok::<_, WebSocketError>(()),
                OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
                _ => {}
            }
        }
    });
}

//! wtx, which writes each frame as it is given it: answers cannot be batched.

use wtx::collection::Vector;
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin};

fn main() {
    peers::echo::serve(|tcp| async move {
        let mut ws = WebSocketAcceptor::default().accept(tcp).await?;
        ws.set_max_payload_len(128 << 20);
        let mut buffer = Vector::new();
        let (mut common, mut reader, mut writer) = ws.split_mut();
        loop {
            buffer.clear();
            let mut frame =
                reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await?;
            match frame.op_code() {
                OpCode::Close => return wtx::Result::Ok(()),
                OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
                _ => {}
            }
        }
    });
}

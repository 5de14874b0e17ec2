//! yawc, validating text as the others do.

use futures_util::{FutureExt, SinkExt};
use yawc::frame::OpCode;
use yawc::{CompressionLevel, Options, Role, WebSocket};

fn main() {
    let (batched, deflate) = (peers::flag("--batched"), peers::flag("--deflate"));
    peers::echo::serve(move |mut tcp| async move {
        peers::echo::handshake(&mut tcp, deflate).await.ok()?;
        let mut options = Options::default().with_limits(128 << 20, 256 << 20).with_utf8();
        if deflate {
            options =
                options.with_compression_level(CompressionLevel::new(6)).with_compression_threshold(256);
        }
        let extensions = deflate.then_some("permessage-deflate");
        let mut ws = WebSocket::from_stream_with_extensions(tcp, Role::Server, extensions, options).ok()?;
        loop {
            let frame = ws.next_frame().await.ok()?;
            if !matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                continue;
            }
            if !batched {
                ws.send(frame).await.ok()?;
                continue;
            }
            // Not kept until all are there: each holds the read buffer, and yawc then takes another.
            ws.feed(frame).await.ok()?;
            while let Some(frame) = ws.next_frame().now_or_never() {
                ws.feed(frame.ok()?).await.ok()?;
            }
            ws.flush().await.ok()?;
        }
        #[expect(unreachable_code, reason = "tells the type of the block")]
        Some(())
    });
}

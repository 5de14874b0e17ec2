//! The limit: bytes come back as they are, and nobody looks at them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    peers::echo::serve(|mut tcp| async move {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let len = tcp.read(&mut buffer).await?;
            if len == 0 {
                return Ok::<_, std::io::Error>(());
            }
            tcp.write_all(&buffer[..len]).await?;
        }
    });
}

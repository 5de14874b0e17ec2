//! sansocket, in the loop that users write; with `--batched`, it queues instead, and `recv` writes.

use sansocket::{Config, Deflate, Error, Server};

fn main() {
    let (batched, deflate) = (peers::flag("--batched"), peers::flag("--deflate"));
    let config = if deflate { Config::default().deflate(Deflate::default()) } else { Config::default() };
    let server = Server::default().config(config);
    peers::echo::serve(move |tcp| {
        let server = server.clone();
        async move {
            let mut ws = sansocket::tokio::accept_with(tcp, &server).await?.accept().await?;
            while let Some(message) = ws.recv().await? {
                if batched {
                    ws.feed(message).await?;
                } else {
                    ws.send(message).await?;
                }
            }
            Ok::<_, Error>(())
        }
    });
}

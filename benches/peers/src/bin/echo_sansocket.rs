//! sansocket, in the loop that users write; with `--batched`, it queues instead, and `recv` writes; with `--tls`, it is the
//! crate's own server, over TLS.

use std::future::pending;

use sansocket::tokio::{Pending, serve_with};
use sansocket::{Config, Deflate, Error, Server};

fn main() {
    let (batched, deflate) = (peers::flag("--batched"), peers::flag("--deflate"));
    let config = if deflate { Config::default().deflate(Deflate::default()) } else { Config::default() };
    let server = Server::default().config(config);
    if peers::flag("--tls") {
        return serve_tls(&server.tls(peers::certificate::server_config()));
    }
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

fn serve_tls(server: &Server) {
    let echo = async |pending: Pending| {
        let mut ws = pending.accept().await?;
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let served = runtime.block_on(serve_with(peers::echo::addr(), server, pending::<()>(), echo));
    served.expect("an address that is free");
}

//! sansocket, a thread per connection, in the loop that users write; with `--batched`, it queues instead, and
//! `recv` writes before it waits.

use std::net::TcpListener;

use sansocket::Server;
use sansocket::blocking::{Stop, serve};

fn main() {
    let batched = peers::flag("--batched");
    let listener = TcpListener::bind(peers::echo::addr()).expect("an address that is free");
    let served = serve(listener, &Server::default(), &Stop::default(), move |pending| {
        let mut ws = pending.accept()?;
        while let Some(message) = ws.recv()? {
            if batched {
                ws.feed(message)?;
            } else {
                ws.send(message)?;
            }
        }
        Ok::<_, sansocket::Error>(())
    });
    served.expect("a listener");
}

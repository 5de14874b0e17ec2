//! An echo server on tokio: every message comes back to its sender.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use programs::{EchoOptions, PAGE};
use sansocket::handshake::Reply;
use sansocket::tokio::Pending;
use sansocket::{CloseCode, Error};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Echoes text and binary messages over WebSocket. One that is opened at /close/CODE is closed with that code.

usage: echo_server [options]
  --addr HOST:PORT             where to listen (default 127.0.0.1:9001; port 0 takes a free one)
  --max-message-size BYTES     larger messages fail the connection (default 67108864)
  --handshake-timeout SECONDS  for a client's whole opening handshake (default 10)
  --write-timeout SECONDS      for a client that reads nothing of what is sent to it (default 30)
  --close-timeout SECONDS      for a closing handshake, once a Close frame was sent (default 10)
  --keepalive SECONDS          silence before a Ping, and before giving up after it (default 20; 0 is off)
  --subprotocol NAME           a subprotocol to accept; may be repeated
  --deflate                    accept permessage-deflate (with the feature `deflate`)
  --log                        print each request, and how its connection ends
  --current-thread             run on one thread";

fn main() -> ExitCode {
    let options = EchoOptions::parse(USAGE, true);
    let mut runtime = if options.current_thread {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let served = runtime.enable_all().build().and_then(|runtime| runtime.block_on(serve(options)));
    programs::exit_code(served.map_err(Into::into))
}

/// Serves until the program is interrupted or terminated.
async fn serve(options: EchoOptions) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(&options.addr).await.map_err(|error| options.cannot_listen(&error))?;
    writeln!(io::stdout(), "listening on ws://{}", listener.local_addr()?)?;
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let options = Arc::new(options);
    let server = options.server.clone();
    sansocket::tokio::serve_with(listener, &server, stop, move |pending| echo(pending, options.clone())).await
}

async fn echo(mut pending: Pending, options: Arc<EchoOptions>) -> Result<(), Error> {
    options.log_request(pending.request());
    if !pending.is_websocket() && pending.request().method() == "GET" {
        return pending.respond(Reply::new(200)?.text(PAGE)).await;
    }
    pending.choose_subprotocol(&options.subprotocols());
    let code = pending.request().path().strip_prefix("/close/").and_then(|code| code.parse().ok());
    let mut ws = pending.accept().await?;
    if let Some(code) = code {
        return ws.close(CloseCode::new(code), "as it was asked for").await;
    }
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    options.log_closed(ws.closed());
    Ok(())
}

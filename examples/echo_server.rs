//! An echo server on tokio: every message comes back to its sender.

mod common;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use common::{EchoOptions, PAGE};
use sansocket::handshake::Reply;
use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

const USAGE: &str = "\
Echoes text and binary messages over WebSocket.

usage: echo_server [options]
  --addr HOST:PORT             where to listen (default 127.0.0.1:9001; port 0 takes a free one)
  --max-message-size BYTES     larger messages fail the connection (default 67108864)
  --handshake-timeout SECONDS  for a client's whole opening handshake (default 10)
  --keepalive SECONDS          silence before a Ping, and before giving up after it (default 20; 0 is off)
  --subprotocol NAME           a subprotocol to accept; may be repeated
  --deflate                    accept permessage-deflate (with the feature `deflate`)
  --current-thread             run on one thread";

fn main() -> ExitCode {
    let options = EchoOptions::parse(USAGE, true);
    let mut runtime = if options.current_thread {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let served = runtime.enable_all().build().and_then(|runtime| runtime.block_on(serve(options)));
    common::exit_code(served.map_err(Into::into))
}

async fn serve(options: EchoOptions) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(&options.addr).await.map_err(|error| options.cannot_listen(&error))?;
    writeln!(io::stdout(), "listening on ws://{}", listener.local_addr()?)?;
    let options = Arc::new(options);
    // Each connection holds a receiver: the sender tells them to stop, and sees when all have.
    let (stop, stopped) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                let (options, stopped) = (options.clone(), stopped.clone());
                // A client that fails is the client's affair.
                tokio::spawn(async move { echo(tcp, &options, stopped).await });
            }
            // Out of file descriptors, for one: let some connections end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    drop(listener);
    drop(stopped);
    stop.send_replace(());
    stop.closed().await;
    Ok(())
}

async fn echo(tcp: TcpStream, options: &EchoOptions, mut stopped: watch::Receiver<()>) -> Result<(), Error> {
    let opened = tokio::select! {
        opened = open(tcp, options) => opened?,
        _ = stopped.changed() => None,
    };
    let Some(mut ws) = opened else {
        return Ok(());
    };
    loop {
        tokio::select! {
            message = ws.recv() => match message? {
                Some(message) => ws.send(message).await?,
                None => return Ok(()),
            },
            _ = stopped.changed() => return ws.close(CloseCode::GOING_AWAY, "the server stops").await,
        }
    }
}

/// The opening handshake. `None`: the client asked for a page, and got it.
async fn open(tcp: TcpStream, options: &EchoOptions) -> Result<Option<WebSocket<TcpStream>>, Error> {
    tcp.set_nodelay(true).map_err(Error::Connect)?;
    let mut pending = sansocket::tokio::accept_with(tcp, &options.server).await?;
    if !pending.is_websocket() && pending.request().method() == "GET" {
        pending.respond(&Reply::new(200)?.text(PAGE)).await?;
        return Ok(None);
    }
    pending.choose_subprotocol(&options.subprotocols());
    pending.accept().await.map(Some)
}

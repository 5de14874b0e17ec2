//! An echo server without an async runtime, a thread for each connection: every message comes back to
//! its sender.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use programs::{EchoOptions, PAGE};
use sansocket::Error;
use sansocket::blocking::{Pending, Stop};
use sansocket::handshake::Reply;

const USAGE: &str = "\
Echoes text and binary messages over WebSocket.

usage: echo_server_blocking [options]
  --addr HOST:PORT             where to listen (default 127.0.0.1:9001; port 0 takes a free one)
  --max-message-size BYTES     larger messages fail the connection (default 67108864)
  --handshake-timeout SECONDS  for a client's whole opening handshake (default 10)
  --write-timeout SECONDS      for a client that reads nothing of what is sent to it (default 30)
  --close-timeout SECONDS      for a closing handshake, once a Close frame was sent (default 10)
  --keepalive SECONDS          silence before a Ping, and before giving up after it (default 20; 0 is off)
  --subprotocol NAME           a subprotocol to accept; may be repeated
  --deflate                    accept permessage-deflate (with the feature `deflate`)
  --log                        print each request, and how its connection ends";

fn main() -> ExitCode {
    programs::exit_code(serve(EchoOptions::parse(USAGE, false)).map_err(Into::into))
}

/// Serves until the program is interrupted or terminated.
fn serve(options: EchoOptions) -> io::Result<()> {
    let listener = TcpListener::bind(&options.addr).map_err(|error| options.cannot_listen(&error))?;
    let stop = Stop::default();
    let signal = stop.clone();
    ctrlc::set_handler(move || signal.stop()).map_err(io::Error::other)?;
    writeln!(io::stdout(), "listening on ws://{}", listener.local_addr()?)?;
    let server = options.server.clone();
    sansocket::blocking::serve_with(listener, &server, &stop, move |pending| echo(pending, &options))
}

fn echo(mut pending: Pending, options: &EchoOptions) -> Result<(), Error> {
    options.log_request(pending.request());
    if !pending.is_websocket() && pending.request().method() == "GET" {
        return pending.respond(Reply::new(200)?.text(PAGE));
    }
    pending.choose_subprotocol(&options.subprotocols());
    let mut ws = pending.accept()?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    options.log_closed(ws.closed());
    Ok(())
}

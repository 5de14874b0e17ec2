//! An echo server without an async runtime, a thread for each connection: every message comes back to
//! its sender.

mod common;

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use common::{EchoOptions, PAGE};
use sansocket::blocking::WebSocketSender;
use sansocket::handshake::Reply;
use sansocket::{CloseCode, Error};

const USAGE: &str = "\
Echoes text and binary messages over WebSocket.

usage: echo_server_blocking [options]
  --addr HOST:PORT             where to listen (default 127.0.0.1:9001; port 0 takes a free one)
  --max-message-size BYTES     larger messages fail the connection (default 67108864)
  --handshake-timeout SECONDS  for a client's whole opening handshake (default 10)
  --keepalive SECONDS          silence before a Ping, and before giving up after it (default 20; 0 is off)
  --subprotocol NAME           a subprotocol to accept; may be repeated
  --deflate                    accept permessage-deflate (with the feature `deflate`)";

fn main() -> ExitCode {
    common::exit_code(serve(EchoOptions::parse(USAGE, false)).map_err(Into::into))
}

/// The sending half of every open connection, to close it with.
#[derive(Default)]
struct Connections {
    senders: Mutex<HashMap<usize, Arc<Mutex<WebSocketSender<TcpStream>>>>>,
    /// Told when a connection has ended.
    ended: Condvar,
    stopping: AtomicBool,
}

fn serve(options: EchoOptions) -> io::Result<()> {
    let listener = TcpListener::bind(&options.addr).map_err(|error| options.cannot_listen(&error))?;
    let address = listener.local_addr()?;
    let connections = Arc::new(Connections::default());
    let stopping = connections.clone();
    ctrlc::set_handler(move || {
        stopping.stopping.store(true, Ordering::Relaxed);
        // Wakes the loop below.
        let _ = TcpStream::connect(address);
    })
    .map_err(io::Error::other)?;
    writeln!(io::stdout(), "listening on ws://{address}")?;

    let options = Arc::new(options);
    for (id, tcp) in listener.incoming().enumerate() {
        if connections.stopping.load(Ordering::Relaxed) {
            break;
        }
        let Ok(tcp) = tcp else {
            // Out of file descriptors, for one: let some connections end first.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let (options, connections) = (options.clone(), connections.clone());
        thread::spawn(move || {
            // A client that fails is the client's affair.
            let _ = echo(id, tcp, &options, &connections);
            lock(&connections.senders).remove(&id);
            connections.ended.notify_all();
        });
    }
    drop(listener);
    let open: Vec<_> = lock(&connections.senders).values().cloned().collect();
    for sender in open {
        let _ = lock(&sender).close(CloseCode::GOING_AWAY, "the server stops");
    }
    // Until the closing handshakes are over. Opening handshakes are not waited for.
    let senders = lock(&connections.senders);
    drop(connections.ended.wait_while(senders, |senders| !senders.is_empty()));
    Ok(())
}

fn echo(id: usize, tcp: TcpStream, options: &EchoOptions, connections: &Connections) -> Result<(), Error> {
    tcp.set_nodelay(true).map_err(Error::Connect)?;
    let mut pending = sansocket::blocking::accept_with(tcp, &options.server)?;
    if !pending.is_websocket() && pending.request().method() == "GET" {
        return pending.respond(&Reply::new(200)?.text(PAGE));
    }
    pending.choose_subprotocol(&options.subprotocols());
    let (sender, mut receiver) = pending.accept()?.split().map_err(Error::ConnectionLost)?;
    let sender = Arc::new(Mutex::new(sender));
    lock(&connections.senders).insert(id, sender.clone());
    if connections.stopping.load(Ordering::Relaxed) {
        lock(&sender).close(CloseCode::GOING_AWAY, "the server stops")?;
    }
    while let Some(message) = receiver.recv()? {
        lock(&sender).send(message)?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

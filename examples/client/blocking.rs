//! The same without an async runtime: `cargo run --release --example client_blocking --features client -- ws://127.0.0.1:9001`

mod conversation;
mod input;
mod options;
mod terminal;
mod view;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sansocket::blocking::{ClientStream, WebSocket, WebSocketReceiver, WebSocketSender, connect};
use sansocket::{Closed, TimedOut};
use tokio::sync::mpsc::Receiver;

use conversation::{Action, Conversation, is_ours};
use input::Input;
use options::Options;
use view::{Failure, Opening};

fn main() -> ExitCode {
    let start = Instant::now();
    let (ws, inputs, conversation) = match open() {
        Ok(opened) => opened,
        Err(error) => return error.tell(),
    };
    let conversation = Arc::new(conversation);
    let shared = conversation.clone();
    let conversing = move || converse(ws, inputs, &shared);
    let ended = match conversation.deadline(start) {
        Some(deadline) => within(deadline.saturating_duration_since(Instant::now()), conversing)
            .unwrap_or_else(|| Err(conversation.late())),
        None => conversing(),
    };
    conversation.end(ended)
}

fn open() -> Result<(WebSocket<ClientStream>, Receiver<Input>, Conversation), Failure> {
    let mut options = Options::parse("client_blocking")?;
    let client = options.client.clone();
    let connected = within(options.timeout, || connect(client));
    let ws = connected.unwrap_or_else(|| Err(TimedOut::OpeningHandshake.into()))?;
    let stream = ws.get_ref();
    let (address, tls) = (stream.tcp().peer_addr(), stream.tls().and_then(|tls| tls.protocol_version()));
    drop(stream);
    let (subprotocol, deflate) = (ws.subprotocol().map(String::from), ws.deflate().is_some());
    let opening = Opening { uri: options.client.uri().to_string(), address, tls, subprotocol, deflate };
    let (conversation, inputs) = Conversation::begin(&mut options, &opening)?;
    Ok((ws, inputs, conversation))
}

fn converse(
    ws: WebSocket<ClientStream>,
    inputs: Receiver<Input>,
    conversation: &Arc<Conversation>,
) -> Result<Option<Closed>, Failure> {
    let (sender, receiver) = ws.split()?;
    let shared = conversation.clone();
    // Both at once: a server may stop reading while nobody reads its answers. If both fail, it is the receiving half that
    // knows why.
    let sending = thread::spawn(move || send(sender, inputs, &shared));
    let closed = receive(receiver, conversation)?;
    if is_ours(closed.as_ref()) {
        join(sending)?;
    }
    Ok(closed)
}

fn send(
    mut sender: WebSocketSender<ClientStream>,
    mut inputs: Receiver<Input>,
    conversation: &Conversation,
) -> Result<(), Failure> {
    while let Some(input) = inputs.blocking_recv() {
        let mut closes = false;
        let result = match conversation.act(input)? {
            Action::Message(message) => sender.send(message),
            Action::Ping(payload) => sender.ping(&payload),
            Action::Close(code, reason) => {
                closes = true;
                sender.close(code, &reason)
            }
            Action::Nothing => Ok(()),
        };
        match result {
            Ok(()) if closes => break,
            Ok(()) => {}
            Err(error) => conversation.excuse(error)?,
        }
    }
    Ok(())
}

fn receive(
    mut receiver: WebSocketReceiver<ClientStream>,
    conversation: &Conversation,
) -> Result<Option<Closed>, Failure> {
    while let Some(incoming) = receiver.recv_incoming()? {
        conversation.received(incoming, Instant::now())?;
    }
    Ok(receiver.closed().cloned())
}

/// What `job` returns, unless that takes too long; it is then left to itself.
fn within<T: Send + 'static>(timeout: Duration, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::channel();
    let job = thread::spawn(move || {
        let _ = done.send(job());
    });
    match result.recv_timeout(timeout) {
        Ok(result) => Some(result),
        Err(mpsc::RecvTimeoutError::Timeout) => None,
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            join(job);
            None
        }
    }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

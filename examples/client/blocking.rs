//! The same without an async runtime: `cargo run --release --example client_blocking --features client -- ws://127.0.0.1:9001`

mod conversation;
mod input;
mod options;
mod redial;
mod terminal;
mod view;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sansocket::blocking::{ClientStream, WebSocket, WebSocketReceiver, WebSocketSender, connect};
use sansocket::reconnect::Ended;
use sansocket::{Closed, Error, TimedOut};

use conversation::{Action, Conversation, Meanwhile, ended, is_ours, outcome};
use input::{Input, Inputs};
use options::Options;
use redial::Redial;
use view::{Failure, Opening, tell};

fn main() -> ExitCode {
    let start = Instant::now();
    let (ws, inputs, conversation, again) = match begin() {
        Ok(begun) => begun,
        Err(error) => return error.tell(),
    };
    let conversation = Arc::new(conversation);
    let shared = conversation.clone();
    let conversing = move || converse(ws, inputs, again, &shared);
    let ended = match conversation.deadline(start) {
        Some(deadline) => within(deadline.saturating_duration_since(Instant::now()), conversing)
            .unwrap_or_else(|| Err(conversation.late())),
        None => conversing(),
    };
    conversation.end(ended)
}

/// How to connect again.
struct Again {
    options: Options,
    redial: Redial,
}

fn begin() -> Result<(WebSocket<ClientStream>, Inputs, Conversation, Again), Failure> {
    let mut options = Options::parse("client_blocking")?;
    let mut redial = Redial::new(options.reconnect.as_ref());
    let (ws, opening) = loop {
        let loss = match open(&options) {
            Ok(opened) => break opened,
            Err(error) => redial.after(Ended::Failed(error)).map_err(Failure::of)?,
        };
        tell(&loss.to_string());
        thread::sleep(loss.due.saturating_duration_since(Instant::now()));
    };
    redial.opened();
    let (conversation, inputs) = Conversation::begin(&mut options, &opening)?;
    Ok((ws, inputs, conversation, Again { options, redial }))
}

fn open(options: &Options) -> Result<(WebSocket<ClientStream>, Opening), Error> {
    let client = options.client.clone();
    let connected = within(options.timeout, || connect(client));
    let ws = connected.unwrap_or_else(|| Err(TimedOut::OpeningHandshake.into()))?;
    let mut opening = Opening::new(options, ws.redirected_to())?;
    (opening.subprotocol, opening.deflate) = (ws.subprotocol().map(String::from), ws.deflate().is_some());
    let stream = ws.get_ref();
    (opening.address, opening.tls) = (stream.tcp().peer_addr().ok(), stream.tls().as_deref().map(view::tls));
    drop(stream);
    Ok((ws, opening))
}

/// Over one connection, or with `--reconnect` over as many as it takes.
fn converse(
    mut ws: WebSocket<ClientStream>,
    mut inputs: Inputs,
    mut again: Again,
    conversation: &Arc<Conversation>,
) -> Result<Option<Closed>, Failure> {
    loop {
        let (sender, receiver) = ws.split()?;
        let shared = conversation.clone();
        // Both at once: a server may stop reading while nobody reads its answers. If both fail, it is the receiving half that
        // knows why.
        let sending = thread::spawn(move || send(sender, inputs, &shared));
        let end = receive(receiver, conversation);
        if !again.redial.is_asked_for() {
            let closed = end?;
            if is_ours(closed.as_ref()) {
                join(sending)?;
            }
            return Ok(closed);
        }
        let end = ended(end)?;
        conversation.lost();
        let Some(left) = join(sending)? else { return outcome(end) };
        inputs = left;
        ws = match again.open(end, &mut inputs, conversation)? {
            Ok(ws) => ws,
            Err(ended) => return outcome(ended),
        };
    }
}

impl Again {
    /// Connects again, unless nothing follows how it has ended.
    fn open(
        &mut self,
        mut ended: Ended,
        inputs: &mut Inputs,
        conversation: &Arc<Conversation>,
    ) -> Result<Result<WebSocket<ClientStream>, Ended>, Failure> {
        loop {
            let loss = match self.redial.after(ended) {
                Ok(loss) => loss,
                Err(ended) => return Ok(Err(ended)),
            };
            conversation.told(&loss)?;
            if !wait(loss.due, inputs, conversation)? {
                return Ok(Err(loss.ended));
            }
            match open(&self.options) {
                Ok((ws, opening)) => {
                    self.redial.opened();
                    conversation.opened(&opening)?;
                    return Ok(Ok(ws));
                }
                Err(error) => ended = Ended::Failed(error),
            }
        }
    }
}

/// Waits until then, unless there is to be no other connection.
fn wait(due: Instant, inputs: &mut Inputs, conversation: &Arc<Conversation>) -> Result<bool, Failure> {
    let (left, waker) = (move || due.saturating_duration_since(Instant::now()), conversation.clone());
    thread::spawn(move || {
        thread::sleep(left());
        waker.wake();
    });
    while !left().is_zero() {
        match next(inputs).map(|input| conversation.meanwhile(input)).transpose()? {
            Some(Meanwhile::Hold(input)) => {
                inputs.hold(input);
                break;
            }
            Some(Meanwhile::Nothing) => {}
            Some(Meanwhile::End) | None => return Ok(false),
        }
    }
    thread::sleep(left());
    Ok(true)
}

/// Sends what is asked for, as long as the connection is there; then it gives back where more comes from, unless it was this
/// that closed the connection.
fn send(
    mut sender: WebSocketSender<ClientStream>,
    mut inputs: Inputs,
    conversation: &Conversation,
) -> Result<Option<Inputs>, Failure> {
    while let Some(input) = next(&mut inputs) {
        if !conversation.is_open() {
            inputs.hold(input);
            break;
        }
        let (mut closes, mut untaken) = (false, 0);
        let result = match conversation.act(input)? {
            Action::Message(message) => match sender.feed(message) {
                Ok(()) => sender.flush(),
                Err(error) => {
                    untaken = 1;
                    Err(error)
                }
            },
            Action::Ping(payload) => sender.ping(&payload),
            Action::Close(code, reason) => {
                closes = true;
                sender.close(code, &reason)
            }
            Action::Nothing => Ok(()),
        };
        match result {
            Ok(()) if closes => return Ok(None),
            Ok(()) => {}
            Err(error) if conversation.outlives(&error) => {
                conversation.left(sender.queued().messages + untaken);
                return Ok(Some(inputs).filter(|_| !closes));
            }
            Err(error) => conversation.excuse(error)?,
        }
    }
    conversation.left(sender.queued().messages);
    Ok(Some(inputs))
}

fn next(inputs: &mut Inputs) -> Option<Input> {
    inputs.held.take().or_else(|| inputs.to_come.blocking_recv())
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

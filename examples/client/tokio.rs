//! A client for the command line, on tokio: `cargo run --release --example client --features client -- ws://127.0.0.1:9001`

mod conversation;
mod input;
mod options;
mod terminal;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use sansocket::Closed;
use sansocket::tokio::{ClientStream, WebSocket, WebSocketReceiver, WebSocketSender, connect};
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use conversation::{Action, Conversation, is_ours};
use input::Input;
use options::Options;
use view::{Failure, Opening};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(error).tell(),
    };
    let ended = runtime.block_on(run());
    // A write to stdout that still waits for its reader is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok((conversation, ended)) => conversation.end(ended),
        Err(error) => error.tell(),
    }
}

async fn run() -> Result<(Arc<Conversation>, Result<Option<Closed>, Failure>), Failure> {
    let start = Instant::now();
    let (ws, inputs, conversation) = open().await?;
    let conversation = Arc::new(conversation);
    let conversing = converse(ws, inputs, conversation.clone());
    let ended = match conversation.deadline(start) {
        Some(deadline) => {
            timeout_at(deadline.into(), conversing).await.unwrap_or_else(|_| Err(conversation.late()))
        }
        None => conversing.await,
    };
    Ok((conversation, ended))
}

async fn open() -> Result<(WebSocket<ClientStream>, Receiver<Input>, Conversation), Failure> {
    let mut options = Options::parse("client")?;
    let ws = connect(options.client.clone()).await?;
    let stream = ws.get_ref();
    let (address, tls) = (stream.tcp().peer_addr(), stream.tls().and_then(|tls| tls.protocol_version()));
    drop(stream);
    let (subprotocol, deflate) = (ws.subprotocol().map(String::from), ws.deflate().is_some());
    let opening = Opening { uri: options.client.uri().to_string(), address, tls, subprotocol, deflate };
    let (conversation, inputs) = Conversation::begin(&mut options, &opening)?;
    Ok((ws, inputs, conversation))
}

async fn converse(
    ws: WebSocket<ClientStream>,
    inputs: Receiver<Input>,
    conversation: Arc<Conversation>,
) -> Result<Option<Closed>, Failure> {
    let (sender, receiver) = ws.split();
    // Both at once: a server may stop reading while nobody reads its answers. If both fail, it is the receiving half that
    // knows why.
    let sending = tokio::spawn(send(sender, inputs, conversation.clone()));
    let closed = receive(receiver, &conversation).await?;
    if is_ours(closed.as_ref()) {
        sending.await??;
    }
    Ok(closed)
}

async fn send(
    mut sender: WebSocketSender<ClientStream>,
    mut inputs: Receiver<Input>,
    conversation: Arc<Conversation>,
) -> Result<(), Failure> {
    while let Some(input) = inputs.recv().await {
        let mut closes = false;
        let result = match aside(&conversation, |conversation| Ok(conversation.act(input)?)).await? {
            Action::Message(message) => sender.send(message).await,
            Action::Ping(payload) => sender.ping(&payload).await,
            Action::Close(code, reason) => {
                closes = true;
                sender.close(code, &reason).await
            }
            Action::Nothing => Ok(()),
        };
        match result {
            Ok(()) if closes => break,
            Ok(()) => {}
            Err(error) => aside(&conversation, |conversation| conversation.excuse(error)).await?,
        }
    }
    Ok(())
}

async fn receive(
    mut receiver: WebSocketReceiver<ClientStream>,
    conversation: &Arc<Conversation>,
) -> Result<Option<Closed>, Failure> {
    while let Some(incoming) = receiver.recv_incoming().await? {
        let now = Instant::now();
        aside(conversation, move |conversation| Ok(conversation.received(incoming, now)?)).await?;
    }
    Ok(receiver.closed().cloned())
}

/// Does what may block, since what it shows is not read, where other tasks do not wait for it.
async fn aside<T: Send + 'static>(
    conversation: &Arc<Conversation>,
    job: impl FnOnce(&Conversation) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let conversation = conversation.clone();
    spawn_blocking(move || job(&conversation)).await?
}

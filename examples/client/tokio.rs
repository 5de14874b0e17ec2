//! A client for the command line, on tokio: `cargo run --release --example client --features client -- ws://127.0.0.1:9001`

mod conversation;
mod input;
mod options;
mod redial;
mod terminal;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use sansocket::http::{Http2, Http2Stream};
use sansocket::reconnect::Ended;
use sansocket::tokio::{ClientStream, Transport, WebSocket, WebSocketReceiver, WebSocketSender, connect};
use sansocket::{Closed, Error, TimedOut};
use tokio::task::spawn_blocking;
use tokio::time::{sleep_until, timeout, timeout_at};

use conversation::{Action, Conversation, Meanwhile, ended, is_ours, outcome};
use input::{Input, Inputs};
use options::Options;
use redial::Redial;
use view::{Failure, Opening, tell};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(error).tell(),
    };
    let ended = runtime.block_on(async {
        let options = Options::parse("client")?;
        if options.http2 { run(options, open_http2).await } else { run(options, open).await }
    });
    // A write to stdout that still waits for its reader is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok((conversation, ended)) => conversation.end(ended),
        Err(error) => error.tell(),
    }
}

async fn run<S: Transport>(
    options: Options,
    open: impl AsyncFn(&Options) -> Result<(WebSocket<S>, Opening), Error>,
) -> Result<(Arc<Conversation>, Result<Option<Closed>, Failure>), Failure> {
    let start = Instant::now();
    let (ws, inputs, conversation, again) = begin(options, open).await?;
    let conversation = Arc::new(conversation);
    let conversing = converse(ws, inputs, again, &conversation);
    let ended = match conversation.deadline(start) {
        Some(deadline) => {
            timeout_at(deadline.into(), conversing).await.unwrap_or_else(|_| Err(conversation.late()))
        }
        None => conversing.await,
    };
    Ok((conversation, ended))
}

/// How to connect again.
struct Again<O> {
    options: Options,
    open: O,
    redial: Redial,
}

async fn begin<S: Transport, O: AsyncFn(&Options) -> Result<(WebSocket<S>, Opening), Error>>(
    mut options: Options,
    open: O,
) -> Result<(WebSocket<S>, Inputs, Conversation, Again<O>), Failure> {
    let mut redial = Redial::new(options.reconnect.as_ref());
    let (ws, opening) = loop {
        let loss = match open(&options).await {
            Ok(opened) => break opened,
            Err(error) => redial.after(Ended::Failed(error)).map_err(Failure::of)?,
        };
        tell(&loss.to_string());
        sleep_until(loss.due.into()).await;
    };
    redial.opened();
    let (conversation, inputs) = Conversation::begin(&mut options, &opening)?;
    Ok((ws, inputs, conversation, Again { options, open, redial }))
}

async fn open(options: &Options) -> Result<(WebSocket<ClientStream>, Opening), Error> {
    let ws = connect(options.client.clone()).await?;
    let mut opening = Opening::new(options, ws.redirected_to())?;
    (opening.subprotocol, opening.deflate) = (ws.subprotocol().map(String::from), ws.deflate().is_some());
    let stream = ws.get_ref();
    (opening.address, opening.tls) = (stream.tcp().peer_addr().ok(), stream.tls().map(view::tls));
    drop(stream);
    Ok((ws, opening))
}

async fn open_http2(options: &Options) -> Result<(WebSocket<Http2Stream>, Opening), Error> {
    let opening = async { Http2::connect(options.client.clone()).await?.open(options.client.clone()).await };
    // Each has the whole of that.
    let ws =
        timeout(options.timeout, opening).await.unwrap_or_else(|_| Err(TimedOut::OpeningHandshake.into()))?;
    let mut opening = Opening::new(options, None)?;
    (opening.subprotocol, opening.deflate) = (ws.subprotocol().map(String::from), ws.deflate().is_some());
    Ok((ws, opening))
}

/// Over one connection, or with `--reconnect` over as many as it takes.
async fn converse<S: Transport, O: AsyncFn(&Options) -> Result<(WebSocket<S>, Opening), Error>>(
    mut ws: WebSocket<S>,
    mut inputs: Inputs,
    mut again: Again<O>,
    conversation: &Arc<Conversation>,
) -> Result<Option<Closed>, Failure> {
    loop {
        let (sender, receiver) = ws.split();
        // Both at once: a server may stop reading while nobody reads its answers. If both fail, it is the receiving half that
        // knows why.
        let sending = tokio::spawn(send(sender, inputs, conversation.clone()));
        let end = receive(receiver, conversation).await;
        if !again.redial.is_asked_for() {
            let closed = end?;
            if is_ours(closed.as_ref()) {
                sending.await??;
            }
            return Ok(closed);
        }
        let end = ended(end)?;
        conversation.lost();
        let Some(left) = sending.await?? else { return outcome(end) };
        inputs = left;
        ws = match again.open(end, &mut inputs, conversation).await? {
            Ok(ws) => ws,
            Err(ended) => return outcome(ended),
        };
    }
}

impl<O> Again<O> {
    /// Connects again, unless nothing follows how it has ended.
    async fn open<S: Transport>(
        &mut self,
        mut ended: Ended,
        inputs: &mut Inputs,
        conversation: &Arc<Conversation>,
    ) -> Result<Result<WebSocket<S>, Ended>, Failure>
    where
        O: AsyncFn(&Options) -> Result<(WebSocket<S>, Opening), Error>,
    {
        loop {
            let loss = match self.redial.after(ended) {
                Ok(loss) => loss,
                Err(ended) => return Ok(Err(ended)),
            };
            let loss = aside(conversation, move |conversation| {
                conversation.told(&loss)?;
                Ok(loss)
            });
            let loss = loss.await?;
            if !wait(loss.due, inputs, conversation).await? {
                return Ok(Err(loss.ended));
            }
            match (self.open)(&self.options).await {
                Ok((ws, opening)) => {
                    self.redial.opened();
                    aside(conversation, move |conversation| Ok(conversation.opened(&opening)?)).await?;
                    return Ok(Ok(ws));
                }
                Err(error) => ended = Ended::Failed(error),
            }
        }
    }
}

/// Waits until then, unless there is to be no other connection.
async fn wait(due: Instant, inputs: &mut Inputs, conversation: &Arc<Conversation>) -> Result<bool, Failure> {
    while let Ok(input) = timeout_at(due.into(), next(inputs)).await {
        let Some(input) = input else { return Ok(false) };
        match aside(conversation, |conversation| Ok(conversation.meanwhile(input)?)).await? {
            Meanwhile::Hold(input) => {
                inputs.hold(input);
                break;
            }
            Meanwhile::Nothing => {}
            Meanwhile::End => return Ok(false),
        }
    }
    sleep_until(due.into()).await;
    Ok(true)
}

/// Sends what is asked for, as long as the connection is there; then it gives back where more comes from, unless it was this
/// that closed the connection.
async fn send<S: Transport>(
    mut sender: WebSocketSender<S>,
    mut inputs: Inputs,
    conversation: Arc<Conversation>,
) -> Result<Option<Inputs>, Failure> {
    while let Some(input) = next(&mut inputs).await {
        if !conversation.is_open() {
            inputs.hold(input);
            break;
        }
        let (mut closes, mut untaken) = (false, 0);
        let result = match aside(&conversation, |conversation| Ok(conversation.act(input)?)).await? {
            Action::Message(message) => match sender.feed(message).await {
                Ok(()) => sender.flush().await,
                Err(error) => {
                    untaken = 1;
                    Err(error)
                }
            },
            Action::Ping(payload) => sender.ping(&payload).await,
            Action::Close(code, reason) => {
                closes = true;
                sender.close(code, &reason).await
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
            Err(error) => aside(&conversation, |conversation| conversation.excuse(error)).await?,
        }
    }
    conversation.left(sender.queued().messages);
    Ok(Some(inputs))
}

async fn next(inputs: &mut Inputs) -> Option<Input> {
    match inputs.held.take() {
        Some(held) => Some(held),
        None => inputs.to_come.recv().await,
    }
}

async fn receive<S: Transport>(
    mut receiver: WebSocketReceiver<S>,
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

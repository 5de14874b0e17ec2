//! A WebSocket client for the command line, on tokio.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::process::ExitCode;

use programs::ClientOptions;
use sansocket::tokio::{ClientStream, WebSocket};
use sansocket::{CloseCode, Initiator, Message};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};

const USAGE: &str = "\
Talks to a WebSocket server: sends texts, and prints the messages that come.

usage: client URL [options]
  --send TEXT             a text to send; may be repeated
  --subprotocol NAME      a subprotocol to offer; may be repeated, the most preferred first
  --header 'Name: value'  a header to add to the request; may be repeated
  --timeout SECONDS       how long to wait for the server (default 30)
  --deflate               offer permessage-deflate (with the feature `deflate`)

With --send, the texts are sent, each message received is printed on a line of stdout until as many
came as were sent, and the connection is closed with 1000. All of that may take as long as --timeout says.

Without --send, each line of stdin is sent as a text, each message received is printed, and the end of
stdin closes the connection with 1000: messages that come before the server closes it too are still
printed, but a server need not send any more; --send waits for answers. Opening the connection may take
as long as --timeout says, and so may closing it. Between the two there is no limit, but a server that
does not answer Pings, or reads nothing, is given up. If the server closes first, with 1000, 1001 or no
code, that is no failure.

A text is printed as it is, a binary message like this: binary, 5 bytes: 68 65 6c 6c 6f
The exit code is 0 when the closing handshake took place. After any failure it is 1, and a sentence on
stderr tells what failed. A wss:// URL needs the feature `tokio-rustls`.";

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return programs::exit_code(Err(error.into())),
    };
    let result = runtime.block_on(run());
    // A read of stdin that still waits for a line is not waited for.
    runtime.shutdown_background();
    programs::exit_code(result)
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let ClientOptions { client, timeout, texts } = ClientOptions::parse(USAGE)?;
    let deadline = Instant::now() + timeout;
    let ws = sansocket::tokio::connect(client).await?;
    if texts.is_empty() {
        return converse(ws).await;
    }
    let (count, came) = (texts.len(), Cell::new(0));
    let exchange = timeout_at(deadline, exchange(ws, texts, &came));
    exchange.await.unwrap_or_else(|_| Err(programs::late(timeout, came.get(), count)))
}

/// Sends the texts, and prints messages until as many came.
async fn exchange(
    ws: WebSocket<ClientStream>,
    texts: Vec<String>,
    came: &Cell<usize>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut sender, mut receiver) = ws.split();
    let count = texts.len();
    let send = async {
        for text in texts {
            sender.send(text).await?;
        }
        Ok::<_, sansocket::Error>(())
    };
    let receive = async {
        while came.get() < count {
            let Some(message) = receiver.recv().await? else {
                let (closed, came) = (programs::closed_early(receiver.closed()), came.get());
                return Err(format!("{closed}, after {came} of {count} messages").into());
            };
            print(&message).await?;
            came.set(came.get() + 1);
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    // Both at once: a server may stop reading while nobody reads its answers. If both fail, it is the
    // receiving half that knows why.
    let (end_of_send, end_of_receive) = tokio::join!(send, receive);
    end_of_receive?;
    end_of_send?;
    sender.close(CloseCode::NORMAL, "").await?;
    while receiver.recv().await?.is_some() {}
    Ok(())
}

/// Sends the lines of stdin, and prints the messages that come meanwhile.
async fn converse(ws: WebSocket<ClientStream>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut sender, mut receiver) = ws.split();
    let sending = tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let end = loop {
            match lines.next_line().await {
                Ok(Some(line)) => sender.send(line).await?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(format!("cannot read stdin: {error}").into()),
            }
        };
        sender.close(CloseCode::NORMAL, "").await?;
        end
    });
    while let Some(message) = receiver.recv().await? {
        print(&message).await?;
    }
    match receiver.closed() {
        // Then the sending half has done its part.
        Some(closed) if closed.initiator == Initiator::Local => sending.await?,
        Some(closed) if programs::is_goodbye(closed.code) => Ok(()),
        closed => Err(programs::closed_early(closed).into()),
    }
}

async fn print(message: &Message) -> Result<(), String> {
    let mut stdout = tokio::io::stdout();
    let printed: io::Result<()> = async {
        stdout.write_all(programs::line(message).as_bytes()).await?;
        stdout.flush().await
    }
    .await;
    printed.map_err(|error| format!("cannot print a message: {error}"))
}

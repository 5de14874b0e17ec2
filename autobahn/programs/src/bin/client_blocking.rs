//! A WebSocket client for the command line, without an async runtime: one thread sends, another
//! receives.

use std::error::Error;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use programs::ClientOptions;
use sansocket::blocking::{ClientStream, WebSocket};
use sansocket::{CloseCode, Initiator, Message, TimedOut};

const USAGE: &str = "\
Talks to a WebSocket server: sends texts, and prints the messages that come.

usage: client_blocking URL [options]
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
stderr tells what failed. A wss:// URL needs the feature `rustls`.";

fn main() -> ExitCode {
    programs::exit_code(run())
}

fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let ClientOptions { client, timeout, texts } = ClientOptions::parse(USAGE)?;
    let start = Instant::now();
    let connected = within(timeout, || sansocket::blocking::connect(client));
    let ws = connected.unwrap_or_else(|| Err(TimedOut::OpeningHandshake.into()))?;
    if texts.is_empty() {
        return converse(ws);
    }
    let (count, came) = (texts.len(), Arc::new(AtomicUsize::new(0)));
    let counter = came.clone();
    let left = timeout.saturating_sub(start.elapsed());
    within(left, move || exchange(ws, texts, &counter))
        .unwrap_or_else(|| Err(programs::late(timeout, came.load(Ordering::Relaxed), count)))
}

/// Sends the texts, and prints messages until as many came.
fn exchange(
    ws: WebSocket<ClientStream>,
    texts: Vec<String>,
    came: &AtomicUsize,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut sender, mut receiver) = ws.split()?;
    let count = texts.len();
    // Both at once: a server may stop reading while nobody reads its answers.
    let sending = thread::spawn(move || {
        for text in texts {
            sender.send(text)?;
        }
        Ok::<_, sansocket::Error>(sender)
    });
    while came.load(Ordering::Relaxed) < count {
        let Some(message) = receiver.recv()? else {
            let (closed, came) = (programs::closed_early(receiver.closed()), came.load(Ordering::Relaxed));
            return Err(format!("{closed}, after {came} of {count} messages").into());
        };
        print(&message)?;
        came.fetch_add(1, Ordering::Relaxed);
    }
    join(sending)?.close(CloseCode::NORMAL, "")?;
    while receiver.recv()?.is_some() {}
    Ok(())
}

/// Sends the lines of stdin, and prints the messages that come meanwhile.
fn converse(ws: WebSocket<ClientStream>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut sender, mut receiver) = ws.split()?;
    let sending = thread::spawn(move || {
        let mut end = Ok(());
        for line in io::stdin().lines() {
            match line {
                Ok(line) => sender.send(line)?,
                Err(error) => {
                    end = Err(format!("cannot read stdin: {error}").into());
                    break;
                }
            }
        }
        sender.close(CloseCode::NORMAL, "")?;
        end
    });
    while let Some(message) = receiver.recv()? {
        print(&message)?;
    }
    match receiver.closed() {
        // Then the sending thread has done its part.
        Some(closed) if closed.initiator == Initiator::Local => join(sending),
        Some(closed) if programs::is_goodbye(closed.code) => Ok(()),
        closed => Err(programs::closed_early(closed).into()),
    }
}

fn print(message: &Message) -> Result<(), String> {
    let printed = io::stdout().write_all(programs::line(message).as_bytes());
    printed.map_err(|error| format!("cannot print a message: {error}"))
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

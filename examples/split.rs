//! Sends lines of the standard input, and prints what comes: `cargo run --release --example split`

use std::{env, io::stdin, thread};

use sansocket::{CloseCode, Error};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let uri = env::args().nth(1).unwrap_or("ws://127.0.0.1:9001".into());
    let (mut sender, mut receiver) = sansocket::tokio::connect(uri).await?.split();
    // A thread: a task that reads the standard input would keep the program from ending until the next line.
    let (typed, mut lines) = mpsc::channel(1);
    thread::spawn(move || {
        stdin().lines().map_while(Result::ok).try_for_each(|line| typed.blocking_send(line))
    });
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            sender.send(line).await?;
        }
        // Nothing more is to be sent; what still comes is received until the server closes too.
        sender.close(CloseCode::NORMAL, "bye").await
    });
    while let Some(message) = receiver.recv().await? {
        println!("{}", message.as_text().unwrap_or("something that is no text"));
    }
    if let Some(closed) = receiver.closed() {
        println!("closed with {}", closed.code.get());
    }
    Ok(())
}

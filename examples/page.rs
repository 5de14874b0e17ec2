//! A page and events from all sides, on one port: `cargo run --release --example page`
//!
//! What is typed is an event, and what is posted: `curl --data hello http://127.0.0.1:9001/push`

use std::{io::stdin, thread, time::Duration};

use sansocket::handshake::Reply;
use sansocket::tokio::{Pending, serve_with};
use sansocket::{Error, PreparedMessage, Server};
use tokio::sync::broadcast::{self, error::RecvError};

#[derive(Clone)]
struct Events(broadcast::Sender<PreparedMessage>);

impl Events {
    /// From any thread or task. It never waits: a page that is slow misses what is old.
    fn tell(&self, text: &str) {
        // It fails if there is no page, which is nothing to the teller.
        let _ = self.0.send(PreparedMessage::new(text));
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    let events = Events(broadcast::Sender::new(64));
    let [typed, worked, timed] = [(); 3].map(|()| events.clone());
    thread::spawn(move || stdin().lines().map_while(Result::ok).for_each(|line| typed.tell(&line)));
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(7));
            worked.tell("a thread, which may block, has done something");
        }
    });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            timed.tell("a timer: five seconds more");
        }
    });
    let server = Server::default().page("/", Reply::ok().html(include_str!("page.html")));
    serve_with(listener, &server, tokio::signal::ctrl_c(), move |pending| answer(pending, events.clone()))
        .await
}

async fn answer(pending: Pending, events: Events) -> Result<(), Error> {
    if (pending.request().method(), pending.request().path()) == ("POST", "/push") {
        // A browser lets any page post to any server, as it lets it open WebSockets, of which `accept` takes care.
        if !pending.is_same_origin() {
            return pending.reject(403, "This page may not post here.\n").await;
        }
        let (pending, body) = pending.read_body(4096).await?;
        events.tell(&String::from_utf8_lossy(&body));
        return pending.respond(Reply::new(204)?).await;
    }
    // What is neither that nor a WebSocket is answered here, with 404.
    // First the events: what is told once the page can know of the connection comes to it.
    let mut news = events.0.subscribe();
    let mut ws = pending.accept().await?;
    loop {
        tokio::select! {
            message = ws.recv() => if message?.is_none() { return Ok(()) },
            event = news.recv() => match event {
                Ok(event) => ws.send(&event).await?,
                Err(RecvError::Lagged(missed)) => ws.send(format!("(missed {missed} events)")).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

//! A page to which a server pushes: `cargo run --release -p sansocket-channels --example push`
//!
//! What is typed here reaches all pages, and so does what is posted: `curl --data hello http://127.0.0.1:8000/push`
#![expect(clippy::print_stdout, reason = "it tells its address")]

use std::io::stdin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sansocket::handshake::Reply as Response;
use sansocket::tokio::{Pending, serve_with};
use sansocket::{Error, Server};
use sansocket_channels::{AskError, Cx, Drain, Events, Hub, Joined, Payload, Refusal, Reply, TopicOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    // Who was away gets what was missed, who is new the newest 60, and all are shown who is there.
    let options = TopicOptions::new().history(500, Duration::from_secs(600)).latest(60).presence();
    let channel = Events::new().on_join(join).on("time", time);
    let hub = Hub::builder()
        .channel_with("news", options, channel)
        .page("/", "text/html", include_str!("push.html"))
        .build()?;
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}", listener.local_addr()?);
    let [ticking, typed, stopping] = [(); 3].map(|()| hub.clone());
    tokio::spawn(async move {
        for n in 0_u32.. {
            sleep(Duration::from_secs(1)).await; // Whatever happens in your program.
            let height = 50.0 + 30.0 * (f64::from(n) / 5.0).sin() + 15.0 * (f64::from(n) / 1.7).sin();
            ticking.broadcast("news", "tick", &json!({ "at": now(), "height": height })).ok();
        }
    });
    std::thread::spawn(move || {
        stdin().lines().map_while(Result::ok).for_each(|line| tell(&typed, "the terminal", &line));
    });
    let stop = async move {
        tokio::signal::ctrl_c().await.ok();
        stopping.drain(Drain::default()).await
    };
    Ok(serve_with(listener, &Server::default(), stop, move |pending| answer(hub.clone(), pending)).await?)
}

/// From any task or thread. It never waits for a page.
fn tell(hub: &Hub, by: &str, text: &str) {
    // It fails for a text that is too long, and when the server has stopped.
    hub.broadcast("news", "said", &json!({ "at": now(), "by": by, "text": text })).ok();
}

/// A page wants to join, and says what it is called.
async fn join(cx: Cx, params: Payload) -> Result<Joined<()>, Refusal> {
    let params: Value = params.parse()?;
    let name: String = params["name"].as_str().unwrap_or("somebody").chars().take(20).collect();
    let joined = Joined::new(()).track(&json!({ "name": name }))?;
    tokio::spawn(ask(cx, name));
    Ok(joined)
}

/// The page asks.
async fn time(cx: Cx, _: Payload) -> Result<Reply, Refusal> {
    let pages = cx.hub().members(cx.topic()).len();
    Ok(Reply::with(&json!({ "at": now(), "pages": pages }))?)
}

/// The server asks, and tells all what it was answered.
async fn ask(cx: Cx, name: String) {
    for question in
        ["Tea or coffee?", "What is the weather like?", "Which tune is in your head?"].iter().cycle()
    {
        sleep(Duration::from_secs(2)).await;
        match cx.ask::<String>("question", question, Duration::from_secs(60)).await {
            Ok(answer) => tell(cx.hub(), &name, &format!("{question} {answer}")),
            Err(AskError::Gone) => return,
            Err(_) => {} // There was no answer in time, or none that is text: the next question.
        }
    }
}

/// What is no WebSocket, and not the hub's page.
async fn answer(hub: Hub, pending: Pending) -> Result<(), Error> {
    let Some(pending) = hub.handle(pending).await? else {
        return Ok(());
    };
    if (pending.request().method(), pending.request().path()) != ("POST", "/push") {
        return pending.reject(404, "Not Found: there is nothing at this path.\n").await;
    }
    // A browser lets any page post to any server.
    if !pending.is_same_origin() {
        return pending.reject(403, "Forbidden: this page may not post here.\n").await;
    }
    let (pending, body) = pending.read_body(4096).await?;
    tell(&hub, "a request", &String::from_utf8_lossy(&body));
    pending.respond(Response::new(204)?).await
}

/// Milliseconds, as pages count them.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis())
}

//! A server for test programs of anybody's: `cargo run -p sansocket-channels --example conformance -- --addr 127.0.0.1:0`
//!
//! Topics: `relay:{id}`, what a member pushes goes to the others; `echo:{id}`, with the events `echo`, `fail`, `crash`, `slow` and
//! `quit`; `room:{id}`, what a member pushes goes to the others, with a history of 100 messages and a minute, and presence: the
//! parameters of the join are tracked, as is what the event `track` carries, until `untrack`; `log:{id}`, the same without presence;
//! `recent:{id}`, whose newest three messages come to who joins; `closed:{id}`, which refuses for good; `later:{id}`, which refuses for now; `late:{id}`, which takes as many
//! milliseconds for a join as its parameter `wait` says. The token `secret-NAME` is that of the user NAME, none is anonymous, any
//! other is refused.
//!
//! With `--backplane nats://HOST:PORT`, or `redis://HOST:PORT`, it is a node, joined to those with the same broker; that takes the
//! feature `nats`, or `redis`.
//!
//! By HTTP: `POST /broadcast?topic=T&event=E[&except_user=N][&class=reliable|volatile|keyed&key=K]`, whose body is the payload;
//! `POST /ask?conn=C&topic=T&event=E&within=MS`,
//! whose body is the question, answered by the page's answer; `POST /load?conn=C&topic=T&within=MS`, whose body is the URL in JSON;
//! `POST /dom?topic=T`, whose body is `{"ops":[…]}` or the array; `POST /kick?user=N`; `POST /drain`; `GET /state`.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "it tells its address, and panics when it is asked to"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use sansocket::handshake::{HttpRequest, Reply as Response};
use sansocket::tokio::{Pending, serve_with};
use sansocket::{Error, Origins, Server};
use sansocket_channels::dom::{self, Changes, Element};
use sansocket_channels::{
    AskError, Channel, Close, Cx, Denied, Drain, Events, Handshake, Hub, HubBuilder, Identity, Joined,
    Payload, PublishError, Refusal, Relay, Reply, Session, TopicOptions,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { address, backplane } = Arguments::read()
        .ok_or("usage: conformance [--addr HOST:PORT] [--backplane none|nats://…|redis://…]")?;
    let history = TopicOptions::new().history(100, Duration::from_secs(60));
    let hub = joined(Hub::builder(), &backplane)?
        .channel("relay:{id}", Relay)
        .channel_with("room:{id}", history.clone().presence(), Rooms)
        .channel_with("log:{id}", history.clone(), Relay)
        .channel_with("recent:{id}", history.latest(3), Relay)
        .channel("echo:{id}", echo())
        .channel("closed:{id}", Refusing(Refusal::new("unauthorized")))
        .channel("later:{id}", Refusing(Refusal::retry("later")))
        .channel("late:{id}", Events::new().on_join(late))
        .authenticate(authenticate)
        .origins(Origins::any())
        .build()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = Server::default().origins(Origins::any());
    serve_with(listener, &server, tokio::signal::ctrl_c(), move |pending| answer(hub.clone(), pending))
        .await?;
    Ok(())
}

/// What to listen on, and what joins it to other nodes.
struct Arguments {
    address: String,
    backplane: String,
}

impl Arguments {
    /// `None`: the command line is another.
    fn read() -> Option<Self> {
        let mut read = Self { address: "127.0.0.1:8000".to_owned(), backplane: "none".to_owned() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match (&*arg, args.next()?) {
                ("--addr", value) => read.address = value,
                ("--backplane", value) => read.backplane = value,
                _ => return None,
            }
        }
        Some(read)
    }
}

/// A hub that is joined to others by what the URL says.
fn joined(hub: HubBuilder, url: &str) -> Result<HubBuilder, Box<dyn std::error::Error>> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        None if url == "none" => Ok(hub),
        #[cfg(feature = "nats")]
        Some("nats" | "tls") => Ok(hub.backplane(sansocket_channels::backplane::Nats::new(url)?)),
        #[cfg(feature = "redis")]
        Some("redis" | "unix") => Ok(hub.backplane(sansocket_channels::backplane::Redis::new(url)?)),
        _ => Err(format!(
            "{url} is no backplane, or one of a feature, nats or redis, that this is built without"
        )
        .into()),
    }
}

async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
    let token = handshake.bearer().map(str::to_owned).or_else(|| handshake.param("token"));
    match token.as_deref().map(|token| token.strip_prefix("secret-")) {
        None => Ok(Identity::anonymous()),
        Some(Some(name)) if !name.is_empty() => Ok(Identity::user(name)),
        Some(_) => Err(Denied::UNAUTHORIZED),
    }
}

fn echo() -> Events {
    Events::new()
        .on("echo", async |_, payload: Payload| match payload.binary() {
            Some(data) => Ok(Reply::binary(data.clone())),
            None => Ok(Reply::with(&payload)?),
        })
        .on("fail", async |_, _| Err(Refusal::new("no")))
        .on("crash", async |_, _| panic!("as was asked for"))
        .on("slow", async |_, _| {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(Reply::ok())
        })
        .on("quit", async |_, _| Ok(Reply::ok().stop()))
}

/// What a member pushes goes to the others, but for the events below.
struct Rooms;

/// A member of a room.
struct Room;

impl Channel for Rooms {
    type Session = Room;

    async fn join(&self, _: &Cx, params: Payload) -> Result<Joined<Room>, Refusal> {
        Joined::new(Room).track(&params)
    }
}

impl Session for Room {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        match (event, payload.binary()) {
            ("track", _) => cx.track(&payload)?,
            ("untrack", _) => cx.untrack(),
            ("crash", _) => panic!("as was asked for"),
            ("quit", _) => return Ok(Reply::ok().stop()),
            (_, Some(data)) => drop(cx.others().send_binary(event, data.clone())?),
            (_, None) => drop(cx.others().send(event, &payload)?),
        }
        Ok(Reply::ok())
    }
}

/// Lets nobody join.
struct Refusing(Refusal);

impl Channel for Refusing {
    type Session = ();

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<()>, Refusal> {
        Err(self.0.clone())
    }
}

async fn late(_: Cx, params: Payload) -> Result<Joined<()>, Refusal> {
    let params: Value = params.parse()?;
    tokio::time::sleep(Duration::from_millis(params["wait"].as_u64().unwrap_or(0))).await;
    Ok(Joined::new(()))
}

async fn answer(hub: Hub, pending: Pending) -> Result<(), Error> {
    let Some(pending) = hub.handle(pending).await? else {
        return Ok(());
    };
    let (pending, body) = pending.read_body(1 << 20).await?;
    let request = pending.request();
    let response = match (request.method(), request.path()) {
        ("POST", "/broadcast") => broadcast(&hub, request, &body),
        ("POST", "/ask") => ask(&hub, request, &body).await,
        ("POST", "/load") => load(&hub, request, &body).await,
        ("POST", "/dom") => dom(&hub, request, &body),
        ("POST", "/kick") => {
            hub.user(&param(request, "user").unwrap_or_default()).close(Close::kicked());
            done(&Value::Null)
        }
        ("POST", "/drain") => {
            let drained = hub.drain(Drain::default()).await;
            done(&json!({ "told": drained.told, "cut": drained.cut }))
        }
        ("GET", "/state") => done(&state(&hub)),
        _ => failed(404, "no such path"),
    };
    pending.respond(response).await
}

fn broadcast(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Response {
    let (Some(topic), Some(event)) = (param(request, "topic"), param(request, "event")) else {
        return failed(400, "there is no topic, or no event");
    };
    let mut publish = hub.to(&topic);
    match (param(request, "class").as_deref(), param(request, "key")) {
        (None | Some("reliable"), None) => {}
        (Some("volatile"), None) => publish = publish.volatile(),
        (Some("keyed"), Some(key)) => publish = publish.keyed(&key),
        _ => return failed(400, "there is no such class, or a key too much, or none"),
    }
    if let Some(user) = param(request, "except_user") {
        publish = publish.except_user(&user);
    }
    let is_binary = request.headers().get("Content-Type") == Some("application/octet-stream");
    let sent = if is_binary {
        publish.send_binary(&event, body.to_vec())
    } else {
        match serde_json::from_slice::<Value>(body) {
            Ok(payload) => publish.send(&event, &payload),
            Err(error) => return failed(400, &error.to_string()),
        }
    };
    match sent {
        Ok(sent) => done(&json!({ "local": sent.local })),
        // Its own members have it.
        Err(error @ PublishError::Backplane(_)) => failed(503, &error.to_string()),
        Err(error) => failed(400, &error.to_string()),
    }
}

async fn ask(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Response {
    let conn = param(request, "conn").and_then(|conn| conn.parse().ok());
    let (Some(conn), Some(topic), Some(event)) = (conn, param(request, "topic"), param(request, "event"))
    else {
        return failed(400, "there is no connection, no topic, or no event");
    };
    let within = param(request, "within").and_then(|millis| millis.parse().ok()).unwrap_or(5_000);
    let question = serde_json::from_slice::<Value>(body).unwrap_or_default();
    answered(hub.conn(conn).ask::<Value>(&topic, &event, &question, Duration::from_millis(within)).await)
}

async fn load(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Response {
    let conn = param(request, "conn").and_then(|conn| conn.parse().ok());
    let (Some(conn), Some(topic), Ok(url)) =
        (conn, param(request, "topic"), serde_json::from_slice::<String>(body))
    else {
        return failed(400, "there is no connection, no topic, or no URL");
    };
    let within = param(request, "within").and_then(|millis| millis.parse().ok()).unwrap_or(5_000);
    answered(hub.conn(conn).load(&topic, &url, Duration::from_millis(within)).await)
}

fn answered<T: serde::Serialize>(answer: Result<T, AskError>) -> Response {
    match answer {
        Ok(answer) => done(&answer),
        Err(error @ AskError::TimedOut) => failed(504, &error.to_string()),
        Err(error @ AskError::Gone) => failed(410, &error.to_string()),
        Err(error) => failed(502, &error.to_string()),
    }
}

fn dom(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Response {
    let ops = match serde_json::from_slice(body) {
        Ok(Ops::Bare(ops) | Ops::Payload { ops }) => ops.into_iter().map(dom::Op::from),
        Err(error) => return failed(400, &error.to_string()),
    };
    match hub.to(&param(request, "topic").unwrap_or_default()).dom(ops) {
        Ok(sent) => done(&json!({ "local": sent.local })),
        Err(error) => failed(400, &error.to_string()),
    }
}

/// Changes of a page as they are sent.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Ops {
    Bare(Vec<Op>),
    Payload { ops: Vec<Op> },
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Op {
    Append { to: String, el: Made },
    Update(Changed),
    Remove { id: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    tag: String,
    id: Option<String>,
    text: Option<String>,
    html: Option<String>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(default)]
    style: BTreeMap<String, String>,
    #[serde(default)]
    children: Vec<Made>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    id: String,
    text: Option<String>,
    html: Option<String>,
    #[serde(default)]
    attrs: BTreeMap<String, Option<String>>,
    #[serde(default)]
    style: BTreeMap<String, String>,
    #[serde(default)]
    class: BTreeMap<String, bool>,
}

impl From<Op> for dom::Op {
    fn from(op: Op) -> Self {
        match op {
            Op::Append { to, el } => dom::append(&to, el.into()),
            Op::Update(changed) => dom::update(&changed.id.clone(), changed.into()),
            Op::Remove { id } => dom::remove(&id),
        }
    }
}

impl From<Made> for Element {
    fn from(made: Made) -> Self {
        let mut element = Element::new(&made.tag);
        if let Some(id) = made.id {
            element = element.id(&id);
        }
        if let Some(text) = made.text {
            element = element.text(text);
        }
        if let Some(html) = made.html {
            element = element.html(html);
        }
        element = made.attrs.iter().fold(element, |element, (name, value)| element.attr(name, value));
        element = made.style.iter().fold(element, |element, (name, value)| element.style(name, value));
        made.children.into_iter().fold(element, |element, child| element.child(child.into()))
    }
}

impl From<Changed> for Changes {
    fn from(changed: Changed) -> Self {
        let mut changes = Changes::new();
        if let Some(text) = changed.text {
            changes = changes.text(text);
        }
        if let Some(html) = changed.html {
            changes = changes.html(html);
        }
        changes = changed.attrs.iter().fold(changes, |changes, (name, value)| match value {
            Some(value) => changes.attr(name, value),
            None => changes.no_attr(name),
        });
        changes = changed.style.iter().fold(changes, |changes, (name, value)| changes.style(name, value));
        changed.class.iter().fold(changes, |changes, (name, on)| changes.class(name, *on))
    }
}

fn state(hub: &Hub) -> Value {
    let connections = hub.connections().into_iter().map(
        |conn| json!({ "id": conn.id, "user": conn.user, "topics": conn.topics, "queued": conn.queued }),
    );
    let topics = hub.topics().into_iter().map(|topic| {
        let members = hub.members(&topic.name).into_iter();
        let members = members.map(|member| json!({ "conn": member.conn, "user": member.user }));
        let position = topic.position.map(|position| json!({ "e": position.epoch, "o": position.offset }));
        json!({ "name": topic.name, "members": members.collect::<Vec<_>>(), "position": position })
    });
    let presence = hub.topics().into_iter().filter_map(|topic| {
        let presences = hub.presence(&topic.name);
        let list: Map<_, _> =
            presences.keys().map(|key| (key.to_owned(), json!({ "metas": presences.metas(key) }))).collect();
        (!list.is_empty()).then_some((topic.name, Value::Object(list)))
    });
    let metrics = hub.metrics();
    let metrics = metrics.samples().map(|sample| {
        let label = sample.label.map(|(label, value)| format!("{{{label}=\"{value}\"}}"));
        (sample.name.to_owned() + &label.unwrap_or_default(), json!(sample.value))
    });
    json!({
        "connections": connections.collect::<Vec<_>>(),
        "topics": topics.collect::<Vec<_>>(),
        "presence": presence.collect::<Map<_, _>>(),
        "metrics": metrics.collect::<Map<_, _>>(),
    })
}

fn done<T: serde::Serialize>(value: &T) -> Response {
    Response::ok().json(serde_json::to_vec(value).unwrap_or_default())
}

fn failed(status: u16, why: &str) -> Response {
    Response::new(status).unwrap_or_else(|_| Response::ok()).text(format!("{why}\n"))
}

/// A parameter of the address, decoded.
fn param(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = request.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))?;
    let mut decoded = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

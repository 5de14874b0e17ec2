//! A node, of which there are several behind one address, joined by a broker: `channels/examples/nodes/run` begins three, with
//! `HAProxy` before them.
//!
//! A page tells which node it is on. When that one is killed, the page moves to another, and has what it missed meanwhile, or is told
//! that it has not.
#![expect(clippy::print_stdout, reason = "it tells its address")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sansocket::Server;
use sansocket_channels::backplane::{Nats, Redis};
use sansocket_channels::{
    Channel, Cx, Denied, Handshake, Hub, HubBuilder, Identity, Joined, Payload, Refusal, Reply, Session,
    TopicOptions,
};
use serde_json::json;
use tokio::time::interval;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { address, name, backplane } = Arguments::read()
        .ok_or("usage: nodes --addr HOST:PORT --name NAME --backplane redis://HOST:PORT|nats://HOST:PORT")?;
    // What a page missed while it moved, it is sent by the node that it has moved to.
    let options = TopicOptions::new().history(500, Duration::from_secs(600)).presence();
    let hub = joined(Hub::builder(), &backplane)?
        .channel_with("all", options, Node { name: name.clone() })
        .authenticate(authenticate)
        .page("/", "text/html", include_str!("index.html"))
        .build()?;
    println!("node {name}: http://{address}");
    tokio::spawn(tick(hub.clone(), name));
    Ok(hub.serve(address, &Server::default(), tokio::signal::ctrl_c()).await?)
}

/// The hub, joined to those that have the same broker.
fn joined(hub: HubBuilder, url: &str) -> Result<HubBuilder, Box<dyn std::error::Error>> {
    Ok(if url.starts_with("nats:") {
        hub.backplane(Nats::new(url)?)
    } else {
        hub.backplane(Redis::new(url)?)
    })
}

/// Tells the pages of all nodes that this one lives.
async fn tick(hub: Hub, name: String) {
    let mut second = interval(Duration::from_secs(1));
    for n in 0_u32.. {
        second.tick().await;
        // It fails when the hub has stopped, and while the broker is away: then only the pages of this node have it, or none.
        hub.broadcast("all", "tick", &json!({ "node": name, "n": n, "at": now() })).ok();
    }
}

/// A user who has moved is the same one: so the page has a name, which stays. Yours would prove it.
async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
    match handshake.bearer().map(str::trim) {
        Some(name) if (1..=30).contains(&name.len()) => Ok(Identity::user(name)),
        _ => Err(Denied::UNAUTHORIZED),
    }
}

struct Node {
    name: String,
}

/// A page that is on this node.
struct Page {
    node: String,
}

impl Channel for Node {
    type Session = Page;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Page>, Refusal> {
        // All pages are told where this one is, and it is told by the answer. Of two places, since the one before has not ended
        // its session if it was killed, the newer one counts.
        let place = json!({ "node": self.name, "at": now() });
        Joined::new(Page { node: self.name.clone() }).track(&place)?.reply(&place)
    }
}

impl Session for Page {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        let text: String = match event {
            "say" => payload.parse()?,
            _ => return Err(Refusal::unknown_event()),
        };
        if text.len() > 500 {
            return Err(Refusal::new("too long"));
        }
        cx.broadcast("said", &json!({ "by": cx.user(), "node": self.node, "at": now(), "text": text }))?;
        Ok(Reply::ok())
    }
}

/// Milliseconds, as pages count them.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis())
}

struct Arguments {
    address: String,
    name: String,
    backplane: String,
}

impl Arguments {
    /// `None`: the command line is another.
    fn read() -> Option<Self> {
        let (mut address, mut name, mut backplane) = (None, None, None);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match &*arg {
                "--addr" => address = args.next(),
                "--name" => name = args.next(),
                "--backplane" => backplane = args.next(),
                _ => return None,
            }
        }
        Some(Self { address: address?, name: name?, backplane: backplane? })
    }
}

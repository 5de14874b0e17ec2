//! A broker, and the nodes that it joins.

use std::time::Duration;

use sansocket_channels::backplane::{Nats, Redis};
use sansocket_channels::{Events, Hub, HubBuilder, Joined, Relay, TopicOptions};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::link::Link;
use crate::{nats, redis};

/// What joins nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    Nats,
    Redis,
}

pub enum Broker {
    Nats(nats::Broker),
    Redis(redis::Broker),
}

/// A hub that is joined to others, over a way that can be cut.
pub struct Node {
    /// No other one has it, be it in its place.
    pub number: usize,
    pub hub: Hub,
    pub link: Link,
}

/// A broker, and the nodes that it joins.
pub struct Site {
    pub engine: Engine,
    pub broker: Broker,
    pub nodes: Vec<Node>,
    /// How many nodes there have been.
    begun: usize,
}

impl Engine {
    /// Whether topics with a history have one order on all nodes.
    pub fn is_sequenced(self) -> bool {
        self == Self::Redis
    }
}

impl Broker {
    pub fn start(engine: Engine) -> Self {
        block_in_place(|| match engine {
            Engine::Nats => Self::Nats(nats::Broker::start()),
            Engine::Redis => Self::Redis(redis::Broker::new()),
        })
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Nats(broker) => broker.port(),
            Self::Redis(broker) => broker.port(),
        }
    }

    pub fn kill(&mut self) {
        block_in_place(|| match self {
            Self::Nats(broker) => broker.kill(),
            Self::Redis(broker) => broker.kill(),
        });
    }

    /// Starts it anew, at the same place.
    pub fn restart(&mut self) {
        block_in_place(|| match self {
            Self::Nats(broker) => broker.restart(),
            Self::Redis(broker) => broker.begin(),
        });
    }

    /// It neither reads nor answers, though its connections stay.
    pub fn hang(&self) {
        match self {
            Self::Nats(broker) => broker.hang(),
            Self::Redis(broker) => broker.hang(),
        }
    }

    pub fn go_on(&self) {
        match self {
            Self::Nats(broker) => broker.go_on(),
            Self::Redis(broker) => broker.go_on(),
        }
    }
}

impl Node {
    /// One of those that have a prefix in common.
    pub async fn begin(number: usize, engine: Engine, broker: u16, prefix: &str) -> Self {
        let link = Link::to(broker).await;
        Self { number, hub: joined(routes(), engine, link.port(), prefix), link }
    }

    /// Whether it is connected, and knows of as many others.
    pub fn knows(&self, others: u64) -> bool {
        let metrics = self.hub.metrics();
        (metrics.backplane_down, metrics.nodes) == (0, others)
    }
}

impl Site {
    /// Three nodes that know of each other.
    pub async fn start(engine: Engine) -> Self {
        let mut site = Self { engine, broker: Broker::start(engine), nodes: Vec::new(), begun: 0 };
        for _ in 0..3 {
            site.begin_node().await;
        }
        within(10, "they meet", || site.nodes.iter().all(|node| node.knows(2))).await;
        site
    }

    /// One node more.
    pub async fn begin_node(&mut self) {
        self.nodes.push(Node::begin(self.begun, self.engine, self.broker.port(), "sansocket").await);
        self.begun += 1;
    }

    pub fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.hub.metrics().backplane_down == 0)
    }
}

/// A hub that is joined to those that have a prefix in common.
pub fn joined(hub: HubBuilder, engine: Engine, port: u16, prefix: &str) -> Hub {
    let hub = match engine {
        Engine::Nats => {
            hub.backplane(Nats::new(&format!("nats://127.0.0.1:{port}")).unwrap().prefix(prefix).unwrap())
        }
        Engine::Redis => {
            hub.backplane(Redis::new(&format!("redis://127.0.0.1:{port}")).unwrap().prefix(prefix).unwrap())
        }
    };
    hub.build().unwrap()
}

/// What there is at each node.
pub fn routes() -> HubBuilder {
    let history = TopicOptions::new().history(1_000, Duration::from_secs(600));
    let room = Events::new().on_join(async |_, params| Joined::new(()).track(&params));
    Hub::builder().channel("plain:{id}", Relay).channel_with("kept:{id}", history, Relay).channel_with(
        "room:{id}",
        TopicOptions::new().presence(),
        room,
    )
}

/// Waits until something is so, which may take so many seconds; how long it took.
pub async fn within(seconds: u64, what: &str, is_so: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "not within {seconds} seconds: {what}");
        sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Waits until there are none of these any more, which may take so many seconds; how long it took.
pub async fn none_within(seconds: u64, what: impl Fn() -> Vec<String>) -> Duration {
    let begun = Instant::now();
    loop {
        let left = what();
        if left.is_empty() {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "after {seconds} seconds still: {left:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

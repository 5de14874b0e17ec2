//! Nodes that end in good order.

use std::time::Duration;

use sansocket_channels::{Channel, Cx, Drain, Joined, Leave, Payload, Refusal, Session};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::scene::page;
use crate::site::{Broker, Engine, Node, joined, routes, within};

/// Who leaves says so, at some length.
struct Parting;

impl Channel for Parting {
    type Session = Self;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Self>, Refusal> {
        Ok(Joined::new(Self))
    }
}

impl Session for Parting {
    async fn leave(self, cx: &Cx, why: Leave) {
        assert_eq!(why, Leave::Drained);
        for topic in ["plain:1", "kept:1"] {
            for number in 0..WORDS {
                cx.hub()
                    .broadcast(topic, "said", &json!({ "number": number, "pad": "x".repeat(1_000) }))
                    .unwrap();
            }
        }
    }
}

/// A program that ends when its node is drained, with whatever its only thread has left to do: others hear what its sessions have said at
/// their end, and that it is gone.
async fn a_node_that_stops_is_heard_to_the_end(engine: Engine) {
    let broker = Broker::start(engine);
    let other = Node::begin(0, engine, broker.port(), "sansocket").await;
    let mut there = page(&other.hub, "bob", false);
    for topic in ["plain:1", "kept:1", "room:1"] {
        there.join(topic, &json!({})).await.unwrap();
    }
    let port = broker.port();
    let program = spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let hub = joined(routes().channel("parting", Parting), engine, port, "sansocket");
            within(5, "they meet", || hub.metrics().nodes == 1).await;
            let mut here = page(&hub, "ada", false);
            here.join("room:1", &json!({})).await.unwrap();
            here.join("parting", &json!({})).await.unwrap();
            within(5, "both are present", || hub.presence("room:1").keys().count() == 2).await;
            hub.drain(Drain::default()).await
        })
    });
    assert_eq!(program.await.unwrap().busy, 0);
    for topic in ["plain:1", "kept:1"] {
        for number in 0..WORDS {
            assert_eq!(there.expect(topic, "said").await["number"], number);
        }
    }
    within(8, "she is gone", || other.hub.presence("room:1").keys().eq(["bob"])).await;
    assert!(other.knows(0));
}

/// A broker that takes nothing is waited for, and not for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_while_its_broker_hangs() {
    for engine in [Engine::Nats, Engine::Redis] {
        let broker = Broker::start(engine);
        let node = Node::begin(0, engine, broker.port(), "sansocket").await;
        within(5, "it is up", || node.knows(0)).await;
        broker.hang();
        node.hub.broadcast("plain:1", "said", &json!({})).unwrap();
        let begun = Instant::now();
        node.hub.drain(Drain::default()).await;
        let took = begun.elapsed();
        assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&took), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_is_heard_to_the_end_over_nats() {
    a_node_that_stops_is_heard_to_the_end(Engine::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_is_heard_to_the_end_over_redis() {
    a_node_that_stops_is_heard_to_the_end(Engine::Redis).await;
}

/// How much who leaves says, on each of two topics.
const WORDS: u32 = 1_000;

//! Clients that come back, to their node or another one.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::Client;
use crate::scene::page;
use crate::site::{Engine, Site, within};
use crate::traffic::{Kind, Traffic};

const TOPIC: &str = "kept:1";

/// Where a client was, so that it may come back.
struct Left {
    since: Value,
    offset: u64,
}

impl Left {
    /// A client is lost.
    fn by(client: Client) -> Self {
        let (epoch, offset) = client.state().accounts[TOPIC].position().unwrap();
        let since = json!({ "$since": { "e": epoch, "o": offset, "c": client.conn } });
        drop(client);
        Self { since, offset }
    }
}

async fn join(site: &Site, node: usize, params: Value) -> Client {
    Client::join(
        page(&site.nodes[node].hub, "ada", false),
        "ada",
        params["$since"].is_null(),
        &[(TOPIC, params)],
    )
    .await
}

/// Comes back to a node. `None`: it is told that it has not got what it has missed.
async fn come_back(site: &Site, node: usize, left: Left) -> Option<Client> {
    let Left { since, offset } = left;
    let client = join(site, node, since).await;
    let joined = client.state().joined[TOPIC].clone();
    let is_recovered = joined["$recovered"].as_bool().unwrap();
    if is_recovered {
        assert_eq!(joined["$pos"]["o"], offset);
    }
    is_recovered.then_some(client)
}

/// Waits until a client has seen as much, and is there in the history.
async fn seen(client: &Client, count: usize, offset: u64) {
    let at = || client.state().accounts[TOPIC].position().unwrap().1;
    within(5, "it comes", || client.state().accounts[TOPIC].seen == count && at() == offset).await;
    assert_eq!(client.state().accounts[TOPIC].faults, [""; 0]);
    assert_eq!(client.state().accounts[TOPIC].gaps, 0);
}

/// With an order of the broker, a client gets what it has missed on whichever node it comes to, though its own one cannot be reached.
/// Without one, it does on its own node alone, and is told so elsewhere. What a broker has forgotten nobody gets.
async fn clients_come_back(engine: Engine) {
    let mut site = Site::start(engine).await;
    let traffic = Traffic::new(engine);
    let send = |site: &Site, node: usize, count: usize| {
        for _ in 0..count {
            traffic.send(&site.nodes[node].hub, node, (TOPIC, Kind::Reliable));
        }
    };
    let mover = join(&site, 0, json!({})).await;
    let (stayer, other) = (join(&site, 1, json!({})).await, join(&site, 2, json!({})).await);
    send(&site, 1, 3);
    for client in [&mover, &stayer, &other] {
        seen(client, 3, 3).await;
    }
    site.nodes[0].link.cut();
    within(5, "it is down", || !site.is_up()).await;
    let (mover, other) = (Left::by(mover), Left::by(other));
    send(&site, 1, 5);
    seen(&stayer, 8, 8).await;
    // What has come to the node that it comes to: wherever it has come from, by now it is there.
    sleep(Duration::from_millis(100)).await;
    let moved = come_back(&site, 1, mover).await;
    assert_eq!(moved.is_some(), engine.is_sequenced());
    let returned = come_back(&site, 2, other).await.unwrap();
    for client in [moved.as_ref(), Some(&returned)].into_iter().flatten() {
        seen(client, 5, 8).await;
    }
    send(&site, 2, 2);
    for client in [moved.as_ref(), Some(&returned)].into_iter().flatten() {
        seen(client, 7, 10).await;
    }

    // The node that was cut off has missed something.
    site.nodes[0].link.open();
    within(5, "all are up", || site.is_up()).await;
    sleep(Duration::from_millis(100)).await;
    let back = come_back(&site, 0, Left::by(returned)).await;
    assert_eq!(back.is_some(), engine.is_sequenced());
    let left = Left::by(stayer);
    site.broker.kill();
    site.broker.restart();
    within(5, "it is noticed", || site.nodes.iter().all(|node| node.hub.metrics().backplane_downs > 0)).await;
    within(5, "all are up", || site.is_up()).await;
    assert!(come_back(&site, 1, left).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_come_back_over_nats() {
    clients_come_back(Engine::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_come_back_over_redis() {
    clients_come_back(Engine::Redis).await;
}

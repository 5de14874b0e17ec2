//! Others at the same broker: who publishes nonsense where nodes meet, and another cluster.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream as _;
use sansocket_channels::Close;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::random::Random;
use crate::scene::page;
use crate::site::{Broker, Engine, Node, Site, none_within, within};
use crate::traffic::{Kind, TOPICS, Traffic, WAYS};

/// Somebody who is at the broker, and is no node.
enum Stranger {
    Nats(async_nats::Client),
    Redis(::redis::Client),
}

impl Stranger {
    async fn at(broker: &Broker) -> Self {
        match broker {
            Broker::Nats(broker) => Self::Nats(async_nats::connect(broker.address()).await.unwrap()),
            Broker::Redis(broker) => Self::Redis(::redis::Client::open(broker.url()).unwrap()),
        }
    }

    /// What nodes call what is for a topic, `t`, or for all nodes, `c` and `all`.
    fn channel(&self, kind: &str, name: &str) -> String {
        match self {
            Self::Nats(_) => format!("sansocket.{kind}.{name}"),
            Self::Redis(_) => format!("sansocket:{kind}:{name}"),
        }
    }

    /// Publishes all of these, in turn.
    async fn publish(&self, channel: &str, all: &[Vec<u8>]) {
        match self {
            Self::Nats(client) => {
                for bytes in all {
                    client.publish(channel.to_owned(), bytes.clone().into()).await.unwrap();
                }
                client.flush().await.unwrap();
            }
            Self::Redis(client) => {
                let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                for bytes in all {
                    let publish = ::redis::cmd("PUBLISH").arg(channel).arg(bytes).to_owned();
                    let heard: u64 = publish.query_async(&mut connection).await.unwrap();
                    assert_eq!(heard, 3);
                }
            }
        }
    }

    /// What comes next on a channel when something is done.
    async fn overhear(&self, channel: &str, done: impl FnOnce()) -> Vec<u8> {
        let overheard = async {
            match self {
                Self::Nats(client) => {
                    let mut heard = client.subscribe(channel.to_owned()).await.unwrap();
                    // The broker knows when it has what is behind that.
                    let mut back = client.subscribe("back").await.unwrap();
                    client.publish("back", Bytes::new()).await.unwrap();
                    next(&mut back).await;
                    done();
                    next(&mut heard).await
                }
                Self::Redis(client) => {
                    let (client, channel) = (client.clone(), channel.to_owned());
                    let (ready, is_ready) = oneshot::channel();
                    let hearing = tokio::task::spawn_blocking(move || {
                        let mut connection = client.get_connection().unwrap();
                        let mut heard = connection.as_pubsub();
                        heard.subscribe(channel).unwrap();
                        ready.send(()).unwrap();
                        heard.get_message().unwrap().get_payload::<Vec<u8>>().unwrap()
                    });
                    is_ready.await.unwrap();
                    done();
                    hearing.await.unwrap()
                }
            }
        };
        timeout(Duration::from_secs(5), overheard).await.unwrap()
    }
}

async fn next(heard: &mut async_nats::Subscriber) -> Vec<u8> {
    poll_fn(|cx| Pin::new(&mut *heard).poll_next(cx)).await.unwrap().payload.to_vec()
}

/// Three nodes, each with a client.
async fn attended(engine: Engine) -> (Site, Vec<Client>, Traffic) {
    let (site, traffic) = (Site::start(engine).await, Traffic::new(engine));
    let mut clients = Vec::new();
    for node in &site.nodes {
        clients.push(attend(node).await);
    }
    (site, clients, traffic)
}

async fn attend(node: &Node) -> Client {
    let topics = TOPICS.map(|topic| (topic, json!({})));
    Client::join(page(&node.hub, "ada", false), "ada", true, &topics).await
}

/// What nodes send comes to all clients of theirs, and nothing else has.
async fn all_is_well(nodes: &[Node], clients: &[Client], traffic: &Traffic) {
    for node in nodes {
        for way in WAYS {
            traffic.send(&node.hub, node.number, way);
        }
    }
    let owed = || {
        let (sent, mut owed) = (traffic.sent(), Vec::new());
        for client in clients {
            for (topic, account) in &client.state().accounts {
                owed.extend(account.owed(topic, &sent));
            }
        }
        owed
    };
    none_within(5, owed).await;
    for client in clients {
        for (topic, account) in &client.state().accounts {
            assert_eq!((&*account.faults, account.gaps), (&[][..], 0), "{topic}");
            assert_eq!(account.nodes(), nodes.iter().map(|node| node.number).collect());
        }
    }
}

/// What is no envelope, made from one that is, of which the version is the byte at `version`.
fn nonsense(envelope: &[u8], version: usize) -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let truncated = (0..envelope.len()).map(|len| envelope[..len].to_vec());
    let mut all: Vec<_> = truncated.collect();
    for other in (0..=u8::MAX).filter(|other| *other != envelope[version]) {
        let mut of_another = envelope.to_vec();
        of_another[version] = other;
        all.push(of_another);
    }
    for _ in 0..300 {
        let len = random.below(100);
        all.push((0..len).map(|_| random.below(256).to_le_bytes()[0]).collect());
    }
    all.push(vec![envelope[version]; 500_000]);
    all
}

/// Nonsense is counted, and nothing comes of it.
async fn nonsense_is_ignored(engine: Engine) {
    let (site, clients, traffic) = attended(engine).await;
    let stranger = Stranger::at(&site.broker).await;
    all_is_well(&site.nodes, &clients, &traffic).await;
    let ignored = || site.nodes.iter().map(|node| node.hub.metrics().backplane_ignored).collect::<Vec<_>>();
    let hub = &site.nodes[0].hub;
    // Redis says what it is that is published to a topic, which is before the envelope.
    let version = usize::from(engine == Engine::Redis);

    let topic = stranger.channel("t", "plain:1");
    let send = || traffic.send(hub, 0, ("plain:1", Kind::Reliable));
    let of_topic = nonsense(&stranger.overhear(&topic, send).await, version);
    let to_pattern = stranger.channel("t", "=24all");
    let send = || traffic.send(hub, 0, ("plain:{id}", Kind::Pattern));
    let of_pattern = nonsense(&stranger.overhear(&to_pattern, send).await, version);
    let to_nodes = stranger.channel("c", "all");
    let close = || hub.user("nobody").close(Close::kicked());
    let of_nodes = nonsense(&stranger.overhear(&to_nodes, close).await, 0);
    let mut count = 0;
    for (channel, all) in [(&topic, of_topic), (&to_pattern, of_pattern), (&to_nodes, of_nodes)] {
        stranger.publish(channel, &all).await;
        count += all.len() as u64;
        within(5, "all is counted", || ignored().iter().all(|ignored| *ignored >= count)).await;
        assert_eq!(ignored(), [count; 3]);
    }

    let kept = stranger.channel("t", "kept:1");
    let send = || traffic.send(hub, 0, ("kept:1", Kind::Reliable));
    let numbered = stranger.overhear(&kept, send).await;
    if engine == Engine::Redis {
        let colons = numbered.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
        let [of_epoch, of_offset] = colons.take(2).collect::<Vec<_>>().try_into().unwrap();
        let epoch = String::from_utf8(numbered[1..of_epoch].to_vec()).unwrap();
        // What has been, or could not be yet, or is of another life; and what is no offset, and no epoch.
        let mut all = nonsense(&numbered, of_offset + 1);
        for (epoch, offset) in [
            (&*epoch, "1"),
            (&epoch, "0"),
            (&epoch, "99999"),
            (&epoch, "18446744073709551615"),
            ("another", "5"),
            (&epoch, "18446744073709551616"),
            (&epoch, "x"),
            (&epoch, "-1"),
            (&epoch, ""),
            ("", "1"),
            ("a b", "1"),
        ] {
            all.push(format!("\u{1}{epoch}:{offset}:nonsense").into_bytes());
        }
        stranger.publish(&kept, &all).await;
        count += all.len() as u64;
    } else {
        let all = nonsense(&numbered, 0);
        stranger.publish(&kept, &all).await;
        count += all.len() as u64;
    }
    within(5, "all is counted", || ignored().iter().all(|ignored| *ignored >= count)).await;
    sleep(Duration::from_millis(300)).await;
    all_is_well(&site.nodes, &clients, &traffic).await;
    for (client, node) in clients.iter().zip(&site.nodes) {
        assert!(client.state().closed.is_none() && node.knows(2));
        let users: Vec<_> = client.state().present.values().cloned().collect();
        assert_eq!(users, ["ada"; 3]);
    }
}

/// Those with another prefix are others, though topics and users be called the same.
async fn another_cluster_is_another(engine: Engine) {
    let (site, clients, traffic) = attended(engine).await;
    let (mut others, mut other_clients) = (Vec::new(), Vec::new());
    for number in 10..12 {
        let node = Node::begin(number, engine, site.broker.port(), "other").await;
        within(5, "it is up", || node.hub.metrics().backplane_down == 0).await;
        other_clients.push(attend(&node).await);
        others.push(node);
    }
    within(5, "they meet", || others.iter().all(|node| node.knows(1))).await;
    let other_traffic = Traffic::new(engine);
    for _ in 0..20 {
        all_is_well(&site.nodes, &clients, &traffic).await;
        all_is_well(&others, &other_clients, &other_traffic).await;
    }
    for (nodes, clients, count) in [(&site.nodes, &clients, 3), (&others, &other_clients, 2)] {
        for (node, client) in nodes.iter().zip(clients) {
            within(5, "presences are told", || client.state().present.len() == count).await;
            let offset = client.state().accounts["kept:1"].position().unwrap().1;
            assert_eq!(offset, 20 * count as u64);
            assert!(node.knows(count as u64 - 1));
            assert_eq!(node.hub.metrics().backplane_ignored, 0);
        }
    }
    others[0].hub.user("ada").close(Close::kicked());
    within(2, "they are closed", || other_clients.iter().all(|client| client.state().closed.is_some())).await;
    all_is_well(&site.nodes, &clients, &traffic).await;
    assert!(clients.iter().all(|client| client.state().closed.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_ignored_over_nats() {
    nonsense_is_ignored(Engine::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_ignored_over_redis() {
    nonsense_is_ignored(Engine::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_is_another_over_nats() {
    another_cluster_is_another(Engine::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_is_another_over_redis() {
    another_cluster_is_another(Engine::Redis).await;
}

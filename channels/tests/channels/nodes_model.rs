//! Three nodes, and a broker that loses, delays, reorders and cuts them off at random: every client sees each node's messages in
//! order, none twice, and is told of all that it misses.

use std::time::Duration;

use sansocket_channels::backplane::{MemoryBus, MemoryNode};
use sansocket_channels::test::Page;
use sansocket_channels::{Hub, PublishError, TopicOptions};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::nodes::{MOMENT, hub_with, page};
use crate::random::Random;

const NODES: usize = 3;

/// A member that keeps account of what it is sent.
struct Client {
    page: Page,
    /// The number of the last message of each node.
    last: [u64; NODES],
    /// Something was told to be lost since then.
    gap: [bool; NODES],
    /// How far it is in the history.
    at: Option<(String, u64)>,
    seen: usize,
    gaps: usize,
}

impl Client {
    fn new(page: Page) -> Self {
        Self { page, last: [0; NODES], gap: [false; NODES], at: None, seen: 0, gaps: 0 }
    }

    /// Takes all that has come.
    async fn read(&mut self, seed: u64) {
        while let Ok(Some(message)) = timeout(Duration::from_millis(1), self.page.next_message()).await {
            let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            self.see(&frame, seed);
        }
    }

    fn see(&mut self, frame: &Value, seed: u64) {
        if frame[3] == "$gap" {
            self.gap = [true; NODES];
            self.gaps += 1;
            if let (Some(epoch), Some(offset)) = (frame[4]["e"].as_str(), frame[4]["o"].as_u64()) {
                self.at = Some((epoch.to_owned(), offset));
            }
            return;
        }
        if let (Some(offset), Some((_, at))) = (frame[5].as_u64(), &mut self.at) {
            assert_eq!(offset, *at + 1, "seed {seed}: a jump that nobody told");
            *at = offset;
        }
        if frame[3] == "said" {
            let (node, n) = (frame[4]["node"].as_u64().unwrap(), frame[4]["n"].as_u64().unwrap());
            let node = usize::try_from(node).unwrap();
            assert!(n > self.last[node], "seed {seed}: {n} of {node} came behind {}", self.last[node]);
            let is_next = n == self.last[node] + 1;
            assert!(
                is_next || self.gap[node],
                "seed {seed}: {} to {n} of {node} are missing",
                self.last[node]
            );
            (self.last[node], self.gap[node]) = (n, false);
            self.seen += 1;
        }
    }

    fn end(&self, sent: [u64; NODES], seed: u64) {
        for (node, sent) in sent.into_iter().enumerate() {
            let is_told = self.last[node] == sent || self.gap[node];
            assert!(is_told, "seed {seed}: {} to {sent} of {node} are missing", self.last[node]);
        }
    }
}

/// What has come to all clients, and how many gaps they were told.
struct Outcome {
    seen: usize,
    gaps: usize,
}

async fn run(seed: u64, bus: MemoryBus, options: TopicOptions) -> Outcome {
    let mut random = Random(seed);
    let nodes: Vec<(Hub, MemoryNode)> = (0..NODES).map(|_| hub_with(&bus, options.clone())).collect();
    sleep(MOMENT).await;
    let mut clients = Vec::new();
    for (hub, _) in &nodes {
        for user in ["ada", "bob"] {
            let mut page = page(hub, user, "room:1").await;
            let joined = page.join("room:1", &json!({})).await.unwrap();
            let at = joined["$pos"]["e"].as_str().map(ToOwned::to_owned);
            clients.push(Client { at: at.map(|epoch| (epoch, 0)), ..Client::new(page) });
        }
    }
    // What comes first is not lost: whoever has heard of nobody yet cannot know what he misses at the very moment he begins.
    sleep(MOMENT).await;
    bus.delay(Duration::from_millis(30));
    let mut sent = [0; NODES];
    for _ in 0..400 {
        match random.below(12) {
            0..=6 => {
                let node = random.below(NODES);
                let payload = json!({ "node": node, "n": sent[node] + 1 });
                match nodes[node].0.broadcast("room:1", "said", &payload) {
                    // Numbered by the broker, it has come to nobody.
                    Err(PublishError::Backplane(_)) if nodes[node].0.topics()[0].position.is_some() => {
                        sent[node] += u64::from(!bus.is_sequenced());
                    }
                    Ok(_) | Err(PublishError::Backplane(_)) => sent[node] += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            7 => bus.lose(if random.below(2) == 0 { 5 } else { 0 }),
            8 => bus.reorder(if random.below(2) == 0 { 5 } else { 0 }),
            9 if random.below(4) == 0 => nodes[random.below(NODES)].1.cut(),
            10 => nodes[random.below(NODES)].1.mend(),
            _ => sleep(Duration::from_millis(random.below(200) as u64)).await,
        }
        let client = random.below(clients.len());
        clients[client].read(seed).await;
    }
    bus.lose(0);
    bus.reorder(0);
    for (_, end) in &nodes {
        end.mend();
    }
    sleep(Duration::from_secs(20)).await;
    let mut outcome = Outcome { seen: 0, gaps: 0 };
    for client in &mut clients {
        client.read(seed).await;
        client.end(sent, seed);
        outcome.seen += client.seen;
        outcome.gaps += client.gaps;
    }
    // Members are counted right, and when all are gone nothing is left.
    for (hub, _) in &nodes {
        assert_eq!(hub.members("room:1").len(), 2);
        assert_eq!(hub.metrics().nodes, 2);
    }
    if bus.is_sequenced() && options_keep(&nodes[0].0) {
        let positions: Vec<_> = nodes.iter().map(|(hub, _)| hub.topics()[0].position.clone()).collect();
        assert!(positions.iter().all(|position| *position == positions[0]), "seed {seed}: {positions:?}");
    }
    drop(clients);
    sleep(Duration::from_secs(120)).await;
    for (hub, _) in &nodes {
        let metrics = hub.metrics();
        assert_eq!((hub.topics(), metrics.members, metrics.subscriptions), (vec![], 0, 1), "seed {seed}");
    }
    outcome
}

fn options_keep(hub: &Hub) -> bool {
    hub.topics()[0].position.is_some()
}

#[tokio::test(start_paused = true)]
async fn without_a_history_every_loss_is_told() {
    let mut outcome = Outcome { seen: 0, gaps: 0 };
    for seed in 0..60 {
        let run = run(seed, MemoryBus::new().seed(seed), TopicOptions::new()).await;
        outcome = Outcome { seen: outcome.seen + run.seen, gaps: outcome.gaps + run.gaps };
    }
    assert!(outcome.seen > 10_000 && outcome.gaps > 500, "{} {}", outcome.seen, outcome.gaps);
}

#[tokio::test(start_paused = true)]
async fn with_a_history_of_each_node_every_loss_is_told() {
    let options = TopicOptions::new().history(20, Duration::from_secs(60));
    for seed in 100..160 {
        run(seed, MemoryBus::new().seed(seed), options.clone()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_an_order_of_the_broker_there_is_one_and_little_is_lost() {
    let options = TopicOptions::new().history(20, Duration::from_secs(60));
    let mut outcome = Outcome { seen: 0, gaps: 0 };
    for seed in 200..260 {
        let run = run(seed, MemoryBus::new().sequenced().seed(seed), options.clone()).await;
        outcome = Outcome { seen: outcome.seen + run.seen, gaps: outcome.gaps + run.gaps };
    }
    assert!(outcome.seen > 10_000, "{}", outcome.seen);
}

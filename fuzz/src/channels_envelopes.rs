//! Whatever a broker brings to hubs of sansocket-channels: envelopes of other nodes, cut and changed, and what it says of itself.
#![allow(clippy::expect_used, clippy::panic, reason = "a target reports what it finds by a panic")]

use std::time::Duration;

use bytes::Bytes;
use sansocket::Message;
use sansocket_channels::backplane::{MemoryBus, MemoryNode, Told};
use sansocket_channels::test::Page;
use sansocket_channels::{Events, Hub, Identity, Joined, Limits, Position, TopicOptions};
use serde_json::value::RawValue;
use tokio::runtime::{self, Runtime};
use tokio::time::{sleep, timeout};

/// A byte that says whether the broker puts messages in an order, and then what is told, one after the other: a byte that says
/// what, one that says how many bytes that has, and those; what follows 0xFF is the last.
pub fn channels_envelopes(data: &[u8]) {
    let Some((broker, told)) = data.split_first() else {
        return;
    };
    let bus = MemoryBus::new();
    let bus = if *broker & 1 == 0 { bus } else { bus.sequenced() };
    RUNTIME.with(|runtime| runtime.block_on(meet(&bus, told)));
}

async fn meet(bus: &MemoryBus, data: &[u8]) {
    let (hub, node) = hub(bus);
    let mut member = Member::join(&hub).await;
    let mut rest = data;
    for _ in 0..MAX_TOLD {
        let Some(([what, len], behind)) = rest.split_first_chunk() else {
            break;
        };
        let len = if *len == u8::MAX { behind.len() } else { behind.len().min((*len).into()) };
        let (told, behind) = behind.split_at(len);
        rest = behind;
        tell(&node, &member, *what, told);
        member.read().await;
    }
    node.tell(Told::Up);
    sleep(Duration::from_secs(2)).await;
    member.read().await;
    let metrics = hub.metrics();
    assert!(metrics.presence_entries <= MAX_PRESENT as u64, "{} entries", metrics.presence_entries);
    assert!(metrics.history_entries <= MAX_KEPT as u64, "{} messages", metrics.history_entries);
    assert!(metrics.nodes <= MAX_TOLD as u64, "{} nodes", metrics.nodes);
    drop(member);
    // Its histories, and who was present, are over, and so are its nodes.
    sleep(Duration::from_secs(50)).await;
    assert_eq!((hub.connections().len(), hub.topics().len()), (0, 0), "a page that is gone");
    let metrics = hub.metrics();
    assert_eq!((metrics.nodes, metrics.subscriptions), (0, 1), "nodes and topics of which nobody has heard");
    drop(hub);
    // Its tasks see that.
    sleep(Duration::from_secs(2)).await;
}

fn hub(bus: &MemoryBus) -> (Hub, MemoryNode) {
    let room = || Events::new().on_join(async |_, params| Joined::new(()).track(&params));
    let present = TopicOptions::new().presence();
    let kept = TopicOptions::new().history(MAX_KEPT, Duration::from_secs(10));
    let limits = Limits::default().presence(MAX_PRESENT, 64);
    let node = bus.node();
    let hub = Hub::builder()
        .channel_with("present", present.clone(), room())
        .channel_with("kept", kept.clone(), Events::new())
        .channel_with("both", kept.presence(), room())
        .limits(limits)
        .backplane(node.clone());
    (hub.build().expect("a hub"), node)
}

fn tell(node: &MemoryNode, member: &Member, what: u8, told: &[u8]) {
    let topic = TOPICS[usize::from(what >> 4) % TOPICS.len()];
    match what & 15 {
        0..=4 => node.tell(Told::Message { topic, envelope: Bytes::copy_from_slice(told) }),
        5 => node.tell(Told::Message { topic: "$all", envelope: Bytes::copy_from_slice(told) }),
        6..=8 => {
            // The next, another, or one of another life.
            let Position { epoch, offset } =
                member.at(topic).unwrap_or(Position { epoch: "e".into(), offset: 0 });
            let (by, envelope) = told.split_first().unwrap_or((&0, &[]));
            let position = match by {
                0..=99 => Position { epoch, offset: offset.saturating_add(1) },
                100..=199 => Position { epoch, offset: u64::from(*by - 100) },
                200 => Position { epoch, offset: u64::MAX },
                _ => Position { epoch: "other".into(), offset: u64::from(*by - 200) },
            };
            node.tell(Told::Sequenced { topic, position, envelope: Bytes::copy_from_slice(envelope) });
        }
        9..=12 => node.tell(Told::Control(Bytes::copy_from_slice(told))),
        13 => node.tell(Told::Lost((what > 127).then_some(topic))),
        14 => node.tell(Told::Down),
        _ => node.tell(Told::Up),
    }
}

/// A page that has joined all topics, and sees to it that what it is told is a frame, and without an offset that nobody can account
/// for.
struct Member {
    page: Page,
    at: [Option<Position>; TOPICS.len()],
}

impl Member {
    async fn join(hub: &Hub) -> Self {
        let mut page = hub.test_page(Identity::user("ada"));
        let mut at = TOPICS.map(|_| None);
        for (topic, at) in TOPICS.iter().zip(&mut at) {
            let joined = page.join(topic, &serde_json::Map::new()).await.expect("a member");
            *at = position(&joined["$pos"]);
        }
        Self { page, at }
    }

    fn at(&self, topic: &str) -> Option<Position> {
        self.at[TOPICS.iter().position(|other| *other == topic)?].clone()
    }

    async fn read(&mut self) {
        while let Ok(Some(message)) = timeout(Duration::from_millis(1), self.page.next_message()).await {
            if let Message::Text(text) = &message {
                self.see(text);
            }
        }
    }

    fn see(&mut self, text: &str) {
        let array: Vec<Box<RawValue>> = serde_json::from_str(text).expect("a frame in JSON");
        let [join_ref, reference, topic, event, payload, offset @ ..] = &array[..] else {
            panic!("{text} has no five parts");
        };
        for reference in [join_ref, reference] {
            serde_json::from_str::<Option<String>>(reference.get()).expect("a ref");
        }
        let [topic, event] =
            [topic, event].map(|name| serde_json::from_str::<String>(name.get()).expect("a name"));
        let at = TOPICS.iter().position(|other| *other == topic).expect("a topic that was joined");
        let at = &mut self.at[at];
        if event == "$gap" {
            let gap = serde_json::from_str(payload.get()).expect("a value");
            *at = position(&gap).or_else(|| at.take());
        }
        if let [offset] = offset {
            let offset: u64 = serde_json::from_str(offset.get()).expect("an offset");
            let at = at.as_mut().expect("a topic with a history");
            assert_eq!(offset, at.offset + 1, "{text}");
            at.offset = offset;
        }
    }
}

fn position(value: &serde_json::Value) -> Option<Position> {
    Some(Position { epoch: value["e"].as_str()?.to_owned(), offset: value["o"].as_u64()? })
}

fn runtime() -> Runtime {
    runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

thread_local! {
    /// One for all inputs.
    static RUNTIME: Runtime = runtime();
}

const TOPICS: [&str; 3] = ["present", "kept", "both"];

/// How much of an input is told.
const MAX_TOLD: usize = 24;

const MAX_PRESENT: usize = 8;

const MAX_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn corpus() {
        for seed in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/channels_envelopes")).unwrap() {
            super::channels_envelopes(&fs::read(seed.unwrap().path()).unwrap());
        }
    }
}

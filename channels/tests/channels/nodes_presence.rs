//! Who is present on several nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::backplane::{
    Backplane, BackplaneError, BoxFuture, MemoryBus, MemoryNode, NodeId, Sink, Told,
};
use sansocket_channels::test::Page;
use sansocket_channels::{Events, Hub, Identity, Joined, Limits, Reply, TopicOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::nodes::{MOMENT, Tap, passes_on};
use crate::random::Random;

fn hub(bus: &MemoryBus) -> (Hub, MemoryNode) {
    let node = bus.node();
    (hub_of(node.clone()), node)
}

fn hub_of(backplane: impl Backplane) -> Hub {
    let room = Events::new()
        .on_join(async |_, params| Joined::new(()).track(&params))
        .on("track", async |cx, meta| {
            cx.track(&meta)?;
            Ok(Reply::ok())
        })
        .on("untrack", async |cx, _| {
            cx.untrack();
            Ok(Reply::ok())
        });
    let options = TopicOptions::new().presence();
    let limits = Limits::default().presence(20_000, 1_024).topics(10_000).connections_per_user(10_000);
    let limits = limits.topics_per_connection(10_000);
    let hub = Hub::builder().channel_with("room:{id}", options, room).limits(limits).backplane(backplane);
    hub.build().unwrap()
}

async fn page(hub: &Hub, user: &str) -> Page {
    let mut page = hub.test_page(Identity::user(user));
    page.join("room:1", &json!({ "at": user })).await.unwrap();
    page
}

fn keys(hub: &Hub) -> Vec<String> {
    hub.presence("room:1").keys().map(ToOwned::to_owned).collect()
}

fn refs(hub: &Hub) -> BTreeSet<String> {
    let presences = hub.presence("room:1");
    let metas = presences.keys().flat_map(|key| presences.metas(key));
    metas.map(|meta| meta["phx_ref"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn members_of_all_nodes_are_in_one_list() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    sleep(MOMENT).await;
    let mut ada = page(&one, "ada").await;
    ada.expect("room:1", "presence_state").await;
    ada.expect("room:1", "presence_diff").await;
    let mut bob = page(&other, "bob").await;
    bob.expect("room:1", "presence_state").await;
    let diff = ada.expect("room:1", "presence_diff").await;
    assert_eq!(diff["joins"]["bob"]["metas"][0]["at"], "bob");
    assert_eq!(diff["leaves"], json!({}));
    // Who joins is told of those elsewhere, be it a moment later.
    let diff = bob.expect("room:1", "presence_diff").await;
    assert_eq!(diff["joins"]["ada"]["metas"][0]["at"], "ada");
    assert_eq!(diff["joins"]["bob"]["metas"][0]["at"], "bob");
    assert_eq!(refs(&one), refs(&other));
    assert_eq!(keys(&one), ["ada", "bob"]);

    bob.push("room:1", "track", &json!({ "at": "lunch" })).await.unwrap();
    let diff = ada.expect("room:1", "presence_diff").await;
    let (join, leave) = (&diff["joins"]["bob"]["metas"][0], &diff["leaves"]["bob"]["metas"][0]);
    assert_eq!((&join["at"], &leave["at"]), (&json!("lunch"), &json!("bob")));
    assert_eq!(join["phx_ref_prev"], leave["phx_ref"]);
    bob.push("room:1", "untrack", &json!({})).await.unwrap();
    let diff = ada.expect("room:1", "presence_diff").await;
    assert_eq!(diff["joins"], json!({}));
    assert_eq!(diff["leaves"]["bob"]["metas"][0]["phx_ref"], join["phx_ref"]);
    ada.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_lost_on_one_node_and_back_on_another_is_not_gone_between() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut watcher = page(&other, "eve").await;
    let mut ada = page(&one, "ada").await;
    sleep(MOMENT).await;
    ada.cut();
    sleep(Duration::from_secs(2)).await;
    let before = refs(&other);
    let _back = page(&other, "ada").await;
    sleep(Duration::from_secs(1)).await;
    // It is one entry for another.
    assert_eq!(refs(&other).len(), before.len());
    assert_eq!(one.topics(), []);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    // There was no moment at which the list of a page had none of them.
    let mut metas = 0;
    let mut events = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(MOMENT, watcher.next_message()).await {
        let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        events.push(frame);
    }
    for frame in events.iter().filter(|frame| frame[3] == "presence_diff") {
        let count = |half: &str| frame[4][half]["ada"]["metas"].as_array().map_or(0, Vec::len);
        metas = metas + count("joins") - count("leaves");
        assert!(metas == 1 || count("joins") + count("leaves") == 0, "{events:?}");
    }
    assert_eq!(metas, 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_back_is_gone_everywhere() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    let mut ada = page(&one, "ada").await;
    let mut bob = page(&one, "bob").await;
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["ada", "bob", "eve"]);
    bob.leave("room:1").await;
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    ada.cut();
    sleep(Duration::from_secs(4)).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(keys(&other), ["eve"]);
    assert_eq!(one.metrics().presence_entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_leaves_no_ghosts() {
    let bus = MemoryBus::new();
    let (one, end) = hub(&bus);
    let (other, _) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    let _ada = page(&one, "ada").await;
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    end.cut();
    sleep(Duration::from_secs(29)).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    sleep(Duration::from_secs(17)).await;
    assert_eq!(keys(&other), ["eve"]);
    // It was only cut off: all is as before.
    end.mend();
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    assert_eq!(refs(&one), refs(&other));
    assert_eq!(other.metrics().nodes, 1);
    // A program that begins anew is another node.
    end.cut();
    let (new, _) = hub(&bus);
    let _back = page(&new, "ada").await;
    sleep(Duration::from_secs(50)).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    assert_eq!(refs(&new), refs(&other));
}

/// Of each diff that has come, the refs of those who join, and of those who leave.
async fn diffs(page: &mut Page) -> Vec<[Vec<String>; 2]> {
    let mut diffs = Vec::new();
    while let Some(message) = page.next_message().await {
        let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        if frame[3] == "presence_diff" {
            diffs.push(["joins", "leaves"].map(|half| {
                let metas = frame[4][half].as_object().unwrap().values().map(|key| &key["metas"]);
                let metas = metas.flat_map(|metas| metas.as_array().unwrap());
                metas.map(|meta| meta["phx_ref"].as_str().unwrap().to_owned()).collect()
            }));
        }
    }
    diffs
}

/// A client that is told that one has come and has gone has it that he is not there, in whichever order that was.
#[tokio::test(start_paused = true)]
async fn who_is_forgotten_and_back_at_once_was_not_gone() {
    let bus = MemoryBus::new();
    let (one, end) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut watcher = page(&other, "eve").await;
    let _ada = page(&one, "ada").await;
    diffs(&mut watcher).await;
    end.cut();
    while keys(&other) == ["ada", "eve"] {
        sleep(Duration::from_millis(10)).await;
    }
    end.mend();
    let told = diffs(&mut watcher).await;
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(keys(&other), ["ada", "eve"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_forgets_nobody_for_that() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, end) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    let _ada = page(&one, "ada").await;
    let mut bob = page(&one, "bob").await;
    sleep(MOMENT).await;
    end.cut();
    sleep(Duration::from_secs(100)).await;
    // Whom it cannot hear is not gone.
    assert_eq!(keys(&other), ["ada", "bob", "eve"]);
    assert_eq!(keys(&one), ["ada", "bob"]);
    bob.leave("room:1").await;
    let _eve = page(&one, "max").await;
    end.mend();
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["ada", "eve", "max"]);
    assert_eq!(refs(&one), refs(&other));
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_of_a_presence_is_found_out() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    let mut ada = page(&one, "ada").await;
    let _bob = page(&one, "bob").await;
    sleep(MOMENT).await;
    // By the next change.
    bus.lose(1);
    ada.leave("room:1").await;
    sleep(MOMENT).await;
    bus.lose(0);
    assert_eq!(keys(&other), ["ada", "bob", "eve"]);
    let mut max = page(&one, "max").await;
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["bob", "eve", "max"]);
    // Or by and by.
    bus.lose(1);
    max.leave("room:1").await;
    sleep(MOMENT).await;
    bus.lose(0);
    assert_eq!(keys(&other), ["bob", "eve", "max"]);
    sleep(Duration::from_secs(17)).await;
    assert_eq!(keys(&other), ["bob", "eve"]);
    // Also if it was the last that the node had there.
    bus.lose(1);
    one.user("bob").leave("room:1");
    sleep(MOMENT).await;
    bus.lose(0);
    assert_eq!(one.topics(), []);
    sleep(Duration::from_secs(17)).await;
    assert_eq!(keys(&other), ["eve"]);
    // Who begins is told.
    bus.lose(1);
    let late = page(&one, "late").await;
    sleep(MOMENT).await;
    bus.lose(0);
    sleep(Duration::from_secs(17)).await;
    assert_eq!(refs(&one), refs(&other));
    drop(late);
}

/// What tells of it may be lost with it, where a connection has failed and nobody has noticed yet.
#[tokio::test(start_paused = true)]
async fn the_last_to_leave_while_a_connection_fails_is_no_ghost() {
    let bus = MemoryBus::new();
    let (one, node) = hub(&bus);
    let (other, _) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    let mut ada = page(&one, "ada").await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(keys(&other), ["ada", "eve"]);
    bus.lose(1);
    ada.leave("room:1").await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(one.topics(), []);
    bus.lose(0);
    node.cut();
    node.mend();
    sleep(MOMENT).await;
    assert_eq!(keys(&other), ["eve"]);
}

/// Takes no more at once than there is room for, which is emptied now and then.
#[derive(Clone)]
struct Narrow {
    node: MemoryNode,
    room: Arc<AtomicUsize>,
}

impl Narrow {
    fn take(&self) -> Result<(), BackplaneError> {
        let took = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
        took.map(drop).map_err(|_| BackplaneError::Full)
    }
}

impl Backplane for Narrow {
    passes_on!(start subscribe unsubscribe);

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.take()?;
        self.node.publish(topic, envelope)
    }

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        self.take()?;
        self.node.control(to, envelope)
    }
}

/// Who is asked for what is there and has no room to answer does so later.
#[tokio::test(start_paused = true)]
async fn an_answer_that_finds_no_room_is_given_later() {
    let bus = MemoryBus::new();
    let narrow = Narrow { node: bus.node(), room: Arc::new(AtomicUsize::new(usize::MAX)) };
    let (one, end) = hub(&bus);
    let other = hub_of(narrow.clone());
    let _watcher = page(&one, "eve").await;
    let mut ada = page(&other, "ada").await;
    sleep(MOMENT).await;
    assert_eq!(keys(&one), ["ada", "eve"]);
    end.cut();
    ada.leave("room:1").await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(other.topics(), []);
    narrow.room.store(0, Ordering::Relaxed);
    end.mend();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(keys(&one), ["ada", "eve"]);
    narrow.room.store(usize::MAX, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(keys(&one), ["eve"]);
}

/// However many topics there are: what a node has to ask, when it has a connection again, leaves room for what it sends, and is
/// asked to the end.
#[tokio::test(start_paused = true)]
async fn nobody_is_there_for_ever_in_any_of_many_topics() {
    const TOPICS: usize = 2_500;
    let bus = MemoryBus::new();
    let narrow = Narrow { node: bus.node(), room: Arc::new(AtomicUsize::new(0)) };
    let emptying = tokio::spawn({
        let room = narrow.room.clone();
        async move {
            loop {
                room.store(6_000, Ordering::Relaxed);
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let (one, other) = (hub_of(narrow.clone()), hub_of(bus.node()));
    let (mut ada, mut bob) = (one.test_page(Identity::user("ada")), other.test_page(Identity::user("bob")));
    for n in 0..TOPICS {
        for page in [&mut ada, &mut bob] {
            page.join(&format!("room:{n}"), &json!({})).await.unwrap();
        }
    }
    sleep(Duration::from_secs(2)).await;
    let ghosts = || (0..TOPICS).filter(|n| one.presence(&format!("room:{n}")).len() != 1).count();
    assert_eq!(ghosts(), TOPICS);
    narrow.node.cut();
    bob.close();
    sleep(Duration::from_secs(70)).await;
    assert_eq!(other.topics(), []);
    narrow.node.mend();
    let failed = one.metrics().backplane_failed;
    one.broadcast("room:1", "said", &1).unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(ghosts(), 0);
    assert_eq!(one.metrics().backplane_failed, failed);
    emptying.abort();
}

/// For whom there was no room is there when there is.
#[tokio::test(start_paused = true)]
async fn who_found_no_room_is_told_of_when_there_is() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let small = Hub::builder()
        .channel_with(
            "room:{id}",
            TopicOptions::new().presence(),
            Events::new().on_join(async |_, params| Joined::new(()).track(&params)),
        )
        .limits(Limits::default().presence(3, 1_024))
        .backplane(bus.node())
        .build()
        .unwrap();
    let _watcher = page(&small, "eve").await;
    let mut pages = Vec::new();
    for user in ["ada", "bob", "max", "zoe"] {
        pages.push(page(&one, user).await);
        sleep(MOMENT).await;
    }
    assert_eq!(keys(&small), ["ada", "bob", "eve"]);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(keys(&small), ["ada", "bob", "eve"]);
    pages[0].leave("room:1").await;
    sleep(Duration::from_secs(16)).await;
    let present = keys(&small);
    assert!(present.len() == 3 && !present.contains(&"ada".to_owned()), "{present:?}");
    pages[1].leave("room:1").await;
    pages[3].leave("room:1").await;
    sleep(Duration::from_secs(16)).await;
    assert_eq!(keys(&small), ["eve", "max"]);
}

#[tokio::test(start_paused = true)]
async fn many_are_told_in_parts() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let mut pages = Vec::new();
    for n in 0..2_000 {
        let mut page = one.test_page(Identity::user(format!("user {n}")));
        page.join("room:1", &json!({ "about": "x".repeat(60) })).await.unwrap();
        pages.push(page);
    }
    let (other, _) = hub(&bus);
    let _watcher = page(&other, "eve").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(refs(&other).len(), 2_001);
    assert_eq!(refs(&one), refs(&other));
    // Changes, too.
    pages.truncate(1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(keys(&other), ["eve", "user 0"]);
}

/// Nodes of which some are cut off at times, and a broker that loses, delays and reorders: in the end all lists are one.
#[tokio::test(start_paused = true)]
async fn whatever_comes_about_all_lists_are_one_in_the_end() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let bus = MemoryBus::new().seed(seed);
        let nodes = [hub(&bus), hub(&bus), hub(&bus)];
        let mut watchers = Vec::new();
        for (at, (hub, _)) in nodes.iter().enumerate() {
            watchers.push(page(hub, &format!("watcher {at}")).await);
        }
        bus.delay(Duration::from_millis(50));
        let mut pages: Vec<Page> = Vec::new();
        for _ in 0..150 {
            bus.lose(if random.below(3) == 0 { 4 } else { 0 });
            bus.reorder(if random.below(3) == 0 { 4 } else { 0 });
            match random.below(9) {
                0..=3 => {
                    let (hub, _) = &nodes[random.below(3)];
                    pages.push(page(hub, &format!("user {}", random.below(5))).await);
                }
                4 | 5 if !pages.is_empty() => {
                    pages.swap_remove(random.below(pages.len())).cut();
                }
                6 if !pages.is_empty() => {
                    pages.swap_remove(random.below(pages.len())).leave("room:1").await;
                }
                7 => nodes[random.below(3)].1.cut(),
                _ => sleep(Duration::from_millis(random.below(3_000) as u64)).await,
            }
            if random.below(4) == 0 {
                nodes[random.below(3)].1.mend();
            }
        }
        bus.lose(0);
        bus.reorder(0);
        for (_, end) in &nodes {
            end.mend();
        }
        sleep(Duration::from_secs(40)).await;
        let lists: Vec<_> = nodes.iter().map(|(hub, _)| refs(hub)).collect();
        assert_eq!(lists[0], lists[1], "seed {seed}");
        assert_eq!(lists[0], lists[2], "seed {seed}");
        assert_eq!(lists[0].len(), pages.len() + 3, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_far_a_presence_is_says_nothing_of_messages() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let _ada = page(&one, "ada").await;
    for n in 0..3 {
        one.broadcast("room:1", "said", &n).unwrap();
    }
    sleep(Duration::from_secs(30)).await;
    // Whoever begins now has missed nothing, whatever he hears of first.
    let (other, _) = hub(&bus);
    sleep(MOMENT).await;
    let mut bob = page(&other, "bob").await;
    sleep(Duration::from_secs(30)).await;
    one.broadcast("room:1", "said", &4).unwrap();
    assert_eq!(bob.expect("room:1", "said").await, 4);
    assert_eq!((other.metrics().gaps, other.metrics().backplane_lost), (0, 0));
}

/// What a node tells of all that it has is asked for at any moment, and more than it has told one after the other by then.
#[tokio::test(start_paused = true)]
async fn what_a_node_has_told_twice_is_there_once() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let options = TopicOptions::new().presence();
    let room = Events::new().on_join(async |_, params| Joined::new(()).track(&params));
    // So large a list has room for some entries, and not for what is counted twice.
    let limits = Limits::default().payload(1 << 10).queue(16 << 10, 1_000);
    let other = Hub::builder().channel_with("room:{id}", options, room).limits(limits).backplane(bus.node());
    let other = other.build().unwrap();
    let mut watcher = page(&other, "eve").await;
    let _max = page(&one, "max").await;
    sleep(MOMENT).await;
    for n in 0..60 {
        let mut ada = one.test_page(Identity::user("ada"));
        ada.join("room:1", &json!({ "about": "x".repeat(200) })).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        let (third, _) = hub(&bus);
        let mut bob = page(&third, "bob").await;
        sleep(MOMENT).await;
        assert_eq!(keys(&other), ["ada", "bob", "eve", "max"], "{n}");
        ada.leave("room:1").await;
        bob.leave("room:1").await;
        sleep(MOMENT).await;
    }
    assert_eq!(other.metrics().untracked, 0);
    let mut announced = BTreeSet::new();
    while let Ok(Some(message)) = tokio::time::timeout(MOMENT, watcher.next_message()).await {
        let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        for presence in frame[4]["joins"].as_object().into_iter().flat_map(|joins| joins.values()) {
            for meta in presence["metas"].as_array().unwrap() {
                assert!(announced.insert(meta["phx_ref"].to_string()), "{meta} is announced again");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_lost_of_many_takes_nobody_along() {
    let bus = MemoryBus::new();
    let tap = Tap { node: bus.node(), envelopes: Arc::default() };
    let one = hub_of(tap.clone());
    let (other, end) = hub(&bus);
    let mut pages = vec![page(&other, "eve").await];
    for n in 0..1_500 {
        let mut page = one.test_page(Identity::user(format!("user {n}")));
        page.join("room:1", &json!({ "about": "x".repeat(60) })).await.unwrap();
        pages.push(page);
    }
    sleep(MOMENT).await;
    let all = refs(&other);
    assert_eq!(all.len(), 1_501);
    // Somebody asks for all, which comes in three parts or more.
    tap.envelopes.lock().unwrap().clear();
    let (third, _) = hub(&bus);
    pages.push(page(&third, "eve").await);
    sleep(MOMENT).await;
    let envelopes = std::mem::take(&mut *tap.envelopes.lock().unwrap());
    let to_topic = envelopes.into_iter().filter(|(topic, _)| topic.is_some());
    let parts: Vec<_> = to_topic.map(|(_, envelope)| envelope).filter(|part| part.len() > 10_000).collect();
    assert!(parts.len() > 2);
    for missing in 0..parts.len() {
        for (_, part) in parts.iter().enumerate().filter(|(at, _)| *at != missing) {
            end.tell(Told::Message { topic: "room:1", envelope: part.clone() });
        }
        assert!(refs(&other).is_superset(&all), "without part {missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_there_for_ever_of_a_node_that_never_said_that_it_lives() {
    let tap = Tap { node: MemoryBus::new().node(), envelopes: Arc::default() };
    let _ada = page(&hub_of(tap.clone()), "ada").await;
    sleep(MOMENT).await;
    let (other, end) = hub(&MemoryBus::new());
    let _eve = page(&other, "eve").await;
    for (topic, envelope) in std::mem::take(&mut *tap.envelopes.lock().unwrap()) {
        if let Some(topic) = &topic {
            end.tell(Told::Message { topic, envelope });
        }
    }
    assert_eq!(keys(&other), ["ada", "eve"]);
    sleep(Duration::from_secs(47)).await;
    assert_eq!(keys(&other), ["eve"]);
}

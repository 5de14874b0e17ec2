//! What is kept of a topic, and for how long.

use std::sync::Arc;
use std::time::Duration;

use sansocket_channels::backplane::{Backplane, Keep, Since};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::node::{Heard, Node, all, eventually, text};

const AT: &str = "{sansocket:x}:at";
const LOG: &str = "{sansocket:x}:log";

/// Offsets and texts.
fn kept(since: &Since) -> Vec<(u64, String)> {
    since.messages.iter().map(|kept| (kept.offset, text(&kept.envelope))).collect()
}

fn of(offsets: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    offsets.into_iter().map(|n| (n, n.to_string())).collect()
}

async fn append(node: &Node, numbers: impl IntoIterator<Item = u64>, keep: Keep) {
    for n in numbers {
        node.append("x", &n.to_string(), keep).await.unwrap();
    }
}

/// What came after an offset, which may be any.
#[tokio::test]
async fn what_came_after_an_offset() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    append(&node, 1..=20, all()).await;
    for (after, expected) in [(0, 1..=20), (1, 2..=20), (19, 20..=20)] {
        let since = node.since("x", Some(after), all()).await;
        assert_eq!((since.position.offset, kept(&since)), (20, of(expected)));
    }
    for after in [20, 21, u64::MAX] {
        let since = node.since("x", Some(after), all()).await;
        assert_eq!((since.position.offset, kept(&since)), (20, of([])));
    }
    let nothing = node.since("y", Some(5), all()).await;
    assert_eq!((nothing.position.offset, kept(&nothing)), (0, of([])));
}

/// However many ask, what is published does not wait until all of them are answered.
#[tokio::test]
async fn many_ask_at_once() {
    let broker = Broker::new();
    let node = Arc::new(Node::new(1, &broker).await);
    node.subscribe("x").await.unwrap();
    let mut asking = JoinSet::new();
    for topic in 0..20_000 {
        let node = node.clone();
        asking.spawn(async move { node.since(&topic.to_string(), None, all()).await });
    }
    // All of them have asked.
    yield_now().await;
    node.say("x", "hello").unwrap();
    let mut answered = 0;
    while node.messages("x").is_empty() {
        asking.join_next().await.expect("it comes before the last answer").unwrap();
        answered += 1;
    }
    assert!(answered < 10_000, "{answered}");
    while let Some(since) = asking.join_next().await {
        assert_eq!(since.unwrap().position.offset, 0);
    }
}

/// As many messages, and bytes, as are wanted, of whoever appends, or asks: the newest.
#[tokio::test]
async fn what_is_too_much_is_forgotten() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    let keep = |entries, bytes| Keep::new(entries, bytes, Duration::from_secs(600));
    append(&node, 1..=9, keep(5, 1_000)).await;
    assert_eq!(kept(&node.since("x", None, all()).await), of(5..=9));
    // Two bytes each, from 10 on.
    append(&node, 10..=20, keep(100, 7)).await;
    assert_eq!(kept(&node.since("x", None, all()).await), of(18..=20));
    assert_eq!(kept(&node.since("x", None, keep(2, 1_000)).await), of(19..=20));
    assert_eq!(kept(&node.since("x", Some(0), keep(100, 2)).await), of(20..=20));
    assert_eq!(broker.ask::<String>(&["HGET", AT, "b"]), "2");

    // What is alone too much is not kept, nor anything before it.
    append(&node, 21..=25, all()).await;
    node.append("x", "very long", keep(100, 5)).await.unwrap();
    let since = node.since("x", None, all()).await;
    assert_eq!((since.position.offset, kept(&since)), (26, of([])));
    append(&node, 27..=28, all()).await;
    assert_eq!(kept(&node.since("x", None, all()).await), of(27..=28));
    assert_eq!(broker.ask::<String>(&["HGET", AT, "b"]), "4");
    for nothing in [keep(0, 1_000), keep(100, 0), Keep::new(100, 1_000, Duration::ZERO)] {
        append(&node, [0], nothing).await;
        assert_eq!(kept(&node.since("x", None, all()).await), of([]));
    }
    assert_eq!(broker.ask::<u64>(&["LLEN", LOG]), 0);
}

/// Nothing is kept for longer than it is wanted, be it that something younger is, or nothing.
#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    let short = Keep::new(100, 1_000, Duration::from_millis(300));
    append(&node, 1..=3, all()).await;
    sleep(Duration::from_millis(310)).await;
    append(&node, 4..=5, all()).await;
    let since = node.since("x", None, all()).await;
    assert_eq!(kept(&since), of(1..=5));
    assert!(since.messages[2].age >= Duration::from_millis(310));
    assert!(since.messages[3].age < Duration::from_millis(310));
    assert_eq!(kept(&node.since("x", None, short).await), of(4..=5));
    append(&node, [6], short).await;
    sleep(Duration::from_millis(310)).await;
    assert_eq!(broker.ask::<u64>(&["EXISTS", LOG]), 0);
    let since = node.since("x", None, short).await;
    assert_eq!((since.position.offset, kept(&since)), (6, of([])));
    append(&node, [7], all()).await;
    assert_eq!(kept(&node.since("x", None, all()).await), of([7]));
    assert_eq!(broker.ask::<String>(&["HGET", AT, "b"]), "1");
}

/// A topic's life ends an hour after the last that it kept would be too old, counted from when it was used last.
#[tokio::test]
async fn keys_expire() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    let ttl = |key| broker.ask::<i64>(&["TTL", key]);
    append(&node, [1], Keep::new(9, 99, Duration::from_secs(60))).await;
    assert!((55..=60).contains(&ttl(LOG)), "{}", ttl(LOG));
    assert!((3_655..=3_660).contains(&ttl(AT)), "{}", ttl(AT));
    broker.ask::<()>(&["EXPIRE", AT, "100"]);
    node.since("x", None, Keep::new(9, 99, Duration::from_secs(60))).await;
    assert!((3_655..=3_660).contains(&ttl(AT)), "{}", ttl(AT));
    node.since("x", None, Keep::new(usize::MAX, usize::MAX, Duration::MAX)).await;
    append(&node, [2], Keep::new(usize::MAX, usize::MAX, Duration::MAX)).await;
    assert_eq!(kept(&node.since("x", None, all()).await), of(1..=2));

    let before = node.since("x", None, all()).await.position;
    broker.ask::<()>(&["PEXPIRE", AT, "1"]);
    eventually("it is over", || broker.ask::<u64>(&["EXISTS", AT]) == 0).await;
    let since = node.since("x", None, all()).await;
    assert_eq!((since.position.offset, kept(&since)), (0, of([])));
    assert_ne!(since.position.epoch, before.epoch);
}

/// A life that is over by whatever means is followed by another, with another epoch; and one that a question has begun goes on.
#[tokio::test]
async fn each_life_has_an_epoch() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    a.subscribe("x").await.unwrap();
    let mut epochs = Vec::new();
    for _ in 0..5 {
        let (of_a, of_b) = tokio::join!(a.since("x", None, all()), b.since("x", Some(7), all()));
        assert_eq!(of_a, of_b);
        let epoch = of_a.position.epoch;
        assert!((1..=32).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(!epochs.contains(&epoch));
        append(&b, 1..=3, all()).await;
        eventually("all has come", || a.sequenced("x").len() == 3 * (epochs.len() + 1)).await;
        let told = a.sequenced("x").split_off(3 * epochs.len());
        assert_eq!(told, [1, 2, 3].map(|n| (epoch.clone(), n, n.to_string())));
        assert_eq!(b.since("x", None, all()).await.position.epoch, epoch);
        epochs.push(epoch);
        broker.ask::<()>(&["FLUSHALL"]);
    }
}

/// A broker that has no memory left may drop one key of the two.
#[tokio::test]
async fn keys_may_be_dropped() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    append(&node, 1..=3, all()).await;
    let before = node.since("x", None, all()).await.position;
    broker.ask::<()>(&["DEL", LOG]);
    let since = node.since("x", Some(1), all()).await;
    assert_eq!((&since.position, kept(&since)), (&before, of([])));
    append(&node, [4], all()).await;
    let since = node.since("x", Some(1), all()).await;
    assert_eq!((&since.position.epoch, kept(&since)), (&before.epoch, of([4])));
    assert_eq!(broker.ask::<String>(&["HGET", AT, "b"]), "1");

    broker.ask::<()>(&["DEL", AT]);
    append(&node, [1], all()).await;
    let since = node.since("x", None, all()).await;
    assert_eq!((since.position.offset, kept(&since)), (1, of([1])));
    assert_ne!(since.position.epoch, before.epoch);
}

/// A key that is another program's is an error, and no more than that.
#[tokio::test]
async fn other_keys_are_errors() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    broker.ask::<()>(&["SET", AT, "something else"]);
    assert!(node.append("x", "1", all()).await.is_err());
    node.append("y", "1", all()).await.unwrap();
    assert_eq!(node.since("y", None, all()).await.position.offset, 1);
}

/// Large offsets are written with all their digits.
#[tokio::test]
async fn offsets_may_be_large() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    let large = (1 << 53) - 2;
    let info = broker.ask::<String>(&["INFO", "server"]);
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap();
    broker.ask::<()>(&["HSET", AT, "e", "e", "o", &large.to_string(), "b", "0", "r", run]);
    node.append("x", "1", all()).await.unwrap();
    eventually("it has come", || !node.sequenced("x").is_empty()).await;
    assert_eq!(node.sequenced("x"), [("e".to_owned(), large + 1, "1".to_owned())]);
    let since = node.since("x", Some(large), all()).await;
    assert_eq!((since.position.offset, kept(&since)), (large + 1, vec![(large + 1, "1".to_owned())]));
}

/// Of another life, all that is kept is new to whoever asks.
#[tokio::test]
async fn after_a_position_of_another_life_comes_all() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    append(&node, 1..=3, all()).await;
    let before = node.since("x", None, all()).await.position;
    broker.ask::<()>(&["FLUSHALL"]);
    append(&node, 4..=8, all()).await;
    let since = node.since_position("x", &before, all()).await;
    assert_eq!(since.messages.len(), 5);
    assert_ne!(since.position.epoch, before.epoch);
}

/// A broker that begins anew with what it has stored may lack the end, of which clients know: lives do not go on.
#[tokio::test]
async fn a_broker_that_begins_anew_begins_lives_anew() {
    let folder = format!("sansocket-{}", std::process::id());
    let stored = ["--appendonly", "yes", "--appendfsync", "always", "--appenddirname", &folder];
    let mut broker = Broker::with(&stored);
    let node = Node::new(1, &broker).await;
    append(&node, 1..=3, all()).await;
    let before = node.since("x", None, all()).await;
    broker.kill();
    node.until("it is down", |heard| heard.contains(&Heard::Down)).await;
    broker.begin();
    node.until("it is up", |heard| heard.iter().filter(|heard| **heard == Heard::Up).count() == 2).await;
    assert_eq!(broker.ask::<u64>(&["EXISTS", "{sansocket:x}:log"]), 1);
    let since = node.since("x", None, all()).await;
    assert_eq!((since.position.offset, since.messages.len()), (0, 0));
    assert_ne!(since.position.epoch, before.position.epoch);
    drop(broker);
    std::fs::remove_dir_all(std::env::temp_dir().join(folder)).unwrap();
}

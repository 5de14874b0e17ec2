//! What is published, to topics and to nodes.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sansocket_channels::backplane::{Backplane, BackplaneError, NodeId, Redis, Sequencer, Sink};

use crate::broker::Broker;
use crate::node::{Heard, Node, all, eventually};

/// What a node publishes to a topic arrives at each node that has subscribed to it, itself too, in its order, and at no other.
#[tokio::test]
async fn nodes_exchange_messages_in_order() {
    let broker = Broker::new();
    let (a, b, c) = (Node::new(1, &broker).await, Node::new(2, &broker).await, Node::new(3, &broker).await);
    for topic in ["x", "y"] {
        a.subscribe(topic).await.unwrap();
        b.subscribe(topic).await.unwrap();
    }
    c.subscribe("z").await.unwrap();
    for n in 0..2_000 {
        a.say("x", &format!("a{n}")).unwrap();
        b.say("x", &format!("b{n}")).unwrap();
        a.say("y", &n.to_string()).unwrap();
    }
    a.say("z", "end").unwrap();
    for node in [&a, &b] {
        eventually("all has come", || node.messages("x").len() == 4_000 && node.messages("y").len() == 2_000)
            .await;
        for name in ["a", "b"] {
            let of: Vec<_> = node.messages("x").into_iter().filter(|text| text.starts_with(name)).collect();
            assert_eq!(of, (0..2_000).map(|n| format!("{name}{n}")).collect::<Vec<_>>());
        }
        assert_eq!(node.messages("y"), (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    eventually("the last has come", || c.messages("z").len() == 1).await;
    assert_eq!(*c.heard(), [Heard::Up, Heard::Message("z".into(), "end".into())]);
}

/// What is sent to a node arrives at that one, and what is sent to all at all.
#[tokio::test]
async fn control_reaches_one_or_all() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    a.control(Some(NodeId::new(2)), "to b".into()).unwrap();
    a.control(None, "to all".into()).unwrap();
    a.control(Some(NodeId::new(1)), "to a".into()).unwrap();
    a.control(Some(NodeId::new(3)), "to nobody".into()).unwrap();
    a.control(None, Bytes::from_static(&[0, 1, 255])).unwrap();
    for (node, to) in [(&a, ["to all", "to a"]), (&b, ["to b", "to all"])] {
        let mut expected: Vec<_> = to.map(|text| Heard::Control(text.into())).into();
        expected.insert(0, Heard::Up);
        expected.push(Heard::Control(Bytes::from_static(&[0, 1, 255])));
        node.until("all has come", |heard| heard.len() == expected.len()).await;
        assert_eq!(*node.heard(), expected);
    }
}

/// From when it is confirmed, whatever another node publishes arrives.
#[tokio::test]
async fn what_is_confirmed_is_subscribed() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    for n in 0..500 {
        let topic = format!("room:{n}");
        b.subscribe(&topic).await.unwrap();
        a.say(&topic, "first").unwrap();
        a.append(&topic, "second", all()).await.unwrap();
        eventually("both have come", || b.messages(&topic).len() + b.sequenced(&topic).len() == 2).await;
    }
}

/// Many at once are confirmed in batches, each of them once; and a subscription that is there is confirmed at once.
#[tokio::test]
async fn many_topics_are_subscribed_at_once() {
    let broker = Broker::new();
    let node = Arc::new(Node::new(1, &broker).await);
    let topics: Vec<_> = (0..3_000).map(|n| format!("room:{}", n % 2_500)).collect();
    let subscribing: Vec<_> = topics
        .iter()
        .map(|topic| {
            let (node, topic) = (node.clone(), topic.clone());
            tokio::spawn(async move { node.subscribe(&topic).await })
        })
        .collect();
    for subscribing in subscribing {
        subscribing.await.unwrap().unwrap();
    }
    assert_eq!(broker.ask::<Vec<String>>(&["PUBSUB", "CHANNELS", "sansocket:t:*"]).len(), 2_500);
    node.subscribe("room:7").await.unwrap();
}

/// What is not wanted any more does not come; and the last call counts, whatever was under way.
#[tokio::test]
async fn unsubscribed_topics_are_silent() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    let subscribers = |channel| broker.ask::<(String, u64)>(&["PUBSUB", "NUMSUB", channel]).1;
    b.subscribe("x").await.unwrap();
    b.subscribe("y").await.unwrap();
    b.unsubscribe("x");
    b.unsubscribe("no such topic");
    eventually("it is unsubscribed", || subscribers("sansocket:t:x") == 0).await;
    a.say("x", "nobody hears").unwrap();
    a.say("y", "end").unwrap();
    b.until("the last has come", |heard| heard.len() == 2).await;
    assert_eq!(b.messages("x"), [""; 0]);

    for _ in 0..100 {
        drop(b.subscribe("x"));
        b.unsubscribe("x");
    }
    b.subscribe("x").await.unwrap();
    a.say("x", "again").unwrap();
    eventually("it has come", || b.messages("x") == ["again"]).await;
    for _ in 0..100 {
        drop(b.subscribe("x"));
        b.unsubscribe("x");
    }
    eventually("it is unsubscribed", || subscribers("sansocket:t:x") == 0).await;
}

/// A topic may have any name, and no two are one, for what is published and for what is appended.
#[tokio::test]
async fn topics_may_have_any_name() {
    let broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    let (long, wide) = ("x".repeat(255), "ü".repeat(127));
    let names = [
        "", " ", "=", "=3D", "=3d", "a", "A", "a:b", "*", "?", "[a]", ">", "a.b", "\0", "\r\n", "{a}", "{",
        "}", "{}", "ü", "u", "日本", "t:all", "c:all", "%s", "\"", "'", "\\", "\u{1}:1:", &long, &wide,
    ];
    for name in names {
        b.subscribe(name).await.unwrap();
    }
    for name in names {
        a.say(name, &format!("<{name}>")).unwrap();
        a.append(name, &format!("[{name}]"), all()).await.unwrap();
    }
    for name in names {
        eventually("it has come", || b.messages(name).len() == 1 && b.sequenced(name).len() == 1).await;
        assert_eq!(b.messages(name), [format!("<{name}>")]);
        let since = b.since(name, None, all()).await;
        assert_eq!(b.sequenced(name), [(since.position.epoch, 1, format!("[{name}]"))]);
        assert_eq!(since.messages[0].envelope, format!("[{name}]"));
    }
    assert_eq!(b.heard().len(), 1 + 2 * names.len());
}

/// Nodes with other prefixes share a broker, and nothing else, be the one prefix the beginning of the other.
#[tokio::test]
async fn prefixes_are_apart() {
    let broker = Broker::new();
    let with = |prefix| Redis::new(&broker.url()).unwrap().prefix(prefix).unwrap();
    let (a, b, c) =
        (Node::with(1, with("a")).await, Node::with(2, with("a-b")).await, Node::with(3, with("a")).await);
    for node in [&a, &b, &c] {
        node.subscribe("x").await.unwrap();
    }
    a.say("x", "hello").unwrap();
    a.control(None, "to all".into()).unwrap();
    a.append("x", "kept", all()).await.unwrap();
    c.until("all has come", |heard| heard.len() == 4).await;
    assert_eq!(b.since("x", None, all()).await.messages, []);
    b.say("x", "end").unwrap();
    b.until("the last has come", |heard| heard.len() == 2).await;
    assert_eq!(b.messages("x"), ["end"]);

    for prefix in ["", "a:b", "ü", "a b", &"a".repeat(65)] {
        let result = Redis::new(&broker.url()).unwrap().prefix(prefix);
        assert!(matches!(result, Err(BackplaneError::Broker(_))), "{prefix}");
    }
}

/// What is no address fails where it is given.
#[test]
fn addresses_are_checked() {
    for url in ["", "localhost", "http://localhost", "redis://", "redis://host:port", "redis://host/database"]
    {
        assert!(matches!(Redis::new(url), Err(BackplaneError::Broker(_))), "{url}");
    }
    for url in
        ["redis://host", "redis://user:p%40ss@host:1/2", "valkey://[::1]:1", "unix:///run/redis.sock?db=1"]
    {
        assert!(Redis::new(url).is_ok(), "{url}");
    }
}

/// What is too large is refused, and what just is not arrives.
#[tokio::test]
async fn large_envelopes_are_refused() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    let largest = "x".repeat((1 << 20) - (64 << 10));
    let larger = format!("{largest}x");
    assert!(matches!(node.say("x", &larger), Err(BackplaneError::TooBig)));
    assert!(matches!(node.control(None, larger.clone().into()), Err(BackplaneError::TooBig)));
    assert!(matches!(node.append("x", &larger, all()).await, Err(BackplaneError::TooBig)));
    node.say("x", &largest).unwrap();
    node.control(None, largest.clone().into()).unwrap();
    node.append("x", &largest, all()).await.unwrap();
    node.until("all has come", |heard| heard.len() == 4).await;
    assert_eq!(node.messages("x"), [&*largest]);
    assert_eq!(node.sequenced("x")[0].2, largest);
}

/// What others publish to these channels is ignored, unless it looks like what a node does.
#[tokio::test]
async fn what_nodes_do_not_publish_is_told_as_it_is() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    let long = format!("\u{1}{}:1:", "e".repeat(33));
    let others =
        ["", "hello", "\u{1}", "\u{1}e", "\u{1}e:1", "\u{1}e:x:", "\u{1}:1:", "\u{1}e-:1:", "\u{2}", &long];
    for message in others.into_iter().chain(["\0", "\u{1}e:1:", "\0end"]) {
        assert_eq!(broker.ask::<u64>(&["PUBLISH", "sansocket:t:x", message]), 1);
    }
    node.until("the last has come", |heard| heard.len() == 4 + others.len()).await;
    let sequenced = Heard::Sequenced("x".into(), "e".into(), 1, Bytes::new());
    let message = |text: &str| Heard::Message("x".into(), text.to_owned().into());
    let mut heard = vec![Heard::Up];
    // None of them is an envelope: the node counts it.
    heard.extend(others.into_iter().map(message));
    heard.extend([message(""), sequenced, message("end")]);
    assert_eq!(*node.heard(), heard);
}

/// A node that is dropped ends its tasks and its connections, and tells nothing any more.
#[tokio::test]
async fn dropping_ends_everything() {
    let broker = Broker::new();
    let clients = || broker.ask::<String>(&["CLIENT", "LIST"]).lines().count();
    let redis = Redis::new(&broker.url()).unwrap();
    let heard = Arc::new(Mutex::new(()));
    let sink = heard.clone();
    redis.start(NodeId::new(1), Sink::new(move |_| drop(sink.lock()))).await.unwrap();
    redis.subscribe("x").await.ok();
    eventually("it has two connections", || clients() == 3).await;
    drop(redis);
    eventually("it has none", || clients() == 1).await;
    eventually("nothing can be told", || Arc::strong_count(&heard) == 1).await;

    // While it waits for a broker, too.
    let redis = Redis::new(&Broker::absent().url()).unwrap();
    let sink = heard.clone();
    redis.start(NodeId::new(1), Sink::new(move |_| drop(sink.lock()))).await.unwrap();
    drop(redis);
    eventually("nothing can be told", || Arc::strong_count(&heard) == 1).await;
}

/// Before it has begun there is no connection.
#[tokio::test]
async fn nothing_is_sent_before_the_start() {
    let broker = Broker::new();
    let redis = Redis::new(&broker.url()).unwrap();
    assert!(matches!(redis.publish("x", Bytes::new()), Err(BackplaneError::Down)));
    assert!(matches!(redis.control(None, Bytes::new()), Err(BackplaneError::Down)));
    assert!(matches!(redis.subscribe("x").await, Err(BackplaneError::Down)));
    assert!(matches!(redis.append("x", Bytes::new(), all()).await, Err(BackplaneError::Down)));
    assert!(matches!(Sequencer::since(&redis, "x", None, all()).await, Err(BackplaneError::Down)));
    let node = Node::with(1, redis).await;
    node.say("x", "it is wanted all the same").unwrap();
    node.until("it has come", |heard| heard.len() == 2).await;
}

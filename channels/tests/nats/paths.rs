//! What reaches whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::backplane::{Backplane, BackplaneError, Nats, NodeId, Sink, Told};
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::broker::Broker;
use crate::node::{Heard, Node};

/// What a node publishes to a topic reaches the other, whole and in order, and not topics that are like it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_exchange_in_order() {
    let broker = Broker::start();
    let (mut a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    a.subscribe("room:a").await;
    b.subscribe("room:b").await;
    for number in 0..5_000_u32 {
        a.publish("room:b", number.to_be_bytes().to_vec());
        b.publish("room:a", number.to_be_bytes().to_vec());
        if number % 1_000 == 999 {
            for number in number - 999..=number {
                a.hears("room:a", number.to_be_bytes().to_vec()).await;
                b.hears("room:b", number.to_be_bytes().to_vec()).await;
            }
        }
    }
    a.publish("room", "nobody");
    let large: Vec<u8> = (0..900_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    a.publish("room:b", large.clone());
    b.hears("room:b", large).await;
}

/// As many as the queue holds, of a topic, all at once, on one thread: none is missing.
#[tokio::test]
async fn a_burst_is_whole() {
    let broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    b.subscribe("room").await;
    let mut sent = 0_u32;
    while sent < 100_000 {
        match a.nats.publish("room", Bytes::copy_from_slice(&sent.to_be_bytes())) {
            Ok(()) => sent += 1,
            Err(BackplaneError::Full) => yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
    for number in 0..sent {
        b.hears("room", number.to_be_bytes().to_vec()).await;
    }
}

/// Others have their turn while a burst is told, on one thread, too: what is told fills the queues of clients, which tasks of theirs
/// empty.
#[tokio::test]
async fn a_burst_lets_others_go_on() {
    let broker = Broker::start();
    let (told, at_once, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let sink = {
        let (told, at_once, most) = (told.clone(), at_once.clone(), most.clone());
        Sink::new(move |what| {
            if matches!(what, Told::Message { .. }) {
                told.fetch_add(1, Relaxed);
                most.fetch_max(at_once.fetch_add(1, Relaxed) + 1, Relaxed);
            }
        })
    };
    let nats = Nats::new(&broker.address()).unwrap();
    nats.start(NodeId::new(2), sink).await.unwrap();
    while nats.subscribe("room").await.is_err() {
        yield_now().await;
    }
    let a = Node::at(1, &broker.address()).await;
    for number in 0..8_000_u32 {
        a.publish("room", number.to_be_bytes().to_vec());
    }
    let come = async {
        while told.load(Relaxed) < 8_000 {
            at_once.store(0, Relaxed);
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), come).await.unwrap();
    assert!(most.load(Relaxed) <= 64, "{most:?} are told at once");
}

/// A node hears what is sent to it, and to all, itself too, and not what is sent to another.
#[tokio::test]
async fn nodes_are_sent_to() {
    let broker = Broker::start();
    let (mut a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    a.nats.control(Some(a.id), "a".into()).unwrap();
    assert_eq!(a.next().await, Heard::Control("a".into()));
    a.nats.control(Some(b.id), "b".into()).unwrap();
    assert_eq!(b.next().await, Heard::Control("b".into()));
    b.nats.control(None, "all".into()).unwrap();
    for node in [&mut a, &mut b] {
        assert_eq!(node.next().await, Heard::Control("all".into()));
    }
}

/// What is published right after a subscription is confirmed arrives, always.
#[tokio::test]
async fn what_follows_a_subscription_arrives() {
    let broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    for number in 0..500 {
        let topic = format!("room:{number}");
        b.subscribe(&topic).await;
        a.publish(&topic, topic.clone());
        b.hears(&topic, topic.clone()).await;
        if number % 2 == 0 {
            b.nats.unsubscribe(&topic);
        }
    }
}

/// Those that are made at the same time are all confirmed, and so is one that was there before, or is dropped while it waits.
#[tokio::test]
async fn subscriptions_are_shared() {
    let broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    let topics: Vec<_> = (0..1_000).map(|number| format!("room:{number}")).collect();
    let waiting: Vec<_> = topics.iter().map(|topic| b.nats.subscribe(topic)).collect();
    drop(b.nats.subscribe("dropped"));
    for confirmed in waiting {
        confirmed.await.unwrap();
    }
    b.subscribe("room:0").await;
    for topic in topics.iter().map(String::as_str).chain(["dropped"]) {
        a.publish(topic, "once");
        b.hears(topic, "once").await;
    }
}

/// Nothing comes after a topic is wanted no more, until it is wanted again, and then it comes once.
#[tokio::test]
async fn a_topic_is_left() {
    let broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    for _ in 0..100 {
        b.subscribe("room").await;
        b.nats.unsubscribe("room");
        // Confirms that, too.
        b.subscribe("other").await;
        a.publish("room", "nobody");
        a.publish("other", "somebody");
        b.hears("other", "somebody").await;
    }
    b.subscribe("room").await;
    b.nats.unsubscribe("room");
    b.subscribe("room").await;
    a.publish("room", "once");
    a.publish("other", "then");
    // Topics have no order among each other.
    let mut heard = [b.next().await, b.next().await].map(|heard| format!("{heard:?}"));
    heard.sort();
    assert_eq!(heard, [r#"Message("other", b"then")"#, r#"Message("room", b"once")"#]);
    assert_eq!(b.next_within(Duration::from_millis(100)).await, None);
}

/// Whatever a topic is called, it is that topic and no other.
#[tokio::test]
async fn names_are_names() {
    let broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    let long = "ü ".repeat(85);
    let names = [
        "a.b",
        "a",
        "*",
        ">",
        "a.*",
        "a.>",
        "a b",
        " ",
        ".",
        "..",
        "a\r\nPUB x 0\r\n",
        "\t",
        "ü",
        "日本",
        "=2E",
        "=",
        "",
        "$SYS.>",
        "room:1-2_3",
        &long,
    ];
    assert_eq!(long.len(), 255);
    for name in names {
        b.subscribe(name).await;
    }
    for name in names {
        a.publish(name, name.to_owned());
        b.hears(name, name.to_owned()).await;
    }
    a.publish("b", "nobody");
    assert_eq!(b.next_within(Duration::from_millis(100)).await, None);
}

/// Those with another prefix hear nothing, though it be the beginning of the other.
#[tokio::test]
async fn a_prefix_is_a_world() {
    let broker = Broker::start();
    let mut nodes = Vec::new();
    for (id, prefix) in [(1, "sansocket"), (2, "sansocket2"), (3, "s")] {
        let nats = Nats::new(&broker.address()).unwrap().prefix(prefix).unwrap();
        let mut node = Node::start(id, nats).await;
        assert_eq!(node.next().await, Heard::Up);
        node.subscribe("room").await;
        nodes.push(node);
    }
    let mut same = Node::at(4, &broker.address()).await;
    same.publish("room", "here");
    same.nats.control(None, "all".into()).unwrap();
    let mut heard = [nodes[0].next().await, nodes[0].next().await].map(|heard| format!("{heard:?}"));
    heard.sort();
    assert_eq!(heard, [r#"Control(b"all")"#, r#"Message("room", b"here")"#]);
    assert_eq!(same.next().await, Heard::Control("all".into()));
    for node in &mut nodes[1..] {
        assert_eq!(node.next_within(Duration::from_millis(50)).await, None);
    }
    for prefix in ["", "a.b", "*", "a b", "ü", &"a".repeat(65)] {
        Nats::new(&broker.address()).unwrap().prefix(prefix).unwrap_err();
    }
}

/// An envelope of the broker's limit less 64 KiB is the largest; the limit is the broker's own.
#[tokio::test]
async fn too_big() {
    for (broker, most) in [(Broker::start(), (1 << 20) - (64 << 10)), (Broker::limited(128 << 10), 64 << 10)]
    {
        let mut node = Node::at(1, &broker.address()).await;
        node.subscribe("room").await;
        let error = node.nats.publish("room", vec![0; most + 1].into()).unwrap_err();
        assert!(matches!(error, BackplaneError::TooBig), "{error:?}");
        let error = node.nats.control(None, vec![0; most + 1].into()).unwrap_err();
        assert!(matches!(error, BackplaneError::TooBig), "{error:?}");
        node.publish("room", vec![0; most]);
        node.hears("room", vec![0; most]).await;
    }
}

/// Who is in the address is who connects, whatever is in the name; who is not let in is told so at the start.
#[tokio::test]
async fn users_are_in_the_address() {
    let broker = Broker::with(&["--user", "joe@a/b", "--pass", "p:w%"]);
    let host = broker.address().replace("nats://", "");
    Node::at(1, &format!("nats://joe%40a%2Fb:p%3Aw%25@{host}")).await;
    let options = async_nats::ConnectOptions::with_user_and_password("joe@a/b".into(), "p:w%".into());
    let mut node = Node::start(1, Nats::with(options, &host).unwrap()).await;
    assert_eq!(node.next().await, Heard::Up);
    for wrong in ["joe:secret@", ""] {
        let nats = Nats::new(&format!("nats://{wrong}{host}")).unwrap();
        let error = nats.start(NodeId::new(1), Sink::new(|_| ())).await.unwrap_err();
        assert!(matches!(error, BackplaneError::Broker(_)), "{error:?}");
        assert!(!format!("{nats:?} {error:?}").contains("secret"));
    }
    drop(broker);
    let broker = Broker::with(&["--auth", "t0ken"]);
    Node::at(1, &broker.address().replace("//", "//t0ken@")).await;
}

/// What is no address fails at once, and what it says holds no part of it.
#[test]
fn addresses_are_read() {
    for right in
        ["127.0.0.1", "nats://[::1]:4222", "tls://a.example , b.example:1", "nats://a:b@c,nats://a:b@d,e"]
    {
        Nats::new(right).unwrap();
    }
    let wrong = [
        "",
        ",",
        "nats://",
        "http://a",
        "ws://a",
        "wss://a",
        "nats://a,",
        "nats://secret:b%zz@c",
        "nats://secret%ff@c",
        "nats://a:99999",
        "nats://secret:b@c,nats://secret:d@e",
        "nats://a b",
    ];
    for wrong in wrong {
        let Err(BackplaneError::Broker(error)) = Nats::new(wrong) else { panic!("{wrong:?} is an address") };
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

/// Before it has started, and while there is no broker, what is published fails. When one comes, the node is up, and subscribed.
#[tokio::test]
async fn a_broker_is_waited_for() {
    let port = crate::broker::free_port();
    let address = format!("127.0.0.1:{port},127.0.0.1:{}", crate::broker::free_port());
    let nats = Nats::new(&address).unwrap();
    assert!(matches!(nats.publish("room", Bytes::new()), Err(BackplaneError::Down)));
    assert!(matches!(nats.subscribe("early").await, Err(BackplaneError::Down)));
    let mut node = Node::start(1, nats).await;
    assert!(matches!(node.nats.publish("room", Bytes::new()), Err(BackplaneError::Down)));
    assert!(matches!(node.nats.control(None, Bytes::new()), Err(BackplaneError::Down)));
    assert!(matches!(node.nats.subscribe("room").await, Err(BackplaneError::Down)));
    assert_eq!(node.next_within(Duration::from_millis(500)).await, None);
    let broker = Broker::at(port, &[]);
    assert_eq!(node.next_within(Duration::from_secs(2)).await, Some(Heard::Up));
    let other = Node::at(2, &broker.address()).await;
    for topic in ["early", "room"] {
        other.publish(topic, "now");
        node.hears(topic, "now").await;
    }
}

/// With the node, all of its tasks end, with a broker, while it hangs, and without one.
#[tokio::test]
async fn all_ends_with_the_node() {
    let mut broker = Broker::start();
    for round in 0..3 {
        let before = Handle::current().metrics().num_alive_tasks();
        let node = Node::at(1, &broker.address()).await;
        for topic in 0..100 {
            node.subscribe(&format!("room:{topic}")).await;
        }
        assert!(Handle::current().metrics().num_alive_tasks() > before + 100);
        match round {
            0 => {}
            1 => broker.hang(),
            _ => broker.kill(),
        }
        // Nor does it need a runtime.
        std::thread::spawn(move || drop(node)).join().unwrap();
        let ended = async {
            while Handle::current().metrics().num_alive_tasks() > before {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), ended).await.expect("all tasks end");
        if round == 1 {
            broker.go_on();
        }
    }
}

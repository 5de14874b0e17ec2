//! Brokers that are not there, go, hang, or want nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sansocket_channels::backplane::{Backplane, BackplaneError, Keep, NodeId, Redis, Sequencer, Sink, Told};
use tokio::time::timeout;

use crate::broker::Broker;
use crate::node::{Heard, Node, all, eventually, is_down, within};

fn count(node: &Node, what: &Heard) -> usize {
    node.heard().iter().filter(|heard| *heard == what).count()
}

/// A broker that ends and begins anew: down, up, and in between all is subscribed to again, what was wanted meanwhile too.
#[tokio::test]
async fn a_broker_that_comes_back() {
    let mut broker = Broker::new();
    let (a, b) = (Node::new(1, &broker).await, Node::new(2, &broker).await);
    for n in 0..2_500 {
        drop(b.subscribe(&format!("room:{n}")));
    }
    b.subscribe("before").await.unwrap();
    for round in 1..=3 {
        broker.kill();
        for node in [&a, &b] {
            within(2, "it is down", || count(node, &Heard::Down) == round).await;
        }
        assert!(is_down(&a.say("before", "nobody hears")));
        assert!(is_down(&a.control(None, "nobody hears".into())));
        assert!(is_down(&a.append("before", "nobody hears", all()).await));
        assert!(is_down(&Sequencer::since(&*a, "before", None, all()).await));
        let meanwhile = format!("meanwhile:{round}");
        assert!(is_down(&b.subscribe(&meanwhile).await));
        assert!(is_down(&b.subscribe("not any more").await));
        b.unsubscribe("not any more");

        broker.begin();
        for node in [&a, &b] {
            within(2, "it is up", || count(node, &Heard::Up) == round + 1).await;
        }
        let channels: Vec<String> = broker.ask(&["PUBSUB", "CHANNELS", "sansocket:t:*"]);
        assert_eq!(channels.len(), 2_501 + round);
        let hello = format!("hello {round}");
        for topic in ["before", "room:0", "room:2499", &meanwhile] {
            a.say(topic, &hello).unwrap();
            eventually("it has come", || b.messages(topic).last() == Some(&hello)).await;
        }
        a.control(Some(NodeId::new(2)), hello.clone().into()).unwrap();
        b.until("it has come", |heard| heard.last() == Some(&Heard::Control(hello.clone().into()))).await;
    }
    let states = b
        .heard()
        .iter()
        .filter(|heard| matches!(heard, Heard::Up | Heard::Down))
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(states, [Heard::Up, Heard::Down, Heard::Up, Heard::Down, Heard::Up, Heard::Down, Heard::Up]);
}

/// It is up when it knows what was wanted before, however much is wanted, and not any more, meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_to_a_busy_node() {
    let mut broker = Broker::absent();
    let node = Arc::new(Node::begun(1, Redis::new(&broker.url()).unwrap()).await);
    for n in 0..2_500 {
        drop(node.subscribe(&format!("room:{n}")));
    }
    let joining = node.clone();
    let busy = tokio::spawn(async move {
        for n in 0.. {
            drop(joining.subscribe(&format!("lobby:{n}")));
            joining.unsubscribe(&format!("lobby:{}", n - 10));
            tokio::task::yield_now().await;
        }
    });
    broker.begin();
    within(2, "it is up", || count(&node, &Heard::Up) == 1).await;
    assert_eq!(broker.ask::<Vec<String>>(&["PUBSUB", "CHANNELS", "sansocket:t:room:*"]).len(), 2_500);
    assert!(!busy.is_finished());
    busy.abort();
}

/// What waits for an answer is told that there is none.
#[tokio::test]
async fn what_waits_fails_with_the_connection() {
    let mut broker = Broker::new();
    let node = Node::new(1, &broker).await;
    broker.hang();
    let calls = [
        Sequencer::append(&*node, "x", "1".into(), all()),
        Sequencer::append(&*node, "x", "2".into(), all()),
        node.subscribe("x"),
    ];
    let since = Sequencer::since(&*node, "x", None, all());
    let end = async {
        tokio::task::yield_now().await;
        broker.kill();
    };
    let wait = async {
        for call in calls {
            assert!(is_down(&timeout(Duration::from_secs(5), call).await.unwrap()));
        }
    };
    let ((), since, ()) = tokio::join!(wait, since, end);
    assert!(is_down(&since));
}

/// A broker that hangs is noticed in ten seconds. Until then no more waits for it than may.
#[tokio::test]
async fn a_broker_that_hangs() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    broker.hang();
    let hung = Instant::now();
    let large = "x".repeat(100_000);
    let (mut taken, mut is_full) = (0, false);
    let append = Sequencer::append(&*node, "x", "1".into(), all());
    while count(&node, &Heard::Down) == 0 {
        for _ in 0..100 {
            match node.say("x", &large) {
                Ok(()) => taken += large.len(),
                Err(BackplaneError::Full) => is_full = true,
                Err(error) => assert!(matches!(error, BackplaneError::Down), "{error}"),
            }
        }
        assert!(hung.elapsed() < Duration::from_secs(15), "it is still not down");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What waits, a batch, and what the sockets have.
    assert!(is_full && taken < 24 << 20, "{taken} bytes");
    assert!(hung.elapsed() > Duration::from_secs(2));
    assert!(is_down(&append.await));
    assert!(is_down(&node.say("x", "1")));
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(hung.elapsed())).await;

    broker.go_on();
    within(3, "it is up", || count(&node, &Heard::Up) == 2).await;
    node.heard().clear();
    node.say("x", "hello").unwrap();
    eventually("it has come", || node.messages("x") == ["hello"]).await;
}

/// Small messages are as few as may wait, too.
#[tokio::test]
async fn a_broker_that_hangs_has_few_messages() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    broker.hang();
    let mut taken = 0;
    for _ in 0..2_000 {
        while node.say("x", "1").is_ok() {
            taken += 1;
        }
        tokio::task::yield_now().await;
    }
    assert!((8_192..=8_192 + 1_024).contains(&taken), "{taken}");
    assert!(matches!(node.say("x", "1"), Err(BackplaneError::Full)));
    assert!(matches!(node.append("x", "1", all()).await, Err(BackplaneError::Full)));
    broker.go_on();
    eventually("there is room", || node.say("x", "1").is_ok()).await;
    assert_eq!(count(&node, &Heard::Down), 0);
}

/// A broker that is not there yet is waited for.
#[tokio::test]
async fn a_broker_that_is_not_there_yet() {
    let mut broker = Broker::absent();
    let redis = Redis::new(&broker.url()).unwrap();
    let node = timeout(Duration::from_secs(5), Node::begun(1, redis)).await.unwrap();
    assert!(is_down(&node.subscribe("x").await));
    assert!(is_down(&node.say("x", "nobody hears")));
    assert_eq!(*node.heard(), []);
    broker.begin();
    within(2, "it is up", || count(&node, &Heard::Up) == 1).await;
    node.say("x", "hello").unwrap();
    eventually("it has come", || node.messages("x") == ["hello"]).await;
    assert_eq!(count(&node, &Heard::Down), 0);
}

/// A connection that the broker closes, either of them, is a connection that is lost.
#[tokio::test]
async fn either_connection_may_be_closed() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    node.subscribe("x").await.unwrap();
    for (round, kind) in ["pubsub", "normal", "pubsub", "normal"].iter().enumerate() {
        assert_eq!(broker.ask::<u64>(&["CLIENT", "KILL", "TYPE", kind]), 1);
        within(2, "it is down", || count(&node, &Heard::Down) == round + 1).await;
        within(2, "it is up", || count(&node, &Heard::Up) == round + 2).await;
        node.say("x", kind).unwrap();
        eventually("it has come", || node.messages("x").len() == round + 1).await;
        eventually("it has two connections", || {
            broker.ask::<String>(&["CLIENT", "LIST"]).lines().count() == 3
        })
        .await;
    }
}

/// A broker that does not take a node says why when the node begins.
#[tokio::test]
async fn a_broker_with_a_password() {
    let broker = Broker::with(&["--requirepass", "p@ss"]);
    let start = async |user: &str| {
        let redis = Redis::new(&format!("redis://{user}127.0.0.1:{}/3", broker.port())).unwrap();
        let sink = Sink::new(|_| {});
        redis.start(NodeId::new(1), sink).await.map(|()| redis)
    };
    for user in ["", ":wrong@", "nobody:p%40ss@"] {
        let result = start(user).await;
        assert!(matches!(result, Err(BackplaneError::Broker(_))), "{user}: {result:?}");
    }
    for user in [":p%40ss@", "default:p%40ss@"] {
        let redis = Redis::new(&format!("redis://{user}127.0.0.1:{}/3", broker.port())).unwrap();
        let node = Node::with(1, redis).await;
        node.subscribe("x").await.unwrap();
        node.say("x", "hello").unwrap();
        eventually("it has come", || node.messages("x") == ["hello"]).await;
    }
}

/// A user that has the rights which the documentation names can do all there is to do, and one that lacks some is told so.
#[tokio::test]
async fn a_user_with_few_rights() {
    let broker = Broker::new();
    let url = format!("redis://node:secret@127.0.0.1:{}", broker.port());
    let rights = "on >secret ~{sansocket:* &sansocket:* -@all +@connection +@pubsub +@scripting +info +time +@hash +@list +del +pexpire";
    let user = ["ACL", "SETUSER", "node"].into_iter().chain(rights.split(' ')).collect::<Vec<_>>();
    broker.ask::<()>(&user);
    let node = Node::with(1, Redis::new(&url).unwrap()).await;
    node.subscribe("x").await.unwrap();
    node.say("x", "hello").unwrap();
    node.control(None, "to all".into()).unwrap();
    node.append("x", "kept", Keep::new(1, 100, Duration::from_secs(60))).await.unwrap();
    node.append("x", "kept", Keep::new(1, 100, Duration::from_secs(60))).await.unwrap();
    assert_eq!(node.since("x", None, all()).await.messages.len(), 1);
    node.unsubscribe("x");
    node.until("all has come", |heard| heard.len() == 5).await;

    let other = Redis::new(&url).unwrap().prefix("other").unwrap();
    let result = other.start(NodeId::new(1), Sink::new(|_| {})).await;
    assert!(matches!(result, Err(BackplaneError::Broker(_))), "{result:?}");
}

/// A broker may be a file's name away.
#[tokio::test]
async fn a_broker_at_a_socket_of_unix() {
    let name = std::env::temp_dir().join(format!("sansocket-redis-{}.sock", std::process::id()));
    let name = name.to_str().unwrap();
    let mut broker = Broker::with(&["--unixsocket", name]);
    let node = Node::with(1, Redis::new(&format!("unix://{name}?db=1")).unwrap()).await;
    node.subscribe("x").await.unwrap();
    node.append("x", "hello", all()).await.unwrap();
    eventually("it has come", || node.sequenced("x").len() == 1).await;
    broker.kill();
    within(2, "it is down", || count(&node, &Heard::Down) == 1).await;
    broker.begin();
    within(2, "it is up", || count(&node, &Heard::Up) == 2).await;
    broker.kill();
    std::fs::remove_file(name).ok();
}

/// A broker that refuses what is published, when the one who published has long been told that it is sent, is a connection that is lost.
#[tokio::test]
async fn a_broker_that_refuses_messages() {
    let broker = Broker::new();
    let node = Node::new(1, &broker).await;
    broker.ask::<()>(&["ACL", "SETUSER", "default", "-publish"]);
    node.say("x", "nobody hears").unwrap();
    within(2, "it is down", || count(&node, &Heard::Down) == 1).await;
    broker.ask::<()>(&["ACL", "SETUSER", "default", "+publish"]);
    within(2, "it is up", || count(&node, &Heard::Up) == 2).await;

    // One that has become a replica.
    broker.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(matches!(node.append("x", "1", all()).await, Err(BackplaneError::Broker(_))));
    within(2, "it is down", || count(&node, &Heard::Down) == 2).await;
    broker.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    within(2, "it is up", || count(&node, &Heard::Up) == 3).await;
    node.append("x", "1", all()).await.unwrap();
}

/// A node that does not keep up loses its connection, and hears of it; what waits until then is bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_keep_up() {
    let broker = Broker::new();
    let (busy, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let redis = Redis::new(&broker.url()).unwrap();
    let (is_busy, to) = (busy.clone(), heard.clone());
    let sink = Sink::new(move |told| {
        // Others of the runtime's tasks may be this thread's to do.
        tokio::task::block_in_place(|| {
            while is_busy.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        to.lock().unwrap().push(match told {
            Told::Message { envelope, .. } => envelope.len().to_string(),
            told => format!("{told:?}"),
        });
    });
    redis.start(NodeId::new(1), sink).await.unwrap();
    eventually("it is up", || *heard.lock().unwrap() == ["Up"]).await;
    redis.subscribe("x").await.unwrap();

    let other = Node::new(2, &broker).await;
    let large = "x".repeat(100_000);
    busy.store(true, Ordering::Relaxed);
    let (mut sent, begun) = (0, Instant::now());
    // Twice as much as may wait.
    while sent < 160 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the broker is sent too little: {sent}");
        sent += usize::from(other.say("x", &large).is_ok());
    }
    other.append("y", "", all()).await.unwrap();
    // All of it is read meanwhile, though nothing is told.
    let clients = || broker.ask::<String>(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    within(30, "it was sent all", || clients().lines().all(|client| client.contains(" omem=0 "))).await;
    busy.store(false, Ordering::Relaxed);
    eventually("it is up again", || heard.lock().unwrap().iter().filter(|told| *told == "Up").count() == 2)
        .await;
    let heard = heard.lock().unwrap().clone();
    let messages = heard.iter().filter(|told| *told == "100000").count();
    assert!(messages < sent, "{messages} of {sent}");
    assert_eq!(heard[messages + 1..], ["Down", "Up"]);
}

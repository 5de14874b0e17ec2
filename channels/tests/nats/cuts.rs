//! What becomes of a node whose broker goes away, or hangs.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::backplane::{Backplane, BackplaneError, Nats, NodeId, Sink, Told};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{block_in_place, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::broker::Broker;
use crate::node::{Heard, Node};

/// A broker that is killed, and comes back at the same place: the node is told, fails at once meanwhile, and is subscribed to what it
/// has wanted, before or since, when it is up, less than two seconds after the broker. Nothing is told that was published meanwhile.
#[tokio::test]
async fn a_broker_comes_back() {
    let mut broker = Broker::start();
    let (mut a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    b.subscribe("room").await;
    b.subscribe("left").await;
    for away in [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(4)] {
        broker.kill();
        for node in [&mut a, &mut b] {
            assert_eq!(node.next().await, Heard::Down);
            let error = node.nats.publish("room", "stale".into()).unwrap_err();
            assert!(matches!(error, BackplaneError::Down), "{error:?}");
        }
        let error = b.nats.subscribe("new").await.unwrap_err();
        assert!(matches!(error, BackplaneError::Down), "{error:?}");
        b.nats.unsubscribe("left");
        sleep(away).await;
        let begin = Instant::now();
        broker.restart();
        for node in [&mut a, &mut b] {
            assert_eq!(node.next().await, Heard::Up);
        }
        println!("away for {away:?}, up after {:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        a.publish("left", "nobody");
        for topic in ["room", "new"] {
            a.publish(topic, "fresh");
            b.hears(topic, "fresh").await;
        }
        b.nats.unsubscribe("new");
        b.subscribe("left").await;
    }
}

/// A node is up when its broker knows what was wanted before, however much is wanted, and not any more, meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_comes_back_to_a_busy_node() {
    let mut broker = Broker::start();
    let port = distant(broker.port(), Duration::from_millis(5)).await;
    let mut node = Node::at(1, &format!("127.0.0.1:{port}")).await;
    for number in 0..2_500 {
        drop(node.nats.subscribe(&format!("room:{number}")));
    }
    broker.kill();
    assert_eq!(node.next().await, Heard::Down);
    let joining = node.nats.clone();
    let busy = tokio::spawn(async move {
        for number in 0.. {
            drop(joining.subscribe(&format!("lobby:{number}")));
            joining.unsubscribe(&format!("lobby:{}", number - 10));
            yield_now().await;
        }
    });
    broker.restart();
    assert_eq!(node.next_within(Duration::from_secs(2)).await, Some(Heard::Up));
    for topic in ["room:0", "room:2499"] {
        node.publish(topic, "fresh");
        node.hears(topic, "fresh").await;
    }
    // Nor does what is wanted since wait for all the others.
    node.subscribe("lobby").await;
    node.publish("lobby", "fresh");
    node.hears("lobby", "fresh").await;
    assert!(!busy.is_finished());
    busy.abort();
}

/// What is published up to the very end is told in its order, once, and never after what follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_twice_or_late() {
    let mut broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    b.subscribe("room").await;
    let (mut number, mut last) = (0_u64, None);
    for _ in 0..5 {
        let until = Instant::now() + Duration::from_millis(100);
        let mut is_killed = false;
        // Half of it with a broker, and then until both have one again.
        loop {
            number += 1;
            let _ = a.nats.publish("room", Bytes::copy_from_slice(&number.to_be_bytes()));
            if number.is_multiple_of(1_000) {
                sleep(Duration::from_millis(1)).await;
                if !is_killed && Instant::now() > until {
                    is_killed = true;
                    broker.kill();
                    broker.restart();
                }
            }
            let mut is_up = false;
            while let Some(heard) = b.next_within(Duration::ZERO).await {
                match heard {
                    Heard::Message(_, envelope) => {
                        let came = u64::from_be_bytes(envelope.as_ref().try_into().unwrap());
                        assert!(last < Some(came), "{came} after {last:?}");
                        last = Some(came);
                    }
                    heard => is_up = heard == Heard::Up,
                }
            }
            if is_up {
                break;
            }
        }
    }
    assert!(last.is_some());
}

/// A broker that hangs: what is published waits, up to a bound, then it is full, and after some ten seconds the connection is given
/// up, and is made anew when the broker goes on. Memory stays within bounds all the time.
#[tokio::test]
async fn a_broker_hangs() {
    let broker = Broker::start();
    let mut node = Node::at(1, &broker.address()).await;
    node.subscribe("room").await;
    let before = resident();
    broker.hang();
    let begin = Instant::now();
    let (mut taken, mut was_full, mut most) = (0_usize, false, 0);
    let down = loop {
        // To nobody: the broker finds the beginning of it in its socket when it goes on.
        match node.nats.publish("flood", vec![7; 32 << 10].into()) {
            Ok(()) => taken += 32 << 10,
            Err(BackplaneError::Full) => was_full = true,
            Err(BackplaneError::Down) => break begin.elapsed(),
            Err(error) => panic!("{error:?}"),
        }
        most = most.max(resident());
        assert!(begin.elapsed() < Duration::from_secs(15), "it is noticed");
        sleep(Duration::from_millis(1)).await;
    };
    println!("{taken} bytes taken, {} more resident, down after {down:?}", most.saturating_sub(before));
    assert!(was_full);
    // The queue has 8 MiB, the client less than one, and the sockets of both some more.
    assert!(taken < 24 << 20, "{taken}");
    // Other tests of this process have some, too; what was offered is a quarter of a GiB.
    assert!(most.saturating_sub(before) < 160 << 20, "{before} {most}");
    assert!(down > Duration::from_secs(5), "{down:?}");
    assert_eq!(node.next().await, Heard::Down);
    let begin = Instant::now();
    broker.go_on();
    assert_eq!(node.next().await, Heard::Up);
    println!("up after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    node.publish("room", "fresh");
    node.hears("room", "fresh").await;
}

/// A subscription that waits for a broker that hangs fails when the connection is given up, and comes with the next one.
#[tokio::test]
async fn a_subscription_fails_with_its_connection() {
    let mut broker = Broker::start();
    let (a, mut b) = (Node::at(1, &broker.address()).await, Node::at(2, &broker.address()).await);
    broker.hang();
    let confirmed = b.nats.subscribe("room");
    broker.kill();
    let error = timeout(Duration::from_secs(5), confirmed).await.unwrap().unwrap_err();
    assert!(matches!(error, BackplaneError::Down), "{error:?}");
    assert_eq!(b.next().await, Heard::Down);
    broker.restart();
    assert_eq!(b.next().await, Heard::Up);
    let until = Instant::now() + Duration::from_secs(2);
    while a.nats.publish("room", "fresh".into()).is_err() {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(5)).await;
    }
    b.hears("room", "fresh").await;
}

/// A client drops what a subscription has no room for, here since the node does not go on: the node is told that something is lost, now
/// and then and once more at the end, however much it is, and hears again what comes when it has gone on.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_dropped_is_lost() {
    let broker = Broker::start();
    let a = Node::at(1, &broker.address()).await;
    let (go_on, wait) = std::sync::mpsc::channel();
    let (wait, told) = (Mutex::new(wait), Arc::new((AtomicU32::new(0), AtomicBool::new(false))));
    let lost = Arc::<Mutex<Vec<Instant>>>::default();
    let nats = Nats::new(&broker.address()).unwrap();
    let sink = Sink::new({
        let (told, lost) = (told.clone(), lost.clone());
        move |what| match what {
            Told::Message { envelope, .. } => {
                let number = u32::from_be_bytes(envelope.as_ref().try_into().unwrap());
                if told.0.swap(number, Ordering::SeqCst) == 0 {
                    block_in_place(|| wait.lock().unwrap().recv().unwrap());
                }
            }
            Told::Control(_) => told.1.store(true, Ordering::SeqCst),
            Told::Lost(None) => lost.lock().unwrap().push(Instant::now()),
            _ => {}
        }
    });
    let until = Instant::now() + Duration::from_secs(30);
    begin_in_room(&nats, sink, until).await;
    let send = async || {
        assert!(Instant::now() < until);
        let is_sent = a.nats.publish("room", Bytes::copy_from_slice(&1_u32.to_be_bytes())).is_ok();
        if !is_sent {
            sleep(Duration::from_millis(1)).await;
        }
        is_sent
    };
    let mut sent = 0;
    while lost.lock().unwrap().is_empty() {
        sent += u32::from(send().await);
    }
    println!("told after {sent}");
    assert!(sent > 60_000, "{sent}");
    for _ in 0..100_000 {
        send().await;
    }
    let at_last = Instant::now();
    while !send().await {}
    // All of it is dropped before this comes.
    a.nats.control(Some(NodeId::new(2)), Bytes::new()).unwrap();
    while !told.1.load(Ordering::SeqCst) {
        assert!(Instant::now() < until, "it comes");
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(300)).await;
    {
        let lost = lost.lock().unwrap();
        println!("{} times in {:?}", lost.len(), lost[0].elapsed());
        let often = lost.windows(2).filter(|pair| pair[1] - pair[0] < Duration::from_millis(90)).count();
        assert_eq!(often, 0, "of {}", lost.len());
        assert!(*lost.last().unwrap() > at_last, "the end is told");
    }
    go_on.send(()).unwrap();
    // What is published once there is room again arrives.
    loop {
        assert!(Instant::now() < until);
        let _ = a.nats.publish("room", Bytes::copy_from_slice(&u32::MAX.to_be_bytes()));
        sleep(Duration::from_millis(5)).await;
        if told.0.load(Ordering::SeqCst) == u32::MAX {
            break;
        }
    }
}

/// What is large has no more room, though it is few that wait: this node takes its time for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_waits_is_bounded_by_its_bytes() {
    let broker = Broker::start();
    let a = Node::at(1, &broker.address()).await;
    let nats = Nats::new(&broker.address()).unwrap();
    let lost = Arc::<AtomicU32>::default();
    let sink = Sink::new({
        let lost = lost.clone();
        move |what| match what {
            Told::Message { .. } => block_in_place(|| std::thread::sleep(Duration::from_millis(5))),
            Told::Lost(topic) => {
                assert_eq!(topic, Some("room"), "of others nothing is lost");
                lost.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    });
    let until = Instant::now() + Duration::from_secs(30);
    begin_in_room(&nats, sink, until).await;
    let (before, mut most, mut sent) = (resident(), 0, 0);
    while sent < 2_000 {
        assert!(Instant::now() < until);
        match a.nats.publish("room", vec![7; 100_000].into()) {
            Ok(()) => sent += 1,
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
        most = most.max(resident());
    }
    let more = most.saturating_sub(before);
    println!("{more} more resident, {} times lost", lost.load(Ordering::SeqCst));
    // Other tests of this process have some, too; what was sent is 200 MB.
    assert!(more < 128 << 20, "{more}");
    while lost.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until, "it is told");
        sleep(Duration::from_millis(5)).await;
    }
}

/// With several servers, another takes the place of one that is gone.
#[tokio::test]
async fn another_server_takes_over() {
    let (mut first, mut second) = (Broker::start(), Broker::start());
    let mut node = Node::at(1, &format!("{},{}", first.address(), second.address())).await;
    for broker in [&mut first, &mut second] {
        broker.kill();
        if let Some(heard) = node.next_within(Duration::from_millis(500)).await {
            assert_eq!(heard, Heard::Down);
            assert_eq!(node.next_within(Duration::from_secs(3)).await, Some(Heard::Up));
        }
        broker.restart();
    }
    node.subscribe("room").await;
    node.publish("room", "still");
    node.hears("room", "still").await;
}

/// So does one that only the server has named that is gone.
#[tokio::test]
async fn a_server_of_the_cluster_takes_over() {
    let (mut first, second) = Broker::cluster();
    let mut node = Node::at(1, &first.address()).await;
    first.kill();
    assert_eq!(node.next().await, Heard::Down);
    assert_eq!(node.next_within(Duration::from_secs(3)).await, Some(Heard::Up));
    let other = Node::at(2, &second.address()).await;
    node.subscribe("room").await;
    other.publish("room", "here");
    node.hears("room", "here").await;
}

/// Has a node that tells a sink hear of the room, before long.
async fn begin_in_room(nats: &Nats, sink: Sink, until: Instant) {
    nats.start(NodeId::new(2), sink).await.unwrap();
    while nats.subscribe("room").await.is_err() {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(5)).await;
    }
}

/// A port behind which there is a broker from which everything takes its time.
async fn distant(broker: u16, away: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut node, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut broker = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await?;
                let ((mut from_node, mut to_node), (mut from_broker, mut to_broker)) =
                    (node.split(), broker.split());
                let back = async {
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        let count = from_broker.read(&mut buffer).await?;
                        if count == 0 {
                            return io::Result::Ok(());
                        }
                        sleep(away).await;
                        to_node.write_all(&buffer[..count]).await?;
                    }
                };
                tokio::select! {
                    ended = copy(&mut from_node, &mut to_broker) => ended.map(drop),
                    ended = back => ended,
                }
            });
        }
    });
    port
}

/// How many bytes of memory this process has.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

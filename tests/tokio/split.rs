//! The two halves of a WebSocket, in two tasks.

use std::time::Duration;

use sansocket::tokio::{Incoming, WebSocketReceiver, WebSocketSender};
use sansocket::{CloseCode, Config, Error, Message, TimedOut};
use tokio::io::DuplexStream;

use crate::common::{CLOSE, ROLES, secs};
use crate::peer::{SIZES, after, at_once, pair, with_peer};

type Halves = (WebSocketSender<DuplexStream>, WebSocketReceiver<DuplexStream>);

/// Sends 200 messages with a Ping after each, then closes; receives until the end.
async fn converse((mut sender, mut receiver): Halves) -> Vec<Incoming> {
    let sending = tokio::spawn(async move {
        for i in 0..200u32 {
            sender.send(i.to_string()).await.unwrap();
            sender.ping(&i.to_be_bytes()).await.unwrap();
        }
        sender
    });
    let receiving = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 600 {
            seen.push(receiver.recv_incoming().await.unwrap().unwrap());
        }
        (receiver, seen)
    });
    let mut sender = sending.await.unwrap();
    let (mut receiver, seen) = receiving.await.unwrap();
    // Both do at once, or one after the other: neither fails.
    let closing = async {
        sender.close(CloseCode::NORMAL, "").await.unwrap();
        sender
    };
    let receiving = async { assert_eq!(receiver.recv_incoming().await.unwrap(), None) };
    let (mut sender, ()) = tokio::join!(closing, receiving);
    assert!(receiver.closed().unwrap().clean);
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    seen
}

/// 6455-5.4-06: two tasks a side, Pings both ways, pipes that hold a byte: nothing is lost or
/// reordered, every Ping is answered, and no wake-up is lost.
#[tokio::test(start_paused = true)]
async fn two_tasks_a_side() {
    for size in SIZES {
        let (client, server) = pair(size, &Config::default());
        let (one, other) = at_once(async {
            tokio::join!(tokio::spawn(converse(client.split())), tokio::spawn(converse(server.split())))
        })
        .await;
        check(one.unwrap());
        check(other.unwrap());
    }
}

/// The same in threads that run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_threads_a_side() {
    for size in SIZES {
        let (client, server) = pair(size, &Config::default());
        let both = async {
            tokio::join!(tokio::spawn(converse(client.split())), tokio::spawn(converse(server.split())))
        };
        let (one, other) = tokio::time::timeout(secs(60), both).await.expect("a lost wake-up");
        check(one.unwrap());
        check(other.unwrap());
    }
}

/// Everything that `converse` sent arrived, once and in order.
fn check(seen: Vec<Incoming>) {
    let (mut messages, mut pings, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
    for incoming in seen {
        match incoming {
            Incoming::Message(message) => messages.push(message),
            Incoming::Ping(payload) => pings.push(payload),
            Incoming::Pong(payload) => pongs.push(payload),
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<_> = (0..200u32).map(|i| Message::text(i.to_string())).collect();
    assert_eq!(messages, expected);
    let expected: Vec<_> = (0..200u32).map(|i| i.to_be_bytes().to_vec()).collect();
    assert_eq!(pings, expected);
    assert_eq!(pongs, expected);
}

/// The sending half closes while the receiving half waits: whichever deadline comes of it, the
/// receiving half keeps it, without a keepalive to wake it.
#[tokio::test(start_paused = true)]
async fn the_receiver_learns_of_the_senders_deadlines() {
    for role in ROLES {
        for keepalive in [true, false] {
            let config = if keepalive { Config::default() } else { Config::default().no_keepalive() };
            let (ws, peer) = with_peer(role, 4096, &config);
            let (mut sender, mut receiver) = ws.split();
            let receiving = tokio::spawn(async move { receiver.recv().await });
            tokio::time::sleep(secs(3)).await;
            sender.close(CloseCode::NORMAL, "").await.unwrap();
            let error = after(secs(10), receiving).await.unwrap().unwrap_err();
            assert!(matches!(error, Error::TimedOut(TimedOut::ClosingHandshake)), "{error:?}");
            drop(peer);

            // `start_close` alone: the receiving half sends the Close frame.
            let (ws, mut peer) = with_peer(role, 4096, &config);
            let (mut sender, mut receiver) = ws.split();
            let receiving = tokio::spawn(async move { receiver.recv().await });
            tokio::task::yield_now().await;
            sender.start_close(None).unwrap();
            at_once(async { assert_eq!(peer.frame().await, Some((CLOSE, vec![]))) }).await;
            let error = after(secs(10), receiving).await.unwrap().unwrap_err();
            assert!(matches!(error, Error::TimedOut(TimedOut::ClosingHandshake)), "{error:?}");

            // A write that blocks, and whose future is dropped.
            let (ws, peer) = with_peer(role, 61, &config);
            let (mut sender, mut receiver) = ws.split();
            let receiving = tokio::spawn(async move { receiver.recv().await });
            tokio::time::sleep(secs(3)).await;
            let sent = tokio::time::timeout(Duration::ZERO, sender.send([0; 1000].to_vec())).await;
            sent.unwrap_err();
            let error = after(secs(30), receiving).await.unwrap().unwrap_err();
            assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error:?}");
            drop(peer);
        }
    }
}

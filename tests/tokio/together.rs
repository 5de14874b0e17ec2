//! Answers to messages that came together are written together; and `send` keeps its word when nothing
//! more is received: what it was given is written as soon as the task waits, whatever for.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use sansocket::tokio::WebSocket;
use sansocket::{Config, Role};
use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::common::{PING, ROLES, Sent, TEXT, frame, sent};
use crate::peer::{after, at_once, with_peer};
use crate::script::{Read, Script};

/// So many text messages in one piece.
fn together(to: Role, count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| frame(to, TEXT, i.to_string().as_bytes())).collect()
}

fn answers(count: usize) -> Vec<Sent> {
    (0..count).map(|i| (TEXT, i.to_string().into_bytes())).collect()
}

/// Lets all other tasks run until each of them waits.
async fn let_run() {
    for _ in 0..100 {
        yield_now().await;
    }
}

fn over(script: &Script, role: Role, config: &Config) -> WebSocket<Script> {
    WebSocket::from_upgraded(script.clone(), role, b"", config)
}

/// However many messages come at once, their answers take one write.
#[tokio::test(start_paused = true)]
async fn one_write_for_all() {
    for role in ROLES {
        for (count, split) in [(1, false), (2, false), (16, false), (16, true)] {
            let batches = [1, 2, 3].map(|_| [Read::Bytes(together(role, count)), Read::Pending]);
            let script = Script::new(batches.into_iter().flatten());
            let mut ws = over(&script, role, &Config::default());
            let task = tokio::spawn(async move {
                if split {
                    let (mut sender, mut receiver) = ws.split();
                    while let Some(message) = receiver.recv().await.unwrap() {
                        sender.send(message).await.unwrap();
                    }
                } else {
                    while let Some(message) = ws.recv().await.unwrap() {
                        ws.send(message).await.unwrap();
                    }
                }
            });
            let_run().await;
            let record = script.record();
            assert_eq!(sent(role, &record.written), [1, 2, 3].map(|_| answers(count)).concat());
            assert_eq!(record.writes, 3, "{role:?}, {count} at once, split {split}");
            assert_eq!(record.flushed, record.written.len());
            task.abort();
        }
    }
}

/// The task waits after each answer: none of them waits for the next.
#[tokio::test(start_paused = true)]
async fn the_task_waits_between() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        let task = tokio::spawn(async move {
            while let Some(message) = ws.recv().await.unwrap() {
                ws.send(message).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        peer.send_raw(&together(role, 5)).await;
        assert_eq!(at_once(peer.frame()).await, answers(5).first().cloned());
        for answer in answers(5).into_iter().skip(1) {
            assert_eq!(after(Duration::from_secs(1), peer.frame()).await, Some(answer));
        }
        task.abort();
    }
}

/// What writes for a connection ends when that has been silent for long, and is there again when needed.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_has_one_task() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        let task = tokio::spawn(async move {
            while let Some(message) = ws.recv().await.unwrap() {
                ws.send(message).await.unwrap();
            }
        });
        for _ in 0..3 {
            peer.send_raw(&together(role, 5)).await;
            for answer in answers(5) {
                assert_eq!(at_once(peer.frame()).await, Some(answer));
            }
            assert_eq!(tasks(), 3, "its own, what writes, and one that looks at all connections");
            // The keepalive's Ping.
            assert_eq!(after(Duration::from_secs(20), peer.frame()).await, Some((PING, Vec::new())));
            let_run().await;
            assert_eq!(tasks(), 1);
        }
        task.abort();
        let_run().await;
    }
}

/// The WebSocket is dropped while the transport takes nothing: it is given up at the write timeout.
#[tokio::test(start_paused = true)]
async fn dropped_while_the_transport_is_stalled() {
    for role in ROLES {
        let (mut ws, mut peer) =
            with_peer(role, 61, &Config::default().write_timeout(Duration::from_secs(7)).min_data_rate(0));
        peer.send_raw(&together(role, 4)).await;
        let message = ws.recv().await.unwrap().unwrap();
        ws.feed("x".repeat(300)).await.unwrap();
        ws.send(message).await.unwrap();
        drop(ws);
        tokio::time::sleep(Duration::from_secs(6)).await;
        // Seconds count from the last byte that was taken.
        let mut read = [0; 61];
        tokio::io::AsyncReadExt::read_exact(&mut peer.io, &mut read).await.unwrap();
        let_run().await;
        let ends = async { while tokio::io::AsyncWriteExt::write(&mut peer.io, b"x").await.is_ok() {} };
        after(Duration::from_secs(7), ends).await;
    }
}

/// More than is to be queued: the rest is written meanwhile, and the sender waits.
#[tokio::test(start_paused = true)]
async fn the_queue_is_full() {
    for role in ROLES {
        let config = Config::default().write_buffer_size(100);
        let script = Script::new([Read::Bytes(together(role, 200))]);
        let mut ws = over(&script, role, &config);
        let task = tokio::spawn(async move {
            while let Some(message) = ws.recv().await.unwrap() {
                ws.send(message).await.unwrap();
            }
        });
        let_run().await;
        let record = script.record();
        assert_eq!(sent(role, &record.written), answers(200));
        let (least, most) = (record.written.len() / 120, record.written.len() / 100 + 1);
        assert!((least..=most).contains(&record.writes), "{role:?}: {} writes", record.writes);
        task.abort();
    }
}

/// A call that is dropped takes no message with it, and leaves none behind.
#[tokio::test(start_paused = true)]
async fn the_call_is_dropped() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(together(role, 3))]);
        let mut ws = over(&script, role, &Config::default());
        assert!(ws.recv().await.unwrap().is_some());
        drop(ws.send("never polled"));
        ws.send("0").await.unwrap();
        assert_eq!(script.record().writes, 0, "it waits for the others");
        tokio::select! {
            biased;
            _ = ws.recv() => {}
            () = yield_now() => panic!("a message waits to be received"),
        }
        let_run().await;
        assert_eq!(sent(role, &script.record().written), answers(1), "{role:?}");
    }
}

/// Without a runtime nobody could write later: it is written at once.
#[test]
fn without_a_runtime() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(together(role, 3))]);
        let mut ws = over(&script, role, &Config::default().no_keepalive());
        let mut cx = Context::from_waker(Waker::noop());
        for count in 1..=3 {
            let received = pin!(ws.recv()).poll(&mut cx);
            let std::task::Poll::Ready(Ok(Some(message))) = received else { panic!("{received:?}") };
            assert!(pin!(ws.send(message)).poll(&mut cx).is_ready());
            assert_eq!(sent(role, &script.record().written), answers(count), "{role:?}");
        }
    }
}

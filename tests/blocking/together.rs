//! Answers to messages that came together are written together; and `send` keeps its word when its thread
//! does something else: what it was given is written without another call.
//!
//! The thread that sees to that may find a message that a slow machine has kept waiting for a millisecond. So
//! where writes are counted, there are many batches, and room for some more writes.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{NoDeadlines, TryClone, WebSocket};
use sansocket::{Config, Error, Role};

use crate::common::{ROLES, Sent, TEXT, frame, secs, sent};
use crate::peer::{Peer, with_peer};
use crate::script::{Read, Script, Write};

const BATCHES: usize = 100;

/// So many text messages in one piece.
pub fn together(to: Role, count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| frame(to, TEXT, i.to_string().as_bytes())).collect()
}

/// The same messages, as they are sent back.
pub fn answers(count: usize) -> Vec<Sent> {
    (0..count).map(|i| (TEXT, i.to_string().into_bytes())).collect()
}

/// The loop that users write, by the whole WebSocket or its halves.
pub fn echo<S: TryClone + Send + 'static>(mut ws: WebSocket<S>, split: bool) {
    if split {
        let (mut sender, mut receiver) = ws.split().unwrap();
        while let Ok(Some(message)) = receiver.recv() {
            sender.send(message).unwrap();
        }
    } else {
        while let Ok(Some(message)) = ws.recv() {
            ws.send(message).unwrap();
        }
    }
}

fn over(script: &Script, role: Role, config: &Config) -> WebSocket<Script> {
    WebSocket::from_upgraded(script.clone(), role, b"", config).unwrap()
}

/// A WebSocket to which its peer has sent so many messages in one piece.
fn with_messages(role: Role, count: usize, config: &Config) -> (WebSocket<UnixStream>, Peer<UnixStream>) {
    let (ws, mut peer) = with_peer(role, config);
    // Only a failure takes so long.
    peer.io.set_read_timeout(Some(secs(60))).unwrap();
    std::io::Write::write_all(&mut peer.io, &together(role, count)).unwrap();
    (ws, peer)
}

/// Waits for what another thread does.
#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < secs(60), "it does not come");
        thread::yield_now();
    }
}

/// However many messages come at once, their answers take one write.
#[test]
fn one_write_for_all() {
    for role in ROLES {
        for (count, split) in [(1, false), (2, false), (16, false), (16, true)] {
            let batches = (0..BATCHES).map(|_| Read::Bytes(together(role, count)));
            let script = Script::new(batches.chain([Read::End]), []);
            let ws = over(&script, role, &Config::default());
            echo(ws, split);
            let record = script.record();
            assert_eq!(sent(role, &record.written), vec![answers(count); BATCHES].concat());
            assert_eq!(record.flushed, record.written.len());
            let most = if count == 1 { BATCHES } else { 3 * BATCHES / 2 };
            assert!(record.writes <= most, "{role:?}, {count} at once, split {split}: {}", record.writes);
        }
    }
}

/// One thread receives, and another sends: it may take what the first had received long ago for news.
#[test]
fn the_sender_is_late() {
    for role in ROLES {
        let (ws, mut peer) = with_messages(role, 5, &Config::default());
        let (mut sender, mut receiver) = ws.split().unwrap();
        let (to_sender, messages) = mpsc::channel();
        let receiving = thread::spawn(move || {
            while let Ok(Some(message)) = receiver.recv() {
                to_sender.send(message).unwrap();
            }
        });
        let sending = thread::spawn(move || {
            for message in messages.iter().take(5 * (BATCHES + 1)) {
                sender.send(message).unwrap();
            }
        });
        for _ in 0..BATCHES {
            for answer in answers(5) {
                assert_eq!(peer.frame(), Some(answer));
            }
            std::io::Write::write_all(&mut peer.io, &together(role, 5)).unwrap();
        }
        for answer in answers(5) {
            assert_eq!(peer.frame(), Some(answer));
        }
        // The peer may have the last message before its `send` has returned, which would fail if the connection
        // had ended meanwhile.
        sending.join().unwrap();
        drop(peer);
        receiving.join().unwrap();
    }
}

/// Peers that read nothing of what was left for them do not keep another's message; nor do they lose theirs.
#[test]
fn others_read_nothing() {
    for role in ROLES {
        let large = "x".repeat(1 << 20);
        let mut others: Vec<_> = (0..10).map(|_| with_messages(role, 2, &Config::default())).collect();
        for (ws, _) in &mut others {
            ws.recv().unwrap();
            ws.send(large.as_str()).unwrap();
        }
        for _ in 0..10 {
            let (mut ws, mut peer) = with_messages(role, 2, &Config::default());
            ws.recv().unwrap();
            ws.send("0").unwrap();
            assert_eq!(peer.frame(), Some((TEXT, b"0".to_vec())));
        }
        for (_ws, peer) in &mut others {
            assert!(peer.frame() == Some((TEXT, large.clone().into_bytes())), "not what was sent");
        }
    }
}

/// A peer that reads nothing is given up at the write timeout, though its owner writes nothing.
#[test]
fn the_write_timeout_counts() {
    for role in ROLES {
        for split in [false, true] {
            // `feed` only queues, while there is room.
            let config =
                Config::default().write_timeout(Duration::from_millis(20)).write_buffer_size(1 << 30);
            let (mut ws, _peer) = with_messages(role, 2, &config);
            ws.recv().unwrap();
            ws.send("x".repeat(4 << 20)).unwrap();
            if split {
                let (mut sender, _receiver) = ws.split().unwrap();
                until(|| matches!(sender.feed("x"), Err(Error::ConnectionLost(_))));
            } else {
                until(|| matches!(ws.feed("x"), Err(Error::ConnectionLost(_))));
            }
        }
    }
}

/// More than is to be queued: what is there is written, and the rest left again.
#[test]
fn the_queue_is_full() {
    for role in ROLES {
        let config = Config::default().write_buffer_size(100);
        let script = Script::new([Read::Bytes(together(role, 5000)), Read::End], []);
        let mut ws = over(&script, role, &config);
        while let Ok(Some(message)) = ws.recv() {
            ws.send(message).unwrap();
        }
        let record = script.record();
        assert_eq!(sent(role, &record.written), answers(5000));
        let (least, most) = (record.written.len() / 120, record.written.len() / 80);
        assert!((least..=most).contains(&record.writes), "{role:?}: {} writes", record.writes);
    }
}

/// What goes wrong behind the owner's back is told by a later call.
#[test]
fn the_transport_fails() {
    for role in ROLES {
        for split in [false, true] {
            let error = Write::Error(std::io::ErrorKind::ConnectionReset);
            let script = Script::new([Read::Bytes(together(role, 2))], [error]);
            let mut ws = over(&script, role, &Config::default());
            ws.recv().unwrap();
            if split {
                let (mut sender, _receiver) = ws.split().unwrap();
                sender.send("0").unwrap();
                until(|| script.record().writes > 0);
                assert!(matches!(sender.flush(), Err(Error::ConnectionLost(_))));
                assert!(matches!(sender.send("1"), Err(Error::ConnectionLost(_))));
            } else {
                ws.send("0").unwrap();
                until(|| script.record().writes > 0);
                assert!(matches!(ws.send("1"), Err(Error::ConnectionLost(_))));
                assert!(matches!(ws.flush(), Err(Error::ConnectionLost(_))));
            }
            assert_eq!(script.record().writes, 1);
        }
    }
}

/// A transport that panics spoils nothing for others.
#[test]
fn the_transport_panics() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(together(role, 2))], [Write::Panic]);
        let mut panics = over(&script, role, &Config::default());
        panics.recv().unwrap();
        panics.send("0").unwrap();
        until(|| script.has_panicked());
        let (mut ws, mut peer) = with_messages(role, 2, &Config::default());
        ws.recv().unwrap();
        ws.send("0").unwrap();
        assert_eq!(peer.frame(), Some((TEXT, b"0".to_vec())));
    }
}

/// It is dropped when its thread ends, after the memory that the thread kept for its connections.
#[test]
fn the_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Option<WebSocket<UnixStream>>> = const { RefCell::new(None) };
    }
    for role in ROLES {
        let (mut ws, mut peer) = with_messages(role, 2, &Config::default());
        let thread = thread::spawn(move || {
            // First, so that it is dropped last.
            KEPT.with_borrow_mut(|kept| assert!(kept.is_none()));
            let message = ws.recv().unwrap().unwrap();
            ws.send(message).unwrap();
            KEPT.set(Some(ws));
        });
        thread.join().unwrap();
        assert_eq!(peer.frame(), Some((TEXT, b"0".to_vec())), "{role:?}");
    }
}

/// What was left goes before what the halves send.
#[test]
fn it_is_split() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(together(role, 4))], []);
        let mut ws = over(&script, role, &Config::default());
        let first = ws.recv().unwrap().unwrap();
        ws.send(first).unwrap();
        let (mut sender, mut receiver) = ws.split().unwrap();
        for _ in 1..3 {
            let message = receiver.recv().unwrap().unwrap();
            sender.send(message).unwrap();
        }
        // The receiving half was dropped with something unread: nobody receives it any more.
        drop(receiver);
        sender.send("3").unwrap();
        assert_eq!(sent(role, &script.record().written), answers(4), "{role:?}");
    }
}

/// A write to a stream without timeouts cannot be tried briefly: nothing is left for later.
#[test]
fn without_timeouts() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(together(role, 3))], []);
        let mut ws =
            WebSocket::from_upgraded(NoDeadlines(script.clone()), role, b"", &Config::default()).unwrap();
        for count in 1..=3 {
            let message = ws.recv().unwrap().unwrap();
            ws.send(message).unwrap();
            assert_eq!(sent(role, &script.record().written), answers(count), "{role:?}");
        }
    }
}

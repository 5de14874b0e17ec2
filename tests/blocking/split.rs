//! The two halves of a WebSocket, in two threads.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use sansocket::blocking::{Incoming, WebSocket, WebSocketReceiver, WebSocketSender};
use sansocket::{CloseCode, Config, Error, Message, TimedOut};

use crate::common::{BINARY, CLOSE, PING, PONG, ROLES, TEXT, close_payload, frame, sent};
use crate::peer::{pair, with_peer};
use crate::script::{Read, Script, Write};

type Halves = (WebSocketSender<UnixStream>, WebSocketReceiver<UnixStream>);

const MESSAGES: u32 = 2000;

/// Sends messages, some of them large, with Pings between; receives as many, and all Pings and Pongs;
/// then closes.
fn converse((mut sender, mut receiver): Halves) -> Vec<Incoming> {
    let receiving = thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < 3 * MESSAGES as usize {
            seen.push(receiver.recv_incoming().unwrap().unwrap());
        }
        (receiver, seen)
    });
    for i in 0..MESSAGES {
        let len = if i % 100 == 0 { 500_000 } else { i as usize };
        let mut message = i.to_be_bytes().to_vec();
        message.resize(4 + len, 0);
        sender.send(message).unwrap();
        sender.ping(&i.to_be_bytes()).unwrap();
    }
    let (mut receiver, seen) = receiving.join().unwrap();
    let receiving = thread::spawn(move || {
        assert_eq!(receiver.recv_incoming().unwrap(), None);
        assert!(receiver.closed().unwrap().clean);
    });
    sender.close(CloseCode::NORMAL, "").unwrap();
    receiving.join().unwrap();
    sender.close(CloseCode::NORMAL, "").unwrap();
    seen
}

/// 6455-5.4-06: two threads a side, under load, Pings both ways while writers are blocked: nothing is
/// lost or reordered, every Ping is answered, and nothing waits for anything for ever.
#[test]
fn two_threads_a_side() {
    // All Pings are answered while there is room for the Pongs.
    let config = Config::default().write_buffer_size(1 << 20);
    let (client, server) = pair(&config);
    let (client, server) = (client.split().unwrap(), server.split().unwrap());
    let other = thread::spawn(|| converse(server));
    let one = converse(client);
    for seen in [one, other.join().unwrap()] {
        let number = |payload: &[u8]| u32::from_be_bytes(payload[..4].try_into().unwrap());
        let (mut messages, mut pings, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
        for incoming in &seen {
            match incoming {
                Incoming::Message(message) => messages.push(number(message.payload())),
                Incoming::Ping(payload) => pings.push(number(payload)),
                Incoming::Pong(payload) => pongs.push(number(payload)),
            }
        }
        for numbers in [messages, pings, pongs] {
            assert!(numbers.into_iter().eq(0..MESSAGES));
        }
    }
}

/// The Close frame of the receiving half waits for what the sending half is writing, and the transport
/// is closed after it.
#[test]
fn the_close_frame_follows_the_senders_message() {
    for role in ROLES {
        let (ws, mut peer) = with_peer(role, &Config::default());
        let (mut sender, mut receiver) = ws.split().unwrap();
        let large = vec![1; 4 << 20];
        sender.feed(large.clone()).unwrap();
        let sending = thread::spawn(move || sender.flush().unwrap());
        let receiving = thread::spawn(move || {
            assert_eq!(receiver.recv().unwrap(), Some(Message::text("closing")));
            assert_eq!(receiver.recv().unwrap(), None);
            assert!(receiver.closed().unwrap().clean);
        });
        // The receiving half takes all of this though the peer reads nothing.
        peer.send(TEXT, b"closing");
        for _ in 0..20_000 {
            peer.send(PING, &[7; 100]);
        }
        peer.send_close(1000, "");
        assert!(peer.frame() == Some((BINARY, large)), "not what was sent");
        let last = loop {
            match peer.frame() {
                Some((PONG, _)) => {}
                last => break last,
            }
        };
        assert_eq!(last, Some((CLOSE, close_payload(1000, ""))));
        drop(peer);
        sending.join().unwrap();
        receiving.join().unwrap();
    }
}

/// What a stream took, and could not pass on in the little time that the receiving half gives it, as TLS
/// does, is passed on later.
#[test]
fn a_flush_is_tried_again() {
    for role in ROLES {
        let reads = [
            Read::Bytes(frame(role, PING, b"?")),
            Read::Error(ErrorKind::WouldBlock),
            Read::Bytes(frame(role, TEXT, b"text")),
        ];
        let script = Script::new(reads, [Write::FlushError(ErrorKind::WouldBlock)]);
        let ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
        let (_sender, mut receiver) = ws.split().unwrap();
        assert_eq!(receiver.recv().unwrap(), Some(Message::text("text")));
        let record = script.record();
        assert_eq!(sent(role, &record.written), [(PONG, b"?".to_vec())]);
        assert_eq!(record.flushed, record.written.len());
    }
}

/// The receiving half keeps the deadline of a close that the sending half began while it waited.
#[test]
fn the_receiver_learns_of_the_senders_deadlines() {
    let config = Config::default().close_timeout(Duration::from_millis(20)).no_keepalive();
    for role in ROLES {
        let (ws, mut peer) = with_peer(role, &config);
        let (mut sender, mut receiver) = ws.split().unwrap();
        let receiving = thread::spawn(move || {
            assert_eq!(receiver.recv().unwrap(), Some(Message::text("one")));
            receiver.recv()
        });
        peer.send(TEXT, b"one");
        sender.close(CloseCode::NORMAL, "").unwrap();
        let error = receiving.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::ClosingHandshake)), "{error:?}");

        // A write of the sending half that timed out is the end for both.
        let config = config.clone().write_timeout(Duration::from_millis(5));
        let (ws, _peer) = with_peer(role, &config);
        let (mut sender, mut receiver) = ws.split().unwrap();
        let receiving = thread::spawn(move || receiver.recv());
        let error = sender.send(vec![0; 10_000_000]).unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error:?}");
        let error = receiving.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::Write)), "{error:?}");
    }
}

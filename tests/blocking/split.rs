//! The two halves of a WebSocket, in two threads.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::thread;

use sansocket::blocking::{Incoming, WebSocket, WebSocketReceiver, WebSocketSender};
use sansocket::{CloseCode, Config, Message};

use crate::common::{PING, PONG, ROLES, TEXT, frame, sent};
use crate::peer::pair;
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
                other => panic!("{other:?}"),
            }
        }
        for numbers in [messages, pings, pongs] {
            assert!(numbers.into_iter().eq(0..MESSAGES));
        }
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

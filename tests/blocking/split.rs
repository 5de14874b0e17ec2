//! The two halves of a WebSocket, in two threads.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use sansocket::blocking::{Incoming, Transport, TryClone, WebSocket, WebSocketReceiver, WebSocketSender};
use sansocket::{CloseCode, Config, Error, Message, Role};

use crate::common::{PING, PONG, ROLES, TEXT, frame, secs, sent};
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

/// A stream of which there is no other handle cannot be split: an error of the crate says so.
#[test]
fn a_stream_that_cannot_be_cloned() {
    for role in ROLES {
        let ws = WebSocket::from_upgraded(Script::default().alone(), role, b"", &Config::default()).unwrap();
        assert!(matches!(ws.split(), Err(Error::ConnectionLost(_))));
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

/// What the receiving half has taken off the queue, and is writing, is queued still: it is told, and takes room.
#[test]
fn queued_while_the_other_half_writes() {
    let gate = Gate::default();
    let config = Config::default().write_buffer_size(10);
    let ws = WebSocket::from_upgraded(gate.clone(), Role::Server, b"", &config).unwrap();
    let (mut sender, mut receiver) = ws.split().unwrap();
    let queued = |sender: &WebSocketSender<Gate>| (sender.queued().messages, sender.queued().bytes);
    assert!(sender.try_feed("0123456789").unwrap());
    assert_eq!(queued(&sender), (1, 12));
    let receiving = thread::spawn(move || receiver.recv());
    gate.0.wait();
    assert_eq!(queued(&sender), (1, 12), "it is being written");
    assert!(!sender.try_feed("x").unwrap());
    sender.start_close(None).unwrap();
    assert_eq!(queued(&sender), (1, 14));
    gate.0.wait();
    assert!(receiving.join().unwrap().is_err(), "the stream has ended");
    assert_eq!(queued(&sender), (0, 0));
}

/// The receiving half is dropped at once, though the other half writes its Close frame and has to wait.
#[test]
fn dropped_while_the_other_half_closes() {
    let gate = Gate::default();
    let ws = WebSocket::from_upgraded(gate.clone(), Role::Server, b"", &Config::default()).unwrap();
    let (mut sender, receiver) = ws.split().unwrap();
    let closing = thread::spawn(move || sender.close(CloseCode::NORMAL, ""));
    gate.0.wait();
    let (dropped, done) = mpsc::channel();
    thread::spawn(move || {
        drop(receiver);
        dropped.send(()).unwrap();
    });
    done.recv_timeout(secs(20)).expect("it is dropped");
    gate.0.wait();
    // It completes the closing handshake, which the stream's end cuts short.
    assert!(closing.join().unwrap().is_err());
}

/// The receiving half is dropped when the other half's `close` has returned: nobody is left who would receive the peer's
/// Close frame, so the peer is not kept waiting for the end of the transport.
#[test]
fn dropped_when_the_other_half_has_closed() {
    for role in ROLES {
        let script = Script::default();
        let ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
        let (mut sender, receiver) = ws.split().unwrap();
        sender.close(CloseCode::NORMAL, "").unwrap();
        assert!(!script.record().shut_down);
        drop(receiver);
        assert!(script.record().shut_down);
    }
}

/// A stream whose first write goes on until the test lets it.
#[derive(Clone, Debug)]
struct Gate(Arc<Barrier>, Arc<AtomicBool>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Barrier::new(2)), Arc::default())
    }
}

impl io::Read for Gate {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl io::Write for Gate {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !self.1.swap(true, Ordering::SeqCst) {
            self.0.wait();
            self.0.wait();
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Gate {
    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryClone for Gate {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// A stream whose handles each have a read timeout of their own: it is set for the one that reads.
#[test]
fn timeouts_of_handles() {
    /// Nothing ever comes. A read without a timeout would not end: it fails here.
    #[derive(Default)]
    struct Handle(Option<Duration>);
    impl io::Read for Handle {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let Some(timeout) = self.0 else { return Err(ErrorKind::Deadlock.into()) };
            thread::sleep(timeout);
            Err(ErrorKind::WouldBlock.into())
        }
    }
    impl io::Write for Handle {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Transport for Handle {
        fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            self.0 = timeout;
            Ok(())
        }
        fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl TryClone for Handle {
        fn try_clone(&self) -> io::Result<Self> {
            Ok(Self::default())
        }
    }
    const MOMENT: Duration = Duration::from_millis(20);
    for whole_first in [true, false] {
        let mut ws =
            WebSocket::from_upgraded(Handle::default(), Role::Client, b"", &Config::default()).unwrap();
        if whole_first {
            assert!(ws.recv_timeout(MOMENT).unwrap().is_pending());
        }
        let (sender, mut receiver) = ws.split().unwrap();
        assert!(receiver.recv_timeout(MOMENT).unwrap().is_pending());
        let mut ws = receiver.reunite(sender).unwrap();
        assert!(ws.recv_timeout(MOMENT).unwrap().is_pending());
    }
}

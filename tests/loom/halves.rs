//! What the halves of a tokio WebSocket share, in every order in which two threads can get at it, as far as
//! loom tries them: nothing written is lost or written twice, and no task waits for ever.
//!
//! `blocking.rs` has those of the blocking adapter.
//!
//! ```console
//! $ cargo test --manifest-path tests/loom/Cargo.toml
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Mutex;
use loom::thread;
use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Message, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::common::{CLOSE, TEXT, close_frame, close_payload, frame, sent};

/// A server, since it needs no random keys; without deadlines, since loom has no clock.
const ROLE: Role = Role::Server;

fn config() -> Config {
    Config::default().no_keepalive().close_timeout(Duration::MAX).write_timeout(Duration::MAX)
}

/// Runs a test in every order with at most two preemptions: few are enough for most faults, and each more
/// takes many times as long.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

/// A stream for tasks. It remembers one waker a direction, as sockets do.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<PipeState>>);

#[derive(Default)]
struct PipeState {
    to_read: VecDeque<u8>,
    written: Vec<u8>,
    /// How many more bytes it takes.
    room: usize,
    /// The peer has ended its direction: when a server has ended its own.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// The peer takes this much more.
    fn make_room(&self, room: usize) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.room += room;
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The peer sends this.
    fn give(&self, bytes: &[u8]) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.to_read.extend(bytes);
            state.reader.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn written(&self) -> Vec<u8> {
        self.0.lock().unwrap().written.clone()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.to_read.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = state.to_read.len().min(buf.remaining());
        buf.put_slice(&state.to_read.drain(..len).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        if state.room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = buf.len().min(state.room);
        state.room -= len;
        state.written.extend_from_slice(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.ended = true;
            state.reader.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

/// Two tasks, a message each way, a transport that takes a byte at first: both tasks come to their end.
#[test]
fn tasks_lose_no_wake_up() {
    model(|| {
        let pipe = Pipe::default();
        let ws = WebSocket::from_upgraded(pipe.clone(), ROLE, b"", &config());
        let (mut sender, mut receiver) = ws.split();
        let sending = thread::spawn(move || {
            block_on(sender.send("out")).unwrap();
            sender
        });
        let receiving = thread::spawn(move || {
            assert_eq!(block_on(receiver.recv()).unwrap(), Some(Message::text("in")));
            receiver
        });
        pipe.make_room(1);
        pipe.give(&frame(ROLE, TEXT, b"in"));
        pipe.make_room(100);
        let _halves = (sending.join().unwrap(), receiving.join().unwrap());
        assert_eq!(sent(ROLE, &pipe.written()), [(TEXT, b"out".to_vec())]);
    });
}

/// A task that gives up sending does not take the other's wake-up with it; what it has begun, the other
/// writes.
#[test]
fn a_dropped_send_takes_no_wake_up() {
    model(|| {
        let pipe = Pipe::default();
        let ws = WebSocket::from_upgraded(pipe.clone(), ROLE, b"", &config());
        let (mut sender, mut receiver) = ws.split();
        let sending = thread::spawn(move || {
            block_on(async {
                let mut send = pin!(sender.send("out"));
                let _ = poll_fn(|cx| Poll::Ready(send.as_mut().poll(cx).map(Result::unwrap))).await;
            });
            sender
        });
        let receiving = thread::spawn(move || {
            for text in ["one", "two"] {
                assert_eq!(block_on(receiver.recv()).unwrap(), Some(Message::text(text)));
            }
            receiver
        });
        pipe.give(&frame(ROLE, TEXT, b"one"));
        pipe.make_room(100);
        pipe.give(&frame(ROLE, TEXT, b"two"));
        let mut sender = sending.join().unwrap();
        let _receiver = receiving.join().unwrap();
        // Unless the other task has waited since, it is still queued.
        block_on(sender.flush()).unwrap();
        assert_eq!(sent(ROLE, &pipe.written()), [(TEXT, b"out".to_vec())]);
    });
}

/// `close` takes the receiving half's place, where there is no runtime for a task that would: it comes to its end, whenever
/// that half is dropped, and whichever of the two has the lock of what is received.
#[test]
fn a_close_in_the_place_of_a_dropped_receiver() {
    model(|| {
        let pipe = Pipe::default();
        let ws = WebSocket::from_upgraded(pipe.clone(), ROLE, b"", &config());
        let (mut sender, mut receiver) = ws.split();
        let closing = thread::spawn(move || {
            block_on(sender.close(CloseCode::NORMAL, "")).unwrap();
            sender
        });
        let receiving = thread::spawn(move || {
            block_on(async {
                let mut recv = pin!(receiver.recv());
                let _ = poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx).map(Result::unwrap))).await;
            });
        });
        pipe.make_room(100);
        pipe.give(&close_frame(ROLE, 1000, ""));
        receiving.join().unwrap();
        let mut sender = closing.join().unwrap();
        // It may have been done when there still was a receiving half.
        block_on(sender.close(CloseCode::NORMAL, "")).unwrap();
        assert!(sender.closed().unwrap().clean);
        assert_eq!(sent(ROLE, &pipe.written()), [(CLOSE, close_payload(1000, ""))]);
    });
}

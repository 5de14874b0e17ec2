//! What the halves of a blocking WebSocket share, with each other and with the thread that writes what was left, in
//! every order in which they can get at it, as far as loom tries them: every frame is written, whole and once, in
//! order, and none is left behind.
//!
//! What waits does so for as long as it takes: no deadline comes to the help of a frame that nobody writes, and a read
//! times out, soon, only where the peer does nothing until we do. The thread, for which loom has no time, looks at what
//! was left as soon as it has its turn, and ends as soon as there is nothing. That it is woken, and looks a millisecond
//! later, is for `tests/blocking/together.rs`; the locks of TLS, and what `serve` knows of its connections, are not
//! here either.
//!
//! ```console
//! $ cargo test --manifest-path tests/loom/Cargo.toml
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "in helpers, as in tests")]

#[path = "../common/mod.rs"]
mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use loom::model::Builder;
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread;
use sansocket::blocking::{Transport, TryClone, WebSocket, flusher_runs};
use sansocket::{CloseCode, Config, Message, Role};

use crate::common::{CLOSE, PING, PONG, TEXT, close_frame, close_payload, frame, sent};

/// A server, since it needs no random keys; without deadlines, since loom has no clock.
const ROLE: Role = Role::Server;

fn config() -> Config {
    Config::default().no_keepalive().close_timeout(Duration::MAX).write_timeout(Duration::MAX)
}

/// Runs a test in every order with at most so many preemptions. What it returns is dropped when the thread that writes
/// what was left has nothing more to do.
fn model<T>(preemptions: usize, test: impl Fn() -> T + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let _kept = test();
        while flusher_runs() {
            thread::yield_now();
        }
    });
}

/// A stream for threads.
#[derive(Clone)]
struct Pipe(Arc<(Mutex<PipeState>, Condvar)>);

struct PipeState {
    to_read: Vec<u8>,
    /// What the peer sends once it has got so many bytes.
    reply: (usize, Vec<u8>),
    /// The peer has ended its direction: when a server has ended its own.
    ended: bool,
    /// Reads with a short timeout time out.
    times_out: bool,
    /// The next read has one.
    glances: bool,
    written: Vec<u8>,
    /// How many more bytes it takes.
    room: usize,
    /// How many it takes at a time.
    most: usize,
    /// Writes wait for room, and are not only tried.
    waits: bool,
    shut_down: bool,
}

impl Default for PipeState {
    fn default() -> Self {
        Self {
            to_read: Vec::new(),
            reply: (usize::MAX, Vec::new()),
            ended: false,
            times_out: false,
            glances: false,
            written: Vec::new(),
            room: usize::MAX,
            most: usize::MAX,
            waits: false,
            shut_down: false,
        }
    }
}

impl Pipe {
    fn new(state: PipeState) -> Self {
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// A WebSocket over it.
    fn ws(&self, read_ahead: &[u8]) -> WebSocket<Self> {
        WebSocket::from_upgraded(self.clone(), ROLE, read_ahead, &config()).unwrap()
    }

    /// A WebSocket that has received one message, and has another one unread.
    fn ws_with_unread(&self) -> WebSocket<Self> {
        let mut ws = self.ws(&[frame(ROLE, TEXT, b"one"), frame(ROLE, TEXT, b"two")].concat());
        assert_eq!(ws.recv().unwrap(), Some(Message::text("one")));
        ws
    }

    fn state(&self) -> MutexGuard<'_, PipeState> {
        self.0.0.lock().unwrap()
    }

    fn make_room(&self, room: usize) {
        self.state().room = room;
        self.0.1.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(&PipeState) -> bool) -> MutexGuard<'_, PipeState> {
        let mut state = self.state();
        while condition(&state) {
            state = self.0.1.wait(state).unwrap();
        }
        state
    }

    /// Waits for so many bytes; they are these texts.
    fn wait_for(&self, len: usize, texts: &[&str]) {
        let state = self.wait_while(|state| state.written.len() < len);
        let texts: Vec<_> = texts.iter().map(|text| (TEXT, text.as_bytes().to_vec())).collect();
        assert_eq!(sent(ROLE, &state.written), texts);
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.wait_while(|state| state.to_read.is_empty() && !state.ended && !state.glances);
        if state.to_read.is_empty() && !state.ended {
            drop(state);
            thread::yield_now();
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = state.to_read.len().min(buf.len());
        buf[..len].copy_from_slice(&state.to_read[..len]);
        state.to_read.drain(..len);
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.wait_while(|state| state.waits && state.room == 0);
        if state.shut_down {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if state.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = buf.len().min(state.room).min(state.most);
        state.room -= len;
        state.written.extend_from_slice(&buf[..len]);
        if state.written.len() >= state.reply.0 {
            let reply = std::mem::take(&mut state.reply.1);
            state.to_read.extend(reply);
        }
        self.0.1.notify_all();
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Pipe {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let mut state = self.state();
        state.glances = state.times_out && timeout.is_some_and(|timeout| timeout < Duration::from_secs(1));
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // An eighth of what nobody waits for.
        self.state().waits = timeout.is_some_and(|timeout| timeout > Duration::MAX / 16);
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut state = self.state();
        (state.shut_down, state.ended) = (true, true);
        Ok(())
    }
}

impl TryClone for Pipe {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// A message is left while the thread may be just about to be done with the one before, or not yet know of it.
#[test]
fn what_is_left_is_written() {
    model(5, || {
        let pipe = Pipe::new(PipeState::default());
        let mut ws = pipe.ws_with_unread();
        ws.send("a").unwrap();
        ws.flush().unwrap();
        ws.send("b").unwrap();
        pipe.wait_for(6, &["a", "b"]);
        ws
    });
}

/// The WebSocket is dropped while the thread may be just about to write for it.
#[test]
fn what_a_dropped_socket_left_is_written() {
    model(5, || {
        let pipe = Pipe::new(PipeState::default());
        let mut ws = pipe.ws_with_unread();
        ws.send("a").unwrap();
        drop(ws);
        pipe.wait_for(3, &["a"]);
    });
}

/// The stream takes nothing at first, and then not all.
#[test]
fn what_did_not_go_is_tried_again() {
    model(5, || {
        let pipe = Pipe::new(PipeState { room: 0, ..PipeState::default() });
        let mut ws = pipe.ws_with_unread();
        ws.send("a").unwrap();
        pipe.make_room(1);
        ws.send("b").unwrap();
        pipe.make_room(100);
        pipe.wait_for(6, &["a", "b"]);
        ws
    });
}

/// A sending half takes for unread what the other half has just received, which waits for input when the message is
/// left.
#[test]
fn what_a_half_left_is_written_while_the_other_waits() {
    model(3, || {
        let reply = (6, frame(ROLE, TEXT, b"three"));
        let pipe = Pipe::new(PipeState { reply, ..PipeState::default() });
        let (mut sender, mut receiver) = pipe.ws_with_unread().split().unwrap();
        let sending = thread::spawn(move || {
            sender.send("a").unwrap();
            sender.send("b").unwrap();
            sender
        });
        for text in ["two", "three"] {
            assert_eq!(receiver.recv().unwrap(), Some(Message::text(text)));
        }
        pipe.wait_for(6, &["a", "b"]);
        (sending.join().unwrap(), receiver)
    });
}

/// Either half is dropped.
#[test]
fn what_a_half_left_is_written_when_one_is_dropped() {
    model(3, || {
        let reply = (3, frame(ROLE, TEXT, b"three"));
        let pipe = Pipe::new(PipeState { reply, ..PipeState::default() });
        let (mut sender, mut receiver) = pipe.ws_with_unread().split().unwrap();
        let sending = thread::spawn(move || sender.send("a").unwrap());
        for text in ["two", "three"] {
            assert_eq!(receiver.recv().unwrap(), Some(Message::text(text)));
        }
        pipe.wait_for(3, &["a"]);
        sending.join().unwrap();
    });
    model(3, || {
        let pipe = Pipe::new(PipeState::default());
        let (mut sender, receiver) = pipe.ws_with_unread().split().unwrap();
        let receiving = thread::spawn(move || drop(receiver));
        sender.send("a").unwrap();
        pipe.wait_for(3, &["a"]);
        receiving.join().unwrap();
    });
}

/// Both halves send at once, and the stream takes a few bytes at a time: a Pong, and messages. The sending half's are
/// written when it is told so; the Pong is by whoever writes last.
#[test]
fn frames_of_both_halves_are_whole() {
    model(3, || {
        let to_read = [frame(ROLE, PING, b"p"), frame(ROLE, TEXT, b"in")].concat();
        let pipe = Pipe::new(PipeState { to_read, most: 2, ..PipeState::default() });
        let (mut sender, mut receiver) = pipe.ws(b"").split().unwrap();
        let written = pipe.clone();
        let sending = thread::spawn(move || {
            for (len, text) in [(3, "a"), (6, "b")] {
                sender.send(text).unwrap();
                assert!(written.state().written.len() >= len, "not written: {text}");
            }
            sender
        });
        assert_eq!(receiver.recv().unwrap(), Some(Message::text("in")));
        let _sender = sending.join().unwrap();
        let mut frames = sent(ROLE, &pipe.state().written);
        let pong = frames.iter().position(|frame| *frame == (PONG, b"p".to_vec()));
        frames.remove(pong.unwrap());
        assert_eq!(frames, [(TEXT, b"a".to_vec()), (TEXT, b"b".to_vec())]);
    });
}

/// The peer takes no more until its own message was received, and the other half waits for it to take one: that goes
/// whole, and so does the Pong that is tried meanwhile.
#[test]
fn a_half_that_receives_waits_for_no_write() {
    model(3, || {
        let to_read = [frame(ROLE, PING, b"p"), frame(ROLE, TEXT, b"in")].concat();
        let pipe = Pipe::new(PipeState { to_read, room: 1, ..PipeState::default() });
        let (mut sender, mut receiver) = pipe.ws(b"").split().unwrap();
        let sending = thread::spawn(move || {
            sender.send("a").unwrap();
            sender
        });
        assert_eq!(receiver.recv().unwrap(), Some(Message::text("in")));
        pipe.make_room(100);
        let _sender = sending.join().unwrap();
        let mut frames = sent(ROLE, &pipe.state().written);
        frames.sort();
        assert_eq!(frames, [(TEXT, b"a".to_vec()), (PONG, b"p".to_vec())]);
    });
}

/// The peer closes while a message is sent: it goes before the answer, or the sender is told that it did not.
#[test]
fn a_close_frame_is_answered_while_the_other_half_sends() {
    model(3, || {
        let to_read = close_frame(ROLE, 1000, "");
        let pipe = Pipe::new(PipeState { to_read, most: 2, times_out: true, ..PipeState::default() });
        let (mut sender, mut receiver) = pipe.ws(b"").split().unwrap();
        let sending = thread::spawn(move || {
            let went = sender.send("a").is_ok();
            (sender, went)
        });
        assert_eq!(receiver.recv().unwrap(), None);
        assert!(receiver.closed().unwrap().clean);
        let (_sender, went) = sending.join().unwrap();
        let mut expected = vec![(TEXT, b"a".to_vec()), (CLOSE, close_payload(1000, ""))];
        expected.drain(..usize::from(!went));
        assert_eq!(sent(ROLE, &pipe.state().written), expected);
    });
}

/// Both close at once, or the peer answers: whichever half writes the Close frame, the other goes on.
#[test]
fn a_half_closes_while_the_other_receives() {
    let close = close_frame(ROLE, 1000, "");
    let never = PipeState::default().reply;
    for (to_read, reply) in [(close.clone(), never), (Vec::new(), (4, close))] {
        model(3, move || {
            let (to_read, reply) = (to_read.clone(), reply.clone());
            let pipe =
                Pipe::new(PipeState { to_read, reply, most: 2, times_out: true, ..PipeState::default() });
            let (mut sender, mut receiver) = pipe.ws(b"").split().unwrap();
            let sending = thread::spawn(move || {
                sender.close(CloseCode::NORMAL, "").unwrap();
                sender
            });
            assert_eq!(receiver.recv().unwrap(), None);
            assert!(receiver.closed().unwrap().clean);
            let _sender = sending.join().unwrap();
            assert_eq!(sent(ROLE, &pipe.state().written), [(CLOSE, close_payload(1000, ""))]);
        });
    }
}

/// The receiving half is dropped while the other closes: who of the two comes last sees to it that the peer is not kept
/// waiting for the end of the transport.
#[test]
fn a_half_is_dropped_while_the_other_closes() {
    model(3, || {
        let reply = (4, close_frame(ROLE, 1000, ""));
        let pipe = Pipe::new(PipeState { reply, most: 2, times_out: true, ..PipeState::default() });
        let (mut sender, receiver) = pipe.ws(b"").split().unwrap();
        let sending = thread::spawn(move || {
            sender.close(CloseCode::NORMAL, "").unwrap();
            sender
        });
        drop(receiver);
        let _sender = sending.join().unwrap();
        let state = pipe.state();
        assert!(state.shut_down);
        assert_eq!(sent(ROLE, &state.written), [(CLOSE, close_payload(1000, ""))]);
    });
}

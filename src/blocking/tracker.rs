//! The connections that one `serve` has accepted: how many they are, how they learn that it stops, and how they
//! are ended if they do not.
//!
//! Nothing can wake a thread that waits in a read but the stream itself. So a connection of a server
//! wakes once in a while ([`LOOK`]) to see whether it is to stop. Its stream is shared by reference, not by
//! descriptor: the server can cut it off at the end, and halves of a connection need no second one.

use alloc::sync::{Arc, Weak};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::stop::Stop;
use crate::endpoint::Server;
use crate::endpoint::census::Census;
use crate::endpoint::sync::atomic::{AtomicBool, Ordering};
use crate::endpoint::sync::{Condvar, Mutex, MutexGuard, lock, wait_while};

/// The connections that one `serve` has accepted.
#[derive(Debug)]
pub(super) struct Tracker {
    stop: Stop,
    /// The server has ended, be it that it was told to stop, or that it cannot accept any more.
    ending: AtomicBool,
    state: Mutex<State>,
    /// Told when `state` has changed.
    changed: Condvar,
}

/// ```text
/// `serve`               counts; waits, and lets go meanwhile; at the end cuts connections off
/// a connection's thread joins, advances, and leaves when its token is dropped
/// ```
///
/// No other lock is taken meanwhile, and nothing waits for the network.
#[derive(Debug)]
struct State {
    census: Census,
    connections: HashMap<u64, (Progress, Weak<TcpStream>)>,
    next_id: u64,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The request is being read.
    Request,
    /// The handler has not yet accepted or answered it.
    Pending,
    /// Its opening handshake is over.
    Open,
}

impl Tracker {
    /// Of no connections yet, which are to count as the server's.
    pub(super) fn new(stop: Stop, server: &Server) -> Self {
        let state = State { census: Census::new(server), connections: HashMap::new(), next_id: 0 };
        Self { stop, ending: AtomicBool::new(false), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Gives a connection to a thread, be it to be refused.
    pub(super) fn spawn(
        self: &Arc<Self>,
        tcp: Arc<TcpStream>,
        refused: bool,
        run: impl FnOnce(Arc<TcpStream>, Token) + Send + 'static,
    ) -> io::Result<()> {
        let token = self.join(&tcp, refused);
        thread::Builder::new().spawn(move || run(tcp, token)).map(drop)
    }

    fn join(self: &Arc<Self>, tcp: &Arc<TcpStream>, refused: bool) -> Token {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.census.join(refused);
        state.connections.insert(id, (Progress::Request, Arc::downgrade(tcp)));
        Token { id, refused, tracker: self.clone() }
    }

    /// Waits until there may be one more connection, or none any more.
    pub(super) fn wait_for_room(&self, server: &Server) {
        let full = |state: &mut State| !self.stop.is_asked() && !state.census.has_room(server);
        let mut state = self.state();
        while full(&mut state) {
            state = wait_while(&self.changed, state, LOOK, full);
        }
    }

    /// Whether the next connection is one too many.
    pub(super) fn is_full(&self, server: &Server) -> bool {
        self.state().census.is_full(server)
    }

    /// Waits so long, or until a connection ends, which leaves behind what there may have been too little of.
    pub(super) fn wait_for_end(&self, time: Duration) {
        if !time.is_zero() {
            let state = self.state();
            let before = state.census.connections();
            drop(wait_while(&self.changed, state, time, |state| state.census.connections() >= before));
        }
    }

    /// Lets the connections close; those that take too long are cut off.
    pub(super) fn end(&self, grace: Duration) {
        self.ending.store(true, Ordering::Release);
        let state = self.state();
        state.cut(|progress| progress == Progress::Request);
        wait_while(&self.changed, state, grace, |state| !state.connections.is_empty()).cut(|_| true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Makes the reads and writes of some connections end.
    fn cut(&self, which: impl Fn(Progress) -> bool) {
        for (_, tcp) in self.connections.values().filter(|(progress, _)| which(*progress)) {
            if let Some(tcp) = tcp.upgrade() {
                // It fails only on one that has ended.
                let _ = tcp.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A connection's place in a tracker, from being accepted to the end of its WebSocket and of its thread.
#[derive(Debug)]
pub(super) struct Token {
    id: u64,
    /// It is to be told that there is no room for it.
    refused: bool,
    tracker: Arc<Tracker>,
}

impl Token {
    /// Whether the connection is to close.
    pub(super) fn is_to_stop(&self) -> bool {
        self.tracker.stop.is_asked() || self.tracker.ending.load(Ordering::Acquire)
    }

    /// It has come so far, if not further before.
    pub(super) fn advance(&self, progress: Progress) {
        let mut state = self.tracker.state();
        let Some((before, _)) = state.connections.get_mut(&self.id) else {
            return;
        };
        if *before != Progress::Open {
            *before = progress;
            if progress == Progress::Open {
                state.census.end_handshake();
                self.tracker.changed.notify_all();
            }
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut state = self.tracker.state();
        if let Some((progress, _)) = state.connections.remove(&self.id) {
            if progress != Progress::Open {
                state.census.end_handshake();
            }
            state.census.leave(self.refused);
        }
        self.tracker.changed.notify_all();
    }
}

/// That the opening handshake of a connection is not over; dropped, it is, whatever came of it.
#[derive(Debug)]
pub(super) struct InHandshake(pub(super) Arc<Token>);

impl Drop for InHandshake {
    fn drop(&mut self) {
        self.0.advance(Progress::Open);
    }
}

/// How long it may take until a thread that waits sees that it is to stop.
pub(super) const LOOK: Duration = Duration::from_secs(1);

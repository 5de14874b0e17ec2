//! A pipe between a program and a scripted peer, in memory, for either adapter. The peer acts inside of the
//! program's reads and writes: it needs no thread and no task, and has always done what it could do.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sansocket::Role;
use sansocket::blocking::{Transport, TryClone};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::{Act, Peer};

/// The program's end. The peer sees the end of the transport when all clones are dropped.
///
/// What is written reaches the peer when it was flushed, or there is no room for more. If the room is odd, and more
/// than a byte, every other read comes to nothing, as does every other write that is polled: nothing but the
/// wake-up, or the timeout, that comes at once.
#[derive(Debug)]
pub struct Wire {
    pipe: Arc<Pipe>,
    timeouts: [Option<Duration>; 2],
}

/// The pipe, to look at it and to act on it.
#[derive(Clone, Debug)]
pub struct Control(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    now: fn() -> Instant,
    start: Instant,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what has happened, each apart from the others")]
struct State {
    peer: Peer,
    /// How many bytes it holds in either direction.
    room: usize,
    /// From the peer to the program.
    inbound: VecDeque<u8>,
    /// From the program to the peer.
    outbound: Vec<u8>,
    /// So many of these bytes were flushed, and can be read by the peer.
    flushed: usize,
    /// How often the program has written something.
    writes: usize,
    /// The last read, or write, came to nothing, only for once: see [`Wire`].
    hesitates: [bool; 2],
    /// How the peer's direction ended, once `inbound` is read.
    ended: Option<Ended>,
    /// What is read again and again.
    flood: Option<Bytes>,
    /// How many bytes more are taken before a write fails, and how it does.
    fault: Option<(usize, Option<ErrorKind>)>,
    /// It has.
    faulted: bool,
    /// The program cannot close its direction but by dropping it.
    refuses_shutdown: bool,
    /// The peer takes nothing any more.
    gone: bool,
    /// The program closed its direction.
    shut_down: bool,
    /// A write found no room since the peer last read.
    blocked: bool,
    /// A read found nothing since the peer last sent.
    starved: bool,
    end_read: bool,
    told: Vec<&'static str>,
    /// When the peer goes on.
    due: Option<Instant>,
    wires: usize,
    /// Something has changed that others may wait for.
    moved: bool,
    wakers: Vec<Waker>,
    /// It took too long: nothing more is done.
    hangs: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Eof,
    Reset,
}

const READ: usize = 0;
const WRITE: usize = 1;

/// Longer than anything here takes: reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl Wire {
    pub fn new(peer: Peer, room: usize, now: fn() -> Instant) -> (Self, Control) {
        let control = Control::new(peer, room, now);
        let pipe = control.0.clone();
        pipe.with(|state| state.wires = 1);
        (Self { pipe, timeouts: [None; 2] }, control)
    }

    /// Tries until it comes to something, or the time is over.
    fn block<T>(
        &self,
        timeout: Option<Duration>,
        mut step: impl FnMut(&mut State) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let start = Instant::now();
        let mut state = self.pipe.state();
        loop {
            if let Some(result) = self.pipe.try_step(&mut state, &mut step) {
                return result;
            }
            if state.hangs || self.pipe.start.elapsed() > PATIENCE {
                state.hangs = true;
                return Err(ErrorKind::ConnectionAborted.into());
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            if left == Some(Duration::ZERO) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let due = state.due.map(|due| due.saturating_duration_since(Instant::now()));
            let wait = [left, due].into_iter().flatten().fold(PATIENCE, Duration::min);
            let waited = self.pipe.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Clone for Wire {
    fn clone(&self) -> Self {
        self.pipe.state().wires += 1;
        Self { pipe: self.pipe.clone(), timeouts: self.timeouts }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.pipe.with(|state| {
            state.wires -= 1;
            if state.wires == 0 {
                state.shut_down();
            }
        });
    }
}

impl Control {
    /// A pipe that is not connected to a program: to keep what a peer sees.
    pub fn new(peer: Peer, room: usize, now: fn() -> Instant) -> Self {
        let state = State {
            peer,
            room,
            inbound: VecDeque::new(),
            outbound: Vec::new(),
            flushed: 0,
            writes: 0,
            hesitates: [false; 2],
            ended: None,
            flood: None,
            fault: None,
            faulted: false,
            refuses_shutdown: false,
            gone: false,
            shut_down: false,
            blocked: false,
            starved: false,
            end_read: false,
            told: Vec::new(),
            due: None,
            wires: 0,
            moved: false,
            wakers: Vec::new(),
            hangs: false,
        };
        Self(Arc::new(Pipe { state: Mutex::new(state), changed: Condvar::new(), now, start: Instant::now() }))
    }

    /// What the peer has seen.
    pub fn seen(&self) -> Vec<String> {
        self.0.state().peer.seen.clone()
    }

    /// Lets the peer take note of something.
    pub fn peer<T>(&self, f: impl FnOnce(&mut Peer) -> T) -> T {
        f(&mut self.0.state().peer)
    }

    pub fn tell(&self, what: &'static str) {
        self.0.with(|state| {
            state.told.push(what);
            state.moved = true;
        });
    }

    /// Whether this was told.
    pub fn is_told(&self, what: &str) -> bool {
        self.0.state().told.contains(&what)
    }

    /// Waits until this was told, and lets the peer act when its time has come.
    pub fn until_told(&self, what: &'static str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.0.state();
            if state.told.contains(&what) {
                return;
            }
            let due = state.due;
            let left = due.map_or(end, |due| due.min(end)).saturating_duration_since(Instant::now());
            let untold = |state: &mut State| !state.told.contains(&what) && state.due == due;
            let waited = self.0.changed.wait_timeout_while(state, left, untold).unwrap().1;
            assert!(Instant::now() < end, "nobody tells {what:?}");
            if waited.timed_out() {
                self.0.with(|_| {});
            }
        }
    }

    /// Ready once this was told.
    pub fn poll_told(&self, cx: &Context<'_>, what: &'static str) -> Poll<()> {
        let mut state = self.0.state();
        if state.told.contains(&what) {
            return Poll::Ready(());
        }
        state.watch(cx.waker());
        Poll::Pending
    }

    pub fn writes(&self) -> usize {
        self.0.state().writes
    }

    pub fn hangs(&self) -> bool {
        self.0.state().hangs
    }

    /// Whether all of the program's ends were dropped.
    pub fn is_dropped(&self) -> bool {
        self.0.state().wires == 0
    }

    /// Lets the peer act when its time has come, for ever.
    pub async fn tick(&self) {
        loop {
            let due = std::future::poll_fn(|cx| {
                let mut state = self.0.state();
                state.watch(cx.waker());
                state.due.map_or(Poll::Pending, Poll::Ready)
            })
            .await;
            tokio::time::sleep_until(due.into()).await;
            self.0.with(|_| {});
        }
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the pipe, and lets the peer react.
    fn with(&self, what: impl FnOnce(&mut State)) {
        let mut state = self.state();
        state.advance((self.now)());
        what(&mut state);
        state.advance((self.now)());
        self.tell(&mut state);
    }

    fn try_shut_down(&self) -> io::Result<()> {
        if self.state().refuses_shutdown {
            return Err(ErrorKind::Unsupported.into());
        }
        self.with(State::shut_down);
        Ok(())
    }

    /// Tries, until it comes to something or nothing moves any more.
    fn try_step<T>(&self, state: &mut State, mut step: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        loop {
            state.advance((self.now)());
            let result = step(state);
            state.advance((self.now)());
            let moved = self.tell(state);
            if result.is_some() || !moved {
                return result;
            }
        }
    }

    /// Wakes all who wait, if something moved. Nobody is woken for nothing: all would wake each other for ever.
    fn tell(&self, state: &mut State) -> bool {
        let moved = std::mem::take(&mut state.moved);
        if moved {
            self.changed.notify_all();
            std::mem::take(&mut state.wakers).into_iter().for_each(Waker::wake);
        }
        moved
    }
}

impl State {
    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if !self.inbound.is_empty() {
            self.moved = true;
            return Some(self.inbound.read(buf));
        }
        if let Some(flood) = &self.flood {
            return Some(flood.as_ref().read(buf));
        }
        self.starved = true;
        self.end_read |= self.ended.is_some();
        self.ended.map(|ended| match ended {
            Ended::Eof => Ok(0),
            Ended::Reset => Err(ErrorKind::ConnectionReset.into()),
        })
    }

    fn write(&mut self, buf: &[u8]) -> Option<io::Result<usize>> {
        if self.gone || self.shut_down {
            return Some(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut len = buf.len().min(self.room - self.outbound.len());
        if let Some((left, kind)) = &mut self.fault {
            if *left == 0 {
                if std::mem::replace(&mut self.faulted, true) {
                    self.peer.seen.push("a write after the fault".into());
                }
                return Some(kind.map_or(Ok(0), |kind| Err(kind.into())));
            }
            len = len.min(*left);
            *left -= len;
        }
        self.outbound.extend_from_slice(&buf[..len]);
        if self.outbound.len() == self.room {
            self.flushed = self.room;
        }
        self.writes += usize::from(len > 0);
        self.blocked |= len == 0;
        self.moved |= len > 0;
        (len > 0 || buf.is_empty()).then_some(Ok(len))
    }

    fn flush(&mut self) {
        self.moved |= self.flushed < self.outbound.len();
        self.flushed = self.outbound.len();
    }

    fn shut_down(&mut self) {
        self.flush();
        self.shut_down = true;
        self.moved = true;
    }

    /// Whether what is tried comes to nothing for this once; the next time it does not.
    fn hesitates(&mut self, direction: usize) -> bool {
        let hesitant = self.room > 1 && self.room % 2 == 1;
        self.hesitates[direction] = hesitant && !self.hesitates[direction];
        self.hesitates[direction]
    }

    fn watch(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    /// Lets the peer do what it can do now.
    fn advance(&mut self, now: Instant) {
        self.take();
        while let Some(act) = self.peer.acts.pop_front() {
            if let Some(act) = self.try_act(act, now) {
                self.peer.acts.push_front(act);
                break;
            }
            self.moved = true;
            self.take();
        }
    }

    /// The peer reads.
    fn take(&mut self) {
        if self.peer.reads {
            self.take_some(usize::MAX);
            if self.shut_down && !self.peer.has_seen("end") {
                self.peer.read_end();
            }
        }
    }

    /// The peer reads so many bytes at most.
    fn take_some(&mut self, most: usize) {
        let len = most.min(self.flushed);
        if len == 0 {
            return;
        }
        if !self.gone {
            self.peer.read(&self.outbound[..len]);
        }
        self.outbound.drain(..len);
        self.flushed -= len;
        self.blocked = false;
        self.moved = true;
    }

    /// Does an act; gives it back, or what is left of it, if it cannot be done yet.
    fn try_act(&mut self, act: Act, now: Instant) -> Option<Act> {
        match act {
            Act::Frame(..) | Act::Repeated(..) => unreachable!("it was made bytes"),
            Act::Flood(bytes) => self.flood = Some(bytes),
            Act::FailWrites(after, kind) => self.fault = Some((after, kind)),
            Act::RefuseShutdown => self.refuses_shutdown = true,
            Act::Raw(mut bytes) => {
                let len = bytes.len().min(self.room - self.inbound.len());
                if len > 0 {
                    self.starved = false;
                    self.moved = true;
                }
                self.inbound.write_all(&bytes.split_to(len)).unwrap();
                return (!bytes.is_empty()).then_some(Act::Raw(bytes));
            }
            Act::Hold => self.peer.reads = false,
            Act::Read => self.peer.reads = true,
            Act::Until(line) if !self.peer.awaits(line) => return Some(act),
            Act::UntilRead if !self.starved || !self.inbound.is_empty() => return Some(act),
            Act::UntilBlocked if !self.blocked => return Some(act),
            Act::UntilEndRead if !self.end_read => return Some(act),
            Act::Hear(what) if !self.told.contains(&what) => return Some(act),
            Act::Until(_) | Act::UntilRead | Act::UntilBlocked | Act::UntilEndRead | Act::Hear(_) => {}
            Act::Tell(what) => self.told.push(what),
            Act::Take(bytes) => self.take_some(bytes),
            Act::Answer(ref accept) => match self.peer.answer(accept) {
                Some(response) => return self.try_act(Act::Raw(response), now),
                None => return Some(act),
            },
            Act::Wait(time) => {
                self.moved |= self.due.is_none();
                let due = *self.due.get_or_insert(now + time);
                if now < due {
                    return Some(act);
                }
                self.due = None;
            }
            Act::Leave => (self.ended, self.gone) = (Some(Ended::Eof), true),
            Act::Reset => (self.ended, self.gone) = (Some(Ended::Reset), true),
            Act::Go if !self.peer.has_seen(if self.peer.to == Role::Server { "end" } else { "close" }) => {
                return Some(act);
            }
            Act::End | Act::Go => self.ended = Some(Ended::Eof),
            Act::Stop => unreachable!("there is no server"),
        }
        None
    }
}

impl io::Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.pipe.state().hesitates(READ) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.block(self.timeouts[READ], |state| state.read(buf))
    }
}

impl io::Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.block(self.timeouts[WRITE], |state| state.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.with(State::flush);
        Ok(())
    }
}

impl Transport for Wire {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeouts[READ] = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeouts[WRITE] = timeout;
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.pipe.try_shut_down()
    }
}

impl TryClone for Wire {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl Wire {
    fn poll<T>(
        &self,
        cx: &Context<'_>,
        direction: usize,
        step: impl FnMut(&mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.pipe.state();
        if state.hesitates(direction) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(result) = self.pipe.try_step(&mut state, step) {
            return Poll::Ready(result);
        }
        state.watch(cx.waker());
        Poll::Pending
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pipe.state().flood.is_some() {
            // Its first poll moves the clock.
            let _ = pin!(tokio::time::advance(Duration::from_millis(1))).poll(cx);
        }
        let read = ready!(self.poll(cx, READ, |state| state.read(buf.initialize_unfilled())));
        buf.advance(read?);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, WRITE, |state| state.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.with(State::flush);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.pipe.try_shut_down())
    }
}

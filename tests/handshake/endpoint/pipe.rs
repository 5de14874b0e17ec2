//! One direction of a stream, in memory: it holds so many bytes, says `WouldBlock`, and tells of what has changed
//! once, as an edge-triggered poll does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

/// Both ends of it: whoever has a clone may read and write.
///
/// If its room is odd, and more than a byte, it is a hesitant one: every other call is interrupted, and what is
/// written can be read only when it was flushed, which takes two tries, or when there is no room for more.
#[derive(Clone, Debug)]
pub struct Pipe(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    room: usize,
    /// So many of the bytes can be read.
    flushed: usize,
    hesitates: bool,
    /// The last call was interrupted.
    interrupted: bool,
    /// It has ended: with an error that is still to be told, if it failed.
    end: Option<Result<(), ErrorKind>>,
    /// What writes come to, if they fail.
    fault: Option<Result<usize, ErrorKind>>,
    /// Who reads, or writes, was told to wait.
    waits: [bool; 2],
    /// Something has changed since for who reads, or writes.
    ready: [bool; 2],
    /// How often bytes were written or read.
    moved: usize,
}

pub const READ: usize = 0;
pub const WRITE: usize = 1;

impl Pipe {
    pub fn new(room: usize) -> Self {
        let hesitates = room > 1 && room % 2 == 1;
        let state = State { room, hesitates, waits: [true; 2], ready: [false, true], ..State::default() };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Whether something has changed for who reads, or writes, since it was last told so, or told to wait.
    pub fn take_ready(&self, direction: usize) -> bool {
        std::mem::take(&mut self.0.borrow_mut().ready[direction])
    }

    /// Whether a call of who reads, or writes, would come to something.
    pub fn is_ready(&self, direction: usize) -> bool {
        let state = self.0.borrow();
        match direction {
            READ => state.flushed > 0 || state.end.is_some(),
            _ => state.bytes.len() < state.room || state.fault.is_some(),
        }
    }

    pub fn room(&self) -> usize {
        self.0.borrow().room
    }

    pub fn moved(&self) -> usize {
        self.0.borrow().moved
    }

    /// Nothing more will be written.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.end.get_or_insert(Ok(()));
        state.arrive();
    }

    /// Who reads is told of an error behind what was written, once.
    pub fn reset(&self) {
        let mut state = self.0.borrow_mut();
        state.end = Some(Err(ErrorKind::ConnectionReset));
        state.arrive();
    }

    /// From now on writes fail: without a kind, by taking nothing.
    pub fn fail_writes(&self, kind: Option<ErrorKind>) {
        let mut state = self.0.borrow_mut();
        state.fault = Some(kind.map_or(Ok(0), Err));
        state.wake(WRITE);
    }

    /// Whether it has ended, and all was read.
    pub fn is_over(&self) -> bool {
        let state = self.0.borrow();
        state.end.is_some() && state.bytes.is_empty()
    }
}

impl State {
    fn wake(&mut self, direction: usize) {
        if std::mem::take(&mut self.waits[direction]) {
            self.ready[direction] = true;
        }
    }

    /// All that was written can be read.
    fn arrive(&mut self) {
        self.flushed = self.bytes.len();
        self.wake(READ);
    }

    fn interrupts(&mut self) -> io::Result<()> {
        self.interrupted = self.hesitates && !self.interrupted;
        if self.interrupted { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        state.interrupts()?;
        let len = buf.len().min(state.flushed);
        if len > 0 {
            state.flushed -= len;
            state.moved += 1;
            state.wake(WRITE);
            return state.bytes.read(&mut buf[..len]);
        }
        state.waits[READ] = state.end.is_none();
        let end = state.end.unwrap_or(Err(ErrorKind::WouldBlock));
        // An error is told once.
        state.end = state.end.map(|_| Ok(()));
        end.map(|()| 0).map_err(io::Error::from)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        state.interrupts()?;
        if let Some(fault) = state.fault {
            return fault.map_err(io::Error::from);
        }
        let before = state.bytes.len();
        for slice in slices {
            let len = slice.len().min(state.room - state.bytes.len());
            state.bytes.extend(&slice[..len]);
        }
        let written = state.bytes.len() - before;
        if written == 0 {
            state.waits[WRITE] = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        state.moved += 1;
        if !state.hesitates || state.bytes.len() == state.room {
            state.arrive();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.interrupts()?;
        if state.flushed < state.bytes.len() {
            state.arrive();
            state.ready[WRITE] = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }
}

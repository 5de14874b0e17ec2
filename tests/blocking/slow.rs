//! A stream that waits as sockets do, and counts: a write for which there is no room waits as long as its timeout says,
//! though it took a part long before.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use sansocket::blocking::{Transport, TryClone};

#[derive(Clone, Debug, Default)]
pub struct Slow(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub struct State {
    /// What there is to read.
    pub to_read: VecDeque<u8>,
    /// It is read a byte at a time, and each takes so long.
    pub drips: Option<Duration>,
    /// How much it takes at once.
    pub room: usize,
    /// How many writes beyond that take a byte each, if they wait for it, and do not only try.
    pub sips: usize,
    pub reads: usize,
    pub writes: usize,
    /// How long writes have waited.
    pub waited: Duration,
    pub read_timeout: Option<Duration>,
    pub write_timeout: Option<Duration>,
}

impl Slow {
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl io::Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.reads += 1;
        let time = if state.to_read.is_empty() { state.read_timeout } else { state.drips };
        drop(state);
        thread::sleep(time.unwrap_or_default());
        let mut state = self.state();
        if state.to_read.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = if state.drips.is_some() { 1 } else { buf.len() };
        io::Read::read(&mut state.to_read, &mut buf[..len])
    }
}

impl io::Write for Slow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.writes += 1;
        if buf.len() <= state.room {
            state.room -= buf.len();
            return Ok(buf.len());
        }
        let time = state.write_timeout.unwrap();
        let sip = if time > TRY { state.sips.min(1) } else { 0 };
        state.sips -= sip;
        let took = std::mem::take(&mut state.room) + sip;
        state.waited += time;
        drop(state);
        thread::sleep(time);
        if took == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(took) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Slow {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.state().read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.state().write_timeout = timeout;
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryClone for Slow {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// How long a write takes that is only tried.
const TRY: Duration = Duration::from_millis(1);

//! What is written to, and what a thread does while that takes no more.

use core::time::Duration;
use std::io;
use std::time::Instant;

use super::retry::Wrote;
use super::transport::{BRIEF, Transport, is_timeout};
use crate::endpoint::sync::MutexGuard;
use crate::endpoint::write_queue::WriteQueue;
use crate::endpoint::{Error, Outbound};

#[derive(Debug)]
pub(super) struct Writer<S> {
    pub(super) io: S,
    /// The timeout that is set. It is `BRIEF` but after a wait, so that what is written at once sets none.
    pub(super) set: Duration,
    /// No receiving half in another thread needs the queue while bytes are written.
    pub(super) whole: bool,
}

impl<S: Transport> Writer<S> {
    /// Writes the whole queue, or as much as the transport takes in about the time of `wait`.
    #[inline]
    pub(super) fn write_all(&mut self, queue: &mut WriteQueue, wait: Duration) -> Result<Wrote, Error> {
        let before = queue.len() + self.io.unflushed();
        if self.try_write_all(queue, wait)? {
            return Ok(Wrote::All);
        }
        Ok(match before.saturating_sub(queue.len() + self.io.unflushed()) {
            0 => Wrote::Nothing,
            took => Wrote::Some(took),
        })
    }

    fn try_write_all(&mut self, queue: &mut WriteQueue, wait: Duration) -> Result<bool, Error> {
        self.wait_for(wait)?;
        // Most of what is only tried needs no look at the clock.
        let mut end = (wait != BRIEF).then(|| Instant::now().checked_add(wait));
        loop {
            let written = if queue.is_empty() {
                self.io.flush().map(|()| None)
            } else {
                self.io.write(queue.front()).map(Some)
            };
            match written {
                Ok(None) => return Ok(true),
                Ok(Some(0)) => return Err(Error::ConnectionLost(io::ErrorKind::WriteZero.into())),
                Ok(Some(len)) => {
                    queue.advance(len);
                    if queue.is_empty() {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Ok(false),
                Err(error) => return Err(Error::ConnectionLost(error)),
            }
            // One that is beyond what the clock can tell never comes.
            let now = Instant::now();
            let end = *end.get_or_insert(now.checked_add(wait));
            if end.is_some_and(|end| end <= now) {
                return Ok(false);
            }
        }
    }

    /// Has writes time out after so long.
    fn wait_for(&mut self, timeout: Duration) -> Result<(), Error> {
        if self.set != timeout {
            self.set = timeout;
            self.io.set_write_timeout(Some(timeout)).map_err(Error::ConnectionLost)?;
        }
        Ok(())
    }
}

/// What a thread does while the transport takes no more.
pub(super) trait Waits<'a, S> {
    /// Whether it does not wait.
    fn gives_up(&self) -> bool;

    /// Looks at what has come, if it is time to.
    fn look(&mut self, writer: MutexGuard<'a, Writer<S>>) -> MutexGuard<'a, Writer<S>>;

    /// Whether that has made an end to what it waits for, unless the transport takes some of it.
    fn is_over(&self, outbound: &Outbound) -> bool;
}

/// Looks at nothing, and waits, or only tries.
pub(super) struct Tries(pub(super) bool);

impl<'a, S> Waits<'a, S> for Tries {
    fn gives_up(&self) -> bool {
        self.0
    }

    fn look(&mut self, writer: MutexGuard<'a, Writer<S>>) -> MutexGuard<'a, Writer<S>> {
        writer
    }

    fn is_over(&self, _outbound: &Outbound) -> bool {
        false
    }
}

//! How a receiving half reaches the sending half and the stream: they are ours alone, or shared with another thread.

use core::time::Duration;
use std::time::Instant;

use super::retry::Wrote;
use super::shared::Shared;
use super::transport::Transport;
use super::writing::{Tries, Writer};
use crate::endpoint::sync::{MutexGuard, lock};
use crate::endpoint::{Error, Outbound, SendSide};

/// How the receiving half reaches the rest.
pub(super) trait Port: SendSide {
    type Stream: Transport;

    /// The stream to read from.
    fn stream(&mut self) -> &mut Self::Stream;

    /// Writes what is queued. Not all of it, where the transport, or another thread that is writing, would have to be
    /// waited for: that is not for a thread to do that is to read.
    fn flush(&mut self) -> Result<Wrote, Error>;

    /// A look at what has come is over: whether it left something queued.
    fn set_owes(&mut self, owes: bool);

    /// How long to wait for input before trying again to write, if that is to be tried after `retry`; and before looking
    /// again at deadlines that another thread may have set.
    fn longest_wait(&mut self, retry: Duration) -> Option<Duration>;
}

/// A receiving half's way to the rest.
pub(super) struct HalfPort<'a, S> {
    /// Its own handle of the stream.
    pub(super) io: &'a mut S,
    pub(super) shared: &'a Shared<S>,
}

impl<S: Transport> SendSide for HalfPort<'_, S> {
    fn now(&self, _then: Instant) -> Instant {
        Instant::now()
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.shared.outbound())
    }
}

impl<S: Transport> Port for HalfPort<'_, S> {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        self.io
    }

    fn flush(&mut self) -> Result<Wrote, Error> {
        // It may have to wait next: what is sent meanwhile is not to wait for that.
        self.shared.set_unread(false);
        self.shared.flush_if_idle()
    }

    fn set_owes(&mut self, owes: bool) {
        self.shared.set_owes(owes);
    }

    /// The other thread may close the connection while this one waits for input: its deadline is then
    /// noticed at most this much later.
    fn longest_wait(&mut self, retry: Duration) -> Option<Duration> {
        let outbound = self.shared.outbound();
        Some(if self.shared.is_written(&outbound) { outbound.sending.close_timeout() } else { retry })
    }
}

/// A whole WebSocket's way to the rest. It reads from the stream that it writes to, which is locked from
/// the first look at it to the next write: a thread that waits for input has left nothing queued.
pub(super) struct WholePort<'a, S> {
    shared: &'a Shared<S>,
    writer: Option<MutexGuard<'a, Writer<S>>>,
    /// A write is under way, which is not to be begun again.
    within_write: bool,
}

impl<'a, S> WholePort<'a, S> {
    pub(super) fn new(shared: &'a Shared<S>) -> Self {
        Self { shared, writer: None, within_write: false }
    }

    /// For a look in the middle of a write, which goes on with the [writer](Self::into_writer).
    pub(super) fn within_write(shared: &'a Shared<S>, writer: MutexGuard<'a, Writer<S>>) -> Self {
        Self { shared, writer: Some(writer), within_write: true }
    }

    pub(super) fn into_writer(mut self) -> MutexGuard<'a, Writer<S>> {
        self.writer()
    }

    fn writer(&mut self) -> MutexGuard<'a, Writer<S>> {
        self.writer.take().unwrap_or_else(|| lock(&self.shared.writer))
    }
}

impl<S: Transport> SendSide for WholePort<'_, S> {
    fn now(&self, _then: Instant) -> Instant {
        Instant::now()
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(&mut self.shared.outbound())
    }
}

impl<S: Transport> Port for WholePort<'_, S> {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        let writer = self.writer();
        &mut self.writer.insert(writer).io
    }

    fn flush(&mut self) -> Result<Wrote, Error> {
        if self.within_write {
            return Ok(Wrote::Nothing);
        }
        let writer = self.writer();
        // A stream without timeouts cannot be tried: what is to be written is written.
        self.shared.write(writer, self.shared.outbound(), &mut Tries(self.shared.times_out))
    }

    fn set_owes(&mut self, owes: bool) {
        self.shared.set_owes(owes);
    }

    fn longest_wait(&mut self, retry: Duration) -> Option<Duration> {
        (!self.shared.is_written(&self.shared.outbound())).then_some(retry)
    }
}

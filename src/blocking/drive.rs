//! What both the whole `WebSocket` and its halves do: move bytes, wait no longer than a deadline, end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;
use std::io::{self, IoSlice, Read, Write};
use std::time::Instant;

use super::serve::{LOOK, Member};
use super::transport::Transport;
use crate::adapter::{
    End, Inbound, Link, MAX_SLICES, Outbound, Phase, Step, Want, WriteQueue, unexpected_eof,
};
use crate::connection::Closed;
use crate::error::{Error, TimedOut};
use crate::message::Message;

/// The receiving half's state.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) inbound: Inbound,
    /// The time of the last read: one look at the clock for all the messages it brought.
    now: Instant,
    timeout: ReadTimeout,
    /// Set once nothing more will be received; boxed, since most of a connection's life it is not.
    end: Option<Box<End>>,
    /// Of a connection that `serve` accepted.
    member: Option<Arc<Member>>,
}

/// How the receiving half reaches the rest: it is ours alone, or shared with another thread.
pub(super) trait Port {
    type Stream: Transport;

    /// The stream to read from.
    fn stream(&mut self) -> &mut Self::Stream;

    /// The sending half's state.
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T;

    /// Writes what is queued. False when not all of it could be, because the transport, or another thread
    /// that is writing, would have to be waited for: that is not for a thread to do that is to read.
    fn flush(&mut self) -> Result<bool, Error>;

    /// How long to wait for input before trying again to write, and before looking again at deadlines that
    /// another thread may have set.
    fn longest_wait(&mut self) -> Option<Duration>;
}

impl Reading {
    #[inline]
    pub(super) fn new(inbound: Inbound, now: Instant) -> Self {
        Self { inbound, now, timeout: ReadTimeout(None), end: None, member: None }
    }

    /// The opening handshake of a connection of `serve` is over.
    pub(super) fn join(&mut self, member: Arc<Member>) {
        member.open();
        self.member = Some(member);
    }

    /// How the connection closed, once it has.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.end.as_ref()?.closed.as_ref()
    }

    /// See [`Inbound::whole_message`].
    pub(super) fn whole_message(&mut self, mut port: impl Port) -> Option<Message> {
        if self.end.is_some() {
            return None;
        }
        match self.inbound.whole_message(self.now)? {
            Ok(message) => Some(message),
            Err(error) => {
                self.inbound.fail(error, self.now, &mut Linked(&mut port));
                self.end = Some(Box::new(End::new(Some(Error::Protocol(error)), Phase::Flush)));
                None
            }
        }
    }

    /// The next thing that `want` asks for. `None`: the connection has ended, and its error, if it had
    /// one, was returned before.
    pub(super) fn next(&mut self, mut port: impl Port, want: Want) -> Result<Option<Step>, Error> {
        while self.end.is_none() {
            match self.inbound.advance(want, self.now, &mut Linked(&mut port)) {
                Step::NeedInput => {
                    if let Err(error) = self.input(&mut port) {
                        self.end = Some(Box::new(End::new(Some(error), Phase::Over)));
                    }
                }
                Step::End(error) => {
                    self.end = Some(Box::new(End::new(error.map(Error::Protocol), Phase::Flush)));
                }
                step => {
                    if core::mem::take(&mut self.inbound.answered) {
                        // Whether it could be written or not, the message comes first.
                        let _ = port.flush();
                    }
                    return Ok(Some(step));
                }
            }
        }
        self.end(&mut port);
        match self.end.as_mut().and_then(|end| end.error.take()) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Writes what is queued, and waits until bytes were read. Fails when the transport or the peer's
    /// patience has ended.
    fn input(&mut self, port: &mut impl Port) -> Result<(), Error> {
        loop {
            if self.member.as_ref().is_some_and(|member| member.is_to_stop()) {
                port.outbound(|outbound| self.inbound.stop(Instant::now(), outbound));
            }
            // A transport that takes no more may still have something to read.
            let _ = port.flush();
            self.inbound.answered = false;
            port.outbound(|outbound| self.inbound.handle_timeout(self.now, outbound))?;
            if self.arm(port)? {
                match self.inbound.fill(port.stream()) {
                    Ok(0) => return Err(Error::ConnectionLost(unexpected_eof())),
                    Ok(_) => {
                        self.now = Instant::now();
                        return Ok(());
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if is_timeout(&error) => {}
                    Err(error) => return Err(Error::ConnectionLost(error)),
                }
            }
            self.now = Instant::now();
        }
    }

    /// Makes the next read wait no longer than the next deadline. False when that has passed.
    fn arm(&mut self, port: &mut impl Port) -> Result<bool, Error> {
        let receiving = self.inbound.receiving.poll_timeout();
        let sending = port.outbound(|outbound| outbound.sending.poll_timeout());
        let left = match [receiving, sending].into_iter().flatten().min() {
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => Some(left),
                _ => return Ok(false),
            },
            None => None,
        };
        let look = self.member.as_ref().map(|_| LOOK);
        let wait = [left, port.longest_wait(), look].into_iter().flatten().min();
        self.timeout.set(port.stream(), wait).map_err(Error::ConnectionLost)?;
        Ok(true)
    }

    /// Ends the connection: what is queued is written, a server closes the transport at once, and a
    /// client when the server has; a server waits for the client to do so. "An endpoint SHOULD use a method
    /// that cleanly closes the TCP connection, [...] discarding any trailing bytes that may have been
    /// received" (section 7.1.1).
    fn end(&mut self, port: &mut impl Port) {
        let Some(mut end) = self.end.take() else {
            return;
        };
        while end.phase != Phase::Done {
            let receiving = &self.inbound.receiving;
            let close_first = port.outbound(|outbound| receiving.should_close_transport(&outbound.sending));
            end.phase = match end.phase {
                Phase::Flush => match port.flush() {
                    Ok(true) if close_first => Phase::Shutdown,
                    Ok(true) => Phase::Drain,
                    // The peer may be writing, too, and read only when that is done.
                    Ok(false) => match self.discard(port) {
                        Ok(1..) => Phase::Flush,
                        Err(error) if is_timeout(&error) => Phase::Flush,
                        Ok(0) | Err(_) => Phase::Over,
                    },
                    Err(_) => Phase::Over,
                },
                Phase::Shutdown => match port.stream().shutdown_write() {
                    Ok(()) if close_first => Phase::Drain,
                    Ok(()) | Err(_) => Phase::Over,
                },
                Phase::Drain => match self.discard(port) {
                    Ok(1..) => Phase::Drain,
                    Err(error) if is_timeout(&error) => Phase::Drain,
                    Ok(0) if !close_first => Phase::Shutdown,
                    Ok(0) | Err(_) => Phase::Over,
                },
                Phase::Over => {
                    end.closed = Some(port.outbound(|outbound| {
                        outbound.end();
                        self.inbound.end(outbound)
                    }));
                    Phase::Done
                }
                Phase::Done => Phase::Done,
            };
        }
        self.end = Some(end);
    }

    /// Reads once, and tells how much. Fails with another error than a timeout when the peer has had time
    /// enough.
    fn discard(&mut self, port: &mut impl Port) -> io::Result<usize> {
        if !self.arm(port).map_err(io::Error::other)? {
            return Err(io::Error::other(TimedOut::ClosingHandshake));
        }
        loop {
            match port.stream().read(&mut [0; 1024]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// Writes the whole queue; but no longer than `until`, however slowly the transport takes it.
pub(super) fn write_all(
    io: &mut impl Write,
    queue: &mut WriteQueue,
    until: Option<Instant>,
) -> Result<(), Error> {
    while !queue.is_empty() {
        let written = match queue.one_slice() {
            Some(slice) => io.write(slice),
            None => io.write_vectored(queue.slices(&mut [IoSlice::new(&[]); MAX_SLICES])),
        };
        match written {
            Ok(0) => return Err(Error::ConnectionLost(io::ErrorKind::WriteZero.into())),
            Ok(len) => {
                queue.advance(len);
                if !queue.is_empty() && until.is_some_and(|until| until <= Instant::now()) {
                    return Err(TimedOut::Write.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(write_error(error)),
        }
    }
    loop {
        match io.flush() {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(write_error(error)),
        }
    }
}

fn write_error(error: io::Error) -> Error {
    if is_timeout(&error) { TimedOut::Write.into() } else { Error::ConnectionLost(error) }
}

/// Whether a read or write gave up because of a timeout: which of the two kinds is the platform's choice.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The read timeout that the stream has: `None` when that is not known.
#[derive(Debug)]
#[expect(clippy::option_option, reason = "not known, none, and some are three different things")]
pub(super) struct ReadTimeout(Option<Option<Duration>>);

impl ReadTimeout {
    /// Makes reads wait about this long. Setting a timeout is a system call, so a timeout that is set
    /// already will do if it is not much longer, or shorter by half: waking early does no harm.
    fn set(&mut self, io: &mut impl Transport, wait: Option<Duration>) -> io::Result<()> {
        let near_enough = match (self.0, wait) {
            (Some(Some(set)), Some(wait)) => set >= wait / 2 && set <= wait.saturating_add(wait / 8),
            (Some(set), wait) => set == wait,
            (None, _) => false,
        };
        if !near_enough {
            io.set_read_timeout(wait.map(non_zero))?;
            self.0 = Some(wait);
        }
        Ok(())
    }
}

/// A timeout that streams accept: zero is an error to them.
pub(super) fn non_zero(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// The core's way to the sending half.
struct Linked<'a, P>(&'a mut P);

impl<P: Port> Link for Linked<'_, P> {
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        self.0.outbound(f)
    }
}

//! The deadline of an opening handshake, and what has to be done within it.

use alloc::vec::Vec;
use core::time::Duration;
use std::io;
use std::time::Instant;

#[cfg(feature = "rustls")]
use super::transport::PlainWrites;
use super::transport::{Transport, is_passing, non_zero};
use crate::endpoint::{Answer, Error, LINGER, Opening, append, exchange, timed_out};

/// Carries an opening out: writes `out`, and what it answers, and reads to the end of `input`, until it is
/// complete. What is in `input` before has come already, and what is in it then was read behind it.
pub(super) fn complete<O: Opening>(
    io: &mut impl Transport,
    opening: &mut O,
    out: &mut Vec<u8>,
    input: &mut Vec<u8>,
    deadline: Deadline,
) -> Result<O::Done, Error> {
    if let Some(done) = opening.receive(input, out)? {
        return Ok(done);
    }
    loop {
        deadline.write_all(io, out)?;
        out.clear();
        if let Some(done) = exchange(opening, deadline.read(io, input).into(), input, out)? {
            return Ok(done);
        }
    }
}

/// Writes a last response, each part of it in so much time, and closes the transport so that the client gets all of it:
/// closing with bytes unread would make TCP discard what is on its way.
pub(super) fn answer(mut io: impl Transport, answer: &Answer, timeout: Duration) -> Result<(), Error> {
    for part in answer.parts() {
        Deadline::after(timeout).write_all(&mut io, part)?;
    }
    let deadline = Deadline::after(LINGER);
    match deadline.write(&mut io, Transport::shutdown_write) {
        Ok(()) => {}
        // Dropping it is all that can be done.
        Err(Error::ConnectionLost(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        Err(error) => return Err(error),
    }
    let mut discarded = Vec::new();
    // It has time enough to read a page.
    while let Ok(1..) = deadline.read(&mut io, &mut discarded) {
        discarded.clear();
    }
    Ok(())
}

/// When an opening handshake has to be done: one deadline for all its reads and writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// `None`: beyond what a clock can tell.
    pub(super) fn instant(self) -> Option<Instant> {
        self.0
    }

    /// How long there is to go: more than nothing.
    pub(super) fn left(self) -> Result<Duration, Error> {
        let Some(deadline) = self.0 else {
            return Ok(Duration::MAX);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(timed_out()),
        }
    }

    /// The timeout that a stream's next read or write is to have.
    fn timeout(self) -> Result<Option<Duration>, Error> {
        self.0.map(|_| self.left().map(non_zero)).transpose()
    }

    /// Completes the TLS handshake; the deadline holds for all its reads and writes together. A peer that is gone when
    /// it is written to may have said why: the alert of a server that refused what was offered is still read.
    ///
    /// `received` is what was read before.
    #[cfg(feature = "rustls")]
    pub(super) fn handshake<D>(
        self,
        tls: &mut rustls::ConnectionCommon<D>,
        io: &mut impl Transport,
        mut received: &[u8],
    ) -> Result<(), Error> {
        let mut unwritten: Option<io::Error> = None;
        while tls.is_handshaking() || tls.wants_write() {
            let timeout = self.timeout()?;
            let unflushed = io.unflushed();
            let writes = (tls.wants_write() || unflushed > 0) && unwritten.is_none();
            let moved = if writes {
                io.set_write_timeout(timeout).and_then(|()| {
                    if tls.wants_write() {
                        return tls.write_tls(&mut PlainWrites(io));
                    }
                    // The peer is to answer what a stream over another one, as TLS is, has yet to write.
                    io.flush().map(|()| unflushed)
                })
            } else if received.is_empty() {
                io.set_read_timeout(timeout).and_then(|()| tls.read_tls(io))
            } else {
                tls.read_tls(&mut received)
            };
            match moved {
                Ok(0) => {
                    let ended = || io::ErrorKind::UnexpectedEof.into();
                    return Err(Error::Connect(unwritten.unwrap_or_else(ended)));
                }
                Ok(_) => {}
                Err(error) if is_passing(&error) => continue,
                Err(error) if writes => unwritten = Some(error),
                Err(error) => return Err(Error::Connect(unwritten.unwrap_or(error))),
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert that tells the peer, behind what was said before; what counts is the error.
                while tls.wants_write()
                    && self.write(io, |io| tls.write_tls(&mut PlainWrites(io))).is_ok_and(|len| len > 0)
                {
                }
                return Err(Error::Connect(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
        self.write(io, io::Write::flush).map_err(|error| match error {
            Error::ConnectionLost(error) => Error::Connect(error),
            error => error,
        })
    }

    /// Appends what the next read brings.
    pub(super) fn read(self, io: &mut impl Transport, input: &mut Vec<u8>) -> Result<usize, Error> {
        loop {
            let timeout = self.timeout()?;
            match io.set_read_timeout(timeout).and_then(|()| append(input, io)) {
                Err(error) if is_passing(&error) => {}
                read => return read.map_err(Error::ConnectionLost),
            }
        }
    }

    /// Writes all of `out`.
    pub(super) fn write_all(self, io: &mut impl Transport, mut out: &[u8]) -> Result<(), Error> {
        while !out.is_empty() {
            match self.write(io, |io| io.write(out))? {
                0 => return Err(Error::ConnectionLost(io::ErrorKind::WriteZero.into())),
                len => out = out.get(len..).unwrap_or_default(),
            }
        }
        self.write(io, io::Write::flush)
    }

    /// Does what writes, until it comes to something.
    fn write<S: Transport, T>(
        self,
        io: &mut S,
        mut write: impl FnMut(&mut S) -> io::Result<T>,
    ) -> Result<T, Error> {
        loop {
            let timeout = self.timeout()?;
            match io.set_write_timeout(timeout).and_then(|()| write(io)) {
                Err(error) if is_passing(&error) => {}
                written => return written.map_err(Error::ConnectionLost),
            }
        }
    }
}

//! The deadline of an opening handshake, and what has to be done within it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::mem::take;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{Answer, Error, LINGER, Opening, exchange, timed_out};
use crate::thread_cache;

/// Carries an opening out: writes `out`, and what it answers, and reads to the end of `input`, until it is
/// complete. What is in `input` before has come already, and what is in it then was read behind it.
pub(super) async fn complete<S, O>(
    io: &mut S,
    opening: &mut O,
    out: &mut Vec<u8>,
    input: &mut Vec<u8>,
    deadline: impl FnOnce() -> Instant,
) -> Result<O::Done, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Opening,
{
    if let Some(done) = opening.receive(input, out)? {
        return Ok(done);
    }
    let completed = within(deadline, pin!(carry_out(io, opening, out, input))).await;
    match completed {
        Err(error @ Error::TimedOut(_)) => Err(opening.ended(Some(error), input)),
        completed => completed,
    }
}

async fn carry_out<S, O>(
    io: &mut S,
    opening: &mut O,
    out: &mut Vec<u8>,
    input: &mut Vec<u8>,
) -> Result<O::Done, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Opening,
{
    loop {
        if !out.is_empty() {
            write(io, out).await?;
            out.clear();
        }
        let read = poll_fn(|cx| poll_read(io, input, cx)).await.map_err(Error::ConnectionLost);
        if let Some(done) = exchange(opening, read.into(), input, out)? {
            return Ok(done);
        }
    }
}

/// Reads once to the end of `input`. As long as nothing has come, it holds no room for it.
fn poll_read<S: AsyncRead + Unpin>(
    io: &mut S,
    input: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut room = if input.is_empty() { spare() } else { take(input) };
    if room.capacity() == room.len() {
        room.reserve(USUAL_HEAD_BYTES);
    }
    let read = pin!(io.read_buf(&mut room)).poll(cx);
    if room.is_empty() {
        keep_spare(room);
    } else {
        *input = room;
    }
    read
}

/// A buffer that is empty, and may have room for most heads.
pub(super) fn spare() -> Vec<u8> {
    thread_cache::take(&SPARE)
}

/// Keeps a buffer that is no longer needed for the thread's next opening, unless that would have more than heads need.
pub(super) fn keep_spare(buffer: Vec<u8>) {
    if buffer.capacity() <= LARGEST_SPARE {
        thread_cache::keep_buffer(&SPARE, buffer);
    }
}

/// Writes a last response, each part of it in so much time, and closes the transport so that the client gets all of it:
/// closing with bytes unread would make TCP discard what is on its way.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    answer: Answer,
    timeout: Duration,
) -> Result<(), Error> {
    for part in answer.parts() {
        within(|| deadline(timeout), pin!(write(&mut io, part))).await?;
    }
    drop(answer);
    let until = deadline(LINGER);
    let closed = async { io.shutdown().await.map_err(Error::ConnectionLost) };
    within(|| until, pin!(closed)).await?;
    // It has time enough to read a page.
    let mut discarded = Vec::with_capacity(1024);
    let drained = async {
        while let Ok(1..) = io.read_buf(&mut discarded).await {
            discarded.clear();
        }
    };
    let _ = timeout_at(until, drained).await;
    Ok(())
}

/// When something has to be done that may take so long.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    // A timeout beyond what a clock can tell is one of a century.
    now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}

/// Fails at the deadline, for which it asks, and sets a timer, only if it has to wait. What it is to wait for is
/// pinned by the caller, whose future then holds it once: it would be here as an argument, and again as pinned.
pub(crate) async fn within<T>(
    deadline: impl FnOnce() -> Instant,
    mut opening: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    match poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx))).await {
        Poll::Ready(result) => result,
        Poll::Pending => {
            // Boxed, since most often there is none.
            let timeout = Box::pin(timeout_at(deadline(), opening));
            timeout.await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}

/// Writes all of `out`.
pub(super) async fn write(io: &mut (impl AsyncWrite + Unpin), out: &[u8]) -> Result<(), Error> {
    io.write_all(out).await.map_err(Error::ConnectionLost)?;
    io.flush().await.map_err(Error::ConnectionLost)
}

/// Writes all of `out` in so much time: at once, nearly always, so that the caller's future need not have room for the rest.
pub(super) async fn write_within<S: AsyncWrite + Unpin>(
    io: &mut S,
    out: &[u8],
    timeout: Duration,
) -> Result<(), Error> {
    let written = match poll_fn(|cx| Poll::Ready(Pin::new(&mut *io).poll_write(cx, out))).await {
        Poll::Ready(written) => written.map_err(Error::ConnectionLost)?,
        Poll::Pending => 0,
    };
    let rest = out.get(written..).unwrap_or_default();
    if rest.is_empty()
        && let Poll::Ready(flushed) = poll_fn(|cx| Poll::Ready(Pin::new(&mut *io).poll_flush(cx))).await
    {
        return flushed.map_err(Error::ConnectionLost);
    }
    Box::pin(async { within(|| deadline(timeout), pin!(write(io, rest))).await }).await
}

/// Room for a head that is not read in pieces then, as most need not be.
const USUAL_HEAD_BYTES: usize = 1024;
/// Room for nearly any head.
const LARGEST_SPARE: usize = 16 << 10;

std::thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

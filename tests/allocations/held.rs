//! What is held, where a limit says how much may be: a slice counts with the buffer that it keeps alive, or is copied.
#![cfg(all(feature = "tokio", feature = "blocking"))]

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use sansocket::blocking::{self, NoDeadlines};
use sansocket::{Config, MessageKind, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::common::{BINARY, CONTINUATION, FIRST_TEXT, PING, frame};

/// A peer that sends what it is given, and then nothing, and reads nothing.
#[derive(Clone, Debug, Default)]
struct Deaf(Arc<Mutex<VecDeque<u8>>>);

impl Deaf {
    /// It will send so many frames with these payloads.
    fn sends(frames: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(frames.into_iter().flatten().collect())))
    }
}

impl Read for Deaf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.lock().unwrap().read(buf)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl io::Write for Deaf {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

untimed!(Deaf);

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = buf.remaining();
        match self.read(buf.initialize_unfilled_to(len)) {
            Ok(len) => buf.advance(len),
            Err(_) => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const KIB: usize = 1 << 10;

/// What a client sends of which a server echoes the messages of `kept` bytes: with much between, so that each comes with
/// another read; before them, perhaps, a large message that has made the buffer large.
fn mixes() -> Vec<(usize, usize, Vec<Vec<u8>>)> {
    let binary = |len: usize| frame(Role::Server, BINARY, &vec![7; len]);
    let mut mixes = Vec::new();
    for kept in [1000, 4096, 5000, 30_000, 40_000] {
        for large in if kept < 30_000 { [0, 100 * KIB] } else { [0, KIB * KIB] } {
            // As much as waits until a sender has to.
            let mut frames = Vec::new();
            for _ in 0..(64 * KIB).div_ceil(kept + 8) {
                if large > 0 {
                    frames.push(binary(large));
                }
                frames.push(binary(kept));
                frames.push(binary(60 * KIB));
                frames.push(frame(Role::Server, PING, b"ping"));
            }
            mixes.push((kept, large, frames));
        }
    }
    mixes
}

/// Four times what may be queued, whatever it was read with: that is what is queued, the rest of the buffers that large
/// messages of it are slices of, and the buffers that the thread keeps for all connections.
const MOST: usize = 4 * 64 * KIB;

#[tokio::test(start_paused = true)]
async fn small_slices_keep_no_large_buffers_on_tokio() {
    let mut cx = Context::from_waker(Waker::noop());
    for (kept, _, frames) in mixes() {
        let messages = frames.iter().filter(|frame| frame[0] == BINARY).count();
        let deaf = Deaf::sends(frames);
        let config = Config::default().no_keepalive();
        let mut ws = sansocket::tokio::WebSocket::from_upgraded(deaf, Role::Server, b"", &config);
        let held = allocation_counter::measure(|| {
            let mut received = 0;
            while received < messages {
                // Others have their turn now and then.
                let Poll::Ready(message) = pin!(ws.recv()).poll(&mut cx) else { continue };
                let message = message.unwrap().unwrap();
                received += 1;
                if message.len() == kept {
                    // The last one may find no room, since Pongs count too.
                    let _ = ws.try_feed(message).unwrap();
                }
            }
            // Once for others to have their turn, and once for it to wait.
            for _ in 0..2 {
                assert!(pin!(ws.recv()).poll(&mut cx).is_pending());
            }
        });
        let queued = ws.queued().bytes;
        println!("tokio: {} bytes held, {queued} queued, messages of {kept}", held.bytes_current);
        assert!(
            queued >= 64 * KIB && usize::try_from(held.bytes_current).unwrap() <= MOST,
            "{} bytes",
            held.bytes_current
        );
    }
}

#[test]
fn small_slices_keep_no_large_buffers_blocking() {
    for (kept, large, frames) in mixes() {
        let messages = frames.iter().filter(|frame| frame[0] == BINARY).count();
        let deaf = Deaf::sends(frames);
        let mut ws = blocking::WebSocket::from_upgraded(deaf, Role::Server, b"", &Config::default()).unwrap();
        let held = allocation_counter::measure(|| {
            for _ in 0..messages {
                let message = ws.recv().unwrap().unwrap();
                if message.len() == kept {
                    // The last one may find no room, since Pongs count too.
                    let _ = ws.try_feed(message).unwrap();
                }
            }
        });
        let queued = ws.queued().bytes;
        println!("blocking: {} bytes held, {queued} queued, messages of {kept}", held.bytes_current);
        // With the buffer that it reads into, which has brought large messages, and is kept while it brings something.
        let most = MOST + 3 * large.max(64 * KIB);
        assert!(
            queued >= 64 * KIB && usize::try_from(held.bytes_current).unwrap() <= most,
            "{} bytes",
            held.bytes_current
        );
    }
}

/// A message that comes in small fragments takes a quarter more than its bytes, while it is joined and when it has been:
/// as an allocator counts that can make what it gave out longer.
#[test]
fn fragments_are_joined_in_little_more_than_their_bytes() {
    const FRAGMENTS: usize = 50_000;
    for (kind, first) in [(MessageKind::Text, FIRST_TEXT), (MessageKind::Binary, BINARY & 0x0f)] {
        let (fragment, end) =
            (frame(Role::Server, CONTINUATION, &[b'x'; 700]), frame(Role::Server, 0x80, b""));
        let read = [frame(Role::Server, first, &[b'x'; 700]), fragment.repeat(FRAGMENTS - 1), end].concat();
        let mut ws = blocking::WebSocket::from_upgraded(
            NoDeadlines(Deaf(Arc::new(Mutex::new(read.into())))),
            Role::Server,
            b"",
            &Config::default(),
        )
        .unwrap();
        let mut message = None;
        let taken = allocation_counter::measure(|| message = ws.recv().unwrap());
        let message = message.unwrap();
        assert_eq!((message.kind(), message.len()), (kind, 700 * FRAGMENTS));
        println!("{kind:?}: {} bytes held of {}", taken.bytes_current, message.len());
        assert!(
            usize::try_from(taken.bytes_current).unwrap() <= message.len() * 5 / 4,
            "{} bytes",
            taken.bytes_current
        );
    }
}

/// What a request's body takes while it comes, with as much around its chunks as may be, and when it has come.
#[tokio::test(start_paused = true)]
async fn bodies() {
    const LEN: usize = 32 * 9375;
    let chunk = [b"20;".as_slice(), &[b'x'; 25], b"\r\n", &[b'b'; 32], b"\r\n"].concat();
    let chunked = [
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        chunk.repeat(LEN / 32),
        b"0\r\n\r\n".to_vec(),
    ];
    let whole = [
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LEN}\r\n\r\n").into_bytes(),
        vec![b'b'; LEN],
    ];
    let check = |what: &str, taken: allocation_counter::AllocationInfo| {
        let most = usize::try_from(taken.bytes_max).unwrap();
        let held = usize::try_from(taken.bytes_current).unwrap();
        println!("a body of {LEN} bytes, {what}: {most} bytes at most, {held} bytes held");
        assert!(most <= 2 * LEN + 8 * KIB && held <= LEN + 8 * KIB, "{most}, {held}");
    };
    for (coding, request) in [("chunked", chunked.concat()), ("by its length", whole.concat())] {
        let mut body = None;
        let stream = Deaf::sends([request.clone()]);
        let taken = allocation_counter::measure(|| {
            let (pending, content) = blocking::accept(stream.clone()).unwrap().read_body(LEN).unwrap();
            drop(pending);
            body = Some(content);
        });
        assert_eq!(body.map(|body| body.len()), Some(LEN));
        check(&format!("{coding}, blocking"), taken);

        let stream = Deaf::sends([request]);
        let mut body = None;
        let mut cx = Context::from_waker(Waker::noop());
        let taken = allocation_counter::measure(|| {
            let mut reading = pin!(async {
                let pending = sansocket::tokio::accept(stream.clone()).await.unwrap();
                pending.read_body(LEN).await.unwrap().1
            });
            body = Some(loop {
                if let Poll::Ready(content) = reading.as_mut().poll(&mut cx) {
                    break content;
                }
            });
        });
        assert_eq!(body.map(|body| body.len()), Some(LEN));
        check(&format!("{coding}, tokio"), taken);
    }
}

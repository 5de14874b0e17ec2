//! A WebSocket as a stream of bytes, under what copies bytes; what both adapters promise of it is in `tests/twins`.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sansocket::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex, split};

use crate::common::{BINARY, PING, PONG, ROLES};
use crate::peer::{SIZES, at_once, pair, with_peer};

/// Bytes that are never alike at a distance that something may be cut to.
fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// Polls once.
fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A tunnel: what is written at one end comes out at the other, in both directions at once, and so does the end. No
/// wake-up is lost, whatever the pipes hold.
#[tokio::test(start_paused = true)]
async fn a_tunnel() {
    for size in SIZES {
        let bytes = noise(if size < 100 { 3000 } else { 300_000 });
        let len = bytes.len() as u64;
        let (client, server) = pair(size, &Config::default());
        let ((near, mut near_end), (far, far_end)) = (duplex(size), duplex(size));
        let ends = [(client, near), (server, far)].map(|(ws, mut end)| {
            tokio::spawn(async move {
                let mut stream = ws.into_byte_stream();
                let copied = copy_bidirectional(&mut stream, &mut end).await.unwrap();
                assert!(stream.get_ref().closed().unwrap().clean);
                copied
            })
        });
        let echo = tokio::spawn(async move {
            let (mut from, mut to) = split(far_end);
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        });
        at_once(async {
            let (mut from, mut to) = split(&mut near_end);
            let mut read = vec![0; bytes.len()];
            let (written, filled) = tokio::join!(to.write_all(&bytes), from.read_exact(&mut read));
            written.unwrap();
            filled.unwrap();
            assert!(read == bytes);
            near_end.shutdown().await.unwrap();
            assert_eq!(near_end.read(&mut [0]).await.unwrap(), 0);
            echo.await.unwrap();
            for end in ends {
                assert_eq!(end.await.unwrap(), (len, len));
            }
        })
        .await;
    }
}

/// Two tasks have a half each of the stream; what one waits for does not keep the other waiting.
#[tokio::test(start_paused = true)]
async fn two_tasks() {
    for size in SIZES {
        let (client, server) = pair(size, &Config::default());
        let streams = [client, server].map(|ws| {
            let (mut from, mut to) = split(ws.into_byte_stream());
            let reading = tokio::spawn(async move {
                let mut all = vec![0; 20_000];
                from.read_exact(&mut all).await.unwrap();
                (from, all)
            });
            let writing = tokio::spawn(async move {
                to.write_all(&noise(20_000)).await.unwrap();
                to.flush().await.unwrap();
                to
            });
            (reading, writing)
        });
        at_once(async {
            let mut whole = Vec::new();
            for (reading, writing) in streams {
                let (from, all) = reading.await.unwrap();
                assert!(all == noise(20_000));
                whole.push(from.unsplit(writing.await.unwrap()));
            }
            let [one, other] = &mut whole[..] else { unreachable!() };
            let (one, other) = tokio::join!(one.close(), other.close());
            one.unwrap();
            other.unwrap();
        })
        .await;
    }
}

/// A peer that reads nothing: so much is taken as the transport and `Config::write_buffer_size` hold, and then a write
/// waits. One that is dropped then has sent nothing; what was taken is sent whole.
#[tokio::test(start_paused = true)]
async fn writes_wait_for_the_peer() {
    for role in ROLES {
        let config = Config::default().write_buffer_size(1000);
        let (ws, mut peer) = with_peer(role, 64, &config);
        let mut stream = ws.into_byte_stream();
        let mut taken = 0;
        while let Poll::Ready(len) = poll(stream.write(&[7; 100])) {
            taken += len.unwrap();
        }
        assert!((1000..1400).contains(&taken), "{taken} bytes");
        for _ in 0..5 {
            assert!(poll(stream.write(b"never")).is_pending());
        }
        assert!(poll(stream.flush()).is_pending());
        at_once(async {
            let (flushed, ()) = tokio::join!(stream.flush(), async {
                for _ in 0..taken / 100 {
                    assert_eq!(peer.frame().await, Some((BINARY, vec![7; 100])));
                }
            });
            flushed.unwrap();
            stream.write_all(b"now").await.unwrap();
            assert_eq!(peer.frame().await, Some((BINARY, b"now".to_vec())));
        })
        .await;
    }
}

/// A read that is dropped has lost nothing, and one of no bytes waits for nothing. What was written and not flushed is
/// written by a read before it waits, or behind the back of a program that does nothing more.
#[tokio::test(start_paused = true)]
async fn reads_are_dropped() {
    for role in ROLES {
        let (ws, mut peer) = with_peer(role, 16, &Config::default());
        let mut stream = ws.into_byte_stream();
        assert!(poll(stream.read(&mut [0; 8])).is_pending());
        assert!(matches!(poll(stream.read(&mut [])), Poll::Ready(Ok(0))));
        // More than the pipe holds.
        assert!(matches!(poll(stream.write(&[1; 30])), Poll::Ready(Ok(30))));
        let mut buf = [0; 8];
        at_once(async {
            tokio::select! {
                read = stream.read(&mut buf) => panic!("{read:?}"),
                frame = peer.frame() => assert_eq!(frame, Some((BINARY, vec![1; 30]))),
            }
            peer.send(BINARY, b"abc").await;
            assert_eq!(stream.read(&mut buf[..2]).await.unwrap(), 2);
            assert_eq!((stream.read(&mut buf[2..]).await.unwrap(), &buf[..3]), (1, &b"abc"[..]));
        })
        .await;
        assert!(matches!(poll(stream.write(&[2; 30])), Poll::Ready(Ok(30))));
        peer.send(PING, b"?").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.frame().await, Some((BINARY, vec![2; 30])));
        assert_eq!(peer.frame().await, Some((PONG, b"?".to_vec())));
    }
}

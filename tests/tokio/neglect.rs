//! Programs that stop receiving, in the ways that only tasks have.

use std::time::Duration;

use futures_util::StreamExt;
use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, CloseFrame, Config, Error, Message, Role, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{sleep, timeout};

use crate::common::{BINARY, CLOSE, PING, PONG, ROLES, TEXT, close_payload, secs};
use crate::peer::{Peer, after, at_once, with_peer};

/// A call of `recv`, and a poll of the stream, that were dropped while they waited: the program only sends from then on.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_receives_no_more() {
    for role in ROLES {
        for stream in [false, true] {
            let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
            let waited = if stream {
                timeout(secs(1), ws.next()).await.is_err()
            } else {
                timeout(secs(1), ws.recv()).await.is_err()
            };
            assert!(waited, "nothing came");
            peer.send(PING, b"?").await;
            let program = async {
                while ws.send("tick").await.is_ok() {
                    sleep(secs(1)).await;
                }
            };
            let peer = async {
                while peer.frame().await != Some((PONG, b"?".to_vec())) {}
                peer.send_close(1000, "").await;
                while peer.frame().await != Some((CLOSE, close_payload(1000, ""))) {}
                peer
            };
            let ((), peer) = tokio::join!(program, peer);
            drop(peer);
            sleep(secs(1)).await;
            assert!(ws.closed().unwrap().clean);
        }
    }
}

/// The same, and the program waits to write: that is not waited for once the peer has closed.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_does_not_wait() {
    for role in ROLES {
        for bytes in [false, true] {
            let (mut ws, mut peer) = with_peer(role, 64, &Config::default());
            let peer = async {
                sleep(secs(2)).await;
                peer.send(PING, b"?").await;
                sleep(secs(2)).await;
                peer.send_close(1000, "").await;
                peer
            };
            let program = async {
                let large = vec![7; 1_000_000];
                let failed = if bytes {
                    let mut stream = ws.into_byte_stream();
                    assert!(timeout(secs(1), stream.read(&mut [0])).await.is_err(), "nothing came");
                    stream.write_all(&large).await.unwrap_err().to_string()
                } else {
                    assert!(timeout(secs(1), ws.next()).await.is_err(), "nothing came");
                    ws.send(large).await.unwrap_err().to_string()
                };
                assert_eq!(failed, Error::from(SendError::Closing).to_string());
            };
            tokio::join!(program, peer);
        }
    }
}

/// As much was read ahead as may be: the connection is not left silent all the same, for as long as that takes.
#[tokio::test(start_paused = true)]
async fn pings_while_no_more_is_read() {
    for role in ROLES {
        let config = Config::default().keepalive(secs(20), secs(20)).read_buffer_size(100);
        let (mut ws, mut peer) = with_peer(role, 4096, &config);
        for text in ["first".to_owned(), "x".repeat(90), "x".repeat(90)] {
            peer.send(TEXT, text.as_bytes()).await;
        }
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("first")));
        for i in 0..4 {
            assert_eq!(timeout(secs(21), peer.frame()).await, Ok(Some((PING, Vec::new()))), "{i}");
            assert!(timeout(secs(18), peer.frame()).await.is_err(), "no more than that");
        }
        for _ in 0..2 {
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text("x".repeat(90))));
        }
    }
}

/// A Close frame was sent, and the program drops all it has: the transport does not end before the peer has seen the one, and
/// answered it, or has had a moment, for which it takes a place.
#[tokio::test(start_paused = true)]
async fn a_close_frame_that_nobody_waits_for() {
    for role in ROLES {
        for (split, answers) in [(false, true), (false, false), (true, true), (true, false)] {
            let (mut ws, mut peer) = with_peer(role, 4096, &Config::default().close_timeout(secs(5)));
            if split {
                let (mut sender, receiver) = ws.split();
                sender.close(CloseCode::NORMAL, "bye").await.unwrap();
                drop((sender, receiver));
            } else {
                ws.start_close(Some(CloseFrame { code: CloseCode::NORMAL, reason: "bye" })).unwrap();
                ws.flush().await.unwrap();
                drop(ws);
            }
            assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1000, "bye"))));
            assert!(timeout(millis(400), peer.frame()).await.is_err(), "the transport ended");
            if answers {
                peer.send_close(1000, "").await;
                if role == Role::Client {
                    assert!(timeout(millis(90), peer.frame()).await.is_err(), "a client waits");
                    peer.io.shutdown().await.unwrap();
                }
                at_once(async { assert_eq!(peer.frame().await, None) }).await;
            } else {
                after(millis(100), async { assert_eq!(peer.frame().await, None) }).await;
            }
        }
    }
}

/// The peer closes while it is sent more than it has read, and the program drops all it has, since it was told so: that is
/// written all the same, as far as the peer takes it in its time, and its Close frame answered.
#[tokio::test(start_paused = true)]
async fn what_was_being_sent_when_the_peer_closed() {
    for role in ROLES {
        for reads in [true, false] {
            let (mut ws, mut peer) = with_peer(role, 4096, &Config::default().close_timeout(secs(10)));
            ws.feed(vec![7; 100_000]).await.unwrap();
            let program = async {
                let flushed = ws.flush().await;
                assert!(matches!(flushed, Err(Error::Send(SendError::Closing))), "{flushed:?}");
                drop(ws);
            };
            tokio::join!(program, peer.send_close(1000, "bye"));
            if reads {
                for _ in 0..20 {
                    sleep(millis(200)).await;
                    peer.read_some(5000).await;
                }
                let sent = [(BINARY, vec![7; 100_000]), (CLOSE, close_payload(1000, ""))];
                assert_eq!([peer.frame().await.unwrap(), peer.frame().await.unwrap()], sent);
                if role == Role::Server {
                    at_once(async { assert_eq!(peer.frame().await, None) }).await;
                } else {
                    assert!(timeout(millis(900), peer.frame()).await.is_err(), "a client waits");
                    after(millis(100), async { assert_eq!(peer.frame().await, None) }).await;
                }
            } else {
                sleep(secs(10)).await;
                peer.io.read_to_end(&mut Vec::new()).await.unwrap();
            }
        }
    }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A WebSocket that was made where there was no runtime is taken care of once it was received from in one.
#[test]
fn made_outside_of_a_runtime() {
    let (near, far) = duplex(4096);
    let mut ws = WebSocket::from_upgraded(near, Role::Client, b"", &Config::default());
    let mut peer = Peer::new(far, Role::Client);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
        peer.send(TEXT, b"one").await;
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
        peer.send(PING, b"?").await;
        assert_eq!(peer.frame().await, Some((PONG, b"?".to_vec())));
    });
}

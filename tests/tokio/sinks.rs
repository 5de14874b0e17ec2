//! `Stream` and `Sink`.

use futures_util::stream::FusedStream;
use futures_util::{Sink, SinkExt, StreamExt};
use sansocket::tokio::Incoming;
use sansocket::{CloseCode, Config, Error, Message, SendError};
use tokio::time::sleep;

use crate::common::{CLOSE, PING, PONG, ROLES, TEXT, close_payload, secs};
use crate::peer::{SIZES, after, at_once, pair, with_peer};

/// A whole WebSocket parted by `StreamExt::split`, whose halves poll it from two tasks: no wake-up is
/// lost, whichever polls last; the closing handshake completes from the sink.
#[tokio::test(start_paused = true)]
async fn split_by_futures() {
    for size in SIZES {
        let (client, mut server) = pair(size, &Config::default());
        let (mut sink, mut stream) = StreamExt::split(client);
        at_once(async {
            let sending = tokio::spawn(async move {
                for i in 0..300 {
                    sink.send(Message::text(format!("{i}"))).await.unwrap();
                }
                sink
            });
            let receiving = tokio::spawn(async move {
                for i in 0..300 {
                    assert_eq!(stream.next().await.unwrap().unwrap(), Message::text(format!("{i}")));
                }
                stream
            });
            let echo = tokio::spawn(async move {
                while let Some(message) = server.recv().await.unwrap() {
                    server.ping(b"?").await.unwrap();
                    server.send(message).await.unwrap();
                }
                assert!(server.closed().unwrap().clean);
            });
            let mut sink = sending.await.unwrap();
            let mut stream = receiving.await.unwrap();
            let next = tokio::spawn(async move {
                assert!(stream.next().await.is_none());
                stream
            });
            tokio::task::yield_now().await;
            sink.close().await.unwrap();
            let stream = next.await.unwrap();
            echo.await.unwrap();
            assert!(sink.reunite(stream).unwrap().closed().unwrap().clean);
        })
        .await;
    }
}

/// The peer closes, and takes nothing any more: the sink is waited for no longer, be it to be flushed or to have room.
#[tokio::test(start_paused = true)]
async fn the_peer_closes_and_takes_nothing() {
    for role in ROLES {
        for flushes in [true, false] {
            let closing = Error::from(SendError::Closing).to_string();
            let (ws, mut peer) = with_peer(role, 64, &Config::default());
            let peer = async {
                sleep(secs(2)).await;
                peer.send_close(1009, "").await;
                peer
            };
            let (failed, _peer) = after(secs(2), async { tokio::join!(fill(ws, flushes), peer) }).await;
            assert_eq!(failed.to_string(), closing);

            let (ws, mut peer) = with_peer(role, 64, &Config::default());
            let (sender, mut receiver) = ws.split();
            let peer = async {
                sleep(secs(2)).await;
                peer.send_close(1009, "").await;
                peer
            };
            let receiving = async { receiver.recv().await.unwrap() };
            let program = async {
                tokio::select! { failed = fill(sender, flushes) => failed, _ = receiving => panic!() }
            };
            let (failed, _peer) = after(secs(2), async { tokio::join!(program, peer) }).await;
            assert_eq!(failed.to_string(), closing);
        }
    }
}

/// Sends more than the peer takes.
async fn fill(mut sink: impl Sink<Message, Error = Error> + Unpin, flushes: bool) -> Error {
    let large = Message::binary(vec![7; 100_000]);
    if flushes {
        return sink.send(large).await.unwrap_err();
    }
    sink.feed(large).await.unwrap();
    sink.feed(Message::text("x")).await.unwrap_err()
}

/// The stream ends after the closing handshake, or after its first error, and says so; the sink fails
/// then.
#[tokio::test(start_paused = true)]
async fn the_stream_ends() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        peer.send(TEXT, b"one").await;
        peer.send_close(1000, "").await;
        assert_eq!(ws.next().await.unwrap().unwrap(), Message::text("one"));
        assert!(!ws.is_terminated());
        let (next, ()) = tokio::join!(ws.next(), async {
            assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1000, ""))));
            drop(peer);
        });
        assert!(next.is_none());
        assert!(ws.is_terminated());
        assert!(ws.next().await.is_none());
        let refused = ws.send_all(&mut futures_util::stream::iter([Ok("x".into())])).await;
        assert!(matches!(refused, Err(Error::Send(SendError::Closing))), "{refused:?}");
        SinkExt::close(&mut ws).await.unwrap();

        let (mut ws, peer) = with_peer(role, 4096, &Config::default());
        drop(peer);
        assert!(matches!(ws.next().await, Some(Err(Error::ConnectionLost(_)))));
        assert!(ws.is_terminated());
        assert!(ws.next().await.is_none());
    }
}

/// The halves of a WebSocket are a sink and a stream, too; both of them end well.
#[tokio::test(start_paused = true)]
async fn halves() {
    for role in ROLES {
        for size in SIZES {
            let (ws, mut peer) = with_peer(role, size, &Config::default());
            let (mut sender, mut receiver) = ws.split();
            let by_hand = async {
                peer.send(PING, b"?").await;
                peer.send(TEXT, b"in").await;
                let mut frames = Vec::new();
                while frames.len() < 3 {
                    frames.push(peer.frame().await.unwrap());
                }
                let last = frames.pop();
                assert_eq!(last, Some((CLOSE, close_payload(1000, ""))));
                frames.sort();
                assert_eq!(frames, [(TEXT, b"out".to_vec()), (PONG, b"?".to_vec())]);
                peer.send_close(1000, "").await;
                drop(peer);
            };
            let sending = async {
                SinkExt::send(&mut sender, "out".into()).await.unwrap();
                SinkExt::<Message>::close(&mut sender).await.unwrap();
            };
            at_once(async {
                // The message was received, so the Ping before it has been answered.
                let first = async {
                    assert_eq!(receiver.next().await.unwrap().unwrap(), Message::text("in"));
                    sending.await;
                    assert!(receiver.next().await.is_none());
                    assert!(receiver.is_terminated());
                };
                tokio::join!(by_hand, first);
            })
            .await;
            SinkExt::<Message>::close(&mut sender).await.unwrap();
            let refused = SinkExt::<Message>::send(&mut sender, "x".into()).await;
            assert!(matches!(refused, Err(Error::Send(SendError::Closing))));
            assert_eq!(receiver.closed().unwrap().code, CloseCode::NORMAL);
        }
    }
}

/// Pings and Pongs are seen through a stream too, between the messages, by a whole WebSocket and by its receiving half.
#[tokio::test(start_paused = true)]
async fn all_that_comes() {
    fn takes(stream: &(impl FusedStream<Item = Result<Incoming, Error>> + Send)) -> bool {
        stream.is_terminated()
    }
    for role in ROLES {
        for split in [false, true] {
            let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
            for (first, payload) in [(PING, "?"), (TEXT, "one"), (PONG, "!"), (TEXT, "two")] {
                peer.send(first, payload.as_bytes()).await;
            }
            // What was dropped before it was polled again has lost nothing.
            assert_eq!(ws.incoming().next().await.unwrap().unwrap(), Incoming::Ping("?".into()));
            peer.send_close(1000, "").await;
            drop(peer);
            let mut halves = None;
            let rest: Vec<_> = if split {
                let (_, receiver) = halves.insert(ws.split());
                receiver.incoming().map(Result::unwrap).collect().await
            } else {
                let mut incoming = ws.incoming();
                assert!(!takes(&incoming));
                let rest = incoming.by_ref().map(Result::unwrap).collect().await;
                assert!(takes(&incoming) && incoming.next().await.is_none());
                rest
            };
            assert_eq!(
                rest,
                [
                    Incoming::Message("one".into()),
                    Incoming::Pong("!".into()),
                    Incoming::Message("two".into())
                ]
            );
        }
    }
}

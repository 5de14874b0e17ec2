//! The closing handshake, and the end of a connection.

use std::time::Duration;

use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Closed, Config, Error, Initiator, Message, Role, SendError};

use crate::common::{BINARY, CLOSE, ROLES, TEXT, close_frame, close_payload, secs};
use crate::peer::{SIZES, after, at_once, pair, with_peer};
use crate::script::{Read, Script, Write};

fn closed(code: u16, reason: &str, initiator: Initiator, clean: bool) -> Closed {
    Closed::new(CloseCode::new(code), reason, initiator, clean)
}

/// 6455-5.5.1-12, 6455-5.5.1-13: both sides' calls return, at once, when both Close frames have
/// passed and the transport is closed; neither waits for the other to drop the WebSocket.
#[tokio::test(start_paused = true)]
async fn both_calls_return_at_once() {
    for size in SIZES {
        for client_closes in [true, false] {
            let (client, server) = pair(size, &Config::default());
            let (mut one, mut other) = if client_closes { (client, server) } else { (server, client) };
            at_once(async {
                let (ended, received) = tokio::join!(one.close(CloseCode::NORMAL, "bye"), other.recv());
                ended.unwrap();
                assert_eq!(received.unwrap(), None);
            })
            .await;
            assert_eq!(one.closed(), Some(&closed(1000, "", Initiator::Local, true)));
            assert_eq!(other.closed(), Some(&closed(1000, "bye", Initiator::Remote, true)));
        }
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13: a server closes the transport as soon as both Close frames have
/// passed, and does so before the client; a client waits for the server to.
#[tokio::test(start_paused = true)]
async fn the_server_closes_the_transport_first() {
    for begins in [true, false] {
        let (mut ws, mut peer) = with_peer(Role::Server, 61, &Config::default());
        at_once(async {
            let by_hand = async {
                if !begins {
                    peer.send_close(1000, "").await;
                }
                assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1000, ""))));
                if begins {
                    peer.send_close(1000, "").await;
                }
                // The transport has ended, though this end of it is open.
                assert_eq!(peer.frame().await, None);
                drop(peer);
            };
            let api = async {
                if begins {
                    ws.close(CloseCode::NORMAL, "").await.unwrap();
                } else {
                    assert_eq!(ws.recv().await.unwrap(), None);
                }
            };
            tokio::join!(by_hand, api);
        })
        .await;

        // A client that closed the transport would be seen doing it before the close timeout.
        let script = Script::new([Read::Bytes(close_frame(Role::Client, 1000, ""))], []);
        let mut ws = WebSocket::from_upgraded(script.clone(), Role::Client, b"", &Config::default());
        if begins {
            ws.start_close(None).unwrap();
        }
        let mut waiting = std::pin::pin!(ws.recv());
        assert!(tokio::time::timeout(secs(9), &mut waiting).await.is_err());
        assert!(!script.record().shut_down);
        assert_eq!(after(secs(1), waiting).await.unwrap(), None);
    }
}

/// What the peer sends between its Close frame and the end of the transport is discarded, however
/// much it is; and for no longer than the close timeout.
#[tokio::test(start_paused = true)]
async fn trailing_bytes_are_discarded() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        at_once(async {
            let by_hand = async {
                peer.send_close(1000, "").await;
                peer.send_raw(&vec![0xff; 100_000]).await;
                drop(peer);
            };
            let (received, ()) = tokio::join!(ws.recv(), by_hand);
            assert_eq!(received.unwrap(), None);
            assert_eq!(ws.closed(), Some(&closed(1000, "", Initiator::Remote, true)));
        })
        .await;

        let script = Script::new([Read::Bytes(close_frame(role, 1000, ""))], [])
            .flooding(vec![0; 1024], Duration::from_millis(10));
        let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
        let start = tokio::time::Instant::now();
        assert_eq!(ws.recv().await.unwrap(), None);
        assert!(start.elapsed() >= secs(10) && start.elapsed() < secs(11));
    }
}

/// `close` is bounded by its timeout though the peer never stops sending messages, nor pauses.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_hold_up_close() {
    for role in ROLES {
        let flood = crate::common::frame(role, BINARY, &[1; 100]);
        let script = Script::default().flooding(flood, Duration::from_millis(10));
        let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
        let start = tokio::time::Instant::now();
        let error = ws.close(CloseCode::NORMAL, "").await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(sansocket::TimedOut::ClosingHandshake)), "{error:?}");
        assert!(start.elapsed() >= secs(10) && start.elapsed() < secs(11));
    }
}

/// `close` discards what still arrives, and may be called again; `start_close` lets it be received.
#[tokio::test(start_paused = true)]
async fn messages_after_our_close_frame() {
    for role in ROLES {
        for size in SIZES {
            for receive in [true, false] {
                let (mut ws, mut peer) = with_peer(role, size, &Config::default());
                let by_hand = async {
                    assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1001, "away"))));
                    peer.send(TEXT, b"late").await;
                    peer.send(BINARY, &[1; 300]).await;
                    peer.send_close(1001, "").await;
                    drop(peer);
                };
                let api = async {
                    if receive {
                        let away = sansocket::CloseFrame { code: CloseCode::GOING_AWAY, reason: "away" };
                        ws.start_close(Some(away)).unwrap();
                        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("late")));
                        assert_eq!(ws.recv().await.unwrap(), Some(Message::binary([1; 300].to_vec())));
                        assert_eq!(ws.recv().await.unwrap(), None);
                    }
                    ws.close(CloseCode::GOING_AWAY, "away").await.unwrap();
                    ws.close(CloseCode::NORMAL, "again").await.unwrap();
                    assert_eq!(ws.closed(), Some(&closed(1001, "", Initiator::Local, true)));
                };
                at_once(async { tokio::join!(by_hand, api) }).await;
            }
        }
    }
}

/// After the end: `None` for ever, and nothing can be sent.
#[tokio::test(start_paused = true)]
async fn the_end_is_for_ever() {
    for role in ROLES {
        for code in [Some(1000), Some(4999), None] {
            let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
            match code {
                Some(code) => peer.send_close(code, "").await,
                None => peer.send(CLOSE, b"").await,
            }
            drop(peer);
            for _ in 0..3 {
                assert_eq!(ws.recv().await.unwrap(), None);
                assert_eq!(ws.recv_part().await.unwrap(), None);
                assert_eq!(ws.recv_incoming().await.unwrap(), None);
            }
            // The transport had ended before our Close frame was written to it: see below for `clean`.
            assert_eq!(ws.closed().unwrap().code.get(), code.unwrap_or(1005));
            for result in [ws.send("x").await, ws.feed("x").await, ws.ping(b"").await, ws.pong(b"").await] {
                assert!(matches!(result, Err(Error::Send(SendError::Closing))), "{result:?}");
            }
            ws.close(CloseCode::NORMAL, "").await.unwrap();
            ws.start_close(None).unwrap();
        }
    }
}

/// A connection did not close cleanly if our Close frame could not be written: not "after the
/// WebSocket closing handshake was completed" (RFC 6455 section 7.1.4).
#[tokio::test(start_paused = true)]
async fn an_unwritten_close_frame_is_not_clean() {
    for role in ROLES {
        let close = || Read::Bytes(close_frame(role, 1000, "bye"));
        let broken = Script::new([close()], [Write::Error(std::io::ErrorKind::BrokenPipe)]);
        let half_written =
            Script::new([close()], [Write::Take(1), Write::Error(std::io::ErrorKind::BrokenPipe)]);
        let stalled = Script::new([close()], []).stalled();
        for script in [broken, half_written, stalled] {
            let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
            assert_eq!(ws.recv().await.unwrap(), None);
            assert_eq!(ws.closed(), Some(&closed(1000, "bye", Initiator::Remote, false)));
        }
    }
}

//! Connections that fail: by the peer's fault, or the transport's.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Error, Initiator, Message, ProtocolError, Role};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::common::{CLOSE, FIN, FIRST_TEXT, LAST_CONTINUATION, PING, ROLES, TEXT, close_payload, frame};
use crate::peer::{Peer, SIZES, at_once, with_peer};
use crate::script::{Read, Script, Write};

/// What a peer sends that breaks a rule.
type Fault = fn(Role) -> Vec<u8>;

/// A peer that breaks a rule is told which by a Close frame, and a server then closes the transport;
/// the messages before are received first.
#[tokio::test(start_paused = true)]
async fn the_peer_breaks_the_protocol() {
    let faults: [(ProtocolError, Fault); 7] = [
        (ProtocolError::ReservedOpcode(3), |role| frame(role, FIN | 3, b"")),
        (ProtocolError::ReservedBitSet, |role| frame(role, TEXT | 0x40, b"")),
        (ProtocolError::InvalidUtf8, |role| frame(role, TEXT, b"\xff")),
        (ProtocolError::ContinuationWithoutMessage, |role| frame(role, LAST_CONTINUATION, b"")),
        (ProtocolError::MessageTooBig, |role| frame(role, TEXT, &[b'x'; 2001])),
        (ProtocolError::TruncatedCloseCode, |role| frame(role, CLOSE, b"\x03")),
        (ProtocolError::MessageInProgress, |role| {
            [frame(role, FIRST_TEXT, b"begun"), frame(role, TEXT, b"")].concat()
        }),
    ];
    let config = Config::default().max_message_size(2000);
    for role in ROLES {
        for (error, bytes) in &faults {
            for size in SIZES {
                let (mut ws, mut peer) = with_peer(role, size, &config);
                at_once(async {
                    let by_hand = async {
                        peer.send(TEXT, b"one").await;
                        peer.send(TEXT, b"two").await;
                        // A fault may end the transport before all of the bytes were taken.
                        peer.send_raw(&bytes(role)).await;
                        let close = close_payload(error.close_code().get(), error.reason());
                        assert_eq!(peer.frame().await, Some((CLOSE, close)));
                        if role == Role::Server {
                            assert_eq!(peer.frame().await, None);
                        }
                        drop(peer);
                    };
                    let api = async {
                        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
                        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("two")));
                        match ws.recv().await {
                            Err(Error::Protocol(seen)) => assert_eq!(seen, *error),
                            other => panic!("{other:?}"),
                        }
                    };
                    tokio::join!(by_hand, api);
                })
                .await;
                let closed = ws.closed().unwrap();
                assert_eq!(
                    (closed.code.get(), closed.initiator, closed.clean),
                    (1006, Initiator::Local, false)
                );
                for _ in 0..3 {
                    assert_eq!(ws.recv().await.unwrap(), None);
                }
                assert!(matches!(ws.send("x").await, Err(Error::Send(_))));
                ws.close(CloseCode::NORMAL, "").await.unwrap();
            }
        }
    }
}

/// 6455-7.2.1-02: a transport that ends, or fails, without the closing handshake: an error of its own
/// kind, after the messages that came before; the close code is 1006.
#[tokio::test(start_paused = true)]
async fn the_transport_is_lost() {
    let ends: [fn() -> Read; 2] = [|| Read::End, || Read::Error(ErrorKind::ConnectionReset)];
    for role in ROLES {
        for end in ends {
            for rest in [&[][..], &frame(role, TEXT, b"cut off")[..5]] {
                let whole = [frame(role, TEXT, b"one"), frame(role, TEXT, b"two"), rest.to_vec()].concat();
                for pending in [true, false] {
                    let reads = whole.iter().flat_map(|byte| {
                        [Read::Bytes(vec![*byte])].into_iter().chain(pending.then_some(Read::Pending))
                    });
                    let script = Script::new(reads.chain([end()]), []);
                    let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
                    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("one")));
                    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("two")));
                    match (at_once(ws.recv()).await, end()) {
                        (Err(Error::ConnectionLost(error)), Read::Error(kind)) => {
                            assert_eq!(error.kind(), kind);
                        }
                        (Err(Error::ConnectionLost(error)), _) => {
                            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                        }
                        (other, _) => panic!("{other:?}"),
                    }
                    let closed = ws.closed().unwrap();
                    assert_eq!((closed.code.get(), closed.clean), (1006, false));
                    assert_eq!(closed.initiator, Initiator::Transport);
                    assert_eq!(ws.recv().await.unwrap(), None);
                    assert!(matches!(ws.send("x").await, Err(Error::ConnectionLost(_))));
                    assert!(matches!(ws.ping(b"").await, Err(Error::ConnectionLost(_))));
                    ws.close(CloseCode::NORMAL, "").await.unwrap();
                }
            }
        }
    }
}

/// A transport that takes no bytes any more, by an error or by taking 0, fails what is sent, at once;
/// what the peer had sent is still received.
#[tokio::test(start_paused = true)]
async fn writes_fail() {
    let faults: [fn() -> Write; 2] = [|| Write::Take(0), || Write::Error(ErrorKind::BrokenPipe)];
    for role in ROLES {
        for fault in faults {
            let bytes =
                [frame(role, TEXT, b"one"), frame(role, PING, b""), frame(role, TEXT, b"two")].concat();
            let script = Script::new([Read::Bytes(bytes), Read::End], [Write::Take(3), fault()]);
            let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default());
            let error = at_once(ws.send("lost")).await.unwrap_err();
            let expected = match fault() {
                Write::Error(kind) => kind,
                _ => ErrorKind::WriteZero,
            };
            assert!(matches!(&error, Error::ConnectionLost(error) if error.kind() == expected), "{error:?}");
            assert!(matches!(ws.send("x").await, Err(Error::ConnectionLost(_))));
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text("two")));
            assert!(matches!(ws.recv().await, Err(Error::ConnectionLost(_))));
            assert_eq!(script.record().writes, 2, "nothing is written after the fault");
        }
    }
}

/// The peer answers our Close frame by ending the transport: the closing handshake did not take place.
#[tokio::test(start_paused = true)]
async fn the_peer_ends_the_transport_instead_of_closing() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        at_once(async {
            let by_hand = async {
                assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1000, ""))));
                drop(peer);
            };
            let (closed, ()) = tokio::join!(ws.close(CloseCode::NORMAL, ""), by_hand);
            assert!(matches!(closed, Err(Error::ConnectionLost(_))), "{closed:?}");
        })
        .await;
        let closed = ws.closed().unwrap();
        assert_eq!((closed.code.get(), closed.initiator, closed.clean), (1006, Initiator::Local, false));
    }
}

/// TCP that is closed in one direction: the peer has ended its own, without a Close frame, and reads on. What
/// it had sent is received; then the connection is lost, and what is sent to it goes nowhere.
#[tokio::test]
async fn half_closed_tcp() {
    for role in ROLES {
        for call in 0..3 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let (near, far) =
                tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            let mut ws = WebSocket::from_upgraded(near.unwrap(), role, b"", &Config::default());
            let mut peer = Peer::new(far.unwrap().0, role);
            peer.send(TEXT, b"last words").await;
            peer.io.shutdown().await.unwrap();
            let error = match call {
                0 => {
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("last words")));
                    ws.recv().await.unwrap_err()
                }
                1 => {
                    let part = ws.recv_part().await.unwrap().unwrap();
                    assert!(part.last && part.payload == "last words");
                    ws.recv_part().await.unwrap_err()
                }
                // Our Close frame arrives, but none can come back.
                _ => ws.close(CloseCode::NORMAL, "").await.unwrap_err(),
            };
            assert!(matches!(error, Error::ConnectionLost(_)), "{error:?}");
            let closed = ws.closed().unwrap();
            assert_eq!((closed.code.get(), closed.clean), (1006, false));
            assert!(ws.send("x").await.is_err());
            drop(ws);
            let sent = peer.frames().await;
            assert_eq!(sent.len(), usize::from(call == 2), "{sent:?}");
        }
    }
}

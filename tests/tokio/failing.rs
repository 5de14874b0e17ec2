//! Connections that fail over sockets of the system. Others are in `tests/twins`.

use std::net::Ipv4Addr;

use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Error, Message};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::common::{ROLES, TEXT};
use crate::peer::Peer;

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

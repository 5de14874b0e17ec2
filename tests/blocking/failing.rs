//! Connections that fail: by the peer's fault, or the transport's.

use std::io::ErrorKind;
use std::thread;

use sansocket::blocking::WebSocket;
use sansocket::{CloseCode, Config, Error, Initiator, Message, ProtocolError, Role};

use crate::common::{CLOSE, FIN, ROLES, TEXT, close_payload, frame};
use crate::peer::with_peer;
use crate::script::{Read, Script, Write};

/// A peer that breaks a rule is told which by a Close frame, and a server then closes the transport;
/// the messages before are received first.
#[test]
fn the_peer_breaks_the_protocol() {
    for role in ROLES {
        for (error, first, payload) in [
            (ProtocolError::ReservedOpcode(3), FIN | 3, &b""[..]),
            (ProtocolError::InvalidUtf8, TEXT, b"\xff"),
            (ProtocolError::MessageTooBig, TEXT, &[b'x'; 2001]),
        ] {
            let (mut ws, mut peer) = with_peer(role, &Config::default().max_message_size(2000));
            let by_hand = thread::spawn(move || {
                peer.send(TEXT, b"one");
                peer.send(first, payload);
                let close = close_payload(error.close_code().get(), error.reason());
                assert_eq!(peer.frame(), Some((CLOSE, close)));
                if role == Role::Server {
                    assert_eq!(peer.frame(), None);
                }
            });
            assert_eq!(ws.recv().unwrap(), Some(Message::text("one")));
            match ws.recv() {
                Err(Error::Protocol(seen)) => assert_eq!(seen, error),
                other => panic!("{other:?}"),
            }
            by_hand.join().unwrap();
            let closed = ws.closed().unwrap();
            assert_eq!((closed.code.get(), closed.initiator, closed.clean), (1006, Initiator::Local, false));
            assert_eq!(ws.recv().unwrap(), None);
            assert!(matches!(ws.send("x"), Err(Error::Send(_))));
            ws.close(CloseCode::NORMAL, "").unwrap();
        }
    }
}

/// 6455-7.2.1-02: a transport that ends, or fails, without the closing handshake: an error of its own
/// kind, after the messages that came before; the close code is 1006.
#[test]
fn the_transport_is_lost() {
    for role in ROLES {
        for kind in [None, Some(ErrorKind::ConnectionReset)] {
            let bytes = [frame(role, TEXT, b"one"), frame(role, TEXT, b"cut off")[..5].to_vec()].concat();
            let end = kind.map_or(Read::End, Read::Error);
            let script = Script::new([Read::Bytes(bytes), end], []);
            let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default()).unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("one")));
            match ws.recv() {
                Err(Error::ConnectionLost(error)) => {
                    assert_eq!(error.kind(), kind.unwrap_or(ErrorKind::UnexpectedEof));
                }
                other => panic!("{other:?}"),
            }
            let closed = ws.closed().unwrap();
            assert_eq!((closed.code.get(), closed.initiator), (1006, Initiator::Transport));
            assert_eq!(ws.recv().unwrap(), None);
            assert!(matches!(ws.send("x"), Err(Error::ConnectionLost(_))));
            ws.close(CloseCode::NORMAL, "").unwrap();
        }
    }
}

/// A transport that takes no bytes any more fails what is sent; what the peer had sent is received.
#[test]
fn writes_fail() {
    for role in ROLES {
        for fault in [
            || Write::Take(0),
            || Write::Error(ErrorKind::BrokenPipe),
            || Write::FlushError(ErrorKind::BrokenPipe),
        ] {
            let script = Script::new([Read::Bytes(frame(role, TEXT, b"one")), Read::End], [fault()]);
            let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default()).unwrap();
            assert!(matches!(ws.send("lost"), Err(Error::ConnectionLost(_))));
            assert!(matches!(ws.send("x"), Err(Error::ConnectionLost(_))));
            assert_eq!(ws.recv().unwrap(), Some(Message::text("one")));
            assert!(matches!(ws.recv(), Err(Error::ConnectionLost(_))));
        }
    }
}

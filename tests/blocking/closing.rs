//! The closing handshake, and the end of a connection.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use sansocket::blocking::{NoDeadlines, WebSocket};
use sansocket::{CloseCode, CloseFrame, Closed, Config, Error, Initiator, Message, Role, SendError};

use crate::common::{CLOSE, ROLES, TEXT, close_frame, close_payload, frame};
use crate::peer::{Peer, pair, with_peer};
use crate::script::{Read, Script, Write};

fn closed(code: u16, reason: &str, initiator: Initiator, clean: bool) -> Closed {
    Closed::new(CloseCode::new(code), reason, initiator, clean)
}

/// 6455-5.5.1-12, 6455-5.5.1-13: both sides' calls return when both Close frames have passed and the
/// transport is closed; neither waits for the other to drop the WebSocket.
#[test]
fn both_calls_return() {
    // A call that did wait would wait for ever.
    let config = Config::default().close_timeout(Duration::MAX).no_keepalive();
    for client_closes in [true, false] {
        let (client, server) = pair(&config);
        let (mut one, mut other) = if client_closes { (client, server) } else { (server, client) };
        let other = thread::spawn(move || {
            assert_eq!(other.recv().unwrap(), None);
            other
        });
        one.close(CloseCode::NORMAL, "bye").unwrap();
        let other = other.join().unwrap();
        assert_eq!(one.closed(), Some(&closed(1000, "", Initiator::Local, true)));
        assert_eq!(other.closed(), Some(&closed(1000, "bye", Initiator::Remote, true)));
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13: a server closes the transport before the client does; a client waits
/// for it, and no longer than the close timeout.
#[test]
fn the_server_closes_the_transport_first() {
    let (mut ws, mut peer) = with_peer(Role::Server, &Config::default());
    let waiting = thread::spawn(move || ws.recv().unwrap());
    peer.send_close(1000, "");
    assert_eq!(peer.frame(), Some((CLOSE, close_payload(1000, ""))));
    assert_eq!(peer.frame(), None);
    drop(peer);
    assert_eq!(waiting.join().unwrap(), None);

    let config = Config::default().close_timeout(Duration::from_millis(5));
    for role in ROLES {
        let script = Script::new([Read::Bytes(close_frame(role, 1000, ""))], []);
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap();
        assert_eq!(ws.recv().unwrap(), None);
        assert_eq!(script.record().shut_down, role == Role::Server);
        // However much the peer sends.
        let script = Script::new([Read::Bytes(close_frame(role, 1000, ""))], []).flooding(vec![0; 1000]);
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config).unwrap();
        assert_eq!(ws.recv().unwrap(), None);
    }
}

/// `close` discards what still arrives, and may be called again; `start_close` lets it be received;
/// afterwards `None` for ever, and nothing can be sent.
#[test]
fn messages_after_our_close_frame() {
    for role in ROLES {
        for receive in [true, false] {
            let (mut ws, mut peer) = with_peer(role, &Config::default());
            let by_hand = thread::spawn(move || {
                assert_eq!(peer.frame(), Some((CLOSE, close_payload(1001, "away"))));
                peer.send(TEXT, b"late");
                peer.send_close(1001, "");
            });
            if receive {
                let away = CloseFrame { code: CloseCode::GOING_AWAY, reason: "away" };
                ws.start_close(Some(away)).unwrap();
                assert_eq!(ws.recv().unwrap(), Some(Message::text("late")));
                assert_eq!(ws.recv().unwrap(), None);
            }
            ws.close(CloseCode::GOING_AWAY, "away").unwrap();
            ws.close(CloseCode::NORMAL, "again").unwrap();
            by_hand.join().unwrap();
            assert_eq!(ws.closed(), Some(&closed(1001, "", Initiator::Local, true)));
            for _ in 0..3 {
                assert_eq!(ws.recv().unwrap(), None);
                assert_eq!(ws.recv_part().unwrap(), None);
                assert_eq!(ws.recv_incoming().unwrap(), None);
            }
            for result in [ws.send("x"), ws.feed("x"), ws.ping(b""), ws.pong(b"")] {
                assert!(matches!(result, Err(Error::Send(SendError::Closing))), "{result:?}");
            }
        }
    }
}

/// A connection did not close cleanly if our Close frame could not be written.
#[test]
fn an_unwritten_close_frame_is_not_clean() {
    for role in ROLES {
        for writes in [vec![], vec![Write::Take(1)]] {
            for kind in [ErrorKind::BrokenPipe, ErrorKind::WouldBlock] {
                let writes = [Write::Error(kind)];
                let script = Script::new([Read::Bytes(close_frame(role, 1000, "bye"))], writes).lasting();
                let config = Config::default().close_timeout(Duration::from_millis(5));
                let mut ws = WebSocket::from_upgraded(script, role, b"", &config).unwrap();
                assert_eq!(ws.recv().unwrap(), None);
                assert_eq!(ws.closed(), Some(&closed(1000, "bye", Initiator::Remote, false)));
            }
            drop(writes);
        }
    }
}

/// A stream that cannot be closed for writing is not waited for by a server, which would wait for a
/// client that waits for it: the caller closes it.
#[test]
fn no_deadlines() {
    /// A stream of which only reading and writing is known.
    #[derive(Debug)]
    struct Plain(UnixStream);
    impl io::Read for Plain {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl io::Write for Plain {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let (near, far) = UnixStream::pair().unwrap();
    let config = Config::default();
    let mut client = WebSocket::from_upgraded(NoDeadlines(Plain(near)), Role::Client, b"", &config).unwrap();
    let serving = thread::spawn(move || {
        let mut server =
            WebSocket::from_upgraded(NoDeadlines(Plain(far)), Role::Server, b"", &Config::default()).unwrap();
        while let Some(message) = server.recv().unwrap() {
            server.send(message).unwrap();
        }
        assert!(server.closed().unwrap().clean);
    });
    client.send("text").unwrap();
    assert_eq!(client.recv().unwrap(), Some(Message::text("text")));
    client.close(CloseCode::NORMAL, "").unwrap();
    assert!(client.closed().unwrap().clean);
    serving.join().unwrap();

    // The same for a request that is rejected.
    let (near, far) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        sansocket::blocking::accept(NoDeadlines(Plain(far))).unwrap().reject(403, "no").unwrap();
    });
    let refused = sansocket::blocking::connect_over("ws://example.com/", NoDeadlines(Plain(near)));
    assert!(matches!(refused, Err(Error::Response(_))), "{refused:?}");
    serving.join().unwrap();
}

/// A peer that ends the transport instead of answering: the closing handshake did not take place.
#[test]
fn the_peer_ends_the_transport_instead_of_closing() {
    for role in ROLES {
        let (mut ws, peer) = with_peer(role, &Config::default());
        let by_hand = thread::spawn(move || {
            let mut peer: Peer<UnixStream> = peer;
            assert_eq!(peer.frame(), Some((CLOSE, close_payload(1000, ""))));
        });
        assert!(matches!(ws.close(CloseCode::NORMAL, ""), Err(Error::ConnectionLost(_))));
        by_hand.join().unwrap();
        assert_eq!(ws.closed(), Some(&closed(1006, "", Initiator::Local, false)));
        // Other bytes than a frame, too.
        let script = Script::new([Read::Bytes(frame(role, TEXT, b"x")[..2].to_vec()), Read::End], []);
        let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default()).unwrap();
        assert!(matches!(ws.recv(), Err(Error::ConnectionLost(_))));
    }
}

//! Deadlines, by the virtual clock. Those of the opening handshake are with it.

use std::time::Duration;

use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Error, Initiator, MessageKind, TimedOut};
use tokio::io::AsyncWriteExt;

use crate::common::{BINARY, CLOSE, PING, PONG, ROLES, TEXT, close_payload, secs};
use crate::peer::{after, with_peer};
use crate::script::{Read, Script};

#[track_caller]
fn timed_out<T: std::fmt::Debug>(result: Result<T, Error>) -> TimedOut {
    match result {
        Err(Error::TimedOut(timed_out)) => timed_out,
        other => panic!("{other:?}"),
    }
}

/// A peer that is silent gets a Ping after the interval, and is given up after the timeout; one that
/// answers, or sends anything else, is not.
#[tokio::test(start_paused = true)]
async fn keepalive() {
    let config = Config::default().keepalive(secs(20), secs(5));
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &config);
        let by_hand = async {
            // Answered twice; by a Pong, and by a part of a message.
            after(secs(20), async { assert_eq!(peer.frame().await, Some((PING, vec![]))) }).await;
            peer.send(PONG, b"").await;
            after(secs(20), async { assert_eq!(peer.frame().await, Some((PING, vec![]))) }).await;
            peer.send_raw(&crate::common::frame(role, TEXT, b"text")[..3]).await;
            after(secs(20), async { assert_eq!(peer.frame().await, Some((PING, vec![]))) }).await;
            peer
        };
        let (received, _peer) = after(secs(65), async { tokio::join!(ws.recv(), by_hand) }).await;
        assert_eq!(timed_out(received), TimedOut::Keepalive);
        let closed = ws.closed().unwrap();
        assert_eq!((closed.code.get(), closed.initiator, closed.clean), (1006, Initiator::Transport, false));
        assert_eq!(ws.recv().await.unwrap(), None);
        assert!(matches!(ws.send("x").await, Err(Error::ConnectionLost(_))));
    }
}

/// Each call that receives keeps the deadline, dropped and called again as it may be.
#[tokio::test(start_paused = true)]
async fn keepalive_while_calls_are_dropped() {
    for role in ROLES {
        let (mut ws, _peer) = with_peer(role, 4096, &Config::default().keepalive(secs(20), secs(5)));
        let error = after(secs(25), async {
            loop {
                let step = Duration::from_millis(700);
                if let Ok(result) = tokio::time::timeout(step, ws.recv()).await {
                    break result;
                }
                if let Ok(result) = tokio::time::timeout(step, ws.recv_part()).await {
                    break result.map(|_| None);
                }
            }
        });
        assert_eq!(timed_out(error.await), TimedOut::Keepalive);
    }
}

/// Without a keepalive, a silent peer is waited for.
#[tokio::test(start_paused = true)]
async fn no_keepalive() {
    for role in ROLES {
        let (mut ws, _peer) = with_peer(role, 4096, &Config::default().no_keepalive());
        assert!(tokio::time::timeout(secs(1_000_000), ws.recv()).await.is_err());
    }
}

/// A peer that does not answer the Close frame, though it sends all the time; and one that answers it,
/// and does not close the transport.
#[tokio::test(start_paused = true)]
async fn closing_handshake() {
    for role in ROLES {
        let config = Config::default().close_timeout(secs(7));
        let (mut ws, mut peer) = with_peer(role, 4096, &config);
        let noise = async {
            loop {
                peer.send(TEXT, b"not a Close frame").await;
                tokio::time::sleep(secs(1)).await;
            }
        };
        let closing = after(secs(7), ws.close(CloseCode::NORMAL, ""));
        let result = tokio::select! { result = closing => result, () = noise => unreachable!() };
        assert_eq!(timed_out(result), TimedOut::ClosingHandshake);
        let closed = ws.closed().unwrap();
        assert_eq!((closed.code.get(), closed.initiator, closed.clean), (1006, Initiator::Local, false));
        ws.close(CloseCode::NORMAL, "").await.unwrap();

        let (mut ws, mut peer) = with_peer(role, 4096, &config);
        let by_hand = async {
            assert_eq!(peer.frame().await, Some((CLOSE, close_payload(1000, ""))));
            peer.send_close(1000, "").await;
        };
        let both = async { tokio::join!(ws.close(CloseCode::NORMAL, ""), by_hand).0 };
        after(secs(7), both).await.unwrap();
        assert!(ws.closed().unwrap().clean);
    }
}

/// A peer that takes nothing: every call that writes fails in time, and the connection is over.
#[tokio::test(start_paused = true)]
async fn write() {
    let config = Config::default().write_timeout(secs(3)).write_buffer_size(100).no_keepalive();
    for role in ROLES {
        let stalled = || WebSocket::from_upgraded(Script::default().stalled(), role, b"", &config);
        let mut ws = stalled();
        assert_eq!(timed_out(after(secs(3), ws.send("x")).await), TimedOut::Write);
        assert!(matches!(ws.send("x").await, Err(Error::ConnectionLost(_))));
        assert_eq!(timed_out(after(secs(0), ws.recv()).await), TimedOut::Write);
        assert_eq!(ws.closed().unwrap().code.get(), 1006);
        let mut ws = stalled();
        assert_eq!(timed_out(after(secs(3), ws.ping(b"")).await), TimedOut::Write);
        let mut ws = stalled();
        ws.feed(&[0; 200]).await.unwrap();
        assert_eq!(timed_out(after(secs(3), ws.feed("x")).await), TimedOut::Write);
        let mut ws = stalled();
        ws.feed(&[0; 200]).await.unwrap();
        assert_eq!(timed_out(after(secs(3), ws.recv()).await), TimedOut::Write);
        let mut ws = stalled();
        assert_eq!(timed_out(after(secs(3), ws.close(CloseCode::NORMAL, "")).await), TimedOut::Write);
        let mut ws = stalled();
        let mut writer = ws.message_writer(MessageKind::Binary);
        writer.write_all(&[0; 200]).await.unwrap();
        let error = after(secs(3), writer.write_all(&[0; 1])).await.unwrap_err();
        let error = error.into_inner().unwrap().downcast::<Error>().unwrap();
        assert_eq!(timed_out::<()>(Err(*error)), TimedOut::Write);
    }
}

/// A peer that takes little, but takes it in time, is borne with.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_dead_one() {
    use tokio::io::AsyncReadExt;
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 1, &Config::default().write_timeout(secs(3)));
        let sending = ws.send(&[0; 100]);
        let slow = async {
            for _ in
                crate::common::header(BINARY, role == sansocket::Role::Client, 100).iter().chain(&[0; 100])
            {
                tokio::time::sleep(secs(2)).await;
                peer.io.read_u8().await.unwrap();
            }
        };
        tokio::join!(async { sending.await.unwrap() }, slow);
    }
}

/// A read that brings a Ping the answer to which cannot be written: the receiving call fails in time,
/// though reads go on.
#[tokio::test(start_paused = true)]
async fn unread_pongs() {
    let config = Config::default().write_timeout(secs(3)).no_keepalive();
    for role in ROLES {
        let ping = crate::common::frame(role, PING, b"?");
        let script = Script::new([Read::Bytes(ping.clone())], []).stalled();
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config);
        assert_eq!(timed_out(after(secs(3), ws.recv()).await), TimedOut::Write);

        let script = Script::default().flooding(ping, Duration::from_millis(100)).stalled();
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config);
        let start = tokio::time::Instant::now();
        assert_eq!(timed_out(ws.recv().await), TimedOut::Write);
        assert!(start.elapsed() < secs(4));
    }
}

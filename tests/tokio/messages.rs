//! Messages and Pings, whole WebSockets.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use sansocket::tokio::WebSocket;
use sansocket::{Config, Error, Message, ProtocolError, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::common::{PING, PONG, ROLES, TEXT, frame};
use crate::peer::{at_once, with_peer};
use crate::script::{Read, Script};

/// Text that no continuation could make valid fails before the next read is waited for, and a code point that
/// its end cuts fails there; `recv_part` goes on where `recv` stopped, inside a code point.
#[tokio::test(start_paused = true)]
async fn bad_text_arrives_in_pieces() {
    for role in ROLES {
        let euro = frame(role, TEXT, "€€".as_bytes());
        let start = euro.len() - 6;
        for (payload, read) in [(&b"\xe2\x82\xac\xe2\xff."[..], 5), (b"\xe2\x82\xac\xe2\x82", 5)] {
            let bytes = frame(role, TEXT, payload);
            let reads = bytes[..start + read].chunks(1).map(|byte| Read::Bytes(byte.to_vec()));
            let script = Script::new(reads.chain([Read::End]));
            let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
            let error = at_once(ws.recv()).await.unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::InvalidUtf8)), "{error}");
        }
        for cut in 0..6 {
            let (now, later) = euro.split_at(start + cut);
            let reads = [Read::Bytes(now.to_vec()), Read::Pending, Read::Bytes(later.to_vec())];
            let mut ws = WebSocket::from_upgraded(Script::new(reads), role, b"", &Config::default());
            tokio::select! {
                biased;
                received = ws.recv() => panic!("{received:?}"),
                () = std::future::ready(()) => {}
            }
            let mut payload = Vec::new();
            while let Some(part) = at_once(ws.recv_part()).await.unwrap() {
                payload.extend_from_slice(&part.payload);
                if part.last {
                    break;
                }
            }
            assert_eq!(payload, "€€".as_bytes());
        }
    }
}

/// A Ping flood from a peer that reads nothing is received to its end, and answered with bounded
/// memory: the latest Pong, at last.
#[tokio::test(start_paused = true)]
async fn a_ping_flood_stays_bounded() {
    for role in ROLES {
        let config = Config::default().write_buffer_size(1000).no_keepalive();
        let pings = (0..10_000u32).flat_map(|i| frame(role, PING, &i.to_be_bytes())).collect();
        let script = Script::new([Read::Bytes(pings), Read::Bytes(frame(role, TEXT, b"end"))]).stalled();
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config);
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("end")));

        // The same, and then the peer reads.
        let (mut ws, mut peer) = with_peer(role, 100, &config);
        at_once(async {
            let flood = async {
                for i in 0..10_000u32 {
                    peer.send(PING, &i.to_be_bytes()).await;
                }
                peer.send(TEXT, b"end").await;
                let mut pongs = Vec::new();
                while pongs.last() != Some(&9_999) {
                    let (first, payload) = peer.frame().await.unwrap();
                    assert_eq!(first, PONG);
                    pongs.push(u32::from_be_bytes(payload.try_into().unwrap()));
                }
                assert!(pongs.is_sorted() && pongs.len() < 1000, "{} Pongs", pongs.len());
            };
            let receive = async {
                assert_eq!(ws.recv().await.unwrap(), Some(Message::text("end")));
                ws.flush().await.unwrap();
            };
            tokio::join!(flood, receive);
        })
        .await;
    }
}

/// A peer that never pauses, and sends nothing that is handed out, leaves the thread to others, whatever its transport is:
/// a poll ends after some reads.
#[tokio::test]
async fn a_peer_that_never_pauses_is_left_for_others() {
    let mut ws = WebSocket::from_upgraded(Pongs { left: 60_000 }, Role::Client, b"", &Config::default());
    let mut cx = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let end = loop {
        if let Poll::Ready(end) = pin!(ws.recv()).poll(&mut cx) {
            break end;
        }
        polls += 1;
    };
    assert!(matches!(end, Err(Error::ConnectionLost(_))), "{end:?}");
    assert!(polls >= 4, "{polls}");
}

/// A stream of Pongs that nobody asked for, as long as it is.
struct Pongs {
    left: usize,
}

impl AsyncRead for Pongs {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pong = frame(Role::Client, PONG, &[0; 125]);
        while buf.remaining() >= pong.len() && self.left > 0 {
            buf.put_slice(&pong);
            self.left -= 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pongs {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! Messages and Pings, whole WebSockets.

use sansocket::tokio::{Incoming, WebSocket};
use sansocket::{CloseCode, Config, Error, Message, PreparedMessage, ProtocolError, Role, SendError};
use tokio::io::duplex;

use crate::common::{BINARY, CLOSE, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, frame, texts};
use crate::peer::{Peer, SIZES, at_once, pair, with_peer};
use crate::script::{Read, Script, Write};

/// Messages of every length that has a header of its own, and of those around the limits of buffers.
fn messages(most: usize) -> Vec<Message> {
    let lengths = [0, 1, 125, 126, 127, 1024, 4095, 4096, 4097, 65_535, 65_536, 200_000];
    let lengths = lengths.iter().filter(|len| **len <= most);
    let binary = lengths.clone().map(|len| Message::binary((0..*len).map(|i| i as u8).collect::<Vec<_>>()));
    let text = lengths.map(|len| Message::text("ü".repeat(len / 2)));
    binary.zip(text).flat_map(|(binary, text)| [binary, text]).collect()
}

/// 6455-5.4-06, 6455-6.1-10: messages of all sizes arrive whole and in the order sent, both ways,
/// through pipes of all sizes.
#[tokio::test(start_paused = true)]
async fn messages_pass_in_order() {
    for size in SIZES {
        let (mut client, mut server) = pair(size, &Config::default());
        at_once(async {
            let echo = async {
                while let Some(message) = server.recv().await.unwrap() {
                    server.send(message).await.unwrap();
                }
            };
            let drive = async {
                for message in messages(if size < 50 { 5000 } else { 200_000 }) {
                    client.send(message.clone()).await.unwrap();
                    assert_eq!(client.recv().await.unwrap(), Some(message));
                }
                client.close(CloseCode::NORMAL, "").await.unwrap();
            };
            tokio::join!(echo, drive);
        })
        .await;
    }
}

/// Text is put together of what each read brings, with and without waits between, in the memory that it was
/// read into or in its own, and while messages before it are held; in frames or in fragments.
#[tokio::test(start_paused = true)]
async fn text_arrives_in_pieces() {
    for role in ROLES {
        for len in [1, 10, 4000, 5000, 70_000, 300_000] {
            let (texts, bytes) = texts(role, len);
            for read in [1, 3, 1021, 50_001, 200_003].into_iter().filter(|read| bytes.len() / read < 8000) {
                for wait in [false, true] {
                    let reads = bytes.chunks(read).flat_map(|bytes| {
                        [Some(Read::Bytes(bytes.to_vec())), wait.then_some(Read::Pending)]
                            .into_iter()
                            .flatten()
                    });
                    let script = Script::new(reads.chain([Read::End]), []);
                    let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
                    let mut received = Vec::new();
                    while let Ok(Some(message)) = at_once(ws.recv()).await {
                        received.push(message);
                    }
                    assert!(received == texts, "{len} {read} {wait}");
                }
            }
        }
    }
}

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
            let script = Script::new(reads.chain([Read::End]), []);
            let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default());
            let error = at_once(ws.recv()).await.unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::InvalidUtf8)), "{error}");
        }
        for cut in 0..6 {
            let (now, later) = euro.split_at(start + cut);
            let reads = [Read::Bytes(now.to_vec()), Read::Pending, Read::Bytes(later.to_vec())];
            let mut ws = WebSocket::from_upgraded(Script::new(reads, []), role, b"", &Config::default());
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

/// One frame for many connections, whole and split: each peer receives it.
#[tokio::test(start_paused = true)]
async fn framed_once() {
    for role in ROLES {
        for message in messages(200_000) {
            let framed = PreparedMessage::new(message.clone());
            for split in [false, true] {
                let (mut ws, mut peer) = with_peer(role, 1 << 20, &Config::default());
                if split {
                    at_once(ws.split().0.send_prepared(&framed)).await.unwrap();
                } else {
                    at_once(ws.send_prepared(&framed)).await.unwrap();
                    ws.start_close(None).unwrap();
                    assert!(matches!(ws.send_prepared(&framed).await, Err(Error::Send(SendError::Closing))));
                    drop(ws);
                }
                let first = if message.as_text().is_some() { TEXT } else { BINARY };
                assert_eq!(at_once(peer.frame()).await, Some((first, message.payload().to_vec())));
            }
        }
    }
}

/// It waits for room like any other message.
#[tokio::test(start_paused = true)]
async fn framed_once_waits_for_room() {
    let framed = PreparedMessage::new(vec![7; 5000]);
    let (mut ws, mut peer) = with_peer(Role::Server, 64, &Config::default().write_buffer_size(1000));
    let sends = async {
        for _ in 0..10 {
            ws.send_prepared(&framed).await.unwrap();
        }
        drop(ws);
    };
    let (frames, ()) = at_once(async { tokio::join!(peer.frames(), sends) }).await;
    assert_eq!(frames, vec![(BINARY, vec![7; 5000]); 10]);
}

/// Fed messages are sent by `flush`, and by `recv` before it waits; those that are many are sent when
/// the buffer is full.
#[tokio::test(start_paused = true)]
async fn feed_is_flushed() {
    for role in ROLES {
        let script = Script::default();
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default());
        ws.feed("one").await.unwrap();
        assert_eq!(script.record().writes, 0);
        ws.feed("two").await.unwrap();
        ws.flush().await.unwrap();
        // One write, and the stream was flushed.
        let record = script.record();
        assert_eq!((record.writes, record.flushed), (1, record.written.len()));

        ws.feed("three").await.unwrap();
        assert_eq!(script.record().writes, 1);
        tokio::select! {
            biased;
            _ = ws.recv() => unreachable!("nothing comes"),
            () = std::future::ready(()) => {}
        }
        let record = script.record();
        assert_eq!((record.writes, record.flushed), (2, record.written.len()));

        let config = Config::default().write_buffer_size(100);
        let script = Script::default();
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &config);
        for _ in 0..100 {
            ws.feed(&[0; 30]).await.unwrap();
        }
        assert!(script.record().written.len() > 100 * 32 - 200);
        assert!(script.record().writes < 40);
    }
}

/// 6455-5.4-06, 6455-6.1-10: a transport that takes a byte at a time, or nothing for a while, gets the
/// same bytes as one that takes all; large payloads, which are written from where they lie, too.
#[tokio::test(start_paused = true)]
async fn short_writes_lose_nothing() {
    let messages = [vec![1; 10], vec![2; 5000], vec![], vec![3; 4096], vec![4; 100_000], vec![5; 3]];
    let whole = Script::default();
    let mut ws = WebSocket::from_upgraded(whole.clone(), Role::Server, b"", &Config::default());
    for message in &messages {
        ws.feed(message.clone()).await.unwrap();
    }
    ws.flush().await.unwrap();

    for most in [1, 2, 3, 7, 4095, 4097] {
        let writes = (0..200_000 / most)
            .flat_map(|i| [Write::Take(most)].into_iter().chain((i % 3 == 0).then_some(Write::Pending)));
        let script = Script::new([], writes);
        let mut ws = WebSocket::from_upgraded(script.clone(), Role::Server, b"", &Config::default());
        at_once(async {
            for message in &messages {
                ws.feed(message.clone()).await.unwrap();
            }
            ws.flush().await.unwrap();
        })
        .await;
        assert_eq!(script.record().written, whole.record().written, "{most} bytes a write");
    }
}

/// 6455-5.4-06: fragments with control frames between them, cut everywhere, make one message.
#[tokio::test(start_paused = true)]
async fn fragments_are_joined() {
    for role in ROLES {
        for size in SIZES {
            let (mut ws, mut peer) = with_peer(role, size, &Config::default());
            at_once(async {
                let send = async {
                    peer.send(FIRST_TEXT, "grü".as_bytes()).await;
                    peer.send(PING, b"between").await;
                    peer.send(LAST_CONTINUATION, "ße".as_bytes()).await;
                    peer.send(BINARY, b"next").await;
                    assert_eq!(peer.frame().await, Some((PONG, b"between".to_vec())));
                };
                let receive = async {
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("grüße")));
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::binary("next")));
                    // The Pong may still be on its way.
                    ws.flush().await.unwrap();
                };
                tokio::join!(send, receive);
            })
            .await;
        }
    }
}

/// 6455-5.5.2-02: a Ping is answered by whichever call waits for input, without the application's help.
#[tokio::test(start_paused = true)]
async fn pings_are_answered() {
    for role in ROLES {
        for size in SIZES {
            let (mut ws, mut peer) = with_peer(role, size, &Config::default());
            let peer = async {
                for payload in [&b""[..], b"a", &[7; 125]] {
                    peer.send(PING, payload).await;
                    assert_eq!(peer.frame().await, Some((PONG, payload.to_vec())));
                }
                peer.send_close(1000, "").await;
                assert_eq!(peer.frame().await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
                drop(peer);
            };
            at_once(async {
                let (received, ()) = tokio::join!(ws.recv(), peer);
                assert_eq!(received.unwrap(), None);
            })
            .await;
        }
    }
}

/// A Pong is not held back while messages keep coming.
#[tokio::test(start_paused = true)]
async fn a_pong_leaves_with_the_next_message() {
    for role in ROLES {
        let bytes =
            [frame(role, PING, b"now"), frame(role, TEXT, b"one"), frame(role, TEXT, b"two")].concat();
        let script = Script::new([Read::Bytes(bytes)], []);
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default());
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
        let record = script.record();
        assert_eq!(crate::common::sent(role, &record.written), [(PONG, b"now".to_vec())]);
        assert_eq!(record.flushed, record.written.len());
    }
}

/// `recv_incoming` shows Pings, which have been answered, and Pongs; `recv` does not.
#[tokio::test(start_paused = true)]
async fn pings_and_pongs_are_seen() {
    for size in SIZES {
        let (mut client, mut server) = pair(size, &Config::default());
        at_once(async {
            let one = async {
                client.ping(b"ping").await.unwrap();
                client.pong(b"unasked").await.unwrap();
                client.send("text").await.unwrap();
                let pong = client.recv_incoming().await.unwrap();
                assert_eq!(pong, Some(Incoming::Pong(b"ping"[..].into())));
                client.close(CloseCode::NORMAL, "").await.unwrap();
            };
            let other = async {
                let mut seen = Vec::new();
                while let Some(incoming) = server.recv_incoming().await.unwrap() {
                    seen.push(incoming);
                }
                let ping = Incoming::Ping(b"ping"[..].into());
                let pong = Incoming::Pong(b"unasked"[..].into());
                assert_eq!(seen, [ping, pong, Incoming::Message("text".into())]);
                assert_eq!(server.recv_incoming().await.unwrap(), None);
            };
            tokio::join!(one, other);
        })
        .await;
    }
}

/// What may not be sent is refused, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn misuse_does_no_harm() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        let refused = |result: Result<(), Error>| match result {
            Err(Error::Send(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(ws.ping(&[0; 126]).await), SendError::ControlPayloadTooLong);
        assert_eq!(refused(ws.pong(&[0; 126]).await), SendError::ControlPayloadTooLong);
        let reason = "x".repeat(124);
        assert_eq!(refused(ws.close(CloseCode::NORMAL, &reason).await), SendError::CloseReasonTooLong);
        let code = CloseCode::ABNORMAL_CLOSURE;
        assert_eq!(refused(ws.close(code, "").await), SendError::InvalidCloseCode(code));
        ws.send("still here").await.unwrap();
        assert_eq!(peer.frame().await, Some((TEXT, b"still here".to_vec())));
    }
}

/// Bytes that were read with the end of the opening handshake are the first to be received.
#[tokio::test(start_paused = true)]
async fn read_ahead_comes_first() {
    for role in ROLES {
        let bytes =
            [frame(role, TEXT, b"first"), frame(role, BINARY, &[1; 5000]), frame(role, TEXT, b"third")];
        let bytes = bytes.concat();
        for cut in [1, 2, 6, 7, 20, bytes.len() - 1, bytes.len()] {
            let (near, far) = duplex(61);
            let mut ws = WebSocket::from_upgraded(near, role, &bytes[..cut], &Config::default());
            let mut peer = Peer::new(far, role);
            at_once(async {
                let receive = async {
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("first")));
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::binary(vec![1; 5000])));
                    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("third")));
                };
                tokio::join!(receive, peer.send_raw(&bytes[cut..]));
            })
            .await;
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
        let script = Script::new([Read::Bytes(pings), Read::Bytes(frame(role, TEXT, b"end"))], []).stalled();
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

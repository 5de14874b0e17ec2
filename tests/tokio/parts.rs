//! Messages received and sent part by part.

use sansocket::tokio::{Part, WebSocket};
use sansocket::{CloseCode, Config, Error, Message, MessageKind, Role, SendError};
use tokio::io::AsyncWriteExt;

use crate::common::{
    BINARY, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, announced,
    frame,
};
use crate::peer::{SIZES, at_once, pair, with_peer};
use crate::script::{Read, Script};

fn part(kind: MessageKind, first: bool, last: bool, payload: &[u8]) -> Part {
    Part::new(kind, first, last, payload.to_vec())
}

/// 6455-5.4-06: the parts of a message, joined, are the message, however it is cut and fragmented.
#[tokio::test(start_paused = true)]
async fn parts_make_the_message() {
    for role in ROLES {
        for size in SIZES {
            let (mut ws, mut peer) = with_peer(role, size, &Config::default());
            let payload: Vec<u8> = (0..3000u32).map(|i| i as u8).collect();
            let by_hand = async {
                peer.send(FIRST_BINARY, &payload[..1000]).await;
                peer.send(PING, b"!").await;
                peer.send(CONTINUATION, b"").await;
                peer.send(LAST_CONTINUATION, &payload[1000..]).await;
                peer.send(BINARY, b"").await;
                peer.send(TEXT, b"next").await;
                assert_eq!(peer.frame().await, Some((PONG, b"!".to_vec())));
            };
            let api = async {
                let mut joined = Vec::new();
                loop {
                    let part = ws.recv_part().await.unwrap().unwrap();
                    assert_eq!(part.kind, MessageKind::Binary);
                    assert_eq!(part.first, joined.is_empty());
                    joined.extend_from_slice(&part.payload);
                    if part.last {
                        break;
                    }
                }
                assert_eq!(joined, payload);
                let empty = part(MessageKind::Binary, true, true, b"");
                assert_eq!(ws.recv_part().await.unwrap(), Some(empty));
                assert_eq!(ws.recv().await.unwrap(), Some(Message::text("next")));
                ws.flush().await.unwrap();
            };
            at_once(async { tokio::join!(by_hand, api) }).await;
        }
    }
}

/// `recv` and `recv_part` within one message: what was joined is the first part, and what is left of a
/// message that was taken in parts is skipped; the connection knows its place all the time.
#[tokio::test(start_paused = true)]
async fn recv_and_recv_part_in_one_message() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        let text = MessageKind::Text;
        at_once(async {
            // `recv` has joined two fragments, and half of a frame, when parts are asked for.
            peer.send(FIRST_TEXT, b"ab").await;
            peer.send(CONTINUATION, b"cd").await;
            peer.send_raw(
                &frame(role, LAST_CONTINUATION, b"efgh")[..if role == Role::Server { 8 } else { 4 }],
            )
            .await;
            tokio::select! {
                biased;
                received = ws.recv() => panic!("{received:?}"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, true, false, b"abcdef")));
            peer.send_raw(
                &frame(role, LAST_CONTINUATION, b"efgh")[if role == Role::Server { 8 } else { 4 }..],
            )
            .await;
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, false, true, b"gh")));

            // Two parts are taken, one of them of an incomplete frame, and the rest is skipped.
            peer.send(FIRST_TEXT, b"one").await;
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, true, false, b"one")));
            let cut = if role == Role::Server { 8 } else { 4 };
            let rest = frame(role, CONTINUATION, b"two and more");
            peer.send_raw(&rest[..cut]).await;
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, false, false, b"tw")));
            peer.send_raw(&rest[cut..]).await;
            peer.send(PING, b"between").await;
            peer.send(LAST_CONTINUATION, b"end").await;
            peer.send(TEXT, b"whole").await;
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text("whole")));
            ws.flush().await.unwrap();
            assert_eq!(peer.frame().await, Some((PONG, b"between".to_vec())));

            // Skipped by `recv`, taken up again by `recv_part`.
            peer.send(FIRST_TEXT, b"one").await;
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, true, false, b"one")));
            peer.send(CONTINUATION, b"two").await;
            tokio::select! {
                biased;
                received = ws.recv() => panic!("{received:?}"),
                () = tokio::task::yield_now() => {}
            }
            peer.send(LAST_CONTINUATION, b"three").await;
            assert_eq!(ws.recv_part().await.unwrap(), Some(part(text, false, true, b"three")));
        })
        .await;
    }
}

/// A frame of 1 GiB arrives in parts, none of which is large: memory does not grow with the frame.
#[tokio::test(start_paused = true)]
async fn a_huge_frame_in_parts() {
    const GIB: u64 = 1 << 30;
    let config = Config::default().max_message_size(GIB).max_frame_size(GIB);
    let head = announced(Role::Client, BINARY, GIB);
    let script = Script::new([Read::Bytes(head)], []).flooding(vec![7; 64 << 10], std::time::Duration::ZERO);
    let mut ws = WebSocket::from_upgraded(script, Role::Client, b"", &config);
    let (mut len, mut largest) = (0, 0);
    while len < GIB {
        let part = ws.recv_part().await.unwrap().unwrap();
        largest = largest.max(part.payload.len());
        len += part.payload.len() as u64;
        assert_eq!(part.last, len == GIB);
    }
    assert!(largest <= 128 << 10, "a part of {largest} bytes");
}

/// Parts are sent as fragments, the first with the opcode, the last with FIN; text may be cut in a
/// code point; nothing else fits between.
#[tokio::test(start_paused = true)]
async fn feed_part_makes_fragments() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
        ws.feed_part(MessageKind::Text, "ü".as_bytes()[..1].to_vec(), false).await.unwrap();
        ws.ping(b"between").await.unwrap();
        let refused = ws.send("x").await;
        assert!(matches!(refused, Err(Error::Send(SendError::MessageInProgress))), "{refused:?}");
        let refused = ws.feed_part(MessageKind::Binary, &b""[..], true).await;
        assert!(matches!(refused, Err(Error::Send(SendError::MessageInProgress))), "{refused:?}");
        let refused = ws.feed_part(MessageKind::Text, &b"x"[..], true).await;
        assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))), "{refused:?}");
        ws.feed_part(MessageKind::Text, "ü".as_bytes()[1..].to_vec(), false).await.unwrap();
        ws.feed_part(MessageKind::Text, &b""[..], true).await.unwrap();
        ws.send("next").await.unwrap();
        assert_eq!(peer.frame().await, Some((FIRST_TEXT, b"\xc3".to_vec())));
        assert_eq!(peer.frame().await, Some((PING, b"between".to_vec())));
        assert_eq!(peer.frame().await, Some((CONTINUATION, b"\xbc".to_vec())));
        assert_eq!(peer.frame().await, Some((LAST_CONTINUATION, vec![])));
        assert_eq!(peer.frame().await, Some((TEXT, b"next".to_vec())));
    }
}

/// What is written to a `MessageWriter` is one message; an unfinished one can be gone on with; one that
/// was shut down takes nothing more.
#[tokio::test(start_paused = true)]
async fn message_writer() {
    for size in SIZES {
        let (mut client, mut server) = pair(size, &Config::default().write_buffer_size(1000));
        let payload: Vec<u8> = (0..20_000u32).map(|i| i as u8).collect();
        let sending = async {
            let mut writer = client.message_writer(MessageKind::Binary);
            for chunk in payload.chunks(777) {
                writer.write_all(chunk).await.unwrap();
            }
            writer.shutdown().await.unwrap();
            writer.shutdown().await.unwrap();
            writer.write_all(b"more").await.unwrap_err();

            let mut writer = client.message_writer(MessageKind::Text);
            writer.write_all(b"unfin").await.unwrap();
            writer.flush().await.unwrap();
            assert!(matches!(client.send("x").await, Err(Error::Send(SendError::MessageInProgress))));
            client.feed_part(MessageKind::Text, &b"ished"[..], true).await.unwrap();
            client.close(CloseCode::NORMAL, "").await.unwrap();
        };
        let receiving = async {
            assert_eq!(server.recv().await.unwrap(), Some(Message::binary(payload.clone())));
            assert_eq!(server.recv().await.unwrap(), Some(Message::text("unfinished")));
            assert_eq!(server.recv().await.unwrap(), None);
        };
        at_once(async { tokio::join!(sending, receiving) }).await;
    }
}

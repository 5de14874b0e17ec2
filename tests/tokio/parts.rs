//! Messages received and sent part by part.

use std::time::Duration;

use sansocket::tokio::Part;
use sansocket::{CloseCode, Config, Error, Message, MessageKind, Role, SendError};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::common::{CONTINUATION, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, frame};
use crate::peer::{SIZES, at_once, pair, with_peer};

fn part(kind: MessageKind, first: bool, last: bool, payload: &[u8]) -> Part {
    Part::new(kind, first, last, payload.to_vec())
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

/// Text that cannot be valid is refused by the write, and is in nobody's way: what is sent next goes through. What is only cut
/// is refused where it ends.
#[tokio::test(start_paused = true)]
async fn text_that_is_not_valid() {
    for (pieces, cut) in [
        (&[&b"ab"[..], b"\xff"][..], false),
        (&[b"\xe2\x82", b"\xff"], false),
        (&[b"\xff"], false),
        (&[b"ab", b"\xe2"], true),
    ] {
        let (mut ws, mut peer) = with_peer(Role::Server, 4096, &Config::default());
        let mut writer = ws.message_writer(MessageKind::Text);
        let (last, before) = pieces.split_last().unwrap();
        for piece in before {
            writer.write_all(piece).await.unwrap();
        }
        let mut refused = writer.write_all(last).await;
        if cut {
            refused.unwrap();
            refused = writer.shutdown().await;
        }
        assert!(refused.unwrap_err().to_string().contains("UTF-8"));
        ws.ping(b"?").await.unwrap();
        at_once(async { while peer.frame().await.unwrap().0 != PING {} }).await;
        ws.start_close(None).unwrap();
    }
    // Nor is a message of another kind.
    let (mut ws, _peer) = with_peer(Role::Server, 4096, &Config::default());
    ws.feed_part(MessageKind::Binary, &b"ab"[..], false).await.unwrap();
    ws.message_writer(MessageKind::Text).write_all(b"cd").await.unwrap_err();
    ws.ping(b"?").await.unwrap();
}

/// Writers that are shut down, and not waited for: each waits for room, and queues nothing before. One that may send nothing
/// is told at once.
#[tokio::test(start_paused = true)]
async fn writers_that_are_given_up() {
    let (mut ws, _peer) = with_peer(Role::Client, 100, &Config::default().write_buffer_size(1000));
    for _ in 0..10 {
        let mut writer = ws.message_writer(MessageKind::Binary);
        let shut_down = async {
            writer.write_all(&[7; 16 << 10]).await.unwrap();
            writer.shutdown().await
        };
        timeout(Duration::from_millis(10), shut_down).await.unwrap_err();
        assert!(ws.queued().bytes <= 17 << 10, "{:?}", ws.queued());
    }
    ws.start_close(None).unwrap();
    let error = at_once(ws.message_writer(MessageKind::Binary).shutdown()).await.unwrap_err();
    assert!(error.to_string().contains("a Close frame was sent"), "{error}");
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
            writer.write_all(b"un").await.unwrap();
            writer.flush().await.unwrap();
            // What is not flushed is part of it, too.
            writer.write_all(b"fin").await.unwrap();
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

//! Others have their turn while a large message is compressed, or inflated: other tasks, and the other half.

use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::adapters::{PLAIN, blocking_server, opening, tokio_server};
use crate::common::{self, BINARY, CLOSE, FIRST_BINARY, LAST_CONTINUATION, PING, PONG, TEXT, close_payload};
use crate::endpoint::{Endpoint, Foreign, RSV1, always, frames, plain};
use sansocket::reconnect::{Event, Policy};
use sansocket::tokio::{WebSocket, reconnect_with};
use sansocket::{
    Config, EndpointEvent, Error, Message, MessageKind, PreparedMessage, Role, SendError, Server,
};

/// So much is large.
const LARGE: usize = 16 << 20;

/// How often others have their turn, at least, while so many bytes are compressed or inflated.
const TURNS: usize = LARGE / (512 << 10);

/// How often another task of the same thread has its turn while `work` is done.
async fn turns_during<T>(work: impl Future<Output = T>) -> (usize, T) {
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    let before = turns.load(Ordering::Relaxed);
    let done = work.await;
    let turns = turns.load(Ordering::Relaxed) - before;
    other.abort();
    (turns, done)
}

/// A server, and its client's end of the stream, behind the response.
async fn server() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (ws, mut peer) = tokio_server(always(), PLAIN, b"").await;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(peer.read_u8().await.unwrap());
    }
    (ws, peer)
}

/// The frames that come until the server's end of the stream is dropped.
async fn rest(mut peer: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn client() -> Endpoint {
    Endpoint::new(Role::Client, &Config::default(), &always(), plain())
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    common::frame(Role::Server, first, payload)
}

/// What comes to be inflated, each to be received whole: a large message; one of nothing but final blocks behind a full
/// window; one of empty blocks; and many that come together.
fn inflated() -> Vec<(&'static str, Vec<u8>, Vec<usize>)> {
    let zeros = Foreign::new(9).message(&vec![0; LARGE]);
    let mut finals = Foreign::new(9).sync(&vec![1; 40_000]);
    finals.extend_from_slice(&b"\x03\x00".repeat(LARGE / 256));
    let mut empties = b"\x00\x00\x00\xff\xff".repeat(LARGE / 5);
    empties.truncate(empties.len() - 4);
    let mut small = Foreign::new(9);
    let many = (0..LARGE / 100_000).flat_map(|_| frame(BINARY | RSV1, &small.message(&vec![0; 100_000])));
    vec![
        ("large", frame(BINARY | RSV1, &zeros), vec![LARGE]),
        ("final blocks", frame(BINARY | RSV1, &finals), vec![40_000]),
        ("empty blocks", frame(BINARY | RSV1, &empties), vec![0]),
        ("many", many.collect(), vec![100_000; LARGE / 100_000]),
    ]
}

/// What takes long to inflate is inflated in many polls, whether it comes to much, to little, or to many messages.
#[tokio::test]
async fn other_tasks_run_while_it_is_inflated() {
    for (what, bytes, sizes) in inflated() {
        for parts in [false, true] {
            let (mut ws, mut peer) = server().await;
            let writing = tokio::spawn({
                let bytes = bytes.clone();
                async move {
                    peer.write_all(&bytes).await.unwrap();
                    peer
                }
            });
            let (turns, received) = turns_during(async {
                let mut received = Vec::new();
                for _ in &sizes {
                    if !parts {
                        received.push(ws.recv().await.unwrap().unwrap().len());
                        continue;
                    }
                    let mut len = 0;
                    loop {
                        let part = ws.recv_part().await.unwrap().unwrap();
                        len += part.payload.len();
                        if part.last {
                            break;
                        }
                    }
                    received.push(len);
                }
                received
            })
            .await;
            assert_eq!(received, sizes, "{what}, in parts: {parts}");
            assert!(turns >= TURNS, "{what}, in parts: {parts}: {turns} turns");
            drop(writing.await.unwrap());
        }
    }
}

/// Whatever is dropped and called again between two turns, nothing is lost: each `recv` is polled once.
#[tokio::test]
async fn a_receive_that_is_dropped_goes_on_later() {
    for (what, bytes, sizes) in inflated() {
        let (mut ws, mut peer) = server().await;
        let writing = async move {
            peer.write_all(&bytes).await.unwrap();
            peer
        };
        let receiving = async {
            let (mut received, mut dropped) = (Vec::new(), 0);
            while received.len() < sizes.len() {
                let mut cx = Context::from_waker(Waker::noop());
                let poll = pin!(ws.recv()).poll(&mut cx);
                match poll {
                    Poll::Ready(message) => received.push(message.unwrap().unwrap().len()),
                    Poll::Pending => dropped += 1,
                }
                tokio::task::yield_now().await;
            }
            (received, dropped)
        };
        let (_peer, (received, dropped)) = tokio::join!(writing, receiving);
        assert_eq!(received, sizes, "{what}");
        assert!(dropped >= TURNS, "{what}: {dropped}");
    }
}

/// A message that is asked for whole, and half-way in parts, comes from its beginning.
#[tokio::test]
async fn parts_are_asked_for_half_way() {
    let message = Message::binary(common::pseudo_random(1, 1000).repeat(LARGE / 1000));
    let mut client = client();
    client.send(&message);
    let (mut ws, mut peer) = server().await;
    peer.write_all(&client.take_out()).await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(pin!(ws.recv()).poll(&mut cx).is_pending());
    }
    let mut joined = Vec::new();
    loop {
        let part = ws.recv_part().await.unwrap().unwrap();
        assert_eq!(part.first, joined.is_empty());
        joined.extend_from_slice(&part.payload);
        if part.last {
            break;
        }
    }
    assert!(message.payload() == joined);
}

/// A program with an event loop of its own has its turn, and is told that more is due at once.
#[test]
fn an_event_loop_goes_round_while_it_is_inflated() {
    for (what, bytes, sizes) in inflated() {
        let now = Instant::now();
        let server = Server::default().config(Config::default().deflate(always()));
        let mut endpoint = sansocket::Endpoint::server(&server, now);
        let input = [opening(PLAIN, b""), bytes].concat();
        let mut input = Input(&input);
        let (mut rounds, mut received) = (0, Vec::new());
        while received.len() < sizes.len() {
            assert!(endpoint.due().is_some_and(|due| due <= now), "{what}");
            endpoint.read_from(&mut input, now);
            while let Some(event) = endpoint.next_event().unwrap() {
                match event {
                    EndpointEvent::Request => endpoint.accept(now),
                    EndpointEvent::Message(message) => received.push(message.len()),
                    _ => {}
                }
            }
            endpoint.write_to(&mut std::io::sink(), now);
            rounds += 1;
        }
        assert_eq!(received, sizes, "{what}");
        assert!(rounds >= TURNS, "{what}: {rounds} rounds");
    }
}

/// Waits when it has given all.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match Read::read(&mut self.0, buf)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

fn large() -> Message {
    Message::binary(vec![7; LARGE])
}

/// Sends something large in each way that there is, and that comes to be `messages`, `$what`; `$send` is given the
/// WebSocket.
async fn is_sent_in_turns(
    what: &str,
    messages: Vec<Message>,
    send: impl AsyncFnOnce(&mut WebSocket<DuplexStream>),
) {
    let (mut ws, peer) = server().await;
    let reading = tokio::spawn(rest(peer));
    let (turns, ()) = turns_during(async {
        send(&mut ws).await;
        ws.flush().await.unwrap();
    })
    .await;
    drop(ws);
    assert!(client().messages(&reading.await.unwrap()) == messages, "{what}");
    assert!(turns >= TURNS, "{what}: {turns} turns");
}

/// What takes long to compress is compressed in many polls, however it is sent.
#[tokio::test]
async fn other_tasks_run_while_it_is_compressed() {
    is_sent_in_turns("send", vec![large()], async |ws| ws.send(large()).await.unwrap()).await;
    is_sent_in_turns("prepared", vec![large()], async |ws| {
        ws.send(&PreparedMessage::new(large())).await.unwrap();
    })
    .await;
    is_sent_in_turns("feed", vec![large()], async |ws| ws.feed(large()).await.unwrap()).await;
    is_sent_in_turns("feed_part", vec![large()], async |ws| {
        let payload = large().into_payload();
        let (front, back) = payload.split_at(LARGE / 3);
        ws.feed_part(MessageKind::Binary, front.to_vec(), false).await.unwrap();
        ws.feed_part(MessageKind::Binary, back.to_vec(), true).await.unwrap();
    })
    .await;
    is_sent_in_turns("sink", vec![large(), large()], async |ws| {
        SinkExt::feed(ws, large()).await.unwrap();
        SinkExt::send(ws, large()).await.unwrap();
    })
    .await;
    is_sent_in_turns("writer", vec![large()], async |ws| {
        let mut writer = ws.message_writer(MessageKind::Binary);
        for piece in large().payload().chunks(100_000) {
            writer.write_all(piece).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    })
    .await;
    let small = vec![Message::binary(vec![7; 60_000]); LARGE / 60_000];
    is_sent_in_turns("many", small.clone(), async |ws| {
        for message in small {
            ws.feed(message).await.unwrap();
        }
    })
    .await;
}

/// Sending polled once: it has begun.
fn begin<F: Future<Output = Result<(), Error>>>(sending: F) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(sending).poll(&mut cx).is_pending());
}

/// A call that is dropped while it compresses has sent nothing, and those that follow are compressed with a window that
/// the peer's is in step with.
#[tokio::test]
async fn what_is_dropped_half_way_is_not_sent() {
    let (mut ws, peer) = server().await;
    let reading = tokio::spawn(rest(peer));
    let text = || Message::text("Jack and Jill, Jack and Jill. ".repeat(10_000));
    for _ in 0..3 {
        ws.send(text()).await.unwrap();
        begin(ws.send(large()));
        begin(ws.feed(large()));
        ws.feed("small, small, small").await.unwrap();
        begin(ws.feed_part(MessageKind::Text, "Jack ".repeat(100_000), true));
        ws.feed_part(MessageKind::Text, "Jack and ", false).await.unwrap();
        begin(ws.feed_part(MessageKind::Text, "Jill ".repeat(100_000), true));
        ws.feed_part(MessageKind::Text, "Jack and Jill. ".repeat(10_000), false).await.unwrap();
        ws.feed_part(MessageKind::Text, "Jill", true).await.unwrap();
    }
    drop({
        ws.flush().await.unwrap();
        ws
    });
    let joined = Message::text(format!("Jack and {}Jill", "Jack and Jill. ".repeat(10_000)));
    let each = [text(), Message::text("small, small, small"), joined];
    assert!(client().messages(&reading.await.unwrap()) == [&each[..]; 3].concat());
}

/// The receiving half answers while the other compresses, and what is refused in the end was not sent.
#[tokio::test]
async fn the_other_half_answers_while_it_is_compressed() {
    for close in [false, true] {
        let (ws, mut peer) = server().await;
        let (mut sender, mut receiver) = ws.split();
        sender.send("small").await.unwrap();
        peer.write_all(&frame(PING, b"alive?")).await.unwrap();
        if close {
            peer.write_all(&frame(CLOSE, &close_payload(1000, ""))).await.unwrap();
        }
        let receiving = tokio::spawn(async move {
            assert_eq!(receiver.recv().await.unwrap(), None);
            receiver
        });
        let sent = sender.send(large()).await;
        assert_eq!(matches!(sent, Err(Error::Send(SendError::Closing))), close, "{sent:?}");
        if !close {
            peer.write_all(&frame(CLOSE, &close_payload(1000, ""))).await.unwrap();
        }
        let receiver = receiving.await.unwrap();
        drop((sender, receiver));
        let firsts: Vec<_> =
            frames(Role::Server, &rest(peer).await).iter().map(|(first, _)| *first).collect();
        let expected: &[u8] = if close { &[PONG, CLOSE] } else { &[PONG, BINARY | RSV1, CLOSE] };
        assert_eq!(firsts, [&[TEXT | RSV1], expected].concat());
    }
}

/// What was given to a sink, and is still to be compressed, goes before whatever is sent next, and is not lost if that
/// is a Close frame.
#[tokio::test]
async fn what_a_sink_was_given_goes_first() {
    let next: [(&str, u8); 5] = [
        ("send", TEXT | RSV1),
        ("try_feed", TEXT | RSV1),
        ("ping", PING),
        ("close", CLOSE),
        ("part", FIRST_BINARY | RSV1),
    ];
    for (next, first) in next {
        let (mut ws, peer) = server().await;
        let reading = tokio::spawn(rest(peer));
        SinkExt::feed(&mut ws, large()).await.unwrap();
        match next {
            "send" => ws.send("next, next").await.unwrap(),
            "try_feed" => assert!(ws.try_feed("next, next").unwrap()),
            "ping" => ws.ping(b"").await.unwrap(),
            "part" => ws.feed_part(MessageKind::Binary, vec![1; 10_000], false).await.unwrap(),
            _ => ws.start_close(None).unwrap(),
        }
        ws.flush().await.unwrap();
        drop(ws);
        let sent = frames(Role::Server, &reading.await.unwrap());
        let firsts: Vec<_> = sent.iter().map(|(first, _)| *first).collect();
        assert_eq!(firsts, [BINARY | RSV1, first], "{next}");
    }
}

/// `try_feed` does not wait: a large message is compressed at once, and not at all where there is no room for it.
#[tokio::test]
async fn what_does_not_wait_is_compressed_at_once() {
    let (mut ws, peer) = server().await;
    let reading = tokio::spawn(rest(peer));
    assert!(ws.try_feed(large()).unwrap());
    assert_eq!(ws.queued().messages, 1);
    let noise = Message::binary(common::pseudo_random(1, 100_000));
    assert!(ws.try_feed(noise.clone()).unwrap());
    assert!(!ws.try_feed(large()).unwrap());
    assert!(!ws.try_feed(&PreparedMessage::new(large())).unwrap());
    assert_eq!(ws.queued().messages, 2);
    ws.flush().await.unwrap();
    drop(ws);
    assert!(client().messages(&reading.await.unwrap()) == [large(), noise]);
}

/// Text that a fragment makes invalid is refused, and leaves the message as it was.
#[tokio::test]
async fn invalid_text_is_refused_when_it_is_compressed() {
    let (mut ws, peer) = server().await;
    let reading = tokio::spawn(rest(peer));
    let line = "a line, and a line, and a line; ".repeat(1000);
    ws.feed_part(MessageKind::Text, line.clone(), false).await.unwrap();
    let invalid = [line.as_bytes(), b"\xff"].concat();
    let refused = ws.feed_part(MessageKind::Text, invalid, true).await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))), "{refused:?}");
    let refused = ws.send(large()).await;
    assert!(matches!(refused, Err(Error::Send(SendError::MessageInProgress))), "{refused:?}");
    ws.feed_part(MessageKind::Text, line.clone(), true).await.unwrap();
    ws.flush().await.unwrap();
    drop(ws);
    let sent = reading.await.unwrap();
    let firsts: Vec<_> = frames(Role::Server, &sent).iter().map(|(first, _)| *first).collect();
    assert_eq!(firsts, [TEXT & !0x80 | RSV1, LAST_CONTINUATION]);
    assert!(client().messages(&sent) == [Message::text(line.repeat(2))]);
}

/// A thread that receives answers while the other compresses.
#[test]
fn the_other_thread_answers_while_it_is_compressed() {
    let (ws, mut peer) = blocking_server(always(), PLAIN, b"");
    let mut byte = [0];
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        peer.read_exact(&mut byte).unwrap();
        response.push(byte[0]);
    }
    let (mut sender, mut receiver) = ws.split().unwrap();
    let receiving = std::thread::spawn(move || receiver.recv());
    // Hard to compress, so that it takes long.
    let message = Message::binary(common::pseudo_random(1, 30_000).repeat(1000));
    let (begin, begun) = std::sync::mpsc::channel();
    let sending = std::thread::spawn(move || {
        begin.send(()).unwrap();
        sender.send(message)
    });
    begun.recv().unwrap();
    for i in 0..20 {
        peer.write_all(&frame(PING, b"")).unwrap();
        let mut pong = [0; 2];
        peer.read_exact(&mut pong).unwrap();
        assert_eq!(pong, [PONG, 0], "after {i} Pongs");
    }
    let mut reading = peer.try_clone().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
    sending.join().unwrap().unwrap();
    peer.write_all(&frame(CLOSE, b"")).unwrap();
    assert_eq!(receiving.join().unwrap().unwrap(), None);
    reading.join().unwrap().unwrap();
}

/// What was still to be compressed when the connection was lost is counted if it is a message, or the end of one.
#[tokio::test]
async fn what_was_not_compressed_is_told() {
    for (is_whole, messages) in [(true, 1), (false, 0)] {
        let (ws, peer) = server().await;
        let mut ws = Some(ws);
        let mut client = reconnect_with(&Policy::default(), move |_| {
            let ws = ws.take();
            async { ws.ok_or_else(|| Error::Connect(ErrorKind::ConnectionRefused.into())) }
        });
        assert!(matches!(client.recv_event().await, Ok(Some(Event::Open))));
        let ws = client.current().unwrap();
        if is_whole {
            SinkExt::feed(ws, large()).await.unwrap();
        } else {
            ws.message_writer(MessageKind::Binary).write_all(large().payload()).await.unwrap();
        }
        drop(peer);
        let Ok(Some(Event::Lost(lost))) = client.recv_event().await else { panic!("{messages}") };
        assert_eq!(lost.unwritten().messages, messages, "{lost}");
    }
}

/// Text that cannot be valid is refused before it is compressed: what is sent next does not fail in its place.
#[tokio::test]
async fn text_that_is_not_valid() {
    let (mut ws, _peer) = server().await;
    let text = ["a".repeat(100_000).as_bytes(), b"\xff"].concat();
    let error = ws.message_writer(MessageKind::Text).write_all(&text).await.unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
    ws.ping(b"?").await.unwrap();
    ws.send("valid").await.unwrap();
}

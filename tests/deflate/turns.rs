//! Others have their turn while a large message is inflated.

use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::adapters::{PLAIN, opening, tokio_server};
use crate::common::{self, BINARY};
use crate::endpoint::{Endpoint, Foreign, RSV1, always, plain};
use sansocket::tokio::WebSocket;
use sansocket::{Config, EndpointEvent, Message, Role, Server};

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
    let empties = b"\x00\x00\x00\xff\xff".repeat(LARGE / 5);
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
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

//! Futures that are dropped after any number of polls: nothing is lost, duplicated or reordered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use sansocket::handshake::ResponseError;
use sansocket::tokio::{
    ClientStream, Incoming, WebSocket, WebSocketReceiver, WebSocketSender, accept, connect_over,
};
use sansocket::{CloseCode, Config, Error, Message, MessageKind};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use crate::common::{
    BINARY, CLOSE, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, Sent, TEXT,
    close_payload, frame,
};
use crate::peer::{Peer, at_once, with_peer};

type Ws = WebSocket<DuplexStream>;
type Sender = WebSocketSender<DuplexStream>;
type Receiver = WebSocketReceiver<DuplexStream>;

/// The sizes of pipes that make many polls of a call, and few.
const SIZES: [usize; 4] = [1, 2, 7, 61];

/// Polls `future` at most `polls` times, and drops it.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Repeats a call, dropping its future after `polls` polls, until it returns. Between two attempts
/// others have their turn.
macro_rules! until_ready {
    ($polls:expr, $call:expr) => {
        loop {
            if let Some(output) = polled($polls, $call).await {
                break output;
            }
            tokio::task::yield_now().await;
        }
    };
}

/// Counts how often it wakes.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A WebSocket that goes from task to task, and back: whoever waits last is woken, whatever was received by whom.
#[tokio::test]
async fn the_last_task_that_waits_is_woken() {
    let texts = ["one", "two", "three", "four"];
    for role in ROLES {
        for receivers in [[0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]] {
            for pinged in 0..=texts.len() {
                let tasks = [Arc::<Woken>::default(), Arc::default()];
                let (mut ws, mut peer) = with_peer(role, 4096, &Config::default());
                let mut poll = |task: usize| {
                    let waker = Waker::from(tasks[task].clone());
                    pin!(ws.recv()).poll(&mut Context::from_waker(&waker)).map(|received| received.unwrap())
                };
                let (last, before) = receivers.split_last().unwrap();
                let mut together = Vec::new();
                for (at, text) in texts.iter().enumerate().take(before.len()) {
                    if at == pinged {
                        together.extend_from_slice(&frame(role, PING, b""));
                    }
                    together.extend_from_slice(&frame(role, TEXT, text.as_bytes()));
                }
                peer.send_raw(&together).await;
                for (text, task) in texts.iter().zip(before) {
                    assert_eq!(poll(*task), Poll::Ready(Some((*text).into())));
                }
                assert_eq!(poll(*last), Poll::Pending);
                let woken = tasks[*last].0.load(Ordering::Relaxed);
                peer.send(TEXT, b"last").await;
                assert!(tasks[*last].0.load(Ordering::Relaxed) > woken, "{receivers:?}, {pinged}");
                assert_eq!(poll(*last), Poll::Ready(Some("last".into())));
            }
        }
    }
}

/// What a conversation comes to, by whichever call it is received.
#[derive(Debug, PartialEq)]
enum Seen {
    Message(Message),
    Part(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// A call that receives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Recv,
    RecvPart,
    RecvIncoming,
}

/// The three receiving calls, of the whole or of a half.
macro_rules! receive {
    ($ws:expr, $by:expr) => {
        async {
            match $by {
                By::Recv => $ws.recv().await.map(|message| message.map(Seen::Message)),
                By::RecvPart => {
                    let part = $ws.recv_part().await;
                    part.map(|part| part.map(|part| Seen::Part(part.payload.to_vec(), part.last)))
                }
                By::RecvIncoming => $ws.recv_incoming().await.map(|incoming| {
                    incoming.map(|incoming| match incoming {
                        Incoming::Message(message) => Seen::Message(message),
                        Incoming::Ping(payload) => Seen::Ping(payload.to_vec()),
                        Incoming::Pong(payload) => Seen::Pong(payload.to_vec()),
                        other => panic!("{other:?}"),
                    })
                }),
            }
        }
    };
}

/// Three messages, one of them in fragments, with Pings and a Pong between; then Close.
async fn speak(peer: &mut Peer<DuplexStream>) {
    peer.send(TEXT, b"one").await;
    peer.send(PING, b"first").await;
    peer.send(FIRST_TEXT, b"tw").await;
    peer.send(PONG, b"unasked").await;
    peer.send(PING, b"second").await;
    peer.send(CONTINUATION, b"").await;
    peer.send(LAST_CONTINUATION, b"o").await;
    peer.send(BINARY, &[3; 150]).await;
    peer.send_close(1000, "end").await;
}

/// What `speak` is answered with.
fn answers() -> Vec<Sent> {
    let pong = |payload: &[u8]| (PONG, payload.to_vec());
    vec![pong(b"first"), pong(b"second"), (CLOSE, close_payload(1000, ""))]
}

/// What is received of `speak`.
#[track_caller]
fn check(by: By, seen: Vec<Seen>) {
    let messages = [Message::text("one"), Message::text("two"), Message::binary([3; 150].to_vec())];
    match by {
        By::Recv => assert_eq!(seen, messages.map(Seen::Message)),
        By::RecvIncoming => {
            let [one, two, three] = messages.map(Seen::Message);
            let ping = |payload: &[u8]| Seen::Ping(payload.to_vec());
            let pong = Seen::Pong(b"unasked".to_vec());
            assert_eq!(seen, [one, ping(b"first"), pong, ping(b"second"), two, three]);
        }
        By::RecvPart => {
            let mut joined = vec![Vec::new()];
            for part in seen {
                let Seen::Part(payload, last) = part else { panic!("{part:?}") };
                joined.last_mut().unwrap().extend(payload);
                if last {
                    joined.push(Vec::new());
                }
            }
            let expected = messages.iter().map(Message::payload).chain([&b""[..]]);
            assert!(joined.iter().map(Vec::as_slice).eq(expected), "{joined:?}");
        }
    }
}

/// The peer's side: speaks and listens at once, and closes as its role demands.
async fn converse(peer: Peer<DuplexStream>, role: sansocket::Role) -> Vec<Sent> {
    let (near, far) = tokio::io::split(peer.io);
    let mut speaker = Peer::new(tokio::io::join(tokio::io::empty(), far), role);
    let mut listener = Peer::new(tokio::io::join(near, tokio::io::sink()), role);
    let speaking = async {
        // `speak`, through the half that writes.
        let (pipe, mut copy) = duplex(1 << 16);
        let mut script = Peer::new(pipe, role);
        speak(&mut script).await;
        drop(script);
        tokio::io::copy(&mut copy, &mut speaker.io).await.unwrap();
    };
    let listening = async {
        let mut frames = Vec::new();
        while frames.last().is_none_or(|(first, _)| *first != CLOSE) {
            frames.push(listener.frame().await.unwrap());
        }
        frames
    };
    let ((), frames) = tokio::join!(speaking, listening);
    // Both halves are dropped here: the transport ends.
    frames
}

/// Each receiving call, whole, dropped after every number of polls.
#[tokio::test(start_paused = true)]
async fn receiving() {
    for role in ROLES {
        for by in [By::Recv, By::RecvPart, By::RecvIncoming] {
            for size in SIZES {
                for polls in 1..=64 {
                    let (mut ws, peer) = with_peer(role, size, &Config::default());
                    let api = async {
                        let mut seen = Vec::new();
                        while let Some(next) = until_ready!(polls, receive!(ws, by)).unwrap() {
                            seen.push(next);
                        }
                        assert!(ws.closed().unwrap().clean);
                        seen
                    };
                    let (frames, seen) = at_once(async { tokio::join!(converse(peer, role), api) }).await;
                    assert_eq!(frames, answers(), "{by:?}, {size}, {polls}");
                    check(by, seen);
                }
            }
        }
    }
}

/// The same on the receiving half, while the sending half is kept, or dropped.
#[tokio::test(start_paused = true)]
async fn receiving_by_half() {
    for role in ROLES {
        for by in [By::Recv, By::RecvPart, By::RecvIncoming] {
            for size in [1, 7] {
                for polls in 1..=64 {
                    let (ws, peer) = with_peer(role, size, &Config::default());
                    let (sender, mut receiver): (Sender, Receiver) = ws.split();
                    let kept = (polls % 2 == 0).then_some(sender);
                    let api = async {
                        let mut seen = Vec::new();
                        while let Some(next) = until_ready!(polls, receive!(receiver, by)).unwrap() {
                            seen.push(next);
                        }
                        assert!(receiver.closed().unwrap().clean);
                        seen
                    };
                    let (frames, seen) = at_once(async { tokio::join!(converse(peer, role), api) }).await;
                    assert_eq!(frames, answers(), "{by:?}, {size}, {polls}");
                    check(by, seen);
                    drop(kept);
                }
            }
        }
    }
}

/// Reads what the sending calls wrote, and completes the closing handshake.
async fn listen(peer: &mut Peer<DuplexStream>) -> Vec<Sent> {
    let mut frames = Vec::new();
    loop {
        let frame = peer.frame().await.unwrap();
        if frame.0 == CLOSE {
            peer.send(CLOSE, &frame.1).await;
            return frames;
        }
        frames.push(frame);
    }
}

/// The sending calls, dropped after `$polls` polls and made again until they return. `send` and `ping`
/// are made once: each is then sent whole, or not at all.
macro_rules! send_three {
    ($ws:expr, $polls:expr) => {{
        let mut certain = Vec::new();
        for i in 0..3u8 {
            // Not queued by a call that was dropped; so it is in the end queued once.
            until_ready!($polls, $ws.feed(vec![i; 40])).unwrap();
            let sent = polled($polls, $ws.send(vec![10 + i; 40])).await.transpose().unwrap().is_some();
            certain.push(((BINARY, vec![10 + i; 40]), sent));
            let sent = polled($polls, $ws.ping(&[20 + i])).await.transpose().unwrap().is_some();
            certain.push(((PING, vec![20 + i]), sent));
            tokio::task::yield_now().await;
        }
        until_ready!($polls, $ws.flush()).unwrap();
        until_ready!($polls, $ws.close(CloseCode::NORMAL, "")).unwrap();
        certain
    }};
}

/// Fed messages came once each; those sent by a call that returned, too; the others once or never.
/// All in order, and whole.
#[track_caller]
fn check_sent(frames: &[Sent], certain: &[(Sent, bool)], how: &str) {
    let fed: Vec<_> = frames.iter().filter(|(_, payload)| payload.len() == 40 && payload[0] < 10).collect();
    assert_eq!(fed, (0..3u8).map(|i| (BINARY, vec![i; 40])).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    let order = |frame: &Sent| (frame.1[0] % 10, frame.1[0] / 10);
    assert!(frames.is_sorted_by_key(order), "{how}: {frames:?}");
    for (frame, sent) in certain {
        let times = frames.iter().filter(|other| *other == frame).count();
        assert!(times == 1 || times == 0 && !sent, "{how}: {frame:?} came {times} times, {sent}");
    }
    assert!(
        frames.iter().all(|frame| fed.contains(&frame) || certain.iter().any(|(other, _)| other == frame))
    );
}

/// Each sending call, whole and by half, dropped after every number of polls.
#[tokio::test(start_paused = true)]
async fn sending() {
    for role in ROLES {
        for size in SIZES {
            for write_buffer_size in [1, 50, 65_536] {
                for polls in 1..=64 {
                    let how = format!("{role:?}, {size}, {write_buffer_size}, {polls}");
                    let config = Config::default().write_buffer_size(write_buffer_size);
                    let (mut ws, mut peer) = with_peer(role, size, &config);
                    let by_hand = async {
                        let frames = listen(&mut peer).await;
                        drop(peer);
                        frames
                    };
                    let api = async { send_three!(ws, polls) };
                    let (frames, certain) = at_once(async { tokio::join!(by_hand, api) }).await;
                    check_sent(&frames, &certain, &how);
                    assert!(ws.closed().unwrap().clean, "{how}");

                    let (ws, mut peer) = with_peer(role, size, &config);
                    let (mut sender, mut receiver) = ws.split();
                    let by_hand = async {
                        let frames = listen(&mut peer).await;
                        drop(peer);
                        frames
                    };
                    let api = async {
                        // With the receiving half at work, idle, or dropped.
                        if polls % 3 == 0 {
                            let (certain, received) =
                                tokio::join!(async { send_three!(sender, polls) }, receiver.recv());
                            assert_eq!(received.unwrap(), None);
                            certain
                        } else if polls % 3 == 1 {
                            let certain = send_three!(sender, polls);
                            assert_eq!(receiver.recv().await.unwrap(), None);
                            certain
                        } else {
                            drop(receiver);
                            send_three!(sender, polls)
                        }
                    };
                    let (frames, certain) = at_once(async { tokio::join!(by_hand, api) }).await;
                    check_sent(&frames, &certain, &how);
                }
            }
        }
    }
}

/// The parts of a message, and a Pong after each.
macro_rules! send_parts {
    ($ws:expr, $polls:expr) => {{
        let mut certain = Vec::new();
        for i in 0..3u8 {
            until_ready!($polls, $ws.feed_part(MessageKind::Binary, vec![i; 40], i == 2)).unwrap();
            let sent = polled($polls, $ws.pong(&[20 + i])).await.transpose().unwrap().is_some();
            certain.push(((PONG, vec![20 + i]), sent));
            tokio::task::yield_now().await;
        }
        until_ready!($polls, $ws.flush()).unwrap();
        until_ready!($polls, $ws.close(CloseCode::NORMAL, "")).unwrap();
        certain
    }};
}

/// A message in parts, and Pongs between them, by calls that are dropped after every number of polls: each
/// part once, whole and in order; each Pong once, or not at all if its call did not return.
#[tokio::test(start_paused = true)]
async fn sending_in_parts() {
    for role in ROLES {
        for size in SIZES {
            for polls in 1..=64 {
                for split in [false, true] {
                    let how = format!("{role:?}, {size}, {polls}, {split}");
                    let config = Config::default().write_buffer_size(50);
                    let (mut ws, mut peer) = with_peer(role, size, &config);
                    let by_hand = async {
                        let frames = listen(&mut peer).await;
                        drop(peer);
                        frames
                    };
                    let (frames, certain) = if split {
                        let (mut sender, receiver) = ws.split();
                        drop(receiver);
                        at_once(async { tokio::join!(by_hand, async { send_parts!(sender, polls) }) }).await
                    } else {
                        at_once(async { tokio::join!(by_hand, async { send_parts!(ws, polls) }) }).await
                    };
                    let (pongs, parts): (Vec<_>, Vec<_>) =
                        frames.into_iter().partition(|(first, _)| *first == PONG);
                    let expected = [(FIRST_BINARY, 0), (CONTINUATION, 1), (LAST_CONTINUATION, 2)];
                    assert_eq!(parts, expected.map(|(first, i)| (first, vec![i; 40])), "{how}");
                    for (pong, sent) in certain {
                        let times = pongs.iter().filter(|other| **other == pong).count();
                        assert!(times == 1 || times == 0 && !sent, "{how}: {pong:?} came {times} times");
                    }
                }
            }
        }
    }
}

/// A writer of one message, each of whose calls is dropped after every number of polls, and made again.
#[tokio::test(start_paused = true)]
async fn message_writer() {
    for role in ROLES {
        for size in SIZES {
            for polls in 1..=64 {
                let config = Config::default().write_buffer_size(50);
                let (mut ws, mut peer) = with_peer(role, size, &config);
                let by_hand = async {
                    let frames = listen(&mut peer).await;
                    drop(peer);
                    frames
                };
                let api = async {
                    let mut writer = ws.message_writer(MessageKind::Binary);
                    for i in 0..3u8 {
                        assert_eq!(until_ready!(polls, writer.write(&[i; 40])).unwrap(), 40);
                        until_ready!(polls, writer.flush()).unwrap();
                    }
                    until_ready!(polls, writer.shutdown()).unwrap();
                    until_ready!(polls, ws.close(CloseCode::NORMAL, "")).unwrap();
                };
                let (frames, ()) = at_once(async { tokio::join!(by_hand, api) }).await;
                let (first, rest) = frames.split_first().unwrap();
                assert_eq!(*first, (FIRST_BINARY, vec![0; 40]));
                assert_eq!(
                    rest[..2],
                    [1, 2].map(|i| (CONTINUATION, vec![i; 40])),
                    "{role:?}, {size}, {polls}"
                );
                assert_eq!(rest[2..], [(LAST_CONTINUATION, vec![])]);
            }
        }
    }
}

/// An opening handshake given up after every number of polls closes the transport, on either side, and never
/// leaves the peer with a half-open connection; one that is not goes on as if nothing had been.
#[tokio::test(start_paused = true)]
async fn opening() {
    for size in SIZES {
        let mut opened = [0, 0];
        for polls in 1..=64 {
            let (near, far) = duplex(size);
            let client = async { polled(polls, connect_over("ws://example.com/", near)).await };
            let server = async {
                let pending = accept(far).await?;
                pending.accept().await
            };
            let (client, server) = at_once(async { tokio::join!(client, server) }).await;
            match client {
                Some(client) => {
                    opened[0] += 1;
                    both_speak(client.unwrap(), server.unwrap()).await;
                }
                // The request, or the response, did not arrive; or the transport ends right after it.
                None => assert!(server.is_err() || server.unwrap().recv().await.is_err()),
            }

            let (near, far) = duplex(size);
            let client = connect_over("ws://example.com/", near);
            let server = async {
                let pending = polled(polls, accept(far)).await?.unwrap();
                polled(polls, pending.accept()).await
            };
            let (client, server) = at_once(async { tokio::join!(client, server) }).await;
            match server {
                Some(server) => {
                    opened[1] += 1;
                    both_speak(client.unwrap(), server.unwrap()).await;
                }
                None => assert!(client.is_err() || client.unwrap().recv().await.is_err()),
            }
        }
        // A pipe that takes all at once needs few polls; one of a byte more than were granted.
        assert!(size < 61 || opened.iter().all(|opened| *opened > 0), "{size}: {opened:?}");
    }
}

async fn both_speak(mut client: WebSocket<ClientStream<DuplexStream>>, mut server: Ws) {
    at_once(async {
        let (sent, received) = tokio::join!(client.send("hello"), server.recv());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(Message::text("hello")));
    })
    .await;
}

/// A refusal that is given up closes the transport: the client has all of it, or an error.
#[tokio::test(start_paused = true)]
async fn rejecting() {
    for size in SIZES {
        for polls in 1..=64 {
            let (near, far) = duplex(size);
            let server = async {
                let pending = accept(far).await.unwrap();
                polled(polls, pending.reject(403, "no")).await
            };
            let (client, rejected) =
                at_once(async { tokio::join!(connect_over("ws://example.com/", near), server) }).await;
            match client {
                Err(Error::Response(ResponseError::Refused(response))) => {
                    assert_eq!(response.status(), 403);
                }
                Err(_) => assert!(rejected.is_none()),
                Ok(_) => panic!("it was not accepted"),
            }
        }
    }
}

/// A loop of `select!` over a receiving call and others that are ready all the time.
#[tokio::test(start_paused = true)]
async fn in_select() {
    for role in ROLES {
        for by in [By::Recv, By::RecvPart, By::RecvIncoming] {
            for size in SIZES {
                let (mut ws, peer): (Ws, _) = with_peer(role, size, &Config::default());
                let api = async {
                    let (mut seen, mut others) = (Vec::new(), 0);
                    loop {
                        tokio::select! {
                            next = receive!(ws, by) => match next.unwrap() {
                                Some(next) => seen.push(next),
                                None => break,
                            },
                            () = tokio::task::yield_now() => others += 1,
                        }
                    }
                    assert!(others > 0);
                    seen
                };
                let (frames, seen) = at_once(async { tokio::join!(converse(peer, role), api) }).await;
                assert_eq!(frames, answers());
                check(by, seen);
            }
        }
    }
}

/// `send` in `select!`, beside `recv`, over a pair: an echo client that gives up on sends, and tries
/// the next.
#[tokio::test(start_paused = true)]
async fn send_and_recv_in_select() {
    for size in SIZES {
        let (mut client, mut server) = crate::peer::pair(size, &Config::default());
        let serving = async {
            let mut seen = Vec::new();
            while let Some(message) = server.recv().await.unwrap() {
                seen.push(message.clone());
                match server.send(message).await {
                    // The client has closed; it does not wait for echoes.
                    Ok(()) | Err(Error::Send(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            seen
        };
        let driving = async {
            let mut echoes = Vec::new();
            for i in 0..200u32 {
                tokio::select! {
                    sent = client.send(format!("message {i}")) => sent.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
                tokio::select! {
                    echo = client.recv() => echoes.push(echo.unwrap().unwrap()),
                    () = tokio::task::yield_now() => {}
                }
            }
            client.start_close(None).unwrap();
            while let Some(echo) = client.recv().await.unwrap() {
                echoes.push(echo);
            }
            echoes
        };
        let (seen, echoes) = at_once(async { tokio::join!(serving, driving) }).await;
        assert_eq!(seen, echoes);
        let number = |message: &Message| message.as_text().unwrap()[8..].parse::<u32>().unwrap();
        assert!(seen.iter().map(number).is_sorted_by(|one, next| one < next), "{seen:?}");
    }
}

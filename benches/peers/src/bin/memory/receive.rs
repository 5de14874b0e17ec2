//! Receiving as a server: a whole message parsed, unmasked, validated if it is text, and handed out.

use std::hint::black_box;

use futures_util::StreamExt;
use peers::payload::{self, Kind};
use sansocket::blocking::NoDeadlines;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::by_hand::ByHand;
use crate::candidates::{Candidates, LIMIT, now, runtime, within};
use crate::transport::Memory;

pub fn candidates(kind: Kind, size: usize) -> Candidates {
    let memory = Memory::endless(frames(kind, size));
    let mut all = Candidates::default();
    all.core(core(memory.clone()));
    all.adapter("sansocket, blocking", blocking(memory.clone()));
    all.adapter("sansocket, tokio", tokio(memory.clone()));
    all.peer("tungstenite", tungstenite(memory.clone()));
    all.peer("tokio-websockets", tokio_websockets(memory.clone()));
    all.peer("fastwebsockets", fastwebsockets(memory.clone()));
    all.peer("yawc", yawc(memory.clone()));
    all.peer("wtx", wtx(memory.clone()));
    all.peer("sockudo-ws", sockudo_ws(memory.clone()));
    all.peer("soketto", soketto(memory, kind));
    limits(&mut all, kind, size);
    all
}

/// Some masked messages, as many as a read brings.
fn frames(kind: Kind, size: usize) -> Vec<u8> {
    let messages = (64 * 1024 / (size + 8)).clamp(1, 256);
    let first = if kind.is_text() { 0x81 } else { 0x82 };
    let mut frames = Vec::new();
    for seed in 0..messages as u64 {
        let payload = payload::payload(kind, size, seed);
        payload::client_frame(first, &payload, [0x37, 0xfa, 0x21, 0x3d ^ seed as u8], &mut frames);
    }
    frames
}

fn core(memory: Memory) -> impl FnMut(u64) {
    let mut ws = ByHand::server(memory);
    move |count| {
        for _ in 0..count {
            black_box(ws.recv().expect("valid").expect("a message"));
        }
    }
}

fn blocking(memory: Memory) -> impl FnMut(u64) {
    let (transport, role) = (NoDeadlines(memory), sansocket::Role::Server);
    let config = sansocket::Config::default().no_keepalive();
    let mut ws = sansocket::blocking::WebSocket::from_upgraded(transport, role, &[], &config).expect("open");
    move |count| {
        for _ in 0..count {
            black_box(ws.recv().expect("valid").expect("a message"));
        }
    }
}

fn tokio(memory: Memory) -> impl FnMut(u64) {
    let (runtime, role) = (runtime(), sansocket::Role::Server);
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(memory, role, &[], &sansocket::Config::default());
    move |count| {
        within(&runtime, async {
            for _ in 0..count {
                black_box(ws.recv().await.expect("valid").expect("a message"));
            }
        });
    }
}

/// A buffer of 8 KiB: larger ones, its default of 128 KiB among them, are no faster here.
fn tungstenite(memory: Memory) -> impl FnMut(u64) {
    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10);
    let role = tungstenite::protocol::Role::Server;
    let mut ws = tungstenite::WebSocket::from_raw_socket(memory, role, Some(config));
    move |count| {
        for _ in 0..count {
            black_box(ws.read().expect("valid"));
        }
    }
}

fn tokio_websockets(memory: Memory) -> impl FnMut(u64) {
    let limits = tokio_websockets::Limits::unlimited();
    let mut ws = tokio_websockets::ServerBuilder::new().limits(limits).serve(memory);
    move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.next().await.expect("a message").expect("valid"));
            }
        });
    }
}

fn fastwebsockets(memory: Memory) -> impl FnMut(u64) {
    let mut ws = fastwebsockets::WebSocket::after_handshake(memory, fastwebsockets::Role::Server);
    ws.set_max_message_size(LIMIT);
    let mut ws = fastwebsockets::FragmentCollector::new(ws);
    move |count| {
        now(async {
            for _ in 0..count {
                black_box(&*ws.read_frame().await.expect("valid").payload);
            }
        });
    }
}

fn yawc(memory: Memory) -> impl FnMut(u64) {
    let options = yawc::Options::default().with_limits(LIMIT, 2 * LIMIT).with_utf8();
    let mut ws = yawc::WebSocket::from_stream(memory, yawc::Role::Server, options).expect("open");
    move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.next_frame().await.expect("valid"));
            }
        });
    }
}

/// Its documentation advises to allocate the buffer beforehand; how much makes no difference here. What it hands out
/// borrows from that.
fn wtx(memory: Memory) -> impl FnMut(u64) {
    use wtx::web_socket::{WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};
    let buffer = WebSocketBuffer::with_capacity(64 << 10, 0, 0).expect("memory");
    let random = wtx::rng::Xorshift64::new(1);
    let mut ws = WebSocketOwned::<_, _, _, false>::new((), false, random, memory, buffer);
    let mut fragments = wtx::collection::Vector::new();
    move |count| {
        now(async {
            for _ in 0..count {
                let frame = ws.read_frame(&mut fragments, WebSocketPayloadOrigin::Adaptive).await;
                black_box(frame.expect("valid").payload());
            }
        });
    }
}

/// Without timers, which most others do not have.
fn sockudo_ws(memory: Memory) -> impl FnMut(u64) {
    let config = sockudo_ws::Config::builder().auto_ping(false).idle_timeout(0).build();
    let mut ws = sockudo_ws::WebSocketStream::server(memory, config);
    move |count| {
        now(async {
            for _ in 0..count {
                black_box(ws.next().await.expect("a message").expect("valid"));
            }
        });
    }
}

/// It leaves it to its caller to validate text.
fn soketto(memory: Memory, kind: Kind) -> impl FnMut(u64) {
    let builder = soketto::connection::Builder::new(memory.compat(), soketto::Mode::Server);
    let (_sender, mut receiver) = builder.finish();
    let mut message = Vec::new();
    move |count| {
        now(async {
            for _ in 0..count {
                message.clear();
                receiver.receive_data(&mut message).await.expect("valid");
                if kind.is_text() {
                    simdutf8::basic::from_utf8(&message).expect("text");
                }
                black_box(&message);
            }
        });
    }
}

fn limits(all: &mut Candidates, kind: Kind, size: usize) {
    let (bytes, mut copy) = (payload::payload(kind, size, 0), vec![0; size]);
    all.limit("limit: memcpy", move |count| {
        for _ in 0..count {
            copy.copy_from_slice(black_box(&bytes));
            black_box(&mut copy);
        }
    });
    let mut bytes = payload::payload(kind, size, 0);
    all.limit("limit: XOR in place", move |count| {
        for _ in 0..count {
            for byte in black_box(&mut bytes).iter_mut() {
                *byte ^= 0x5a;
            }
            black_box(&mut bytes);
        }
    });
    if kind.is_text() {
        let bytes = payload::payload(kind, size, 0);
        all.limit("limit: simdutf8", move |count| {
            for _ in 0..count {
                black_box(simdutf8::basic::from_utf8(black_box(&bytes)).expect("text"));
            }
        });
        let bytes = payload::payload(kind, size, 0);
        all.limit("limit: std's from_utf8", move |count| {
            for _ in 0..count {
                black_box(std::str::from_utf8(black_box(&bytes)).expect("text"));
            }
        });
    }
}

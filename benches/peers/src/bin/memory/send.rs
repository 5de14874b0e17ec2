//! Sending: a frame composed, masked by a client, and handed to the transport before the call returns.
//!
//! The caller keeps the payload, and sends it again: a client masks a copy of it.

use bytes::Bytes;
use futures_util::SinkExt;
use peers::payload::{self, Kind};
use sansocket::blocking::NoDeadlines;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::by_hand::ByHand;
use crate::candidates::{Candidates, LIMIT, now, runtime, within};
use crate::transport::Memory;

pub fn candidates(client: bool, size: usize) -> Candidates {
    let payload = Bytes::from(payload::payload(Kind::Binary, size, 0));
    let memory = Memory::endless(vec![0]);
    let mut all = Candidates::default();
    if client {
        all.core(core_client(memory.clone(), payload.clone()));
    } else {
        all.core(core_server(memory.clone(), payload.clone()));
    }
    all.adapter("sansocket, blocking", blocking(memory.clone(), client, payload.clone()));
    all.adapter("sansocket, tokio", tokio(memory.clone(), client, payload.clone()));
    all.peer("tungstenite", tungstenite(memory.clone(), client, payload.clone()));
    all.peer("tokio-websockets", tokio_websockets(memory.clone(), client, payload.clone()));
    all.peer("fastwebsockets", fastwebsockets(memory.clone(), client, payload.clone()));
    all.peer("yawc", yawc(memory.clone(), client, payload.clone()));
    if client {
        all.peer("wtx", wtx_client(memory.clone(), payload.clone()));
    } else {
        all.peer("wtx", wtx_server(memory.clone(), &payload));
    }
    all.peer("sockudo-ws", sockudo_ws(memory.clone(), client, payload.clone()));
    all.peer("soketto", soketto(memory, client, payload));
    all
}

fn role(client: bool) -> sansocket::Role {
    if client { sansocket::Role::Client } else { sansocket::Role::Server }
}

fn core_client(memory: Memory, payload: Bytes) -> impl FnMut(u64) {
    let mut ws = ByHand::client(memory);
    move |count| {
        for _ in 0..count {
            ws.send(&payload).expect("open");
        }
    }
}

fn core_server(memory: Memory, payload: Bytes) -> impl FnMut(u64) {
    let mut ws = ByHand::server(memory);
    move |count| {
        for _ in 0..count {
            ws.send_unmasked(&payload).expect("open");
        }
    }
}

fn blocking(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let (transport, role) = (NoDeadlines(memory), role(client));
    let config = sansocket::Config::default().no_keepalive();
    let mut ws = sansocket::blocking::WebSocket::from_upgraded(transport, role, &[], &config).expect("open");
    move |count| {
        for _ in 0..count {
            ws.send(payload.clone()).expect("open");
        }
    }
}

fn tokio(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let (runtime, role) = (runtime(), role(client));
    let config = sansocket::Config::default().no_keepalive();
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(memory, role, &[], &config);
    move |count| {
        within(&runtime, async {
            for _ in 0..count {
                ws.send(payload.clone()).await.expect("open");
            }
        });
    }
}

fn tungstenite(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    use tungstenite::protocol::Role;
    let role = if client { Role::Client } else { Role::Server };
    let mut ws = tungstenite::WebSocket::from_raw_socket(memory, role, None);
    move |count| {
        for _ in 0..count {
            ws.send(tungstenite::Message::Binary(payload.clone())).expect("open");
        }
    }
}

fn tokio_websockets(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let mut ws = if client {
        tokio_websockets::ClientBuilder::new().take_over(memory)
    } else {
        tokio_websockets::ServerBuilder::new().serve(memory)
    };
    move |count| {
        now(async {
            for _ in 0..count {
                ws.send(tokio_websockets::Message::binary(payload.clone())).await.expect("open");
            }
        });
    }
}

fn fastwebsockets(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    use fastwebsockets::{Frame, Payload, Role};
    let role = if client { Role::Client } else { Role::Server };
    let mut ws = fastwebsockets::WebSocket::after_handshake(memory, role);
    move |count| {
        now(async {
            for _ in 0..count {
                ws.write_frame(Frame::binary(Payload::Borrowed(&payload))).await.expect("open");
            }
        });
    }
}

fn yawc(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let role = if client { yawc::Role::Client } else { yawc::Role::Server };
    let options = yawc::Options::default().with_limits(LIMIT, 2 * LIMIT);
    let mut ws = yawc::WebSocket::from_stream(memory, role, options).expect("open");
    move |count| {
        now(async {
            for _ in 0..count {
                ws.send(yawc::Frame::binary(payload.clone())).await.expect("open");
            }
        });
    }
}

fn wtx_web_socket<const CLIENT: bool>(
    memory: Memory,
) -> wtx::web_socket::WebSocketOwned<(), wtx::rng::Xorshift64, Memory, CLIENT> {
    let buffer = wtx::web_socket::WebSocketBuffer::new();
    wtx::web_socket::WebSocket::new((), false, wtx::rng::Xorshift64::new(1), memory, buffer)
}

/// It masks its caller's bytes in place, so the caller has to copy them first.
fn wtx_client(memory: Memory, payload: Bytes) -> impl FnMut(u64) {
    use wtx::web_socket::{Frame, OpCode};
    let mut ws = wtx_web_socket::<true>(memory);
    let mut copy = Vec::new();
    move |count| {
        now(async {
            for _ in 0..count {
                copy.clear();
                copy.extend_from_slice(&payload);
                ws.write_frame(&mut Frame::new_fin(OpCode::Binary, &mut copy[..])).await.expect("open");
            }
        });
    }
}

fn wtx_server(memory: Memory, payload: &[u8]) -> impl FnMut(u64) + use<> {
    use wtx::web_socket::{Frame, OpCode};
    let mut ws = wtx_web_socket::<false>(memory);
    let mut payload = payload.to_vec();
    move |count| {
        now(async {
            for _ in 0..count {
                ws.write_frame(&mut Frame::new_fin(OpCode::Binary, &mut payload[..])).await.expect("open");
            }
        });
    }
}

fn sockudo_ws(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let role = if client { sockudo_ws::Role::Client } else { sockudo_ws::Role::Server };
    let config = sockudo_ws::Config::builder().auto_ping(false).idle_timeout(0).build();
    let mut ws = sockudo_ws::WebSocketStream::from_raw(memory, role, config);
    move |count| {
        now(async {
            for _ in 0..count {
                ws.send(sockudo_ws::Message::Binary(payload.clone())).await.expect("open");
            }
        });
    }
}

fn soketto(memory: Memory, client: bool, payload: Bytes) -> impl FnMut(u64) {
    let mode = if client { soketto::Mode::Client } else { soketto::Mode::Server };
    let (mut sender, _receiver) = soketto::connection::Builder::new(memory.compat(), mode).finish();
    move |count| {
        now(async {
            for _ in 0..count {
                sender.send_binary(&payload).await.expect("open");
                sender.flush().await.expect("open");
            }
        });
    }
}

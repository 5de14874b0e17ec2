//! The opening handshake of a server: a request read, checked and accepted, up to the connection.
//!
//! fastwebsockets and yawc leave it to hyper, and have nothing of their own to compare.

use std::hint::black_box;

use sansocket::blocking::NoDeadlines;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::by_hand::ByHand;
use crate::candidates::{Candidates, now, runtime, within};
use crate::transport::Memory;

pub fn candidates() -> Candidates {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        peers::KEY
    );
    let memory = Memory::once(request.into_bytes());
    let mut all = Candidates::default();
    all.core(core(memory.clone()));
    all.adapter("sansocket, blocking", blocking(memory.clone()));
    all.adapter("sansocket, tokio", tokio(memory.clone()));
    all.peer("tungstenite", tungstenite(memory.clone()));
    all.peer("tokio-websockets", tokio_websockets(memory.clone()));
    all.peer("wtx", wtx(memory.clone()));
    all.peer("sockudo-ws", sockudo_ws(memory.clone()));
    all.peer("soketto", soketto(memory));
    all
}

fn core(memory: Memory) -> impl FnMut(u64) {
    move |count| {
        for _ in 0..count {
            black_box(ByHand::accept(memory.clone()).expect("open"));
        }
    }
}

fn blocking(memory: Memory) -> impl FnMut(u64) {
    move |count| {
        for _ in 0..count {
            let pending = sansocket::blocking::accept(NoDeadlines(memory.clone())).expect("a request");
            black_box(pending.accept().expect("open"));
        }
    }
}

fn tokio(memory: Memory) -> impl FnMut(u64) {
    let runtime = runtime();
    move |count| {
        within(&runtime, async {
            for _ in 0..count {
                let pending = sansocket::tokio::accept(memory.clone()).await.expect("a request");
                black_box(pending.accept().await.expect("open"));
            }
        });
    }
}

fn tungstenite(memory: Memory) -> impl FnMut(u64) {
    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(8 << 10);
    move |count| {
        for _ in 0..count {
            let ws = tungstenite::accept_with_config(memory.clone(), Some(config));
            black_box(ws.map_err(drop).expect("open"));
        }
    }
}

fn tokio_websockets(memory: Memory) -> impl FnMut(u64) {
    move |count| {
        now(async {
            for _ in 0..count {
                let builder = tokio_websockets::ServerBuilder::new();
                black_box(builder.accept(memory.clone()).await.expect("open"));
            }
        });
    }
}

fn wtx(memory: Memory) -> impl FnMut(u64) {
    move |count| {
        now(async {
            for _ in 0..count {
                let acceptor = wtx::web_socket::WebSocketAcceptor::default().no_masking(false);
                let ws: wtx::Result<_> = acceptor.accept(memory.clone()).await;
                black_box(ws.expect("open"));
            }
        });
    }
}

fn sockudo_ws(memory: Memory) -> impl FnMut(u64) {
    use sockudo_ws::{Config, Role, WebSocketStream, handshake::server_handshake};
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    move |count| {
        now(async {
            for _ in 0..count {
                let mut memory = memory.clone();
                let rest = server_handshake(&mut memory).await.expect("open").leftover;
                let role = Role::Server;
                black_box(WebSocketStream::from_raw_with_leftover(memory, role, config.clone(), rest));
            }
        });
    }
}

fn soketto(memory: Memory) -> impl FnMut(u64) {
    use soketto::handshake::{Server, server::Response};
    move |count| {
        now(async {
            for _ in 0..count {
                let mut server = Server::new(memory.clone().compat());
                let key = server.receive_request().await.expect("a request").key();
                server.send_response(&Response::Accept { key, protocol: None }).await.expect("open");
                black_box(server.into_builder().finish());
            }
        });
    }
}

//! What `send` has accepted is offered to the transport when the WebSocket is dropped, whatever becomes of the runtime.

use std::net::TcpListener;
use std::thread;

use sansocket::tokio::{Transport, WebSocket, accept, connect};
use sansocket::{Message, Role, blocking};
use tokio::runtime::Builder;

use crate::common::ROLES;

/// A program answers while more waits to be received, and then returns, and its runtime ends with it: the answer arrives,
/// of a server and of a client, of a whole WebSocket and of its halves, on either kind of runtime.
#[test]
fn a_program_that_returns() {
    for role in ROLES {
        for (threads, split) in [(false, false), (false, true), (true, false), (true, true)] {
            for _ in 0..20 {
                returns(role, threads, split);
            }
        }
    }
}

fn returns(role: Role, threads: bool, split: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut runtime = if threads { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = runtime.enable_all().build().unwrap();
    let peer;
    match role {
        Role::Server => {
            peer = thread::spawn(move || is_answered(blocking::connect(format!("ws://{address}/")).unwrap()));
            runtime.block_on(async {
                let tcp = listener.accept().unwrap().0;
                tcp.set_nonblocking(true).unwrap();
                let pending = accept(tokio::net::TcpStream::from_std(tcp).unwrap()).await.unwrap();
                answer(pending.accept().await.unwrap(), split).await;
            });
        }
        Role::Client => {
            peer = thread::spawn(move || {
                let pending = blocking::accept(listener.accept().unwrap().0).unwrap();
                is_answered(pending.accept().unwrap());
            });
            runtime.block_on(async {
                answer(connect(format!("ws://{address}/")).await.unwrap(), split).await;
            });
        }
    }
    drop(runtime);
    peer.join().unwrap();
}

async fn answer<S: Transport>(ws: WebSocket<S>, split: bool) {
    if split {
        let (mut sender, mut receiver) = ws.split();
        assert_eq!(receiver.recv().await.unwrap(), Some(Message::text("1")));
        sender.send("answer").await.unwrap();
    } else {
        let mut ws = ws;
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("1")));
        ws.send("answer").await.unwrap();
    }
}

fn is_answered<S: blocking::Transport + Send + 'static>(mut ws: blocking::WebSocket<S>) {
    for message in ["1", "2", "3"] {
        ws.feed(message).unwrap();
    }
    ws.flush().unwrap();
    assert_eq!(ws.recv().unwrap(), Some(Message::text("answer")));
}

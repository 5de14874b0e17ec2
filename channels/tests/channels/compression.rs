//! Clients that compress, as the server's configuration allows.

use sansocket::{Client, Config, Deflate, Server};
use sansocket_channels::{Hub, Limits, Relay};

use crate::members::enter;
use crate::random::Random;
use crate::server::{Served, client, connect, soon, told};

async fn served(hub: &Hub) -> Served {
    let config = Config::default().deflate(Deflate::default().shared_compressor());
    Served::by(hub, Server::default().config(config)).await
}

fn compressing(server: &Served, level: u8) -> Client {
    client(server.address, "?vsn=2.0.0").config(Config::default().deflate(Deflate::default().level(level)))
}

/// A message of so many bytes to a topic that was joined.
fn push(len: usize, filler: impl FnMut() -> u8) -> Vec<u8> {
    let mut frame = b"\x00\x01\x01\x06\x0412room:1said".to_vec();
    let header = frame.len();
    frame.extend(std::iter::repeat_with(filler).take(len - header));
    frame
}

/// The limit is of what a client has said, whatever becomes of it on the wire: what does not compress is larger there, and what
/// compresses well is not to be taken for small.
#[tokio::test]
async fn a_frame_is_as_large_as_it_was() {
    let limits = Limits::default().frame(40_000);
    let hub = Hub::builder().channel("room:{id}", Relay).limits(limits).build().unwrap();
    let server = served(&hub).await;
    let mut random = Random(1);
    let mut noise = || u8::try_from(random.below(256)).unwrap();
    for level in [0, 1, 9] {
        let mut ws = connect(compressing(&server, level)).await.unwrap();
        enter(&mut ws, "room:1").await;
        for fits in [push(40_000, || 7), push(40_000, &mut noise)] {
            ws.send(fits).await.unwrap();
            assert_eq!(
                told(&mut ws).await,
                r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#
            );
        }
        for does_not in [push(40_001, || 7), push(1 << 20, || 7), push(40_001, &mut noise)] {
            let mut ws = connect(compressing(&server, level)).await.unwrap();
            enter(&mut ws, "room:1").await;
            ws.send(does_not).await.unwrap();
            assert_eq!(soon(ws.recv()).await.unwrap(), None);
            assert_eq!(ws.closed().unwrap().code.get(), 1009);
        }
    }
    server.stop().await;
}

/// A broadcast reaches those who compress and those who do not, each as he understands it.
#[tokio::test]
async fn a_broadcast_is_for_all() {
    let hub = Hub::builder().channel("room:{id}", Relay).build().unwrap();
    let server = served(&hub).await;
    let mut all = Vec::new();
    for level in [1, 6] {
        all.push(connect(compressing(&server, level)).await.unwrap());
        assert!(all.last().unwrap().deflate().is_some());
    }
    all.push(connect(client(server.address, "?vsn=2.0.0")).await.unwrap());
    for ws in &mut all {
        enter(ws, "room:1").await;
    }
    for len in [0, 10, 10_000, 100_000] {
        let text = "ab".repeat(len / 2);
        hub.broadcast("room:1", "said", &text).unwrap();
        for ws in &mut all {
            assert_eq!(told(ws).await, format!(r#"[null,null,"room:1","said","{text}"]"#));
        }
    }
    server.stop().await;
}

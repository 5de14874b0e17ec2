//! socketioxide inside axum: clients are in a room, and one in another namespace has it broadcast.

use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use channels_peers::{addr, filling};
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use tokio::net::TcpListener;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (layer, io) = SocketIo::builder()
            .transports([socketioxide::TransportType::Websocket])
            // Not within a measurement.
            .ping_interval(Duration::from_secs(300))
            // As many frames as our queues have room for.
            .max_buffer_size(1024)
            .ws_read_buffer_size(4 << 10)
            .build_layer();
        io.ns("/", async |socket: SocketRef| socket.join("news"));
        let news = io.clone();
        let filling = filling(r#"42["tick",""]"#.len());
        io.ns("/control", async move |socket: SocketRef| {
            socket.on("go", async move |Data::<u64>(times)| {
                for _ in 0..times {
                    news.to("news").emit("tick", &filling).await.ok();
                }
            });
        });
        let listener = TcpListener::bind(addr()).await.expect("an address that is free").tap_io(|tcp| {
            tcp.set_nodelay(true).expect("a socket option");
        });
        axum::serve(listener, Router::new().layer(layer)).await.expect("it serves");
    });
}

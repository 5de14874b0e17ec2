//! An echo server inside axum: every message comes back to its sender.

use std::io::{self, Write};
use std::process::ExitCode;

use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use programs::EchoOptions;
use sansocket::http::{self, WebSocketUpgrade};
use sansocket::{Error, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Echoes text and binary messages over WebSocket, inside axum.

usage: echo_server_axum [options]: those of echo_server";

#[tokio::main]
async fn main() -> ExitCode {
    programs::exit_code(serve(EchoOptions::parse(USAGE, true)).await.map_err(Into::into))
}

/// Serves until the program is terminated.
async fn serve(options: EchoOptions) -> io::Result<()> {
    let listener = TcpListener::bind(&options.addr).await.map_err(|error| options.cannot_listen(&error))?;
    writeln!(io::stdout(), "listening on ws://{}", listener.local_addr()?)?;
    let server = options.server.clone().subprotocols(options.subprotocols());
    let app = axum::Router::new().route("/", any(echo)).with_state(server.clone());
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        terminate.recv().await;
        http::stop(&server).await;
    };
    let listener = listener.tap_io(|tcp| drop(tcp.set_nodelay(true)));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

async fn echo(State(server): State<Server>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.server(&server).on_upgrade(async |mut ws| {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    })
}

//! sansocket inside hyper, by HTTP/2, in the loop that users write; with `--axum`, axum's own WebSockets inside the same.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::any;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use sansocket::{Error, Server};
use tokio::net::TcpListener;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(peers::echo::addr()).await.expect("an address that is free");
        let (server, router) = (Server::default(), Router::new().route("/", any(axum)));
        loop {
            let Ok((tcp, _)) = listener.accept().await else { continue };
            let _ = tcp.set_nodelay(true);
            let server = server.clone();
            let ours = service_fn(move |mut request: Request<Incoming>| {
                let response = sansocket(&mut request, &server);
                async { Ok::<_, Infallible>(response) }
            });
            if peers::flag("--axum") {
                tokio::spawn(serve(TokioIo::new(tcp), TowerToHyperService::new(router.clone())));
            } else {
                tokio::spawn(serve(TokioIo::new(tcp), ours));
            }
        }
    });
}

fn sansocket(request: &mut Request<Incoming>, server: &Server) -> Response<Full<Bytes>> {
    sansocket::http::upgrade(request, server, async |mut ws| {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    })
}

async fn axum(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async |mut ws| {
        while let Some(Ok(message)) = ws.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) && ws.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn serve<I, S>(io: I, service: S)
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming> + Send,
    S::Future: Send + 'static,
    S::ResBody: Send + 'static,
    <S::ResBody as hyper::body::Body>::Data: Send,
    <S::ResBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    // A client that is gone is an error of hyper's.
    let _ = builder.serve_connection(io, service).await;
}

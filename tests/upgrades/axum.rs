//! The extractor for axum.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use sansocket::handshake::ForwardedHost::XForwardedHost;
use sansocket::handshake::Reply;
use sansocket::http::{WebSocketUpgrade, stop};
use sansocket::tokio::connect_over;
use sansocket::{Client, CloseCode, Message, Server};
use tokio::io::{DuplexStream, duplex};

use crate::host::{echo, exchange, request, telling};
use crate::http2::{Client as Client2, connect, websocket};
use crate::peer::at_once;

/// The client's end of a connection to a server of these routes.
fn served(router: Router) -> DuplexStream {
    let (near, far) = duplex(1 << 16);
    let service = TowerToHyperService::new(router);
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
    near
}

fn router() -> Router {
    Router::new()
        .route(
            "/chat",
            any(async |upgrade: WebSocketUpgrade| upgrade.protocols(["v1", "v2"]).on_upgrade(echo)),
        )
        .route("/closed", any(async |_: WebSocketUpgrade| axum::http::StatusCode::FORBIDDEN))
}

#[tokio::test(start_paused = true)]
async fn messages_come_back() {
    let client = Client::new("ws://example.com/chat").unwrap().subprotocols(["v2", "v1"]).unwrap();
    let mut ws = at_once(connect_over(client, served(router()))).await.unwrap();
    assert_eq!(ws.subprotocol(), Some("v2"));
    ws.send("hello").await.unwrap();
    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("hello")));
    at_once(ws.close(CloseCode::NORMAL, "")).await.unwrap();
}

/// A page of the server's is what an ordinary request at its path gets.
#[tokio::test(start_paused = true)]
async fn pages() {
    let (server, told) = telling(Server::default().page("/chat", Reply::ok().html("<p>hi")));
    let router = || router().layer(Extension(server.clone()));
    let get = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    let (status, _, body) = at_once(exchange(served(router()), get)).await;
    assert_eq!((status, &*body), (200, "<p>hi"));
    assert!(told.next().await.is_empty());
}

/// A route for any method is one for CONNECT, too; one for GET is not.
#[tokio::test(start_paused = true)]
async fn messages_come_back_over_http2() {
    let (near, far) = duplex(1 << 16);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    let only_get = get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo));
    let router = router().route("/get", only_get);
    tokio::spawn(builder.serve_connection(TokioIo::new(far), TowerToHyperService::new(router)));
    let mut client = Client2::connect(near).await;
    let mut ws = websocket(client.send(connect()).await).await;
    ws.send("hello").await.unwrap();
    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("hello")));
    at_once(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    assert_eq!(client.send(connect().uri("https://example.com/closed")).await.status(), 403);
    assert_eq!(client.send(connect().uri("https://example.com/get")).await.status(), 405);
}

/// The settings are those of the server that a layer puts into requests, or that the handler names.
#[tokio::test(start_paused = true)]
async fn servers() {
    let (server, told) = telling(Server::default());
    let mut ws = connect_over("ws://example.com/chat", served(router().layer(Extension(server.clone()))))
        .await
        .unwrap();
    assert_eq!(server.connections().now(), 1);
    let one = server.clone();
    let closed = tokio::spawn(async move { stop(&one).await });
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.closed().unwrap().code, CloseCode::GOING_AWAY);
    at_once(closed).await.unwrap();

    // This one has not stopped.
    let (other, told_other) = telling(Server::default());
    let named = other.clone();
    let handler =
        async move |upgrade: WebSocketUpgrade| -> Response { upgrade.server(&named).on_upgrade(echo) };
    let io = served(Router::new().route("/chat", any(handler.clone())).layer(Extension(server.clone())));
    let _ws = connect_over("ws://example.com/chat", io).await.unwrap();
    assert_eq!((server.connections().now(), other.connections().now()), (0, 1));
    let io = served(Router::new().route("/chat", any(handler)).layer(Extension(server)));
    let foreign = request("Origin: https://evil.example\r\n");
    assert_eq!(at_once(exchange(io, &foreign)).await.0, 403);
    assert_eq!(told_other.next().await.len(), 1);
    assert!(told.next().await.is_empty());
}

/// Whether a page's request opens a WebSocket at this route that a proxy has sent.
async fn opens_by_proxy(route: axum::routing::MethodRouter) -> bool {
    let client = Client::new("ws://backend/chat").unwrap().origin("https://example.com").unwrap();
    let client = client.header("X-Forwarded-Host", "example.com").unwrap();
    let router = Router::new().route("/chat", route);
    at_once(connect_over(client, served(router))).await.is_ok()
}

/// The address of that proxy, which is on the same machine.
const PROXY: [u8; 4] = [127, 0, 0, 1];

/// Whether there is room can be asked before anything else is found out.
#[tokio::test(start_paused = true)]
async fn room() {
    let server = Server::default().max_connections(1);
    let handler =
        async |upgrade: WebSocketUpgrade| upgrade.check_room().map(|upgrade| upgrade.on_upgrade(echo));
    let router = Router::new().route("/chat", any(handler)).layer(Extension(server));
    let _ws = connect_over("ws://example.com/chat", served(router.clone())).await.unwrap();
    let (status, _, body) = at_once(exchange(served(router), &request(""))).await;
    assert_eq!((status, body.contains("no room")), (503, true));
}

/// Whom the server trusts that the handler names, not the one of the layer.
#[tokio::test(start_paused = true)]
async fn trusted_proxies() {
    let peer = Extension(SocketAddr::from((PROXY, 80)));
    let trusting = |trusted: [u8; 4]| {
        Server::default().trust_proxies(XForwardedHost, move |peer| peer == Some(trusted.into()))
    };
    for (layer, named, opens) in
        [(Server::default(), trusting(PROXY), true), (trusting(PROXY), Server::default(), false)]
    {
        let handler = async move |upgrade: WebSocketUpgrade| upgrade.server(&named).on_upgrade(echo);
        assert_eq!(opens_by_proxy(any(handler).layer((Extension(layer), peer))).await, opens);
    }
    // The peer that is told is the one that counts, whichever is said first.
    for (trusted, told, opens) in [([9; 4], [9; 4], true), ([9; 4], PROXY, false), (PROXY, [9; 4], false)] {
        for told_first in [true, false] {
            let named = trusting(trusted);
            let handler = async move |mut upgrade: WebSocketUpgrade| {
                if told_first {
                    upgrade.set_peer(Some(told.into()));
                }
                upgrade = upgrade.server(&named);
                if !told_first {
                    upgrade.set_peer(Some(told.into()));
                }
                upgrade.on_upgrade(echo)
            };
            let opened = opens_by_proxy(any(handler).layer(peer)).await;
            assert_eq!(opened, opens, "{trusted:?} {told:?} {told_first}");
        }
    }
}

/// axum's own extension is not seen: a handler tells what it has from it.
#[tokio::test(start_paused = true)]
async fn the_peer_that_axum_knows() {
    let server = Server::default().trust_proxies(XForwardedHost, |peer| peer == Some(PROXY.into()));
    let layers = (Extension(server), Extension(ConnectInfo(SocketAddr::from((PROXY, 80)))));
    let untold = any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo));
    assert!(!opens_by_proxy(untold.layer(layers.clone())).await);
    let told = any(async |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut upgrade: WebSocketUpgrade| {
        upgrade.set_peer(Some(peer.ip()));
        upgrade.on_upgrade(echo)
    });
    assert!(opens_by_proxy(told.layer(layers)).await);
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let (server, told) = telling(Server::default());
    let router = router().layer(Extension(server.clone()));
    let plain = "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    let (status, head, body) = at_once(exchange(served(router.clone()), plain)).await;
    assert_eq!((status, head.contains("upgrade: websocket")), (426, true));
    assert!(body.contains("Upgrade"), "{body}");
    assert_eq!(told.next().await.len(), 1);
    let wrong = request("").replace(": 13", ": 8");
    assert_eq!(at_once(exchange(served(router.clone()), &wrong)).await.0, 426);
    assert_eq!(told.next().await.len(), 1);
    // A handler may answer otherwise.
    let closed = request("").replace("/chat", "/closed").replace("Upgrade\r\n", "Upgrade, close\r\n");
    assert_eq!(at_once(exchange(served(router), &closed)).await.0, 403);
    assert!(told.next().await.is_empty());
    assert_eq!(server.connections().total, 0);
}

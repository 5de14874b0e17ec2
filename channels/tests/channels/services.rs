//! The hub as a service, inside hyper and axum.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sansocket::Server;
use sansocket_channels::{Drain, Hub, Identity, Limits, Origins, Relay};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::members::enter;
use crate::server::{client, connect, http, soon, told};

fn hub() -> Hub {
    let origins = Origins::check(|request| request.origin() == Some("http://example.com"));
    Hub::builder()
        .channel("room:{id}", Relay)
        .page("/", "text/html", "<p>hi")
        .origins(origins)
        .build()
        .unwrap()
}

/// Two clients say something to each other, and are drained.
async fn talk(hub: &Hub, address: std::net::SocketAddr) {
    let one = client(address, "?vsn=2.0.0").origin("http://example.com").unwrap();
    let one = one.subprotocols(["phoenix", "base64url.bearer.phx.YQ"]).unwrap();
    let mut one = connect(one).await.unwrap();
    assert_eq!(one.subprotocol(), Some("phoenix"));
    let mut two = connect(client(address, "?vsn=2.0.0")).await.unwrap();
    for ws in [&mut one, &mut two] {
        enter(ws, "room:1").await;
    }
    one.send(r#"["1","2","room:1","said",{"n":1}]"#).await.unwrap();
    assert_eq!(told(&mut two).await, r#"[null,null,"room:1","said",{"n":1}]"#);
    assert_eq!(told(&mut one).await, r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#);

    let foreign = client(address, "?vsn=2.0.0").origin("http://example.org").unwrap();
    assert_eq!(connect(foreign).await.err(), Some(403));
    assert_eq!(connect(client(address, "")).await.err(), Some(400));
    assert!(http(address, "GET", "/socket/websocket", "").await.starts_with("HTTP/1.1 426 "));

    let drained = hub.drain(Drain { within: std::time::Duration::ZERO, ..Drain::default() });
    let closed = async {
        assert_eq!(soon(one.recv()).await.unwrap(), None);
        assert_eq!(one.closed().unwrap().code.get(), 1012);
        assert_eq!(soon(two.recv()).await.unwrap(), None);
    };
    let (drained, ()) = tokio::join!(drained, closed);
    assert_eq!((drained.told, drained.cut), (2, 0));
    assert_eq!(connect(client(address, "?vsn=2.0.0")).await.err(), Some(503));
}

#[tokio::test]
async fn inside_hyper() {
    let hub = hub();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = hub.service().server(&Server::default().max_connections(100));
    let serving = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let serving = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(serving.with_upgrades());
        }
    });
    talk(&hub, address).await;
    let page = http(address, "GET", "/", "").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("<p>hi"), "{page}");
    assert!(http(address, "GET", "/other", "").await.starts_with("HTTP/1.1 404 "));
    serving.abort();
}

#[tokio::test]
async fn inside_axum() {
    let hub = hub();
    let app = Router::new()
        .route_service("/socket/websocket", hub.service())
        .route_service("/channels.js", hub.service())
        .route("/other", axum::routing::get(async || "other"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    talk(&hub, address).await;
    let script = http(address, "GET", "/channels.js", "").await;
    assert!(script.contains("x-content-type-options: nosniff"), "{script}");
    assert!(http(address, "GET", "/other", "").await.ends_with("other"));
    serving.abort();
}

/// Who is one too many at once is told so, before anybody is asked who that is.
#[tokio::test]
async fn handshakes_are_bounded() {
    let (asked, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let authenticate = {
        let (asked, answered) = (asked.clone(), answered.clone());
        move |_| {
            let (asked, answered) = (asked.clone(), answered.clone());
            async move {
                asked.notify_one();
                answered.notified().await;
                Ok(Identity::anonymous())
            }
        }
    };
    let hub = Hub::builder()
        .channel("room:{id}", Relay)
        .limits(Limits::default().handshakes(1))
        .authenticate(authenticate)
        .build()
        .unwrap();
    let app = Router::new().route_service("/socket/websocket", hub.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let first = tokio::spawn(connect(client(address, "?vsn=2.0.0")));
    soon(asked.notified()).await;
    assert_eq!(connect(client(address, "?vsn=2.0.0")).await.err(), Some(503));
    answered.notify_one();
    let _first = first.await.unwrap().unwrap();
    answered.notify_one();
    connect(client(address, "?vsn=2.0.0")).await.unwrap();
    serving.abort();
}

/// Who finds no room is told so, and nobody is asked who that is; pages are served all the same.
#[tokio::test]
async fn servers_are_full() {
    let asked = Arc::<AtomicUsize>::default();
    let authenticate = {
        let asked = asked.clone();
        move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(Identity::anonymous()))
        }
    };
    let hub = Hub::builder().page("/", "text/html", "<p>hi").authenticate(authenticate).build().unwrap();
    let server = Server::default().max_connections(1);
    let service = hub.service().server(&server);
    let app = Router::new().fallback_service(service);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let first = connect(client(address, "?vsn=2.0.0")).await.unwrap();
    let refused = soon(sansocket::tokio::connect(client(address, "?vsn=2.0.0"))).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!((refusal.status(), refusal.headers().get("Retry-After")), (503, Some("5")));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(http(address, "GET", "/", "").await.starts_with("HTTP/1.1 200 "));
    drop(first);
    while server.connections().now() > 0 {
        tokio::task::yield_now().await;
    }
    connect(client(address, "?vsn=2.0.0")).await.unwrap();
    serving.abort();
}

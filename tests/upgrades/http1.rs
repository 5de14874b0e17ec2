//! Upgrades of HTTP/1.1: which requests are accepted, and what of them counts for the connection.

use std::net::{Ipv4Addr, SocketAddr};

use hyper::upgrade::OnUpgrade;
use sansocket::handshake::ForwardedHost::XForwardedHost;
use sansocket::handshake::Reply;
use sansocket::http::pending;
use sansocket::tokio::connect_over;
use sansocket::{Client, Config, Deflate, Message, Origins, Role, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::common::{CLOSE, TEXT, frame};
use crate::host::{echo, echoes, exchange, http1, received, request, telling};
use crate::peer::{Peer, at_once};

#[tokio::test(start_paused = true)]
async fn messages_come_back() {
    let mut ws =
        at_once(connect_over("ws://example.com/chat", http1(echoes(&Server::default())))).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 300_000])] {
        ws.send(message.clone()).await.unwrap();
        assert_eq!(at_once(ws.recv()).await.unwrap(), Some(message));
    }
    at_once(ws.close(sansocket::CloseCode::NORMAL, "")).await.unwrap();
    assert!(ws.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn compression() {
    let server = Server::default().config(Config::default().deflate(Deflate::default()));
    let mut io = http1(echoes(&server));
    io.write_all(request("Sec-WebSocket-Extensions: permessage-deflate\r\n").as_bytes()).await.unwrap();
    let head = head(&mut io).await;
    assert!(head.contains("sec-websocket-extensions: permessage-deflate"), "{head}");
    let mut peer = Peer::new(io, Role::Server);
    peer.send(TEXT, "again ".repeat(1000).as_bytes()).await;
    let (first, payload) = at_once(peer.frame()).await.unwrap();
    // RSV1: it is compressed (RFC 7692 section 6).
    assert_eq!(first, TEXT | 0x40);
    assert!(payload.len() < 100, "{}", payload.len());
}

/// Ordinary requests for a page of the server's get it, and nobody is told of an error; those for none are refused.
#[tokio::test(start_paused = true)]
async fn pages() {
    let (server, told) = telling(Server::default().page("/", Reply::ok().html("<p>hi")));
    let get = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: example.com\r\n\r\n");
    for (method, expected) in [("GET", (200, "<p>hi")), ("HEAD", (200, ""))] {
        let (status, head, body) = at_once(exchange(http1(echoes(&server)), &get(method, "/?a"))).await;
        assert_eq!((status, &*body), expected);
        assert!(head.contains("content-type: text/html") && head.contains("content-length: 5"), "{head}");
    }
    let (status, head, _) = at_once(exchange(http1(echoes(&server)), &get("PUT", "/"))).await;
    assert_eq!((status, head.contains("allow: get, head")), (405, true));
    assert!(told.next().await.is_empty());
    assert_eq!(at_once(exchange(http1(echoes(&server)), &get("GET", "/none"))).await.0, 404);
    assert_eq!(told.next().await.len(), 1);

    // A program that looks at requests itself may leave them to `accept`.
    let one = server.clone();
    let io = http1(move |mut request| received(&mut request, &one).accept(echo));
    assert_eq!(at_once(exchange(io, &get("GET", "/"))).await.2, "<p>hi");
    // A WebSocket at a page's path is one.
    at_once(connect_over("ws://example.com/", http1(echoes(&server)))).await.unwrap();
}

/// What another request upgrades to is the caller's to see to, and so is the stream.
#[tokio::test(start_paused = true)]
async fn other_upgrades() {
    let io = http1(|mut request| {
        let pending = received(&mut request, &Server::default());
        assert!(!pending.is_websocket());
        let left = request.extensions().get::<OnUpgrade>().is_some();
        pending.reject(if left { 404 } else { 500 }, "no such page")
    });
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: other\r\n\r\n";
    assert_eq!(at_once(exchange(io, request)).await.0, 404);
}

/// By the server's list, and by what the handler chooses.
#[tokio::test(start_paused = true)]
async fn subprotocols() {
    let server = Server::default().subprotocols(["v1", "v2"]);
    let client = || Client::new("ws://example.com/chat").unwrap().subprotocols(["v3", "v2", "v1"]).unwrap();
    let ws = at_once(connect_over(client(), http1(echoes(&server)))).await.unwrap();
    assert_eq!(ws.subprotocol(), Some("v2"));

    let io = http1(move |mut request| {
        let mut pending = match pending(&mut request, &server) {
            Ok(pending) => pending,
            Err(refusal) => return refusal,
        };
        pending.choose_subprotocol(&["v3"]);
        pending.header("X-Served-By", "one").unwrap();
        pending.accept(async |ws| assert_eq!(ws.subprotocol(), Some("v3")))
    });
    let ws = at_once(connect_over(client(), io)).await.unwrap();
    assert_eq!(ws.subprotocol(), Some("v3"));
    assert_eq!(ws.response().unwrap().headers().get("x-served-by"), Some("one"));
}

/// Those of the connection are what the handler sets for it, not the server's.
#[tokio::test(start_paused = true)]
async fn configurations() {
    let server = Server::default();
    let limited = http1(move |mut request| {
        let mut pending = received(&mut request, &server);
        let config = pending.config().clone().max_message_size(3).deflate(Deflate::default());
        pending.set_config(config);
        pending.accept(async |ws| {
            assert!(ws.deflate().is_some());
            echo(ws).await
        })
    });
    let client = Client::new("ws://example.com/").unwrap();
    let client = client.config(Config::default().deflate(Deflate::default()));
    let mut ws = at_once(connect_over(client, limited)).await.unwrap();
    ws.send("two").await.unwrap();
    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("two")));
    ws.send("four").await.unwrap();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.closed().unwrap().code.get(), 1009);
}

/// What the handler chose wrongly is its fault, and not told to the client.
#[tokio::test(start_paused = true)]
async fn wrong_answers() {
    let (server, told) = telling(Server::default());
    let one = server.clone();
    let io = http1(move |mut request| {
        let mut pending = received(&mut request, &one);
        pending.subprotocol("v9");
        pending.accept(echo)
    });
    let (status, _, body) = at_once(exchange(io, &request("Sec-WebSocket-Protocol: v1\r\n"))).await;
    assert_eq!((status, body.contains("v9")), (500, false));
    assert!(told.next().await[0].contains("\"v9\""));

    let one = server.clone();
    let io = http1(move |mut request| received(&mut request, &one).reject(99, "no"));
    assert_eq!(at_once(exchange(io, &request(""))).await.0, 500);
    assert_eq!(
        told.next().await,
        ["the upgrade failed: 99 is not a status from 200 to 599"].map(String::from)
    );

    let one = server.clone();
    let io = http1(move |mut request| received(&mut request, &one).reject(200, "no"));
    assert_eq!(at_once(exchange(io, &request(""))).await.0, 500);
    assert_eq!(
        told.next().await,
        ["the upgrade failed: 200 accepts a WebSocket over HTTP/2, or a CONNECT: a status that opens none is 300 to 599"]
            .map(String::from)
    );

    let io = http1(move |mut request| {
        let mut pending = received(&mut request, &server);
        pending.header(&"x".repeat(1 << 16), "a").unwrap();
        pending.accept(echo)
    });
    assert_eq!(at_once(exchange(io, &request(""))).await.0, 500);
    assert_eq!(told.next().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rejections() {
    let io = http1(|mut request| received(&mut request, &Server::default()).reject(404, "no such room"));
    let (status, head, body) = at_once(exchange(io, &request(""))).await;
    assert_eq!((status, &*body), (404, "no such room"));
    assert!(head.contains("connection: close"), "{head}");
}

/// A proxy whose address is in the request's extensions, or is told, names the host.
#[tokio::test(start_paused = true)]
async fn trusted_proxies() {
    let server =
        Server::default().trust_proxies(XForwardedHost, |peer| peer == Some(Ipv4Addr::LOCALHOST.into()));
    let page = request("Origin: https://example.org\r\nX-Forwarded-Host: example.org\r\n");
    for (peer, told, status) in
        [(Some([127, 0, 0, 1]), None, 101), (Some([127, 0, 0, 2]), None, 403), (None, None, 403)]
            .into_iter()
            .chain([(None, Some(Ipv4Addr::LOCALHOST), 101), (Some([127, 0, 0, 1]), Some([9; 4].into()), 403)])
    {
        let server = server.clone();
        let mut io = http1(move |mut request| {
            if let Some(peer) = peer {
                request.extensions_mut().insert(SocketAddr::from((peer, 80)));
            }
            let mut pending = received(&mut request, &server);
            if let Some(address) = told {
                pending.set_peer(Some(address.into()));
            }
            pending.accept(echo)
        });
        io.write_all(page.as_bytes()).await.unwrap();
        assert!(head(&mut io).await.starts_with(&format!("http/1.1 {status} ")), "{peer:?} {told:?}");
    }
}

/// 6455-10.2-01: pages of other origins are refused, unless the server allows them.
#[tokio::test(start_paused = true)]
async fn origins() {
    let (server, told) = telling(Server::default());
    let foreign = request("Origin: https://evil.example\r\n");
    let (status, _, body) = at_once(exchange(http1(echoes(&server)), &foreign)).await;
    assert_eq!(status, 403);
    assert!(body.contains("https://evil.example"), "{body}");
    assert_eq!(told.next().await.len(), 1);
    let mut io = http1(echoes(&server.origins(Origins::any())));
    io.write_all(foreign.as_bytes()).await.unwrap();
    assert!(head(&mut io).await.starts_with("http/1.1 101"));
    assert!(told.next().await.is_empty());
}

/// Each is answered with its status, and a sentence; the server is told.
#[tokio::test(start_paused = true)]
async fn wrong_requests() {
    let (server, told) = telling(Server::default());
    let valid = request("");
    for (request, status, header) in [
        (valid.replace("HTTP/1.1", "HTTP/1.0"), 426, "upgrade: websocket"),
        (valid.replace("GET", "POST"), 405, "allow: get"),
        (valid.replace("Sec-WebSocket-Key", "X-Key"), 400, "content-type: text/plain"),
        (valid.replace(": 13", ": 8"), 426, "sec-websocket-version: 13"),
        (valid.replace("Upgrade: websocket", "Upgrade: h2c"), 426, "upgrade: websocket"),
        (request("Content-Length: 5\r\n") + "hello", 400, "content-type: text/plain"),
        (request("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, "content-type: text/plain"),
        ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned(), 426, "upgrade: websocket"),
    ] {
        let (found, head, body) = at_once(exchange(http1(echoes(&server)), &request)).await;
        assert_eq!(found, status, "{request}");
        assert!(head.contains(header), "{head}");
        assert!(body.starts_with("Not a WebSocket connection: "), "{body}");
        assert_eq!(told.next().await.len(), 1);
    }
    assert_eq!(server.connections().total, 0);
}

/// What is sent right behind a request belongs to the WebSocket: frames are received, and a second request is none.
#[tokio::test(start_paused = true)]
async fn bytes_behind_the_request() {
    let mut io = http1(echoes(&Server::default()));
    let together = [request("").into_bytes(), frame(Role::Server, TEXT, b"hello")].concat();
    io.write_all(&together).await.unwrap();
    assert!(head(&mut io).await.starts_with("http/1.1 101"));
    assert_eq!(at_once(Peer::new(io, Role::Server).frame()).await, Some((TEXT, b"hello".to_vec())));

    let (server, told) = telling(Server::default());
    let mut io = http1(echoes(&server));
    io.write_all(request("").repeat(2).as_bytes()).await.unwrap();
    assert!(head(&mut io).await.starts_with("http/1.1 101"));
    let (first, payload) = at_once(Peer::new(io, Role::Server).frame()).await.unwrap();
    assert_eq!((first, &payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
    assert!(told.next().await[0].starts_with("the handler failed: "));
}

/// Who is no client is told what is wrong with the server.
#[tokio::test(start_paused = true)]
async fn no_stream() {
    let (server, told) = telling(Server::default());
    let mut request = http_request();
    let response = sansocket::http::upgrade::<_, axum::body::Body, _, _>(&mut request, &server, echo);
    assert_eq!(response.status(), 500);
    assert_eq!(
        told.next().await,
        ["the upgrade failed: the request comes from no server of hyper's that hands over streams"]
            .map(String::from)
    );

    let (near, far) = tokio::io::duplex(1 << 16);
    let service = hyper::service::service_fn({
        let server = server.clone();
        move |request| std::future::ready(Ok::<_, std::convert::Infallible>(echoes(&server)(request)))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(far), service);
    let (_, status) = tokio::join!(served, async {
        let mut io = near;
        io.write_all(self::request("").as_bytes()).await.unwrap();
        head(&mut io).await
    });
    assert!(status.starts_with("http/1.1 101"));
    assert!(told.next().await[0].starts_with("the upgrade failed: "));
    assert_eq!(server.connections().now(), 0);
}

/// The handler is not called, and the place is free again.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone() {
    let (server, told) = telling(Server::default());
    let mut io = http1(echoes(&server));
    io.write_all(request("").as_bytes()).await.unwrap();
    drop(io);
    let told = told.next().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the connection was lost: "), "{told:?}");
    assert_eq!((server.connections().now(), server.connections().total), (0, 1));
}

fn http_request() -> hyper::Request<()> {
    let mut request = hyper::Request::get("/");
    for line in request_lines() {
        request = request.header(line.0, line.1);
    }
    request.body(()).unwrap()
}

fn request_lines() -> [(&'static str, &'static str); 5] {
    [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("Sec-WebSocket-Version", "13"),
    ]
}

/// The head of a response.
async fn head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

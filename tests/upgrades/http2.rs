//! WebSockets over HTTP/2: extended CONNECT (RFC 8441).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sansocket::handshake::{Extension, Reply};
use sansocket::http::{Upgraded, stop};
use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Deflate, Error, Message, Negotiated, Role, Server};
use tokio::io::DuplexStream;
use tokio::time::{sleep, timeout};

use crate::host::{echoes, http2 as host, received, telling};
use crate::peer::at_once;

#[tokio::test(start_paused = true)]
async fn messages_come_back() {
    let server = Server::default().subprotocols(["v1"]).config(Config::default().deflate(Deflate::default()));
    let mut client = Client::connect(host(echoes(&server))).await;
    let request = connect()
        .header("sec-websocket-protocol", "v2, v1")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("origin", "https://example.com");
    let response = client.send(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v1");
    assert_eq!(response.headers()["sec-websocket-extensions"], "permessage-deflate");
    for name in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let mut ws = websocket(response).await;
    for message in [Message::text("hello"), Message::binary(vec![7; 300_000])] {
        ws.send(message.clone()).await.unwrap();
        assert_eq!(at_once(ws.recv()).await.unwrap(), Some(message));
    }
    at_once(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    assert!(ws.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_stop() {
    let server = Server::default();
    let mut client = Client::connect(host(echoes(&server))).await;
    let mut ws = websocket(client.send(connect()).await).await;
    let one = server.clone();
    let stopped = tokio::spawn(async move { stop(&one).await });
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.closed().unwrap().code, CloseCode::GOING_AWAY);
    at_once(stopped).await.unwrap();
    assert_eq!(client.send(connect()).await.status(), 503);
}

/// What comes of a handler that ends without a closing handshake: to the client, a connection that was lost.
#[tokio::test(start_paused = true)]
async fn an_end_without_a_close_frame() {
    let server = Server::default();
    let respond =
        move |mut request: Request<Incoming>| sansocket::http::upgrade(&mut request, &server, async |_| ());
    let mut client = Client::connect(host(respond)).await;
    let mut ws = websocket(client.send(connect()).await).await;
    assert!(matches!(at_once(ws.recv()).await, Err(Error::ConnectionLost(_))));
    let closed = ws.closed().unwrap();
    assert_eq!((closed.clean, closed.code), (false, CloseCode::ABNORMAL_CLOSURE));
}

/// No refusal is a success, which would open the tunnel, and none says what HTTP/2 does not have.
#[tokio::test(start_paused = true)]
async fn refusals() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(host(echoes(&server))).await;
    told.next().await;
    let with = |name, value| connect().header(name, value);
    let bare = || Request::connect("https://example.com/chat").extension(Protocol::from_static("websocket"));
    let other = |protocol| {
        let request = Request::connect("https://example.com/chat").header("x-a", "b");
        request.extension(Protocol::from_static(protocol))
    };
    for (request, status) in [
        (with("origin", "https://evil.example"), 403),
        (bare(), 400),
        (bare().header("sec-websocket-version", "8"), 400),
        (with("sec-websocket-protocol", "v1, v1"), 400),
        (with("sec-websocket-extensions", ";"), 400),
        (other("WebSocket"), 400),
        (other("connect-udp"), 400),
        (Request::get("https://example.com/chat"), 400),
        (Request::get("https://example.com/chat").header("sec-websocket-version", "13"), 400),
    ] {
        let response = client.send(request).await;
        assert_eq!(response.status(), status);
        for name in ["connection", "upgrade"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let about_version = response.headers().get("sec-websocket-version").is_some();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"Not a WebSocket connection: "), "{body:?}");
        assert_eq!(about_version, body.windows(21).any(|word| word == b"Sec-WebSocket-Version"));
        assert_eq!(told.next().await.len(), 1);
    }
    assert_eq!(server.connections().total, 0);
}

/// A page is one over HTTP/2, too.
#[tokio::test(start_paused = true)]
async fn pages() {
    let server = Server::default().page("/chat", Reply::ok().html("<p>hi"));
    let mut client = Client::connect(host(echoes(&server))).await;
    let response = client.send(Request::get("https://example.com/chat")).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("connection")), (200, false));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "<p>hi");
}

/// Nor is one of the program's.
#[tokio::test(start_paused = true)]
async fn successes_that_refuse() {
    let (server, told) = telling(Server::default());
    let one = server.clone();
    let reject = move |mut request: Request<Incoming>| received(&mut request, &one).reject(204, "no");
    let mut client = Client::connect(host(reject)).await;
    assert_eq!(client.send(connect()).await.status(), 500);
    assert_eq!(told.next().await.len(), 1);
    // Any other request is answered as the program says.
    assert_eq!(client.send(Request::get("https://example.com/")).await.status(), 204);
    assert!(told.next().await.is_empty());
}

/// A client that gives no room for what it is sent: what hyper holds then is little, the rest waits where it is counted, and
/// the write timeout begins.
#[tokio::test(start_paused = true)]
async fn a_client_that_gives_no_room() {
    let (server, told) =
        telling(Server::default().config(Config::default().write_timeout(Duration::from_secs(5))));
    let (one, queued) = (server.clone(), Arc::<AtomicUsize>::default());
    let seen = queued.clone();
    let respond = move |mut request: Request<Incoming>| {
        let queued = queued.clone();
        sansocket::http::upgrade(&mut request, &one, async move |ws: WebSocket<Upgraded>| {
            let (mut sender, _receiver) = ws.split();
            sender.feed(vec![7; 10 << 20]).await?;
            let flushed = timeout(Duration::from_secs(1), sender.flush()).await;
            assert!(flushed.is_err(), "there is no room");
            queued.store(sender.queued().bytes, Ordering::Relaxed);
            sender.flush().await
        })
    };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let mut client = Client::connect_as(builder, host(respond)).await;
    told.next().await;
    let _ws = websocket(client.send(connect()).await).await;
    sleep(Duration::from_secs(2)).await;
    assert!(seen.load(Ordering::Relaxed) > (10 << 20) - (64 << 10), "{seen:?} bytes wait");
    assert_eq!(server.connections().open, 1);
    sleep(Duration::from_secs(4)).await;
    let told = told.next().await;
    assert!(told.len() == 1 && told[0].contains("did not read"), "{told:?}");
    assert_eq!(server.connections().open, 0);
}

pub fn connect() -> hyper::http::request::Builder {
    let request = Request::builder().method(Method::CONNECT).uri("https://example.com/chat");
    request.extension(Protocol::from_static("websocket")).header("sec-websocket-version", "13")
}

/// A client by whose one connection all requests go.
pub struct Client(http2::SendRequest<Empty<Bytes>>);

impl Client {
    pub async fn connect(io: DuplexStream) -> Self {
        Self::connect_as(http2::Builder::new(TokioExecutor::new()), io).await
    }

    async fn connect_as(builder: http2::Builder<TokioExecutor>, io: DuplexStream) -> Self {
        let (client, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        let mut client = Self(client);
        // By then the client knows that it may ask for other protocols.
        client.send(Request::get("https://example.com/")).await;
        client
    }

    pub async fn send(&mut self, request: hyper::http::request::Builder) -> Response<Incoming> {
        let request = request.body(Empty::new()).unwrap();
        at_once(self.0.send_request(request)).await.unwrap()
    }
}

/// What the client agreed to by this response.
pub async fn websocket(response: Response<Incoming>) -> WebSocket<TokioIo<hyper::upgrade::Upgraded>> {
    let deflate = response.headers().get("sec-websocket-extensions").map(|answer| {
        let extensions = [Extension::new(answer.to_str().unwrap()).unwrap()];
        Deflate::default().agree_as_client(&extensions).unwrap().unwrap()
    });
    let mut negotiated = Negotiated::new(Role::Client);
    if let Some(deflate) = deflate {
        negotiated = negotiated.with_deflate(deflate);
    }
    let io = hyper::upgrade::on(response).await.unwrap();
    WebSocket::from_upgraded(TokioIo::new(io), negotiated, &[], &Config::default())
}

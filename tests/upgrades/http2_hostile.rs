//! Clients of HTTP/2 that end, reset, flood and stall streams: what becomes of the server's WebSockets.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use h2::Reason;
use h2::client::{Builder, SendRequest};
use h2::ext::Protocol;
use hyper::body::Bytes;
use hyper::server::conn::http2;
use hyper::{Method, Request};
use hyper_util::rt::TokioExecutor;
use sansocket::http::Upgraded;
use sansocket::tokio::WebSocket;
use sansocket::{CloseCode, Config, Role, Server};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::common::{BINARY, CLOSE, PING, TEXT, close_frame, close_payload, frame};
use crate::host::{Told, echo, http2 as host, http2_as as host_as, settle, telling};
use crate::peer::{after, at_once};
use crate::stream::Stream;

const SECOND: Duration = Duration::from_secs(1);

/// RFC 8441 section 5: END_STREAM is TCP's end: with the Close frame, as of Chromium, behind it, and without.
#[tokio::test(start_paused = true)]
async fn ends() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    let last = [frame(Role::Server, TEXT, b"last"), close_frame(Role::Server, 1000, "bye")].concat();
    for together in [true, false] {
        let mut stream = client.open().await;
        if together {
            stream.send.send_data(last.clone().into(), true).unwrap();
        } else {
            stream.send(&last);
            stream.end();
        }
        assert_eq!(
            at_once(stream.frames()).await,
            [(TEXT, b"last".to_vec()), (CLOSE, close_payload(1000, ""))],
            "and the end of the stream"
        );
        assert!(timeout(60 * SECOND, stream.reset()).await.is_err(), "both halves have ended");
        assert!(told.next().await.is_empty());
    }

    let mut stream = client.open().await;
    stream.end();
    assert_eq!(at_once(stream.frames()).await, []);
    assert_loss(&told, "ended it without a closing handshake").await;
    assert_eq!(server.connections().now(), 0);
}

/// Firefox never ends its half: after a closing handshake, whoever began it, the stream is reset, or it would count against the
/// connection's limit.
#[tokio::test(start_paused = true)]
async fn a_half_that_does_not_end() {
    let (server, told) = telling(Server::default());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(1);
    let io = host_as(builder, move |mut request| {
        let closes = request.uri().path() == "/closes";
        sansocket::http::upgrade(&mut request, &server, async move |mut ws: WebSocket<Upgraded>| {
            if closes {
                return ws.close(CloseCode::NORMAL, "").await;
            }
            echo(ws).await
        })
    });
    let mut client = Client::over(&Builder::new(), io).await;
    let mut kept = Vec::new();
    for path in ["/chat", "/closes"].repeat(3) {
        let mut stream = client.open_at(&format!("https://example.com{path}")).await;
        stream.send(&close_frame(Role::Server, 1000, ""));
        assert_eq!(at_once(stream.frames()).await, [(CLOSE, close_payload(1000, ""))]);
        // The client has a moment to end its half.
        assert_eq!(after(Duration::from_millis(100), stream.reset()).await, Reason::NO_ERROR);
        kept.push(stream);
    }
    assert!(told.next().await.is_empty());
}

/// A client that resets the stream behind a closing handshake has no more to say: nobody is told of an error.
#[tokio::test(start_paused = true)]
async fn resets_after_a_closing_handshake() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR] {
        let mut stream = client.open().await;
        stream.send(&close_frame(Role::Server, 1000, ""));
        assert_eq!(at_once(stream.frame()).await, Some((CLOSE, close_payload(1000, ""))));
        stream.send.send_reset(reason);
        assert!(told.next().await.is_empty());
        assert_eq!(server.connections().now(), 0);
    }
}

/// A handler that drops its WebSocket, or panics, looks like an end: the stream ends without a Close frame, and the client is to
/// stop, too.
#[tokio::test(start_paused = true)]
async fn handlers_that_end() {
    for panics in [false, true] {
        let (server, told) = telling(Server::default());
        let mut client = Client::connect_to(&server, move |mut ws: WebSocket<Upgraded>| async move {
            ws.send("last").await?;
            assert!(!panics, "it is broken");
            Ok::<_, sansocket::Error>(())
        })
        .await;
        let mut stream = client.open().await;
        assert_eq!(at_once(stream.frames()).await, [(TEXT, b"last".to_vec())]);
        assert_eq!(at_once(stream.reset()).await, Reason::NO_ERROR);
        assert_eq!(told.next().await.len(), usize::from(panics));
    }
}

/// A refusal ends the stream, and the client's half with it: as many as one likes, one after the other.
#[tokio::test(start_paused = true)]
async fn refusals() {
    let (server, _told) = telling(Server::default().max_connections(0));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(1);
    let io = host_as(builder, move |mut request| sansocket::http::upgrade(&mut request, &server, echo));
    let mut client = Client::over(&Builder::new(), io).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let (response, send) =
            client.requests.send_request(request("https://example.com/chat"), false).unwrap();
        let response = at_once(response).await.unwrap();
        assert_eq!(response.status(), 503);
        let mut stream = Stream::new(Role::Server, send, response.into_body());
        assert!(stream.data().await.starts_with(b"Not a WebSocket"));
        assert_eq!(at_once(stream.frame()).await, None);
        assert_eq!(at_once(stream.reset()).await, Reason::NO_ERROR);
        kept.push(stream);
    }
}

/// Each WebSocket takes a stream of those that the connection may have, 200 by default: what is asked for beyond waits for one
/// to end, and nobody is told.
#[tokio::test(start_paused = true)]
async fn the_limit_of_streams() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    assert_eq!(client.requests.current_max_send_streams(), 200);
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(client.open().await);
    }
    let page = Request::get("https://example.com/page").body(()).unwrap();
    let (mut response, _) = client.requests.send_request(page, true).unwrap();
    assert!(timeout(10 * SECOND, &mut response).await.is_err());
    assert!(told.next().await.is_empty());
    let mut stream = streams.pop().unwrap();
    stream.send(&close_frame(Role::Server, 1000, ""));
    stream.end();
    assert_eq!(at_once(response).await.unwrap().status(), 400);
}

/// RST_STREAM is its reset, whatever the reason; what came before it was received.
#[tokio::test(start_paused = true)]
async fn resets() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR, Reason::STREAM_CLOSED] {
        let mut stream = client.open().await;
        stream.send(&frame(Role::Server, TEXT, b"hi"));
        assert_eq!(at_once(stream.frame()).await, Some((TEXT, b"hi".to_vec())));
        stream.send.send_reset(reason);
        assert_loss(&told, "").await;
    }
    // And of all streams with the connection.
    let mut streams = VecDeque::new();
    for _ in 0..10 {
        streams.push_back(client.open().await);
    }
    client.task.abort();
    settle().await;
    let told = told.next().await;
    assert_eq!((told.len(), server.connections().now()), (10, 0), "{told:?}");
}

/// Who is failed is told why, and the stream has an end, though the client does not end its own: when it has answered, or
/// after a moment.
#[tokio::test(start_paused = true)]
async fn failures() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    for answers in [true, false] {
        let mut stream = client.open().await;
        stream.send(&frame(Role::Client, TEXT, b"not masked"));
        let (first, payload) = at_once(stream.frame()).await.unwrap();
        assert_eq!((first, &payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
        if answers {
            stream.send(&close_frame(Role::Server, 1002, ""));
            assert_eq!(at_once(stream.frame()).await, None);
        } else {
            assert_eq!(after(SECOND, stream.frame()).await, None);
        }
        // The client is to stop, too.
        assert_eq!(after(Duration::from_millis(100), stream.reset()).await, Reason::NO_ERROR);
        let told = told.next().await;
        assert!(told.len() == 1 && told[0].contains("masked"), "{told:?}");
        assert_eq!(server.connections().now(), 0);
    }
}

/// Silence is found as over TCP, and the stream has an end then.
#[tokio::test(start_paused = true)]
async fn silence() {
    let config = Config::default().keepalive(5 * SECOND, 5 * SECOND);
    let (server, told) = telling(Server::default().config(config));
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    sleep(11 * SECOND).await;
    let told = told.next().await;
    let frames = at_once(stream.frames()).await;
    assert!(matches!(&frames[..], [(PING, _)]), "{frames:?}");
    assert_eq!(at_once(stream.reset()).await, Reason::NO_ERROR);
    assert!(told.len() == 1 && told[0].contains("Ping"), "{told:?}");
    assert_eq!(server.connections().now(), 0);
}

/// Messages of a byte, in frames of a byte.
#[tokio::test(start_paused = true)]
async fn small_frames() {
    let (server, told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    let mut stream = client.open().await;
    for _ in 0..100 {
        let bytes = frame(Role::Server, TEXT, b"a").repeat(50);
        bytes.chunks(1).for_each(|byte| stream.send(byte));
        for _ in 0..50 {
            assert_eq!(at_once(stream.frame()).await, Some((TEXT, b"a".to_vec())));
        }
    }
    assert!(told.next().await.is_empty());
}

/// What has come together is answered together, in however many frames it was.
#[tokio::test(start_paused = true)]
async fn frames_that_come_together() {
    let mut client = Client::connect(&Server::default()).await;
    let mut stream = client.open().await;
    for _ in 0..16 {
        stream.send(&frame(Role::Server, TEXT, b"hello"));
    }
    assert_eq!(stream.data().await, frame(Role::Client, TEXT, b"hello").repeat(16));
}

/// Of a handler that does not receive, a client cannot fill the memory: its frames have a window, and, if they are small, a
/// budget, beyond which hyper gives the connection up.
#[tokio::test(start_paused = true)]
async fn floods_of_frames() {
    for (size, ends) in [(1 << 14, false), (1, true), (0, true)] {
        let (server, told) = telling(Server::default());
        let mut client = Client::connect_to(&server, async |ws: WebSocket<Upgraded>| {
            sleep(60 * SECOND).await;
            drop(ws);
        })
        .await;
        let mut stream = client.open().await;
        for _ in 0..10_000 {
            stream.send(&vec![0x81; size]);
        }
        sleep(5 * SECOND).await;
        let failed = client.task.is_finished();
        assert_eq!(failed, ends, "{size}");
        if !failed {
            // The window is all that it had.
            stream.send.reserve_capacity(1);
            assert_eq!(stream.send.capacity(), 0);
        }
        sleep(60 * SECOND).await;
        assert_eq!(server.connections().now(), 0);
        drop(told);
    }
}

/// What the guide says: all streams of a connection share a window, so that a handler that does not receive holds the others
/// up, unless there is room for all.
#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_receive() {
    let shared = http2::Builder::new(TokioExecutor::new());
    let mut apart = shared.clone();
    apart.max_concurrent_streams(1000);
    apart.initial_stream_window_size(1 << 16).initial_connection_window_size(1000 << 16);
    for (builder, is_held_up) in [(shared, true), (apart, false)] {
        let (server, _told) = telling(Server::default());
        let io = host_as(builder, move |mut request| {
            let receives = request.uri().path() == "/chat";
            sansocket::http::upgrade(&mut request, &server, async move |ws: WebSocket<Upgraded>| {
                if receives {
                    return echo(ws).await;
                }
                sleep(20 * SECOND).await;
                drop(ws);
                Ok(())
            })
        });
        let mut client = Client::over(&Builder::new(), io).await;
        assert_eq!(client.requests.current_max_send_streams(), if is_held_up { 200 } else { 1000 });
        let mut echoes = client.open().await;
        let mut silent = client.open_at("https://example.com/silent").await;
        for _ in 0..1000 {
            silent.send(&frame(Role::Server, BINARY, &[7; 4000]));
        }
        sleep(SECOND).await;
        echoes.send(&frame(Role::Server, TEXT, b"through"));
        let answer = timeout(SECOND, echoes.frame()).await;
        assert_eq!(answer.is_err(), is_held_up);
    }
}

/// Streams that are asked for and reset at once, again and again: nothing of them is left.
#[tokio::test(start_paused = true)]
async fn rapid_resets() {
    let (server, _told) = telling(Server::default());
    let mut client = Client::connect(&server).await;
    for _ in 0..10_000 {
        let Ok((response, mut send)) =
            client.requests.send_request(request("https://example.com/chat"), false)
        else {
            break;
        };
        send.send_reset(Reason::CANCEL);
        drop(response);
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(server.connections().now(), 0);
}

/// More than there is room for: the limits are those of all connections of the server, however many streams each has.
#[tokio::test(start_paused = true)]
async fn many_streams() {
    let (server, told) = telling(Server::default().max_connections(5));
    let mut client = Client::connect(&server).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(client.open().await);
    }
    assert_eq!(client.status().await, 503);
    drop(streams.pop());
    settle().await;
    streams.push(client.open().await);
    assert_eq!(client.status().await, 503);
    assert_eq!(told.next().await.len(), 3);
}

/// A client that reads nothing of a closing handshake: its time ends, and with it the stream.
#[tokio::test(start_paused = true)]
async fn a_closing_handshake_without_room() {
    let config = Config::default().close_timeout(5 * SECOND);
    let (server, told) = telling(Server::default().config(config));
    let mut client = Client::connect_as(Builder::new().initial_window_size(0), &server, echo).await;
    let mut stream = client.open().await;
    stream.send(&close_frame(Role::Server, 1000, ""));
    sleep(4 * SECOND).await;
    assert_eq!(server.connections().now(), 1);
    sleep(2 * SECOND).await;
    assert_eq!(server.connections().now(), 0);
    drop(told);
}

async fn assert_loss(told: &Told, why: &str) {
    let told = told.next().await;
    assert!(
        told.len() == 1 && told[0].contains("the connection was lost: ") && told[0].contains(why),
        "{told:?}"
    );
}

fn request(uri: &str) -> Request<()> {
    let request = Request::builder().method(Method::CONNECT).uri(uri);
    let request = request.extension(Protocol::from_static("websocket"));
    request.header("sec-websocket-version", "13").body(()).unwrap()
}

/// A client of h2's.
struct Client {
    requests: SendRequest<Bytes>,
    task: JoinHandle<()>,
}

impl Client {
    async fn connect(server: &Server) -> Self {
        Self::connect_as(&mut Builder::new(), server, echo).await
    }

    async fn connect_to<H, F>(server: &Server, handler: H) -> Self
    where
        H: Fn(WebSocket<Upgraded>) -> F + Clone + Send + 'static,
        F: Future<Output: sansocket::Handled> + Send + 'static,
    {
        Self::connect_as(&mut Builder::new(), server, handler).await
    }

    async fn connect_as<H, F>(builder: &mut Builder, server: &Server, handler: H) -> Self
    where
        H: Fn(WebSocket<Upgraded>) -> F + Clone + Send + 'static,
        F: Future<Output: sansocket::Handled> + Send + 'static,
    {
        let server = server.clone();
        let io = host(move |mut request| sansocket::http::upgrade(&mut request, &server, handler.clone()));
        Self::over(builder, io).await
    }

    async fn over(builder: &Builder, io: DuplexStream) -> Self {
        let (requests, connection) = builder.handshake(io).await.unwrap();
        let task = tokio::spawn(async {
            let _ = connection.await;
        });
        settle().await;
        assert!(requests.is_extended_connect_protocol_enabled());
        Self { requests, task }
    }

    async fn open(&mut self) -> Stream {
        self.open_at("https://example.com/chat").await
    }

    async fn open_at(&mut self, uri: &str) -> Stream {
        let (response, send) = self.requests.send_request(request(uri), false).unwrap();
        let response = at_once(response).await.unwrap();
        assert_eq!(response.status(), 200);
        Stream::new(Role::Server, send, response.into_body())
    }

    /// Of a request that is answered otherwise.
    async fn status(&mut self) -> u16 {
        let (response, _send) =
            self.requests.send_request(request("https://example.com/chat"), false).unwrap();
        at_once(response).await.unwrap().status().as_u16()
    }
}

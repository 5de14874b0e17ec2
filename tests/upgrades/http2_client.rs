//! The client's side of HTTP/2: what it asks for, what it takes for an answer, and servers that reset, flood and stall.

use std::future::{Future, pending, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use hyper::body::Bytes;
use hyper::{Request, Response};
use sansocket::handshake::ResponseError;
use sansocket::http::{Http2, Http2Stream};
use sansocket::tokio::WebSocket;
use sansocket::{Client, CloseCode, Config, Deflate, Error, Message, Role, Server, TimedOut};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy_bidirectional, duplex,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::common::{BINARY, CLOSE, PING, TEXT, close_frame, frame};
use crate::host::{echoes, http2 as host, settle};
use crate::peer::{after, at_once};
use crate::stream::Stream;

const SECOND: Duration = Duration::from_secs(1);

/// Several on one connection, with what the shared rules agree on.
#[tokio::test(start_paused = true)]
async fn messages_come_back() {
    let deflate = Config::default().deflate(Deflate::default());
    let server = Server::default().subprotocols(["v1"]).config(deflate.clone());
    let http2 = at_once(Http2::connect_over("ws://example.com/", host(echoes(&server)))).await.unwrap();
    let mut one = at_once(http2.open("ws://example.com/chat")).await.unwrap();
    let client = client().subprotocols(["v2", "v1"]).unwrap().config(deflate);
    let mut other = at_once(http2.clone().open(client)).await.unwrap();
    assert_eq!((one.subprotocol(), one.deflate().is_some()), (None, false));
    assert_eq!((other.subprotocol(), other.deflate().is_some()), (Some("v1"), true));
    assert_eq!(other.response().unwrap().status(), 200);
    assert_eq!((one.get_ref().id(), other.get_ref().id()), (1, 3));
    for message in [Message::text("hello"), Message::binary(vec![7; 300_000])] {
        for ws in [&mut one, &mut other] {
            ws.send(message.clone()).await.unwrap();
            assert_eq!(at_once(ws.recv()).await.unwrap(), Some(message.clone()));
        }
    }
    drop(http2);
    for mut ws in [one, other] {
        at_once(ws.close(CloseCode::NORMAL, "")).await.unwrap();
        assert!(ws.closed().unwrap().clean);
    }
    settle().await;
    assert_eq!((server.connections().total, server.connections().now()), (2, 0));
}

/// Through a proxy, behind whose answer the server is the first to speak: all of that comes in one segment.
#[tokio::test]
async fn through_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", proxy.local_addr().unwrap());
    let server = Server::default();
    let mut io = host(echoes(&server));
    let relayed = tokio::spawn(async move {
        let (mut tcp, mut asked) = (proxy.accept().await.unwrap().0, Vec::new());
        while !asked.ends_with(b"\r\n\r\n") {
            tcp.read_buf(&mut asked).await.unwrap();
        }
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let head = answer.len();
        io.read_buf(&mut answer).await.unwrap();
        assert!(answer.len() > head);
        tcp.write_all(&answer).await.unwrap();
        let _ = copy_bidirectional(&mut tcp, &mut io).await;
        asked
    });
    let http2 = Http2::connect(client().proxy(&*uri).unwrap()).await.unwrap();
    let mut ws = http2.open("ws://example.com/chat").await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
    drop((http2, ws));
    assert!(relayed.await.unwrap().starts_with(b"CONNECT example.com:80 HTTP/1.1\r\n"));
}

/// RFC 8441 sections 4 and 5: all pseudo-headers, and none of the headers that HTTP/2 or extended CONNECT does not have.
#[tokio::test(start_paused = true)]
async fn what_is_asked_for() {
    let (http2, mut server) = connected(builder()).await;
    let client = Client::new("ws://example.com:80/chat?room=%7b7}").unwrap();
    let client = ["Keep-Alive", "Proxy-Connection", "TE", "X-Room"]
        .into_iter()
        .fold(client, |client, name| client.header(name, "a").unwrap());
    let client = client.header("Authorization", "Bearer 1").unwrap().subprotocols(["v2", "v1"]).unwrap();
    let client = client.config(Config::default().deflate(Deflate::default()));
    let opening = tokio::spawn(http2.open(client));
    let (request, mut response) = server.next().await;
    assert_eq!(request.method(), "CONNECT");
    assert_eq!(request.uri(), "http://example.com/chat?room=%7b7%7D");
    assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
    let lines: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let agent = lines.iter().find(|(name, _)| *name == "user-agent").expect("a user agent").1;
    assert_eq!(
        lines,
        [
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "v2, v1"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
            ("user-agent", agent),
            ("x-room", "a"),
            ("authorization", "Bearer 1"),
        ]
    );
    assert!(agent.starts_with("sansocket/"));
    // Any 2xx will do, and an answer to a key that was not sent is nobody's business.
    let accepted = Response::builder().status(204).header("sec-websocket-accept", "x").body(()).unwrap();
    response.send_response(accepted, false).unwrap();
    at_once(opening).await.unwrap().unwrap();

    // The connection is that of one server.
    for uri in ["ws://example.org/?key=secret", "wss://example.com/", "ws://example.com:81/"] {
        let Error::Connect(error) = at_once(http2.open(uri)).await.unwrap_err() else { panic!("{uri}") };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("leads to ws://example.com, and"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(server.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let (http2, mut server) = connected(builder()).await;
    for status in [300, 403, 503] {
        let opening = tokio::spawn(http2.open(client()));
        let (_, mut response) = server.next().await;
        let refusal = Response::builder().status(status).header("retry-after", "7").body(()).unwrap();
        let mut body = response.send_response(refusal, false).unwrap();
        // More than is kept, and no end of it.
        body.send_data(vec![b'a'; 10_000].into(), false).unwrap();
        let error = at_once(opening).await.unwrap().unwrap_err();
        let response = error.refusal().expect("a refusal");
        assert_eq!((response.status(), response.headers().get("retry-after")), (status, Some("7")));
        assert_eq!(response.body(), &[b'a'; 4 << 10][..]);
        // It does not count against the connection's limit any more.
        assert_eq!(at_once(poll_fn(|cx| body.poll_reset(cx))).await.unwrap(), Reason::CANCEL);
    }

    // A body that does not come is not waited for longer than for all the rest.
    let opening = tokio::spawn(http2.open(client().connect_timeout(5 * SECOND)));
    let (_, mut response) = server.next().await;
    let refusal = Response::builder().status(403).body(()).unwrap();
    let mut body = response.send_response(refusal, false).unwrap();
    body.send_data("no".into(), false).unwrap();
    let error = after(5 * SECOND, opening).await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refused the WebSocket connection with status 403, and says: no"
    );
}

/// What is agreed on is judged by the rules that hold for HTTP/1.1, and limits are kept.
#[tokio::test(start_paused = true)]
async fn responses_that_break_the_rules() {
    let (http2, mut server) = connected(builder()).await;
    let line = |name: &'static str, value: &'static str| vec![(name, value)];
    for (lines, expected) in [
        (line("sec-websocket-protocol", "v3"), ResponseError::UnofferedSubprotocol("v3".into())),
        (line("sec-websocket-protocol", "v1, v2"), ResponseError::InvalidSubprotocols),
        (vec![("sec-websocket-protocol", "v1"); 2], ResponseError::SeveralSubprotocols),
        (line("sec-websocket-extensions", "x"), ResponseError::UnofferedExtension("x".into())),
        (line("sec-websocket-extensions", ";"), ResponseError::InvalidExtensions),
        (vec![("x-a", "b"); 101], ResponseError::Head(sansocket::handshake::HeadError::TooManyHeaders)),
    ] {
        let opening = tokio::spawn(http2.open(client().subprotocols(["v1"]).unwrap()));
        let (_, mut respond) = server.next().await;
        let mut response = Response::builder();
        for (name, value) in lines {
            response = response.header(name, value);
        }
        let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
        match at_once(opening).await.unwrap().unwrap_err() {
            Error::Response(error) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(poll_fn(|cx| stream.poll_reset(cx)).await.unwrap(), Reason::CANCEL);
    }

    let opening = tokio::spawn(http2.open(client()));
    let (_, mut respond) = server.next().await;
    for _ in 0..9 {
        let interim = Response::builder().status(103).body(()).unwrap();
        respond.send_informational(interim).unwrap();
    }
    let error = at_once(opening).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::TooManyInterimResponses)), "{error:?}");
}

/// RFC 8441 section 3: nothing is asked of a server that has not said that it may be asked, and the error says so.
#[tokio::test(start_paused = true)]
async fn servers_that_take_no_websockets() {
    let (near, far) = duplex(1 << 16);
    let _server = Streams::of(far, Builder::new());
    let error = at_once(Http2::connect_over("ws://example.com/", near)).await.unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::ConnectNotEnabled)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn servers_that_speak_no_http2() {
    // HTTP/1.1.
    let (near, mut far) = duplex(1 << 16);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let Error::Connect(error) = at_once(Http2::connect_over("ws://example.com/", near)).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(
        error
            .to_string()
            .contains("does not keep to HTTP/2, and so the connection was given up: FRAME_SIZE_ERROR"),
        "{error}"
    );
    // Nothing, and no end of it.
    let (near, far) = duplex(1 << 16);
    let connecting = Http2::connect_over(client().connect_timeout(5 * SECOND), near);
    let error = after(5 * SECOND, connecting).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    drop(far);
    // Its end.
    let (near, mut far) = duplex(1 << 16);
    let closing = async { far.shutdown().await.unwrap() };
    let (error, ()) = tokio::join!(at_once(Http2::connect_over("ws://example.com/", near)), closing);
    assert!(matches!(error.unwrap_err(), Error::Connect(_)));
    // Without TLS no secret is sent to a server that is to have it.
    let (near, mut far) = duplex(1 << 16);
    let error = at_once(Http2::connect_over("wss://example.com/", near)).await.unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.kind() == ErrorKind::Unsupported), "{error:?}");
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
}

/// END_STREAM is TCP's end: after Close frames it is as it should be, before them it is a loss.
#[tokio::test(start_paused = true)]
async fn ends() {
    let (mut ws, mut peer, _server) = opened(builder()).await;
    peer.send(&close_frame(Role::Client, 1000, "bye"));
    peer.end();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    assert!(ws.closed().unwrap().clean);
    assert_eq!(at_once(peer.frames()).await, [(CLOSE, vec![3, 232])], "and the end of the stream");
    drop(ws);

    let (mut ws, mut peer, _server) = opened(builder()).await;
    peer.send(&frame(Role::Client, TEXT, b"last"));
    peer.end();
    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("last")));
    let Err(Error::ConnectionLost(error)) = at_once(ws.recv()).await else { panic!() };
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let closed = ws.closed().unwrap();
    assert_eq!((closed.clean, closed.code), (false, CloseCode::ABNORMAL_CLOSURE));
}

/// A server that has taken part in the closing handshake, and resets the stream behind it or its end, has no more to say; one
/// that leaves the stream open is given up when its time is over, and the stream is reset.
#[tokio::test(start_paused = true)]
async fn ends_after_a_closing_handshake() {
    let close = || close_frame(Role::Client, 1000, "");
    for reason in [Some(Reason::CANCEL), Some(Reason::NO_ERROR), None] {
        for (closes, ends) in [(true, false), (true, true), (false, false), (false, true)] {
            let config = Config::default().close_timeout(5 * SECOND);
            let (http2, mut server) = connected(builder()).await;
            let (mut ws, mut peer) = open(&http2, &mut server, client().config(config)).await;
            let (expected, peer) = (ends || reason.is_some(), &mut peer);
            let closing = async {
                if closes { ws.close(CloseCode::NORMAL, "").await } else { ws.recv().await.map(drop) }
            };
            let answering = async {
                if closes {
                    assert_eq!(peer.frame().await.unwrap().0, CLOSE);
                }
                peer.send.send_data(close().into(), ends).unwrap();
                settle().await;
                if let Some(reason) = reason {
                    peer.send.send_reset(reason);
                }
            };
            let start = Instant::now();
            let (closed, ()) = tokio::join!(closing, answering);
            closed.unwrap();
            assert!(ws.closed().unwrap().clean);
            assert_eq!(start.elapsed() < SECOND, expected, "{reason:?} {closes} {ends}");
            drop(ws);
            if !expected {
                assert_eq!(at_once(peer.reset()).await, Reason::CANCEL);
            }
        }
    }
}

/// RST_STREAM is TCP's reset; what came before it is received, and its reason is told.
#[tokio::test(start_paused = true)]
async fn resets() {
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::NO_ERROR] {
        let (mut ws, mut peer, _server) = opened(builder()).await;
        peer.send(&frame(Role::Client, TEXT, b"last"));
        settle().await;
        peer.send.send_reset(reason);
        assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("last")));
        let Err(Error::ConnectionLost(error)) = at_once(ws.recv()).await else { panic!("{reason:?}") };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let expected = format!("the other end reset the HTTP/2 stream: {reason:?}, ");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(!ws.closed().unwrap().clean);
    }

    // While something is to be written that there is no room for.
    let (ws, mut peer, _server) = opened(stalling()).await;
    let (mut sender, _receiver) = ws.split();
    let sending = tokio::spawn(async move { sender.send(vec![7; 1 << 20]).await });
    settle().await;
    peer.send.send_reset(Reason::ENHANCE_YOUR_CALM);
    let Err(Error::ConnectionLost(error)) = at_once(sending).await.unwrap() else { panic!() };
    assert!(error.to_string().contains("ENHANCE_YOUR_CALM"), "{error}");

    // Instead of a response.
    let (http2, mut server) = connected(builder()).await;
    let opening = tokio::spawn(http2.open(client()));
    let (_, mut respond) = server.next().await;
    respond.send_reset(Reason::REFUSED_STREAM);
    let Err(Error::ConnectionLost(error)) = at_once(opening).await.unwrap() else { panic!() };
    assert!(error.to_string().contains("REFUSED_STREAM"), "{error}");
}

/// A connection that ends ends all its WebSockets, and no more are opened.
#[tokio::test(start_paused = true)]
async fn connections_that_end() {
    // By GOAWAY.
    let (http2, mut server) = connected(builder()).await;
    let (mut ws, _peer) = open(&http2, &mut server, client()).await;
    server.abort(Reason::ENHANCE_YOUR_CALM);
    let Err(Error::ConnectionLost(error)) = at_once(ws.recv()).await else { panic!() };
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(error.to_string().contains("gave the HTTP/2 connection up: ENHANCE_YOUR_CALM, "), "{error}");
    let error = at_once(http2.open(client())).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost(_)), "{error:?}");

    // By the transport's.
    let (http2, mut server) = connected(builder()).await;
    let (mut ws, _peer) = open(&http2, &mut server, client()).await;
    drop(server);
    assert!(matches!(at_once(ws.recv()).await, Err(Error::ConnectionLost(_))));
}

/// A closing handshake ends the stream, and a WebSocket that is dropped without one resets it: behind what was sent.
#[tokio::test(start_paused = true)]
async fn our_ends() {
    let (mut ws, mut peer, _server) = opened(builder()).await;
    let closing = async { ws.close(CloseCode::NORMAL, "").await };
    let answering = async {
        assert_eq!(peer.frame().await.unwrap().0, CLOSE);
        peer.send(&close_frame(Role::Client, 1000, ""));
        peer.end();
        assert_eq!(peer.frame().await, None);
    };
    at_once(async { tokio::join!(closing, answering).0 }).await.unwrap();

    let (mut ws, mut peer, _server) = opened(builder()).await;
    ws.send("last").await.unwrap();
    drop(ws);
    assert_eq!(at_once(peer.frame()).await.unwrap(), (TEXT, b"last".to_vec()));
    assert_eq!(at_once(peer.reset()).await, Reason::CANCEL);

    // One that is failed is closed by its Close frame, and the end of the stream comes of the server's.
    let (mut ws, mut peer, _server) = opened(builder()).await;
    peer.send(&frame(Role::Server, TEXT, b"masked"));
    let failing = tokio::spawn(async move { ws.recv().await });
    let (first, payload) = at_once(peer.frame()).await.unwrap();
    assert_eq!((first, &payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
    peer.end();
    assert!(matches!(at_once(failing).await.unwrap(), Err(Error::Protocol(_))));
}

/// A server that says nothing: instead of a response, and when the WebSocket is open. What is given up is reset.
#[tokio::test(start_paused = true)]
async fn silence() {
    let (http2, mut server) = connected(builder()).await;
    let opening = tokio::spawn(http2.open(client().connect_timeout(5 * SECOND)));
    let (_, mut respond) = server.next().await;
    let error = after(5 * SECOND, opening).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    assert_eq!(at_once(poll_fn(|cx| respond.poll_reset(cx))).await.unwrap(), Reason::CANCEL);

    let config = Config::default().keepalive(5 * SECOND, 5 * SECOND);
    let (mut ws, mut peer) = open(&http2, &mut server, client().config(config)).await;
    let error = after(10 * SECOND, ws.recv()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(TimedOut::Keepalive)), "{error:?}");
    drop(ws);
    assert_eq!(at_once(peer.frame()).await.unwrap().0, PING);
    assert_eq!(peer.frame().await, None);
    assert_eq!(at_once(peer.reset()).await, Reason::CANCEL);
}

/// A server that gives no room: what is written ahead of it is nothing, the rest waits where it is counted, and the deadline
/// is kept.
#[tokio::test(start_paused = true)]
async fn a_server_that_gives_no_room() {
    let (http2, mut server) = connected(stalling()).await;
    let config = Config::default().write_timeout(5 * SECOND);
    let (ws, mut peer) = open(&http2, &mut server, client().config(config)).await;
    let (mut sender, mut receiver) = ws.split();
    let sending = tokio::spawn(async move {
        sender.feed(vec![7; 10 << 20]).await?;
        let flushed = timeout(SECOND, sender.flush()).await;
        assert!(flushed.is_err() && sender.queued().bytes > 10 << 20, "there is no room");
        sender.flush().await
    });
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let told = after(5 * SECOND, sending).await.unwrap();
    assert!(matches!(told, Err(Error::TimedOut(TimedOut::Write))), "{told:?}");
    at_once(receiving).await.unwrap().unwrap_err();
    // What is given up is reset, though there is no room.
    assert_eq!(at_once(peer.reset()).await, Reason::CANCEL);
}

/// A transport that takes nothing: of each stream no more than its share waits in the connection, whatever its window. Nor
/// does it hold the connection up that nobody needs any more.
#[tokio::test(start_paused = true)]
async fn a_transport_that_takes_nothing() {
    let mut builder = builder();
    builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 24);
    let (near, far) = duplex(1 << 10);
    let (near, is_gone) = watched(near);
    let mut server = Streams::of(far, builder);
    let http2 = Http2::connect_over("ws://example.com/", near).await.unwrap();
    let (ws, _peer) = open(&http2, &mut server, client()).await;
    server.stall();
    let (mut sender, receiver) = ws.split();
    sender.feed(vec![7; 10 << 20]).await.unwrap();
    timeout(SECOND, sender.flush()).await.unwrap_err();
    assert!(sender.queued().bytes > (10 << 20) - (100 << 10), "{:?}", sender.queued());
    drop((sender, receiver, http2));
    after(10 * SECOND, is_gone).await;
}

/// A WebSocket that is dropped while the transport takes nothing: what was written comes when it does, and then the end.
#[tokio::test(start_paused = true)]
async fn what_was_written_comes_before_the_end() {
    let (near, mut middle) = duplex(1 << 10);
    let (mut beyond, far) = duplex(1 << 10);
    let mut carried = pin!(copy_bidirectional(&mut middle, &mut beyond));
    let mut server = Streams::of(far, builder());
    let opening = async {
        let http2 = Http2::connect_over("ws://example.com/", near).await.unwrap();
        let (ws, peer) = open(&http2, &mut server, client()).await;
        settle().await;
        (http2, ws, peer)
    };
    let (http2, mut ws, mut peer) = tokio::select! {
        opened = opening => opened,
        ended = &mut carried => panic!("{ended:?}"),
    };
    ws.send(vec![7; 30_000]).await.unwrap();
    drop(ws);
    settle().await;
    let came = async { (peer.frame().await, peer.frame().await, peer.reset().await) };
    let came = tokio::select! {
        came = at_once(came) => came,
        ended = &mut carried => panic!("{ended:?}"),
    };
    assert_eq!(came, (Some((BINARY, vec![7; 30_000])), None, Reason::CANCEL));
    drop(http2);
}

/// A server that floods a stream which is not read is held up by its window, and no other stream is.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_holds_up_no_other() {
    let (http2, mut server) = connected(builder()).await;
    let mut flooded = Vec::new();
    for _ in 0..20 {
        let (ws, mut peer) = open(&http2, &mut server, client()).await;
        for _ in 0..10_000 {
            peer.send(&frame(Role::Client, TEXT, &[b'a'; 200]));
        }
        flooded.push((ws, peer));
    }
    tokio::time::sleep(5 * SECOND).await;
    let (mut ws, mut peer) = open(&http2, &mut server, client()).await;
    peer.send(&frame(Role::Client, TEXT, b"through"));
    assert_eq!(at_once(ws.recv()).await.unwrap(), Some(Message::text("through")));
    for (ws, peer) in &mut flooded {
        let waiting = peer.send.capacity();
        assert_eq!(waiting, 0, "there is no room for all");
        for _ in 0..10_000 {
            assert!(at_once(ws.recv()).await.unwrap().is_some());
        }
    }
}

/// Frames without content, and without an end.
#[tokio::test(start_paused = true)]
async fn a_flood_of_empty_frames() {
    let (mut ws, mut peer, _server) = opened(builder()).await;
    for _ in 0..200 {
        peer.send(b"");
    }
    let Err(Error::ConnectionLost(error)) = at_once(ws.recv()).await else { panic!() };
    assert!(error.to_string().contains("given up: ENHANCE_YOUR_CALM, "), "{error}");
}

/// More than the server allows: the next waits until there is one less, and no longer than it may.
#[tokio::test(start_paused = true)]
async fn too_many_streams() {
    let mut one = builder();
    one.max_concurrent_streams(1);
    let (http2, mut server) = connected(one).await;
    let (mut ws, mut peer) = open(&http2, &mut server, client()).await;
    for _ in 0..10 {
        let error = after(3 * SECOND, http2.open(client().connect_timeout(3 * SECOND))).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    }
    let next = tokio::spawn(http2.open(client()));
    assert!(server.is_silent().await);
    peer.send(&close_frame(Role::Client, 1000, ""));
    peer.end();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    // Of those that were given up the first had been queued already, and is reset.
    let (_, mut given_up) = server.next().await;
    given_up.send_response(Response::new(()), false).unwrap_err();
    let (_, mut respond) = server.next().await;
    respond.send_response(Response::new(()), false).unwrap();
    at_once(next).await.unwrap().unwrap();
}

/// Those who wait for a place, and are not polled any more, are in nobody's way.
#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled() {
    let mut one = builder();
    one.max_concurrent_streams(1);
    let (http2, mut server) = connected(one).await;
    let (mut ws, mut peer) = open(&http2, &mut server, client()).await;
    // The first is queued, the second waits for that, and the third behind it.
    let mut waiting = [1, 2, 3].map(|_| Box::pin(http2.open(client())));
    for _ in 0..3 {
        for opening in &mut waiting {
            assert!(poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx))).await.is_pending());
        }
        settle().await;
    }
    let next = tokio::spawn(http2.open(client()));
    settle().await;
    peer.send(&close_frame(Role::Client, 1000, ""));
    peer.end();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    // It is refused, which nobody hears; and there is a place again.
    let (_, mut respond) = server.next().await;
    respond.send_reset(Reason::REFUSED_STREAM);
    let (_, mut respond) = server.next().await;
    respond.send_response(Response::new(()), false).unwrap();
    at_once(next).await.unwrap().unwrap();
    drop(waiting);
}

/// What took the last place, and is given up, is reset though nobody asks for another: before there is an answer, and as a
/// WebSocket.
#[tokio::test(start_paused = true)]
async fn the_last_place() {
    let mut one = builder();
    one.max_concurrent_streams(1);
    let (http2, mut server) = connected(one).await;
    let opening = tokio::spawn(http2.open(client()));
    let (_, mut respond) = server.next().await;
    opening.abort();
    assert_eq!(at_once(poll_fn(|cx| respond.poll_reset(cx))).await.unwrap(), Reason::CANCEL);

    let (ws, mut peer) = open(&http2, &mut server, client()).await;
    drop(ws);
    assert_eq!(at_once(peer.frame()).await, None);
    assert_eq!(at_once(peer.reset()).await, Reason::CANCEL);

    // Given up while it waits behind one, and before that has gone.
    let (mut ws, mut peer) = open(&http2, &mut server, client()).await;
    let waiting = [tokio::spawn(http2.open(client())), tokio::spawn(http2.open(client()))];
    settle().await;
    for waiting in waiting {
        waiting.abort();
    }
    settle().await;
    peer.send(&close_frame(Role::Client, 1000, ""));
    peer.end();
    assert_eq!(at_once(ws.recv()).await.unwrap(), None);
    let (_, mut respond) = server.next().await;
    assert_eq!(at_once(poll_fn(|cx| respond.poll_reset(cx))).await.unwrap(), Reason::CANCEL);
}

/// The connection ends with the last that uses it, whoever that is.
#[tokio::test(start_paused = true)]
async fn last_users() {
    let (http2, mut server) = connected(builder()).await;
    let (mut ws, mut peer) = open(&http2, &mut server, client()).await;
    drop(http2);
    ws.send("still").await.unwrap();
    assert_eq!(at_once(peer.frame()).await.unwrap(), (TEXT, b"still".to_vec()));
    assert!(!server.task.is_finished());
    drop(ws);
    at_once(&mut server.task).await.unwrap();

    let (http2, mut server) = connected(builder()).await;
    settle().await;
    assert!(!server.task.is_finished());
    drop(http2);
    at_once(&mut server.task).await.unwrap();
}

/// RFC 7541 section 7.1.3: literals that are never indexed, for the names 23 and 32 of the static table.
#[tokio::test(start_paused = true)]
async fn credentials_are_kept_out_of_tables() {
    let (near, mut far) = duplex(1 << 16);
    // Settings that let clients ask for WebSockets.
    far.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1]).await.unwrap();
    let http2 = at_once(Http2::connect_over("ws://example.com/", near)).await.unwrap();
    let client = client().header("Authorization", "Bearer 1").unwrap().header("Cookie", "a=1").unwrap();
    let _opening = tokio::spawn(http2.open(client));
    settle().await;
    let mut written = vec![0; 1 << 16];
    let len = far.read(&mut written).await.unwrap();
    for name in [23, 32] {
        let literal = [0x1f, name - 15];
        assert!(written[..len].windows(2).any(|bytes| bytes == literal), "{name}");
    }
}

/// A server that lets its clients ask for WebSockets.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.enable_connect_protocol();
    builder
}

/// One that gives them no room.
fn stalling() -> Builder {
    let mut builder = builder();
    builder.initial_window_size(0);
    builder
}

fn client() -> Client {
    Client::new("ws://example.com/chat").unwrap()
}

async fn connected(builder: Builder) -> (Http2, Streams) {
    let (near, far) = duplex(1 << 16);
    let server = Streams::of(far, builder);
    (at_once(Http2::connect_over("ws://example.com/", near)).await.unwrap(), server)
}

async fn open(http2: &Http2, server: &mut Streams, client: Client) -> (WebSocket<Http2Stream>, Stream) {
    let opening = tokio::spawn(http2.open(client));
    let (request, mut respond) = server.next().await;
    let send = respond.send_response(Response::new(()), false).unwrap();
    let ws = at_once(opening).await.unwrap().unwrap();
    (ws, Stream::new(Role::Client, send, request.into_body()))
}

async fn opened(builder: Builder) -> (WebSocket<Http2Stream>, Stream, Streams) {
    let (http2, mut server) = connected(builder).await;
    let (ws, peer) = open(&http2, &mut server, client()).await;
    (ws, peer, server)
}

/// A stream, and a future that is ready when it was dropped.
fn watched(io: DuplexStream) -> (Watched, impl Future<Output = ()>) {
    let (sender, receiver) = oneshot::channel();
    (Watched { io, _sender: sender }, async {
        receiver.await.unwrap_err();
    })
}

struct Watched {
    io: DuplexStream,
    _sender: oneshot::Sender<()>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The streams that a server of h2's is asked for, in a task.
struct Streams {
    streams: UnboundedReceiver<(Request<RecvStream>, SendResponse<Bytes>)>,
    task: JoinHandle<()>,
    end: Option<oneshot::Sender<Option<Reason>>>,
}

impl Streams {
    fn of(io: DuplexStream, builder: Builder) -> Self {
        let (sender, streams) = unbounded_channel();
        let (end, mut ending) = oneshot::channel();
        let task = tokio::spawn(async move {
            let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
            loop {
                tokio::select! {
                    biased;
                    Ok(reason) = &mut ending, if !ending.is_terminated() => match reason {
                        Some(reason) => connection.abrupt_shutdown(reason),
                        None => pending().await,
                    },
                    accepted = connection.accept() => match accepted {
                        Some(Ok(stream)) => drop(sender.send(stream)),
                        _ => return,
                    },
                }
            }
        });
        Self { streams, task, end: Some(end) }
    }

    fn next(&mut self) -> impl Future<Output = (Request<RecvStream>, SendResponse<Bytes>)> {
        at_once(async { self.streams.recv().await.expect("a request") })
    }

    async fn is_silent(&mut self) -> bool {
        settle().await;
        self.streams.is_empty()
    }

    /// By GOAWAY.
    fn abort(&mut self, reason: Reason) {
        self.end.take().unwrap().send(Some(reason)).unwrap();
    }

    /// It reads no more, and writes no more.
    fn stall(&mut self) {
        self.end.take().unwrap().send(None).unwrap();
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.task.abort();
    }
}

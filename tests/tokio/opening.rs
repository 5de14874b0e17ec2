//! The opening handshake: over pipes and virtual time, and over loopback.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use sansocket::handshake::{HandshakeError, HeadError, Limits, Reply, RequestError, Response, ResponseError};
use sansocket::tokio::{accept, accept_with, connect, connect_over};
use sansocket::{Client, CloseCode, Config, Error, Message, Server, TimedOut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{TEXT, frame, secs};
use crate::peer::{Peer, SIZES, after, at_once};
use crate::script::{Read, Script, Write};

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Reads a head: what was read up to its end, and nothing more.
async fn head(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[track_caller]
fn handshake<T: std::fmt::Debug>(result: Result<T, Error>) -> HandshakeError {
    match result {
        Err(Error::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The response that a client was refused with.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Response {
    handshake(result).refusal().unwrap().clone()
}

/// 6455-4.1-02: a client connects over TCP, sends its handshake, and reads the server's; both sides see
/// what the other asked for and chose.
#[tokio::test]
async fn connect_and_accept_over_tcp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut pending = accept(tcp).await.unwrap();
        assert!(pending.is_websocket());
        let request = pending.request();
        assert_eq!((request.path(), request.query()), ("/chat", Some("a=b")));
        assert_eq!(request.host(), Some(&*format!("127.0.0.1:{port}")));
        assert_eq!(request.headers().get("Authorization"), Some("Bearer 1"));
        let offered: Vec<_> = pending.websocket_request().unwrap().subprotocols().collect();
        assert_eq!(offered, ["v2", "v1"]);
        pending.choose_subprotocol(&["v1", "v0"]);
        pending.header("X-Served-By", "one").unwrap();
        let mut ws = pending.accept().await.unwrap();
        assert_eq!(ws.subprotocol(), Some("v1"));
        assert!(ws.response().is_none());
        while let Some(message) = ws.recv().await.unwrap() {
            ws.send(message).await.unwrap();
        }
    };
    let driving = async {
        let client = Client::new(&format!("ws://127.0.0.1:{port}/chat?a=b")).unwrap();
        let client = client.header("Authorization", "Bearer 1").unwrap().subprotocols(["v2", "v1"]).unwrap();
        let mut ws = connect(client).await.unwrap();
        assert_eq!(ws.subprotocol(), Some("v1"));
        assert_eq!(ws.response().unwrap().headers().get("X-Served-By"), Some("one"));
        // Messages are written whole: the transport is not to wait for more.
        assert!(ws.get_ref().tcp().nodelay().unwrap());
        ws.send("hello").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(ws.closed().unwrap().clean);
    };
    tokio::join!(serving, driving);
}

/// Every address of a name is tried: a server that listens on any one of them is found.
#[tokio::test]
async fn all_addresses_are_tried() {
    let addresses: Vec<_> = tokio::net::lookup_host("localhost:0").await.unwrap().collect();
    for address in addresses {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = async { accept(listener.accept().await.unwrap().0).await.unwrap().accept().await };
        let (server, client) = tokio::join!(serving, connect(format!("ws://localhost:{port}")));
        server.unwrap();
        assert_eq!(client.unwrap().get_ref().tcp().peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}

/// An IPv6 address may be the host.
#[tokio::test]
async fn an_ipv6_address() {
    // Where there is no IPv6 there is nothing to test.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        let pending = accept(listener.accept().await.unwrap().0).await.unwrap();
        assert_eq!(pending.request().host(), Some(&*format!("[::1]:{port}")));
        pending.accept().await.unwrap()
    };
    let (_, client) = tokio::join!(serving, connect(format!("ws://[::1]:{port}/")));
    client.unwrap();
}

/// 6455-4.1-13: a transport that cannot be opened fails the connection: a refused port, an unknown
/// name; and what is no WebSocket URI fails before.
#[tokio::test]
async fn the_transport_cannot_be_opened() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = connect(format!("ws://127.0.0.1:{port}")).await.unwrap_err();
    assert!(matches!(&error, Error::Connect(error) if error.kind() == ErrorKind::ConnectionRefused));
    let error = connect("ws://name.invalid/").await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    let error = connect("http://127.0.0.1/").await.unwrap_err();
    assert!(matches!(error, Error::Uri(_)), "{error:?}");
}

/// 6455-4.1-02: through pipes of all sizes, both roles; frames that are glued to the heads are not lost.
#[tokio::test(start_paused = true)]
async fn frames_glued_to_the_heads() {
    for size in SIZES {
        // A client that does not wait for the response.
        let (near, far) = duplex(size);
        at_once(async {
            let glued =
                [format!("{REQUEST}\r\n").into_bytes(), frame(sansocket::Role::Server, TEXT, b"early")];
            let (mut responses, mut requests) = tokio::io::split(far);
            let reading = async {
                let head = head(&mut responses).await;
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
            };
            let writing = async { requests.write_all(&glued.concat()).await.unwrap() };
            let accepting = async {
                let pending = accept(near).await.unwrap();
                assert_eq!(pending.request().target(), "/chat?room=1");
                let mut ws = pending.accept().await.unwrap();
                assert_eq!(ws.recv().await.unwrap(), Some(Message::text("early")));
            };
            tokio::join!(reading, writing, accepting);
        })
        .await;

        // A server that greets.
        let (near, far) = duplex(size);
        at_once(async {
            let serving = async {
                let mut ws = accept(far).await.unwrap().accept().await.unwrap();
                ws.send("welcome").await.unwrap();
                assert_eq!(ws.recv().await.unwrap(), None);
            };
            let driving = async {
                let mut ws = connect_over("ws://example.com/", near).await.unwrap();
                assert_eq!(ws.recv().await.unwrap(), Some(Message::text("welcome")));
                ws.close(CloseCode::NORMAL, "").await.unwrap();
            };
            tokio::join!(serving, driving);
        })
        .await;
    }
    // In one read.
    let bytes =
        [format!("{REQUEST}\r\n").into_bytes(), frame(sansocket::Role::Server, TEXT, b"early")].concat();
    let script = Script::new([Read::Bytes(bytes)], []);
    let mut ws = accept(script).await.unwrap().accept().await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("early")));
}

/// The client of a server that rejects gets the status, the headers and the body; the server's call
/// returns when the client has gone.
#[tokio::test(start_paused = true)]
async fn rejected() {
    for size in SIZES {
        let (near, far) = duplex(size);
        let serving = async { accept(far).await.unwrap().reject(403, "not you").await.unwrap() };
        let (refused, ()) =
            at_once(async { tokio::join!(connect_over("ws://example.com/", near), serving) }).await;
        let response = refusal(refused);
        assert_eq!((response.status(), response.body()), (403, &b"not you"[..]));

        let (near, far) = duplex(size);
        let reply = Reply::new(503).unwrap().header("Retry-After", "7").unwrap().body("busy");
        let serving = async { accept(far).await.unwrap().respond(&reply).await.unwrap() };
        let (refused, ()) =
            at_once(async { tokio::join!(connect_over("ws://example.com/", near), serving) }).await;
        let response = refusal(refused);
        assert_eq!((response.status(), response.body()), (503, &b"busy"[..]));
        assert_eq!(response.headers().get("Retry-After"), Some("7"));
    }
    // A status that does not end a handshake.
    let (near, far) = duplex(4096);
    let rejecting = async { accept(far).await.unwrap().reject(101, "").await };
    let (refused, rejected) = tokio::join!(connect_over("ws://example.com/", near), rejecting);
    assert!(matches!(rejected, Err(Error::Build(_))));
    assert_eq!(handshake(refused), ResponseError::from(HeadError::Incomplete).into());
}

/// A refusal is told though its body never comes whole: the server stalls, ends or breaks off.
#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_is_cut_off() {
    let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot";
    for end in [None, Some(Read::End), Some(Read::Error(ErrorKind::ConnectionReset))] {
        let script = Script::new([Read::Bytes(response.to_vec())].into_iter().chain(end), []);
        let refused = connect_over("ws://example.com/", script).await;
        let response = refusal(refused);
        assert_eq!((response.status(), response.body()), (403, &b"not"[..]));
    }
    // Before the head's end there is nothing to tell.
    let half = || Read::Bytes(b"HTTP/1.1 403 Forb".to_vec());
    let refused = connect_over("ws://example.com/", Script::new([half(), Read::End], [])).await;
    assert_eq!(handshake(refused), ResponseError::from(HeadError::Incomplete).into());
    let reset = Read::Error(ErrorKind::ConnectionReset);
    let refused = connect_over("ws://example.com/", Script::new([half(), reset], [])).await;
    assert!(matches!(refused, Err(Error::ConnectionLost(_))), "{refused:?}");
}

/// A plain HTTP request is the caller's to answer; accepted all the same, it is told what was missing.
#[tokio::test(start_paused = true)]
async fn plain_http() {
    const PLAIN: &[u8] = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    for answer in [true, false] {
        let (near, mut far) = duplex(61);
        at_once(async {
            let asking = async {
                far.write_all(PLAIN).await.unwrap();
                let head = head(&mut far).await;
                let mut body = String::new();
                far.read_to_string(&mut body).await.unwrap();
                drop(far);
                (head, body)
            };
            let answering = async {
                let pending = accept(near).await.unwrap();
                assert!(!pending.is_websocket());
                assert_eq!(pending.request().path(), "/page");
                if answer {
                    pending.respond(&Reply::new(200).unwrap().text("a page")).await.unwrap();
                } else {
                    assert_eq!(handshake(pending.accept().await), RequestError::MissingUpgrade.into());
                }
            };
            let ((head, body), ()) = tokio::join!(asking, answering);
            if answer {
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                assert_eq!(body, "a page");
            } else {
                assert!(
                    head.starts_with("HTTP/1.1 426 ") && head.contains("Sec-WebSocket-Version: 13"),
                    "{head}"
                );
            }
        })
        .await;
    }
}

/// 6455-7.2.2-01: a malformed request is answered with its status, and the transport is closed.
#[tokio::test(start_paused = true)]
async fn malformed_requests() {
    let long = format!("{REQUEST}X: {}\r\n\r\n", "x".repeat(300));
    let cases = [
        ("BREW / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        (&*REQUEST.replace("GET", "POST"), 405),
        (&*REQUEST.replace("13", "8"), 426),
        (&*REQUEST.replace("dGhl", ""), 400),
        (&*long, 431),
    ];
    let server = Server::default().limits(Limits::default().head_bytes(400));
    for size in SIZES {
        for (request, status) in cases {
            let (near, far) = duplex(size);
            at_once(async {
                let (mut answers, mut requests) = tokio::io::split(far);
                let asking = async move {
                    let end = if request.ends_with("\r\n\r\n") { "" } else { "\r\n" };
                    requests.write_all(format!("{request}{end}").as_bytes()).await.unwrap();
                };
                let reading = async move {
                    let mut answer = String::new();
                    answers.read_to_string(&mut answer).await.unwrap();
                    answer
                };
                // Neither half of the pipe is dropped before the answer was read.
                let exchange = async { tokio::join!(reading, asking).0 };
                let (answer, refused) = tokio::join!(exchange, accept_with(near, &server));
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
                let HandshakeError::Request(error) = handshake(refused) else { panic!() };
                assert_eq!(error.status(), status);
            })
            .await;
        }
    }
}

/// 6455-7.2.1-02: a transport that is lost in the handshake, by its end or by an error, fails it.
#[tokio::test(start_paused = true)]
async fn the_transport_is_lost() {
    let (near, far) = duplex(4096);
    drop(far);
    let connecting = connect_over("ws://example.com/", near).await;
    assert!(matches!(connecting, Err(Error::ConnectionLost(_))), "{connecting:?}");
    let (near, far) = duplex(4096);
    drop(far);
    assert_eq!(handshake(accept(near).await), RequestError::from(HeadError::Incomplete).into());
    let reset = || Read::Error(ErrorKind::ConnectionReset);
    let accepting = accept(Script::new([reset()], [])).await;
    assert!(matches!(accepting, Err(Error::ConnectionLost(_))), "{accepting:?}");
    let writes = [Write::Take(5), Write::Take(0)];
    let request = Read::Bytes(format!("{REQUEST}\r\n").into());
    let accepting = accept(Script::new([request], writes)).await.unwrap().accept().await;
    assert!(matches!(accepting, Err(Error::ConnectionLost(_))), "{accepting:?}");
}

/// A peer that says nothing, or one byte at a time, gets as long as the timeout and no longer; a slow
/// client is told so.
#[tokio::test(start_paused = true)]
async fn timeouts() {
    let timed_out =
        |error| assert!(matches!(error, Error::TimedOut(TimedOut::OpeningHandshake)), "{error:?}");
    let client = || Client::new("ws://example.com/").unwrap().connect_timeout(secs(5));
    let (near, far) = duplex(4096);
    timed_out(after(secs(5), connect_over(client(), near)).await.unwrap_err());
    drop(far);
    // A server that does not even take the request.
    let (near, far) = duplex(10);
    timed_out(after(secs(5), connect_over(client(), near)).await.unwrap_err());
    drop(far);
    timed_out(connect_over(client(), Script::default().stalled()).await.unwrap_err());

    let server = Server::default().handshake_timeout(secs(5));
    let (near, mut far) = duplex(4096);
    let slow = async {
        for byte in REQUEST.bytes().take(5) {
            far.write_u8(byte).await.unwrap();
            tokio::time::sleep(secs(1)).await;
        }
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        drop(far);
    };
    let (accepting, ()) = after(secs(5), async { tokio::join!(accept_with(near, &server), slow) }).await;
    timed_out(accepting.unwrap_err());

    // A client that does not take the response.
    let (near, mut far) = duplex(10);
    let request = async { far.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap() };
    let (pending, ()) = tokio::join!(accept_with(near, &server), request);
    timed_out(after(secs(5), pending.unwrap().accept()).await.unwrap_err());

    // One that does not go away after its refusal is let go.
    let (near, mut far) = duplex(4096);
    far.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    let pending = accept_with(near, &server).await.unwrap();
    after(secs(2), pending.reject(403, "no")).await.unwrap();
}

/// The configuration that a client or a server was given is that of its connections.
#[tokio::test(start_paused = true)]
async fn configurations_arrive() {
    let config = Config::default().max_message_size(3);
    let (near, far) = duplex(4096);
    let server = Server::default().config(config.clone());
    let client = Client::new("ws://example.com/").unwrap().config(config);
    let serving = async { accept_with(far, &server).await.unwrap().accept().await.unwrap() };
    let (client, mut server) = tokio::join!(connect_over(client, near), serving);
    let mut client = client.unwrap();
    client.send("four").await.unwrap();
    server.send("four").await.unwrap();
    let (one, other) = tokio::join!(client.recv(), server.recv());
    for result in [one, other] {
        assert!(
            matches!(result, Err(Error::Protocol(sansocket::ProtocolError::MessageTooBig))),
            "{result:?}"
        );
    }
}

/// What a client can be made of besides itself: a URI, owned or borrowed; what is none fails before anything
/// is sent. The limits are those it was given.
#[tokio::test(start_paused = true)]
async fn clients() {
    let uri = "ws://example.com/".to_owned();
    let script = || Script::new([Read::End], []);
    for error in [
        connect_over(&*uri, script()).await.unwrap_err(),
        connect_over(&uri, script()).await.unwrap_err(),
        connect_over(uri.clone(), script()).await.unwrap_err(),
        connect_over(Client::new(&uri).unwrap(), script()).await.unwrap_err(),
    ] {
        assert_eq!(handshake(Err::<(), _>(error)), ResponseError::from(HeadError::Incomplete).into());
    }
    let script = script();
    assert!(matches!(connect_over("http://a", script.clone()).await, Err(Error::Uri(_))));
    assert_eq!(script.record().written, b"");

    let response = "HTTP/1.1 403 Forbidden\r\nA: b\r\nC: d\r\n\r\n";
    let client = Client::new(&uri).unwrap().limits(Limits::default().headers(1));
    let refused = connect_over(client, Script::new([Read::Bytes(response.into()), Read::End], [])).await;
    assert_eq!(handshake(refused), ResponseError::from(HeadError::TooManyHeaders).into());
}

/// 6455-5.3-03: a client's masking keys, and its nonces, differ from connection to connection and from
/// frame to frame: they come from the operating system's randomness.
#[tokio::test(start_paused = true)]
async fn keys_and_nonces_are_fresh() {
    let (mut keys, mut nonces) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let (near, far) = duplex(1 << 16);
        let serving = async {
            let pending = accept(far).await.unwrap();
            nonces.push(pending.request().headers().get("Sec-WebSocket-Key").unwrap().to_owned());
            pending.accept().await.unwrap()
        };
        let (client, _server) = tokio::join!(connect_over("ws://example.com/", near), serving);
        drop(client);

        let script = Script::default();
        let role = sansocket::Role::Client;
        let mut ws =
            sansocket::tokio::WebSocket::from_upgraded(script.clone(), role, b"", &Config::default());
        for _ in 0..100 {
            ws.send("").await.unwrap();
        }
        let written = script.record().written;
        keys.extend(written.chunks(6).map(|frame| frame[2..].to_vec()));
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 10);
    assert_eq!(keys.len(), 1000);
    keys.sort();
    keys.dedup();
    // Two of a thousand random keys are the same once in ten thousand runs; three pairs never.
    assert!(keys.len() > 997, "{} keys", keys.len());
}

/// 6455-5.5.1-13: over TCP, too: the client reads the end of the transport as soon as both Close frames
/// have passed.
#[tokio::test]
async fn the_server_ends_tcp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (served, _) = listener.accept().await.unwrap();
    let role = sansocket::Role::Server;
    let mut ws = sansocket::tokio::WebSocket::from_upgraded(served, role, b"", &Config::default());
    let mut peer = Peer::new(tcp, role);
    let by_hand = async {
        peer.send_close(1000, "").await;
        assert_eq!(peer.frames().await.len(), 1);
        drop(peer);
    };
    let (received, ()) = tokio::join!(ws.recv(), by_hand);
    assert_eq!(received.unwrap(), None);
}

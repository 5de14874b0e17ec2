//! The opening handshake: over pipes and virtual time, and over loopback.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use sansocket::handshake::{HeadError, Limits, ResponseError};
#[cfg(not(feature = "tokio-rustls"))]
use sansocket::tokio::connect_as_is;
use sansocket::tokio::{accept, connect, connect_over};
use sansocket::{Client, CloseCode, Config, Error, Message};
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};

use crate::peer::Peer;
use crate::script::{Read, Script};

#[track_caller]
fn response_error<T: std::fmt::Debug>(result: Result<T, Error>) -> ResponseError {
    match result {
        Err(Error::Response(error)) => error,
        other => panic!("{other:?}"),
    }
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

/// What a client can be made of besides itself: a URI, owned or borrowed; what is none fails before anything
/// is sent. The limits are those it was given.
#[tokio::test(start_paused = true)]
async fn clients() {
    let uri = "ws://example.com/".to_owned();
    let script = || Script::new([Read::End]);
    for error in [
        connect_over(&*uri, script()).await.unwrap_err(),
        connect_over(&uri, script()).await.unwrap_err(),
        connect_over(uri.clone(), script()).await.unwrap_err(),
        connect_over(Client::new(&uri).unwrap(), script()).await.unwrap_err(),
    ] {
        assert_eq!(response_error(Err::<(), _>(error)), HeadError::Incomplete.into());
    }
    let script = script();
    assert!(matches!(connect_over("http://a", script.clone()).await, Err(Error::Uri(_))));
    assert_eq!(script.record().written, b"");

    let response = "HTTP/1.1 403 Forbidden\r\nA: b\r\nC: d\r\n\r\n";
    let client = Client::new(&uri).unwrap().limits(Limits::default().headers(1));
    let refused = connect_over(client, Script::new([Read::Bytes(response.into()), Read::End])).await;
    assert_eq!(response_error(refused), HeadError::TooManyHeaders.into());
}

/// 6455-4.1-14: without TLS, a `wss://` URI is refused, over a given stream too, and nothing is sent; as it is, it is used
/// only where that is asked for by name.
#[cfg(not(feature = "tokio-rustls"))]
#[tokio::test(start_paused = true)]
async fn no_tls() {
    let script = Script::new([Read::End]);
    let error = connect_over("wss://example.com/", script.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect: wss:// and https:// need TLS: enable the feature `tokio-rustls`"
    );
    assert_eq!(script.record().written, b"");
    connect_as_is("wss://example.com/", script.clone()).await.unwrap_err();
    assert!(script.record().written.starts_with(b"GET / HTTP/1.1\r\nHost: example.com\r\n"));
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

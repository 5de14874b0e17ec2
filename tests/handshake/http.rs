//! Upgrades inside HTTP servers that speak in the types of the `http` crate.
#![cfg(feature = "http")]

use std::time::Instant;

use http::{HeaderName, Method, Request, Response, StatusCode, Version};
use sansocket::handshake::{
    Accept, BuildError, ForwardedHost, HeadError, Limits, ReceivedRequest, Reply, RequestError,
    ServerHandshake,
};
use sansocket::http::{receive, receive_connect};
use sansocket::{Client, Endpoint, Error, PendingRequest, Server, UriError};

use crate::common;

/// What an HTTP library has made of a client's opening handshake.
fn upgrade() -> http::request::Builder {
    Request::get("/chat?room=1")
        .header("Host", "example.com")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[track_caller]
fn websocket(request: &Request<()>) -> sansocket::handshake::Request {
    match receive(request) {
        Ok(ReceivedRequest::WebSocket(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// An upgrade is judged as if it had come over the wire, and so is the answer made.
#[test]
fn upgrades() {
    let request = upgrade().header("Sec-WebSocket-Protocol", "v2, v1").header("X-Bytes", "a\tb");
    let request = websocket(&request.body(()).unwrap());
    assert_eq!((request.target(), request.headers().get("X-Bytes")), ("/chat?room=1", Some("a\tb")));
    let answer = Accept::new().subprotocol("v1").header("X-Served-By", "one").unwrap();
    let accepted = request.accept(answer).unwrap();
    let response = Response::try_from(&accepted).unwrap();
    assert_eq!((accepted.subprotocol(), request.consumed()), (Some("v1"), 0));
    assert_eq!((response.status(), response.version()), (StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11));
    for (name, value) in [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Sec-WebSocket-Protocol", "v1"),
        ("X-Served-By", "one"),
    ] {
        let values: Vec<_> = response.headers().get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
    assert_eq!(response.headers().len(), 5);
    // What the client did not offer cannot be accepted.
    request.accept(Accept::new().subprotocol("v3")).unwrap_err();
}

/// A request that does not ask for a WebSocket is the service's to answer; what is wrong with one that does is
/// said, with the headers that go with the status.
#[test]
fn refusals() {
    let plain = Request::get("/").header("Host", "example.com").body(()).unwrap();
    assert!(matches!(receive(&plain), Ok(ReceivedRequest::Http(request)) if request.path() == "/"));

    for (request, error, status) in [
        (upgrade().method(Method::POST), RequestError::MethodNotGet, 405),
        (upgrade().version(Version::HTTP_10), RequestError::LostUpgrade, 426),
        (upgrade().version(Version::HTTP_2), RequestError::MissingConnect, 400),
        (upgrade().header("Sec-WebSocket-Key", "again"), RequestError::RepeatedKey, 400),
        (upgrade().header("Sec-WebSocket-Version", "8"), RequestError::RepeatedVersion, 400),
    ] {
        let found = receive(&request.body(()).unwrap()).unwrap_err();
        assert_eq!(found, error);
        let reply = Reply::from(&found);
        let response = Response::try_from(&reply).unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_slice()), (status, reply.content()));
        assert_eq!(response.headers()["Content-Length"], reply.content().len().to_string());
        assert_eq!(response.headers().contains_key("Allow"), status == 405);
    }
}

/// An extended CONNECT (RFC 8441) needs no key, and is accepted with 200 and without the headers of an upgrade.
#[test]
fn extended_connects() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        let request = connect().version(version).header("Sec-WebSocket-Protocol", "v2, v1");
        let Ok(ReceivedRequest::WebSocket(request)) =
            receive_connect(&request.header("Origin", "https://example.com").body(()).unwrap(), "websocket")
        else {
            panic!("it is refused");
        };
        assert_eq!((request.method(), request.path(), request.query()), ("CONNECT", "/chat", Some("room=1")));
        assert_eq!((request.host(), request.is_same_origin()), (Some("example.com"), true));
        assert_eq!(request.major_version(), if version == Version::HTTP_2 { 2 } else { 3 });
        let accepted = request.accept(Accept::new().subprotocol("v1").header("X-A", "b").unwrap()).unwrap();
        let response = Response::try_from(&accepted).unwrap();
        assert_eq!((response.status(), response.headers().len()), (StatusCode::OK, 2));
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "v1");
    }
    // A key that is there all the same is not looked at.
    let request = connect().header("Sec-WebSocket-Key", "?").body(()).unwrap();
    assert!(matches!(receive_connect(&request, "websocket"), Ok(ReceivedRequest::WebSocket(_))));
    // Nor is a host, since the target has one; without it, it is needed.
    let request = connect().uri("/chat").header("Host", "example.com").body(()).unwrap();
    assert!(matches!(receive_connect(&request, "websocket"), Ok(ReceivedRequest::WebSocket(_))));
}

/// A trusted proxy's header counts before the target's authority, as before `Host`.
#[test]
fn extended_connects_by_a_proxy() {
    for header in [ForwardedHost::XForwardedHost, ForwardedHost::Forwarded] {
        let server = Server::default().trust_proxies(header, |peer| peer.is_none());
        for (origin, peer, opens) in [
            ("https://example.org", Some(None), true),
            ("https://example.com", Some(None), false),
            ("https://example.org", Some(Some([9; 4].into())), false),
            ("https://example.org", None, false),
            ("https://example.com", None, true),
        ] {
            let request = connect().header("X-Forwarded-Host", "example.org").header("Origin", origin);
            let request = request.header("Forwarded", "host=example.org").body(()).unwrap();
            let received = receive_connect(&request, "websocket").unwrap();
            let mut pending = PendingRequest::new(received, &server);
            if let Some(peer) = peer {
                pending.set_peer(peer);
            }
            assert_eq!(pending.into_accepted().is_ok(), opens, "{header:?} {origin} {peer:?}");
        }
    }
}

#[test]
fn wrong_extended_connects() {
    let bare = || Request::connect("https://example.com/chat").version(Version::HTTP_2);
    for (request, error) in [
        (bare(), RequestError::MissingVersion),
        (bare().header("Sec-WebSocket-Version", "12"), RequestError::UnsupportedVersion),
        (connect().header("Sec-WebSocket-Version", "13"), RequestError::RepeatedVersion),
        (connect().header("Sec-WebSocket-Protocol", "a, a"), RequestError::RepeatedSubprotocol),
        (connect().header("Sec-WebSocket-Extensions", "="), RequestError::InvalidExtensions),
        (connect().header("Content-Length", "1"), RequestError::UnexpectedBody),
        (connect().header("Origin", ""), RequestError::InvalidOrigin),
        (connect().uri("/chat"), RequestError::MissingHost),
        (connect().uri("example.com:443"), RequestError::InvalidTarget),
        (connect().version(Version::HTTP_11).header("Host", "a"), HeadError::UnsupportedHttpVersion.into()),
    ] {
        assert_eq!(receive_connect(&request.body(()).unwrap(), "websocket"), Err(error));
    }
}

/// What asks for something else over HTTP/2 is the service's to answer, and not to be accepted: with 426 it would have to
/// say `Upgrade`, which HTTP/2 does not have.
#[test]
fn other_requests_of_later_versions() {
    let tunnel = connect().body(()).unwrap();
    let get = || Request::get("https://example.com/").version(Version::HTTP_2);
    let plain = get().body(()).unwrap();
    let other_method = get().header("Sec-WebSocket-Version", "13").body(()).unwrap();
    for received in [
        receive_connect(&tunnel, "WebSocket"),
        receive_connect(&tunnel, "connect-udp"),
        receive_connect(&other_method, "websocket"),
        receive(&plain),
    ] {
        let pending = PendingRequest::new(received.unwrap(), &Server::default());
        assert!(!pending.is_websocket());
        match pending.into_accepted() {
            Err(Error::Request(error @ RequestError::MissingConnect)) => assert_eq!(error.status(), 400),
            other => panic!("{other:?}"),
        }
    }
    // By HTTP/1.1's means, such as what a proxy made of an upgrade.
    for name in ["Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let request = get().header(name, "13").body(()).unwrap();
        assert_eq!(receive(&request), Err(RequestError::MissingConnect), "{name}");
    }
}

/// An extended CONNECT.
fn connect() -> http::request::Builder {
    let request = Request::connect("https://example.com/chat?room=1").version(Version::HTTP_2);
    request.header("Sec-WebSocket-Version", "13")
}

/// What the library lets through and HTTP/1.1 does not have is refused as on the wire; what HTTP/1.1 has is the same.
#[test]
fn what_only_the_library_knows() {
    let quoted = HeaderName::from_lowercase(b"x\"y").unwrap();
    for (request, error) in [
        (upgrade().uri("/\u{e9}"), HeadError::InvalidStartLine),
        (upgrade().header(quoted, "a"), HeadError::InvalidHeaderName),
    ] {
        assert_eq!(receive(&request.body(()).unwrap()), Err(error.into()));
    }
    let request = upgrade().uri("http://h:1/a?b").header("X-Padded", "\t a b ").header("X-Bytes", "\u{e9}");
    let request = websocket(&request.body(()).unwrap());
    assert_eq!((request.host(), request.path(), request.query()), (Some("h:1"), "/a", Some("b")));
    assert_eq!((request.method(), request.minor_version()), ("GET", 1));
    assert_eq!(request.headers().get("x-padded"), Some("a b"));
    assert_eq!(request.headers().get("X-Bytes"), Some("\u{e9}"));
}

/// A header that the library does not take is not left out: there is no response.
#[test]
fn headers_that_the_library_does_not_take() {
    let name = "x".repeat(1 << 16);
    Response::try_from(&Reply::new(200).unwrap().header(&name, "a").unwrap()).unwrap_err();
    let request = websocket(&upgrade().body(()).unwrap());
    let accepted = request.accept(Accept::new().header(&name, "a").unwrap()).unwrap();
    Response::try_from(&accepted).unwrap_err();
}

/// The library has set its own limits on the request: those of this crate do not count.
#[test]
fn large_requests() {
    let mut request = upgrade().uri(format!("/{}", "a".repeat(30_000)));
    for i in 0..200 {
        request = request.header(format!("x-{i}"), "b".repeat(200));
    }
    let request = websocket(&request.body(()).unwrap());
    assert_eq!((request.path().len(), request.headers().get("x-199").unwrap().len()), (30_001, 200));
}

/// The phrase behind a status is the one that is registered for it, if there is one. Two were renamed by RFC 9110 (sections
/// 15.5.14 and 15.5.21), which the crate does not know yet.
#[test]
fn reason_phrases() {
    let mut with_phrase = Vec::new();
    for status in 200..600 {
        let mut out = Vec::new();
        Reply::new(status).unwrap().encode(&mut out);
        let line = String::from_utf8(out).unwrap();
        let phrase = line.strip_prefix(&format!("HTTP/1.1 {status} ")).unwrap().split("\r\n").next().unwrap();
        if !phrase.is_empty() {
            let known = match status {
                413 => Some("Content Too Large"),
                422 => Some("Unprocessable Content"),
                _ => StatusCode::from_u16(status).unwrap().canonical_reason(),
            };
            assert_eq!(Some(phrase), known);
            with_phrase.push(status);
        }
    }
    for status in [200, 204, 302, 400, 401, 403, 404, 405, 408, 414, 426, 429, 431, 500, 503, 505] {
        assert!(with_phrase.contains(&status), "{status}");
    }
}

/// The request that a client sends, as a server reads it.
#[track_caller]
fn sent(client: &Client) -> sansocket::handshake::Request {
    let (mut out, now) = (Vec::new(), Instant::now());
    Endpoint::client(client, common::random, now).write_to(&mut out, now);
    match ServerHandshake::new(Limits::default()).receive(&out) {
        Ok(Some(ReceivedRequest::WebSocket(request))) => request,
        other => panic!("{other:?}"),
    }
}

/// A client is made of the library's URI or request: headers of the program's own are sent, subprotocols offered.
#[test]
fn clients() {
    let uri: http::Uri = "ws://example.com:80/chat?room=1".parse().unwrap();
    for client in [Client::try_from(&uri), Client::try_from(uri.clone())] {
        let client = client.unwrap();
        assert_eq!(client.uri().to_string(), "ws://example.com/chat?room=1");
        assert_eq!(sent(&client).target(), "/chat?room=1");
    }
    let request = Request::get(uri)
        .header("Authorization", "Bearer 1234")
        .header("Cookie", "a=1")
        .header("Cookie", "b=2")
        .header("User-Agent", "feed-reader/2.1")
        .header("Origin", "https://example.com")
        .header("Sec-WebSocket-Protocol", "v3, v2 ,")
        .header("Sec-WebSocket-Protocol", "v1")
        .body(())
        .unwrap();
    for client in [Client::try_from(&request), Client::try_from(request.clone())] {
        let sent = sent(&client.unwrap());
        assert_eq!((sent.target(), sent.host()), ("/chat?room=1", Some("example.com")));
        for (name, values) in [
            ("Authorization", &["Bearer 1234"][..]),
            ("Cookie", &["a=1", "b=2"]),
            ("User-Agent", &["feed-reader/2.1"]),
            ("Origin", &["https://example.com"]),
        ] {
            assert!(sent.headers().get_all(name).eq(values.iter().map(|value| value.as_bytes())), "{name}");
        }
        assert!(sent.subprotocols().eq(["v3", "v2", "v1"]));
    }
}

/// What other crates want to stand in a request may: the handshake writes its own in its place.
#[test]
fn clients_of_requests_that_others_take() {
    for host in ["example.com", "Example.com:80"] {
        let request = upgrade().uri("ws://example.com/chat").header("X-Own", "a");
        let mut request = request.body(()).unwrap();
        request.headers_mut().insert("Host", host.parse().unwrap());
        let sent = sent(&Client::try_from(&request).unwrap());
        assert_eq!((sent.host(), sent.headers().get("X-Own")), (Some("example.com"), Some("a")));
        assert_ne!(sent.headers().get("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    }
}

/// What cannot be sent, or would not be what was asked for, is refused.
#[test]
fn clients_that_are_refused() {
    let get = || Request::get("ws://example.com/");
    let reserved = |name: &str| Error::Build(BuildError::ReservedHeader(name.into()));
    for (request, error) in [
        (Request::post("ws://example.com/"), BuildError::InvalidMethod("POST".into()).into()),
        (Request::get("/chat"), UriError::UnsupportedScheme.into()),
        (Request::get("https://example.com/"), UriError::UnsupportedScheme.into()),
        (get().header("Host", "other.example"), reserved("host")),
        (get().header("Host", "example.com:81"), reserved("host")),
        (get().header("Host", "example.com/"), reserved("host")),
        (
            get().header("Sec-WebSocket-Extensions", "permessage-deflate"),
            reserved("sec-websocket-extensions"),
        ),
        (get().header("Content-Length", "1"), reserved("content-length")),
        (get().header("Sec-WebSocket-Protocol", "a, a"), BuildError::RepeatedSubprotocol("a".into()).into()),
        (get().header("Sec-WebSocket-Protocol", "a b"), BuildError::InvalidSubprotocol("a b".into()).into()),
        (get().header("X-Bytes", "\u{e9}"), BuildError::InvalidHeaderValue("x-bytes".into()).into()),
    ] {
        let found = Client::try_from(request.body(()).unwrap()).unwrap_err();
        assert_eq!(format!("{found:?}"), format!("{error:?}"));
    }
}

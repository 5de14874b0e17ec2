//! Upgrades inside HTTP servers that speak in the types of the `http` crate.
#![cfg(feature = "http")]

use http::{HeaderName, Method, Request, Response, StatusCode, Version};
use sansocket::handshake::{Accept, HeadError, ReceivedRequest, Reply, RequestError};
use sansocket::http::receive;

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
        (upgrade().version(Version::HTTP_2), HeadError::UnsupportedHttpVersion.into(), 505),
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

/// The phrase behind a status is the one that is registered for it, if there is one.
#[test]
fn reason_phrases() {
    let mut with_phrase = Vec::new();
    for status in 200..600 {
        let mut out = Vec::new();
        Reply::new(status).unwrap().encode(&mut out);
        let line = String::from_utf8(out).unwrap();
        let phrase = line.strip_prefix(&format!("HTTP/1.1 {status} ")).unwrap().split("\r\n").next().unwrap();
        if !phrase.is_empty() {
            assert_eq!(Some(phrase), StatusCode::from_u16(status).unwrap().canonical_reason());
            with_phrase.push(status);
        }
    }
    for status in [200, 204, 302, 400, 401, 403, 404, 405, 408, 414, 426, 429, 431, 500, 503, 505] {
        assert!(with_phrase.contains(&status), "{status}");
    }
}

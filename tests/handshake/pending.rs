//! What a server's settings make of a request: which origins may connect, and which subprotocol is chosen.

use sansocket::handshake::{Limits, ReceivedRequest, Reply, RequestError, ServerHandshake};
use sansocket::{Error, Origins, PendingRequest, Server};

/// A request with these header lines besides those that it must have.
fn pending(server: &Server, host: &str, lines: &str) -> PendingRequest {
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    );
    let received = ServerHandshake::new(Limits::default()).receive(request.as_bytes()).unwrap().unwrap();
    assert!(matches!(received, ReceivedRequest::WebSocket(_)));
    PendingRequest::new(received, server)
}

/// RFC 6454 section 4: scheme, host and port; the scheme is left to whoever ends TLS.
#[test]
fn same_origin() {
    for (host, origin, is_same) in [
        ("example.com", "http://example.com", true),
        ("example.com", "https://example.com", true),
        ("Example.com", "https://eXample.com", true),
        ("example.com:80", "http://example.com", true),
        ("example.com:443", "https://example.com", true),
        ("example.com", "https://example.com:443", true),
        ("example.com:8080", "http://example.com:8080", true),
        ("[::1]:9001", "http://[::1]:9001", true),
        ("127.0.0.1:9001", "http://127.0.0.1:9001", true),
        ("example.com:443", "http://example.com", false),
        ("example.com:8080", "http://example.com", false),
        ("example.com", "http://example.com:8080", false),
        ("example.com", "http://example.org", false),
        ("example.com", "http://www.example.com", false),
        ("example.com", "http://example.com.evil.org", false),
        ("example.com", "http://evil.org/example.com", false),
        ("example.com", "http://example.com/", false),
        ("example.com", "http://example.com@evil.org", false),
        ("example.com", "http://evil.org#example.com", false),
        ("localhost:9001", "http://127.0.0.1:9001", false),
        ("example.com", "null", false),
        ("example.com", "ws://example.com", false),
        ("example.com", "chrome-extension://example.com", false),
        ("example.com", "example.com", false),
        ("example.com", "http://", false),
    ] {
        let pending = pending(&Server::default(), host, &format!("Origin: {origin}\r\n"));
        assert_eq!(pending.is_same_origin(), is_same, "{host}, {origin}");
        assert_eq!(pending.request().is_same_origin(), is_same);
        let accepted = pending.into_accepted();
        assert_eq!(accepted.is_ok(), is_same, "{host}, {origin}");
    }
    let no_page = pending(&Server::default(), "example.com", "");
    assert!(no_page.is_same_origin());
    let _ = no_page.into_accepted().unwrap();
}

#[test]
fn other_origins() {
    let accepts = |origins: &Origins, origin: &str| {
        let server = Server::default().origins(origins.clone());
        pending(&server, "example.com", &format!("Origin: {origin}\r\n")).into_accepted().is_ok()
    };
    assert!(!accepts(&Origins::same(), "null"));
    for origin in ["null", "http://evil.org"] {
        assert!(accepts(&Origins::any(), origin));
    }
    let list = Origins::list(["https://example.org", "http://localhost:3000"]);
    assert!(accepts(&list, "https://example.org") && accepts(&list, "HTTP://localhost:3000"));
    // The server's own is one like any other.
    for origin in ["http://example.org", "https://example.org:444", "http://localhost", "https://example.com"]
    {
        assert!(!accepts(&list, origin), "{origin}");
    }
    let checked = Origins::checked(|request| {
        request.path() == "/chat" && request.origin().is_some_and(|origin| origin.ends_with(".example.com"))
    });
    assert!(accepts(&checked, "https://app.example.com"));
    assert!(!accepts(&checked, "https://example.com"));
    let _ = pending(&Server::default().origins(checked), "h", "").into_accepted().unwrap();
    assert_eq!(
        format!("{:?} {list:?}", Origins::default()),
        "Same [\"https://example.org\", \"http://localhost:3000\"]"
    );
}

/// The refusal says what was compared, and what is to be done behind a proxy.
#[test]
fn the_refusal_of_an_origin() {
    let pending = pending(&Server::default(), "backend:8080", "Origin: https://example.com\r\n");
    let Err(Error::Request(error)) = pending.into_accepted() else { panic!("it is refused") };
    let RequestError::ForeignOrigin(foreign) = &error else { panic!("{error}") };
    assert_eq!((&*foreign.origin, foreign.host.as_deref()), ("https://example.com", Some("backend:8080")));
    let reply = Reply::from(&error);
    assert_eq!(reply.status(), 403);
    let body = String::from_utf8(reply.content().to_vec()).unwrap();
    assert!(
        body.contains("comes from https://example.com, and asks for backend:8080 (behind a proxy"),
        "{body}"
    );
}

/// 6455-4.2.2-12: the client's order decides, among those that the server speaks; a handler may choose otherwise.
#[test]
fn subprotocols_of_the_server() {
    let server = Server::default().subprotocols(["v1", "v2"]);
    let chosen = |lines: &str| {
        let accepted = pending(&server, "h", lines).into_accepted().unwrap();
        accepted.subprotocol().map(str::to_owned)
    };
    assert_eq!(chosen("Sec-WebSocket-Protocol: v3, v2, v1\r\n").as_deref(), Some("v2"));
    assert_eq!(chosen("Sec-WebSocket-Protocol: v3\r\n"), None);
    assert_eq!(chosen(""), None);
    let mut by_hand = pending(&server, "h", "Sec-WebSocket-Protocol: v3, v2, v1\r\n");
    by_hand.choose_subprotocol(&["v1"]);
    assert_eq!(by_hand.into_accepted().unwrap().subprotocol(), Some("v1"));
    let mut by_hand = pending(&server, "h", "Sec-WebSocket-Protocol: v3, v2, v1\r\n");
    by_hand.subprotocol("v3");
    assert_eq!(by_hand.into_accepted().unwrap().subprotocol(), Some("v3"));
}

//! What a server's settings make of a request: which origins may connect, and which subprotocol is chosen.

use std::net::{IpAddr, Ipv4Addr};

use sansocket::handshake::{ForwardedHost, Limits, ReceivedRequest, Reply, RequestError, ServerHandshake};
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
        let pending = pending(&server, "example.com", &format!("Origin: {origin}\r\n"));
        let allowed = origins.allows(pending.request());
        assert_eq!(pending.into_accepted().is_ok(), allowed, "{origins:?} {origin}");
        allowed
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
    let checked = Origins::check(|request| {
        request.path() == "/chat" && request.origin().is_some_and(|origin| origin.ends_with(".example.com"))
    });
    assert!(accepts(&checked, "https://app.example.com"));
    assert!(!accepts(&checked, "https://example.com"));
    let no_page = pending(&Server::default().origins(checked.clone()), "h", "");
    assert!(checked.allows(no_page.request()) && list.allows(no_page.request()));
    let _ = no_page.into_accepted().unwrap();
    assert_eq!(
        format!("{:?} {list:?}", Origins::default()),
        "Same [\"https://example.org\", \"http://localhost:3000\"]"
    );
}

/// The refusal says what was compared, where that came from, and what is to be done behind a proxy.
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
    for setting in ["proxy_set_header Host $http_host", "ProxyPreserveHost On"] {
        assert!(body.contains(setting), "{body}");
    }
}

/// Where the host came from a trusted proxy's header, passing on `Host` would not help.
#[test]
fn the_refusal_of_what_a_proxy_names() {
    use ForwardedHost::{Forwarded, XForwardedHost};

    for (header, line) in [
        (XForwardedHost, "X-Forwarded-Host: backend:8080\r\n"),
        (Forwarded, "Forwarded: host=\"backend:8080\"\r\n"),
    ] {
        let refused = by_proxy(header, Some(PROXY), line).unwrap_err();
        let Error::Request(RequestError::ForeignOrigin(foreign)) = &refused else { panic!("{refused}") };
        assert_eq!((foreign.host.as_deref(), foreign.header), (Some("backend:8080"), Some(header)));
        let text = refused.to_string();
        let (name, _) = line.split_once(':').unwrap();
        let says = format!("asks for backend:8080, as the header {name} of a trusted proxy says (have that");
        assert!(text.contains(&says) && !text.contains("the header Host"), "{text}");
    }
    // Where it is missing, too, the host is the request's own.
    let refused = by_proxy(XForwardedHost, Some(PROXY), "").unwrap_err();
    let Error::Request(RequestError::ForeignOrigin(foreign)) = &refused else { panic!("{refused}") };
    assert_eq!((foreign.host.as_deref(), foreign.header), (Some("backend"), None));
}

/// What cannot be told from a header is said with its name, and what the reason mostly is.
#[test]
fn the_refusal_of_what_a_proxy_garbles() {
    use ForwardedHost::{Forwarded, XForwardedHost};

    for (header, line, says) in [
        (XForwardedHost, "X-Forwarded-Host: http://a\r\n", "the X-Forwarded-Host header"),
        (Forwarded, "Forwarded: host=a:80\r\n", "in quotes: host=\"example.com:8080\""),
    ] {
        let refused = by_proxy(header, Some(PROXY), line).unwrap_err();
        assert!(matches!(refused, Error::Request(RequestError::InvalidForwardedHost(of)) if of == header));
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

/// The address of a proxy that is trusted.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// What becomes of a page of `https://example.com` whose request comes from this peer, to the host `backend`.
fn by_proxy(header: ForwardedHost, peer: Option<IpAddr>, lines: &str) -> Result<(), Error> {
    let server = Server::default().trust_proxies(header, |peer| peer == Some(PROXY));
    let lines = format!("Origin: https://example.com\r\n{lines}");
    let mut pending = pending(&server, "backend", &lines);
    pending.set_peer(peer);
    let is_same = pending.is_same_origin();
    let accepted = pending.into_accepted();
    assert_eq!(is_same, accepted.is_ok(), "{lines}");
    accepted.map(drop)
}

/// RFC 7239 section 5.3: the host that a client asked for is what the proxy says that is trusted, and what the others say is
/// not looked at. Of several, in one line or in more, the last one is that proxy's own. What is malformed is not guessed at.
#[test]
fn hosts_that_proxies_name() {
    use ForwardedHost::{Forwarded, XForwardedHost};
    use RequestError::InvalidForwardedHost;

    let refused = |header, lines: &str| match by_proxy(header, Some(PROXY), lines) {
        Err(Error::Request(error)) => error,
        other => panic!("{lines}: {other:?}"),
    };
    for lines in [
        "X-Forwarded-Host: example.com",
        "x-forwarded-host: EXAMPLE.com:443",
        "X-Forwarded-Host: evil.example, example.com",
        "X-Forwarded-Host: \"??\",,example.com",
        "X-Forwarded-Host: , example.com",
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Host: example.com",
        "X-Forwarded-Host:\r\nX-Other: a\r\nX-Forwarded-Host: evil.example, example.com",
    ] {
        by_proxy(XForwardedHost, Some(PROXY), &format!("{lines}\r\n")).unwrap();
    }
    for lines in [
        "Forwarded: host=example.com",
        "Forwarded: for=\"[2001:db8::1]:80\"; proto=https;Host=\"example.com:443\"",
        "Forwarded: host=evil.example , for=192.0.2.1;;host=example.com",
        r#"Forwarded: by="a\",host=evil.example;\\", host=example.com"#,
        // As nginx writes it where its client sent none: "$http_forwarded, host=\"$host\"".
        "Forwarded: , host=\"example.com\"",
        "Forwarded: ,, ;,for=_a, ,host=example.com",
        // What a client left open is over where its line is.
        "Forwarded: host=evil.example;for=\"\r\nForwarded: for=unknown;host=example.com",
        "Forwarded: for=\"_hidden\"\r\nForwarded: for=_hidden\r\nForwarded: for=unknown, for=_a;host=\"example.com\"",
    ] {
        by_proxy(Forwarded, Some(PROXY), &format!("{lines}\r\n")).unwrap();
    }
    // An address of IPv4 is the same on a listener for both.
    let mapped = Some(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into());
    by_proxy(XForwardedHost, mapped, "X-Forwarded-Host: example.com\r\n").unwrap();

    // It is another one, or there is none, or it is not where it is looked for.
    for (header, lines, host) in [
        (XForwardedHost, "X-Forwarded-Host: example.com, example.org\r\n", "example.org"),
        (XForwardedHost, "X-Forwarded-Host: example.com:8443\r\n", "example.com:8443"),
        // It has no parameters; in a name, RFC 3986 allows these characters.
        (XForwardedHost, "X-Forwarded-Host: example.com;x=1\r\n", "example.com;x=1"),
        (XForwardedHost, "Forwarded: host=example.com\r\n", "backend"),
        (Forwarded, "X-Forwarded-Host: example.com\r\n", "backend"),
        (Forwarded, "Forwarded: host=example.com, for=192.0.2.1\r\n", "backend"),
        (Forwarded, "Forwarded: host=example.com\r\nForwarded: for=unknown\r\n", "backend"),
        (Forwarded, "Forwarded: for=\"[2001:db8::1]\";host=\"[::1]:8080\"\r\n", "[::1]:8080"),
        (XForwardedHost, "X-Forwarded-Host: example.com\r\nX-Forwarded-Host: example.org\r\n", "example.org"),
    ] {
        let RequestError::ForeignOrigin(foreign) = refused(header, lines) else { panic!("{lines}") };
        assert_eq!((&*foreign.origin, foreign.host.as_deref()), ("https://example.com", Some(host)));
    }
    for lines in [
        "X-Forwarded-Host: example.com\r\nX-Forwarded-Host:\r\n",
        "X-Forwarded-Host:\r\n",
        "X-Forwarded-Host: example.com,\r\n",
        "X-Forwarded-Host: https://example.com\r\n",
        "X-Forwarded-Host: example.com; example.com\r\n",
        "X-Forwarded-Host: \u{e9}\r\n",
    ] {
        assert_eq!(refused(XForwardedHost, lines), InvalidForwardedHost(XForwardedHost), "{lines}");
    }
    for value in [
        "host=example.com\r\nForwarded:",
        "",
        "example.com",
        "host",
        "host=",
        "host=example.com:443",
        "host=\"example.com",
        "host=\"\"",
        "host=\"example\\.com\"",
        "host=example.com;host=example.com",
        "host=example.com,",
        "host=example.com, ;",
        ", ,;, host=example.com,",
        ",",
        "host = example.com",
        "host=example.com for=192.0.2.1",
        // What a client left open, for what the proxy adds to end it.
        "for=\", host=\"example.com\"",
        "host=evil.example;for=\", for=192.0.2.1;host=example.com",
    ] {
        let refused = refused(Forwarded, &format!("Forwarded: {value}\r\n"));
        assert_eq!(refused, InvalidForwardedHost(Forwarded), "{value}");
    }
    // Of whom nobody trusts.
    for peer in [None, Some(Ipv4Addr::new(10, 0, 0, 2).into())] {
        for lines in ["X-Forwarded-Host: example.com\r\n", "X-Forwarded-Host:\r\n"] {
            let refused = by_proxy(XForwardedHost, peer, lines);
            assert!(matches!(&refused, Err(Error::Request(RequestError::ForeignOrigin(_)))), "{refused:?}");
        }
    }
}

/// Without a page there is no origin to be compared, and a list of them compares no host. A function is told what is known.
#[test]
fn who_asks_for_no_host() {
    let server = Server::default().trust_proxies(ForwardedHost::XForwardedHost, |peer| peer.is_none());
    let accepted = |server: &Server, lines: &str| {
        let mut pending = pending(server, "backend", lines);
        pending.set_peer(None);
        pending.into_accepted()
    };
    let accepts = |server: &Server, lines: &str| accepted(server, lines).is_ok();
    let is_malformed = |server: &Server, lines: &str| {
        matches!(accepted(server, lines), Err(Error::Request(RequestError::InvalidForwardedHost(_))))
    };
    assert!(accepts(&server, "X-Forwarded-Host:\r\n"));
    let list = server.clone().origins(Origins::list(["https://example.com"]));
    assert!(accepts(&list, "X-Forwarded-Host:\r\nOrigin: https://example.com\r\n"));
    assert!(!accepts(&list, "X-Forwarded-Host: example.org\r\nOrigin: https://example.org\r\n"));
    // A refusal says what was asked for, if it can be told.
    assert!(is_malformed(&list, "X-Forwarded-Host:\r\nOrigin: https://example.org\r\n"));
    let checked = server.origins(Origins::check(|request| {
        request.is_same_origin() && request.requested_host() == Ok(Some("example.com"))
    }));
    assert!(accepts(&checked, "X-Forwarded-Host: example.com\r\nOrigin: https://example.com\r\n"));
    assert!(is_malformed(&checked, "X-Forwarded-Host:\r\nOrigin: https://example.com\r\n"));
}

/// Without settings, of a request that the program knows to have come by its proxy.
#[test]
fn requests_that_came_by_a_proxy() {
    let request = "GET /chat HTTP/1.1\r\nHost: backend\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Origin: https://example.com\r\nX-Forwarded-Host: example.com\r\n\r\n";
    let received = ServerHandshake::new(Limits::default()).receive(request.as_bytes()).unwrap();
    let Some(ReceivedRequest::WebSocket(mut request)) = received else { panic!("a WebSocket's request") };
    assert_eq!((request.requested_host(), request.is_same_origin()), (Ok(Some("backend")), false));
    request.trust_proxy(ForwardedHost::XForwardedHost);
    assert_eq!((request.requested_host(), request.is_same_origin()), (Ok(Some("example.com")), true));
    assert_eq!(request.host(), Some("backend"));
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

//! The server's side of the opening handshake: RFC 6455 sections 4.2, 4.4, 9.1, 10.2 and 11.3.
#![cfg(feature = "handshake")]

use sansocket::handshake::{
    Accept, BuildError, Extension, ForwardedHost, HeadError, HttpRequest, Limits, ReceivedRequest, Reply,
    Request, RequestError, ServerHandshake, accept_key,
};

use super::cuts::in_every_way;

/// The request of RFC 6455 section 1.2, without `Sec-WebSocket-Protocol`, without the empty line.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Version: 13\r\n";

type Outcome = Result<ReceivedRequest, RequestError>;

/// Receives the request [in every way](in_every_way) it can arrive.
#[track_caller]
fn receive(request: impl AsRef<[u8]>) -> Outcome {
    receive_with(&Limits::default(), request.as_ref())
}

#[track_caller]
fn receive_with(limits: &Limits, request: &[u8]) -> Outcome {
    let handshake = || ServerHandshake::new(limits.clone());
    let behind = [b"\x81\x85\0\0\0\0hello".as_slice(), b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\n", b" "];
    let (outcome, _) = in_every_way(request, &behind, handshake, ServerHandshake::receive);
    if let Ok(received) = &outcome {
        assert_eq!(consumed(received), request.len());
    }
    outcome
}

fn consumed(received: &ReceivedRequest) -> usize {
    match received {
        ReceivedRequest::WebSocket(request) => request.consumed(),
        ReceivedRequest::Http(request) => request.consumed(),
    }
}

#[track_caller]
fn websocket(request: impl AsRef<[u8]>) -> Request {
    match receive(request.as_ref()) {
        Ok(ReceivedRequest::WebSocket(request)) => request,
        other => panic!("{}: {other:?}", request.as_ref().escape_ascii()),
    }
}

#[track_caller]
fn http(request: impl AsRef<[u8]>) -> HttpRequest {
    match receive(request.as_ref()) {
        Ok(ReceivedRequest::Http(request)) => request,
        other => panic!("{}: {other:?}", request.as_ref().escape_ascii()),
    }
}

/// The request is refused with this error, and the answer to that is a complete HTTP response with this status.
#[track_caller]
fn assert_refused(request: impl AsRef<[u8]>, error: &RequestError, status: u16) {
    assert_eq!(receive(request.as_ref()).as_ref(), Err(error), "{}", request.as_ref().escape_ascii());
    assert_eq!(error.status(), status);
    let mut out = Vec::new();
    Reply::from(error).encode(&mut out);
    assert_eq!(Answer::parse(&out).status, status);
}

/// A request with some lines replaced, removed, or added.
fn with(changes: &[(&str, &str)]) -> String {
    let mut request = REQUEST.to_owned();
    for (from, to) in changes {
        assert!(request.contains(from), "{from:?}");
        request = request.replacen(from, to, 1);
    }
    request + "\r\n"
}

fn with_lines(lines: &str) -> String {
    format!("{REQUEST}{lines}\r\n")
}

fn accepted(request: &Request, accept: &Accept) -> String {
    let mut out = b"before".to_vec();
    request.accept(accept.clone()).unwrap().encode(&mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

/// What an independent parser makes of a response.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn parse(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let len = response.parse(bytes).unwrap().unwrap();
        assert_eq!(response.version, Some(1));
        let text = |value: &[u8]| String::from_utf8(value.to_owned()).unwrap();
        let headers =
            response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
        Self { status: response.code.unwrap(), headers, body: bytes[len..].to_owned() }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let is_wanted = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_wanted).map(|header| header.1.as_str()).collect()
    }
}

fn reply(error: &RequestError) -> Answer {
    let mut out = Vec::new();
    Reply::from(error).encode(&mut out);
    Answer::parse(&out)
}

/// 6455-4.2.2-01, 6455-4.2.2-16, 6455-4.2.2-17, 6455-4.2.2-18, 6455-4.2.2-19, 6455-4.2.2-20: the example of RFC 6455
/// section 1.2, byte for byte.
#[test]
fn rfc_example() {
    let request = websocket(with_lines("Sec-WebSocket-Protocol: chat, superchat\r\n"));
    assert_eq!(request.method(), "GET");
    assert_eq!(request.target(), "/chat");
    assert_eq!(request.host(), Some("server.example.com"));
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    assert_eq!(request.extensions(), []);

    let mut out = Vec::new();
    let accepted = request.accept(Accept::new().subprotocol("chat")).unwrap();
    accepted.encode(&mut out);
    assert_eq!(accepted.subprotocol(), Some("chat"));
    assert_eq!(accepted.extensions(), []);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: chat\r\n\
         \r\n"
    );
}

/// 6455-4.2.2-08, 6455-4.2.2-20: Accept is computed on the key's characters, pad bits included.
#[test]
fn accept_key_vectors() {
    for (key, accept) in [
        ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    ] {
        assert_eq!(accept_key(key), *accept.as_bytes());
    }
    assert_ne!(accept_key("AQIDBAUGBwgJCgsMDQ4PEC=="), accept_key("AQIDBAUGBwgJCgsMDQ4PEA=="));
}

/// 6455-4.2.1-01: the order of header fields does not matter.
#[test]
fn header_order_is_free() {
    let mut lines: Vec<&str> = REQUEST.split_inclusive("\r\n").collect();
    for _ in 1..lines.len() {
        lines[1..].rotate_left(1);
        websocket(lines.concat() + "\r\n");
    }
    lines[1..].reverse();
    websocket(lines.concat() + "\r\n");
}

/// 6455-4.1-47, 6455-2.1-01, 6455-4.2.1-04, 6455-4.2.1-05: names, `websocket` and `Upgrade` in any ASCII case, and in
/// no other.
#[test]
fn case_is_ascii_case() {
    let (line, headers) = REQUEST.split_once("\r\n").unwrap();
    for headers in [headers.to_ascii_lowercase(), headers.to_ascii_uppercase()] {
        // That makes it another key, but a valid one.
        websocket(format!("{line}\r\n{headers}\r\n"));
    }
    for value in ["WebSocket", "WEBSOCKET", "wEbSoCkEt"] {
        websocket(with(&[("Upgrade: websocket", &format!("Upgrade: {value}"))]));
    }
    for value in ["upgrade", "UPGRADE", "uPgRaDe"] {
        websocket(with(&[("Connection: Upgrade", &format!("Connection: {value}"))]));
    }
    // U+017F and U+212A fold to "s" and "k" in Unicode.
    for value in ["web\u{17f}ocket", "webSoc\u{212a}et"] {
        let request = with(&[("Upgrade: websocket", &format!("Upgrade: {value}"))]);
        assert_refused(request, &RequestError::InvalidUpgrade, 400);
    }
}

/// 6455-4.1-47: each header that the handshake looks at is found in any case, and is not taken for one of a name as long.
#[test]
fn headers_are_told_apart() {
    use RequestError as E;
    for (name, value, error) in [
        ("Host", "example.com", E::RepeatedHost),
        ("Origin", "http://example.com", E::InvalidOrigin),
        ("Upgrade", "@", E::InvalidUpgrade),
        ("Connection", "@", E::InvalidConnection),
        ("Content-Length", "1", E::UnexpectedBody),
        ("Transfer-Encoding", "chunked", E::UnexpectedBody),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", E::RepeatedKey),
        ("Sec-WebSocket-Version", "13", E::RepeatedVersion),
        ("Sec-WebSocket-Protocol", "@", E::InvalidSubprotocols),
        ("Sec-WebSocket-Extensions", "@", E::InvalidExtensions),
    ] {
        for name in [name, &name.to_ascii_lowercase(), &name.to_ascii_uppercase()] {
            assert_refused(with_lines(&format!("{name}: {value}\r\n")), &error, error.status());
        }
        for at in 0..name.len() {
            let mut other = name.to_owned();
            other.replace_range(at..=at, "_");
            websocket(with_lines(&format!("{other}: {value}\r\n")));
        }
    }
}

/// 6455-4.2.1-02: GET, HTTP/1.1 or higher, and a target that is a resource name or an absolute URI.
#[test]
fn request_line() {
    for method in ["POST", "HEAD", "get", "Get", "OPTIONS", "CONNECT", "GETS"] {
        assert_refused(with(&[("GET", method)]), &RequestError::MethodNotGet, 405);
    }
    assert_eq!(reply(&RequestError::MethodNotGet).all("Allow"), ["GET"]);

    websocket(with(&[("HTTP/1.1", "HTTP/1.2")]));
    assert_refused(
        with(&[("HTTP/1.1", "HTTP/1.0"), ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")]),
        &HeadError::UnsupportedHttpVersion.into(),
        505,
    );
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        assert_refused(with(&[("HTTP/1.1", version)]), &HeadError::UnsupportedHttpVersion.into(), 505);
    }
    for version in [
        "HTTP/1",
        "HTTP/1.",
        "HTTP/11",
        "HTTP/1.10",
        "http/1.1",
        "HTTP/1.1 ",
        " HTTP/1.1",
        "HTTP/a.b",
        "HTTPS/1.1",
    ] {
        assert_refused(with(&[("HTTP/1.1", version)]), &HeadError::InvalidStartLine.into(), 400);
    }
    for line in [
        "GET /chat",
        "GET  HTTP/1.1",
        " GET /chat HTTP/1.1",
        "GET\t/chat\tHTTP/1.1",
        "GET /ch\u{e9}t HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET",
        "G(T /chat HTTP/1.1",
        "/chat",
    ] {
        assert_refused(with(&[("GET /chat HTTP/1.1", line)]), &HeadError::InvalidStartLine.into(), 400);
    }
    for target in [
        "*",
        "chat",
        "example.com:80",
        "/chat#a",
        "#",
        "/?#",
        "ftp://h/",
        "http:/h",
        "http://",
        "http:///chat",
        "http://user@h/",
        "http://h:0/",
        "http://a%20b/",
        "?a",
    ] {
        assert_refused(with(&[("/chat", target)]), &RequestError::InvalidTarget, 400);
    }
}

/// 6455-4.2.2-10: the resource name is given to the application, in path and query; an absolute URI too.
#[test]
fn targets_are_taken_apart() {
    for (target, path, query, host) in [
        ("/", "/", None, "server.example.com"),
        ("/chat?", "/chat", Some(""), "server.example.com"),
        ("/a/b?c=d?e", "/a/b", Some("c=d?e"), "server.example.com"),
        ("//h/a", "//h/a", None, "server.example.com"),
        ("/?u=http://h/", "/", Some("u=http://h/"), "server.example.com"),
        ("/a%20b|{}", "/a%20b|{}", None, "server.example.com"),
        ("http://h", "/", None, "h"),
        ("http://h?q", "/", Some("q"), "h"),
        ("https://h:8080/a?q", "/a", Some("q"), "h:8080"),
        ("WS://[::1]:80/a/b", "/a/b", None, "[::1]:80"),
    ] {
        let request = websocket(with(&[("/chat", target)]));
        assert_eq!(request.target(), target);
        assert_eq!(request.path(), path, "{target}");
        assert_eq!(request.query(), query, "{target}");
        assert_eq!(request.host(), Some(host), "{target}");
        assert_eq!(request.minor_version(), 1);
    }
}

/// 6455-4.2.1-03: one `Host`, which is a host with an optional port.
#[test]
fn host() {
    const LINE: &str = "Host: server.example.com\r\n";
    assert_refused(with(&[(LINE, "")]), &RequestError::MissingHost, 400);
    assert_refused(with_lines(LINE), &RequestError::RepeatedHost, 400);
    for host in [
        "", "a b", "h:", "h:x", "h:0", "h:65536", "u@h", "[::1", "::1", "http://h", "h/", "\u{e9}", ":80",
        "h, h",
    ] {
        let request = with(&[(LINE, &format!("Host: {host}\r\n"))]);
        assert_refused(request, &RequestError::InvalidHost, 400);
    }
    for host in ["h", "h:1", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8080", "EXAMPLE.com"] {
        assert_eq!(websocket(with(&[(LINE, &format!("host:{host}\r\n"))])).host(), Some(host));
    }
}

/// 6455-4.2.1-04: `Upgrade` lists `websocket`; without, the request is refused with 426, or it is plain HTTP.
#[test]
fn upgrade() {
    const LINE: &str = "Upgrade: websocket\r\n";
    for line in [
        "Upgrade: h2c, websocket\r\n",
        "Upgrade: websocket,foo/1\r\n",
        "Upgrade: foo\r\nUpgrade: websocket\r\n",
        "Upgrade: , websocket ,\r\n",
    ] {
        websocket(with(&[(LINE, line)]));
    }
    for line in [
        "Upgrade:\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websockets\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: web-socket\r\n",
    ] {
        assert_refused(with(&[(LINE, line)]), &RequestError::MissingUpgrade, 426);
    }
    for line in [
        "Upgrade: web socket\r\n",
        "Upgrade: websocket;\r\n",
        "Upgrade: /\r\n",
        "Upgrade: a/b/c\r\n",
        "Upgrade: websocket, \"\"\r\n",
    ] {
        assert_refused(with(&[(LINE, line)]), &RequestError::InvalidUpgrade, 400);
    }
    assert_eq!(reply(&RequestError::MissingUpgrade).all("Upgrade"), ["websocket"]);
}

/// What is left of a request behind a proxy that passes no upgrades on: the answer says so, and what to do about it.
#[test]
fn a_proxy_took_the_upgrade_away() {
    const UPGRADE: (&str, &str) = ("Upgrade: websocket\r\n", "");
    const OLD: (&str, &str) = ("HTTP/1.1", "HTTP/1.0");
    const CLOSE: (&str, &str) = ("Connection: Upgrade\r\n", "Connection: close\r\n");
    // Each alone, as with one of the settings that are needed.
    for changes in [&[UPGRADE][..], &[OLD], &[CLOSE], &[UPGRADE, CLOSE], &[UPGRADE, OLD, CLOSE]] {
        assert_refused(with(changes), &RequestError::LostUpgrade, 426);
    }
    let answer = String::from_utf8(reply(&RequestError::LostUpgrade).body).unwrap();
    for setting in [
        "the client did not send it",
        "proxy_http_version 1.1",
        "Upgrade $http_upgrade",
        "Connection \"upgrade\"",
        "upgrade=websocket",
    ] {
        assert!(answer.contains(setting), "{answer}");
    }
}

/// 6455-4.2.1-05: `Connection` lists `Upgrade`, over all its lines; no substring does. Where there is a key, it was there.
#[test]
fn connection() {
    const LINE: &str = "Connection: Upgrade\r\n";
    for line in [
        "Connection: keep-alive, upgrade\r\n",
        "Connection: keep-alive\r\nConnection: Upgrade\r\n",
        "Connection: Upgrade\r\nConnection: close\r\n",
        "Connection:,\tUpgrade\t,\r\n",
    ] {
        websocket(with(&[(LINE, line)]));
    }
    for line in [
        "",
        "Connection:\r\n",
        "Connection: close\r\n",
        "Connection: notupgrade\r\n",
        "Connection: upgraded\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Up-grade\r\n",
    ] {
        assert_refused(with(&[(LINE, line)]), &RequestError::LostUpgrade, 426);
        let keyless = [(LINE, line), ("Sec-WebSocket-Key", "X-Key")];
        assert_refused(with(&keyless), &RequestError::MissingConnectionUpgrade, 426);
    }
    for line in
        ["Connection: keep-alive Upgrade\r\n", "Connection: Upgrade; a\r\n", "Connection: \"Upgrade\"\r\n"]
    {
        assert_refused(with(&[(LINE, line)]), &RequestError::InvalidConnection, 400);
    }
    assert_eq!(reply(&RequestError::MissingConnectionUpgrade).all("Upgrade"), ["websocket"]);
}

/// 6455-4.2.1-06, 6455-4.3-01: the key is 16 bytes in base64: 22 characters of the alphabet and two `=`.
#[test]
fn key() {
    const LINE: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for key in [
        "AQIDBAUGBwgJCgsMDQ4PEC==",
        "AQIDBAUGBwgJCgsMDQ4PEA==",
        "++++++++++//////////ZZ==",
        "0123456789012345678901==",
    ] {
        let request = websocket(with(&[(LINE, &format!("Sec-WebSocket-Key:\t {key} \t\r\n"))]));
        let accept = String::from_utf8(accept_key(key).to_vec()).unwrap();
        assert!(accepted(&request, &Accept::new()).contains(&format!("Sec-WebSocket-Accept: {accept}\r\n")));
    }
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25j",     // 15 bytes
        "dGhlIHNhbXBsZSBub25jZXM=", // 17 bytes
        "dGhlIHNhbXBsZSBub25jZQ",   // no padding
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQQQ",
        "dGhlIHNhbXBsZSBub25-ZQ==", // not the alphabet
        "dGhlIHNhbXBsZSBub25_ZQ==",
        "dGhlIHNhb XBsZSBub25ZQ==",
        "dGhlIHNhb=BsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25j\u{e9}==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "\"dGhlIHNhbXBsZSBub25jZQ==\"",
    ] {
        let request = with(&[(LINE, &format!("Sec-WebSocket-Key: {key}\r\n"))]);
        assert_refused(request, &RequestError::InvalidKey, 400);
    }
    assert_refused(with(&[(LINE, "")]), &RequestError::MissingKey, 400);
}

/// 6455-11.3.1-01, 6455-11.3.5-02: key and version may not be repeated, not even with the same value.
#[test]
fn repeated_headers() {
    assert_refused(
        with_lines("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        &RequestError::RepeatedKey,
        400,
    );
    assert_refused(with_lines("sec-websocket-version: 13\r\n"), &RequestError::RepeatedVersion, 400);
    assert_refused(with_lines("sec-websocket-version: 8\r\n"), &RequestError::RepeatedVersion, 400);
}

/// 6455-4.2.1-07, 6455-4.2.2-09, 6455-4.4-01, 6455-4.3-01: the version is 13 and written so; what is refused for it
/// learns which version is spoken.
#[test]
fn version() {
    const LINE: &str = "Sec-WebSocket-Version: 13\r\n";
    for version in [
        "", "0", "8", "7", "25", "13x", "013", "13.0", "+13", "1 3", "13, 8", "13,", "8, 13", "\"13\"",
        "-13", "269",
    ] {
        let request = with(&[(LINE, &format!("Sec-WebSocket-Version: {version}\r\n"))]);
        assert_refused(request, &RequestError::UnsupportedVersion, 426);
    }
    assert_refused(with(&[(LINE, "")]), &RequestError::MissingVersion, 400);
    for error in
        [RequestError::UnsupportedVersion, RequestError::MissingVersion, RequestError::RepeatedVersion]
    {
        assert_eq!(reply(&error).all("Sec-WebSocket-Version"), ["13"]);
    }
    assert_eq!(reply(&RequestError::UnsupportedVersion).all("Upgrade"), ["websocket"]);
    websocket(with(&[(LINE, "Sec-WebSocket-Version:13\r\n")]));
}

/// 6455-4.2.1-08, 6455-4.2.2-06, 6455-10.2-01: the application sees the origin, or that there is none; one that could be
/// taken in two ways is refused.
#[test]
fn origin() {
    const LINE: &str = "Origin: http://example.com\r\n";
    assert_eq!(websocket(with(&[])).origin(), Some("http://example.com"));
    assert_eq!(websocket(with(&[(LINE, "Origin: null\r\n")])).origin(), Some("null"));
    assert_eq!(websocket(with(&[(LINE, "")])).origin(), None);
    for line in ["Origin:\r\n", "Origin: http://\u{e9}\r\n", "Origin: a\tb\r\n", "Origin: a\r\nOrigin: a\r\n"]
    {
        assert_refused(with(&[(LINE, line)]), &RequestError::InvalidOrigin, 400);
    }
}

/// 6455-4.2.1-09, 6455-11.3.4-01, 6455-4.3-01: subprotocols in the client's order, over one line or several; a list that
/// is malformed, empty, or has one twice is refused.
#[test]
fn subprotocols() {
    for lines in [
        "Sec-WebSocket-Protocol: c, a, b\r\n",
        "Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Protocol: a,b\r\n",
        "Sec-WebSocket-Protocol: , c ,,\r\nX: z\r\nSEC-websocket-PROTOCOL:a\r\nSec-WebSocket-Protocol:\tb\t\r\n",
    ] {
        let request = websocket(with_lines(lines));
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["c", "a", "b"], "{lines:?}");
        // The client's order decides.
        assert_eq!(request.choose_subprotocol(&["b", "a"]), Some("a"));
        assert_eq!(request.choose_subprotocol(&["A", "d"]), None);
        assert_eq!(request.choose_subprotocol(&[]), None);
    }
    assert_eq!(websocket(with(&[])).subprotocols().count(), 0);
    for value in ["", ",", "a b", "a;b", "a, \"b\"", "a/b", "\u{e9}", "(a)"] {
        let request = with_lines(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
        assert_refused(request, &RequestError::InvalidSubprotocols, 400);
    }
    for lines in [
        "Sec-WebSocket-Protocol: a, a\r\n",
        "Sec-WebSocket-Protocol: a, b, c, a\r\n",
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, a\r\n",
    ] {
        assert_refused(with_lines(lines), &RequestError::RepeatedSubprotocol, 400);
    }
    // Subprotocols are compared exactly.
    assert_eq!(websocket(with_lines("Sec-WebSocket-Protocol: a, A\r\n")).subprotocols().count(), 2);
}

/// 6455-4.2.2-12, 6455-4.2.2-13, 6455-4.2.2-21, 6455-11.3.4-02: the response has the chosen subprotocol once, and no
/// such header if none was chosen; one that was not offered cannot be chosen.
#[test]
fn chosen_subprotocol() {
    let request = websocket(with_lines("Sec-WebSocket-Protocol: chat, superchat\r\n"));
    let response = Answer::parse(accepted(&request, &Accept::new().subprotocol("superchat")).as_bytes());
    assert_eq!(response.all("Sec-WebSocket-Protocol"), ["superchat"]);
    let response = Answer::parse(accepted(&request, &Accept::new()).as_bytes());
    assert_eq!(response.all("Sec-WebSocket-Protocol"), [""; 0]);

    for unoffered in ["", "Chat", "chat, superchat", "other", "chat\r\nX: y"] {
        for request in [&request, &websocket(with(&[]))] {
            assert_eq!(
                request.accept(Accept::new().subprotocol(unoffered)),
                Err(BuildError::UnofferedSubprotocol(unoffered.to_owned()))
            );
        }
    }
}

/// 6455-4.2.1-10, 6455-11.3.2-01, 6455-9.1-03, 6455-9.1-08: extensions in the client's order, over one line or several.
#[test]
fn extensions() {
    let one = websocket(with_lines("Sec-WebSocket-Extensions: foo, bar; baz=2, foo; x=\"1\"\r\n"));
    let several = websocket(with_lines(
        "Sec-WebSocket-Extensions: foo\r\nsec-websocket-extensions: bar;baz=2\r\nSec-WebSocket-Extensions: ,foo;x=1\r\n",
    ));
    assert_eq!(one.extensions(), several.extensions());
    let displayed: Vec<String> = one.extensions().iter().map(ToString::to_string).collect();
    assert_eq!(displayed, ["foo", "bar; baz=2", "foo; x=1"]);
}

/// 6455-9.1-01, 6455-9.1-02, 6455-4.3-02: a malformed list is refused, though the server knows no extension.
#[test]
fn malformed_extensions() {
    for value in [
        "",
        ",",
        ";",
        "a;",
        "a; =b",
        "a; b=",
        "a b",
        "a; b=\"c d\"",
        "a; b=\"",
        "a; b=\"\"",
        "a=b",
        "a, b;;c",
    ] {
        let request = with_lines(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
        assert_refused(request, &RequestError::InvalidExtensions, 400);
    }
    let request = with_lines("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b c\r\n");
    assert_refused(request, &RequestError::InvalidExtensions, 400);
}

/// 6455-4.2.2-14, 6455-4.2.2-15, 6455-4.2.2-22, 6455-5.8-01, 6455-9-02, 6455-9-03, 6455-9-04, 6455-11.3.2-02: chosen
/// extensions are answered in one line; those not offered cannot be chosen, nor one twice; without a choice there is no
/// such header.
#[test]
fn chosen_extensions() {
    let request = websocket(with_lines("Sec-WebSocket-Extensions: foo, bar; baz=2, foo; x=1\r\n"));
    let bar = Extension::new("bar").unwrap().param("baz", Some("1")).unwrap();
    let foo = Extension::new("foo").unwrap();

    let accept = Accept::new().extension(bar.clone()).extension(foo.clone());
    let response = Answer::parse(accepted(&request, &accept).as_bytes());
    assert_eq!(response.all("Sec-WebSocket-Extensions"), ["bar; baz=1, foo"]);
    let accepted_extensions = request.accept(accept).unwrap();
    assert_eq!(accepted_extensions.extensions(), [bar, foo.clone()]);

    let response = Answer::parse(accepted(&request, &Accept::new()).as_bytes());
    assert_eq!(response.all("Sec-WebSocket-Extensions"), [""; 0]);

    let twice = Accept::new().extension(foo.clone()).extension(foo.clone());
    assert_eq!(request.accept(twice), Err(BuildError::RepeatedExtension("foo".to_owned())));
    for name in ["Foo", "x"] {
        let accept = Accept::new().extension(Extension::new(name).unwrap());
        assert_eq!(request.accept(accept), Err(BuildError::UnofferedExtension(name.to_owned())));
    }
    let error = websocket(with(&[])).accept(Accept::new().extension(foo)).unwrap_err();
    assert_eq!(error, BuildError::UnofferedExtension("foo".to_owned()));
}

/// 6455-4.2.1-11: unknown headers are ignored, and at hand.
#[test]
fn unknown_headers() {
    let lines = "Cookie: a=b\r\nX-Whatever: \u{e9}\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Foo:\r\nExpect: 100-continue\r\n";
    let request = websocket(with_lines(lines));
    assert_eq!(request.headers().get("cookie"), Some("a=b"));
    assert_eq!(request.headers().len(), 11);
}

/// 6455-11.3.3-01: the response has one Accept; the application cannot add another, nor any header of the handshake, nor
/// a line end.
#[test]
fn headers_of_the_response() {
    let request = websocket(with(&[]));
    let accept = Accept::new().header("Set-Cookie", "a=b; Secure").unwrap().header("X", "").unwrap();
    let response = accepted(&request, &accept);
    assert!(response.ends_with("\r\nSet-Cookie: a=b; Secure\r\nX: \r\n\r\n"));
    assert_eq!(Answer::parse(response.as_bytes()).all("Sec-WebSocket-Accept").len(), 1);

    for name in [
        "Sec-WebSocket-Accept",
        "SEC-WEBSOCKET-PROTOCOL",
        "sec-websocket-extensions",
        "sec-websocket-foo",
        "Upgrade",
        "Connection",
        "content-length",
        "Transfer-Encoding",
    ] {
        assert_eq!(Accept::new().header(name, "x"), Err(BuildError::ReservedHeader(name.to_owned())));
    }
    for name in ["", "a b", "a:", "a\r\nb", "a\n", "\u{e9}", "a\0"] {
        assert_eq!(Accept::new().header(name, "x"), Err(BuildError::InvalidHeaderName(name.to_owned())));
    }
    for value in ["a\r\nb: c", "\n", "\r", "\0", "\u{7f}", "\u{e9}"] {
        assert_eq!(Accept::new().header("X", value), Err(BuildError::InvalidHeaderValue("X".to_owned())));
        assert_eq!(
            Reply::new(200).unwrap().header("X", value),
            Err(BuildError::InvalidHeaderValue("X".to_owned()))
        );
    }
}

/// 6455-4.2.2-23: frames may come right behind the request, and go right behind the response.
#[test]
fn frames_follow_at_once() {
    let input = [with(&[]).as_bytes(), b"\x81\x80\0\0\0\0"].concat();
    let Ok(Some(ReceivedRequest::WebSocket(request))) =
        ServerHandshake::new(Limits::default()).receive(&input)
    else {
        panic!()
    };
    assert_eq!(&input[request.consumed()..], b"\x81\x80\0\0\0\0");
    let mut out = Vec::new();
    request.accept(Accept::new()).unwrap().encode(&mut out);
    assert!(out.ends_with(b"\r\n\r\n"));
}

/// 6455-4.2.2-04, 6455-4.2.2-05, 6455-4.2.2-07, 6455-4.2.2-11, 6455-10.2-02, 6455-10.5-01, 6455-7.2.2-01: instead of
/// accepting, the application may answer with any status, headers and body; never with 101; the connection closes.
#[test]
fn refusals() {
    let request = websocket(with(&[]));
    for (status, name, value) in [
        (401, "WWW-Authenticate", "Basic realm=\"x\""),
        (301, "Location", "ws://elsewhere/"),
        (403, "X", "y"),
        (404, "X", "y"),
        (503, "Retry-After", "120"),
    ] {
        let mut out = b"before".to_vec();
        let reply = Reply::new(status).unwrap().header(name, value).unwrap().text("No.\n");
        assert_eq!(reply.status(), status);
        request.reply(&reply, &mut out).unwrap();
        let answer = Answer::parse(out.strip_prefix(b"before").unwrap());
        assert_eq!(answer.status, status);
        assert_eq!(answer.all(name), [value]);
        assert_eq!(answer.all("Connection"), ["close"]);
        assert_eq!(answer.all("Content-Length"), ["4"]);
        assert_eq!(answer.all("Content-Type"), ["text/plain; charset=utf-8"]);
        assert_eq!(answer.all("Sec-WebSocket-Accept"), [""; 0]);
        assert_eq!(answer.body, b"No.\n");
    }
    for status in [0, 99, 100, 101, 199, 600, 999, u16::MAX] {
        assert_eq!(Reply::new(status), Err(BuildError::InvalidStatus(status)));
    }
    for name in ["Connection", "CONTENT-LENGTH", "transfer-encoding"] {
        assert_eq!(
            Reply::new(200).unwrap().header(name, "x"),
            Err(BuildError::ReservedHeader(name.to_owned()))
        );
    }
}

/// RFC 8441 section 5: over HTTP/2, which a proxy in between may speak, any 2xx accepts; so it refuses nobody, and a CONNECT
/// neither. Of a request that could not be read it is not known what it was for.
#[test]
fn no_refusal_is_a_success() {
    let received =
        |request: &str| ServerHandshake::new(Limits::default()).receive(request.as_bytes()).unwrap().unwrap();
    let websocket = received(&with(&[]));
    let tunnel = received("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n");
    let ordinary = received("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let unread = ServerHandshake::new(Limits::default());
    for status in [200, 204, 299, 300] {
        let reply = Reply::new(status).unwrap();
        for head in [websocket.head(), tunnel.head()] {
            let mut out = b"before".to_vec();
            let refused = head.reply(&reply, &mut out);
            if status < 300 {
                assert_eq!((refused, &*out), (Err(BuildError::AcceptingStatus(status)), &b"before"[..]));
            } else {
                assert_eq!((refused, out.len() > 6), (Ok(()), true));
            }
        }
        assert_eq!(ordinary.head().reply(&reply, &mut Vec::new()), Ok(()));
        assert_eq!(unread.reply(&reply, &mut Vec::new()).is_ok(), status == 300);
    }
    for status in [99, 100, 101, 199, 600] {
        assert_eq!(Reply::new(status).unwrap_err(), BuildError::InvalidStatus(status));
    }
}

#[test]
fn replies_have_no_body_where_http_has_none() {
    let mut out = Vec::new();
    Reply::new(204).unwrap().body("x").encode(&mut out);
    assert_eq!(out, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    // RFC 9110 section 15.3.6: it says so.
    let reset = Reply::new(205).unwrap().body("x");
    assert_eq!(reset.content(), b"");
    let mut out = Vec::new();
    reset.encode(&mut out);
    assert_eq!(out, b"HTTP/1.1 205 Reset Content\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let mut out = Vec::new();
    http("GET / HTTP/1.1\r\nHost: h\r\n\r\n").reply(&reset, &mut out).unwrap();
    assert!(out.ends_with(b"\r\nContent-Length: 0\r\n\r\n"));

    let page = Reply::new(200).unwrap().header("Content-Type", "text/html").unwrap().text("<p>");
    let mut out = Vec::new();
    http("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").reply(&page, &mut out).unwrap();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\nContent-Type: text/html\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), head);
    let mut out = Vec::new();
    http("GET / HTTP/1.1\r\nHost: h\r\n\r\n").reply(&page, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{head}<p>"));

    // Refused while it is read, too, however it comes.
    let refusal = Reply::from(&RequestError::MethodNotGet);
    for (request, has_content) in [
        (with(&[("GET", "HEAD")]), false),
        (with(&[("GET", "\r\n\r\nHEAD")]), false),
        ("HEAD / HTTP/1.1\r\nno header\r\n\r\n".into(), false),
        ("HEAD ".into(), false),
        ("HEA".into(), true),
        (with(&[("GET", "HEADS")]), true),
        (with(&[("GET", "POST")]), true),
        (String::new(), true),
    ] {
        let (mut whole, mut in_pieces) =
            (ServerHandshake::new(Limits::default()), ServerHandshake::new(Limits::default()));
        assert!(!matches!(whole.receive(request.as_bytes()), Ok(Some(_))), "{request:?}");
        for len in 0..=request.len() {
            let _ = in_pieces.receive(&request.as_bytes()[..len]);
        }
        for handshake in [whole, in_pieces] {
            let mut out = Vec::new();
            handshake.reply(&refusal, &mut out).unwrap();
            assert_eq!(!out.ends_with(b"\r\n\r\n"), has_content, "{request:?}");
        }
    }

    // A status without a phrase.
    let mut out = Vec::new();
    Reply::new(599).unwrap().encode(&mut out);
    assert!(out.starts_with(b"HTTP/1.1 599 \r\n"));
}

/// 6455-10.7-04, 6455-4.2.1-01: every error has an answer: a status, the headers that go with it, a sentence, and
/// `Connection: close`.
#[test]
fn every_error_has_an_answer() {
    use RequestError as E;
    for (error, status) in [
        (E::Head(HeadError::InvalidStartLine), 400),
        (E::Head(HeadError::InvalidLineEnd), 400),
        (E::Head(HeadError::FoldedHeader), 400),
        (E::Head(HeadError::InvalidHeaderName), 400),
        (E::Head(HeadError::InvalidHeaderValue), 400),
        (E::Head(HeadError::StartLineTooLong), 414),
        (E::Head(HeadError::HeadTooLarge), 431),
        (E::Head(HeadError::TooManyHeaders), 431),
        (E::Head(HeadError::UnsupportedHttpVersion), 505),
        (E::Head(HeadError::Incomplete), 400),
        (E::InvalidUpgrade, 400),
        (E::MissingUpgrade, 426),
        (E::LostUpgrade, 426),
        (E::InvalidConnection, 400),
        (E::MissingConnectionUpgrade, 426),
        (E::InvalidSubprotocols, 400),
        (E::InvalidExtensions, 400),
        (E::MethodNotGet, 405),
        (E::InvalidTarget, 400),
        (E::MissingHost, 400),
        (E::RepeatedHost, 400),
        (E::InvalidHost, 400),
        (E::InvalidOrigin, 400),
        (E::InvalidForwardedHost(ForwardedHost::Forwarded), 400),
        (E::InvalidForwardedHost(ForwardedHost::XForwardedHost), 400),
        (E::UnexpectedBody, 400),
        (E::MissingKey, 400),
        (E::RepeatedKey, 400),
        (E::InvalidKey, 400),
        (E::MissingVersion, 400),
        (E::RepeatedVersion, 400),
        (E::UnsupportedVersion, 426),
        (E::RepeatedSubprotocol, 400),
    ] {
        assert_eq!(error.status(), status, "{error:?}");
        let answer = reply(&error);
        assert_eq!(answer.status, status);
        assert_eq!(answer.all("Content-Length"), [answer.body.len().to_string()]);
        let body = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(body, format!("Not a WebSocket connection: {error}.\n"));
        // RFC 9110 section 7.8: who sends `Upgrade` lists it in `Connection`.
        let (connection, upgrade): (&str, &[&str]) =
            if status == 426 { ("close, Upgrade", &["websocket"]) } else { ("close", &[]) };
        assert_eq!(answer.all("Connection"), [connection]);
        assert_eq!(answer.all("Upgrade"), upgrade);
        assert_eq!(answer.all("Allow").len(), usize::from(status == 405));
        assert_eq!(answer.all("Sec-WebSocket-Accept").len(), 0);
    }

    // So have those that are not about WebSockets.
    for (error, status, phrase) in [
        (E::NoPage, 404, "Not Found"),
        (E::InvalidBodyLength, 400, "Bad Request"),
        (E::UnsupportedTransferCoding, 501, "Not Implemented"),
        (E::InvalidChunk, 400, "Bad Request"),
        (E::BodyTooLarge, 413, "Content Too Large"),
        (E::IncompleteBody, 400, "Bad Request"),
    ] {
        let answer = reply(&error);
        assert_eq!((error.status(), answer.status), (status, status));
        assert_eq!(answer.all("Connection"), ["close"]);
        assert_eq!(String::from_utf8(answer.body).unwrap(), format!("{phrase}: {error}.\n"));
    }

    // So has a request that does not come in time.
    let mut out = Vec::new();
    Reply::request_timeout().encode(&mut out);
    let answer = Answer::parse(&out);
    assert_eq!((answer.status, answer.all("Connection")), (408, vec!["close"]));
    assert_eq!(answer.all("Content-Length"), [answer.body.len().to_string()]);
    assert_eq!(answer.body, b"Not a WebSocket connection: the opening handshake took too long.\n");
}

/// A request that is not about WebSockets is given to the caller, whatever it is.
#[test]
fn plain_http_requests() {
    for (request, method, path, host) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", Some("h")),
        ("GET /a?b HTTP/1.0\r\n\r\n", "GET", "/a", None),
        ("POST /a HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\n", "POST", "/a", Some("h:1")),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "*", Some("h")),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", "CONNECT", "h:80", Some("h:80")),
        ("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "GET", "/", Some("h")),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n", "GET", "/", Some("h")),
        ("\r\n\r\nM-SEARCH http://h/ HTTP/1.1\r\nHost: x\r\n\r\n", "M-SEARCH", "/", Some("h")),
    ] {
        let request = http(request);
        assert_eq!(request.method(), method);
        assert_eq!(request.path(), path);
        assert_eq!(request.host(), host);
        assert_eq!(request.origin(), None);
    }
    assert_refused("GET / HTTP/1.1\r\n\r\n", &RequestError::MissingHost, 400);
    assert_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", &RequestError::RepeatedHost, 400);
}

/// A request that announces a body is refused: its body could be taken for frames, or for another request.
#[test]
fn no_body() {
    websocket(with_lines("Content-Length: 0\r\n"));
    for lines in [
        "Content-Length: 1\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: +0\r\n",
        "Content-Length:\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: 0\r\nContent-Length: 7\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
        "transfer-encoding: identity\r\n",
        "Content-Length: -1\r\n",
    ] {
        assert_refused(with_lines(lines), &RequestError::UnexpectedBody, 400);
    }
}

/// 6455-10.7-01: what is not strictly HTTP fails: without waiting for the rest of the head, except for header names.
#[test]
fn malformed_heads() {
    use HeadError as E;
    for (head, error) in [
        ("\x16", E::Tls), // A TLS ClientHello.
        ("\0", E::InvalidStartLine),
        (" ", E::InvalidStartLine),
        (":", E::InvalidStartLine),
        ("\n", E::InvalidLineEnd),
        ("\r\r", E::InvalidLineEnd),
        ("\r\n\n", E::InvalidLineEnd),
        ("\u{80}", E::InvalidStartLine),
        ("GET / HTTP/1.1\n", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\r", E::InvalidLineEnd),
        ("GET / HTTP/1.1\rX", E::InvalidLineEnd),
        ("GET /\0", E::InvalidStartLine),
        ("GET /\x7f", E::InvalidStartLine),
        ("GET / HTTP/1.1\r\n ", E::FoldedHeader),
        ("GET / HTTP/1.1\r\n\n", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\n:\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\n\0", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\n\"a\": a\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost\n", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHo\0", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHo\u{e9}: a\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHo(st): a\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost: a\n", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHost: a\rb", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\r", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHost: a\rTransfer-Encoding: chunked", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHost: a\0", E::InvalidHeaderValue),
        ("GET / HTTP/1.1\r\nHost: a\x08", E::InvalidHeaderValue),
        ("GET / HTTP/1.1\r\nHost: a\x7f", E::InvalidHeaderValue),
        ("GET / HTTP/1.1\r\nHost: a\r\n ", E::FoldedHeader),
        ("GET / HTTP/1.1\r\nHost: a\r\n\tb", E::FoldedHeader),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r", E::InvalidLineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", E::InvalidLineEnd),
        ("PRI * HTTP/2.0\r\n", E::UnsupportedHttpVersion),
        ("GET / HTTP/1.1\r\n: x\r\n\r\n", E::InvalidHeaderName),
        ("SSH-2.0-x\r\n", E::InvalidStartLine),
        ("GET / HTTP/1.2\r\nHost: a\r\nB b: c\r\n\r\n", E::InvalidHeaderName),
        ("GET / HTTP/1.1\r\nHost: a:\0", E::InvalidHeaderValue),
        ("GET / HTTP/1.1\r\nHost: a\r\nB\0", E::InvalidHeaderName),
    ] {
        let error = error.into();
        assert_refused(head, &error, error.status());
    }
    // Once failed, it stays so.
    for (head, more, error) in [
        ("GET /\r\n", "\r\n", E::InvalidStartLine),
        ("GET / HTTP/1.1\r\nA: \0", "\r\n\r\n", E::InvalidHeaderValue),
        ("GET / HTTP/1.1\r\nA \r\n\r\n", "GET / HTTP/1.1\r\n", E::InvalidHeaderName),
    ] {
        let mut handshake = ServerHandshake::new(Limits::default());
        let error = RequestError::from(error);
        assert_eq!(handshake.receive(head.as_bytes()), Err(error.clone()));
        assert_eq!(handshake.receive(head.as_bytes()), Err(error.clone()));
        assert_eq!(handshake.receive((head.to_owned() + more).as_bytes()), Err(error));
    }
}

/// 6455-8.1-01: what must be text is ASCII here, so bytes that are not UTF-8 fail the handshake in every field that is
/// interpreted.
#[test]
fn bytes_that_are_no_text_are_refused() {
    let lines = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: foo\r\n";
    let request = with_lines(lines).into_bytes();
    for at in 0..request.len() {
        let mut mutated = request.clone();
        mutated[at] = 0xFF;
        assert!(receive(&mutated).is_err(), "{}", mutated.escape_ascii());
    }
}

/// Empty lines before the request are skipped, and consumed.
#[test]
fn empty_lines_before_the_request() {
    for count in 1..4 {
        let request = websocket("\r\n".repeat(count) + &with(&[]));
        assert_eq!(request.path(), "/chat");
        assert_eq!(request.consumed(), 2 * count + with(&[]).len());
    }
    let limits = Limits::default().head_bytes(64);
    let outcome = receive_with(&limits, "\r\n".repeat(100).as_bytes());
    assert_eq!(outcome, Err(RequestError::Head(HeadError::HeadTooLarge)));
}

/// 6455-10.7-01: the limits hold to the byte, however the request arrives.
#[test]
fn limits() {
    let request = with_lines("Cookie: a=b\r\n");
    let exact = Limits::default()
        .head_bytes(request.len())
        .headers(7)
        .start_line_bytes("GET /chat HTTP/1.1\r\n".len());
    assert!(matches!(receive_with(&exact, request.as_bytes()), Ok(ReceivedRequest::WebSocket(_))));
    for (limits, error) in [
        (exact.clone().head_bytes(request.len() - 1), HeadError::HeadTooLarge),
        (exact.clone().headers(6), HeadError::TooManyHeaders),
        (exact.clone().start_line_bytes(19), HeadError::StartLineTooLong),
        (exact.clone().head_bytes(19), HeadError::StartLineTooLong),
        (exact.clone().head_bytes(0), HeadError::HeadTooLarge),
        (exact.clone().headers(0), HeadError::TooManyHeaders),
    ] {
        assert_eq!(receive_with(&limits, request.as_bytes()), Err(error.into()), "{limits:?}");
    }
    // Empty lines are no part of the request line.
    let request = format!("\r\n{request}");
    assert!(receive_with(&exact.head_bytes(request.len()), request.as_bytes()).is_ok());

    // The defaults, for a request that never ends.
    let endless = |start: &str, unit: &str| {
        let request = start.to_owned() + &unit.repeat(20_000 / unit.len());
        ServerHandshake::new(Limits::default()).receive(request.as_bytes()).unwrap_err()
    };
    assert_eq!(endless("GET /", "a"), HeadError::StartLineTooLong.into());
    assert_eq!(endless("A", "A"), HeadError::StartLineTooLong.into());
    assert_eq!(endless("", "\r\n"), HeadError::HeadTooLarge.into());
    assert_eq!(endless("GET / HTTP/1.1\r\nA: ", "a"), HeadError::HeadTooLarge.into());
    assert_eq!(endless("GET / HTTP/1.1\r\n", "a"), HeadError::HeadTooLarge.into());
    assert_eq!(endless("GET / HTTP/1.1\r\n", "a:\r\n"), HeadError::TooManyHeaders.into());
}

/// A byte is searched once, however the head arrives: what was searched is overwritten here with bytes that no header may
/// contain, and a search that starts again, or goes back, would find them. Only the complete head is looked at again, to
/// be parsed. So the work is linear in the input.
#[test]
fn bytes_are_searched_once() {
    let start = format!("{REQUEST}X-Padding: ");
    let mut head = start.clone().into_bytes();
    head.resize(16 * 1024 - 4, b'a');
    head.extend_from_slice(b"\r\n\r\n");

    let mut handshake = ServerHandshake::new(Limits::default());
    let mut arriving = head.clone();
    for len in 1..head.len() {
        assert_eq!(handshake.receive(&arriving[..len]), Ok(None));
        if len > start.len() && len < head.len() - 4 {
            arriving[len - 1] = 0;
        }
    }
    let Ok(Some(ReceivedRequest::WebSocket(request))) = handshake.receive(&head) else { panic!() };
    assert_eq!(request.consumed(), 16 * 1024);
}

/// A value may have a tab, visible characters and bytes from 0x80 on wherever they stand, and no other byte: in a head that
/// comes whole as in one that comes in pieces.
#[test]
fn values_wherever_a_byte_stands() {
    for at in 0..20 {
        for byte in 0..=u8::MAX {
            let mut value = [b'x'; 22];
            value[at + 1] = byte;
            let mut request = with_lines("").into_bytes();
            request.truncate(request.len() - 2);
            request.extend([&b"Y:"[..], &value, b"\r\n\r\n"].concat());
            let whole = ServerHandshake::new(Limits::default()).receive(&request);
            let mut handshake = ServerHandshake::new(Limits::default());
            let first = handshake.receive(&request[..request.len() - 12]);
            let pieces = first.and_then(|_| handshake.receive(&request));
            assert_eq!(whole, pieces);
            let may_stand = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(whole.is_ok(), may_stand, "{byte:#x} at {at}");
            if let Ok(received) = whole {
                assert_eq!(received.unwrap().head().headers().get_bytes("y"), Some(&value[..]));
            }
        }
    }
}

/// Finding the head in pieces, and being stricter, changes nothing of what is in it: what is taken, `httparse` alone takes
/// too, and finds the same in it. And it is what RFC 9112 allows.
#[test]
fn heads_are_what_httparse_takes_and_stricter() {
    let request = with_lines("Cookie: a=b ; c\t\r\nX:\r\n").into_bytes();
    for at in 0..request.len() {
        for byte in 0..=u8::MAX {
            let mut mutated = request.clone();
            mutated[at] = byte;
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut theirs = httparse::Request::new(&mut headers);
            let theirs_len = theirs.parse(&mutated);
            let (line, headers, consumed) = match ServerHandshake::new(Limits::default()).receive(&mutated) {
                Ok(Some(ReceivedRequest::WebSocket(request))) => (
                    [request.method().to_owned(), request.target().to_owned()],
                    request.headers().clone(),
                    request.consumed(),
                ),
                Ok(Some(ReceivedRequest::Http(request))) => (
                    [request.method().to_owned(), request.target().to_owned()],
                    request.headers().clone(),
                    request.consumed(),
                ),
                // Ours is stricter only in rejecting. What it rejects must have been looked at whole.
                Ok(None) => panic!("{}", mutated.escape_ascii()),
                Err(_) => continue,
            };
            let is_token = |name: &str| {
                let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
                !name.is_empty() && name.bytes().all(is_token)
            };
            assert!(is_token(&line[0]) && line[1].bytes().all(|byte| byte.is_ascii_graphic()));
            for (name, value) in headers.iter() {
                assert!(is_token(name), "{name:?}");
                assert!(!value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t'));
                assert_eq!(value, value.trim_ascii());
            }
            let head = &mutated[..consumed];
            let line_ends = head.windows(2).filter(|pair| pair == b"\r\n").count();
            assert_eq!(line_ends, headers.len() + 2);
            assert_eq!(head.split(|&byte| byte == b'\r' || byte == b'\n').count(), 2 * line_ends + 1);

            // HTTP/1.2 and so on are not known to them.
            if mutated[..20].ends_with(b"HTTP/1.1\r\n") {
                assert_eq!(
                    theirs_len,
                    Ok(httparse::Status::Complete(consumed)),
                    "{}",
                    mutated.escape_ascii()
                );
                assert_eq!(
                    [theirs.method.unwrap(), theirs.path.unwrap()],
                    [line[0].as_str(), line[1].as_str()]
                );
                let theirs: Vec<_> =
                    theirs.headers.iter().map(|header| (header.name, header.value)).collect();
                assert_eq!(headers.iter().collect::<Vec<_>>(), theirs, "{}", mutated.escape_ascii());
            }
        }
    }
}

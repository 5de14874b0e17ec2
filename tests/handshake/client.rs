//! The client's side of the opening handshake: RFC 6455 sections 4.1, 4.3, 4.4, 9.1 and 11.3.
#![cfg(feature = "handshake")]

use sansocket::Uri;
use sansocket::handshake::{
    BuildError, ClientHandshake, ClientRequest, Extension, HeadError, Limits, Opened, ReceivedRequest,
    Response, ResponseError, ServerHandshake,
};

use super::cuts::in_every_way;

/// In base64, the key of RFC 6455 section 1.2.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The response of RFC 6455 section 1.2 without the empty line, and without `Sec-WebSocket-Protocol`.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

type Outcome = Result<Opened, ResponseError>;

fn request(uri: &str) -> ClientRequest {
    ClientRequest::new(&Uri::parse(uri).unwrap())
}

fn encoded(request: &ClientRequest, nonce: [u8; 16]) -> String {
    let mut out = b"before".to_vec();
    let _ = ClientHandshake::start(request, Limits::default(), nonce, &mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

/// What an independent parser finds in a request: method, target, version, and the values of a header.
#[track_caller]
fn values(request: &ClientRequest, name: &str) -> Vec<String> {
    let text = encoded(request, NONCE);
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut headers);
    assert_eq!(parsed.parse(text.as_bytes()), Ok(httparse::Status::Complete(text.len())));
    assert_eq!((parsed.method, parsed.version), (Some("GET"), Some(1)));
    assert_eq!(parsed.path, Some(request.uri().resource_name()));
    let is_wanted = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
    let text = |value: &[u8]| String::from_utf8(value.to_owned()).unwrap();
    parsed.headers.iter().filter(is_wanted).map(|header| text(header.value)).collect()
}

/// Receives the response [in every way](in_every_way) it can arrive.
#[track_caller]
fn receive(request: &ClientRequest, response: &str) -> Outcome {
    receive_with(request, &Limits::default(), response.as_bytes())
}

#[track_caller]
fn receive_with(request: &ClientRequest, limits: &Limits, response: &[u8]) -> Outcome {
    let handshake = || ClientHandshake::start(request, limits.clone(), NONCE, &mut Vec::new());
    let behind = [b"\x81\x05hello".as_slice(), b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\n", b" "];
    let (outcome, len) = in_every_way(response, &behind, handshake, ClientHandshake::receive);
    if let Ok(opened) = &outcome {
        assert_eq!(opened.consumed(), response.len());
    }
    // The connection may also end before.
    for cut in 0..len {
        let mut ended = handshake();
        assert_eq!(ended.receive(&response[..cut]), Ok(None));
        let error = ended.receive_eof(&response[..cut]);
        assert!(
            matches!(error, ResponseError::Head(HeadError::Incomplete) | ResponseError::Refused(_)),
            "{cut}: {error:?}"
        );
    }
    outcome
}

#[track_caller]
fn opened(request: &ClientRequest, response: &str) -> Opened {
    receive(request, response).unwrap_or_else(|error| panic!("{response:?}: {error}"))
}

#[track_caller]
fn assert_fails(response: &str, error: &ResponseError) {
    assert_eq!(receive(&request("ws://h/"), response).as_ref(), Err(error), "{response:?}");
}

/// The connection does not end by itself here, so a body without length is known to be complete at the limit only.
#[track_caller]
fn refused(response: &str) -> Response {
    match receive(&request("ws://h/"), response) {
        Err(ResponseError::Refused(response)) => *response,
        other => panic!("{response:?}: {other:?}"),
    }
}

/// A response with some lines replaced or removed.
fn with(changes: &[(&str, &str)]) -> String {
    let mut response = RESPONSE.to_owned();
    for (from, to) in changes {
        assert!(response.contains(from), "{from:?}");
        response = response.replacen(from, to, 1);
    }
    response + "\r\n"
}

fn with_lines(lines: &str) -> String {
    format!("{RESPONSE}{lines}\r\n")
}

fn extension(text: &str) -> Extension {
    Extension::parse_list([text]).unwrap().remove(0)
}

/// 6455-4.1-02, 6455-4.1-18, 6455-4.1-20, 6455-4.1-21, 6455-4.1-22, 6455-4.1-38, 6455-4.1-39, 6455-4.1-48: the example
/// of RFC 6455 section 1.2: request, response, open; nothing is sent in between.
#[test]
fn rfc_example() {
    let request = request("ws://server.example.com/chat")
        .origin("http://example.com")
        .unwrap()
        .subprotocols(["chat", "superchat"])
        .unwrap()
        .without_user_agent();
    let mut out = Vec::new();
    let mut handshake = ClientHandshake::start(&request, Limits::default(), NONCE, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "GET /chat HTTP/1.1\r\n\
         Host: server.example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\n\
         Origin: http://example.com\r\n\
         \r\n"
    );
    // `receive` has nothing to send with: it is given no output.
    let response = with_lines("Sec-WebSocket-Protocol: chat\r\n");
    let opened = handshake.receive(response.as_bytes()).unwrap().unwrap();
    assert_eq!(opened, self::opened(&request, &response));
    assert_eq!(opened.subprotocol(), Some("chat"));
    assert_eq!(opened.extensions(), []);
    assert_eq!(opened.response().status(), 101);
    assert_eq!(opened.response().reason(), "Switching Protocols");
    assert_eq!(opened.response().headers().get("upgrade"), Some("websocket"));
    assert_eq!(opened.response().body(), b"");

    // Frames in the same read are left where they are.
    let input = [response.as_bytes(), b"\x81\x05hello"].concat();
    let mut handshake = ClientHandshake::start(&request, Limits::default(), NONCE, &mut Vec::new());
    let opened = handshake.receive(&input).unwrap().unwrap();
    assert_eq!(&input[opened.consumed()..], b"\x81\x05hello");
}

/// 6455-4.1-19, 6455-4.1-24, 6455-4.1-25, 6455-4.1-26, 6455-4.1-31, 6455-4.1-32, 6455-11.3.1-01, 6455-11.3.5-02: an
/// independent parser, and our own server, take the request; each header is there once.
#[test]
fn the_request_is_valid_http() {
    let plain = request("ws://h/");
    let full = request("wss://[::1]:8080/a b?c")
        .subprotocols(["a", "b"])
        .unwrap()
        .extension(extension("foo; bar=1"))
        .extension(extension("foo"))
        .header("Authorization", "Basic eDp5")
        .unwrap()
        .header("Cookie", "a=b")
        .unwrap();
    for request in [plain, full] {
        for (name, value) in [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ] {
            assert_eq!(values(&request, name), [value], "{name}");
        }
        let text = encoded(&request, NONCE);
        let received = ServerHandshake::new(Limits::default()).receive(text.as_bytes());
        assert!(matches!(received, Ok(Some(ReceivedRequest::WebSocket(_)))), "{received:?}");
    }
}

/// 6455-4.1-22, 6455-4.1-23: the target is the resource name; `Host` has the port only if it is not the default.
#[test]
fn target_and_host() {
    for (uri, target, host) in [
        ("ws://h", "/", "h"),
        ("ws://h:80?q", "/?q", "h"),
        ("ws://h:443/chat", "/chat", "h:443"),
        ("wss://h:443/chat?a=b", "/chat?a=b", "h"),
        ("wss://h:80/", "/", "h:80"),
        ("ws://[::1]/\u{e9}", "/%C3%A9", "[::1]"),
        ("ws://[::1]:9001/", "/", "[::1]:9001"),
    ] {
        let request = request(uri);
        assert_eq!(values(&request, "Host"), [host], "{uri}");
        assert!(
            encoded(&request, NONCE).starts_with(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n")),
            "{uri}"
        );
    }
}

/// 6455-4.1-27, 6455-4.1-28: the key is the nonce in base64, and the nonce is the caller's to choose for each connection.
#[test]
fn the_key_is_the_nonce() {
    let key = |nonce| {
        let text = encoded(&request("ws://h/"), nonce);
        text.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0.to_owned()
    };
    // Erratum 3150 to section 4.1: "EA", not "EC".
    assert_eq!(key([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]), "AQIDBAUGBwgJCgsMDQ4PEA==");
    assert_eq!(key([0; 16]), "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(key([0xFF; 16]), "/////////////////////w==");

    // Another nonce, another key, another answer.
    let mut handshake =
        ClientHandshake::start(&request("ws://h/"), Limits::default(), [0; 16], &mut Vec::new());
    assert_eq!(handshake.receive(with(&[]).as_bytes()), Err(ResponseError::WrongAccept));
}

/// 6455-4.1-29, 6455-4.1-30: no `Origin`, unless the caller acts for a browser.
#[test]
fn origin() {
    assert_eq!(values(&request("ws://h/"), "Origin"), [""; 0]);
    let request = request("ws://h/").origin("http://a").unwrap().origin("http://www.example.com").unwrap();
    assert_eq!(values(&request, "Origin"), ["http://www.example.com"]);
    assert_eq!(request.origin("a\r\nb"), Err(BuildError::InvalidHeaderValue("Origin".to_owned())));
}

/// RFC 9110 section 10.1.5: the crate names itself, unless the caller names something else, or nothing.
#[test]
fn user_agent() {
    let request = request("ws://h/");
    assert_eq!(values(&request, "User-Agent"), [concat!("sansocket/", env!("CARGO_PKG_VERSION"))]);
    let named = request.clone().header("user-agent", "a/1").unwrap().header("USER-AGENT", "b/2 (c)").unwrap();
    assert_eq!(values(&named, "User-Agent"), ["b/2 (c)"]);
    assert_eq!(values(&named.clone().user_agent("d/4").unwrap(), "User-Agent"), ["d/4"]);
    let invalid = BuildError::InvalidHeaderValue("User-Agent".to_owned());
    assert_eq!(request.clone().header("User-Agent", "a\r\nb"), Err(invalid));
    for silent in [&request, &named].map(|request| request.clone().without_user_agent()) {
        assert_eq!(values(&silent, "User-Agent"), [""; 0]);
        assert_eq!(values(&silent.header("User-Agent", "c/3").unwrap(), "User-Agent"), ["c/3"]);
    }
}

/// RFC 6750 and RFC 7617: whoever says who he is anew replaces what he said, by whichever call.
#[test]
fn authorization() {
    let request = request("ws://h/").header("authorization", "Digest x").unwrap();
    let bearing = request.clone().bearer("mF_9.B5f-4.1JqM|~+/=").unwrap();
    assert_eq!(values(&bearing, "Authorization"), ["Bearer mF_9.B5f-4.1JqM|~+/="]);
    let anew = bearing.clone().bearer("2").unwrap();
    assert_eq!(values(&anew, "Authorization"), ["Bearer 2"]);
    // The examples of RFC 7617 sections 2 and 2.1.
    for (user, password, value) in [
        ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
        ("", "a:b", "Basic OmE6Yg=="),
    ] {
        let basic = anew.clone().basic(user, password).unwrap();
        assert_eq!(values(&basic, "Authorization"), [value]);
    }
    let raw = anew.header("AUTHORIZATION", "Negotiate y").unwrap();
    assert_eq!(values(&raw, "Authorization"), ["Negotiate y"]);
    for token in ["", "1\n", "1\r\nX: y", "1 2", "\u{e9}", "1\0"] {
        assert_eq!(bearing.clone().bearer(token), Err(BuildError::InvalidToken), "{token:?}");
    }
    for (user, password) in [("a:b", "c"), ("a\n", "b"), ("a", "b\n"), ("a", "b\r\nX: y"), ("a\u{85}", "b")] {
        assert_eq!(bearing.clone().basic(user, password), Err(BuildError::InvalidUser));
    }
    let shown = format!("{:?}", bearing.basic("me", "secret").unwrap());
    assert!(shown.contains("Authorization") && !shown.contains("bWU6"), "{shown}");
}

/// 6455-4.1-33, 6455-4.1-34, 6455-4.1-35: subprotocols are tokens, none twice, in the order of preference.
#[test]
fn offered_subprotocols() {
    assert_eq!(values(&request("ws://h/"), "Sec-WebSocket-Protocol"), [""; 0]);
    let offering =
        request("ws://h/").subprotocols(["c", "a"]).unwrap().subprotocol("!#$%&'*+-.^_`|~09AZaz").unwrap();
    assert_eq!(values(&offering, "Sec-WebSocket-Protocol"), ["c, a, !#$%&'*+-.^_`|~09AZaz"]);
    for invalid in [
        "", " ", "a b", "a,b", "a\t", "\u{e9}", "a\r\nb", "a\0", "\u{7f}", "a/b", "\"a\"", "a=b", "(a)",
        "a;", "@", "[]",
    ] {
        let error = BuildError::InvalidSubprotocol(invalid.to_owned());
        assert_eq!(request("ws://h/").subprotocol(invalid), Err(error.clone()));
        assert_eq!(request("ws://h/").subprotocols(["a", invalid]), Err(error));
    }
    assert_eq!(offering.subprotocol("a"), Err(BuildError::RepeatedSubprotocol("a".to_owned())));
    assert_eq!(
        request("ws://h/").subprotocols(["b", "b"]),
        Err(BuildError::RepeatedSubprotocol("b".to_owned()))
    );
    // Case matters.
    assert!(request("ws://h/").subprotocols(["b", "B"]).is_ok());
}

/// 6455-4.1-36, 6455-9-01, 6455-9-04, 6455-5.8-01: extensions are offered in order, with their parameters.
#[test]
fn offered_extensions() {
    assert_eq!(values(&request("ws://h/"), "Sec-WebSocket-Extensions"), [""; 0]);
    let request = request("ws://h/")
        .extension(extension("foo; a; b=\"1\""))
        .extension(extension("bar"))
        .extension(extension("foo"));
    assert_eq!(values(&request, "Sec-WebSocket-Extensions"), ["foo; a; b=1, bar, foo"]);
}

/// 6455-4.1-37: other headers are sent as they are; those of the handshake cannot be set, and no line ended.
#[test]
fn other_headers() {
    let request = request("ws://h/");
    let with_headers = request.clone().header("Cookie", "a").unwrap().header("cookie", "b;\tc").unwrap();
    assert_eq!(values(&with_headers, "Cookie"), ["a", "b;\tc"]);

    for name in [
        "Host",
        "UPGRADE",
        "connection",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "sec-websocket-foo",
        "Origin",
        "Content-Length",
        "transfer-encoding",
        "Proxy-Authorization",
    ] {
        assert_eq!(request.clone().header(name, "x"), Err(BuildError::ReservedHeader(name.to_owned())));
    }
    for name in ["", "a b", "a:", ":", "a\r\nb", "\u{e9}", "a\0"] {
        assert_eq!(request.clone().header(name, "x"), Err(BuildError::InvalidHeaderName(name.to_owned())));
    }
    for value in ["a\r\nb: c", "\n", "\r", "\0", "\u{7f}", "\u{e9}"] {
        assert_eq!(request.clone().header("X", value), Err(BuildError::InvalidHeaderValue("X".to_owned())));
    }
}

/// 6455-4.1-40, 6455-1.3-01, 6455-7.1.4-02: any other status is an error that has the whole response.
#[test]
fn other_statuses_are_refusals() {
    for (line, status, reason) in [
        ("200 OK", 200, "OK"),
        ("301 Moved Permanently", 301, "Moved Permanently"),
        ("401 Unauthorized", 401, "Unauthorized"),
        ("404 Not Found", 404, "Not Found"),
        ("426 Upgrade Required", 426, "Upgrade Required"),
        ("503 ", 503, ""),
        ("999 \u{e9}", 999, "\u{e9}"),
    ] {
        let response = refused(&format!(
            "HTTP/1.1 {line}\r\nLocation: /a\r\nContent-Length: 3\r\nUpgrade: websocket\r\n\r\nno\n"
        ));
        assert_eq!(response.status(), status);
        assert_eq!(response.reason(), reason);
        assert_eq!(response.headers().get("location"), Some("/a"));
        assert_eq!(response.body(), b"no\n");
        let error = ResponseError::Refused(Box::new(response)).to_string();
        assert!(error.contains(&format!("with status {status}, ")) && error.ends_with(", and says: no"));
    }
    // One line of it, if it is text: what it says is a stranger's.
    let sentence = |head: &str, body: &str| {
        let response =
            refused(&format!("HTTP/1.1 403 No\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        ResponseError::Refused(Box::new(response)).to_string()
    };
    let refusal = "the server refused the WebSocket connection with status 403";
    assert_eq!(
        sentence("", "\r\n  not \x1b[31myou\r\nnor you"),
        format!("{refusal}, and says: not  [31myou")
    );
    assert_eq!(
        sentence("Content-Type: text/plain; charset=utf-8\r\n", "no"),
        format!("{refusal}, and says: no")
    );
    assert_eq!(sentence("Content-Type: text/html\r\n", "<h1>no</h1>"), refusal);
    assert_eq!(sentence("", &"x".repeat(300)), format!("{refusal}, and says: {}", "x".repeat(200)));
    assert_eq!(sentence("", " \r\n"), refusal);
    // Where the request was answered as if it had asked for a page, what keeps the upgrade away may be in between.
    let of = |status: &str| {
        ResponseError::Refused(Box::new(refused(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))))
            .to_string()
    };
    for status in ["200 OK", "204 No", "426 No", "426 No\r\nSec-WebSocket-Version: 13, 8"] {
        assert!(of(status).contains("does not pass on the headers Upgrade and Connection"), "{}", of(status));
    }
    for status in ["400 No", "403 No", "404 No", "502 No", "426 No\r\nSec-WebSocket-Version: 8"] {
        assert!(of(status).ends_with(&status[..3]), "{}", of(status));
    }
    // A proxy of old may refuse, too.
    assert_eq!(refused("HTTP/1.0 403 No\r\nContent-Length: 0\r\n\r\n").status(), 403);
    // Even with everything else right.
    assert_eq!(refused(&with_lines("Content-Length: 0\r\n").replace("101", "200")).status(), 200);
}

/// 6455-4.1-40: the body of a refusal is read as far as its length, its last chunk, or the limit.
#[test]
fn bodies_of_refusals() {
    for (head, body, expected) in [
        ("Content-Length: 0", "", ""),
        ("Content-Length: 5", "hello", "hello"),
        ("Transfer-Encoding: chunked", "0\r\n", ""),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", "2;a=b\r\nhe\r\n003 \r\nllo\r\n0;x\r\n", "hello"),
        ("Transfer-Encoding: chunked", "A\r\n0123456789\r\n0\r\n", "0123456789"),
    ] {
        let response = refused(&format!("HTTP/1.1 400 Bad\r\n{head}\r\n\r\n{body}"));
        assert_eq!(response.body(), expected.as_bytes(), "{head}");
    }
    assert_eq!(refused("HTTP/1.1 204 No\r\n\r\n").body(), b"");
    assert_eq!(refused("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n").body(), b"");

    // Bounded: what is longer is cut, and not waited for.
    let limits = Limits::default().refusal_body_bytes(10);
    for (head, body, expected) in [
        ("A: b", "0123456789", "0123456789"),
        ("Content-Length: 10", "0123456789", "0123456789"),
        ("Content-Length: 11", "0123456789", "0123456789"),
        ("Content-Length: 99999999999999999999999", "0123456789", "0123456789"),
        ("Content-Length: x", "0123456789", "0123456789"),
        ("Content-Length: +1", "0123456789", "0123456789"),
        ("Transfer-Encoding: chunked", "ffffffffff", ""),
        ("Transfer-Encoding: chunked", "8\r\n0123456", "0123456"),
        ("Transfer-Encoding: chunked", "0123456789", ""),
    ] {
        let response = format!("HTTP/1.1 400 Bad\r\n{head}\r\n\r\n{body}");
        let Err(ResponseError::Refused(response)) =
            receive_with(&request("ws://h/"), &limits, response.as_bytes())
        else {
            panic!("{head}");
        };
        assert_eq!(response.body(), expected.as_bytes(), "{head}");
    }
    let no_body = receive_with(
        &request("ws://h/"),
        &Limits::default().refusal_body_bytes(0),
        b"HTTP/1.1 400 Bad\r\n\r\n",
    );
    assert!(matches!(no_body, Err(ResponseError::Refused(response)) if response.body().is_empty()));
}

/// 6455-7.2.1-01, 6455-7.1.4-02: a connection that ends early was never open; of a refusal, what came is kept.
#[test]
fn the_connection_ends_early() {
    let start = || ClientHandshake::start(&request("ws://h/"), Limits::default(), NONCE, &mut Vec::new());
    assert_eq!(start().receive_eof(b""), ResponseError::Head(HeadError::Incomplete));
    let response = with(&[]);
    for len in 0..response.len() {
        assert_eq!(
            start().receive_eof(&response.as_bytes()[..len]),
            ResponseError::Head(HeadError::Incomplete)
        );
    }
    assert_eq!(
        start().receive_eof(b"HTTP/1.1 100 Continue\r\n\r\n"),
        ResponseError::Head(HeadError::Incomplete)
    );
    assert_eq!(start().receive_eof(b"220 "), ResponseError::Head(HeadError::InvalidStartLine));

    for lines in ["", "Content-Length: 100\r\n", "Transfer-Encoding: foo\r\nTransfer-Encoding: chunked\r\n"] {
        let body = if lines.starts_with('T') { "9\r\nsorry" } else { "sorry" };
        let input = format!("HTTP/1.1 500 Oops\r\n{lines}\r\n{body}");
        let mut handshake = start();
        assert_eq!(handshake.receive(input.as_bytes()), Ok(None));
        let ResponseError::Refused(response) = handshake.receive_eof(input.as_bytes()) else { panic!() };
        assert_eq!(response.body(), b"sorry");
    }
}

/// 6455-4.1-41, 6455-2.1-01: `Upgrade` is `websocket` in any ASCII case, and nothing else.
#[test]
fn upgrade() {
    const LINE: &str = "Upgrade: websocket\r\n";
    for line in ["Upgrade: WebSocket\r\n", "UPGRADE:\tWEBSOCKET \r\n", "Upgrade: websocket,\r\n"] {
        opened(&request("ws://h/"), &with(&[(LINE, line)]));
    }
    for line in [
        "",
        "Upgrade:\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: websockets\r\n",
        "Upgrade: web socket\r\n",
        "Upgrade: web\u{17f}oc\u{212a}et\r\n",
        "Upgrade: \"websocket\"\r\n",
    ] {
        assert_fails(&with(&[(LINE, line)]), &ResponseError::MissingUpgrade);
    }
}

/// 6455-4.1-42: `Connection` lists `Upgrade`.
#[test]
fn connection() {
    const LINE: &str = "Connection: Upgrade\r\n";
    for line in [
        "Connection: upgrade\r\n",
        "connection: keep-alive, Upgrade\r\n",
        "Connection: close\r\nConnection: UPGRADE\r\n",
    ] {
        opened(&request("ws://h/"), &with(&[(LINE, line)]));
    }
    for line in [
        "",
        "Connection:\r\n",
        "Connection: close\r\n",
        "Connection: notupgrade\r\n",
        "Connection: upgraded\r\n",
    ] {
        assert_fails(&with(&[(LINE, line)]), &ResponseError::MissingConnectionUpgrade);
    }
    for line in ["Connection: keep-alive Upgrade\r\n", "Connection: Upgrade, \u{17f}\r\n"] {
        assert_fails(&with(&[(LINE, line)]), &ResponseError::InvalidConnection);
    }
}

/// 6455-4.1-43, 6455-11.3.3-01, 6455-4.3-01: Accept is there once, and exactly what the key asks for.
#[test]
fn accept() {
    const LINE: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    opened(
        &request("ws://h/"),
        &with(&[(LINE, "sec-websocket-accept:\t  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t\r\n")]),
    );
    assert_fails(&with(&[(LINE, "")]), &ResponseError::MissingAccept);
    assert_fails(&with_lines(LINE), &ResponseError::RepeatedAccept);
    assert_fails(&with_lines("SEC-WEBSOCKET-ACCEPT: x\r\n"), &ResponseError::RepeatedAccept);
    let correct = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for i in 0..correct.len() {
        // One character in the other case, or another character.
        let mut wrong = correct.as_bytes().to_vec();
        wrong[i] = if wrong[i].is_ascii_alphabetic() { wrong[i] ^ 0x20 } else { b'a' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_fails(&with(&[(correct, &wrong)]), &ResponseError::WrongAccept);
    }
    for wrong in [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
        "s3pPLMBiTxaQ 9kYGzzhZRbK+xOo=",
    ] {
        assert_fails(&with(&[(correct, wrong)]), &ResponseError::WrongAccept);
    }
}

/// 6455-4.1-44, 6455-4.1-49, 6455-9.1-03, 6455-11.3.2-02, 6455-4.2.2-22: only what was offered may be in use, once; in
/// the order of the response, over one line or several.
#[test]
fn extensions() {
    let offering = request("ws://h/")
        .extension(extension("foo; a"))
        .extension(extension("bar"))
        .extension(extension("foo"));
    assert_eq!(opened(&offering, &with(&[])).extensions(), []);
    for lines in [
        "Sec-WebSocket-Extensions: bar; x=\"1\", foo\r\n",
        "Sec-WebSocket-Extensions: bar; x=1\r\nsec-websocket-extensions: foo\r\n",
    ] {
        assert_eq!(
            opened(&offering, &with_lines(lines)).extensions(),
            [extension("bar; x=1"), extension("foo")]
        );
    }
    for (value, name) in [("baz", "baz"), ("foo, baz; a", "baz"), ("Foo", "Foo"), ("bar, a", "a")] {
        let response = with_lines(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
        assert_eq!(receive(&offering, &response), Err(ResponseError::UnofferedExtension(name.to_owned())));
        assert!(matches!(receive(&request("ws://h/"), &response), Err(ResponseError::UnofferedExtension(_))));
    }
    for lines in [
        "Sec-WebSocket-Extensions: foo, foo\r\n",
        "Sec-WebSocket-Extensions: foo; a\r\nSec-WebSocket-Extensions: bar, foo\r\n",
    ] {
        assert_eq!(
            receive(&offering, &with_lines(lines)),
            Err(ResponseError::RepeatedExtension("foo".to_owned()))
        );
    }
}

/// 6455-9.1-01, 6455-9.1-02, 6455-4.3-02: a malformed extension list fails, whatever was offered.
#[test]
fn malformed_extensions() {
    let offering = request("ws://h/").extension(extension("foo"));
    opened(&offering, &with_lines("Sec-WebSocket-Extensions: foo; x=\"10\"\r\n"));
    for value in [
        "",
        ",",
        ";",
        "foo;",
        "foo; =b",
        "foo; b=",
        "foo b",
        "foo; x=\"a b\"",
        "foo; b=\"",
        "foo; b=\"\"",
        "foo=b",
    ] {
        let response = with_lines(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
        assert_eq!(receive(&offering, &response), Err(ResponseError::InvalidExtensions), "{value}");
        assert_fails(&response, &ResponseError::InvalidExtensions);
    }
}

/// 6455-4.1-45, 6455-4.1-49, 6455-4.3-01, 6455-11.3.4-02: the subprotocol is one of those offered, or none.
#[test]
fn subprotocol() {
    let offering = request("ws://h/").subprotocols(["chat", "superchat"]).unwrap();
    let opened = opened(&offering, &with_lines("Sec-WebSocket-Protocol:  superchat \r\n"));
    assert_eq!(opened.subprotocol(), Some("superchat"));
    assert_eq!(self::opened(&offering, &with(&[])).subprotocol(), None);

    for name in ["other", "Chat", "superchat2"] {
        let response = with_lines(&format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let error = ResponseError::UnofferedSubprotocol(name.to_owned());
        assert_eq!(receive(&offering, &response), Err(error.clone()));
        assert_fails(&response, &error);
    }
    for value in ["", "chat, superchat", "chat,", "a b", "\"chat\"", "\u{e9}"] {
        let response = with_lines(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
        assert_eq!(receive(&offering, &response), Err(ResponseError::InvalidSubprotocols), "{value:?}");
    }
    let twice = "Sec-WebSocket-Protocol: chat\r\n".repeat(2);
    assert_eq!(receive(&offering, &with_lines(&twice)), Err(ResponseError::SeveralSubprotocols));

    let requiring = offering.require_subprotocol(true);
    assert_eq!(receive(&requiring, &with(&[])), Err(ResponseError::MissingSubprotocol));
    assert!(receive(&requiring, &with_lines("Sec-WebSocket-Protocol: chat\r\n")).is_ok());
}

/// 6455-4.1-46, 6455-10.7-01: what is not strictly an HTTP/1.1 response fails: without waiting for the rest of the head,
/// except for header names.
#[test]
fn malformed_responses() {
    use HeadError as E;
    for (response, error) in [
        ("\x15", E::Tls), // A TLS alert.
        ("\u{81}\x05hello", E::InvalidStartLine),
        ("220 mail ESMTP\r\n", E::InvalidStartLine),
        ("\r\n", E::InvalidStartLine),
        ("\n", E::InvalidLineEnd),
        (" HTTP/1.1 101 \r\n", E::InvalidStartLine),
        ("HTTP/1.1 101\r\n", E::InvalidStartLine),
        ("HTTP/1.1  101 \r\n", E::InvalidStartLine),
        ("HTTP/1.1 1010 \r\n", E::InvalidStartLine),
        ("HTTP/1.1 10 \r\n", E::InvalidStartLine),
        ("HTTP/1.1 099 \r\n", E::InvalidStartLine),
        ("HTTP/1.1 +11 \r\n", E::InvalidStartLine),
        ("HTTP/1.1\r\n", E::InvalidStartLine),
        ("HTTP/1.1\t101\tx\r\n", E::InvalidStartLine),
        ("HTTP/1.11 101 \r\n", E::InvalidStartLine),
        ("HTTPS/1.1 101 \r\n", E::InvalidStartLine),
        ("HTTP/2.0 101 \r\n", E::UnsupportedHttpVersion),
        ("HTTP/0.9 101 \r\n", E::UnsupportedHttpVersion),
        ("HTTP/1.1 101 a\0", E::InvalidStartLine),
        ("HTTP/1.1 101 \n", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\r", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\n ", E::FoldedHeader),
        ("HTTP/1.1 101 \r\n\n", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\nUpgrade : websocket\r\n\r\n", E::InvalidHeaderName),
        ("HTTP/1.1 101 \r\nUpgrade\r\n\r\n", E::InvalidHeaderName),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\n", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\nUpgrade: web\0", E::InvalidHeaderValue),
        ("HTTP/1.1 101 \r\n\tUpgrade: websocket\r\n", E::FoldedHeader),
        // A fold mends no name, and makes no header.
        ("HTTP/1.1 101 \r\nUpgrade\r\n : websocket\r\n\r\n", E::InvalidHeaderName),
        ("HTTP/1.1 101 \r\nUp\r\n grade: websocket\r\n\r\n", E::InvalidHeaderName),
        ("HTTP/1.1 101 \r\nUpgrade\r\n websocket\r\n\r\n", E::InvalidHeaderName),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n\tx\0", E::InvalidHeaderValue),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n x\n", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n x\r\r", E::InvalidLineEnd),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n x\r\ny\0", E::InvalidHeaderName),
    ] {
        assert_fails(response, &error.into());
    }
    assert_fails(&with(&[("HTTP/1.1", "HTTP/1.0")]), &E::UnsupportedHttpVersion.into());
    opened(&request("ws://h/"), &with(&[("HTTP/1.1", "HTTP/1.2")]));
    opened(&request("ws://h/"), &with(&[("Switching Protocols", "")]));
    opened(&request("ws://h/"), &with(&[("Switching Protocols", "\u{e9}\t ")]));
    // RFC 9112 section 6.3: a 1xx response ends with its head, whatever these say.
    opened(&request("ws://h/"), &with_lines("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"));
}

/// RFC 9112 section 5.2: a value that goes on in another line has spaces for the line's end, and no tabs beside them,
/// in each response; a client takes it like one that is in one line.
#[test]
fn folded_headers() {
    let request = request("ws://h/").subprotocols(["a", "b"]).unwrap();
    let lines =
        "\r\nSec-WebSocket-Protocol: \t\r\n \r\n b\r\nX: a\tb \t\r\n\t\r\n \tc\td\r\nSec-WebSocket-Accept";
    let response = with(&[
        ("Upgrade: websocket", "Upgrade:\r\n websocket\r\n\t"),
        ("Connection: Upgrade", "Connection: keep-alive,\r\n\t \tUpgrade"),
        ("\r\nSec-WebSocket-Accept", lines),
    ]);
    let opened = opened(&request, &response);
    assert_eq!(opened.subprotocol(), Some("b"));
    let headers = opened.response().headers();
    assert_eq!(headers.len(), 5);
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive,     Upgrade"),
        ("X", "a\tb         c\td"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] {
        assert_eq!(headers.get(name), Some(value));
    }

    // What is in two lines is not what is in one.
    let torn = with(&[("BiTxaQ", "BiT\r\n xaQ")]);
    assert_fails(&torn, &ResponseError::WrongAccept);
    let response = refused("HTTP/1.1 403 No\r\nContent-Length:\r\n\t2\r\nX-Why: not\r\n you\r\n\r\nno");
    assert_eq!((response.headers().get("X-Why"), response.body()), (Some("not   you"), &b"no"[..]));
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>,\r\n </b>\r\n\r\n".to_owned();
    assert!(receive(&request, &(interim + &with(&[]))).is_ok());

    // Such lines are no headers of their own; their bytes count.
    let folds = with_lines(&format!("X: x{}\r\n", "\r\n x".repeat(100)));
    let limits = Limits::default().headers(4).head_bytes(folds.len());
    assert!(receive_with(&request, &limits, folds.as_bytes()).is_ok());
    let outcome = receive_with(&request, &limits.head_bytes(folds.len() - 1), folds.as_bytes());
    assert_eq!(outcome, Err(HeadError::HeadTooLarge.into()));
}

/// 6455-4.1-47: header names in any case.
#[test]
fn header_names_are_case_insensitive() {
    let lower = "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    opened(&request("ws://h/"), lower);
    let upper = "HTTP/1.1 101 x\r\nUPGRADE: websocket\r\nCONNECTION: Upgrade\r\n\
        SEC-WEBSOCKET-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    opened(&request("ws://h/"), upper);
}

/// RFC 9110 section 15.2: responses with another status 1xx are skipped, as many as the limit says.
#[test]
fn interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let response = interim.to_owned() + &with(&[]);
    assert_eq!(opened(&request("ws://h/"), &response).response().status(), 101);
    assert_eq!(refused(&format!("{interim}HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")).body(), b"no");
    let limits = Limits::default().interim_responses(2);
    assert!(receive_with(&request("ws://h/"), &limits, response.as_bytes()).is_ok());
    for limits in [Limits::default().interim_responses(1), Limits::default().interim_responses(0)] {
        let outcome = receive_with(&request("ws://h/"), &limits, response.as_bytes());
        assert_eq!(outcome, Err(ResponseError::TooManyInterimResponses));
    }
    assert_fails(&"HTTP/1.1 102 \r\n\r\n".repeat(20), &ResponseError::TooManyInterimResponses);
    // They count for the size of the head.
    let limits = Limits::default().head_bytes(response.len());
    assert!(receive_with(&request("ws://h/"), &limits, response.as_bytes()).is_ok());
    let limits = limits.head_bytes(response.len() - 1);
    let outcome = receive_with(&request("ws://h/"), &limits, response.as_bytes());
    assert_eq!(outcome, Err(ResponseError::Head(HeadError::HeadTooLarge)));
}

/// 6455-10.7-01: the limits hold to the byte.
#[test]
fn limits() {
    let response = with(&[]);
    let exact = Limits::default()
        .head_bytes(response.len())
        .headers(3)
        .start_line_bytes("HTTP/1.1 101 Switching Protocols\r\n".len());
    assert!(receive_with(&request("ws://h/"), &exact, response.as_bytes()).is_ok());
    for (limits, error) in [
        (exact.clone().head_bytes(response.len() - 1), HeadError::HeadTooLarge),
        (exact.clone().headers(2), HeadError::TooManyHeaders),
        (exact.start_line_bytes(33), HeadError::StartLineTooLong),
    ] {
        assert_eq!(receive_with(&request("ws://h/"), &limits, response.as_bytes()), Err(error.into()));
    }
}

/// 6455-4.4-02, 6455-11.3.5-01: the versions a server says it speaks, over one line or several.
#[test]
fn advertised_versions() {
    for (lines, versions) in [
        ("", vec![]),
        ("Sec-WebSocket-Version: 13\r\n", vec![13]),
        ("Sec-WebSocket-Version: 13, 8,7\r\n", vec![13, 8, 7]),
        ("Sec-WebSocket-Version: 13\r\nsec-websocket-version: 8, 0\r\n", vec![13, 8, 0]),
        ("Sec-WebSocket-Version: 013, 256, +1, x, , 255, 00\r\n", vec![255]),
    ] {
        let response = refused(&format!("HTTP/1.1 426 No\r\n{lines}Content-Length: 0\r\n\r\n"));
        assert_eq!(response.websocket_versions().collect::<Vec<_>>(), versions, "{lines:?}");
    }
}

/// 7692-5-13, 7692-5-18: permessage-deflate twice, or without an offer, fails.
#[test]
fn permessage_deflate_once_and_offered() {
    let offering = request("ws://h/").extension(extension("permessage-deflate"));
    let once = with_lines("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert!(receive(&offering, &once).is_ok());
    assert_fails(&once, &ResponseError::UnofferedExtension("permessage-deflate".to_owned()));
    let twice = with_lines("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate; a\r\n");
    assert_eq!(
        receive(&offering, &twice),
        Err(ResponseError::RepeatedExtension("permessage-deflate".to_owned()))
    );
}

/// A byte is searched once, however the response arrives: what was searched is overwritten here with bytes that no header
/// may contain, and a search that starts again, or goes back, would find them. Only the complete head is looked at again.
#[test]
fn bytes_are_searched_once() {
    let mut handshake =
        ClientHandshake::start(&request("ws://h/"), Limits::default(), NONCE, &mut Vec::new());
    let start = format!("{RESPONSE}X-Padding: ");
    let mut input = start.clone().into_bytes();
    input.resize(16 * 1024 - 4, b'a');
    input.extend_from_slice(b"\r\n\r\n");
    let mut arriving = input.clone();
    for len in 1..input.len() {
        assert_eq!(handshake.receive(&arriving[..len]), Ok(None));
        if len > start.len() && len < input.len() - 4 {
            arriving[len - 1] = 0;
        }
    }
    assert_eq!(handshake.receive(&input).unwrap().unwrap().consumed(), 16 * 1024);

    // The body of a refusal, too.
    let mut handshake =
        ClientHandshake::start(&request("ws://h/"), Limits::default(), NONCE, &mut Vec::new());
    let head = "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut input = format!("{head}{}0\r\n", "1\r\na\r\n".repeat(600)).into_bytes();
    for len in head.len()..input.len() {
        assert_eq!(handshake.receive(&input[..len]), Ok(None));
        input[..len].fill(0);
    }
    let Err(ResponseError::Refused(response)) = handshake.receive(&input) else { panic!() };
    assert_eq!(response.body(), [b'a'; 600]);
}

/// Every error is a sentence of its own.
#[test]
fn errors_say_what_is_wrong() {
    use ResponseError as E;
    let name = || "x".to_owned();
    let errors = [
        E::Head(HeadError::InvalidStartLine),
        E::Head(HeadError::Incomplete),
        E::TooManyInterimResponses,
        E::MissingAccept,
        E::RepeatedAccept,
        E::WrongAccept,
        E::UnofferedExtension(name()),
        E::RepeatedExtension(name()),
        E::UnofferedSubprotocol(name()),
        E::SeveralSubprotocols,
        E::MissingSubprotocol,
        E::MissingUpgrade,
        E::MissingConnectionUpgrade,
        E::InvalidExtensions,
        E::InvalidSubprotocols,
    ];
    let build_errors = [
        BuildError::InvalidHeaderName(name()),
        BuildError::InvalidHeaderValue(name()),
        BuildError::ReservedHeader(name()),
        BuildError::ReservedHeader("proxy-authorization".to_owned()),
        BuildError::InvalidToken,
        BuildError::InvalidUser,
        BuildError::InvalidSubprotocol(name()),
        BuildError::RepeatedSubprotocol(name()),
        BuildError::UnofferedSubprotocol(name()),
        BuildError::InvalidExtension(name()),
        BuildError::RepeatedExtension(name()),
        BuildError::UnofferedExtension(name()),
        BuildError::InvalidStatus(1),
        BuildError::AcceptingStatus(1),
    ];
    assert!(build_errors[3].to_string().contains("Client::proxy"));
    let mut sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
    sentences.extend(build_errors.iter().map(ToString::to_string));
    let count = sentences.len();
    assert!(sentences.iter().all(|sentence| sentence.len() > 15));
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), count);
}

//! The body of an ordinary request: RFC 9112 sections 6 and 7.1, and RFC 9110 section 10.1.1.

use bytes::Bytes;
use sansocket::handshake::{
    HttpRequest, Limits, ReceivedRequest, Reply, RequestBody, RequestError, ServerHandshake,
};

use super::cuts::in_every_way;

const LIMIT: usize = 100;

fn request(version: &str, lines: &str) -> HttpRequest {
    let head = format!("POST /upload {version}\r\nHost: example.com\r\n{lines}\r\n");
    match ServerHandshake::new(Limits::default()).receive(head.as_bytes()) {
        Ok(Some(ReceivedRequest::Http(request))) => request,
        other => panic!("{head:?}: {other:?}"),
    }
}

/// Reads a body in every way it can arrive; tells too how many bytes decided it.
#[track_caller]
fn read(lines: &str, body: &[u8]) -> (Result<Bytes, RequestError>, usize) {
    let request = request("HTTP/1.1", lines);
    let start = || RequestBody::start(&request, LIMIT, &mut Vec::new()).unwrap();
    let behind = [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\r\n", b"0\r\n\r\n", b"x"];
    // With how many bytes it has taken.
    let receive = |(reader, taken): &mut (RequestBody, usize), input: &[u8]| {
        let mut new = input[*taken..].to_vec();
        let outcome = reader.receive(&mut new);
        *taken = input.len() - new.len();
        outcome
    };
    let (outcome, len) = in_every_way(body, &behind, || (start(), 0), receive);
    if let Ok(content) = &outcome {
        let mut input = [body, b"GET /".as_slice()].concat();
        assert_eq!(start().receive(&mut input).as_ref(), Ok(&Some(content.clone())));
        assert_eq!(input, b"GET /");
    }
    (outcome, len)
}

fn chunked(body: impl AsRef<[u8]>) -> Result<Bytes, RequestError> {
    read("Transfer-Encoding: chunked\r\n", body.as_ref()).0
}

#[track_caller]
fn refused(version: &str, lines: &str, error: &RequestError, status: u16) {
    let mut out = Vec::new();
    let started = RequestBody::start(&request(version, lines), LIMIT, &mut out);
    assert_eq!(started.err().as_ref(), Some(error), "{version} {lines:?}");
    assert!(out.is_empty(), "it is not asked for");
    assert_eq!(error.status(), status);
}

#[test]
fn by_its_length() {
    for len in [0, 1, 99, 100] {
        let body = vec![b'x'; len];
        let (content, _) = read(&format!("Content-Length: {len}\r\n"), &body);
        assert_eq!(content.unwrap(), body);
    }
    let (content, _) = read("Content-Length: 00000000000000000000000000000005\r\n", b"hello");
    assert_eq!(content.unwrap(), "hello");
}

/// RFC 9112 section 6.3: a request that says nothing of a body has none, of either version.
#[test]
fn none() {
    assert_eq!(read("", b""), (Ok(Bytes::new()), 0));
    let old = request("HTTP/1.0", "");
    let mut body = RequestBody::start(&old, LIMIT, &mut Vec::new()).unwrap();
    let mut behind = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    assert_eq!(body.receive(&mut behind), Ok(Some(Bytes::new())));
    assert_eq!(behind, b"GET / HTTP/1.0\r\n\r\n");
}

/// RFC 9112 section 7.1: sizes in either case and with zeros before them; extensions and trailers are dropped.
#[test]
fn in_chunks() {
    for (body, content) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "hello"),
        ("00000000000000000000000000005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("5;a;b=c;d=\"e\"\r\nhello\r\n0;last\r\n\r\n", "hello"),
        ("5 \t;a\r\nhello\r\n0 ;\r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\nDigest: x\r\nEmpty:\r\n\r\n", "hello"),
    ] {
        assert_eq!(chunked(body).as_deref(), Ok(content.as_bytes()), "{body:?}");
    }
    let limit = format!("64\r\n{}\r\n0\r\n\r\n", "x".repeat(LIMIT));
    assert_eq!(chunked(limit).unwrap().len(), LIMIT);
    assert_eq!(read("Transfer-Encoding: ChunKed\r\n", b"0\r\n\r\n").0.unwrap(), "");
    assert_eq!(read("Transfer-Encoding: , chunked\r\n", b"0\r\n\r\n").0.unwrap(), "");
}

/// What another reader might take for a chunk, and what none would, fails at its first wrong byte.
#[test]
fn malformed_chunks() {
    for (body, len) in [
        ("+5\r\nhello", 1),
        ("-5\r\nhello", 1),
        ("0x5\r\nhello", 2),
        (" 5\r\nhello", 1),
        ("\r\n5\r\nhello", 1),
        (";a\r\nhello", 1),
        ("g\r\n", 1),
        ("5 \r\nhello", 3),
        ("5 5\r\nhello", 3),
        ("5\nhello", 2),
        ("5\rhello", 3),
        ("5\r\r\nhello", 3),
        ("5;a\nhello", 4),
        ("5;a\r\r\nhello", 5),
        ("5;\0\r\nhello", 3),
        ("5_0\r\nhello", 2),
        ("5,5\r\nhello", 2),
        ("5\r\nhello0\r\n\r\n", 9),
        ("5\r\nhello\n0\r\n\r\n", 9),
        ("5\r\nhello\rx", 10),
        ("0\r\n\n", 4),
        ("0\r\n\rx", 5),
        ("0\r\n folded: x\r\n\r\n", 4),
        ("0\r\n: x\r\n\r\n", 4),
        ("0\r\nno colon\r\n\r\n", 6),
        ("0\r\na\r\n\r\n", 5),
        ("0\r\na:\0\r\n\r\n", 6),
        ("0\r\na: b\n\r\n", 8),
        ("0\r\na: b\r\r\n", 9),
    ] {
        let (outcome, decided) = read("Transfer-Encoding: chunked\r\n", body.as_bytes());
        assert_eq!((outcome, decided), (Err(RequestError::InvalidChunk), len), "{body:?}");
    }
    assert_eq!(RequestError::InvalidChunk.status(), 400);
}

/// A body over its bound is refused before it comes: at the length that is announced, or at the chunk's size.
#[test]
fn too_long() {
    for len in ["101", "18446744073709551615", "18446744073709551616", "99999999999999999999999999"] {
        refused("HTTP/1.1", &format!("Content-Length: {len}\r\n"), &RequestError::BodyTooLarge, 413);
    }
    let start = format!("63\r\n{}\r\n", "x".repeat(99));
    let next = format!("{start}2\r\nxx\r\n0\r\n\r\n");
    for body in ["65\r\n", "ffffffffffffffff\r\n", "7fffffffffffffff\r\n", "fffffffffffffffff", &next] {
        let (outcome, len) = read("Transfer-Encoding: chunked\r\n", body.as_bytes());
        assert_eq!(outcome, Err(RequestError::BodyTooLarge), "{body:?}");
        assert!(len <= start.len() + 3, "{len}");
    }
    let none = |body: &[u8]| {
        let request = request("HTTP/1.1", "Transfer-Encoding: chunked\r\n");
        RequestBody::start(&request, 0, &mut Vec::new()).unwrap().receive(&mut body.to_vec())
    };
    assert_eq!(none(b"0\r\n\r\n"), Ok(Some(Bytes::new())));
    assert_eq!(none(b"1\r\n"), Err(RequestError::BodyTooLarge));
}

/// What is no data is bounded, too: extensions, trailers, and chunks of a byte.
#[test]
fn much_around_the_chunks() {
    const MOST: usize = 16 << 10;
    let request = request("HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    let receive = |limit: usize, body: &[u8]| {
        RequestBody::start(&request, limit, &mut Vec::new()).unwrap().receive(&mut body.to_vec())
    };
    for (start, more, end) in [
        ("0;", "x", "\r\n\r\n"),
        ("0\r\nx:", "x", "\r\n\r\n"),
        ("0\r\n", "x:y\r\n", "\r\n"),
        ("", "0", "\r\n\r\n"),
    ] {
        let fits = (MOST - start.len() - end.len()) / more.len();
        let body = |times: usize| [start, &more.repeat(times), end].concat();
        assert_eq!(receive(LIMIT, body(fits).as_bytes()), Ok(Some(Bytes::new())), "{start:?}");
        let without_end = [start, &more.repeat(fits + 10)].concat();
        assert_eq!(receive(LIMIT, without_end.as_bytes()), Err(RequestError::BodyTooLarge), "{start:?}");
    }
    let bytes = "1\r\nx\r\n".repeat(MOST);
    assert_eq!(receive(usize::MAX, bytes.as_bytes()), Err(RequestError::BodyTooLarge));
    let few = "5\r\nhello\r\n".repeat(MOST) + "0\r\n\r\n";
    assert_eq!(receive(usize::MAX, few.as_bytes()).unwrap().unwrap().len(), 5 * MOST);
}

/// What has come is taken at once, and what is handed out keeps nothing beside it alive.
#[test]
fn what_is_held() {
    let request = request("HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    let mut body = RequestBody::start(&request, 1 << 20, &mut Vec::new()).unwrap();
    let mut input = Vec::new();
    for _ in 0..1000 {
        input.extend_from_slice(b"5\r\nhel");
        assert_eq!(body.receive(&mut input), Ok(None));
        assert!(input.is_empty());
        input.extend_from_slice(b"lo\r\n");
        assert_eq!(body.receive(&mut input), Ok(None));
    }
    assert!(!format!("{body:?}").contains("104, 101"), "no content in logs: {body:?}");
    input.extend_from_slice(b"0\r\n\r\n");
    let content = body.receive(&mut input).unwrap().unwrap();
    assert_eq!(Vec::from(content).capacity(), 5000);
}

/// RFC 9112 sections 6.1 to 6.3 and 11.2: what a proxy in front may read in another way is refused.
#[test]
fn smuggling() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length:\r\n",
        "Content-Length: \u{665}\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        refused("HTTP/1.1", lines, &RequestError::InvalidBodyLength, 400);
    }
    refused("HTTP/1.0", "Transfer-Encoding: chunked\r\n", &RequestError::InvalidBodyLength, 400);
    for lines in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ] {
        refused("HTTP/1.1", lines, &RequestError::UnsupportedTransferCoding, 501);
    }
    // A header's name is not followed by whitespace.
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n";
    assert!(ServerHandshake::new(Limits::default()).receive(head).is_err());
}

/// RFC 9110 section 10.1.1: a client that waits to be asked for the body is asked, if there is one, and HTTP/1.1.
#[test]
fn clients_that_wait() {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    for (version, lines, asked) in [
        ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 5\r\n", GO_ON),
        ("HTTP/1.1", "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", GO_ON),
        ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", b""),
        ("HTTP/1.1", "Expect: 100-continue\r\n", b""),
        ("HTTP/1.1", "Expect: something\r\nContent-Length: 5\r\n", b""),
        ("HTTP/1.1", "Content-Length: 5\r\n", b""),
        ("HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", b""),
    ] {
        let mut out = Vec::new();
        RequestBody::start(&request(version, lines), LIMIT, &mut out).unwrap();
        assert_eq!(out, asked, "{version} {lines:?}");
    }
    let long = "Expect: 100-continue\r\nContent-Length: 101\r\n";
    refused("HTTP/1.1", long, &RequestError::BodyTooLarge, 413);
}

/// What a body is, unless a header says, whichever of them came first; and nothing where nobody said.
#[test]
fn content_types() {
    let types = |reply: &Reply| {
        let mut out = Vec::new();
        reply.encode(&mut out);
        let out = String::from_utf8(out).unwrap();
        let values = out.lines().filter_map(|line| line.strip_prefix("Content-Type: "));
        values.map(String::from).collect::<Vec<_>>()
    };
    let typed = |reply: Reply| {
        let own = Reply::ok().header("content-type", "x/y").unwrap();
        assert_eq!(types(&own.body("")), [""; 0], "in other letters");
        types(&reply)
    };
    assert_eq!(typed(Reply::ok().html("<p>")), ["text/html; charset=utf-8"]);
    assert_eq!(typed(Reply::ok().text("hi")), ["text/plain; charset=utf-8"]);
    assert_eq!(typed(Reply::ok().json("{}")), ["application/json"]);
    assert_eq!(typed(Reply::ok().body("?")), [""; 0]);
    assert_eq!(typed(Reply::ok().html("<p>").body("?")), [""; 0], "the last one counts");
    assert_eq!(typed(Reply::ok().html("<p>").json("{}")), ["application/json"]);
    for reply in [
        Reply::ok().header("Content-Type", "image/x").unwrap().html("<p>"),
        Reply::ok().html("<p>").header("Content-Type", "image/x").unwrap(),
    ] {
        assert_eq!(typed(reply), ["image/x"]);
    }
    for (name, content_type) in [
        ("index.html", "text/html; charset=utf-8"),
        ("INDEX.HTML", "text/html; charset=utf-8"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("module.mjs", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("app.wasm", "application/wasm"),
        ("logo.svg", "image/svg+xml"),
        ("favicon.ico", "image/x-icon"),
        ("site.webmanifest", "application/manifest+json"),
        ("archive.tar.gz", "application/octet-stream"),
        ("js", "application/octet-stream"),
        ("folder.js/file", "application/octet-stream"),
        ("", "application/octet-stream"),
    ] {
        assert_eq!(typed(Reply::ok().file(name, b"content")), [content_type], "{name}");
    }
}

/// Clones of a reply share its body, and static bytes are not copied.
#[test]
fn bodies_are_shared() {
    static PAGE: &str = "a page";
    let page = Reply::ok().html(PAGE);
    assert_eq!(page.content().as_ptr(), PAGE.as_ptr());
    assert_eq!(page.clone().content().as_ptr(), PAGE.as_ptr());
    let owned = Reply::ok().body(vec![1; 100]);
    assert_eq!(owned.clone().content().as_ptr(), owned.content().as_ptr());
}

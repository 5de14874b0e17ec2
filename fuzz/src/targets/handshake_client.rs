use sansocket::Uri;
use sansocket::handshake::{
    ClientHandshake, ClientRequest, Extension, HeadError, Limits, Opened, Response, ResponseError,
};

use super::handshake::{Head, received_in_every_way};

const SUBPROTOCOLS: [&str; 2] = ["chat", "superchat"];
const EXTENSIONS: [&str; 2] = ["permessage-deflate", "foo"];
/// In base64 it is the key of RFC 6455 section 1.3, which tells what the server answers.
const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const BODY_LIMIT: usize = 100;
const SMALL_HEAD: usize = 200;

/// What a client makes of a response does not depend on how it is cut; what it takes for an open
/// connection keeps the rules of RFC 6455 section 4.1, and a refusal is told as it was sent.
pub fn handshake_client(input: &[u8]) {
    let usual = Limits::default().refusal_body_bytes(BODY_LIMIT);
    let small = usual.clone().head_bytes(SMALL_HEAD).start_line_bytes(40).headers(6).interim_responses(1);
    let large = usual.clone().head_bytes(usize::MAX).start_line_bytes(usize::MAX).headers(usize::MAX);
    check(input, &usual, 16 << 10, false);
    check(input, &usual, 16 << 10, true);
    check(input, &small, SMALL_HEAD, false);
    check(input, &large.interim_responses(usize::MAX), usize::MAX, false);
}

fn check(input: &[u8], limits: &Limits, head_bytes: usize, require_subprotocol: bool) {
    let request = request(require_subprotocol);
    let start = || ClientHandshake::start(&request, limits.clone(), NONCE, &mut Vec::new());
    let result = received_in_every_way(input, || {
        let mut handshake = start();
        move |input: &[u8]| handshake.receive(input).transpose()
    });
    match result {
        Some((len, Ok(opened))) => check_opened(&input[..len], &opened, require_subprotocol),
        Some((_, Err(ResponseError::Refused(response)))) => check_refusal(input, &response),
        Some((_, Err(_))) => {}
        None => {
            assert!(input.len() < head_bytes.saturating_add(BODY_LIMIT));
            check_eof(input, start);
        }
    }
}

fn request(require_subprotocol: bool) -> ClientRequest {
    let request = ClientRequest::new(&Uri::parse("ws://example.com/chat").expect("a URI"))
        .subprotocols(SUBPROTOCOLS)
        .expect("tokens")
        .require_subprotocol(require_subprotocol);
    EXTENSIONS.iter().fold(request, |request, name| request.extension(Extension::new(name).expect("a token")))
}

/// RFC 6455 section 4.1, point by point.
fn check_opened(input: &[u8], opened: &Opened, require_subprotocol: bool) {
    assert_eq!(opened.consumed(), input.len());
    let (head, rest) = final_head(input);
    assert_eq!(rest, b"");
    assert_eq!(opened.response().status(), 101);
    check_head(&head, opened.response());
    assert_ne!(&head.start_line[..9], "HTTP/1.0 ");
    let upgrade = head.list("upgrade");
    assert!(upgrade.len() == 1 && head.lists("upgrade", "websocket"));
    assert!(head.lists("connection", "upgrade"));
    assert_eq!(head.all("sec-websocket-accept"), [ACCEPT]);
    match (opened.subprotocol(), &head.all("sec-websocket-protocol")[..]) {
        (Some(name), [value]) => assert!(name.as_bytes() == *value && SUBPROTOCOLS.contains(&name)),
        (None, []) => assert!(!require_subprotocol),
        other => panic!("{other:?}"),
    }
    let names: Vec<_> = opened.extensions().iter().map(Extension::name).collect();
    assert_eq!(names.is_empty(), head.all("sec-websocket-extensions").is_empty());
    for (i, name) in names.iter().enumerate() {
        assert!(EXTENSIONS.contains(name) && !names[..i].contains(name));
    }
}

fn check_refusal(input: &[u8], response: &Response) {
    let (head, rest) = final_head(input);
    check_head(&head, response);
    assert_ne!(response.status() / 100, 1);
    assert!(response.body().len() <= BODY_LIMIT);
    if head.all("transfer-encoding").is_empty() {
        assert!(rest.starts_with(response.body()));
    }
    // What a `Content-Length` announces is there as far as it came, whatever follows.
    let lengths = head.all("content-length");
    let length = lengths.first().filter(|length| length.iter().all(u8::is_ascii_digit));
    let length = length.and_then(|length| String::from_utf8_lossy(length).parse().ok());
    if head.all("transfer-encoding").is_empty() && !matches!(response.status(), 204 | 304) {
        assert_eq!(response.body().len(), length.unwrap_or(usize::MAX).min(BODY_LIMIT).min(rest.len()));
    }
}

fn check_head(head: &Head, response: &Response) {
    assert_eq!(head.start_line[9..12], response.status().to_string());
    let headers = response.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
    assert_eq!(headers.collect::<Vec<_>>(), head.headers);
}

/// When the connection ends, what came of a refusal is told; nothing else can be made of it.
fn check_eof(input: &[u8], start: impl Fn() -> ClientHandshake) {
    let whole = start().receive_eof(input);
    let mut handshake = start();
    for len in 0..=input.len() {
        assert_eq!(handshake.receive(&input[..len]), Ok(None));
    }
    assert_eq!(handshake.receive_eof(input), whole);
    match whole {
        ResponseError::Refused(response) => check_refusal(input, &response),
        other => assert_eq!(other, HeadError::Incomplete.into()),
    }
}

/// The head behind all interim responses, and what follows it.
fn final_head(mut input: &[u8]) -> (Head, &[u8]) {
    loop {
        let end = input.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = Head::read(&input[..end]);
        input = &input[end..];
        if &head.start_line[9..10] != "1" || &head.start_line[9..12] == "101" {
            return (head, input);
        }
    }
}

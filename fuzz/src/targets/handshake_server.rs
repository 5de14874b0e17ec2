use sansocket::Uri;
use sansocket::handshake::{
    Accept, ClientHandshake, ClientRequest, HttpRequest, Limits, ReceivedRequest, Reply, Request,
    RequestBody, RequestError, ResponseError, ServerHandshake, accept_key,
};

use super::handshake::{Head, is_token, received_in_every_way};

/// What a server makes of a request does not depend on how it is cut; what it accepts keeps the rules of
/// RFC 6455 section 4.2.1, and what it refuses gets a proper answer. The same holds for the body of an ordinary request.
pub fn handshake_server(input: &[u8]) {
    let small = Limits::default().head_bytes(SMALL_HEAD).start_line_bytes(40).headers(6);
    let large = Limits::default().head_bytes(usize::MAX).start_line_bytes(usize::MAX).headers(usize::MAX);
    for (limits, head_bytes) in [(Limits::default(), 16 << 10), (small, SMALL_HEAD), (large, usize::MAX)] {
        let result = received_in_every_way(input, || {
            let mut handshake = ServerHandshake::new(limits.clone());
            move |input: &[u8]| handshake.receive(input).transpose()
        });
        match result {
            None => assert!(input.len() < head_bytes),
            Some((_, Err(error))) => check_refusal(&error),
            Some((len, Ok(ReceivedRequest::Http(request)))) => {
                check_head(&input[..len], &request);
                check_body(&input[len..], &request);
            }
            Some((len, Ok(ReceivedRequest::WebSocket(request)))) => check_request(&input[..len], &request),
        }
    }
}

const SMALL_HEAD: usize = 200;

/// What holds for every HTTP request.
fn check_head(head: &[u8], request: &HttpRequest) {
    assert_eq!(request.consumed(), head.len());
    let mut head = head;
    while let [b'\r', b'\n', rest @ ..] = head {
        head = rest;
    }
    let head = Head::read(head);
    let expected = format!("{} {} HTTP/1.{}", request.method(), request.target(), request.minor_version());
    assert_eq!(head.start_line, expected);
    assert!(is_token(request.method().as_bytes()));
    assert!(!request.target().is_empty() && request.target().bytes().all(|byte| byte.is_ascii_graphic()));
    let headers = request.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
    assert_eq!(headers.collect::<Vec<_>>(), head.headers);
    let hosts = head.all("host").len();
    assert!(hosts == 1 || hosts == 0 && request.minor_version() == 0, "one Host");
    assert!(request.host().is_some() || hosts == 0);
    assert!(head.all("origin").len() <= 1, "one Origin");
    assert!(request.path().len() + request.query().map_or(0, str::len) <= request.target().len());
}

/// RFC 9112 sections 6 and 7.1, read naively.
fn check_body(input: &[u8], request: &HttpRequest) {
    for limit in [0, 20, usize::MAX] {
        let result = received_in_every_way(input, || {
            let mut body = RequestBody::start(request, limit, &mut Vec::new());
            let mut taken = 0;
            move |input: &[u8]| match &mut body {
                Ok(body) => {
                    let mut new = input[taken..].to_vec();
                    let outcome = body.receive(&mut new);
                    taken = input.len() - new.len();
                    outcome.transpose()
                }
                Err(error) => Some(Err(error.clone())),
            }
        });
        match result {
            None => {}
            Some((_, Err(error))) => check_refusal(&error),
            Some((len, Ok(content))) => {
                assert!(content.len() <= limit);
                let headers = request.headers();
                let lengths: Vec<_> = headers.get_all("Content-Length").collect();
                let codings: Vec<_> = headers.get_all("Transfer-Encoding").collect();
                match (&lengths[..], &codings[..]) {
                    ([], []) => assert_eq!(len, 0),
                    ([length], []) => {
                        assert!(length.iter().all(u8::is_ascii_digit), "{}", length.escape_ascii());
                        let length = String::from_utf8_lossy(length);
                        let length = length.trim_start_matches('0');
                        assert_eq!(if length.is_empty() { "0" } else { length }, len.to_string());
                        assert_eq!(content, input[..len]);
                    }
                    ([], _) => assert_eq!(content, unchunked(&input[..len])),
                    _ => panic!("two lengths"),
                }
            }
        }
    }
}

/// What is in the chunks of a whole body.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let line = |body: &mut &[u8]| {
        let len = body.windows(2).position(|end| end == b"\r\n").expect("a line");
        let line = String::from_utf8_lossy(&body[..len]).into_owned();
        assert!(!line.contains(['\r', '\n']));
        *body = &body[len + 2..];
        line
    };
    let mut content = Vec::new();
    loop {
        let size = line(&mut body);
        let size = size.split(';').next().expect("a size").trim_end_matches([' ', '\t']);
        assert!(!size.is_empty() && size.bytes().all(|digit| digit.is_ascii_hexdigit()), "{size:?}");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            break;
        }
        content.extend_from_slice(&body[..size]);
        assert_eq!(&body[size..size + 2], b"\r\n");
        body = &body[size + 2..];
    }
    loop {
        let field = line(&mut body);
        if field.is_empty() {
            assert_eq!(body, b"");
            return content;
        }
        let (name, _) = field.split_once(':').expect("a colon");
        assert!(is_token(name.as_bytes()));
    }
}

/// RFC 6455 section 4.2.1, point by point.
fn check_request(bytes: &[u8], request: &Request) {
    check_head(bytes, request);
    let head = Head::read(bytes.trim_ascii_start());
    assert_eq!(request.method(), "GET");
    assert!(request.minor_version() >= 1);
    assert!(request.path().starts_with('/'));
    assert!(!request.target().contains('#'));
    assert!(head.lists("upgrade", "websocket"));
    assert!(head.lists("connection", "upgrade"));
    assert!(head.list("connection").into_iter().all(is_token));
    assert_eq!(head.all("sec-websocket-version"), [b"13"]);
    let keys = head.all("sec-websocket-key");
    let [[key @ .., b'=', b'=']] = keys[..] else { panic!("the key") };
    assert_eq!(key.len(), 22);
    assert!(key.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)));
    assert!(head.all("transfer-encoding").is_empty(), "no body");
    assert!(head.all("content-length").iter().all(|length| *length == b"0"), "no body");

    let offered = head.list("sec-websocket-protocol");
    assert_eq!(request.subprotocols().map(str::as_bytes).collect::<Vec<_>>(), offered);
    for (i, subprotocol) in offered.iter().enumerate() {
        assert!(is_token(subprotocol) && !offered[..i].contains(subprotocol));
    }
    let extensions = request.extensions();
    assert_eq!(extensions.is_empty(), head.all("sec-websocket-extensions").is_empty());
    for extension in &extensions {
        assert!(is_token(extension.name().as_bytes()));
        let mut params = extension.params();
        assert!(
            params.all(|(name, value)| [name, value.unwrap_or("x")]
                .iter()
                .all(|text| is_token(text.as_bytes())))
        );
    }

    // Everything that was offered is accepted, but no name twice.
    let mut accept = Accept::new();
    if let Some(subprotocol) = request.subprotocols().last() {
        accept = accept.subprotocol(subprotocol);
    }
    for (i, extension) in extensions.iter().enumerate() {
        if !extensions[..i].iter().any(|other| other.name() == extension.name()) {
            accept = accept.extension(extension.clone());
        }
    }
    let mut out = Vec::new();
    let accepted = request.accept(accept).expect("what was offered");
    accepted.encode(&mut out);
    let response = Head::read(&out);
    assert_eq!(response.start_line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(response.all("upgrade"), [b"websocket"]);
    assert_eq!(response.all("connection"), [b"Upgrade"]);
    assert_eq!(response.all("sec-websocket-accept"), [accept_key(keys[0])]);
    assert_eq!(accepted.subprotocol().map(str::as_bytes), offered.last().copied());
    assert_eq!(response.list("sec-websocket-protocol"), offered.last().copied().as_slice());
    assert!(request.accept(Accept::new().subprotocol("never offered")).is_err());
}

/// The answer is a whole HTTP response, as a client reads it.
fn check_refusal(error: &RequestError) {
    let mut answer = Vec::new();
    Reply::from(error).encode(&mut answer);
    let request = ClientRequest::new(&Uri::parse("ws://example.com/").expect("a URI"));
    let mut client = ClientHandshake::start(&request, Limits::default(), [0; 16], &mut Vec::new());
    match client.receive(&answer) {
        Err(ResponseError::Refused(response)) => {
            assert_eq!(response.status(), error.status());
            assert!(answer.ends_with(response.body()) && !response.body().is_empty());
            assert!(response.headers().tokens("Connection").any(|option| option == Ok("close")));
        }
        other => panic!("{other:?} of {}", answer.escape_ascii()),
    }
}

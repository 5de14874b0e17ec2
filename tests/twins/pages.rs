//! Ordinary requests: pages, bodies, and connections that are handed over.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use sansocket::handshake::{ForwardedHost, Reply, RequestError};
use sansocket::{Error, Role, Server, blocking, tokio as asynchronous};
use tokio::io::AsyncWriteExt as _;

use crate::calls::{Expected, accept, hand_over, open, read_body, respond};
use crate::peer::{Act, ends, goes, holds, raw, resets, until, waits};
use crate::script::{MOMENT, REQUEST, Script, patient};
use crate::wire::PATIENCE;

fn serving() -> Script {
    Script::new(Role::Server).unopened()
}

fn server() -> Server {
    Server::default().config(patient()).handshake_timeout(4 * PATIENCE)
}

fn with_pages() -> Server {
    server().page("/", Reply::ok().html("<p>hi")).page("chat.js", Reply::ok().file("chat.js", b"js"))
}

/// What `serve` answers to each of these requests, in both adapters. Its handlers answer what is for some paths, and
/// otherwise accept.
#[track_caller]
fn responses<const N: usize>(server: &Server, requests: [&str; N]) -> [String; N] {
    let blocking = serve_blocking(server, &requests);
    let tokio = serve_tokio(server, &requests);
    assert_eq!(blocking, tokio);
    blocking.try_into().unwrap()
}

fn serve_blocking(server: &Server, requests: &[&str]) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = blocking::Stop::default();
    let counts = server.clone();
    let handler = move |pending: blocking::Pending| -> Result<(), Error> {
        match pending.request().path() {
            "/echo" => {
                let (pending, body) = pending.read_body(10)?;
                pending.respond(Reply::ok().body(body))
            }
            "/parts" => {
                let mut parts = pending.into_parts();
                let counted = counted(&counts, &parts.read);
                parts.io.write_all(counted.as_bytes()).map_err(Error::ConnectionLost)
            }
            "/unknown" => pending.reject(404, "no WebSocket here"),
            _ => pending.accept().map(drop),
        }
    };
    thread::scope(|scope| {
        let serving = scope.spawn(|| blocking::serve_with(listener, server, &stop, handler));
        let responses = requests.iter().map(|request| fetch(address, request)).collect();
        stop.stop();
        serving.join().unwrap().unwrap();
        responses
    })
}

fn serve_tokio(server: &Server, requests: &[&str]) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let counts = server.clone();
    let handler = move |pending: asynchronous::Pending| {
        let counts = counts.clone();
        async move {
            match pending.request().path() {
                "/echo" => {
                    let (pending, body) = pending.read_body(10).await?;
                    pending.respond(Reply::ok().body(body)).await
                }
                "/parts" => {
                    let mut parts = pending.into_parts();
                    let counted = counted(&counts, &parts.read);
                    parts.io.write_all(counted.as_bytes()).await.map_err(Error::ConnectionLost)
                }
                "/unknown" => pending.reject(404, "no WebSocket here").await,
                _ => pending.accept().await.map(drop),
            }
        }
    };
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                asynchronous::serve_with(listener, server, stopped, handler).await
            })
        });
        let responses = requests.iter().map(|request| fetch(address, request)).collect();
        stop.send(()).unwrap();
        serving.join().unwrap().unwrap();
        responses
    })
}

/// How many connections are opening, and are open, and what was read of this one.
fn counted(server: &Server, read: &[u8]) -> String {
    let counts = server.connections();
    format!("{} {} {}", counts.opening, counts.open, read.escape_ascii())
}

/// All that comes for a request.
fn fetch(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    tcp.read_to_end(&mut response).unwrap();
    String::from_utf8(response).unwrap()
}

/// GET and HEAD of a page are answered without the handler, with a query too, of HTTP/1.0 too, which needs no `Host`;
/// any other method is told those two. What is piped behind the request is not answered.
#[test]
fn pages() {
    let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\
        Content-Type: text/html; charset=utf-8\r\n\r\n";
    let [get, query, absolute, old, piped, head, script, post, options] = responses(
        &with_pages(),
        [
            "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "GET /?a=b HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "GET http://example.com HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: example.com\r\n\r\nGET /chat.js HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "GET /chat.js HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi",
            "OPTIONS /chat.js HTTP/1.1\r\nHost: example.com\r\n\r\n",
        ],
    );
    for response in [get, query, absolute, old, piped] {
        assert_eq!(response, format!("{page}<p>hi"));
    }
    assert_eq!(head, page, "without the body, but with its length");
    assert!(script.ends_with("Content-Type: text/javascript; charset=utf-8\r\n\r\njs"), "{script}");
    for response in [post, options] {
        assert!(response.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{response}");
        assert!(response.contains("\r\nAllow: GET, HEAD\r\n"), "{response}");
    }
}

/// A WebSocket request at a page's path, and at any other one, is the handler's; what is neither is not found. An upgrade
/// that the handler does not want it can tell so.
#[test]
fn what_is_no_page() {
    let websocket = |path: &str| REQUEST.replace("GET /", &format!("GET {path}"));
    let [at_page, elsewhere, unwanted, get, head, post] = responses(
        &with_pages(),
        [
            REQUEST,
            &websocket("/chat"),
            &websocket("/unknown"),
            "GET /favicon.ico HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "HEAD /favicon.ico HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "POST /chat HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi",
        ],
    );
    for response in [at_page, elsewhere] {
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    }
    assert!(unwanted.starts_with("HTTP/1.1 404 ") && unwanted.ends_with("\r\n\r\nno WebSocket here"));
    for response in [get, post] {
        assert!(response.starts_with("HTTP/1.1 404 Not Found\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\nNot Found: there is no page at this path.\n"), "{response}");
    }
    assert!(head.starts_with("HTTP/1.1 404 ") && head.ends_with("\r\n\r\n"), "{head}");
}

/// `serve` knows who sends a request: what a proxy says that is trusted counts, and of others it does not.
#[test]
fn trusted_proxies() {
    let page =
        |lines: &str| REQUEST.replace("\r\n\r\n", &format!("\r\nOrigin: https://example.org\r\n{lines}\r\n"));
    let requests = [
        page("X-Forwarded-Host: example.org\r\n"),
        page("X-Forwarded-Host: example.org, example.net\r\n"),
        page("X-Forwarded-Host: example.org\r\nX-Forwarded-Host: example.net\r\n"),
        page("X-Forwarded-Host: example.org,\r\n"),
    ];
    let requests = requests.each_ref().map(String::as_str);
    let answers = |trusts: fn(Option<IpAddr>) -> bool| {
        responses(&server().trust_proxies(ForwardedHost::XForwardedHost, trusts), requests)
    };
    let [one, last, in_two_lines, none] = answers(|peer| peer == Some(Ipv4Addr::LOCALHOST.into()));
    assert!(one.starts_with("HTTP/1.1 101 "), "{one}");
    for foreign in [last, in_two_lines] {
        assert!(
            foreign.starts_with("HTTP/1.1 403 ") && foreign.contains("asks for example.net"),
            "{foreign}"
        );
    }
    assert!(none.starts_with("HTTP/1.1 400 ") && none.contains("X-Forwarded-Host header"), "{none}");
    for refusal in answers(|peer| peer.is_none()) {
        assert!(
            refusal.starts_with("HTTP/1.1 403 ") && refusal.contains("asks for example.com"),
            "{refusal}"
        );
    }
}

/// RFC 9110 section 9.3.2: the refusal of a HEAD has no content, when it is refused while it is read, too.
#[test]
fn heads_that_are_refused() {
    let websocket = REQUEST.replace("GET /", "HEAD /");
    let malformed = "HEAD / HTTP/1.1\r\nno header\r\n\r\n".to_owned();
    for (request, status) in [(websocket, "HTTP/1.1 405 "), (malformed, "HTTP/1.1 400 ")] {
        let [response] = responses(&server(), [&request]);
        assert!(response.starts_with(status) && response.ends_with("\r\n\r\n"), "{response}");
    }
}

/// A server without pages has WebSockets only: GET is told to upgrade, and what cannot is told to be GET.
#[test]
fn no_pages() {
    let [get, head, post] = responses(
        &server(),
        [
            "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi",
        ],
    );
    assert!(get.starts_with("HTTP/1.1 426 ") && get.contains("\r\nUpgrade: websocket\r\n"), "{get}");
    assert!(head.starts_with("HTTP/1.1 426 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET\r\n"), "{post}");
}

/// A handler reads what was posted; it takes a connection over, which still counts, but no longer as a handshake.
#[test]
fn what_handlers_do() {
    // The one that counts comes first: one before it would be counted a moment longer than its client waits.
    let [parts, posted, long] = responses(
        &with_pages(),
        [
            "POST /parts HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi",
            "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi",
            "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 11\r\n\r\nhello world",
        ],
    );
    assert!(posted.starts_with("HTTP/1.1 200 ") && posted.ends_with("\r\n\r\nhi"), "{posted}");
    assert!(long.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{long}");
    assert_eq!(parts, r"0 1 POST /parts HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi");
}

/// The same for those who accept by themselves; accepted all the same, a page is told as what it is.
#[test]
fn pages_of_accept() {
    serving()
        .peer([raw("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), goes()])
        .calls([accept(&with_pages()).ok(), open().gives("Request(MissingUpgrade)")])
        .sees(["HTTP/1.1 200 OK", "\"<p>hi\"", "end"])
        .run();
    serving()
        .peer([raw("POST / HTTP/1.1\r\nHost: example.com\r\n\r\n"), until("HTTP/1.1 405 "), goes()])
        .calls([accept(&with_pages()).ok(), open().gives("Request(MethodNotGet)")])
        .run();
    serving()
        .peer([raw("GET /favicon.ico HTTP/1.1\r\nHost: example.com\r\n\r\n"), until("HTTP/1.1 404 "), goes()])
        .calls([accept(&with_pages()).ok(), open().gives("Request(NoPage)")])
        .run();
}

/// A page that is longer than what is written at once comes whole, through all pipes.
#[test]
fn a_long_page() {
    let page = Reply::ok().body(vec![b'x'; 200_000]);
    serving()
        .only_whole()
        .rooms([61, 4096])
        .peer([raw("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), goes()])
        .calls([accept(&server()).ok(), respond(page).ok()])
        .sees(["HTTP/1.1 200 OK", "200000 times 120", "end"])
        .run();
}

/// A client that does not read an answer has as long for it as it had for its request.
#[test]
fn a_page_that_is_not_read() {
    for reply in [Reply::ok().body(vec![b'x'; 200_000]), Reply::ok().text("short")] {
        serving()
            .only_whole()
            .rooms([10])
            .peer([raw("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), holds()])
            .calls([
                accept(&server().handshake_timeout(10 * MOMENT)).ok(),
                respond(reply).gives("TimedOut(OpeningHandshake)"),
            ])
            .takes(10 * MOMENT)
            .run();
    }
}

fn post(lines: &str, body: &str) -> Act {
    raw(format!("POST /upload HTTP/1.1\r\nHost: example.com\r\n{lines}\r\n{body}"))
}

/// A body is read, however it comes, and the request answered; what is behind it is dropped, and a second call has nothing
/// more to read.
#[test]
fn bodies() {
    for (act, body) in [
        (post("Content-Length: 5\r\n", "hello"), "\"hello\""),
        (post("Content-Length: 5\r\n", "helloGET / HTTP/1.1\r\n\r\n"), "\"hello\""),
        (post("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n"), "\"hello\""),
        (post("", "POST / HTTP/1.1\r\n\r\n"), "\"\""),
        (raw("POST / HTTP/1.0\r\n\r\n"), "\"\""),
    ] {
        serving()
            .only_whole()
            .peer([act, goes()])
            .calls([
                accept(&server()).ok(),
                read_body(5).gives(body),
                read_body(5).gives("\"\""),
                respond(Reply::ok().body("thanks")).ok(),
            ])
            .sees(["HTTP/1.1 200 OK", "\"thanks\"", "end"])
            .run();
    }
}

/// RFC 9110 section 10.1.1: a client that waits to be asked for the body is asked.
#[test]
fn a_client_that_waits_to_be_asked() {
    serving()
        .only_whole()
        .peer([
            post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""),
            until("HTTP/1.1 100 "),
            raw("hello"),
            goes(),
        ])
        .calls([accept(&server()).ok(), read_body(5).gives("\"hello\""), respond(Reply::ok()).ok()])
        .sees(["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK", "\"\"", "end"])
        .run();
    // It is not asked for what is not wanted.
    serving()
        .only_whole()
        .peer([post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""), until("HTTP/1.1 413 "), goes()])
        .calls([accept(&server()).ok(), read_body(4).gives("Request(BodyTooLarge)")])
        .run();
}

/// What cannot be read is answered, and returned.
#[test]
fn bodies_that_are_refused() {
    fn gives(error: &RequestError) -> Expected {
        read_body(5).gives(format!("Request({error:?})"))
    }
    for (act, error, status) in [
        (post("Content-Length: 6\r\n", "hello!"), RequestError::BodyTooLarge, "413"),
        (post("Content-Length: 6\r\n", ""), RequestError::BodyTooLarge, "413"),
        (post("Transfer-Encoding: chunked\r\n", "6\r\n"), RequestError::BodyTooLarge, "413"),
        (post("Transfer-Encoding: chunked\r\n", "+5\r\nhello"), RequestError::InvalidChunk, "400"),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            RequestError::InvalidBodyLength,
            "400",
        ),
        (post("Content-Length: 5\r\nContent-Length: 4\r\n", "hello"), RequestError::InvalidBodyLength, "400"),
        (post("Transfer-Encoding: gzip, chunked\r\n", ""), RequestError::UnsupportedTransferCoding, "501"),
    ] {
        let line: &'static str = format!("HTTP/1.1 {status} ").leak();
        serving()
            .only_whole()
            .peer([act, until(line), goes()])
            .calls([accept(&server()).ok(), gives(&error)])
            .run();
    }
}

/// A client that ends, breaks off, or is too slow.
#[test]
fn bodies_that_do_not_come_whole() {
    let begun = || post("Content-Length: 5\r\n", "hell");
    serving()
        .only_whole()
        .peer([begun(), ends(), until("HTTP/1.1 400 "), goes()])
        .calls([accept(&server()).ok(), read_body(5).gives("Request(IncompleteBody)")])
        .run();
    serving()
        .only_whole()
        .peer([begun(), resets()])
        .calls([accept(&server()).ok(), read_body(5).gives("ConnectionLost(ConnectionReset)")])
        .run();
    let slow = (0..3).flat_map(|_| [raw("x"), waits(MOMENT)]);
    serving()
        .only_whole()
        .peer([post("Content-Length: 5\r\n", "")])
        .peer(slow)
        .peer([until("HTTP/1.1 408 "), goes()])
        .calls([
            accept(&server().handshake_timeout(10 * MOMENT)).ok(),
            read_body(5).gives("TimedOut(OpeningHandshake)"),
        ])
        .sees(["HTTP/1.1 408 Request Timeout", "\"Request Timeout: the body took too long.\\n\"", "end"])
        .takes(10 * MOMENT)
        .run();
}

/// A WebSocket request has no body: the frames behind it stay what they are.
#[test]
fn frames_are_no_body() {
    serving()
        .only_whole()
        .peer([raw(REQUEST), goes()])
        .calls([accept(&server()).ok(), read_body(5).gives("\"\""), respond(Reply::new(404).unwrap()).ok()])
        .sees(["HTTP/1.1 404 Not Found", "\"\"", "end"])
        .run();
}

/// All that was read is handed over, with the empty line before the request, and the stream.
#[test]
fn handed_over() {
    let request = "\r\nGET /other HTTP/1.1\r\nHost: example.com\r\nX:  y \r\n\r\n";
    serving()
        .only_whole()
        .rooms([1])
        .peer([raw(request)])
        .calls([accept(&server()).ok(), hand_over().gives(format!("{request:?}"))])
        .run();
    let behind = format!("{request}GET /next");
    serving()
        .only_whole()
        .rooms([4096])
        .peer([raw(&behind)])
        .calls([accept(&server()).ok(), hand_over().gives(format!("{behind:?}"))])
        .run();
}

/// What a request brings stays out of logs: its credentials, its body, and its head as it came.
#[test]
fn secrets() {
    let client = |address| {
        let mut client = TcpStream::connect(address).unwrap();
        let head =
            "POST / HTTP/1.1\r\nHost: example.com\r\nAuthorization: secret\r\nContent-Length: 6\r\n\r\n";
        client.write_all(format!("{head}secret").as_bytes()).unwrap();
        client
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _client = client(address);
    let pending = blocking::accept(listener.accept().unwrap().0).unwrap();
    let mut logs = vec![format!("{pending:?}"), format!("{:?}", pending.into_parts())];

    let _other = client(address);
    let tcp = listener.accept().unwrap().0;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        tcp.set_nonblocking(true).unwrap();
        let pending = asynchronous::accept(tokio::net::TcpStream::from_std(tcp).unwrap()).await.unwrap();
        logs.extend([format!("{pending:?}"), format!("{:?}", pending.into_parts())]);
    });
    for log in logs {
        for secret in ["secret".to_owned(), format!("{:?}", b"secret").replace(['[', ']'], "")] {
            assert!(!log.contains(&secret), "{log}");
        }
    }
}

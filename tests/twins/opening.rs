//! The opening handshake: what clients and servers make of what comes, and when they give up.

use std::io::ErrorKind;
use std::time::Duration;

use sansocket::handshake::{Accept, Limits, Reply};
use sansocket::{Client, Role, Server};

use crate::calls::{
    accept, agreed, close, configure, connect, open, recv, reject, respond, reunite, send, split,
};
use crate::common::{TEXT, frame};
use crate::peer::{
    answers, closes, ends, fails_writes, goes, holds, leaves, pings, raw, refuses_writes, resets, says,
    until, waits,
};
use crate::script::{MOMENT, REQUEST, Script, patient};
use crate::wire::PATIENCE;

/// A server whose client has to carry out the opening handshake.
fn serving() -> Script {
    Script::new(Role::Server).unopened()
}

/// A client whose server has to.
fn connecting() -> Script {
    Script::new(Role::Client).unopened()
}

fn server() -> Server {
    Server::default().config(patient()).handshake_timeout(4 * PATIENCE)
}

fn client() -> Client {
    Client::new("ws://example.com/chat").unwrap().config(patient()).connect_timeout(4 * PATIENCE)
}

/// 6455-4.1-02: through pipes of all sizes, both roles; frames that are glued to the heads are not lost.
#[test]
fn frames_glued_to_the_heads() {
    let glued = [REQUEST.as_bytes(), &frame(Role::Server, TEXT, b"early")].concat();
    serving()
        .peer([raw(glued), pings("?"), closes(1000, ""), goes()])
        .calls([accept(&server()).ok(), open().ok(), recv().text("early"), recv().none()])
        .sees(["HTTP/1.1 101 Switching Protocols", "pong \"?\"", "close 1000 \"\"", "end"])
        .closed("1000 \"\", Remote, clean")
        .run();
    connecting()
        .peer([answers(Accept::new()), says("welcome"), until("close"), closes(1000, ""), goes()])
        .calls([connect(&client()).ok(), recv().text("welcome"), close(1000, "").ok()])
        .sees(["GET /chat HTTP/1.1", "close 1000 \"\"", "end"])
        .closed("1000 \"\", Local, clean")
        .run();
}

/// What was agreed on is told by a whole WebSocket and by its halves, also by those that were joined, and split again.
#[test]
fn what_was_agreed_is_told() {
    let client = client().subprotocols(["v2", "v1"]).unwrap();
    connecting()
        .peer([answers(Accept::new().subprotocol("v1")), says("welcome")])
        .calls([connect(&client).ok(), agreed(Some("v1"), Some(101)), recv().text("welcome")])
        .calls([reunite(), agreed(Some("v1"), Some(101)), split(), agreed(Some("v1"), Some(101))])
        .run();
    serving().peer([raw(REQUEST)]).calls([accept(&server()).ok(), open().ok(), agreed(None, None)]).run();
}

/// The client of a server that rejects gets the status and the body; the server's call returns when the client has
/// gone.
#[test]
fn rejected() {
    serving()
        .peer([raw(REQUEST), goes()])
        .calls([accept(&server()).ok(), reject(403, "not you").ok()])
        .sees(["HTTP/1.1 403 Forbidden", "\"not you\"", "end"])
        .run();
    let busy = Reply::new(503).unwrap().header("Retry-After", "7").unwrap().body("busy");
    serving()
        .peer([raw(REQUEST), goes()])
        .calls([accept(&server()).ok(), respond(busy).ok()])
        .sees(["HTTP/1.1 503 Service Unavailable", "\"busy\"", "end"])
        .run();
    connecting()
        .peer([until("GET"), raw(response("403 Forbidden", 7, "not you"))])
        .calls([connect(&client()).gives("Refused(403, \"not you\")")])
        .sees(["GET /chat HTTP/1.1", "end"])
        .run();
    connecting()
        .peer([until("GET"), raw(response("503 Busy\r\nRetry-After: 7", 4, "busy"))])
        .calls([connect(&client()).gives("Refused(503, \"busy\", again after 7 s)")])
        .run();
    // The stream leads to one server, whatever the client may follow.
    connecting()
        .peer([until("GET"), raw(response("302 Found\r\nLocation: /other", 0, ""))])
        .calls([connect(&client().redirects(9)).gives("Refused(302, \"\")")])
        .sees(["GET /chat HTTP/1.1", "end"])
        .run();
}

/// A status that does not end a handshake, or that over HTTP/2 would accept (RFC 8441 section 5), which a proxy in between may
/// have made of it: the program is told, and the client that the server is at fault. So of a CONNECT, to which it is a tunnel.
#[test]
fn rejections_that_are_none() {
    const FAULT: [&str; 3] = [
        "HTTP/1.1 500 Internal Server Error",
        "\"Not a WebSocket connection: the server cannot open it.\\n\"",
        "end",
    ];
    const TUNNEL: &str = "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n";
    for (request, status, error) in [
        (REQUEST, 99, "Build(InvalidStatus(99))"),
        (REQUEST, 101, "Build(InvalidStatus(101))"),
        (REQUEST, 200, "Build(AcceptingStatus(200))"),
        (REQUEST, 299, "Build(AcceptingStatus(299))"),
        (TUNNEL, 200, "Build(AcceptingStatus(200))"),
    ] {
        serving()
            .peer([raw(request), goes()])
            .calls([accept(&server()).ok(), reject(status, "no").gives(error)])
            .sees(FAULT)
            .run();
    }
    for request in [REQUEST, TUNNEL] {
        serving()
            .peer([raw(request), goes()])
            .calls([accept(&server()).ok(), respond(Reply::ok()).gives("Build(AcceptingStatus(200))")])
            .sees(FAULT)
            .run();
    }
}

/// A refusal is told though its body never comes whole: the server ends, breaks off, or stalls.
#[test]
fn a_refusal_whose_body_is_cut_off() {
    for end in [ends(), leaves(), resets()] {
        connecting()
            .peer([until("GET"), raw(response("403 Forbidden", 10, "not")), end])
            .calls([connect(&client()).gives("Refused(403, \"not\")")])
            .run();
    }
    connecting()
        .peer([until("GET"), raw(response("403 Forbidden", 10, "not"))])
        .calls([connect(&client().connect_timeout(10 * MOMENT)).gives("Refused(403, \"not\")")])
        .takes(10 * MOMENT)
        .run();
    // Nor is a redirect's given up, where none is followed.
    connecting()
        .peer([until("GET"), raw(response("302 Found\r\nLocation: /other", 10, "not"))])
        .calls([connect(&client().redirects(9).connect_timeout(10 * MOMENT)).gives("Refused(302, \"not\")")])
        .takes(10 * MOMENT)
        .run();
    // Before the head's end there is nothing to tell.
    for (end, error) in
        [(ends(), "Response(Head(Incomplete))"), (resets(), "ConnectionLost(ConnectionReset)")]
    {
        connecting()
            .peer([until("GET"), raw("HTTP/1.1 403 Forb"), end])
            .calls([connect(&client()).gives(error)])
            .run();
    }
}

/// A plain HTTP request is the caller's to answer; accepted all the same, it is told what was missing.
#[test]
fn plain_http() {
    const PLAIN: &str = "GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    serving()
        .peer([raw(PLAIN), goes()])
        .calls([accept(&server()).ok(), respond(Reply::new(200).unwrap().text("a page")).ok()])
        .sees(["HTTP/1.1 200 OK", "\"a page\"", "end"])
        .run();
    serving()
        .peer([raw(PLAIN), until("HTTP/1.1 426"), goes()])
        .calls([accept(&server()).ok(), open().gives("Request(MissingUpgrade)")])
        .run();
}

/// 6455-7.2.2-01: a malformed request is answered with its status, and the transport is closed.
#[test]
fn malformed_requests() {
    let long = REQUEST.replace("Host:", &format!("X: {}\r\nHost:", "x".repeat(300)));
    for (request, error, status) in [
        ("BREW / HTTP/1.1\r\nbad header\r\n\r\n", "Head(InvalidHeaderName)", 400),
        ("nonsense\r\n\r\n", "Head(InvalidStartLine)", 400),
        (&*REQUEST.replace("GET", "POST"), "MethodNotGet", 405),
        (&*REQUEST.replace("13", "8"), "UnsupportedVersion", 426),
        (&*REQUEST.replace("dGhl", ""), "InvalidKey", 400),
        (&*long, "Head(HeadTooLarge)", 431),
    ] {
        let limits = Limits::default().head_bytes(400);
        let line: &'static str = format!("HTTP/1.1 {status} ").leak();
        serving()
            .only_whole()
            .peer([raw(request), until(line), goes()])
            .calls([accept(&server().limits(limits)).gives(format!("Request({error})"))])
            .run();
    }
}

/// 6455-7.2.1-02: a transport that is lost in the handshake, by its end or by an error, fails it.
#[test]
fn the_transport_is_lost() {
    const RESET: &str = "ConnectionLost(ConnectionReset)";
    for (end, server_error, client_error) in [
        (ends(), "Request(Head(Incomplete))", "Response(Head(Incomplete))"),
        (leaves(), "Request(Head(Incomplete))", "Response(Head(Incomplete))"),
        (resets(), RESET, RESET),
    ] {
        serving()
            .peer([raw(&REQUEST[..9]), end.clone()])
            .calls([accept(&server()).gives(server_error)])
            .run();
        connecting().peer([until("GET"), end]).calls([connect(&client()).gives(client_error)]).run();
    }
    for (fault, error) in [
        (fails_writes(5, ErrorKind::BrokenPipe), "ConnectionLost(BrokenPipe)"),
        (refuses_writes(5), "ConnectionLost(WriteZero)"),
    ] {
        serving()
            .peer([fault.clone(), raw(REQUEST)])
            .calls([accept(&server()).ok(), open().gives(error)])
            .run();
        connecting().peer([fault]).calls([connect(&client()).gives(error)]).run();
    }
}

/// A peer that says nothing, or one byte at a time, gets as long as the timeout and no longer; a slow client is told
/// so.
#[test]
fn timeouts() {
    let error = "TimedOut(OpeningHandshake)";
    for answer in ["", "HTTP/1.1 101 Swit"] {
        connecting()
            .rooms([4095, 4096])
            .peer([until("GET"), raw(answer)])
            .calls([connect(&client().connect_timeout(10 * MOMENT)).gives(error)])
            .sees(["GET /chat HTTP/1.1", "end"])
            .takes(10 * MOMENT)
            .run();
    }
    // A server that does not even take the request.
    connecting()
        .rooms([10])
        .peer([holds()])
        .calls([connect(&client().connect_timeout(MOMENT)).gives(error)])
        .takes(MOMENT)
        .run();

    let hasty = server().handshake_timeout(10 * MOMENT);
    let slow = REQUEST.bytes().take(3).flat_map(|byte| [raw([byte]), waits(MOMENT)]);
    serving()
        .peer(slow.chain([until("HTTP/1.1 408 "), goes()]))
        .calls([accept(&hasty).gives(error)])
        .sees_among_others(["HTTP/1.1 408 Request Timeout", "end"])
        .takes(10 * MOMENT)
        .run();
    // A client that does not take the response.
    serving()
        .rooms([10])
        .peer([raw(REQUEST), holds()])
        .calls([accept(&server().handshake_timeout(10 * MOMENT)).ok(), open().gives(error)])
        .takes(10 * MOMENT)
        .run();
}

/// A client that does not go away after its refusal is let go.
#[test]
fn a_client_that_stays() {
    serving()
        .only_whole()
        .rooms([4096])
        .peer([raw(REQUEST)])
        .calls([accept(&server()).ok(), reject(403, "no").ok()])
        .sees(["HTTP/1.1 403 Forbidden", "\"no\"", "end"])
        .takes(Duration::from_secs(2))
        .run();
}

/// The configuration that a client or a server was given is that of its connections.
#[test]
fn configurations_arrive() {
    let config = patient().max_message_size(3);
    serving()
        .peer([raw(REQUEST), says("four"), until("close"), closes(1009, ""), goes()])
        .calls([
            accept(&server().config(config.clone())).ok(),
            open().ok(),
            send("four").ok(),
            recv().gives("Protocol(MessageTooBig)"),
        ])
        .run();
    // So is one that was set when the request had come, also where it allows more.
    serving()
        .peer([raw(REQUEST), says("four"), until("close"), closes(1009, ""), goes()])
        .calls([
            accept(&server()).ok(),
            configure(&config).ok(),
            open().ok(),
            recv().gives("Protocol(MessageTooBig)"),
        ])
        .run();
    serving()
        .peer([raw(REQUEST), says("four"), closes(1000, ""), goes()])
        .calls([
            accept(&server().config(config.clone())).ok(),
            configure(&patient()).ok(),
            open().ok(),
            recv().text("four"),
            recv().none(),
        ])
        .run();
    connecting()
        .peer([answers(Accept::new()), says("four"), until("close"), goes()])
        .calls([
            connect(&client().config(config)).ok(),
            send("four").ok(),
            recv().gives("Protocol(MessageTooBig)"),
        ])
        .run();
}

fn response(status: &str, len: usize, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}")
}

/// A client that reads nothing of an ordinary response: it has not left whole, and the caller is told.
#[test]
fn a_response_that_is_not_read() {
    let page = Reply::new(200).unwrap().body(vec![b'x'; 32 << 20]);
    Script::new(Role::Server)
        .unopened()
        .only_whole()
        .rooms([64 << 10])
        .peer([raw("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), holds()])
        .calls([
            accept(&Server::default().handshake_timeout(10 * MOMENT)).ok(),
            respond(page).gives("TimedOut(OpeningHandshake)"),
        ])
        .takes_its_time()
        .run();
}

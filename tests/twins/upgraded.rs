//! What somebody else's opening handshake agreed on counts for the WebSocket that is made of the stream.

use std::time::Instant;

use http::{Request, Response};
use sansocket::{AgreedDeflate, Config, Deflate, Message, Negotiated, PendingRequest, Role, Server};
use sansocket::{blocking, tokio as asynchronous};

use crate::adapter::{Adapter, Blocking, Tokio};
use crate::common::{TEXT, frame};
use crate::peer::{Peer, Stage, raw};
use crate::wire::{Control, Wire};

/// "Hello", compressed (RFC 7692 section 7.2.3.1).
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// RSV1, for the first byte of a frame.
const RSV1: u8 = 0x40;

/// What is worth compressing.
const LONG: &str = "and again, and again, and again, and again, and again";

/// The subprotocol and the extension that the response agreed on are those of the connection: compressed
/// messages are received, and sent.
#[test]
fn what_was_agreed_counts() {
    let deflate = Deflate::default().min_size(0);
    let config = Config::default().deflate(deflate.clone());
    for agreed in [true, false] {
        let (negotiated, parameters) = negotiate(agreed.then_some(&deflate));

        let (wire, control) = pipe(agreed, Blocking::<Wire>::now);
        let mut ws = blocking::WebSocket::from_upgraded(wire, negotiated.clone(), b"", &config).unwrap();
        assert_eq!((ws.subprotocol(), ws.deflate()), (Some("v1"), parameters));
        assert_eq!(ws.recv().unwrap(), Some(Message::text("Hello")));
        ws.send(LONG).unwrap();
        assert_eq!(compressed(&control), agreed);

        Tokio::<Wire>::run(async {
            let (wire, control) = pipe(agreed, Tokio::<Wire>::now);
            let mut ws = asynchronous::WebSocket::from_upgraded(wire, negotiated, b"", &config);
            assert_eq!((ws.subprotocol(), ws.deflate()), (Some("v1"), parameters));
            assert_eq!(ws.recv().await.unwrap(), Some(Message::text("Hello")));
            ws.send(LONG).await.unwrap();
            assert_eq!(compressed(&control), agreed);
        });
    }
}

/// What a service inside an HTTP library answers to an upgrade that offers all of it.
fn negotiate(deflate: Option<&Deflate>) -> (Negotiated, Option<AgreedDeflate>) {
    let request = Request::get("/chat")
        .header("Host", "example.com")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Protocol", "v2, v1")
        .header("Sec-WebSocket-Extensions", "permessage-deflate")
        .body(())
        .unwrap();
    let config = deflate.map_or_else(Config::default, |deflate| Config::default().deflate(deflate.clone()));
    let received = sansocket::http::receive(&request).unwrap();
    let mut pending = PendingRequest::new(received, &Server::default().config(config));
    pending.choose_subprotocol(&["v1"]);
    let accepted = pending.into_accepted().unwrap();
    let response = Response::try_from(&accepted).unwrap();
    let negotiated = Negotiated::from(&accepted);
    let parameters = negotiated.deflate();
    assert_eq!(parameters.is_some(), deflate.is_some());
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers().contains_key("Sec-WebSocket-Extensions"), parameters.is_some());
    (negotiated, parameters)
}

/// A pipe to a client that says hello.
fn pipe(compressed: bool, now: fn() -> Instant) -> (Wire, Control) {
    let hello = if compressed {
        frame(Role::Server, TEXT | RSV1, HELLO)
    } else {
        frame(Role::Server, TEXT, b"Hello")
    };
    Wire::new(Peer::new(Role::Server, Stage::Frames, [raw(hello)]), 4096, now)
}

/// Whether the one message that the client saw is compressed.
fn compressed(control: &Control) -> bool {
    let [line] = &control.seen()[..] else { panic!("{:?}", control.seen()) };
    line.starts_with("compressed text")
}

//! Negotiation (RFC 7692 sections 5 and 7.1), in tables; and through the opening handshake.

use crate::endpoint::list;
use sansocket::handshake::{
    Accept, ClientHandshake, ClientRequest, Limits, Opened, ReceivedRequest, ResponseError, ServerHandshake,
};
use sansocket::{AgreedDeflate, Deflate, Role, Uri};

fn deflate() -> Deflate {
    Deflate::default()
}

/// What a server with this configuration answers to a list of offers. `None`: it declines them.
#[track_caller]
fn answer(server: &Deflate, offers: &str) -> Option<String> {
    server.agree_as_server(&list(offers)).map(|(_, answer)| answer.to_string())
}

#[track_caller]
fn answers(server: &Deflate, offers: &str, expected: &str) {
    assert_eq!(answer(server, offers).as_deref(), Some(expected), "to {offers}");
}

/// What a client with this configuration makes of a response.
#[track_caller]
fn agree(client: &Deflate, response: &str) -> Result<Option<AgreedDeflate>, ResponseError> {
    client.agree_as_client(&list(response))
}

/// Whether server and client are without takeover, and their window bits.
fn parameters(agreed: AgreedDeflate) -> (bool, bool, u8, u8) {
    let [client, server] = [Role::Client, Role::Server];
    (
        agreed.no_context_takeover(server),
        agreed.no_context_takeover(client),
        agreed.max_window_bits(server),
        agreed.max_window_bits(client),
    )
}

#[track_caller]
fn agrees(client: &Deflate, response: &str, expected: (bool, bool, u8, u8)) {
    assert_eq!(agree(client, response).unwrap().map(parameters), Some(expected), "to {response}");
}

#[track_caller]
fn fails(client: &Deflate, response: &str) {
    let error = agree(client, response).unwrap_err();
    assert_eq!(error, ResponseError::InvalidDeflateResponse, "{response}");
    // What would be of no use is not advised.
    assert!(!error.to_string().contains("prefer_server_max_window_bits"), "{error}");
}

/// What is wrong is the server's window alone, with which a client can be content.
#[track_caller]
fn has_too_large_a_window(client: &Deflate, response: &str) {
    let error = agree(client, response).unwrap_err();
    assert_eq!(error, ResponseError::DeflateWindowTooLarge, "{response}");
    assert!(error.to_string().contains("prefer_server_max_window_bits"), "{error}");
}

/// Parameters that neither an offer nor a response may have, each after `permessage-deflate`.
const INVALID: &[&str] = &[
    // Unknown.
    "; foo",
    "; foo=1",
    "; x-webkit-deflate",
    "; max_window_bits=10",
    "; Server_No_Context_Takeover",
    "; SERVER_MAX_WINDOW_BITS=10",
    "; server_no_context_takeover; foo",
    // Repeated.
    "; server_no_context_takeover; server_no_context_takeover",
    "; client_no_context_takeover; client_no_context_takeover",
    "; server_max_window_bits=10; server_max_window_bits=10",
    "; server_max_window_bits=10; server_max_window_bits=11",
    "; client_max_window_bits=10; client_max_window_bits=10",
    "; client_max_window_bits=10; client_max_window_bits",
    "; client_max_window_bits; client_max_window_bits",
    // With a value that they do not have.
    "; server_no_context_takeover=true",
    "; server_no_context_takeover=1",
    "; server_no_context_takeover=\"x\"",
    "; client_no_context_takeover=0",
    "; client_no_context_takeover=client_no_context_takeover",
    // Without one that they have.
    "; server_max_window_bits",
    // Not 8 to 15, or not in decimal without leading zeros.
    "; server_max_window_bits=7",
    "; server_max_window_bits=16",
    "; server_max_window_bits=0",
    "; server_max_window_bits=1",
    "; server_max_window_bits=08",
    "; server_max_window_bits=015",
    "; server_max_window_bits=+9",
    "; server_max_window_bits=-9",
    "; server_max_window_bits=9.0",
    "; server_max_window_bits=1e1",
    "; server_max_window_bits=0x9",
    "; server_max_window_bits=ten",
    "; server_max_window_bits=100",
    "; server_max_window_bits=271",
    "; server_max_window_bits=4294967305",
    "; server_max_window_bits=18446744073709551625",
    "; client_max_window_bits=7",
    "; client_max_window_bits=16",
    "; client_max_window_bits=08",
    "; client_max_window_bits=+9",
    "; client_max_window_bits=-9",
    "; client_max_window_bits=\"08\"",
    "; client_max_window_bits=true",
];

/// 7692-7-01, 7692-7-02, 7692-7-03, 7692-7-04, 7692-7.1.1.1-02, 7692-7.1.1.2-02, 7692-7.1.2.1-02, 7692-7.1.2.2-02,
/// 7692-5-16: an offer with an unknown, repeated or invalid parameter is declined, and the next one looked at.
#[test]
fn a_server_declines_invalid_offers() {
    for parameters in INVALID {
        let offer = format!("permessage-deflate{parameters}");
        assert_eq!(answer(&deflate(), &offer), None, "{offer}");
        answers(&deflate(), &format!("{offer}, permessage-deflate"), "permessage-deflate");
        answers(
            &deflate(),
            &format!("foo, {offer}, {offer}, permessage-deflate; server_no_context_takeover, {offer}"),
            "permessage-deflate; server_no_context_takeover",
        );
    }
    // Another extension, or another one's name.
    for offers in
        ["foo", "permessage-bzip2", "permessage-deflate2", "Permessage-Deflate", "x-permessage-deflate"]
    {
        assert_eq!(answer(&deflate(), offers), None, "{offers}");
    }
    assert_eq!(deflate().agree_as_server(&[]).map(|(agreed, _)| agreed), None);
}

/// 7692-7-06, 7692-7-07, 7692-7-08, 7692-7-09, 7692-7.1.1.1-02, 7692-7.1.1.2-02, 7692-7.1.2.1-05, 7692-7.1.2.2-05,
/// 7692-5.1-01: a response with an unknown, repeated or invalid parameter fails the connection.
#[test]
fn a_client_fails_at_invalid_responses() {
    for parameters in INVALID {
        fails(&deflate(), &format!("permessage-deflate{parameters}"));
        fails(&deflate(), &format!("foo, permessage-deflate{parameters}"));
    }
    // In a response it has a value.
    fails(&deflate(), "permessage-deflate; client_max_window_bits");
}

/// 7692-5-04, 7692-5-09, 7692-5-10, 7692-5-11, 7692-7.1.1.1-04, 7692-7.1.2.1-04, 7692-7.1.2.1-05, 7692-7.1.2.2-05,
/// 7692-7.1.2.2-06, 7692-7.1.1.1-05, 7692-7.1.1.1-06, 7692-7.1.1.2-03, 7692-7.1.2.1-06, 7692-7.1.2.2-03,
/// 7692-7.1.2.2-04: what a server answers to which offer.
#[test]
fn a_server_answers() {
    let plain = deflate();
    answers(&plain, "permessage-deflate", "permessage-deflate");
    // Requests are honoured, and the answer says so.
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        answers(&plain, &offer, &offer);
        answers(&plain, &format!("permessage-deflate; server_max_window_bits=\"{bits}\""), &offer);
    }
    let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
               server_max_window_bits=9; client_max_window_bits=10";
    answers(&plain, all, all);
    // In any order.
    answers(
        &plain,
        "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9; \
         client_no_context_takeover; server_no_context_takeover",
        all,
    );
    // Hints, which are taken.
    answers(&plain, "permessage-deflate; client_max_window_bits", "permessage-deflate");
    answers(&plain, "permessage-deflate; client_max_window_bits=15", "permessage-deflate");
    for bits in 8..15 {
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        answers(&plain, &offer, &offer);
    }
    answers(
        &plain,
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
    );
    // A server's own wishes: what it may ask for unasked, and what it may not.
    let wishes = deflate().no_context_takeover().server_max_window_bits(11).client_max_window_bits(12);
    let without_client_bits = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11";
    answers(&wishes, "permessage-deflate", without_client_bits);
    answers(
        &wishes,
        "permessage-deflate; client_max_window_bits",
        &format!("{without_client_bits}; client_max_window_bits=12"),
    );
    answers(
        &wishes,
        "permessage-deflate; client_max_window_bits=14; server_max_window_bits=13",
        &format!("{without_client_bits}; client_max_window_bits=12"),
    );
    answers(
        &wishes,
        "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=8; client_max_window_bits=9",
    );
}

/// 7692-5-03, 7692-5-02: the client's order is its preference: the first acceptable offer is accepted, and one only.
#[test]
fn the_first_acceptable_offer_is_accepted() {
    answers(
        &deflate(),
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10",
    );
    answers(
        &deflate(),
        "permessage-deflate, permessage-deflate; server_max_window_bits=10",
        "permessage-deflate",
    );
    answers(
        &deflate(),
        "bar; x=y, permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9, \
         permessage-deflate",
        "permessage-deflate; server_max_window_bits=9",
    );
    // Over several lines of the header too.
    let offers = sansocket::handshake::Extension::parse_list([
        "permessage-deflate; foo",
        "permessage-deflate; server_no_context_takeover",
    ]);
    let (agreed, _) = deflate().agree_as_server(&offers.unwrap()).unwrap();
    assert_eq!(parameters(agreed), (true, false, 15, 15));
}

/// 7692-5-11, 7692-5-08, 7692-5-19: server and client agree on the same, each from what it sees.
#[test]
fn both_agree_on_the_same() {
    let mut configurations = Vec::new();
    for takeover in 0..4 {
        for (server_bits, client_bits, prefers) in
            [(15, 15, false), (8, 15, false), (15, 9, false), (12, 10, false), (9, 10, true)]
        {
            let mut deflate = deflate().client_max_window_bits(client_bits);
            deflate = if prefers {
                deflate.prefer_server_max_window_bits(server_bits)
            } else {
                deflate.server_max_window_bits(server_bits)
            };
            if takeover & 1 != 0 {
                deflate = deflate.server_no_context_takeover();
            }
            if takeover & 2 != 0 {
                deflate = deflate.client_no_context_takeover();
            }
            configurations.push(deflate);
        }
    }
    for client in &configurations {
        for server in &configurations {
            let (by_server, answer) = server.agree_as_server(&client.offers()).unwrap();
            let by_client = client.agree_as_client(&[answer]).unwrap();
            assert_eq!(Some(by_server), by_client, "{client:?} {server:?}");
        }
    }
}

/// 7692-5-01, 7692-5-06, 7692-5-07, 7692-7.1.1.1-01, 7692-7.1.1.2-01, 7692-7.1.2.1-01, 7692-7.1.2.1-02,
/// 7692-7.1.2.2-01, 7692-7.1.2.2-02, 7692-7.2.1-07: what a client offers. Windows are never out of bounds, whatever is
/// asked for.
#[test]
fn a_client_offers() {
    let offers = |deflate: Deflate, expected: &str| {
        assert_eq!(deflate.offers(), list(&format!("permessage-deflate{expected}")));
    };
    offers(deflate(), "; client_max_window_bits");
    offers(
        deflate().no_context_takeover(),
        "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
    );
    offers(deflate().server_no_context_takeover(), "; server_no_context_takeover; client_max_window_bits");
    offers(deflate().client_no_context_takeover(), "; client_no_context_takeover; client_max_window_bits");
    for bits in 8..15 {
        let both = deflate().server_max_window_bits(bits).client_max_window_bits(bits);
        offers(both, &format!("; server_max_window_bits={bits}; client_max_window_bits={bits}"));
    }
    for bits in [15, 16, 31, 255] {
        let both = deflate().server_max_window_bits(bits).client_max_window_bits(bits);
        offers(both, "; client_max_window_bits");
    }
    for bits in [0, 1, 7, 8] {
        let both = deflate().server_max_window_bits(bits).client_max_window_bits(bits);
        offers(both, "; server_max_window_bits=8; client_max_window_bits=8");
    }
}

/// 7692-5-05, 7692-5-11, 7692-7-06, 7692-7-10, 7692-7.1.1.2-04, 7692-7.1.1.1-06, 7692-7.1.2.1-04, 7692-7.1.2.1-06,
/// 7692-7.2.1-10, 7692-7.2.1-14: what a client makes of which response.
#[test]
fn a_client_agrees() {
    let plain = deflate();
    assert_eq!(agree(&plain, "foo"), Ok(None));
    assert_eq!(plain.agree_as_client(&[]), Ok(None));
    agrees(&plain, "permessage-deflate", (false, false, 15, 15));
    // Unasked.
    agrees(&plain, "permessage-deflate; server_no_context_takeover", (true, false, 15, 15));
    agrees(&plain, "permessage-deflate; client_no_context_takeover", (false, true, 15, 15));
    for bits in 8..=15 {
        let response = format!("permessage-deflate; server_max_window_bits={bits}");
        agrees(&plain, &response, (false, false, bits, 15));
        let response = format!("permessage-deflate; client_max_window_bits=\"{bits}\"");
        agrees(&plain, &response, (false, false, 15, bits));
    }
    // What was asked for must be answered.
    let limited = deflate().server_no_context_takeover();
    fails(&limited, "permessage-deflate");
    agrees(&limited, "permessage-deflate; server_no_context_takeover", (true, false, 15, 15));
    let limited = deflate().server_max_window_bits(10);
    has_too_large_a_window(&limited, "permessage-deflate");
    fails(&limited.clone().server_no_context_takeover(), "permessage-deflate");
    for bits in 8..=10 {
        let response = format!("permessage-deflate; server_max_window_bits={bits}");
        agrees(&limited, &response, (false, false, bits, 15));
    }
    for bits in 11..=15 {
        has_too_large_a_window(&limited, &format!("permessage-deflate; server_max_window_bits={bits}"));
    }
    // What was a hint need not; the client keeps to it all the same.
    let hinting = deflate().client_no_context_takeover().client_max_window_bits(10);
    agrees(&hinting, "permessage-deflate", (false, true, 15, 10));
    agrees(&hinting, "permessage-deflate; client_max_window_bits=9", (false, true, 15, 9));
    fails(&hinting, "permessage-deflate; client_max_window_bits=11");
}

/// 7692-5-02, 7692-5-03, 7692-7.1.2.1-04: a smaller window of the server's that is a wish is offered first, and its absence
/// next: what the server answers to either is taken, and what was demanded is demanded in both.
#[test]
fn a_window_that_is_preferred() {
    let client = deflate().prefer_server_max_window_bits(10).server_no_context_takeover();
    let offers = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits, \
                  permessage-deflate; server_no_context_takeover; client_max_window_bits";
    assert_eq!(client.offers(), list(offers));
    agrees(
        &client,
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        (true, false, 10, 15),
    );
    agrees(&client, "permessage-deflate; server_no_context_takeover", (true, false, 15, 15));
    // Who has a window of its own answers the second offer with it.
    agrees(
        &client,
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
        (true, false, 12, 15),
    );
    fails(&client, "permessage-deflate; server_max_window_bits=10");
    fails(&client, "permessage-deflate");
    // Of two settings the last one counts; and the largest window there is need not be preferred.
    let insists = client.server_max_window_bits(10);
    has_too_large_a_window(&insists, "permessage-deflate; server_no_context_takeover");
    assert_eq!(deflate().prefer_server_max_window_bits(15).offers(), deflate().offers());
    // A server decides by itself.
    answers(
        &deflate().prefer_server_max_window_bits(10),
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=10",
    );
}

/// 7692-5-08, 7692-7.1.2.2-07: a hint binds nobody: unless it is answered, the server expects a window of 32 KiB.
#[test]
fn a_window_that_was_not_answered_is_the_largest() {
    let server = deflate().client_max_window_bits(9);
    let (agreed, answer) = server.agree_as_server(&list("permessage-deflate")).unwrap();
    assert_eq!(answer.to_string(), "permessage-deflate");
    assert_eq!(agreed.max_window_bits(Role::Client), 15);
}

/// The client's request, with these offers.
fn request(offers: &[Deflate]) -> (ClientHandshake, Vec<u8>) {
    let mut request = ClientRequest::new(&Uri::parse("ws://example.com/").unwrap());
    for deflate in offers {
        request = deflate.offers().into_iter().fold(request, ClientRequest::extension);
    }
    let mut out = Vec::new();
    let handshake = ClientHandshake::start(&request, Limits::default(), *b"the sample nonce", &mut out);
    (handshake, out)
}

fn respond(handshake: &mut ClientHandshake, extensions: &str) -> Result<Option<Opened>, ResponseError> {
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{extensions}\r\n"
    );
    handshake.receive(response.as_bytes())
}

/// 7692-5-01, 7692-5-02: the offers are in the request, in their order.
#[test]
fn the_offers_are_in_the_request() {
    let (_, out) = request(&[deflate().server_max_window_bits(10), deflate()]);
    let header = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10; \
                  client_max_window_bits, permessage-deflate; client_max_window_bits\r\n";
    assert!(String::from_utf8(out).unwrap().contains(header));
    let (_, out) = request(&[]);
    assert!(!String::from_utf8(out).unwrap().contains("Extensions"));
}

/// 7692-5-13, 7692-5-18: a response with an extension that was not offered, or with two that compress, fails.
#[test]
fn a_client_fails_at_extensions_not_offered() {
    let (mut handshake, _) = request(&[]);
    let response = respond(&mut handshake, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_eq!(response.unwrap_err(), ResponseError::UnofferedExtension("permessage-deflate".into()));

    let (mut handshake, _) = request(&[deflate(), deflate()]);
    let response = respond(&mut handshake, "Sec-WebSocket-Extensions: permessage-bzip2\r\n");
    assert_eq!(response.unwrap_err(), ResponseError::UnofferedExtension("permessage-bzip2".into()));
    for twice in [
        "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n",
    ] {
        let (mut handshake, _) = request(&[deflate(), deflate()]);
        let response = respond(&mut handshake, twice);
        assert_eq!(response.unwrap_err(), ResponseError::RepeatedExtension("permessage-deflate".into()));
    }
}

/// 7692-5-09, 7692-5-12, 7692-5-16: the response names the extension once if an offer was accepted, and otherwise not.
#[test]
fn the_response_names_what_was_accepted() {
    for (offers, expected) in [
        ("permessage-deflate, permessage-deflate", Some("permessage-deflate")),
        (
            "foo, permessage-deflate; server_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover"),
        ),
        ("permessage-deflate; foo", None),
        ("foo", None),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: {offers}\r\n\r\n"
        );
        let received = ServerHandshake::new(Limits::default()).receive(request.as_bytes()).unwrap();
        let Some(ReceivedRequest::WebSocket(request)) = received else { panic!("a WebSocket's request") };
        let mut accept = Accept::new();
        if let Some((_, answer)) = deflate().agree_as_server(&request.extensions()) {
            accept = accept.extension(answer);
        }
        let mut out = Vec::new();
        request.accept(accept).unwrap().encode(&mut out);
        let response = String::from_utf8(out).unwrap();
        let names = response.matches("permessage-deflate").count();
        assert_eq!(names, usize::from(expected.is_some()), "{response}");
        if let Some(expected) = expected {
            assert!(
                response.contains(&format!("\r\nSec-WebSocket-Extensions: {expected}\r\n")),
                "{response}"
            );
        }
    }
}

/// 7692-7-05, 7692-7.1.2.1-03: there is no configuration that the codec does not support: each is agreed on as asked
/// for. That the compressor keeps to it is proved elsewhere.
#[test]
fn every_window_is_supported() {
    for bits in 8..=15 {
        let offer =
            format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}");
        assert_eq!(parameters(crate::endpoint::agreed(&offer)), (false, false, bits, bits));
    }
}

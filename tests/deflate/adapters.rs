//! Compressed messages over both adapters: negotiated by `Config`, received in every way, sent by both halves.
#![cfg_attr(not(feature = "tokio"), allow(unused_imports, dead_code))]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::common::{self, CONTINUATION, FIRST_TEXT, LAST_CONTINUATION, PING, TEXT, pseudo_random};
use crate::endpoint::{Endpoint, RSV1, agreed, always, frames, plain};
use crate::naive::Naive;
use sansocket::{
    AgreedDeflate, Client, CloseCode, Config, Deflate, Error, Message, MessageKind, Negotiated,
    PreparedMessage, ProtocolError, Role, Server,
};

pub const PLAIN: &str = "permessage-deflate";

/// A client's request with these offers, and what it sends behind it.
pub fn opening(extensions: &str, frames: &[u8]) -> Vec<u8> {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {extensions}\r\n\r\n"
    );
    [request.as_bytes(), frames].concat()
}

/// A server, and what its client sent at once.
pub fn blocking_server(
    deflate: Deflate,
    extensions: &str,
    sent: &[u8],
) -> (sansocket::blocking::WebSocket<UnixStream>, UnixStream) {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(&opening(extensions, sent)).unwrap();
    let server = Server::default().config(Config::default().deflate(deflate));
    (sansocket::blocking::accept_with(ours, &server).unwrap().accept().unwrap(), peer)
}

#[cfg(feature = "tokio")]
pub async fn tokio_server(
    deflate: Deflate,
    extensions: &str,
    sent: &[u8],
) -> (sansocket::tokio::WebSocket<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
    use tokio::io::AsyncWriteExt;
    let (ours, mut peer) = tokio::io::duplex(1 << 20);
    peer.write_all(&opening(extensions, sent)).await.unwrap();
    let server = Server::default().config(Config::default().deflate(deflate));
    (sansocket::tokio::accept_with(ours, &server).await.unwrap().accept().await.unwrap(), peer)
}

/// A conversation in which each message refers to those before it. All but the second are compressed.
struct Script {
    bytes: Vec<u8>,
    messages: Vec<String>,
}

fn script() -> Script {
    let mut client = Endpoint::new(Role::Client, &Config::default(), &always(), plain());
    let mut messages = Vec::<String>::new();
    for i in 0..8 {
        let line = format!("line {i} of the message, and more of it; ");
        let text = if i == 3 { line.repeat(20_000) } else { format!("{line}{}", messages.len()) };
        let (sender, out) = client.sender();
        sender.compress(i != 1);
        if i == 5 || i == 6 {
            for piece in text.as_bytes().chunks(10) {
                sender.fragment(MessageKind::Text, piece, false, out).unwrap();
                sender.ping(b"between", out).unwrap();
            }
            sender.fragment(MessageKind::Text, b"", true, out).unwrap();
        } else {
            sender.text(&text, out).unwrap();
        }
        messages.push(text);
    }
    Script { bytes: client.take_out(), messages }
}

/// Receives the script in every way; `$wait` is `await`, or nothing.
macro_rules! receive_in_every_way {
    ($open:expr $(, $wait:tt)?) => {{
        let Script { bytes, messages } = script();
        // How to receive each message: whole, with Pings, in parts, the first part only, and then the rest skipped.
        for ways in [[0; 8], [1; 8], [2; 8], [3; 8], [0, 3, 2, 3, 1, 3, 0, 1], [3, 2, 3, 0, 3, 1, 3, 2], [2, 3, 0, 2, 3, 2, 3, 0]] {
            let (mut ws, _peer) = $open(always(), PLAIN, &bytes) $(.$wait)?;
            assert_eq!(ws.deflate(), Some(plain()));
            // A message of which a part was taken is skipped, in the end, by the next call for a whole one.
            let mut skipping = false;
            for (way, text) in ways.into_iter().zip(&messages) {
                match way {
                    0 => {
                        let message = ws.recv() $(.$wait)?.unwrap();
                        assert_eq!(message.as_ref().and_then(Message::as_text), Some(&text[..]));
                        skipping = false;
                    }
                    1 => loop {
                        match ws.recv_incoming() $(.$wait)?.unwrap() {
                            Some(sansocket::blocking::Incoming::Message(message)) => {
                                assert_eq!(message.as_text(), Some(&text[..]));
                                skipping = false;
                                break;
                            }
                            Some(_) => {}
                            None => panic!("it ended"),
                        }
                    },
                    _ => {
                        // In parts nothing is skipped but by reading on.
                        while skipping {
                            let part = ws.recv_part() $(.$wait)?.unwrap().unwrap();
                            assert!(!part.first);
                            skipping = !part.last;
                        }
                        let mut joined = Vec::new();
                        loop {
                            let part = ws.recv_part() $(.$wait)?.unwrap().unwrap();
                            assert_eq!((part.kind, part.first), (MessageKind::Text, joined.is_empty()));
                            assert!(part.payload.len() <= 64 << 10);
                            joined.extend_from_slice(&part.payload);
                            if part.last {
                                assert_eq!(joined, text.as_bytes());
                                break;
                            }
                            if way == 3 {
                                assert!(text.as_bytes().starts_with(&joined));
                                skipping = true;
                                break;
                            }
                        }
                    }
                }
            }
        }
    }};
}

/// 7692-6.2-01, 7692-5-19: whole, in parts, and skipped half-way: the windows stay in step.
#[test]
#[cfg(feature = "blocking")]
fn messages_are_received_in_every_way() {
    receive_in_every_way!(blocking_server);
}

/// 7692-6.2-01, 7692-5-19: the same over tokio.
#[tokio::test]
#[cfg(feature = "tokio")]
async fn messages_are_received_in_every_way_over_tokio() {
    receive_in_every_way!(tokio_server, await);
}

/// What the halves of a split WebSocket receive and send.
macro_rules! halves {
    ($ws:expr $(, $wait:tt)?) => {{
        let (mut sender, mut receiver) = $ws;
        for (i, text) in script().messages.iter().enumerate() {
            if i % 2 == 0 {
                let message = receiver.recv() $(.$wait)?.unwrap();
                assert_eq!(message.as_ref().and_then(Message::as_text), Some(&text[..]));
            } else {
                let mut joined = Vec::new();
                while let Some(part) = receiver.recv_part() $(.$wait)?.unwrap() {
                    joined.extend_from_slice(&part.payload);
                    if part.last {
                        break;
                    }
                }
                assert_eq!(joined, text.as_bytes());
            }
        }
        sender.send("one, one, one") $(.$wait)?.unwrap();
        sender.compress(false);
        sender.send("two, two, two") $(.$wait)?.unwrap();
        sender.compress(true);
        sender.feed_part(MessageKind::Text, "one, ", false) $(.$wait)?.unwrap();
        sender.feed_part(MessageKind::Text, "three", true) $(.$wait)?.unwrap();
        sender.flush() $(.$wait)?.unwrap();
        (sender, receiver)
    }};
}

/// What the halves above sent, and the whole before, behind the response and the Pongs.
#[track_caller]
fn halves_sent(bytes: &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut sent = frames(Role::Server, &bytes[end..]);
    sent.retain(|(first, _)| first & 0x0f < 8);
    let mut naive = Naive::new(15);
    assert_eq!(
        sent.iter().map(|(first, _)| *first).collect::<Vec<_>>(),
        [TEXT, TEXT | RSV1, TEXT, FIRST_TEXT | RSV1, LAST_CONTINUATION]
    );
    assert_eq!(sent[0].1, b"whole");
    assert_eq!(naive.message(&sent[1].1).unwrap(), b"one, one, one");
    assert_eq!(sent[2].1, b"two, two, two");
    assert_eq!(naive.message(&[&sent[3].1[..], &sent[4].1].concat()).unwrap(), b"one, three");
}

/// 7692-6-02: both halves use what was negotiated.
#[test]
#[cfg(feature = "blocking")]
fn split_halves_compress() {
    let (mut ws, mut peer) = blocking_server(always(), PLAIN, &script().bytes);
    ws.compress(false);
    ws.send("whole").unwrap();
    ws.compress(true);
    drop(halves!(ws.split().unwrap()));
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).unwrap();
    halves_sent(&bytes);
}

/// 7692-6-02: the same over tokio.
#[tokio::test]
#[cfg(feature = "tokio")]
async fn split_halves_compress_over_tokio() {
    use tokio::io::AsyncReadExt;
    let (mut ws, mut peer) = tokio_server(always(), PLAIN, &script().bytes).await;
    ws.compress(false);
    ws.send("whole").await.unwrap();
    ws.compress(true);
    drop(halves!(ws.split(), await));
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.unwrap();
    halves_sent(&bytes);
}

/// Client and server, each with this configuration or without any, and what they agree on.
fn configurations() -> Vec<(Option<Deflate>, Option<Deflate>, bool)> {
    vec![
        (None, None, false),
        (Some(always()), None, false),
        (None, Some(always()), false),
        (Some(always()), Some(always()), true),
        (Some(always().no_context_takeover()), Some(always().server_max_window_bits(9)), true),
        (Some(always().server_max_window_bits(8)), Some(always().client_max_window_bits(10)), true),
    ]
}

fn config(deflate: Option<Deflate>) -> Config {
    deflate.into_iter().fold(Config::default(), Config::deflate)
}

/// 7692-5-01, 7692-5-09, 7692-5-16, 7692-5-17, 7692-5-19: it is used if both ends are configured for it, and otherwise not.
#[test]
#[cfg(feature = "blocking")]
fn both_ends_have_to_want_it() {
    for (client, server, used) in configurations() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let server = Server::default().config(config(server));
            let mut ws = sansocket::blocking::accept_with(theirs, &server)?.accept()?;
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok::<_, Error>(ws.deflate())
        });
        let client = Client::new("ws://example.com/").unwrap().config(config(client));
        let mut ws = sansocket::blocking::connect_over(client, ours).unwrap();
        for message in crate::context::conversation(7, 100, 2000) {
            ws.send(message.clone()).unwrap();
            assert_eq!(ws.recv().unwrap(), Some(message));
        }
        assert_eq!(ws.deflate().is_some(), used);
        ws.close(CloseCode::NORMAL, "").unwrap();
        let agreed = ws.deflate();
        // The server waits for the transport to be closed.
        drop(ws);
        assert_eq!(serving.join().unwrap().unwrap(), agreed);
    }
}

/// 7692-5-01, 7692-5-09, 7692-5-16, 7692-5-17, 7692-5-19: the same over tokio.
#[tokio::test]
#[cfg(feature = "tokio")]
async fn both_ends_have_to_want_it_over_tokio() {
    for (client, server, used) in configurations() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let serving = tokio::spawn(async move {
            let server = Server::default().config(config(server));
            let mut ws = sansocket::tokio::accept_with(theirs, &server).await?.accept().await?;
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok::<_, Error>(ws.deflate())
        });
        let client = Client::new("ws://example.com/").unwrap().config(config(client));
        let mut ws = sansocket::tokio::connect_over(client, ours).await.unwrap();
        for message in crate::context::conversation(8, 100, 2000) {
            ws.send(message.clone()).await.unwrap();
            assert_eq!(ws.recv().await.unwrap(), Some(message));
        }
        assert_eq!(ws.deflate().is_some(), used);
        ws.close(CloseCode::NORMAL, "").await.unwrap();
        let agreed = ws.deflate();
        // The server waits for the transport to be closed.
        drop(ws);
        assert_eq!(serving.await.unwrap().unwrap(), agreed);
    }
}

/// What a server answers to a request with these offers.
#[cfg(feature = "blocking")]
fn response(deflate: Option<Deflate>, extensions: &str) -> String {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(&opening(extensions, b"")).unwrap();
    let server = Server::default().config(config(deflate));
    drop(sansocket::blocking::accept_with(ours, &server).unwrap().accept().unwrap());
    let mut response = String::new();
    peer.read_to_string(&mut response).unwrap();
    response
}

/// 7692-5-09, 7692-5-16: the response of a server names what it accepts, if it accepts any.
#[test]
#[cfg(feature = "blocking")]
fn a_server_accepts_what_it_is_configured_for() {
    let header = "Sec-WebSocket-Extensions";
    assert!(!response(None, PLAIN).contains(header));
    assert!(!response(Some(always()), "permessage-deflate; foo, foo").contains(header));
    let accepted = response(
        Some(always()),
        "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9",
    );
    assert!(
        accepted.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n")
    );
}

/// 7692-5-18, 7692-7-06, 7692-7-10, 7692-5.1-01: a client fails, before any message, at a response that it did not ask for.
#[test]
#[cfg(feature = "blocking")]
fn a_client_fails_at_what_it_did_not_ask_for() {
    for (deflate, extensions) in [
        (None, "permessage-deflate"),
        (Some(always()), "permessage-deflate; foo"),
        (Some(always()), "permessage-deflate, permessage-deflate"),
        (Some(always()), "permessage-deflate; client_max_window_bits"),
        (Some(always().server_max_window_bits(9)), "permessage-deflate"),
        (Some(always().server_max_window_bits(9)), "permessage-deflate; server_max_window_bits=10"),
        (Some(always().server_no_context_takeover()), "permessage-deflate"),
    ] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                peer.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split('\r').next().unwrap();
            let offered = request.contains("Sec-WebSocket-Extensions: permessage-deflate");
            let mut accept = Vec::new();
            let request = format!(
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            );
            let received =
                sansocket::handshake::ServerHandshake::new(sansocket::handshake::Limits::default())
                    .receive(request.as_bytes());
            let Ok(Some(sansocket::handshake::ReceivedRequest::WebSocket(request))) = received else {
                panic!()
            };
            request.accept(sansocket::handshake::Accept::new()).unwrap().encode(&mut accept);
            let response = String::from_utf8(accept).unwrap();
            let response =
                response.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"));
            peer.write_all(response.as_bytes()).unwrap();
            // Nothing is sent: the connection is closed.
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).unwrap();
            (offered, rest)
        });
        let offers = deflate.is_some();
        let client = Client::new("ws://example.com/").unwrap().config(config(deflate));
        let failed = sansocket::blocking::connect_over(client, ours);
        assert!(matches!(failed.unwrap_err(), Error::Response(_)), "{extensions}");
        assert_eq!(serving.join().unwrap(), (offers, vec![]));
    }
}

/// A bomb fails the connection with 1009, also when it is received in parts, or skipped.
#[test]
#[cfg(feature = "blocking")]
fn a_bomb_fails_in_every_way_of_receiving() {
    let mut client = Endpoint::new(Role::Client, &Config::default(), &always(), plain());
    client.send(&Message::binary(vec![0; 1 << 20]));
    let bytes = client.take_out();
    for (way, limit) in [(0, 1 << 19), (1, 1 << 19), (2, 1 << 19), (3, 1 << 19), (2, (1 << 20) - 1)] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(&opening(PLAIN, &bytes)).unwrap();
        let config = Config::default().deflate(always()).max_message_size(limit);
        let server = Server::default().config(config);
        let mut ws = sansocket::blocking::accept_with(ours, &server).unwrap().accept().unwrap();
        let mut got = 0;
        let error = loop {
            let result = match way {
                0 => ws.recv().map(|message| message.map_or(0, |message| message.len())),
                1 => ws.recv_incoming().map(|_| 0),
                3 if got > 0 => ws.recv().map(|message| message.map_or(0, |message| message.len())),
                _ => ws.recv_part().map(|part| part.map_or(0, |part| part.payload.len())),
            };
            match result {
                Ok(0) => panic!("no error"),
                Ok(len) => got += len as u64,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig)), "{error}");
        assert!(got <= limit);
        drop(peer.shutdown(std::net::Shutdown::Write));
        let _ = ws.recv();
        drop(ws);
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).unwrap();
        let close = common::close_payload(1009, ProtocolError::MessageTooBig.reason());
        assert!(sent.ends_with(&close), "a Close frame");
    }
}

/// A writer sends a message in parts: what it sends is compressed if its first part is large enough, which it is not where
/// that was flushed.
#[test]
#[cfg(feature = "blocking")]
fn a_writer_compresses() {
    let line = "a line of a long message\n".repeat(20);
    for (first, compressed) in [("short", false), (&line[..], true)] {
        let (mut ws, mut peer) = blocking_server(Deflate::default().min_size(256), PLAIN, b"");
        let mut writer = ws.message_writer(MessageKind::Text);
        writer.write_all(first.as_bytes()).unwrap();
        writer.flush().unwrap();
        for _ in 0..100 {
            writer.write_all(line.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        drop(ws);
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let sent = frames(Role::Server, &bytes[end..]);
        let payload = sent.iter().flat_map(|(_, payload)| payload.clone()).collect::<Vec<_>>();
        let expected = [first, &line.repeat(100)].concat();
        assert_eq!(sent[0].0 & RSV1 != 0, compressed);
        if compressed {
            assert_eq!(Naive::new(15).message(&payload).unwrap(), expected.as_bytes());
            assert!(sent[1..].iter().all(|(first, _)| [CONTINUATION, LAST_CONTINUATION].contains(first)));
        } else {
            assert_eq!(payload, expected.as_bytes());
        }
    }
}

/// Pings between the fragments of a compressed message are answered while it is received in parts.
#[test]
#[cfg(feature = "blocking")]
fn pings_inside_compressed_messages_are_handed_out() {
    let fragments = [
        common::frame(Role::Server, FIRST_TEXT | RSV1, &crate::endpoint::HELLO[..3]),
        common::frame(Role::Server, PING, b"1"),
        common::frame(Role::Server, LAST_CONTINUATION, &crate::endpoint::HELLO[3..]),
    ];
    let (mut ws, _peer) = blocking_server(always(), PLAIN, &fragments.concat());
    let ping = ws.recv_incoming().unwrap();
    assert_eq!(ping, Some(sansocket::blocking::Incoming::Ping(b"1"[..].into())));
    // What was joined before is handed out when parts are asked for, and the rest of it then.
    let mut joined = Vec::new();
    loop {
        let part = ws.recv_part().unwrap().unwrap();
        joined.extend_from_slice(&part.payload);
        if part.last {
            break;
        }
    }
    assert_eq!(joined, b"Hello");
}

/// 7692-5-19: what was agreed on can be read from the connection.
#[test]
#[cfg(feature = "blocking")]
fn what_was_agreed_on_can_be_read() {
    let (ws, _peer) = blocking_server(always(), "permessage-deflate; server_max_window_bits=9", b"");
    let agreed: AgreedDeflate = ws.deflate().unwrap();
    assert_eq!(agreed.max_window_bits(Role::Server), 9);
    let (ws, _peer) = blocking_server(always(), "foo", b"");
    assert_eq!(ws.deflate(), None);
}

/// A message that is prepared for connections without context takeover is compressed once for whichever windows clients ask
/// for: those who queue it share its bytes.
#[test]
fn what_is_prepared_is_shared_by_all_kinds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let config = Config::default().deflate(always().shared_compressor());
    let message = PreparedMessage::new(pseudo_random(7, 40_000));
    // Each first byte of a random one, which makes something to compress of it.
    let half: Vec<u8> = message.payload().iter().map(|byte| byte & 0x0f).collect();
    let message = PreparedMessage::new(half);
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_no_context_takeover; server_max_window_bits={bits}");
        let negotiated = Negotiated::new(Role::Server).with_deflate(agreed(&offer));
        let held = || {
            let (near, far) = tokio::io::duplex(1);
            let mut ws = sansocket::tokio::WebSocket::from_upgraded(near, negotiated.clone(), b"", &config);
            let queued = allocation_counter::measure(|| assert!(ws.try_feed(&message).unwrap()));
            drop(far);
            queued.bytes_current
        };
        let first = held();
        let second = held();
        assert!(second < 2048, "window bits {bits}: {first} and {second} bytes");
    }
}

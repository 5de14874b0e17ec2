//! Context takeover, and its absence, over long conversations (RFC 7692 sections 7.1.1 and 7.2).

use std::fmt::Write;

use crate::common::{self, BINARY, Noise, ROLES, TEXT, pseudo_random};
use crate::endpoint::{Endpoint, HELLO, RSV1, agreed, always, frames, other, plain};
use crate::naive::Naive;
use sansocket::{AgreedDeflate, Config, Deflate, Message, MessageKind, ProtocolError, Role};

const NEITHER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Messages of random sizes, from all but incompressible to all but empty; some repeat earlier ones.
pub fn conversation(seed: u64, count: usize, longest: usize) -> Vec<Message> {
    let mut noise = Noise::new(seed);
    let mut messages: Vec<Message> = Vec::new();
    for i in 0..count {
        let size = match noise.below(10) {
            0 => noise.below(4),
            1..=7 => noise.below(600),
            _ => noise.below(longest),
        };
        messages.push(match noise.below(6) {
            0 if i > 0 => messages[noise.below(i)].clone(),
            1 => Message::binary(pseudo_random(seed + i as u64, size)),
            2 => Message::binary(vec![noise.byte(); size]),
            3 => {
                let alphabet = 2 + noise.byte() % 60;
                Message::binary((0..size).map(|_| noise.byte() % alphabet).collect::<Vec<_>>())
            }
            _ => {
                let mut text = String::new();
                while text.len() < size {
                    let (id, name) = (noise.below(100_000), noise.below(50));
                    write!(text, "{{\"id\":{id},\"name\":\"n\u{e9}{name}\"}},").unwrap();
                }
                Message::text(text)
            }
        });
    }
    messages
}

/// Sends a message in random fragments, or in one frame.
pub fn send_somehow(endpoint: &mut Endpoint, message: &Message, noise: &mut Noise) {
    if noise.below(3) > 0 {
        return endpoint.send(message);
    }
    let (sender, out) = endpoint.sender();
    for piece in common::cut_at_random(noise, message.payload(), 1 + message.len()) {
        sender.fragment(message.kind(), piece, false, out).unwrap();
    }
    sender.fragment(message.kind(), b"", true, out).unwrap();
}

/// Lets both endpoints talk; what each sent is received by the other, in pieces.
#[track_caller]
fn converse(deflate: &Deflate, agreed: AgreedDeflate, seed: u64, count: usize) {
    let [mut client, mut server] = Endpoint::pair(deflate, agreed);
    let mut noise = Noise::new(seed);
    let mut naive = ROLES.map(|role| Naive::new(agreed.max_window_bits(role)));
    for (i, message) in conversation(seed, count, 20_000).into_iter().enumerate() {
        let role = ROLES[noise.below(2)];
        let (from, to) =
            if role == Role::Client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        from.sender().0.compress(noise.below(10) > 0);
        send_somehow(from, &message, &mut noise);
        let out = from.take_out();
        // The naive inflater is slow: it checks the beginning.
        if i < 300 {
            let sent = frames(role, &out);
            let payload = sent.iter().flat_map(|(_, payload)| payload.clone()).collect::<Vec<_>>();
            let naive = &mut naive[role as usize];
            if sent[0].0 & RSV1 == 0 {
                assert_eq!(payload, message.payload());
            } else {
                assert_eq!(naive.message(&payload).as_deref(), Ok(message.payload()), "message {i}");
                if agreed.no_context_takeover(role) {
                    naive.forget();
                }
            }
        }
        let mut got = Vec::new();
        for piece in common::cut_at_random(&mut noise, &out, 1 + out.len()) {
            let (messages, error) = to.receive(piece, noise.below(2) == 0);
            assert_eq!(error, None, "message {i}");
            got.extend(messages);
        }
        assert_eq!(got, [message], "message {i}");
    }
}

/// 7692-5-19, 7692-7.1.1.1-03, 7692-7.2.1-09, 7692-7.2.1-12, 7692-7.2.2-03, 7692-7.2.2-05: with context takeover, the windows
/// stay in step over thousands of messages in both directions, plain ones among them.
#[test]
fn windows_stay_in_step() {
    converse(&always(), plain(), 1, 5000);
}

/// The same with what a program would set, and at other levels.
#[test]
fn windows_stay_in_step_at_every_level() {
    for level in 0..=9 {
        converse(&Deflate::default().level(level), plain(), 2 + u64::from(level), 300);
    }
}

/// The same without takeover, in one direction, in both, and with small windows.
#[test]
fn parameters_are_kept_to_in_conversation() {
    for (seed, parameters) in (20..).zip([
        NEITHER,
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=11; client_max_window_bits=8; client_no_context_takeover",
    ]) {
        converse(&always(), agreed(parameters), seed, 1000);
        converse(&always().level(1), agreed(parameters), seed + 10, 300);
    }
}

/// 7692-7.2.1-08, 7692-7.2.1-11, 7692-7.1.1.2-04, 7692-7.1.1.1-04: without takeover the same message is compressed to the
/// same bytes, by which endpoint, and only by which, says the parameter; also after it was fragmented.
#[test]
fn without_takeover_each_message_stands_alone() {
    let text = "Hello, hello, hello, hello";
    let second = |role, parameters: &str| {
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), agreed(parameters));
        endpoint.send(&Message::text(text));
        let first = endpoint.sent_payload(TEXT | RSV1);
        let (sender, out) = endpoint.sender();
        sender.fragment(MessageKind::Text, text.as_bytes(), false, out).unwrap();
        sender.fragment(MessageKind::Text, b"!", true, out).unwrap();
        drop(endpoint.take_out());
        endpoint.send(&Message::text(text));
        let second = endpoint.sent_payload(TEXT | RSV1);
        assert!(second == first || second.len() < first.len());
        second == first
    };
    for (parameters, client, server) in [
        ("permessage-deflate", false, false),
        ("permessage-deflate; client_no_context_takeover", true, false),
        ("permessage-deflate; server_no_context_takeover", false, true),
        (NEITHER, true, true),
    ] {
        assert_eq!(second(Role::Client, parameters), client, "client, {parameters}");
        assert_eq!(second(Role::Server, parameters), server, "server, {parameters}");
    }
}

/// 7692-7.2.1-01, 7692-7.2.3.2-01: "Hello" and "Hello" again are the bytes of section 7.2.3, also when a plain message comes between.
#[test]
fn hello_is_sent_as_in_the_rfc() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, &Config::default(), &always(), plain());
        endpoint.send(&Message::text("Hello"));
        assert_eq!(endpoint.sent_payload(TEXT | RSV1), HELLO);
        endpoint.sender().0.compress(false);
        endpoint.send(&Message::text("Hello between"));
        assert_eq!(endpoint.sent_payload(TEXT), b"Hello between");
        endpoint.sender().0.compress(true);
        endpoint.send(&Message::text("Hello"));
        assert_eq!(endpoint.sent_payload(TEXT | RSV1), b"\xf2\x00\x11\x00\x00");
    }
}

/// 7692-7.2.2-02, 7692-7.2.2-04: without takeover a reference to the message before fails; with it, it is what it is for.
#[test]
fn a_window_that_was_not_taken_over_is_empty() {
    for role in ROLES {
        for (parameters, kept) in [("permessage-deflate", true), (NEITHER, false)] {
            let mut endpoint = Endpoint::new(role, &Config::default(), &always(), agreed(parameters));
            assert_eq!(endpoint.compressed(TEXT, HELLO), (vec![Message::text("Hello")], None));
            let (messages, error) = endpoint.compressed(TEXT, b"\xf2\x00\x11\x00\x00");
            assert_eq!((messages.len(), error.is_none()), (usize::from(kept), kept));
        }
    }
}

/// 7692-7.2.2-06: a client that asks not to take over its window is always taken at its word: it is agreed on.
#[test]
fn a_hint_not_to_take_over_is_agreed_on() {
    let agreed = agreed("permessage-deflate; client_no_context_takeover");
    assert!(agreed.no_context_takeover(Role::Client));
    assert!(!agreed.no_context_takeover(Role::Server));
}

/// 7692-7.2.2-08, 7692-7.2.2-10, 7692-7.1.2.2-07, 7692-5-05, 7692-5-06: a distance of 32,768 is inflated, unless a smaller
/// window was agreed on. 7692-7.2.2-07, 7692-7.2.2-09: then that is what is kept, and a larger distance fails, rather than
/// being filled with something else.
#[test]
fn the_agreed_window_is_inflated() {
    let data = pseudo_random(5, 40_000);
    for (parameters, window) in [
        ("permessage-deflate", 32_768),
        ("permessage-deflate; server_max_window_bits=8; client_max_window_bits=8", 256),
    ] {
        for role in ROLES {
            // Blocks with a copy of 3 from 256, 257 and 32,768 bytes ago.
            let copies = [
                (256, [0x02, 0xfa, 0x1f, 0x00].as_slice()),
                (257, &[0x02, 0x06, 0x00, 0x00]),
                (32_768, &[0x02, 0xde, 0xff, 0x0f, 0x00]),
            ];
            for (distance, payload) in copies {
                let Ok(expected) = Naive::after(&data).message(payload) else { panic!("{distance}") };
                let mut sending = Endpoint::new(other(role), &Config::default(), &always(), plain());
                sending.send(&Message::binary(data.clone()));
                let mut endpoint = Endpoint::new(role, &Config::default(), &always(), agreed(parameters));
                assert_eq!(endpoint.messages(&sending.take_out()), [Message::binary(data.clone())]);
                let received = endpoint.compressed(BINARY, payload);
                if distance <= window {
                    assert_eq!(received, (vec![Message::binary(expected)], None), "{distance}");
                } else {
                    assert_eq!(received, (vec![], Some(ProtocolError::InvalidCompressedData)), "{distance}");
                }
            }
        }
    }
}

/// 7692-7.2.2-11, 7692-7.2.1-14: what counts for a client's compressor is the agreed window.
#[test]
fn the_agreed_window_counts() {
    let hinting = Deflate::default().client_max_window_bits(12);
    let response = crate::endpoint::list("permessage-deflate; client_max_window_bits=9");
    let agreed = hinting.agree_as_client(&response).unwrap().unwrap();
    assert_eq!(agreed.max_window_bits(Role::Client), 9);
    let mut client = Endpoint::new(Role::Client, &Config::default(), &hinting, agreed);
    let data = pseudo_random(9, 600).repeat(2);
    client.send(&Message::binary(data.clone()));
    let payload = client.sent_payload(BINARY | RSV1);
    assert_eq!(Naive::new(9).message(&payload).as_deref(), Ok(&data[..]));
}

/// What an endpoint keeps of its messages, for others to refer to, is not seen in what it shows of itself.
#[test]
fn windows_are_not_shown() {
    let [mut client, mut server] = Endpoint::pair(&always(), plain());
    let message = Message::text("secret".repeat(100));
    client.send(&message);
    let bytes = client.take_out();
    assert_eq!(server.messages(&bytes), [message]);
    let shown = format!("{client:?} {server:?}");
    assert!(shown.contains("len: 600"), "{shown}");
    assert!(!shown.contains("115, 101, 99") && !shown.contains("secret"), "{shown}");
}

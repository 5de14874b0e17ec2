//! More connections than a thread keeps compressors for: they idle, speak, and idle again, on one thread or on several.

use crate::common::{BINARY, Noise, ROLES, TEXT, pseudo_random};
use crate::context::{conversation, send_somehow};
use crate::endpoint::{Endpoint, Foreign, HELLO, RSV1, agreed, always, plain};
use crate::naive::Naive;
use sansocket::{AgreedDeflate, Config, Deflate, Message, PreparedMessage, ProtocolError, Role};

/// More than a thread keeps compressors for.
const CONNECTIONS: usize = 60;

/// Connections whose clients and servers speak in any order: each window stays in step.
fn speak_in_turns(deflate: &Deflate, agreed: AgreedDeflate, seed: u64, turns: usize) {
    let mut noise = Noise::new(seed);
    let mut pairs = (0..CONNECTIONS).map(|_| Endpoint::pair(deflate, agreed)).collect::<Vec<_>>();
    for (i, message) in conversation(seed, turns, 20_000).into_iter().enumerate() {
        // Some speak often, the others now and then.
        let at = if noise.below(3) == 0 { noise.below(8) } else { noise.below(CONNECTIONS) };
        let [client, server] = &mut pairs[at];
        let (from, to) = if noise.below(2) == 0 { (client, server) } else { (server, client) };
        send_somehow(from, &message, &mut noise);
        let sent = from.take_out();
        assert_eq!(to.messages(&sent), [message], "message {i}, connection {at}");
        if noise.below(100) == 0 {
            pairs[at] = Endpoint::pair(deflate, agreed);
        }
    }
}

#[test]
fn more_connections_than_compressors() {
    for (seed, parameters) in (1..).zip([
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=8",
    ]) {
        for level in [0, 1, 4, 9] {
            speak_in_turns(&always().level(level), agreed(parameters), seed, 600);
        }
    }
}

/// What a primed compressor makes is within the window, and looks as far back as was kept.
#[test]
fn a_primed_compressor_uses_what_was_kept() {
    for bits in [8, 9, 12, 15] {
        let parameters = format!("permessage-deflate; server_max_window_bits={bits}");
        for level in 1..=9 {
            let new = || {
                Endpoint::new(Role::Server, &Config::default(), &always().level(level), agreed(&parameters))
            };
            let (mut endpoint, mut others) = (new(), (0..CONNECTIONS).map(|_| new()).collect::<Vec<_>>());
            let mut naive = Naive::new(bits);
            let data = pseudo_random(u64::from(bits), 40_000);
            let kept = 1 << bits.min(13);
            for payload in [&data[..], &data[40_000 - kept / 2..][..kept / 4]] {
                endpoint.send(&Message::binary(payload.to_vec()));
                let sent = endpoint.sent_payload(BINARY | RSV1);
                assert_eq!(naive.message(&sent).as_deref(), Ok(payload));
                let found = sent.len() < payload.len() / 2;
                assert!(payload.len() == 40_000 || bits < 10 || found, "{bits}, level {level}");
                for other in &mut others {
                    other.send(&Message::text("It takes a compressor."));
                }
            }
        }
    }
}

/// A connection is moved to another thread, and back to where its compressor is still as it was when it left.
#[test]
fn a_connection_moves_between_threads() {
    let [mut client, mut server] = Endpoint::pair(&always(), plain());
    let mut say = |server: &mut Endpoint, i: usize| {
        let message = Message::text(format!("message {i}, like message {i}, but for its number {}", i * i));
        server.send(&message);
        let sent = server.take_out();
        assert_eq!(client.messages(&sent), [message]);
    };
    for i in (0..40).step_by(4) {
        say(&mut server, i);
        say(&mut server, i + 1);
        std::thread::scope(|scope| scope.spawn(|| say(&mut server, i + 2)).join().unwrap());
        say(&mut server, i + 3);
    }
}

/// 7692-7.2.1-01, 7692-7.2.2-01: a message that does not end with an empty block whose rest the tail is breaks the rule
/// that all are made by, and its state cannot be kept: it fails, whatever it was cut off in, and whether or not the window is
/// taken over.
#[test]
fn a_message_ends_where_another_can_go_on() {
    let text =
        "a text that is compressed, as a text is that is compressed; and a text, that is not".repeat(3);
    let dynamic = Foreign::new(9).message(&[text.as_bytes(), &pseudo_random(1, 100)].concat());
    let mut whole = HELLO.to_vec();
    whole.extend_from_slice(b"\x00\x00\xff\xff");
    // The tail makes the rest of a block of it, but for its last bit, which begins a final one.
    let but_for_a_bit = b"\x04\xe0\xa7\x9c\x35\x00\x00\x00\x70\xfc\x7f\xfe\xa6".to_vec();
    let mut wrong = vec![whole, but_for_a_bit];
    wrong.extend(
        [HELLO, &dynamic]
            .into_iter()
            .flat_map(|payload| (1..payload.len()).map(|len| payload[..len].to_vec())),
    );
    for role in ROLES {
        for parameters in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            for payload in &wrong {
                let mut endpoint =
                    Endpoint::new(role, &Config::default(), &Deflate::default(), agreed(parameters));
                let received = endpoint.compressed(BINARY, payload);
                assert_eq!(received, (vec![], Some(ProtocolError::InvalidCompressedData)), "{payload:02x?}");
            }
        }
    }
}

/// Whatever the bytes are: what is taken for a whole message is one, by the simple inflater, and the next one goes on
/// behind it. Bits that are left of the tail are no empty block, even where they look like the beginning of one.
#[test]
fn what_is_taken_is_whole() {
    let (mut noise, mut taken) = (Noise::new(7), 0);
    for seed in 0..60_000 {
        let mut payload = pseudo_random(seed, 1 + noise.below(8));
        // Stored and fixed blocks: few others are anything.
        payload[0] = payload[0] & 0xf8 | [0, 1, 2, 3][noise.below(4)];
        let mut naive = Naive::new(15);
        let mut endpoint = Endpoint::new(Role::Server, &Config::default(), &Deflate::default(), plain());
        let (messages, error) = endpoint.compressed(BINARY, &payload);
        if error.is_none() {
            taken += 1;
            match naive.message(&payload) {
                // That is ignored.
                Err("padding that is not zero") => {}
                naive => assert_eq!(naive.as_deref(), Ok(messages[0].payload()), "{payload:02x?}"),
            }
            assert_eq!(endpoint.compressed(TEXT, HELLO), (vec![Message::text("Hello")], None));
        }
    }
    assert!(taken > 500, "{taken}");
}

/// A message that is prepared for many connections is compressed for all of them once if none takes its window over, as long
/// as their compressors are of few kinds; all can inflate it.
#[test]
fn what_is_prepared_is_compressed_once() {
    let text = "news for all, all the news, ".repeat(50);
    for text in [text.as_str(), "!", ""] {
        let message = PreparedMessage::new(text);
        let mut seen = Vec::new();
        for bits in [15, 15, 8, 9, 10, 11, 12, 13, 13, 9, 15] {
            let agreed = agreed(&format!("permessage-deflate; server_max_window_bits={bits}"));
            assert!(!agreed.no_context_takeover(Role::Server));
            let deflate = always().shared_compressor();
            let (agreed, _) = deflate
                .agree_as_server(&crate::endpoint::list(&format!(
                    "permessage-deflate; server_max_window_bits={bits}"
                )))
                .unwrap();
            let [mut client, mut server] = Endpoint::pair(&deflate, agreed);
            for _ in 0..2 {
                let (sender, out) = server.sender();
                sender.prepared(&message, out).unwrap();
                let sent = server.take_out();
                assert_eq!(client.messages(&sent), [Message::text(text)]);
                assert_eq!(sent[0] & RSV1 != 0, text.len() > 1);
                seen.push(sent);
            }
        }
        assert!(seen.iter().all(|sent| sent.len() < 100));
    }
}

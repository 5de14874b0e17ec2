//! The examples of RFC 7692 section 7.2.3, and streams that no common encoder makes (section 7.2.2).

use crate::common::{self, BINARY, CONTINUATION, FIRST_TEXT, LAST_CONTINUATION, ROLES, TEXT};
use crate::endpoint::{Endpoint, Foreign, HELLO, RSV1, agreed, always, every_way, plain};
use sansocket::{Config, Message, ProtocolError, Role};

/// A frame of a compressed text, with these payloads, each way, into this text.
#[track_caller]
fn inflates(payloads: &[&[u8]], texts: &[&str]) {
    for role in ROLES {
        let frames = payloads.iter().flat_map(|payload| common::frame(role, TEXT | RSV1, payload));
        let (messages, error) = every_way(role, &Config::default(), plain(), &frames.collect::<Vec<_>>());
        assert_eq!(error, None);
        assert_eq!(messages, texts.iter().copied().map(Message::text).collect::<Vec<_>>());
    }
}

/// 7692-7.2.2-01, 7692-6.2-01, 7692-5-19: one block with fixed codes (7.2.3.1).
#[test]
fn one_block() {
    inflates(&[HELLO], &["Hello"]);
}

/// 7692-6.2-01: the same in two fragments (7.2.3.1), to the byte.
#[test]
fn two_fragments() {
    let frames = b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00";
    let (messages, error) = every_way(Role::Client, &Config::default(), plain(), frames);
    assert_eq!((messages, error), (vec![Message::text("Hello")], None));
}

/// 7692-7.2.1-09, 7692-7.2.2-03, 7692-7.2.2-05: the second message refers to the first (7.2.3.2).
#[test]
fn a_shared_window() {
    inflates(&[HELLO, b"\xf2\x00\x11\x00\x00"], &["Hello", "Hello"]);
}

/// 7692-7.2.3.2-01: "even if some uncompressed messages [...] are inserted between the two "Hello" messages,
/// they don't affect the LZ77 sliding window."
#[test]
fn plain_messages_do_not_affect_the_window() {
    for role in ROLES {
        let frames = [
            common::frame(role, TEXT | RSV1, HELLO),
            common::frame(role, TEXT, b"between"),
            common::frame(role, FIRST_TEXT, b"in fragm"),
            common::frame(role, LAST_CONTINUATION, b"ents"),
            common::frame(role, TEXT | RSV1, b"\xf2\x00\x11\x00\x00"),
        ];
        let (messages, error) = every_way(role, &Config::default(), plain(), &frames.concat());
        assert_eq!(error, None);
        assert_eq!(messages, ["Hello", "between", "in fragments", "Hello"].map(Message::text));
    }
}

/// 7692-7.2.1-03, 7692-7.2.3.3-01: a stored block (7.2.3.3).
#[test]
fn a_stored_block() {
    let frame = b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    let (messages, error) = every_way(Role::Client, &Config::default(), plain(), frame);
    assert_eq!((messages, error), (vec![Message::text("Hello")], None));
    inflates(&[&frame[2..]], &["Hello"]);
}

/// 7692-7.2.1-04: a block with BFINAL set, and the octet that makes the message end like any other (7.2.3.4).
#[test]
fn a_final_block() {
    let payload = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    inflates(&[payload], &["Hello"]);
    inflates(&[payload, payload, HELLO, payload], &["Hello"; 4]);
}

/// 7692-7.2.1-02: two blocks in one message (7.2.3.5).
#[test]
fn two_blocks() {
    inflates(&[b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"], &["Hello"]);
}

/// 7692-7.2.3.6-01: an empty block can be the message, or its last fragment (7.2.3.6).
#[test]
fn an_empty_block() {
    inflates(&[b"\x00"], &[""]);
    inflates(&[HELLO, b"\x00", HELLO], &["Hello", "", "Hello"]);
    for last in [&b"\x00"[..], b"\xf2\x00\x11\x00\x00"] {
        for role in ROLES {
            let frames = [
                // A fragment keeps its tail.
                common::frame(role, FIRST_TEXT | RSV1, b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"),
                common::frame(role, CONTINUATION, b""),
                common::frame(role, LAST_CONTINUATION, last),
            ];
            let (messages, error) = every_way(role, &Config::default(), plain(), &frames.concat());
            let text = if last.len() > 1 { "HelloHello" } else { "Hello" };
            assert_eq!((messages, error), (vec![Message::text(text)], None));
        }
    }
}

/// A payload of no bytes is a message too: what is appended to it is a stored block of no bytes.
#[test]
fn an_empty_payload() {
    inflates(&[b""], &[""]);
    inflates(&[HELLO, b"", b"", b"\xf2\x00\x11\x00\x00"], &["Hello", "", "", "Hello"]);
}

/// A message that ends with a final block, without the octet that the RFC asks for, is taken too.
#[test]
fn a_final_block_and_nothing_behind_it() {
    let payload = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    inflates(&[payload], &["Hello"]);
    inflates(
        &[payload, HELLO, payload, b"", payload, b"\x00"],
        &["Hello", "Hello", "Hello", "", "Hello", ""],
    );
    // An empty final block: before anything was inflated, and after.
    inflates(&[b"\x03\x00", HELLO, b"\x03\x00"], &["", "Hello", ""]);
    for role in ROLES {
        let frames = [
            common::frame(role, FIRST_TEXT | RSV1, payload),
            common::frame(role, CONTINUATION, payload),
            common::frame(role, LAST_CONTINUATION, b""),
        ];
        let (messages, error) = every_way(role, &Config::default(), plain(), &frames.concat());
        assert_eq!((messages, error), (vec![Message::text("HelloHello")], None));
    }
}

/// What stands before a final block can be referred to after it: from an earlier message, from an earlier block of
/// the same message, and from the final block itself, however the bytes arrive. "The next DEFLATE block follows
/// the padded data" (section 7.2.1), and nothing says that it begins with an empty window.
#[test]
fn the_window_outlives_final_blocks() {
    let [first, second, third] = [1, 2, 3].map(|seed| common::pseudo_random(seed, 50));
    let (two, three) = ([&first[..], &second].concat(), [&first[..], &second, &third].concat());
    let mut before = Foreign::new(9);
    let payloads = [
        before.message(&first),
        // Non-final, final, and behind it what refers to all so far.
        [
            before.sync(&second),
            Foreign::with_window(9, &two).finish(&third),
            Foreign::with_window(9, &three).message(&three),
        ]
        .concat(),
        Foreign::with_window(9, &three).message(&three),
    ];
    assert!(payloads[2].len() < 20, "it is all references");
    let messages = [first.clone(), [&second[..], &third, &three].concat(), three].map(Message::binary);
    for role in ROLES {
        let frames = payloads.iter().flat_map(|payload| common::frame(role, BINARY | RSV1, payload));
        let outcome = every_way(role, &Config::default(), plain(), &frames.collect::<Vec<_>>());
        assert_eq!(outcome, (messages.to_vec(), None));
    }
    // Without takeover, inside one message.
    let neither = agreed("permessage-deflate; client_no_context_takeover; server_no_context_takeover");
    let payload = [
        Foreign::new(9).sync(&first),
        Foreign::with_window(9, &first).finish(&second),
        Foreign::with_window(9, &two).message(&two),
    ]
    .concat();
    for role in ROLES {
        let frame = common::frame(role, BINARY | RSV1, &payload);
        let outcome = every_way(role, &Config::default(), neither, &frame.repeat(2));
        let message = Message::binary([&two[..], &two].concat());
        assert_eq!(outcome, (vec![message.clone(), message], None));
    }
}

/// The window is as large after a final block as before it: 32 KiB, wherever in them the block ends.
#[test]
fn the_whole_window_outlives_final_blocks() {
    for lead in [0, 1, 10_000, 32_768, 50_000] {
        let data = common::pseudo_random(7, lead + 32_768);
        let (far, near) = (&data[lead..], &data[data.len() - 300..]);
        let mut client = Endpoint::new(Role::Client, &Config::default(), &always(), plain());
        let mut foreign = Foreign::new(6);
        let payloads = [
            foreign.message(&data),
            // Ends the stream, and adds nothing to the window.
            b"\x03\x00\x00".to_vec(),
            // A distance of 32,768 cannot be had from a compressor: by hand, a fixed block with a copy of 3.
            vec![0b0000_0010, 0b1101_1110, 0b1111_1111, 0b0000_1111, 0b0000_0000],
            Foreign::with_window(9, &[near, &far[..3]].concat()).message(near),
        ];
        let expected = [&data, &b""[..], &far[..3], near];
        for (payload, expected) in payloads.iter().zip(expected) {
            let (messages, error) = client.compressed(BINARY, payload);
            assert_eq!((messages, error), (vec![Message::binary(expected.to_vec())], None), "lead {lead}");
        }
    }
}

/// Many final blocks in a row, empty or not.
#[test]
fn many_final_blocks() {
    let payload = [&b"\x03\x00"[..], b"\xf3\x48\xcd\xc9\xc9\x07\x00"].repeat(500).concat();
    let mut client = Endpoint::new(Role::Client, &Config::default(), &always(), plain());
    let (messages, error) = client.compressed(TEXT, &payload);
    assert_eq!((messages, error), (vec![Message::text("Hello".repeat(500))], None));
}

/// Blocks, final ones among them, that end wherever an inflater's own buffers may.
#[test]
fn blocks_end_anywhere() {
    let data = common::pseudo_random(4, 70_000);
    for len in [16_384, 32_768, 65_536].into_iter().flat_map(|len| len - 3..len + 4) {
        let (front, back) = data.split_at(len);
        let payloads = [
            [Foreign::new(9).finish(front), Foreign::with_window(9, front).message(&data[len - 300..])]
                .concat(),
            [Foreign::new(1).sync(&vec![7; len]), Foreign::new(6).finish(b""), Foreign::new(1).message(back)]
                .concat(),
        ];
        let expected = [[front, &data[len - 300..]].concat(), [&vec![7; len][..], back].concat()];
        let mut client = Endpoint::new(Role::Client, &Config::default(), &always(), plain());
        for (payload, expected) in payloads.iter().zip(expected) {
            let (messages, error) = client.compressed(BINARY, payload);
            assert_eq!((messages, error), (vec![Message::binary(expected)], None), "{len}");
        }
    }
}

/// Section 7.2.2: what cannot be inflated fails the connection, at the byte that shows it.
#[test]
fn what_is_not_deflate_fails() {
    let broken: [&[u8]; 6] = [
        // A reserved block type.
        b"\x06",
        b"\x07\x00\x00",
        // A stored block whose length and complement differ.
        b"\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00",
        // A distance beyond the beginning.
        b"\xf2\x00\x11\x00\x00",
        // A dynamic block with too many code words.
        b"\x04\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        // Behind a final block.
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x06",
    ];
    for role in ROLES {
        for payload in broken {
            for kind in [TEXT, BINARY] {
                let frames =
                    [common::frame(role, kind | RSV1, payload), common::frame(role, TEXT | RSV1, HELLO)];
                let (messages, error) = every_way(role, &Config::default(), plain(), &frames.concat());
                assert_eq!(error, Some(ProtocolError::InvalidCompressedData), "{payload:02x?}");
                assert_eq!(messages, []);
            }
        }
    }
}

//! RFC 6455 section 5.3, client-to-server masking; and section 10.3, why.
#![cfg(feature = "std")]

use std::cell::Cell;
use std::collections::HashSet;

use sansocket::frame::MaskingKey;
use sansocket::{Config, Connection, Event, MessageKind, Role, Sender};

use crate::common::{
    self, BINARY, KEY, Noise, binary, every_way, frame, header, mask, naive, ping, pseudo_random, sent,
};

/// Long and short payloads are masked in different ways, in blocks of up to 128 bytes.
fn lens() -> impl Iterator<Item = usize> {
    (0..=140).chain(250..=400)
}

/// 6455-5.3-05: octet i is masked with the key's octet i MOD 4, at any length, alignment and offset.
#[test]
fn against_the_one_line_loop() {
    let plain = pseudo_random(3, 440);
    for len in lens() {
        for alignment in (0..8).chain([13, 18, 27]) {
            for offset in (0..9).chain([(1 << 32) + 1, (1 << 63) - 2, u64::MAX]) {
                let mut masked = plain.clone();
                MaskingKey::new(KEY).apply(&mut masked[alignment..alignment + len], offset);

                let mut expected = plain.clone();
                for (i, byte) in (offset % 4..).zip(&mut expected[alignment..alignment + len]) {
                    *byte ^= KEY[usize::try_from(i).unwrap() % 4];
                }
                assert_eq!(masked, expected, "{len} bytes from {offset}, aligned to {alignment}");
            }
        }
    }
}

/// 6455-5.3-05: a client sends each octet masked, at any length, behind what waits to be written.
#[test]
fn a_client_masks_any_length() {
    let plain = pseudo_random(4, 4250);
    let mut sender = Sender::client(&Config::default(), |keys| {
        keys.iter_mut().zip(KEY.iter().cycle()).for_each(|(byte, key)| *byte = *key);
    });
    let mut out = Vec::new();
    // From 4 KiB on, to where the vectors are aligned first.
    for len in lens().chain(4090..4250) {
        let start = out.len();
        sender.binary(&plain[..len], &mut out).unwrap();
        assert_eq!(out[start..], frame(Role::Server, BINARY, &plain[..len]), "{len} bytes");
    }
}

/// 6455-5.3-05: a payload masked part by part is the payload masked at once; masking twice gives it back.
#[test]
fn part_by_part() {
    let mut noise = Noise::new(4);
    for _ in 0..500 {
        let key = [noise.byte(), noise.byte(), noise.byte(), noise.byte()];
        let len = noise.below(3000);
        let plain = pseudo_random(5, len);
        let mut expected = plain.clone();
        mask(key, &mut expected);

        let (mut masked, mut position) = (plain.clone(), 0);
        while position < masked.len() {
            let end = (position + 1 + noise.below(200)).min(masked.len());
            MaskingKey::new(key).apply(&mut masked[position..end], position as u64);
            position = end;
        }
        assert_eq!(masked, expected);
        MaskingKey::new(key).apply(&mut masked, 0);
        assert_eq!(masked, plain);
    }
}

/// 6455-5.3-05, 6455-6.2-08: a server unmasks what it receives, however it is cut; each frame's key
/// counts from the frame's first byte. A key of zeros is legal (A27).
#[test]
fn a_server_unmasks() {
    for key in [KEY, [0; 4], [0xff; 4], [0, 0, 0, 1]] {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for len in (0..12).chain([125, 126]) {
            let payload = pseudo_random(6, len);
            let mut masked = payload.clone();
            mask(key, &mut masked);
            let mut header = header(BINARY, true, len as u64);
            let end = header.len();
            header[end - 4..].copy_from_slice(&key);
            bytes.extend([header, masked].concat());
            expected.push(binary(&payload));
        }
        assert_eq!(every_way(Role::Server, &Config::default(), &bytes).events, expected);
    }
}

/// 6455-5.3-05: control frames between the parts of a data frame's message do not disturb its key.
#[test]
fn each_frame_counts_its_own_bytes() {
    let bytes = [
        frame(Role::Server, common::FIRST_BINARY, b"abc"),
        frame(Role::Server, common::PING, b"?"),
        frame(Role::Server, common::LAST_CONTINUATION, b"defgh"),
    ]
    .concat();
    let outcome = every_way(Role::Server, &Config::default(), &bytes);
    assert_eq!(outcome.messages(), [(MessageKind::Binary, b"abcdefgh".to_vec())]);
    assert_eq!(outcome.events[1], ping(b"?"));
}

thread_local! {
    static DRAWN: Cell<u32> = const { Cell::new(0) };
}

/// A source of entropy whose every four bytes are a number of their own.
fn counter(bytes: &mut [u8]) {
    assert_eq!(bytes.len() % 4, 0, "whole keys");
    for key in bytes.chunks_mut(4) {
        key.copy_from_slice(&DRAWN.get().to_be_bytes());
        DRAWN.set(DRAWN.get() + 1);
    }
}

/// The masking keys of the frames in `out`.
fn keys(out: &[u8]) -> Vec<u32> {
    let (mut keys, mut rest) = (Vec::new(), out);
    while let Some(frame) = naive::decode(rest).unwrap() {
        assert!(frame.masked);
        let key = frame.len - frame.payload.len() - 4;
        keys.push(u32::from_be_bytes(rest[key..key + 4].try_into().unwrap()));
        rest = &rest[frame.len..];
    }
    assert!(rest.is_empty());
    keys
}

/// 6455-5.3-02, 6455-5.3-01, 6455-10.3-01: every frame that a client sends, of whatever kind, has a key
/// of its own, straight from the source of entropy, and no key is used twice.
#[test]
fn a_fresh_key_for_every_frame() {
    let now = common::start();
    let mut client = Connection::client(&Config::default(), counter, now);
    let mut out = Vec::new();
    let mut frames = 0;
    for _ in 0..50 {
        let sender = client.sender();
        sender.text("text", &mut out).unwrap();
        sender.binary(b"", &mut out).unwrap();
        sender.fragment(MessageKind::Text, b"frag", false, &mut out).unwrap();
        sender.ping(b"ping", &mut out).unwrap();
        sender.fragment(MessageKind::Text, b"ment", true, &mut out).unwrap();
        sender.pong(b"", &mut out).unwrap();
        sender.answer(&Event::Ping(b"asked"), &mut out);
        let mut payload = *b"in place";
        let header = sender.fragment_header(MessageKind::Binary, &payload, true).unwrap();
        header.mask(&mut payload);
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&payload);
        frames += 8;
    }
    client.close(None, now, &mut out).unwrap();
    let keys = keys(&out);
    assert_eq!(keys.len(), frames + 1);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "each key once");
    assert!(keys.iter().all(|key| *key < DRAWN.get()), "keys come from the source");
    // And each was masked with it: the naive decoder reads what was sent.
    assert_eq!(sent(Role::Client, &out)[7], (BINARY, b"in place".to_vec()));
}

/// 6455-5.3-02: a frame that is refused, or fails, takes no key that another frame then has.
#[test]
fn refused_frames_use_no_key_twice() {
    let mut client = Sender::client(&Config::default(), counter);
    let mut out = Vec::new();
    for _ in 0..100 {
        client.fragment(MessageKind::Text, b"\xff", true, &mut out).unwrap_err();
        client.ping(&[0; 126], &mut out).unwrap_err();
        client.text("fine", &mut out).unwrap();
    }
    let keys = keys(&out);
    assert_eq!(keys.len(), 100);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 100);
}

fn sender(role: Role) -> Sender {
    match role {
        Role::Client => Sender::client(&Config::default(), common::random),
        Role::Server => Sender::server(&Config::default()),
    }
}

/// A payload that is masked in place goes out as one that is copied: 6455-5.3-05, 6455-6.1-04.
#[test]
fn in_place_is_the_same_on_the_wire() {
    for role in common::ROLES {
        let (mut copying, mut in_place) = (sender(role), sender(role));
        for len in (0..10).chain([125, 126, 70_000]) {
            for last in [false, true] {
                let payload = pseudo_random(8, len);
                let mut copied = Vec::new();
                copying.fragment(MessageKind::Binary, &payload, last, &mut copied).unwrap();
                let mut masked = payload.clone();
                let header = in_place.fragment_header(MessageKind::Binary, &payload, last).unwrap();
                header.mask(&mut masked);
                assert_eq!([&header.encode()[..], &masked].concat(), copied);
            }
        }
    }
}

/// Nor does a message whose payload its caller masks and writes: 6455-5.3-05.
#[test]
fn a_header_alone_is_the_same_on_the_wire() {
    for role in common::ROLES {
        let (mut copying, mut by_hand) = (sender(role), sender(role));
        for len in (0..10).chain([125, 126, 70_000]) {
            let text = "é".repeat(len / 2);
            for kind in [MessageKind::Text, MessageKind::Binary] {
                let mut copied = Vec::new();
                let header = match kind {
                    MessageKind::Text => {
                        copying.text(&text, &mut copied).unwrap();
                        by_hand.text_header(&text).unwrap()
                    }
                    MessageKind::Binary => {
                        copying.binary(text.as_bytes(), &mut copied).unwrap();
                        by_hand.binary_header(text.as_bytes()).unwrap()
                    }
                };
                assert_eq!(header.masking_key.is_some(), role == Role::Client);
                let mut masked = text.clone().into_bytes();
                header.mask(&mut masked);
                assert_eq!([&header.encode()[..], &masked].concat(), copied);
            }
        }
    }
}

/// The keys to come do not show in logs.
#[test]
fn debug_output_keeps_the_keys() {
    let mut client = Sender::client(&Config::default(), |bytes| bytes.fill(0xab));
    client.ping(b"", &mut Vec::new()).unwrap();
    let debug = format!("{client:?}");
    assert!(!debug.contains("171") && !debug.contains("ab, "), "{debug}");
}

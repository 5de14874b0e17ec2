//! Three properties for any bytes at all: as functions that a fuzzer can call, and run here on pseudo-random bytes.

use crate::common::{self, Noise, pseudo_random};
use crate::endpoint::{Endpoint, Foreign, list};
use sansocket::handshake::Extension;
use sansocket::{Config, Deflate, Message, MessageKind, ProtocolError, Role};

/// Takes choices from the front of the fuzzer's bytes; zeros when they are used up.
struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// At most `longest` bytes.
    fn bytes(&mut self, longest: usize) -> &'d [u8] {
        let len = longest.min(self.0.len());
        self.0.split_off(..len).unwrap_or_default()
    }

    /// A configuration.
    fn deflate(&mut self) -> Deflate {
        let flags = self.byte();
        let bits = self.byte();
        let mut deflate = Deflate::default()
            .level(flags >> 4)
            .min_size(usize::from(flags >> 2 & 3))
            .server_max_window_bits(8 + (bits & 7))
            .client_max_window_bits(8 + (bits >> 3 & 7));
        if flags & 1 != 0 {
            deflate = deflate.server_no_context_takeover();
        }
        if flags & 2 != 0 {
            deflate = deflate.client_no_context_takeover();
        }
        deflate
    }
}

/// Any value of `Sec-WebSocket-Extensions`: what the server answers is a response that a client which made the offer
/// it accepted takes, and both agree on the same; a client takes no response that goes beyond its offer.
pub fn negotiate(data: &[u8]) {
    let mut choices = Choices(data);
    let (client, server) = (choices.deflate(), choices.deflate());
    let Ok(header) = str::from_utf8(choices.0) else { return };
    let Ok(extensions) = Extension::parse_list([header]) else { return };
    if let Some((agreed, answer)) = server.agree_as_server(&extensions) {
        assert!(extensions.iter().any(|offer| offer.name() == "permessage-deflate"));
        let reparsed = Extension::parse_list([answer.to_string()]).unwrap();
        assert_eq!(reparsed, std::slice::from_ref(&answer));
        // A client that would take anything agrees.
        let by_client = Deflate::default().agree_as_client(&[answer]).unwrap().unwrap();
        assert_eq!(by_client, agreed);
    }
    if let Ok(Some(agreed)) = client.agree_as_client(&extensions) {
        let asked = Extension::to_string(&client.offer());
        assert!(!asked.contains("server_no_context_takeover") || agreed.no_context_takeover(Role::Server));
        for role in common::ROLES {
            assert!((8..=15).contains(&agreed.max_window_bits(role)));
        }
    }
}

/// Any compressed payloads: they inflate to no more than the limit, or fail, in the same way whole and in pieces.
pub fn inflate(data: &[u8]) {
    let mut choices = Choices(data);
    let limit = u64::from(choices.byte()) * 64;
    let deflate = choices.deflate();
    let (agreed, _) = deflate.agree_as_server(&list("permessage-deflate; client_max_window_bits")).unwrap();
    let config = Config::default().max_message_size(limit);
    let mut frames = Vec::new();
    let mut begun = false;
    while !choices.0.is_empty() {
        let flags = choices.byte();
        let first = if begun { common::CONTINUATION } else { 0x40 | (1 + (flags & 1)) };
        begun = flags & 2 != 0;
        let fin = if begun { 0 } else { common::FIN };
        let len = usize::from(flags >> 2);
        frames.push(common::frame(Role::Server, first | fin, choices.bytes(len)));
    }
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut server = Endpoint::new(Role::Server, &config, &deflate, agreed);
        let mut all = Vec::new();
        for piece in pieces {
            let (messages, error) = server.receive(piece, false);
            all.extend(messages);
            if error.is_some() {
                return (all, error);
            }
        }
        (all, None)
    };
    let bytes = frames.concat();
    let (messages, error) = run(&mut [&bytes[..]].into_iter());
    assert!(messages.iter().all(|message| message.len() as u64 <= limit));
    let known =
        [ProtocolError::InvalidCompressedData, ProtocolError::InvalidUtf8, ProtocolError::MessageTooBig];
    assert!(error.is_none_or(|error| known.contains(&error)), "{error:?}");
    assert_eq!(run(&mut bytes.chunks(1)), (messages, error));
}

/// Any data in any fragments: what one side compresses, the other inflates.
pub fn round_trip(data: &[u8]) {
    let mut choices = Choices(data);
    let deflate = choices.deflate();
    let offer = "permessage-deflate; client_max_window_bits";
    let (agreed, _) = deflate.agree_as_server(&list(offer)).unwrap();
    let [mut client, mut server] = Endpoint::pair(&deflate, agreed);
    while !choices.0.is_empty() {
        let flags = choices.byte();
        let (from, to) = if flags & 1 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
        let (sender, out) = from.sender();
        sender.compress(flags & 6 != 0);
        let repeats = 1 + usize::from(flags >> 6) * 30;
        let mut payload = Vec::new();
        for left in (0..=flags >> 3 & 7).rev() {
            let len = usize::from(choices.byte());
            let part = choices.bytes(len).repeat(repeats);
            sender.fragment(MessageKind::Binary, &part, left == 0, out).unwrap();
            payload.extend_from_slice(&part);
        }
        let out = from.take_out();
        let cut = usize::from(choices.byte()) % (out.len() + 1);
        let (front, back) = out.split_at(cut);
        assert_eq!(to.receive(front, flags & 2 == 0).1, None);
        let (messages, error) = to.receive(back, flags & 4 == 0);
        assert!(error.is_none() && messages.len() <= 1);
        if cut < out.len() {
            assert_eq!(messages, [Message::binary(payload)]);
        }
    }
}

#[test]
fn any_header_is_negotiated() {
    let words = [
        "permessage-deflate",
        "permessage-deflate",
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "; ",
        "; ",
        ";",
        ", ",
        ",",
        "=",
        "=",
        "8",
        "9",
        "10",
        "15",
        "16",
        "\"9\"",
        "\"",
        "\\",
        " ",
        "\t",
        "foo",
        "\u{7f}",
    ];
    let mut noise = Noise::new(1);
    let mut offered = 0;
    for _ in 0..20_000 {
        let mut data = pseudo_random(noise.below(1 << 20) as u64, 4);
        data.extend(b"permessage-deflate".repeat(noise.below(2)));
        for _ in 0..noise.below(12) {
            data.extend_from_slice(words[noise.below(words.len())].as_bytes());
        }
        negotiate(&data);
        let text = str::from_utf8(&data[4..]).unwrap();
        let parsed = Extension::parse_list([text]).unwrap_or_default();
        offered += usize::from(Deflate::default().agree_as_server(&parsed).is_some());
    }
    assert!(offered > 1000, "{offered}");
}

#[test]
fn any_payload_is_inflated() {
    let mut noise = Noise::new(2);
    for seed in 0..2000 {
        let len = noise.below(200);
        let mut data = pseudo_random(seed, len);
        if seed % 2 == 0 {
            // Something to inflate.
            let payload = Foreign::new(6).message(&pseudo_random(seed, len / 4).repeat(1 + noise.below(100)));
            data = [&data[..data.len().min(3)], &[payload.len().min(63).to_le_bytes()[0] << 2], &payload]
                .concat();
        }
        inflate(&data);
    }
}

#[test]
fn any_data_makes_the_round_trip() {
    let mut noise = Noise::new(3);
    for seed in 0..300 {
        round_trip(&pseudo_random(seed, noise.below(2000)));
    }
}

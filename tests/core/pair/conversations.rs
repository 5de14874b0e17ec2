//! Messages to and fro.

use sansocket::{Config, Message, MessageKind};

use super::link::Pair;
use crate::common::{Noise, Seen, pseudo_random, secs};

/// The messages among the events, joined.
fn messages(events: &[Seen]) -> Vec<Message> {
    let (mut messages, mut joined) = (Vec::new(), Vec::new());
    for event in events {
        if let Seen::Data { kind, last, payload, .. } = event {
            joined.extend_from_slice(payload);
            if *last {
                let payload = std::mem::take(&mut joined);
                messages.push(match kind {
                    MessageKind::Text => Message::text(String::from_utf8(payload).unwrap()),
                    MessageKind::Binary => Message::binary(payload),
                });
            }
        }
    }
    messages
}

/// 6455-5.4-06, 6455-6.2-04: what is echoed comes back as it was sent, in order, over pipes that cut
/// anywhere.
#[test]
fn echo() {
    for longest in [1, 2, 3, 7, 100, 5000, usize::MAX] {
        let mut pair = Pair::cutting(longest);
        pair.server.echoes = true;
        pair.spurious = true;
        let mut sent = Vec::new();
        for len in [0, 1, 125, 126, 1000, 65535, 65536] {
            sent.push(Message::binary(pseudo_random(1, len)));
            sent.push(Message::text("é🦀".repeat(len / 6)));
        }
        for message in &sent {
            pair.client.send(message);
        }
        pair.run_for(secs(1));
        assert_eq!(messages(&pair.server.events), sent);
        assert_eq!(messages(&pair.client.events), sent);
    }
}

/// 6455-5.4-01: both talk at once, in messages cut into fragments, with control frames among them.
#[test]
fn both_talk_at_once() {
    let mut noise = Noise::new(42);
    for round in 0..100 {
        let mut pair = Pair::cutting(1 + noise.below(50));
        let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            let payload = pseudo_random(round, noise.below(300));
            for (endpoint, sent) in
                [(&mut pair.client, &mut from_client), (&mut pair.server, &mut from_server)]
            {
                for (i, part) in payload.chunks(100).enumerate() {
                    let last = (i + 1) * 100 >= payload.len();
                    let sender = endpoint.connection.sender();
                    sender.fragment(MessageKind::Binary, part, last, &mut endpoint.out).unwrap();
                    sender.ping(part, &mut endpoint.out).unwrap();
                }
                if !payload.is_empty() {
                    sent.push(Message::binary(payload.clone()));
                }
            }
            pair.run_for(pair.delay * u32::try_from(noise.below(3)).unwrap());
        }
        pair.run_for(secs(1));
        assert_eq!(messages(&pair.server.events), from_client);
        assert_eq!(messages(&pair.client.events), from_server);
        let asked = |events: &[Seen]| events.iter().filter(|event| matches!(event, Seen::Ping(_))).count();
        let answered = |events: &[Seen]| events.iter().filter(|event| matches!(event, Seen::Pong(_))).count();
        assert_eq!(asked(&pair.server.events), answered(&pair.client.events), "each Ping is answered");
        assert_eq!(asked(&pair.client.events), answered(&pair.server.events));
    }
}

/// 6455-7.1.7-05: a message too big for the peer: it says so, and both ends come to an end.
#[test]
fn too_big_for_the_peer() {
    let mut pair = Pair::with_configs(&Config::default(), &Config::default().max_message_size(1000));
    pair.client.send(&Message::binary(vec![0; 1001]));
    pair.run_to_the_end();
    let closed = pair.client.closed.unwrap();
    assert_eq!((closed.code.get(), closed.clean), (1009, true));
    assert_eq!(pair.server.closed.unwrap().code.get(), 1006);

    let mut pair = Pair::with_configs(&Config::default().max_message_size(1000), &Config::default());
    pair.server.send(&Message::binary(vec![0; 1001]));
    pair.run_to_the_end();
    assert_eq!(pair.server.closed.unwrap().code.get(), 1009);
    assert_eq!(pair.client.closed.unwrap().code.get(), 1006);
}

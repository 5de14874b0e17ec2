//! Messages, Pings and Pongs of endpoints.

use sansocket::{Config, Message, PreparedMessage, Role};

use super::program::{Lone, Pair, World};
use super::{LEVELS, ROOMS};
use crate::common::{
    BINARY, CONTINUATION, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, frame, pseudo_random, secs,
};

/// 6455-5.4-06, 6455-6.1-10: messages of all sizes come back as they were sent, in order.
#[test]
fn echo() {
    for room in ROOMS {
        let mut pair = Pair::open(room, &Config::default());
        pair.server.echoes = true;
        let most = room.saturating_mul(10_000).min(1 << 20);
        let lengths = [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 1 << 20];
        let sent: Vec<_> = lengths
            .into_iter()
            .filter(|len| *len <= most)
            .flat_map(|len| [Message::binary(pseudo_random(1, len)), Message::text("é🦀".repeat(len / 6))])
            .collect();
        for message in &sent {
            pair.client.endpoint.send(message.clone()).unwrap();
        }
        pair.settle();
        assert_eq!(pair.server.messages, sent);
        assert_eq!(pair.client.messages, sent);
        for program in pair.both() {
            assert_eq!((program.endpoint.queued().bytes, program.endpoint.queued().messages), (0, 0));
        }
    }
}

/// 6455-5.4-06, 6455-5.5.2-02: fragments with control frames between them make one message; Pings are answered, and
/// told of, as are Pongs.
#[test]
fn fragments_and_control_frames() {
    for role in ROLES {
        for room in ROOMS {
            let mut lone = Lone::open(role, room, &Config::default());
            lone.program.echoes = true;
            lone.send_frame(FIRST_TEXT, "grü");
            lone.send_frame(PING, "between");
            lone.send_frame(CONTINUATION, "");
            lone.send_frame(PONG, "unasked");
            lone.send_frame(LAST_CONTINUATION, "ße");
            lone.send_frame(BINARY, [7; 5000]);
            lone.settle();
            assert_eq!(
                lone.program.events,
                ["ping b\"between\"", "pong b\"unasked\"", "text \"grüße\"", "Binary of 5000 bytes",]
            );
            assert_eq!(
                lone.frames(),
                [(PONG, b"between".to_vec()), (TEXT, "grüße".into()), (BINARY, vec![7; 5000])]
            );
        }
    }
}

/// A Ping is sent, and its Pong told of.
#[test]
fn ping() {
    for room in ROOMS {
        let mut pair = Pair::open(room, &Config::default());
        for program in pair.both() {
            program.endpoint.ping(b"?").unwrap();
        }
        pair.settle();
        for program in pair.both() {
            assert_eq!(program.events, ["ping b\"?\"", "pong b\"?\""]);
            assert!(program.endpoint.ping(&[0; 126]).is_err(), "too long");
        }
    }
}

/// What is sent between two rounds is due at once, and is written in the next one.
#[test]
fn sent_between_two_rounds() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        lone.settle();
        assert!(lone.program.endpoint.due().unwrap() > lone.now);
        lone.program.endpoint.send("news").unwrap();
        let news = PreparedMessage::new("news");
        lone.program.endpoint.send(&news).unwrap();
        assert_eq!(lone.program.endpoint.due(), Some(lone.now));
        assert_eq!(lone.program.endpoint.queued().messages, 2);
        lone.settle();
        assert_eq!(lone.frames(), [(TEXT, b"news".to_vec()), (TEXT, b"news".to_vec())]);
        assert!(lone.program.endpoint.due().unwrap() > lone.now);
    }
}

/// What is queued is told to the byte, and to the message.
#[test]
fn queued() {
    let mut lone = Lone::open(Role::Server, 10, &Config::default());
    lone.reads = false;
    for message in ["123456", "", "7"] {
        lone.program.endpoint.send(message).unwrap();
    }
    lone.program.endpoint.ping(b"?").unwrap();
    let queued =
        |lone: &Lone| (lone.program.endpoint.queued().messages, lone.program.endpoint.queued().bytes);
    assert_eq!(queued(&lone), (3, 8 + 2 + 3 + 3));
    lone.settle();
    assert_eq!(queued(&lone), (1, 6));
    lone.take(2);
    lone.settle();
    assert_eq!(queued(&lone), (1, 4));
    lone.take(1);
    lone.settle();
    assert_eq!(queued(&lone), (0, 3));
}

/// Who reads nothing of the echoes is not read from: no more is held than `write_buffer_size` and one message. It goes
/// on when that is read.
#[test]
fn a_peer_that_does_not_read() {
    let config = Config::default().write_buffer_size(1000);
    for role in ROLES {
        for (room, count) in [(1, 20), (7, 30), (LEVELS, 100), (4096, 200)] {
            let mut lone = Lone::open(role, room, &config);
            lone.program.echoes = true;
            lone.reads = false;
            for _ in 0..count {
                lone.send_frame(BINARY, [7; 300]);
            }
            lone.run_for(secs(29));
            let most = 1000 + 300 + 8;
            assert!(lone.program.most_queued < most, "{} bytes", lone.program.most_queued);
            assert!(lone.program.messages.len() <= (most + room) / 304 + 1);
            assert!(!lone.sends.is_empty());
            lone.reads = true;
            lone.settle();
            assert_eq!(lone.program.messages.len(), count);
            assert_eq!(lone.frames().len(), count);
            assert!(lone.program.most_queued < most);
        }
    }
}

/// The same for a program that answers after it has looked at all events of a round.
#[test]
fn answers_at_the_end_of_a_round() {
    let config = Config::default().write_buffer_size(1000);
    let mut lone = Lone::open(Role::Server, 4096, &config);
    lone.reads = false;
    let mut most = 0;
    for _ in 0..100 {
        for _ in 0..10 {
            lone.send_frame(BINARY, [7; 300]);
        }
        lone.act();
        let Lone { program, to, from, now, .. } = &mut lone;
        program.endpoint.read_from(to, *now);
        let before = program.messages.len();
        while program.next_event(*now) {}
        for message in &program.messages[before..] {
            program.endpoint.send(message.clone()).unwrap();
        }
        program.endpoint.write_to(from, *now);
        most = most.max(program.endpoint.queued().bytes);
    }
    // One round's messages, beside.
    assert!(most < 1000 + 4096 + 304 * 15, "{most} bytes");
}

/// Two programs that send each other more than all buffers hold, and not in answer to anything, do not wait for each
/// other to read.
#[test]
fn both_send_much_at_once() {
    for room in ROOMS {
        let mut pair = Pair::open(room, &Config::default().write_buffer_size(1000));
        let sent: Vec<_> = (0..100).map(|i| Message::binary(pseudo_random(i, 50 * room.min(200)))).collect();
        for program in pair.both() {
            for message in &sent {
                program.endpoint.send(message.clone()).unwrap();
            }
        }
        pair.settle();
        for program in pair.both() {
            assert_eq!(program.messages, sent);
        }
    }
}

/// Nor do two that answer each other with one message that is larger than all buffers.
#[test]
fn both_answer_much_at_once() {
    for room in ROOMS {
        let mut pair = Pair::open(room, &Config::default().write_buffer_size(1000));
        for program in pair.both() {
            program.endpoint.send("give me all you have").unwrap();
        }
        for program in pair.both() {
            program.answer = Some(Message::binary(vec![7; 20 * room.max(500)]));
        }
        pair.settle();
        for program in pair.both() {
            assert_eq!(program.messages.len(), 2);
        }
    }
}

/// 6455-5.5.3-02: who floods with Pings and reads no Pongs gets few of them, the latest among these; and is read from.
#[test]
fn pongs_that_are_not_read() {
    for role in ROLES {
        let mut lone = Lone::open(role, 100, &Config::default().write_buffer_size(500));
        lone.reads = false;
        for i in 0..10_000 {
            lone.send_frame(PING, i.to_string());
        }
        lone.send_frame(TEXT, "last");
        lone.settle();
        assert_eq!(lone.program.events.len(), 10_001);
        assert!(lone.program.most_queued < 520, "{} bytes", lone.program.most_queued);
        lone.reads = true;
        lone.settle();
        assert_eq!(lone.frames().last(), Some(&(PONG, b"9999".to_vec())));
    }
}

/// In one round no more is read than others can wait for, whatever the peer sends; what is left is due at once.
#[test]
fn a_flood_does_not_keep_others_from_their_turn() {
    for role in ROLES {
        let mut lone = Lone::open(role, 2 << 20, &Config::default());
        let frames = frame(role, TEXT, b"again").repeat(100_000);
        lone.send(frames);
        lone.act();
        let mut rounds = 0;
        loop {
            let before = lone.program.messages.len();
            lone.program.round(lone.now);
            rounds += 1;
            let count = lone.program.messages.len() - before;
            assert!(count < 50_000, "{count} in one round");
            if lone.program.endpoint.due() > Some(lone.now) {
                break;
            }
        }
        assert!(rounds > 4);
        assert_eq!(lone.program.messages.len(), 100_000);
    }
}

/// Compressed both ways, if that was agreed on.
#[cfg(feature = "deflate")]
#[test]
fn deflate() {
    for room in ROOMS {
        let config = Config::default().deflate(sansocket::Deflate::default());
        let mut pair = Pair::open(room, &config);
        pair.server.echoes = true;
        let text = Message::text("sansocket ".repeat(100 * room.min(100)));
        for _ in 0..3 {
            pair.client.endpoint.send(text.clone()).unwrap();
        }
        let queued = pair.client.endpoint.queued();
        assert!(queued.bytes < 3000 && queued.messages == 3, "{queued:?}");
        pair.settle();
        assert_eq!(pair.client.messages, [text.clone(), text.clone(), text]);
        assert!(pair.client.endpoint.negotiated().unwrap().deflate().is_some());
        assert!(pair.server.endpoint.negotiated().unwrap().deflate().is_some());
    }
}

//! Messages, their parts, and Pings, whole WebSockets.

use std::io::{ErrorKind, Write as _};
use std::thread;

use sansocket::blocking::{Incoming, Part, WebSocket};
use sansocket::{CloseCode, Config, Error, Message, MessageKind, PreparedMessage, Role, SendError};

use crate::common::{
    BINARY, CONTINUATION, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, TEXT, announced, frame, sent,
    texts,
};
use crate::peer::{pair, with_peer};
use crate::script::{Read, Script, Write};

/// 6455-5.4-06, 6455-6.1-10: messages of all sizes arrive whole and in the order sent, both ways.
#[test]
fn messages_pass_in_order() {
    let lengths = [0usize, 1, 125, 126, 127, 1024, 4095, 4096, 4097, 65_535, 65_536, 1_000_000];
    let (mut client, mut server) = pair(&Config::default());
    let echo = thread::spawn(move || {
        while let Some(message) = server.recv().unwrap() {
            server.send(message).unwrap();
        }
    });
    for len in lengths {
        let binary = Message::binary((0..len).map(|i| i as u8).collect::<Vec<_>>());
        let text = Message::text("ü".repeat(len / 2));
        for message in [binary, text] {
            client.send(message.clone()).unwrap();
            assert_eq!(client.recv().unwrap(), Some(message));
        }
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    echo.join().unwrap();
}

/// One frame for many connections, whole and split: each peer receives it.
#[test]
fn framed_once() {
    for role in ROLES {
        for len in [0, 125, 126, 4000, 5000, 70_000] {
            let framed = PreparedMessage::new(vec![7; len]);
            for split in [false, true] {
                let (mut ws, mut peer) = with_peer(role, &Config::default());
                if split {
                    ws.split().unwrap().0.send_prepared(&framed).unwrap();
                } else {
                    ws.send_prepared(&framed).unwrap();
                    ws.start_close(None).unwrap();
                    assert!(matches!(ws.send_prepared(&framed), Err(Error::Send(SendError::Closing))));
                    drop(ws);
                }
                assert_eq!(peer.frame(), Some((BINARY, vec![7; len])));
            }
        }
    }
}

/// Bytes may come one by one, with timeouts and interruptions between; fragments are joined, Pings
/// answered and Pongs shown to those who ask.
#[test]
fn cut_and_interrupted() {
    for role in ROLES {
        let bytes = [
            frame(role, FIRST_TEXT, "grü".as_bytes()),
            frame(role, PING, b"between"),
            frame(role, PONG, b"unasked"),
            frame(role, LAST_CONTINUATION, "ße".as_bytes()),
            frame(role, BINARY, &[1; 300]),
        ]
        .concat();
        for incoming in [true, false] {
            let faults = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
            let reads = bytes.iter().zip(faults.iter().cycle());
            let reads = reads.flat_map(|(byte, kind)| [Read::Error(*kind), Read::Bytes(vec![*byte])]);
            let writes = faults.map(|_| Write::Error(ErrorKind::Interrupted));
            let script = Script::new(reads, writes);
            let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
            if incoming {
                assert_eq!(ws.recv_incoming().unwrap(), Some(Incoming::Ping(b"between"[..].into())));
                assert_eq!(ws.recv_incoming().unwrap(), Some(Incoming::Pong(b"unasked"[..].into())));
            }
            assert_eq!(ws.recv().unwrap(), Some(Message::text("grüße")));
            assert_eq!(ws.recv().unwrap(), Some(Message::binary([1; 300].to_vec())));
            let record = script.record();
            assert_eq!(sent(role, &record.written), [(PONG, b"between".to_vec())]);
            assert_eq!(record.flushed, record.written.len());
        }
    }
}

/// Text is put together of what each read brings, while messages before it are held; in frames or in fragments.
#[test]
fn text_arrives_in_pieces() {
    for role in ROLES {
        for len in [1, 5000, 70_000, 300_000] {
            let (texts, bytes) = texts(role, len);
            for read in [1, 1021, 50_001, 200_003].into_iter().filter(|read| bytes.len() / read < 8000) {
                let reads = bytes.chunks(read).map(|bytes| Read::Bytes(bytes.to_vec()));
                let script = Script::new(reads.chain([Read::End]), []);
                let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default()).unwrap();
                let received: Vec<_> = std::iter::from_fn(|| ws.recv().ok().flatten()).collect();
                assert!(received == texts, "{len} {read}");
            }
        }
    }
}

/// Fed messages are sent by `flush`, by `recv` before it waits, and when the buffer is full; short
/// writes lose nothing.
#[test]
fn feed_is_flushed() {
    for role in ROLES {
        let script = Script::new([Read::Bytes(frame(role, TEXT, b"text"))], []);
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
        ws.feed("one").unwrap();
        ws.feed("two").unwrap();
        assert_eq!(script.record().writes, 0);
        ws.flush().unwrap();
        assert_eq!((script.record().writes, script.record().flushed), (1, script.record().written.len()));
        ws.feed("three").unwrap();
        ws.recv().unwrap();
        let messages = ["one", "two", "three"].map(|text| (TEXT, text.as_bytes().to_vec()));
        assert_eq!(sent(role, &script.record().written), messages);

        let payloads = [vec![1; 10], vec![2; 5000], vec![], vec![3; 4096], vec![4; 9000], vec![5; 3]];
        for most in [1, 7, 4097] {
            let script = Script::new([], (0..20_000).map(|_| Write::Take(most)));
            let config = Config::default().write_buffer_size(6000);
            let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap();
            for payload in &payloads {
                ws.feed(payload.clone()).unwrap();
            }
            ws.flush().unwrap();
            let expected: Vec<_> = payloads.iter().map(|payload| (BINARY, payload.clone())).collect();
            assert_eq!(sent(role, &script.record().written), expected);
        }
    }
}

/// The parts of messages, received and skipped.
#[test]
fn parts() {
    let part = |first, last, payload: &[u8]| Part::new(MessageKind::Text, first, last, payload.to_vec());
    for role in ROLES {
        let cut = if role == Role::Server { 8 } else { 4 };
        let (one, two) = (frame(role, FIRST_TEXT, b"one"), frame(role, CONTINUATION, b"two"));
        let reads = [
            Read::Bytes(one[..cut].to_vec()),
            Read::Bytes([&one[cut..], &frame(role, LAST_CONTINUATION, b"end")].concat()),
            // Skipped after its first part.
            Read::Bytes(one.clone()),
            Read::Bytes([two, frame(role, PING, b"?"), frame(role, LAST_CONTINUATION, b"end")].concat()),
            Read::Bytes(frame(role, TEXT, b"whole")),
        ];
        let mut ws = WebSocket::from_upgraded(Script::new(reads, []), role, b"", &Config::default()).unwrap();
        assert_eq!(ws.recv_part().unwrap(), Some(part(true, false, b"on")));
        assert_eq!(ws.recv_part().unwrap(), Some(part(false, false, b"e")));
        assert_eq!(ws.recv_part().unwrap(), Some(part(false, true, b"end")));
        assert_eq!(ws.recv_part().unwrap(), Some(part(true, false, b"one")));
        assert_eq!(ws.recv().unwrap(), Some(Message::text("whole")));
    }
}

/// A frame of 1 GiB arrives in parts, none of which is large.
#[test]
fn a_huge_frame_in_parts() {
    const GIB: u64 = 1 << 30;
    let config = Config::default().max_message_size(GIB).max_frame_size(GIB);
    let head = Read::Bytes(announced(Role::Client, BINARY, GIB));
    let script = Script::new([head], []).flooding(vec![7; 64 << 10]);
    let mut ws = WebSocket::from_upgraded(script, Role::Client, b"", &config).unwrap();
    let mut len = 0;
    while len < GIB {
        let part = ws.recv_part().unwrap().unwrap();
        assert!(part.payload.len() <= 128 << 10, "a part of {} bytes", part.payload.len());
        len += part.payload.len() as u64;
    }
}

/// Parts and what is written to a `MessageWriter` are sent as fragments of one message.
#[test]
fn fragments_are_sent() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, &Config::default());
        ws.feed_part(MessageKind::Text, &b"\xc3"[..], false).unwrap();
        ws.ping(b"between").unwrap();
        assert!(matches!(ws.send("x"), Err(Error::Send(SendError::MessageInProgress))));
        ws.feed_part(MessageKind::Text, &b"\xbc"[..], true).unwrap();
        let mut writer = ws.message_writer(MessageKind::Binary);
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        writer.finish().unwrap();
        ws.pong(b"unasked").unwrap();
        let frames: Vec<_> = (0..7).map(|_| peer.frame().unwrap()).collect();
        let expected = [
            (FIRST_TEXT, &b"\xc3"[..]),
            (PING, b"between"),
            (LAST_CONTINUATION, b"\xbc"),
            (0x02, b"one"),
            (CONTINUATION, b"two"),
            (LAST_CONTINUATION, b""),
            (PONG, b"unasked"),
        ];
        assert_eq!(frames, expected.map(|(first, payload)| (first, payload.to_vec())));
    }
}

/// Bytes that were read with the end of the opening handshake are the first to be received.
#[test]
fn read_ahead_comes_first() {
    for role in ROLES {
        let bytes = [frame(role, TEXT, b"first"), frame(role, TEXT, b"second")].concat();
        for cut in 0..=bytes.len() {
            let script = Script::new(
                [Read::Bytes(bytes[cut..].to_vec())].into_iter().filter(|_| cut < bytes.len()),
                [],
            );
            let mut ws = WebSocket::from_upgraded(script, role, &bytes[..cut], &Config::default()).unwrap();
            assert_eq!(ws.recv().unwrap(), Some(Message::text("first")));
            assert_eq!(ws.recv().unwrap(), Some(Message::text("second")));
        }
    }
}

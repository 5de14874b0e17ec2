//! Messages, their parts, and Pings, whole WebSockets.

use std::io::{ErrorKind, Write as _};

use sansocket::blocking::{Incoming, WebSocket};
use sansocket::{Config, Error, Message, MessageKind, SendError};

use crate::common::{BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, frame, sent};
use crate::script::{Read, Script, Write};

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

/// Text that cannot be valid is refused by the write, and is in nobody's way: what is sent next goes through. What is only cut
/// is refused where it ends.
#[test]
fn text_that_is_not_valid() {
    for role in ROLES {
        for before in [&b""[..], b"ab", b"\xe2\x82"] {
            let script = Script::new([], []);
            let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
            let mut writer = ws.message_writer(MessageKind::Text);
            writer.write_all(before).unwrap();
            let error = writer.write_all(b"\xff").unwrap_err();
            assert!(error.to_string().contains("UTF-8"), "{error}");
            ws.ping(b"?").unwrap();
            assert_eq!(sent(role, &script.record().written).pop(), Some((PING, b"?".to_vec())));
        }
        let script = Script::new([], []);
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
        let mut writer = ws.message_writer(MessageKind::Text);
        writer.write_all(b"\xe2\x82").unwrap();
        assert!(matches!(writer.finish(), Err(Error::Send(SendError::InvalidUtf8))));
        ws.ping(b"?").unwrap();
    }
}

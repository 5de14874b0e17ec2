//! Messages, their parts, and Pings, whole WebSockets.

use std::io::ErrorKind;

use sansocket::blocking::{Incoming, WebSocket};
use sansocket::{Config, Message};

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

//! A transport that takes bytes, and fails when it is to pass them on: one of another kind is in `tests/twins`.

use std::io::ErrorKind;

use sansocket::blocking::WebSocket;
use sansocket::{Config, Error, Message};

use crate::common::{ROLES, TEXT, frame};
use crate::script::{Read, Script, Write};

/// A transport that takes bytes, and fails to pass them on, fails what is sent; what the peer had sent is received.
#[test]
fn flushes_fail() {
    for role in ROLES {
        let reads = [Read::Bytes(frame(role, TEXT, b"one")), Read::End];
        let script = Script::new(reads, [Write::FlushError(ErrorKind::BrokenPipe)]);
        let mut ws = WebSocket::from_upgraded(script, role, b"", &Config::default()).unwrap();
        assert!(matches!(ws.send("lost"), Err(Error::ConnectionLost(_))));
        assert!(matches!(ws.send("x"), Err(Error::ConnectionLost(_))));
        assert_eq!(ws.recv().unwrap(), Some(Message::text("one")));
        assert!(matches!(ws.recv(), Err(Error::ConnectionLost(_))));
    }
}

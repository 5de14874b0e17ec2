//! The other end of a connection: frames read and written by hand; and pairs of WebSockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use sansocket::blocking::WebSocket;
use sansocket::{Config, Role};

use crate::common::{Sent, naive};

/// A peer that speaks the protocol by hand.
pub struct Peer<S> {
    pub io: S,
    /// The role of the WebSocket at the other end.
    to: Role,
    input: Vec<u8>,
}

impl<S: Read + Write> Peer<S> {
    pub fn new(io: S, to: Role) -> Self {
        Self { io, to, input: Vec::new() }
    }

    /// The next frame; `None` at the end of the transport.
    pub fn frame(&mut self) -> Option<Sent> {
        loop {
            if let Some(frame) = naive::decode(&self.input).expect("a valid frame") {
                assert_eq!(frame.masked, self.to == Role::Client, "a client masks, a server does not");
                self.input.drain(..frame.len);
                return Some((frame.first, frame.payload));
            }
            let mut bytes = [0; 4096];
            let len = self.io.read(&mut bytes).unwrap();
            if len == 0 {
                assert!(self.input.is_empty(), "an incomplete frame: {:02x?}", self.input);
                return None;
            }
            self.input.extend_from_slice(&bytes[..len]);
        }
    }
}

/// A WebSocket in `role`, and its peer, over a socket pair.
pub fn with_peer(role: Role, config: &Config) -> (WebSocket<UnixStream>, Peer<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    (WebSocket::from_upgraded(near, role, b"", config).unwrap(), Peer::new(far, role))
}

/// A client and a server over a socket pair.
pub fn pair(config: &Config) -> (WebSocket<UnixStream>, WebSocket<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    let client = WebSocket::from_upgraded(near, Role::Client, b"", config).unwrap();
    (client, WebSocket::from_upgraded(far, Role::Server, b"", config).unwrap())
}

//! What attacks on the servers have in common: a server in a state that is known before and after, and a client that
//! speaks the protocol by hand.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::connect;
use sansocket::{CloseCode, Message};
use socket2::SockRef;

use crate::common::{Sent, naive};
use crate::process::{PATIENCE, SERVERS, Server};

pub const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub const MIB: usize = 1 << 20;

/// Attacks both servers, each in a state that is known.
#[track_caller]
pub fn attack(args: &[&str], attack: impl Fn(&Server)) {
    for name in SERVERS {
        attack_one(name, args, &attack);
    }
}

#[track_caller]
fn attack_one(name: &str, args: &[&str], attack: impl Fn(&Server)) {
    let server = Server::start(name, args);
    serves(&server);
    let (mut open, mut used) = (0, 0);
    poll_until("its first client to be gone", || {
        let before = (open, used);
        (open, used) = (descriptors(&server), memory(&server, "VmRSS"));
        before == (open, used)
    });
    attack(&server);
    serves(&server);
    poll_until("the descriptors to be back", || descriptors(&server) == open);
    poll_until("the memory to be back", || memory(&server, "VmRSS") < used + 16 * MIB);
    assert_eq!(server.stop("TERM"), Some(0));
}

/// A whole conversation.
#[track_caller]
pub fn serves(server: &Server) {
    let mut ws = connect(&*server.url).unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
        ws.send(message.clone()).unwrap();
        assert_eq!(ws.recv().unwrap(), Some(message));
    }
    ws.close(CloseCode::NORMAL, "").unwrap();
}

#[track_caller]
pub fn poll_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

/// A figure of the process's memory, in bytes.
pub fn memory(server: &Server, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap();
    kib << 10
}

/// Reads until the server ends the connection.
pub fn read_all(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whether this is what a connection ends with that the other side has dropped.
pub fn is_lost(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A client that speaks the protocol by hand, once its connection is open.
pub struct Peer {
    pub tcp: TcpStream,
    input: Vec<u8>,
}

impl Peer {
    #[track_caller]
    pub fn open(server: &Server) -> Self {
        let mut tcp = server.connect();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        // What is not read is to be the server's affair, not the system's.
        SockRef::from(&tcp).set_recv_buffer_size(64 << 10).unwrap();
        tcp.write_all(REQUEST).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tcp.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Self { tcp, input: Vec::new() }
    }

    pub fn read_a_byte(&mut self) {
        // It may have ended.
        let _ = self.tcp.read(&mut [0]);
    }

    /// The next frame; `None` at the end of the connection.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Sent> {
        loop {
            if let Some(frame) = naive::decode(&self.input).unwrap() {
                self.input.drain(..frame.len);
                return Some((frame.first, frame.payload));
            }
            let mut bytes = [0; 16 << 10];
            match self.tcp.read(&mut bytes).unwrap() {
                0 => return None,
                len => self.input.extend_from_slice(&bytes[..len]),
            }
        }
    }
}

//! In steady state a message allocates nothing in the core.
#![cfg(feature = "std")]

use std::time::Instant;

use sansocket::{Config, Connection, Event};

use crate::common::{self, pseudo_random, random};

/// An endpoint with buffers that are kept, as an adapter keeps them.
struct Endpoint {
    connection: Connection<Instant>,
    input: Vec<u8>,
    out: Vec<u8>,
}

impl Endpoint {
    fn new(connection: Connection<Instant>) -> Self {
        Self { connection, input: Vec::new(), out: Vec::new() }
    }

    /// Takes what the peer wrote, in pieces of at most `longest` bytes; hands each event to `handle`.
    fn receive(
        &mut self,
        from: &mut Vec<u8>,
        longest: usize,
        now: Instant,
        mut handle: impl FnMut(Event<'_>, &mut Vec<u8>, &mut Connection<Instant>),
    ) {
        for piece in from.chunks(longest) {
            self.input.extend_from_slice(piece);
            while let Some(received) = self.connection.receive(&mut self.input, now, &mut self.out).unwrap() {
                if let Some(event) = received.event(&self.input) {
                    // The event borrows the input, and the answer goes to `out`.
                    handle(event, &mut self.out, &mut self.connection);
                }
                self.input.drain(..received.consumed());
            }
        }
        from.clear();
    }
}

/// How many allocations `messages` echoes of a payload take, after warming up.
fn allocations(longest: usize, mut send: impl FnMut(&mut Connection<Instant>, &[u8], &mut Vec<u8>)) -> u64 {
    let now = common::start();
    let config = Config::default();
    let mut client = Endpoint::new(Connection::client(&config, random, now));
    let mut server = Endpoint::new(Connection::server(&config, now));
    let payload = pseudo_random(1, 1024);
    let mut echo = |times: usize| {
        for _ in 0..times {
            send(&mut client.connection, &payload, &mut client.out);
            let mut replies = 0;
            server.receive(&mut client.out, longest, now, |event, out, connection| {
                if let Event::Data(part) = event {
                    connection.sender().fragment(part.kind, part.payload, part.last, out).unwrap();
                }
            });
            client.receive(&mut server.out, longest, now, |event, _, _| match event {
                Event::Data(part) => replies += part.payload.len(),
                event => assert_eq!(event, Event::Pong(b"ping")),
            });
            assert_eq!(replies, payload.len());
        }
    };
    echo(10);
    allocation_counter::measure(|| echo(1000)).count_total
}

/// An echo of 1 KiB, from client to server and back, arriving at once and in pieces.
#[test]
fn an_echo_allocates_nothing() {
    for longest in [usize::MAX, 100, 1] {
        let whole = allocations(longest, |connection, payload, out| {
            connection.sender().binary(payload, out).unwrap();
        });
        assert_eq!(whole, 0, "in pieces of {longest}");
    }
}

/// The same in fragments, with Pings that are answered between them.
#[test]
fn fragments_and_pings_allocate_nothing() {
    let count = allocations(usize::MAX, |connection, payload, out| {
        let sender = connection.sender();
        let (front, back) = payload.split_at(500);
        sender.fragment(sansocket::MessageKind::Binary, front, false, out).unwrap();
        sender.ping(b"ping", out).unwrap();
        sender.fragment(sansocket::MessageKind::Binary, back, true, out).unwrap();
    });
    assert_eq!(count, 0);
}

/// Pings held back while the output is full share the memory of the first.
#[test]
fn held_pongs_allocate_once() {
    let now = common::start();
    let mut server = Connection::server(&Config::default().write_buffer_size(10), now);
    let mut full = vec![0; 11];
    let ping = common::frame(sansocket::Role::Server, common::PING, &[7; 125]);
    let mut input = Vec::with_capacity(ping.len());
    let count = allocation_counter::measure(|| {
        for _ in 0..1000 {
            input.extend_from_slice(&ping);
            let received = server.receive(&mut input, now, &mut full).unwrap().unwrap();
            input.drain(..received.consumed());
        }
    });
    assert_eq!((count.count_total, full.len()), (1, 11));
}

/// What a frame announces is not reserved: a header that speaks of 2^62 bytes costs nothing.
#[test]
fn an_announced_length_reserves_nothing() {
    let now = common::start();
    let config = Config::default().max_frame_size(u64::MAX).max_message_size(u64::MAX);
    let mut server = Connection::server(&config, now);
    let mut input = common::announced(sansocket::Role::Server, common::BINARY, 1 << 62);
    let mut out = Vec::new();
    let count = allocation_counter::measure(|| {
        assert_eq!(server.receive(&mut input, now, &mut out), Ok(None));
    });
    assert_eq!(count.count_total, 0);
}

//! Endpoints in steady state: an echo allocates nothing, and one that waits is small.
#![cfg(all(feature = "std", feature = "handshake"))]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};

use sansocket::handshake::Reply;
use sansocket::{Endpoint, EndpointEvent, Message, Role, Server};

use crate::common::{BINARY, frame, start};

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a client sends, which reads everything.
struct Input(VecDeque<u8>);

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buf) }
    }
}

/// A server that echoes, and as much as came of it.
fn go_round(server: &mut Endpoint, input: &mut Input) -> usize {
    let (now, mut echoes) = (start(), 0);
    server.read_from(input, now);
    while let Some(event) = server.next_event().unwrap() {
        match event {
            EndpointEvent::Request => server.accept(now),
            EndpointEvent::Message(message) => {
                echoes += 1;
                server.send(message).unwrap();
            }
            _ => {}
        }
    }
    server.write_to(&mut io::sink(), now);
    echoes
}

fn open(input: &mut Input) -> Endpoint {
    let mut server = Endpoint::server(&Server::default(), start());
    input.0.extend(REQUEST);
    go_round(&mut server, input);
    server
}

#[test]
fn an_endpoint_s_echo_allocates_nothing() {
    for size in [16, 1024, 3000] {
        let frame = frame(Role::Server, BINARY, &vec![7; size]);
        let mut input = Input(VecDeque::with_capacity(10 * frame.len()));
        let mut server = open(&mut input);
        let mut echo = |together: usize| {
            for _ in 0..100 {
                (0..together).for_each(|_| input.0.extend(&frame));
                assert_eq!(go_round(&mut server, &mut input), together);
            }
        };
        for together in [1, 8] {
            echo(together);
            let allocations = allocation_counter::measure(|| echo(together)).count_total;
            println!("endpoint: {allocations} allocations, {size} bytes, {together} at once");
            assert_eq!(allocations, 0);
        }
    }
}

/// It holds no buffer while it waits, however much it has received.
#[test]
fn an_endpoint_that_waits_is_small() {
    let mut input = Input(VecDeque::with_capacity(1 << 20));
    let message = Message::binary(vec![7; 100_000]);
    let frame = frame(Role::Server, BINARY, message.payload());
    let mut waiting = Vec::with_capacity(11);
    let mut wait = |servers: usize| {
        for _ in 0..servers {
            let mut server = open(&mut input);
            input.0.extend(&frame);
            while !input.0.is_empty() {
                go_round(&mut server, &mut input);
            }
            go_round(&mut server, &mut input);
            waiting.push(server);
        }
    };
    // What the thread keeps for all connections.
    wait(1);
    let held = allocation_counter::measure(|| wait(10));
    let bytes = usize::try_from(held.bytes_current).unwrap() / 10 + size_of::<Endpoint>();
    println!("an endpoint that waits: {bytes} bytes");
    assert!(bytes <= 800, "{bytes} bytes");
}

/// A client that does not read a page holds a part of it.
#[test]
fn a_page_that_is_not_read_is_not_copied() {
    struct Deaf;

    impl io::Write for Deaf {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let page = Reply::ok().body(vec![b'x'; 1 << 20]);
    let mut server = Endpoint::server(&Server::default(), start());
    let mut input = Input(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".iter().copied().collect());
    let held = allocation_counter::measure(|| {
        server.read_from(&mut input, start());
        while server.next_event().unwrap().is_some() {}
        server.respond(&page, start());
        server.write_to(&mut Deaf, start());
    });
    println!("a page of 1 MiB that is not read: {} bytes", held.bytes_max);
    assert!(held.bytes_max <= 150_000, "{} bytes", held.bytes_max);
}

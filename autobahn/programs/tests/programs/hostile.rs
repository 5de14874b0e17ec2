//! Hostile peers over real sockets: clients that mean harm to the echo servers. After each of
//! them the server serves the next client, its memory is near to what it was, and no file descriptor is
//! left.
//!
//! Sockets, processes and memory are real here, and so are the timeouts: what is waited for is polled, and
//! has a deadline.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use sansocket::Role;
use socket2::SockRef;

use crate::attack::{MIB, Peer, REQUEST, attack, descriptors, is_lost, memory, poll_until, read_all, serves};
use crate::common::{
    BINARY, CLOSE, CONTINUATION, FIRST_TEXT, PING, PONG, TEXT, announced, close_payload, frame,
};
use crate::process::{PATIENCE, SERVERS, Server};

/// Clients that send their requests a byte at a time have so much time, and no more.
#[test]
fn slow_loris() {
    attack(&["--handshake-timeout", "1"], |server| {
        let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        let dribbling = clients.into_iter().map(|tcp| thread::spawn(move || dribble(tcp)));
        for dribbled in dribbling.collect::<Vec<_>>() {
            let (sent, answer) = dribbled.join().unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
            assert!(sent < 10_000, "it was not dropped in time");
        }
    });
}

#[test]
fn clients_that_send_nothing() {
    attack(&["--handshake-timeout", "1"], |server| {
        let clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for mut tcp in clients {
            let answer = read_all(&mut tcp);
            assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
        }
    });
}

#[test]
fn a_thousand_headers() {
    attack(&[], |server| {
        let mut tcp = server.connect();
        let mut request = b"GET / HTTP/1.1\r\n".to_vec();
        for number in 0..1000 {
            write!(request, "A: {number}\r\n").unwrap();
        }
        request.extend_from_slice(b"\r\n");
        tcp.write_all(&request).unwrap();
        let answer = read_all(&mut tcp);
        assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn an_endless_header() {
    attack(&[], |server| {
        let mut tcp = server.connect();
        let part = b"a".repeat(64 << 10);
        tcp.write_all(b"GET / HTTP/1.1\r\nA: ").unwrap();
        tcp.write_all(&part).unwrap();
        let mut answer = [0; 13];
        tcp.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431 ");
        // It goes on and on, until the server hangs up.
        let deadline = Instant::now() + PATIENCE;
        while tcp.write_all(&part).is_ok() {
            assert!(Instant::now() < deadline, "the server listens for ever");
        }
    });
}

#[test]
fn a_frame_of_4_exbibytes() {
    attack(&[], |server| {
        let mut peer = Peer::open(server);
        peer.tcp.write_all(&announced(Role::Server, BINARY, 1 << 62)).unwrap();
        assert_eq!(peer.frame(), Some((CLOSE, close_payload(1009, "a frame is larger than the limit"))));
    });
}

#[test]
fn a_million_empty_fragments() {
    attack(&[], |server| {
        let mut peer = Peer::open(server);
        peer.tcp.write_all(&frame(Role::Server, FIRST_TEXT, b"")).unwrap();
        peer.tcp.write_all(&frame(Role::Server, CONTINUATION, b"").repeat(1_000_000)).unwrap();
        assert_eq!(
            peer.frame(),
            Some((CLOSE, close_payload(1008, "a message has more fragments than the limit")))
        );
    });
}

/// The server reads on and answers the latest, as RFC 6455 section 5.5.3 allows.
#[test]
fn pings_whose_pongs_are_not_read() {
    let flood = |server: &Server| {
        let mut peer = Peer::open(server);
        let mut pings = Vec::new();
        for number in 0..100_000_u32 {
            let mut payload = [0; 125];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            pings.extend_from_slice(&frame(Role::Server, PING, &payload));
        }
        let written = peer.tcp.write_all(&pings);
        (peer, written)
    };
    attack(&[], |server| {
        let (mut peer, written) = flood(server);
        written.unwrap();
        let (mut last, mut count) = (None, 0);
        while last != Some(99_999) {
            let (first, payload) = peer.frame().unwrap();
            assert_eq!((first, payload.len()), (PONG, 125));
            let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
            assert!(last < Some(number), "in order");
            (last, count) = (Some(number), count + 1);
        }
        assert!(count < 100_000, "the transport holds all of them: this tests nothing");
    });
    // For so long, but not for ever.
    attack(&["--write-timeout", "1"], |server| {
        let (mut peer, mut written) = flood(server);
        let ping = frame(Role::Server, PING, &[0; 125]).repeat(1000);
        for _ in 0..100_000 {
            written = written.and_then(|()| peer.tcp.write_all(&ping));
        }
        assert!(is_lost(&written.unwrap_err()));
    });
}

/// An echo of 1 GiB is asked for, and none of it is read.
#[test]
fn a_peer_that_never_reads() {
    attack(&["--write-timeout", "1"], |server| {
        let mut peer = Peer::open(server);
        let message = frame(Role::Server, BINARY, &b"a".repeat(64 << 10));
        let (before, mut written) = (memory(server, "VmRSS"), Ok(()));
        for number in 0..(1 << 30) / (64 << 10) {
            written = peer.tcp.write_all(&message);
            if written.is_err() {
                break;
            }
            if number % 64 == 0 {
                assert!(memory(server, "VmRSS") < before + 16 * MIB);
            }
        }
        assert!(is_lost(&written.unwrap_err()));
        assert!(memory(server, "VmRSS") < before + 16 * MIB);
    });
}

/// A message is sent back of which nothing is read, or a byte now and then, while Pings keep coming: the server has so
/// much time for it, and no more.
#[test]
fn peers_that_speak_and_hardly_read() {
    for read in READS {
        attack(&["--write-timeout", "1", "--keepalive", "60"], |server| {
            let mut peers: Vec<_> = (0..2).map(|_| Peer::open(server)).collect();
            for peer in &mut peers {
                peer.tcp.write_all(&frame(Role::Server, BINARY, &vec![7; 8 * MIB])).unwrap();
            }
            until_lost(&mut peers, read);
        });
    }
}

/// A byte of a frame now and then is as good as silence. Those that keep the least rate are borne with, though they cannot
/// answer a Ping before the frame is complete.
#[test]
fn a_frame_a_byte_at_a_time() {
    attack(&["--keepalive", "1"], |server| {
        let mut slow: Vec<_> = (0..5).map(|_| Peer::open(server)).collect();
        let mut steady = Peer::open(server);
        for peer in slow.iter_mut().chain([&mut steady]) {
            peer.tcp.write_all(&announced(Role::Server, BINARY, 1 << 20)).unwrap();
        }
        let (start, mut lost) = (Instant::now(), None);
        while lost.is_none_or(|lost: Instant| lost.elapsed() < Duration::from_secs(2)) {
            assert!(start.elapsed() < PATIENCE / 2, "{} of them are borne with", slow.len());
            thread::sleep(Duration::from_millis(50));
            slow.retain_mut(|peer| peer.tcp.write_all(b"a").is_ok());
            steady.tcp.write_all(&[b'a'; 100]).unwrap();
            if slow.is_empty() {
                lost.get_or_insert_with(Instant::now);
            }
        }
    });
}

/// Echoes of small messages that are not read hold no more than the limits say, though each may have come alone in a large
/// buffer: 64 KiB that wait to be written, and the buffer of at most 128 KiB that they keep alive, and 64 KiB that are read
/// ahead, in a buffer of at most twice that.
#[test]
fn small_messages_that_are_not_read() {
    const PEERS: usize = 16;
    attack(&["--write-timeout", "60", "--keepalive", "60"], |server| {
        let messages = frame(Role::Server, BINARY, &[7; 4096]).repeat(16);
        let mut peers: Vec<_> = (0..PEERS).map(|_| (Peer::open(server), 0)).collect();
        // Each has been answered once: a thread's stack, if it has one, is no message.
        for (peer, _) in &mut peers {
            peer.tcp.write_all(&frame(Role::Server, BINARY, &[7; 4096])).unwrap();
            assert_eq!(peer.frame().unwrap().1.len(), 4096);
        }
        let before = memory(server, "VmRSS");
        let mut idle = 0;
        while idle < 20 {
            let mut wrote = false;
            for (peer, at) in &mut peers {
                peer.tcp.set_nonblocking(true).unwrap();
                while let Ok(len) = peer.tcp.write(&messages[*at..]) {
                    *at = (*at + len) % messages.len();
                    wrote = true;
                }
            }
            idle = if wrote { 0 } else { idle + 1 };
            thread::sleep(Duration::from_millis(10));
        }
        let held = memory(server, "VmRSS") - before;
        assert!(
            held < PEERS * (320 << 10) * 11 / 10,
            "{} KiB for each, {}",
            (held / PEERS) >> 10,
            server.url
        );
    });
}

/// A text in many fragments takes a quarter more than its bytes at most.
#[test]
fn a_text_in_many_fragments() {
    attack(&[], |server| {
        let mut peer = Peer::open(server);
        let before = memory(server, "VmRSS");
        let (part, parts) = (frame(Role::Server, CONTINUATION, &[b'a'; 700]), 34 * MIB / 700);
        peer.tcp.write_all(&frame(Role::Server, FIRST_TEXT, b"")).unwrap();
        for _ in 0..parts / 1000 {
            peer.tcp.write_all(&part.repeat(1000)).unwrap();
        }
        peer.tcp.write_all(&frame(Role::Server, CONTINUATION | 0x80, b"")).unwrap();
        let (first, payload) = peer.frame().unwrap();
        assert_eq!((first, payload.len()), (TEXT, parts / 1000 * 1000 * 700));
        let held = memory(server, "VmHWM") - before;
        assert!(held < payload.len() * 5 / 4 + MIB, "{} % of its bytes", held * 100 / payload.len());
    });
}

/// The closing handshake has so much time, and no more: of peers that read nothing of what is to go before the Close frame,
/// or a byte now and then.
#[test]
fn a_closing_that_is_not_taken() {
    let closes =
        [frame(Role::Server, CLOSE, &close_payload(1000, "")), announced(Role::Server, BINARY, 1 << 62)];
    for read in READS {
        for close in &closes {
            attack(&["--close-timeout", "1", "--keepalive", "60", "--write-timeout", "60"], |server| {
                let mut peers: Vec<_> = (0..5).map(|_| Peer::open(server)).collect();
                for peer in &mut peers {
                    // The Pongs are more than all buffers hold.
                    peer.tcp.write_all(&frame(Role::Server, PING, &[0; 125]).repeat(60_000)).unwrap();
                    peer.tcp.write_all(close).unwrap();
                }
                until_lost(&mut peers, read);
            });
        }
    }
}

/// Sends Pings until the server has dropped all of these connections.
#[track_caller]
fn until_lost(peers: &mut Vec<Peer>, mut also: impl FnMut(&mut Peer)) {
    let start = Instant::now();
    let ping = frame(Role::Server, PING, b"still here");
    while !peers.is_empty() {
        assert!(start.elapsed() < PATIENCE / 3, "{} of them are borne with", peers.len());
        thread::sleep(Duration::from_millis(50));
        peers.retain_mut(|peer| {
            also(peer);
            peer.tcp.write_all(&ping).is_ok()
        });
    }
}

#[test]
fn a_reset_at_every_byte() {
    let mut conversation = REQUEST.to_vec();
    conversation.extend_from_slice(&frame(Role::Server, TEXT, b"hello"));
    conversation.extend_from_slice(&frame(Role::Server, PING, b"ping"));
    conversation.extend_from_slice(&frame(Role::Server, BINARY, &[0xab; 200]));
    conversation.extend_from_slice(&frame(Role::Server, CLOSE, &close_payload(1000, "bye")));
    attack(&[], |server| {
        for len in 0..=conversation.len() {
            let mut tcp = server.connect();
            tcp.write_all(&conversation[..len]).unwrap();
            // Half of them wait for a byte of the answer: the server is further then.
            if len >= REQUEST.len() && len % 2 == 0 {
                tcp.read_exact(&mut [0]).unwrap();
            }
            SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
}

#[test]
fn five_thousand_connects_and_drops() {
    attack(&[], |server| {
        for _ in 0..50 {
            for _ in 0..100 {
                server.connect();
            }
            // Once this one is served, the others have left the backlog: were it full, the system would
            // have us wait a second.
            Peer::open(server);
        }
    });
}

/// More clients than there are file descriptors for: the server survives it, and those who waited are
/// served when others have gone.
#[test]
fn more_clients_than_descriptors() {
    for name in SERVERS {
        let server = Server::start_with_descriptors(name, 32);
        let crowd: Vec<_> = (0..64).map(|_| server.connect()).collect();
        let mut waiting = server.connect();
        waiting.write_all(REQUEST).unwrap();
        poll_until("the descriptors to run out", || descriptors(&server) >= 32);
        drop(crowd);
        let mut answer = [0; 13];
        waiting.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101 ");
        drop(waiting);
        serves(&server);
    }
}

/// Sends a header that does not end, a byte at a time, until it is answered: how much was sent, and the
/// answer.
fn dribble(mut tcp: TcpStream) -> (usize, Vec<u8>) {
    tcp.write_all(b"GET / HTTP/1.1\r\nA: ").unwrap();
    tcp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut answer = [0; 13];
    for sent in 0.. {
        tcp.write_all(b"a").unwrap();
        match tcp.read(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return (sent, answer[..read.unwrap()].to_vec()),
        }
    }
    unreachable!("the loop has no other end")
}

/// How little a peer reads.
const READS: [fn(&mut Peer); 2] = [|_| {}, Peer::read_a_byte];

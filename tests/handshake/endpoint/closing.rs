//! How connections of endpoints end. Every cell of the table of ends (`Ending::after`) is reached by a test, here or in
//! `tests/twins`:
//!
//! | | `Written` | `Done` | `Eof` | `Read`, `Again` | `ReadFailed` | `Failed` |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | `Flush` | [`the_peer_closes`] | | [`the_peer_ends_its_direction_at_once`] | [`the_close_frame_waits`] | [`writes_fail_while_closing`] | [`writes_fail_while_closing`] |
//! | `Shutdown` | | [`the_peer_closes`] | | | | twins: `the_transport_cannot_be_closed_for_writing` |
//! | `Await` | | | [`the_peer_breaks_the_protocol`] | [`the_peer_breaks_the_protocol`] | twins: `the_peer_sees_why_before_the_end` | |
//! | `Drain` | [`we_close`] | | [`the_peer_closes`] | [`the_peer_talks_on`] | [`the_transport_fails_at_last`] | |
//! | `Over` | `after_the_end` | | | `after_the_end` | | |
//!
//! Each by a server, who closes first, and by a client, who closes last. What is late is failed by an endpoint,
//! [`nobody_goes`]; `Late` itself is what adapters tell, who wait: in the twins' row of that kind,
//! `the_server_closes_the_transport_first`, and `a_stream_that_is_never_closed` of `tests/tokio`.

use std::io::ErrorKind;

use sansocket::{CloseCode, CloseFrame, Config, ProtocolError, Role, Server};

use super::ROOMS;
use super::program::{Lone, Pair, REQUEST, World};
use crate::common::{BINARY, CLOSE, FIN, PING, PONG, ROLES, TEXT, close_frame, close_payload, frame, secs};

const BYE: Option<CloseFrame<'_>> = Some(CloseFrame { code: CloseCode::NORMAL, reason: "bye" });

/// 6455-5.5.1-12, 6455-5.5.1-13, 6455-5.5.1-14: the peer closes. Its Close frame is answered; a server then shuts the
/// stream down first, and a client last. Nobody waits for a deadline.
#[test]
fn the_peer_closes() {
    for room in ROOMS {
        for (code, reason, clean) in [(1000, "bye", "1000 \"bye\""), (4999, "", "4999 \"\"")] {
            let mut server = Lone::open(Role::Server, room, &Config::default());
            server.send(close_frame(Role::Server, code, reason));
            server.settle();
            assert_eq!(server.frames(), [(CLOSE, close_payload(code, ""))]);
            assert_eq!(server.program.events, ["shut down"]);
            assert!(server.from.is_over());
            server.to.end();
            server.settle();
            assert_eq!(server.program.events, ["shut down", "over"]);
            assert_eq!(server.program.closed(), format!("{clean}, Remote, clean"));

            let mut client = Lone::open(Role::Client, room, &Config::default());
            client.send(close_frame(Role::Client, code, reason));
            client.settle();
            assert_eq!(client.frames(), [(CLOSE, close_payload(code, ""))]);
            assert!(client.program.events.is_empty(), "it waits for the server");
            client.to.end();
            client.settle();
            assert_eq!(client.program.events, ["shut down", "over"]);
            assert!(client.from.is_over());
            assert_eq!(client.program.closed(), format!("{clean}, Remote, clean"));
        }
    }
}

/// What answers our Close frame, and is none, is no error, but no clean end.
#[test]
fn an_invalid_answer_to_our_close_frame() {
    for role in ROLES {
        for room in ROOMS {
            let mut lone = Lone::open(role, room, &Config::default());
            let now = lone.now;
            lone.program.endpoint.close(BYE, now).unwrap();
            lone.settle();
            lone.send_frame(CLOSE, b"\x03\xed");
            lone.settle();
            lone.to.end();
            assert_eq!(lone.run(), secs(0));
            assert_eq!(lone.frames(), [(CLOSE, close_payload(1000, "bye"))]);
            assert_eq!(lone.program.events, ["shut down", "over"]);
            assert_eq!(lone.program.closed(), "1006 \"\", Local, not clean");
        }
    }
}

/// 6455-5.5.1-12, 6455-7.1.4-01: either closes, and the other answers; or both at once.
#[test]
fn we_close() {
    for room in ROOMS {
        for (client_closes, server_closes) in [(true, false), (false, true), (true, true)] {
            let mut pair = Pair::open(room, &Config::default());
            let now = pair.now;
            for (program, closes) in pair.both().into_iter().zip([client_closes, server_closes]) {
                program.endpoint.send("last").unwrap();
                if closes {
                    program.endpoint.close(BYE, now).unwrap();
                    program.endpoint.close(BYE, now).unwrap();
                    assert!(program.endpoint.send("no more").is_err());
                }
            }
            assert_eq!(pair.run(), secs(0));
            for (program, closes, other) in
                [(&pair.client, client_closes, server_closes), (&pair.server, server_closes, client_closes)]
            {
                assert_eq!(program.events, ["text \"last\"", "shut down", "over"]);
                let initiator = if closes { "Local" } else { "Remote" };
                let reason = if other { "bye" } else { "" };
                assert_eq!(program.closed(), format!("1000 {reason:?}, {initiator}, clean"));
            }
        }
    }
}

/// A Close frame without a code.
#[test]
fn no_code() {
    let mut pair = Pair::open(1, &Config::default());
    pair.client.endpoint.close(None, pair.now).unwrap();
    pair.run();
    assert_eq!(pair.server.closed(), "1005 \"\", Remote, clean");
    assert_eq!(pair.client.closed(), "1005 \"\", Local, clean");
}

/// The peer sends its Close frame and ends its direction at once: it is answered all the same, though reading has come
/// to the end before anything was looked at.
#[test]
fn the_peer_ends_its_direction_at_once() {
    for role in ROLES {
        for room in ROOMS {
            for closed_before in [false, true] {
                let mut lone = Lone::open(role, room, &Config::default());
                if closed_before {
                    lone.program.endpoint.close(None, lone.now).unwrap();
                }
                lone.send(frame(role, TEXT, b"last"));
                lone.send(close_frame(role, 1000, "bye"));
                lone.ends = true;
                assert_eq!(lone.run(), secs(0));
                assert_eq!(lone.frames().len(), 1);
                assert_eq!(lone.program.events, ["text \"last\"", "shut down", "over"]);
                let initiator = if closed_before { "Local" } else { "Remote" };
                assert_eq!(lone.program.closed(), format!("1000 \"bye\", {initiator}, clean"));
            }
        }
    }
}

/// Our Close frame has to wait behind what the peer does not read. What it sends meanwhile is discarded; it may end its
/// direction; all is written when it reads.
#[test]
fn the_close_frame_waits() {
    for role in ROLES {
        for ends in [false, true] {
            let mut lone = Lone::open(role, 10, &Config::default());
            lone.reads = false;
            lone.program.endpoint.send([7; 100].as_slice().to_vec()).unwrap();
            lone.settle();
            lone.send(close_frame(role, 1000, ""));
            lone.send([0xff; 1000]);
            lone.ends = ends;
            lone.run_for(secs(1));
            assert!(lone.sends.is_empty());
            assert!(lone.program.events.is_empty());
            lone.reads = true;
            lone.settle();
            if !ends {
                lone.to.end();
                lone.settle();
            }
            assert_eq!(lone.frames(), [(BINARY, vec![7; 100]), (CLOSE, close_payload(1000, ""))]);
            assert_eq!(lone.program.events, ["shut down", "over"]);
            assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
        }
    }
}

/// What comes behind the peer's Close frame is discarded, however much it is.
#[test]
fn the_peer_talks_on() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        lone.send(close_frame(role, 1000, ""));
        lone.send(vec![0xff; 300_000]);
        lone.ends = true;
        assert_eq!(lone.run(), secs(0));
        assert_eq!(lone.program.events, ["shut down", "over"]);
        assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
    }
}

/// Messages that come between our Close frame and the peer's are received, and Pings answered.
#[test]
fn messages_after_our_close_frame() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        lone.program.endpoint.close(None, lone.now).unwrap();
        lone.settle();
        lone.send_frame(TEXT, "late");
        lone.send_frame(PING, "?");
        lone.send(close_frame(role, 1001, ""));
        lone.ends = true;
        lone.run();
        assert_eq!(lone.program.events, ["text \"late\"", "ping b\"?\"", "shut down", "over"]);
        assert_eq!(lone.frames(), [(CLOSE, Vec::new()), (PONG, b"?".to_vec())]);
        assert_eq!(lone.program.closed(), "1001 \"\", Local, clean");
    }
}

/// 6455-5.5.1-15: neither role waits for the peer, once the Close frames have passed, for longer than the close timeout,
/// whatever it sends; nor for a peer that takes nothing.
#[test]
fn nobody_goes() {
    let config = Config::default().close_timeout(secs(3));
    for role in ROLES {
        for talks in [false, true] {
            let mut lone = Lone::open(role, 4096, &config);
            lone.send(close_frame(role, 1000, ""));
            for _ in 0..30 {
                if talks {
                    lone.send([0xff; 100]);
                }
                assert!(!lone.program.over);
                lone.run_for(secs(3) / 30);
            }
            assert_eq!(lone.program.events.last().unwrap(), "over");
            assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
        }
        let mut lone = Lone::open(role, 1, &config);
        lone.reads = false;
        lone.send(close_frame(role, 1000, ""));
        assert_eq!(lone.run(), secs(3));
        assert_eq!(lone.program.events, ["over"]);
        assert_eq!(lone.program.closed(), "1000 \"\", Remote, not clean");
    }
}

/// The transport fails when all was said.
#[test]
fn the_transport_fails_at_last() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        lone.send(close_frame(role, 1000, ""));
        lone.settle();
        lone.to.reset();
        lone.settle();
        let events = ["shut down", "over"];
        assert_eq!(lone.program.events, events[usize::from(role == Role::Client)..]);
        assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
    }
}

/// The Close frame cannot be written: that is the end, and no clean one. A failed read alone is not: it may be.
#[test]
fn writes_fail_while_closing() {
    for role in ROLES {
        for fault in [Some(ErrorKind::BrokenPipe), None] {
            let mut lone = Lone::open(role, 4096, &Config::default());
            lone.from.fail_writes(fault);
            lone.send(close_frame(role, 1000, ""));
            assert_eq!(lone.run(), secs(0));
            assert_eq!(lone.program.events, ["over"]);
            assert_eq!(lone.program.closed(), "1000 \"\", Remote, not clean");
        }
        let mut lone = Lone::open(role, 1, &Config::default());
        lone.reads = false;
        lone.send(close_frame(role, 1000, ""));
        lone.settle();
        lone.to.reset();
        lone.settle();
        lone.reads = true;
        assert_eq!(lone.run(), secs(0));
        assert_eq!(lone.program.events, ["shut down", "over"]);
        assert_eq!(lone.program.closed(), "1000 \"\", Remote, clean");
    }
}

/// 6455-7.2.1-02: the transport ends or fails without a Close frame: told once, after all that came before; 1006.
#[test]
fn the_transport_is_lost() {
    for role in ROLES {
        for room in ROOMS {
            for rest in [&[][..], &frame(role, TEXT, b"cut off")[..5]] {
                for resets in [false, true] {
                    let mut lone = Lone::open(role, room, &Config::default());
                    lone.send(frame(role, TEXT, b"one"));
                    lone.send(frame(role, TEXT, b"two"));
                    lone.send(rest);
                    if resets {
                        // What is in the pipe can be read before.
                        while !lone.sends.is_empty() {
                            lone.settle();
                        }
                        lone.to.reset();
                    }
                    lone.ends = !resets;
                    assert_eq!(lone.run(), secs(0));
                    let error = if resets { "ConnectionReset" } else { "UnexpectedEof" };
                    let error = format!("ConnectionLost({error})");
                    assert_eq!(lone.program.events, ["text \"one\"", "text \"two\"", &error]);
                    assert_eq!(lone.program.closed(), "1006 \"\", Transport, not clean");
                    assert!(lone.frames().is_empty());
                }
            }
        }
    }
}

/// The same when reading has come to the end in the same round, and when the request came with it.
#[test]
fn all_comes_at_once() {
    let mut lone = Lone::server(4096, &Server::default());
    lone.send(REQUEST);
    lone.send(frame(Role::Server, TEXT, b"one"));
    lone.ends = true;
    assert_eq!(lone.run(), secs(0));
    let lost = "ConnectionLost(UnexpectedEof)";
    assert_eq!(lone.program.events, ["request", "open", "text \"one\"", lost]);
}

/// The peer ends its direction instead of answering our Close frame.
#[test]
fn the_peer_ends_the_transport_instead_of_closing() {
    for role in ROLES {
        let mut lone = Lone::open(role, 4096, &Config::default());
        lone.program.endpoint.close(BYE, lone.now).unwrap();
        lone.ends = true;
        assert_eq!(lone.run(), secs(0));
        assert_eq!(lone.program.events, ["ConnectionLost(UnexpectedEof)"]);
        assert_eq!(lone.program.closed(), "1006 \"\", Local, not clean");
    }
}

/// A transport that takes nothing any more may still have something to read. It is not written to again; its end tells.
#[test]
fn writes_fail() {
    for role in ROLES {
        for fault in [Some(ErrorKind::BrokenPipe), None] {
            let config = Config::default().write_buffer_size(10);
            let mut lone = Lone::open(role, 4096, &config);
            lone.from.fail_writes(fault);
            lone.program.endpoint.send("lost, and more than is to be queued").unwrap();
            lone.settle();
            assert_eq!(lone.program.endpoint.queued().bytes, 0);
            assert!(lone.program.endpoint.send("x").is_err());
            assert!(lone.program.endpoint.ping(b"x").is_err());
            lone.send_frame(TEXT, "one");
            lone.send_frame(PING, "?");
            lone.send_frame(TEXT, "two");
            lone.run_for(secs(25));
            assert_eq!(lone.program.events, ["text \"one\"", "ping b\"?\"", "text \"two\""]);
            lone.ends = true;
            assert_eq!(lone.run(), secs(0));
            assert_eq!(lone.program.events[3..], ["ConnectionLost(UnexpectedEof)"]);
            assert_eq!(lone.program.closed(), "1006 \"\", Transport, not clean");
        }
    }
}

/// 6455-7.1.7-01, 6455-7.1.7-03, 6455-7.1.7-05, 6455-7.1.7-07: a peer that breaks a rule is told which; then the stream
/// is shut down in its turn, and the error told at the end. What follows the fault is discarded, but that a server's turn
/// comes when the peer has answered, or after a moment.
#[test]
fn the_peer_breaks_the_protocol() {
    for role in ROLES {
        for (room, answers) in ROOMS.into_iter().flat_map(|room| [(room, true), (room, false)]) {
            let error = ProtocolError::ReservedOpcode(3);
            let mut lone = Lone::open(role, room, &Config::default().close_timeout(secs(20)));
            lone.send_frame(TEXT, "before");
            lone.send_frame(FIN | 3, "");
            lone.send_frame(TEXT, "behind");
            lone.settle();
            assert_eq!(lone.frames(), [(CLOSE, close_payload(1002, error.reason()))]);
            assert_eq!(lone.program.events[1..], [""; 0]);
            if answers {
                lone.send(close_frame(role, 1002, ""));
                lone.settle();
            } else {
                lone.send([0xff; 300]);
                // No tenth of that.
                lone.run_for(secs(1) / 2);
                assert_eq!(lone.program.events[1..], [""; 0]);
                lone.run_for(secs(1) / 2);
            }
            let shut_down = usize::from(role == Role::Server);
            assert_eq!(lone.program.events[1..], ["shut down"][..shut_down]);
            lone.to.end();
            assert_eq!(lone.run(), secs(0));
            let told = format!("Protocol({error:?})");
            assert_eq!(lone.program.events, ["text \"before\"", "shut down", &told]);
            assert_eq!(lone.program.closed(), "1006 \"\", Local, not clean");
        }
    }
}

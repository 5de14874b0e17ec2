//! Keepalive, write timeout, and calls that come too early, too late, or twice.

use std::time::{Duration, Instant};

use sansocket::{Config, Connection, Initiator, Message, Role, TimedOut};

use super::link::Pair;
use crate::common::{self, CLOSE, PING, PONG, frame, give, ping, pong, secs, sent, text};

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// 6455-5.5.2-02, 6455-5.5.2-04: two silent ends keep each other alive with Pings, for as long as it takes.
#[test]
fn keepalive_keeps_alive() {
    for longest in [1, usize::MAX] {
        let mut pair = Pair::cutting(longest);
        pair.spurious = true;
        pair.run_for(secs(3600));
        assert!(!pair.client.is_done() && !pair.server.is_done());
        for endpoint in [&pair.client, &pair.server] {
            assert!(endpoint.events.iter().all(|event| [ping(b""), pong(b"")].contains(event)));
            let asked = endpoint.events.iter().filter(|event| **event == ping(b"")).count();
            let answered = endpoint.events.iter().filter(|event| **event == pong(b"")).count();
            assert!((1..=180).contains(&asked) && (1..=180).contains(&answered), "{asked} {answered}");
        }
    }
}

/// A Ping is sent after as much silence as configured, and not while the peer talks, however slowly where that is fine.
#[test]
fn any_byte_is_a_sign_of_life() {
    for role in common::ROLES {
        let config = Config::default().keepalive(secs(10), secs(5)).min_data_rate(0);
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        let bytes = frame(role, common::TEXT, &[b'a'; 20]);
        let mut input = Vec::new();
        let mut now = start;
        for byte in bytes {
            // A frame that comes byte by byte, slowly.
            assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
            now += secs(9);
            assert_eq!(connection.handle_timeout(now, &mut out), Ok(()));
            input.push(byte);
            // We are not silent ourselves.
            connection.on_written(1, now, &mut out);
            if let Some(received) = connection.receive(&mut input, now, &mut out).unwrap() {
                input.drain(..received.consumed());
            }
        }
        assert_eq!(out, []);
        // Looking at what had come before is no sign of life.
        assert_eq!(connection.receive(&mut input, now + secs(5), &mut out), Ok(None));
        assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
        connection.handle_timeout(now + secs(10), &mut out).unwrap();
        assert_eq!(sent(role, &out), [(PING, vec![])]);
    }
}

/// The bytes of a frame that is not complete count for as long as they may take: a peer that sends one now and then is
/// asked for a sign of life, and given up; one that keeps the rate is not. A whole frame is a sign of life.
#[test]
fn a_byte_now_and_then_keeps_no_connection() {
    for role in common::ROLES {
        let config = Config::default().keepalive(secs(10), secs(5)).min_data_rate(4);
        let start = common::start();
        // Bytes at a time, one second apart, and what comes of it when.
        for (bytes, given_up) in [(1, Some(21)), (2, Some(30)), (4, None), (9, None)] {
            for parts in [false, true] {
                let mut connection = common::connection(role, &config, start);
                let (mut input, mut out) = (Vec::new(), Vec::new());
                let mut wire = frame(role, common::BINARY, &[7; 400]);
                wire.extend_from_slice(&frame(role, common::TEXT, b"whole"));
                let mut ended = None;
                for (elapsed, piece) in (1..).zip(wire.chunks(bytes)) {
                    let now = start + secs(elapsed);
                    input.extend_from_slice(piece);
                    // We are not silent ourselves.
                    connection.on_written(1, now, &mut out);
                    let receive = if parts { Connection::receive_part } else { Connection::receive };
                    while let Some(received) = receive(&mut connection, &mut input, now, &mut out).unwrap() {
                        input.drain(..received.consumed());
                    }
                    if let Err(timed_out) = connection.handle_timeout(now, &mut out) {
                        assert_eq!(timed_out, TimedOut::Keepalive);
                        ended = Some(elapsed);
                        break;
                    }
                    if input.is_empty() && elapsed > 1 && !parts {
                        assert_eq!(connection.poll_timeout(), Some(now + secs(10)), "a whole frame");
                    }
                }
                assert_eq!(ended, given_up, "{bytes} bytes a second, in parts: {parts}");
                assert_eq!(sent(role, &out).len(), usize::from(given_up.is_some()), "a Ping was sent before");
            }
        }
    }
}

/// That a transport takes bytes for which it had been waited shows that its peer reads; and a Ping that still waits to
/// be written is not to be answered yet: its time begins when it was written.
#[test]
fn what_the_transport_takes_is_a_sign_of_life() {
    for role in common::ROLES {
        let config = Config::default().keepalive(secs(20), secs(20)).write_timeout(secs(300));
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        connection.sender().binary(&[7; 1000], &mut out).unwrap();
        connection.on_write_blocked(start + secs(1));
        connection.handle_timeout(start + secs(20), &mut out).unwrap();
        // Nothing is taken for longer than the answer may take.
        assert_eq!(connection.handle_timeout(start + secs(45), &mut out), Ok(()));
        let written = start + secs(50);
        let message = out.len() - if role == Role::Client { 6 } else { 2 };
        out.drain(..message);
        assert_eq!(sent(role, &out), [(PING, vec![])], "it was sent behind the message");
        connection.on_written(message, written, &mut out);
        out.clear();
        connection.on_written(2, written + secs(3), &mut out);
        assert_eq!(connection.handle_timeout(written + secs(22), &mut out), Ok(()));
        assert_eq!(connection.poll_timeout(), Some(written + secs(23)));
        assert_eq!(connection.handle_timeout(written + secs(23), &mut out), Err(TimedOut::Keepalive));
    }
}

/// An incomplete frame that was looked at before is no sign of life either.
#[test]
fn an_incomplete_frame_is_one_sign_of_life() {
    for role in common::ROLES {
        let start = common::start();
        let mut connection = common::connection(role, &Config::default().min_data_rate(0), start);
        let mut input = frame(role, common::TEXT, b"text");
        input.pop();
        connection.on_written(1, start + secs(1), &mut Vec::new());
        for (elapsed, alive_at) in [(1, 1), (2, 1), (3, 1)] {
            let now = start + secs(elapsed);
            assert_eq!(connection.receive(&mut input, now, &mut Vec::new()), Ok(None));
            assert_eq!(connection.poll_timeout(), Some(start + secs(alive_at) + secs(20)));
        }
    }
}

/// A peer that vanished is noticed after the silence and the timeout; it is given up, without a Close
/// frame (6455-7.1.7-06): 1006, and not clean.
#[test]
fn a_vanished_peer_is_given_up() {
    let mut pair = Pair::new(&Config::default().keepalive(secs(7), secs(3)));
    pair.client.send(&Message::text("still here"));
    pair.run_for(secs(2));
    pair.cut = true;
    let silent_since = pair.now;
    pair.run_to_the_end();
    assert!(pair.now - silent_since <= secs(10));
    for endpoint in [pair.client, pair.server] {
        assert_eq!(endpoint.timed_out, Some(TimedOut::Keepalive));
        let closed = endpoint.closed.unwrap();
        assert_eq!((closed.code.get(), closed.clean), (1006, false));
        assert_eq!(closed.initiator, Initiator::Transport);
    }
}

/// Without keepalive nothing is ever due, and a silent connection stays.
#[test]
fn no_keepalive() {
    let mut pair = Pair::new(&Config::default().no_keepalive());
    pair.run_for(secs(100_000));
    assert_eq!(pair.client.connection.poll_timeout(), None);
    assert!(pair.client.events.is_empty() && pair.server.events.is_empty());
    pair.client.send(&Message::text("hello"));
    pair.run_for(secs(1));
    assert_eq!(pair.server.events, [text("hello")]);
}

/// The answer may take until just before the timeout; a little more, and the peer is given up.
#[test]
fn the_latest_answer() {
    for (delay, alive) in [(millis(1_499), true), (millis(1_501), false)] {
        // Only the client pings; the answer takes twice the delay.
        let config = Config::default();
        let keepalive = config.clone().keepalive(secs(10), secs(3));
        let mut pair = Pair::with_configs(&keepalive, &config.no_keepalive());
        pair.delay = delay;
        pair.run_for(secs(100));
        assert_eq!(pair.client.timed_out.is_none(), alive);
    }
}

/// `handle_timeout` does nothing before it is due, however often it is called; and what is due is done
/// once.
#[test]
fn early_and_repeated_calls_do_nothing() {
    for role in common::ROLES {
        let start = common::start();
        let mut connection = common::connection(role, &Config::default(), start);
        let mut out = Vec::new();
        for elapsed in 0..200 {
            // Not in order, either.
            let now = start + millis((elapsed * 77) % 200 * 100);
            assert_eq!(connection.handle_timeout(now, &mut out), Ok(()));
        }
        assert_eq!((out.len(), connection.poll_timeout()), (0, Some(start + secs(20))));
        for _ in 0..3 {
            assert_eq!(connection.handle_timeout(start + secs(20), &mut out), Ok(()));
        }
        assert_eq!(sent(role, &out), [(PING, vec![])]);
        assert_eq!(connection.poll_timeout(), Some(start + secs(40)));
        // The answer, and all starts anew.
        out.clear();
        let now = start + secs(39);
        assert_eq!(give(&mut connection, &frame(role, PONG, b""), now, &mut out), [pong(b"")]);
        connection.on_written(1, now, &mut out);
        assert_eq!(connection.poll_timeout(), Some(now + secs(20)));
    }
}

/// 6455-5.5.2-04: a peer that talks is not left without a word for longer than the interval either, be it given up by it or
/// by what is between; and is sent no more than one Ping in that time, though it does not answer, or we talk again.
/// It has all its time to answer, from when it is silent for too long itself.
#[test]
fn our_own_silence() {
    for role in common::ROLES {
        let config = Config::default().keepalive(secs(20), secs(50));
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut pings = Vec::new();
        for elapsed in 1..200 {
            let now = start + secs(elapsed);
            let mut out = Vec::new();
            // It falls silent, too.
            if elapsed < 100 {
                give(&mut connection, &frame(role, common::TEXT, b"news"), now, &mut out);
            }
            let late = connection.handle_timeout(now, &mut out);
            assert_eq!(late.is_err(), elapsed == 99 + 20 + 50, "{elapsed}");
            if late.is_err() {
                break;
            }
            pings.extend((!out.is_empty()).then_some(elapsed));
            if [7, 65].contains(&elapsed) {
                connection.sender().text("a word", &mut out).unwrap();
            }
            let len = core::mem::take(&mut out).len();
            connection.on_written(len, now, &mut out);
        }
        assert_eq!(pings, [27, 47, 85, 105]);
    }
}

/// A Ping for the sake of our own silence asks nothing of the peer, which cannot answer it before the end of a frame that it
/// sends meanwhile: how long it may be silent counts from what came last. And such Pings go on.
#[test]
fn our_own_silence_in_the_middle_of_a_frame() {
    for role in common::ROLES {
        // A byte counts for a second.
        let config = Config::default().keepalive(secs(20), secs(20)).min_data_rate(1);
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let (mut input, mut pings) = (Vec::new(), Vec::new());
        let mut bytes = frame(role, common::BINARY, &[7; 1000]).into_iter();
        for elapsed in 1..=200 {
            let now = start + secs(elapsed);
            // A stall that is longer than the time for an answer.
            if !(31..55).contains(&elapsed) {
                // It makes up for that.
                input.extend(bytes.by_ref().take(2));
                assert_eq!(connection.receive(&mut input, now, &mut Vec::new()), Ok(None));
            }
            let mut out = Vec::new();
            assert_eq!(connection.handle_timeout(now, &mut out), Ok(()), "{elapsed}");
            pings.extend((!out.is_empty()).then_some(elapsed));
        }
        assert_eq!(pings, [20, 40, 60, 80, 100, 120, 140, 160, 180, 200]);
    }
}

/// What waits to be written is not joined by Pings.
#[test]
fn no_ping_behind_what_waits() {
    for role in common::ROLES {
        let config = Config::default().keepalive(secs(20), secs(20)).write_timeout(secs(300));
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        connection.on_write_blocked(start + secs(1));
        for elapsed in 1..200 {
            let now = start + secs(elapsed);
            give(&mut connection, &frame(role, common::TEXT, b"news"), now, &mut out);
            assert_eq!(connection.handle_timeout(now, &mut out), Ok(()));
        }
        assert_eq!(out, []);
        connection.on_written(1, start + secs(200), &mut out);
        assert_eq!(connection.poll_timeout(), Some(start + secs(219)));
    }
}

/// A call that comes late, after a machine slept, first asks the peer: it is not given up unasked.
#[test]
fn a_late_call_asks_first() {
    for role in common::ROLES {
        let start = common::start();
        let mut connection = common::connection(role, &Config::default(), start);
        let mut out = Vec::new();
        let late = start + secs(5000);
        assert_eq!(connection.handle_timeout(late, &mut out), Ok(()));
        assert_eq!(sent(role, &out), [(PING, vec![])]);
        assert_eq!(connection.handle_timeout(late + millis(19_999), &mut out), Ok(()));
        assert_eq!(connection.handle_timeout(late + secs(20), &mut out), Err(TimedOut::Keepalive));
    }
}

/// Timeouts beyond what an `Instant` can tell never come, and do not panic.
#[test]
fn endless_timeouts() {
    for role in common::ROLES {
        let config = Config::default()
            .keepalive(Duration::MAX, Duration::MAX)
            .close_timeout(Duration::MAX)
            .write_timeout(Duration::MAX);
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        connection.on_write_blocked(start);
        connection.close(None, start, &mut out).unwrap();
        assert_eq!(connection.poll_timeout(), None);
        assert_eq!(connection.handle_timeout(start + secs(1_000_000), &mut out), Ok(()));
        assert_eq!(sent(role, &out), [(CLOSE, vec![])]);
    }
}

/// After this endpoint's Close frame no keepalive Ping is sent: the closing handshake's deadline counts.
#[test]
fn no_keepalive_after_close() {
    for role in common::ROLES {
        let config = Config::default().close_timeout(secs(100));
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        connection.close(None, start, &mut out).unwrap();
        let mut elapsed = 0;
        while let Ok(()) = connection.handle_timeout(start + secs(elapsed), &mut out) {
            elapsed += 1;
        }
        assert_eq!(elapsed, 100);
        assert_eq!(sent(role, &out), [(CLOSE, vec![])]);
    }
}

/// Nor is a peer given up for its silence once its Close frame has come, or it has broken the protocol:
/// a Ping that was under way need not be answered any more.
#[test]
fn silence_after_the_end_is_fine() {
    for role in common::ROLES {
        for bytes in [frame(role, CLOSE, b""), vec![0xff]] {
            let config = Config::default().keepalive(secs(2), secs(2));
            let start = common::start();
            let mut connection = common::connection(role, &config, start);
            let mut out = Vec::new();
            connection.handle_timeout(start + secs(2), &mut out).unwrap();
            assert_eq!(sent(role, &out), [(PING, vec![])]);
            let now = start + secs(3);
            let _ = connection.receive(&mut bytes.clone(), now, &mut out);
            assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
            assert_eq!(connection.handle_timeout(now + secs(9), &mut out), Ok(()));
            assert_eq!(connection.handle_timeout(now + secs(10), &mut out), Err(TimedOut::ClosingHandshake));
        }
    }
}

/// A peer that takes nothing off the transport is given up, as long after it was last seen to as configured.
#[test]
fn write_timeout() {
    let mut pair = Pair::new(&Config::default().no_keepalive().write_timeout(secs(30)));
    pair.client.blocked = true;
    pair.client.send(&Message::text("stuck"));
    pair.run_for(secs(29));
    assert_eq!(pair.client.timed_out, None);
    pair.run_for(secs(1));
    assert_eq!(pair.client.timed_out, Some(TimedOut::Write));
}

/// What is taken puts the write timeout off by as long as it may take, at most to its whole time; nothing waiting, there
/// is none.
#[test]
fn progress_puts_off_the_write_timeout() {
    for role in common::ROLES {
        let config = Config::default().no_keepalive().write_timeout(secs(30));
        let start = common::start();
        let mut connection = common::connection(role, &config, start);
        let mut out = Vec::new();
        connection.on_write_blocked(start);
        connection.on_write_blocked(start + secs(10));
        assert_eq!(connection.poll_timeout(), Some(start + secs(30)), "since it was blocked first");
        // 256 bytes a second.
        let mut rest = vec![7];
        connection.on_written(512, start + secs(10), &mut rest);
        assert_eq!(connection.poll_timeout(), Some(start + secs(32)));
        connection.on_write_blocked(start + secs(11));
        connection.on_written(1 << 20, start + secs(20), &mut rest);
        assert_eq!(connection.poll_timeout(), Some(start + secs(50)), "no more than its whole time");
        connection.on_written(1, start + secs(21), &mut out);
        assert_eq!(connection.poll_timeout(), None, "all was taken");
        connection.on_write_blocked(start + secs(29));
        assert_eq!(connection.handle_timeout(start + secs(30), &mut out), Ok(()));
        assert_eq!(connection.handle_timeout(start + secs(59), &mut out), Err(TimedOut::Write));
    }
}

/// A Ping flood into a blocked server: its output stays bounded, and once it flows the latest is answered.
#[test]
fn ping_flood_into_a_blocked_server() {
    let mut pair = Pair::new(&Config::default().no_keepalive().write_buffer_size(1000));
    pair.server.blocked = true;
    for i in 0..5000u32 {
        pair.client.connection.sender().ping(&i.to_be_bytes(), &mut pair.client.out).unwrap();
    }
    pair.run_for(secs(1));
    assert_eq!(pair.server.events.len(), 5000);
    assert!(pair.server.out.len() <= 1000 + 4 + 2 + 125);
    pair.server.blocked = false;
    pair.run_for(secs(1));
    assert_eq!(pair.client.events.last(), Some(&pong(&4999u32.to_be_bytes())));
    assert!(pair.client.events.len() < 200);
    assert_eq!(sent(Role::Server, &pair.server.out), []);
}

/// A clock that stands still, or goes back, as clocks should not: nothing panics, nothing is due before its
/// time, and everything when it has come.
#[test]
fn a_clock_that_goes_back() {
    let earlier = |now: Instant, seconds| now.checked_sub(secs(seconds)).unwrap();
    for role in common::ROLES {
        let start = common::start() + secs(1000);
        let mut connection = common::connection(role, &Config::default(), start);
        let mut out = Vec::new();
        for (elapsed, bytes) in
            [(0, frame(role, PONG, b"")), (7, frame(role, PONG, b"")), (3, frame(role, PONG, b""))]
        {
            let now = start + secs(elapsed);
            assert_eq!(give(&mut connection, &bytes, now, &mut out), [pong(b"")]);
            for before in [0, 3, 900] {
                assert_eq!(connection.handle_timeout(earlier(now, before), &mut out), Ok(()));
            }
            assert_eq!(out, []);
        }
        // A Close frame, by a clock that has gone back further still; its deadline is counted from there.
        let now = earlier(start, 500);
        connection.close(None, now, &mut out).unwrap();
        assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
        assert_eq!(connection.handle_timeout(earlier(now, 400), &mut out), Ok(()));
        assert_eq!(connection.handle_timeout(now, &mut out), Ok(()));
        assert_eq!(connection.handle_timeout(now + secs(10), &mut out), Err(TimedOut::ClosingHandshake));
    }
}

//! Deadlines: the timeouts that streams are given, and what comes of those that pass.

use std::io::{ErrorKind, Write as _};
use std::task::Poll;
use std::time::Duration;

use sansocket::blocking::WebSocket;
use sansocket::{CloseCode, CloseFrame, Config, Error, Message, Role, SendError, TimedOut};

use crate::common::{CLOSE, PING, PONG, ROLES, TEXT, close_frame, close_payload, frame, secs};
use crate::peer::with_peer;
use crate::script::{Read, Script, Write};
use crate::slow::{Slow, State};

const TINY: Duration = Duration::from_millis(5);
/// How long a write takes that is only tried.
const BRIEF: Duration = Duration::from_millis(1);

#[track_caller]
fn timed_out<T: std::fmt::Debug>(result: Result<T, Error>) -> TimedOut {
    match result {
        Err(Error::TimedOut(timed_out)) => timed_out,
        other => panic!("{other:?}"),
    }
}

/// Reads wait for what is due first, writes an eighth of what is configured, or until the next look at what has come,
/// time and again; timeouts are not set anew for every read.
#[test]
fn streams_are_given_timeouts() {
    for role in ROLES {
        let config =
            Config::default().write_timeout(secs(77)).keepalive(secs(50), secs(5)).close_timeout(secs(9));
        let texts = (0..100).map(|_| Read::Bytes(frame(role, TEXT, b"x")));
        let script = Script::new(texts.chain([Read::End]), []);
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap();
        for _ in 0..100 {
            ws.recv().unwrap().unwrap();
        }
        let record = script.record();
        // Writes are only tried at first.
        assert_eq!(record.write_timeouts, [Some(BRIEF)]);
        let [Some(set)] = record.read_timeouts[..] else { panic!("{record:?}") };
        assert!(set <= secs(50) && set > secs(25), "{set:?}");
        ws.start_close(None).unwrap();
        ws.recv().unwrap_err();
        let set = script.record().read_timeouts[1].unwrap();
        assert!(set <= secs(9) && set > secs(4), "{set:?}");

        for (config, wait) in
            [(config.clone(), Duration::from_millis(200)), (config.write_timeout(secs(1)), secs(1) / 8)]
        {
            let script = Script::new([], [Write::Error(ErrorKind::WouldBlock)]);
            WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap().send("x").unwrap();
            assert_eq!(script.record().write_timeouts, [Some(BRIEF), Some(wait)]);
        }

        // Without deadlines, reads wait as long as they will.
        let script = Script::new([Read::End], []);
        let config = Config::default().no_keepalive();
        WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap().recv().unwrap_err();
        assert_eq!(script.record().read_timeouts, [None]);
    }
}

/// A write that times out, or a flush, ends the connection: the call says so, and so does `recv`
/// rather than to wait for a peer that takes nothing, without a keepalive to notice it.
#[test]
fn writes_time_out() {
    let config = Config::default().no_keepalive().write_timeout(TINY);
    for role in ROLES {
        for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
            for fault in [Write::Error, Write::FlushError] {
                let open = |reads: Vec<Read>| {
                    let script = Script::new(reads, [fault(kind)]).lasting();
                    WebSocket::from_upgraded(script, role, b"", &config).unwrap()
                };
                let mut ws = open(vec![]);
                assert_eq!(timed_out(ws.send("x")), TimedOut::Write);
                assert!(matches!(ws.send("x"), Err(Error::ConnectionLost(_))));
                assert_eq!(timed_out(ws.recv()), TimedOut::Write);
                assert_eq!(ws.closed().unwrap().code.get(), 1006);
                let mut ws = open(vec![]);
                ws.feed("x").unwrap();
                assert_eq!(timed_out(ws.recv()), TimedOut::Write);
                // What came before is received.
                let bytes = [frame(role, PING, b""), frame(role, TEXT, b"one")].concat();
                let mut ws = open(vec![Read::Bytes(bytes)]);
                assert_eq!(ws.recv().unwrap(), Some("one".into()));
                assert_eq!(timed_out(ws.recv()), TimedOut::Write);
            }
        }
        // Over sockets.
        let (mut ws, _peer) = with_peer(role, &config);
        assert_eq!(timed_out(ws.send(vec![0; 10_000_000])), TimedOut::Write);
    }
}

/// The time of a write runs from the last byte that was taken, whatever a write waits for that took some: late by an
/// eighth.
#[test]
fn the_write_timeout_is_not_that_of_one_write() {
    let timeout = Duration::from_millis(160);
    for role in ROLES {
        for sips in [0, 1] {
            let slow = Slow::new(State { room: 10, sips, ..State::default() });
            let config = Config::default().write_timeout(timeout).no_keepalive();
            let mut ws = WebSocket::from_upgraded(slow.clone(), role, b"", &config).unwrap();
            assert_eq!(timed_out(ws.send(vec![0; 1000])), TimedOut::Write);
            let waited = slow.state().waited;
            assert!(waited <= timeout * 3 / 2, "{role:?}, {sips}: it waited {waited:?}");
        }
    }
}

/// The peer has closed, which is seen while it is sent something: that goes on while it takes any of it, and no longer.
#[test]
fn flushing_to_a_peer_that_has_closed() {
    for role in ROLES {
        for (sips, is_taken) in [(usize::MAX, true), (6, false)] {
            let close = close_frame(role, 1000, "");
            let slow = Slow::new(State { to_read: close.into(), sips, ..State::default() });
            let config = Config::default().write_timeout(Duration::from_millis(400)).min_data_rate(0);
            let mut ws = WebSocket::from_upgraded(slow.clone(), role, b"", &config).unwrap();
            ws.feed("not so short").unwrap();
            let flushed = ws.flush();
            assert_eq!(matches!(flushed, Err(Error::Send(SendError::Closing))), !is_taken, "{flushed:?}");
            assert_eq!((flushed.is_ok(), ws.queued().bytes == 0), (is_taken, is_taken));
            assert!(slow.state().to_read.is_empty(), "it was seen");
        }
    }
}

/// A peer that takes a byte now and then is not waited for beyond the deadline of the closing handshake.
#[test]
fn closing_a_stream_that_takes_little() {
    let timeout = Duration::from_millis(80);
    for role in ROLES {
        for split in [false, true] {
            let slow = Slow::new(State { sips: usize::MAX, ..State::default() });
            let config = Config::default().close_timeout(timeout).no_keepalive();
            let mut ws = WebSocket::from_upgraded(slow.clone(), role, b"", &config).unwrap();
            ws.feed(vec![0; 1000]).unwrap();
            let closed = if split {
                let (mut sender, _receiver) = ws.split().unwrap();
                sender.close(CloseCode::NORMAL, "")
            } else {
                ws.close(CloseCode::NORMAL, "")
            };
            assert_eq!(timed_out(closed), TimedOut::ClosingHandshake);
            let waited = slow.state().waited;
            assert!(waited <= timeout * 3 / 2, "{role:?}, split {split}: it waited {waited:?}");
        }
    }
}

/// A transport that takes nothing of the Pongs that were asked for is looked at less and less often: many such peers do
/// not keep a processor busy.
#[test]
fn pongs_that_are_not_taken() {
    let timeout = Duration::from_millis(1600);
    for split in [false, true] {
        let slow = Slow::new(State { to_read: frame(Role::Server, PING, b"?").into(), ..State::default() });
        let config = Config::default().write_timeout(timeout);
        let mut ws = WebSocket::from_upgraded(slow.clone(), Role::Server, b"", &config).unwrap();
        let received = if split {
            let (_sender, mut receiver) = ws.split().unwrap();
            receiver.recv()
        } else {
            ws.recv()
        };
        assert_eq!(timed_out(received), TimedOut::Write);
        let state = slow.state();
        assert!(state.reads < 60 && state.writes < 60, "{} reads, {} writes", state.reads, state.writes);
    }
}

/// The same for the thread that writes what was left queued.
#[test]
fn what_was_left_is_not_taken() {
    let messages = [frame(Role::Server, TEXT, b"1"), frame(Role::Server, TEXT, b"2")].concat();
    let slow = Slow::new(State { to_read: messages.into(), ..State::default() });
    let config = Config::default().write_timeout(Duration::from_millis(1600));
    let mut ws = WebSocket::from_upgraded(slow.clone(), Role::Server, b"", &config).unwrap();
    ws.recv().unwrap();
    ws.send("1").unwrap();
    while ws.feed("2").is_ok() {
        std::thread::sleep(TINY);
    }
    let writes = slow.state().writes;
    assert!(writes < 60, "{writes} writes");
}

/// What had come when the deadline passed is received, though the program was busy until then. (A row of `tests/twins` has
/// the same over pipes.)
#[test]
fn busy_while_the_peer_closes() {
    for role in ROLES {
        let texts = ["1", "2", "3"].map(|text| frame(role, TEXT, text.as_bytes())).concat();
        let answer = close_frame(role, 1000, "");
        let script = Script::new([Read::Bytes([texts, answer].concat()), Read::End], []);
        let config = Config::default().close_timeout(TINY);
        let mut ws = WebSocket::from_upgraded(script, role, b"", &config).unwrap();
        ws.start_close(Some(CloseFrame { code: CloseCode::NORMAL, reason: "" })).unwrap();
        ws.flush().unwrap();
        std::thread::sleep(2 * TINY);
        for text in ["1", "2", "3"] {
            assert_eq!(ws.recv().unwrap(), Some(text.into()));
        }
        assert_eq!(ws.recv().unwrap(), None);
        assert!(ws.closed().unwrap().clean);
    }
}

/// A timeout of zero, which is an error to sockets, is one of the shortest.
#[test]
fn timeouts_of_zero() {
    let config = Config::default()
        .write_timeout(Duration::ZERO)
        .keepalive(Duration::ZERO, Duration::ZERO)
        .close_timeout(Duration::ZERO);
    let (mut ws, _peer) = with_peer(Role::Client, &config);
    assert_eq!(timed_out(ws.recv()), TimedOut::Keepalive);
    let (mut ws, _peer) = with_peer(Role::Client, &config);
    ws.close(CloseCode::NORMAL, "").unwrap_err();
}

/// Timeouts beyond what a clock can tell never come, and do not panic; whole or by halves.
#[test]
fn endless_timeouts() {
    let config = Config::default()
        .write_timeout(Duration::MAX)
        .keepalive(Duration::MAX, Duration::MAX)
        .close_timeout(Duration::MAX);
    for role in ROLES {
        let texts = || {
            (0..3).flat_map(|_| [Read::Bytes(frame(role, TEXT, b"x")), Read::Error(ErrorKind::WouldBlock)])
        };
        let script = || Script::new(texts().chain([Read::End]), []);
        let mut ws = WebSocket::from_upgraded(script(), role, b"", &config).unwrap();
        for _ in 0..3 {
            assert_eq!(ws.recv().unwrap(), Some("x".into()));
        }
        ws.close(CloseCode::NORMAL, "").unwrap_err();

        let ws = WebSocket::from_upgraded(script(), role, b"", &config).unwrap();
        let (mut sender, mut receiver) = ws.split().unwrap();
        for _ in 0..3 {
            assert_eq!(receiver.recv().unwrap(), Some("x".into()));
        }
        sender.close(CloseCode::NORMAL, "").unwrap();
        receiver.recv().unwrap_err();
    }
}

/// A call that waits no longer than it is to has lost nothing: what had come of a message stays, and control frames are
/// answered. A whole WebSocket, and the receiving half.
#[test]
fn a_receive_times_out() {
    for role in ROLES {
        let (mut ws, mut peer) = with_peer(role, &Config::default());
        assert_eq!(ws.recv_timeout(TINY).unwrap(), Poll::Pending);
        assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), Poll::Pending);
        let message = frame(role, TEXT, b"in two pieces");
        let (first, rest) = message.split_at(7);
        peer.io.write_all(&[&frame(role, PING, b"?"), first].concat()).unwrap();
        assert_eq!(ws.recv_timeout(TINY).unwrap(), Poll::Pending);
        assert_eq!(peer.frame(), Some((PONG, b"?".to_vec())));
        peer.io.write_all(rest).unwrap();
        // It has come: no time is needed to see it, nor for a second one that was read with it.
        peer.io.write_all(&[frame(role, TEXT, b"second"), frame(role, TEXT, b"third")].concat()).unwrap();
        assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), Poll::Ready(Some("in two pieces".into())));
        assert_eq!(ws.recv_timeout(Duration::MAX).unwrap(), Poll::Ready(Some("second".into())));
        assert_eq!(ws.recv().unwrap(), Some("third".into()));

        let (mut sender, mut receiver) = ws.split().unwrap();
        assert_eq!(receiver.recv_timeout(TINY).unwrap(), Poll::Pending);
        peer.io.write_all(first).unwrap();
        assert_eq!(receiver.recv_timeout(TINY).unwrap(), Poll::Pending);
        sender.send("meanwhile").unwrap();
        assert_eq!(peer.frame(), Some((TEXT, b"meanwhile".to_vec())));
        peer.io.write_all(rest).unwrap();
        assert_eq!(receiver.recv().unwrap(), Some("in two pieces".into()));
        // The closing handshake goes on in calls that time out.
        sender.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(peer.frame(), Some((CLOSE, close_payload(1000, ""))));
        assert_eq!(receiver.recv_timeout(TINY).unwrap(), Poll::Pending);
        peer.io.write_all(&close_frame(role, 1000, "")).unwrap();
        if role == Role::Client {
            assert_eq!(receiver.recv_timeout(TINY).unwrap(), Poll::Pending);
        }
        drop(peer);
        assert_eq!(receiver.recv_timeout(secs(60)).unwrap(), Poll::Ready(None));
        assert!(receiver.closed().unwrap().clean);
        assert_eq!(receiver.recv_timeout(TINY).unwrap(), Poll::Ready(None));
    }
}

/// The connection's own deadlines hold in a call that may wait for longer, and in those that wait for less, one after the
/// other. A stream is given no longer timeout than is to be waited for.
#[test]
fn a_receive_times_out_beside_the_connection() {
    for role in ROLES {
        for (timeout, split) in [(secs(60), false), (secs(60), true), (TINY, false), (TINY, true)] {
            let receives = |receive: &mut dyn FnMut() -> Result<Poll<Option<Message>>, Error>| loop {
                match receive() {
                    Ok(Poll::Pending) => assert_eq!(timeout, TINY),
                    result => break timed_out(result),
                }
            };
            let config = Config::default().close_timeout(4 * TINY);
            let (mut ws, _peer) = with_peer(role, &config);
            ws.start_close(None).unwrap();
            let timed_out = if split {
                let (_sender, mut receiver) = ws.split().unwrap();
                receives(&mut || receiver.recv_timeout(timeout))
            } else {
                receives(&mut || ws.recv_timeout(timeout))
            };
            assert_eq!(timed_out, TimedOut::ClosingHandshake);
        }

        let script = Script::default();
        let mut ws = WebSocket::from_upgraded(script.clone(), role, b"", &Config::default()).unwrap();
        assert_eq!(ws.recv_timeout(2 * TINY).unwrap(), Poll::Pending);
        let set = script.record().read_timeouts[0].unwrap();
        assert!(set <= 2 * TINY, "{set:?}");
    }
}

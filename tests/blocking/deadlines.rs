//! Deadlines: the timeouts that streams are given, and what comes of those that pass.

use std::io::ErrorKind;
use std::time::Duration;

use sansocket::blocking::WebSocket;
use sansocket::{CloseCode, Config, Error, Role, TimedOut};

use crate::common::{PING, ROLES, TEXT, frame, secs};
use crate::peer::with_peer;
use crate::script::{Read, Script, Write};

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

/// Reads wait for what is due first, writes as long as configured; timeouts are not set anew for
/// every read.
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

        let script = Script::new([], [Write::Error(ErrorKind::WouldBlock)]);
        WebSocket::from_upgraded(script.clone(), role, b"", &config).unwrap().send("x").unwrap();
        assert_eq!(script.record().write_timeouts, [Some(BRIEF), Some(secs(77))]);

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

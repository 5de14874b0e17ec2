//! A connection over a clock of the caller's: deadlines without `std`.

use core::time::Duration;

use sansocket::connection::Instant;
use sansocket::{CloseCode, CloseFrame, Config, Connection, Event, Initiator, TimedOut};

/// A Ping without application data, from a server.
const PING: &[u8] = b"\x89\x00";

/// The ticks of a timer that counts 1,000 a second, in 16 bits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Ticks(u16);

impl Instant for Ticks {
    fn checked_add(self, duration: Duration) -> Option<Self> {
        Some(Self(self.0.checked_add(duration.as_millis().try_into().ok()?)?))
    }
}

/// Gives `bytes` to a server that echoes; returns what it sends.
fn echo<I: Instant>(server: &mut Connection<I>, bytes: &[u8], now: I) -> Vec<u8> {
    let (mut input, mut out) = (bytes.to_vec(), Vec::new());
    while let Some(received) = server.receive(&mut input, now, &mut out).unwrap() {
        if let Some(Event::Data(part)) = received.event(&input) {
            server.sender().fragment(part.kind, part.payload, part.last, &mut out).unwrap();
        }
        input.drain(..received.consumed());
    }
    out
}

/// Messages are echoed, silence is met with a Ping, and then given up.
fn keepalive<I: Instant>(at: fn(u64) -> I) {
    let config = Config::default().keepalive(Duration::from_secs(20), Duration::from_secs(10));
    let mut server = Connection::server(&config, at(0));
    assert_eq!(echo(&mut server, b"\x81\x82\0\0\0\0hi", at(5)), b"\x81\x02hi");
    let mut out = Vec::new();
    server.on_written(4, at(5), &mut out);
    assert_eq!(server.poll_timeout(), Some(at(25)));
    server.handle_timeout(at(24), &mut out).unwrap();
    assert_eq!(out, b"");
    server.handle_timeout(at(25), &mut out).unwrap();
    assert_eq!(out, PING);
    assert_eq!(server.poll_timeout(), Some(at(35)));
    assert_eq!(server.handle_timeout(at(35), &mut out), Err(TimedOut::Keepalive));
}

/// A peer that does not answer the Close frame is given up, and so is one that takes nothing.
fn deadlines<I: Instant>(at: fn(u64) -> I) {
    let config = Config::default().no_keepalive().close_timeout(Duration::from_secs(10));
    let config = config.write_timeout(Duration::from_secs(3));
    let mut client = Connection::client(&config, |bytes| bytes.fill(0), at(0));
    let mut out = Vec::new();
    assert_eq!(client.poll_timeout(), None);
    client.on_write_blocked(at(1));
    assert_eq!(client.poll_timeout(), Some(at(4)));
    client.on_written(1, at(2), &mut out);
    assert_eq!(client.poll_timeout(), None);
    client.close(Some(CloseFrame { code: CloseCode::NORMAL, reason: "" }), at(7), &mut out).unwrap();
    assert_eq!(out, b"\x88\x82\0\0\0\0\x03\xe8");
    assert_eq!(client.poll_timeout(), Some(at(17)));
    client.on_write_blocked(at(8));
    assert_eq!(client.handle_timeout(at(10), &mut out), Ok(()));
    assert_eq!(client.handle_timeout(at(11), &mut out), Err(TimedOut::Write));
    client.on_written(13, at(12), &mut Vec::new());
    assert_eq!(client.handle_timeout(at(17), &mut out), Err(TimedOut::ClosingHandshake));
    let closed = client.receive_eof();
    assert_eq!((closed.code, closed.initiator), (CloseCode::ABNORMAL_CLOSURE, Initiator::Local));
}

/// The halves go by the same clock.
fn halves<I: Instant>(at: fn(u64) -> I) {
    let config = Config::default().keepalive(Duration::from_secs(20), Duration::from_secs(10));
    let (mut receiving, mut sending) = Connection::server(&config, at(0)).into_parts();
    let mut out = Vec::new();
    assert_eq!((receiving.poll_timeout(), sending.poll_timeout()), (Some(at(20)), None));
    receiving.handle_timeout(at(20), &mut sending, &mut out).unwrap();
    assert_eq!(out, PING);
    sending.close(None, at(21), &mut out).unwrap();
    assert_eq!(sending.poll_timeout(), Some(at(31)));
    assert_eq!(sending.handle_timeout(at(31)), Err(TimedOut::ClosingHandshake));
}

#[test]
fn time_since_some_start() {
    keepalive(Duration::from_secs);
    deadlines(Duration::from_secs);
    halves(Duration::from_secs);
}

#[test]
fn ticks_of_a_timer() {
    let ticks = |seconds| Ticks(u16::try_from(seconds * 1000).unwrap());
    keepalive(ticks);
    deadlines(ticks);
    halves(ticks);
}

/// A deadline beyond what the clock can tell never comes.
#[test]
fn the_end_of_time() {
    let (late, mut out) = (Ticks(u16::MAX), Vec::new());
    let mut server = Connection::server(&Config::default(), late);
    server.on_write_blocked(late);
    server.close(None, late, &mut out).unwrap();
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(late, &mut out), Ok(()));
    let mut server = Connection::server(&Config::default(), Duration::MAX);
    server.close(None, Duration::MAX, &mut out).unwrap();
    assert_eq!(server.poll_timeout(), None);
}

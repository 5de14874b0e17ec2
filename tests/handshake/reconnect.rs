//! When a client connects again: what ends it, how long it waits, and what a server can have it wait for.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sansocket::handshake::{ClientHandshake, ClientRequest, Limits, Response, ResponseError};
use sansocket::reconnect::{Backoff, Ended, Policy};
use sansocket::{
    Attempt, Attempts, Client, CloseCode, Closed, Error, Initiator, ProtocolError, ProxyError, SendError,
    TimedOut, Uri,
};

/// The date in the examples of RFC 9110: 1994-11-06 08:49:37.
const DATE: u64 = 784_111_777;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn closed(code: u16) -> Ended {
    Ended::Closed(Closed::new(CloseCode::new(code), "", Initiator::Remote, true))
}

fn lost() -> Ended {
    Ended::Failed(Error::ConnectionLost(ErrorKind::ConnectionReset.into()))
}

fn response_error(response: &str) -> ResponseError {
    let request = ClientRequest::new(&Uri::parse("ws://h/").unwrap());
    let mut handshake = ClientHandshake::start(&request, Limits::default(), [7; 16], &mut Vec::new());
    match handshake.receive(response.as_bytes()) {
        Err(error) => error,
        Ok(None) => handshake.receive_eof(response.as_bytes()),
        Ok(Some(opened)) => panic!("{opened:?}"),
    }
}

/// With these lines of headers.
fn refused(status: u16, headers: &str) -> Ended {
    let response = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n");
    Ended::Failed(response_error(&response).into())
}

/// What several addresses of a host come to, if the system says this of the last.
fn unreachable(last: i32) -> io::Error {
    let addresses = ["192.0.2.1:80", "[2001:db8::1]:80"].map(|address| address.parse().unwrap());
    let mut attempts = Attempts::new(addresses, None);
    let now = Instant::now();
    loop {
        match attempts.next(now) {
            Attempt::Start(address) => attempts.failed(address, io::Error::from_raw_os_error(last)),
            Attempt::Wait(_) => panic!("none is under way"),
            Attempt::Over(error) => return error,
        }
    }
}

fn refusal(headers: &str) -> Response {
    refused(503, headers).refusal().unwrap().clone()
}

/// How long a client waits that all chance has come by.
fn waits(backoff: &mut Backoff, ended: &Ended, now: Instant) -> Option<Duration> {
    backoff.ended(ended, now, UNIX_EPOCH + seconds(DATE), u64::MAX)
}

/// That the delay rounds to this.
#[track_caller]
fn assert_about(delay: Option<Duration>, seconds: u64) {
    let delay = delay.unwrap() + Duration::from_micros(1);
    assert_eq!((delay.as_secs(), delay.subsec_millis()), (seconds, 0));
}

#[test]
fn close_codes_that_end_it() {
    for code in [1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        assert!(!closed(code).is_final(), "{code}");
    }
    for code in [1000, 1002, 1003, 1004, 1007, 1008, 1009, 1010, 1015, 1016, 2999] {
        assert!(closed(code).is_final(), "{code}");
    }
    assert_eq!(closed(1001).close_code(), Some(CloseCode::GOING_AWAY));
    assert_eq!(closed(1006).close_code(), None);
    assert_eq!(lost().close_code(), None);
}

#[test]
fn refusals_that_end_it() {
    for status in [401, 408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(!refused(status, "").is_final(), "{status}");
    }
    for status in [200, 204, 301, 307, 400, 402, 403, 404, 407, 410, 426, 431, 451] {
        assert!(refused(status, "").is_final(), "{status}");
    }
}

#[test]
fn errors_that_end_it() {
    let connect = |kind: ErrorKind| Error::Connect(kind.into());
    for error in [
        connect(ErrorKind::ConnectionRefused),
        connect(ErrorKind::TimedOut),
        connect(ErrorKind::InvalidData),
        Error::Connect(io::Error::other("no token is to be had")),
        // Of one of several addresses, for example: an argument that is invalid, to the system.
        Error::Connect(io::Error::from_raw_os_error(22)),
        Error::Connect(unreachable(22)),
        ProxyError::Connect(unreachable(22)).into(),
        ProxyError::Connect(ErrorKind::ConnectionRefused.into()).into(),
        Error::ConnectionLost(ErrorKind::BrokenPipe.into()),
        TimedOut::OpeningHandshake.into(),
        TimedOut::Keepalive.into(),
        TimedOut::Write.into(),
        response_error("HTTP/1.1 101 Swi").into(),
        response_error("").into(),
    ] {
        assert!(!Ended::Failed(error).is_final());
    }
    for error in [
        Client::new("http:").unwrap_err(),
        Client::new("ws://h/").unwrap().header("a b", "").unwrap_err(),
        connect(ErrorKind::Unsupported),
        connect(ErrorKind::InvalidInput),
        ProxyError::Connect(ErrorKind::Unsupported.into()).into(),
        ProxyError::Connect(ErrorKind::InvalidInput.into()).into(),
        response_error("SSH-2.0-OpenSSH\r\n\r\n").into(),
        response_error("HTTP/1.1 101 X\r\n\r\n").into(),
        ProtocolError::MessageTooBig.into(),
        SendError::Closing.into(),
    ] {
        let shown = error.to_string();
        assert!(Ended::Failed(error).is_final(), "{shown}");
    }
}

/// 401 may be answered by another token, once; what comes between does not count.
#[test]
fn a_token_that_expired() {
    let now = Instant::now();
    let mut backoff = Backoff::new(&Policy::default());
    assert!(waits(&mut backoff, &refused(401, ""), now).is_some());
    assert!(waits(&mut backoff, &refused(503, ""), now).is_some());
    assert!(waits(&mut backoff, &refused(401, ""), now).is_some());
    backoff.opened(now);
    assert!(waits(&mut backoff, &lost(), now).is_some());
    assert!(waits(&mut backoff, &refused(401, ""), now).is_some());
    assert_eq!(waits(&mut backoff, &refused(401, ""), now), None);

    // The program is told that this is the end by default, and may go on.
    let stubborn = Policy::default().ends_if(|ended, by_default| {
        assert_eq!(by_default, ended.refusal().is_none_or(|response| response.status() != 401));
        false
    });
    let mut backoff = Backoff::new(&stubborn);
    assert!(waits(&mut backoff, &refused(401, ""), now).is_some());
    assert!(waits(&mut backoff, &closed(1000), now).is_some());
}

/// Whatever ends it by default, and whatever does not, the program may decide.
#[test]
fn the_program_decides() {
    let now = Instant::now();
    let policy = Policy::default().ends_if(|ended, by_default| {
        by_default && ended.close_code() != Some(CloseCode::NORMAL)
            || ended.close_code() == Some(CloseCode::new(4004))
    });
    for (ended, ends) in
        [(closed(1000), false), (closed(4004), true), (closed(1008), true), (closed(4000), false)]
    {
        assert_eq!(waits(&mut Backoff::new(&policy), &ended, now).is_none(), ends, "{ended}");
    }
    assert!(format!("{policy:?}").contains("ends_if: Some"));
    assert!(format!("{:?}", Policy::default()).contains("ends_if: None"));
}

/// 6455-7.2.3-01, 6455-7.2.3-04: ever longer, up to a minute.
#[test]
fn delays_double() {
    let now = Instant::now();
    let mut backoff = Backoff::new(&Policy::default());
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_about(waits(&mut backoff, &lost(), now), delay);
    }
    // For ever, without an overflow.
    for _ in 0..100 {
        assert_about(waits(&mut backoff, &lost(), now), 60);
    }
    let mut vast = Backoff::new(&Policy::default().delays(Duration::MAX, Duration::ZERO));
    let day = 24 * 60 * 60;
    for _ in 0..40 {
        assert!(waits(&mut vast, &lost(), now).unwrap() <= seconds(30 * day));
    }
}

/// There is always a pause, and never one beyond the limit, whatever chance and the program say.
#[test]
fn delays_are_within_bounds() {
    let now = Instant::now();
    for (first, max, least, most) in
        [(0, 0, 1, 10), (0, 1000, 1, 10), (100, 50, 10, 100), (1000, 60_000, 100, 1000)]
    {
        let [first, max, least, most] = [first, max, least, most].map(Duration::from_millis);
        let delay = |random| {
            let mut backoff = Backoff::new(&Policy::default().delays(first, max));
            backoff.ended(&lost(), now, SystemTime::now(), random).unwrap()
        };
        assert_eq!(delay(0), least);
        assert!(delay(u64::MAX) <= most && delay(u64::MAX) + Duration::from_micros(1) > most);
        assert_eq!(delay(1 << 63), (least + most) / 2);
    }
}

/// 6455-7.2.3-02: full jitter: every part of the range is as likely as any other.
#[test]
fn jitter_is_spread_evenly() {
    let now = Instant::now();
    let mut tenths = [0; 10];
    // The golden ratio leaves no two close to each other.
    for random in (0..10_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
        let mut backoff = Backoff::new(&Policy::default());
        let delay = backoff.ended(&lost(), now, SystemTime::now(), random).unwrap();
        tenths[usize::try_from((delay.as_millis() - 100) / 90).unwrap().min(9)] += 1;
    }
    assert!(tenths.iter().all(|count| (990..=1010).contains(count)), "{tenths:?}");
}

/// A connection has to last to count: one that is closed at once is an attempt that failed.
#[test]
fn connections_that_do_not_last() {
    let start = Instant::now();
    let mut backoff = Backoff::new(&Policy::default().reset_after(seconds(10)));
    for delay in [1, 2, 4] {
        backoff.opened(start);
        assert_about(waits(&mut backoff, &closed(1001), start + seconds(9)), delay);
    }
    assert_eq!(backoff.failed(), 3);
    backoff.opened(start);
    assert_about(waits(&mut backoff, &closed(1001), start + seconds(10)), 1);
    assert_eq!(backoff.failed(), 0);
    // An attempt that fails later has lasted no time.
    assert_about(waits(&mut backoff, &lost(), start + seconds(99)), 1);
    assert_about(waits(&mut backoff, &lost(), start + seconds(199)), 2);
}

#[test]
fn attempts_are_counted() {
    let start = Instant::now();
    let policy = Policy::default().max_attempts(3);
    let mut backoff = Backoff::new(&policy);
    for _ in 0..2 {
        assert!(waits(&mut backoff, &lost(), start).is_some());
    }
    assert_eq!(waits(&mut backoff, &lost(), start), None);
    // Anew after a connection that lasted, which is no attempt that failed.
    let mut backoff = Backoff::new(&policy);
    assert!(waits(&mut backoff, &lost(), start).is_some());
    backoff.opened(start);
    for _ in 0..3 {
        assert!(waits(&mut backoff, &lost(), start + seconds(60)).is_some());
    }
    assert_eq!(waits(&mut backoff, &lost(), start + seconds(60)), None);
}

/// What is no number of seconds and no date is as if it were not there; a date is measured from the response's own.
#[test]
fn retry_after() {
    let ago = |ago| UNIX_EPOCH + seconds(DATE - ago);
    let after = |value: &str| refusal(&format!("Retry-After: {value}\r\n")).retry_after(ago(30));
    assert_eq!(refusal("").retry_after(ago(0)), None);
    for (value, after_now) in [
        ("0", 0),
        ("120", 120),
        ("00007", 7),
        ("18446744073709551615", u64::MAX),
        ("99999999999999999999999999", u64::MAX),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30),
        ("Sun Nov  6 08:49:37 1994", 30),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:06 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Mon, 07 Nov 1994 08:49:60 GMT", 30 + 24 * 60 * 60 + 23),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 - DATE + 30),
        // Beyond February of a year that has 29 days of it, of one that has not, and of 2000, which has.
        ("Fri, 01 Mar 1996 00:00:00 GMT", 825_638_400 - DATE + 30),
        ("Sat, 01 Mar 1997 00:00:00 GMT", 857_174_400 - DATE + 30),
        ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800 - DATE + 30),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400 - DATE + 30),
        // Fifty years from now, and more: then a hundred less.
        ("Saturday, 06-Nov-44 08:49:37 GMT", 2_362_034_977 - DATE + 30),
        ("Friday, 06-Nov-70 08:49:37 GMT", 0),
    ] {
        assert_eq!(after(value), Some(seconds(after_now)), "{value}");
    }
    for value in [
        "",
        "-1",
        "+1",
        "1.5",
        "1 s",
        "soon",
        "1,2",
        "\u{e9}",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 10000 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov",
        "Sunday, 06-Nov-45 08:49:37 GMT",
        ", , , ,",
    ] {
        assert_eq!(after(value), None, "{value:?}");
    }
    // By a client whose clock is wrong by a year.
    let both = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    assert_eq!(refusal(both).retry_after(ago(366 * 24 * 60 * 60)), Some(seconds(60)));
    let odd = "Date: now\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    assert_eq!(refusal(odd).retry_after(ago(0)), Some(seconds(60)));
}

/// It is waited for, and then for the delay that there would have been; but no longer than the policy allows.
#[test]
fn retry_after_is_heeded() {
    let now = Instant::now();
    let delay = |policy: &Policy, status, value: &str| {
        let ended = refused(status, &format!("Retry-After: {value}\r\n"));
        waits(&mut Backoff::new(policy), &ended, now)
    };
    for status in [401, 408, 425, 429, 500, 503] {
        assert_about(delay(&Policy::default(), status, "120"), 121);
        assert_about(delay(&Policy::default(), status, "Sun, 06 Nov 1994 08:50:37 GMT"), 61);
    }
    for value in ["99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "3600"] {
        assert_about(delay(&Policy::default(), 503, value), 3601);
        assert_about(delay(&Policy::default().max_retry_after(Duration::ZERO), 503, value), 1);
        assert_about(delay(&Policy::default().max_retry_after(Duration::MAX), 503, "3600"), 3601);
    }
    for value in ["-1", "soon", "Sun, 06 Nov 1994 08:49:37 GMT", "0"] {
        assert_about(delay(&Policy::default(), 503, value), 1);
    }
    // It does not make final what is not, nor the reverse.
    assert_eq!(delay(&Policy::default(), 403, "1"), None);
}

#[test]
fn what_has_ended_is_told_in_words() {
    assert_eq!(closed(1001).to_string(), "the connection was closed with 1001 (going away)");
    let closed = Closed::new(CloseCode::GOING_AWAY, "bye\u{1b}[2J", Initiator::Remote, true);
    let told = Ended::Closed(closed).to_string();
    assert_eq!(told, "the connection was closed with 1001 (going away): \"bye\\u{1b}[2J\"");
    assert_eq!(refused(401, "").to_string(), "the server refused the WebSocket connection with status 401");
}

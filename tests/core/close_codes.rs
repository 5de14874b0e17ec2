//! RFC 6455 section 7.4, status codes: all 65,536 of them, in both directions.
#![cfg(feature = "std")]

use sansocket::{
    CloseCode, CloseFrame, Closed, Config, Connection, Initiator, OwnedCloseFrame, ProtocolError, Role,
    SendError, Sender,
};

use crate::common::{self, CLOSE, ROLES, close_frame, close_payload, closing, every_way, fails, sent};

/// Sections 7.4.1 and 7.4.2, and what was registered with IANA since (A1).
#[expect(clippy::match_same_arms, reason = "the ranges of the RFC, one by one")]
fn allowed(code: u16) -> bool {
    match code {
        0..=999 => false,      // "not used"
        1000..=1003 => true,   // defined
        1004..=1006 => false,  // reserved; "MUST NOT be set as a status code in a Close control frame"
        1007..=1011 => true,   // defined
        1012..=1014 => true,   // registered since
        1015..=2999 => false,  // 1015 like 1005; the rest "reserved for definition by this protocol"
        3000..=3999 => true,   // "for use by libraries, frameworks, and applications"
        4000..=4999 => true,   // "for private use"
        5000..=65535 => false, // not in the registry's range (section 11.7)
    }
}

/// 6455-7.4.1-03, 6455-7.4.1-04, 6455-7.4.1-05, 6455-7.4.1-12, 6455-7.4.2-01, 6455-7.4.2-02, 6455-7.4.2-03,
/// 6455-7.4.2-04, 6455-11.7-01, 6455-5.5.1-02, 6455-7.4.1-11: each code is received and echoed, or fails
/// with 1002.
#[test]
fn every_code_received() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let bytes = close_frame(role, code, "why");
            let outcome = common::run(role, &Config::default(), Connection::receive, [&bytes]);
            if allowed(code) {
                assert_eq!((outcome.events, outcome.error), (vec![closing(code, "why")], None));
                // "1010 [...] is not used by the server" (6455-7.4.1-10): it answers with 1000.
                let answer = if (role, code) == (Role::Server, 1010) { 1000 } else { code };
                assert_eq!(outcome.replies, [(CLOSE, answer.to_be_bytes().to_vec())]);
                assert_eq!(outcome.closed.code.get(), code);
            } else {
                let error = ProtocolError::InvalidCloseCode(CloseCode::new(code));
                assert_eq!((outcome.events, outcome.error), (vec![], Some(error)));
                assert_eq!(outcome.replies, [(CLOSE, close_payload(1002, error.reason()))]);
                assert_eq!(outcome.closed.code.get(), 1006);
            }
        }
    }
}

/// 6455-7.4.1-03, 6455-7.4.1-04, 6455-7.4.1-05, 6455-7.4.1-12, 6455-7.4.2-01, 6455-7.4.2-02, 6455-7.4.2-03,
/// 6455-7.4.2-04, 6455-11.7-01, 6455-7.4.1-07, 6455-7.4.1-10, 6455-7.4.1-11: each code is sent, or
/// refused; 1010 is the client's to send.
#[test]
fn every_code_sent() {
    let config = Config::default();
    for role in ROLES {
        for code in 0..=u16::MAX {
            let mut sender = match role {
                Role::Client => Sender::client(&config, common::random),
                Role::Server => Sender::server(&config),
            };
            let close = CloseFrame { code: CloseCode::new(code), reason: "why" };
            let mut out = Vec::new();
            let result = sender.close(Some(close), &mut out);
            if allowed(code) && (role, code) != (Role::Server, 1010) {
                assert_eq!(result, Ok(()));
                assert_eq!(sent(role, &out), [(CLOSE, close_payload(code, "why"))]);
            } else {
                assert_eq!(result, Err(SendError::InvalidCloseCode(close.code)));
                assert_eq!(out, []);
            }
        }
    }
}

/// 6455-7.4.1-03, 6455-7.4.1-04, 6455-7.4.1-05, 6455-7.4.1-12: the codes at the borders, however the
/// frame is cut.
#[test]
fn codes_at_the_borders() {
    for role in ROLES {
        for code in [
            0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1014, 1015, 1016, 1100, 2000, 2999, 3000,
            3999, 4000, 4999, 5000, 65535,
        ] {
            let bytes = close_frame(role, code, "");
            if allowed(code) {
                let outcome = every_way(role, &Config::default(), &bytes);
                assert_eq!(outcome.events, [closing(code, "")]);
            } else {
                let error = ProtocolError::InvalidCloseCode(CloseCode::new(code));
                fails(role, &Config::default(), &bytes, error);
            }
        }
    }
}

/// The code is judged before the reason (A3).
#[test]
fn the_code_is_judged_first() {
    for role in ROLES {
        let payload = [&1005u16.to_be_bytes()[..], b"\xff"].concat();
        let error = ProtocolError::InvalidCloseCode(CloseCode::NO_STATUS_RECEIVED);
        fails(role, &Config::default(), &common::frame(role, CLOSE, &payload), error);
    }
}

/// 6455-7.4.1-04, 6455-7.4.1-05: 1005 and 1006 are for local use: an endpoint reports them, and never
/// sends them.
#[test]
fn local_codes() {
    for role in ROLES {
        let outcome = every_way(role, &Config::default(), &common::frame(role, CLOSE, b""));
        assert_eq!(outcome.closed.code, CloseCode::NO_STATUS_RECEIVED);
        assert_eq!(outcome.replies, [(CLOSE, vec![])], "echoed as no code, not as 1005");
        let outcome = every_way(role, &Config::default(), b"");
        assert_eq!(outcome.closed.code, CloseCode::ABNORMAL_CLOSURE);
    }
}

/// 6455-7.4.1-01: the constants are the RFC's.
#[test]
fn constants() {
    let codes = [
        (CloseCode::NORMAL, 1000),
        (CloseCode::GOING_AWAY, 1001),
        (CloseCode::PROTOCOL_ERROR, 1002),
        (CloseCode::UNSUPPORTED_DATA, 1003),
        (CloseCode::NO_STATUS_RECEIVED, 1005),
        (CloseCode::ABNORMAL_CLOSURE, 1006),
        (CloseCode::INVALID_PAYLOAD_DATA, 1007),
        (CloseCode::POLICY_VIOLATION, 1008),
        (CloseCode::MESSAGE_TOO_BIG, 1009),
        (CloseCode::MANDATORY_EXTENSION, 1010),
        (CloseCode::INTERNAL_ERROR, 1011),
        (CloseCode::SERVICE_RESTART, 1012),
        (CloseCode::TRY_AGAIN_LATER, 1013),
        (CloseCode::BAD_GATEWAY, 1014),
    ];
    for (code, number) in codes {
        assert_eq!((code.get(), u16::from(code), CloseCode::from(number)), (number, number, code));
    }
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).is_allowed_on_the_wire(), allowed(code), "{code}");
        assert!(CloseCode::new(code).to_string().starts_with(&format!("{code} (")));
    }
}

/// What is kept of a Close frame, or sent to whoever closes, is what was said.
#[test]
fn owned_close_frames() {
    let close = CloseFrame { code: CloseCode::GOING_AWAY, reason: "moved" };
    let owned = close.into_owned();
    assert_eq!(owned, OwnedCloseFrame::new(CloseCode::GOING_AWAY, String::from("moved")));
    assert_eq!(owned, OwnedCloseFrame::from(close));
    assert_eq!((owned.as_frame(), CloseFrame::from(&owned)), (close, close));
    let elsewhere = std::thread::spawn(move || owned.clone()).join().unwrap();
    let mut out = Vec::new();
    Sender::server(&Config::default()).close(Some(elsewhere.as_frame()), &mut out).unwrap();
    assert_eq!(sent(Role::Server, &out), [(CLOSE, close_payload(1001, "moved"))]);
}

/// How a connection closed can be passed on as a Close frame, where there was one with a code.
#[test]
fn closed_as_a_close_frame() {
    for code in 0..=u16::MAX {
        let closed = Closed::new(CloseCode::new(code), "why", Initiator::Remote, true);
        let close = CloseFrame { code: CloseCode::new(code), reason: "why" };
        assert_eq!(closed.close_frame(), allowed(code).then_some(close));
    }
}

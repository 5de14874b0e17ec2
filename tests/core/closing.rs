//! RFC 6455 section 5.5.1, Close; section 7.1, the closing handshake and failing; 7.2, abnormal closures.
#![cfg(feature = "std")]

use sansocket::frame::{CloseCode, CloseFrame};
use sansocket::{
    Closed, Config, Connection, Initiator, MessageKind, ProtocolError, ReadyState, ReceiveState, Role,
    SendError, SendState, TimedOut,
};

use crate::common::{
    self, BINARY, CLOSE, CONTINUATION, FIRST_BINARY, FIRST_TEXT, LAST_CONTINUATION, PING, PONG, ROLES, Seen,
    TEXT, announced, close_frame, close_payload, closing, every_way, fails, fragment, frame, give,
    has_sent_close, ping, secs, sent, text,
};

const NORMAL: CloseFrame<'static> = CloseFrame { code: CloseCode::NORMAL, reason: "done" };

fn closed(code: u16, reason: &str, initiator: Initiator, clean: bool) -> Closed {
    Closed::new(CloseCode::new(code), reason, initiator, clean)
}

/// 6455-5.5.1-07, 6455-5.5.1-01, 6455-5.5.1-02, 6455-5.5.1-08, 6455-5.5.1-09, 6455-7.4-01: the peer's Close frame is answered, in
/// the same call, with its code; one without a code, with none (A29).
#[test]
fn the_peer_closes() {
    for role in ROLES {
        for (code, reason) in [(1000, ""), (1001, "going"), (3000, "library"), (4999, "ünïcode")] {
            let outcome = every_way(role, &Config::default(), &close_frame(role, code, reason));
            assert_eq!(outcome.events, [closing(code, reason)]);
            assert_eq!(outcome.replies, [(CLOSE, code.to_be_bytes().to_vec())]);
            assert_eq!(outcome.closed, closed(code, reason, Initiator::Remote, true));
        }
        let outcome = every_way(role, &Config::default(), &frame(role, CLOSE, b""));
        assert_eq!(outcome.events, [Seen::Close(None)]);
        assert_eq!(outcome.replies, [(CLOSE, vec![])]);
        assert_eq!(outcome.closed, closed(1005, "", Initiator::Remote, true));
    }
}

/// 6455-5.5.1-02: a Close frame whose body is too short for a code fails with 1002, and is not
/// answered as a Close frame.
#[test]
fn a_body_of_one_byte_fails() {
    for role in ROLES {
        for byte in [0, 3, 0xff] {
            let bytes = frame(role, CLOSE, &[byte]);
            fails(role, &Config::default(), &bytes, ProtocolError::TruncatedCloseCode);
        }
    }
}

/// 6455-5.5.1-03: a reason may fill the frame: 123 bytes.
#[test]
fn the_longest_reason() {
    assert_eq!(CloseFrame::MAX_REASON, 123);
    for role in ROLES {
        let reason = "é".repeat(61) + "!";
        let outcome = every_way(role, &Config::default(), &close_frame(role, 1000, &reason));
        assert_eq!(outcome.closed.reason, reason);

        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        let close = CloseFrame { reason: &reason, ..NORMAL };
        connection.close(Some(close), now, &mut out).unwrap();
        assert_eq!(sent(role, &out), [(CLOSE, close_payload(1000, &reason))]);
    }
}

/// 6455-7.1.2-01, 6455-7.3-01, 6455-7.3-03, 6455-5.5.1-05: to start the closing handshake is to send a Close frame
/// with the given code and reason, masked by a client; it is completed by the peer's.
#[test]
fn we_close() {
    for role in ROLES {
        for (close, payload) in [(Some(NORMAL), close_payload(1000, "done")), (None, vec![])] {
            let (mut connection, now) = common::open(role);
            let mut out = Vec::new();
            connection.close(close, now, &mut out).unwrap();
            assert_eq!(sent(role, &out), [(CLOSE, payload)]);
            assert_eq!(connection.ready_state(), ReadyState::Closing);
            assert!(!connection.should_close_transport(), "the peer has not closed yet");

            out.clear();
            let events = give(&mut connection, &close_frame(role, 1000, "bye"), now, &mut out);
            assert_eq!((events, out), (vec![closing(1000, "bye")], vec![]), "no second Close frame");
            assert_eq!(connection.should_close_transport(), role == Role::Server);
            assert_eq!(connection.receive_eof(), closed(1000, "bye", Initiator::Local, true));
        }
    }
}

/// 6455-5.5.1-12, 6455-5.5.1-13, 6455-7.1.1-03, 6455-7.1.1-05, 6455-7.1.2-02: once both Close frames have passed the server closes the transport, at
/// once. A client waits for that (6455-5.5.1-14, 6455-7.1.1-06), and no longer than its timeout.
#[test]
fn who_closes_the_transport() {
    for we_close in [true, false] {
        for role in ROLES {
            let config = Config::default().close_timeout(secs(5));
            let now = common::start();
            let mut connection = common::connection(role, &config, now);
            let mut out = Vec::new();
            assert!(!connection.should_close_transport());
            if we_close {
                connection.close(Some(NORMAL), now, &mut out).unwrap();
                assert!(!connection.should_close_transport());
            }
            give(&mut connection, &close_frame(role, 1000, ""), now, &mut out);
            match role {
                Role::Server => assert!(connection.should_close_transport()),
                Role::Client => {
                    assert!(!connection.should_close_transport());
                    assert_eq!(connection.poll_timeout(), Some(now + secs(5)));
                    let due = connection.handle_timeout(now + secs(5), &mut out);
                    assert_eq!(due, Err(TimedOut::ClosingHandshake));
                }
            }
            assert!(connection.receive_eof().clean);
            assert_eq!(connection.ready_state(), ReadyState::Closed);
        }
    }
}

/// 6455-5.5.1-16, 6455-5.5.1-07: both close at once: each takes the other's Close frame for the answer,
/// and sends no second one.
#[test]
fn both_close_at_once() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.close(Some(NORMAL), now, &mut out).unwrap();
        // The peer's had been under way, with a code of its own.
        give(&mut connection, &close_frame(role, 1001, "going away"), now, &mut out);
        assert_eq!(sent(role, &out), [(CLOSE, close_payload(1000, "done"))]);
        assert_eq!(connection.receive_eof(), closed(1001, "going away", Initiator::Local, true));
    }
}

/// 6455-5.5.1-06: one Close frame is sent, whoever began, and nothing can be sent after it.
#[test]
fn close_is_sent_once() {
    for role in ROLES {
        for we_close in [true, false] {
            let (mut connection, now) = common::open(role);
            let mut out = Vec::new();
            if we_close {
                connection.close(None, now, &mut out).unwrap();
            } else {
                give(&mut connection, &frame(role, CLOSE, b""), now, &mut out);
            }
            assert_eq!(connection.close(Some(NORMAL), now, &mut out), Err(SendError::Closing));
            assert_eq!(connection.close(None, now, &mut out), Err(SendError::Closing));
            assert_eq!(sent(role, &out), [(CLOSE, vec![])]);
        }
    }
}

/// 6455-7.1.3-01: the connection is CLOSING once a Close frame was sent, or received; CLOSED once the
/// transport has ended.
#[test]
fn ready_states() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        assert_eq!(connection.ready_state(), ReadyState::Open);
        connection.close(None, now, &mut Vec::new()).unwrap();
        assert_eq!(connection.ready_state(), ReadyState::Closing);
        connection.receive_eof();
        assert_eq!(connection.ready_state(), ReadyState::Closed);

        let (mut connection, now) = common::open(role);
        give(&mut connection, &frame(role, CLOSE, b""), now, &mut Vec::new());
        assert_eq!(connection.ready_state(), ReadyState::Closing);

        // Parted, the receiving half knows of the peer's Close frame before it is answered.
        let (connection, now) = common::open(role);
        let (mut receiving, sending) = connection.into_parts();
        assert_eq!((sending.role(), receiving.state()), (role, ReceiveState::Open));
        assert!(receiving.receive(&mut frame(role, CLOSE, b""), now).unwrap().is_some());
        assert_eq!((receiving.state(), sending.state()), (ReceiveState::CloseReceived, SendState::Open));
        assert_eq!(receiving.ready_state(&sending), ReadyState::Closing);
        assert!(!receiving.should_close_transport(&sending), "the answer is not sent yet");
    }
}

/// 6455-7.1.4-01, 6455-7.1.5-01, 6455-7.1.6-01: how the connection closed, if the transport ends in each
/// of the states: cleanly if both Close frames had passed; 1006 if none was received.
#[test]
fn how_it_closed() {
    for role in ROLES {
        let (mut connection, _) = common::open(role);
        assert_eq!(
            connection.receive_eof(),
            closed(1006, "", Initiator::Transport, false),
            "out of the blue"
        );

        let (mut connection, now) = common::open(role);
        connection.close(Some(NORMAL), now, &mut Vec::new()).unwrap();
        assert_eq!(connection.receive_eof(), closed(1006, "", Initiator::Local, false), "we closed only");

        let (mut connection, now) = common::open(role);
        give(&mut connection, &close_frame(role, 4000, "why"), now, &mut Vec::new());
        assert_eq!(connection.receive_eof(), closed(4000, "why", Initiator::Remote, true), "both closed");

        let (connection, now) = common::open(role);
        let (mut receiving, sending) = connection.into_parts();
        assert!(receiving.receive(&mut close_frame(role, 4000, "why"), now).unwrap().is_some());
        let unanswered = receiving.receive_eof(&sending);
        assert_eq!((unanswered.code.get(), unanswered.clean), (4000, false), "the peer closed only");
        assert_eq!(unanswered.reason, "why");
    }
}

/// 6455-7.1.5-01, 6455-7.1.6-01: the first Close frame's code and reason count: a second one, like all
/// else after the first, is discarded, unanswered (A9).
#[test]
fn after_the_first_close_frame() {
    for role in ROLES {
        let after = [
            close_frame(role, 1001, "second"),
            frame(role, TEXT, b"text"),
            frame(role, PING, b"ping"),
            frame(role, CONTINUATION, b"continuation"),
            vec![0xff; 300],
        ];
        for discarded in after {
            let bytes = [close_frame(role, 4001, "first"), discarded].concat();
            let outcome = every_way(role, &Config::default(), &bytes);
            assert_eq!((outcome.events, outcome.error), (vec![closing(4001, "first")], None));
            assert_eq!(outcome.replies, [(CLOSE, 4001u16.to_be_bytes().to_vec())]);
            assert_eq!(outcome.closed, closed(4001, "first", Initiator::Remote, true));
        }
    }
}

/// 6455-5.4-08, 6455-5.5.1-07: a Close frame inside a fragmented message is answered as any other; the
/// message is not delivered as if it had ended (A10).
#[test]
fn close_inside_a_message() {
    for role in ROLES {
        let bytes = [
            frame(role, FIRST_TEXT, b"never "),
            close_frame(role, 1000, ""),
            frame(role, LAST_CONTINUATION, b"ended"),
        ];
        let outcome = every_way(role, &Config::default(), &bytes.concat());
        let begun = fragment(MessageKind::Text, true, false, b"never ");
        assert_eq!((outcome.events, outcome.error), (vec![begun, closing(1000, "")], None));
        assert_eq!(outcome.closed, closed(1000, "", Initiator::Remote, true));
    }
}

/// 6455-6.2-02: what the peer had sent before it saw our Close frame is still received, and held to the
/// rules (A9).
#[test]
fn data_after_our_close() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.close(Some(NORMAL), now, &mut out).unwrap();
        let bytes = [
            frame(role, TEXT, b"late"),
            frame(role, FIRST_BINARY, b"later"),
            frame(role, PING, b"?"),
            frame(role, LAST_CONTINUATION, b""),
            close_frame(role, 1000, ""),
        ];
        let events = give(&mut connection, &bytes.concat(), now, &mut out);
        let expected = [
            text("late"),
            fragment(MessageKind::Binary, true, false, b"later"),
            ping(b"?"),
            fragment(MessageKind::Binary, false, true, b""),
            closing(1000, ""),
        ];
        assert_eq!(events, expected);
        assert!(connection.receive_eof().clean);

        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.close(Some(NORMAL), now, &mut out).unwrap();
        let mut bytes = frame(role, TEXT, b"\xff");
        assert_eq!(connection.receive(&mut bytes, now, &mut out), Err(ProtocolError::InvalidUtf8));
        assert_eq!(sent(role, &out), [(CLOSE, close_payload(1000, "done"))], "no second Close frame");
        assert_eq!(connection.should_close_transport(), role == Role::Server);
        assert_eq!(connection.receive_eof(), closed(1006, "", Initiator::Local, false));
    }
}

/// The closing handshake's deadline is counted from the first Close frame sent: neither the peer's, nor a
/// fault of the peer's, puts it off.
#[test]
fn the_deadline_is_the_first_close_frames() {
    for role in ROLES {
        for bytes in [close_frame(role, 1000, ""), vec![0xff]] {
            let (mut connection, now) = common::open(role);
            let mut out = Vec::new();
            connection.close(Some(NORMAL), now, &mut out).unwrap();
            let _ = connection.receive(&mut bytes.clone(), now + secs(4), &mut out);
            assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
        }
    }
}

/// Every rule that can be broken, and bytes from the peer of `role` that break it.
fn broken_rules(role: Role) -> Vec<(ProtocolError, u16, Vec<u8>)> {
    let begun = frame(role, FIRST_BINARY, b"begun");
    let masked = role == Role::Server;
    let long = |first, second: &[u8]| {
        let mut header = common::header(first, masked, 0);
        header.splice(1..2, [&[header[1] & 0x80 | second[0]], &second[1..]].concat());
        header
    };
    let (wrong_mask, mask_error) = match role {
        Role::Client => (frame(Role::Server, TEXT, b"a"), ProtocolError::MaskedFrameFromServer),
        Role::Server => (frame(Role::Client, TEXT, b"a"), ProtocolError::UnmaskedFrameFromClient),
    };
    let one_by_one = frame(role, CONTINUATION, b"").repeat(3);
    vec![
        (ProtocolError::ContinuationWithoutMessage, 1002, frame(role, CONTINUATION, b"a")),
        (ProtocolError::ControlFrameTooLong, 1002, frame(role, PING, &[0; 126])),
        (ProtocolError::FragmentedControlFrame, 1002, frame(role, PING & !common::FIN, b"")),
        (ProtocolError::FrameTooBig, 1009, announced(role, BINARY, 101)),
        (ProtocolError::InvalidCloseCode(CloseCode::ABNORMAL_CLOSURE), 1002, close_frame(role, 1006, "no")),
        (ProtocolError::InvalidCloseReason(NORMAL.code), 1007, frame(role, CLOSE, b"\x03\xe8\xff")),
        (ProtocolError::InvalidUtf8, 1007, frame(role, TEXT, b"\xff")),
        (ProtocolError::LengthTooLarge, 1002, long(BINARY, &[127, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        (mask_error, 1002, wrong_mask),
        (ProtocolError::MessageInProgress, 1002, [begun.clone(), frame(role, TEXT, b"")].concat()),
        (ProtocolError::MessageTooBig, 1009, [begun.clone(), announced(role, CONTINUATION, 100)].concat()),
        (ProtocolError::NonMinimalLength, 1002, long(BINARY, &[126, 0, 1])),
        (ProtocolError::ReservedBitSet, 1002, frame(role, TEXT | 0x40, b"")),
        (ProtocolError::ReservedOpcode(0xb), 1002, frame(role, 0x8b, b"")),
        (ProtocolError::TooManyFragments, 1008, [begun, one_by_one].concat()),
        (ProtocolError::TruncatedCloseCode, 1002, frame(role, CLOSE, b"a")),
    ]
}

/// Limits that [`broken_rules`] exceeds.
fn tight() -> Config {
    Config::default().max_frame_size(100).max_message_size(104).max_fragments(3)
}

/// 6455-7.1.7-01, 6455-7.1.7-03, 6455-7.1.7-05, 6455-10.7-03: whichever rule is broken, the peer is
/// told by a Close frame with the right code, and a server closes the transport.
#[test]
fn failing_tells_the_peer() {
    for role in ROLES {
        for (error, code, bytes) in broken_rules(role) {
            let outcome = fails(role, &tight(), &bytes, error);
            assert_eq!(error.close_code().get(), code, "{error}");
            assert_eq!(outcome.replies, [(CLOSE, close_payload(code, error.reason()))]);
            assert_eq!(outcome.closed, closed(1006, "", Initiator::Local, false));
        }
    }
}

/// 6455-7.1.7-07: after failing nothing is processed: no event, no answer, not even for a Close frame.
#[test]
fn nothing_is_processed_after_failing() {
    for role in ROLES {
        for (error, _, bytes) in broken_rules(role) {
            let after = [
                frame(role, TEXT, b"text"),
                frame(role, PING, b"ping"),
                close_frame(role, 1000, "sorry"),
                vec![0xff; 20],
            ];
            // `every_way` sees to it that there is no event, and that nothing stays in the input.
            let outcome = fails(role, &tight(), &[bytes.clone(), after.concat()].concat(), error);
            assert_eq!(outcome.events, every_way(role, &tight(), &bytes).events);
            assert_eq!(outcome.replies.len(), 1);

            let (mut connection, now) =
                (common::connection(role, &tight(), common::start()), common::start());
            let (mut input, mut out) = (bytes, Vec::new());
            while let Ok(Some(received)) = connection.receive(&mut input, now, &mut out) {
                input.drain(..received.consumed());
            }
            assert!(has_sent_close(&mut connection));
            assert_eq!(connection.sender().text("text", &mut out), Err(SendError::Closing));
            assert_eq!(connection.close(None, now, &mut out), Err(SendError::Closing));
        }
    }
}

/// A failing endpoint's reason fits the Close frame, and what the error says contains it.
#[test]
fn reasons_fit_a_close_frame() {
    for role in ROLES {
        for (error, _, _) in broken_rules(role) {
            let reason = error.reason();
            assert!((1..=CloseFrame::MAX_REASON).contains(&reason.len()), "{reason}");
            assert!(error.to_string().contains(reason));
        }
    }
}

/// 6455-7.1.7-05, 6455-7.1.7-07: a fault that was found outside the receiver fails the connection like any other.
#[test]
fn failing_from_outside() {
    let error = ProtocolError::InvalidCompressedData;
    assert_eq!(error.close_code().get(), 1007);
    assert!((1..=CloseFrame::MAX_REASON).contains(&error.reason().len()));
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        connection.fail(error, now, &mut out);
        assert_eq!(sent(role, &out), [(CLOSE, close_payload(1007, error.reason()))]);
        assert_eq!(connection.should_close_transport(), role == Role::Server);
        assert_eq!(connection.poll_timeout(), Some(now + secs(10)));
        out.clear();
        let after =
            [frame(role, TEXT, b"text"), frame(role, PING, b""), close_frame(role, 1000, "")].concat();
        assert_eq!(give(&mut connection, &after, now, &mut out), []);
        assert_eq!(out, []);
        assert_eq!(connection.receive_eof(), closed(1006, "", Initiator::Local, false));
    }
}

/// 6455-7.1.7-01, 6455-7.1.7-03: a client that failed waits for the server to close the transport, but
/// not for long; the server need not be waited for.
#[test]
fn a_failed_connection_ends() {
    for role in ROLES {
        let config = Config::default().close_timeout(secs(3));
        let now = common::start();
        let mut connection = common::connection(role, &config, now);
        let mut out = Vec::new();
        connection.receive(&mut [0xff], now, &mut out).unwrap_err();
        assert_eq!(connection.should_close_transport(), role == Role::Server);
        assert_eq!(connection.poll_timeout(), Some(now + secs(3)));
        assert_eq!(connection.handle_timeout(now + secs(2), &mut out), Ok(()));
        assert_eq!(connection.handle_timeout(now + secs(3), &mut out), Err(TimedOut::ClosingHandshake));
    }
}

/// Events for what came before the fault are delivered before it (A7).
#[test]
fn what_came_before_is_delivered() {
    for role in ROLES {
        for (error, _, bytes) in broken_rules(role) {
            let before = [frame(role, TEXT, b"fine"), frame(role, PING, b"too")].concat();
            let outcome = fails(role, &tight(), &[before, bytes].concat(), error);
            assert_eq!(outcome.events[..2], [text("fine"), ping(b"too")]);
            assert_eq!(outcome.replies[0], (PONG, b"too".to_vec()));
        }
    }
}

/// 6455-7.2.1-02: the transport is lost: in the middle of a frame, of a message, of nothing: 1006.
#[test]
fn the_transport_is_lost() {
    for role in ROLES {
        let whole = [frame(role, FIRST_TEXT, b"Hel"), frame(role, LAST_CONTINUATION, b"lo")].concat();
        for len in 0..=whole.len() {
            let outcome = common::run(role, &Config::default(), Connection::receive, [&whole[..len]]);
            assert_eq!(outcome.closed, closed(1006, "", Initiator::Transport, false));
        }
    }
}

/// The Close frame of a failed connection is not repeated when `receive` is called again.
#[test]
fn failing_happens_once() {
    for role in ROLES {
        let (mut connection, now) = common::open(role);
        let mut out = Vec::new();
        let mut input = frame(role, TEXT, b"\xff\xff");
        connection.receive(&mut input, now, &mut out).unwrap_err();
        let before = out.len();
        let discarded = connection.receive(&mut input, now, &mut out).unwrap().unwrap();
        assert_eq!((discarded.event(&input), discarded.consumed()), (None, input.len()));
        input.clear();
        assert_eq!(connection.receive(&mut input, now, &mut out), Ok(None));
        assert_eq!(out.len(), before);
    }
}

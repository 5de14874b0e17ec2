use core::str;
use std::time::Instant;

use sansocket::frame::MAX_CONTROL_PAYLOAD;
use sansocket::{
    CloseCode, CloseFrame, Config, Connection, Event, ProtocolError, Receiver, Role, SendError, Sender,
};

use super::{frames, random};

/// A Close frame's payload is read as RFC 6455 says, and what may be sent arrives as it was sent.
pub fn close(data: &[u8]) {
    let payload = &data[..data.len().min(MAX_CONTROL_PAYLOAD)];
    let parsed = CloseFrame::parse(payload);
    assert_eq!(parsed, parse_naively(payload));
    receive(payload, parsed);
    if let [high, low, reason @ ..] = data {
        let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
        send(CloseFrame { code, reason: &String::from_utf8_lossy(reason) });
    }
}

fn parse_naively(payload: &[u8]) -> Result<Option<CloseFrame<'_>>, ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => (u16::from(*high) * 256 + u16::from(*low), reason),
    };
    let on_the_wire = match code {
        1000..3000 => {
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].contains(&code)
        }
        _ => (3000..5000).contains(&code),
    };
    let code = CloseCode::new(code);
    if !on_the_wire {
        return Err(ProtocolError::InvalidCloseCode(code));
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason(code))?;
    Ok(Some(CloseFrame { code, reason }))
}

/// A connection that receives it echoes the code, or fails.
fn receive(payload: &[u8], parsed: Result<Option<CloseFrame<'_>>, ProtocolError>) {
    let now = Instant::now();
    let mut connection = Connection::client(&Config::default(), random, now);
    let len = u8::try_from(payload.len()).expect("at most 125");
    let mut input = [&[0x88, len], payload].concat();
    let mut out = Vec::new();
    let received = connection.receive(&mut input, now, &mut out);
    let replies = frames(true, &out);
    match (parsed, received) {
        (Ok(close), Ok(Some(received))) => {
            assert_eq!(received.event(&input), Some(Event::Close(close)));
            assert_eq!(replies, [(0x88, payload[..payload.len().min(2)].to_vec())]);
            let closed = connection.receive_eof();
            assert!(closed.clean);
            let code = close.map_or(CloseCode::NO_STATUS_RECEIVED, |close| close.code);
            assert_eq!((closed.code, &*closed.reason), (code, close.map_or("", |close| close.reason)));
        }
        (Err(expected), Err(error)) => {
            assert_eq!(error, expected);
            let code = error.close_code().get().to_be_bytes();
            assert_eq!(replies, [(0x88, [&code, error.reason().as_bytes()].concat())]);
            assert!(!connection.receive_eof().clean);
        }
        (expected, received) => panic!("{expected:?}, but received {received:?}"),
    }
}

/// Either role sends it, unless it may not, and the other receives just that.
fn send(close: CloseFrame<'_>) {
    let config = Config::default();
    for role in [Role::Client, Role::Server] {
        let (mut sender, receiving) = match role {
            Role::Client => (Sender::client(&config, random), Role::Server),
            Role::Server => (Sender::server(&config), Role::Client),
        };
        let allowed = close.code.is_allowed_on_the_wire()
            && !(role == Role::Server && close.code == CloseCode::MANDATORY_EXTENSION);
        let expected = if !allowed {
            Err(SendError::InvalidCloseCode(close.code))
        } else if close.reason.len() > CloseFrame::MAX_REASON {
            Err(SendError::CloseReasonTooLong)
        } else {
            Ok(())
        };
        let mut wire = Vec::new();
        assert_eq!(sender.close(Some(close), &mut wire), expected);
        if expected.is_err() {
            assert!(wire.is_empty());
            sender.close(None, &mut wire).expect("nothing was sent");
            continue;
        }
        assert_eq!(sender.close(Some(close), &mut wire), Err(SendError::Closing));
        let received = Receiver::new(receiving, &config).receive(&mut wire).expect("valid").expect("whole");
        assert_eq!(received.consumed(), wire.len());
        assert_eq!(received.event(&wire), Some(Event::Close(Some(close))));
    }
}

//! What happened, in words that can be compared.

use std::hash::{DefaultHasher, Hasher};

use sansocket::blocking::{Incoming, Part};
use sansocket::handshake::ResponseError;
use sansocket::{Closed, Error, Message, MessageKind};

/// A payload: as text if it is short, else told apart by its length and a hash.
pub fn payload(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if text.len() <= 125 => format!("{text:?}"),
        _ if payload == vec![payload[0]; payload.len()] => format!("{} times {}", payload.len(), payload[0]),
        _ => {
            let mut hasher = DefaultHasher::new();
            hasher.write(payload);
            format!("{} bytes {:x}", payload.len(), hasher.finish())
        }
    }
}

/// A message as [`received`] or sent in one frame.
pub fn message(message: &Message) -> String {
    format!("{} {}", kind(message.kind()), payload(message.payload()))
}

pub fn incoming(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Message(received) => message(received),
        Incoming::Ping(bytes) => format!("ping {}", payload(bytes)),
        Incoming::Pong(bytes) => format!("pong {}", payload(bytes)),
        other => panic!("{other:?}"),
    }
}

pub fn part(part: &Part) -> String {
    let Part { kind: of, first, last, payload: bytes, .. } = part;
    let place = match (first, last) {
        (true, true) => "all of ",
        (true, false) => "first of ",
        (false, false) => "more of ",
        (false, true) => "last of ",
    };
    format!("{place}{} {}", kind(*of), payload(bytes))
}

/// A frame as the peer sees it.
pub fn frame(first: u8, bytes: &[u8]) -> String {
    let place = match (first & 0x80 != 0, first & 0x0f) {
        (true, 0) => "last ",
        (false, 0) => "more ",
        (false, _) => "first ",
        (true, _) => "",
    };
    let reserved = if first & 0x40 == 0 { "" } else { "compressed " };
    let opcode = match first & 0x0f {
        0 => "fragment",
        1 => "text",
        2 => "binary",
        8 => return close(bytes),
        9 => "ping",
        10 => "pong",
        _ => "unknown",
    };
    format!("{place}{reserved}{opcode} {}", payload(bytes))
}

fn close(bytes: &[u8]) -> String {
    match bytes {
        [high, low, reason @ ..] => {
            format!("close {} {}", u16::from_be_bytes([*high, *low]), payload(reason))
        }
        _ => format!("close{}", if bytes.is_empty() { "" } else { " cut short" }),
    }
}

/// What a call came to that returns something, or nothing more.
pub fn received<T>(result: Result<Option<T>, Error>, line: impl FnOnce(&T) -> String) -> String {
    match result {
        Ok(Some(value)) => line(&value),
        Ok(None) => "none".into(),
        Err(failed) => error(&failed),
    }
}

pub fn done<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|failed| error(&failed), |_| "ok".into())
}

/// Whether there was room.
pub fn room(result: Result<bool, Error>) -> String {
    result.map_or_else(|failed| error(&failed), |has_room| has_room.to_string())
}

pub fn error(error: &Error) -> String {
    match error {
        Error::ConnectionLost(error) => format!("ConnectionLost({:?})", error.kind()),
        Error::Response(ResponseError::Refused(response)) => {
            let later = response.headers().get("Retry-After");
            let later = later.map_or(String::new(), |later| format!(", again after {later} s"));
            format!("Refused({}, {}{later})", response.status(), payload(response.body()))
        }
        other => format!("{other:?}"),
    }
}

pub fn closed(closed: Option<&Closed>) -> String {
    closed.map_or("not closed".into(), |Closed { code, reason, initiator, clean, .. }| {
        format!("{} {reason:?}, {initiator:?}, {}", code.get(), if *clean { "clean" } else { "not clean" })
    })
}

pub fn agreed((subprotocol, status): (Option<&str>, Option<u16>)) -> String {
    format!("subprotocol {subprotocol:?}, status {status:?}")
}

pub fn kind(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text => "text",
        MessageKind::Binary => "binary",
    }
}

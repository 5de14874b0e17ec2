//! A deliberately simple frame decoder and message assembler, read straight off RFC 6455: it looks at
//! whole frames only, copies everything, and knows no limits. The core is compared with it.

use super::Seen;
use sansocket::{MessageKind, Role};

/// A whole frame, its payload unmasked.
#[derive(Debug)]
pub struct Frame {
    /// FIN, RSV1 to RSV3 and the opcode.
    pub first: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
    /// How many bytes it takes on the wire.
    pub len: usize,
}

/// Section 5.2: the frame at the front of `input`; `None` if it is not whole, `Err` if it must not be.
pub fn decode(input: &[u8]) -> Result<Option<Frame>, ()> {
    let [first, second, ..] = *input else { return Ok(None) };
    let masked = second >= 128;
    let (len, mut at) = match second % 128 {
        126 => (input.get(2..4), 4),
        127 => (input.get(2..10), 10),
        _ => (Some(&[second % 128][..]), 2),
    };
    let Some(len) = len.map(|bytes| bytes.iter().fold(0u64, |len, byte| len << 8 | u64::from(*byte))) else {
        return Ok(None);
    };
    let minimal = if len < 126 {
        2
    } else if len < 65536 {
        4
    } else {
        10
    };
    if at != minimal || len >= 1 << 63 {
        return Err(());
    }
    let mut key = [0; 4];
    if masked {
        let Some(bytes) = input.get(at..at + 4) else { return Ok(None) };
        key.copy_from_slice(bytes);
        at += 4;
    }
    let Some(end) = usize::try_from(len).ok().and_then(|len| at.checked_add(len)) else { return Ok(None) };
    let Some(payload) = input.get(at..end) else { return Ok(None) };
    let payload = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Ok(Some(Frame { first, masked, payload, len: end }))
}

/// Sections 5.1 to 5.6: all that the peer of `role` says in `input`, frame by frame, and what it must
/// have broken to end it early: the close code.
pub fn receive(role: Role, mut input: &[u8]) -> (Vec<Seen>, Option<u16>) {
    let mut seen = Vec::new();
    let mut message: Option<(MessageKind, Vec<u8>)> = None;
    loop {
        let frame = match decode(input) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (seen, None),
            Err(()) => return (seen, Some(1002)),
        };
        input = &input[frame.len..];
        let (fin, reserved, opcode) = (frame.first & 0x80 != 0, frame.first & 0x70, frame.first & 0x0f);
        if reserved != 0 || frame.masked != (role == Role::Server) {
            return (seen, Some(1002));
        }
        if opcode >= 8 && (!fin || frame.payload.len() > 125) {
            return (seen, Some(1002));
        }
        match opcode {
            0..=2 => {
                let first = opcode != 0;
                let (kind, mut joined) = match (opcode, message.take()) {
                    (1, None) => (MessageKind::Text, Vec::new()),
                    (2, None) => (MessageKind::Binary, Vec::new()),
                    (0, Some(message)) => message,
                    _ => return (seen, Some(1002)),
                };
                joined.extend_from_slice(&frame.payload);
                let valid = match std::str::from_utf8(&joined) {
                    Ok(_) => true,
                    Err(error) => !fin && error.error_len().is_none(),
                };
                if kind == MessageKind::Text && !valid {
                    return (seen, Some(1007));
                }
                seen.push(Seen::Data { kind, first, last: fin, payload: frame.payload });
                message = (!fin).then_some((kind, joined));
            }
            8 => match frame.payload.as_slice() {
                [] => return ([seen, vec![Seen::Close(None)]].concat(), None),
                [_] => return (seen, Some(1002)),
                [high, low, reason @ ..] => {
                    let code = u16::from_be_bytes([*high, *low]);
                    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                        return (seen, Some(1002));
                    }
                    let Ok(reason) = std::str::from_utf8(reason) else { return (seen, Some(1007)) };
                    return ([seen, vec![Seen::Close(Some((code, reason.into())))]].concat(), None);
                }
            },
            9 => seen.push(Seen::Ping(frame.payload)),
            10 => seen.push(Seen::Pong(frame.payload)),
            _ => return (seen, Some(1002)),
        }
    }
}

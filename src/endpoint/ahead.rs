//! A look at frames that the program has not received yet, so that control frames among them are answered whether it
//! receives or not. It changes nothing in what was read.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::ProtocolError;
use crate::frame::{FrameHeader, Opcode};
use crate::role::Role;

/// How far was looked ahead of what the program received.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Up to the end of the last frame that was looked at, from the front of the input: more than there is of it, if
    /// that frame is data and still incomplete.
    looked: u64,
    /// So much of the payload is unmasked already of the frame that is looked at next.
    unmasked: usize,
    /// How many Pings of those looked at, the latest, were answered: they are not to be when they are received.
    answered: usize,
    /// The program has not received since the last look: what is read then is bounded.
    pub(super) neglected: bool,
    /// As much was read as may be, for the time being.
    pub(super) full: bool,
    /// How much was read since the last look.
    pub(super) arrived: usize,
    /// Once as much was read as may be, what still comes is discarded: it may be read then, up to the peer's Close frame.
    pub(super) discards: bool,
    /// What of the input is to be received, once something was discarded that stood behind it.
    kept: Option<usize>,
}

/// A control frame.
#[derive(Debug)]
pub(super) enum Control {
    Ping(Vec<u8>),
    Pong,
    Close(Vec<u8>),
}

impl Ahead {
    /// Begins with the [next frame](crate::Receiver::next_frame).
    pub(super) fn new((looked, unmasked): (u64, usize)) -> Self {
        Self { looked, unmasked, ..Self::default() }
    }

    /// How far was looked.
    pub(super) fn looked(&self) -> u64 {
        self.looked
    }

    /// The next control frame. `None`: there is none, up to the end of what was read.
    pub(super) fn look(&mut self, input: &[u8], role: Role) -> Result<Option<Control>, ProtocolError> {
        loop {
            let rest = usize::try_from(self.looked).ok().and_then(|looked| input.get(looked..));
            let unmasked = self.unmasked;
            let Some((header, start)) = rest.map_or(Ok(None), FrameHeader::parse)? else {
                return Ok(None);
            };
            match (role, header.masking_key) {
                _ if header.rsv1 && header.opcode.is_control() => return Err(ProtocolError::ReservedBitSet),
                (Role::Server, None) => return Err(ProtocolError::UnmaskedFrameFromClient),
                (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFrameFromServer),
                _ => {}
            }
            let frame = (start as u64).saturating_add(header.payload_len);
            if !header.opcode.is_control() {
                self.looked = self.looked.saturating_add(frame);
                continue;
            }
            let end = usize::try_from(frame).ok();
            let Some(payload) = end.and_then(|end| rest?.get(start..end)) else {
                return Ok(None);
            };
            let mut payload = payload.to_vec();
            if let Some(key) = header.masking_key {
                key.apply(&mut payload[unmasked..], unmasked as u64);
            }
            self.looked += frame;
            self.unmasked = 0;
            return Ok(Some(match header.opcode {
                Opcode::Ping => {
                    self.answered += 1;
                    Control::Ping(payload)
                }
                Opcode::Pong => Control::Pong,
                _ => Control::Close(payload),
            }));
        }
    }

    /// Whether the Ping that is received now was answered when it was looked at.
    pub(super) fn take_answered(&mut self) -> bool {
        let answered = self.answered > 0;
        self.answered -= usize::from(answered);
        answered
    }

    /// The program has received so many bytes of the input.
    pub(super) fn on_received(&mut self, bytes: usize) {
        self.looked = self.looked.saturating_sub(bytes as u64);
        self.kept = self.kept.map(|kept| kept.saturating_sub(bytes));
    }

    /// Whether all that was looked at has been received, and what comes can be, too.
    pub(super) fn is_over(&self) -> bool {
        self.looked == 0 && self.kept.is_none()
    }

    /// Keeps what there is of the input, `len` bytes, and discards what comes.
    pub(super) fn keep(&mut self, len: usize) {
        self.kept.get_or_insert(len);
        self.full = false;
    }

    /// What can be discarded of the input, `len` bytes: it was looked at, and is not to be received.
    pub(super) fn take_discarded(&mut self, len: usize) -> Option<Range<usize>> {
        let start = self.kept?;
        let end = usize::try_from(self.looked).map_or(len, |looked| looked.min(len));
        let discarded = (start < end).then_some(start..end)?;
        self.looked -= discarded.len() as u64;
        Some(discarded)
    }

    /// Whether something was discarded: what is received ends with what was kept.
    pub(super) fn has_kept(&self) -> bool {
        self.kept.is_some()
    }
}

//! The frame header (RFC 6455 section 5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |  (0, 16 or 64 bits)           |
//! |N|V|V|V|       |S|             |                               |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |    Masking key (32 bits, if MASK is set)                      |
//! +---------------------------------------------------------------+
//! ```

use alloc::vec::Vec;
use core::ops::Deref;

use super::{MAX_CONTROL_PAYLOAD, MaskingKey, Opcode};
use crate::error::ProtocolError;

/// What stands before a frame's payload.
///
/// ```
/// use sansocket::frame::{FrameHeader, Opcode};
///
/// // The header of the first example in RFC 6455 section 5.7.
/// let (header, len) = FrameHeader::parse(b"\x81\x05Hello")?.expect("a whole header");
/// assert_eq!(len, 2);
/// assert_eq!(header.opcode, Opcode::Text);
/// assert_eq!(header.payload_len, 5);
/// assert_eq!(*header.encode(), *b"\x81\x05");
/// # Ok::<(), sansocket::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the RFC's; no extension has RSV2 or RSV3")]
pub struct FrameHeader {
    /// FIN: this is the final fragment of a message.
    pub fin: bool,
    /// RSV1: an extension may negotiate its meaning; permessage-deflate marks compressed messages with it.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The key that the payload is masked with; `None` when the MASK bit is not set.
    pub masking_key: Option<MaskingKey>,
    /// How many bytes of payload follow, the masking key not counted. At most 2^63 - 1.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The length of the longest header in bytes: 64-bit length, and masking key.
    pub const MAX_LEN: usize = 14;

    /// Parses the header at the front of `input`, and tells its length in bytes; `None` when more
    /// bytes are needed.
    ///
    /// Fails at the first byte that no more bytes could put right. RSV1, the MASK bit and the order
    /// of fragments are for the [`Receiver`](crate::Receiver) to judge, which knows the role and
    /// what was negotiated.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
        // (6455-5.2-02)
        if first & (RSV2 | RSV3) != 0 {
            return Err(ProtocolError::ReservedBitSet);
        }
        let opcode = Opcode::try_from(first & OPCODE)?;
        let fin = first & FIN != 0;
        // "All control frames [..] MUST NOT be fragmented." (6455-5.5-02)
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControlFrame);
        }
        let Some((&[_, second], rest)) = input.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let short_len = second & !MASK;
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlFrameTooLong);
        }
        let Some((payload_len, rest)) = parse_extended_len(short_len, rest)? else {
            return Ok(None);
        };
        let Some((masking_key, rest)) = parse_masking_key(second, rest) else {
            return Ok(None);
        };
        let header = Self { fin, rsv1: first & RSV1 != 0, opcode, masking_key, payload_len };
        Ok(Some((header, input.len() - rest.len())))
    }

    /// Like [`parse`](Self::parse), for what most headers are: that of a whole message in one frame, as it is
    /// sent without extensions. `None` for all others, whatever they are.
    #[inline]
    pub(crate) fn parse_whole_message(input: &[u8]) -> Option<(Self, usize)> {
        const TEXT: u8 = FIN | Opcode::Text as u8;
        const BINARY: u8 = FIN | Opcode::Binary as u8;
        let (&[first, second], rest) = input.split_first_chunk()?;
        let opcode = match first {
            TEXT => Opcode::Text,
            BINARY => Opcode::Binary,
            _ => return None,
        };
        let (payload_len, rest) = parse_extended_len(second & !MASK, rest).ok()??;
        let (masking_key, rest) = parse_masking_key(second, rest)?;
        let header = Self { fin: true, rsv1: false, opcode, masking_key, payload_len };
        Some((header, input.len() - rest.len()))
    }

    /// The header's bytes, with the length in its minimal form. Whatever the fields say is written.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each match arm holds only lengths that fit")]
    pub fn encode(&self) -> EncodedHeader {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[0] = self.first_byte();
        let mask = if self.masking_key.is_some() { MASK } else { 0 };
        // "Note that in all cases, the minimal number of bytes MUST be used to encode the length"
        // (6455-5.2-08)
        let mut len = match self.payload_len {
            len @ 0..=125 => {
                bytes[1] = mask | len as u8;
                2
            }
            len @ 126..=0xffff => {
                bytes[1] = mask | LEN_16;
                bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                4
            }
            len => {
                bytes[1] = mask | LEN_64;
                bytes[2..10].copy_from_slice(&len.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.masking_key {
            bytes[len..len + 4].copy_from_slice(&key.to_bytes());
            len += 4;
        }
        EncodedHeader { bytes, len }
    }

    #[inline]
    fn first_byte(&self) -> u8 {
        (if self.fin { FIN } else { 0 }) | (if self.rsv1 { RSV1 } else { 0 }) | self.opcode as u8
    }

    /// Appends what [`encode`](Self::encode) gives.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each match arm holds only lengths that fit")]
    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        // Most of what a server sends, in 25 instructions less.
        match (self.masking_key, self.payload_len) {
            (None, len @ 0..=125) => return out.extend_from_slice(&[self.first_byte(), len as u8]),
            (None, len @ 126..=0xffff) => {
                let [high, low] = (len as u16).to_be_bytes();
                return out.extend_from_slice(&[self.first_byte(), LEN_16, high, low]);
            }
            _ => {}
        }
        let header = self.encode();
        let end = out.len() + header.len;
        // A copy of known length, cut short, is cheaper than one of unknown length.
        out.extend_from_slice(&header.bytes);
        out.truncate(end);
    }

    /// Masks, or unmasks, the whole `payload`, if the header has a key.
    #[inline]
    pub fn mask(&self, payload: &mut [u8]) {
        if let Some(key) = self.masking_key {
            key.apply(payload, 0);
        }
    }

    /// Appends the whole frame: the header, and `payload`, masked with its key if it has one.
    #[inline]
    pub(crate) fn append_frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(Self::MAX_LEN + payload.len());
        self.encode_to(out);
        match self.masking_key {
            None => out.extend_from_slice(payload),
            Some(key) => key.append(payload, out),
        }
    }
}

/// A header's bytes on the stack, to be written before the payload where it lies.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; FrameHeader::MAX_LEN],
    /// At most [`FrameHeader::MAX_LEN`].
    len: usize,
}

impl Deref for EncodedHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The payload length that follows the first two bytes, and what follows it.
#[inline]
fn parse_extended_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    match short_len {
        LEN_16 => match rest.split_first_chunk() {
            Some((&len, rest)) => match u16::from_be_bytes(len) {
                0..=125 => Err(ProtocolError::NonMinimalLength),
                len => Ok(Some((len.into(), rest))),
            },
            None => Ok(None),
        },
        LEN_64 => {
            // "the most significant bit MUST be 0" (6455-5.2-07)
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(ProtocolError::LengthTooLarge);
            }
            if rest.starts_with(&[0; 6]) {
                return Err(ProtocolError::NonMinimalLength);
            }
            Ok(rest.split_first_chunk().map(|(&len, rest)| (u64::from_be_bytes(len), rest)))
        }
        len => Ok(Some((len.into(), rest))),
    }
}

/// The masking key, if the header's second byte says that there is one, and what follows it.
#[inline]
fn parse_masking_key(second: u8, rest: &[u8]) -> Option<(Option<MaskingKey>, &[u8])> {
    if second & MASK == 0 {
        return Some((None, rest));
    }
    let (key, rest) = rest.split_first_chunk()?;
    Some((Some(MaskingKey::new(*key)), rest))
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
/// "If 126, the following 2 bytes interpreted as a 16-bit unsigned integer are the payload length."
/// (6455-5.2-06)
const LEN_16: u8 = 126;
/// "If 127, the following 8 bytes interpreted as a 64-bit unsigned integer [..] are the payload length."
/// (6455-5.2-06)
const LEN_64: u8 = 127;

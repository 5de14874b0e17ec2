//! Base64 (RFC 4648) as a subprotocol can have it: without padding and `/`, which no name of a subprotocol may have, and of
//! either alphabet in the rest.

/// The bytes that the text stands for. `None`: it is none, or has bits that stand for nothing.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        // Two digits make one byte, three make two.
        let len = group.len() * 6 / 8;
        let unused = group.len() * 6 % 8;
        if len == 0 || bits & ((1 << unused) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&(bits >> unused).to_be_bytes()[4 - len..]);
    }
    Some(bytes)
}

/// The text that stands for these bytes.
#[cfg(feature = "test")]
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        // One byte makes two digits, two make three.
        text.extend((0..=group.len()).map(|at| char::from(DIGITS[bits >> (18 - 6 * at) & 63])));
    }
    text
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

/// Of the alphabet for URLs, by what they stand for.
#[cfg(feature = "test")]
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

//! The name of a connection.

use std::fmt;
use std::str::FromStr;

use serde::ser::{Serialize, Serializer};

/// The name of a connection, made by the server: unique among all nodes, and no secret. It grants nothing.
///
/// As text it has 26 characters: digits and capital letters. On the wire it is a string.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId {
    /// Drawn by the node at random.
    node: u64,
    /// Counted by the node.
    number: u64,
}

impl ConnId {
    pub(crate) fn new(node: u64, number: u64) -> Self {
        Self { node, number }
    }

    /// The node, and its count.
    pub(crate) fn parts(self) -> (u64, u64) {
        (self.node, self.number)
    }

    fn digits(self) -> [u8; 26] {
        let mut bits = u128::from(self.node) << 64 | u128::from(self.number);
        let mut text = [b'0'; 26];
        for digit in text.iter_mut().rev() {
            *digit = DIGITS[(bits & 31) as usize];
            bits >>= 5;
        }
        text
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.digits()))
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({self})")
    }
}

impl FromStr for ConnId {
    type Err = InvalidConnId;

    fn from_str(text: &str) -> Result<Self, InvalidConnId> {
        // The first digit has three bits.
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(InvalidConnId);
        }
        let mut bits = 0_u128;
        for digit in text.bytes() {
            let value = DIGITS.iter().position(|known| *known == digit).ok_or(InvalidConnId)?;
            bits = bits << 5 | value as u128;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is taken apart")]
        Ok(Self { node: (bits >> 64) as u64, number: bits as u64 })
    }
}

impl Serialize for ConnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not the name of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidConnId;

impl fmt::Display for InvalidConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a connection has 26 digits and capital letters")
    }
}

impl std::error::Error for InvalidConnId {}

/// Crockford's: without I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

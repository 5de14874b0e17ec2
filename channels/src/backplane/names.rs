//! What topics and nodes are called at a broker.

use std::fmt::Write;

/// A topic's name as part of a subject: letters, digits, `-`, `_` and `:` are as they are, and each other byte is `=` and its two
/// hexadecimal digits; no name at all is `=`. So nothing in a name is the broker's syntax, and no two names are one.
pub(super) fn escaped(topic: &str) -> String {
    let mut subject = String::with_capacity(topic.len());
    for byte in topic.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':') {
            subject.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(subject, "={byte:02X}");
        }
    }
    if subject.is_empty() {
        subject.push('=');
    }
    subject
}

/// Whether all subjects of a cluster may begin with this: 1 to 64 letters, digits, `-` and `_`.
pub(super) fn is_prefix(prefix: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&prefix.len()) && prefix.bytes().all(is_word)
}

//! What topics and nodes are called at a broker.

use std::borrow::Cow;
use std::fmt::Write;

/// A topic's name as part of a subject: letters, digits, `-`, `_` and `:` are as they are, and each other byte is `=` and its two
/// hexadecimal digits; no name at all is `=`. So nothing in a name is the broker's syntax, and no two names are one.
pub(super) fn escaped(topic: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if topic.is_empty() {
        return "=".into();
    }
    // As nearly all are.
    if topic.bytes().all(is_plain) {
        return topic.into();
    }
    let mut subject = String::with_capacity(3 * topic.len());
    for byte in topic.bytes() {
        if is_plain(byte) {
            subject.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(subject, "={byte:02X}");
        }
    }
    subject.into()
}

/// Whether all subjects of a cluster may begin with this: 1 to 64 letters, digits, `-` and `_`.
pub(super) fn is_prefix(prefix: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&prefix.len()) && prefix.bytes().all(is_word)
}

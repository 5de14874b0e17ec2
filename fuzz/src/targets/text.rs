use core::str;

use bytes::Bytes;
use sansocket::utf8::InvalidUtf8;
use sansocket::{Assembler, Fragment, Message, MessageKind, ProtocolError, Utf8Bytes};

use super::Choices;

/// Text in `Bytes` is what its safe twin, `core::str::from_utf8`, makes of them, and nothing else is
/// text; whatever it is made of, it is the same, also of fragments.
pub fn text(data: &[u8]) {
    let mut choices = Choices(data);
    // Long texts are validated in another way than short ones.
    let padding = usize::from(choices.byte());
    let bytes = Bytes::from([&[b'.'].repeat(padding), choices.0].concat());

    for bytes in [bytes.slice(padding..), bytes] {
        let twin = str::from_utf8(&bytes).map_err(|_| InvalidUtf8);
        let joined = in_fragments(&bytes, padding % 7 + 1);
        assert_eq!(joined, twin.map(Message::text).map_err(|_| ProtocolError::InvalidUtf8));
        let text = Utf8Bytes::try_from(bytes.clone());
        assert_eq!(text.as_deref(), twin.as_ref().copied());
        if let (Ok(text), Ok(twin)) = (text, twin) {
            assert_eq!(text.clone(), Utf8Bytes::from(twin));
            assert_eq!(text, Utf8Bytes::from(String::from(twin)));
            assert!(text.chars().eq(twin.chars()));
            assert_eq!(Bytes::from(text), bytes);
        }
    }
}

/// Text made of fragments that are `len` bytes long, and an empty one.
fn in_fragments(bytes: &[u8], len: usize) -> Result<Message, ProtocolError> {
    let mut assembler = Assembler::default();
    let mut fragments = bytes.chunks(len).chain([&[][..]]);
    loop {
        let payload = fragments.next().unwrap_or_default();
        let last = payload.is_empty();
        let fragment = Fragment::new(MessageKind::Text, false, last, payload);
        if let Some(message) = assembler.push(&fragment)? {
            return Ok(message);
        }
    }
}

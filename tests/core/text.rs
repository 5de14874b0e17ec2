//! Text in `Bytes`: the way with `unsafe`, compared with its safe twin, [`str::from_utf8`].

use std::borrow::Cow;
use std::str;
use std::sync::Arc;

use bytes::Bytes;
use sansocket::utf8::{InvalidUtf8, Utf8Validator};
use sansocket::{Assembler, Fragment, Message, MessageKind, ProtocolError, Utf8Bytes};

/// Code points of every length at every border between lengths, and what is none.
const PIECES: [&[u8]; 18] = [
    b"",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\x80",
    b"\xc0\x80",
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\xa6",
    b"\xf4\x90\x80\x80",
    b"\xff",
];

/// Compares text made of `bytes` with its safe twin, and the validator with both.
#[track_caller]
fn compare(bytes: &[u8]) {
    let twin = str::from_utf8(bytes).map_err(|_| InvalidUtf8);
    let text = Utf8Bytes::try_from(Bytes::copy_from_slice(bytes));
    assert_eq!(text.as_deref(), twin.as_ref().copied(), "{bytes:02x?}");
    let mut validator = Utf8Validator::default();
    assert_eq!(validator.feed(bytes).and_then(|()| validator.finish()), twin.map(|_| ()), "{bytes:02x?}");
}

/// Text made of `bytes` in two fragments, the first of them `cut` bytes long.
fn in_fragments(bytes: &[u8], cut: usize) -> Result<Option<Message>, ProtocolError> {
    let mut assembler = Assembler::default();
    let fragment = |first, payload| Fragment::new(MessageKind::Text, first, !first, payload);
    let (first, last) = bytes.split_at(cut);
    assert_eq!(assembler.push(&fragment(true, first))?, None);
    assembler.push(&fragment(false, last))
}

/// 6455-8.1-01: the vectors that long texts are validated in have borders, and so has the text: each
/// piece at each place.
#[test]
fn text_is_what_its_twin_says() {
    for filler in ["a", "я"] {
        for piece in PIECES {
            for before in 0..=130 {
                for after in [0, 1, 31, 32, 63, 64] {
                    let (before, after) = (filler.repeat(before), filler.repeat(after));
                    let text = [before.as_bytes(), piece, after.as_bytes()].concat();
                    compare(&text);
                    let twin = str::from_utf8(&text).map(|text| Some(Message::text(text)));
                    for cut in before.len()..=before.len() + piece.len() {
                        let joined = in_fragments(&text, cut);
                        assert_eq!(joined, twin.clone().map_err(|_| ProtocolError::InvalidUtf8));
                    }
                }
            }
        }
    }
}

#[test]
fn text_is_the_same_whatever_it_is_made_of() {
    const TEXT: &str = "Straße, ещё, 色は, 🦀";
    let bytes = Bytes::from_static(TEXT.as_bytes());
    let texts = [
        Utf8Bytes::from_static(TEXT),
        Utf8Bytes::from(TEXT),
        Utf8Bytes::from(String::from(TEXT)),
        Utf8Bytes::try_from(bytes.clone()).unwrap(),
        Utf8Bytes::from(&String::from(TEXT)),
        Utf8Bytes::from(Cow::from(TEXT)),
        Utf8Bytes::from(Box::<str>::from(TEXT)),
        Utf8Bytes::from(Arc::<str>::from(TEXT)),
    ];
    for text in &texts {
        assert_eq!(text, TEXT);
        assert_eq!(*text, String::from(TEXT));
        assert_eq!(String::from(TEXT), *text);
        let borrowed: Cow<'_, str> = TEXT.into();
        assert!(*TEXT == *text && borrowed == *text);
        assert_eq!(*text, texts[0]);
        assert_eq!(text.clone().to_string(), TEXT);
        assert_eq!(format!("{text:?}"), format!("{TEXT:?}"));
        assert_eq!(Bytes::from(text.clone()), bytes);
        assert_eq!(Message::text(text.clone()).as_text(), Some(TEXT));
    }
    assert_eq!(Utf8Bytes::default(), "");
}

/// It shares its memory with the bytes it is made of.
#[test]
fn text_is_not_copied() {
    let bytes = Bytes::from("text".repeat(100));
    let text = Utf8Bytes::try_from(bytes.clone()).unwrap();
    assert_eq!(text.as_ptr(), bytes.as_ptr());
    assert_eq!(Bytes::from(text.clone()).as_ptr(), bytes.as_ptr());
}

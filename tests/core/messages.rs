//! Messages, and text that is cheap to clone: what they are made of, and what can be made of them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
#[cfg(feature = "std")]
use sansocket::Event;
use sansocket::{Assembler, Fragment, Message, MessageKind, Utf8Bytes};

#[cfg(feature = "std")]
use crate::common;

/// Everything that a message can be made of.
#[test]
fn from() {
    for text in [
        Message::from("text"),
        Message::from(String::from("text")),
        Message::from(&String::from("text")),
        Message::from(Cow::from("text")),
        Message::from(Box::<str>::from("text")),
        Message::from(Arc::<str>::from("text")),
        Message::from(Utf8Bytes::from("text")),
        Message::text("text"),
        Message::Text(Utf8Bytes::from_static("text")),
    ] {
        assert_eq!(text, Message::text("text"));
        assert_eq!((text.kind(), text.as_text()), (MessageKind::Text, Some("text")));
        assert_eq!((text.payload(), text.len(), text.is_empty()), (&b"text"[..], 4, false));
        assert_eq!(text.clone().into_payload(), "text");
        assert_eq!(Bytes::from(text.clone()), "text");
        assert_eq!(text.into_text().map(String::from), Ok("text".to_owned()));
    }
    for binary in [
        Message::from(b"\xff\0"),
        Message::from(&b"\xff\0"[..]),
        Message::from(*b"\xff\0"),
        Message::from(vec![0xff, 0]),
        Message::from(vec![0xff, 0].into_boxed_slice()),
        Message::from(BytesMut::from(&b"\xff\0"[..])),
        Message::from(Bytes::from_static(b"\xff\0")),
        Message::binary(vec![0xff, 0]),
    ] {
        assert_eq!(binary, Message::Binary(Bytes::from_static(b"\xff\0")));
        assert_eq!((binary.kind(), binary.as_text()), (MessageKind::Binary, None));
        assert_eq!((binary.payload(), binary.len(), binary.is_empty()), (&b"\xff\0"[..], 2, false));
        assert_eq!(binary.clone().into_payload(), &b"\xff\0"[..]);
        assert_eq!(Bytes::from(binary.clone()), &b"\xff\0"[..]);
        assert_eq!(binary.clone().into_text(), Err(binary));
    }
    assert!(Message::text("").is_empty() && Message::binary(Bytes::new()).is_empty());
    assert_ne!(Message::text("a"), Message::binary("a"));
}

/// A message that is logged shows its payload as what it is.
#[test]
fn debug() {
    assert_eq!(format!("{:?}", Message::text("a\"é")), r#"Text("a\"é")"#);
    assert_eq!(format!("{:?}", Message::binary(b"\xffa".to_vec())), r#"Binary(b"\xffa")"#);
}

/// What is received or sent is not seen in what an endpoint shows of itself: logs are read by others.
#[cfg(feature = "std")]
#[test]
fn endpoints_show_no_payload() {
    for role in common::ROLES {
        let (mut connection, now) = common::open(role);
        let (mut out, mut assembler) = (vec![0; 1 << 20], Assembler::default());
        // A Ping, whose Pong is held back while so much waits to be written; then a message in progress.
        let bytes = [
            common::frame(role, common::PING, b"secret"),
            common::frame(role, common::FIRST_TEXT, b"secret"),
        ];
        let mut input = bytes.concat();
        for _ in bytes {
            let received = connection.receive(&mut input, now, &mut out).unwrap().unwrap();
            if let Some(Event::Data(fragment)) = received.event(&input) {
                assembler.push(&fragment).unwrap();
            }
            input.drain(..received.consumed());
        }
        let shown = format!("{connection:?} {assembler:?}");
        assert!(shown.contains("held_pong: Some") && shown.contains("Assembler { len: 6"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"), "{shown}");
    }
}

/// `Utf8Bytes` is a `str` wherever one is asked for, and shares its memory with the `Bytes` it was made of.
#[test]
fn text() {
    let bytes = Bytes::from("é".to_owned());
    let text = Utf8Bytes::try_from(bytes.clone()).unwrap();
    assert_eq!(text, "é");
    assert_eq!(text, *"é");
    assert_ne!(text, "e");
    assert_eq!((text.as_str(), text.as_ref(), text.len()), ("é", "é", 2));
    assert_eq!(
        (format!("{text}"), format!("{text:>3}"), format!("{text:?}")),
        ("é".into(), "  é".into(), "\"é\"".into())
    );
    assert_eq!(text.clone(), Utf8Bytes::from("é".to_owned()));
    assert!(HashSet::from([text.clone()]).contains(&Utf8Bytes::from("é")));
    assert!(Utf8Bytes::default() < text);
    let shared = Bytes::from(text);
    assert_eq!(shared.as_ptr(), bytes.as_ptr());
    assert!(Utf8Bytes::try_from(Bytes::from_static(b"\xc3")).is_err());
}

/// Fragments are joined; what has been joined of an incomplete message can be taken.
#[test]
fn assembler() {
    let mut assembler = Assembler::default();
    let fragment = |first, last, payload| Fragment::new(MessageKind::Text, first, last, payload);
    for _ in 0..2 {
        assert_eq!(assembler.push(&fragment(true, false, b"\xc3")), Ok(None));
        assert_eq!(assembler.push(&fragment(false, false, b"")), Ok(None));
        assert_eq!(assembler.push(&fragment(false, true, b"\xa9")), Ok(Some(Message::text("é"))));
        assert_eq!(assembler.push(&fragment(true, true, b"whole")), Ok(Some(Message::text("whole"))));
    }
    assert_eq!(assembler.push(&fragment(true, false, b"taken")), Ok(None));
    assert_eq!(assembler.take(), "taken");
    assert_eq!(assembler.take(), "");
    assert_eq!(assembler.push(&fragment(true, true, b"next")), Ok(Some(Message::text("next"))));
}

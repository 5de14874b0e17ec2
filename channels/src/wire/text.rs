//! Text frames: `[join_ref, ref, topic, event, payload]`, an array in JSON.

use std::borrow::Cow;
use std::fmt;

use sansocket::{Message, Utf8Bytes};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Malformed, Received, check};
use crate::payload::Payload;

/// Takes a frame apart. What follows the fifth element is ignored; the payload stays as it is.
pub(crate) fn parse(text: &Utf8Bytes, max_nesting: usize) -> Result<Received, Malformed> {
    if is_deeper(text, max_nesting) {
        return Err(Malformed::Frame);
    }
    let frame: Frame<'_> = serde_json::from_str(text).map_err(|_| Malformed::Frame)?;
    check([frame.join_ref.as_deref(), frame.reference.as_deref()], &frame.topic, &frame.event)?;
    // A slice of the text, so that the payload can share it.
    let start = frame.payload.get().as_ptr() as usize - text.as_ptr() as usize;
    let range = start..start + frame.payload.get().len();
    Ok(Received {
        join_ref: frame.join_ref.map(Into::into),
        reference: frame.reference.map(Into::into),
        topic: frame.topic.into(),
        event: frame.event.into(),
        payload: Payload::slice(text.clone(), range),
    })
}

/// A frame to send. The payload is JSON already.
pub(crate) fn frame(
    join_ref: Option<&str>,
    reference: Option<&str>,
    topic: &str,
    event: &str,
    payload: &str,
) -> Utf8Bytes {
    frame_of(join_ref, reference, topic, event, &[payload])
}

/// The answer to a frame.
pub(crate) fn reply(
    join_ref: Option<&str>,
    reference: &str,
    topic: &str,
    status: &str,
    response: &str,
) -> Utf8Bytes {
    let payload = ["{\"status\":\"", status, "\",\"response\":", response, "}"];
    frame_of(join_ref, Some(reference), topic, "phx_reply", &payload)
}

/// The answer to a join, to which members of its response may still be added.
pub(crate) struct Reply(String);

impl Reply {
    /// These are some of the members.
    pub(crate) fn begin(join_ref: Option<&str>, reference: &str, topic: &str, members: &[&str]) -> Self {
        let payload = [&["{\"status\":\"ok\",\"response\":{"], members].concat();
        Self(begun(join_ref, Some(reference), topic, "phx_reply", &payload, MEMBERS))
    }

    /// How many bytes it has in the end, at most.
    pub(crate) fn max_len(&self) -> usize {
        self.0.len() + MEMBERS
    }

    /// These are the others, if there are any, each with a comma before it.
    pub(crate) fn end(self, members: &str) -> Message {
        let Self(mut frame) = self;
        frame.push_str(members);
        frame.push_str("}}]");
        Utf8Bytes::from(frame).into()
    }
}

fn frame_of(
    join_ref: Option<&str>,
    reference: Option<&str>,
    topic: &str,
    event: &str,
    payload: &[&str],
) -> Utf8Bytes {
    let mut frame = begun(join_ref, reference, topic, event, payload, 1);
    frame.push(']');
    frame.into()
}

/// A frame up to the end of what there is of its payload, and room for so many bytes behind it.
pub(super) fn begun(
    join_ref: Option<&str>,
    reference: Option<&str>,
    topic: &str,
    event: &str,
    payload: &[&str],
    room: usize,
) -> String {
    let refs = join_ref.map_or(0, str::len) + reference.map_or(0, str::len);
    let names = topic.len() + event.len();
    let payload_len = payload.iter().map(|part| part.len()).sum::<usize>();
    let mut out = String::with_capacity(refs + names + payload_len + PUNCTUATION + room);
    out.push('[');
    for reference in [join_ref, reference] {
        match reference {
            Some(reference) => push_string(&mut out, reference),
            None => out.push_str("null"),
        }
        out.push(',');
    }
    push_string(&mut out, topic);
    out.push(',');
    push_string(&mut out, event);
    out.push(',');
    out.extend(payload.iter().copied());
    out
}

/// Appends a string in JSON.
pub(crate) fn push_string(out: &mut String, string: &str) {
    out.push('"');
    let mut rest = string;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            control @ 0..b' ' => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(control >> 4)]));
                out.push(char::from(HEX[usize::from(control & 0xF)]));
            }
            sign => out.extend(['\\', char::from(sign)]),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Whether something in the frame's array is nested deeper than this.
fn is_deeper(text: &str, max_nesting: usize) -> bool {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => {
                depth += 1;
                if depth > max_nesting.saturating_add(1) {
                    return true;
                }
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A frame as it is in its text.
struct Frame<'a> {
    join_ref: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    topic: Cow<'a, str>,
    event: Cow<'a, str>,
    payload: &'a RawValue,
}

impl<'de> Deserialize<'de> for Frame<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FrameVisitor)
    }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Frame<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of five")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Frame<'de>, A::Error> {
        let string = |text: Text<'de>| text.0;
        let frame = Frame {
            join_ref: element::<Option<_>, _>(&mut seq)?.map(string),
            reference: element::<Option<_>, _>(&mut seq)?.map(string),
            topic: string(element(&mut seq)?),
            event: string(element(&mut seq)?),
            payload: element(&mut seq)?,
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(frame)
    }
}

fn element<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("fewer than five elements"))
}

/// A string: borrowed, if it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// More than the brackets, commas and quotes of a frame, and the words of a reply's payload.
const PUNCTUATION: usize = 40;

/// Room for a position, whether it was recovered, and the end.
const MEMBERS: usize = 96;

const HEX: &[u8; 16] = b"0123456789abcdef";

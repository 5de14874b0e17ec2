//! What is in the bodies: of requests, and of their answers.

use std::borrow::Cow;
use std::iter;

use sansocket::{Message, MessageKind, PreparedMessage};

use crate::base64;
use crate::close::Leave;
use crate::link::Incoming;
use crate::wire::text::{self, push_string};

/// The body of an answer: a status, the token that the next request is to have, and messages.
pub(super) fn answer(status: u16, token: Option<&str>, messages: &[PreparedMessage]) -> String {
    let len = messages.iter().map(|message| message.payload().len()).sum::<usize>();
    let mut out = String::with_capacity(len + len / 4 + PUNCTUATION);
    out.push_str("{\"status\":");
    out.push_str(&status.to_string());
    if let Some(token) = token {
        out.push_str(",\"token\":");
        push_string(&mut out, token);
        out.push_str(",\"messages\":[");
        let mut is_first = true;
        for text in messages.iter().filter_map(as_text) {
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            push_string(&mut out, &text);
        }
        out.push(']');
    }
    out.push('}');
    out
}

/// The body of a refusal: a status, and why.
pub(super) fn refusal(status: u16, why: &[u8]) -> String {
    let mut out = format!("{{\"status\":{status},\"reason\":");
    push_string(&mut out, String::from_utf8_lossy(why).trim_end());
    out.push('}');
    out
}

/// The messages of a body: one in each line, or one in all.
pub(super) fn lines(body: &str, is_batch: bool) -> impl Iterator<Item = &str> {
    let all = (!is_batch).then_some(body);
    let lines = is_batch.then(|| body.lines());
    all.into_iter().chain(lines.into_iter().flatten())
}

/// What a message of a body is: text is an array in JSON, and anything else bytes, in base64. What is neither is text, which is no
/// frame then.
pub(super) fn incoming(line: &str, is_batch: bool, max_frame: usize) -> Incoming {
    let is_bytes = is_batch && !line.starts_with('[');
    let bytes = is_bytes.then(|| base64::decode(line)).flatten();
    let message = match bytes {
        Some(bytes) => Message::Binary(bytes.into()),
        None => Message::Text(line.into()),
    };
    // A WebSocket fails with one that is too large.
    if message.len() > max_frame { Incoming::Closed(Leave::Lost) } else { Incoming::Message(message) }
}

/// A frame as text, since there is nothing else in the body of an answer, and clients take nothing else from it: data is a string,
/// its base64.
fn as_text(message: &PreparedMessage) -> Option<Cow<'_, str>> {
    if message.kind() == MessageKind::Text {
        return str::from_utf8(message.payload()).ok().map(Cow::Borrowed);
    }
    let (kind, rest) = message.payload().split_first()?;
    let frame = match kind {
        0 => {
            let ([join_ref, topic, event], data) = names(rest)?;
            text::frame(some(join_ref), None, topic, event, &data)
        }
        1 => {
            let ([join_ref, reference, topic, status], data) = names(rest)?;
            text::reply(some(join_ref), reference, topic, status, &data)
        }
        2 => {
            let ([topic, event], data) = names(rest)?;
            text::frame(None, None, topic, event, &data)
        }
        _ => return None,
    };
    Some(Cow::Owned(frame.as_str().to_owned()))
}

/// The names of a frame, which are behind their lengths, and its data in JSON.
fn names<const N: usize>(frame: &[u8]) -> Option<([&str; N], String)> {
    let (lengths, mut rest) = frame.split_first_chunk::<N>()?;
    let mut names = [""; N];
    for (name, len) in iter::zip(&mut names, lengths) {
        let (text, behind) = rest.split_at_checked(usize::from(*len))?;
        (*name, rest) = (str::from_utf8(text).ok()?, behind);
    }
    Some((names, format!("\"{}\"", base64::encode(rest))))
}

/// Empty stands for null.
fn some(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

pub(super) const NO_MESSAGES: &[PreparedMessage] = &[];
/// More than there is around the messages of most answers.
const PUNCTUATION: usize = 128;

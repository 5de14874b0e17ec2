//! Binary frames: a kind, the lengths of names, the names, and data.
//!
//! ```text
//! 0 push      C>S  00 jl rl tl el | join_ref ref topic event | data
//! 0 push      S>C  00 jl tl el    | join_ref topic event     | data
//! 1 reply     S>C  01 jl rl tl sl | join_ref ref topic status| data
//! 2 broadcast S>C  02 tl el       | topic event              | data
//! 3 positioned S>C 03 tl el o:8   | topic event              | data
//! ```
//!
//! The last is for clients that speak the extended dialect alone.

use std::ops::Range;
use std::str;

use bytes::Bytes;

use super::{Malformed, Received, check};
use crate::payload::Payload;

/// Takes a frame apart. Its data shares the frame's memory.
pub(crate) fn parse(frame: &Bytes) -> Result<Received, Malformed> {
    let Some((&[PUSH, lengths @ ..], names)) = frame.split_first_chunk::<5>() else {
        return Err(Malformed::Frame);
    };
    let mut rest = names;
    let mut name = |len: u8| {
        let (name, behind) = rest.split_at_checked(len.into()).ok_or(Malformed::Frame)?;
        rest = behind;
        str::from_utf8(name).map_err(|_| Malformed::Frame)
    };
    let [join_ref, reference, topic, event] = lengths;
    let (join_ref, reference) = (name(join_ref)?, name(reference)?);
    let (topic, event) = (name(topic)?, name(event)?);
    check([Some(join_ref), Some(reference)], topic, event)?;
    // Empty stands for null.
    let some = |reference: &str| (!reference.is_empty()).then(|| reference.into());
    Ok(Received {
        join_ref: some(join_ref),
        reference: some(reference),
        topic: topic.into(),
        event: event.into(),
        payload: Payload::bytes(frame.slice(frame.len() - rest.len()..)),
    })
}

/// Data for one member.
pub(crate) fn push(join_ref: Option<&str>, topic: &str, event: &str, data: &[u8]) -> Bytes {
    frame(PUSH, &[join_ref.unwrap_or_default(), topic, event], &[], data).into()
}

/// Data that answers a frame.
pub(crate) fn reply(
    join_ref: Option<&str>,
    reference: &str,
    topic: &str,
    status: &str,
    data: &[u8],
) -> Bytes {
    frame(REPLY, &[join_ref.unwrap_or_default(), reference, topic, status], &[], data).into()
}

/// Data for all members.
pub(crate) fn broadcast(topic: &str, event: &str, data: &[u8]) -> Bytes {
    frame(BROADCAST, &[topic, event], &[], data).into()
}

/// The same, with a number that is zero.
pub(super) fn positioned(topic: &str, event: &str, data: &[u8]) -> Vec<u8> {
    frame(POSITIONED, &[topic, event], &[0; 8], data)
}

/// Says the number of such a frame.
pub(super) fn set_offset(frame: &mut [u8], offset: u64) {
    frame[OFFSET].copy_from_slice(&offset.to_be_bytes());
}

/// Such a frame as a broadcast.
pub(super) fn without_offset(frame: &[u8]) -> Bytes {
    [&[BROADCAST], &frame[1..OFFSET.start], &frame[OFFSET.end..]].concat().into()
}

/// No name is longer than 255 bytes: they have been checked, when they came or before they were sent.
fn frame(kind: u8, names: &[&str], offset: &[u8], data: &[u8]) -> Vec<u8> {
    let len = names.iter().map(|name| name.len()).sum::<usize>();
    let mut out = Vec::with_capacity(1 + names.len() + offset.len() + len + data.len());
    out.push(kind);
    out.extend(names.iter().map(|name| u8::try_from(name.len()).unwrap_or(u8::MAX)));
    out.extend_from_slice(offset);
    out.extend(names.iter().flat_map(|name| name.bytes()));
    out.extend_from_slice(data);
    out
}

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;
const POSITIONED: u8 = 3;

/// Where the number is: behind the kind and two lengths.
const OFFSET: Range<usize> = 3..11;

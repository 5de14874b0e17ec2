//! What nodes send each other, as bytes.
//!
//! ```text
//! version kind node:8 | series:8 number:8 quiet:8 | what the kind has     to a topic
//! version kind node:8 | what the kind has                                 to a node, or to all
//! ```
//!
//! Integers are big-endian. Names are their length, in four bytes, and UTF-8. What comes last has no length: a payload.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sansocket::Utf8Bytes;
use serde::de::IgnoredAny;

use crate::audience::Audience;
use crate::close::Close;
use crate::conn_id::ConnId;
use crate::entries::Reference;
use crate::frame::Class;
use crate::names::{is_event, is_topic};
use crate::payload::Payload;
use crate::presence::Op;
use crate::wire::MAX_EVENT;

/// What is sent to a topic: by whom, as the how manieth, and what.
pub(crate) struct ToTopic<'a> {
    pub(crate) node: u64,
    pub(crate) turn: Turn,
    pub(crate) what: News<'a>,
}

/// The how manieth of a node's envelopes to a topic it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Turn {
    /// Another one, and a greater, if the node has forgotten how many it has sent.
    pub(crate) series: u64,
    /// 1, 2, 3, …; 0: it is of no account whether it comes.
    pub(crate) number: u64,
    /// How long ago the last one before was sent.
    pub(crate) quiet: Duration,
}

impl Turn {
    /// Of an envelope that says nothing of how many there are.
    pub(crate) const NONE: Self = Self { series: 0, number: 0, quiet: Duration::ZERO };
}

pub(crate) enum News<'a> {
    Message(Publication<'a>),
    /// No more than how far the node is, or its entries in the presence are.
    Mark {
        presence: Option<u64>,
    },
    /// What has changed of its entries, since they were at a version, and the version that they are at now.
    Presence {
        from: u64,
        to: u64,
        ops: Vec<Op>,
    },
    /// All of its entries, or some of them, behind so many that were told before.
    State {
        version: u64,
        before: u64,
        is_last: bool,
        entries: Vec<Op>,
    },
    /// A message that was to be numbered has come to nobody. It is numbered itself.
    Lost,
}

/// A message to the members of a topic, or of all that a pattern matches.
pub(crate) struct Publication<'a> {
    pub(crate) pattern: Option<&'a str>,
    pub(crate) event: &'a str,
    pub(crate) class: Class,
    pub(crate) audience: Audience,
    pub(crate) payload: Payload,
}

/// What is sent to a node, or to all.
pub(crate) enum Control {
    /// The node lives.
    Beat,
    /// It ends.
    Bye,
    /// It wants all that a node, or each of them, has in the presence of a topic.
    StateWanted { topic: String },
    /// It wants to be told how far each of them is with a topic, be it that of all.
    TurnWanted { topic: String },
    /// Something is to be done with a connection, or all of a user.
    Do { whom: Whom, what: Deed },
    /// A page is to be asked.
    Ask { number: u64, conn: ConnId, topic: String, event: String, within: Duration, question: String },
    /// What came of that.
    Answered { number: u64, answer: Answered },
}

pub(crate) enum Whom {
    Conn(ConnId),
    User(String),
}

pub(crate) enum Deed {
    Push { topic: String, event: String, payload: String },
    Leave { topic: String },
    Close { code: u16, reason: String },
}

impl Deed {
    pub(crate) fn close(close: &Close) -> Self {
        Self::Close { code: close.code(), reason: close.reason().to_owned() }
    }
}

/// What has come of a question on another node.
#[derive(Debug)]
pub(crate) enum Answered {
    Ok(String),
    Refused(String),
    Gone,
    TimedOut,
    TooMany,
}

/// A message, with room for its turn.
pub(crate) fn message(
    node: u64,
    pattern: Option<&str>,
    event: &str,
    payload: &Payload,
    class: &Class,
    audience: &Audience,
) -> Vec<u8> {
    let (class, key) = match class {
        Class::Volatile => (1, ""),
        Class::Keyed(key) => (2, &**key),
        Class::Reliable | Class::Answer | Class::Heartbeat => (0, ""),
    };
    let only = audience.only.as_deref();
    let names = pattern.map_or(0, str::len) + event.len() + key.len();
    let users: usize = audience.except_users.iter().map(|user| 4 + user.len()).sum();
    let conns = 16 * (audience.except.len() + only.map_or(0, <[_]>::len));
    // All that it will have, and no more: so it becomes `Bytes` as it is.
    let room = names + users + conns + payload.len() + AROUND;
    let mut to = to_topic(MESSAGE, node, room);
    to.push(u8::from(pattern.is_some()));
    put_text(&mut to, pattern.unwrap_or_default());
    put_text(&mut to, event);
    to.push(class);
    put_text(&mut to, key);
    put_conns(&mut to, &audience.except);
    put_count(&mut to, audience.except_users.len());
    for user in &audience.except_users {
        put_text(&mut to, user);
    }
    to.push(u8::from(only.is_some()));
    put_conns(&mut to, only.unwrap_or_default());
    match (payload.json(), payload.binary()) {
        (Some(json), _) => {
            to.push(0);
            to.extend_from_slice(json.as_bytes());
        }
        (None, data) => {
            to.push(1);
            to.extend_from_slice(data.map_or(&[], |data| data));
        }
    }
    debug_assert_eq!(to.len(), TURN + 24 + room);
    to
}

/// How far a node is.
pub(crate) fn mark(node: u64, presence: Option<u64>) -> Vec<u8> {
    let mut to = to_topic(MARK, node, 9);
    to.push(u8::from(presence.is_some()));
    put_u64(&mut to, presence.unwrap_or(0));
    to
}

/// That a message has come to nobody.
pub(crate) fn lost(node: u64) -> Vec<u8> {
    to_topic(LOST, node, 0)
}

/// What has changed of a node's entries from one version to another. How many of these it tells is told with it: what is too much
/// is for another.
pub(crate) fn presence(node: u64, (from, until): (u64, u64), ops: &[Op]) -> (Vec<u8>, usize) {
    let mut to = to_topic(PRESENCE, node, 16);
    put_u64(&mut to, from);
    put_u64(&mut to, until);
    let told = put_ops(&mut to, ops);
    (to, told)
}

/// A node's entries, or some of them, behind so many; how many is told with it.
pub(crate) fn state(node: u64, version: u64, before: usize, entries: &[Op]) -> (Vec<u8>, usize) {
    let mut to = to_topic(STATE, node, 17);
    put_u64(&mut to, version);
    put_u64(&mut to, before as u64);
    let last_at = to.len();
    to.push(0);
    let told = put_ops(&mut to, entries);
    to[last_at] = u8::from(told == entries.len());
    (to, told)
}

/// Fills in an envelope's turn.
pub(crate) fn set_turn(envelope: &mut [u8], turn: Turn) {
    let quiet = u64::try_from(turn.quiet.as_micros()).unwrap_or(u64::MAX);
    for (at, part) in [turn.series, turn.number, quiet].into_iter().enumerate() {
        let at = TURN + 8 * at;
        envelope[at..at + 8].copy_from_slice(&part.to_be_bytes());
    }
}

impl Control {
    pub(crate) fn encode(&self, node: u64) -> Bytes {
        let mut to = begun(0, node, 64);
        to[1] = match self {
            Self::Beat => BEAT,
            Self::Bye => BYE,
            Self::StateWanted { topic } => {
                put_text(&mut to, topic);
                STATE_WANTED
            }
            Self::TurnWanted { topic } => {
                put_text(&mut to, topic);
                TURN_WANTED
            }
            Self::Do { whom, what } => {
                match whom {
                    Whom::Conn(conn) => {
                        to.push(0);
                        put_conn(&mut to, *conn);
                    }
                    Whom::User(user) => {
                        to.push(1);
                        put_text(&mut to, user);
                    }
                }
                match what {
                    Deed::Push { topic, event, payload } => {
                        to.push(0);
                        put_text(&mut to, topic);
                        put_text(&mut to, event);
                        to.extend_from_slice(payload.as_bytes());
                    }
                    Deed::Leave { topic } => {
                        to.push(1);
                        put_text(&mut to, topic);
                    }
                    Deed::Close { code, reason } => {
                        to.push(2);
                        to.extend_from_slice(&code.to_be_bytes());
                        put_text(&mut to, reason);
                    }
                }
                DO
            }
            Self::Ask { number, conn, topic, event, within, question } => {
                put_u64(&mut to, *number);
                put_conn(&mut to, *conn);
                put_text(&mut to, topic);
                put_text(&mut to, event);
                put_u64(&mut to, u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
                to.extend_from_slice(question.as_bytes());
                ASK
            }
            Self::Answered { number, answer } => {
                put_u64(&mut to, *number);
                let (kind, response) = match answer {
                    Answered::Ok(response) => (0, &**response),
                    Answered::Refused(response) => (1, &**response),
                    Answered::Gone => (2, ""),
                    Answered::TimedOut => (3, ""),
                    Answered::TooMany => (4, ""),
                };
                to.push(kind);
                to.extend_from_slice(response.as_bytes());
                ANSWERED
            }
        };
        to.into()
    }

    /// By whom, and what. `None`: it is no envelope, or one of another version.
    pub(crate) fn decode(envelope: &Bytes) -> Option<(u64, Self)> {
        let (kind, node, mut from) = Reader::begin(envelope)?;
        let control = match kind {
            BEAT => Self::Beat,
            BYE => Self::Bye,
            STATE_WANTED => Self::StateWanted { topic: from.topic()? },
            TURN_WANTED => Self::TurnWanted { topic: from.text()? },
            DO => {
                let whom = match from.u8()? {
                    0 => Whom::Conn(from.conn()?),
                    1 => Whom::User(from.text()?),
                    _ => return None,
                };
                let what = match from.u8()? {
                    0 => {
                        let (topic, event) = (from.topic()?, from.event()?.to_owned());
                        Deed::Push { topic, event, payload: from.rest_json()? }
                    }
                    1 => Deed::Leave { topic: from.topic()? },
                    2 => Deed::Close { code: from.u16()?, reason: from.text()? },
                    _ => return None,
                };
                Self::Do { whom, what }
            }
            ASK => {
                let (number, conn, topic, event) = (from.u64()?, from.conn()?, from.topic()?, from.event()?);
                let (event, within) = (event.to_owned(), Duration::from_millis(from.u64()?));
                Self::Ask { number, conn, topic, event, within, question: from.rest_json()? }
            }
            ANSWERED => {
                let (number, kind) = (from.u64()?, from.u8()?);
                let answer = match kind {
                    0 => Answered::Ok(from.rest_json()?),
                    1 => Answered::Refused(from.rest_json()?),
                    2 => Answered::Gone,
                    3 => Answered::TimedOut,
                    4 => Answered::TooMany,
                    _ => return None,
                };
                Self::Answered { number, answer }
            }
            _ => return None,
        };
        from.is_done().then_some((node, control))
    }
}

impl<'a> ToTopic<'a> {
    /// `None`: it is no envelope, or one of another version.
    pub(crate) fn decode(envelope: &'a Bytes) -> Option<Self> {
        let (kind, node, mut from) = Reader::begin(envelope)?;
        let (series, number) = (from.u64()?, from.u64()?);
        let turn = Turn { series, number, quiet: Duration::from_micros(from.u64()?) };
        let what = match kind {
            MESSAGE => News::Message(from.publication()?),
            MARK => {
                let (is_told, presence) = (from.flag()?, from.u64()?);
                News::Mark { presence: is_told.then_some(presence) }
            }
            PRESENCE => {
                let (first, last) = (from.u64()?, from.u64()?);
                News::Presence { from: first, to: last, ops: from.ops()? }
            }
            STATE => {
                let (version, before, is_last) = (from.u64()?, from.u64()?, from.flag()?);
                News::State { version, before, is_last, entries: from.ops()? }
            }
            LOST => News::Lost,
            _ => return None,
        };
        from.is_done().then_some(Self { node, turn, what })
    }
}

struct Reader<'a> {
    /// Of which `rest` is the end.
    all: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn begin(all: &'a Bytes) -> Option<(u8, u64, Self)> {
        let mut from = Self { all, rest: all };
        if from.u8()? != VERSION {
            return None;
        }
        Some((from.u8()?, from.u64()?, from))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// No more than there are bytes for.
    fn count(&mut self) -> Option<usize> {
        let count = u32::from_be_bytes(self.take(4)?.try_into().ok()?) as usize;
        (count <= self.rest.len()).then_some(count)
    }

    fn str(&mut self) -> Option<&'a str> {
        let len = self.count()?;
        str::from_utf8(self.take(len)?).ok()
    }

    fn text(&mut self) -> Option<String> {
        self.str().map(ToOwned::to_owned)
    }

    fn topic(&mut self) -> Option<String> {
        self.str().filter(|topic| is_topic(topic)).map(ToOwned::to_owned)
    }

    /// The hub's own, too.
    fn event(&mut self) -> Option<&'a str> {
        let is_own = |event: &str| event.starts_with('$') && event.len() <= MAX_EVENT;
        self.str().filter(|event| is_event(event) || is_own(event))
    }

    fn conn(&mut self) -> Option<ConnId> {
        Some(ConnId::new(self.u64()?, self.u64()?))
    }

    fn conns(&mut self) -> Option<Vec<ConnId>> {
        let count = self.count()?;
        (0..count).map(|_| self.conn()).collect()
    }

    /// What is left is JSON.
    fn rest_json(&mut self) -> Option<String> {
        let json = str::from_utf8(std::mem::take(&mut self.rest)).ok()?;
        is_json(json).then(|| json.to_owned())
    }

    fn publication(&mut self) -> Option<Publication<'a>> {
        let (has_pattern, pattern, event) = (self.flag()?, self.str()?, self.event()?);
        let (class, key) = (self.u8()?, self.str()?);
        let class = match class {
            0 => Class::Reliable,
            1 => Class::Volatile,
            2 => Class::Keyed(key.into()),
            _ => return None,
        };
        let except = self.conns()?;
        let users = self.count()?;
        let except_users = (0..users).map(|_| self.str().map(Arc::from)).collect::<Option<_>>()?;
        let only = self.flag()?;
        let conns = self.conns()?;
        let audience = Audience { except, except_users, only: only.then_some(conns) };
        let kind = self.u8()?;
        let rest = self.all.slice(self.all.len() - self.rest.len()..);
        self.rest = &[];
        let payload = match kind {
            0 => Payload::text(Utf8Bytes::try_from(rest).ok().filter(|json| is_json(json))?),
            1 => Payload::bytes(rest),
            _ => return None,
        };
        Some(Publication { pattern: has_pattern.then_some(pattern), event, class, audience, payload })
    }

    fn ops(&mut self) -> Option<Vec<Op>> {
        let count = self.count()?;
        (0..count).map(|_| self.op()).collect()
    }

    fn op(&mut self) -> Option<Op> {
        let kind = self.u8()?;
        let reference = self.reference()?;
        match kind {
            0 => Some(Op::Leave { reference }),
            1 | 2 => {
                let replaces = if kind == 2 { Some(self.reference()?) } else { None };
                let (key, fields) = (self.str()?.into(), self.str()?);
                let is_object = fields.starts_with('{') && is_json(fields);
                is_object.then(|| Op::Join { reference, replaces, key, fields: fields.into() })
            }
            _ => None,
        }
    }

    fn reference(&mut self) -> Option<Reference> {
        Some(Reference { node: self.u64()?, number: self.u64()? })
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty()
    }
}

fn begun(kind: u8, node: u64, room: usize) -> Vec<u8> {
    let mut to = Vec::with_capacity(TURN + room);
    to.extend_from_slice(&[VERSION, kind]);
    put_u64(&mut to, node);
    to
}

fn to_topic(kind: u8, node: u64, room: usize) -> Vec<u8> {
    let mut to = begun(kind, node, 24 + room);
    to.extend_from_slice(&[0; 24]);
    to
}

fn put_u64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_be_bytes());
}

/// There are fewer than there is memory for.
fn put_count(to: &mut Vec<u8>, count: usize) {
    to.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put_count(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

fn put_conn(to: &mut Vec<u8>, conn: ConnId) {
    let (node, number) = conn.parts();
    put_u64(to, node);
    put_u64(to, number);
}

fn put_conns(to: &mut Vec<u8>, conns: &[ConnId]) {
    put_count(to, conns.len());
    for conn in conns {
        put_conn(to, *conn);
    }
}

/// As many as an envelope is to have, one at least. How many that are.
fn put_ops(to: &mut Vec<u8>, ops: &[Op]) -> usize {
    let count_at = to.len();
    put_count(to, 0);
    let mut told = 0;
    for op in ops {
        if to.len() >= CHUNK {
            break;
        }
        match op {
            Op::Leave { reference } => {
                to.push(0);
                put_reference(to, *reference);
            }
            Op::Join { reference, replaces, key, fields } => {
                to.push(1 + u8::from(replaces.is_some()));
                put_reference(to, *reference);
                if let Some(replaces) = replaces {
                    put_reference(to, *replaces);
                }
                put_text(to, key);
                put_text(to, fields);
            }
        }
        told += 1;
    }
    let count = u32::try_from(told).unwrap_or(u32::MAX);
    to[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
    told
}

fn put_reference(to: &mut Vec<u8>, reference: Reference) {
    put_u64(to, reference.node);
    put_u64(to, reference.number);
}

fn is_json(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// Of all that is here. Others are of other versions of this crate: theirs are ignored.
const VERSION: u8 = 1;

const MESSAGE: u8 = 0;
const MARK: u8 = 1;
const PRESENCE: u8 = 2;
const STATE: u8 = 3;
const LOST: u8 = 4;

const BEAT: u8 = 16;
const BYE: u8 = 17;
const STATE_WANTED: u8 = 18;
const DO: u8 = 19;
const ASK: u8 = 20;
const ANSWERED: u8 = 21;
const TURN_WANTED: u8 = 22;

/// How many bytes a message has besides names, connections and its payload: four flags, three lengths of names, three counts.
const AROUND: usize = 4 + 3 * 4 + 3 * 4;

/// Where the turn is.
const TURN: usize = 10;

/// How large an envelope is that tells of many entries, about.
const CHUNK: usize = 32 << 10;

//! What the tests share: frames as a peer would send them, and a runner that gives each of them to an
//! endpoint in every way that a transport may cut it.
// Each test file compiles all of this and uses a part of it.
#![allow(dead_code, unreachable_pub)]
// Helpers fail as loudly as the tests they serve.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod naive;

use std::time::{Duration, Instant};

use sansocket::{
    Closed, Config, Connection, Event, Message, MessageKind, ProtocolError, ReadyState, Received, Role,
    SendState,
};

pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

// First bytes of frames: FIN, and the opcode.
pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0x00;
pub const LAST_CONTINUATION: u8 = 0x80;
pub const FIRST_TEXT: u8 = 0x01;
pub const TEXT: u8 = 0x81;
pub const FIRST_BINARY: u8 = 0x02;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// Second bytes, without MASK: a longer length follows.
pub const LEN_16: u8 = 126;
pub const LEN_64: u8 = 127;

/// The key that the peers in these tests mask with.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as the peer of `to` sends it: masked if `to` is a server; with a minimal length.
pub fn frame(to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, to == Role::Server, payload.len() as u64);
    let start = frame.len();
    frame.extend_from_slice(payload);
    if to == Role::Server {
        mask(KEY, &mut frame[start..]);
    }
    frame
}

/// A header with a minimal length, and with [`KEY`] if it is `masked`.
pub fn header(first: u8, masked: bool, payload_len: u64) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut header = vec![first];
    if payload_len < 126 {
        header.push(mask | u8::try_from(payload_len).unwrap());
    } else if let Ok(len) = u16::try_from(payload_len) {
        header.push(mask | LEN_16);
        header.extend_from_slice(&len.to_be_bytes());
    } else {
        header.push(mask | LEN_64);
        header.extend_from_slice(&payload_len.to_be_bytes());
    }
    if masked {
        header.extend_from_slice(&KEY);
    }
    header
}

/// The header of a frame that the peer of `to` announces, without its payload.
pub fn announced(to: Role, first: u8, payload_len: u64) -> Vec<u8> {
    header(first, to == Role::Server, payload_len)
}

/// A Close frame with a code and a reason, as the peer of `to` sends it.
pub fn close_frame(to: Role, code: u16, reason: &str) -> Vec<u8> {
    frame(to, CLOSE, &close_payload(code, reason))
}

pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Texts of code points of several lengths, `len` of each; and their frames: first each text in one, then each
/// in fragments that may cut a code point, with a Ping between.
pub fn texts(to: Role, len: usize) -> (Vec<Message>, Vec<u8>) {
    let texts: Vec<_> = ["я", "🦀", "a"].iter().map(|text| text.repeat(len)).collect();
    let whole = texts.iter().map(|text| frame(to, TEXT, text.as_bytes()));
    let in_fragments = texts.iter().flat_map(|text| {
        let (first, last) = text.as_bytes().split_at(text.len() / 3);
        [frame(to, FIRST_TEXT, first), frame(to, PING, b""), frame(to, LAST_CONTINUATION, last)]
    });
    let frames = whole.chain(in_fragments).collect::<Vec<_>>().concat();
    (texts.iter().chain(&texts).map(|text| Message::text(text.as_str())).collect(), frames)
}

/// RFC 6455 section 5.3 to the letter: octet i XOR key octet (i MOD 4).
pub fn mask(key: [u8; 4], payload: &mut [u8]) {
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

/// Masking keys for clients whose keys do not matter: the same for every run, so that runs compare.
pub fn random(bytes: &mut [u8]) {
    for (byte, value) in bytes.iter_mut().zip((0..=u8::MAX).cycle()) {
        *byte = value.wrapping_mul(37).wrapping_add(11);
    }
}

/// A moment to count from: all other moments in the tests are made by adding to it.
pub fn start() -> Instant {
    Instant::now()
}

pub fn connection(role: Role, config: &Config, now: Instant) -> Connection<Instant> {
    match role {
        Role::Client => Connection::client(config, random, now),
        Role::Server => Connection::server(config, now),
    }
}

/// A connection with the default configuration, and the moment it began.
pub fn open(role: Role) -> (Connection<Instant>, Instant) {
    let now = start();
    (connection(role, &Config::default(), now), now)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An [`Event`] that owns its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    Data { kind: MessageKind, first: bool, last: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Data(fragment) => Self::Data {
                kind: fragment.kind,
                first: fragment.first,
                last: fragment.last,
                payload: fragment.payload.to_vec(),
            },
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => {
                Self::Close(close.map(|close| (close.code.get(), close.reason.to_owned())))
            }
            _ => panic!("an event of a new kind"),
        }
    }
}

/// An unfragmented text message.
pub fn text(payload: &str) -> Seen {
    Seen::Data { kind: MessageKind::Text, first: true, last: true, payload: payload.into() }
}

/// An unfragmented binary message.
pub fn binary(payload: &[u8]) -> Seen {
    Seen::Data { kind: MessageKind::Binary, first: true, last: true, payload: payload.into() }
}

pub fn fragment(kind: MessageKind, first: bool, last: bool, payload: &[u8]) -> Seen {
    Seen::Data { kind, first, last, payload: payload.into() }
}

pub fn ping(payload: &[u8]) -> Seen {
    Seen::Ping(payload.into())
}

pub fn pong(payload: &[u8]) -> Seen {
    Seen::Pong(payload.into())
}

pub fn closing(code: u16, reason: &str) -> Seen {
    Seen::Close(Some((code, reason.into())))
}

/// A frame that an endpoint sent: its first byte, and its payload unmasked.
pub type Sent = (u8, Vec<u8>);

/// Reads what an endpoint in the role `from` sent: whole frames, with minimal lengths, masked by a
/// client and by nobody else.
#[track_caller]
pub fn sent(from: Role, out: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    let mut rest = out;
    while !rest.is_empty() {
        let frame = naive::decode(rest).expect("a valid frame").expect("a whole frame");
        assert_eq!(frame.masked, from == Role::Client, "a client masks, a server does not");
        assert_eq!(frame.first & 0x70, 0, "no extension was negotiated");
        rest = &rest[frame.len..];
        frames.push((frame.first, frame.payload));
    }
    frames
}

/// What came of some input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub events: Vec<Seen>,
    pub error: Option<ProtocolError>,
    /// What was sent meanwhile.
    pub replies: Vec<Sent>,
    /// What was left of the input: the front of an incomplete frame.
    pub rest: Vec<u8>,
    /// The RFC's state of the connection at the end of the input.
    pub ready_state: ReadyState,
    pub should_close_transport: bool,
    /// How the connection closed if the transport ended after this input.
    pub closed: Closed,
}

impl Outcome {
    /// Nothing that comes now is looked at.
    pub fn is_over(&self) -> bool {
        self.ready_state != ReadyState::Open
    }

    /// The messages that came whole, joined.
    pub fn messages(&self) -> Vec<(MessageKind, Vec<u8>)> {
        let mut messages = Vec::new();
        let mut joined = Vec::new();
        for event in &self.events {
            if let Seen::Data { kind, last, payload, .. } = event {
                joined.extend_from_slice(payload);
                if *last {
                    messages.push((*kind, std::mem::take(&mut joined)));
                }
            }
        }
        messages
    }

    /// With neighbouring fragments of a message joined: what does not depend on how much arrived at once.
    fn joined(mut self) -> Self {
        let mut events: Vec<Seen> = Vec::new();
        for event in self.events {
            match (events.last_mut(), event) {
                (
                    Some(Seen::Data { last: ended @ false, payload: before, .. }),
                    Seen::Data { first: false, last, payload, .. },
                ) => {
                    before.extend_from_slice(&payload);
                    *ended = last;
                }
                (_, event) => events.push(event),
            }
        }
        self.events = events;
        self
    }

    fn without_data(mut self) -> Self {
        self.events.retain(|event| !matches!(event, Seen::Data { .. }));
        self.rest.clear();
        self
    }
}

/// [`Connection::receive`], or [`Connection::receive_part`].
pub type Receive =
    fn(&mut Connection<Instant>, &mut [u8], Instant, &mut Vec<u8>) -> Result<Option<Received>, ProtocolError>;

/// Gives `pieces` to a new connection, as the contract of the core demands.
#[track_caller]
pub fn run<P: AsRef<[u8]>>(
    role: Role,
    config: &Config,
    receive: Receive,
    pieces: impl IntoIterator<Item = P>,
) -> Outcome {
    let now = start();
    let mut connection = connection(role, config, now);
    let (mut input, mut out) = (Vec::new(), Vec::new());
    let (mut events, mut error) = (Vec::new(), None);
    for piece in pieces {
        input.extend_from_slice(piece.as_ref());
        loop {
            match receive(&mut connection, &mut input, now, &mut out) {
                Ok(Some(received)) => {
                    match received.event(&input) {
                        Some(event) => {
                            assert_eq!(error, None, "an event after an error");
                            events.push(event.into());
                        }
                        None => assert_ne!(connection.ready_state(), ReadyState::Open, "input discarded"),
                    }
                    input.drain(..received.consumed());
                }
                Ok(None) => break,
                Err(broken) => assert_eq!(error.replace(broken), None, "a second error"),
            }
        }
    }
    let (ready_state, should_close_transport) =
        (connection.ready_state(), connection.should_close_transport());
    Outcome {
        events,
        error,
        replies: sent(role, &out),
        rest: input,
        ready_state,
        should_close_transport,
        closed: connection.receive_eof(),
    }
}

/// Gives `bytes` to a connection whole, byte by byte, cut in two at every position, in chunks of every
/// size, with other bytes after them, and by parts of frames; demands the same of each, and returns it.
///
/// A long vector is not cut everywhere, but at its ends and at places in between.
#[track_caller]
pub fn every_way(role: Role, config: &Config, bytes: &[u8]) -> Outcome {
    let whole = run(role, config, Connection::receive, [bytes]);
    let joined = whole.clone().joined();
    let parts_agree = |parts: Outcome, how: &str| {
        if whole.error.is_none() && whole.rest.is_empty() {
            assert_eq!(parts.joined(), joined, "by parts, {how}");
        } else {
            // How much of a frame that never came whole was handed out depends on the cut.
            assert_eq!(parts.without_data(), whole.clone().without_data(), "by parts, {how}");
        }
    };
    parts_agree(run(role, config, Connection::receive_part, [bytes]), "whole");
    for size in places(bytes.len()) {
        let how = format!("in chunks of {size}");
        assert_eq!(run(role, config, Connection::receive, bytes.chunks(size)), whole, "{how}");
        parts_agree(run(role, config, Connection::receive_part, bytes.chunks(size)), &how);
    }
    for position in places(bytes.len()) {
        let how = format!("cut at {position}");
        let (front, back) = bytes.split_at(position);
        assert_eq!(run(role, config, Connection::receive, [front, back]), whole, "{how}");
        assert_eq!(run(role, config, Connection::receive, [front, &[], back]), whole, "{how}, and nothing");
        parts_agree(run(role, config, Connection::receive_part, [front, back]), &how);
    }
    with_trailing_bytes(role, config, bytes, &whole);
    whole
}

/// The start of another frame stays in the input, or is discarded; and that frame is received.
#[track_caller]
fn with_trailing_bytes(role: Role, config: &Config, bytes: &[u8], whole: &Outcome) {
    if !whole.rest.is_empty() {
        return;
    }
    let next = frame(role, PONG, b"next");
    for len in 1..=next.len() {
        let longer = [bytes, &next[..len]].concat();
        let mut expected = whole.clone();
        if !whole.is_over() && len < next.len() {
            // An incomplete header is left as it is; what there is of the payload is unmasked.
            let start = next.len() - 4;
            expected.rest = [&next[..len.min(start)], &b"next"[..len.saturating_sub(start)]].concat();
        } else if !whole.is_over() {
            expected.events.push(pong(b"next"));
        }
        assert_eq!(
            run(role, config, Connection::receive, [longer.as_slice()]),
            expected,
            "with {len} bytes more"
        );
    }
}

/// 1 to `len`, or a selection of those if they are many.
fn places(len: usize) -> impl Iterator<Item = usize> {
    let step = len.div_ceil(128);
    (1..=len).filter(move |place| *place < 20 || len - place < 20 || place % step.max(1) == 0)
}

/// Gives `bytes` one by one: how many it took until the endpoint failed, and how.
#[track_caller]
pub fn fails_at(role: Role, config: &Config, bytes: &[u8]) -> (usize, ProtocolError) {
    let (mut connection, now) = (connection(role, config, start()), start());
    let (mut input, mut out) = (Vec::new(), Vec::new());
    for (i, byte) in bytes.iter().enumerate() {
        input.push(*byte);
        loop {
            match connection.receive(&mut input, now, &mut out) {
                Ok(Some(received)) => drop(input.drain(..received.consumed())),
                Ok(None) => break,
                Err(error) => return (i + 1, error),
            }
        }
    }
    panic!("{bytes:02x?} did not fail");
}

/// Demands that `bytes` fail the connection with `error`, however they are cut, and that the Close
/// frame says so; returns the outcome.
#[track_caller]
pub fn fails(role: Role, config: &Config, bytes: &[u8], error: ProtocolError) -> Outcome {
    let outcome = every_way(role, config, bytes);
    assert_eq!(outcome.error, Some(error));
    let close = close_payload(error.close_code().get(), error.reason());
    assert_eq!(outcome.replies.last(), Some(&(CLOSE, close)), "the Close frame");
    assert_eq!(outcome.ready_state, ReadyState::Closing);
    // A server closes the transport at once; a client waits for the server to do so.
    assert_eq!(outcome.should_close_transport, role == Role::Server);
    assert_eq!((outcome.closed.code.get(), outcome.closed.clean), (1006, false));
    outcome
}

/// Gives `bytes` whole to a connection that is in the middle of something; returns the events.
#[track_caller]
pub fn give(
    connection: &mut Connection<Instant>,
    bytes: &[u8],
    now: Instant,
    out: &mut Vec<u8>,
) -> Vec<Seen> {
    let mut input = bytes.to_vec();
    let mut events = Vec::new();
    while let Some(received) = connection.receive(&mut input, now, out).expect("valid frames") {
        events.extend(received.event(&input).map(Seen::from));
        input.drain(..received.consumed());
    }
    assert_eq!(input, [], "whole frames");
    events
}

/// Whether a Close frame was sent.
pub fn has_sent_close(connection: &mut Connection<Instant>) -> bool {
    connection.sender().state() == SendState::CloseSent
}

/// Pseudo-random bytes (an xorshift generator): the same for the same seed.
pub fn pseudo_random(seed: u64, len: usize) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    (0..len).map(|_| noise.byte()).collect()
}

/// A pseudo-random sequence, for choices that only need variety.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Cuts `bytes` into pieces of random lengths.
pub fn cut_at_random<'a>(noise: &mut Noise, mut bytes: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((1 + noise.below(longest)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

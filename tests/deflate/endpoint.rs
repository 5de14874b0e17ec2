//! One endpoint of a connection that negotiated permessage-deflate: a `Connection` with its `Assembler`.

use std::time::Instant;

use crate::common::{self, naive};
use sansocket::handshake::Extension;
use sansocket::{
    AgreedDeflate, Assembler, CloseCode, Config, Connection, Deflate, Event, Message, ProtocolError, Role,
};
use zlib_rs::{DeflateFlush, Status};

/// RSV1, for the first byte of a frame.
pub const RSV1: u8 = 0x40;

pub const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// What a server that takes anything agrees on with a client that offers `offer`.
#[track_caller]
pub fn agreed(offer: &str) -> AgreedDeflate {
    Deflate::default().agree_as_server(&list(offer)).expect("an acceptable offer").0
}

/// A list of extensions, as in the header.
#[track_caller]
pub fn list(extensions: &str) -> Vec<Extension> {
    Extension::parse_list([extensions]).unwrap()
}

/// The default parameters.
pub fn plain() -> AgreedDeflate {
    agreed("permessage-deflate")
}

/// Compresses everything.
pub fn always() -> Deflate {
    Deflate::default().min_size(0)
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

#[derive(Debug)]
pub struct Endpoint {
    role: Role,
    connection: Connection<Instant>,
    assembler: Assembler,
    /// What arrived and was not consumed.
    input: Vec<u8>,
    /// What was sent and not taken.
    pub out: Vec<u8>,
    now: Instant,
}

impl Endpoint {
    pub fn new(role: Role, config: &Config, deflate: &Deflate, agreed: AgreedDeflate) -> Self {
        let now = common::start();
        let mut connection = common::connection(role, config, now);
        connection.use_deflate(deflate, agreed);
        let mut assembler = Assembler::default();
        assembler.use_deflate(role, config, agreed);
        Self { role, connection, assembler, input: Vec::new(), out: Vec::new(), now }
    }

    /// A client and a server that compress everything.
    pub fn pair(deflate: &Deflate, agreed: AgreedDeflate) -> [Self; 2] {
        common::ROLES.map(|role| Self::new(role, &Config::default(), deflate, agreed))
    }

    /// Sends a message in one frame.
    pub fn send(&mut self, message: &Message) {
        let sender = self.connection.sender();
        match message {
            Message::Text(text) => sender.text(text, &mut self.out),
            Message::Binary(payload) => sender.binary(payload, &mut self.out),
        }
        .unwrap();
    }

    pub fn sender(&mut self) -> (&mut sansocket::Sender, &mut Vec<u8>) {
        (self.connection.sender(), &mut self.out)
    }

    /// What was sent since the last call.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The frames sent since the last call: their first bytes, and their payloads unmasked.
    pub fn sent(&mut self) -> Vec<common::Sent> {
        let out = self.take_out();
        frames(self.role, &out)
    }

    /// The payload of the only frame sent since the last call.
    #[track_caller]
    pub fn sent_payload(&mut self, first: u8) -> Vec<u8> {
        let mut frames = self.sent();
        let (got, payload) = frames.pop().unwrap();
        assert_eq!((got, frames.len()), (first, 0));
        payload
    }

    /// Frees the buffer of what was received.
    pub fn free_input(&mut self) {
        self.input = Vec::new();
    }

    /// Receives `bytes`: the messages they complete. After an error nothing more comes, and the Close frame
    /// that tells of it was sent.
    pub fn receive(&mut self, bytes: &[u8], parts: bool) -> (Vec<Message>, Option<ProtocolError>) {
        self.input.extend_from_slice(bytes);
        let mut messages = Vec::new();
        loop {
            let receive = if parts { Connection::receive_part } else { Connection::receive };
            let received = match receive(&mut self.connection, &mut self.input, self.now, &mut self.out) {
                Ok(Some(received)) => received,
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error)),
            };
            if let Some(Event::Data(fragment)) = received.event(&self.input) {
                match self.assembler.push(&fragment) {
                    Ok(message) => messages.extend(message),
                    Err(error) => {
                        self.connection.fail(error, self.now, &mut self.out);
                        return (messages, Some(error));
                    }
                }
            }
            self.input.drain(..received.consumed());
        }
    }

    /// Receives `bytes`, whole frames of whole messages.
    #[track_caller]
    pub fn messages(&mut self, bytes: &[u8]) -> Vec<Message> {
        let (messages, error) = self.receive(bytes, false);
        assert_eq!((error, self.input.len()), (None, 0));
        messages
    }

    /// Gives the payload of a compressed message, in one frame.
    pub fn compressed(&mut self, kind: u8, payload: &[u8]) -> (Vec<Message>, Option<ProtocolError>) {
        let frame = common::frame(self.role, kind | RSV1, payload);
        self.receive(&frame, false)
    }

    /// Demands that it was failed, and said so.
    #[track_caller]
    pub fn has_failed(&mut self, code: CloseCode) {
        let frames = self.sent();
        let (first, payload) = frames.last().expect("a Close frame");
        assert_eq!((*first, &payload[..2]), (common::CLOSE, &code.get().to_be_bytes()[..]));
    }
}

/// The frames in `out`, which an endpoint in the role `from` sent.
#[track_caller]
pub fn frames(from: Role, mut out: &[u8]) -> Vec<common::Sent> {
    let mut frames = Vec::new();
    while !out.is_empty() {
        let frame = naive::decode(out).expect("a valid frame").expect("a whole frame");
        assert_eq!(frame.masked, from == Role::Client);
        frames.push((frame.first, frame.payload));
        out = &out[frame.len..];
    }
    frames
}

/// Gives `bytes` to a new endpoint whole, byte by byte, and cut in two everywhere, in frames and in parts of
/// them; demands the same of each, and returns it.
#[track_caller]
pub fn every_way(
    role: Role,
    config: &Config,
    agreed: AgreedDeflate,
    bytes: &[u8],
) -> (Vec<Message>, Option<ProtocolError>) {
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>, parts| {
        let mut endpoint = Endpoint::new(role, config, &always(), agreed);
        let mut all = Vec::new();
        for piece in pieces {
            let (messages, error) = endpoint.receive(piece, parts);
            all.extend(messages);
            if let Some(error) = error {
                endpoint.has_failed(error.close_code());
                return (all, Some(error));
            }
        }
        (all, None)
    };
    let whole = run(&mut [bytes].into_iter(), false);
    for parts in [false, true] {
        assert_eq!(run(&mut bytes.chunks(1), parts), whole, "byte by byte, parts: {parts}");
        for position in 0..=bytes.len() {
            let (front, back) = bytes.split_at(position);
            assert_eq!(
                run(&mut [front, back].into_iter(), parts),
                whole,
                "cut at {position}, parts: {parts}"
            );
        }
    }
    whole
}

/// Blocks as another sender makes them.
pub struct Foreign(zlib_rs::Deflate);

impl Foreign {
    pub fn new(level: i32) -> Self {
        Self(zlib_rs::Deflate::new(level, false, 15))
    }

    /// With a window that holds `dictionary`.
    pub fn with_window(level: i32, dictionary: &[u8]) -> Self {
        let mut this = Self::new(level);
        this.0.set_dictionary(dictionary).unwrap();
        this
    }

    /// Blocks that end at the boundary of a byte, with an empty stored block.
    pub fn sync(&mut self, data: &[u8]) -> Vec<u8> {
        self.run(data, DeflateFlush::SyncFlush)
    }

    /// The payload of a message.
    pub fn message(&mut self, data: &[u8]) -> Vec<u8> {
        let mut payload = self.sync(data);
        assert_eq!(payload.split_off(payload.len() - 4), [0, 0, 0xff, 0xff]);
        payload
    }

    /// Blocks of which the last has BFINAL set.
    pub fn finish(mut self, data: &[u8]) -> Vec<u8> {
        self.run(data, DeflateFlush::Finish)
    }

    fn run(&mut self, mut data: &[u8], flush: DeflateFlush) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let (start, room) = (out.len(), data.len() + 64);
            out.resize(start + room, 0);
            let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
            let status = self.0.compress(data, &mut out[start..], flush).unwrap();
            data = &data[usize::try_from(self.0.total_in() - total_in).unwrap()..];
            let made = usize::try_from(self.0.total_out() - total_out).unwrap();
            out.truncate(start + made);
            let ended = flush != DeflateFlush::Finish || status == Status::StreamEnd;
            if data.is_empty() && made < room && ended {
                return out;
            }
        }
    }
}

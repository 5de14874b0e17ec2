//! permessage-deflate on more connections than a thread keeps compressors for. It needs nothing but sansocket and zlib-rs:
//! the crate's own tests include this file, to run it on the stable toolchain.
#![allow(clippy::expect_used, clippy::panic, reason = "a target reports what it finds by a panic")]

use sansocket::frame::{FrameHeader, MaskingKey, Opcode};
use sansocket::{
    AgreedDeflate, Assembler, Config, Deflate, Event, Message, MessageKind, PreparedMessage, Receiver, Role,
    Sender,
};

/// Connections that idle, speak and idle again, across what a thread keeps for them, and on other threads: an ordinary
/// inflater with a continuous window makes of what they send what was sent, and they make of what an ordinary deflater sends
/// what that was given.
pub fn deflate_contexts(data: &[u8]) {
    let mut choices = Choices(data);
    let deflate = choices.deflate();
    let (agreed, _) = deflate.agree_as_server(&Deflate::default().offers()).expect("an acceptable offer");
    let mut connections: Vec<Option<Connection>> = (0..CONNECTIONS).map(|_| None).collect();
    let mut speakers = 0;
    while !choices.0.is_empty() {
        let (which, what) = (choices.byte(), choices.byte());
        let at = usize::from(which) % CONNECTIONS;
        let connection = connections[at].get_or_insert_with(|| Connection::new(&deflate, agreed));
        let payload = choices.payload(what >> 4);
        match what & 15 {
            // Once for each input, since it takes as long as all else.
            0 if speakers == 0 => {
                for other in &mut connections {
                    speakers += 1;
                    other.get_or_insert_with(|| Connection::new(&deflate, agreed)).send(&[&payload]);
                }
            }
            0..=5 => connection.send(&[&payload]),
            6 | 7 => {
                let (front, back) = payload.split_at(payload.len() / 3);
                connection.send(&[front, b"", back]);
            }
            8 => std::thread::scope(|scope| {
                let sent = scope.spawn(|| connection.send(&[&payload])).join();
                sent.expect("the same on another thread");
            }),
            9 => connection.send_prepared(&PreparedMessage::new(payload)),
            10 => connections[at] = None,
            11 => connection.receive(&payload, zlib_rs::DeflateFlush::FullFlush, usize::from(which)),
            12 => connection.receive(&payload, zlib_rs::DeflateFlush::Finish, usize::from(which)),
            _ => connection.receive(&payload, zlib_rs::DeflateFlush::SyncFlush, usize::from(which)),
        }
    }
}

/// A server's connection, and a client that is made of an ordinary inflater and an ordinary deflater.
struct Connection {
    agreed: AgreedDeflate,
    sender: Sender,
    receiver: Receiver,
    assembler: Assembler,
    inflate: zlib_rs::Inflate,
    deflate: Option<zlib_rs::Deflate>,
    /// What the client sent, for a deflater that begins anew.
    history: Vec<u8>,
}

impl Connection {
    fn new(deflate: &Deflate, agreed: AgreedDeflate) -> Self {
        let config = Config::default();
        let (mut sender, mut receiver) = (Sender::server(&config), Receiver::new(Role::Server, &config));
        let mut assembler = Assembler::default();
        sender.use_deflate(deflate, agreed);
        receiver.use_deflate(agreed);
        assembler.use_deflate(Role::Server, &config, agreed);
        let inflate = zlib_rs::Inflate::new(false, agreed.max_window_bits(Role::Server));
        Self { agreed, sender, receiver, assembler, inflate, deflate: None, history: Vec::new() }
    }

    /// The server sends a message in these fragments.
    fn send(&mut self, fragments: &[&[u8]]) {
        let mut out = Vec::new();
        for (i, fragment) in fragments.iter().enumerate() {
            let last = i + 1 == fragments.len();
            self.sender.fragment(MessageKind::Binary, fragment, last, &mut out).expect("it is open");
        }
        self.inflate(&out, &fragments.concat());
    }

    fn send_prepared(&mut self, message: &PreparedMessage) {
        let mut out = Vec::new();
        self.sender.prepared(message, &mut out).expect("it is open");
        self.inflate(&out, message.payload());
        // Another connection may be sent the same.
        let mut again = Vec::new();
        if self.agreed.no_context_takeover(Role::Server) {
            self.sender.prepared(message, &mut again).expect("it is open");
            assert_eq!(again, out);
        }
    }

    /// The client inflates the frames of a message.
    fn inflate(&mut self, mut frames: &[u8], expected: &[u8]) {
        let compressed = frames[0] & 0x40 != 0;
        let mut payload = Vec::new();
        while let [_, len, rest @ ..] = frames {
            let (len, rest) = match *len {
                126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
                127 => panic!("no payload is so large"),
                len => (usize::from(len), rest),
            };
            payload.extend_from_slice(&rest[..len]);
            frames = &rest[len..];
        }
        if !compressed {
            assert_eq!(payload, expected);
            return;
        }
        if self.agreed.no_context_takeover(Role::Server) {
            self.inflate.reset(false);
        }
        payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let mut inflated = vec![0; expected.len() + 1];
        let flush = zlib_rs::InflateFlush::SyncFlush;
        self.inflate.decompress(&payload, &mut inflated, flush).expect("it can be inflated");
        assert_eq!(self.inflate.total_in() - total_in, payload.len() as u64);
        inflated
            .truncate(usize::try_from(self.inflate.total_out() - total_out).expect("as long as the buffer"));
        assert_eq!(inflated, expected);
    }

    /// The client sends a message, cut somewhere, which the server receives.
    fn receive(&mut self, payload: &[u8], flush: zlib_rs::DeflateFlush, cut: usize) {
        // 8 is what zlib has no window for, and never looks back further with 9.
        let bits = self.agreed.max_window_bits(Role::Client).max(9);
        let history = &self.history;
        let deflate = self.deflate.get_or_insert_with(|| {
            let mut deflate = zlib_rs::Deflate::new(6, false, bits);
            deflate
                .set_dictionary(&history[history.len().saturating_sub(1 << bits)..])
                .expect("a raw stream");
            deflate
        });
        let mut compressed = vec![0; payload.len() * 2 + 64];
        let total_out = deflate.total_out();
        deflate.compress(payload, &mut compressed, flush).expect("it has room");
        compressed.truncate(usize::try_from(deflate.total_out() - total_out).expect("as long as the buffer"));
        if flush == zlib_rs::DeflateFlush::Finish {
            // An empty block behind the final one.
            compressed.push(0);
            self.deflate = None;
        } else if compressed.ends_with(&[0, 0, 0xff, 0xff]) {
            compressed.truncate(compressed.len() - 4);
        } else {
            // Nothing to flush.
            compressed = vec![0];
        }
        if self.agreed.no_context_takeover(Role::Client) {
            self.deflate = None;
            self.history.clear();
        } else {
            self.history.extend_from_slice(payload);
        }

        let (front, back) = compressed.split_at(cut % (compressed.len() + 1));
        let mut wire = Vec::new();
        for (fragment, last) in [(front, false), (back, true)] {
            let header = FrameHeader {
                fin: last,
                rsv1: !last,
                opcode: if last { Opcode::Continuation } else { Opcode::Binary },
                masking_key: Some(MaskingKey::new([0; 4])),
                payload_len: fragment.len() as u64,
            };
            wire.extend_from_slice(&header.encode());
            wire.extend_from_slice(fragment);
        }
        let (mut unread, mut received) = (&mut wire[..], Vec::new());
        while let Some(part) = self.receiver.receive(unread).expect("frames") {
            if let Some(Event::Data(fragment)) = part.event(unread) {
                received.extend(self.assembler.push(&fragment).expect("it can be inflated"));
            }
            unread = &mut unread[part.consumed()..];
        }
        assert_eq!(received, [Message::binary(payload.to_vec())]);
    }
}

/// Takes choices off the front of the input, each as so many bytes; when it is used up, every choice is 0.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// So many bytes, repeated so often, at most 12 KB; those of a longer one are not all alike.
    fn payload(&mut self, times: u8) -> Vec<u8> {
        let len = usize::from(self.byte());
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        let mut payload = Vec::new();
        for i in 0..=times * 3 {
            payload.extend(taken.iter().map(|byte| byte.wrapping_add(i / 5)));
        }
        payload
    }

    /// Takeover and the level; and the window bits.
    fn deflate(&mut self) -> Deflate {
        let (byte, bits) = (self.byte(), self.byte());
        let mut deflate = Deflate::default()
            .min_size(usize::from(byte >> 2 & 3))
            .level(byte >> 4)
            .server_max_window_bits(15 - (bits & 7))
            .client_max_window_bits(15 - (bits >> 3 & 7));
        if byte & 1 != 0 {
            deflate = deflate.server_no_context_takeover();
        }
        if byte & 2 != 0 {
            deflate = deflate.client_no_context_takeover();
        }
        deflate
    }
}

/// More than a thread keeps compressors for.
const CONNECTIONS: usize = 56;

//! permessage-deflate (RFC 7692). It needs nothing but sansocket with the feature `deflate`: the crate's own
//! tests include this file, to run it on the stable toolchain.
#![allow(clippy::expect_used, clippy::panic, reason = "a target reports what it finds by a panic")]

use sansocket::handshake::Extension;
use sansocket::{
    AgreedDeflate, Assembler, Config, Deflate, Event, Message, MessageKind, ProtocolError, Receiver, Role,
    Sender,
};

/// What a server answers to any offers is a response that a client takes, and both agree on the same. What a
/// client takes is within what it offered.
pub fn deflate_negotiation(data: &[u8]) {
    let mut choices = Choices(data);
    let (client, server) = (choices.deflate(), choices.deflate());
    let Ok(header) = core::str::from_utf8(choices.0) else { return };
    let Ok(extensions) = Extension::parse_list([header]) else { return };

    if let Some((agreed, answer)) = server.agree_as_server(&extensions) {
        let offers = extensions.iter().filter(|offer| offer.name() == "permessage-deflate");
        let asks = |name| offers.clone().any(|offer| offer.params().any(|(param, _)| param == name));
        for (name, _) in answer.params() {
            assert!(name != "client_max_window_bits" || asks(name), "answered unasked");
        }
        let parsed = Extension::parse_list([answer.to_string()]).expect("a list");
        assert_eq!(parsed, core::slice::from_ref(&answer));
        assert_eq!(Deflate::default().agree_as_client(&parsed), Ok(Some(agreed)));
    }
    // To its own offer there is always an answer.
    let (agreed, answer) = server.agree_as_server(&client.offers()).expect("an acceptable offer");
    assert_eq!(client.agree_as_client(&[answer]), Ok(Some(agreed)));

    if let Ok(Some(agreed)) = client.agree_as_client(&extensions) {
        for (name, value) in client.offers().iter().flat_map(Extension::params) {
            let bits = value.and_then(|value| value.parse().ok()).unwrap_or(15);
            match name {
                "server_no_context_takeover" => assert!(agreed.no_context_takeover(Role::Server)),
                "client_no_context_takeover" => assert!(agreed.no_context_takeover(Role::Client)),
                "server_max_window_bits" => assert!(agreed.max_window_bits(Role::Server) <= bits),
                _ => assert!(agreed.max_window_bits(Role::Client) <= bits),
            }
        }
        for role in [Role::Client, Role::Server] {
            assert!((8..=15).contains(&agreed.max_window_bits(role)));
        }
    }
}

/// Any compressed messages inflate to no more than the limit, or fail, and that in the same way however they
/// arrive.
pub fn deflate_inflate(data: &[u8]) {
    let mut choices = Choices(data);
    let limit = u64::from(choices.byte()) * 64;
    let deflate = choices.deflate();
    let config = Config::default().max_message_size(limit);
    let mut wire = Vec::new();
    let mut begun = false;
    while !choices.0.is_empty() {
        // Text or binary, whether more follows, and so many bytes, up to 63.
        let byte = choices.byte();
        let opcode = if begun { 0 } else { 0x40 | (1 + (byte & 1)) };
        begun = byte & 2 != 0;
        let payload = choices.take(usize::from(byte >> 2));
        wire.push(if begun { opcode } else { 0x80 | opcode });
        wire.push(u8::try_from(payload.len()).expect("at most 63"));
        wire.extend_from_slice(payload);
    }

    let run = |longest: usize, parts: bool| {
        let mut client = Endpoint::new(Role::Client, &config, &deflate);
        let mut all = Vec::new();
        for piece in wire.chunks(longest) {
            let (messages, error) = client.receive(piece, parts);
            all.extend(messages);
            if error.is_some() {
                return (all, error);
            }
        }
        (all, None)
    };
    let (messages, error) = run(wire.len().max(1), false);
    assert!(messages.iter().all(|message| message.len() as u64 <= limit));
    let known =
        [ProtocolError::InvalidCompressedData, ProtocolError::InvalidUtf8, ProtocolError::MessageTooBig];
    assert!(error.is_none_or(|error| known.contains(&error)), "{error:?}");
    for (longest, parts) in [(1, false), (1, true), (7, true), (64, false)] {
        assert_eq!(run(longest, parts), (messages.clone(), error), "in pieces of {longest}");
    }
}

/// What one side compresses, in any fragments, the other inflates, however it arrives.
pub fn deflate_round_trip(data: &[u8]) {
    let mut choices = Choices(data);
    let deflate = choices.deflate();
    let mut client = Endpoint::new(Role::Client, &Config::default(), &deflate);
    let mut server = Endpoint::new(Role::Server, &Config::default(), &deflate);
    while !choices.0.is_empty() {
        // From whom, whether to compress, how many fragments, and how often to repeat them.
        let byte = choices.byte();
        let (from, to) = if byte & 1 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
        from.sender.compress(byte & 6 != 0);
        let times = 1 + usize::from(byte >> 6) * 50;
        let mut payload = Vec::new();
        for left in (0..=byte >> 3 & 7).rev() {
            let len = usize::from(choices.byte());
            let part = choices.take(len).repeat(times);
            from.sender.fragment(MessageKind::Binary, &part, left == 0, &mut from.out).expect("it is open");
            payload.extend_from_slice(&part);
        }
        let wire = core::mem::take(&mut from.out);
        let (front, back) = wire.split_at(usize::from(choices.byte()) % wire.len());
        assert_eq!(to.receive(front, byte & 2 == 0), (vec![], None));
        assert_eq!(to.receive(back, byte & 4 == 0), (vec![Message::binary(payload)], None));
    }
}

/// What a client without demands and a server with this configuration agree on.
fn agreed(deflate: &Deflate) -> AgreedDeflate {
    let (agreed, _) = deflate.agree_as_server(&Deflate::default().offers()).expect("an acceptable offer");
    agreed
}

/// One side of a connection.
struct Endpoint {
    sender: Sender,
    receiver: Receiver,
    assembler: Assembler,
    input: Vec<u8>,
    out: Vec<u8>,
}

impl Endpoint {
    fn new(role: Role, config: &Config, deflate: &Deflate) -> Self {
        let mut sender = match role {
            Role::Client => Sender::client(config, |keys| keys.fill(0x5a)),
            Role::Server => Sender::server(config),
        };
        let (mut receiver, mut assembler) = (Receiver::new(role, config), Assembler::default());
        let agreed = agreed(deflate);
        sender.use_deflate(deflate, agreed);
        receiver.use_deflate(agreed);
        assembler.use_deflate(role, config, agreed);
        Self { sender, receiver, assembler, input: Vec::new(), out: Vec::new() }
    }

    /// Receives what has arrived: the messages that it completes, and the error if it is one.
    fn receive(&mut self, arrived: &[u8], parts: bool) -> (Vec<Message>, Option<ProtocolError>) {
        self.input.extend_from_slice(arrived);
        let mut messages = Vec::new();
        loop {
            let receive = if parts { Receiver::receive_part } else { Receiver::receive };
            let received = match receive(&mut self.receiver, &mut self.input) {
                Ok(Some(received)) => received,
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error)),
            };
            if let Some(Event::Data(fragment)) = received.event(&self.input) {
                match self.assembler.push(&fragment) {
                    Ok(message) => messages.extend(message),
                    Err(error) => return (messages, Some(error)),
                }
            }
            self.input.drain(..received.consumed());
        }
    }
}

/// Takes choices off the front of the input, each as so many bytes; when it is used up, every choice is 0.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// As many of the next `len` bytes as there are.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// Takeover, the least size, the level; and the window bits.
    fn deflate(&mut self) -> Deflate {
        let (byte, bits) = (self.byte(), self.byte());
        let mut deflate = Deflate::default()
            .min_size(usize::from(byte >> 2 & 3))
            .level(byte >> 4)
            .server_max_window_bits(8 + (bits & 7))
            .client_max_window_bits(8 + (bits >> 3 & 7));
        if byte & 1 != 0 {
            deflate = deflate.server_no_context_takeover();
        }
        if byte & 2 != 0 {
            deflate = deflate.client_no_context_takeover();
        }
        deflate
    }
}

//! permessage-deflate: what an endpoint wants, and what the two agree on (RFC 7692 sections 5 and 7.1).

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crate::handshake::{Extension, ResponseError};
use crate::role::Role;

/// Whether and how to compress messages: what is offered, or accepted, in the opening handshake.
///
/// Compression trades CPU, and some memory, for bandwidth. With context takeover, the default, a message may refer to those
/// before it. A connection keeps the end of these for that, as long as they were, and at most:
///
/// | window bits | of what was sent | of what was received |
/// | --- | --- | --- |
/// | 15 | 8 KiB | 32 KiB |
/// | 14 | 8 KiB | 16 KiB |
/// | 13 | 8 KiB | 8 KiB |
/// | 12 | 4 KiB | 4 KiB |
/// | 8, 9 | 512 bytes | 256, 512 bytes |
/// | without takeover, between messages | nothing | nothing |
///
/// Compressors belong to threads. Each keeps the 48 that were used last, of 278 KiB, as their connections left them, and a
/// decompressor of 70 KiB: less than 16 MiB, however many connections it serves. Who speaks after 48 others has a compressor
/// that is made to continue from what was kept, which takes up to 10 us. A compressed message that has come in part has
/// a decompressor of its own until it ends.
///
/// What becomes of messages of four kinds (`benches/streams.rs`), in parts of
/// their size and in microseconds for each, by level; and in the last row by zlib itself, with a compressor for each connection:
///
/// | level | tickers, 240 B | chat, 140 B | documents, 740 B | telemetry, 1 KiB |
/// | --- | --- | --- | --- | --- |
/// | 1 | 0.22, 1.4 | 0.40, 0.9 | 0.53, 5 | 0.35, 5 |
/// | 2 | 0.20, 5 | 0.38, 5 | 0.43, 14 | 0.28, 12 |
/// | 3 | 0.19, 4 | 0.37, 5 | 0.41, 15 | 0.26, 15 |
/// | **4** | 0.18, 5 | 0.35, 5 | 0.39, 21 | 0.25, 17 |
/// | 6 | 0.18, 6 | 0.35, 6 | 0.38, 28 | 0.24, 24 |
/// | 9 | 0.17, 7 | 0.34, 8 | 0.38, 56 | 0.24, 33 |
/// | 4, 2,000 connections in turns | 0.22, 15 | 0.44, 14 | 0.42, 32 | 0.26, 29 |
/// | 4, without takeover | 0.71, 11 | 0.81, 9 | 0.58, 18 | 0.35, 18 |
/// | zlib, 6 | 0.17, 7 | 0.34, 9 | 0.38, 63 | 0.24, 31 |
///
/// (In turns, each had sent only 30 messages, to which later ones could refer, instead of 300.)
///
/// Compressing secrets together with what an attacker chooses reveals them by their length (CRIME): turn
/// compression off for such messages with [`Sender::compress`](crate::Sender::compress).
///
/// ```
/// use sansocket::{Config, Deflate};
///
/// let config = Config::default().deflate(Deflate::default().level(1).no_context_takeover());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deflate {
    pub(crate) level: u8,
    pub(crate) min_size: usize,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    /// 8 to 15.
    server_max_window_bits: u8,
    /// A client takes 15, too.
    prefers_server_max_window_bits: bool,
    /// 8 to 15.
    client_max_window_bits: u8,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 4,
            min_size: 0,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: MAX_WINDOW_BITS,
            prefers_server_max_window_bits: false,
            client_max_window_bits: MAX_WINDOW_BITS,
        }
    }
}

impl Deflate {
    /// How hard to compress: from 1, fast, to 9, small; 0 does not compress. 4 by default: the higher ones take up to three
    /// times as long for 1 to 7 % of the size, as the table above shows. Values above 9 are taken as 9.
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.min(9);
        self
    }

    /// Messages of fewer bytes are sent as they are. 0 by default: all are compressed, since short ones that are like others
    /// gain most, and some clients, such as libwebsockets 4.1, only get on with that. With context takeover a message of 8 bytes
    /// or more that is like others becomes smaller, and takes 2 to 4 us; one of a byte becomes 3 bytes. Without takeover
    /// those that gain nothing, most below 64 bytes, are sent as they are, after 6 to 11 us. A message that is sent in parts
    /// counts by its first part.
    pub fn min_size(mut self, bytes: usize) -> Self {
        self.min_size = bytes;
        self
    }

    /// Neither side keeps its window from one message to the next, so that idle connections keep nothing. The same as
    /// `server_no_context_takeover` and `client_no_context_takeover` together.
    pub fn no_context_takeover(self) -> Self {
        self.server_no_context_takeover().client_no_context_takeover()
    }

    /// For servers with very many clients, and for broadcasts: what they are sent is compressed without context takeover. All
    /// connections of a thread then share one compressor, of 278 KiB, and keep nothing of what they sent between messages. A
    /// [`PreparedMessage`](crate::PreparedMessage) is compressed once for all of them. Messages become larger, as the table above
    /// shows. What clients send is compressed as it was; a client keeps nothing of what it receives.
    ///
    /// The same as [`server_no_context_takeover`](Self::server_no_context_takeover), which a client can ask for, too.
    pub fn shared_compressor(self) -> Self {
        self.server_no_context_takeover()
    }

    /// The server does not keep its compressor's window from one message to the next.
    pub fn server_no_context_takeover(mut self) -> Self {
        self.server_no_context_takeover = true;
        self
    }

    /// The client does not keep its compressor's window from one message to the next.
    pub fn client_no_context_takeover(mut self) -> Self {
        self.client_no_context_takeover = true;
        self
    }

    /// The server's compressor has a window of at most 2 to the power of `bits` bytes, from 8 to 15;
    /// other values are taken as the nearest of these. 15 by default. Not all servers take a client's 8:
    /// tornado 6.6.1 answers 500, and autobahn 26.10.2 400.
    ///
    /// A client insists on it, since a server that accepts has to answer it (RFC 7692 section 7.1.2.1): the connection fails with
    /// one that compresses without, as nats-server 2.9 does, and is not compressed, or refused, by one that declines.
    /// [`prefer_server_max_window_bits`](Self::prefer_server_max_window_bits) takes what such servers have.
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self.prefers_server_max_window_bits = false;
        self
    }

    /// The same, as a wish of a client's: it offers this window first, and then, as what to fall back on, permessage-deflate
    /// without it (RFC 7692 section 5), and takes what the server answers to either. Plan memory for 15 bits: 32 KiB of what
    /// each connection has received. To a server it is the same as [`server_max_window_bits`](Self::server_max_window_bits).
    pub fn prefer_server_max_window_bits(mut self, bits: u8) -> Self {
        self = self.server_max_window_bits(bits);
        self.prefers_server_max_window_bits = true;
        self
    }

    /// The client's compressor has a window of at most 2 to the power of `bits` bytes, from 8 to 15;
    /// other values are taken as the nearest of these. 15 by default.
    ///
    /// To a server this is a wish, which it can only put to clients that offer to be limited. Chromium does; Firefox, which
    /// offers `permessage-deflate` without parameters, does not, and compresses with 15 bits: plan memory for 32 KiB of what
    /// each connection has received.
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self
    }

    /// The client's offers, most preferred first: one, or two if it only
    /// [prefers](Self::prefer_server_max_window_bits) a smaller window of the server's.
    pub fn offers(&self) -> Vec<Extension> {
        let preferred = Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: below_max(self.server_max_window_bits),
            // Always: it tells the server that it may limit this client.
            client_max_window_bits: Some(below_max(self.client_max_window_bits)),
        };
        let mut offers = vec![preferred.to_extension()];
        // "This set of elements MAY include multiple PMCEs with the same extension name to offer the possibility to use the same
        // algorithm with different configuration parameters." (RFC 7692 section 5)
        if self.prefers_server_max_window_bits && preferred.server_max_window_bits.is_some() {
            offers.push(Parameters { server_max_window_bits: None, ..preferred }.to_extension());
        }
        offers
    }

    /// What the server's response to [`offers`](Self::offers) agrees on: `None`, not to compress.
    ///
    /// Fails when the response breaks RFC 7692 section 7, or asks for more than was offered: the client
    /// then fails the connection.
    pub fn agree_as_client(&self, response: &[Extension]) -> Result<Option<AgreedDeflate>, ResponseError> {
        let Some(response) = response.iter().find(|extension| extension.name() == NAME) else {
            return Ok(None);
        };
        let answer = Parameters::parse(response).ok_or(ResponseError::InvalidDeflateResponse)?;
        let agreed = AgreedDeflate {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS),
            client_max_window_bits: match answer.client_max_window_bits {
                Some(Some(bits)) => bits,
                // It "in an extension negotiation response has a decimal integer value" (7692-7.1.2.2-05).
                Some(None) => return Err(ResponseError::InvalidDeflateResponse),
                None => self.client_max_window_bits,
            },
        };
        // A server that accepts the offer honours what it asks for.
        let honoured = (agreed.server_no_context_takeover || !self.server_no_context_takeover)
            && agreed.client_max_window_bits <= self.client_max_window_bits;
        if !honoured {
            return Err(ResponseError::InvalidDeflateResponse);
        }
        if agreed.server_max_window_bits > self.server_max_window_bits && !self.prefers_server_max_window_bits
        {
            return Err(ResponseError::DeflateWindowTooLarge);
        }
        Ok(Some(agreed))
    }

    /// The first of the client's offers that the server can meet, what is agreed on by it, and the
    /// extension to answer. `None`: there is none, and messages are not compressed.
    ///
    /// An offer that breaks RFC 7692 section 7 is declined, and the next one looked at.
    pub fn agree_as_server(&self, offers: &[Extension]) -> Option<(AgreedDeflate, Extension)> {
        let offer = offers.iter().filter(|offer| offer.name() == NAME).find_map(Parameters::parse)?;
        let agreed = AgreedDeflate {
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            // A hint, which is gladly taken: it saves the server memory.
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: offer
                .server_max_window_bits
                .map_or(self.server_max_window_bits, |bits| bits.min(self.server_max_window_bits)),
            client_max_window_bits: match offer.client_max_window_bits {
                Some(hint) => hint.unwrap_or(MAX_WINDOW_BITS).min(self.client_max_window_bits),
                // "the corresponding extension negotiation response to the offer MUST NOT include the
                // "client_max_window_bits" extension parameter" (7692-7.1.2.2-06)
                None => MAX_WINDOW_BITS,
            },
        };
        let answer = Parameters {
            server_no_context_takeover: agreed.server_no_context_takeover,
            client_no_context_takeover: agreed.client_no_context_takeover,
            // "A server accepts an extension negotiation offer with this parameter by including"
            // (7692-7.1.2.1-04) it in the response.
            server_max_window_bits: match offer.server_max_window_bits {
                Some(_) => Some(agreed.server_max_window_bits),
                None => below_max(agreed.server_max_window_bits),
            },
            client_max_window_bits: below_max(agreed.client_max_window_bits).map(Some),
        };
        Some((agreed, answer.to_extension()))
    }
}

/// The parameters that both sides agreed on in the opening handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AgreedDeflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
}

impl AgreedDeflate {
    /// What a server agrees to by an answer that it has made, if that has permessage-deflate.
    pub(crate) fn answered(answer: &[Extension]) -> Option<Self> {
        let answer = Parameters::parse(answer.iter().find(|extension| extension.name() == NAME)?)?;
        Some(Self {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS),
            client_max_window_bits: answer.client_max_window_bits.flatten().unwrap_or(MAX_WINDOW_BITS),
        })
    }

    /// Whether the compressor of the endpoint with this role starts each message with an empty window.
    pub fn no_context_takeover(&self, role: Role) -> bool {
        match role {
            Role::Client => self.client_no_context_takeover,
            Role::Server => self.server_no_context_takeover,
        }
    }

    /// The binary logarithm of the window of the compressor of the endpoint with this role: from 8 to 15.
    pub fn max_window_bits(&self, role: Role) -> u8 {
        match role {
            Role::Client => self.client_max_window_bits,
            Role::Server => self.server_max_window_bits,
        }
    }
}

/// The parameters of an offer, or of a response.
#[derive(Debug, Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may have no value.
    #[expect(clippy::option_option, reason = "absent, without a value, and with one are different things")]
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` when a parameter is unknown, repeated, or has no valid value: a server then "MUST decline" the
    /// offer (7692-7-01), and a client "MUST _Fail the WebSocket Connection_" (7692-7-06).
    fn parse(extension: &Extension) -> Option<Self> {
        let mut parsed = Self::default();
        for (name, value) in extension.params() {
            let repeated = match (name, value) {
                ("server_no_context_takeover", None) => {
                    core::mem::replace(&mut parsed.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    core::mem::replace(&mut parsed.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(value)) => {
                    parsed.server_max_window_bits.replace(window_bits(value)?).is_some()
                }
                ("client_max_window_bits", Some(value)) => {
                    parsed.client_max_window_bits.replace(Some(window_bits(value)?)).is_some()
                }
                ("client_max_window_bits", None) => parsed.client_max_window_bits.replace(None).is_some(),
                _ => return None,
            };
            if repeated {
                return None;
            }
        }
        Some(parsed)
    }

    fn to_extension(&self) -> Extension {
        let text = |bits: u8| bits.to_string();
        let params = [
            ("server_no_context_takeover", self.server_no_context_takeover.then_some(None)),
            ("client_no_context_takeover", self.client_no_context_takeover.then_some(None)),
            ("server_max_window_bits", self.server_max_window_bits.map(|bits| Some(text(bits)))),
            ("client_max_window_bits", self.client_max_window_bits.map(|bits| bits.map(text))),
        ];
        let params = params.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        Extension { name: NAME.into(), params: params.collect() }
    }
}

/// "a decimal integer value without leading zeroes between 8 to 15, inclusive" (7692-7.1.2.1-02,
/// 7692-7.1.2.2-02)
fn window_bits(value: &str) -> Option<u8> {
    (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).find(|bits| value == bits.to_string())
}

/// Saying 15 is saying nothing.
fn below_max(bits: u8) -> Option<u8> {
    (bits < MAX_WINDOW_BITS).then_some(bits)
}

const NAME: &str = "permessage-deflate";
const MIN_WINDOW_BITS: u8 = 8;
const MAX_WINDOW_BITS: u8 = 15;
/// "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end" (7692-7.2.1-01) of a compressed
/// message; "append 4 octets of 0x00 0x00 0xff 0xff to the tail end" (7692-7.2.2-01) to inflate it.
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

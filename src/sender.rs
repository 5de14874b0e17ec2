//! The sending direction (RFC 6455 section 6.1): data, control frames, and the answers that the
//! protocol demands.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::config::Config;
use crate::error::{ProtocolError, SendError};
use crate::extension::{AgreedDeflate, CompressorKind, Deflate, Deflater};
use crate::frame::{CloseCode, CloseFrame, ControlPayload, FrameHeader, MaskingKeys, Opcode};
use crate::message::{Event, Fragmented, MessageKind, PreparedMessage};
use crate::role::Role;

/// The sending direction of a connection. What it sends is appended to `out`, always in whole frames;
/// an error appends nothing.
///
/// After a Close frame nothing is appended but the Pongs that are due "unless it already received a Close
/// frame" (6455-5.5.2-02).
///
/// ```
/// use sansocket::{Config, Sender};
///
/// let mut sender = Sender::server(&Config::default());
/// let mut out = Vec::new();
/// sender.text("Hello", &mut out)?;
/// assert_eq!(out, b"\x81\x05Hello");
/// # Ok::<(), sansocket::SendError>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    /// Where a client's masking keys come from; a server has none, since it "MUST NOT mask any frames that it
    /// sends to the client" (6455-5.1-04).
    masking: Option<Box<MaskingKeys>>,
    config: Config,
    state: SendState,
    /// Compresses messages, if permessage-deflate was negotiated.
    deflater: Option<Box<Deflater>>,
    /// Whether the caller wants messages compressed.
    compress: bool,
    /// The fragmented message that was begun and has not ended.
    message: Option<Fragmented>,
    /// The latest Ping that found `out` full. "If an endpoint receives a Ping frame and has not yet sent Pong
    /// frame(s) in response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only
    /// the most recently processed Ping frame." (6455-5.5.3-02)
    held_pong: Option<Box<ControlPayload>>,
}

impl Sender {
    /// A client's sending direction. `random` fills a slice: "the masking key MUST be derived from a strong
    /// source of entropy" (6455-5.3-03). It is called once for many keys: of two processes that a fork makes, one is to go on.
    pub fn client(config: &Config, random: fn(&mut [u8])) -> Self {
        Self::new(config, Some(Box::new(MaskingKeys::new(random))))
    }

    /// A server's sending direction.
    pub fn server(config: &Config) -> Self {
        Self::new(config, None)
    }

    fn new(config: &Config, masking: Option<Box<MaskingKeys>>) -> Self {
        Self {
            masking,
            config: config.clone(),
            state: SendState::Open,
            deflater: None,
            compress: true,
            message: None,
            held_pong: None,
        }
    }

    /// Compresses messages as `deflate` says, with the `agreed` parameters, from the next message on.
    pub fn use_deflate(&mut self, deflate: &Deflate, agreed: AgreedDeflate) {
        self.deflater = Some(Box::new(Deflater::new(deflate, agreed, self.role())));
    }

    /// Whether messages that are begun from now on are compressed, if permessage-deflate was negotiated
    /// and they are not too small. They are, unless turned off: do so for secrets that are sent together
    /// with what an attacker can choose (RFC 7692 section 8), and for what is compressed already.
    #[cfg(feature = "deflate")]
    pub fn compress(&mut self, compress: bool) {
        self.compress = compress;
    }

    /// Sends a text message in one frame.
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.message(MessageKind::Text, text.as_bytes(), out)
    }

    /// Sends a binary message in one frame.
    pub fn binary(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.message(MessageKind::Binary, payload, out)
    }

    /// Like [`text`](Self::text), without a copy: returns the header to be written before `text`, which is a
    /// client's to mask first, with [`FrameHeader::mask`]. The message is not compressed.
    pub fn text_header(&mut self, text: &str) -> Result<FrameHeader, SendError> {
        self.message_header(MessageKind::Text, text.len())
    }

    /// Like [`binary`](Self::binary), without a copy: returns the header to be written before `payload`,
    /// which is a client's to mask first, with [`FrameHeader::mask`]. The message is not compressed.
    ///
    /// ```
    /// use std::io::{IoSlice, Write};
    ///
    /// use sansocket::{Config, Sender};
    ///
    /// let payload = vec![7; 1 << 20];
    /// let mut sender = Sender::server(&Config::default());
    /// let header = sender.binary_header(&payload)?.encode();
    /// # let mut stream = Vec::new();
    /// // A stream may take less than all: then the rest is still to be written.
    /// let written = stream.write_vectored(&[IoSlice::new(&header), IoSlice::new(&payload)])?;
    /// # assert_eq!(written, 10 + payload.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn binary_header(&mut self, payload: &[u8]) -> Result<FrameHeader, SendError> {
        self.message_header(MessageKind::Binary, payload.len())
    }

    /// Sends a message that was framed before, once for many connections; see [`PreparedMessage`].
    pub fn prepared(&mut self, message: &PreparedMessage, out: &mut Vec<u8>) -> Result<(), SendError> {
        match self.prepared_frame(message)? {
            Some(frame) => out.extend_from_slice(frame),
            None => self.message(message.kind(), message.payload(), out)?,
        }
        Ok(())
    }

    /// Sends a fragment of a message: the first one begins the message, `last` ends it, and all are of
    /// the same `kind`. A text message's fragments may end inside a code point; together they must be
    /// valid UTF-8, and a fragment that makes that impossible is refused.
    pub fn fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let compressed = self.compresses(payload.len());
        let opcode = self.next_fragment(kind, payload, last, compressed)?;
        if compressed {
            self.append_compressed(opcode, payload, last, out);
        } else {
            self.header(opcode, payload.len(), last).append_frame(payload, out);
        }
        Ok(())
    }

    /// Like [`fragment`](Self::fragment), without a copy: returns the header to be written before `payload`,
    /// which is a client's to mask first, with [`FrameHeader::mask`]. The message is not compressed; one that
    /// was begun compressed cannot be gone on with in this way.
    pub fn fragment_header(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        last: bool,
    ) -> Result<FrameHeader, SendError> {
        let opcode = self.next_fragment(kind, payload, last, false)?;
        Ok(self.header(opcode, payload.len(), last))
    }

    /// Sends a Ping with at most 125 bytes of application data, which the peer's Pong repeats.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control_while_open(Opcode::Ping, payload, out)
    }

    /// Sends a Pong that no Ping asked for: a heartbeat in one direction (6455-5.5.3-03).
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control_while_open(Opcode::Pong, payload, out)
    }

    /// Starts the closing handshake (section 7.1.2), or completes it if the peer began. A message in
    /// progress is left unfinished.
    pub fn close(&mut self, close: Option<CloseFrame<'_>>, out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.state == SendState::CloseSent {
            return Err(SendError::Closing);
        }
        let payload = match close {
            // 1010 "is not used by the server, since it can fail the WebSocket handshake instead"
            // (6455-7.4.1-10).
            Some(close) if close.code == CloseCode::MANDATORY_EXTENSION && self.masking.is_none() => {
                return Err(SendError::InvalidCloseCode(close.code));
            }
            Some(close) => Some(close.encode()?),
            None => None,
        };
        self.send_close(payload.as_ref().map_or(&[], ControlPayload::as_bytes), out);
        Ok(())
    }

    /// Sends what a received event demands: a Pong for a Ping, a Close frame for a Close frame.
    /// Returns whether it appended anything.
    ///
    /// While `out` is longer than [`Config::write_buffer_size`], a Pong is held back, and replaced by
    /// that for the next Ping; [`answer_held`](Self::answer_held) sends it.
    pub fn answer(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> bool {
        match *event {
            Event::Ping(payload) if out.len() <= self.config.settings.write_buffer_size => {
                // It stands for a held one too: no Pong for an older Ping may follow it.
                self.held_pong = None;
                self.append_control(Opcode::Pong, payload, out);
                true
            }
            Event::Ping(payload) => {
                match (&mut self.held_pong, ControlPayload::new(&[payload])) {
                    // In place: a flood of Pings allocates nothing.
                    (Some(held), Some(pong)) => **held = pong,
                    (held, pong) => *held = pong.map(Box::new),
                }
                false
            }
            // "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint
            // MUST send a Close frame in response." (6455-5.5.1-07) It "typically echos the status code it
            // received." (6455-5.5.1-08)
            Event::Close(close) if self.state == SendState::Open => {
                let code = close.map(|close| self.answered_code(close.code).get().to_be_bytes());
                self.send_close(code.as_ref().map_or(&[], |code| code.as_slice()), out);
                self.held_pong = None;
                true
            }
            // A Pong is due "unless it already received a Close frame" (6455-5.5.2-02).
            Event::Close(_) => {
                self.held_pong = None;
                false
            }
            Event::Pong(_) | Event::Data(_) => false,
        }
    }

    /// Sends the Pong that [`answer`](Self::answer) held back, if `out` has room now: to be called
    /// after each write. Returns whether it appended anything.
    #[inline]
    pub fn answer_held(&mut self, out: &mut Vec<u8>) -> bool {
        let most = self.config.settings.write_buffer_size;
        let Some(pong) = self.held_pong.take_if(|_| out.len() <= most) else {
            return false;
        };
        self.append_control(Opcode::Pong, pong.as_bytes(), out);
        true
    }

    /// Whether a Pong is held back.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn holds_pong(&self) -> bool {
        self.held_pong.is_some()
    }

    /// Fails the connection: tells the peer which rule it broke, unless a Close frame was sent before
    /// (section 7.1.7).
    pub fn fail(&mut self, error: ProtocolError, out: &mut Vec<u8>) {
        self.held_pong = None;
        if self.state == SendState::Open {
            let code = error.close_code().get().to_be_bytes();
            // The reasons are ours, and short: a test holds them to 123 bytes.
            let payload = ControlPayload::new(&[&code, error.reason().as_bytes()]);
            self.send_close(payload.as_ref().map_or(&code, ControlPayload::as_bytes), out);
        }
    }

    /// What this direction may still send.
    pub fn state(&self) -> SendState {
        self.state
    }

    /// This endpoint's role.
    pub(crate) fn role(&self) -> Role {
        if self.masking.is_some() { Role::Client } else { Role::Server }
    }

    /// What it was given.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the next frame of data is compressed if it has `len` bytes: the message in progress is, or one
    /// that begins with it would be. The headers of such frames are not known before.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        match &self.message {
            Some(message) => message.is_compressed(),
            None => self.compress && self.deflater.as_ref().is_some_and(|deflater| deflater.takes(len)),
        }
    }

    /// The header of a whole message that is not compressed.
    #[inline]
    pub(crate) fn message_header(&mut self, kind: MessageKind, len: usize) -> Result<FrameHeader, SendError> {
        self.check_between_messages()?;
        Ok(self.header(kind.opcode(), len, true))
    }

    /// The frame of a message that was made for many connections, if this one is among those that share it.
    #[inline]
    pub(crate) fn prepared_frame<'m>(
        &self,
        message: &'m PreparedMessage,
    ) -> Result<Option<&'m Bytes>, SendError> {
        self.check_between_messages()?;
        let len = message.payload().len();
        if self.masking.is_none() && !self.compresses(len) {
            return Ok(Some(message.frame()));
        }
        Ok(self.shared_compressor(len).and_then(|kind| message.compressed_frame(kind)))
    }

    /// What compresses a message of `len` bytes, if others make the same of it: a server's compressor, without takeover.
    pub(crate) fn shared_compressor(&self, len: usize) -> Option<CompressorKind> {
        let deflater = self.deflater.as_ref().filter(|_| self.masking.is_none() && self.compresses(len))?;
        deflater.kind_without_takeover()
    }

    /// Sends a whole message in one frame.
    pub(crate) fn message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.check_between_messages()?;
        if self.compresses(payload.len()) {
            self.append_compressed(kind.opcode(), payload, true, out);
        } else {
            self.header(kind.opcode(), payload.len(), true).append_frame(payload, out);
        }
        Ok(())
    }

    /// Compresses messages, if permessage-deflate was negotiated.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn deflater(&mut self) -> Option<&mut Deflater> {
        self.deflater.as_deref_mut()
    }

    /// Counts a fragment as part of the message in progress, or begins one with it, `compressed` or not;
    /// returns its opcode.
    pub(crate) fn next_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        last: bool,
        compressed: bool,
    ) -> Result<Opcode, SendError> {
        self.check_open()?;
        let opcode = if self.message.is_some() { Opcode::Continuation } else { kind.opcode() };
        let mut message = self.message_of(kind, compressed)?;
        message.add(payload, last)?;
        self.message = (!last).then_some(message);
        Ok(opcode)
    }

    /// What a fragment is counted to: the message in progress, or one that it begins.
    pub(crate) fn message_of(&self, kind: MessageKind, compressed: bool) -> Result<Fragmented, SendError> {
        let message = self.message.clone().unwrap_or_else(|| Fragmented::new(kind, compressed));
        if message.is_of(kind, compressed) { Ok(message) } else { Err(SendError::MessageInProgress) }
    }

    fn append_compressed(&mut self, opcode: Opcode, payload: &[u8], last: bool, out: &mut Vec<u8>) {
        let first = opcode != Opcode::Continuation;
        let compressed = self.deflater.as_mut().and_then(|deflater| deflater.deflate(payload, first, last));
        let header = self.compressed_header(opcode, compressed.as_deref(), payload, last);
        header.append_frame(compressed.as_deref().unwrap_or(payload), out);
        if let Some(compressed) = compressed {
            Deflater::give_back(compressed);
        }
    }

    /// The header of a frame whose payload was compressed: "set the "Per-Message Compressed" bit of the first frame"
    /// (7692-6.1-01), and of no other. `None`: it is sent as it is.
    pub(crate) fn compressed_header(
        &mut self,
        opcode: Opcode,
        compressed: Option<&[u8]>,
        payload: &[u8],
        last: bool,
    ) -> FrameHeader {
        let rsv1 = opcode != Opcode::Continuation && compressed.is_some();
        FrameHeader { rsv1, ..self.header(opcode, compressed.unwrap_or(payload).len(), last) }
    }

    /// The code that answers a received one: the same, but that 1010 is not for servers to send.
    fn answered_code(&self, code: CloseCode) -> CloseCode {
        match code {
            CloseCode::MANDATORY_EXTENSION if self.masking.is_none() => CloseCode::NORMAL,
            code => code,
        }
    }

    #[inline]
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        match self.state {
            SendState::Open => Ok(()),
            SendState::CloseSent => Err(SendError::Closing),
        }
    }

    /// Whether a message may begin.
    #[inline]
    pub(crate) fn check_between_messages(&self) -> Result<(), SendError> {
        self.check_open()?;
        if self.message.is_some() { Err(SendError::MessageInProgress) } else { Ok(()) }
    }

    fn control_while_open(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        if payload.len() > crate::frame::MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlPayloadTooLong);
        }
        self.append_control(opcode, payload, out);
        Ok(())
    }

    fn send_close(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.append_control(Opcode::Close, payload, out);
        self.state = SendState::CloseSent;
        self.message = None;
    }

    /// `payload` is at most 125 bytes long: the callers have checked it, or received it.
    fn append_control(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        self.header(opcode, payload.len(), true).append_frame(payload, out);
    }

    #[inline]
    fn header(&mut self, opcode: Opcode, len: usize, fin: bool) -> FrameHeader {
        let masking_key = self.masking.as_mut().map(|keys| keys.next());
        FrameHeader { fin, rsv1: false, opcode, masking_key, payload_len: len as u64 }
    }
}

/// What the sending direction may still send.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendState {
    /// Data and control frames.
    Open,
    /// A Close frame was sent: nothing but Pongs.
    CloseSent,
}

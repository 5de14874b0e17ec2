//! The receiving direction (RFC 6455 section 6.2): frames in, events out.
//!
//! It holds the frame and the message in progress, and enforces every rule on what a peer may send.
//! It shares nothing with the sending direction: Pings, Close frames and errors are handed over by
//! whoever drives both ([`Connection`](crate::Connection), or an adapter's halves).

use core::ops::Range;

use crate::config::Config;
use crate::error::ProtocolError;
use crate::extension::AgreedDeflate;
use crate::frame::{CloseFrame, FrameHeader, MaskingKey, Opcode};
use crate::message::{Event, Fragment, MessageKind};
use crate::role::Role;
use crate::utf8::{InvalidUtf8, Utf8Validator};

/// The receiving direction of a connection.
///
/// # Contract
///
/// The caller owns the input. It starts at the first byte not yet consumed; between calls the caller
/// drops [`Received::consumed`] bytes from its front, and may append to it, and changes nothing
/// else: bytes already seen have been unmasked in place.
///
/// ```text
///           header      payload of the frame in progress
/// input: [ x x x x | p p p p p p p p p p p | m m m m m m ]      p: unmasked, and validated if text
///                    ^---- `processed` ---^  ^              m: as on the wire, not yet looked at
/// ```
///
/// ```
/// use sansocket::{Config, Event, Receiver, Role};
///
/// let mut receiver = Receiver::new(Role::Client, &Config::default());
/// let mut input = b"\x81\x05Hello\x89\x00".to_vec();
/// while let Some(received) = receiver.receive(&mut input)? {
///     match received.event(&input) {
///         Some(Event::Data(fragment)) => assert_eq!(fragment.payload, b"Hello"),
///         event => assert_eq!(event, Some(Event::Ping(b""))),
///     }
///     input.drain(..received.consumed());
/// }
/// # Ok::<(), sansocket::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Receiver {
    role: Role,
    config: Config,
    /// RSV1 marks compressed messages: permessage-deflate was negotiated.
    deflate: bool,
    /// Text is handed out as it arrives, and validated by whoever makes messages of it, but for the parts
    /// that somebody asks for.
    leave_text: bool,
    state: ReceiveState,
    /// The frame whose header was admitted and whose payload is incomplete. `None`: the input starts
    /// with a header, as it was on the wire.
    frame: Option<FrameInProgress>,
    /// The message that was begun and has not ended; set while its last frame is in progress too.
    message: Option<MessageInProgress>,
    /// The text message in progress, up to what has been processed.
    utf8: Utf8Validator,
}

impl Receiver {
    /// An endpoint's receiving direction, with the limits of `config`.
    pub fn new(role: Role, config: &Config) -> Self {
        Self {
            role,
            config: config.clone(),
            deflate: false,
            leave_text: false,
            state: ReceiveState::Open,
            frame: None,
            message: None,
            utf8: Utf8Validator::default(),
        }
    }

    /// Advances by at most one frame. `None`: the frame at the front of `input` is incomplete.
    ///
    /// What has arrived of an incomplete frame is unmasked and validated at once, and once only; text
    /// that can no longer become valid fails here, before its frame is complete.
    ///
    /// After an error, and after a Close frame, all input is discarded unparsed.
    #[inline]
    pub fn receive(&mut self, input: &mut [u8]) -> Result<Option<Received>, ProtocolError> {
        self.advance(input, false)
    }

    /// Like [`receive`](Self::receive), but hands out the payload of an incomplete data frame as far
    /// as it has arrived, so that a frame of any size passes through a small buffer.
    ///
    /// Both may be used on one connection, also within one message.
    #[inline]
    pub fn receive_part(&mut self, input: &mut [u8]) -> Result<Option<Received>, ProtocolError> {
        self.advance(input, true)
    }

    /// Takes RSV1 for the mark of a compressed message, from the next message on: the two have `agreed` on
    /// permessage-deflate. Compressed messages are handed out as they are, and in parts as they arrive also
    /// by [`receive`](Self::receive); an [`Assembler`](crate::Assembler) inflates them.
    pub fn use_deflate(&mut self, _agreed: AgreedDeflate) {
        self.deflate = true;
    }

    /// Receives a message that is there whole, in one frame, and not compressed, if nothing speaks against
    /// it: what most calls come to. Everything else is for [`receive`](Self::receive) to judge. Text is for
    /// the caller to validate.
    #[cfg(all(feature = "std", feature = "handshake"))]
    #[inline]
    pub(crate) fn receive_whole(&mut self, input: &mut [u8]) -> Option<(MessageKind, Range<usize>)> {
        let WholeMessage { kind, key, payload } = self.whole_message(input)?;
        if let Some(key) = key {
            key.apply(&mut input[payload.clone()], 0);
        }
        Some((kind, payload))
    }

    /// Leaves it to the caller to validate the text that [`receive`](Self::receive) hands out, which it then
    /// does in parts as they arrive: making a [`Message`](crate::Message) of them does, and no byte is to be
    /// looked at twice. What [`receive_part`](Self::receive_part) hands out is validated here all the same.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn leave_text(&mut self) {
        self.leave_text = true;
    }

    /// What follows of the text in progress is asked for in parts: `utf8` has validated it up to here.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn resume_text(&mut self, utf8: Utf8Validator) {
        self.utf8 = utf8;
    }

    /// Receives nothing more: an error was found in what was received.
    pub fn fail(&mut self) {
        self.state = ReceiveState::Failed;
    }

    /// What this direction still takes.
    pub fn state(&self) -> ReceiveState {
        self.state
    }

    /// This endpoint's role.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// What it was given.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How many more bytes complete the frame in progress: what a reader may make room for. 0 when
    /// none is in progress.
    pub fn missing(&self) -> u64 {
        self.frame.as_ref().map_or(0, |frame| frame.remaining - frame.processed as u64)
    }

    /// Where the next frame begins that was not looked at, in the input; a control frame in progress is one, of which
    /// so many bytes of payload are unmasked.
    #[cfg(all(feature = "std", feature = "handshake"))]
    pub(crate) fn next_frame(&self) -> (u64, usize) {
        match &self.frame {
            Some(frame) if frame.header.opcode.is_control() => (0, frame.processed),
            Some(frame) => (frame.remaining.saturating_add(frame.start as u64), 0),
            None => (0, 0),
        }
    }

    fn advance(&mut self, input: &mut [u8], parts: bool) -> Result<Option<Received>, ProtocolError> {
        let result = match self.whole_message(input) {
            Some(message) => self.take_whole_message(input, message, parts).map(Some),
            None => self.advance_frame(input, parts),
        };
        if result.is_err() {
            self.state = ReceiveState::Failed;
        }
        result
    }

    /// What most input begins with: a frame that is a whole message, between messages. It is only recognised
    /// here; what anything else is, or breaks, is for [`advance_frame`](Self::advance_frame) to say.
    #[inline]
    fn whole_message(&self, input: &[u8]) -> Option<WholeMessage> {
        if self.state != ReceiveState::Open || self.frame.is_some() || self.message.is_some() {
            return None;
        }
        let (header, start) = FrameHeader::parse_whole_message(input)?;
        let kind = if header.opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
        let (key, len) = (header.masking_key, header.payload_len);
        let limits = &self.config.settings;
        let admitted = key.is_some() == (self.role == Role::Server)
            && len <= limits.max_frame_size
            && len <= limits.max_message_size
            && limits.max_fragments > 0;
        let payload = start..start.checked_add(usize::try_from(len).ok()?)?;
        (admitted && payload.end <= input.len()).then_some(WholeMessage { kind, key, payload })
    }

    #[inline]
    fn take_whole_message(
        &mut self,
        input: &mut [u8],
        WholeMessage { kind, key, payload }: WholeMessage,
        parts: bool,
    ) -> Result<Received, ProtocolError> {
        let text = kind == MessageKind::Text && (parts || !self.leave_text);
        let part = &mut input[payload.clone()];
        if text {
            self.process_text(part, key, 0)?;
            self.utf8.finish()?;
        } else if let Some(key) = key {
            key.apply(part, 0);
        }
        let frame_kind = FrameKind::Data { kind, compressed: false, first: true, last: true };
        Ok(Received { frame_kind, consumed: payload.end, payload })
    }

    /// Any input: the rest of a frame, a frame of any kind, or what is not one.
    #[inline(never)]
    fn advance_frame(&mut self, input: &mut [u8], parts: bool) -> Result<Option<Received>, ProtocolError> {
        if self.state != ReceiveState::Open {
            // "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame)
            // from the remote endpoint after being instructed to _Fail the WebSocket Connection_."
            // (6455-7.1.7-07) And what follows a Close frame is discarded (6455-1.4-01).
            let consumed = input.len();
            return Ok((consumed > 0).then_some(Received {
                frame_kind: FrameKind::Nothing,
                payload: 0..0,
                consumed,
            }));
        }
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.begin_frame(input)? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };

        // Unmask and validate, in place, exactly the bytes that arrived since the last call.
        let arrived = input.len().saturating_sub(frame.start);
        let available = usize::try_from(frame.remaining).map_or(arrived, |remaining| remaining.min(arrived));
        let complete = available as u64 == frame.remaining;
        let data = !frame.header.opcode.is_control();
        let (text, compressed) = match &self.message {
            Some(message) if data => {
                (message.kind == MessageKind::Text && !message.compressed, message.compressed)
            }
            _ => (false, false),
        };
        let left = text && !parts && self.leave_text;
        if let Some(new) = input.get_mut(frame.start + frame.processed..frame.start + available) {
            let offset = frame.position() + frame.processed as u64;
            if let Err(error) = self.process(new, frame.header.masking_key, offset, text && !left) {
                // Where the next one begins is still to be known.
                self.frame = Some(frame);
                return Err(error.into());
            }
            frame.processed = available;
        }

        let payload = frame.start..frame.start + available;
        if complete {
            let bytes = input.get(payload.clone()).unwrap_or_default();
            let ended = self.end_frame(&frame, bytes, payload);
            if ended.is_err() {
                self.frame = Some(frame);
            }
            ended
        } else {
            let handed_out = (parts && data || compressed || left) && available > 0;
            let received = handed_out.then(|| {
                let frame_kind = self.frame_kind(&frame, false);
                frame.hand_out(available);
                Received { frame_kind, consumed: payload.end, payload }
            });
            self.frame = Some(frame);
            Ok(received)
        }
    }

    /// Unmasks the part of a payload that begins at `offset`, and validates it if it is text.
    #[inline]
    fn process(
        &mut self,
        part: &mut [u8],
        key: Option<MaskingKey>,
        offset: u64,
        text: bool,
    ) -> Result<(), InvalidUtf8> {
        if text {
            return self.process_text(part, key, offset);
        }
        if let Some(key) = key {
            key.apply(part, offset);
        }
        Ok(())
    }

    #[inline(never)]
    fn process_text(
        &mut self,
        part: &mut [u8],
        key: Option<MaskingKey>,
        mut offset: u64,
    ) -> Result<(), InvalidUtf8> {
        for block in part.chunks_mut(BLOCK) {
            let ascii = key.is_some_and(|key| key.apply_to_text(block, offset));
            if !(ascii && self.utf8.is_whole()) {
                self.utf8.feed(block)?;
            }
            offset += block.len() as u64;
        }
        Ok(())
    }

    /// Admits the header at the front of `input` if it is complete, and judges what there is of it if
    /// it is not: the first two bytes decide nearly everything.
    #[inline]
    fn begin_frame(&mut self, input: &[u8]) -> Result<Option<FrameInProgress>, ProtocolError> {
        let (header, start) = match FrameHeader::parse(input) {
            Ok(Some(parsed)) => parsed,
            incomplete_or_bad => {
                self.check_first_bytes(input)?;
                return incomplete_or_bad.map(|_| None);
            }
        };
        self.check_start(header.opcode, header.rsv1, Some(header.masking_key.is_some()))?;
        if !header.opcode.is_control() {
            self.admit_data(&header)?;
        }
        Ok(Some(FrameInProgress { header, start, remaining: header.payload_len, processed: 0 }))
    }

    /// Judges as much as there is of the first two bytes, in their order: the first bad byte decides
    /// which rule was broken, however the input is cut.
    fn check_first_bytes(&self, input: &[u8]) -> Result<(), ProtocolError> {
        let [first, rest @ ..] = input else {
            return Ok(());
        };
        FrameHeader::parse(&[*first])?;
        let masked = rest.first().map(|second| second & 0x80 != 0);
        self.check_start(Opcode::try_from(first & 0x0f)?, first & 0x40 != 0, masked)
    }

    /// The rules on a frame's first two bytes that depend on the role, on what was negotiated, and on
    /// the message in progress.
    #[inline]
    fn check_start(&self, opcode: Opcode, rsv1: bool, masked: Option<bool>) -> Result<(), ProtocolError> {
        // "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first
        // fragments of a data message." (7692-6.1-03)
        if rsv1 && !(self.deflate && matches!(opcode, Opcode::Text | Opcode::Binary)) {
            return Err(ProtocolError::ReservedBitSet);
        }
        match (opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::ContinuationWithoutMessage),
            // "The fragments of one message MUST NOT be interleaved between the fragments of another message"
            // (6455-5.4-07)
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::MessageInProgress),
            _ => {}
        }
        match (self.role, masked) {
            // "The server MUST close the connection upon receiving a frame that is not masked." (6455-5.1-02)
            (Role::Server, Some(false)) => Err(ProtocolError::UnmaskedFrameFromClient),
            // "A client MUST close a connection if it detects a masked frame." (6455-5.1-05)
            (Role::Client, Some(true)) => Err(ProtocolError::MaskedFrameFromServer),
            _ => Ok(()),
        }
    }

    /// Checks a data frame against the limits, and counts it as part of its message.
    #[inline]
    fn admit_data(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let message = match header.opcode {
            Opcode::Text => MessageInProgress::new(MessageKind::Text, header.rsv1),
            Opcode::Binary => MessageInProgress::new(MessageKind::Binary, header.rsv1),
            // In progress: `check_start` saw to it.
            _ => self.message.take().ok_or(ProtocolError::ContinuationWithoutMessage)?,
        };
        let limits = &self.config.settings;
        if header.payload_len > limits.max_payload(message.compressed) {
            return Err(ProtocolError::FrameTooBig);
        }
        let counted = if message.compressed { 0 } else { header.payload_len };
        // `len` never exceeds the limit, so neither side can wrap.
        if counted > limits.max_message_size - message.len {
            return Err(ProtocolError::MessageTooBig);
        }
        if message.fragments >= limits.max_fragments {
            return Err(ProtocolError::TooManyFragments);
        }
        self.message = Some(MessageInProgress {
            len: message.len + counted,
            fragments: message.fragments + 1,
            ..message
        });
        Ok(())
    }

    /// A frame is complete: its payload, or the last part of it, is `bytes`.
    #[inline]
    fn end_frame(
        &mut self,
        frame: &FrameInProgress,
        bytes: &[u8],
        payload: Range<usize>,
    ) -> Result<Option<Received>, ProtocolError> {
        let frame_kind = self.frame_kind(frame, true);
        match frame_kind {
            FrameKind::Data { kind, compressed, last: true, .. } => {
                if kind == MessageKind::Text && !compressed {
                    self.utf8.finish()?;
                }
                self.message = None;
            }
            FrameKind::Close => {
                CloseFrame::parse(bytes)?;
                self.state = ReceiveState::CloseReceived;
            }
            _ => {}
        }
        Ok(Some(Received { frame_kind, consumed: payload.end, payload }))
    }

    #[inline]
    fn frame_kind(&self, frame: &FrameInProgress, complete: bool) -> FrameKind {
        match frame.header.opcode {
            Opcode::Ping => FrameKind::Ping,
            Opcode::Pong => FrameKind::Pong,
            Opcode::Close => FrameKind::Close,
            opcode => FrameKind::Data {
                kind: self.message.as_ref().map_or(MessageKind::Binary, |message| message.kind),
                compressed: self.message.as_ref().is_some_and(|message| message.compressed),
                first: opcode != Opcode::Continuation && frame.position() == 0,
                last: complete && frame.header.fin,
            },
        }
    }
}

/// What the receiving direction still takes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiveState {
    /// Frames are received.
    Open,
    /// A Close frame was received: what follows is discarded (section 1.4).
    CloseReceived,
    /// The peer broke the protocol: what follows is discarded (section 7.1.7).
    Failed,
}

/// One frame, or part of one, as positions in the caller's input: it borrows nothing, so that it can
/// be returned from the loop that received it.
#[must_use = "its `consumed()` bytes are to be dropped from the input"]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    frame_kind: FrameKind,
    payload: Range<usize>,
    consumed: usize,
}

impl Received {
    /// How many bytes to drop from the front of the input once the event is done with.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// Where the payload lies in the input.
    pub fn payload(&self) -> Range<usize> {
        self.payload.clone()
    }

    /// The event, as a view of the `input` that was received from. `None` when the bytes were
    /// discarded, because the peer had closed or broken the protocol before.
    #[inline]
    pub fn event<'b>(&self, input: &'b [u8]) -> Option<Event<'b>> {
        let payload = input.get(self.payload.clone())?;
        Some(match self.frame_kind {
            FrameKind::Data { kind, compressed, first, last } => {
                Event::Data(Fragment { kind, compressed, first, last, payload })
            }
            FrameKind::Ping => Event::Ping(payload),
            FrameKind::Pong => Event::Pong(payload),
            // It was parsed when it was received: this cannot fail.
            FrameKind::Close => Event::Close(CloseFrame::parse(payload).ok()?),
            FrameKind::Nothing => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FrameKind {
    Data { kind: MessageKind, compressed: bool, first: bool, last: bool },
    Ping,
    Pong,
    Close,
    Nothing,
}

/// A whole message in one frame, all of which is in the input.
struct WholeMessage {
    kind: MessageKind,
    key: Option<MaskingKey>,
    payload: Range<usize>,
}

/// A frame whose header was admitted.
#[derive(Debug)]
struct FrameInProgress {
    header: FrameHeader,
    /// Where the payload begins in the input: after the header, or at 0 once a part was handed out.
    start: usize,
    /// How many bytes of the payload were not handed out as parts: at most `header.payload_len`.
    remaining: u64,
    /// How many bytes of the payload that is in the input are unmasked and validated: at most `remaining`.
    processed: usize,
}

impl FrameInProgress {
    /// How many bytes of the payload were handed out as parts, and are no longer in the input.
    fn position(&self) -> u64 {
        self.header.payload_len - self.remaining
    }

    /// The first `len` bytes of what is in the input leave it, with all that stands before them.
    fn hand_out(&mut self, len: usize) {
        self.remaining -= len as u64;
        (self.start, self.processed) = (0, self.processed - len);
    }
}

#[derive(Debug)]
struct MessageInProgress {
    kind: MessageKind,
    /// Its size, and whether it is text, show when it is inflated.
    compressed: bool,
    /// The payload bytes that its frames announced so far, if it is not compressed: at most the limit.
    len: u64,
    fragments: u32,
}

impl MessageInProgress {
    fn new(kind: MessageKind, compressed: bool) -> Self {
        Self { kind, compressed, len: 0, fragments: 0 }
    }
}

/// Text is unmasked and validated in blocks of this many bytes, which stay in a processor's first cache.
const BLOCK: usize = 16 << 10;

//! What the blocking and the tokio adapter share: the two halves of a connection with their buffers.
//!
//! [`Inbound`] turns bytes that were read into messages, and [`Outbound`] messages into bytes to be
//! written. Neither reads, writes or waits: that is all that is left for an adapter to do.

mod outbound;
mod read_buffer;
mod write_queue;

use alloc::boxed::Box;
use std::io;
use std::time::Instant;

use bytes::Bytes;
#[cfg(feature = "tokio")]
use bytes::BytesMut;

pub(crate) use self::outbound::Outbound;
#[cfg(feature = "tokio")]
pub(crate) use self::outbound::ToSend;
pub(crate) use self::read_buffer::ReadBuffer;
pub(crate) use self::write_queue::{MAX_SLICES, WriteQueue};
use crate::config::Config;
use crate::connection::{Closed, ReceiveHalf};
use crate::error::{Error, ProtocolError, TimedOut};
use crate::message::{Assembler, Event, Fragment, Message, MessageKind};
use crate::role::Role;
use crate::sender::SendState;
use crate::serve::STOPPING;
use crate::utf8::TextInProgress;

/// A message, or a control frame that carries application data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A Ping's application data; the Pong is sent without the caller's help.
    Ping(Bytes),
    /// A Pong's application data.
    Pong(Bytes),
}

/// Part of a message: a fragment's payload, as far as it has arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Whether the message is text or binary.
    pub kind: MessageKind,
    /// The message begins with this part.
    pub first: bool,
    /// The message ends with this part, which may be empty.
    pub last: bool,
    /// The payload. A part of a text message may begin or end inside a code point, but the text up to
    /// here has been validated.
    pub payload: Bytes,
}

/// What an adapter's caller asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Want {
    Messages,
    MessagesAndPings,
    Parts,
}

/// What [`Inbound::advance`] came to.
#[derive(Debug)]
pub(crate) enum Step {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
    Part(Part),
    /// All that was read has been looked at: read more.
    NeedInput,
    /// A Close frame was received, or an error found: nothing more will be.
    End(Option<ProtocolError>),
}

impl Step {
    #[inline]
    pub(crate) fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }

    pub(crate) fn into_incoming(self) -> Option<Incoming> {
        match self {
            Self::Message(message) => Some(Incoming::Message(message)),
            Self::Ping(payload) => Some(Incoming::Ping(payload)),
            Self::Pong(payload) => Some(Incoming::Pong(payload)),
            _ => None,
        }
    }

    pub(crate) fn into_part(self) -> Option<Part> {
        match self {
            Self::Part(part) => Some(part),
            _ => None,
        }
    }
}

/// A connection that is ending, or has ended: nothing more will be received.
#[derive(Debug)]
pub(crate) struct End {
    /// To be returned once.
    pub(crate) error: Option<Error>,
    pub(crate) phase: Phase,
    /// How it closed, once that is over.
    pub(crate) closed: Option<Closed>,
}

impl End {
    /// A connection that ends with `error`, if any.
    pub(crate) fn new(error: Option<Error>, phase: Phase) -> Self {
        Self { error, phase, closed: None }
    }
}

/// How far a connection has ended. "An endpoint SHOULD use a method that cleanly closes the TCP
/// connection, [...] discarding any trailing bytes that may have been received" (section 7.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Our Close frame is to be written; what the peer sends meanwhile is discarded.
    Flush,
    /// The transport is to be closed for writing: by a server first, by a client last.
    Shutdown,
    /// The peer is to close the transport; what it sends before is discarded.
    Drain,
    /// Nothing is left to do.
    Over,
    /// How the connection closed was recorded.
    Done,
}

/// The way from the receiving to the sending half: a reference, or a lock, taken only when a control
/// frame or an error makes it necessary.
pub(crate) trait Link {
    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T;
}

/// What was agreed on in the opening handshake, besides the subprotocol.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agreed {
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::extension::AgreedDeflate>,
}

/// Fills `bytes` from a CSPRNG that the operating system seeds.
pub(crate) fn random(bytes: &mut [u8]) {
    use rand::Rng;
    rand::rng().fill_bytes(bytes);
}

/// The receiving half with its buffers.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) receiving: ReceiveHalf<Instant>,
    pub(crate) input: ReadBuffer,
    /// Boxed, since there is none until a message comes that is more than one frame, read whole.
    assembly: Option<Box<Assembly>>,
    /// Parts of the message in progress were handed out.
    parts_taken: bool,
    /// An answer was queued since this was last taken: it is to be sent "as soon as is practical".
    pub(crate) answered: bool,
    /// The Close frame was sent for the application: what still arrives is discarded.
    stopped: bool,
}

/// A message of which there is only a part.
#[derive(Debug, Default)]
struct Assembly {
    assembler: Assembler,
    /// The kind of the message that `assembler` holds fragments of.
    kind: Option<MessageKind>,
    /// What is still to be inflated of a fragment whose message is handed out in parts.
    #[cfg(feature = "deflate")]
    inflating: Option<Inflating>,
}

impl Inbound {
    /// The receiving half of a new connection. `read_ahead` holds what was read behind the opening handshake.
    #[inline]
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "nothing else is agreed on"))]
    pub(crate) fn new(role: Role, config: &Config, agreed: Agreed, read_ahead: &[u8], now: Instant) -> Self {
        let mut inbound = Self {
            receiving: ReceiveHalf::new(role, config, now),
            input: ReadBuffer::new(read_ahead),
            assembly: None,
            parts_taken: false,
            answered: false,
            stopped: false,
        };
        inbound.receiving.leave_text();
        #[cfg(feature = "deflate")]
        if let Some(agreed) = agreed.deflate {
            inbound.receiving.use_deflate(agreed);
            inbound.assembly.get_or_insert_default().assembler.use_deflate(role, config, agreed);
        }
        inbound
    }

    /// The next message, if it was read whole, in one frame, and nothing comes before it: what most calls
    /// come to. All else is for [`advance`](Self::advance).
    #[inline]
    pub(crate) fn whole_message(&mut self, now: Instant) -> Option<Result<Message, ProtocolError>> {
        if self.parts_taken || self.stopped {
            return None;
        }
        let (kind, payload) = self.receiving.receive_whole(self.input.unread_mut(), now)?;
        Some(Message::new(kind, self.input.take(payload)).map_err(Into::into))
    }

    /// Where to append what is read next.
    #[cfg(feature = "tokio")]
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let missing = self.missing();
        self.input.room(missing, text(&mut self.assembly))
    }

    /// Reads once from a blocking stream.
    #[cfg(feature = "blocking")]
    pub(crate) fn fill(&mut self, io: &mut impl io::Read) -> io::Result<usize> {
        let missing = self.missing();
        self.input.fill(io, missing, text(&mut self.assembly))
    }

    /// Gives back what memory it can, since nothing arrives for now.
    #[cfg(feature = "tokio")]
    pub(crate) fn release(&mut self) {
        self.input.release(text(&mut self.assembly));
    }

    /// How many more bytes to make room for, so that the frame in progress can be handed out whole.
    fn missing(&self) -> u64 {
        if self.parts_taken { 0 } else { self.receiving.missing() }
    }

    /// Looks at what was read until there is something to hand out. Pongs and Close frames that are
    /// due are in the outbound queue then.
    pub(crate) fn advance(&mut self, want: Want, now: Instant, link: &mut impl Link) -> Step {
        // Before each wait: all that was read has been handed out, and was no part of a message.
        if self.input.is_empty() && self.assembly.is_none() {
            return Step::NeedInput;
        }
        loop {
            let step = self.try_advance(want, now, link).unwrap_or_else(|error| self.fail(error, now, link));
            if !self.stopped || matches!(step, Step::NeedInput | Step::End(_)) {
                return step;
            }
        }
    }

    /// Starts the closing handshake for the application, because its server stops. False if it was started
    /// before, or nothing can be sent any more.
    pub(crate) fn stop(&mut self, now: Instant, outbound: &mut Outbound) -> bool {
        if outbound.sending.state() != SendState::Open {
            return false;
        }
        self.stopped = true;
        outbound.queue(|outbound| outbound.close(Some(STOPPING), now)).is_ok()
    }

    /// An error was found in what was received.
    #[cold]
    pub(crate) fn fail(&mut self, error: ProtocolError, now: Instant, link: &mut impl Link) -> Step {
        self.receiving.fail();
        link.outbound(|outbound| outbound.fail(error, now));
        Step::End(Some(error))
    }

    fn try_advance(&mut self, want: Want, now: Instant, link: &mut impl Link) -> Result<Step, ProtocolError> {
        if want != Want::Parts
            && let Some(message) = self.whole_message(now)
        {
            return Ok(Step::Message(message?));
        }
        if want == Want::Parts
            && let Some(assembly) = &mut self.assembly
            && let Some(kind) = assembly.kind.take()
        {
            // Fragments that were joined before the caller asked for parts.
            let (joined, utf8) = assembly.assembler.take_unfinished();
            self.receiving.resume_text(utf8);
            return Ok(Step::Part(self.part(kind, joined, false)));
        }
        loop {
            if let Some(part) = self.next_inflated()? {
                if want == Want::Parts {
                    return Ok(Step::Part(part));
                }
                continue;
            }
            if self.input.is_empty() {
                return Ok(Step::NeedInput);
            }
            // A message of which parts were handed out is not assembled: what is left of it is skipped.
            let in_parts = want == Want::Parts || self.parts_taken;
            let input = self.input.unread_mut();
            let received = if in_parts {
                self.receiving.receive_part(input, now)?
            } else {
                self.receiving.receive(input, now)?
            };
            let Some(received) = received else {
                return Ok(Step::NeedInput);
            };
            match received.event(self.input.unread()) {
                Some(Event::Data(fragment)) => {
                    let Fragment { kind, compressed, last, .. } = fragment;
                    let payload = self.input.take_mut(received.payload());
                    if in_parts && compressed {
                        self.inflate_in_parts(kind, payload.freeze(), last);
                    } else if in_parts {
                        let part = self.part(kind, payload.freeze(), last);
                        if want == Want::Parts {
                            return Ok(Step::Part(part));
                        }
                    } else {
                        let assembly = self.assembly.get_or_insert_default();
                        let message = assembly.assembler.push_shared(kind, compressed, last, payload)?;
                        assembly.kind = message.is_none().then_some(kind);
                        if let Some(message) = message {
                            if !compressed {
                                self.input.remember(message.len());
                            }
                            return Ok(Step::Message(message));
                        }
                    }
                }
                Some(event @ Event::Ping(_)) => {
                    link.outbound(|outbound| outbound.answer(&event, now));
                    self.answered = true;
                    let payload = self.input.take(received.payload());
                    if want == Want::MessagesAndPings {
                        return Ok(Step::Ping(payload));
                    }
                }
                Some(Event::Pong(_)) => {
                    let payload = self.input.take(received.payload());
                    if want == Want::MessagesAndPings {
                        return Ok(Step::Pong(payload));
                    }
                }
                Some(event @ Event::Close(_)) => {
                    link.outbound(|outbound| outbound.answer(&event, now));
                    self.input.clear();
                    return Ok(Step::End(None));
                }
                None => self.input.clear(),
            }
        }
    }

    /// The transport ended.
    pub(crate) fn end(&mut self, outbound: &Outbound) -> Closed {
        self.input.clear();
        self.assembly = None;
        let mut closed = self.receiving.receive_eof(&outbound.sending);
        closed.clean &= !outbound.lost;
        closed
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbound: &mut Outbound) -> Result<(), TimedOut> {
        // A peer that takes nothing is not waited for, though it may have something to say.
        if outbound.timed_out {
            return Err(TimedOut::Write);
        }
        outbound.sending.handle_timeout(now)?;
        if self.receiving.poll_timeout().is_none_or(|due| now < due) {
            // A connection that waits is not to be given a buffer.
            return Ok(());
        }
        let out = outbound.queue.buffer();
        self.receiving.handle_timeout(now, &mut outbound.sending, out)
    }

    fn part(&mut self, kind: MessageKind, payload: Bytes, last: bool) -> Part {
        let first = !self.parts_taken;
        self.parts_taken = !last;
        Part { kind, first, last, payload }
    }
}

#[cfg(feature = "deflate")]
impl Inbound {
    fn inflate_in_parts(&mut self, kind: MessageKind, payload: Bytes, last: bool) {
        self.assembly.get_or_insert_default().inflating = Some(Inflating { kind, payload, last });
    }

    /// The next part of the fragment that is being inflated, if one is: a small payload can inflate to
    /// more than is to be held at once.
    fn next_inflated(&mut self) -> Result<Option<Part>, ProtocolError> {
        let Some(Assembly { assembler, inflating, .. }) = self.assembly.as_deref_mut() else {
            return Ok(None);
        };
        let Some(Inflating { kind, mut payload, last }) = inflating.take() else {
            return Ok(None);
        };
        let (bytes, done) = assembler.inflate_part(kind, &mut payload, last, MAX_PART)?;
        if !done {
            *inflating = Some(Inflating { kind, payload, last });
        }
        Ok(Some(self.part(kind, bytes, last && done)))
    }
}

#[cfg(not(feature = "deflate"))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the twins of the methods above")]
impl Inbound {
    fn inflate_in_parts(&mut self, _: MessageKind, _: Bytes, _: bool) {}

    fn next_inflated(&mut self) -> Result<Option<Part>, ProtocolError> {
        Ok(None)
    }
}

#[cfg(feature = "deflate")]
struct Inflating {
    kind: MessageKind,
    payload: Bytes,
    last: bool,
}

#[cfg(feature = "deflate")]
impl core::fmt::Debug for Inflating {
    /// Keeps messages out of logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflating").field("len", &self.payload.len()).finish_non_exhaustive()
    }
}

/// The text that has begun and not ended.
fn text(assembly: &mut Option<Box<Assembly>>) -> Option<&mut TextInProgress> {
    assembly.as_mut()?.assembler.text()
}

/// The largest part to inflate at once.
#[cfg(feature = "deflate")]
const MAX_PART: usize = 64 << 10;

/// How a transport that ended too early is reported.
pub(crate) fn unexpected_eof() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer ended it without a closing handshake")
}

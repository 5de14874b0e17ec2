//! Messages into bytes to be written: the sending half of a connection, with its queue.

use std::io;
use std::time::Instant;

use bytes::Bytes;

use super::aside::SetAside;
use super::compressing::{Compressed, Compressing};
use super::error::Error;
use super::negotiated::Negotiated;
use super::queued::Queued;
use super::write_queue::WriteQueue;
use crate::config::Config;
use crate::connection::SendHalf;
use crate::error::{ProtocolError, SendError, TimedOut};
use crate::extension::Deflater;
use crate::frame::{CloseFrame, FrameHeader, MaskingKey};
use crate::message::{Event, Message, MessageKind, PreparedMessage};
use crate::role::Role;
use crate::sender::{SendState, Sender};

/// The sending half with its queue.
#[derive(Debug)]
pub struct Outbound {
    pub(crate) sending: SendHalf<Instant>,
    pub(crate) queue: WriteQueue,
    /// How many bytes another thread has taken off the queue, and is writing; once the connection has ended, how many were
    /// queued then.
    apart: usize,
    /// And how many messages.
    apart_messages: u32,
    writing: Writing,
    /// Something was sent, nobody knows when: that is no reason to look at the clock, for each write.
    pub(super) spoke: bool,
    /// What is to become a frame before anything else is queued: `writing` says that there is something, if it is still
    /// open.
    pub(super) aside: SetAside,
}

/// Whether the transport still takes what is queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writing {
    Open,
    /// The same, and something was set aside: a state of its own, since each message asks for both. (4 instructions.)
    Aside,
    /// The connection has ended, and all that was queued was written.
    Complete,
    /// Some of what was queued could not be written.
    Lost,
    /// It was not taken in time, which a sender that waits for it may still have to be told.
    TimedOut {
        told: bool,
    },
}

impl Outbound {
    /// The sending half of a new connection; see [`Sender::client`] for `random`.
    #[inline]
    pub(crate) fn new(negotiated: &Negotiated, config: &Config, random: fn(&mut [u8]), now: Instant) -> Self {
        let sender = match negotiated.role() {
            Role::Client => Sender::client(config, random),
            Role::Server => Sender::server(config),
        };
        let mut outbound = Self {
            sending: SendHalf::new(sender, now),
            queue: WriteQueue::default(),
            apart: 0,
            apart_messages: 0,
            writing: Writing::Open,
            spoke: false,
            aside: SetAside::default(),
        };
        if let (Some(deflate), Some(agreed)) = (&config.settings.deflate, negotiated.deflate()) {
            outbound.sending.sender().use_deflate(deflate, agreed);
        }
        outbound
    }

    /// Queues something to be sent, unless the connection has ended.
    #[inline]
    pub(crate) fn queue<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, SendError>) -> Result<T, Error> {
        if self.writing != Writing::Open {
            self.before_queueing()?;
        }
        Ok(f(self)?)
    }

    /// Fails if the connection has ended. Compresses at once what was set aside, and queues what was gathered, since
    /// something is to be sent behind it.
    #[cold]
    fn before_queueing(&mut self) -> Result<(), Error> {
        if self.writing != Writing::Aside && self.sending.state() == SendState::Open {
            return Err(Error::ConnectionLost(ended()));
        }
        if let Some(compressing) = self.take_aside() {
            self.send_compressing(compressing)?;
        }
        if let Some((kind, bytes)) = self.aside.take_gathered() {
            self.note_aside();
            // It may be sent, unless the connection is closing, which is told by what is queued behind it.
            let _ = self.send_part(kind, bytes, false);
        }
        Ok(())
    }

    /// Has it compressed before anything else is queued.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_aside(&mut self, compressing: Compressing) {
        self.aside.compress(compressing);
        self.note_aside();
    }

    /// Takes what is to be compressed, to go on with that.
    pub(crate) fn take_aside(&mut self) -> Option<Compressing> {
        let compressing = self.aside.take_compressing();
        self.note_aside();
        compressing
    }

    pub(super) fn note_aside(&mut self) {
        self.writing = match self.writing {
            Writing::Open | Writing::Aside if self.aside.is_empty() => Writing::Open,
            Writing::Open | Writing::Aside => Writing::Aside,
            ended => ended,
        };
    }

    /// The connection has ended: nothing more will be written, but what another thread may be writing.
    pub(crate) fn end(&mut self) {
        let is_complete = self.apart == 0 && self.queue.is_empty();
        self.give_up();
        if self.is_writing() {
            self.writing = if is_complete { Writing::Complete } else { Writing::Lost };
        }
    }

    /// A write failed, by an error or by taking too long: nothing more will be written.
    pub(crate) fn fail_writes(&mut self, timed_out: bool) {
        self.give_up();
        self.writing = if timed_out { Writing::TimedOut { told: true } } else { Writing::Lost };
    }

    /// Fails if a deadline has passed: nothing more will be written then.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), TimedOut> {
        self.sending
            .handle_timeout(now)
            .inspect_err(|timed_out| self.fail_writes(*timed_out == TimedOut::Write))
    }

    /// The receiving half found that a write takes too long: nothing more will be written.
    pub(super) fn write_timed_out(&mut self) {
        self.give_up();
        self.writing = Writing::TimedOut { told: false };
    }

    /// Nothing more will be written: what is queued is counted, and dropped.
    fn give_up(&mut self) {
        if self.is_writing() {
            let Queued { bytes, messages } = self.queued();
            self.note_apart(bytes, messages + usize::from(self.aside.ends_message()));
        }
        self.queue.clear();
    }

    /// Whether the connection has not ended, as far as is known.
    fn is_writing(&self) -> bool {
        matches!(self.writing, Writing::Open | Writing::Aside)
    }

    /// Whether messages can be sent, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        self.is_writing() && self.sending.state() == SendState::Open
    }

    /// What was queued when the connection ended, and was not written.
    pub(crate) fn unwritten(&self) -> Queued {
        if self.is_writing() { Queued::default() } else { self.apart() }
    }

    /// Some of what was queued could not be written.
    pub(super) fn has_lost(&self) -> bool {
        matches!(self.writing, Writing::Lost | Writing::TimedOut { .. })
    }

    /// The transport did not take in time what was queued.
    pub(super) fn has_timed_out(&self) -> bool {
        matches!(self.writing, Writing::TimedOut { .. })
    }

    /// Whether nothing more will be written, and if so, whether all that had to be was.
    #[inline]
    pub(crate) fn ended(&mut self) -> Option<Result<(), Error>> {
        match self.writing {
            Writing::Open | Writing::Aside => None,
            Writing::Complete if self.sending.state() == SendState::CloseSent => Some(Ok(())),
            Writing::TimedOut { told: false } => {
                self.writing = Writing::TimedOut { told: true };
                Some(Err(TimedOut::Write.into()))
            }
            _ => Some(Err(Error::ConnectionLost(ended()))),
        }
    }

    /// Queues something to be sent, unless the connection has ended; false if a sender would have to wait.
    pub(crate) fn try_queue(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<(), SendError>,
    ) -> Result<bool, Error> {
        let has_room = self.has_room();
        if has_room {
            self.queue(f)?;
        }
        Ok(has_room)
    }

    /// Whether a sender would not have to wait.
    pub(super) fn has_room(&self) -> bool {
        // Where nothing may be sent, there is nothing to wait for.
        !self.is_full() || self.sending.state() != SendState::Open
    }

    /// How much is queued.
    pub(crate) fn queued(&self) -> Queued {
        let apart = if self.is_writing() { self.apart() } else { Queued::default() };
        Queued { bytes: apart.bytes + self.queue.len(), messages: apart.messages + self.queue.messages() }
    }

    fn apart(&self) -> Queued {
        Queued { bytes: self.apart, messages: self.apart_messages as usize }
    }

    fn note_apart(&mut self, bytes: usize, messages: usize) {
        self.apart = bytes;
        self.apart_messages = u32::try_from(messages).unwrap_or(u32::MAX);
    }

    /// Whether nothing is queued, and nothing has a deadline.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.writing == Writing::Open && self.queue.is_empty() && !self.sending.has_deadline()
    }

    /// Takes what is queued, for a thread that writes it while more may be queued.
    pub(crate) fn take_queue(&mut self) -> WriteQueue {
        let Queued { bytes, messages } = self.queued();
        self.note_apart(bytes, messages);
        core::mem::take(&mut self.queue)
    }

    /// Gives back what could not be written of it.
    pub(crate) fn put_back(&mut self, mut queue: WriteQueue) {
        (self.apart, self.apart_messages) = (0, 0);
        if !queue.is_empty() {
            queue.append(core::mem::take(&mut self.queue));
            self.queue = queue;
        }
    }

    /// Whether so much is queued that a sender has to wait. What another thread is writing is not written yet.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let apart = if self.is_writing() { self.apart } else { 0 };
        apart + self.queue.held() >= self.sending.write_buffer_size()
    }

    #[inline]
    pub(super) fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.send_payload(message.kind(), message.into_payload())
    }

    #[inline]
    pub(super) fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        let Some(frame) = self.sending.sender().prepared_frame(message)? else {
            return self.send_payload(message.kind(), message.shared_payload());
        };
        if frame.len() < SHARE_FROM {
            self.queue.buffer().extend_from_slice(frame);
        } else {
            self.queue.push_payload(frame.clone());
        }
        Ok(())
    }

    #[inline]
    fn send_payload(&mut self, kind: MessageKind, payload: Bytes) -> Result<(), SendError> {
        let sender = self.sending.sender();
        if sender.compresses(payload.len()) {
            return sender.message(kind, &payload, self.queue.buffer());
        }
        let header = sender.message_header(kind, payload.len())?;
        self.queue_frame(header, payload);
        Ok(())
    }

    /// Sends what was compressed apart; what is still to be compressed of it is, at once.
    pub(crate) fn send_compressing(&mut self, mut compressing: Compressing) -> Result<(), SendError> {
        while !compressing.step() {}
        let (header, compressed) = match compressing.end(self.sending.sender())? {
            Compressed::Own(header, compressed) => (header, compressed),
            Compressed::Shared(message) => return self.send_prepared(&message),
        };
        match compressed {
            Ok(compressed) if compressed.len() < COPY_COMPRESSED_BELOW => {
                header.append_frame(&compressed, self.queue.buffer());
                Deflater::give_back(compressed);
            }
            // What is held is to be no more than what counts.
            Ok(compressed) => self.queue_frame(header, compressed.into_boxed_slice().into()),
            Err(payload) => self.queue_frame(header, payload),
        }
        Ok(())
    }

    pub(super) fn send_part(
        &mut self,
        kind: MessageKind,
        payload: Bytes,
        last: bool,
    ) -> Result<(), SendError> {
        let sender = self.sending.sender();
        if sender.compresses(payload.len()) {
            return sender.fragment(kind, &payload, last, self.queue.buffer());
        }
        let header = sender.fragment_header(kind, &payload, last)?;
        self.queue_frame(header, payload);
        Ok(())
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sending.sender().ping(payload, self.queue.buffer())
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sending.sender().pong(payload, self.queue.buffer())
    }

    /// Starts the closing handshake; nothing if a Close frame was sent already.
    pub(crate) fn close(&mut self, close: Option<CloseFrame<'_>>, now: Instant) -> Result<(), SendError> {
        match self.sending.close(close, now, self.queue.buffer()) {
            Err(SendError::Closing) => Ok(()),
            result => result,
        }
    }

    /// The transport took so many bytes, which are no longer in the queue.
    #[inline]
    pub(crate) fn on_written(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        self.spoke |= bytes > 0;
        self.sending.on_taken(bytes, self.queue.is_empty(), now);
        if self.sending.holds_pong() {
            self.answer_held();
        }
    }

    /// The transport has passed on all that it took, and that was all.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn on_flushed(&mut self, now: impl FnOnce() -> Instant) {
        self.sending.on_taken(0, true, now);
    }

    /// A queue that was drained is given a buffer only if it needs one.
    #[cold]
    fn answer_held(&mut self) {
        self.sending.answer_held(self.queue.buffer());
    }

    pub(super) fn answer(&mut self, event: &Event<'_>, now: Instant) {
        self.sending.answer(event, now, self.queue.buffer());
    }

    pub(super) fn fail(&mut self, error: ProtocolError, now: Instant) {
        self.sending.fail(error, now, self.queue.buffer());
    }

    /// Copies a small payload behind its header; of a large one only the beginning, and queues the rest where it lies.
    #[inline]
    fn queue_frame(&mut self, header: FrameHeader, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            header.append_frame(&payload, self.queue.buffer());
        } else {
            self.queue_large(header, payload);
        }
    }

    fn queue_large(&mut self, header: FrameHeader, payload: Bytes) {
        let mut payload = match header.masking_key {
            None => payload,
            Some(key) => match masked_in_place(key, payload) {
                Ok(masked) => masked,
                // Somebody else holds the bytes: mask a copy.
                Err(payload) => return header.append_frame(&payload, self.queue.buffer()),
            },
        };
        let buffer = self.queue.buffer();
        buffer.extend_from_slice(&header.encode());
        buffer.extend_from_slice(&payload.split_to(WITH_HEADER));
        self.queue.push_payload(payload);
    }
}

/// The way from the receiving to the sending half: a reference, or a lock, taken only when a control
/// frame or an error makes it necessary.
pub(crate) trait SendSide {
    /// The time now, if there is a clock: what was read at `then` may have waited for the program.
    fn now(&self, then: Instant) -> Instant;

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T;
}

impl SendSide for Outbound {
    /// It has no clock.
    fn now(&self, then: Instant) -> Instant {
        then
    }

    fn outbound<T>(&mut self, f: impl FnOnce(&mut Outbound) -> T) -> T {
        f(self)
    }
}

/// Masks without a copy, if nobody else holds the bytes.
fn masked_in_place(key: MaskingKey, payload: Bytes) -> Result<Bytes, Bytes> {
    let mut payload = payload.try_into_mut()?;
    key.apply(&mut payload, 0);
    Ok(payload.freeze())
}

/// A payload this long is written from where it lies, but for its beginning. One that is shorter is copied, so that it goes
/// with its header in one write, and keeps no larger buffer alive that it is a slice of.
const COPY_BELOW: usize = 2 * WITH_HEADER;

/// How much of a long payload is written with its header: so much that another write costs little beside it.
const WITH_HEADER: usize = 16 << 10;

/// A frame that is prepared for many connections is shared by them if it is this long.
const SHARE_FROM: usize = 4 << 10;

/// A compressed payload below this is copied, so that the thread keeps the buffer that it was compressed to.
const COPY_COMPRESSED_BELOW: usize = 64 << 10;

/// A message this long is compressed apart. What is shorter takes less time to compress than others notice.
pub(super) const COMPRESS_APART_FROM: usize = 4096;

/// How a connection that has ended is reported to those who ask later.
fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection has ended")
}

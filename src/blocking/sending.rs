//! What sends, for a whole WebSocket or a sending half. It looks at what has come, too, while nobody receives: see
//! [who reads](super#who-reads).

use alloc::sync::Arc;

use bytes::Bytes;

use super::flusher;
use super::ports::{HalfPort, WholePort};
use super::shared::{Reading, Shared, SplitReader};
use super::transport::Transport;
use super::writing::{Waits, Writer};
use crate::endpoint::outgoing::{PartToSend, compressed};
use crate::endpoint::sendable::ToSend;
use crate::endpoint::sync::{MutexGuard, lock, try_lock};
use crate::endpoint::{Error, Outbound};
use crate::error::SendError;
use crate::message::MessageKind;

/// A way to send.
#[derive(Debug)]
pub(super) struct Sending<'a, S> {
    shared: &'a Arc<Shared<S>>,
    /// A whole WebSocket's; that of halves is shared.
    reading: Option<&'a mut Reading>,
    /// The Close frame is written: if the receiving half is dropped meanwhile, the peer may take no more before somebody
    /// receives. All else is not waited for any more once the peer has closed, and takes nothing.
    closes: bool,
}

impl<'a, S: Transport> Sending<'a, S> {
    /// By a sending half.
    #[inline]
    pub(super) fn half(shared: &'a Arc<Shared<S>>) -> Self {
        Self { shared, reading: None, closes: false }
    }

    /// By a whole WebSocket.
    #[inline]
    pub(super) fn whole(shared: &'a Arc<Shared<S>>, reading: &'a mut Reading) -> Self {
        Self { shared, reading: Some(reading), closes: false }
    }

    /// Queues a message, once there is room for it.
    pub(super) fn feed(&mut self, message: impl ToSend) -> Result<(), Error> {
        self.begin();
        if message.is_large() {
            return compressed(message, &**self.shared, |queue| self.queue_with_room(queue));
        }
        self.queue_with_room(|outbound| message.queue(outbound))
    }

    /// Queues part of a message.
    pub(super) fn feed_part(
        &mut self,
        kind: MessageKind,
        payload: impl Into<Bytes>,
        last: bool,
    ) -> Result<(), Error> {
        self.feed(PartToSend { kind, payload: payload.into(), last })
    }

    /// Queues what was written of a message, or [gathers](Outbound::gather) it.
    pub(super) fn feed_written(&mut self, kind: MessageKind, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() || self.shared.outbound().gather(kind, bytes) {
            return Ok(());
        }
        self.feed_gathered()?;
        if self.shared.outbound().gather(kind, bytes) {
            return Ok(());
        }
        self.feed_part(kind, Bytes::copy_from_slice(bytes), false)
    }

    /// Queues what was gathered, once there is room for it.
    pub(super) fn feed_gathered(&mut self) -> Result<(), Error> {
        let part = PartToSend::gathered(&mut self.shared.outbound());
        part.map_or(Ok(()), |part| self.feed(part))
    }

    /// Queues the last part of a message, with what was gathered of it.
    pub(super) fn feed_last(&mut self, kind: MessageKind) -> Result<(), Error> {
        let part = PartToSend::last(kind, &mut self.shared.outbound());
        self.feed(part)
    }

    /// Queues something, and writes it.
    pub(super) fn write(
        &mut self,
        f: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.begin();
        self.shared.outbound().queue(f)?;
        self.write_queue()
    }

    /// Writes what is queued, after what another thread is writing.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.begin();
        self.write_queue()
    }

    /// The same, but gives up when the receiving half is dropped.
    pub(super) fn flush_close(&mut self) -> Result<(), Error> {
        self.closes = true;
        self.begin();
        self.write_queue()
    }

    fn queue_with_room(
        &mut self,
        f: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.room()?.queue(f)
    }

    /// Waits until there is room in the queue.
    #[inline]
    fn room(&mut self) -> Result<MutexGuard<'a, Outbound>, Error> {
        let outbound = self.shared.outbound();
        if !outbound.is_full() {
            return Ok(outbound);
        }
        drop(outbound);
        self.write_queue()?;
        Ok(self.shared.outbound())
    }

    fn write_queue(&mut self) -> Result<(), Error> {
        let shared: &'a Shared<S> = self.shared;
        let writer = lock(&shared.writer);
        shared.write(writer, shared.outbound(), self).map(drop)
    }

    /// A call that sends begins. If the one before sent, too, nobody may be receiving.
    #[inline]
    fn begin(&mut self) {
        if self.shared.note_sent() {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        match &mut self.reading {
            // One that cannot be tried would be waited for.
            _ if !self.shared.times_out => {}
            Some(reading) if reading.is_look_due() => reading.look(&mut WholePort::new(self.shared), false),
            Some(_) => {}
            None => look_beside(self.shared),
        }
    }
}

impl<S: Transport + Send + 'static> Sending<'_, S> {
    /// Sends a message; a large one is compressed before, without either lock.
    #[inline]
    pub(super) fn send(&mut self, unread: bool, message: impl ToSend) -> Result<(), Error> {
        self.begin();
        if message.is_large() {
            return compressed(message, &**self.shared, |queue| self.send_queued(unread, queue));
        }
        self.send_queued(unread, |outbound| message.queue(outbound))
    }

    /// Queues a message, and writes it; or leaves that to a later write, if some of what was read is
    /// `unread`.
    #[inline]
    fn send_queued(
        &mut self,
        unread: bool,
        message: impl FnOnce(&mut Outbound) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut outbound = self.room()?;
        let shared = self.shared;
        outbound.queue(message)?;
        if unread && shared.times_out {
            let watched = shared.unwritten.set_any();
            drop(outbound);
            if watched || flusher::watch(shared) { Ok(()) } else { self.write_queue() }
        } else if let Some(writer) = try_lock(&shared.writer) {
            shared.write(writer, outbound, self).map(drop)
        } else {
            drop(outbound);
            self.write_queue()
        }
    }
}

impl<'a, S: Transport> Waits<'a, S> for Sending<'a, S> {
    fn gives_up(&self) -> bool {
        self.closes && self.shared.is_orphaned()
    }

    fn look(&mut self, writer: MutexGuard<'a, Writer<S>>) -> MutexGuard<'a, Writer<S>> {
        match &mut self.reading {
            _ if !self.shared.times_out => writer,
            Some(reading) if reading.is_look_due() => {
                let mut port = WholePort::within_write(self.shared, writer);
                reading.look(&mut port, false);
                port.into_writer()
            }
            Some(_) => writer,
            None => {
                look_beside(self.shared);
                writer
            }
        }
    }

    fn is_over(&self, outbound: &Outbound) -> bool {
        !self.closes && outbound.sending.is_refused()
    }
}

/// Looks in the place of a receiving half, unless that receives. What it needs of the writer it only tries to get.
fn look_beside<S: Transport>(shared: &Shared<S>) {
    let Some(mut reader) = shared.reader().and_then(try_lock) else {
        return;
    };
    let orphaned = shared.is_orphaned();
    if let SplitReader { reading: Some(reading), io } = &mut *reader
        && reading.is_look_due()
    {
        reading.look(&mut HalfPort { io, shared }, orphaned);
        // What is sent meanwhile is not to wait for that half.
        shared.set_unread(false);
        shared.closed.note(reading.inbound.closed());
    }
    drop(reader);
    if !orphaned && shared.is_orphaned_by_now() {
        // Dropping that half only tried the lock.
        shared.close_orphaned();
    }
}

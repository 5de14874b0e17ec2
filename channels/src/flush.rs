//! What connections are still sent that are being closed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sansocket::PreparedMessage;

use crate::conn_id::ConnId;
use crate::frame::{Frame, Memory};
use crate::sync::{Mutex, lock};

/// What connections are still sent that are being closed: it is in no queue any more, and the first to go when memory is short.
#[derive(Default)]
pub(crate) struct Flushes(Mutex<BTreeMap<ConnId, Arc<Frames>>>);

/// What one of them is still sent. Dropped, it is over.
pub(crate) struct Flush<'a> {
    all: &'a Flushes,
    id: ConnId,
    frames: Arc<Frames>,
}

type Frames = Mutex<VecDeque<Arc<Frame>>>;

impl Flushes {
    pub(crate) fn begin(&self, id: ConnId, frames: VecDeque<Arc<Frame>>) -> Flush<'_> {
        let frames = Arc::new(Mutex::new(frames));
        lock(&self.0).insert(id, frames.clone());
        Flush { all: self, id, frames }
    }

    /// Drops what is sent to the oldest connections, until there is memory again. How many frames that were.
    pub(crate) fn relieve(&self, memory: &Memory) -> usize {
        let mut dropped = 0;
        while !memory.is_relieved() {
            let first = lock(&self.0).pop_first();
            let Some((_, frames)) = first else {
                break;
            };
            dropped += std::mem::take(&mut *lock(&frames)).len();
        }
        dropped
    }
}

impl Flush<'_> {
    /// What is sent next, if anything is.
    pub(crate) fn next(&self) -> Option<PreparedMessage> {
        lock(&self.frames).front().map(|frame| frame.message().clone())
    }

    /// The transport has taken that.
    pub(crate) fn sent(&self) {
        let sent = lock(&self.frames).pop_front();
        sent.into_iter().for_each(Frame::handed_over);
    }

    /// How many frames have not been sent.
    pub(crate) fn len(&self) -> usize {
        lock(&self.frames).len()
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        lock(&self.all.0).remove(&self.id);
    }
}

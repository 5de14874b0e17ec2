//! Which clients poll.

use std::collections::HashMap;
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::link::{PollSink, PollSource, halves};
use super::mailbox::Mailbox;
use crate::base64;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::sync::{Mutex, lock};

/// Which clients poll, by the token that each has. The hash is keyed at random: how long it takes to find none tells nothing of those
/// that there are.
pub(crate) struct Table {
    mailboxes: Mutex<HashMap<Box<str>, Arc<Mailbox>>>,
    /// For the bodies that bring messages, in parts of a KiB.
    room: Arc<Semaphore>,
    /// Of `room`, if there is no body.
    parts: usize,
}

impl Table {
    pub(crate) fn new(limits: &Limits) -> Self {
        let parts = limits.posts.div_ceil(PART).min(Semaphore::MAX_PERMITS);
        Self { mailboxes: Mutex::default(), room: Arc::new(Semaphore::new(parts)), parts }
    }

    /// A connection for one more client, and its halves. `None`: there are as many as may be, or the system has no randomness.
    pub(super) fn open(
        hub: &Hub,
        origin: Option<Box<str>>,
    ) -> Option<(Arc<Mailbox>, (PollSink, PollSource))> {
        let limits = &hub.inner().limits;
        let token = draw_token()?;
        // What a body brings waits in the body.
        let (sender, incoming) = mpsc::channel(1);
        let mailbox = Arc::new(Mailbox::new(token.clone(), origin, sender));
        let mut table = lock(&hub.inner().polls.mailboxes);
        if table.len() >= limits.polls {
            return None;
        }
        table.insert(token, mailbox.clone());
        drop(table);
        Some((mailbox.clone(), halves(hub.clone(), mailbox, incoming)))
    }

    pub(super) fn is_full(&self, limit: usize) -> bool {
        lock(&self.mailboxes).len() >= limit
    }

    pub(super) fn find(&self, token: &str) -> Option<Arc<Mailbox>> {
        lock(&self.mailboxes).get(token).cloned()
    }

    pub(super) fn remove(&self, token: &str) {
        lock(&self.mailboxes).remove(token);
    }

    /// Makes what a body has of the room as much as it needs with so many bytes. False: there is not so much. A body that is larger
    /// than all of them may be has all of it.
    pub(super) fn make_room(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        let parts = bytes.div_ceil(PART).min(self.parts);
        let more = parts.saturating_sub(room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(more) = self.room.clone().try_acquire_many_owned(more) else {
            return false;
        };
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        true
    }
}

/// Whether the text looks like a token of ours: others are an application's.
pub(super) fn is_token(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.strip_prefix(PREFIX).is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

/// What nobody guesses: whoever has it takes what is the client's, and speaks for it.
fn draw_token() -> Option<Box<str>> {
    let mut secret = [0; SECRET];
    SysRng.try_fill_bytes(&mut secret).ok()?;
    Some(format!("{PREFIX}{}", base64::encode_for_url(&secret)).into())
}

const PREFIX: &str = "lp.";
/// Bytes of a secret, and their digits.
const SECRET: usize = 32;
const DIGITS: usize = 43;

/// What room is counted in.
const PART: usize = 1 << 10;

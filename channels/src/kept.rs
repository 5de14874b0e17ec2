//! The history of a topic, and what sees to its end.

use std::sync::Arc;
use std::time::Duration;

use sansocket::Message;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::archive::{Archive, Share};
use crate::audience::Audience;
use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::history::{Catchup, History};
use crate::outgoing::To;
use crate::reserved::Since;
use crate::wire::numbered::Draft;

/// The history of a topic, with its share in that of all topics, and what sees to its end.
pub(crate) struct Kept<T> {
    history: History,
    share: Share<T>,
    /// When the topic was entered or left last, or sent to while it had members.
    used: Instant,
    /// Looks at it when the next thing is over.
    timer: Option<Timer>,
}

/// A task. Dropped, it is over.
struct Timer(AbortHandle);

impl<T> Kept<T> {
    pub(crate) fn new(history: History, archive: &Arc<Archive<T>>, topic: &Arc<T>) -> Self {
        Self { history, share: Share::new(archive, topic), used: Instant::now(), timer: None }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// A message has its turn, that has this age: its frame, and its number. The topic lives on for that, unless it is one in passing.
    pub(crate) fn append(
        &mut self,
        draft: Draft,
        audience: &Audience,
        to: &To,
        age: Duration,
        is_passing: bool,
    ) -> (Message, u64) {
        let now = Instant::now();
        let at = now.checked_sub(age).unwrap_or(now);
        if !is_passing {
            self.used = now;
        }
        let appended = self.history.append(draft, audience, to, at, now);
        self.share.weigh(self.history.bytes());
        appended
    }

    /// The newest message is not for these either, who were others before.
    pub(crate) fn leave_out(&mut self, heirs: &[ConnId]) {
        self.history.leave_out(heirs);
    }

    /// What a connection is sent that joins.
    pub(crate) fn catch_up(
        &mut self,
        connection: &Connection,
        since: Option<&Since>,
        latest: usize,
    ) -> Catchup {
        let catchup = self.history.catch_up(connection, since, latest, Instant::now());
        self.share.weigh(self.history.bytes());
        catchup
    }

    /// The topic was entered, or left.
    pub(crate) fn touch(&mut self, is_idle: bool) {
        self.used = Instant::now();
        self.share.file(self.used, is_idle);
    }

    /// The others are before it from now on.
    pub(crate) fn put_last(&mut self, is_idle: bool) {
        self.share.file(Instant::now(), is_idle);
    }

    /// Files it anew if it has been used since. True if so.
    pub(crate) fn is_used_since(&mut self, then: Instant, is_idle: bool) -> bool {
        let is_used = self.used > then;
        if is_used {
            self.share.file(self.used, is_idle);
        }
        is_used
    }

    /// See [`History::lose_at`].
    pub(crate) fn lose_at(&mut self, offset: u64) {
        self.history.lose_at(offset);
    }

    /// Begins another life, of this name or one of its own, after this offset.
    pub(crate) fn begin_epoch(&mut self, epoch: Option<Arc<str>>, offset: u64) {
        self.history.begin_epoch(epoch, offset);
        self.share.weigh(0);
    }

    /// Forgets all messages.
    pub(crate) fn clear(&mut self) {
        self.history.clear();
        self.share.weigh(0);
    }

    /// Whether all topics together keep more than they may.
    pub(crate) fn is_too_much(&self) -> bool {
        self.share.is_too_much()
    }

    /// Forgets what is over. When the next thing is, if there is something: the topic, if it has no members, else its last message.
    pub(crate) fn next_end(&mut self, is_idle: bool) -> Option<Instant> {
        let now = Instant::now();
        self.history.trim(now);
        self.share.weigh(self.history.bytes());
        let last = if is_idle { Some(self.used) } else { self.history.newest() };
        last.map(|last| last + self.history.time()).filter(|end| *end > now)
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.timer.as_ref().is_some_and(|Timer(task)| !task.is_finished())
    }

    /// Has a task look at it, unless one does. False: there is no runtime any more that it could be in.
    pub(crate) fn watch(&mut self, spawn: impl FnOnce() -> AbortHandle) -> bool {
        if !self.is_watched() {
            self.timer = Some(Timer(spawn()));
        }
        self.is_watched()
    }

    /// The task has nothing to look at any more.
    pub(crate) fn unwatch(&mut self) {
        self.timer = None;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

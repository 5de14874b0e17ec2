//! How much the histories of all topics are, and which of them goes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use crate::sync::{Mutex, lock};

/// How much the histories of all topics are, and which of them goes first: of those without members that keep something, the one
/// that was used last the longest ago, and then the same of the others. `T` is a topic.
///
/// It is locked after whatever else is.
pub(crate) struct Archive<T> {
    max: usize,
    bytes: AtomicUsize,
    files: Mutex<Files<T>>,
}

struct Files<T> {
    /// Of all topics without members.
    idle: Shelf<T>,
    /// Of those that keep something.
    idle_full: Shelf<T>,
    /// Of the topics with members that keep something.
    busy_full: Shelf<T>,
    /// The number of the next key.
    next: u64,
}

type Shelf<T> = BTreeMap<Key, Weak<T>>;

/// When a topic was used, at least, and a number that no other has.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    at: Instant,
    number: u64,
}

/// A topic's share of an archive. Dropped, it has none.
pub(crate) struct Share<T> {
    archive: Arc<Archive<T>>,
    topic: Weak<T>,
    bytes: usize,
    /// Where it is filed, and whether as one that has no members. It may have been taken out.
    filed: Option<(Key, bool)>,
}

impl<T> Archive<T> {
    pub(crate) fn new(max: usize) -> Self {
        let (idle, idle_full, busy_full) = (Shelf::new(), Shelf::new(), Shelf::new());
        let files = Files { idle, idle_full, busy_full, next: 0 };
        Self { max, bytes: AtomicUsize::new(0), files: files.into() }
    }

    /// Whether there is more than there may be.
    pub(crate) fn is_over_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.max
    }

    pub(crate) fn has_idle(&self) -> bool {
        !lock(&self.files).idle.is_empty()
    }

    /// Takes out which goes first, and tells when it was used, at least.
    pub(crate) fn take_first(&self) -> Option<(Instant, Arc<T>)> {
        self.take(|files| files.idle_full.pop_first().or_else(|| files.busy_full.pop_first()))
    }

    /// The same of those without members alone, whether they keep something or not.
    pub(crate) fn take_idle(&self) -> Option<(Instant, Arc<T>)> {
        self.take(|files| files.idle.pop_first())
    }

    fn take(&self, pop: impl Fn(&mut Files<T>) -> Option<(Key, Weak<T>)>) -> Option<(Instant, Arc<T>)> {
        loop {
            let (Key { at, .. }, topic) = pop(&mut lock(&self.files))?;
            // It may be over just now.
            if let Some(topic) = topic.upgrade() {
                return Some((at, topic));
            }
        }
    }
}

impl<T> Files<T> {
    fn full(&mut self, is_idle: bool) -> &mut Shelf<T> {
        if is_idle { &mut self.idle_full } else { &mut self.busy_full }
    }

    fn take_out(&mut self, (key, is_idle): (Key, bool)) {
        self.full(is_idle).remove(&key);
        if is_idle {
            self.idle.remove(&key);
        }
    }
}

impl<T> Share<T> {
    pub(crate) fn new(archive: &Arc<Archive<T>>, topic: &Arc<T>) -> Self {
        Self { archive: archive.clone(), topic: Arc::downgrade(topic), bytes: 0, filed: None }
    }

    /// How many bytes it has.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            self.archive.bytes.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.archive.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
        }
        if (before == 0) != (bytes == 0)
            && let Some((key, is_idle)) = self.filed
        {
            let mut files = lock(&self.archive.files);
            if bytes == 0 {
                files.full(is_idle).remove(&key);
            } else {
                files.full(is_idle).insert(key, self.topic.clone());
            }
        }
    }

    /// Whether all have more than they may.
    pub(crate) fn is_too_much(&self) -> bool {
        self.archive.is_over_full()
    }

    /// When it was used last, and whether it has no members now.
    pub(crate) fn file(&mut self, at: Instant, is_idle: bool) {
        let mut files = lock(&self.archive.files);
        if let Some(filed) = self.filed {
            files.take_out(filed);
        }
        let key = Key { at, number: files.next };
        files.next += 1;
        if is_idle {
            files.idle.insert(key, self.topic.clone());
        }
        if self.bytes > 0 {
            files.full(is_idle).insert(key, self.topic.clone());
        }
        self.filed = Some((key, is_idle));
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        if let Some(filed) = self.filed.take() {
            lock(&self.archive.files).take_out(filed);
        }
        self.weigh(0);
    }
}

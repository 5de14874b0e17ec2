//! How much the histories of all topics are, and which of them goes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::time::Instant;

use crate::sync::lock;

/// How much the histories of all topics are, and which of them goes first: of those without members, the one that was used last
/// the longest ago, and then the same of the others. `T` is a topic.
///
/// It is locked after whatever else is.
pub(crate) struct Archive<T> {
    max: usize,
    bytes: AtomicUsize,
    files: Mutex<Files<T>>,
}

struct Files<T> {
    /// Of topics without members.
    idle: BTreeMap<Key, Weak<T>>,
    busy: BTreeMap<Key, Weak<T>>,
    /// The number of the next key.
    next: u64,
}

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
        let files = Files { idle: BTreeMap::new(), busy: BTreeMap::new(), next: 0 };
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
        self.take(|files| files.idle.pop_first().or_else(|| files.busy.pop_first()))
    }

    /// The same of those without members alone.
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

impl<T> Share<T> {
    pub(crate) fn new(archive: &Arc<Archive<T>>, topic: &Arc<T>) -> Self {
        Self { archive: archive.clone(), topic: Arc::downgrade(topic), bytes: 0, filed: None }
    }

    /// How many bytes it has.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.archive.bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.archive.bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// Whether all have more than they may.
    pub(crate) fn is_too_much(&self) -> bool {
        self.archive.is_over_full()
    }

    /// When it was used last, and whether it has no members now.
    pub(crate) fn file(&mut self, at: Instant, is_idle: bool) {
        let mut files = lock(&self.archive.files);
        self.take_out(&mut files);
        let key = Key { at, number: files.next };
        files.next += 1;
        let shelf = if is_idle { &mut files.idle } else { &mut files.busy };
        shelf.insert(key, self.topic.clone());
        drop(files);
        self.filed = Some((key, is_idle));
    }

    fn take_out(&self, files: &mut Files<T>) {
        if let Some((key, is_idle)) = &self.filed {
            let shelf = if *is_idle { &mut files.idle } else { &mut files.busy };
            shelf.remove(key);
        }
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        self.weigh(0);
        self.take_out(&mut lock(&self.archive.files));
    }
}

//! Who is present on a topic, and what of that its members have been told.

mod nodes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sansocket::PreparedMessage;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::nodes::Nodes;
use crate::conn_id::ConnId;
use crate::entries::{Entries, Reference, length, meta};
use crate::frame::Frame;
use crate::limits::Limits;

pub(crate) use self::nodes::Op;

/// Who is present on a topic: an entry for each session that is tracked, and for some time for each that was lost. What
/// changes is gathered, and told to all members at once:
///
/// ```text
/// track, leave ---> entries ---> pending ---take---> diff ---apply---> announced
///                                       (some time)     (encoded, sent)    (the state of who joins)
/// ```
///
/// Each member knows what is announced, no more and no less: who joins gets it as his state, and the next diff with the
/// others. So each entry is announced once to each member, and taken back once.
///
/// An entry belongs to the node of its reference, which alone changes it, and tells the others.
pub(crate) struct Presence {
    /// What is, whether members know of it or not.
    entries: BTreeMap<Reference, Entry>,
    /// How large all of that is in a state.
    bytes: usize,
    /// Which entry is of which member.
    sessions: HashMap<ConnId, Reference>,
    /// The entries whose sessions were lost, by their key, and until when they stay.
    lost: BTreeMap<(Arc<str>, Reference), Instant>,
    /// The same by time.
    expiries: BTreeSet<(Instant, Reference)>,
    /// What members have not been told, by its number.
    pending: BTreeMap<u64, Change>,
    /// The number of the next change.
    next_change: u64,
    /// When the first of what is pending came.
    pending_since: Option<Instant>,
    announced: Announced,
    /// How many were to be tracked, and there was no room.
    untracked: u64,
    room: Room,
    /// When the task that announces looks next; `None`: there is none.
    wakes: Option<Instant>,
    /// Told when it has to look sooner.
    sooner: Arc<Notify>,
    /// What other nodes are to be told. `None`: there are none.
    nodes: Option<Box<Nodes>>,
}

struct Entry {
    key: Arc<str>,
    /// With its reference, and the one that it replaces.
    json: Arc<str>,
    /// How many bytes these have there.
    head: usize,
    /// What it takes in a state, at most.
    len: usize,
    previous: Option<Reference>,
    /// Members are told of it by this change. `None`: they have been.
    change: Option<u64>,
}

/// What members have not been told. One of both is there; both are an update.
struct Change {
    join: Option<Reference>,
    /// What they are to forget: its name, and what it was.
    leave: Option<(Arc<str>, Reference, Arc<str>)>,
}

/// What all members know.
#[derive(Clone, Default)]
pub(crate) struct Announced {
    /// Another one with each diff.
    generation: u64,
    entries: Arc<Entries>,
    /// What says so, if somebody has joined since.
    state: Option<PreparedMessage>,
    /// The frame of it, while it waits to be sent to one who has joined.
    waiting: Weak<Frame>,
}

/// What members are about to be told.
pub(crate) struct Diff {
    /// Of what they know before.
    generation: u64,
    joins: Entries,
    leaves: Entries,
}

/// How much there may be.
struct Room {
    entries: usize,
    /// Of the state: who joins has to have room for it in his queue.
    bytes: usize,
    /// In the JSON of one entry.
    meta: usize,
    /// Of what is told at once: each member has to have room for it beside what waits.
    diff: usize,
}

impl Presence {
    /// If there are several nodes, as this one, with a reference that no entry has.
    pub(crate) fn new(limits: &Limits, node: Option<Reference>) -> Self {
        let room = Room {
            entries: limits.presence_entries,
            bytes: limits.queue.bytes / STATE,
            meta: limits.presence_meta,
            diff: limits.queue.bytes / DIFF,
        };
        Self {
            entries: BTreeMap::new(),
            bytes: 0,
            sessions: HashMap::new(),
            lost: BTreeMap::new(),
            expiries: BTreeSet::new(),
            pending: BTreeMap::new(),
            next_change: 0,
            pending_since: None,
            announced: Announced::default(),
            untracked: 0,
            room,
            wakes: None,
            sooner: Arc::default(),
            nodes: node.map(|own| Nodes::new(own).into()),
        }
    }

    /// A member is present, with these fields, an object in JSON. It takes the place of what it was before, or of what its user
    /// was whose session was lost: that is an update. False: there is no room; all stays as it is, and that is counted.
    pub(crate) fn track(
        &mut self,
        conn: ConnId,
        key: Arc<str>,
        fields: &str,
        reference: Reference,
        now: Instant,
    ) -> bool {
        if fields.len() > self.room.meta {
            self.untracked += 1;
            return false;
        }
        let own = self.sessions.get(&conn).copied();
        let old = own.or_else(|| self.lost_of(&key));
        if !self.put(old, key.clone(), fields, reference, now) {
            return false;
        }
        self.sessions.insert(conn, reference);
        self.tell(|| Op::Join { reference, replaces: old, key, fields: fields.into() });
        true
    }

    /// There is an entry, in the place of an older one, if it has one. False: there is no room.
    fn put(
        &mut self,
        old: Option<Reference>,
        key: Arc<str>,
        fields: &str,
        reference: Reference,
        now: Instant,
    ) -> bool {
        let old_entry = old.and_then(|old| self.entries.get(&old));
        let previous = match old_entry {
            // Members have not heard of it.
            Some(Entry { change: Some(_), previous, .. }) => *previous,
            _ => old,
        };
        let len = length(&key, fields);
        let (rest, rest_bytes) = match old_entry {
            Some(old) => (self.entries.len() - 1, self.bytes - old.len),
            None => (self.entries.len(), self.bytes),
        };
        if rest >= self.room.entries || rest_bytes.saturating_add(len) > self.room.bytes {
            self.untracked += 1;
            return false;
        }
        let change = match old.and_then(|old| Some((old, self.forget(old)?))) {
            Some((_, Entry { change: Some(change), .. })) => change,
            Some((old, Entry { key, json, .. })) => self.change(Some((key, old, json)), now),
            None => self.change(None, now),
        };
        if let Some(change) = self.pending.get_mut(&change) {
            change.join = Some(reference);
        }
        self.bytes += len;
        let (json, head) = meta(reference, previous, fields);
        let entry = Entry { key, json: json.into(), head, len, previous, change: Some(change) };
        self.entries.insert(reference, entry);
        true
    }

    /// A member is present no more: at once, or unless it is back soon.
    pub(crate) fn leave(&mut self, conn: ConnId, lingers: bool, now: Instant) {
        let Some(reference) = self.sessions.remove(&conn) else {
            return;
        };
        match self.entries.get(&reference) {
            Some(entry) if lingers => {
                let until = now + LINGER;
                self.lost.insert((entry.key.clone(), reference), until);
                self.expiries.insert((until, reference));
            }
            _ => self.end(reference, now),
        }
    }

    /// Whether something is kept for who was lost.
    pub(crate) fn lingers(&self) -> bool {
        !self.expiries.is_empty()
    }

    /// Nobody looks any more at what is due: what lingers is over.
    pub(crate) fn abandon(&mut self, now: Instant) {
        self.wakes = None;
        while let Some((_, reference)) = self.expiries.first().copied() {
            self.end(reference, now);
        }
    }

    /// Whether there is something to be done later, and nobody who will: then he is to begin. Who waits already is told if
    /// it is to be done sooner.
    pub(crate) fn wants_task(&mut self, members: usize) -> bool {
        match (self.due(members), self.wakes) {
            (Some(due), None) => {
                self.wakes = Some(due);
                true
            }
            (Some(due), Some(wakes)) if due < wakes => {
                self.wakes = Some(due);
                self.sooner.notify_one();
                false
            }
            _ => false,
        }
    }

    /// When there is something to be done. `None`: there is nothing, and whoever waits has ended.
    pub(crate) fn wait(&mut self, members: usize) -> Option<Instant> {
        self.wakes = self.due(members);
        self.wakes
    }

    /// Told when it is sooner.
    pub(crate) fn sooner(&self) -> Arc<Notify> {
        self.sooner.clone()
    }

    /// What members are to be told by now, to be [applied](Self::apply) when they are. It may be less than all that is
    /// pending: then there is more a while later.
    pub(crate) fn take(&mut self, now: Instant, members: usize) -> Option<Diff> {
        while let Some((until, reference)) = self.expiries.first().copied()
            && until <= now
        {
            self.end(reference, now);
        }
        if self.announces_at(members)? > now {
            return None;
        }
        let generation = self.announced.generation;
        let mut diff = Diff { generation, joins: Entries::default(), leaves: Entries::default() };
        let mut bytes = 0;
        while bytes < self.room.diff
            && let Some((_, Change { join, leave })) = self.pending.pop_first()
        {
            if let Some((key, reference, json)) = leave {
                bytes += key.len() + json.len();
                diff.leaves.0.insert((key, reference), json);
            }
            if let Some(join) = join
                && let Some(entry) = self.entries.get_mut(&join)
            {
                entry.change = None;
                bytes += entry.len;
                diff.joins.0.insert((entry.key.clone(), join), entry.json.clone());
            }
        }
        self.pending_since = (!self.pending.is_empty()).then_some(now);
        diff.settle();
        Some(diff)
    }

    /// Members are told this. False: they have [come since](Self::announce_all), and know it.
    pub(crate) fn apply(&mut self, diff: Diff) -> bool {
        if !self.is_at(diff.generation) {
            return false;
        }
        let Announced { generation, entries, state, waiting } = &mut self.announced;
        *generation += 1;
        *state = None;
        *waiting = Weak::new();
        let entries = Arc::make_mut(entries);
        for known in diff.leaves.0.keys() {
            entries.0.remove(known);
        }
        entries.0.extend(diff.joins.0);
        true
    }

    /// There are no members, to whom what is pending would have been told: who joins next is told all that is, and nothing of who
    /// left before.
    pub(crate) fn announce_all(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.clear();
        self.pending_since = None;
        let entries = self.entries.iter_mut().map(|(reference, entry)| {
            entry.change = None;
            ((entry.key.clone(), *reference), entry.json.clone())
        });
        let entries = Entries(entries.collect()).into();
        let generation = self.announced.generation + 1;
        self.announced = Announced { generation, entries, ..Announced::default() };
    }

    pub(crate) fn announced(&self) -> &Announced {
        &self.announced
    }

    /// Keeps the state for the next who joins.
    pub(crate) fn keep_state(&mut self, generation: u64, state: &Arc<Frame>) {
        if self.is_at(generation) {
            self.announced.state = Some(state.message().clone());
            self.announced.waiting = Arc::downgrade(state);
        }
    }

    /// Whether members know what was announced then.
    pub(crate) fn is_at(&self, generation: u64) -> bool {
        self.announced.generation == generation
    }

    /// What is, in the order in which it came: keys, and their metas in JSON.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.entries.values().map(|entry| (entry.key.clone(), entry.json.clone())).collect()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many were to be tracked, and there was no room.
    pub(crate) fn untracked(&self) -> u64 {
        self.untracked
    }

    /// When there is something to be done.
    fn due(&self, members: usize) -> Option<Instant> {
        let expires = self.expiries.first().map(|(until, _)| *until);
        // Without members there is nobody to be told.
        let announces = if members == 0 { None } else { self.announces_at(members) };
        expires.into_iter().chain(announces).min()
    }

    fn announces_at(&self, members: usize) -> Option<Instant> {
        let window = if members < MANY { WINDOW } else { WINDOW_OF_MANY };
        self.pending_since.map(|since| since + window)
    }

    /// The entry of this key that was lost first.
    fn lost_of(&self, key: &Arc<str>) -> Option<Reference> {
        let from = (key.clone(), Reference { node: 0, number: 0 });
        let ((lost, reference), _) = self.lost.range((Bound::Included(from), Bound::Unbounded)).next()?;
        (lost == key).then_some(*reference)
    }

    /// An entry is no more.
    fn end(&mut self, reference: Reference, now: Instant) {
        if self.nodes.as_ref().is_some_and(|nodes| nodes.owns(reference)) {
            self.tell(|| Op::Leave { reference });
        }
        match self.forget(reference) {
            // Members never hear of it,
            Some(Entry { change: Some(number), .. }) => {
                if let Some(change) = self.pending.get_mut(&number) {
                    change.join = None;
                    if change.leave.is_none() {
                        self.pending.remove(&number);
                    }
                }
                if self.pending.is_empty() {
                    self.pending_since = None;
                }
            }
            // or that it is gone.
            Some(Entry { key, json, .. }) => {
                self.change(Some((key, reference, json)), now);
            }
            None => {}
        }
    }

    fn forget(&mut self, reference: Reference) -> Option<Entry> {
        let entry = self.entries.remove(&reference)?;
        self.bytes -= entry.len;
        if let Some(until) = self.lost.remove(&(entry.key.clone(), reference)) {
            self.expiries.remove(&(until, reference));
        }
        Some(entry)
    }

    /// Members are to be told something. Its number.
    fn change(&mut self, leave: Option<(Arc<str>, Reference, Arc<str>)>, now: Instant) -> u64 {
        let number = self.next_change;
        self.next_change += 1;
        self.pending.insert(number, Change { join: None, leave });
        self.pending_since.get_or_insert(now);
        number
    }
}

impl Announced {
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The frame that says so, if somebody has yet to be sent it.
    pub(crate) fn waiting(&self) -> Option<Arc<Frame>> {
        self.waiting.upgrade()
    }

    /// What says so, if somebody was sent it.
    pub(crate) fn state(&self) -> Option<&PreparedMessage> {
        self.state.as_ref()
    }

    /// The payload of `presence_state`.
    pub(crate) fn json(&self) -> String {
        self.entries.json()
    }
}

impl Diff {
    /// What members know, and is there again, is as if nothing had been: a page that is told of both takes what has come for gone.
    fn settle(&mut self) {
        let Self { joins, leaves, .. } = self;
        leaves.0.retain(|known, _| joins.0.remove(known).is_none());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.joins.0.is_empty() && self.leaves.0.is_empty()
    }

    /// The payload of `presence_diff`. Both keys are there always: the stock client throws without.
    pub(crate) fn json(&self) -> String {
        format!("{{\"joins\":{},\"leaves\":{}}}", self.joins.json(), self.leaves.json())
    }
}

/// How long what has changed is gathered,
const WINDOW: Duration = Duration::from_millis(100);

/// and how long if it goes to many members.
const WINDOW_OF_MANY: Duration = Duration::from_secs(1);
const MANY: usize = 1_000;

/// How long who is lost may take to come back: pages that are loaded anew take less.
const LINGER: Duration = Duration::from_secs(5);

/// Which part of a queue a state may be: what is replayed has to have room, too,
const STATE: usize = 2;

/// and a diff: who is slow for a moment takes several.
const DIFF: usize = 8;

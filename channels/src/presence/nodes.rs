//! What nodes tell each other of who is present on a topic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Entry, Presence};
use crate::entries::{Reference, fields};

/// A change of a node's entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    /// There is an entry, be it in the place of another.
    Join { reference: Reference, replaces: Option<Reference>, key: Arc<str>, fields: Arc<str> },
    /// There is not.
    Leave { reference: Reference },
}

/// How far this node and others are with each other.
#[derive(Default)]
pub(super) struct Nodes {
    /// Which node this is.
    own: u64,
    /// What it has not told, in its order.
    untold: Vec<Op>,
    /// Somebody will tell it.
    is_queued: bool,
    /// Another one each time it has told something, and greater; 0: it has told nothing.
    version: u64,
    /// Less than any of these, and more than those of the topic's lives before.
    base: u64,
    /// By the others: the version of what is known of theirs.
    known: HashMap<u64, u64>,
    /// By those who tell all they have: what they have told so far.
    listed: HashMap<u64, Listed>,
    /// Those for whose entries there was no room: what is known of them is not all.
    short: HashSet<u64>,
}

/// What a node has told so far that tells all it has.
struct Listed {
    version: u64,
    /// How many entries.
    count: u64,
    /// Those of them that are here.
    here: HashSet<Reference>,
    /// For some of it there was no room before, which was counted then.
    is_again: bool,
}

impl Nodes {
    /// Of the node that has this reference, which no entry has.
    pub(super) fn new(own: Reference) -> Self {
        // A version takes no more than two references' time: one comes, and it goes.
        Self { own: own.node, base: own.number << 20, ..Self::default() }
    }

    /// Whether an entry is this node's.
    pub(super) fn owns(&self, reference: Reference) -> bool {
        self.own == reference.node
    }
}

impl Presence {
    /// What other nodes have not been told, if that is something.
    pub(crate) fn take_untold(&mut self) -> Vec<Op> {
        let Some(nodes) = &mut self.nodes else {
            return Vec::new();
        };
        nodes.is_queued = false;
        std::mem::take(&mut nodes.untold)
    }

    /// Whether there is something that other nodes have not been told, and nobody who will: he is to.
    pub(crate) fn wants_teller(&mut self) -> bool {
        let nodes = self.nodes.as_mut().filter(|nodes| !nodes.untold.is_empty());
        nodes.is_some_and(|nodes| !std::mem::replace(&mut nodes.is_queued, true))
    }

    /// There is nobody to be told. Whoever was told before asks for all when he hears that it is at another version; who was not is
    /// told all [later](Self::begin_telling).
    pub(crate) fn skip_untold(&mut self) {
        let skipped = self.nodes.as_mut().map(|nodes| std::mem::take(&mut nodes.untold)).unwrap_or_default();
        if !skipped.is_empty() && self.version() > 0 {
            self.advance();
        }
    }

    /// There is somebody to be told again. If nothing was told before, all that is is to be told.
    pub(crate) fn begin_telling(&mut self) {
        if self.version() == 0 {
            let all = self.state();
            if let Some(nodes) = &mut self.nodes {
                nodes.untold = all;
            }
        }
    }

    /// Others are told once more: the version that they know, and the one that they know then.
    pub(crate) fn advance(&mut self) -> (u64, u64) {
        let nodes = self.nodes.get_or_insert_default();
        let from = nodes.version;
        nodes.version = from.max(nodes.base) + 1;
        (from, nodes.version)
    }

    /// The version of what other nodes have been told.
    pub(crate) fn version(&self) -> u64 {
        self.nodes.as_ref().map_or(0, |nodes| nodes.version)
    }

    /// All entries of this node.
    pub(crate) fn state(&self) -> Vec<Op> {
        let own = self.nodes.as_ref().map_or(0, |nodes| nodes.own);
        let state = self.own(own).map(|(reference, entry)| Op::Join {
            reference: *reference,
            replaces: None,
            key: entry.key.clone(),
            fields: fields(&entry.json, entry.head).into(),
        });
        state.collect()
    }

    /// Another node has changed its entries, from this version to that one; 0 is what it had before it had any. False: something is
    /// not known of what was before.
    pub(crate) fn hear(&mut self, node: u64, from: u64, to: u64, ops: Vec<Op>, now: Instant) -> bool {
        let known = self.nodes.get_or_insert_default().known.entry(node).or_default();
        if to <= *known {
            return true;
        }
        if from != *known && from != 0 {
            return false;
        }
        *known = to;
        if from == 0 {
            self.end_all(node, |_| true, now);
        }
        for op in ops {
            self.follow(node, op, now);
        }
        true
    }

    /// Another node tells all that it has, in several parts, one after the other.
    pub(crate) fn hear_all(
        &mut self,
        node: u64,
        version: u64,
        (before, is_last): (u64, bool),
        entries: Vec<Op>,
        now: Instant,
    ) {
        let nodes = self.nodes.get_or_insert_default();
        let begun = nodes.listed.remove(&node);
        let begun = if before == 0 {
            let is_again = nodes.short.remove(&node);
            if is_again {
                // Until the last part has come, too.
                nodes.known.remove(&node);
            }
            Some(Listed::begin(version, is_again))
        } else {
            begun
        };
        let Some(mut listed) = begun.filter(|listed| (listed.version, listed.count) == (version, before))
        else {
            // Something has not come that was told before. If this is not what is known, it is asked for again.
            return;
        };
        let untracked = self.untracked;
        listed.count += entries.len() as u64;
        for op in entries {
            let reference = op.reference();
            self.follow(node, op, now);
            if self.entries.contains_key(&reference) {
                listed.here.insert(reference);
            }
        }
        if listed.is_again {
            self.untracked = untracked;
        }
        if is_last {
            self.nodes.get_or_insert_default().known.insert(node, version);
            self.end_all(node, |reference| !listed.here.contains(reference), now);
        } else {
            self.nodes.get_or_insert_default().listed.insert(node, listed);
        }
    }

    /// Whether this is what is known of another node.
    pub(crate) fn knows(&self, node: u64, version: u64) -> bool {
        let nodes = self.nodes.as_ref();
        if nodes.is_some_and(|nodes| nodes.short.contains(&node)) && self.has_room() {
            return false;
        }
        let known = nodes.and_then(|nodes| nodes.known.get(&node));
        known.copied().unwrap_or(0) == version || (version == 0 && self.own(node).next().is_none())
    }

    /// Whether there is room for some more entries. A few are not worth that all are told again.
    fn has_room(&self) -> bool {
        let (entries, bytes) = (self.room.entries, self.room.bytes);
        self.entries.len() < entries - entries / 16 && self.bytes < bytes - bytes / 16
    }

    /// Another node is no more, and what it had.
    pub(crate) fn forget_node(&mut self, node: u64, now: Instant) {
        if let Some(nodes) = &mut self.nodes {
            nodes.known.remove(&node);
            nodes.listed.remove(&node);
            nodes.short.remove(&node);
        }
        self.end_all(node, |_| true, now);
    }

    /// Those of a node's entries are no more of which it says true.
    fn end_all(&mut self, node: u64, is_over: impl Fn(&Reference) -> bool, now: Instant) {
        let own = self.own(node).map(|(reference, _)| *reference);
        let over: Vec<_> = own.filter(is_over).collect();
        for reference in over {
            self.end(reference, now);
        }
    }

    /// Does as another node has done.
    fn follow(&mut self, node: u64, op: Op, now: Instant) {
        match op {
            // A node has a say in its own alone.
            op if op.reference().node != node => {}
            Op::Leave { reference } => self.end(reference, now),
            Op::Join { reference, replaces, key, fields } => {
                let old = replaces.filter(|old| old.node == node && self.entries.contains_key(old));
                if self.entries.contains_key(&reference) {
                    // It was in a state that was told before: that has what the node had not told of yet.
                    if let Some(old) = old {
                        self.end(old, now);
                    }
                } else {
                    let is_large = fields.len() > self.room.meta;
                    let is_put = !is_large && self.put(old, key.clone(), &fields, reference, now);
                    self.untracked += u64::from(is_large);
                    if !is_put && let Some(old) = old {
                        self.end(old, now);
                    }
                    if !is_put && !is_large {
                        self.nodes.get_or_insert_default().short.insert(node);
                    }
                }
                // Whoever was lost here is back there.
                while let Some(lost) = self.lost_of(&key) {
                    self.end(lost, now);
                }
            }
        }
    }

    /// The entries of a node.
    fn own(&self, node: u64) -> impl Iterator<Item = (&Reference, &Entry)> {
        self.entries.range(Reference { node, number: 0 }..=Reference { node, number: u64::MAX })
    }

    /// Other nodes are to be told.
    pub(super) fn tell(&mut self, op: impl FnOnce() -> Op) {
        if let Some(nodes) = &mut self.nodes {
            nodes.untold.push(op());
        }
    }
}

impl Listed {
    fn begin(version: u64, is_again: bool) -> Self {
        Self { version, count: 0, here: HashSet::new(), is_again }
    }
}

impl Op {
    fn reference(&self) -> Reference {
        match self {
            Self::Join { reference, .. } | Self::Leave { reference } => *reference,
        }
    }
}

//! What a member of a topic has been sent, held against what was promised.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::traffic::{Kind, Sent};

/// What a member of a topic has been sent, held against what was promised.
#[derive(Default)]
pub struct Account {
    /// It was there before anything was sent.
    is_early: bool,
    streams: BTreeMap<(Kind, usize), Stream>,
    /// How far it is, if the topic has a history: the epoch, and the offset.
    at: Option<(String, u64)>,
    /// What has come last, for whoever looks for a fault.
    recent: VecDeque<String>,
    pub seen: usize,
    pub gaps: usize,
    pub faults: Vec<String>,
}

/// What one node sends in one order.
#[derive(Clone, Copy, Default)]
struct Stream {
    last: u64,
    /// Something was told to be lost since then.
    has_gap: bool,
}

impl Account {
    /// Of a member whom the reply to its join tells where it begins.
    pub fn new(joined: &Value, is_early: bool) -> Self {
        let position = &joined["$pos"];
        let at = position["e"].as_str().map(|epoch| (epoch.to_owned(), position["o"].as_u64().unwrap()));
        Self { is_early, at, ..Self::default() }
    }

    /// How far it is.
    pub fn position(&self) -> Option<(String, u64)> {
        self.at.clone()
    }

    /// The numbers of the nodes of which something has come.
    pub fn nodes(&self) -> BTreeSet<usize> {
        self.streams.keys().map(|(_, node)| *node).collect()
    }

    /// A frame of the topic has come.
    pub fn see(&mut self, frame: &Value) {
        self.recent.push_back(frame.to_string());
        if self.recent.len() > 12 {
            self.recent.pop_front();
        }
        let (event, payload) = (frame[3].as_str().unwrap(), &frame[4]);
        if event == "$gap" {
            return self.see_gap(payload);
        }
        if let (Some(offset), Some((_, at))) = (frame[5].as_u64(), &mut self.at) {
            let before = std::mem::replace(at, offset);
            if offset != before + 1 {
                self.fault(&format!("{offset} follows {before}"));
            }
        }
        if let Some(kind) = Kind::of(event) {
            let node = usize::try_from(payload["node"].as_u64().unwrap()).unwrap();
            self.see_number(kind, node, payload["n"].as_u64().unwrap());
        } else if event.starts_with("phx_") {
            self.fault(&format!("{event} came"));
        }
    }

    fn see_gap(&mut self, payload: &Value) {
        self.gaps += 1;
        self.streams.values_mut().for_each(|stream| stream.has_gap = true);
        // Of those that nothing has come of, too.
        self.is_early = false;
        let Some((epoch, before)) = self.at.take() else {
            return;
        };
        let (Some(of), Some(offset)) = (payload["e"].as_str(), payload["o"].as_u64()) else {
            return self.fault("a gap has no position");
        };
        if epoch == of && offset < before {
            self.fault("a gap goes back");
        }
        self.at = Some((of.to_owned(), offset));
    }

    fn see_number(&mut self, kind: Kind, node: usize, number: u64) {
        self.seen += 1;
        let begun = Stream { last: 0, has_gap: !self.is_early };
        let stream = self.streams.entry((kind, node)).or_insert(begun);
        let before = *stream;
        *stream = Stream { last: number, has_gap: false };
        if number <= before.last {
            self.fault(&format!("{kind:?} {number} of {node} came behind {}", before.last));
        } else if number != before.last + 1 && !before.has_gap && !kind.may_be_skipped() {
            self.fault(&format!("{kind:?} {} to {number} of {node} are missing", before.last));
        }
    }

    fn fault(&mut self, what: &str) {
        self.faults.push(format!("{what}, in {:?}", self.recent));
    }

    /// What has not come of what was sent to a topic, and was not told to be lost.
    pub fn owed(&self, topic: &str, sent: &Sent) -> Vec<String> {
        let owed = sent.to(topic).filter(|(kind, node, number)| {
            let stream = self.streams.get(&(*kind, *node));
            let stream = stream.copied().unwrap_or(Stream { last: 0, has_gap: !self.is_early });
            stream.last != *number && !stream.has_gap && !kind.may_be_lost()
        });
        owed.map(|(kind, node, number)| format!("{kind:?} up to {number} of {node}")).collect()
    }

    /// From now on nothing may be missing: only what was told before is.
    pub fn forgive(&mut self, topic: &str, sent: &Sent) {
        self.is_early = true;
        for (kind, node, number) in sent.to(topic) {
            self.streams.insert((kind, node), Stream { last: number, has_gap: false });
        }
    }
}

//! How many envelopes this node has sent to each topic.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::envelope::Turn;
use crate::sync::{Mutex, lock};

/// The lines of this node: one for each topic that it sends to, of which it numbers what it sends.
///
/// There is room for those that are sent to: of the others, those are forgotten that are not used the longest, half of all at once,
/// and begin a new series then.
pub(super) struct Lines(Mutex<All>);

struct All {
    /// What was used since the last time that half was forgotten.
    young: HashMap<Arc<str>, Arc<Mutex<Line>>>,
    old: HashMap<Arc<str>, Arc<Mutex<Line>>>,
    max: usize,
    /// Of the next line.
    next_series: u64,
    /// When which topic is to be marked, if nothing is sent to it until then.
    marks: BTreeSet<(Instant, Arc<str>)>,
}

/// What a node sends to one topic. It is locked while something is sent, before the topic is: other nodes get it in the order in
/// which this node's members do.
pub(super) struct Line {
    topic: Arc<str>,
    turn: Turn,
    used: Instant,
    /// It will be marked.
    is_to_be_marked: bool,
}

impl Lines {
    pub(super) fn new(topics: usize) -> Self {
        let (young, old, marks) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self(All { young, old, max: topics.div_ceil(2).max(1), next_series: 1, marks }.into())
    }

    /// The line of a topic, from now on.
    pub(super) fn line(&self, topic: &str) -> Arc<Mutex<Line>> {
        let mut all = lock(&self.0);
        if let Some(line) = all.young.get(topic) {
            return line.clone();
        }
        let (topic, line) = all.old.remove_entry(topic).unwrap_or_else(|| all.begin(topic));
        let is_full = all.young.len() >= all.max;
        if is_full {
            all.old = std::mem::take(&mut all.young);
        }
        all.young.insert(topic, line.clone());
        if is_full {
            all.forget_marks();
        }
        line
    }

    /// The same, if there is one.
    pub(super) fn known(&self, topic: &str) -> Option<Arc<Mutex<Line>>> {
        let all = lock(&self.0);
        all.young.get(topic).or_else(|| all.old.get(topic)).cloned()
    }

    /// Has the line's topic marked in a while, if nothing is sent to it any more.
    pub(super) fn mark_later(&self, line: &mut Line) {
        if !std::mem::replace(&mut line.is_to_be_marked, true) {
            lock(&self.0).marks.insert((line.used + QUIET, line.topic.clone()));
        }
    }

    /// Has all topics marked of which a mark, or what it is about, may have been lost with a connection: that this had failed was noticed
    /// then.
    pub(super) fn mark_again(&self, noticed: Instant) {
        let lines: Vec<_> = {
            let all = lock(&self.0);
            all.young.values().chain(all.old.values()).cloned().collect()
        };
        for line in lines {
            let mut line = lock(&line);
            if line.used + UNNOTICED >= noticed {
                self.mark_later(&mut line);
            }
        }
    }

    /// The lines whose topics are to be marked by now, so many at most, but for those to which something has been sent.
    pub(super) fn due(&self, now: Instant, most: usize) -> Vec<Arc<Mutex<Line>>> {
        let mut due = Vec::new();
        while due.len() < most {
            let Some(topic) = lock(&self.0).take_due(now) else {
                break;
            };
            let Some(line) = self.known(&topic) else {
                continue;
            };
            let mut locked = lock(&line);
            locked.is_to_be_marked = false;
            if locked.used + QUIET > now {
                self.mark_later(&mut locked);
            } else {
                drop(locked);
                due.push(line);
            }
        }
        due
    }
}

impl All {
    fn begin(&mut self, topic: &str) -> (Arc<str>, Arc<Mutex<Line>>) {
        let topic = Arc::<str>::from(topic);
        let turn = Turn { series: self.next_series, ..Turn::NONE };
        self.next_series += 1;
        let line = Line { topic: topic.clone(), turn, used: Instant::now(), is_to_be_marked: false };
        (topic, Arc::new(line.into()))
    }

    /// The first that is to be looked at.
    fn take_due(&mut self, now: Instant) -> Option<Arc<str>> {
        let (at, _) = self.marks.first()?;
        if *at > now { None } else { self.marks.pop_first().map(|(_, topic)| topic) }
    }

    /// Forgets to mark what is forgotten: without a connection nothing is marked, for however long that is.
    fn forget_marks(&mut self) {
        let Self { young, old, marks, .. } = self;
        marks.retain(|(_, topic)| young.contains_key(topic) || old.contains_key(topic));
    }
}

impl Line {
    /// Something is sent that is numbered.
    pub(super) fn advance(&mut self) -> Turn {
        let now = Instant::now();
        let quiet = now.duration_since(std::mem::replace(&mut self.used, now));
        self.turn.number += 1;
        Turn { quiet, ..self.turn }
    }

    /// Something is sent that is not numbered here.
    pub(super) fn touch(&mut self) {
        self.used = Instant::now();
    }

    /// The last that was sent.
    pub(super) fn turn(&self) -> Turn {
        Turn { quiet: self.used.elapsed(), ..self.turn }
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }
}

/// How long nothing is sent to a topic until other nodes are told how far it is: what they have missed of the end, they hear of
/// then.
const QUIET: Duration = Duration::from_secs(5);

/// How long it may take until it is noticed that a connection has failed, and as much as passes until it is told how far a topic is.
const UNNOTICED: Duration = Duration::from_secs(30);

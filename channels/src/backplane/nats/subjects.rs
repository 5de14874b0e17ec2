//! What is published where.

use std::sync::Arc;

use super::super::{NodeId, names};

/// What a node's subjects are called.
pub(super) struct Subjects {
    pub(super) prefix: Arc<str>,
    pub(super) node: NodeId,
}

impl Subjects {
    pub(super) fn topic(&self, topic: &str) -> String {
        subject_of(&self.prefix, topic)
    }

    /// What is for all nodes, and what is for this one.
    pub(super) fn control(&self) -> [String; 2] {
        [None, Some(self.node)].map(|to| control_of(&self.prefix, to))
    }

    /// What comes back to this node alone.
    pub(super) fn probe(&self) -> String {
        format!("{}.p.{}", self.prefix, self.node)
    }
}

pub(super) fn subject_of(prefix: &str, topic: &str) -> String {
    [prefix, ".t.", &names::escaped(topic)].concat()
}

pub(super) fn control_of(prefix: &str, to: Option<NodeId>) -> String {
    match to {
        Some(node) => format!("{prefix}.c.{node}"),
        None => format!("{prefix}.c.all"),
    }
}

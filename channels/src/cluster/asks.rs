//! Questions to pages of other nodes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::envelope::Answered;
use crate::ask::{Answer, AskError};
use crate::sync::{Mutex, lock};

/// Questions to pages of other nodes, which wait for their answers.
#[derive(Default)]
pub(super) struct Asks {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    node: u64,
    answer: oneshot::Sender<Answered>,
}

/// A question that waits. Dropped, its answer is ignored.
pub(super) struct Asked<'a> {
    asks: &'a Asks,
    pub(super) number: u64,
    answer: oneshot::Receiver<Answered>,
}

impl Asks {
    pub(super) fn begin(&self, node: u64) -> Asked<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(number, Waiting { node, answer: sender });
        Asked { asks: self, number, answer }
    }

    /// A node has answered.
    pub(super) fn answer(&self, node: u64, number: u64, answer: Answered) {
        let waiting = {
            let mut all = lock(&self.waiting);
            let is_its = all.get(&number).is_some_and(|waiting| waiting.node == node);
            if is_its { all.remove(&number) } else { None }
        };
        if let Some(waiting) = waiting {
            // Whoever asked may have gone.
            waiting.answer.send(answer).ok();
        }
    }

    /// A node is gone, and what it was asked.
    pub(super) fn forget(&self, node: u64) {
        let gone = |all: &mut HashMap<u64, Waiting>| {
            let numbers = all.iter().filter(|(_, waiting)| waiting.node == node).map(|(number, _)| *number);
            numbers
                .collect::<Vec<_>>()
                .into_iter()
                .filter_map(|number| all.remove(&number))
                .collect::<Vec<_>>()
        };
        let gone = gone(&mut lock(&self.waiting));
        drop(gone);
    }
}

impl Asked<'_> {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, AskError> {
        match (&mut self.answer).await {
            Ok(Answered::Ok(response)) => Ok(Answer { is_ok: true, response }),
            Ok(Answered::Refused(response)) => Ok(Answer { is_ok: false, response }),
            Ok(Answered::TimedOut) => Err(AskError::TimedOut),
            Ok(Answered::TooMany) => Err(AskError::TooMany),
            Ok(Answered::Gone) | Err(_) => Err(AskError::Gone),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.asks.waiting).remove(&self.number);
    }
}

impl Answered {
    /// What has come of a question here, to be told there.
    pub(super) fn of(answered: Result<Answer, AskError>) -> Self {
        match answered {
            Ok(Answer { is_ok: true, response }) => Self::Ok(response),
            Ok(Answer { is_ok: false, response }) => Self::Refused(response),
            Err(AskError::TimedOut) => Self::TimedOut,
            Err(AskError::TooMany) => Self::TooMany,
            // The others are those of who asks.
            Err(_) => Self::Gone,
        }
    }
}

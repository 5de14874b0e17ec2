//! Notices programs that do not receive, without a cost for each message of those that do.
//!
//! What a program does between two calls of `recv` takes a moment, or an hour. So a connection that was handed something
//! is watched: a task that all connections of a runtime's thread have in common looks at it a few times a second, as long
//! as it is busy. One that waits in `recv` has no need to be watched any more; one that has not received since the last
//! look is given a task of its own, its [caretaker](super::caretaker).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::timer::now;
use crate::endpoint::sync::{Mutex, lock};

/// A connection, as far as the task knows it.
pub(super) trait Watched: Send + Sync {
    /// Looks whether its program receives. False when it is to be watched no more.
    fn look(self: Arc<Self>) -> bool;
}

/// Has a connection looked at. False if there is no runtime for it.
pub(super) fn watch(connection: Weak<dyn Watched>) -> bool {
    let Ok(runtime) = Handle::try_current() else {
        return false;
    };
    // A thread that ends has nothing to watch.
    WATCH
        .try_with(|watch| {
            let mut register = lock(watch);
            if register.added.capacity() == 0 {
                // Small beside a runtime, and most need no more.
                register.added.reserve(AT_ONCE);
            }
            register.added.push(connection);
            // A runtime that nobody drives any more does not look.
            let looks = |looked| now().saturating_duration_since(looked) < 4 * LOOK_AFTER;
            if !register.looked.is_some_and(looks) {
                register.looked = Some(now());
                register.turn += 1;
                let lookout = Lookout { register: watch.clone(), turn: register.turn };
                drop(register);
                runtime.spawn(lookout.run());
            }
        })
        .is_ok()
}

/// What the task is told.
#[derive(Default)]
struct Register {
    /// What was given to watch, and the task has not taken over.
    added: Vec<Weak<dyn Watched>>,
    /// When the task looked last; `None` when there is none.
    looked: Option<Instant>,
    /// How many tasks there were: the latest is the one.
    turn: u64,
}

std::thread_local! {
    static WATCH: Arc<Mutex<Register>> = Arc::default();
}

/// The task.
struct Lookout {
    register: Arc<Mutex<Register>>,
    turn: u64,
}

impl Lookout {
    async fn run(self) {
        let mut watched = Vec::new();
        while self.take_over(&mut watched) {
            tokio::time::sleep(LOOK_AFTER).await;
            let mut at = 0;
            for looks in 1.. {
                let Some(connection) = watched.get(at) else { break };
                if connection.upgrade().is_some_and(Watched::look) {
                    at += 1;
                } else {
                    watched.swap_remove(at);
                }
                if looks % AT_ONCE == 0 {
                    // Others are not to wait for all of them.
                    yield_now().await;
                }
            }
        }
    }

    /// Takes over what was given to watch. False when there is nothing, and the task is to end.
    fn take_over(&self, watched: &mut Vec<Weak<dyn Watched>>) -> bool {
        let mut register = lock(&self.register);
        if watched.is_empty() {
            core::mem::swap(watched, &mut register.added);
        } else {
            watched.append(&mut register.added);
        }
        let goes_on = !watched.is_empty();
        if register.turn == self.turn {
            register.looked = goes_on.then(now);
        }
        goes_on
    }
}

impl Drop for Lookout {
    /// The runtime may have ended before.
    fn drop(&mut self) {
        let mut register = lock(&self.register);
        if register.turn == self.turn {
            register.looked = None;
        }
    }
}

/// How often the task looks.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// How many connections it looks at before others have their turn.
const AT_ONCE: usize = 256;

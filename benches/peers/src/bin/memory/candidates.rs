//! What is compared, and how to run it.

use std::future::Future;
use std::task::{Context, Poll};

/// Does something a number of times.
pub type Work = Box<dyn FnMut(u64)>;

/// A row of a table.
pub struct Candidate {
    pub name: &'static str,
    pub what: What,
    pub work: Work,
}

#[derive(Clone, Copy, PartialEq)]
pub enum What {
    /// Our core, driven by hand.
    Core,
    /// One of our adapters.
    Adapter,
    /// Another crate.
    Peer,
    /// What the machine can do.
    Limit,
}

/// The rows of a table.
#[derive(Default)]
pub struct Candidates(pub Vec<Candidate>);

impl Candidates {
    pub fn core(&mut self, work: impl FnMut(u64) + 'static) {
        self.push("sansocket, core by hand", What::Core, work);
    }

    pub fn adapter(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.push(name, What::Adapter, work);
    }

    pub fn peer(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.push(name, What::Peer, work);
    }

    pub fn limit(&mut self, name: &'static str, work: impl FnMut(u64) + 'static) {
        self.push(name, What::Limit, work);
    }

    fn push(&mut self, name: &'static str, what: What, work: impl FnMut(u64) + 'static) {
        self.0.push(Candidate { name, what, work: Box::new(work) });
    }
}

/// Runs a future that never waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("memory is always ready"),
    }
}

/// tokio's timers need a runtime around them.
pub fn within(runtime: &tokio::runtime::Runtime, future: impl Future<Output = ()>) {
    runtime.block_on(tokio::task::unconstrained(future));
}

/// A runtime for those who need one.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Of a message, where a crate asks for a limit.
pub const LIMIT: usize = 64 << 20;

//! What a model is made of: a hub, its tasks, and pages.
//!
//! The hub is real, all of it, and so is tokio: only locks are loom's, or as good as that (`sync.rs`). A thread that broadcasts, or ends
//! something, may be held up before each lock that it takes, and behind each mutex. So may the thread that runs the tasks of
//! connections, of sessions, and of who tells of a presence; but no other of those has its turn meanwhile, as on a runtime of one thread:
//! what two joins do to each other, or a join and a diff of a presence, is for `tests/channels`, with its threads. Nor are there models of what needs no lock: counters, the
//! order in which others see what is written without one, and the insides of tokio's `Notify`, channels and semaphores, each call
//! of which is one step.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use sansocket_channels::test::Page;
use sansocket_channels::{Channel, Cx, Hub, HubBuilder, Identity, Joined, Leave, Payload, Refusal, Session};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// Runs a test with a hub in every order with at most two preemptions: few are enough for most faults, and each more takes many times
/// as long. At the end nothing is left of anything.
pub fn model(hub: fn(Sessions) -> HubBuilder, test: fn(&World)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 10_000;
    builder.check(move || {
        // The first thread has a small stack.
        let test = run(move || {
            let world = World::new(hub);
            // It has the clock of all threads.
            let _context = world.runtime.enter();
            test(&world);
            world.end();
        });
        test.join().unwrap();
    });
}

/// A hub, and its tasks: they run, one at a time, while the thread that has it waits for one of them.
pub struct World {
    pub hub: Hub,
    pub sessions: Sessions,
    runtime: Runtime,
}

/// A channel that counts the ends of its sessions. Who says so when it joins is present.
#[derive(Clone, Default)]
pub struct Sessions(Arc<AtomicU64>);

impl World {
    fn new(hub: fn(Sessions) -> HubBuilder) -> Self {
        let sessions = Sessions::default();
        let hub = hub(sessions.clone()).build().unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self { hub, sessions, runtime: runtime.enable_time().start_paused(true).build().unwrap() }
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        step(&self.hub);
        self.runtime.block_on(future)
    }

    /// Lets all tasks do what they have to do.
    pub fn settle(&self) {
        self.wait(sleep(Duration::from_millis(1)));
    }

    /// A page that speaks Phoenix Channels V2 and nothing more.
    pub fn page(&self, user: &str) -> Page {
        let page = self.hub.test_page(Identity::user(user)).stock();
        self.settle();
        page
    }

    /// One that is a member.
    pub fn member(&self, user: &str) -> Page {
        let mut page = self.page(user);
        join(&mut page, 1, false);
        assert_eq!(self.told(&mut page), ["1 ok"]);
        page
    }

    /// All that a page has been told but of presence: the number of a join, and what became of it, or what was said.
    pub fn told(&self, page: &mut Page) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(message) = self.wait(page.next_message()) {
            let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            let text = |at: usize| frame[at].as_str().unwrap();
            match text(3) {
                "phx_reply" => told.push(format!("{} {}", text(1), frame[4]["status"].as_str().unwrap())),
                "said" => told.push(frame[4].to_string()),
                "presence_state" | "presence_diff" => {}
                event => told.push(format!("{} {event}", text(0))),
            }
        }
        told
    }

    /// When all pages have gone, and what is kept is over, nothing is left.
    fn end(&self) {
        self.wait(sleep(Duration::from_secs(300)));
        assert!(self.hub.topics().is_empty() && self.hub.connections().is_empty());
        let metrics = self.hub.metrics();
        let queued = (metrics.queued_frames, metrics.queued_bytes, metrics.held_bytes);
        assert_eq!(queued, (0, 0, 0));
        assert_eq!((metrics.connections, metrics.topics, metrics.members), (0, 0, 0));
        assert_eq!((metrics.presence_entries, metrics.history_entries, metrics.history_bytes), (0, 0, 0));
        // Who was thrown out before it had joined may have had a session.
        let begun = metrics.joins_ok..=metrics.joins_ok + metrics.joins_cancelled;
        assert!(begun.contains(&self.sessions.0.load(Ordering::Relaxed)), "each session ends once");
    }
}

impl Channel for Sessions {
    type Session = Self;

    async fn join(&self, _: &Cx, params: Payload) -> Result<Joined<Self>, Refusal> {
        let joined = Joined::new(self.clone());
        if params.parse::<bool>()? { joined.track(&json!({})) } else { Ok(joined) }
    }
}

impl Session for Sessions {
    async fn leave(self, _: &Cx, _: Leave) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread.
pub fn run<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().stack_size(STACK_WORDS).spawn(f).unwrap()
}

/// A thread that broadcasts this. How many took each.
pub fn say<const N: usize>(hub: &Hub, said: [u8; N]) -> JoinHandle<[usize; N]> {
    let hub = hub.clone();
    run(move || said.map(|n| hub.broadcast(TOPIC, "said", &n).unwrap().local))
}

/// Others may have their turn before what follows.
pub fn step(hub: &Hub) {
    hub.members("");
}

/// Has a page join, without waiting for anything.
pub fn join(page: &mut Page, n: u8, is_present: bool) {
    let n = n.to_string();
    page.send_message(json!([n, n, TOPIC, "phx_join", is_present]).to_string());
}

pub const PATTERN: &str = "room:{id}";
pub const TOPIC: &str = "room:1";

const STACK_WORDS: usize = 1 << 14;

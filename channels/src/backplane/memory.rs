//! A broker in memory, for tests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Backplane, BackplaneError, BoxFuture, Keep, Kept, NodeId, Sequencer, Since, Sink, Told};
use crate::history::Position;
use crate::sync::{Mutex, lock};

/// A broker in memory, which joins hubs of one process, for tests: it can lose what it carries, delay and reorder it, and cut nodes
/// off, at random from a seed. It goes by the runtime's clock.
///
/// ```
/// use sansocket_channels::backplane::MemoryBus;
/// use sansocket_channels::{Hub, Identity, Open};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = MemoryBus::new();
/// let one = Hub::builder().channel("news", Open).backplane(bus.node()).build()?;
/// let other = Hub::builder().channel("news", Open).backplane(bus.node()).build()?;
///
/// let mut page = other.test_page(Identity::anonymous());
/// page.join("news", &()).await.unwrap();
/// one.broadcast("news", "tick", &1)?;
/// assert_eq!(page.expect("news", "tick").await, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryBus(Arc<Mutex<Bus>>);

/// A node's end of a [`MemoryBus`]: a [`Backplane`]. Clones are one end.
#[derive(Clone)]
pub struct MemoryNode(Arc<End>);

struct End {
    bus: Arc<Mutex<Bus>>,
    number: usize,
    is_sequencer: bool,
}

struct Bus {
    ends: Vec<State>,
    /// Who is subscribed.
    topics: HashMap<String, HashSet<usize>>,
    /// What is in order.
    orders: HashMap<String, Order>,
    is_sequencer: bool,
    trouble: Trouble,
    random: u64,
    lives: u64,
}

#[derive(Clone, Copy, Default)]
struct Trouble {
    lose: u32,
    reorder: u32,
    delay: Duration,
}

#[derive(Default)]
struct State {
    node: Option<NodeId>,
    sink: Option<Sink>,
    /// What it is to be told, and when, in its order.
    queue: VecDeque<(Instant, Brought)>,
    is_told: Arc<Notify>,
    is_cut: bool,
}

/// What is told to a node.
#[derive(Clone)]
enum Brought {
    Message(String, Bytes),
    Sequenced(String, Position, Bytes),
    Control(Bytes),
}

struct Order {
    position: Position,
    kept: VecDeque<(u64, Instant, Bytes)>,
}

impl MemoryBus {
    /// One without troubles.
    pub fn new() -> Self {
        let trouble = Trouble::default();
        let (ends, topics, orders) = (Vec::new(), HashMap::new(), HashMap::new());
        let bus = Bus { ends, topics, orders, is_sequencer: false, trouble, random: 1, lives: 0 };
        Self(Arc::new(bus.into()))
    }

    /// Has it be a [`Sequencer`], too, from the next node on.
    pub fn sequenced(self) -> Self {
        lock(&self.0).is_sequencer = true;
        self
    }

    /// Whether it is.
    pub fn is_sequenced(&self) -> bool {
        lock(&self.0).is_sequencer
    }

    /// What its troubles come about by.
    pub fn seed(self, seed: u64) -> Self {
        lock(&self.0).random = seed;
        self
    }

    /// One more node.
    pub fn node(&self) -> MemoryNode {
        let mut bus = lock(&self.0);
        bus.ends.push(State::default());
        let end = End { bus: self.0.clone(), number: bus.ends.len() - 1, is_sequencer: bus.is_sequencer };
        MemoryNode(end.into())
    }

    /// Loses one of so many, and says nothing; 0: none.
    pub fn lose(&self, one_in: u32) {
        lock(&self.0).trouble.lose = one_in;
    }

    /// Has one of so many overtake the one before it; 0: none.
    pub fn reorder(&self, one_in: u32) {
        lock(&self.0).trouble.reorder = one_in;
    }

    /// Takes its time, up to so much.
    pub fn delay(&self, most: Duration) {
        lock(&self.0).trouble.delay = most;
    }

    /// Forgets all that it keeps: topics begin other lives.
    pub fn forget(&self) {
        lock(&self.0).orders.clear();
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryNode {
    /// Takes its connection away: what was on its way is lost.
    pub fn cut(&self) {
        let sink = {
            let mut bus = lock(&self.0.bus);
            let state = &mut bus.ends[self.0.number];
            state.is_cut = true;
            state.queue.clear();
            state.sink.clone()
        };
        if let Some(sink) = sink {
            sink.down();
        }
    }

    /// Gives it a connection again.
    pub fn mend(&self) {
        let sink = {
            let mut bus = lock(&self.0.bus);
            let state = &mut bus.ends[self.0.number];
            state.is_cut = false;
            state.sink.clone()
        };
        if let Some(sink) = sink {
            sink.up();
        }
    }

    /// Loses whatever is on its way to it, and says so.
    pub fn overflow(&self) {
        let sink = {
            let mut bus = lock(&self.0.bus);
            let state = &mut bus.ends[self.0.number];
            state.queue.clear();
            state.sink.clone()
        };
        if let Some(sink) = sink {
            sink.lost(None);
        }
    }

    /// Tells the node something, whatever it is: as a broker may that has gone wrong.
    pub fn tell(&self, what: Told<'_>) {
        let sink = lock(&self.0.bus).ends[self.0.number].sink.clone();
        let Some(sink) = sink else {
            return;
        };
        match what {
            Told::Message { topic, envelope } => sink.message(topic, envelope),
            Told::Sequenced { topic, position, envelope } => sink.sequenced(topic, position, envelope),
            Told::Control(envelope) => sink.control(envelope),
            Told::Lost(topic) => sink.lost(topic),
            Told::Down => sink.down(),
            Told::Up => sink.up(),
        }
    }
}

impl Backplane for MemoryNode {
    fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>> {
        Box::pin(async move {
            let is_told = {
                let mut bus = lock(&self.0.bus);
                let state = &mut bus.ends[self.0.number];
                (state.node, state.sink) = (Some(node), Some(sink.clone()));
                state.is_told.clone()
            };
            tokio::spawn(bring(Arc::downgrade(&self.0), is_told));
            sink.up();
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>> {
        Box::pin(async move {
            let delay = lock(&self.0.bus).delay();
            sleep(delay).await;
            let mut bus = lock(&self.0.bus);
            bus.topics.entry(topic.to_owned()).or_default().insert(self.0.number);
            if bus.ends[self.0.number].is_cut { Err(BackplaneError::Down) } else { Ok(()) }
        })
    }

    fn unsubscribe(&self, topic: &str) {
        let mut bus = lock(&self.0.bus);
        if let Some(ends) = bus.topics.get_mut(topic) {
            ends.remove(&self.0.number);
            if ends.is_empty() {
                bus.topics.remove(topic);
            }
        }
    }

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        let mut bus = lock(&self.0.bus);
        if bus.ends[self.0.number].is_cut {
            return Err(BackplaneError::Down);
        }
        bus.spread(topic, &Brought::Message(topic.to_owned(), envelope));
        Ok(())
    }

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        let mut bus = lock(&self.0.bus);
        if bus.ends[self.0.number].is_cut {
            return Err(BackplaneError::Down);
        }
        for end in 0..bus.ends.len() {
            if to.is_none() || to == bus.ends[end].node {
                bus.send(end, &Brought::Control(envelope.clone()));
            }
        }
        Ok(())
    }

    fn sequencer(&self) -> Option<&dyn Sequencer> {
        self.0.is_sequencer.then_some(self)
    }
}

impl Sequencer for MemoryNode {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        envelope: Bytes,
        keep: Keep,
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        let mut bus = lock(&self.0.bus);
        let done = if bus.ends[self.0.number].is_cut {
            Err(BackplaneError::Down)
        } else {
            let order = bus.order(topic);
            order.position.offset += 1;
            let position = order.position.clone();
            order.kept.push_back((position.offset, Instant::now(), envelope.clone()));
            order.trim(keep);
            bus.spread(topic, &Brought::Sequenced(topic.to_owned(), position, envelope));
            Ok(())
        };
        let delay = bus.delay();
        Box::pin(async move {
            sleep(delay).await;
            done
        })
    }

    fn since<'a>(
        &'a self,
        topic: &'a str,
        position: Option<&'a Position>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Since, BackplaneError>> {
        Box::pin(async move {
            let delay = lock(&self.0.bus).delay();
            sleep(delay).await;
            let mut bus = lock(&self.0.bus);
            if bus.ends[self.0.number].is_cut {
                return Err(BackplaneError::Down);
            }
            let order = bus.order(topic);
            order.trim(keep);
            let is_one = |known: &&Position| known.epoch == order.position.epoch;
            let known = position.filter(is_one).map_or(0, |known| known.offset);
            let newer = order.kept.iter().filter(|(offset, ..)| *offset > known);
            let messages = newer.map(|(offset, since, envelope)| Kept {
                offset: *offset,
                age: since.elapsed(),
                envelope: envelope.clone(),
            });
            Ok(Since { position: order.position.clone(), messages: messages.collect() })
        })
    }
}

impl Bus {
    fn order(&mut self, topic: &str) -> &mut Order {
        let lives = &mut self.lives;
        self.orders.entry(topic.to_owned()).or_insert_with(|| {
            *lives += 1;
            let position = Position { epoch: format!("m{lives}"), offset: 0 };
            Order { position, kept: VecDeque::new() }
        })
    }

    fn spread(&mut self, topic: &str, what: &Brought) {
        let mut ends: Vec<_> = self.topics.get(topic).into_iter().flatten().copied().collect();
        ends.sort_unstable();
        for end in ends {
            self.send(end, what);
        }
    }

    fn send(&mut self, end: usize, what: &Brought) {
        let Trouble { lose, reorder, .. } = self.trouble;
        if self.ends[end].is_cut || self.one_in(lose) {
            return;
        }
        let (overtakes, due) = (self.one_in(reorder), Instant::now() + self.delay());
        let state = &mut self.ends[end];
        match state.queue.back().map(|(before, _)| *before) {
            Some(before) if overtakes => state.queue.insert(state.queue.len() - 1, (before, what.clone())),
            before => state.queue.push_back((before.map_or(due, |before| before.max(due)), what.clone())),
        }
        state.is_told.notify_one();
    }

    fn one_in(&mut self, many: u32) -> bool {
        many > 0 && self.random().is_multiple_of(many.into())
    }

    fn delay(&mut self) -> Duration {
        let most = u64::try_from(self.trouble.delay.as_micros()).unwrap_or(u64::MAX);
        if most == 0 { Duration::ZERO } else { Duration::from_micros(self.random() % most) }
    }

    /// `SplitMix64`.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Order {
    fn trim(&mut self, keep: Keep) {
        let mut bytes: usize = self.kept.iter().map(|(_, _, envelope)| envelope.len()).sum();
        while let Some((_, since, envelope)) = self.kept.front()
            && (self.kept.len() > keep.entries || bytes > keep.bytes || since.elapsed() >= keep.time)
        {
            bytes -= envelope.len();
            self.kept.pop_front();
        }
    }
}

/// Tells a node what comes to it, until it is gone.
async fn bring(end: Weak<End>, is_told: Arc<Notify>) {
    loop {
        let next = {
            let Some(end) = end.upgrade() else {
                return;
            };
            let mut bus = lock(&end.bus);
            let state = &mut bus.ends[end.number];
            match state.queue.front() {
                Some((due, _)) if *due > Instant::now() => Err(*due),
                Some(_) => Ok(state.queue.pop_front().zip(state.sink.clone())),
                None => Ok(None),
            }
        };
        match next {
            Ok(Some(((_, what), sink))) => match what {
                Brought::Message(topic, envelope) => sink.message(&topic, envelope),
                Brought::Sequenced(topic, position, envelope) => sink.sequenced(&topic, position, envelope),
                Brought::Control(envelope) => sink.control(envelope),
            },
            Ok(None) => is_told.notified().await,
            Err(due) => tokio::select! {
                () = sleep_until(due) => {}
                () = is_told.notified() => {}
            },
        }
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNode").field("number", &self.0.number).finish_non_exhaustive()
    }
}

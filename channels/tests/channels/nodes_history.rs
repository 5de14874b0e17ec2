//! Histories on several nodes: each its own, or, with a broker that keeps the order, one for all.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::backplane::{
    Backplane, BackplaneError, BoxFuture, Keep, MemoryBus, MemoryNode, NodeId, Sequencer, Since, Sink, Told,
};
use sansocket_channels::test::Page;
use sansocket_channels::{Hub, Identity, Limits, OnFull, Position, PublishError, Relay, TopicOptions};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::nodes::{MOMENT, hub_with, passes_on};

/// More than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn kept(bus: &MemoryBus) -> (Hub, MemoryNode) {
    hub_with(bus, TopicOptions::new().history(10, Duration::from_secs(60)))
}

/// A page that knows where it left off, by what it is told alone.
struct Client {
    page: Page,
    at: Position,
}

/// What a client sees of a topic.
#[derive(Debug, PartialEq)]
enum Seen {
    /// A message, and its offset.
    Said(u64, Value),
    /// What it has not had up to this offset is lost.
    Gap(u64),
}

impl Client {
    async fn new(hub: &Hub, user: &str) -> Self {
        let mut page = hub.test_page(Identity::user(user));
        let joined = page.join("room:1", &json!({})).await.unwrap();
        Self { page, at: position(&joined["$pos"]) }
    }

    /// Comes back, to this node or another one. Whether it has got all that it has missed.
    async fn come_back(&mut self, hub: &Hub) -> bool {
        let conn = self.page.conn();
        self.page.cut();
        self.page = hub.test_page(Identity::user("back"));
        let since = json!({ "e": self.at.epoch, "o": self.at.offset, "c": conn });
        let joined = self.page.join("room:1", &json!({ "$since": since })).await.unwrap();
        let is_recovered = joined["$recovered"] == true;
        if is_recovered {
            assert_eq!(position(&joined["$pos"]), self.at);
        } else {
            self.at = position(&joined["$pos"]);
        }
        is_recovered
    }

    /// What comes next. An offset that nobody can account for is a fault.
    async fn next(&mut self) -> Seen {
        let mut is_lost = false;
        loop {
            let message = timeout(PATIENCE, self.page.next_message()).await.unwrap().unwrap();
            let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            match (&frame[3], frame[5].as_u64()) {
                // Of a life that is over: where it begins again is told behind it.
                (event, _) if event == "$gap" && frame[4] == json!({}) => is_lost = true,
                (event, _) if event == "$gap" => {
                    let at = position(&frame[4]);
                    assert!(at.epoch != self.at.epoch || at.offset >= self.at.offset);
                    self.at = at;
                    return Seen::Gap(self.at.offset);
                }
                (_, Some(_)) if is_lost => {}
                (event, Some(offset)) => {
                    assert_eq!(offset, self.at.offset + 1);
                    self.at.offset = offset;
                    if event != "$pos" {
                        return Seen::Said(offset, frame[4].clone());
                    }
                }
                _ => {}
            }
        }
    }
}

fn position(value: &Value) -> Position {
    Position { epoch: value["e"].as_str().unwrap().to_owned(), offset: value["o"].as_u64().unwrap() }
}

fn said(offset: u64, n: u64) -> Seen {
    Seen::Said(offset, json!(n))
}

#[tokio::test(start_paused = true)]
async fn without_an_order_of_the_broker_each_node_numbers_by_itself() {
    let bus = MemoryBus::new();
    let (one, _) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    for n in 1..=3 {
        assert_eq!(one.broadcast("room:1", "said", &n).unwrap().local, 1);
        assert_eq!(here.next().await, said(n, n));
        assert_eq!(there.next().await, said(n, n));
    }
    assert_ne!(here.at.epoch, there.at.epoch);
    // Where it was, a client gets what it has missed.
    let mut back = Client::new(&other, "eve").await;
    back.page.cut();
    one.broadcast("room:1", "said", &4).unwrap();
    other.broadcast("room:1", "said", &5).unwrap();
    sleep(MOMENT).await;
    assert!(back.come_back(&other).await);
    let (mut seen, mut others) = (vec![back.next().await, back.next().await], Vec::new());
    for _ in 0..2 {
        others.push(there.next().await);
    }
    assert_eq!(seen, others);
    seen.sort_by_key(|seen| format!("{seen:?}"));
    assert!(matches!(&seen[..], [Seen::Said(4, _), Seen::Said(5, _)]));
    // On another node it is told that it does not.
    assert!(!back.come_back(&one).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_begins_another_life_there() {
    let bus = MemoryBus::new();
    let (one, _) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    let mut away = Client::new(&other, "eve").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.next().await, said(1, 1));
    assert_eq!(away.next().await, said(1, 1));
    away.page.cut();
    let epoch = there.at.epoch.clone();
    bus.lose(1);
    one.broadcast("room:1", "said", &2).unwrap();
    bus.lose(0);
    one.broadcast("room:1", "said", &3).unwrap();
    assert_eq!(there.next().await, Seen::Gap(1));
    assert_ne!(there.at.epoch, epoch);
    assert_eq!(there.next().await, said(2, 3));
    for n in 1..=3 {
        assert_eq!(here.next().await, said(n, n));
    }
    // Who was away then has missed what nobody there has.
    assert!(!away.come_back(&other).await);
    assert!(here.come_back(&one).await);
    assert!(there.come_back(&other).await);
}

#[tokio::test(start_paused = true)]
async fn the_brokers_order_is_one_for_all_nodes() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    assert_eq!(here.at, there.at);
    bus.delay(Duration::from_millis(20));
    for n in 1..=20 {
        let hub = if n % 3 == 0 { &other } else { &one };
        // It comes to members here with its number, later.
        assert_eq!(hub.broadcast("room:1", "said", &n).unwrap().local, 0);
    }
    let mut seen = Vec::new();
    for n in 1..=20 {
        let Seen::Said(offset, payload) = here.next().await else { panic!("something is lost") };
        assert_eq!(offset, n);
        assert_eq!(there.next().await, Seen::Said(offset, payload.clone()));
        seen.push(payload.as_u64().unwrap());
    }
    // What one node has sent is in its order.
    for third in [true, false] {
        let of_one: Vec<_> = seen.iter().filter(|n| n.is_multiple_of(3) == third).collect();
        assert!(of_one.is_sorted());
    }
    assert_eq!(here.at, there.at);
    assert_eq!(one.metrics().gaps + other.metrics().gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn with_it_a_client_gets_what_it_has_missed_on_whichever_node_it_comes_to() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let mut client = Client::new(&one, "ada").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(client.next().await, said(1, 1));
    client.page.cut();
    one.broadcast("room:1", "said", &2).unwrap();
    // Nobody is there, and nobody has been, on a node that begins now.
    let (other, _) = kept(&bus);
    sleep(MOMENT).await;
    other.broadcast("room:1", "said", &3).unwrap();
    drop(one);
    assert!(client.come_back(&other).await);
    assert_eq!(client.next().await, said(2, 2));
    assert_eq!(client.next().await, said(3, 3));
    other.broadcast("room:1", "said", &4).unwrap();
    assert_eq!(client.next().await, said(4, 4));
    // More than is kept is not to be had.
    client.page.cut();
    for n in 5..=16 {
        other.broadcast("room:1", "said", &n).unwrap();
    }
    sleep(MOMENT).await;
    let (third, _) = kept(&bus);
    sleep(MOMENT).await;
    assert!(!client.come_back(&third).await);
    assert_eq!(client.at.offset, 16);
}

#[tokio::test(start_paused = true)]
async fn a_node_gets_what_it_has_missed_of_the_order() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    // Lost on the way, and nobody says so.
    bus.lose(1);
    one.broadcast("room:1", "said", &1).unwrap();
    sleep(MOMENT).await;
    bus.lose(0);
    one.broadcast("room:1", "said", &2).unwrap();
    for n in 1..=2 {
        assert_eq!(here.next().await, said(n, n));
        assert_eq!(there.next().await, said(n, n));
    }
    // Cut off.
    end.cut();
    assert!(matches!(one.broadcast("room:1", "said", &0), Err(PublishError::Backplane(_))));
    for n in 3..=5 {
        other.broadcast("room:1", "said", &n).unwrap();
        assert_eq!(there.next().await, said(n, n));
    }
    end.mend();
    for n in 3..=5 {
        assert_eq!(here.next().await, said(n, n));
    }
    // And more than is kept.
    end.cut();
    for n in 6..=20 {
        other.broadcast("room:1", "said", &n).unwrap();
        assert_eq!(there.next().await, said(n, n));
    }
    end.mend();
    assert_eq!(here.next().await, Seen::Gap(10));
    for n in 11..=20 {
        assert_eq!(here.next().await, said(n, n));
    }
    assert_eq!(here.at, there.at);
    here.page.expect_nothing().await;
}

/// Nor of the last of it, behind which nothing comes, be it the node's own.
#[tokio::test(start_paused = true)]
async fn a_node_gets_the_last_of_the_order() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    bus.lose(1);
    one.broadcast("room:1", "said", &1).unwrap();
    sleep(MOMENT).await;
    bus.lose(0);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(here.next().await, said(1, 1));
    assert_eq!(there.next().await, said(1, 1));
    assert_eq!(one.metrics().gaps + other.metrics().gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_has_forgotten_begins_another_life_everywhere() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let (other, end) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    for n in 1..=5 {
        one.broadcast("room:1", "said", &n).unwrap();
        assert_eq!(here.next().await, said(n, n));
        assert_eq!(there.next().await, said(n, n));
    }
    let before = here.at.clone();
    bus.forget();
    one.broadcast("room:1", "said", &6).unwrap();
    for client in [&mut here, &mut there] {
        assert_eq!(client.next().await, Seen::Gap(0));
        assert_eq!(client.next().await, said(1, 6));
        assert_ne!(client.at.epoch, before.epoch);
    }
    // Who comes from the life before has lost what came between.
    here.at = before;
    assert!(!here.come_back(&other).await);
    // What is no message has its number.
    let position = Position { offset: 2, ..there.at.clone() };
    end.tell(Told::Sequenced { topic: "room:1", position, envelope: vec![7].into() });
    let position = Position { offset: 3, ..there.at.clone() };
    end.tell(Told::Sequenced { topic: "room:1", position, envelope: vec![1, 0, 8].into() });
    assert!(timeout(MOMENT, there.next()).await.is_err());
    assert_eq!(there.at.offset, 3);
    assert_eq!(other.metrics().backplane_ignored, 2);
    assert_eq!(other.topics()[0].position.as_ref().unwrap().offset, 3);
}

/// A client that is slow is told of what was dropped in the life that it was dropped in.
#[tokio::test(start_paused = true)]
async fn who_is_slow_over_the_end_of_a_life_is_told_in_order() {
    for on_full in [OnFull::DropOldest, OnFull::DropNewest] {
        let bus = MemoryBus::new().sequenced();
        let options = TopicOptions::new().history(10, Duration::from_secs(60)).on_full(on_full);
        let hub = Hub::builder().channel_with("room:1", options, Relay).backplane(bus.node());
        let hub = hub.limits(Limits::default().queue(1 << 20, 4)).build().unwrap();
        let mut client = Client::new(&hub, "ada").await;
        client.page.stall();
        let send = async |numbers: RangeInclusive<u64>| {
            for n in numbers {
                hub.broadcast("room:1", "said", &n).unwrap();
                sleep(MOMENT).await;
            }
        };
        send(1..=8).await;
        bus.forget();
        send(9..=9).await;
        client.page.resume();
        sleep(MOMENT).await;
        send(10..=12).await;
        let mut seen = Vec::new();
        while seen.last() != Some(&said(4, 12)) {
            seen.push(client.next().await);
        }
        // Nothing of the second life is missing behind the gap that begins it, but for what was dropped of it.
        let begins = seen.iter().rposition(|seen| matches!(seen, Seen::Gap(0 | 1))).unwrap();
        assert!(seen[begins + 1..].iter().all(|seen| matches!(seen, Seen::Said(..))), "{seen:?}");
        let hub_at = hub.topics()[0].position.clone().unwrap();
        assert_eq!((client.at.epoch.clone(), client.at.offset), (hub_at.epoch, 4), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_not_to_have_it_does_not_get_it_on_another_node() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut ada = Client::new(&one, "ada").await;
    let mut bob = Client::new(&other, "bob").await;
    one.to("room:1").except(ada.page.conn()).send("said", &1).unwrap();
    assert_eq!(bob.next().await, said(1, 1));
    one.to("room:1").except_user("bob").send("said", &2).unwrap();
    assert_eq!(ada.next().await, said(2, 2));
    // Its own, which it had not yet been told of when it was cut.
    ada.page.cut();
    one.to("room:1").except(ada.page.conn()).send("said", &3).unwrap();
    one.to("room:1").send("said", &4).unwrap();
    sleep(MOMENT).await;
    assert!(ada.come_back(&other).await);
    assert_eq!(ada.next().await, said(4, 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_numbered_reaches_all_at_once() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    assert_eq!(one.to("room:1").keyed("k").send("cursor", &1).unwrap().local, 1);
    assert_eq!(one.to("room:1").local().send("said", &2).unwrap().local, 1);
    assert_eq!(one.to_pattern("room:{id}").send("said", &3).unwrap().local, 1);
    assert_eq!(here.page.expect_next("room:1", "cursor").await, 1);
    assert_eq!(here.page.expect_next("room:1", "said").await, 2);
    assert_eq!(here.page.expect_next("room:1", "said").await, 3);
    assert_eq!(there.page.expect_next("room:1", "cursor").await, 1);
    assert_eq!(there.page.expect_next("room:1", "said").await, 3);
    assert_eq!(one.topics()[0].position.as_ref().unwrap().offset, 0);
    // That it is lost is told, once it shows.
    bus.lose(1);
    sleep(MOMENT).await;
    one.to("room:1").keyed("k").send("cursor", &4).unwrap();
    bus.lose(0);
    one.to("room:1").keyed("k").send("cursor", &5).unwrap();
    there.page.expect_next("room:1", "$gap").await;
    assert_eq!(there.page.expect_next("room:1", "cursor").await, 5);
    // A connection that was lost and is there again has lost nothing that is numbered.
    end.cut();
    end.mend();
    assert_eq!(here.page.expect_next("room:1", "cursor").await, 5);
    here.page.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_and_comes_to_nobody_is_told_to_all() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    one.broadcast("room:1", "said", &1).unwrap();
    // It waits for the broker, and that is gone.
    end.cut();
    sleep(MOMENT).await;
    assert_eq!(there.at.offset, 0);
    there.page.expect_nothing().await;
    end.mend();
    let epoch = here.at.epoch.clone();
    assert_eq!(here.next().await, Seen::Gap(0));
    // That it was lost is numbered, and told before that.
    assert_eq!(here.next().await, Seen::Gap(0));
    assert_eq!(there.next().await, Seen::Gap(0));
    // Nothing else that is numbered was: it is the same life.
    one.broadcast("room:1", "said", &2).unwrap();
    for client in [&mut here, &mut there] {
        assert_eq!(client.next().await, said(2, 2));
        assert_eq!(client.at.epoch, epoch);
    }
}

/// A backplane at which somebody sends as soon as the node is up again.
struct Eager {
    node: MemoryNode,
    /// Who sends, once he is to be so eager.
    hub: Arc<OnceLock<Hub>>,
}

impl Backplane for Eager {
    passes_on!(start subscribe unsubscribe publish sequencer);

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        if let Some(hub) = self.hub.get() {
            hub.broadcast("room:1", "said", &2).unwrap();
        }
        self.node.control(to, envelope)
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_nobody_is_told_before_what_follows() {
    let bus = MemoryBus::new().sequenced();
    let (end, hub) = (bus.node(), Arc::<OnceLock<Hub>>::default());
    let one = Hub::builder()
        .channel_with("room:{id}", TopicOptions::new().history(10, Duration::from_secs(60)), Relay)
        .backplane(Eager { node: end.clone(), hub: hub.clone() })
        .build()
        .unwrap();
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    one.broadcast("room:1", "said", &1).unwrap();
    end.cut();
    sleep(MOMENT).await;
    hub.set(one).unwrap();
    end.mend();
    assert_eq!(here.next().await, Seen::Gap(0));
    for client in [&mut here, &mut there] {
        assert_eq!(client.next().await, Seen::Gap(0));
        assert_eq!(client.next().await, said(2, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_nobody_is_told_to_nodes_that_are_away_then() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let (other, other_end) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    for _ in 0..3 {
        one.broadcast("room:1", "said", &1).unwrap();
    }
    end.cut();
    other_end.cut();
    sleep(MOMENT).await;
    end.mend();
    sleep(MOMENT).await;
    other_end.mend();
    one.broadcast("room:1", "said", &2).unwrap();
    // Whoever has sent it is told at once, of all that has failed.
    assert_eq!(here.next().await, Seen::Gap(0));
    for client in [&mut here, &mut there] {
        assert_eq!(client.next().await, Seen::Gap(0));
        assert_eq!(client.next().await, said(2, 2));
        client.page.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_nobody_is_told_to_clients_that_are_away_then() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(here.next().await, said(1, 1));
    let mut further = Client::new(&one, "bob").await;
    here.page.cut();
    one.broadcast("room:1", "said", &2).unwrap();
    end.cut();
    sleep(MOMENT).await;
    end.mend();
    assert_eq!(further.next().await, Seen::Gap(1));
    assert_eq!(further.next().await, Seen::Gap(1));
    one.broadcast("room:1", "said", &3).unwrap();
    assert_eq!(further.next().await, said(3, 3));
    // Who was told that something is lost misses no more.
    further.page.cut();
    one.broadcast("room:1", "said", &4).unwrap();
    sleep(MOMENT).await;
    // On a node that has what the broker has, too.
    let (other, _) = kept(&bus);
    for hub in [&one, &other] {
        let mut here = Client { page: one.test_page(Identity::user("ada")), at: here.at.clone() };
        assert!(!here.come_back(hub).await);
        let mut further = Client { page: one.test_page(Identity::user("bob")), at: further.at.clone() };
        assert!(further.come_back(hub).await);
        assert_eq!(further.next().await, said(4, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_there_is_no_broker_begins_anew_with_it() {
    let bus = MemoryBus::new().sequenced();
    let (one, end) = kept(&bus);
    let (other, _) = kept(&bus);
    sleep(MOMENT).await;
    other.broadcast("room:1", "said", &1).unwrap();
    sleep(MOMENT).await;
    end.cut();
    let mut here = Client::new(&one, "ada").await;
    assert_eq!(here.at.offset, 0);
    end.mend();
    assert_eq!(here.next().await, Seen::Gap(0));
    assert_eq!(here.next().await, said(1, 1));
    let there = Client::new(&other, "bob").await;
    assert_eq!(here.at, there.at);
}

/// Of what was lost with a connection, the broker has what it has numbered. The rest is told to be lost, and only if something is.
#[tokio::test(start_paused = true)]
async fn what_is_not_numbered_and_lost_with_a_connection_is_told() {
    type Send = fn(&Hub, u64);
    let sends: [Send; 2] = [
        |hub, n| _ = hub.to("room:1").keyed("k").send("said", &n).unwrap(),
        |hub, n| _ = hub.to_pattern("room:{id}").send("said", &n).unwrap(),
    ];
    for send in sends {
        let bus = MemoryBus::new().sequenced();
        let (one, _) = kept(&bus);
        let (other, end) = kept(&bus);
        let mut there = Client::new(&other, "bob").await;
        send(&one, 1);
        assert_eq!(there.page.expect_next("room:1", "said").await, 1);
        end.cut();
        end.mend();
        there.page.expect_nothing().await;
        end.cut();
        send(&one, 2);
        // Longer than it takes the node to say so of its own accord.
        sleep(PATIENCE).await;
        end.mend();
        assert_eq!(there.next().await, Seen::Gap(0));
        send(&one, 3);
        assert_eq!(there.page.expect_next("room:1", "said").await, 3);
        there.page.expect_nothing().await;
    }
}

/// A broker whose numbered messages do not come for a while, and nobody says so.
struct Late {
    node: MemoryNode,
    is_late: Arc<AtomicBool>,
}

impl Backplane for Late {
    passes_on!(subscribe unsubscribe publish control sequencer);

    fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>> {
        let is_late = self.is_late.clone();
        let sink = Sink::new(move |told| match told {
            Told::Sequenced { topic, position, envelope } => {
                if !is_late.load(Ordering::Relaxed) {
                    sink.sequenced(topic, position, envelope);
                }
            }
            Told::Message { topic, envelope } => sink.message(topic, envelope),
            Told::Control(envelope) => sink.control(envelope),
            Told::Lost(topic) => sink.lost(topic),
            Told::Down => sink.down(),
            Told::Up => sink.up(),
        });
        self.node.start(node, sink)
    }
}

/// A node that is late gets what its client has had elsewhere, before it is told where it is.
#[tokio::test(start_paused = true)]
async fn who_has_had_more_than_a_node_is_not_sent_it_again() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let late = Late { node: bus.node(), is_late: Arc::default() };
    let is_late = late.is_late.clone();
    let options = TopicOptions::new().history(10, PATIENCE);
    let other = Hub::builder().channel_with("room:{id}", options, Relay).backplane(late).build().unwrap();
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.next().await, said(1, 1));
    is_late.store(true, Ordering::Relaxed);
    for n in 2..=3 {
        one.broadcast("room:1", "said", &n).unwrap();
    }
    for n in 1..=3 {
        assert_eq!(here.next().await, said(n, n));
    }
    assert!(here.come_back(&other).await);
    is_late.store(false, Ordering::Relaxed);
    one.broadcast("room:1", "said", &4).unwrap();
    assert_eq!(here.next().await, said(4, 4));
    for n in 2..=4 {
        assert_eq!(there.next().await, said(n, n));
    }
    // Further than anybody has been.
    here.at.offset = 1 << 40;
    assert!(!here.come_back(&other).await);
    assert_eq!(here.at.offset, 4);
}

/// A broker whose answers take their time, and that takes nothing while it is busy.
#[derive(Clone)]
struct Slow {
    node: MemoryNode,
    is_busy: Arc<AtomicBool>,
}

impl Slow {
    fn hub(bus: &MemoryBus) -> (Hub, Self) {
        let slow = Self { node: bus.node(), is_busy: Arc::default() };
        let options = TopicOptions::new().history(10, PATIENCE);
        let hub = Hub::builder().channel_with("room:{id}", options, Relay).backplane(slow.clone()).build();
        (hub.unwrap(), slow)
    }

    fn is_ready(&self) -> Result<(), BackplaneError> {
        if self.is_busy.load(Ordering::Relaxed) { Err(BackplaneError::Full) } else { Ok(()) }
    }
}

impl Backplane for Slow {
    passes_on!(start subscribe unsubscribe control);

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.is_ready()?;
        self.node.publish(topic, envelope)
    }

    fn sequencer(&self) -> Option<&dyn Sequencer> {
        Some(self)
    }
}

impl Sequencer for Slow {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        envelope: Bytes,
        keep: Keep,
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        match self.is_ready() {
            Ok(()) => self.node.append(topic, envelope, keep),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn since<'a>(
        &'a self,
        topic: &'a str,
        position: Option<&'a Position>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Since, BackplaneError>> {
        Box::pin(async move {
            let since = self.node.since(topic, position, keep).await;
            sleep(Duration::from_secs(1)).await;
            since
        })
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_for_an_answer_of_the_broker_is_asked_for_again() {
    let bus = MemoryBus::new().sequenced();
    let (one, _) = kept(&bus);
    let (other, slow) = Slow::hub(&bus);
    let mut there = Client::new(&other, "bob").await;
    slow.node.tell(Told::Lost(Some("room:1")));
    sleep(MOMENT).await;
    // One more, and nothing behind it.
    for n in 1..=1_025 {
        one.broadcast("room:1", "said", &n).unwrap();
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(there.next().await, Seen::Gap(1_015));
    for n in 1_016..=1_025 {
        assert_eq!(there.next().await, said(n, n));
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_nobody_is_told_when_a_broker_has_room_for_that() {
    let bus = MemoryBus::new().sequenced();
    let (one, slow) = Slow::hub(&bus);
    let (other, _) = kept(&bus);
    let mut here = Client::new(&one, "ada").await;
    let mut there = Client::new(&other, "bob").await;
    slow.is_busy.store(true, Ordering::Relaxed);
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(here.next().await, Seen::Gap(0));
    there.page.expect_nothing().await;
    slow.is_busy.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(there.next().await, Seen::Gap(0));
}

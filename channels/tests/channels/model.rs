//! A hub under whatever pages do, beside a model of what has to come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{
    Channel, Close, Cx, Drain, Hub, Identity, Joined, Leave, Limits, Payload, Refusal, Reply, Session,
    TopicOptions,
};
use serde_json::{Value, json};

use crate::metrics::gauges;
use crate::random::Random;

/// How many sessions have begun, and have ended, by their numbers.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    begun: usize,
    /// Those that are to end, be it by a call or by a crash.
    alive: BTreeSet<usize>,
}

impl Channel for Counted {
    type Session = Counting;

    async fn join(&self, _: &Cx, params: Payload) -> Result<Joined<Counting>, Refusal> {
        if params.parse::<bool>()? {
            // So that it may be cut off.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let mut counts = self.0.lock().unwrap();
        counts.begun += 1;
        let number = counts.begun;
        counts.alive.insert(number);
        Ok(Joined::new(Counting { counts: self.clone(), number, crashes: false }))
    }
}

struct Counting {
    counts: Counted,
    number: usize,
    crashes: bool,
}

impl Session for Counting {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        match event {
            "crash" => {
                self.crashes = true;
                panic!("as was asked for");
            }
            "stop" => Ok(Reply::ok().stop()),
            _ => {
                cx.broadcast("said", &payload)?;
                Ok(Reply::ok())
            }
        }
    }

    async fn leave(self, cx: &Cx, _: Leave) {
        assert!(!self.crashes, "a session that has crashed is told of its end");
        assert!(cx.hub().members(cx.topic()).iter().all(|member| member.conn != cx.conn()));
        assert!(self.counts.0.lock().unwrap().alive.contains(&self.number), "it ends twice");
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        assert!(self.counts.0.lock().unwrap().alive.remove(&self.number));
    }
}

fn options() -> TopicOptions {
    TopicOptions::new().intercept(["said"])
}

/// What the model knows of a page.
#[derive(Default)]
struct Modelled {
    /// The topics that it is a member of, and what it is to be told of each.
    topics: BTreeMap<String, Vec<Value>>,
}

/// Pages join, leave, join anew, push, crash, are cut, kicked and come back, at random. At each moment the hub's members are
/// those of the model, and each page is told what was sent while it was one, in its order, and nothing else.
#[tokio::test(start_paused = true)]
async fn the_hub_does_what_the_model_does() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let counted = Counted::default();
        // It makes no difference that sessions have their say, when they say nothing.
        let options = if seed % 2 == 0 { options() } else { TopicOptions::new() };
        let hub = Hub::builder().channel_with("room:{id}", options, counted.clone()).build().unwrap();
        let mut pages: Vec<(Page, Modelled)> = Vec::new();
        for n in 0..5 {
            pages.push((hub.test_page(Identity::user(format!("user {n}"))), Modelled::default()));
        }
        for step in 0..300 {
            let at = random.below(pages.len());
            let topic = format!("room:{}", random.below(3));
            act(&hub, &mut random, &mut pages, at, &topic, step).await;
            settle().await;
            check_members(&hub, &pages);
        }
        for (page, model) in &mut pages {
            check_told(page, model).await;
            page.cut();
        }
        pages.clear();
        settle().await;
        assert!(hub.connections().is_empty() && hub.topics().is_empty(), "seed {seed}");
        let metrics = hub.metrics();
        assert_eq!(gauges(&metrics).map(|(_, value)| value), [0; 15], "seed {seed}");
        let closes: u64 = metrics.closes.values().sum();
        assert_eq!(metrics.connected, metrics.left + metrics.lost + closes, "seed {seed}");
        let counts = counted.0.lock().unwrap();
        let begun = counts.begun as u64;
        let results = metrics.joins_ok..=metrics.joins_ok + metrics.joins_cancelled;
        assert!(results.contains(&begun), "seed {seed}: {begun} of {results:?}");
        assert!(counts.begun > 20 && counts.alive.is_empty(), "seed {seed}: {:?}", counts.alive);
    }
}

/// The same from many threads at once, without a model: when all is over, nothing is left, and each session has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_leave_nothing_behind() {
    let counted = Counted::default();
    let hub = Hub::builder().channel_with("room:{id}", options(), counted.clone()).build().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let hub = hub.clone();
            tokio::spawn(async move { wander(&hub, &mut Random(task), task).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let drained =
        hub.drain(Drain { within: Duration::ZERO, flush: Duration::from_secs(5), ..Drain::default() }).await;
    assert_eq!(drained.cut, 0);
    assert!(counted.0.lock().unwrap().alive.is_empty());
    assert!(hub.connections().is_empty() && hub.topics().is_empty());
    assert_eq!(gauges(&hub.metrics()).map(|(_, value)| value), [0; 15]);
    assert!(counted.0.lock().unwrap().begun > 100);
}

/// A page joins anew, again and again, while threads end its sessions: each join has one answer, and each session that was joined
/// has one end, which the page is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_end_no_other_session() {
    let limits = Limits::default().messages(1_000_000, 1_000_000);
    let hub = Hub::builder().channel("room:{id}", Counted::default()).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let (conn, stop) = (hub.conn(page.conn()), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (conn, stop) = (conn.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    conn.leave("room:1");
                }
            })
        })
        .collect();
    let (mut joined, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..5_000_u32 {
        page.send_message(format!(r#"["{n}","{n}","room:1","phx_join",false]"#));
        loop {
            let told = page.next_message().await.expect("a join has no answer");
            let told: Value = serde_json::from_str(told.as_text().unwrap()).unwrap();
            let join_ref = told[0].as_str().unwrap().to_owned();
            if told[3] == "phx_close" {
                assert!(ended.insert(join_ref), "a session ends twice");
                continue;
            }
            assert_eq!(told[1], json!(n.to_string()));
            if told[4]["status"] == "ok" {
                joined.insert(join_ref);
            } else {
                assert_eq!(told[4]["response"], json!({ "reason": "unauthorized" }));
            }
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    conn.leave("room:1");
    while let Some(told) = page.next_message().await {
        let told: Value = serde_json::from_str(told.as_text().unwrap()).unwrap();
        assert_eq!(told[3], "phx_close");
        assert!(ended.insert(told[0].as_str().unwrap().to_owned()), "a session ends twice");
    }
    assert!(joined.is_subset(&ended), "a session ended in silence");
    assert!(hub.topics().is_empty());
}

/// A client that does whatever it likes, and waits for hardly anything.
async fn wander(hub: &Hub, random: &mut Random, user: u64) {
    for _ in 0..60 {
        let mut page = hub.test_page(Identity::user(format!("user {}", user % 3)));
        for step in 0..20_u32 {
            let topic = format!("room:{}", random.below(2));
            match random.below(10) {
                0..=2 => page.send_message(format!(
                    r#"["{step}","{step}","{topic}","phx_join",{}]"#,
                    step.is_multiple_of(2)
                )),
                3 => page.send_message(format!(r#"[null,"{step}","{topic}","phx_leave",{{}}]"#)),
                4 => page.send_message(format!(r#"[null,"{step}","{topic}","say",{step}]"#)),
                5 => page.send_message(format!(r#"[null,"{step}","{topic}","stop",{step}]"#)),
                6 => drop(hub.broadcast(&topic, "said", &step).unwrap()),
                7 => hub.user("user 1").leave(&topic),
                8 => hub.conn(page.conn()).leave(&topic),
                _ => drop(hub.members(&topic)),
            }
            if random.below(4) == 0 {
                tokio::task::yield_now().await;
            }
        }
        match random.below(4) {
            0 => page.close(),
            1 => hub.conn(page.conn()).close(Close::kicked()),
            2 => hub.user("user 2").close(Close::kicked()),
            _ => page.cut(),
        }
    }
}

/// Does something at random, to the hub and to the model.
async fn act(
    hub: &Hub,
    random: &mut Random,
    pages: &mut [(Page, Modelled)],
    at: usize,
    topic: &str,
    step: usize,
) {
    let is_member = pages[at].1.topics.contains_key(topic);
    match random.below(12) {
        0..=2 => {
            // What it was told before is over with the session.
            check_topic_told(&mut pages[at], topic).await;
            let (page, model) = &mut pages[at];
            page.join(topic, &(step.is_multiple_of(2))).await.unwrap();
            model.topics.insert(topic.to_owned(), Vec::new());
        }
        3 => {
            check_topic_told(&mut pages[at], topic).await;
            let (page, model) = &mut pages[at];
            page.leave(topic).await;
            model.topics.remove(topic);
        }
        4..=5 => {
            let sent = hub.broadcast(topic, "said", &step).unwrap();
            assert_eq!(sent.local, say(pages, topic, &json!(step)));
        }
        6..=7 => {
            let answer = pages[at].0.push(topic, "say", &json!({ "step": step })).await;
            assert_eq!(answer.is_ok(), is_member);
            if is_member {
                say(pages, topic, &json!({ "step": step }));
            }
        }
        8 if is_member => {
            check_topic_told(&mut pages[at], topic).await;
            let (page, model) = &mut pages[at];
            let event = if step.is_multiple_of(2) { "crash" } else { "stop" };
            page.cast(topic, event, &1);
            let told = if step.is_multiple_of(2) { "phx_error" } else { "phx_close" };
            page.expect(topic, told).await;
            // A page would join again what has crashed.
            page.leave(topic).await;
            model.topics.remove(topic);
        }
        9 if is_member => {
            check_topic_told(&mut pages[at], topic).await;
            let (page, model) = &mut pages[at];
            hub.conn(page.conn()).leave(topic);
            page.expect(topic, "phx_close").await;
            model.topics.remove(topic);
        }
        10 => {
            let (page, model) = &mut pages[at];
            check_told(page, model).await;
            // In the middle of a join, sometimes.
            if step.is_multiple_of(3) {
                page.send_message(r#"["0","0","room:9","phx_join",true]"#);
                settle_a_little(step).await;
            }
            if step.is_multiple_of(2) {
                page.cut();
            } else {
                hub.user(hub.conn(page.conn()).info().unwrap().user.as_deref().unwrap())
                    .close(Close::kicked());
                page.closed().await;
            }
            settle().await;
            // It comes back with what it had joined, as the page sees it.
            for told in model.topics.values_mut() {
                told.clear();
            }
            page.reconnect().await;
        }
        _ => {}
    }
}

/// The members of the topic are to be told this; how many they are.
fn say(pages: &mut [(Page, Modelled)], topic: &str, value: &Value) -> usize {
    let told = pages.iter_mut().filter_map(|(_, model)| model.topics.get_mut(topic));
    told.map(|told| told.push(value.clone())).count()
}

fn check_members(hub: &Hub, pages: &[(Page, Modelled)]) {
    for topic in ["room:0", "room:1", "room:2"] {
        let members: BTreeSet<_> = hub.members(topic).into_iter().map(|member| member.conn).collect();
        let modelled = pages.iter().filter(|(_, model)| model.topics.contains_key(topic));
        assert_eq!(members, modelled.map(|(page, _)| page.conn()).collect(), "{topic}");
        let listed = hub.topics().into_iter().find(|info| info.name == topic).map_or(0, |info| info.members);
        assert_eq!(listed, members.len());
    }
    assert_eq!(hub.connections().len(), pages.len());
}

async fn check_told(page: &mut Page, model: &mut Modelled) {
    for (topic, told) in &mut model.topics {
        for value in told.drain(..) {
            assert_eq!(page.expect(topic, "said").await, value, "{topic}");
        }
    }
    page.expect_nothing().await;
}

async fn check_topic_told((page, model): &mut (Page, Modelled), topic: &str) {
    for value in model.topics.get_mut(topic).into_iter().flat_map(|told| told.drain(..)) {
        assert_eq!(page.expect(topic, "said").await, value, "{topic}");
    }
}

/// Lets all tasks do what they have to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Lets them do some of it.
async fn settle_a_little(turns: usize) {
    for _ in 0..turns % 5 {
        tokio::task::yield_now().await;
    }
}

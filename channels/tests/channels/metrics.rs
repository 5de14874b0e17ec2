//! What a hub counts, and whom it tells of clients that are slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::test::{Connect, Page};
use sansocket_channels::{
    AskError, Close, Denied, Drain, Events, Hub, Identity, Joined, Limits, Metrics, OnFull, Open, Refusal,
    Reply, Slow, TopicOptions,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::diary::Diary;
use crate::patience::{awaited, until};

const SECOND: Duration = Duration::from_secs(1);

fn hub(limits: Limits) -> Hub {
    Hub::builder()
        .channel("room:{id}", Diary::default())
        .channel_with("newest", TopicOptions::new().on_full(OnFull::DropNewest), Open)
        .channel_with("oldest", TopicOptions::new().on_full(OnFull::DropOldest), Open)
        .limits(limits)
        .build()
        .unwrap()
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A page that has joined a topic, and takes nothing any more: one message is on its way to it, and none is queued.
async fn stalled(hub: &Hub, user: &str, topic: &str) -> Page {
    let mut page = hub.test_page(Identity::user(user));
    page.join(topic, &0).await.unwrap();
    page.stall();
    assert_eq!(hub.conn(page.conn()).push(topic, "first", &0).unwrap().local, 1);
    settle().await;
    page
}

/// What has changed, as an exporter sees it.
fn changed(before: &Metrics, after: &Metrics) -> Vec<String> {
    let before: Vec<_> = before.samples().map(|sample| sample.to_string()).collect();
    after.samples().map(|sample| sample.to_string()).filter(|line| !before.contains(line)).collect()
}

/// The gauges, in the order of their names: all of them have to be 0 when nobody is there.
pub fn gauges(metrics: &Metrics) -> [(&'static str, u64); 15] {
    [
        ("connections", metrics.connections),
        ("slow_connections", metrics.slow_connections),
        ("topics", metrics.topics),
        ("members", metrics.members),
        ("queued_frames", metrics.queued_frames),
        ("queued_bytes", metrics.queued_bytes),
        ("largest_queue_frames", metrics.largest_queue_frames),
        ("largest_queue_bytes", metrics.largest_queue_bytes),
        ("held_bytes", metrics.held_bytes),
        ("presence_entries", metrics.presence_entries),
        ("history_entries", metrics.history_entries),
        ("history_bytes", metrics.history_bytes),
        ("nodes", metrics.nodes),
        ("backplane_down", metrics.backplane_down),
        ("subscriptions", metrics.subscriptions),
    ]
}

#[tokio::test(start_paused = true)]
async fn gauges_are_what_is() {
    let present = TopicOptions::new().presence();
    let tracked = Events::new().on_join(async |_, _| Joined::new(()).track(&json!({ "at": 1 })));
    let hub = Hub::builder()
        .channel("room:{id}", Open)
        .channel_with("here", present, tracked)
        .limits(Limits::default().presence(2, 100))
        .build()
        .unwrap();
    assert!(gauges(&hub.metrics()).iter().all(|(_, value)| *value == 0));
    let (mut ada, mut bob) = (stalled(&hub, "ada", "room:1").await, stalled(&hub, "bob", "room:1").await);
    for n in 0..3 {
        hub.conn(ada.conn()).push("room:1", "said", &n).unwrap();
    }
    hub.broadcast("room:1", "said", &4).unwrap();
    let frame = format!(r#"["1",null,"room:1","said",{}]"#, 0).len() as u64;
    let shared = r#"[null,null,"room:1","said",4]"#.len() as u64;
    let metrics = hub.metrics();
    assert_eq!((metrics.connections, metrics.topics, metrics.members), (2, 1, 2));
    assert_eq!((metrics.queued_frames, metrics.queued_bytes), (5, 3 * frame + 2 * shared));
    assert_eq!((metrics.largest_queue_frames, metrics.largest_queue_bytes), (4, 3 * frame + shared));
    // Each frame once, and what is kept beside its bytes.
    assert!(metrics.held_bytes > 3 * frame + shared && metrics.held_bytes < 2_000);
    ada.resume();
    bob.resume();
    settle().await;
    let mut others = Vec::new();
    for page in [&mut ada, &mut bob] {
        page.join("here", &()).await.unwrap();
    }
    for _ in 0..2 {
        let mut page = hub.test_page(Identity::anonymous());
        page.join("here", &()).await.unwrap();
        others.push(page);
    }
    let metrics = hub.metrics();
    assert_eq!((metrics.connections, metrics.topics, metrics.members), (4, 2, 6));
    assert_eq!((metrics.presence_entries, metrics.untracked), (2, 2));
    drop((ada, bob, others));
    // Who is lost is present for a while.
    settle().await;
    assert_eq!(hub.metrics().presence_entries, 2);
    sleep(6 * SECOND).await;
    assert_eq!(gauges(&hub.metrics()).map(|(_, value)| value), [0; 15]);
}

/// What is kept, and whether those who come back get all of it.
#[tokio::test(start_paused = true)]
async fn histories_count() {
    let options = TopicOptions::new().history(3, 60 * SECOND);
    let hub = Hub::builder().channel_with("log", options, Open).build().unwrap();
    let (mut ada, mut bob) =
        (hub.test_page(Identity::user("ada")), hub.test_page(Identity::user("bob")).stock());
    for page in [&mut ada, &mut bob] {
        page.join("log", &json!({})).await.unwrap();
    }
    settle().await;
    for (missed, won, lost) in [(2, 1, 0), (4, 1, 1)] {
        ada.cut();
        settle().await;
        for n in 0..missed {
            hub.broadcast("log", "said", &n).unwrap();
        }
        ada.reconnect().await;
        let metrics = hub.metrics();
        assert_eq!((metrics.recoveries_won, metrics.recoveries_lost), (won, lost));
        assert_eq!(metrics.history_entries, missed.min(3));
        assert!(metrics.history_bytes > 0);
    }
    // Who wants no answer is told nothing.
    let mut page = hub.test_page(Identity::anonymous());
    page.send_message(r#"["1",null,"log","phx_join",{"$since":{"e":"other","o":0}}]"#);
    settle().await;
    assert_eq!((hub.metrics().joins_ok, hub.metrics().recoveries_lost), (5, 1));
    drop(page);
    settle().await;
    // What is sent again is no broadcast, and one in two forms takes its time in each.
    let metrics = hub.metrics();
    assert_eq!((metrics.broadcasts, metrics.deliveries, metrics.delivery.count()), (6, 6, 6));
    hub.broadcast("log", "said", &5).unwrap();
    settle().await;
    assert_eq!(hub.metrics().delivery.count(), 8);
    drop((ada, bob));
    sleep(61 * SECOND).await;
    assert_eq!(gauges(&hub.metrics()).map(|(_, value)| value), [0; 15]);
}

/// Each join has one result, and each connection one end.
#[tokio::test(start_paused = true)]
async fn joins_count_by_their_results() {
    let asked = Events::new().on_join(async |_, params| match params.parse::<String>()?.as_str() {
        "no" => Err(Refusal::new("no")),
        "later" => Err(Refusal::retry("later")),
        "panic" => panic!("as was asked for"),
        "hang" => std::future::pending().await,
        _ => Ok(Joined::new(())),
    });
    let limits = Limits::default().topics(2).topics_per_connection(2);
    let hub = Hub::builder().channel("t:{id}", asked).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    for (topic, params, is_ok) in [
        ("t:1", "yes", true),
        ("t:2", "yes", true),
        // One too many, an unmatched topic, another refusal, and bad parameters.
        ("t:3", "yes", false),
    ] {
        assert_eq!(page.join(topic, &params).await.is_ok(), is_ok);
    }
    page.leave("t:2").await;
    for (topic, params) in [("other", "yes"), ("t:2", "no"), ("t:2", "later"), ("t:2", "panic")] {
        page.join(topic, &params).await.unwrap_err();
    }
    assert_eq!(page.join("t:2", &"hang").await, Err(json!({ "reason": "timeout" })));
    // The hub has as many topics as there may be.
    page.join("t:2", &"yes").await.unwrap();
    let mut other = hub.test_page(Identity::anonymous());
    assert_eq!(other.join("t:3", &"yes").await, Err(json!({ "reason": "busy" })));
    // It is left, replaced, ended by the server, cut, before it has an answer.
    for n in 0..4 {
        let mut leaving = hub.test_page(Identity::anonymous());
        leaving.send_message(r#"["1","1","t:1","phx_join","hang"]"#);
        settle().await;
        match n {
            0 => leaving.send_message(r#"["1","2","t:1","phx_leave",{}]"#),
            1 => leaving.send_message(r#"["2","2","t:1","phx_join","yes"]"#),
            2 => hub.conn(leaving.conn()).leave("t:1"),
            _ => leaving.cut(),
        }
        settle().await;
    }
    let metrics = hub.metrics();
    assert_eq!((metrics.joins_ok, metrics.joins_refused, metrics.joins_retried), (4, 3, 1));
    assert_eq!((metrics.joins_crashed, metrics.joins_timed_out, metrics.joins_busy), (1, 1, 1));
    assert_eq!((metrics.joins_cancelled, metrics.crashes), (4, 0));
    assert_eq!((metrics.connected, metrics.lost, metrics.left), (6, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn connections_count_by_their_ends() {
    let hub = hub(Limits::default());
    let mut pages: Vec<_> =
        (0..7).map(|_| hub.test_page(Identity::anonymous().expires(5 * SECOND))).collect();
    settle().await;
    let before = hub.metrics();
    pages[0].close();
    pages[1].cut();
    pages[2].send_message("no frame");
    hub.conn(pages[3].conn()).close(Close::kicked());
    hub.conn(pages[4].conn()).close(Close::retry(4100, "later").unwrap());
    pages[5].close();
    settle().await;
    assert_eq!(hub.metrics().closes, [(1008, 1), (4100, 1), (4500, 1)].into());
    sleep(5 * SECOND).await;
    let told = hub.test_page(Identity::anonymous());
    hub.drain(Drain::default()).await;
    drop((told, pages));
    let after = hub.metrics();
    let closes = [(1008, 1), (1012, 1), (4001, 1), (4100, 1), (4500, 1)];
    assert_eq!(after.closes, closes.into());
    assert_eq!((after.connected - before.connected, after.left, after.lost), (1, 2, 1));
    assert_eq!(after.connected, after.left + after.lost + closes.len() as u64);
}

/// Who is let in when nobody is any more is told so, and has never been connected.
#[tokio::test(start_paused = true)]
async fn who_comes_when_a_hub_drains_does_not_count() {
    let authenticate = async |_| {
        sleep(SECOND).await;
        Ok(Identity::anonymous())
    };
    let hub = Hub::builder().channel("room", Open).authenticate(authenticate).build().unwrap();
    let opening = tokio::spawn({
        let hub = hub.clone();
        async move { hub.test_connect(&Connect::new()).await.err() }
    });
    settle().await;
    hub.drain(Drain::default()).await;
    assert_eq!(opening.await.unwrap(), Some(503));
    let metrics = hub.metrics();
    assert_eq!((metrics.connected, metrics.lost, metrics.left), (0, 0, 0));
    assert!(hub.connections().is_empty());
}

/// What comes and goes, by messages and bytes.
#[tokio::test(start_paused = true)]
async fn traffic_counts() {
    let hub = hub(Limits::default());
    let (mut ada, mut bob) = (hub.test_page(Identity::anonymous()), hub.test_page(Identity::anonymous()));
    for page in [&mut ada, &mut bob] {
        page.join("room:1", &0).await.unwrap();
    }
    let before = hub.metrics();
    // To two, to one of them, and to nobody.
    hub.broadcast("room:1", "said", &1).unwrap();
    hub.to("room:1").except(ada.conn()).send("said", &2).unwrap();
    hub.to("room:1").only([]).send("said", &3).unwrap();
    hub.broadcast("room:2", "said", &4).unwrap();
    hub.to_pattern("{all*}").send("said", &5).unwrap();
    settle().await;
    let after = hub.metrics();
    assert_eq!((after.broadcasts - before.broadcasts, after.deliveries - before.deliveries), (4, 5));
    let said = r#"[null,null,"room:1","said",1]"#.len() as u64;
    assert_eq!((after.frames_out - before.frames_out, after.bytes_out - before.bytes_out), (5, 5 * said));
    assert_eq!((after.frames_in, after.bytes_in), (before.frames_in, before.bytes_in));
    // More than are written at once.
    for n in 10..210 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    settle().await;
    let (before, after) = (after, hub.metrics());
    let bytes = 2 * (90 * (said + 1) + 110 * (said + 2));
    assert_eq!((after.frames_out - before.frames_out, after.bytes_out - before.bytes_out), (400, bytes));
    let push = r#"["1","2","room:1","echo",7]"#;
    ada.send_message(push);
    let heartbeat = r#"[null,"3","phoenix","heartbeat",{}]"#;
    ada.send_message(heartbeat);
    settle().await;
    let (before, after) = (after, hub.metrics());
    let read = (after.frames_in - before.frames_in, after.bytes_in - before.bytes_in);
    assert_eq!(read, (2, (push.len() + heartbeat.len()) as u64));
    assert_eq!(after.frames_out - before.frames_out, 2);
    // Nothing else has changed by that, but for how long it took.
    let changes = changed(&before, &after);
    assert!(changes.iter().all(|line| line.starts_with("frames_total") || line.starts_with("bytes_total")));
}

/// Each class has its count.
#[tokio::test(start_paused = true)]
async fn drops_count_by_class() {
    let hub = hub(Limits::default().queue(300 << 10, 4).volatile(1));
    let drops = |metrics: &Metrics| {
        [
            metrics.dropped_newest,
            metrics.dropped_oldest,
            metrics.dropped_volatile,
            metrics.replaced,
            metrics.dropped_at_end,
            metrics.gaps,
        ]
    };
    let mut page = stalled(&hub, "ada", "newest").await;
    for n in 0..7 {
        hub.broadcast("newest", "said", &n).unwrap();
    }
    assert_eq!(drops(&hub.metrics()), [3, 0, 0, 0, 0, 0]);
    page.resume();
    settle().await;
    // Told once.
    assert_eq!(drops(&hub.metrics()), [3, 0, 0, 0, 0, 1]);
    page.cut();

    let mut page = stalled(&hub, "ada", "oldest").await;
    for n in 0..7 {
        hub.broadcast("oldest", "said", &n).unwrap();
    }
    assert_eq!(drops(&hub.metrics()), [3, 3, 0, 0, 0, 1]);
    hub.to("oldest").volatile().send("said", &1).unwrap();
    assert_eq!(drops(&hub.metrics()), [3, 3, 1, 0, 0, 1]);
    page.resume();
    settle().await;
    assert_eq!(drops(&hub.metrics()), [3, 3, 1, 0, 0, 2]);
    page.stall();
    hub.broadcast("oldest", "said", &0).unwrap();
    settle().await;
    for n in 0..3 {
        hub.to("oldest").keyed("a").send("said", &n).unwrap();
    }
    hub.to("oldest").keyed("b").send("said", &0).unwrap();
    assert_eq!(drops(&hub.metrics()), [3, 3, 1, 2, 0, 2]);
    // What it was sent, and the two keys.
    page.cut();
    settle().await;
    assert_eq!(drops(&hub.metrics()), [3, 3, 1, 2, 3, 2]);
}

/// What is dropped with a connection counts, and what is written before its end does not.
#[tokio::test(start_paused = true)]
async fn ends_drop_what_waits() {
    let hub = hub(Limits::default().queue(300 << 10, 4));
    let mut page = stalled(&hub, "ada", "room:1").await;
    for n in 0..5 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    settle().await;
    let metrics = hub.metrics();
    assert_eq!((metrics.dropped_at_end, &metrics.closes), (5, &[(4008, 1)].into()));
    page.resume();

    let mut page = stalled(&hub, "ada", "room:1").await;
    for n in 0..3 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    hub.conn(page.conn()).close(Close::kicked());
    sleep(SECOND / 2).await;
    page.resume();
    settle().await;
    assert_eq!(hub.metrics().dropped_at_end, 5);

    // It has a second.
    let page = stalled(&hub, "ada", "room:1").await;
    for n in 0..3 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    hub.conn(page.conn()).close(Close::kicked());
    sleep(2 * SECOND).await;
    // With the end of the session.
    assert_eq!(hub.metrics().dropped_at_end, 5 + 4);
}

/// Memory that is spent is counted with what it costs.
#[tokio::test(start_paused = true)]
async fn want_of_memory_counts() {
    let hub = hub(Limits::default().memory(300 << 10));
    let page = stalled(&hub, "ada", "room:1").await;
    let payload = "x".repeat(100 << 10);
    for _ in 0..3 {
        hub.conn(page.conn()).push("room:1", "said", &payload).unwrap();
    }
    settle().await;
    let metrics = hub.metrics();
    assert_eq!((metrics.dropped_at_end, &metrics.closes), (4, &[(1013, 1)].into()));
    assert_eq!(metrics.held_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn questions_count_by_their_results() {
    let hub = Hub::builder().channel("room", Open).limits(Limits::default().asks(1)).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &()).await.unwrap();
    let conn = hub.conn(page.conn());
    let ask = || {
        let conn = conn.clone();
        tokio::spawn(async move { conn.ask::<u32>("room", "pick", &1, SECOND / 2).await })
    };
    for (answer, count) in [(Ok(json!(2)), 1), (Ok(json!("two")), 1), (Err(json!("no")), 1)] {
        page.answer("pick", move |_| answer.clone());
        let asked = ask();
        page.linger().await;
        drop(asked.await.unwrap());
        let metrics = hub.metrics();
        let counted = [metrics.asks_ok, metrics.asks_bad, metrics.asks_refused];
        assert_eq!(counted.iter().max(), Some(&count));
    }
    let late = ask();
    settle().await;
    assert!(matches!(ask().await.unwrap(), Err(AskError::TooMany)));
    assert!(matches!(late.await.unwrap(), Err(AskError::TimedOut)));
    assert!(matches!(conn.ask::<u32>("room", "$no", &1, SECOND).await, Err(AskError::Payload(_))));
    let gone = ask();
    settle().await;
    conn.leave("room");
    assert!(matches!(gone.await.unwrap(), Err(AskError::Gone)));
    assert!(matches!(ask().await.unwrap(), Err(AskError::Gone)));
    let metrics = hub.metrics();
    assert_eq!((metrics.asks_ok, metrics.asks_bad, metrics.asks_refused), (1, 2, 1));
    assert_eq!((metrics.asks_timed_out, metrics.asks_too_many, metrics.asks_gone), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn crashes_count() {
    let hub = hub(Limits::default());
    let mut page = hub.test_page(Identity::anonymous());
    for (event, after) in [("panic", 0), ("hang", 30)] {
        page.join("room:1", &0).await.unwrap();
        page.cast("room:1", event, &1);
        sleep(Duration::from_secs(after)).await;
        page.expect("room:1", "phx_error").await;
    }
    // At their ends.
    for event in ["panic at the end", "hang at the end", "slow at the end"] {
        page.join("room:1", &0).await.unwrap();
        page.push("room:1", event, &1).await.unwrap();
        page.leave("room:1").await;
        sleep(31 * SECOND).await;
    }
    assert_eq!((hub.metrics().crashes, hub.metrics().joins_ok), (4, 5));
}

/// For as long as a client is not read.
#[tokio::test(start_paused = true)]
async fn floods_are_timed() {
    let hub = hub(Limits::default().messages(10, 10));
    let mut page = hub.test_page(Identity::anonymous());
    let start = Instant::now();
    page.join("room:1", &0).await.unwrap();
    for _ in 0..9 {
        page.cast("room:1", "echo", &1);
    }
    settle().await;
    let waits = Duration::from_millis(100);
    assert!(hub.metrics().throttled <= waits);
    for _ in 0..30 {
        page.cast("room:1", "echo", &1);
    }
    sleep(10 * SECOND).await;
    // The last one leaves it waiting, too: for each beyond the first ten a tenth of a second, and one more.
    let throttled = hub.metrics().throttled;
    assert!(throttled <= 31 * waits && throttled + Duration::from_millis(2) >= 30 * waits, "{throttled:?}");
    assert!(start.elapsed() >= throttled);
}

/// A broadcast takes until the last of its queues has handed it over.
#[tokio::test(start_paused = true)]
async fn deliveries_are_timed() {
    let hub = hub(Limits::default());
    let (mut slow, mut other) = (hub.test_page(Identity::anonymous()), hub.test_page(Identity::anonymous()));
    for page in [&mut slow, &mut other] {
        page.join("room:1", &0).await.unwrap();
    }
    let took = |hub: &Hub| {
        let histogram = hub.metrics().delivery;
        let counts: Vec<_> = histogram.buckets().collect();
        let steps = counts.windows(2).filter(|pair| pair[0].1 < pair[1].1).map(|pair| pair[1].0);
        (histogram.count(), histogram.sum(), steps.collect::<Vec<_>>())
    };
    // Not of a broadcast, nor sent to anybody.
    hub.conn(slow.conn()).push("room:1", "said", &1).unwrap();
    hub.to("room:1").only([]).send("said", &1).unwrap();
    settle().await;
    assert_eq!(took(&hub).0, 0);
    hub.broadcast("room:1", "said", &1).unwrap();
    settle().await;
    // The clock stood still.
    assert_eq!((took(&hub).0, took(&hub).1), (1, Duration::ZERO));
    assert_eq!(hub.metrics().delivery.buckets().next(), Some((Duration::from_micros(1), 1)));

    slow.stall();
    let bound = |power: u32| Duration::from_micros(1 << power);
    for (wait, power) in [(1_024, 20), (3, 12), (64, 16)] {
        let (count, sum, _) = took(&hub);
        let wait = Duration::from_millis(wait);
        hub.broadcast("room:1", "said", &1).unwrap();
        sleep(wait).await;
        assert_eq!(took(&hub).0, count);
        slow.resume();
        settle().await;
        slow.stall();
        let (after, total, steps) = took(&hub);
        assert_eq!((after, total), (count + 1, sum + wait));
        assert!(steps.contains(&bound(power)), "{wait:?} {steps:?}");
    }
    // What nobody has taken in the end does not count, nor does what has been replaced.
    let (count, sum, _) = took(&hub);
    hub.broadcast("room:1", "said", &1).unwrap();
    settle().await;
    hub.to("room:1").keyed("a").send("said", &1).unwrap();
    settle().await;
    hub.to("room:1").keyed("a").send("said", &2).unwrap();
    sleep(SECOND).await;
    slow.cut();
    settle().await;
    assert_eq!((took(&hub).0, took(&hub).1), (count, sum));
    // Longer than all bounds.
    other.stall();
    hub.broadcast("room:1", "said", &1).unwrap();
    sleep(9 * SECOND).await;
    other.resume();
    settle().await;
    let histogram = hub.metrics().delivery;
    assert_eq!(histogram.count(), count + 1);
    assert_eq!(histogram.buckets().last(), Some((bound(23), count)));
    let lines: Vec<_> = hub.metrics().samples().map(|sample| sample.to_string()).collect();
    assert!(lines.contains(&format!("delivery_seconds_bucket{{le=\"8.388608\"}} {count}")), "{lines:?}");
    assert!(lines.contains(&format!("delivery_seconds_bucket{{le=\"+Inf\"}} {}", count + 1)));
    assert!(lines.contains(&"delivery_seconds_bucket{le=\"0.000001\"} 1".to_owned()), "{lines:?}");
}

/// However threads meet: who makes a broadcast may be done with it after the last of its queues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_timed_on_threads() {
    let hub = hub(Limits::default());
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &0).await.unwrap();
    for n in 0..2_000 {
        hub.broadcast("room:1", "said", &n).unwrap();
        let said = awaited(&mut page).await.unwrap();
        assert_eq!(said.as_text(), Some(&*format!(r#"[null,null,"room:1","said",{n}]"#)));
    }
    until(|| hub.metrics().delivery.count() == 2_000).await;
}

/// The same of what sessions have their say in, and let pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_by_way_of_sessions_are_timed_on_threads() {
    let options = TopicOptions::new().intercept(["said"]);
    let hub = Hub::builder().channel_with("room", options, Open).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &0).await.unwrap();
    for _ in 0..10 {
        for n in 0..100 {
            hub.broadcast("room", "said", &n).unwrap();
        }
        hub.broadcast("room", "other", &0).unwrap();
        page.expect("room", "other").await;
    }
    let all = async {
        while hub.metrics().delivery.count() < 10 * 101 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(10 * SECOND, all).await.unwrap();
}

/// No two samples have one name and label.
#[tokio::test(start_paused = true)]
async fn samples_have_names() {
    let hub = Hub::builder().authenticate(async |_| Err(Denied::FORBIDDEN)).build().unwrap();
    hub.test_page(Identity::anonymous()).send_message("no frame");
    assert_eq!(hub.test_connect(&Connect::new()).await.err(), Some(403));
    settle().await;
    let metrics = hub.metrics();
    let mut names: Vec<_> = metrics.samples().map(|sample| (sample.name, sample.label)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(names.contains(&("closes_total", Some(("code", "1008".into())))));
    assert!(names.contains(&("refusals_total", Some(("status", "403".into())))));
    let gauges = gauges(&metrics).map(|(name, _)| name);
    let only_grows =
        |name: &str| ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end));
    let others: Vec<_> =
        metrics.samples().map(|sample| sample.name).filter(|name| !only_grows(name)).collect();
    assert_eq!(others, gauges);
}

/// Somebody is told of a client that does not read, each second, and in the end no more.
#[tokio::test(start_paused = true)]
async fn slow_clients_are_told_of() {
    let hub = hub(Limits::default());
    let told = Arc::new(Mutex::new(Vec::<Slow>::new()));
    hub.on_slow(|_| panic!("another is told"));
    let listener = told.clone();
    hub.on_slow(move |slow| listener.lock().unwrap().push(slow.clone()));
    let take = || std::mem::take(&mut *told.lock().unwrap());
    let mut page = hub.test_page(Identity::user("ada"));
    page.join("room:1", &0).await.unwrap();
    page.stall();
    // It has nothing to read.
    sleep(5 * SECOND).await;
    assert!(take().is_empty());
    hub.broadcast("room:1", "said", &1).unwrap();
    settle().await;
    hub.broadcast("room:1", "said", &2).unwrap();
    sleep(Duration::from_millis(998)).await;
    assert_eq!((take(), hub.metrics().slow_connections), (Vec::new(), 0));
    sleep(Duration::from_millis(2)).await;
    let [slow] = &take()[..] else { panic!("it is told once") };
    assert_eq!((slow.conn, slow.user.as_deref(), slow.waited), (page.conn(), Some("ada"), SECOND));
    assert_eq!((slow.frames, slow.queued, slow.others), (1, r#"[null,null,"room:1","said",2]"#.len(), 0));
    assert_eq!(hub.metrics().slow_connections, 1);
    let text = slow.to_string();
    assert!(text.contains("ada") && text.contains("1.0s"), "{text}");
    sleep(3 * SECOND).await;
    let waited: Vec<_> = take().iter().map(|slow| slow.waited.as_secs()).collect();
    assert_eq!(waited, [2, 3, 4]);
    page.resume();
    sleep(5 * SECOND).await;
    assert_eq!((take(), hub.metrics().slow_connections), (Vec::new(), 0));
    // Who is lost or closed is slow no more.
    page.stall();
    hub.broadcast("room:1", "said", &3).unwrap();
    sleep(SECOND).await;
    settle().await;
    assert_eq!(take().len(), 1);
    hub.conn(page.conn()).close(Close::kicked());
    sleep(5 * SECOND).await;
    assert_eq!((take(), hub.metrics().slow_connections), (Vec::new(), 0));
}

/// What waits for sessions does not make a client slow, nor how old it is what a client is sent that joins.
#[tokio::test(start_paused = true)]
async fn clients_are_slow_from_when_something_waits_for_them() {
    let waiting = Events::new().on("wait", async |_, _| {
        sleep(10 * SECOND).await;
        Ok(Reply::ok())
    });
    let options = TopicOptions::new().history(10, 600 * SECOND).latest(10).intercept(["said"]);
    let hub = Hub::builder().channel_with("log", options, waiting).channel("room", Open).build().unwrap();
    let told = Arc::new(Mutex::new(Vec::<Slow>::new()));
    let listener = told.clone();
    hub.on_slow(move |slow| listener.lock().unwrap().push(slow.clone()));
    let waited =
        || std::mem::take(&mut *told.lock().unwrap()).iter().map(|slow| slow.waited).collect::<Vec<_>>();
    let mut first = hub.test_page(Identity::anonymous());
    first.join("log", &()).await.unwrap();
    hub.broadcast("log", "told", &1).unwrap();
    sleep(60 * SECOND).await;
    // What it is sent is a minute old.
    let mut page = hub.test_page(Identity::anonymous());
    page.stall();
    page.send_message(r#"["1","1","log","phx_join",{}]"#);
    sleep(SECOND + Duration::from_millis(500)).await;
    assert_eq!(waited(), [SECOND]);
    page.resume();
    settle().await;
    // Its session lets a message wait; then the client does, for something else.
    page.cast("log", "wait", &());
    settle().await;
    hub.broadcast("log", "said", &2).unwrap();
    sleep(5 * SECOND).await;
    page.stall();
    page.send_message(r#"["2","2","room","phx_join",{}]"#);
    sleep(SECOND + Duration::from_millis(500)).await;
    assert_eq!(waited(), [SECOND]);
}

/// However many they are, one is told of each second: each in its turn. A listener that panics changes nothing.
#[tokio::test(start_paused = true)]
async fn many_slow_clients_are_told_of_in_turn() {
    let hub = hub(Limits::default());
    let told = Arc::new(Mutex::new(Vec::<Slow>::new()));
    let listener = told.clone();
    hub.on_slow(move |slow| {
        listener.lock().unwrap().push(slow.clone());
        panic!("as was asked for");
    });
    let mut pages = Vec::new();
    for n in 0..50 {
        let mut page = hub.test_page(Identity::user(n.to_string()));
        page.join("room:1", &0).await.unwrap();
        page.stall();
        pages.push(page);
    }
    hub.broadcast("room:1", "said", &1).unwrap();
    sleep(50 * SECOND + Duration::from_millis(10)).await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told.len(), 50);
    let mut users: Vec<_> = told.iter().map(|slow| slow.user.clone()).collect();
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 50);
    assert!(told[1..].iter().all(|slow| slow.others == 49));
    assert_eq!(hub.metrics().slow_connections, 50);
    assert_eq!(hub.connections().len(), 50);
}

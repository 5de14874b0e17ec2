//! Hubs that are joined by a backplane: what is sent on one reaches members on all, once, in order, or is told to be lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sansocket::Message;
use sansocket_channels::backplane::{
    Backplane, BackplaneError, BoxFuture, MemoryBus, MemoryNode, NodeId, Sink, Told,
};
use sansocket_channels::test::Page;
use sansocket_channels::{
    AskError, Close, Cx, Drain, Events, Hub, Identity, Joined, Limits, Open, Payload, PublishError, Refusal,
    Relay, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::diary::Diary;

/// Longer than anything takes that is gathered, and less than a second.
pub const MOMENT: Duration = Duration::from_millis(300);

pub fn hub(bus: &MemoryBus) -> (Hub, MemoryNode) {
    hub_with(bus, TopicOptions::new())
}

pub fn hub_with(bus: &MemoryBus, options: TopicOptions) -> (Hub, MemoryNode) {
    let node = bus.node();
    let hub = Hub::builder()
        .channel_with("room:{id}", options, Relay)
        .channel("news", Open)
        .backplane(node.clone())
        .build();
    (hub.unwrap(), node)
}

pub async fn page(hub: &Hub, user: &str, topic: &str) -> Page {
    let mut page = hub.test_page(Identity::user(user));
    page.join(topic, &json!({})).await.unwrap();
    page
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_on_one_node_reaches_all_once() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut here = page(&one, "ada", "room:1").await;
    let mut there = page(&other, "bob", "room:1").await;

    let sent = one.broadcast("room:1", "said", &json!({ "n": 1 })).unwrap();
    assert_eq!(sent.local, 1);
    assert_eq!(here.expect_next("room:1", "said").await, json!({ "n": 1 }));
    assert_eq!(there.expect_next("room:1", "said").await, json!({ "n": 1 }));

    // From where nobody is.
    let (third, _) = hub(&bus);
    sleep(MOMENT).await;
    assert_eq!(third.to("room:1").send_binary("snow", vec![1, 2, 3]).unwrap().local, 0);
    assert_eq!(here.expect_binary("room:1", "snow").await, [1, 2, 3][..]);
    assert_eq!(there.expect_binary("room:1", "snow").await, [1, 2, 3][..]);

    third.to_topics(["room:1", "news", "room:2"]).send("said", &2).unwrap();
    assert_eq!(here.expect_next("room:1", "said").await, 2);
    assert_eq!(there.expect_next("room:1", "said").await, 2);
    here.expect_nothing().await;
    there.expect_nothing().await;

    assert_eq!(other.metrics().nodes, 2);
    assert!(other.metrics().backplane_received > 0);
    assert_eq!(other.metrics().backplane_ignored, 0);
}

#[test]
fn a_hub_may_be_built_where_there_is_no_runtime() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    assert!(matches!(
        one.broadcast("room:1", "said", &1),
        Err(PublishError::Backplane(BackplaneError::Down))
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut there = page(&other, "bob", "room:1").await;
        sleep(MOMENT).await;
        // It begins with this.
        one.broadcast("room:1", "said", &2).ok();
        sleep(MOMENT).await;
        one.broadcast("room:1", "said", &3).unwrap();
        assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
        assert_eq!(there.expect_next("room:1", "said").await, 3);
    });
}

#[tokio::test(start_paused = true)]
async fn whoever_is_meant_is_meant_on_all_nodes() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut ada = page(&one, "ada", "room:1").await;
    let mut bob = page(&other, "bob", "room:1").await;
    let mut eve = page(&other, "eve", "room:1").await;

    one.to("room:1").except(bob.conn()).send("said", &1).unwrap();
    assert_eq!(ada.expect_next("room:1", "said").await, 1);
    assert_eq!(eve.expect_next("room:1", "said").await, 1);
    bob.expect_nothing().await;

    one.to("room:1").except_user("eve").send("said", &2).unwrap();
    assert_eq!(ada.expect_next("room:1", "said").await, 2);
    assert_eq!(bob.expect_next("room:1", "said").await, 2);
    eve.expect_nothing().await;

    one.to("room:1").only([eve.conn()]).send("said", &3).unwrap();
    assert_eq!(eve.expect_next("room:1", "said").await, 3);
    ada.expect_nothing().await;
    bob.expect_nothing().await;

    one.to("room:1").local().send("said", &4).unwrap();
    assert_eq!(ada.expect_next("room:1", "said").await, 4);
    bob.expect_nothing().await;

    // What a member pushes goes to the others, wherever they are.
    bob.push("room:1", "said", &5).await.unwrap();
    assert_eq!(ada.expect_next("room:1", "said").await, 5);
    assert_eq!(eve.expect_next("room:1", "said").await, 5);
    bob.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_pattern_matches_topics_of_all_nodes() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut here = page(&one, "ada", "room:1").await;
    let mut there = page(&other, "bob", "room:2").await;
    let mut aside = page(&other, "eve", "news").await;
    let sent = one.to_pattern("room:{id}").send("said", &1).unwrap();
    assert_eq!(sent.local, 1);
    assert_eq!(here.expect_next("room:1", "said").await, 1);
    assert_eq!(there.expect_next("room:2", "said").await, 1);
    aside.expect_nothing().await;
    assert!(matches!(one.to_pattern("room:{}").send("said", &1), Err(PublishError::Topic)));
}

#[tokio::test(start_paused = true)]
async fn volatile_and_keyed_messages_are_so_on_all_nodes() {
    let bus = MemoryBus::new();
    let limits = Limits::default();
    let (one, _) = hub(&bus);
    let node = bus.node();
    let other = Hub::builder().channel("room:{id}", Open).limits(limits.volatile(1)).backplane(node).build();
    let other = other.unwrap();
    let mut there = page(&other, "bob", "room:1").await;
    there.stall();
    one.to("room:1").keyed("a").send("cursor", &1).unwrap();
    one.to("room:1").keyed("b").send("cursor", &2).unwrap();
    one.to("room:1").volatile().send("typing", &3).unwrap();
    one.to("room:1").keyed("a").send("cursor", &4).unwrap();
    sleep(MOMENT).await;
    there.resume();
    // The first may have been taken by the transport before the page stalled, or not: it waits in the queue.
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(there.expect_next("room:1", "cursor").await);
    }
    assert_eq!(seen, [json!(4), json!(2)]);
    there.expect_nothing().await;
    assert_eq!(other.metrics().dropped_volatile, 1);
    assert_eq!(other.metrics().replaced, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_before_what_follows() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    let mut stock = page(&other, "eve", "room:1").await.stock();
    stock.join("room:1", &json!({})).await.unwrap();

    one.broadcast("room:1", "said", &1).unwrap();
    sleep(MOMENT).await;
    bus.lose(1);
    one.broadcast("room:1", "said", &2).unwrap();
    bus.lose(0);
    one.broadcast("room:1", "said", &3).unwrap();
    for page in [&mut there, &mut stock] {
        assert_eq!(page.expect_next("room:1", "said").await, 1);
        assert_eq!(page.expect_next("room:1", "$gap").await, json!({}));
        assert_eq!(page.expect_next("room:1", "said").await, 3);
        page.expect_nothing().await;
    }
    assert_eq!(other.metrics().backplane_lost, 1);

    // Nothing is missing of what may be dropped.
    bus.lose(1);
    one.to("room:1").volatile().send("typing", &4).unwrap();
    bus.lose(0);
    one.broadcast("room:1", "said", &5).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 5);
}

#[tokio::test(start_paused = true)]
async fn that_the_last_is_missing_is_told_when_nothing_follows() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
    bus.lose(1);
    one.broadcast("room:1", "said", &2).unwrap();
    bus.lose(0);
    sleep(Duration::from_secs(4)).await;
    there.expect_nothing().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
    // It is told once.
    sleep(Duration::from_secs(30)).await;
    there.expect_nothing().await;
}

/// However much is sent to others meanwhile.
#[tokio::test(start_paused = true)]
async fn that_the_last_is_missing_is_told_in_time() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    let busy = tokio::spawn({
        let one = one.clone();
        async move {
            for n in 0.. {
                one.broadcast(&format!("room:busy {}", n % 3), "said", &n).unwrap();
                sleep(Duration::from_millis(300)).await;
            }
        }
    });
    for n in 0..30 {
        one.broadcast("room:1", "said", &0).unwrap();
        sleep(Duration::from_millis(370)).await;
        bus.lose(1);
        one.broadcast("room:1", "said", &1).unwrap();
        bus.lose(0);
        sleep(Duration::from_secs(7)).await;
        assert_eq!(other.metrics().backplane_lost, n + 1);
        assert_eq!(there.expect_next("room:1", "said").await, 0);
        assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
    }
    busy.abort();
}

/// What tells of it may be lost with it, where a connection has failed and nobody has noticed yet.
#[tokio::test(start_paused = true)]
async fn that_the_last_is_missing_is_told_once_a_connection_is_back() {
    let bus = MemoryBus::new();
    let (one, node) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
    for failed in [8, 20] {
        bus.lose(1);
        one.broadcast("room:1", "said", &2).unwrap();
        sleep(Duration::from_secs(failed)).await;
        bus.lose(0);
        node.cut();
        sleep(Duration::from_secs(1)).await;
        node.mend();
        sleep(Duration::from_secs(2)).await;
        assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
        sleep(Duration::from_secs(30)).await;
        there.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn that_all_of_a_pattern_is_missing_is_told_to_all() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    let mut aside = page(&other, "eve", "news").await;
    one.to_pattern("room:{id}").send("said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
    bus.lose(1);
    one.to_pattern("room:{id}").send("said", &2).unwrap();
    bus.lose(0);
    one.to_pattern("room:{id}").send("said", &3).unwrap();
    assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
    assert_eq!(there.expect_next("room:1", "said").await, 3);
    assert_eq!(aside.expect_next("news", "$gap").await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_is_not_delivered_out_of_order() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
    bus.delay(Duration::from_millis(1));
    one.broadcast("room:1", "said", &2).unwrap();
    bus.reorder(1);
    one.broadcast("room:1", "said", &3).unwrap();
    bus.reorder(0);
    assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
    assert_eq!(there.expect_next("room:1", "said").await, 3);
    there.expect_nothing().await;
    assert_eq!(other.metrics().backplane_stale, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_members_here_are_sent_all_and_the_others_are_told() {
    let bus = MemoryBus::new();
    let (one, end) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut here = page(&one, "ada", "room:1").await;
    let mut there = page(&other, "bob", "room:1").await;
    sleep(MOMENT).await;
    end.cut();
    assert_eq!(one.metrics().backplane_down, 1);
    let failed = one.broadcast("room:1", "said", &1);
    assert!(matches!(failed, Err(PublishError::Backplane(BackplaneError::Down))));
    assert_eq!(here.expect_next("room:1", "said").await, 1);
    // Who pushes is told that not all have it.
    let mut third = page(&one, "eve", "room:1").await;
    assert_eq!(third.push("room:1", "said", &2).await, Err(json!({ "reason": "backplane" })));
    assert_eq!(here.expect_next("room:1", "said").await, 2);
    other.broadcast("room:1", "said", &3).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 3);

    end.mend();
    assert_eq!(one.metrics().backplane_down, 0);
    assert_eq!(one.metrics().backplane_downs, 1);
    assert_eq!(here.expect_next("room:1", "$gap").await, json!({}));
    assert_eq!(third.expect_next("room:1", "$gap").await, json!({}));
    one.broadcast("room:1", "said", &4).unwrap();
    assert_eq!(here.expect_next("room:1", "said").await, 4);
    // Two have not come there.
    assert_eq!(there.expect_next("room:1", "$gap").await, json!({}));
    assert_eq!(there.expect_next("room:1", "said").await, 4);
    other.broadcast("room:1", "said", &5).unwrap();
    assert_eq!(here.expect_next("room:1", "said").await, 5);
    assert_eq!(there.expect_next("room:1", "said").await, 5);
    here.expect_nothing().await;
    there.expect_nothing().await;
}

/// A page that is to come back is told nothing behind the refusal.
#[tokio::test(start_paused = true)]
async fn a_join_that_sends_is_refused_for_now_while_that_cannot_be_sent_and_for_good_if_it_never_can() {
    let bus = MemoryBus::new();
    let (node, elsewhere) = (bus.node(), Hub::builder().build().unwrap());
    elsewhere.drain(Drain::default()).await;
    let join = move |cx: Cx, params: Payload| {
        let elsewhere = elsewhere.clone();
        async move {
            match params.parse::<String>()?.as_str() {
                "elsewhere" => elsewhere.broadcast("log", "joined", &1)?,
                event => cx.broadcast(event, &1)?,
            };
            Ok::<_, Refusal>(Joined::new(()))
        }
    };
    let hub = Hub::builder()
        .channel("room:{id}", Events::new().on_join(join))
        .backplane(node.clone())
        .build()
        .unwrap();
    let mut page = hub.test_page(Identity::user("ada"));
    sleep(MOMENT).await;
    node.cut();
    let for_good = r#"["3","3","room:1","phx_close",{}]"#;
    for (event, reason, end) in [
        ("joined", "backplane", None),
        ("elsewhere", "busy", None),
        ("$joined", "reserved event", Some(for_good)),
    ] {
        assert_eq!(page.join("room:1", &event).await, Err(json!({ "reason": reason })));
        assert_eq!(page.next_message().await.as_ref().and_then(Message::as_text), end, "{event}");
    }
    node.mend();
    page.join("room:1", &"joined").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_it_has_lost_is_told() {
    let bus = MemoryBus::new();
    let (one, end) = hub(&bus);
    let mut here = page(&one, "ada", "room:1").await;
    let mut aside = page(&one, "bob", "news").await;
    end.tell(Told::Lost(Some("room:1")));
    end.tell(Told::Lost(Some("room:2")));
    assert_eq!(here.expect_next("room:1", "$gap").await, json!({}));
    aside.expect_nothing().await;
    end.overflow();
    assert_eq!(here.expect_next("room:1", "$gap").await, json!({}));
    assert_eq!(aside.expect_next("news", "$gap").await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn who_has_joined_hears_of_all_that_is_sent_then() {
    for seed in 0..50 {
        let bus = MemoryBus::new().seed(seed);
        let (one, _) = hub(&bus);
        let (other, _) = hub(&bus);
        sleep(MOMENT).await;
        bus.delay(Duration::from_millis(500));
        let mut there = page(&other, "bob", "room:1").await;
        one.broadcast("room:1", "said", &seed).unwrap();
        assert_eq!(there.expect_next("room:1", "said").await, seed);
    }
}

/// A connection begins without what is wanted meanwhile.
#[tokio::test(start_paused = true)]
async fn who_joins_while_a_connection_begins_hears_of_all_that_is_sent_then() {
    for seed in 0..50 {
        let bus = MemoryBus::new().seed(seed);
        let (one, _) = hub(&bus);
        let (other, end) = hub(&bus);
        sleep(MOMENT).await;
        bus.delay(Duration::from_millis(500));
        let begin = async {
            sleep(Duration::from_millis(1)).await;
            end.cut();
            end.mend();
        };
        let (mut there, ()) = tokio::join!(page(&other, "bob", "room:1"), begin);
        one.broadcast("room:1", "said", &seed).unwrap();
        assert_eq!(there.expect_next("room:1", "said").await, seed);
    }
}

/// Says a second late that the first subscription to a room has failed with its connection.
struct Late {
    node: MemoryNode,
    has_failed: AtomicBool,
}

impl Backplane for Late {
    passes_on!(start unsubscribe publish control);

    fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>> {
        Box::pin(async move {
            if topic == "room:1" && !self.has_failed.swap(true, Ordering::Relaxed) {
                sleep(Duration::from_secs(1)).await;
                return Err(BackplaneError::Down);
            }
            self.node.subscribe(topic).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_when_there_is_another_connection_is_made_anew() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let end = bus.node();
    let late = Late { node: end.clone(), has_failed: AtomicBool::new(false) };
    let other = Hub::builder().channel("room:{id}", Relay).backplane(late).build().unwrap();
    sleep(MOMENT).await;
    let since = Instant::now();
    let begin = async {
        sleep(Duration::from_millis(500)).await;
        end.cut();
        end.mend();
    };
    let (mut there, ()) = tokio::join!(page(&other, "bob", "room:1"), begin);
    assert_eq!(since.elapsed(), Duration::from_secs(1));
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_could_not_wait_for_that_is_told() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    sleep(MOMENT).await;
    bus.delay(Duration::from_secs(1_000));
    let since = Instant::now();
    let mut here = page(&one, "ada", "room:1").await;
    assert_eq!(since.elapsed(), Duration::from_secs(2));
    bus.delay(Duration::ZERO);
    sleep(Duration::from_secs(1_000)).await;
    assert_eq!(here.expect_next("room:1", "$gap").await, json!({}));
    here.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_heard_of_until_a_while_after_its_last_member() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let mut here = page(&one, "ada", "room:1").await;
    // And of what goes to all topics.
    assert_eq!(one.metrics().subscriptions, 2);
    here.leave("room:1").await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(one.metrics().subscriptions, 2);
    here.join("room:1", &json!({})).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(one.metrics().subscriptions, 2);
    here.cut();
    sleep(Duration::from_secs(7)).await;
    assert_eq!(one.metrics().subscriptions, 1);
    here.reconnect().await;
    let (other, _) = hub(&bus);
    sleep(MOMENT).await;
    other.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(here.expect("room:1", "said").await, 1);
}

#[tokio::test(start_paused = true)]
async fn connections_and_users_of_other_nodes_are_within_reach() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut ada = page(&one, "ada", "room:1").await;
    let mut bob = page(&other, "bob", "room:1").await;
    let mut again = page(&one, "bob", "room:1").await;

    let sent = one.conn(bob.conn()).push("room:1", "hint", &1).unwrap();
    assert_eq!(sent.local, 0);
    assert_eq!(bob.expect_next("room:1", "hint").await, 1);
    assert_eq!(one.user("bob").push("room:1", "hint", &2).unwrap().local, 1);
    assert_eq!(bob.expect_next("room:1", "hint").await, 2);
    assert_eq!(again.expect_next("room:1", "hint").await, 2);
    ada.expect_nothing().await;
    assert!(one.conn(bob.conn()).info().is_none());

    one.conn(bob.conn()).leave("room:1");
    bob.expect_next("room:1", "phx_close").await;
    bob.join("room:1", &json!({})).await.unwrap();
    one.user("bob").leave("room:1");
    bob.expect_next("room:1", "phx_close").await;
    again.expect_next("room:1", "phx_close").await;

    one.user("bob").close(Close::kicked());
    assert_eq!(bob.closed().await, Close::kicked());
    assert_eq!(again.closed().await, Close::kicked());
    let close = Close::retry(4002, "elsewhere").unwrap();
    other.conn(ada.conn()).close(close.clone());
    assert_eq!(ada.closed().await, close);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_node_is_asked() {
    let bus = MemoryBus::new();
    let (one, end) = hub(&bus);
    let (other, _) = hub(&bus);
    let mut bob = page(&other, "bob", "room:1").await;
    sleep(MOMENT).await;
    bob.answer("pick", |of| if of == json!("no") { Err(json!("not that")) } else { Ok(json!([of])) });
    let conn = one.conn(bob.conn());
    let ask = async |question: &str, within| conn.ask::<Value>("room:1", "pick", &question, within).await;
    let second = Duration::from_secs(1);
    let (answer, ()) = tokio::join!(ask("a", second), bob.linger());
    assert_eq!(answer.unwrap(), json!(["a"]));
    let (answer, ()) = tokio::join!(ask("no", second), bob.linger());
    assert!(matches!(answer, Err(AskError::Refused(why)) if why == json!("not that")));
    // It is asked nothing while it does not look.
    let since = Instant::now();
    assert!(matches!(ask("a", second).await, Err(AskError::TimedOut)));
    assert_eq!(since.elapsed(), second);
    let gone = conn.ask::<Value>("room:2", "pick", &1, second).await;
    assert!(matches!(gone, Err(AskError::Gone)));
    let reserved = conn.ask::<Value>("room:1", "$pick", &1, second).await;
    assert!(matches!(reserved, Err(AskError::Payload(_))));
    assert_eq!(one.metrics().asks_ok, 1);
    assert_eq!(one.metrics().asks_gone, 1);

    end.cut();
    let unsent = ask("a", second).await;
    assert!(matches!(unsent, Err(AskError::Backplane(BackplaneError::Down))));
    end.mend();
    // A node that is gone is not waited for.
    drop((bob, other));
    sleep(Duration::from_secs(60)).await;
    assert!(matches!(ask("a", Duration::from_secs(60)).await, Err(AskError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_while_it_is_asked_is_gone() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, end) = hub(&bus);
    let bob = page(&other, "bob", "room:1").await;
    sleep(MOMENT).await;
    let since = Instant::now();
    end.cut();
    let gone = one.conn(bob.conn()).ask::<Value>("room:1", "pick", &1, Duration::from_secs(60)).await;
    assert!(matches!(gone, Err(AskError::Gone)), "{gone:?}");
    assert!(since.elapsed() <= Duration::from_secs(46));
    assert_eq!(one.metrics().nodes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_its_say_in_what_comes_from_other_nodes() {
    use sansocket_channels::{Channel, Cx, Joined, Outgoing, Payload, Refusal, Session};
    struct Odd;
    struct OddSession;
    impl Channel for Odd {
        type Session = OddSession;
        async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<OddSession>, Refusal> {
            Ok(Joined::new(OddSession))
        }
    }
    impl Session for OddSession {
        fn outgoing(&mut self, _: &Cx, _: &str, payload: &Payload) -> Outgoing {
            match payload.parse::<u64>() {
                Ok(n) if n % 2 == 1 => Outgoing::Pass,
                _ => Outgoing::Skip,
            }
        }
    }
    let bus = MemoryBus::new();
    let options = TopicOptions::new().intercept(["n"]);
    let build = || {
        let builder = Hub::builder().channel_with("odd", options.clone(), Odd);
        builder.backplane(bus.node()).build().unwrap()
    };
    let (one, other) = (build(), build());
    let mut there = page(&other, "bob", "odd").await;
    for n in 1..=4 {
        one.broadcast("odd", "n", &n).unwrap();
    }
    assert_eq!(there.expect_next("odd", "n").await, 1);
    assert_eq!(there.expect_next("odd", "n").await, 3);
    there.expect_nothing().await;
}

/// What a backplane of these tests leaves to its `node`.
macro_rules! passes_on {
    ($($method:ident)+) => {
        $(passes_on!(@$method);)+
    };
    (@start) => {
        fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>> {
            self.node.start(node, sink)
        }
    };
    (@subscribe) => {
        fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>> {
            self.node.subscribe(topic)
        }
    };
    (@unsubscribe) => {
        fn unsubscribe(&self, topic: &str) {
            self.node.unsubscribe(topic);
        }
    };
    (@publish) => {
        fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
            self.node.publish(topic, envelope)
        }
    };
    (@control) => {
        fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
            self.node.control(to, envelope)
        }
    };
    (@sequencer) => {
        fn sequencer(&self) -> Option<&dyn Sequencer> {
            self.node.sequencer()
        }
    };
}
pub(crate) use passes_on;

/// Keeps what is published, and what is sent to nodes.
#[derive(Clone)]
pub struct Tap {
    pub node: MemoryNode,
    pub envelopes: Arc<Mutex<Vec<Envelope>>>,
}

/// What was published to a topic, or sent to nodes.
pub type Envelope = (Option<String>, Bytes);

impl Backplane for Tap {
    passes_on!(start subscribe unsubscribe);

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.envelopes.lock().unwrap().push((Some(topic.to_owned()), envelope.clone()));
        self.node.publish(topic, envelope)
    }

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        self.envelopes.lock().unwrap().push((None, envelope.clone()));
        self.node.control(to, envelope)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_envelope_is_ignored_and_counted() {
    let bus = MemoryBus::new();
    let tap = Tap { node: bus.node(), envelopes: Arc::default() };
    let options = TopicOptions::new().presence();
    let one = Hub::builder().channel_with("room:{id}", options.clone(), Relay).backplane(tap.clone()).build();
    let one = one.unwrap();
    let (other, end) = hub_with(&bus, options);
    let mut ada = page(&one, "ada", "room:1").await;
    let bob = page(&other, "bob", "room:1").await;
    // One of each kind.
    one.to("room:1").keyed("k").except(ada.conn()).except_user("eve").send("said", &1).unwrap();
    one.to("room:1").only([bob.conn()]).send_binary("said", vec![1, 2]).unwrap();
    one.to_pattern("room:{id}").send("said", &2).unwrap();
    one.user("nobody").push("room:1", "said", &3).unwrap();
    one.user("nobody").leave("room:1");
    one.user("nobody").close(Close::kicked());
    let asked = one.conn(bob.conn()).ask::<Value>("room:1", "pick", &1, Duration::from_millis(1)).await;
    assert!(matches!(asked, Err(AskError::TimedOut)));
    sleep(Duration::from_secs(20)).await;
    ada.push("room:1", "said", &4).await.unwrap();
    one.drain(Drain::default()).await;
    // What it has sent is not forgotten yet.
    sleep(MOMENT).await;
    let envelopes = std::mem::take(&mut *tap.envelopes.lock().unwrap());
    assert!(envelopes.len() > 10);
    let before = other.metrics();
    let mut ignored = 0;
    let tell = |topic: &Option<String>, envelope: Bytes| match topic {
        Some(topic) => end.tell(Told::Message { topic, envelope }),
        None => end.tell(Told::Control(envelope)),
    };
    for (topic, envelope) in &envelopes {
        for len in 0..envelope.len() {
            let cut = envelope.slice(..len);
            // What ends in a payload of bytes is whole without its last: it has been heard before.
            let was = other.metrics();
            tell(topic, cut);
            let now = other.metrics();
            ignored += now.backplane_ignored - was.backplane_ignored;
            assert_eq!(now.deliveries, was.deliveries);
        }
        // What is longer is none either, but for what ends in bytes.
        let mut newer = envelope.to_vec();
        newer[0] += 1;
        tell(topic, newer.into());
        ignored += 1;
    }
    assert_eq!(other.metrics().backplane_ignored, before.backplane_ignored + ignored);
    assert!(ignored > 500);
    // With another byte they are none, or others.
    let before = other.metrics().backplane_ignored;
    for (topic, envelope) in &envelopes {
        for (at, bit) in (0..envelope.len()).flat_map(|at| [1, 0x20, 0x80].map(|bit| (at, bit))) {
            let mut changed = envelope.to_vec();
            changed[at] ^= bit;
            tell(topic, changed.into());
        }
    }
    sleep(MOMENT).await;
    assert!(other.metrics().backplane_ignored > before);
}

#[tokio::test(start_paused = true)]
async fn a_drained_hub_is_no_node_any_more() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, end) = hub(&bus);
    sleep(MOMENT).await;
    assert_eq!(one.metrics().nodes, 1);
    let gone = one.conn(page(&other, "eve", "room:1").await.conn());
    other.drain(Drain::default()).await;
    // Whatever it says behind that it ends.
    assert!(gone.ask::<Value>("room:1", "pick", &1, MOMENT).await.is_err());
    sleep(Duration::from_secs(7)).await;
    assert_eq!(one.metrics().nodes, 0);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(one.metrics().nodes, 0);
    // Nor to whoever begins now, or when it has a connection anew.
    let (third, _) = hub(&bus);
    end.cut();
    end.mend();
    sleep(MOMENT).await;
    assert_eq!(third.metrics().nodes, 1);
}

#[tokio::test(start_paused = true)]
async fn the_greatest_number_is_one() {
    let bus = MemoryBus::new();
    let tap = Tap { node: bus.node(), envelopes: Arc::default() };
    let one = Hub::builder().channel("room:{id}", Relay).backplane(tap.clone()).build().unwrap();
    let (other, end) = hub(&bus);
    let mut there = page(&other, "bob", "room:1").await;
    one.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(there.expect_next("room:1", "said").await, 1);
    let said = tap.envelopes.lock().unwrap().pop().unwrap().1;
    // Another series' greatest number, long after the one before.
    let greatest = Bytes::from([&said[..10], &[0xFF; 24], &said[34..]].concat());
    for _ in 0..2 {
        end.tell(Told::Message { topic: "room:1", envelope: greatest.clone() });
    }
    there.expect("room:1", "said").await;
    assert_eq!(other.metrics().backplane_ignored, 0);
}

#[tokio::test(start_paused = true)]
async fn users_may_have_long_names() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let (other, _) = hub(&bus);
    let long = "x".repeat(70_000);
    let mut ada = page(&other, &long, "room:1").await;
    let mut bob = page(&other, &long[..usize::from(u16::MAX)], "room:1").await;
    one.to("room:1").except_user(&long).send("said", &1).unwrap();
    assert_eq!(bob.expect_next("room:1", "said").await, 1);
    ada.expect_nothing().await;
    one.user(&long).close(Close::kicked());
    assert_eq!(ada.closed().await, Close::kicked());
    bob.expect_nothing().await;
    assert!(other.conn(bob.conn()).info().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_to_all_before_a_node_began_is_not_missing() {
    let bus = MemoryBus::new();
    let (one, _) = hub(&bus);
    let node = bus.node();
    // Without a runtime, it begins with its first connection.
    let build = || Hub::builder().channel("room:{id}", Relay).backplane(node).build().unwrap();
    let other = std::thread::spawn(build).join().unwrap();
    sleep(MOMENT).await;
    for n in 1..=3 {
        one.to_pattern("room:{id}").send("said", &n).unwrap();
    }
    sleep(MOMENT).await;
    let mut there = page(&other, "bob", "room:1").await;
    let gaps = other.metrics().gaps;
    one.to_pattern("room:{id}").send("said", &4).unwrap();
    assert_eq!(there.expect("room:1", "said").await, 4);
    assert_eq!(other.metrics().gaps, gaps);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_begun_is_told_of_its_end_though_a_broker_takes_its_time() {
    let bus = MemoryBus::new();
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).backplane(bus.node()).build().unwrap();
    sleep(MOMENT).await;
    bus.delay(Duration::from_secs(1_000));
    let mut here = hub.test_page(Identity::user("ada"));
    // What it says is not waited for.
    let joining = timeout(Duration::from_millis(100), here.join("room:1", &json!({}))).await;
    assert!(joining.is_err());
    assert_eq!(diary.take(), ["join room:1"]);
    here.cut();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(diary.take(), ["Lost"]);
    assert_eq!(hub.topics(), []);
}

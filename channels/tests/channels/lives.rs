//! How long topics live that keep something, and how much all of them may keep.

use std::time::Duration;

use sansocket_channels::{
    BuildError, Events, Hub, Identity, Joined, Limits, Open, Refusal, Relay, TopicOptions,
};
use serde_json::json;
use tokio::time::{Instant, advance, sleep, sleep_until};

use crate::history::{MINUTE, MOMENT, epoch, hub, hub_with, position, told_since};

/// A topic lives on without members for as long as it keeps something, and then another begins.
#[tokio::test(start_paused = true)]
async fn a_topic_outlives_its_members_for_a_while() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    assert_eq!(position(&hub, "room:1").unwrap().offset, 0);
    let e = epoch(&hub);
    page.cut();
    let begin = Instant::now();
    sleep(MINUTE / 2).await;
    hub.broadcast("room:1", "said", &2).unwrap();
    sleep_until(begin + MINUTE - MOMENT).await;
    assert_eq!(epoch(&hub), e);
    page.reconnect().await;
    assert_eq!(page.expect("room:1", "said").await, 2);
    // While there are members, it does not end.
    sleep(MINUTE * 3).await;
    hub.broadcast("room:1", "said", &3).unwrap();
    assert_eq!(page.expect("room:1", "said").await, 3);
    let begin = Instant::now();
    page.cut();
    sleep_until(begin + MINUTE - MOMENT).await;
    assert_eq!(hub.topics().len(), 1);
    sleep_until(begin + MINUTE + MOMENT).await;
    assert!(hub.topics().is_empty());
    hub.broadcast("room:1", "said", &4).unwrap();
    page.reconnect().await;
    let told = page.expect("room:1", "$gap").await;
    assert!(told["e"] != e && told["o"] == 1);
    assert_eq!(told["e"], epoch(&hub));
}

/// A topic that keeps something begins with what is sent to it by its name, before anybody has joined it, and lives on for that;
/// with nothing that is sent by a pattern, and with nothing that is not kept. There are no more than there may be.
#[tokio::test(start_paused = true)]
async fn a_topic_begins_with_what_it_is_sent() {
    let options = TopicOptions::new().history(10, MINUTE).latest(2);
    let builder = Hub::builder().channel_with("room:{id}", options, Open).channel("other", Open);
    let hub = builder.limits(Limits::default().topics(2)).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    hub.to_pattern("room:1").send("said", &0).unwrap();
    hub.broadcast("other", "said", &0).unwrap();
    hub.broadcast("none", "said", &0).unwrap();
    hub.to("room:1").volatile().send("said", &0).unwrap();
    hub.to("room:1").keyed("key").send("said", &0).unwrap();
    hub.to("room:1").only([page.conn()]).send("said", &0).unwrap();
    assert!(hub.topics().is_empty());
    let begin = Instant::now();
    for n in 1..=3 {
        hub.broadcast("room:1", "said", &n).unwrap();
        sleep(MINUTE / 2).await;
    }
    assert_eq!(position(&hub, "room:1").unwrap().offset, 3);
    page.join("room:1", &json!({})).await.unwrap();
    // The first is over.
    assert_eq!(page.expect("room:1", "said").await, 3);
    page.expect_nothing().await;
    page.leave("room:1").await;
    for topic in ["room:2", "room:3"] {
        advance(MOMENT).await;
        hub.to_topics([topic]).send("said", &1).unwrap();
    }
    assert!(position(&hub, "room:1").is_none() && hub.topics().len() == 2);
    sleep_until(begin + MINUTE * 4).await;
    assert!(hub.topics().is_empty());
}

/// What is sent by a pattern to a topic without members is kept, and does not make it live on for longer.
#[tokio::test(start_paused = true)]
async fn nobody_keeps_a_topic_alive_by_sending_to_it() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    for n in 0..3 {
        page.join(&format!("room:{n}"), &json!({})).await.unwrap();
        page.leave(&format!("room:{n}")).await;
    }
    let begin = Instant::now();
    for _ in 0..5 {
        sleep(MINUTE / 6).await;
        assert_eq!(hub.topics().len(), 3);
        hub.to_pattern("room:{id}").send("said", &1).unwrap();
    }
    assert!(hub.topics().iter().all(|topic| topic.position.as_ref().unwrap().offset == 5));
    sleep_until(begin + MINUTE + MOMENT).await;
    assert!(hub.topics().is_empty());
}

/// A topic that keeps nothing does not end for the room that others need.
#[tokio::test(start_paused = true)]
async fn topics_that_keep_nothing_stay() {
    let hub = hub_with(10, Limits::default().histories(10_000));
    let mut page = hub.test_page(Identity::anonymous());
    let mut watcher = hub.test_page(Identity::anonymous());
    watcher.join("room:2", &json!({})).await.unwrap();
    page.join("room:1", &json!({})).await.unwrap();
    page.leave("room:1").await;
    let e = epoch(&hub);
    for _ in 0..10 {
        advance(MOMENT).await;
        hub.broadcast("room:2", "said", &"x".repeat(3_000)).unwrap();
        watcher.expect("room:2", "said").await;
    }
    assert_eq!(epoch(&hub), e);
    // It is still the first that makes room for another topic.
    assert_eq!(hub.topics().len(), 2);
    // With something to keep, it goes before those that have members.
    hub.broadcast("room:1", "said", &"x".repeat(3_000)).unwrap();
    hub.broadcast("room:2", "said", &"x".repeat(3_000)).unwrap();
    assert_eq!(hub.topics().len(), 1);
}

/// Where somebody was lost who may come back, a topic is there until he is gone, whatever it keeps.
#[tokio::test(start_paused = true)]
async fn who_lingers_keeps_a_topic() {
    let options = TopicOptions::new().history(10, MOMENT * 1_000).presence();
    let channel = Events::new().on_join(async |_, meta| Joined::new(()).track(&meta));
    let limits = Limits::default().topics(3).histories(10_000);
    let builder = Hub::builder().channel_with("lobby", options, channel);
    let kept = TopicOptions::new().history(10, MINUTE);
    let hub = builder.channel_with("room:{id}", kept, Relay).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::user("ada"));
    let mut other = hub.test_page(Identity::anonymous());
    page.join("lobby", &json!({})).await.unwrap();
    for topic in ["room:1", "room:2"] {
        other.join(topic, &json!({})).await.unwrap();
    }
    page.cut();
    sleep(MOMENT).await;
    // Neither bytes nor topics are short enough.
    for _ in 0..4 {
        hub.broadcast("lobby", "said", &"x".repeat(3_000)).unwrap();
    }
    assert_eq!(other.join("room:3", &json!({})).await.unwrap_err()["reason"], "busy");
    assert_eq!(hub.presence("lobby").len(), 1);
    // Nor is time.
    sleep(MOMENT * 3_000).await;
    assert_eq!(hub.presence("lobby").len(), 1);
    sleep(MOMENT * 3_000).await;
    assert_eq!(hub.presence("lobby").len(), 0);
    other.join("room:3", &json!({})).await.unwrap();
}

/// A topic that is left in order lives on as well, and one that nobody has got into does not.
#[tokio::test(start_paused = true)]
async fn refused_joins_leave_nothing_behind() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    page.leave("room:1").await;
    assert_eq!(hub.topics().len(), 1);
    page.send_message(r#"["7","7","room:2","phx_join",{}]"#);
    page.send_message(r#"["7","8","room:2","phx_leave",{}]"#);
    page.linger().await;
    // It may have got in.
    sleep(MINUTE).await;
    assert!(hub.topics().is_empty());
    // Whoever is told to leave while it joins.
    let closed = Events::new().on_join(async |_, _| Err(Refusal::new("no")));
    hub.route("closed", TopicOptions::new().history(1, MINUTE), closed).unwrap();
    assert!(page.join("closed", &json!({})).await.is_err());
    assert!(hub.topics().is_empty());
}

/// A route that is removed takes with it what its topics keep.
#[tokio::test(start_paused = true)]
async fn routes_take_with_them_what_is_kept() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    for topic in ["room:1", "room:2"] {
        page.join(topic, &json!({})).await.unwrap();
        hub.broadcast(topic, "said", &1).unwrap();
        page.expect(topic, "said").await;
    }
    page.leave("room:2").await;
    let e = epoch(&hub);
    assert_eq!(hub.unroute("room:{id}"), 1);
    assert!(hub.topics().is_empty());
    page.expect("room:1", "phx_close").await;
    hub.route("room:{id}", TopicOptions::new().history(1, MINUTE), Relay).unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    let told = told_since(&mut page, &json!({ "e": e, "o": 1 })).await;
    assert_eq!(told[0][4]["response"]["$recovered"], false);
    assert_ne!(epoch(&hub), e);
    // So does one that is asked first from now on, when the last member of the other has left.
    hub.route("room:1", TopicOptions::new(), Relay).unwrap();
    let mut other = hub.test_page(Identity::anonymous());
    assert!(other.join("room:1", &json!({})).await.unwrap()["$pos"].is_object());
    page.cut();
    other.leave("room:1").await;
    sleep(MOMENT).await;
    assert_eq!(hub.topics().len(), 1);
    assert!(other.join("room:1", &json!({})).await.unwrap()["$pos"].is_null());
    assert_eq!(position(&hub, "room:1"), None);
}

/// Not before the last member by another has left.
#[tokio::test(start_paused = true)]
async fn members_by_another_route_have_what_is_kept() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    hub.route("room:1", TopicOptions::new(), Relay).unwrap();
    let mut other = hub.test_page(Identity::anonymous());
    other.join("room:1", &json!({})).await.unwrap();
    let e = epoch(&hub);
    assert_eq!(hub.unroute("room:{id}"), 1);
    hub.broadcast("room:1", "said", &1).unwrap();
    let mut back = hub.test_page(Identity::anonymous());
    let told = told_since(&mut back, &json!({ "e": e, "o": 0 })).await;
    assert_eq!(told[1..], [json!([null, null, "room:1", "said", 1, 1])]);
    back.cut();
    other.leave("room:1").await;
    sleep(MOMENT).await;
    assert!(hub.topics().is_empty());
}

/// A topic without members makes room for another; one that has some does not.
#[tokio::test(start_paused = true)]
async fn idle_topics_make_room_for_others() {
    let hub = hub_with(10, Limits::default().topics(3));
    let mut page = hub.test_page(Identity::anonymous());
    for topic in ["room:1", "room:2", "room:3"] {
        page.join(topic, &json!({})).await.unwrap();
        advance(MOMENT).await;
    }
    let mut other = hub.test_page(Identity::anonymous());
    assert_eq!(other.join("room:4", &json!({})).await.unwrap_err()["reason"], "busy");
    for topic in ["room:2", "room:1"] {
        page.leave(topic).await;
        advance(MOMENT).await;
    }
    // That it is sent to by a pattern does not help it.
    hub.to_pattern("room:2").send("said", &1).unwrap();
    let names = || {
        let mut names: Vec<_> = hub.topics().into_iter().map(|topic| topic.name).collect();
        names.sort();
        names
    };
    other.join("room:4", &json!({})).await.unwrap();
    assert_eq!(names(), ["room:1", "room:3", "room:4"]);
    other.join("room:5", &json!({})).await.unwrap();
    assert_eq!(names(), ["room:3", "room:4", "room:5"]);
    assert_eq!(other.join("room:6", &json!({})).await.unwrap_err()["reason"], "busy");
    // What was given up ends for good.
    assert_eq!(page.join("room:2", &json!({})).await.unwrap_err()["reason"], "busy");
}

/// Beyond what all topics may keep, those go first that nobody is in, and then those that are not used the longest.
#[tokio::test(start_paused = true)]
async fn the_oldest_topics_are_forgotten_first() {
    let hub = hub_with(10, Limits::default().histories(10_000));
    let mut pages = Vec::new();
    for n in 0..4 {
        let mut page = hub.test_page(Identity::anonymous());
        page.join(&format!("room:{n}"), &json!({})).await.unwrap();
        pages.push(page);
        advance(MOMENT).await;
    }
    let fill = |n: usize| hub.broadcast(&format!("room:{n}"), "said", &"x".repeat(3_000)).unwrap();
    let live = || {
        let mut names: Vec<_> = hub.topics().into_iter().map(|topic| topic.name).collect();
        names.sort();
        names
    };
    pages[2].cut();
    sleep(MOMENT).await;
    for n in [0, 1, 2] {
        fill(n);
        advance(MOMENT).await;
    }
    assert_eq!(live().len(), 4, "there is room");
    // Nobody is in the third.
    fill(3);
    advance(MOMENT).await;
    assert_eq!(live(), ["room:0", "room:1", "room:3"]);
    // The first is not used the longest; that it is sent to does not help it.
    fill(1);
    assert_eq!(live(), ["room:0", "room:1", "room:3"]);
    let mut recovered = Vec::new();
    for (n, page) in pages.iter_mut().enumerate().filter(|(n, _)| *n != 2) {
        let page_epoch = position(&hub, &format!("room:{n}")).unwrap().epoch;
        page.cut();
        let mut again = hub.test_page(Identity::anonymous());
        let topic = format!("room:{n}");
        let since = json!({ "$since": { "e": page_epoch, "o": 0 } });
        recovered.push(again.join(&topic, &since).await.unwrap()["$recovered"].clone());
        *page = again;
    }
    assert_eq!(recovered, [false, true, true]);
    // What ends gives its room back.
    pages.clear();
    sleep(MINUTE + MOMENT).await;
    assert!(hub.topics().is_empty());
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    page.cut();
    for _ in 0..3 {
        fill(1);
    }
    page.reconnect().await;
    for _ in 0..3 {
        page.expect("room:1", "said").await;
    }
}

/// No route may keep more than the limits allow.
#[tokio::test(start_paused = true)]
async fn routes_keep_no_more_than_they_may() {
    let limits = || Limits::default().history(10, 1 << 10, MINUTE);
    let build = |entries, time| {
        let options = TopicOptions::new().history(entries, time);
        Hub::builder().channel_with("room", options, Open).limits(limits()).build()
    };
    assert!(build(10, MINUTE).is_ok());
    assert!(matches!(build(11, MINUTE).unwrap_err(), BuildError::Limits(_)));
    assert!(matches!(build(10, MINUTE + MOMENT).unwrap_err(), BuildError::Limits(_)));
    let hub = build(1, MINUTE).unwrap();
    let options = TopicOptions::new().history(11, MINUTE);
    let error = hub.route("other", options, Open).unwrap_err();
    assert_eq!(error.to_string(), "with these limits, no topic keeps so many messages");
    // Of what is kept for ever, time is no bound.
    let options = TopicOptions::new().history(1, Duration::MAX);
    let limits = Limits::default().history(1, 1 << 10, Duration::MAX);
    let hub = Hub::builder().channel_with("room", options, Open).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &json!({})).await.unwrap();
    page.cut();
    hub.broadcast("room", "said", &1).unwrap();
    sleep(MINUTE * 60 * 24).await;
    page.reconnect().await;
    assert_eq!(page.expect("room", "said").await, 1);
}

//! Queues that run full: classes of messages, and what routes say of them.

use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{Close, Hub, Identity, Limits, OnFull, Open, Publish, PublishError, TopicOptions};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::diary::Diary;

/// A hub with a route for each that may be said of queues which are full.
pub fn hub(limits: Limits) -> Hub {
    Hub::builder()
        .channel("close:{id}", Open)
        .channel_with("newest:{id}", TopicOptions::new().on_full(OnFull::DropNewest), Open)
        .channel_with("oldest:{id}", TopicOptions::new().on_full(OnFull::DropOldest), Open)
        .limits(limits)
        .build()
        .unwrap()
}

/// A page that has joined these, and takes nothing any more: one message is on its way to it, and none is queued.
pub async fn stalled(hub: &Hub, topics: &[&str]) -> Page {
    let mut page = hub.test_page(Identity::anonymous()).stock();
    for topic in topics {
        page.join(topic, &()).await.unwrap();
    }
    page.stall();
    assert_eq!(hub.conn(page.conn()).push(topics[0], "first", &0).unwrap().local, 1);
    settle().await;
    page
}

pub async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn queued(hub: &Hub, page: &Page) -> usize {
    hub.conn(page.conn()).info().map_or(0, |info| info.queued)
}

/// What a page has been sent behind the first, which was on its way.
pub async fn told(page: &mut Page) -> Vec<String> {
    page.resume();
    let mut told = Vec::new();
    while let Some(message) = page.next_message().await {
        told.push(message.as_text().unwrap().to_owned());
    }
    assert!(told.remove(0).contains("\"first\""), "{told:?}");
    told
}

fn said(topic: &str, payload: u32) -> String {
    format!(r#"[null,null,"{topic}","said",{payload}]"#)
}

fn gap(join_ref: u32, topic: &str) -> String {
    format!(r#"["{join_ref}",null,"{topic}","$gap",{{}}]"#)
}

/// Sends an event that fills a frame of so many bytes.
pub fn send(publish: Publish<'_>, topic: &str, len: usize) -> usize {
    let around = format!(r#"[null,null,"{topic}","said",""]"#).len();
    publish.send("said", &"x".repeat(len - around)).unwrap().local
}

/// A volatile message is queued while less than 64 KiB waits, and else dropped: nobody is told, and nobody closed.
#[tokio::test(start_paused = true)]
async fn volatile_messages_wait_for_little() {
    for (waits, is_taken) in [((64 << 10) - 1, 1), (64 << 10, 0)] {
        let hub = hub(Limits::default());
        let mut page = stalled(&hub, &["close:1"]).await;
        send(hub.to("close:1"), "close:1", waits);
        assert_eq!(queued(&hub, &page), waits);
        assert_eq!(hub.to("close:1").volatile().send("said", &1).unwrap().local, is_taken);
        // What is reliable finds room all the same.
        assert_eq!(hub.broadcast("close:1", "said", &2).unwrap().local, 1);
        let told = told(&mut page).await;
        assert_eq!(told.len(), 2 + is_taken);
        assert_eq!(told[1..told.len() - 1], vec![said("close:1", 1); is_taken]);
        assert_eq!(told.last(), Some(&said("close:1", 2)));
    }
}

/// Nor is it a reason to close who has no frame's room left.
#[tokio::test(start_paused = true)]
async fn volatile_messages_close_nobody() {
    let hub = hub(Limits::default().queue(1 << 20, 2));
    let mut page = stalled(&hub, &["close:1"]).await;
    for (n, is_taken) in [(1, 1), (2, 1), (3, 0)] {
        assert_eq!(hub.to("close:1").volatile().send("said", &n).unwrap().local, is_taken);
    }
    assert_eq!(told(&mut page).await, [said("close:1", 1), said("close:1", 2)]);
}

/// The newest of a key is where the older one stood, be there few that wait or many.
#[tokio::test(start_paused = true)]
async fn keyed_messages_are_replaced_where_they_stand() {
    for others in [1, 40] {
        let hub = hub(Limits::default());
        let mut page = stalled(&hub, &["close:1", "close:2"]).await;
        let keyed = |topic, key, n: u32| hub.to(topic).keyed(key).send("said", &n).unwrap().local;
        let mut expected = Vec::new();
        for (topic, key, n) in
            [("close:1", "a", 1), ("close:2", "a", 2), ("close:1", "b", 3), ("close:1", "", 4)]
        {
            assert_eq!(keyed(topic, key, n), 1);
            expected.push((topic, n));
            for n in 10..10 + others {
                hub.broadcast("close:1", "said", &n).unwrap();
                expected.push(("close:1", n));
            }
        }
        let waits = queued(&hub, &page);
        for n in 5..8 {
            assert_eq!(keyed("close:1", "a", n), 1);
            assert_eq!(keyed("close:2", "a", n), 1);
        }
        assert_eq!(queued(&hub, &page), waits);
        for place in &mut expected {
            if [1, 2].contains(&place.1) {
                place.1 = 7;
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|(topic, n)| said(topic, n)).collect();
        assert_eq!(told(&mut page).await, expected);
        // What was sent is not replaced.
        assert_eq!(keyed("close:1", "a", 9), 1);
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*said("close:1", 9)));
    }
}

/// A session's message is not replaced by one for the next session.
#[tokio::test(start_paused = true)]
async fn keyed_messages_are_of_one_session() {
    let hub = Hub::builder().channel("room", Diary::default()).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.join("room", &0).await.unwrap();
    page.cast("room", "wait", &1_000);
    // It waits for the handler.
    page.send_message(r#"["9","9","room","phx_join",0]"#);
    settle().await;
    page.stall();
    hub.conn(page.conn()).push("room", "first", &0).unwrap();
    settle().await;
    hub.to("room").keyed("a").send("said", &1).unwrap();
    sleep(Duration::from_secs(2)).await;
    hub.to("room").keyed("a").send("said", &2).unwrap();
    let told = told(&mut page).await;
    assert_eq!(
        told,
        [
            said("room", 1),
            r#"["1","1","room","phx_close",{}]"#.to_owned(),
            r#"["9","9","room","phx_reply",{"status":"ok","response":{}}]"#.to_owned(),
            said("room", 2),
        ]
    );
}

/// A message that replaces another needs no frame's room, but that of its bytes: without it, it is like a reliable one.
#[tokio::test(start_paused = true)]
async fn keyed_messages_need_room() {
    let limits = Limits::default().payload(1_000).queue(4 << 10, 2);
    for (topic, is_open, expected) in [("close:1", false, 0), ("newest:1", true, 2), ("oldest:1", true, 2)] {
        let hub = hub(limits.clone());
        let mut page = stalled(&hub, &[topic]).await;
        for n in 0..4 {
            // A frame's room is left for one key only, and nothing else.
            assert_eq!(hub.to(topic).keyed("a").send("said", &n).unwrap().local, 1);
            if n == 0 {
                assert_eq!(hub.broadcast(topic, "said", &10).unwrap().local, 1);
            }
        }
        let taken = hub.to(topic).keyed("b").send("said", &11).unwrap().local;
        settle().await;
        assert_eq!(hub.connections().len(), usize::from(is_open));
        assert_eq!(taken, usize::from(topic == "oldest:1"));
        if is_open {
            let told = told(&mut page).await;
            assert_eq!(told.iter().filter(|told| told.contains("\"said\"")).count(), expected, "{told:?}");
            assert_eq!(told.iter().filter(|told| **told == gap(1, topic)).count(), 1, "{told:?}");
        }
    }
}

/// A message that grows beyond the room of bytes takes no place of an older one, which is out of date in any case.
#[tokio::test(start_paused = true)]
async fn keyed_messages_that_grow() {
    let limits = Limits::default().payload(1_000).queue(4 << 10, 100);
    for fits in [true, false] {
        let hub = hub(limits.clone());
        let mut page = stalled(&hub, &["newest:1"]).await;
        send(hub.to("newest:1").keyed("a"), "newest:1", 96);
        for _ in 0..4 {
            send(hub.to("newest:1"), "newest:1", 900);
        }
        let room = (4 << 10) - 3_600 + usize::from(!fits);
        assert_eq!(send(hub.to("newest:1").keyed("a"), "newest:1", room), usize::from(fits));
        let told = told(&mut page).await;
        assert_eq!(told.len(), 5);
        assert_eq!(told[0].len(), if fits { room } else { 900 });
        assert_eq!(told[4] == gap(1, "newest:1"), !fits);
    }
}

#[tokio::test]
async fn keys_are_short() {
    let hub = hub(Limits::default());
    assert_eq!(hub.to("close:1").keyed(&"é".repeat(32)).send("said", &1).unwrap().local, 0);
    let key = "x".repeat(65);
    assert!(matches!(hub.to("close:1").keyed(&key).send("said", &1), Err(PublishError::Key)));
    assert!(matches!(hub.to("close:1").keyed(&key).send_binary("said", vec![1]), Err(PublishError::Key)));
    assert_eq!(hub.to("close:1").keyed(&key).volatile().send("said", &1).unwrap().local, 0);
}

/// The newest are dropped, and a gap is told where they would have been, whatever follows, and if nothing does.
#[tokio::test(start_paused = true)]
async fn the_newest_are_dropped() {
    let hub = hub(Limits::default().queue(1 << 20, 2));
    for follows in [false, true] {
        let mut page = stalled(&hub, &["newest:1"]).await;
        for (n, is_taken) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
            assert_eq!(hub.broadcast("newest:1", "said", &n).unwrap().local, is_taken);
        }
        if follows {
            hub.conn(page.conn()).leave("newest:1");
        }
        let mut expected = vec![said("newest:1", 1), said("newest:1", 2), gap(1, "newest:1")];
        if follows {
            expected.push(r#"["1","1","newest:1","phx_close",{}]"#.into());
        }
        assert_eq!(told(&mut page).await, expected);
        if !follows {
            hub.broadcast("newest:1", "said", &5).unwrap();
            assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*said("newest:1", 5)));
            page.cut();
            settle().await;
        }
    }
}

/// The oldest of the topic are dropped, as many as there has to be room for, and a gap is in their place.
#[tokio::test(start_paused = true)]
async fn the_oldest_are_dropped() {
    let hub = hub(Limits::default().queue(1 << 20, 4));
    let mut page = stalled(&hub, &["close:1", "oldest:1"]).await;
    let broadcast = |topic, n: u32| hub.broadcast(topic, "said", &n).unwrap().local;
    for (topic, n) in
        [("oldest:1", 1), ("close:1", 2), ("oldest:1", 3), ("oldest:1", 4), ("oldest:1", 5), ("oldest:1", 6)]
    {
        assert_eq!(broadcast(topic, n), 1);
    }
    // One gap for both that were dropped, before the next of the topic.
    let expected = [
        said("close:1", 2),
        gap(2, "oldest:1"),
        said("oldest:1", 4),
        said("oldest:1", 5),
        said("oldest:1", 6),
    ];
    assert_eq!(told(&mut page).await, expected);

    // Those of others are not dropped: then it is the newest.
    page.stall();
    hub.broadcast("close:1", "first", &0).unwrap();
    settle().await;
    for n in 0..4 {
        broadcast("close:1", n);
    }
    assert_eq!(broadcast("oldest:1", 4), 0);
    let mut expected: Vec<_> = (0..4).map(|n| said("close:1", n)).collect();
    expected.push(gap(2, "oldest:1"));
    assert_eq!(told(&mut page).await, expected);
}

/// A large message takes the room of several, and nobody relies on volatile ones.
#[tokio::test(start_paused = true)]
async fn as_many_are_dropped_as_have_to_be() {
    let hub = hub(Limits::default().payload(2_000).queue(5_000, 100));
    let mut page = stalled(&hub, &["oldest:1"]).await;
    send(hub.to("oldest:1").volatile(), "oldest:1", 1_000);
    send(hub.to("oldest:1"), "oldest:1", 1_001);
    for len in [1_002, 1_003, 900] {
        send(hub.to("oldest:1"), "oldest:1", len);
    }
    // 94 are left.
    assert_eq!(send(hub.to("oldest:1"), "oldest:1", 1_094), 1);
    assert_eq!(send(hub.to("oldest:1"), "oldest:1", 2_000), 1);
    let told = told(&mut page).await;
    let lengths: Vec<_> = told.iter().map(String::len).collect();
    assert_eq!(lengths, [gap(1, "oldest:1").len(), 1_003, 900, 1_094, 2_000]);
}

/// Answers have a reserve, whatever the route says, and an end.
#[tokio::test(start_paused = true)]
async fn answers_are_not_dropped() {
    for topic in ["newest:1", "oldest:1"] {
        let hub = hub(Limits::default().queue(1 << 20, 2).reserve(1 << 10, 2));
        let page = stalled(&hub, &[topic]).await;
        for n in 0..4 {
            hub.broadcast(topic, "said", &n).unwrap();
        }
        for is_open in [true, true, false] {
            let conn = hub.conn(page.conn());
            tokio::spawn(async move { conn.ask::<()>(topic, "pick", &1, Duration::MAX).await });
            settle().await;
            assert_eq!(hub.connections().len(), usize::from(is_open));
        }
    }
}

/// One that takes nothing holds up nobody: no time passes for the others, nor for whoever sends.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_another() {
    let hub = hub(Limits::default().queue(1 << 20, 10));
    let mut pages = Vec::new();
    for _ in 0..1_000 {
        let mut page = hub.test_page(Identity::anonymous());
        page.join("close:1", &()).await.unwrap();
        pages.push(page);
    }
    pages[500].stall();
    let start = Instant::now();
    for n in 0..20 {
        // One is on its way to it.
        let taken = hub.broadcast("close:1", "said", &n).unwrap().local;
        assert_eq!(taken, if n < 11 { 1_000 } else { 999 });
        for (at, page) in pages.iter_mut().enumerate().filter(|(at, _)| *at != 500) {
            assert_eq!(page.expect("close:1", "said").await, json!(n), "{at}");
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    settle().await;
    assert_eq!(hub.connections().len(), 999);
    pages[500].resume();
    assert_eq!(pages[500].closed().await.code(), 4008);
}

/// What the transport has taken is not sent once more when the connection is closed, however many it took at once.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_twice() {
    for count in [1, 63, 64, 65, 128] {
        let hub = hub(Limits::default());
        let mut page = hub.test_page(Identity::anonymous()).stock();
        page.join("close:1", &()).await.unwrap();
        for n in 0..count {
            hub.broadcast("close:1", "said", &n).unwrap();
        }
        settle().await;
        hub.conn(page.conn()).close(Close::kicked());
        for n in 0..count {
            assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*said("close:1", n)));
        }
        assert_eq!(page.next_message().await, None);
    }
}

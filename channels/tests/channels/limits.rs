//! Limits: at each, and one beyond.

use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{BuildError, Events, Hub, Identity, Joined, Limits, Open, Refusal, Reply};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::diary::Diary;
use crate::members::member;

fn hub(diary: &Diary, limits: Limits) -> Hub {
    Hub::builder().channel("room:{id}", diary.clone()).limits(limits).build().unwrap()
}

async fn joined(hub: &Hub) -> Page {
    member(hub, Identity::anonymous(), "room:1").await
}

#[tokio::test(start_paused = true)]
async fn topics_of_a_connection() {
    let hub = hub(&Diary::default(), Limits::default());
    let mut page = hub.test_page(Identity::anonymous());
    for n in 0..100 {
        page.join(&format!("room:{n}"), &0).await.unwrap();
    }
    let refused = page.join("room:100", &0).await;
    assert_eq!(refused, Err(json!({ "reason": "too many channels joined" })));
    // There is room where one was left, and one that is joined anew takes none.
    page.join("room:7", &0).await.unwrap();
    page.leave("room:7").await;
    page.join("room:100", &0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn topics_of_a_hub() {
    let hub = hub(&Diary::default(), Limits::default().topics(2));
    let mut page = joined(&hub).await;
    page.join("room:2", &0).await.unwrap();
    assert_eq!(page.join("room:3", &0).await, Err(json!({ "reason": "busy" })));
    let mut other = hub.test_page(Identity::anonymous());
    other.join("room:2", &0).await.unwrap();
    page.leave("room:1").await;
    other.join("room:3", &0).await.unwrap();
}

/// However many join at once.
#[tokio::test(start_paused = true)]
async fn topics_that_are_joined_at_once() {
    let hub = hub(&Diary::default(), Limits::default().topics(2));
    let joins: Vec<_> = (0..5)
        .map(|n| {
            let mut page = hub.test_page(Identity::anonymous());
            tokio::spawn(async move { (page.join(&format!("room:{n}"), &1_000).await, page) })
        })
        .collect();
    let mut results = Vec::new();
    for join in joins {
        results.push(join.await.unwrap());
    }
    let refused = results.iter().filter(|(result, _)| *result == Err(json!({ "reason": "busy" }))).count();
    assert_eq!((refused, hub.topics().len()), (3, 2));
}

/// Who leaves a topic and joins another, with as many as there may be, is to try again.
#[tokio::test(start_paused = true)]
async fn a_topic_for_another() {
    let hub = hub(&Diary::default(), Limits::default().topics_per_connection(2));
    let mut page = joined(&hub).await;
    page.join("room:2", &0).await.unwrap();
    page.push("room:1", "slow at the end", &1).await.unwrap();
    page.send_message(r#"[null,"90","room:1","phx_leave",{}]"#);
    assert_eq!(page.join("room:3", &0).await, Err(json!({ "reason": "busy" })));
    // It says goodbye.
    sleep(Duration::from_millis(50)).await;
    assert_eq!(page.join("room:3", &0).await, Err(json!({ "reason": "busy" })));
    sleep(Duration::from_millis(100)).await;
    page.join("room:3", &0).await.unwrap();
    assert_eq!(page.join("room:4", &0).await, Err(json!({ "reason": "too many channels joined" })));
}

#[tokio::test(start_paused = true)]
async fn joins_wait_for_their_turn() {
    let hub = hub(&Diary::default(), Limits::default().joins_at_once(2));
    let start = Instant::now();
    let joins: Vec<_> = (0..4)
        .map(|_| {
            let mut page = hub.test_page(Identity::anonymous());
            tokio::spawn(async move { page.join("room:1", &3_000).await })
        })
        .collect();
    for join in joins {
        join.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 6);
    // The wait counts.
    let joins: Vec<_> = (0..6)
        .map(|_| {
            let mut page = hub.test_page(Identity::anonymous());
            tokio::spawn(async move { page.join("room:1", &3_000).await })
        })
        .collect();
    let mut late = 0;
    for join in joins {
        late += usize::from(join.await.unwrap() == Err(json!({ "reason": "timeout" })));
    }
    assert_eq!(late, 2);
}

/// One connection takes no more turns than it may have, however many topics it may join.
#[tokio::test(start_paused = true)]
async fn joins_of_a_connection_wait_for_their_turn() {
    let hub = hub(&Diary::default(), Limits::default().joins_per_connection(2).topics_per_connection(10));
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let start = Instant::now();
    for n in 1..=5 {
        page.send_message(format!(r#"["{n}","{n}","room:{n}","phx_join",3000]"#));
    }
    let _other = joined(&hub).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    for (n, seconds) in [(1, 3), (2, 3), (3, 6), (4, 6)] {
        let reply = format!(r#"["{n}","{n}","room:{n}","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        sleep(start + Duration::from_secs(seconds) - Instant::now()).await;
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*reply));
    }
    assert_eq!(start.elapsed().as_secs(), 6);
    // The wait counts.
    sleep(Duration::from_secs(2)).await;
    let timeout = r#"["5","5","room:5","phx_reply",{"status":"error","response":{"reason":"timeout"}}]"#;
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(timeout));
    assert_eq!(start.elapsed().as_secs(), 8);
}

/// A client that sends too much waits, and nobody else.
#[tokio::test(start_paused = true)]
async fn floods_wait() {
    let hub = hub(&Diary::default(), Limits::default());
    let (mut flood, mut other) = (joined(&hub).await, joined(&hub).await);
    let start = Instant::now();
    for _ in 0..398 {
        flood.cast("room:1", "echo", &1);
    }
    assert_eq!(other.push("room:1", "echo", &1).await, Ok(json!(1)));
    assert!(start.elapsed() < Duration::from_millis(10));
    // 300 at once, of which the join was one, and then 50 each second: the last of all has to wait for 100.
    flood.push("room:1", "echo", &1).await.unwrap();
    let waited = start.elapsed();
    assert!((1_900..2_100).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn floods_of_bytes_wait() {
    let hub = hub(&Diary::default(), Limits::default());
    let mut page = joined(&hub).await;
    let start = Instant::now();
    let payload = "x".repeat(60_000);
    for _ in 0..35 {
        page.cast("room:1", "echo", &payload);
    }
    page.push("room:1", "echo", &1).await.unwrap();
    let waited = start.elapsed();
    assert!((900..1_100).contains(&waited.as_millis()), "{waited:?}");
}

/// A client whose handler lags is not read.
#[tokio::test(start_paused = true)]
async fn unhandled_messages_are_few() {
    let diary = Diary::default();
    let hub = hub(&diary, Limits::default());
    let mut page = joined(&hub).await;
    page.join("room:2", &0).await.unwrap();
    diary.take();
    page.cast("room:1", "wait", &5_000);
    for _ in 0..17 {
        page.cast("room:1", "echo", &1);
    }
    // It is behind one that finds no room.
    let start = Instant::now();
    page.push("room:2", "echo", &2).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(page.push("room:1", "echo", &3).await, Ok(json!(3)));

    page.cast("room:1", "wait", &5_000);
    for _ in 0..16 {
        page.cast("room:1", "echo", &1);
    }
    let start = Instant::now();
    page.push("room:2", "echo", &2).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(10));
}

/// Who does not take what is sent is closed, and nobody waits for him.
#[tokio::test(start_paused = true)]
async fn slow_clients_are_closed() {
    for (payload, fits) in [("x".repeat(900), 1_024), ("x".repeat(200 << 10), 5)] {
        let diary = Diary::default();
        let hub = hub(&diary, Limits::default());
        let mut slow = joined(&hub).await;
        let mut fast = joined(&hub).await;
        slow.stall();
        // One is on its way to it.
        for sent in 0..=fits {
            assert_eq!(hub.broadcast("room:1", "said", &payload).unwrap().local, 2, "{sent}");
            fast.expect("room:1", "said").await;
        }
        let info = hub.conn(slow.conn()).info().unwrap();
        assert!(info.queued > fits * payload.len() && info.queued <= 1 << 20);
        assert_eq!(hub.broadcast("room:1", "said", &payload).unwrap().local, 1);
        assert_eq!(fast.expect("room:1", "said").await, json!(payload));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(diary.take().last().unwrap(), "Slow");
        assert_eq!((hub.members("room:1").len(), hub.connections().len()), (1, 1));
        slow.resume();
        let close = slow.closed().await;
        assert_eq!((close.code(), close.reason()), (4008, "slow consumer"));
    }
}

/// What a channel pushes to who joins waits for the answer, and has an end.
#[tokio::test(start_paused = true)]
async fn pushes_of_joins_are_bounded() {
    for (len, fits) in [(0, 1_024), (200 << 10, 5)] {
        let events = Events::new().on_join(move |cx, params| async move {
            let pushes: usize = params.parse()?;
            for _ in 0..pushes {
                cx.push("early", &"x".repeat(len))?;
            }
            sleep(Duration::from_secs(5)).await;
            Ok(Joined::new(()))
        });
        let hub = Hub::builder().channel("room", events).build().unwrap();
        let mut page = hub.test_page(Identity::anonymous()).stock();
        page.send_message(format!(r#"["1","1","room","phx_join",{fits}]"#));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(hub.connections().len(), 1);
        page.send_message(format!(r#"["2","2","room","phx_join",{}]"#, fits + 1));
        assert_eq!(page.closed().await.code(), 4008);
    }
}

/// Answers have a reserve.
#[tokio::test(start_paused = true)]
async fn answers_find_room() {
    let limits = Limits::default().queue(1 << 20, 2).reserve(1 << 10, 2).unhandled(1);
    let hub = hub(&Diary::default(), limits);
    let mut page = joined(&hub).await;
    page.stall();
    for _ in 0..3 {
        assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 1);
        sleep(Duration::from_millis(1)).await;
    }
    hub.conn(page.conn()).leave("room:1");
    assert_eq!(hub.connections().len(), 1);
    page.resume();
    for _ in 0..3 {
        page.expect("room:1", "said").await;
    }
    page.expect("room:1", "phx_close").await;
}

/// The reserve has an end, too, and what is broadcast has no share in it.
#[tokio::test(start_paused = true)]
async fn the_reserve_is_bounded() {
    let limits = Limits::default().queue(1 << 20, 2).reserve(1 << 10, 2);
    for is_broadcast in [false, true] {
        let hub = hub(&Diary::default(), limits.clone());
        let mut page = joined(&hub).await;
        page.stall();
        for _ in 0..3 {
            assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 1);
            sleep(Duration::from_millis(1)).await;
        }
        for is_open in [true, true, false] {
            let conn = hub.conn(page.conn());
            let is_open = if is_broadcast {
                assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 0);
                false
            } else {
                tokio::spawn(async move { conn.ask::<()>("room:1", "pick", &1, Duration::MAX).await });
                is_open
            };
            sleep(Duration::from_millis(1)).await;
            assert_eq!(hub.connections().len(), usize::from(is_open));
        }
        page.resume();
        assert_eq!(page.closed().await.code(), 4008);
    }
}

/// What is answered is no larger than what is sent.
#[tokio::test(start_paused = true)]
async fn answers_are_not_too_big() {
    let text = |len: usize| "x".repeat(len);
    let echo = Events::new()
        .on("json", move |_, payload| async move { Ok(Reply::with(&text(payload.parse()?))?) })
        .on("bytes", move |_, payload| async move { Ok(Reply::binary(text(payload.parse()?))) })
        .on("no", move |_, payload| async move {
            Err(Refusal::new("no").details(&json!({ "x": text(payload.parse()?) })))
        })
        .on("not yet", move |cx, payload| async move {
            let refusal = Refusal::new("no").details(&json!({ "x": text(payload.parse()?) }));
            cx.reply_to().unwrap().error(refusal);
            Ok(Reply::none())
        })
        .on_join(
            move |_, params| async move { Joined::new(()).reply(&json!({ "x": text(params.parse()?) })) },
        );
    let refusing = Events::new().on_join(move |_, params| async move {
        Err(Refusal::new("no").details(&json!({ "x": text(params.parse()?) })))
    });
    let limits = Limits::default().payload(100);
    let hub =
        Hub::builder().channel("room", echo).channel("refused", refusing).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    let too_big = Err(json!({ "reason": "too big" }));
    assert_eq!(page.join("room", &93).await, too_big);
    assert!(hub.topics().is_empty());
    page.join("room", &92).await.unwrap();
    assert_eq!(page.push("room", "json", &98).await, Ok(json!(text(98))));
    assert_eq!(page.push("room", "json", &99).await, too_big);
    assert_eq!(page.push_for_binary("room", "bytes", &100).await.unwrap(), text(100));
    assert_eq!(page.push("room", "bytes", &101).await, too_big);
    // With its reason, and what is around both.
    let fits = 100 - r#"{"reason":"no","x":""}"#.len();
    assert_eq!(page.push("room", "no", &fits).await, Err(json!({ "reason": "no", "x": text(fits) })));
    assert_eq!(page.push("room", "no", &(fits + 1)).await, too_big);
    assert_eq!(page.push("room", "not yet", &(fits + 1)).await, too_big);
    assert_eq!(page.join("refused", &(fits + 1)).await, too_big);
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_user() {
    let hub = Hub::builder()
        .channel("news", Open)
        .limits(Limits::default().connections_per_user(2))
        .build()
        .unwrap();
    let one = hub.test_page(Identity::user("ada"));
    let _two = hub.test_page(Identity::user("ada"));
    let _other = (hub.test_page(Identity::user("bob")), hub.test_page(Identity::anonymous()));
    let again = hub.clone();
    let third = tokio::spawn(async move { drop(again.test_page(Identity::user("ada"))) });
    assert!(third.await.is_err());
    drop(one);
    sleep(Duration::from_millis(1)).await;
    hub.test_page(Identity::user("ada"));
}

/// What clients said that have gone is handled, as long as they are not too many.
#[tokio::test(start_paused = true)]
async fn work_that_is_left() {
    let diary = Diary::default();
    let hub = hub(&diary, Limits::default());
    for _ in 0..11 {
        let mut page = hub.test_page(Identity::anonymous());
        for n in 0..100 {
            let topic = format!("room:{n}");
            page.join(&topic, &0).await.unwrap();
            page.cast(&topic, "wait", &20_000);
            page.cast(&topic, "save", &n);
        }
        // The first are handled by now.
        sleep(Duration::from_millis(1)).await;
        page.close();
        sleep(Duration::from_millis(1)).await;
    }
    assert!(hub.connections().is_empty());
    sleep(Duration::from_secs(30)).await;
    let told = diary.take();
    let count = |begin: &str| told.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!((count("done wait"), count("done save"), count("Closed")), (1_100, 1_000, 1_100));
}

/// Joins and drops leave nothing behind.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind() {
    let hub = hub(&Diary::default(), Limits::default());
    for n in 0..2_000 {
        let mut page = hub.test_page(Identity::user(format!("user {}", n % 7)));
        page.join(&format!("room:{}", n % 100), &0).await.unwrap();
        let _ = page.join("refused", &0).await;
        page.cut();
        page.cast("room:1", "echo", &1);
    }
    sleep(Duration::from_secs(1)).await;
    assert!(hub.connections().is_empty() && hub.topics().is_empty());
    assert!((0..7).all(|n| hub.user(&format!("user {n}")).connections().is_empty()));
}

/// Nothing is too much.
#[tokio::test(start_paused = true)]
async fn limits_may_be_as_large_as_can_be() {
    let limits = Limits::default()
        .topics(usize::MAX)
        .topics_per_connection(usize::MAX)
        .joins_at_once(usize::MAX)
        .joins_per_connection(usize::MAX - 1)
        .unhandled(usize::MAX)
        .nesting(usize::MAX)
        .messages(u32::MAX, u32::MAX)
        .bytes(u32::MAX)
        .payload(usize::MAX - (1 << 20))
        .frame(usize::MAX)
        .queue(usize::MAX, usize::MAX)
        .reserve(usize::MAX, usize::MAX)
        .volatile(usize::MAX)
        .memory(usize::MAX)
        .join(Duration::MAX)
        .handler(Duration::MAX)
        .ask(Duration::MAX)
        .write(Duration::MAX)
        .polls(usize::MAX)
        .poll(Duration::MAX)
        .post(usize::MAX)
        .posts(usize::MAX);
    let hub = hub(&Diary::default(), limits);
    let mut page = joined(&hub).await;
    assert_eq!(page.push("room:1", "echo", &json!([[]])).await, Ok(json!([[]])));
    page.send_message(r#"[null,"90","phoenix","heartbeat",{}]"#);
    let drain =
        sansocket_channels::Drain { within: Duration::ZERO, flush: Duration::MAX, leave: Duration::MAX };
    assert_eq!(hub.drain(drain).await.cut, 0);
}

#[test]
fn limits_that_cannot_hold_are_errors() {
    for limits in [
        Limits::default().topics(0),
        Limits::default().topics_per_connection(0),
        Limits::default().joins_at_once(0),
        Limits::default().joins_per_connection(0),
        Limits::default().unhandled(0),
        Limits::default().messages(0, 1),
        Limits::default().messages(1, 0),
        Limits::default().bytes(0),
        Limits::default().queue(1 << 20, 0),
        Limits::default().volatile(0),
        Limits::default().memory(256 << 10),
        Limits::default().payload(1 << 20),
        // With its names, it is larger than the queue.
        Limits::default().payload((1 << 20) - 1),
        Limits::default().connections_per_user(0),
        Limits::default().handshakes(0),
        Limits::default().polls(0),
        Limits::default().posts(0),
        Limits::default().poll(Duration::ZERO),
    ] {
        assert!(matches!(Hub::builder().limits(limits).build(), Err(BuildError::Limits(_))));
    }
}

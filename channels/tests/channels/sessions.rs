//! Sessions: how they begin, and that each ends once, for one reason.

use std::time::Duration;

use sansocket::Message;
use sansocket_channels::test::Page;
use sansocket_channels::{Close, Drain, Events, Hub, Identity, Joined, Limits, PublishError, Relay, Reply};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use crate::diary::Diary;
use crate::members::{member, stock};

fn hub(diary: &Diary) -> Hub {
    Hub::builder().channel("room:{id}", diary.clone()).build().unwrap()
}

/// A page that has joined.
async fn joined(hub: &Hub, diary: &Diary) -> Page {
    let page = member(hub, Identity::user("ada"), "room:1").await;
    assert_eq!(diary.take(), ["join room:1"]);
    page
}

/// Nothing is left of anything.
fn assert_empty(hub: &Hub) {
    assert!(hub.topics().is_empty() && hub.members("room:1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_ends_once_for_its_reason() {
    let diary = Diary::default();
    let hub = hub(&diary);
    // What is done, and why the session ends by it.
    let ends: [(&str, &[&str]); 8] = [
        ("leave", &["Left"]),
        ("rejoin", &["Replaced", "join room:1"]),
        ("close", &["Closed"]),
        ("cut", &["Lost"]),
        ("kick", &["Kicked"]),
        ("kick from the topic", &["Kicked"]),
        ("stop", &["stop 1", "Stopped"]),
        ("bad frame", &["Lost"]),
    ];
    for (end, told) in ends {
        let mut page = joined(&hub, &diary).await;
        match end {
            "leave" => page.leave("room:1").await,
            "rejoin" => drop(page.join("room:1", &0).await.unwrap()),
            "close" => page.close(),
            "cut" => page.cut(),
            "kick" => hub.user("ada").close(Close::kicked()),
            "kick from the topic" => hub.conn(page.conn()).leave("room:1"),
            "stop" => drop(page.push("room:1", "stop", &1).await.unwrap()),
            _ => page.send_message("no frame"),
        }
        page.linger().await;
        assert_eq!(diary.take(), told, "{end}");
        if end == "rejoin" {
            assert_eq!(hub.members("room:1").len(), 1);
            page.cut();
            page.linger().await;
            assert_eq!(diary.take(), ["Lost"]);
        }
        drop(page);
        assert_empty(&hub);
        tokio::task::yield_now().await;
    }
    let mut last = joined(&hub, &diary).await;
    last.linger().await;
    assert_eq!(hub.connections().len(), 1);
    drop(last);
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_one_session_and_no_other() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = joined(&hub, &diary).await;
    page.join("room:2", &0).await.unwrap();
    let mut other = member(&hub, Identity::anonymous(), "room:1").await;
    diary.take();

    page.cast("room:1", "panic", &1);
    assert_eq!(page.expect("room:1", "phx_error").await, json!({ "reason": "channel_crash" }));
    assert_eq!(hub.members("room:1").len(), 1);
    assert_eq!(page.push("room:2", "echo", &2).await, Ok(json!(2)));
    assert_eq!(other.push("room:1", "echo", &3).await, Ok(json!(3)));
    // It is told nothing of its end.
    assert_eq!(diary.take(), ["panic 1", "echo 2", "done echo", "echo 3", "done echo"]);
    assert_eq!(page.push("room:1", "echo", &4).await, Err(json!({ "reason": "unmatched topic" })));
    page.join("room:1", &0).await.unwrap();

    // One that takes too long has crashed, too.
    page.cast("room:1", "wait", &29_000);
    page.cast("room:1", "wait", &31_000);
    for _ in 0..59 {
        page.linger().await;
        assert_eq!(hub.members("room:1").len(), 2);
    }
    page.linger().await;
    assert_eq!(page.expect("room:1", "phx_error").await, json!({ "reason": "channel_crash" }));
    assert_eq!(hub.members("room:1").len(), 1);
}

/// Who fails when it is told of its end is in nobody's way, or not for long.
#[tokio::test(start_paused = true)]
async fn farewells_fail() {
    let diary = Diary::default();
    let hub = hub(&diary);
    for (event, waits) in [("panic at the end", 0), ("hang at the end", 8)] {
        let mut page = joined(&hub, &diary).await;
        page.push("room:1", event, &1).await.unwrap();
        page.leave("room:1").await;
        assert_empty(&hub);
        let start = Instant::now();
        // It has its turn when the other is over, or is told in time to try again.
        page.send_message(r#"["9","9","room:1","phx_join",0]"#);
        while !page.next_message().await.is_some_and(|message| message.as_text().unwrap().contains("\"9\"")) {
        }
        assert_eq!(start.elapsed().as_secs(), waits, "{event}");
        drop(page);
        tokio::task::yield_now().await;
        diary.take();
    }
}

/// What panics when it is dropped, since it takes too long or the client has left, is contained as well.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_may_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as was asked for");
        }
    }
    let hang = async || {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
    };
    let events = Events::new()
        .on("hang", move |_, _| async move {
            hang().await;
            Ok(Reply::ok())
        })
        .on_join(move |_, params| async move {
            if params.parse()? {
                hang().await;
            }
            Ok(Joined::new(()))
        });
    let hub = Hub::builder().channel("room:{id}", events).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &false).await.unwrap();
    page.cast("room:1", "hang", &1);
    sleep(Duration::from_secs(30)).await;
    page.expect("room:1", "phx_error").await;
    assert_empty(&hub);
    page.join("room:1", &false).await.unwrap();

    page.send_message(r#"["9","9","room:2","phx_join",true]"#);
    page.linger().await;
    page.send_message(r#"["9","10","room:2","phx_leave",{}]"#);
    page.linger().await;
    page.join("room:2", &false).await.unwrap();
    assert_eq!(hub.members("room:2").len(), 1);
}

/// A second object for a topic sends a leave and a join in one burst.
#[tokio::test(start_paused = true)]
async fn a_leave_and_a_join_are_in_order() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = stock(&hub, "room:1").await;
    for sent in [
        r#"["1","2","room:1","wait",500]"#,
        r#"["1","3","room:1","phx_leave",{}]"#,
        r#"["4","4","room:1","phx_join",0]"#,
        r#"["1","5","room:1","stale",1]"#,
        r#"["1","6","room:1","phx_leave",{}]"#,
        r#"["4","7","room:1","echo",1]"#,
    ] {
        page.send_message(sent);
    }
    for told in [
        r#"["1","2","room:1","phx_reply",{"status":"ok","response":500}]"#,
        r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","1","room:1","phx_close",{}]"#,
        r#"["4","4","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["4","7","room:1","phx_reply",{"status":"ok","response":1}]"#,
    ] {
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(told));
    }
    assert_eq!(page.next_message().await, None);
    let told = diary.take();
    assert_eq!(told, ["join room:1", "wait 500", "done wait", "Left", "join room:1", "echo 1", "done echo"]);
}

#[tokio::test(start_paused = true)]
async fn joins_fail_for_now() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = hub.test_page(Identity::anonymous());
    assert_eq!(page.join("room:1", &"panic").await, Err(json!({ "reason": "join crashed" })));
    assert_eq!(page.join("room:1", &8_001).await, Err(json!({ "reason": "timeout" })));
    page.expect_nothing().await;
    assert_empty(&hub);
    page.join("room:1", &7_999).await.unwrap();
    // Unlike this one, which is not to be tried again.
    let closed = page.join("hall", &0).await;
    assert_eq!(closed, Err(json!({ "reason": "unmatched topic" })));
}

/// A join that is under way is dropped when the client leaves, joins anew, or its connection ends.
#[tokio::test(start_paused = true)]
async fn joins_are_cancelled() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["1","1","room:1","phx_join",5000]"#);
    page.send_message(r#"["1","2","room:1","echo",1]"#);
    page.send_message(r#"["1","3","room:1","phx_leave",{}]"#);
    page.send_message(r#"["4","4","room:1","phx_join",4000]"#);
    page.send_message(r#"["5","5","room:1","phx_join",3000]"#);
    let mut told = Vec::new();
    while told.len() < 3 {
        if let Some(Message::Text(text)) = page.next_message().await {
            told.push(text.to_string());
        }
    }
    assert_eq!(
        told,
        [
            r#"[null,"2","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
            r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            r#"["5","5","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        ]
    );
    assert_eq!(diary.take(), ["join room:1"]);
    page.send_message(r#"["6","6","room:2","phx_join",5000]"#);
    page.linger().await;
    page.cut();
    for _ in 0..6 {
        page.linger().await;
    }
    assert_eq!(diary.take(), ["Lost"]);
    assert_empty(&hub);
}

/// What a client says before it goes is handled.
#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_end_is_handled() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = joined(&hub, &diary).await;
    page.cast("room:1", "wait", &100);
    page.cast("room:1", "save", &1);
    page.close();
    page.linger().await;
    assert_eq!(diary.take(), ["wait 100", "done wait", "save 1", "done save", "Closed"]);
    // But not if it is thrown out.
    let mut page = joined(&hub, &diary).await;
    page.cast("room:1", "wait", &100);
    page.cast("room:1", "save", &1);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    hub.user("ada").close(Close::kicked());
    page.linger().await;
    assert_eq!(diary.take(), ["wait 100", "done wait", "Kicked"]);
    assert_eq!(page.closed().await, Close::kicked());
    // Nor if it is closed for what it sends, or is lost.
    for is_lost in [false, true] {
        let mut page = joined(&hub, &diary).await;
        page.cast("room:1", "wait", &100);
        page.cast("room:1", "save", &1);
        sleep(Duration::from_millis(1)).await;
        if is_lost {
            page.cut();
        } else {
            page.send_message("no frame");
        }
        page.linger().await;
        assert_eq!(diary.take(), ["wait 100", "done wait", "Lost"]);
    }
}

/// The session that is closed by its handler is over at once; the answer to a message may come later, or never.
#[tokio::test(start_paused = true)]
async fn handlers_end_sessions_and_answer_later() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = joined(&hub, &diary).await;
    assert_eq!(page.push("room:1", "later", &1).await, Err(json!({ "reason": "no reply" })));
    diary.take();
    page.cast("room:1", "close", &1);
    page.expect("room:1", "phx_close").await;
    assert_empty(&hub);
    assert_eq!(diary.take(), ["close 1", "done close", "Stopped"]);
    page.expect_nothing().await;
}

/// A page that comes back joins what it had joined.
#[tokio::test(start_paused = true)]
async fn pages_come_back() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = joined(&hub, &diary).await;
    let before = page.conn();
    page.cut();
    hub.broadcast("room:1", "said", &1).unwrap();
    page.reconnect().await;
    assert_ne!(page.conn(), before);
    hub.broadcast("room:1", "said", &2).unwrap();
    assert_eq!(page.expect("room:1", "said").await, json!(2));
    page.expect_nothing().await;
}

/// Also a page whose user may have no other connection; and it pushes bytes.
#[tokio::test(start_paused = true)]
async fn pages_come_back_alone() {
    let limits = Limits::default().connections_per_user(1);
    let hub = Hub::builder().channel("room", Relay).limits(limits).build().unwrap();
    let mut page = hub.test_page(Identity::user("ada"));
    let mut other = hub.test_page(Identity::user("bob"));
    page.join("room", &0).await.unwrap();
    other.join("room", &0).await.unwrap();
    page.stall();
    page.reconnect().await;
    page.push_binary("room", "snow", &[0, 255]).await.unwrap();
    assert_eq!(other.expect_binary("room", "snow").await[..], [0, 255]);
}

/// `()` and `Open` answer nothing; a channel of closures knows its events.
#[tokio::test(start_paused = true)]
async fn closures_are_channels() {
    let events = Events::new()
        .on("add", async |_, payload| {
            let numbers: Vec<i64> = payload.parse()?;
            Ok(Reply::with(&numbers.iter().sum::<i64>())?)
        })
        .on_join(async |_, params| {
            let name: String = params.parse()?;
            Joined::new(()).reply(&json!({ "hello": name }))
        });
    let hub =
        Hub::builder().channel("sums", events).channel("news", sansocket_channels::Open).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    assert_eq!(page.join("sums", &1).await, Err(json!({ "reason": "bad payload" })));
    assert_eq!(page.join("sums", &"ada").await.unwrap()["hello"], "ada");
    assert_eq!(page.push("sums", "add", &[1, 2, 3]).await, Ok(json!(6)));
    assert_eq!(page.push("sums", "add", &"x").await, Err(json!({ "reason": "bad payload" })));
    assert_eq!(page.push("sums", "sub", &[1]).await, Err(json!({ "reason": "unknown event" })));
    page.join("news", &()).await.unwrap();
    assert_eq!(page.push("news", "tick", &1).await, Err(json!({ "reason": "unknown event" })));
}

/// A token expires: the client is to come back with another.
#[tokio::test(start_paused = true)]
async fn identities_expire() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let after = Duration::from_secs(2);
    let mut page = member(&hub, Identity::user("ada").expires(after), "room:1").await;
    page.linger().await;
    assert_eq!(hub.connections().len(), 1);
    let close = page.closed().await;
    assert_eq!((close.code(), close.reason()), (4001, "token expired"));
    assert_eq!(diary.take(), ["join room:1", "Lost"]);
    assert!(hub.connections().is_empty());
}

/// So it does for a page that takes nothing.
#[tokio::test(start_paused = true)]
async fn identities_expire_while_a_page_stalls() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let after = Duration::from_secs(5);
    let mut page = member(&hub, Identity::user("ada").expires(after), "room:1").await;
    page.stall();
    hub.broadcast("room:1", "said", &1).unwrap();
    sleep(Duration::from_millis(4_999)).await;
    assert_eq!(hub.connections().len(), 1);
    sleep(Duration::from_millis(2)).await;
    assert!(hub.connections().is_empty());
    assert_eq!(diary.take(), ["join room:1", "Lost"]);
    page.resume();
    page.expect("room:1", "said").await;
    assert_eq!(page.closed().await.code(), 4001);
}

/// Who drains closes all, spread over the time.
#[tokio::test(start_paused = true)]
async fn hubs_are_drained() {
    let diary = Diary::default();
    let hub = Hub::builder()
        .channel("room:{id}", diary.clone())
        .limits(Limits::default().connections_per_user(1_000))
        .build()
        .unwrap();
    let mut pages = Vec::new();
    for _ in 0..200 {
        pages.push(joined(&hub, &diary).await);
    }
    let draining = tokio::spawn({
        let hub = hub.clone();
        async move { hub.drain(Drain::default()).await }
    });
    for second in 1..10 {
        sleep(Duration::from_secs(1)).await;
        let left = hub.connections().len();
        assert!(left.abs_diff(200 - second * 20) <= 1, "{left} after {second} s");
    }
    // Nobody joins meanwhile: one that is not the next to go.
    sleep(Duration::from_millis(25)).await;
    let last = pages.iter_mut().find(|page| hub.conn(page.conn()).info().is_some()).unwrap();
    assert_eq!(last.join("room:2", &0).await, Err(json!({ "reason": "busy" })));
    assert_eq!(last.closed().await.code(), 1012);
    let drained = draining.await.unwrap();
    assert_eq!((drained.told, drained.cut), (200, 0));
    assert!(matches!(hub.broadcast("room:1", "said", &1), Err(PublishError::Draining)));
    let told = diary.take();
    assert!(told.len() == 200 && told.iter().all(|line| line == "Drained"), "{told:?}");
    assert_empty(&hub);
}

/// 10,000 connections are told evenly: no tenth of a second has more than three times its share of them.
#[tokio::test(start_paused = true)]
async fn drains_are_spread() {
    let hub = Hub::builder().channel("room:{id}", Relay).build().unwrap();
    let mut pages: Vec<_> = (0..10_000).map(|_| hub.test_page(Identity::anonymous())).collect();
    let start = Instant::now();
    let draining = tokio::spawn({
        let hub = hub.clone();
        async move { hub.drain(Drain::default()).await }
    });
    let mut told = Vec::new();
    for tenth in 1..=100 {
        sleep_until(start + Duration::from_millis(tenth * 100)).await;
        told.push(10_000 - hub.connections().len());
    }
    let shares: Vec<_> = std::iter::once(told[0]).chain(told.windows(2).map(|two| two[1] - two[0])).collect();
    assert!(shares.iter().all(|share| (34..=300).contains(share)), "{shares:?}");
    assert_eq!(draining.await.unwrap().told, 10_000);
    for page in &mut pages {
        assert_eq!(page.closed().await.code(), 1012);
    }
}

/// Who drains waits for what sessions do at their end, and for what they still handle, but not for ever.
#[tokio::test(start_paused = true)]
async fn drains_wait_for_sessions() {
    let minute = Duration::from_secs(60);
    for (event, leave, told, busy, seconds) in [
        ("slow at the end", minute, &["Drained", "gone"][..], 0, 0),
        ("hang at the end", Drain::default().leave, &["Drained"], 1, 10),
        // Each has its own limit.
        ("hang at the end", minute, &["Drained"], 0, 30),
        ("hang", Drain::default().leave, &[], 1, 10),
        ("hang", minute, &[], 0, 30),
        // No connection is told late, however little time sessions have.
        ("hang", Duration::ZERO, &[], 1, 0),
    ] {
        let diary = Diary::default();
        let hub = hub(&diary);
        let mut page = joined(&hub, &diary).await;
        let start = Instant::now();
        page.cast("room:1", event, &1);
        sleep(Duration::from_millis(1)).await;
        diary.take();
        let drained = hub.drain(Drain { leave, ..Drain::default() }).await;
        assert_eq!((drained.told, drained.cut, drained.busy), (1, 0, busy), "{event} {leave:?}");
        assert_eq!(diary.take(), told);
        assert_eq!(start.elapsed().as_secs(), seconds);
        assert_eq!(page.closed().await.code(), 1012);
    }
}

/// Who is thrown out of a topic while it joins does not get in, and is told so for good.
#[tokio::test(start_paused = true)]
async fn joins_are_ended() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = hub.test_page(Identity::user("ada")).stock();
    for (reference, by_user) in [(1, false), (2, true)] {
        page.send_message(format!(r#"["{reference}","{reference}","room:1","phx_join",5000]"#));
        sleep(Duration::from_millis(1)).await;
        if by_user {
            hub.user("ada").leave("room:1");
        } else {
            hub.conn(page.conn()).leave("room:1");
        }
        let refused = r#"{"status":"error","response":{"reason":"unauthorized"}}"#;
        let reply = format!(r#"["{reference}","{reference}","room:1","phx_reply",{refused}]"#);
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*reply));
        let close = format!(r#"["{reference}","{reference}","room:1","phx_close",{{}}]"#);
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*close));
        sleep(Duration::from_secs(9)).await;
        assert_empty(&hub);
        assert!(diary.take().is_empty());
    }
    page.send_message(r#"["3","3","room:1","phx_join",0]"#);
    assert_eq!(
        page.next_message().await.unwrap().as_text(),
        Some(r#"["3","3","room:1","phx_reply",{"status":"ok","response":{}}]"#)
    );
    assert_eq!(hub.members("room:1").len(), 1);
}

/// What panics when it is dropped does not keep the next from its turn.
#[tokio::test(start_paused = true)]
async fn drops_that_panic_lose_nothing() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as was asked for");
        }
    }
    let events = Events::new().on("hang", async |_, _| {
        let _bomb = Bomb;
        std::future::pending().await
    });
    let hub = Hub::builder().channel("room:{id}", events).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["1","1","room:1","phx_join",{}]"#);
    page.next_message().await.unwrap();
    page.send_message(r#"["1","2","room:1","hang",1]"#);
    page.send_message(r#"["1","3","room:1","next",1]"#);
    sleep(Duration::from_secs(29)).await;
    page.send_message(r#"["4","4","room:1","phx_join",{}]"#);
    sleep(Duration::from_secs(2)).await;
    let refused = r#"{"status":"error","response":{"reason":"unmatched topic"}}"#;
    for told in [
        r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#,
        &format!(r#"[null,"3","room:1","phx_reply",{refused}]"#),
        r#"["4","4","room:1","phx_reply",{"status":"ok","response":{}}]"#,
    ] {
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(told));
    }
}

/// A join behind something that takes long is told so before its client gives up.
#[tokio::test(start_paused = true)]
async fn joins_that_wait_are_answered_in_time() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = stock(&hub, "room:1").await;
    page.send_message(r#"["1",null,"room:1","wait",20000]"#);
    sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    page.send_message(r#"["2","2","room:1","phx_join",0]"#);
    sleep(Duration::from_secs(1)).await;
    page.send_message(r#"["3","3","room:1","phx_join",0]"#);
    for (reference, seconds) in [(2, 8), (3, 9)] {
        let timeout = r#"{"status":"error","response":{"reason":"timeout"}}"#;
        let told = format!(r#"["{reference}","{reference}","room:1","phx_reply",{timeout}]"#);
        sleep(start + Duration::from_secs(seconds) - Instant::now()).await;
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*told));
    }
    // The wait for the end of the session that is replaced counts, too, and so does that for a turn.
    page.send_message(r#"["1",null,"room:1","hang at the end",0]"#);
    sleep(Duration::from_secs(10)).await;
    let start = Instant::now();
    page.send_message(r#"["4","4","room:1","phx_join",0]"#);
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(r#"["1","1","room:1","phx_close",{}]"#));
    sleep(start + Duration::from_secs(8) - Instant::now()).await;
    assert_eq!(
        page.next_message().await.unwrap().as_text(),
        Some(r#"["4","4","room:1","phx_reply",{"status":"error","response":{"reason":"timeout"}}]"#)
    );
    sleep(Duration::from_secs(21)).await;
    assert_empty(&hub);
    assert_eq!(diary.take().last().unwrap(), "Replaced");
}

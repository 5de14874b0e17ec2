//! What topics keep for clients that come back.

use std::time::Duration;

use sansocket::Message;
use sansocket_channels::test::Page;
use sansocket_channels::{
    Events, Hub, Identity, Joined, Limits, OnFull, Open, Position, Relay, Reply, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

/// Time enough for all tasks to do what they have to do.
pub const MOMENT: Duration = Duration::from_millis(1);

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn hub() -> Hub {
    hub_with(100, Limits::default())
}

pub fn hub_with(entries: usize, limits: Limits) -> Hub {
    let options = TopicOptions::new().history(entries, MINUTE);
    Hub::builder().channel_with("room:{id}", options, Relay).limits(limits).build().unwrap()
}

pub fn position(hub: &Hub, topic: &str) -> Option<Position> {
    hub.topics().into_iter().find(|info| info.name == topic)?.position
}

pub fn epoch(hub: &Hub) -> String {
    position(hub, "room:1").unwrap().epoch
}

/// What the page is told next, text as it is.
pub async fn told(page: &mut Page) -> String {
    page.next_message().await.unwrap().as_text().unwrap().to_owned()
}

/// What the page is told when it joins, saying that it left off there, and behind that.
pub async fn told_since(page: &mut Page, since: &Value) -> Vec<Value> {
    page.send_message(json!(["1", "1", "room:1", "phx_join", { "$since": since }]).to_string());
    let mut all = Vec::new();
    while let Some(message) = page.next_message().await {
        all.push(serde_json::from_str(message.as_text().unwrap()).unwrap());
    }
    all
}

/// The numbers of frames that were told, and the reply's position.
fn numbers(told: &[Value]) -> (&Value, Vec<u64>) {
    let numbers = told[1..].iter().map(|frame| frame[5].as_u64().unwrap());
    (&told[0][4]["response"]["$pos"]["o"], numbers.collect())
}

/// Each frame of a topic with a history, in both dialects.
#[tokio::test(start_paused = true)]
async fn frames_are_exact() {
    let hub = hub();
    let (mut ours, mut stock) =
        (hub.test_page(Identity::user("ada")), hub.test_page(Identity::user("bob")).stock());
    let (conn, other) = (ours.conn(), stock.conn());
    ours.send_message(r#"["3","3","room:1","phx_join",{"last":10}]"#);
    let reply = told(&mut ours).await;
    let e = epoch(&hub);
    assert!((1..=16).contains(&e.len()));
    assert_eq!(
        reply,
        format!(
            r#"["3","3","room:1","phx_reply",{{"status":"ok","response":{{"$conn":"{conn}","$pos":{{"e":"{e}","o":0}}}}}}]"#
        )
    );
    stock.send_message(r#"["3","3","room:1","phx_join",{"$since":{"e":"","o":0}}]"#);
    assert_eq!(told(&mut stock).await, r#"["3","3","room:1","phx_reply",{"status":"ok","response":{}}]"#);
    assert_eq!(hub.broadcast("room:1", "said", &json!({ "n": 1 })).unwrap().local, 2);
    assert_eq!(told(&mut ours).await, r#"[null,null,"room:1","said",{"n":1},1]"#);
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","said",{"n":1}]"#);
    // What is not for it.
    assert_eq!(hub.to("room:1").except(conn).send("said", &2).unwrap().local, 1);
    assert_eq!(hub.to("room:1").except_user("ada").send("said", &3).unwrap().local, 1);
    assert_eq!(hub.to("room:1").except(other).send("said", &4).unwrap().local, 1);
    for expected in [2, 3].map(|n| format!(r#"[null,null,"room:1","$pos",{{}},{n}]"#)) {
        assert_eq!(told(&mut ours).await, expected);
    }
    assert_eq!(told(&mut ours).await, r#"[null,null,"room:1","said",4,4]"#);
    for expected in [2, 3].map(|n| format!(r#"[null,null,"room:1","said",{n}]"#)) {
        assert_eq!(told(&mut stock).await, expected);
    }
    // Bytes.
    hub.to("room:1").send_binary("bé", vec![1, 2, 0xFF]).unwrap();
    let bytes = ours.next_message().await.unwrap();
    assert_eq!(bytes.payload(), b"\x03\x06\x03\0\0\0\0\0\0\0\x05room:1b\xC3\xA9\x01\x02\xFF");
    let bytes = stock.next_message().await.unwrap();
    assert_eq!(bytes.payload(), b"\x02\x06\x03room:1b\xC3\xA9\x01\x02\xFF");
    hub.to("room:1").except(conn).send_binary("be", vec![1]).unwrap();
    assert_eq!(told(&mut ours).await, r#"[null,null,"room:1","$pos",{},6]"#);
    assert!(matches!(stock.next_message().await, Some(Message::Binary(_))));
    // What is no part of it.
    hub.to("room:1").only([conn, other]).send("hint", &1).unwrap();
    hub.conn(conn).push("room:1", "hint", &2).unwrap();
    assert_eq!(told(&mut ours).await, r#"[null,null,"room:1","hint",1]"#);
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","hint",1]"#);
    assert_eq!(told(&mut ours).await, r#"["3",null,"room:1","hint",2]"#);
    assert_eq!(position(&hub, "room:1"), Some(Position { epoch: e.clone(), offset: 6 }));
    // And all of it again.
    let mut again = hub.test_page(Identity::user("ada"));
    let since = json!({ "e": e, "o": 0, "c": conn });
    again.send_message(json!(["1", "1", "room:1", "phx_join", { "$since": since }]).to_string());
    let conn = again.conn();
    assert_eq!(
        told(&mut again).await,
        format!(
            r#"["1","1","room:1","phx_reply",{{"status":"ok","response":{{"$conn":"{conn}","$pos":{{"e":"{e}","o":0}},"$recovered":true}}}}]"#
        )
    );
    assert_eq!(told(&mut again).await, r#"[null,null,"room:1","said",{"n":1},1]"#);
    assert_eq!(told(&mut again).await, r#"[null,null,"room:1","$pos",{},2]"#);
    assert_eq!(told(&mut again).await, r#"[null,null,"room:1","$pos",{},3]"#);
    assert_eq!(told(&mut again).await, r#"[null,null,"room:1","said",4,4]"#);
    let bytes = again.next_message().await.unwrap();
    assert_eq!(bytes.payload(), b"\x03\x06\x03\0\0\0\0\0\0\0\x05room:1b\xC3\xA9\x01\x02\xFF");
    assert_eq!(told(&mut again).await, r#"[null,null,"room:1","$pos",{},6]"#);
    assert!(again.next_message().await.is_none());
}

/// A topic without a history has none of that, whatever a client says.
#[tokio::test(start_paused = true)]
async fn without_a_history_there_are_no_numbers() {
    let hub = Hub::builder().channel("room:{id}", Open).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    let told = told_since(&mut page, &json!({ "e": "", "o": 0 })).await;
    let response = json!({ "$conn": page.conn(), "$recovered": false });
    assert_eq!(told, [json!(["1", "1", "room:1", "phx_reply", { "status": "ok", "response": response }])]);
    hub.broadcast("room:1", "said", &1).unwrap();
    assert_eq!(page.next_message().await.unwrap().as_text().unwrap(), r#"[null,null,"room:1","said",1]"#);
    assert_eq!(hub.topics()[0].position, None);
}

/// A client comes back, and has all that it has missed, before it has heard of anything too.
#[tokio::test(start_paused = true)]
async fn what_was_missed_comes_when_a_client_is_back() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    page.reconnect().await;
    page.expect_nothing().await;
    page.cut();
    sleep(MOMENT).await;
    // Nobody is there.
    assert_eq!(hub.topics()[0].members, 0);
    for n in 1..=3 {
        assert_eq!(hub.broadcast("room:1", "said", &n).unwrap().local, 0);
    }
    page.reconnect().await;
    hub.broadcast("room:1", "said", &4).unwrap();
    for n in 1..=4 {
        assert_eq!(page.expect("room:1", "said").await, n);
    }
    // What was on its way is lost, and comes again.
    hub.broadcast("room:1", "said", &5).unwrap();
    page.reconnect().await;
    assert_eq!(page.expect("room:1", "said").await, 5);
    page.expect_nothing().await;
}

/// What a client says about where it left off, and is no position of this topic's, is not recovered, and nothing else comes of it.
#[tokio::test(start_paused = true)]
async fn positions_that_are_none_are_not_recovered() {
    let hub = hub();
    let mut watcher = hub.test_page(Identity::anonymous());
    watcher.join("room:1", &json!({})).await.unwrap();
    hub.broadcast("room:1", "said", &1).unwrap();
    let e = epoch(&hub);
    let wrong = [
        json!(null),
        json!(1),
        json!("k9"),
        json!([]),
        json!({}),
        json!({ "e": e }),
        json!({ "o": 0 }),
        json!({ "e": e, "o": "0" }),
        json!({ "e": e, "o": -1 }),
        json!({ "e": e, "o": 0.5 }),
        json!({ "e": e, "o": 2 }),
        json!({ "e": e, "o": u64::MAX }),
        json!({ "e": 1, "o": 0 }),
        json!({ "e": "other", "o": 0 }),
        json!({ "e": e, "o": 0, "c": 1 }),
    ];
    for since in wrong {
        let mut page = hub.test_page(Identity::anonymous());
        let told = told_since(&mut page, &since).await;
        assert_eq!(told.len(), 1, "{since}");
        let response = json!({ "$conn": page.conn(), "$pos": { "e": e, "o": 1 }, "$recovered": false });
        assert_eq!(told[0][4], json!({ "status": "ok", "response": response }), "{since}");
    }
    for since in [
        json!({ "e": e, "o": 0 }),
        json!({ "e": e, "o": 0, "c": null }),
        json!({ "e": e, "o": 0, "c": "of somebody else" }),
        json!({ "e": e, "o": 0, "c": watcher.conn(), "x": [1] }),
    ] {
        let mut page = hub.test_page(Identity::anonymous());
        let told = told_since(&mut page, &since).await;
        assert_eq!(told[1..], [json!([null, null, "room:1", "said", 1, 1])], "{since}");
    }
}

/// As many messages are kept as there may be, and for as long.
#[tokio::test(start_paused = true)]
async fn a_topic_keeps_so_many_messages_for_so_long() {
    let hub = hub_with(3, Limits::default());
    let mut watcher = hub.test_page(Identity::anonymous());
    watcher.join("room:1", &json!({})).await.unwrap();
    let e = epoch(&hub);
    for n in 1..=5 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    for (o, is_recovered) in [(0, false), (1, false), (2, true), (4, true), (5, true)] {
        let mut page = hub.test_page(Identity::anonymous());
        let told = told_since(&mut page, &json!({ "e": e, "o": o })).await;
        assert_eq!(told[0][4]["response"]["$recovered"], is_recovered, "since {o}");
        let expected = if is_recovered { (json!(o), (o + 1..=5).collect()) } else { (json!(5), vec![]) };
        assert_eq!(numbers(&told), (&expected.0, expected.1), "since {o}");
    }
    let begin = Instant::now();
    hub.broadcast("room:1", "said", &6).unwrap();
    sleep_until(begin + MINUTE - MOMENT).await;
    let mut page = hub.test_page(Identity::anonymous());
    page.send_message(json!(["1", "1", "room:1", "phx_join", { "$since": { "e": e, "o": 5 } }]).to_string());
    assert!(told(&mut page).await.ends_with(r#""$recovered":true}}]"#));
    assert_eq!(told(&mut page).await, r#"[null,null,"room:1","said",6,6]"#);
    sleep_until(begin + MINUTE).await;
    let mut page = hub.test_page(Identity::anonymous());
    assert_eq!(
        told_since(&mut page, &json!({ "e": e, "o": 5 })).await[0][4]["response"]["$recovered"],
        false
    );
    // Nothing was missed since.
    let mut page = hub.test_page(Identity::anonymous());
    assert_eq!(told_since(&mut page, &json!({ "e": e, "o": 6 })).await[0][4]["response"]["$recovered"], true);
}

/// As many bytes are kept as there may be, with what is around them.
#[tokio::test(start_paused = true)]
async fn a_topic_keeps_so_many_bytes() {
    let limits = Limits::default().history(1_000, 4_096, MINUTE);
    let hub = hub_with(1_000, limits);
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    page.cut();
    for n in 0..3 {
        hub.broadcast("room:1", "said", &"x".repeat(1_000 + n)).unwrap();
    }
    page.reconnect().await;
    for _ in 0..3 {
        page.expect("room:1", "said").await;
    }
    page.cut();
    for n in 0..4 {
        hub.broadcast("room:1", "said", &"x".repeat(1_000 + n)).unwrap();
    }
    page.reconnect().await;
    assert_eq!(page.expect("room:1", "$gap").await["o"], 7);
    // One that is larger is not kept, and neither is what was before it.
    page.cut();
    hub.broadcast("room:1", "said", &"x".repeat(5_000)).unwrap();
    page.reconnect().await;
    assert_eq!(page.expect("room:1", "$gap").await["o"], 8);
    page.expect_nothing().await;
}

/// What does not fit into a client's queue, with the answer before it, is not recovered at all.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_the_queue_is_not_recovered() {
    let limits = Limits::default().payload(1_024).queue(4_096, 8);
    let hub = hub_with(100, limits);
    for (count, size, fits) in [(7, 1, true), (8, 1, false), (4, 900, true), (5, 900, false)] {
        let mut page = hub.test_page(Identity::anonymous());
        page.join("room:1", &json!({})).await.unwrap();
        page.cut();
        for _ in 0..count {
            hub.broadcast("room:1", "said", &"x".repeat(size)).unwrap();
        }
        page.reconnect().await;
        if fits {
            for _ in 0..count {
                page.expect("room:1", "said").await;
            }
        } else {
            page.expect("room:1", "$gap").await;
        }
        hub.broadcast("room:1", "said", &1).unwrap();
        page.expect("room:1", "said").await;
        page.expect_nothing().await;
    }
}

/// Who has not been here is sent the newest, behind the reply, in either dialect; and who comes back, but too late.
#[tokio::test(start_paused = true)]
async fn the_latest_come_to_who_joins_first() {
    let options = TopicOptions::new().history(5, MINUTE).latest(3);
    let limits = Limits::default().payload(1_024).queue(4_096, 100);
    let hub = Hub::builder().channel_with("room:{id}", options, Open).limits(limits).build().unwrap();
    let mut watcher = hub.test_page(Identity::anonymous());
    watcher.join("room:1", &json!({})).await.unwrap();
    for n in 1..=2 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    let mut page = hub.test_page(Identity::user("ada"));
    assert_eq!(page.join("room:1", &json!({})).await.unwrap()["$pos"]["o"], 0);
    assert_eq!(page.expect("room:1", "said").await, 1);
    assert_eq!(page.expect("room:1", "said").await, 2);
    hub.broadcast("room:1", "said", &3).unwrap();
    hub.to("room:1").except_user("ada").send("said", &4).unwrap();
    hub.to("room:1").send_binary("bytes", vec![5]).unwrap();
    let mut page = hub.test_page(Identity::user("ada"));
    assert_eq!(page.join("room:1", &json!({})).await.unwrap()["$pos"]["o"], 2);
    assert_eq!(page.expect("room:1", "said").await, 3);
    assert_eq!(page.expect_binary("room:1", "bytes").await, vec![5]);
    page.expect_nothing().await;
    let mut stock = hub.test_page(Identity::user("bob")).stock();
    stock.send_message(r#"["3","3","room:1","phx_join",{}]"#);
    hub.broadcast("room:1", "said", &6).unwrap();
    assert!(told(&mut stock).await.starts_with(r#"["3","3","room:1","phx_reply""#));
    // The other was sent before the hub has heard of the join.
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","said",4]"#);
    assert_eq!(stock.next_message().await.unwrap().payload(), b"\x02\x06\x05room:1bytes\x05");
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","said",6]"#);
    assert!(stock.next_message().await.is_none());
    // Who cannot be sent what it has missed is one of them.
    let mut page = hub.test_page(Identity::anonymous());
    page.send_message(r#"["1","1","room:1","phx_join",{"$since":{"e":"other","o":1}}]"#);
    assert!(told(&mut page).await.ends_with(r#""o":3},"$recovered":false}}]"#));
    assert_eq!(told(&mut page).await, r#"[null,null,"room:1","said",4,4]"#);
    assert_eq!(
        page.next_message().await.unwrap().payload(),
        b"\x03\x06\x05\0\0\0\0\0\0\0\x05room:1bytes\x05"
    );
    assert_eq!(told(&mut page).await, r#"[null,null,"room:1","said",6,6]"#);
    assert!(page.next_message().await.is_none());
}

/// There is room for all of the latest, or none comes.
#[tokio::test(start_paused = true)]
async fn the_latest_come_if_there_is_room() {
    for (waiting, comes) in [(5, true), (6, false)] {
        let options = TopicOptions::new().history(5, MINUTE).latest(3);
        let slow = Events::new().on_join(async |_, _| {
            sleep(MOMENT * 10).await;
            Ok(Joined::new(()))
        });
        let limits = Limits::default().queue(1 << 20, 9);
        let builder = Hub::builder().channel("other", Open).channel_with("room:{id}", options, slow);
        let hub = builder.limits(limits).build().unwrap();
        let mut watcher = hub.test_page(Identity::anonymous());
        watcher.join("room:1", &json!({})).await.unwrap();
        for n in 1..=4 {
            hub.broadcast("room:1", "said", &n).unwrap();
        }
        let mut page = hub.test_page(Identity::anonymous());
        page.join("other", &json!({})).await.unwrap();
        page.send_message(r#"["9","9","room:1","phx_join",{}]"#);
        sleep(MOMENT).await;
        page.stall();
        // The first is taken from the queue, and waits to be written.
        for n in 0..=waiting {
            hub.broadcast("other", "said", &n).unwrap();
            sleep(MOMENT).await;
        }
        sleep(MOMENT * 10).await;
        page.resume();
        for n in 0..=waiting {
            assert_eq!(told(&mut page).await, format!(r#"[null,null,"other","said",{n}]"#));
        }
        let from = if comes { 1 } else { 4 };
        assert!(told(&mut page).await.ends_with(&format!(r#""o":{from}}}}}}}]"#)));
        for n in from + 1..=4 {
            assert_eq!(told(&mut page).await, format!(r#"[null,null,"room:1","said",{n},{n}]"#));
        }
        assert!(page.next_message().await.is_none());
    }
}

/// What was not for a client is not sent to it when it comes back, however often; who says that he was another has less of it.
#[tokio::test(start_paused = true)]
async fn what_is_not_for_a_client_stays_so() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    let e = epoch(&hub);
    let first = page.conn();
    page.push("room:1", "mine", &1).await.unwrap();
    page.cut();
    hub.broadcast("room:1", "said", &2).unwrap();
    // It hears of nothing between.
    let mut before = first;
    for _ in 0..3 {
        let mut page = hub.test_page(Identity::anonymous());
        let told = told_since(&mut page, &json!({ "e": e, "o": 0, "c": before })).await;
        assert_eq!(told[1], json!([null, null, "room:1", "$pos", {}, 1]));
        assert_eq!(told[2], json!([null, null, "room:1", "said", 2, 2]));
        before = page.conn();
    }
    // Another's word.
    let mut liar = hub.test_page(Identity::anonymous());
    let told = told_since(&mut liar, &json!({ "e": e, "o": 0, "c": first })).await;
    assert_eq!(told[1][3], "$pos");
    let mut other = hub.test_page(Identity::anonymous());
    let told = told_since(&mut other, &json!({ "e": e, "o": 0 })).await;
    assert_eq!(told[1], json!([null, null, "room:1", "mine", 1, 1]));
}

/// What a client has said as who it was before is not for it when its handler sends it to the others only then, when it is back.
#[tokio::test(start_paused = true)]
async fn what_a_client_has_said_before_is_not_for_it() {
    let slow = Events::new().on("say", async |cx, payload| {
        sleep(MOMENT * 100).await;
        cx.others().send("said", &payload)?;
        cx.others().volatile().send("hint", &payload)?;
        Ok(Reply::ok())
    });
    let options = TopicOptions::new().history(10, MINUTE);
    let hub = Hub::builder().channel_with("room:{id}", options, slow).build().unwrap();
    let (mut ada, mut bob) = (hub.test_page(Identity::user("ada")), hub.test_page(Identity::user("bob")));
    for page in [&mut ada, &mut bob] {
        page.join("room:1", &json!({})).await.unwrap();
    }
    ada.cast("room:1", "say", &1);
    sleep(MOMENT).await;
    ada.reconnect().await;
    assert_eq!(bob.expect("room:1", "said").await, 1);
    bob.expect("room:1", "hint").await;
    // It is told the number. What it misses then, it is not to have as another either.
    let back = ada.conn();
    assert_eq!(told(&mut ada).await, r#"[null,null,"room:1","$pos",{},1]"#);
    let mut again = hub.test_page(Identity::user("ada"));
    let told = told_since(&mut again, &json!({ "e": epoch(&hub), "o": 0, "c": back })).await;
    assert_eq!(told[1..], [json!([null, null, "room:1", "$pos", {}, 1])]);
}

/// A gap before anything that has a number says how far the client was when it joined.
#[tokio::test(start_paused = true)]
async fn a_gap_says_how_far_a_client_was_when_it_joined() {
    let options = TopicOptions::new().history(10, MINUTE).on_full(OnFull::DropNewest);
    let limits = Limits::default().queue(1 << 20, 4);
    let hub = Hub::builder().channel_with("room:{id}", options, Open).limits(limits).build().unwrap();
    let mut keeper = hub.test_page(Identity::anonymous());
    keeper.join("room:1", &json!({})).await.unwrap();
    for n in 1..=3 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &json!({})).await.unwrap();
    page.stall();
    let conn = hub.conn(page.conn());
    let mut taken = 0;
    // The first waits to be written, and four are queued.
    for n in 0..7 {
        taken += conn.push("room:1", "hint", &n).unwrap().local;
        sleep(MOMENT).await;
    }
    assert_eq!(taken, 5);
    page.resume();
    for _ in 0..taken {
        page.expect("room:1", "hint").await;
    }
    assert_eq!(page.expect("room:1", "$gap").await, json!({ "e": epoch(&hub), "o": 3 }));
    hub.broadcast("room:1", "said", &4).unwrap();
    assert_eq!(page.expect("room:1", "said").await, 4);
}

/// Who is present, and what was pushed before the answer, has to fit beside what was missed: else that does not come, and nobody is
/// closed.
#[tokio::test(start_paused = true)]
async fn what_follows_what_was_missed_has_to_fit() {
    let options = TopicOptions::new().history(10, MINUTE);
    let here = Events::new().on_join(async |_, _| Joined::new(()).track(&json!({ "x": "x".repeat(900) })));
    let early = Events::new().on_join(async |cx, _| {
        cx.push("early", &"x".repeat(15_000))?;
        Ok(Joined::new(()))
    });
    let limits = Limits::default().payload(20_000).queue(40_000, 30).presence(30, 2_000);
    let hub = Hub::builder()
        .channel_with("here", options.clone().presence(), here)
        .channel_with("early", options, early)
        .limits(limits)
        .build()
        .unwrap();
    let mut others = Vec::new();
    for _ in 0..18 {
        let mut other = hub.test_page(Identity::anonymous());
        other.join("here", &json!({})).await.unwrap();
        others.push(other);
    }
    sleep(MINUTE / 60).await;
    for (topic, event) in [("here", "presence_state"), ("early", "early")] {
        for (missed, fits) in [(1, true), (3, false)] {
            let mut page = hub.test_page(Identity::anonymous());
            page.join(topic, &json!({})).await.unwrap();
            page.expect(topic, event).await;
            page.cut();
            for _ in 0..missed {
                hub.broadcast(topic, "said", &"x".repeat(10_000)).unwrap();
            }
            page.reconnect().await;
            page.expect(topic, if fits { "said" } else { "$gap" }).await;
            page.expect(topic, event).await;
            assert!(hub.conn(page.conn()).info().is_some());
        }
    }
    assert_eq!((hub.metrics().recoveries_won, hub.metrics().recoveries_lost), (2, 2));
}

/// If there is no room for what was missed, the latest come, as if it were not kept; or nothing, if there is none for them.
#[tokio::test(start_paused = true)]
async fn the_latest_come_in_place_of_what_was_missed() {
    for (latest, expected) in [(2, vec![7, 8]), (7, vec![]), (20, vec![]), (0, vec![])] {
        let options = TopicOptions::new().history(20, MINUTE).latest(latest);
        let limits = Limits::default().payload(1_024).queue(4_096, 6);
        let hub = Hub::builder().channel_with("room:{id}", options, Open).limits(limits).build().unwrap();
        let mut watcher = hub.test_page(Identity::anonymous());
        watcher.join("room:1", &json!({})).await.unwrap();
        for n in 1..=8 {
            hub.broadcast("room:1", "said", &n).unwrap();
            watcher.expect("room:1", "said").await;
        }
        let mut page = hub.test_page(Identity::anonymous());
        let told = told_since(&mut page, &json!({ "e": epoch(&hub), "o": 0 })).await;
        assert_eq!(told[0][4]["response"]["$recovered"], false);
        assert_eq!(numbers(&told), (&json!(8 - expected.len()), expected), "{latest}");
    }
}

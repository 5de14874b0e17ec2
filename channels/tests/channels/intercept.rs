//! What sessions have a say in before it is sent to their clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sansocket::Message;
use sansocket_channels::test::Page;
use sansocket_channels::{
    Channel, Close, Cx, Events, Hub, Identity, Joined, Leave, Limits, Outgoing, Payload, Refusal, Reply,
    Session, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::patience::{awaited, until};

/// Its sessions do with `said` what its payload says.
#[derive(Clone, Default)]
struct Room {
    /// How often sessions were asked.
    asked: Arc<AtomicUsize>,
    /// How many sessions have been told of their end.
    left: Arc<AtomicUsize>,
}

impl Channel for Room {
    type Session = Member;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Member>, Refusal> {
        Ok(Joined::new(Member { room: self.clone(), is_busy: false }))
    }
}

struct Member {
    room: Room,
    is_busy: bool,
}

impl Session for Member {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        self.is_busy = true;
        let reply = handle(cx, event, payload).await;
        self.is_busy = false;
        reply
    }

    fn outgoing(&mut self, cx: &Cx, event: &str, payload: &Payload) -> Outgoing {
        assert_eq!(event, "said");
        assert!(!self.is_busy && cx.reply_to().is_none());
        self.room.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(data) = payload.binary() {
            return Payload::of(&data.to_vec()).map_or(Outgoing::Skip, Outgoing::Instead);
        }
        match payload.parse::<Value>().unwrap() {
            Value::String(user) if cx.user() == Some(&user) => Outgoing::Skip,
            Value::String(what) => match &*what {
                "json" => Outgoing::Instead(Payload::of(&json!({ "for": cx.user() })).unwrap()),
                "bytes" => Outgoing::Instead(Payload::bytes(vec![1, 2, 0xff])),
                "too big" => Outgoing::Instead(Payload::bytes(vec![0; (256 << 10) + 1])),
                "panic" if cx.user() == Some("ada") => panic!("as was asked for"),
                "again" => {
                    cx.push("hint", &"again").unwrap();
                    cx.broadcast("said", &"again").unwrap();
                    Outgoing::Skip
                }
                _ => Outgoing::Pass,
            },
            _ => Outgoing::Pass,
        }
    }

    async fn leave(self, _: &Cx, _: Leave) {
        self.room.left.fetch_add(1, Ordering::Relaxed);
    }
}

async fn handle(cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
    match event {
        "wait" => sleep(Duration::from_millis(payload.parse()?)).await,
        "say" => {
            cx.broadcast("told", &1)?;
            cx.broadcast("said", &2)?;
            cx.push("hint", &3)?;
            cx.broadcast("told", &4)?;
        }
        "ask" => {
            cx.broadcast("said", &"first")?;
            let answer: Value = cx.ask("pick", &0, Duration::from_secs(5)).await?;
            return Ok(Reply::with(&answer)?);
        }
        "stop" => {
            cx.broadcast("said", &"last")?;
            return Ok(Reply::ok().stop());
        }
        "end" => {
            cx.broadcast("said", &"dropped")?;
            cx.push("hint", &"sent")?;
            cx.broadcast("told", &"dropped")?;
            assert!(!payload.parse()?, "as was asked for");
            cx.close();
        }
        _ => return Err(Refusal::unknown_event()),
    }
    Ok(Reply::ok())
}

fn hub_of(room: Room, limits: Limits) -> Hub {
    let options = TopicOptions::new().intercept(["said"]);
    Hub::builder().channel_with("room:{id}", options, room).limits(limits).build().unwrap()
}

fn hub() -> Hub {
    hub_of(Room::default(), Limits::default())
}

/// A page that has joined `room:1` by the ref 1.
async fn page(hub: &Hub, user: &str) -> Page {
    let mut page = hub.test_page(Identity::user(user)).stock();
    page.join("room:1", &()).await.unwrap();
    page
}

/// What comes next is this.
async fn next(page: &mut Page, frames: &[&str]) {
    for frame in frames {
        assert_eq!(page.next_message().await.as_ref().and_then(Message::as_text), Some(*frame));
    }
}

/// Lets all tasks do what they have to do.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Each session has its own say.
#[tokio::test(start_paused = true)]
async fn messages_pass_or_are_skipped_or_replaced() {
    let hub = hub();
    let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
    for payload in ["ada", "json", "bytes", "too big", "end"] {
        assert_eq!(hub.broadcast("room:1", "said", &payload).unwrap().local, 2);
    }
    hub.to("room:1").send_binary("said", vec![7, 8]).unwrap();
    next(&mut ada, &[r#"[null,null,"room:1","said",{"for":"ada"}]"#]).await;
    next(&mut bob, &[r#"[null,null,"room:1","said","ada"]"#]).await;
    next(&mut bob, &[r#"[null,null,"room:1","said",{"for":"bob"}]"#]).await;
    for page in [&mut ada, &mut bob] {
        let data = page.next_message().await.unwrap();
        assert_eq!(data, Message::Binary(b"\x02\x06\x04room:1said\x01\x02\xff".to_vec().into()));
        next(page, &[r#"[null,null,"room:1","said","end"]"#, r#"[null,null,"room:1","said",[7,8]]"#]).await;
        assert_eq!(page.next_message().await, None);
        assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
    }
}

/// Sessions are not asked about other events, nor about what goes to one client by itself: as in Phoenix, whose `intercept` is
/// about broadcasts.
#[tokio::test(start_paused = true)]
async fn nothing_else_is_intercepted() {
    let room = Room::default();
    let hub = hub_of(room.clone(), Limits::default());
    let mut page = page(&hub, "ada").await;
    hub.broadcast("room:1", "told", &"ada").unwrap();
    hub.conn(page.conn()).push("room:1", "said", &"ada").unwrap();
    hub.user("ada").push("room:1", "said", &"ada").unwrap();
    hub.to("room:1").except_user("ada").send("said", &"ada").unwrap();
    for event in ["told", "said", "said"] {
        assert_eq!(page.expect("room:1", event).await, json!("ada"));
    }
    page.expect_nothing().await;
    assert_eq!(room.asked.load(Ordering::Relaxed), 0);
    hub.to("room:1").only([page.conn()]).send("said", &"ada").unwrap();
    page.expect_nothing().await;
    assert_eq!(room.asked.load(Ordering::Relaxed), 1);
}

/// Closures have their say, too; without one for the event, it passes.
#[tokio::test(start_paused = true)]
async fn closures_intercept() {
    let events = Events::new().on_outgoing("said", |cx, payload| match payload.parse::<String>() {
        Ok(user) if cx.user() == Some(&user) => Outgoing::Skip,
        _ => Outgoing::Pass,
    });
    let options = TopicOptions::new().intercept(["said", "told"]);
    let hub = Hub::builder().channel_with("room:{id}", options, events).build().unwrap();
    let mut page = page(&hub, "ada").await;
    for (event, payload) in [("said", "bob"), ("said", "ada"), ("told", "ada"), ("said", "eve")] {
        hub.broadcast("room:1", event, &payload).unwrap();
    }
    for (event, payload) in [("said", "bob"), ("told", "ada"), ("said", "eve")] {
        assert_eq!(page.expect("room:1", event).await, json!(payload));
    }
    page.expect_nothing().await;
}

/// What follows a message that waits for its session waits too, be it a broadcast, a push or an answer, also that of the handler
/// which made it.
#[tokio::test(start_paused = true)]
async fn the_order_stays() {
    let hub = hub();
    let mut page = page(&hub, "ada").await;
    page.send_message(r#"["1","2","room:1","say",{}]"#);
    page.send_message(r#"["1","3","room:1","none",{}]"#);
    next(
        &mut page,
        &[
            r#"[null,null,"room:1","told",1]"#,
            r#"[null,null,"room:1","said",2]"#,
            r#"["1",null,"room:1","hint",3]"#,
            r#"[null,null,"room:1","told",4]"#,
            r#"["1","2","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            r#"["1","3","room:1","phx_reply",{"status":"error","response":{"reason":"unknown event"}}]"#,
        ],
    )
    .await;
    // The last word of a handler that ends the session.
    page.send_message(r#"["1","4","room:1","stop",{}]"#);
    next(
        &mut page,
        &[
            r#"[null,null,"room:1","said","last"]"#,
            r#"["1","4","room:1","phx_reply",{"status":"ok","response":{}}]"#,
            r#"["1","1","room:1","phx_close",{}]"#,
        ],
    )
    .await;
    assert_eq!(page.next_message().await, None);
}

/// While a handler runs, what its session has a say in waits, with all that follows on the topic; other topics do not.
#[tokio::test(start_paused = true)]
async fn a_busy_session_holds_its_topic() {
    let hub = hub();
    let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
    ada.join("room:2", &()).await.unwrap();
    ada.send_message(r#"["1","3","room:1","wait",20000]"#);
    settle().await;
    assert_eq!(hub.broadcast("room:1", "told", &0).unwrap().local, 2);
    assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 2);
    assert_eq!(hub.broadcast("room:1", "told", &2).unwrap().local, 2);
    assert_eq!(hub.conn(ada.conn()).push("room:1", "hint", &3).unwrap().local, 1);
    assert_eq!(hub.broadcast("room:1", "said", &"ada").unwrap().local, 2);
    assert_eq!(hub.broadcast("room:2", "said", &5).unwrap().local, 1);
    next(&mut ada, &[r#"[null,null,"room:1","told",0]"#, r#"[null,null,"room:2","said",5]"#]).await;
    ada.send_message(r#"[null,"4","phoenix","heartbeat",{}]"#);
    next(&mut ada, &[r#"[null,"4","phoenix","phx_reply",{"status":"ok","response":{}}]"#]).await;
    assert_eq!(ada.next_message().await, None);
    assert!(hub.conn(ada.conn()).info().unwrap().queued > 100, "what is held counts as queued");
    for (event, payload) in
        [("told", json!(0)), ("said", json!(1)), ("told", json!(2)), ("said", json!("ada"))]
    {
        assert_eq!(bob.expect("room:1", event).await, payload);
    }
    sleep(Duration::from_secs(20)).await;
    next(
        &mut ada,
        &[
            r#"[null,null,"room:1","said",1]"#,
            r#"[null,null,"room:1","told",2]"#,
            r#"["1",null,"room:1","hint",3]"#,
            r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        ],
    )
    .await;
    assert_eq!(ada.next_message().await, None);
    assert_eq!(hub.conn(ada.conn()).info().unwrap().queued, 0);
}

/// A question of a handler, and what acknowledges its answer, do not wait for what waits for the handler.
#[tokio::test(start_paused = true)]
async fn questions_pass_by() {
    let hub = hub();
    let mut page = page(&hub, "ada").await;
    page.send_message(r#"["1","2","room:1","ask",{}]"#);
    next(&mut page, &[r#"["1","s1","room:1","pick",0]"#]).await;
    page.send_message(r#"["1","3","room:1","$reply",{"ref":"s1","status":"ok","response":7}]"#);
    next(&mut page, &[r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#]).await;
    next(
        &mut page,
        &[
            r#"[null,null,"room:1","said","first"]"#,
            r#"["1","2","room:1","phx_reply",{"status":"ok","response":7}]"#,
        ],
    )
    .await;
}

/// What is held has the room of what is queued: so many frames, and so many bytes.
#[tokio::test(start_paused = true)]
async fn a_hold_is_bounded() {
    let frames = Limits::default().queue(1 << 20, 4);
    let bytes = Limits::default().queue(4 * 1_000, 100).payload(1_000);
    for limits in [frames, bytes] {
        let room = Room::default();
        let hub = hub_of(room.clone(), limits);
        let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
        ada.cast("room:1", "wait", &20_000);
        settle().await;
        let said = "x".repeat(900);
        for event in ["said", "told", "said", "told"] {
            assert_eq!(hub.broadcast("room:1", event, &said).unwrap().local, 2);
            settle().await;
        }
        assert_eq!(hub.broadcast("room:1", "told", &said).unwrap().local, 1);
        assert_eq!(ada.closed().await.code(), 4008);
        for event in ["said", "told", "said", "told", "told"] {
            bob.expect("room:1", event).await;
        }
        assert_eq!(hub.members("room:1").len(), 1);
        sleep(Duration::from_secs(30)).await;
        assert_eq!((room.asked.load(Ordering::Relaxed), room.left.load(Ordering::Relaxed)), (2, 1));
    }
}

/// What waits for a session is of its class all the same: the newest of a key takes the place of the one before it, and what is
/// volatile is dropped where much waits.
#[tokio::test(start_paused = true)]
async fn classes_survive_a_hold() {
    let hub = hub();
    let mut page = page(&hub, "ada").await;
    page.cast("room:1", "wait", &5_000);
    settle().await;
    let send = |event, payload: &str| hub.broadcast("room:1", event, payload).unwrap().local;
    let keyed = |key, event, payload| hub.to("room:1").keyed(key).send(event, payload).unwrap().local;
    let volatile = |payload| hub.to("room:1").volatile().send("told", payload).unwrap().local;
    assert_eq!((send("said", "1"), keyed("a", "told", "2"), keyed("b", "said", "ada")), (1, 1, 1));
    assert_eq!((send("told", "3"), keyed("a", "said", "json"), keyed("b", "told", "4")), (1, 1, 1));
    assert_eq!((keyed("a", "said", "json"), volatile("5")), (1, 1));
    assert_eq!((send("told", &"x".repeat(64 << 10)), volatile("6")), (1, 0));
    sleep(Duration::from_secs(5)).await;
    next(
        &mut page,
        &[
            r#"[null,null,"room:1","said","1"]"#,
            r#"[null,null,"room:1","said",{"for":"ada"}]"#,
            r#"[null,null,"room:1","told","4"]"#,
            r#"[null,null,"room:1","told","3"]"#,
            r#"[null,null,"room:1","told","5"]"#,
        ],
    )
    .await;
    assert!(page.next_message().await.unwrap().len() > 64 << 10);
    assert_eq!(page.next_message().await, None);

    // The first waits for the session to have its say in it: the next is behind, and then takes its place.
    page.cast("room:1", "wait", &5_000);
    settle().await;
    for payload in ["json", "1", "2"] {
        assert_eq!(keyed("a", "said", payload), 1);
    }
    assert!(hub.conn(page.conn()).info().unwrap().queued < 80);
    sleep(Duration::from_secs(5)).await;
    next(&mut page, &[r#"[null,null,"room:1","said","2"]"#]).await;
    assert_eq!(page.next_message().await, None);
    assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
}

/// What waits for a session takes memory as all does that waits: who has waited longest is closed when there is too much.
#[tokio::test(start_paused = true)]
async fn a_hold_takes_memory() {
    let hub = hub_of(Room::default(), Limits::default().payload(1_000).memory(20_000));
    let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
    ada.cast("room:1", "wait", &20_000);
    settle().await;
    hub.broadcast("room:1", "said", &"first").unwrap();
    assert_eq!(bob.expect("room:1", "said").await, json!("first"));
    bob.stall();
    for _ in 0..30 {
        settle().await;
        hub.to("room:1").only([bob.conn()]).send("told", &"x".repeat(900)).unwrap();
    }
    assert_eq!(ada.closed().await.code(), 1013);
}

/// A session that panics has crashed, and what waits with it; others do not notice.
#[tokio::test(start_paused = true)]
async fn a_panic_is_one_crash() {
    let room = Room::default();
    let hub = hub_of(room.clone(), Limits::default());
    let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
    for payload in ["panic", "after"] {
        assert_eq!(hub.broadcast("room:1", "said", &payload).unwrap().local, 2);
        assert_eq!(hub.broadcast("room:1", "told", &payload).unwrap().local, 2);
    }
    next(&mut ada, &[r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#]).await;
    assert_eq!(ada.next_message().await, None);
    assert_eq!(hub.conn(ada.conn()).info().unwrap().queued, 0);
    for event in ["said", "told"].repeat(2) {
        bob.expect("room:1", event).await;
    }
    assert_eq!(hub.members("room:1").len(), 1);
    assert_eq!(room.left.load(Ordering::Relaxed), 0);
    ada.join("room:1", &()).await.unwrap();
    assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 2);
    assert_eq!(ada.expect("room:1", "said").await, json!(1));
}

/// What waits when a session ends is dropped if it was for all, and sent if it was for the client alone.
#[tokio::test(start_paused = true)]
async fn nothing_held_follows_the_end() {
    let hub = hub();
    let mut page = page(&hub, "ada").await;
    page.send_message(r#"["1","2","room:1","wait",20000]"#);
    settle().await;
    hub.broadcast("room:1", "said", &1).unwrap();
    hub.conn(page.conn()).push("room:1", "hint", &2).unwrap();
    hub.broadcast("room:1", "told", &3).unwrap();
    hub.conn(page.conn()).leave("room:1");
    let end = [r#"["1",null,"room:1","hint",2]"#, r#"["1","1","room:1","phx_close",{}]"#];
    next(&mut page, &end).await;
    assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(page.next_message().await, None);

    // The same by the handler's own doing, and by its crash.
    for (crashes, end) in [
        (false, r#"["9","9","room:1","phx_close",{}]"#),
        (true, r#"["9","9","room:1","phx_error",{"reason":"channel_crash"}]"#),
    ] {
        page.send_message(r#"["9","9","room:1","phx_join",{}]"#);
        page.next_message().await.unwrap();
        page.send_message(format!(r#"["9","10","room:1","end",{crashes}]"#));
        next(&mut page, &[r#"["9",null,"room:1","hint","sent"]"#, end]).await;
        assert_eq!(page.next_message().await, None);
        assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
    }
}

/// Sessions have their say between two messages, however many wait: those are neither counted with it, nor before it.
#[tokio::test(start_paused = true)]
async fn messages_that_wait_stop_nothing() {
    let hub = hub();
    let mut page = page(&hub, "ada").await;
    for n in 2..32 {
        page.send_message(format!(r#"["1","{n}","room:1","wait",100]"#));
    }
    sleep(Duration::from_millis(150)).await;
    for n in 0..100 {
        assert_eq!(hub.broadcast("room:1", "said", &n).unwrap().local, 1);
    }
    sleep(Duration::from_millis(100)).await;
    let done = |n| format!(r#"["1","{n}","room:1","phx_reply",{{"status":"ok","response":{{}}}}]"#);
    next(&mut page, &[&done(2)]).await;
    for n in 0..100 {
        next(&mut page, &[&format!(r#"[null,null,"room:1","said",{n}]"#)]).await;
    }
    for n in 3..32 {
        next(&mut page, &[&done(n)]).await;
    }
}

/// A client that leaves, or joins anew, while its handler runs has what was sent before.
#[tokio::test(start_paused = true)]
async fn what_was_sent_precedes_the_leave() {
    let hub = hub();
    for (last, end) in [
        (
            r#"["1","3","room:1","phx_leave",{}]"#,
            r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        ),
        (r#"["3","3","room:1","phx_join",{}]"#, r#"["1","1","room:1","phx_close",{}]"#),
    ] {
        let mut page = page(&hub, "ada").await;
        page.send_message(r#"["1",null,"room:1","wait",5000]"#);
        settle().await;
        hub.broadcast("room:1", "said", &1).unwrap();
        page.send_message(last);
        settle().await;
        hub.broadcast("room:1", "said", &2).unwrap();
        sleep(Duration::from_secs(5)).await;
        let said = [r#"[null,null,"room:1","said",1]"#, r#"[null,null,"room:1","said",2]"#];
        next(&mut page, &said).await;
        next(&mut page, &[end]).await;
    }
}

/// A connection that ends takes what is held with it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_holds_nothing() {
    let room = Room::default();
    let hub = hub_of(room.clone(), Limits::default());
    for end in [Page::cut, Page::close] {
        let mut page = page(&hub, "ada").await;
        page.cast("room:1", "wait", &5_000);
        settle().await;
        hub.broadcast("room:1", "said", &1).unwrap();
        end(&mut page);
        settle().await;
        assert!(hub.connections().is_empty() && hub.topics().is_empty());
        sleep(Duration::from_secs(10)).await;
    }
    let mut page = page(&hub, "ada").await;
    page.cast("room:1", "wait", &5_000);
    settle().await;
    hub.broadcast("room:1", "said", &1).unwrap();
    hub.conn(page.conn()).close(Close::kicked());
    assert_eq!(page.closed().await, Close::kicked());
    sleep(Duration::from_secs(10)).await;
    assert_eq!((room.asked.load(Ordering::Relaxed), room.left.load(Ordering::Relaxed)), (0, 3));
}

/// A session that sends what it has its say in is asked again and again; its client's messages, and others, have their turns.
#[tokio::test]
async fn a_session_that_asks_itself_stops_nobody() {
    let hub = hub();
    let (mut ada, mut bob) = (page(&hub, "ada").await, page(&hub, "bob").await);
    let topic = "room:2";
    ada.join(topic, &()).await.unwrap();
    hub.broadcast(topic, "said", &"again").unwrap();
    for n in 0..3 {
        hub.broadcast("room:1", "said", &n).unwrap();
        assert_eq!(bob.expect("room:1", "said").await, json!(n));
    }
    assert_eq!(ada.expect(topic, "hint").await, json!("again"));
    assert_eq!(ada.push(topic, "none", &()).await, Err(json!({ "reason": "unknown event" })));
    ada.leave(topic).await;
}

/// Threads send what sessions have a say in, and what they do not, while handlers run: each member has all of it, in the order of
/// each thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_keep_the_order() {
    let limits = Limits::default().queue(1 << 26, 1 << 20).messages(1_000_000, 1_000_000);
    let hub = hub_of(Room::default(), limits);
    let pages: Vec<_> = (0..4)
        .map(|n| {
            let hub = hub.clone();
            tokio::spawn(async move {
                let mut page = page(&hub, &format!("user {n}")).await;
                let mut seen = [Vec::new(), Vec::new()];
                while seen.iter().any(|seen| seen.last() != Some(&999_u64)) {
                    let told = awaited(&mut page).await.unwrap();
                    let told: Value = serde_json::from_str(told.as_text().unwrap()).unwrap();
                    if let Some([thread, n]) = told[4].as_array().map(|said| &said[..]) {
                        seen[usize::try_from(thread.as_u64().unwrap()).unwrap()].push(n.as_u64().unwrap());
                    }
                    if seen[0].len() % 7 == 3 {
                        page.send_message(r#"["1",null,"room:1","wait",0]"#);
                    }
                }
                seen
            })
        })
        .collect();
    until(|| hub.members("room:1").len() == 4).await;
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let hub = hub.clone();
            std::thread::spawn(move || {
                for n in 0..1_000 {
                    let event = if n % 3 == 0 { "said" } else { "told" };
                    assert_eq!(hub.broadcast("room:1", event, &(thread, n)).unwrap().local, 4);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for page in pages {
        for seen in page.await.unwrap() {
            assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
        }
    }
}

/// A thread sends the next message as soon as the session has been asked about the last, when whoever asked it is about to rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_forgotten() {
    let (room, stop) = (Room::default(), Arc::new(AtomicBool::new(false)));
    let hub = hub_of(room.clone(), Limits::default());
    let mut page = page(&hub, "ada").await;
    let thread = std::thread::spawn({
        let stop = stop.clone();
        move || {
            for n in 0..MESSAGES {
                hub.broadcast("room:1", "said", &n).unwrap();
                while room.asked.load(Ordering::Relaxed) <= n && !stop.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            }
        }
    });
    let mut told = 0;
    while told < MESSAGES && awaited(&mut page).await.is_some() {
        told += 1;
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert_eq!(told, MESSAGES);
}

/// How many are sent one by one.
const MESSAGES: usize = 2_000;

/// On a topic with a history, what is skipped or replaced keeps its number, also when it is sent to a client that comes back: each
/// comes once, in its order.
#[tokio::test(start_paused = true)]
async fn each_number_comes_once() {
    let options = TopicOptions::new().intercept(["said"]).history(10, Duration::from_secs(600)).latest(10);
    let hub = Hub::builder().channel_with("room:{id}", options, Room::default()).build().unwrap();
    let mut page = hub.test_page(Identity::user("ada"));
    page.send_message(r#"["1","1","room:1","phx_join",{}]"#);
    let reply = page.next_message().await.unwrap();
    let reply: Value = serde_json::from_str(reply.as_text().unwrap()).unwrap();
    let epoch = reply[4]["response"]["$pos"]["e"].clone();
    page.send_message(r#"["1",null,"room:1","wait",1000]"#);
    settle().await;
    let send = |event, payload: &str| hub.broadcast("room:1", event, payload).unwrap().local;
    assert_eq!((send("told", "1"), send("said", "2"), send("said", "ada"), send("told", "4")), (1, 1, 1, 1));
    assert_eq!((send("said", "json"), send("said", "bytes"), send("said", "too big")), (1, 1, 1));
    hub.to("room:1").except(page.conn()).send("said", "8").unwrap();
    assert_eq!(send("told", "9"), 1);
    sleep(Duration::from_secs(1)).await;
    numbered(&mut page, r#"[null,null,"room:1","$pos",{},8]"#).await;

    // It comes back, to this connection's own exception too.
    let before = page.conn();
    page.cut();
    settle().await;
    let mut page = hub.test_page(Identity::user("ada"));
    let since = json!({ "$since": { "e": epoch, "o": 0, "c": before.to_string() } });
    page.send_message(json!(["3", "3", "room:1", "phx_join", since]).to_string());
    let reply = page.next_message().await.unwrap();
    assert!(reply.as_text().unwrap().contains(r#""$recovered":true"#), "{reply:?}");
    numbered(&mut page, r#"[null,null,"room:1","$pos",{},8]"#).await;

    // Those who are new have what is kept by way of their sessions, in the stock dialect without numbers.
    let mut page = hub.test_page(Identity::user("bob")).stock();
    page.send_message(r#"["1","1","room:1","phx_join",{}]"#);
    page.next_message().await.unwrap();
    let told =
        [r#""told","1""#, r#""said","2""#, r#""said","ada""#, r#""told","4""#, r#""said",{"for":"bob"}"#];
    for told in told {
        next(&mut page, &[&format!(r#"[null,null,"room:1",{told}]"#)]).await;
    }
    assert_eq!(page.next_message().await, Some(bytes(b"\x02\x06\x04room:1said\x01\x02\xff")));
    next(&mut page, &[r#"[null,null,"room:1","said","8"]"#, r#"[null,null,"room:1","told","9"]"#]).await;
    assert_eq!(page.next_message().await, None);
}

/// What was sent in `each_number_comes_once`, to a client that speaks the extended dialect.
async fn numbered(page: &mut Page, eighth: &str) {
    next(
        page,
        &[
            r#"[null,null,"room:1","told","1",1]"#,
            r#"[null,null,"room:1","said","2",2]"#,
            r#"[null,null,"room:1","$pos",{},3]"#,
            r#"[null,null,"room:1","told","4",4]"#,
            r#"[null,null,"room:1","said",{"for":"ada"},5]"#,
        ],
    )
    .await;
    let frame = bytes(b"\x03\x06\x04\0\0\0\0\0\0\0\x06room:1said\x01\x02\xff");
    assert_eq!(page.next_message().await, Some(frame));
    next(page, &[r#"[null,null,"room:1","$pos",{},7]"#, eighth, r#"[null,null,"room:1","told","9",9]"#])
        .await;
    assert_eq!(page.next_message().await, None);
}

fn bytes(frame: &'static [u8]) -> Message {
    Message::Binary(frame.to_vec().into())
}

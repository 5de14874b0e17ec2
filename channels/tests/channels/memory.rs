//! The memory of all that waits in a hub.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sansocket_channels::test::Page;
use sansocket_channels::{
    Channel, Close, Cx, Drain, Events, Hub, Identity, Joined, Limits, Open, Outgoing, Payload, Refusal,
    Session, TopicOptions,
};
use serde_json::json;
use tokio::time::sleep;

use crate::patience::{awaited, until};
use crate::queues::{hub, send, settle, stalled, told};

const SECOND: Duration = Duration::from_secs(1);

/// How many distinct messages, each to a page of its own that takes none, until the memory of all is spent.
async fn spend(hub: &Hub) -> (Vec<Page>, usize) {
    let mut pages = Vec::new();
    loop {
        let topic = format!("close:{}", pages.len());
        let mut page = hub.test_page(Identity::anonymous());
        page.join(&topic, &()).await.unwrap();
        page.stall();
        pages.push(page);
        send(hub.to(&topic), &topic, 1_000);
        settle().await;
        // It waits longest.
        if hub.conn(pages[0].conn()).info().is_none() {
            let sent = pages.len();
            return (pages, sent);
        }
        assert!(pages.len() < 2_000);
    }
}

/// When the memory of all is spent, those who wait longest are closed, until a fifth is free. The others notice nothing.
#[tokio::test(start_paused = true)]
async fn who_waits_longest_makes_room() {
    let hub = hub(Limits::default().payload(4 << 10).memory(1 << 20));
    let (mut pages, sent) = spend(&hub).await;
    // 1,000 bytes are not all that there is to a message.
    assert!((800..1_049).contains(&sent), "{sent}");
    let left = hub.connections().len();
    let four_fifths = (sent - 1) * 4 / 5;
    assert!((four_fifths..=four_fifths + 1).contains(&left), "{left} of {sent}");
    for (at, page) in pages.iter_mut().enumerate() {
        page.resume();
        if at < sent - left {
            let close = page.closed().await;
            assert_eq!((close.code(), close.reason()), (1013, "overloaded"));
        } else {
            page.expect(&format!("close:{at}"), "said").await;
        }
    }
    // All of it is free again.
    drop(pages);
    settle().await;
    let (_pages, again) = spend(&hub).await;
    assert_eq!(again, sent);
}

/// Who has just joined does not wait longest, however old it is what he is told.
#[tokio::test(start_paused = true)]
async fn who_has_just_joined_waits_shortest() {
    let options = TopicOptions::new();
    for here in [options.clone().presence(), options.history(10, 600 * SECOND).latest(1)] {
        let limits = Limits::default().payload(64 << 10).memory(100_000);
        let builder = Hub::builder().channel("close:{id}", Open).limits(limits);
        let hub = builder.channel_with("here", here, Open).build().unwrap();
        let join = async || {
            let mut page = hub.test_page(Identity::anonymous());
            page.stall();
            page_joins(&mut page, "here").await;
            page
        };
        let _member = join().await;
        hub.broadcast("here", "told", &1).unwrap();
        // What it is told waits with it, and is what others are told later.
        let first = join().await;
        sleep(30 * SECOND).await;
        let other = stalled(&hub, &["close:1"]).await;
        send(hub.to("close:1"), "close:1", 60_000);
        sleep(30 * SECOND).await;
        let last = join().await;
        hub.conn(last.conn()).push("here", "said", &"x".repeat(50_000)).unwrap();
        settle().await;
        let is_open = |page: &Page| hub.conn(page.conn()).info().is_some();
        assert_eq!([&first, &other, &last].map(is_open), [false, false, true]);
    }
}

/// A message is counted once, however many it waits for.
#[tokio::test(start_paused = true)]
async fn memory_is_shared() {
    let hub = hub(Limits::default().payload(4 << 10).memory(1 << 20));
    let mut pages = Vec::new();
    for _ in 0..1_000 {
        pages.push(stalled(&hub, &["close:1"]).await);
    }
    // What each was sent by itself waits, too.
    for _ in 0..500 {
        assert_eq!(send(hub.to("close:1"), "close:1", 1_000), 1_000);
    }
    assert_eq!(hub.connections().len(), 1_000);
}

/// What connections are still sent that are being closed makes room first: nobody is closed for it.
#[tokio::test(start_paused = true)]
async fn who_is_being_closed_makes_room_first() {
    let hub = hub(Limits::default().memory(4 << 20));
    let mut kicked = Vec::new();
    for n in 0..5 {
        let topic = format!("close:{n}");
        let page = stalled(&hub, &[&topic]).await;
        for _ in 0..8 {
            assert_eq!(send(hub.to(&topic), &topic, 100_000), 1);
        }
        hub.conn(page.conn()).close(Close::kicked());
        kicked.push(page);
    }
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mut page = hub.test_page(Identity::anonymous());
        page.join("close:5", &()).await.unwrap();
        readers.push(page);
    }
    for page in &readers {
        assert_eq!(hub.conn(page.conn()).push("close:5", "said", &"x".repeat(10_000)).unwrap().local, 1);
    }
    for page in &mut readers {
        page.expect("close:5", "said").await;
    }
    assert_eq!(hub.connections().len(), 50);
    // What did not have to go is sent.
    let mut told = Vec::new();
    kicked.iter_mut().for_each(Page::resume);
    for page in &mut kicked {
        let mut count = 0;
        while page.next_message().await.is_some() {
            count += 1;
        }
        told.push(count);
        assert_eq!(page.closed().await, Close::kicked());
    }
    assert_eq!((told[0], told[4]), (1, 9), "{told:?}");
    assert!(hub.metrics().dropped_at_end >= 8);
}

/// So is what is kept, however many come back to it.
#[tokio::test(start_paused = true)]
async fn memory_of_what_was_missed_is_shared() {
    let limits = Limits::default().payload(4 << 10).memory(500_000);
    let options = TopicOptions::new().history(100, 60 * SECOND).latest(100);
    let hub = Hub::builder().channel_with("log", options, Open).limits(limits).build().unwrap();
    let mut first = hub.test_page(Identity::anonymous());
    let epoch = first.join("log", &()).await.unwrap()["$pos"]["e"].clone();
    for n in 0..100 {
        // Some of it is not for all.
        let to = hub.to("log").except_user(if n % 2 == 0 { "ada" } else { "bob" });
        send(to, "log", 1_000);
    }
    first.cut();
    settle().await;
    let since = json!(["1", "1", "log", "phx_join", { "$since": { "e": epoch, "o": 0 } }]).to_string();
    let mut pages = Vec::new();
    for n in 0..60 {
        let mut page = hub.test_page(Identity::user("ada"));
        if n % 2 == 0 {
            page = page.stock();
        }
        page.stall();
        page.send_message(&*since);
        settle().await;
        pages.push(page);
    }
    assert_eq!((hub.connections().len(), hub.metrics().recoveries_won), (60, 30));
    for page in &mut pages {
        assert!(hub.conn(page.conn()).info().unwrap().queued > 49_000);
        page.resume();
        for _ in 0..51 {
            page.next_message().await.unwrap();
        }
    }
    drop(pages);
    settle().await;
    assert_eq!(hub.metrics().held_bytes, 0);
}

/// What sessions send in place of a message counts, however late they have their say.
#[tokio::test(start_paused = true)]
async fn memory_of_what_is_sent_instead() {
    let limits = Limits::default().payload(4 << 10).memory(20_000);
    let options = TopicOptions::new().intercept(["said"]);
    let hub = Hub::builder().channel_with("room", options, Swelling).limits(limits).build().unwrap();
    let mut pages = Vec::new();
    for _ in 0..12 {
        pages.push(stalled(&hub, &["room"]).await);
    }
    send(hub.to("room"), "room", 100);
    settle().await;
    assert!((7..10).contains(&hub.connections().len()), "{}", hub.connections().len());
    assert!(hub.metrics().held_bytes < 20_000);
}

/// What sessions are to have their say in waits once: it is in the frame, of which memory is counted.
#[tokio::test(start_paused = true)]
async fn what_waits_for_sessions_is_kept_once() {
    let options = TopicOptions::new().intercept(["said"]);
    let hub = Hub::builder().channel_with("room", options, Seeing).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &()).await.unwrap();
    let data = Bytes::from(vec![7; 1_000]);
    hub.to("room").send_binary("said", data.clone()).unwrap();
    assert!(data.is_unique() && hub.metrics().held_bytes > 1_000);
    hub.broadcast("room", "said", &json!({ "n": "ä" })).unwrap();
    assert_eq!(page.expect_binary("room", "seen").await, data);
    assert_eq!(page.expect("room", "seen").await, json!({ "n": "ä" }));
}

/// Its sessions push what they see.
struct Seeing;

impl Channel for Seeing {
    type Session = Seeing;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Seeing>, Refusal> {
        Ok(Joined::new(Seeing))
    }
}

impl Session for Seeing {
    fn outgoing(&mut self, cx: &Cx, _: &str, payload: &Payload) -> Outgoing {
        match payload.binary() {
            Some(data) => cx.push_binary("seen", data.clone()).unwrap(),
            None => cx.push("seen", payload).unwrap(),
        }
        Outgoing::Skip
    }
}

/// Its sessions send more than what is said.
struct Swelling;

impl Channel for Swelling {
    type Session = Swelling;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Swelling>, Refusal> {
        Ok(Joined::new(Swelling))
    }
}

impl Session for Swelling {
    fn outgoing(&mut self, _: &Cx, _: &str, _: &Payload) -> Outgoing {
        Outgoing::Instead(Payload::bytes(vec![0; 2_000]))
    }
}

/// What waits for the answer to a join counts.
#[tokio::test(start_paused = true)]
async fn memory_of_joins() {
    let events = Events::new().on_join(|cx, _| async move {
        cx.push("early", &"x".repeat(2_000))?;
        sleep(Duration::from_secs(5)).await;
        Ok(Joined::new(()))
    });
    let limits = Limits::default().payload(4 << 10).memory(20_000);
    let hub = Hub::builder().channel("room", events).limits(limits).build().unwrap();
    let mut pages = Vec::new();
    for n in 0..9 {
        let mut page = hub.test_page(Identity::anonymous());
        page_joins(&mut page, "room").await;
        pages.push(page);
        assert_eq!(hub.connections().len(), n + 1);
    }
    let mut page = hub.test_page(Identity::anonymous());
    page_joins(&mut page, "room").await;
    pages.push(page);
    assert!((7..9).contains(&hub.connections().len()));
    assert_eq!(pages[0].closed().await.code(), 1013);
}

async fn page_joins(page: &mut Page, topic: &str) {
    page.send_message(format!(r#"["1","1","{topic}","phx_join",{{}}]"#));
    settle().await;
}

/// Whatever becomes of messages and of those for whom they wait, their memory is free again.
#[tokio::test(start_paused = true)]
async fn memory_comes_back() {
    let limits = Limits::default().payload(4 << 10).queue(20 << 10, 20).memory(200 << 10);
    let hub = hub(limits.clone());
    let (_, fresh) = spend(&crate::queues::hub(limits)).await;
    for n in 0..100 {
        let mut page = stalled(&hub, &["oldest:1", "newest:1", "close:1"]).await;
        for (topic, n) in (0..30).flat_map(|n| [("oldest:1", n), ("newest:1", n)]) {
            hub.broadcast(topic, "said", &"x".repeat(n * 100)).unwrap();
            hub.to(topic).volatile().send("said", &"x".repeat(n * 10)).unwrap();
            hub.to(topic).keyed("a").send("said", &"x".repeat(n * 10)).unwrap();
        }
        match n % 6 {
            0 => page.cut(),
            1 => drop(told(&mut page).await),
            2 => hub.conn(page.conn()).close(Close::kicked()),
            3 => hub.conn(page.conn()).leave("oldest:1"),
            4 => drop(hub.broadcast("close:1", "said", &"x".repeat(4_000)).unwrap()),
            _ => {}
        }
        settle().await;
    }
    sleep(Duration::from_secs(10)).await;
    assert!(hub.connections().is_empty());
    let (pages, spent) = spend(&hub).await;
    assert_eq!(spent, fresh);
    drop(pages);
    assert_eq!(
        hub.drain(Drain { within: Duration::ZERO, flush: Duration::ZERO, ..Drain::default() }).await.cut,
        0
    );
}

/// The same with threads that send while pages stall and go on, and memory is short all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_give_memory_back() {
    let hub = hub(Limits::default().payload(1_002).queue(20 << 10, 20).memory(4 << 10));
    // They go on until it is dropped, if it be by a panic.
    let goes_on = Arc::new(());
    let threads: Vec<_> = ["oldest:1", "newest:1", "close:1"]
        .into_iter()
        .map(|topic| {
            let (hub, goes_on) = (hub.clone(), Arc::downgrade(&goes_on));
            std::thread::spawn(move || {
                let mut sent = 0;
                while goes_on.strong_count() > 0 {
                    hub.to(topic).keyed(&(sent % 3).to_string()).send("said", &sent).unwrap();
                    // A queue that is full of these is more than there is memory for.
                    hub.to(topic).volatile().send("said", &"x".repeat(400)).unwrap();
                    hub.broadcast(topic, "said", &"x".repeat(400 + sent % 600)).unwrap();
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let mut closed = 0;
    for n in 0..60 {
        let mut page = hub.test_page(Identity::anonymous()).stock();
        for (at, topic) in ["oldest:1", "newest:1", "close:1"].iter().enumerate().take(1 + n % 3) {
            page.send_message(format!(r#"["{at}","{at}","{topic}","phx_join",{{}}]"#));
        }
        if awaited(&mut page).await.is_none() {
            // Closed before it was told that it has joined.
            closed += usize::from(page.closed().await.code() == 1013);
            continue;
        }
        page.stall();
        let conn = hub.conn(page.conn());
        let enough = if n % 2 == 0 { usize::MAX } else { 1_000 };
        until(|| conn.info().is_none_or(|info| info.queued >= enough)).await;
        page.resume();
        if n % 2 == 0 {
            closed += usize::from(page.closed().await.code() == 1013);
        } else {
            page.next_message().await;
        }
    }
    drop(goes_on);
    for thread in threads {
        assert!(thread.join().unwrap() > 100);
    }
    until(|| hub.connections().is_empty()).await;
    // There is memory for three more, and no fourth.
    let mut page = hub.test_page(Identity::anonymous());
    assert!(closed > 5, "{closed}");
    page.join("close:1", &()).await.unwrap();
    page.stall();
    for _ in 0..3 {
        assert_eq!(send(hub.to("close:1"), "close:1", 1_000), 1);
    }
    assert_eq!(hub.connections().len(), 1);
}

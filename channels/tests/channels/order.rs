//! In which order things are told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sansocket::Message;
use sansocket_channels::{Close, Hub, Identity, Limits, Open};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::diary::Diary;
use crate::members::{member, stock};

fn hub(diary: &Diary) -> Hub {
    Hub::builder().channel("room:{id}", diary.clone()).build().unwrap()
}

/// A broadcast that a handler makes goes before its reply, and all members see all in one order.
#[tokio::test(start_paused = true)]
async fn broadcasts_precede_replies() {
    let hub = hub(&Diary::default());
    let mut pages = Vec::new();
    for _ in 0..3 {
        pages.push(stock(&hub, "room:1").await);
    }
    for n in 0..10 {
        for page in &mut pages {
            page.send_message(format!(r#"["1","2","room:1","say",{n}]"#));
        }
    }
    let mut seen = Vec::new();
    for page in &mut pages {
        let (mut said, mut all) = (Vec::new(), Vec::new());
        while let Some(Message::Text(text)) = page.next_message().await {
            said.extend(text.contains("said").then(|| text.to_string()));
            all.push(text.to_string());
        }
        assert_eq!((said.len(), all.len()), (30, 40));
        for n in 0..10 {
            let reply = format!(r#"["1","2","room:1","phx_reply",{{"status":"ok","response":{n}}}]"#);
            let said = format!(r#"[null,null,"room:1","said",{n}]"#);
            let place = |text: &String| all.iter().position(|other| other == text).unwrap();
            assert!(place(&said) < place(&reply));
        }
        seen.push(said);
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
}

/// Handlers of one topic run one at a time, those of others meanwhile.
#[tokio::test(start_paused = true)]
async fn topics_do_not_wait_for_each_other() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = member(&hub, Identity::anonymous(), "room:1").await;
    page.join("room:2", &0).await.unwrap();
    diary.take();
    let start = Instant::now();
    page.cast("room:1", "wait", &1_000);
    page.cast("room:1", "next", &1);
    assert_eq!(page.push("room:2", "echo", &2).await, Ok(json!(2)));
    assert!(start.elapsed() < Duration::from_millis(100));
    assert_eq!(page.push("room:1", "echo", &3).await, Ok(json!(3)));
    assert!(start.elapsed() >= Duration::from_secs(1));
    let told = diary.take();
    let of_one: Vec<_> = told.iter().filter(|line| !line.ends_with("echo") && !line.ends_with('2')).collect();
    assert_eq!(of_one, ["wait 1000", "done wait", "next 1", "done next", "echo 3"]);
}

/// Nothing of a topic goes before the answer to the join, not even what the join itself has pushed.
#[tokio::test(start_paused = true)]
async fn the_reply_is_first() {
    let hub = hub(&Diary::default());
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let told = tokio::spawn({
        let hub = hub.clone();
        async move {
            loop {
                hub.broadcast("room:1", "flood", &0).unwrap();
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    page.send_message(r#"["1","1","room:1","phx_join","push"]"#);
    let reply = page.next_message().await.unwrap();
    assert_eq!(reply.as_text(), Some(r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#));
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(r#"["1",null,"room:1","early",1]"#));
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(r#"[null,null,"room:1","flood",0]"#));
    told.abort();
}

/// Nothing of a topic follows its end.
#[tokio::test(start_paused = true)]
async fn the_close_is_last() {
    let hub = hub(&Diary::default());
    let mut page = stock(&hub, "room:1").await;
    page.send_message(r#"["1","2","room:1","wait",100]"#);
    sleep(Duration::from_millis(50)).await;
    hub.conn(page.conn()).leave("room:1");
    assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 0);
    assert_eq!(hub.conn(page.conn()).push("room:1", "said", &1).unwrap().local, 0);
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(r#"["1","1","room:1","phx_close",{}]"#));
    assert_eq!(page.next_message().await, None);
}

/// Threads broadcast while others join and leave: each member sees all that is sent between the answer to its join and its end, in
/// the order in which the others see it, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_keep_the_order() {
    let limits = Limits::default().queue(1 << 26, 1 << 20).messages(1_000_000, 1_000_000);
    let hub = Hub::builder().channel("room:{id}", Open).limits(limits).build().unwrap();
    let mut witness = stock(&hub, "room:1").await;
    let (conn, stop) = (witness.conn(), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let (hub, stop) = (hub.clone(), stop.clone());
            std::thread::spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    hub.broadcast("room:1", "said", &(thread, n)).unwrap();
                    // Not faster than it is taken, however few turns the others get.
                    while hub.conn(conn).info().is_some_and(|info| info.queued > 1 << 10) {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let members: Vec<_> = (0..4).map(|_| tokio::spawn(come_and_go(hub.clone()))).collect();
    let mut stays = Vec::new();
    for member in members {
        stays.extend(member.await.unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let mut all = Vec::new();
    while let Some(message) = witness.next_message().await {
        all.push(message.as_text().unwrap().to_owned());
    }
    let places: HashMap<_, _> = all.iter().enumerate().map(|(at, text)| (text, at)).collect();
    assert_eq!(places.len(), all.len(), "something came twice");
    assert!(stays.iter().filter(|stay| stay.len() > 1).count() > 10, "nobody was there");
    for stay in stays {
        if let Some(first) = stay.first() {
            let start = places[first];
            assert!(stay == all[start..start + stay.len()], "something is missing, or in another order");
        }
    }
}

/// Joins and leaves, again and again: what was told during each stay.
async fn come_and_go(hub: Hub) -> Vec<Vec<String>> {
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let mut stays = Vec::new();
    for n in 1..=20 {
        page.send_message(format!(r#"["{n}","{n}","room:1","phx_join",0]"#));
        let reply = page.next_message().await.unwrap();
        let expected = format!(r#"["{n}","{n}","room:1","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        assert_eq!(reply.as_text(), Some(&*expected));
        let mut stay = Vec::new();
        for _ in 0..n {
            stay.push(page.next_message().await.unwrap().as_text().unwrap().to_owned());
        }
        page.send_message(format!(r#"["{n}","left","room:1","phx_leave",0]"#));
        loop {
            let told = page.next_message().await.unwrap().as_text().unwrap().to_owned();
            if told.contains("\"left\"") {
                break;
            }
            stay.push(told);
        }
        let close = page.next_message().await.unwrap();
        assert_eq!(close.as_text(), Some(&*format!(r#"["{n}","{n}","room:1","phx_close",{{}}]"#)));
        assert!(stay.iter().all(|told| told.contains("\"said\"")), "{stay:?}");
        stays.push(stay);
    }
    stays
}

/// What was queued before a connection is closed comes before that, also to a client that does not take it at once.
#[tokio::test(start_paused = true)]
async fn all_precedes_the_end() {
    let hub = hub(&Diary::default());
    let mut page = member(&hub, Identity::anonymous(), "room:1").await;
    page.stall();
    for n in 0..3 {
        hub.broadcast("room:1", "said", &n).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    hub.conn(page.conn()).close(Close::kicked());
    sleep(Duration::from_millis(1)).await;
    page.resume();
    for n in 0..3 {
        assert_eq!(page.expect("room:1", "said").await, json!(n));
    }
    assert_eq!(page.closed().await, Close::kicked());
}

/// A heartbeat passes by handlers, and by what is queued.
#[tokio::test(start_paused = true)]
async fn heartbeats_pass_by() {
    let hub = hub(&Diary::default());
    let mut page = stock(&hub, "room:1").await;
    page.send_message(r#"["1","2","room:1","wait",20000]"#);
    sleep(Duration::from_millis(50)).await;
    for n in 0..3 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    page.send_message(r#"[null,"3","phoenix","heartbeat",{}]"#);
    let told = page.next_message().await.unwrap();
    let answer = r#"[null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(told.as_text(), Some(answer));
    for n in 0..3 {
        let said = format!(r#"[null,null,"room:1","said",{n}]"#);
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*said));
    }
    assert_eq!(page.next_message().await, None);
}

/// A heartbeat, and the end of the connection, pass by what finds no room.
#[tokio::test(start_paused = true)]
async fn the_end_passes_by() {
    let diary = Diary::default();
    let hub = hub(&diary);
    let mut page = stock(&hub, "room:1").await;
    page.send_message(r#"["1",null,"room:1","wait",20000]"#);
    for n in 0..40 {
        page.send_message(format!(r#"["1",null,"room:1","save",{n}]"#));
    }
    page.send_message(r#"[null,"2","phoenix","heartbeat",{}]"#);
    let told = r#"[null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(told));
    page.close();
    sleep(Duration::from_millis(1)).await;
    assert!(hub.connections().is_empty() && hub.topics().is_empty());
    // What was said before is handled all the same, in its order.
    sleep(Duration::from_secs(20)).await;
    let saved: Vec<_> = diary.take().into_iter().filter(|line| line.starts_with("save")).collect();
    assert_eq!(saved, (0..40).map(|n| format!("save {n}")).collect::<Vec<_>>());
}

/// Nothing that is answered without a handler goes before the answer to the join, either.
#[tokio::test(start_paused = true)]
async fn the_reply_is_first_of_all() {
    let hub = hub(&Diary::default());
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["1","1","room:1","phx_join",500]"#);
    page.send_message(r#"["1","2","room:1","$dom",{}]"#);
    page.send_message(r#"["1","3","room:1","$reply",{"ref":"s1","status":"ok","response":1}]"#);
    for told in [
        r#"[null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
        r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#,
        r#"["1","2","room:1","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]"#,
    ] {
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(told));
    }
}

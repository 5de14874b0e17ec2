//! Questions to pages.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{AskError, Events, Hub, Identity, Open, Reply};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

async fn joined(hub: &Hub) -> Page {
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &()).await.unwrap();
    page
}

fn hub() -> Hub {
    Hub::builder().channel("room", Open).build().unwrap()
}

/// Asks in a task of its own.
fn ask(hub: &Hub, page: &Page, within: Duration) -> tokio::task::JoinHandle<Result<Value, AskError>> {
    let conn = hub.conn(page.conn());
    tokio::spawn(async move { conn.ask("room", "pick", &json!({ "of": [1, 2] }), within).await })
}

#[tokio::test(start_paused = true)]
async fn pages_answer() {
    let hub = hub();
    let mut page = joined(&hub).await;
    page.answer("pick", |question| Ok(question["of"][1].clone()));
    let answer = ask(&hub, &page, SECOND);
    page.linger().await;
    assert_eq!(answer.await.unwrap().unwrap(), json!(2));
    page.answer("pick", |_| Err(json!("no idea")));
    let answer = ask(&hub, &page, SECOND);
    page.linger().await;
    assert!(matches!(answer.await.unwrap(), Err(AskError::Refused(why)) if why == "no idea"));
    // An answer that is no number.
    page.answer("pick", |_| Ok(json!("two")));
    let conn = hub.conn(page.conn());
    let answer = tokio::spawn(async move { conn.ask::<u32>("room", "pick", &(), SECOND).await });
    page.linger().await;
    assert!(matches!(answer.await.unwrap(), Err(AskError::Payload(_))));
}

/// The frames, and that the page's answer is acknowledged if it wants that.
#[tokio::test(start_paused = true)]
async fn frames_are_exact() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["3","3","room","phx_join",{}]"#);
    page.next_message().await.unwrap();
    let answer = ask(&hub, &page, SECOND);
    assert_eq!(
        page.next_message().await.unwrap().as_text(),
        Some(r#"["3","s1","room","pick",{"of":[1,2]}]"#)
    );
    // From another page, for another join, to another question: none counts.
    let mut other = hub.test_page(Identity::anonymous()).stock();
    other.send_message(r#"["3","3","room","phx_join",{}]"#);
    other.next_message().await.unwrap();
    other.send_message(r#"["3",null,"room","$reply",{"ref":"s1","status":"ok","response":9}]"#);
    page.send_message(r#"["2",null,"room","$reply",{"ref":"s1","status":"ok","response":9}]"#);
    page.send_message(r#"["3",null,"room","$reply",{"ref":"s2","status":"ok","response":9}]"#);
    page.send_message(r#"["3","4","room","$reply",{"ref":"1","status":"ok","response":9}]"#);
    assert_eq!(
        page.next_message().await.unwrap().as_text(),
        Some(r#"["3","4","room","phx_reply",{"status":"error","response":{"reason":"bad payload"}}]"#)
    );
    page.send_message(r#"["3","5","room","$reply",{"ref":"s1","status":"ok","response":2}]"#);
    page.send_message(r#"["3","6","room","$reply",{"ref":"s1","status":"ok","response":3}]"#);
    for reference in [5, 6] {
        let told = format!(r#"["3","{reference}","room","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*told));
    }
    assert_eq!(answer.await.unwrap().unwrap(), json!(2));
}

#[tokio::test(start_paused = true)]
async fn answers_are_not_waited_for_in_vain() {
    let hub = hub();
    let mut page = joined(&hub).await;
    let start = Instant::now();
    assert!(matches!(ask(&hub, &page, SECOND).await.unwrap(), Err(AskError::TimedOut)));
    assert_eq!(start.elapsed().as_secs(), 1);
    // Not longer than a minute, whatever is asked for.
    assert!(matches!(ask(&hub, &page, 100 * SECOND).await.unwrap(), Err(AskError::TimedOut)));
    assert_eq!(start.elapsed().as_secs(), 61);
    // Who leaves, is closed or is lost does not answer.
    for end in ["leave", "close", "cut", "rejoin"] {
        let mut page = joined(&hub).await;
        let answer = ask(&hub, &page, 10 * SECOND);
        sleep(SECOND).await;
        let start = Instant::now();
        match end {
            "leave" => page.leave("room").await,
            "close" => page.close(),
            "cut" => page.cut(),
            _ => drop(page.join("room", &()).await.unwrap()),
        }
        assert!(matches!(answer.await.unwrap(), Err(AskError::Gone)), "{end}");
        assert!(start.elapsed() < SECOND, "{end}");
    }
    page.leave("room").await;
    assert!(matches!(ask(&hub, &page, SECOND).await.unwrap(), Err(AskError::Gone)));
    page.cut();
    page.linger().await;
    assert!(matches!(ask(&hub, &page, SECOND).await.unwrap(), Err(AskError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait() {
    let hub = hub();
    let page = joined(&hub).await;
    let waiting: Vec<_> = (0..64).map(|_| ask(&hub, &page, 10 * SECOND)).collect();
    sleep(SECOND).await;
    assert!(matches!(ask(&hub, &page, SECOND).await.unwrap(), Err(AskError::TooMany)));
    // A question that nobody waits for any more does not count.
    waiting[0].abort();
    sleep(SECOND).await;
    assert!(matches!(ask(&hub, &page, SECOND).await.unwrap(), Err(AskError::TimedOut)));
}

/// A handler may ask: the answer passes it by.
#[tokio::test(start_paused = true)]
async fn handlers_ask() {
    let events = Events::new()
        .on("order", async |cx, _| {
            let sure: bool = cx.ask("sure", &"really?", SECOND).await?;
            Ok(Reply::with(&sure)?)
        })
        .on_join(async |cx, _| {
            let early = cx.ask::<bool>("sure", &"while it joins", SECOND).await;
            assert!(matches!(early, Err(AskError::Gone)));
            Ok(sansocket_channels::Joined::new(()))
        });
    let hub = Hub::builder().channel("room", events).build().unwrap();
    let mut page = joined(&hub).await;
    page.answer("sure", |_| Ok(json!(true)));
    assert_eq!(page.push("room", "order", &1).await, Ok(json!(true)));
    page.answer("sure", |_| Err(json!("closed the dialogue")));
    assert_eq!(page.push("room", "order", &1).await, Err(json!({ "reason": "refused" })));
}

/// The answer passes by what its page has pushed meanwhile, too, though there is no room for all of that.
#[tokio::test(start_paused = true)]
async fn answers_pass_by_what_waits() {
    let events = Events::new().on("order", async |cx, _| {
        let sure: bool = cx.ask("sure", &"really?", SECOND).await?;
        Ok(Reply::with(&sure)?)
    });
    let hub = Hub::builder().channel("room", events).build().unwrap();
    let mut page = joined(&hub).await;
    page.answer("sure", |_| Ok(json!(true)));
    for _ in 0..40 {
        page.cast("room", "order", &1);
    }
    let start = Instant::now();
    assert_eq!(page.push("room", "order", &1).await, Ok(json!(true)));
    assert!(start.elapsed() < SECOND);
}

/// Looks at all topics when it is woken, on another thread, which waits for what is locked.
struct Looking {
    hub: Hub,
    has_looked: AtomicBool,
}

impl Wake for Looking {
    fn wake(self: Arc<Self>) {
        let (looked, has_looked) = mpsc::channel();
        let hub = self.hub.clone();
        std::thread::spawn(move || looked.send(hub.topics()));
        let has_looked = has_looked.recv_timeout(5 * SECOND).is_ok();
        self.has_looked.store(has_looked, Ordering::Relaxed);
    }
}

/// Who waits for an answer that will not come is woken when nothing is locked.
#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_with_nothing_locked() {
    let hub = hub();
    let page = joined(&hub).await;
    let looking = Arc::new(Looking { hub: hub.clone(), has_looked: false.into() });
    let conn = hub.conn(page.conn());
    let mut asking = pin!(conn.ask::<Value>("room", "pick", &(), SECOND));
    let waker = Waker::from(looking.clone());
    assert!(asking.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    conn.leave("room");
    assert!(looking.has_looked.load(Ordering::Relaxed));
    assert!(matches!(asking.await, Err(AskError::Gone)));
}

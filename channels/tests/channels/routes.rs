//! Which channel answers for a topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sansocket_channels::{
    BuildError, Channel, Cx, Hub, Identity, Joined, Limits, Open, Payload, Refusal, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::diary::Diary;

/// Says which one it is, and what a parameter is.
struct Named(&'static str, &'static str);

impl Channel for Named {
    type Session = ();

    async fn join(&self, cx: &Cx, _: Payload) -> Result<Joined<()>, Refusal> {
        let param: Option<String> = cx.param(self.1).ok();
        Joined::new(()).reply(&json!({ "by": self.0, "param": param }))
    }
}

async fn answer(hub: &Hub, topic: &str) -> Option<(String, Value)> {
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let answer = page.join(topic, &()).await.ok()?;
    Some((answer["by"].as_str()?.to_owned(), answer["param"].clone()))
}

#[tokio::test(start_paused = true)]
async fn text_goes_before_parameters_before_the_rest() {
    // In the order in which they are asked least.
    let patterns =
        ["{all*}", "doc:{path*}", "doc:{org}:{id}", "doc:{org}:new", "doc:acme:{id}", "{kind}:7", "news"];
    let mut builder = Hub::builder();
    for (pattern, param) in patterns.into_iter().zip(["all", "path", "id", "org", "id", "kind", "none"]) {
        builder = builder.channel(pattern, Named(pattern, param));
    }
    let hub = builder.build().unwrap();
    for (topic, by, param) in [
        ("news", "news", json!(null)),
        ("news:1", "{all*}", json!("news:1")),
        ("doc:acme:1", "doc:acme:{id}", json!("1")),
        ("doc:acme:new", "doc:acme:{id}", json!("new")),
        ("doc:umbrella:new", "doc:{org}:new", json!("umbrella")),
        ("doc:umbrella:ü 2", "doc:{org}:{id}", json!("ü 2")),
        ("doc:a:b:c", "doc:{path*}", json!("a:b:c")),
        ("doc:7", "doc:{path*}", json!("7")),
        ("img:7", "{kind}:7", json!("img")),
        // A parameter is not empty.
        ("doc:umbrella:", "doc:{path*}", json!("umbrella:")),
        ("doc:", "{all*}", json!("doc:")),
    ] {
        assert_eq!(answer(&hub, topic).await, Some((by.to_owned(), param)), "{topic}");
    }
    // What is no name matches nothing.
    for topic in ["$doc:1", "a\u{1}b"] {
        assert_eq!(answer(&hub, topic).await, None, "{topic}");
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_are_parsed() {
    let events = sansocket_channels::Events::new().on_join(async |cx, _| {
        let id: u8 = cx.param("id")?;
        Joined::new(()).reply(&json!({ "by": "", "param": id }))
    });
    let hub = Hub::builder().channel("room:{id}", events).build().unwrap();
    assert_eq!(answer(&hub, "room:7").await, Some((String::new(), json!(7))));
    assert_eq!(answer(&hub, "room:300").await, None);
}

#[test]
fn patterns_that_are_none_are_errors() {
    for pattern in ["", "{}", "a:{*}", "{all*}:a", "a{b}", "{a", "a*", "{a}:{a}", "{a}:{a*}", "{a b}{c}"] {
        let built = Hub::builder().channel(pattern, Open).build();
        assert!(matches!(built, Err(BuildError::Pattern { .. })), "{pattern}");
    }
    for (one, other) in
        [("news", "news"), ("room:{id}", "room:{name}"), ("{a*}", "{b*}"), ("a:{b}:{c*}", "a:{c}:{b*}")]
    {
        let built = Hub::builder().channel(one, Open).channel(other, Open).build();
        let tie = BuildError::Tie { one: one.to_owned(), other: other.to_owned() };
        assert_eq!(built.err(), Some(tie));
    }
    for (one, other) in
        [("a:{b}", "{a}:b"), ("a:{b}", "a:{b*}"), ("a:{b}", "b:{b}"), ("a", "a:{b}"), ("a:", "a:{b}")]
    {
        assert!(Hub::builder().channel(one, Open).channel(other, Open).build().is_ok(), "{one} {other}");
    }
    for path in ["", "socket", "/socket/", "/a?b"] {
        assert_eq!(Hub::builder().path(path).build().err(), Some(BuildError::Path(path.to_owned())));
    }
    assert!(matches!(Hub::builder().page("x", "text/html", "").build(), Err(BuildError::Page(_))));
    assert!(matches!(Hub::builder().page("/", "text\nhtml", "").build(), Err(BuildError::Page(_))));
}

/// A route is added while others are served, and is gone when it is removed: its members are told, and nobody joins by it.
#[tokio::test(start_paused = true)]
async fn routes_come_and_go() {
    let diary = Diary::default();
    let hub = Hub::builder().channel("news", Open).build().unwrap();
    let mut ada = hub.test_page(Identity::user("ada"));
    let mut bob = hub.test_page(Identity::user("bob"));
    assert_eq!(ada.join("room:1", &0).await, Err(json!({ "reason": "unmatched topic" })));
    hub.route("room:{id}", TopicOptions::new(), diary.clone()).unwrap();
    for topic in ["room:1", "room:2", "news"] {
        ada.join(topic, &0).await.unwrap();
    }
    bob.join("room:1", &0).await.unwrap();
    diary.take();

    assert_eq!(hub.unroute("room:{id}"), 3);
    for topic in ["room:1", "room:2"] {
        ada.expect(topic, "phx_close").await;
    }
    bob.expect("room:1", "phx_close").await;
    assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 0);
    assert_eq!(hub.topics().len(), 1);
    assert_eq!(diary.take(), ["Kicked"; 3]);
    assert_eq!(ada.join("room:1", &0).await, Err(json!({ "reason": "unmatched topic" })));
    assert_eq!(ada.push("room:1", "say", &0).await, Err(json!({ "reason": "unmatched topic" })));
    for pattern in ["room:{id}", "room", "room:1", "{all*}", "{", ""] {
        assert_eq!(hub.unroute(pattern), 0, "{pattern}");
    }
    assert_eq!(hub.broadcast("news", "said", &1).unwrap().local, 1);

    // Another for the same topics.
    hub.route("room:{id}", TopicOptions::new(), Named("second", "id")).unwrap();
    assert_eq!(ada.join("room:7", &0).await.unwrap()["param"], json!("7"));
    assert_eq!(hub.unroute("room:{id}"), 1);
}

/// What a pattern calls its parameters is no part of which one it is.
#[tokio::test(start_paused = true)]
async fn routes_are_known_by_their_topics() {
    let hub = Hub::builder().channel("room:{id}", Open).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &0).await.unwrap();
    let tie = BuildError::Tie { one: "room:{id}".into(), other: "room:{x}".into() };
    assert_eq!(hub.route("room:{x}", TopicOptions::new(), Open), Err(tie));
    assert!(matches!(hub.route("room:{", TopicOptions::new(), Open), Err(BuildError::Pattern { .. })));
    assert_eq!((hub.unroute("room:{x*}"), hub.unroute("{x}:{id}")), (0, 0));
    assert_eq!(hub.unroute("room:{x}"), 1);
    page.expect("room:1", "phx_close").await;
    hub.route("room:{x}", TopicOptions::new(), Named("x", "x")).unwrap();
    assert_eq!(page.join("room:1", &0).await.unwrap()["param"], json!("1"));
}

/// Who has joined a topic by another route stays when one goes.
#[tokio::test(start_paused = true)]
async fn members_belong_to_the_route_of_their_join() {
    let hub = Hub::builder().channel("{all*}", Named("rest", "all")).build().unwrap();
    let mut ada = hub.test_page(Identity::anonymous());
    let mut bob = hub.test_page(Identity::anonymous());
    assert_eq!(ada.join("room:1", &0).await.unwrap()["by"], json!("rest"));
    hub.route("room:{id}", TopicOptions::new(), Named("room", "id")).unwrap();
    assert_eq!(bob.join("room:1", &0).await.unwrap()["by"], json!("room"));
    assert_eq!(hub.unroute("room:{id}"), 1);
    bob.expect("room:1", "phx_close").await;
    assert_eq!(hub.broadcast("room:1", "said", &1).unwrap().local, 1);
    assert_eq!(ada.expect("room:1", "said").await, json!(1));
    assert_eq!(bob.join("room:1", &0).await.unwrap()["by"], json!("rest"));
    assert_eq!(hub.unroute("{x*}"), 2);
}

/// A join under way when its route goes is refused, to be tried again; then there is no route.
#[tokio::test(start_paused = true)]
async fn a_join_under_way_loses_its_route() {
    let diary = Diary::default();
    let hub = Hub::builder().channel("room:{id}", diary.clone()).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["1","1","room:1","phx_join",100]"#);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(hub.unroute("room:{id}"), 0);
    let refused = |reason| {
        format!(r#"["1","1","room:1","phx_reply",{{"status":"error","response":{{"reason":"{reason}"}}}}]"#)
    };
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*refused("busy")));
    assert!(hub.topics().is_empty());
    assert_eq!(diary.take(), ["join room:1"]);
    page.send_message(r#"["1","1","room:1","phx_join",0]"#);
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(&*refused("unmatched topic")));
    let close = r#"["1","1","room:1","phx_close",{}]"#;
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(close));
    assert_eq!(page.next_message().await, None);
}

/// Pages join while a route comes and goes: when it has gone, nobody is a member.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_member_outlives_a_route() {
    let limits = Limits::default().messages(1_000_000, 1_000_000);
    let hub = Hub::builder().limits(limits).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let pages: Vec<_> = (0..4)
        .map(|n| {
            let (hub, stop) = (hub.clone(), stop.clone());
            tokio::spawn(async move {
                let mut page = hub.test_page(Identity::anonymous());
                let mut joined = 0;
                while !stop.load(Ordering::Relaxed) {
                    joined += usize::from(page.join(&format!("room:{}", n % 2), &()).await.is_ok());
                }
                joined
            })
        })
        .collect();
    let mut ended = 0;
    // So often that each kind of page has met it, and no longer.
    for round in 0..2_000 {
        hub.route("room:{id}", TopicOptions::new(), Open).unwrap();
        while round % 4 == 0 && hub.topics().is_empty() {
            tokio::task::yield_now().await;
        }
        ended += hub.unroute("room:{id}");
        assert!(hub.topics().is_empty(), "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut joined = 0;
    for page in pages {
        joined += page.await.unwrap();
    }
    // A join that replaces one ends it.
    assert!((500..=joined).contains(&ended), "{ended} of {joined}");
}

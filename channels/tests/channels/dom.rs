//! Changes of a page as data, and what it is to load.

use std::time::Duration;

use sansocket_channels::dom::{Changes, Element, Op, append, remove, update};
use sansocket_channels::test::Page;
use sansocket_channels::{AskError, Events, Hub, Identity, Limits, Open, PublishError, Reply};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

fn hub() -> Hub {
    Hub::builder().channel("list:{id}", Open).build().unwrap()
}

async fn joined(hub: &Hub) -> Page {
    let mut page = hub.test_page(Identity::anonymous());
    page.join("list:1", &()).await.unwrap();
    page
}

fn json_of(op: &Op) -> String {
    serde_json::to_string(op).unwrap()
}

#[test]
fn ops_are_exact() {
    let item = Element::new("li")
        .id("i7")
        .text("a<b> \"ž\"\n")
        .attr("title", "t")
        .attr("class", "a b")
        .style("border", "0")
        .style("border-top", "1px solid")
        .child(Element::new("b").html("<i>x</i>"))
        .child(Element::new("hr"));
    let changes = Changes::new()
        .text("…")
        .html("<i>…</i>")
        .attr("lang", "cs")
        .no_attr("title")
        .style("color", "")
        .class("on", true)
        .class("off", false);
    for (op, exact) in [
        (append("list", Element::new("li")), r#"{"op":"append","to":"list","el":{"tag":"li"}}"#),
        (
            append("list", item),
            concat!(
                r#"{"op":"append","to":"list","el":{"tag":"li","id":"i7","text":"a<b> \"ž\"\n","#,
                r#""attrs":{"title":"t","class":"a b"},"style":{"border":"0","border-top":"1px solid"},"#,
                r#""children":[{"tag":"b","html":"<i>x</i>"},{"tag":"hr"}]}}"#
            ),
        ),
        (update("i7", Changes::new()), r#"{"op":"update","id":"i7"}"#),
        (
            update("i7", changes),
            concat!(
                r#"{"op":"update","id":"i7","text":"…","html":"<i>…</i>","attrs":{"lang":"cs","title":null},"#,
                r#""style":{"color":""},"class":{"on":true,"off":false}}"#
            ),
        ),
        (remove("a\"b"), r#"{"op":"remove","id":"a\"b"}"#),
    ] {
        assert_eq!(json_of(&op), exact);
    }
}

/// The last one counts, where it was said: no name is there twice.
#[test]
fn names_are_there_once() {
    let changes = Changes::new()
        .attr("title", "a")
        .attr("lang", "cs")
        .no_attr("title")
        .style("border-top", "0")
        .style("border", "0")
        .style("border-top", "1px")
        .class("on", true)
        .class("on", false)
        .text("a")
        .text("b");
    assert_eq!(
        json_of(&update("x", changes)),
        concat!(
            r#"{"op":"update","id":"x","text":"b","attrs":{"lang":"cs","title":null},"#,
            r#""style":{"border":"0","border-top":"1px"},"class":{"on":false}}"#
        )
    );
}

/// Frames, to all, to some and to one, in one order with all else.
#[tokio::test(start_paused = true)]
async fn frames_are_exact() {
    let hub = hub();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    let mut other = joined(&hub).await;
    page.send_message(r#"["3","3","list:1","phx_join",{}]"#);
    page.next_message().await.unwrap();
    assert_eq!(hub.to("list:1").dom([remove("a"), remove("b")]).unwrap().local, 2);
    assert_eq!(hub.to("list:1").only([page.conn()]).dom([]).unwrap().local, 1);
    assert_eq!(hub.broadcast("list:1", "tick", &1).unwrap().local, 2);
    assert_eq!(hub.conn(page.conn()).dom("list:1", [remove("c")]).unwrap().local, 1);
    for frame in [
        r#"[null,null,"list:1","$dom",{"ops":[{"op":"remove","id":"a"},{"op":"remove","id":"b"}]}]"#,
        r#"[null,null,"list:1","$dom",{"ops":[]}]"#,
        r#"[null,null,"list:1","tick",1]"#,
        r#"["3",null,"list:1","$dom",{"ops":[{"op":"remove","id":"c"}]}]"#,
    ] {
        assert_eq!(page.next_message().await.unwrap().as_text(), Some(frame));
    }
    let ops = json!({ "ops": [{ "op": "remove", "id": "a" }, { "op": "remove", "id": "b" }] });
    assert_eq!(other.expect("list:1", "$dom").await, ops);
    other.expect("list:1", "tick").await;
    other.expect_nothing().await;
    // Nobody is there, and that is no error.
    assert_eq!(hub.to("list:2").dom([remove("a")]).unwrap().local, 0);
    assert_eq!(hub.conn(page.conn()).dom("list:2", [remove("a")]).unwrap().local, 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_change_their_page() {
    let events = Events::new().on("more", async |cx, _| {
        cx.dom([append("list", Element::new("li").text("more"))])?;
        Ok(Reply::ok())
    });
    let hub = Hub::builder().channel("list:{id}", events).build().unwrap();
    let (mut page, mut other) = (joined(&hub).await, joined(&hub).await);
    page.push("list:1", "more", &()).await.unwrap();
    let ops = json!({ "ops": [{ "op": "append", "to": "list", "el": { "tag": "li", "text": "more" } }] });
    assert_eq!(page.expect("list:1", "$dom").await, ops);
    other.expect_nothing().await;
}

/// At the limit of a payload, and one byte beyond it, whoever is sent to; and where nothing is sent any more.
#[tokio::test(start_paused = true)]
async fn they_are_payloads() {
    let ops = |len: usize| [remove(&"x".repeat(len))];
    let rest = r#"{"ops":[{"op":"remove","id":""}]}"#.len();
    let events = Events::new().on("remove", async |cx, payload| {
        let len: usize = payload.parse()?;
        cx.dom([remove(&"x".repeat(len))])?;
        Ok(Reply::ok())
    });
    let hub =
        Hub::builder().channel("list:{id}", events).limits(Limits::default().payload(1_000)).build().unwrap();
    let mut page = joined(&hub).await;
    let conn = hub.conn(page.conn());
    assert_eq!(hub.to("list:1").dom(ops(1_000 - rest)).unwrap().local, 1);
    assert!(matches!(hub.to("list:1").dom(ops(1_001 - rest)), Err(PublishError::TooBig)));
    assert_eq!(conn.dom("list:1", ops(1_000 - rest)).unwrap().local, 1);
    assert!(matches!(conn.dom("list:1", ops(1_001 - rest)), Err(PublishError::TooBig)));
    assert_eq!(page.push("list:1", "remove", &(1_000 - rest)).await, Ok(json!({})));
    assert_eq!(page.push("list:1", "remove", &(1_001 - rest)).await, Err(json!({ "reason": "too big" })));
    assert!(matches!(hub.to("$list").dom(ops(1)), Err(PublishError::Topic)));
    // The event is not a program's to send.
    assert!(matches!(hub.broadcast("list:1", "$dom", &json!({ "ops": [] })), Err(PublishError::Event)));
    assert_eq!(page.push("list:1", "$dom", &()).await, Err(json!({ "reason": "reserved event" })));
    hub.drain(sansocket_channels::Drain::default()).await;
    assert!(matches!(hub.to("list:1").dom(ops(1)), Err(PublishError::Draining)));
}

/// 32 in one another; more are an error, and however many there are, no stack is too small for them.
#[test]
fn elements_are_so_deep() {
    let hub = hub();
    let nested = |depth| (1..depth).fold(Element::new("i"), |child, _| Element::new("i").child(child));
    for (depth, is_sent) in [(32, true), (33, false), (1_000_000, false)] {
        let sent = hub.to("list:1").dom([append("list", nested(depth))]);
        assert_eq!(sent.is_ok(), is_sent, "{depth}: {sent:?}");
        assert!(is_sent || matches!(sent, Err(PublishError::Payload(_))));
    }
    assert_eq!(json_of(&append("x", nested(32))).matches("tag").count(), 32);
    // Beside others that are not.
    let mixed = Element::new("i").child(nested(32)).child(Element::new("b"));
    assert!(hub.to("list:1").dom([append("list", mixed)]).is_err());
}

/// Loads in a task of its own.
fn load(hub: &Hub, page: &Page, url: &'static str) -> tokio::task::JoinHandle<Result<(), AskError>> {
    let conn = hub.conn(page.conn());
    tokio::spawn(async move { conn.load("list:1", url, SECOND).await })
}

#[tokio::test(start_paused = true)]
async fn pages_load() {
    let hub = hub();
    let mut page = joined(&hub).await;
    page.answer("$load", |question| match question {
        question if question == json!({ "url": "/chart.js" }) => Ok(Value::Null),
        // Of a client that is not ours.
        question if question == json!({ "url": "/chart.css" }) => Ok(json!({ "is": "there" })),
        _ => Err(json!({ "reason": "not allowed" })),
    });
    for url in ["/chart.js", "/chart.css", "//example.com/chart.js"] {
        let loaded = load(&hub, &page, url);
        page.linger().await;
        match loaded.await.unwrap() {
            Ok(()) => assert!(url.starts_with("/chart"), "{url}"),
            Err(AskError::Refused(why)) => {
                assert_eq!((url, why), ("//example.com/chart.js", json!({ "reason": "not allowed" })));
            }
            Err(other) => panic!("{url}: {other}"),
        }
    }
    let mut silent = joined(&hub).await;
    assert!(matches!(load(&hub, &silent, "/chart.js").await.unwrap(), Err(AskError::TimedOut)));
    silent.leave("list:1").await;
    assert!(matches!(load(&hub, &silent, "/chart.js").await.unwrap(), Err(AskError::Gone)));
    // It is no event of a program's own.
    let asked = hub.conn(page.conn()).ask::<Value>("list:1", "$load", &(), SECOND).await;
    assert!(matches!(asked, Err(AskError::Payload(_))));
}

/// The question, byte for byte; a handler may ask it, and it is a payload like others.
#[tokio::test(start_paused = true)]
async fn handlers_have_their_page_load() {
    let events = Events::new().on("open", async |cx, payload| {
        let url: String = payload.parse()?;
        cx.load(&url, SECOND).await?;
        Ok(Reply::ok())
    });
    let hub =
        Hub::builder().channel("list:{id}", events).limits(Limits::default().payload(100)).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous()).stock();
    page.send_message(r#"["3","3","list:1","phx_join",{}]"#);
    page.next_message().await.unwrap();
    page.send_message(r#"["3","4","list:1","open","/a\"b.js"]"#);
    assert_eq!(
        page.next_message().await.unwrap().as_text(),
        Some(r#"["3","s1","list:1","$load",{"url":"/a\"b.js"}]"#)
    );
    page.send_message(r#"["3",null,"list:1","$reply",{"ref":"s1","status":"ok","response":null}]"#);
    let done = r#"["3","4","list:1","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(done));
    let long = format!(r#"["3","5","list:1","open","/{}"]"#, "x".repeat(100));
    page.send_message(long);
    let bad = r#"["3","5","list:1","phx_reply",{"status":"error","response":{"reason":"bad answer"}}]"#;
    assert_eq!(page.next_message().await.unwrap().as_text(), Some(bad));
}

//! The test kit: what its pages say, and what they are told.

use std::time::Duration;

use sansocket_channels::test::Connect;
use sansocket_channels::{Denied, Events, Handshake, Hub, Identity, Joined, Limits, Origins, Relay, Reply};
use serde_json::json;
use tokio::time::sleep;

async fn authenticate(handshake: Handshake) -> Result<Identity, Denied> {
    match handshake.bearer() {
        None => Ok(Identity::anonymous()),
        Some("ädä?>>>") => Ok(Identity::user("ada")),
        Some("forbidden") => Err(Denied::FORBIDDEN),
        Some("slow") => {
            sleep(Duration::from_secs(10)).await;
            Ok(Identity::anonymous())
        }
        Some("panic") => panic!("as was asked for"),
        Some(_) => Err(Denied::UNAUTHORIZED),
    }
}

/// A page that connects is let in, or not, as one over a network.
#[tokio::test(start_paused = true)]
async fn pages_connect() {
    let limits = Limits::default().connections_per_user(1);
    let hub =
        Hub::builder().channel("room", Relay).limits(limits).authenticate(authenticate).build().unwrap();
    let token = |token: &str| Connect::new().token(token);
    for (connect, status) in [
        (token("nobody"), 401),
        (token(""), 401),
        (token("forbidden"), 403),
        (token("slow"), 503),
        (token("panic"), 503),
        (Connect::new().origin("http://example.com"), 403),
        (Connect::new().origin("null"), 403),
    ] {
        assert_eq!(hub.test_connect(&connect).await.err(), Some(status), "{connect:?}");
    }
    assert!(hub.connections().is_empty());
    let mut nobody = hub.test_connect(&Connect::new()).await.unwrap();
    nobody.join("room", &()).await.unwrap();
    let mut ada = hub.test_connect(&token("ädä?>>>")).await.unwrap();
    assert_eq!(hub.conn(ada.conn()).info().unwrap().user.as_deref(), Some("ada"));
    assert_eq!(hub.test_connect(&token("ädä?>>>")).await.err(), Some(503));
    ada.join("room", &()).await.unwrap();
    // It comes back as whom it was let in.
    ada.reconnect().await;
    ada.push("room", "said", &1).await.unwrap();
    assert_eq!(nobody.expect("room", "said").await, json!(1));
    assert_eq!(hub.user("ada").connections().len(), 1);

    hub.drain(sansocket_channels::Drain::default()).await;
    assert_eq!(hub.test_connect(&Connect::new()).await.err(), Some(503));
}

/// What a page says of itself is what a handler knows.
#[tokio::test(start_paused = true)]
async fn pages_say_who_they_are() {
    let known = Events::new().on_join(async |cx, _| {
        let handshake = cx.handshake();
        Joined::new(()).reply(&json!({
            "param": handshake.param("näme"), "vsn": handshake.param("vsn"), "cookie": handshake.header("cookie"),
            "origin": handshake.origin(), "token": handshake.bearer(),
        }))
    });
    let origins = Origins::list(["https://example.com"]);
    let hub = Hub::builder().channel("room", known).path("/live").origins(origins).build().unwrap();
    let connect = Connect::new()
        .origin("https://example.com")
        .token("a+b/c")
        .param("näme", "a b&=%2B+")
        .param("näme", "not the first")
        .header("Cookie", "id=1");
    for is_stock in [false, true] {
        let mut page = hub.test_connect(&connect).await.unwrap();
        if is_stock {
            page = page.stock();
        }
        let mut told = page.join("room", &()).await.unwrap();
        let conn = told.as_object_mut().unwrap().remove("$conn");
        assert_eq!(conn, (!is_stock).then(|| json!(page.conn())));
        assert_eq!(
            told,
            json!({
                "param": "a b&=%2B+", "vsn": "2.0.0", "cookie": "id=1", "origin": "https://example.com", "token": "a+b/c",
            })
        );
        page.reconnect().await;
        assert_eq!(page.join("room", &()).await.unwrap()["cookie"], "id=1");
    }
}

/// No page is so.
#[tokio::test(start_paused = true)]
async fn pages_that_cannot_be() {
    let hub = Hub::builder().build().unwrap();
    for connect in
        [Connect::new().header("Cookie", "a\nb"), Connect::new().header("Origin", "http://localhost")]
    {
        let hub = hub.clone();
        let connecting = tokio::spawn(async move { hub.test_connect(&connect).await.map(drop) });
        assert!(connecting.await.unwrap_err().is_panic());
    }
}

/// Bytes are answered with bytes, or with JSON, and JSON with bytes.
#[tokio::test(start_paused = true)]
async fn bytes_are_bytes() {
    let events = Events::new()
        .on("echo", async |_, payload| match payload.binary() {
            Some(data) => Ok(Reply::binary(data.clone())),
            None => Ok(Reply::with(&payload)?),
        })
        .on("len", async |_, payload| Ok(Reply::with(&payload.binary().map(bytes::Bytes::len))?))
        .on("zeros", async |_, payload| Ok(Reply::binary(vec![0; payload.parse()?])));
    let hub = Hub::builder().channel("room", events).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room", &()).await.unwrap();
    let echoed = page.push_binary("room", "echo", &[0, 255]).await.unwrap();
    assert_eq!(echoed.binary().unwrap()[..], [0, 255]);
    assert_eq!(page.push_binary("room", "len", &[0, 255]).await.unwrap().parse::<usize>().unwrap(), 2);
    assert_eq!(page.push_for_binary("room", "zeros", &3).await.unwrap()[..], [0; 3]);
    let refused = json!({ "reason": "unknown event" });
    assert_eq!(page.push_binary("room", "?", &[]).await.unwrap_err(), refused);
    assert_eq!(page.push_for_binary("room", "?", &0).await.unwrap_err(), refused);
}

/// What is expected next is next, and not behind anything else.
#[tokio::test(start_paused = true)]
async fn the_next_is_the_next() {
    let hub = Hub::builder().channel("room:{id}", Relay).build().unwrap();
    let mut page = hub.test_page(Identity::anonymous());
    page.join("room:1", &()).await.unwrap();
    page.join("room:2", &()).await.unwrap();
    for (topic, event, payload) in
        [("room:1", "a", 1), ("room:2", "a", 2), ("room:1", "b", 3), ("room:1", "c", 4)]
    {
        hub.broadcast(topic, event, &payload).unwrap();
    }
    assert_eq!(page.expect_next("room:1", "a").await, json!(1));
    assert_eq!(page.expect_next("room:2", "a").await, json!(2));
    // What `expect` passes by is next.
    assert_eq!(page.expect("room:1", "c").await, json!(4));
    assert_eq!(page.expect_next("room:1", "b").await, json!(3));
    for (topic, event) in [("room:1", "b"), ("room:2", "a")] {
        hub.broadcast("room:1", "a", &0).unwrap();
        let expecting = tokio::spawn(async move {
            page.expect_next(topic, event).await;
        });
        assert!(expecting.await.unwrap_err().is_panic(), "{event} on {topic} is not next");
        page = hub.test_page(Identity::anonymous());
        page.join("room:1", &()).await.unwrap();
    }
}

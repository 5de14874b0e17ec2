//! Which channel answers for a topic.

use sansocket_channels::{BuildError, Channel, Cx, Hub, Identity, Joined, Open, Payload, Refusal};
use serde_json::{Value, json};

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

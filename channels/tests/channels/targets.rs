//! To whom things are sent.

use sansocket_channels::backplane::BackplaneError;
use sansocket_channels::test::Page;
use sansocket_channels::{AskError, Hub, Identity, Open, Payload, PublishError, Refusal, Relay, TrackError};
use serde_json::{Value, json};

async fn page(hub: &Hub, user: &str, topics: &[&str]) -> Page {
    let mut page = hub.test_page(Identity::user(user));
    for topic in topics {
        page.join(topic, &()).await.unwrap();
    }
    page
}

fn hub() -> Hub {
    Hub::builder().channel("room:{id}", Open).channel("relay", Relay).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn members_are_chosen() {
    let hub = hub();
    let mut ada = page(&hub, "ada", &["room:1", "room:2"]).await;
    let mut tab = page(&hub, "ada", &["room:1"]).await;
    let mut bob = page(&hub, "bob", &["room:1", "room:3"]).await;
    let (a, t, b) = (ada.conn(), tab.conn(), bob.conn());

    let sent = [
        hub.broadcast("room:1", "1", &1),
        hub.to("room:1").except(a).send("2", &1),
        hub.to("room:1").except_user("ada").send("3", &1),
        hub.to("room:1").only([a, b, a]).send("4", &1),
        hub.to("room:1").only([a, b]).except_user("bob").send("5", &1),
        hub.to_topics(["room:1", "room:3", "room:4", "room:1"]).send("6", &1),
        hub.to_pattern("room:{id}").except(b).send("7", &1),
        hub.to_pattern("{all*}").only([b]).send("8", &1),
        hub.conn(t).push("room:1", "9", &1),
        hub.user("ada").push("room:1", "10", &1),
        hub.conn(t).push("room:2", "none", &1),
        hub.broadcast("room:9", "none", &1),
        hub.to("room:1").only([]).send("none", &1),
    ];
    let sent: Vec<_> = sent.into_iter().map(|sent| sent.unwrap().local).collect();
    assert_eq!(sent, [3, 2, 1, 2, 1, 4, 3, 2, 1, 2, 0, 0, 0]);

    for (page, events) in [
        (
            &mut ada,
            &[
                ("room:1", "1"),
                ("room:1", "4"),
                ("room:1", "5"),
                ("room:1", "6"),
                ("room:1", "7"),
                ("room:2", "7"),
                ("room:1", "10"),
            ][..],
        ),
        (
            &mut tab,
            &[
                ("room:1", "1"),
                ("room:1", "2"),
                ("room:1", "6"),
                ("room:1", "7"),
                ("room:1", "9"),
                ("room:1", "10"),
            ],
        ),
        (
            &mut bob,
            &[
                ("room:1", "1"),
                ("room:1", "2"),
                ("room:1", "3"),
                ("room:1", "4"),
                ("room:1", "6"),
                ("room:3", "6"),
                ("room:1", "8"),
                ("room:3", "8"),
            ],
        ),
    ] {
        for (topic, event) in events {
            page.expect(topic, event).await;
        }
        page.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_relayed_goes_to_the_others() {
    let hub = hub();
    let mut ada = page(&hub, "ada", &["relay"]).await;
    let mut bob = page(&hub, "bob", &["relay"]).await;
    assert_eq!(ada.push("relay", "said", &json!({ "n": 1 })).await, Ok(json!({})));
    assert_eq!(bob.expect("relay", "said").await, json!({ "n": 1 }));
    ada.send_message(b"\x00\x00\x00\x05\x03relaypng\x89".to_vec());
    assert_eq!(&*bob.expect_binary("relay", "png").await, b"\x89");
    ada.expect_nothing().await;
}

/// Who is where is known, nobody twice.
#[tokio::test(start_paused = true)]
async fn the_hub_knows_who_is_where() {
    let hub = hub();
    let mut ada = page(&hub, "ada", &["room:1", "room:2"]).await;
    let mut guest = hub.test_page(Identity::anonymous());
    guest.join("room:1", &()).await.unwrap();
    ada.join("room:1", &()).await.unwrap();

    let mut topics: Vec<_> = hub.topics().into_iter().map(|topic| (topic.name, topic.members)).collect();
    topics.sort();
    assert_eq!(topics, [("room:1".to_owned(), 2), ("room:2".to_owned(), 1)]);
    let mut users: Vec<_> = hub.members("room:1").into_iter().map(|member| member.user).collect();
    users.sort();
    assert_eq!(users, [None, Some("ada".to_owned())]);
    let info = hub.conn(ada.conn()).info().unwrap();
    assert_eq!((info.id, info.user.as_deref(), info.topics.len()), (ada.conn(), Some("ada"), 2));
    assert_eq!(hub.user("ada").connections().len(), 1);
    assert_eq!(hub.connections().len(), 2);
    assert_eq!(ada.conn().to_string().len(), 26);
    assert_eq!(ada.conn().to_string().parse(), Ok(ada.conn()));
    assert!("7ZZ".parse::<sansocket_channels::ConnId>().is_err());
    ada.cut();
    ada.linger().await;
    assert!(hub.conn(ada.conn()).info().is_none() && hub.user("ada").connections().is_empty());
    assert_eq!(hub.connections().len(), 1);
}

/// What clients are told by `?` is in the table of the front page, in the row of the error.
#[test]
fn the_words_of_errors_are_documented() {
    let payload = || Payload::bytes(vec![0]).parse::<u8>().unwrap_err();
    let down = || BackplaneError::Down;
    let told: [(&str, Refusal); 17] = [
        ("PayloadError", payload().into()),
        ("TrackError", TrackError::Payload(payload()).into()),
        ("TrackError", TrackError::NoPresence.into()),
        ("TrackError", TrackError::NotJoined.into()),
        ("PublishError", PublishError::Payload(payload()).into()),
        ("PublishError", PublishError::TooBig.into()),
        ("PublishError", PublishError::Topic.into()),
        ("PublishError", PublishError::Draining.into()),
        ("PublishError", PublishError::Event.into()),
        ("PublishError", PublishError::Key.into()),
        ("PublishError", PublishError::Backplane(down()).into()),
        ("AskError", AskError::Payload(payload()).into()),
        ("AskError", AskError::Gone.into()),
        ("AskError", AskError::TimedOut.into()),
        ("AskError", AskError::Refused(Value::Null).into()),
        ("AskError", AskError::TooMany.into()),
        ("AskError", AskError::Backplane(down()).into()),
    ];
    for (error, refusal) in told {
        let (row, word) = (format!("//! | [`{error}`] |"), format!("`{}`", refusal.reason()));
        let mut rows = include_str!("../../src/lib.rs").lines().filter(|line| line.starts_with(&row));
        assert!(rows.any(|line| line.contains(&word)), "{error}: {word}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_fails() {
    let hub = hub();
    let max = "x".repeat((256 << 10) - 2);
    assert!(hub.broadcast("room:1", "said", &max).is_ok());
    assert!(matches!(hub.broadcast("room:1", "said", &(max + "x")), Err(PublishError::TooBig)));
    let no_json = std::collections::HashMap::from([((1, 2), 3)]);
    assert!(matches!(hub.broadcast("room:1", "said", &no_json), Err(PublishError::Payload(_))));
    for topic in ["", "phoenix", "$x", "a\nb", &"x".repeat(256)] {
        assert!(matches!(hub.broadcast(topic, "said", &1), Err(PublishError::Topic)), "{topic}");
    }
    assert!(matches!(hub.to_pattern("{").send("said", &1), Err(PublishError::Topic)));
    for event in ["", "phx_reply", "$gap", &"x".repeat(65)] {
        assert!(matches!(hub.broadcast("room:1", event, &1), Err(PublishError::Event)), "{event}");
    }
    // It needs no runtime, and no thread of one's own.
    std::thread::spawn(move || hub.broadcast("room:1", "said", &1).unwrap()).join().unwrap();
}

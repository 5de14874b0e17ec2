//! Who is present: what pages are told of it, and what the hub says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{Close, Events, Hub, Identity, Joined, Limits, Refusal, Relay, Reply, TopicOptions};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::random::Random;

/// Tracks the parameters of the join, if there are any; what is pushed as `track`, until `untrack`.
fn channel() -> Events {
    Events::new()
        .on_join(async |_, params| {
            let joined = Joined::new(());
            if params.json() == Some("null") { Ok(joined) } else { joined.track(&params) }
        })
        .on("track", async |cx, meta| {
            cx.track(&meta)?;
            Ok(Reply::ok())
        })
        .on("untrack", async |cx, _| {
            cx.untrack();
            Ok(Reply::ok())
        })
        .on("crash", async |_, _| panic!("as was asked for"))
        .on("stop", async |_, _| Ok(Reply::ok().stop()))
}

fn hub(limits: Limits) -> Hub {
    let options = TopicOptions::new().presence();
    Hub::builder().channel_with("room:{id}", options, channel()).limits(limits).build().unwrap()
}

/// A page of a user, on the topic.
async fn page(hub: &Hub, user: &str, meta: &Value) -> Page {
    let mut page = hub.test_page(Identity::user(user));
    page.join(TOPIC, meta).await.unwrap();
    page
}

/// The hub's list, without the references.
fn list(hub: &Hub) -> Value {
    let mut list = hub_list(hub);
    for meta in list.values_mut().flatten() {
        let fields = meta.as_object_mut().unwrap();
        assert!(fields.remove("phx_ref").is_some());
        fields.remove("phx_ref_prev");
    }
    json!(list)
}

/// The only meta of a key in a state or in half a diff.
fn meta<'a>(list: &'a Value, key: &str) -> &'a Value {
    let metas = list[key]["metas"].as_array().unwrap();
    assert_eq!(metas.len(), 1);
    &metas[0]
}

#[tokio::test(start_paused = true)]
async fn the_state_follows_the_answer_and_the_diff_the_state() {
    let hub = hub(Limits::default());
    let mut ada = hub.test_page(Identity::user("ada")).stock();
    ada.send_message(format!(r#"["3","4","{TOPIC}","phx_join",{{"at":5}}]"#));
    assert_eq!(
        text(&mut ada).await,
        json!(["3", "4", TOPIC, "phx_reply", { "status": "ok", "response": {} }])
    );
    assert_eq!(text(&mut ada).await, json!([null, null, TOPIC, "presence_state", {}]));
    let frame = ada.next_message().await.unwrap();
    let diff: Value = serde_json::from_str(frame.as_text().unwrap()).unwrap();
    let reference = meta(&diff[4]["joins"], "ada")["phx_ref"].as_str().unwrap().to_owned();
    assert_eq!(
        frame.as_text().unwrap(),
        format!(
            r#"[null,null,"{TOPIC}","presence_diff",{{"joins":{{"ada":{{"metas":[{{"phx_ref":"{reference}","at":5}}]}}}},"leaves":{{}}}}]"#
        )
    );
    // Who joins later is told of her by the state, and of himself by the diff, as she is.
    let mut bob = page(&hub, "bob", &json!({})).await;
    let state = bob.expect(TOPIC, "presence_state").await;
    assert_eq!(state, json!({ "ada": { "metas": [{ "phx_ref": reference, "at": 5 }] } }));
    let diff = bob.expect(TOPIC, "presence_diff").await;
    assert_eq!(diff["joins"].as_object().unwrap().keys().collect::<Vec<_>>(), ["bob"]);
    assert_eq!(text(&mut ada).await[4], diff);
    bob.expect_nothing().await;
    assert_eq!(list(&hub), json!({ "ada": [{ "at": 5 }], "bob": [{}] }));
    assert_eq!(hub.presence("room:2").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_a_join_that_names_what_left() {
    let hub = hub(Limits::default());
    let mut ada = page(&hub, "ada", &json!({ "n": 1 })).await;
    let mut bob = page(&hub, "bob", &json!(null)).await;
    assert_eq!(bob.expect(TOPIC, "presence_state").await, json!({}));
    let first = bob.expect(TOPIC, "presence_diff").await["joins"].take();
    // Of two at once the first is never heard of.
    for n in [2, 3] {
        // Clients do not call themselves what others are called.
        ada.push(TOPIC, "track", &json!({ "n": n, "phx_ref": "x", "phx_ref_prev": "x" })).await.unwrap();
    }
    assert_eq!(list(&hub), json!({ "ada": [{ "n": 3 }] }));
    let diff = bob.expect(TOPIC, "presence_diff").await;
    assert_eq!(diff["leaves"], first);
    let updated = meta(&diff["joins"], "ada");
    assert_eq!(updated["n"], 3);
    assert_eq!(updated["phx_ref_prev"], meta(&first, "ada")["phx_ref"]);
    assert_ne!(updated["phx_ref"], meta(&first, "ada")["phx_ref"]);
    ada.push(TOPIC, "untrack", &json!({})).await.unwrap();
    assert_eq!(hub.presence(TOPIC).len(), 0);
    let gone = bob.expect(TOPIC, "presence_diff").await;
    assert_eq!(gone, json!({ "joins": {}, "leaves": diff["joins"] }));
    // What comes and goes at once is not heard of.
    ada.push(TOPIC, "track", &json!({})).await.unwrap();
    ada.push(TOPIC, "untrack", &json!({})).await.unwrap();
    bob.expect_nothing().await;
    assert_eq!(hub.members(TOPIC).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_is_ended_is_gone_at_once() {
    let hub = hub(Limits::default());
    let mut bob = page(&hub, "bob", &json!(null)).await;
    bob.expect(TOPIC, "presence_state").await;
    for how in ["leave", "stop", "kick", "close", "unroute"] {
        let mut ada = page(&hub, "ada", &json!({})).await;
        let joined = bob.expect(TOPIC, "presence_diff").await["joins"].take();
        match how {
            "leave" => ada.leave(TOPIC).await,
            "stop" => drop(ada.push(TOPIC, "stop", &json!({})).await.unwrap()),
            "kick" => hub.user("ada").leave(TOPIC),
            "close" => {
                hub.user("ada").close(Close::kicked());
                ada.closed().await;
            }
            _ => {
                assert_eq!(hub.unroute("room:{id}"), 2);
                assert_eq!(hub.presence(TOPIC).len(), 0);
                break;
            }
        }
        assert_eq!(hub.presence(TOPIC).len(), 0, "{how}");
        let diff = bob.expect(TOPIC, "presence_diff").await;
        assert_eq!(diff, json!({ "joins": {}, "leaves": joined }), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_lost_lingers_and_is_updated_when_back() {
    let hub = hub(Limits::default());
    let mut bob = page(&hub, "bob", &json!(null)).await;
    bob.expect(TOPIC, "presence_state").await;
    for how in ["cut", "close", "crash", "slow"] {
        let mut ada = page(&hub, "ada", &json!({ "how": how })).await;
        let first = bob.expect(TOPIC, "presence_diff").await["joins"].take();
        match how {
            "cut" => ada.cut(),
            "close" => ada.close(),
            "crash" => ada.cast(TOPIC, "crash", &json!({})),
            _ => {
                ada.stall();
                while hub.user("ada").push(TOPIC, "much", &"x".repeat(200_000)).unwrap().local > 0 {}
            }
        }
        sleep(Duration::from_millis(10)).await;
        assert_eq!(hub.members(TOPIC).len(), 1, "{how}");
        sleep(Duration::from_millis(4_900)).await;
        assert_eq!(list(&hub), json!({ "ada": [{ "how": how }] }));
        let mut again = page(&hub, "ada", &json!({ "how": "back" })).await;
        let diff = bob.expect(TOPIC, "presence_diff").await;
        assert_eq!(diff["leaves"], first, "{how}");
        assert_eq!(meta(&diff["joins"], "ada")["phx_ref_prev"], meta(&first, "ada")["phx_ref"]);
        // She is told what all know, and then the same as they.
        assert_eq!(again.expect(TOPIC, "presence_state").await, first);
        assert_eq!(again.expect(TOPIC, "presence_diff").await, diff);
        sleep(Duration::from_secs(10)).await;
        again.cut();
        sleep(Duration::from_millis(4_900)).await;
        assert_eq!(list(&hub), json!({ "ada": [{ "how": "back" }] }));
        let gone = bob.expect(TOPIC, "presence_diff").await;
        assert_eq!(gone, json!({ "joins": {}, "leaves": diff["joins"] }), "{how}");
        assert_eq!(hub.presence(TOPIC).len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn while_somebody_lingers_others_are_told_in_time() {
    let hub = hub(Limits::default());
    let mut bob = page(&hub, "bob", &json!(null)).await;
    let mut ada = page(&hub, "ada", &json!({})).await;
    bob.expect(TOPIC, "presence_diff").await;
    ada.cut();
    sleep(Duration::from_secs(1)).await;
    for _ in 0..3 {
        let before = Instant::now();
        bob.push(TOPIC, "track", &json!({})).await.unwrap();
        bob.expect(TOPIC, "presence_diff").await;
        // A timer of the runtime may be a millisecond late.
        assert!((100..=102).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    }
    sleep(Duration::from_secs(5)).await;
    let gone = bob.expect(TOPIC, "presence_diff").await;
    assert_eq!(gone["leaves"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ada"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_replaced_is_updated() {
    let hub = hub(Limits::default());
    let mut bob = page(&hub, "bob", &json!(null)).await;
    let mut ada = hub.test_page(Identity::anonymous());
    let key = ada.conn().to_string();
    ada.join(TOPIC, &json!({ "n": 1 })).await.unwrap();
    let first = bob.expect(TOPIC, "presence_diff").await["joins"].take();
    ada.join(TOPIC, &json!({ "n": 2 })).await.unwrap();
    let diff = bob.expect(TOPIC, "presence_diff").await;
    assert_eq!(diff["leaves"], first);
    assert_eq!(meta(&diff["joins"], &key)["phx_ref_prev"], meta(&first, &key)["phx_ref"]);
    // Who does not say again that he is present is not, after a while.
    ada.join(TOPIC, &json!(null)).await.unwrap();
    assert_eq!(list(&hub), json!({ key: [{ "n": 2 }] }));
    sleep(Duration::from_millis(4_900)).await;
    assert_eq!(bob.expect(TOPIC, "presence_diff").await, json!({ "joins": {}, "leaves": diff["joins"] }));
    assert_eq!(hub.members(TOPIC).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_there_until_nobody_may_come_back() {
    let hub = hub(Limits::default().topics(1));
    let mut ada = page(&hub, "ada", &json!({ "n": 1 })).await;
    let first = ada.expect(TOPIC, "presence_diff").await["joins"].take();
    ada.cut();
    sleep(Duration::from_secs(4)).await;
    assert!(hub.topics().is_empty() && hub.members(TOPIC).is_empty());
    assert_eq!(list(&hub), json!({ "ada": [{ "n": 1 }] }));
    let mut bob = hub.test_page(Identity::user("bob"));
    assert_eq!(bob.join("room:2", &json!({})).await.unwrap_err()["reason"], "busy");
    assert!(bob.join(TOPIC, &json!(null)).await.is_ok());
    assert_eq!(bob.expect(TOPIC, "presence_state").await, first);
    bob.cut();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(hub.presence(TOPIC).len(), 0);
    assert!(page_on(&hub, "room:2").await.is_ok());
    // Who is drained may come back, to another process.
    hub.drain(sansocket_channels::Drain::default()).await;
    assert!(hub.topics().is_empty());
    assert_eq!(hub.presence("room:2").len(), 1);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(hub.presence("room:2").len(), 0);
}

/// While there are no members nobody is told who leaves: be it that what was said is kept, or that somebody may come back.
#[tokio::test(start_paused = true)]
async fn who_left_before_is_not_in_the_state_of_who_joins_a_topic_without_members() {
    let options = || TopicOptions::new().presence();
    for (options, lingers) in [(options().history(10, Duration::from_secs(60)), false), (options(), true)] {
        let hub = Hub::builder().channel_with("room:{id}", options, channel()).build().unwrap();
        let mut eve = page(&hub, "eve", &if lingers { json!({}) } else { json!(null) }).await;
        let mut ada = page(&hub, "ada", &json!({})).await;
        let known = eve.expect(TOPIC, "presence_diff").await["joins"].take();
        eve.cut();
        sleep(Duration::from_secs(1)).await;
        ada.leave(TOPIC).await;
        sleep(Duration::from_secs(if lingers { 1 } else { 20 })).await;
        let mut bob = page(&hub, "bob", &json!(null)).await;
        let state = bob.expect(TOPIC, "presence_state").await;
        assert_eq!(state, if lingers { json!({ "eve": known["eve"] }) } else { json!({}) });
        sleep(Duration::from_secs(1)).await;
        bob.expect_nothing().await;
        // What comes of it later is told as ever.
        sleep(Duration::from_secs(10)).await;
        if lingers {
            let gone = bob.expect(TOPIC, "presence_diff").await;
            assert_eq!(gone, json!({ "joins": {}, "leaves": { "eve": known["eve"] } }));
        }
        page(&hub, "ada", &json!({ "again": true })).await;
        let diff = bob.expect(TOPIC, "presence_diff").await;
        assert_eq!((&meta(&diff["joins"], "ada")["again"], &diff["leaves"]), (&json!(true), &json!({})));
    }
}

/// One is lost before, and one by that.
#[test]
fn what_lingers_is_over_with_its_runtime() {
    let runtime = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (hub, first, second) = (hub(Limits::default().topics(1)), runtime(), runtime());
    first.block_on(async {
        let mut ada = page(&hub, "ada", &json!({})).await;
        ada.cut();
        std::mem::forget(page(&hub, "bob", &json!({})).await);
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(hub.presence(TOPIC).keys().collect::<Vec<_>>(), ["ada", "bob"]);
    drop(first);
    assert_eq!((hub.presence(TOPIC).len(), hub.members(TOPIC).len()), (0, 0));
    second.block_on(async {
        assert!(page_on(&hub, "room:2").await.is_ok());
        let mut eve = hub.test_page(Identity::user("eve"));
        assert_eq!(eve.join(TOPIC, &json!({})).await.unwrap_err()["reason"], "busy");
        eve.join("room:2", &json!({})).await.unwrap();
        let diff = eve.expect("room:2", "presence_diff").await;
        assert_eq!(diff["joins"]["eve"]["metas"].as_array().unwrap().len(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn what_lingers_of_a_route_is_not_of_the_next() {
    let hub = hub(Limits::default());
    let mut ada = page(&hub, "ada", &json!({})).await;
    ada.cut();
    sleep(Duration::from_millis(10)).await;
    assert_eq!((hub.presence(TOPIC).len(), hub.unroute("room:{id}")), (1, 0));
    hub.route("room:{id}", TopicOptions::new(), Events::new()).unwrap();
    let mut bob = page(&hub, "bob", &json!({})).await;
    bob.expect_nothing().await;
    assert_eq!((hub.presence(TOPIC).len(), hub.members(TOPIC).len()), (0, 1));
    assert_eq!(hub.unroute("room:{id}"), 1);
    sleep(Duration::from_secs(10)).await;
    assert!(hub.topics().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_cannot_say_to_the_others_who_is_present() {
    let hub =
        Hub::builder().channel_with("room:{id}", TopicOptions::new().presence(), Relay).build().unwrap();
    let mut ada = page(&hub, "ada", &json!({})).await;
    let mut bob = page(&hub, "bob", &json!({})).await;
    ada.expect(TOPIC, "presence_state").await;
    for event in ["presence_state", "presence_diff"] {
        let refused = Err(json!({ "reason": "reserved event" }));
        assert_eq!(bob.push(TOPIC, event, &json!({})).await, refused);
        assert!(bob.push_binary(TOPIC, event, b"{}").await.is_err());
        bob.cast(TOPIC, event, &json!({}));
    }
    bob.push(TOPIC, "presence", &1).await.unwrap();
    assert_eq!(ada.expect_next(TOPIC, "presence").await, 1);
}

#[tokio::test(start_paused = true)]
async fn without_presence_it_is_a_fault_to_track() {
    let hub = Hub::builder().channel("room:{id}", channel()).build().unwrap();
    let mut ada = hub.test_page(Identity::user("ada"));
    assert_eq!(ada.join(TOPIC, &json!({})).await, Err(json!({ "reason": "no presence" })));
    ada.join(TOPIC, &json!(null)).await.unwrap();
    assert_eq!(ada.push(TOPIC, "track", &json!({})).await, Err(json!({ "reason": "no presence" })));
    assert!(ada.push(TOPIC, "untrack", &json!({})).await.is_ok());
    assert_eq!(hub.members(TOPIC).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_tracked_is_an_object_and_of_a_member() {
    let early = Events::new().on_join(async |cx, _| {
        cx.track(&json!({}))?;
        Ok::<_, Refusal>(Joined::new(()))
    });
    let options = TopicOptions::new().presence();
    let hub = Hub::builder().channel_with("early", options.clone(), early);
    let hub = hub.channel_with("room:{id}", options, channel()).build().unwrap();
    let mut ada = hub.test_page(Identity::user("ada"));
    assert_eq!(ada.join(TOPIC, &json!([])).await, Err(json!({ "reason": "bad payload" })));
    assert_eq!(ada.join("early", &json!({})).await, Err(json!({ "reason": "not joined" })));
    ada.join(TOPIC, &json!({})).await.unwrap();
    assert_eq!(ada.push(TOPIC, "track", &json!(1)).await, Err(json!({ "reason": "bad payload" })));
    assert_eq!(list(&hub), json!({ "ada": [{}] }));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_joins_in_a_second_cost_few_diffs() {
    let hub = hub(Limits::default());
    let mut watcher = page(&hub, "watcher", &json!(null)).await;
    let (mut pages, mut joined) = (Vec::new(), BTreeSet::new());
    for n in 0..1_000 {
        pages.push(page(&hub, &format!("user {n}"), &json!({})).await);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hub.presence(TOPIC).len(), 1_000);
    let mut count_diffs = async || {
        let mut diffs = 0;
        while let Some(frame) = watcher.next_message().await {
            let [_, _, _, event, payload] =
                serde_json::from_str::<[Value; 5]>(frame.as_text().unwrap()).unwrap();
            if event == "presence_diff" {
                diffs += 1;
                assert_eq!(payload["leaves"], json!({}));
                for key in payload["joins"].as_object().unwrap().keys() {
                    assert!(joined.insert(key.clone()), "{key} joins twice");
                }
            }
        }
        (diffs, joined.len())
    };
    let (diffs, joined) = count_diffs().await;
    assert!((9..=12).contains(&diffs), "{diffs}");
    assert_eq!(joined, 1_000);
    // It goes to so many that it is gathered for longer.
    for n in 1_000..1_100 {
        pages.push(page(&hub, &format!("user {n}"), &json!({})).await);
        sleep(Duration::from_millis(10)).await;
    }
    let (diffs, joined) = count_diffs().await;
    assert!((1..=2).contains(&diffs), "{diffs}");
    assert_eq!(joined, 1_100);
}

#[tokio::test(start_paused = true)]
async fn the_state_is_made_once_for_all_who_join_meanwhile() {
    let hub = hub(Limits::default());
    let _ada = page(&hub, "ada", &json!({})).await;
    let mut states = Vec::new();
    for pause in [1, 0, 200, 0] {
        sleep(Duration::from_millis(pause)).await;
        let mut bob = hub.test_page(Identity::user("bob")).stock();
        // What the join is called does not matter.
        let reference = states.len();
        bob.send_message(format!(r#"["{reference}","{reference}","{TOPIC}","phx_join",null]"#));
        assert_eq!(text(&mut bob).await[3], "phx_reply");
        states.push(bob.next_message().await.unwrap());
    }
    let at = |n: usize| states[n].as_text().unwrap().as_ptr();
    assert_eq!((at(0), at(2)), (at(1), at(3)));
    assert_ne!(states[0], states[2]);
}

#[tokio::test(start_paused = true)]
async fn limits_at_and_one_beyond() {
    let fields = json!({ "t": "ab" });
    let len = fields.to_string().len();
    let hub = hub(Limits::default().presence(3, len));
    let mut pages = Vec::new();
    for n in 0..4 {
        pages.push(page(&hub, &format!("user {n}"), &fields).await);
    }
    let presences = hub.presence(TOPIC);
    assert_eq!(presences.keys().collect::<Vec<_>>(), ["user 0", "user 1", "user 2"]);
    assert_eq!((presences.len(), presences.untracked(), hub.members(TOPIC).len()), (3, 1, 4));
    // What is there may be updated, but not beyond.
    pages[0].push(TOPIC, "track", &json!({ "t": "cd" })).await.unwrap();
    pages[1].push(TOPIC, "track", &json!({ "t": "abc" })).await.unwrap();
    let expected = json!({ "user 0": [{ "t": "cd" }], "user 1": [fields], "user 2": [fields] });
    assert_eq!((list(&hub), hub.presence(TOPIC).untracked()), (expected, 2));
    // Who comes back takes no room but what was his.
    pages[0].cut();
    sleep(Duration::from_millis(10)).await;
    pages[0] = page(&hub, "user 0", &fields).await;
    pages[2].leave(TOPIC).await;
    pages[3].push(TOPIC, "track", &fields).await.unwrap();
    assert_eq!(hub.presence(TOPIC).keys().collect::<Vec<_>>(), ["user 0", "user 1", "user 3"]);
    assert_eq!(hub.presence(TOPIC).untracked(), 2);
}

/// Together they take half of a queue at most, and what is told of them at once an eighth: whoever reads is not closed.
#[tokio::test(start_paused = true)]
async fn states_and_diffs_have_room_in_queues() {
    let hub = hub(Limits::default());
    let fields = |n: usize| json!({ "t": format!("{n}").repeat(1_000) });
    let mut watcher = page(&hub, "watcher", &json!(null)).await;
    let mut pages = Vec::new();
    for n in 0..500 {
        pages.push(page(&hub, &format!("user {n}"), &json!(null)).await);
    }
    // What is cast is not waited for: a page would read all that it is told before the answer.
    for page in &mut pages {
        page.cast(TOPIC, "track", &fields(1));
    }
    sleep(Duration::from_secs(5)).await;
    let tracked = hub.presence(TOPIC).len();
    assert!((450..480).contains(&tracked), "{tracked}");
    assert_eq!(hub.presence(TOPIC).untracked(), 500 - tracked as u64);
    let mut late = page(&hub, "late", &json!(null)).await;
    let state = late.expect(TOPIC, "presence_state").await;
    assert_eq!(state.as_object().unwrap().len(), tracked);
    // All are updated at once.
    for page in &mut pages {
        page.cast(TOPIC, "track", &fields(2));
    }
    sleep(Duration::from_secs(5)).await;
    let mut list = List::default();
    while let Some(frame) = watcher.next_message().await {
        assert!(frame.len() < (1 << 17) + 3_000, "{}", frame.len());
        list.take(&serde_json::from_str(frame.as_text().unwrap()).unwrap());
    }
    assert_eq!(list.entries, hub_list(&hub));
    assert!(list.entries.values().flatten().all(|meta| meta["t"].as_str().unwrap().starts_with('2')));
    assert_eq!(hub.connections().len(), pages.len() + 2);
}

/// What the stock client makes of what it is told.
#[derive(Default)]
struct List {
    entries: BTreeMap<String, Vec<Value>>,
    /// The state has come.
    has_state: bool,
    /// All references that were announced, and how often they came and went.
    seen: BTreeMap<String, (usize, usize)>,
}

impl List {
    /// Frames come in order, and between a reply and the state there is no diff.
    fn take(&mut self, frame: &Value) {
        match frame[3].as_str().unwrap() {
            "presence_state" => {
                let state = metas_of(&frame[4]);
                let old = std::mem::take(&mut self.entries);
                let known = |list: &BTreeMap<String, Vec<Value>>, key: &str, meta: &Value| {
                    list.get(key)
                        .is_some_and(|metas| metas.iter().any(|own| own["phx_ref"] == meta["phx_ref"]))
                };
                for (key, meta) in each(&old).filter(|(key, meta)| !known(&state, key, meta)) {
                    self.count(key, meta).1 += 1;
                }
                for (key, meta) in each(&state).filter(|(key, meta)| !known(&old, key, meta)) {
                    self.count(key, meta).0 += 1;
                }
                self.entries = state;
                self.has_state = true;
            }
            "presence_diff" => {
                assert!(self.has_state, "a diff goes before the state");
                let (joins, leaves) = (metas_of(&frame[4]["joins"]), metas_of(&frame[4]["leaves"]));
                assert!(!joins.is_empty() || !leaves.is_empty());
                for (key, meta) in each(&joins) {
                    self.count(key, meta).0 += 1;
                    self.entries.entry(key.clone()).or_default().push(meta.clone());
                }
                for (key, meta) in each(&leaves) {
                    self.count(key, meta).1 += 1;
                    let Some(metas) = self.entries.get_mut(key) else {
                        panic!("{key} leaves, who is not there")
                    };
                    metas.retain(|own| own["phx_ref"] != meta["phx_ref"]);
                    if metas.is_empty() {
                        self.entries.remove(key);
                    }
                }
            }
            "phx_reply" if frame[4]["response"].get("$conn").is_some() => self.has_state = false,
            _ => {}
        }
        for (reference, (joins, leaves)) in &self.seen {
            assert!(
                *joins == 1 && *leaves <= 1,
                "{reference} joins {joins} times, and leaves {leaves} times"
            );
        }
    }

    fn count(&mut self, key: &str, meta: &Value) -> &mut (usize, usize) {
        let reference = meta["phx_ref"].as_str().unwrap();
        self.seen.entry(format!("{key} {reference}")).or_default()
    }
}

/// Pages join, are lost, come back, leave, tell of themselves anew and crash, at random. Whoever is a member has the hub's list
/// whenever it is quiet, and was told once of each who came and went.
#[tokio::test(start_paused = true)]
async fn lists_at_pages_are_the_hubs() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let hub = hub(Limits::default());
        let mut clients: Vec<_> = (0..7).map(|n| Client::new(&hub, n)).collect();
        let (mut checked, mut present) = (0, 0);
        for step in 0..250 {
            let at = random.below(clients.len());
            let client = &mut clients[at];
            match random.below(12) {
                0..=2 => client.join(&json!({ "step": step })).await,
                3 => client.join(&json!(null)).await,
                4 => client.send("phx_leave", &json!({})).await,
                5..=6 => client.send("track", &json!({ "step": step })).await,
                7 => client.send("untrack", &json!({})).await,
                8 => client.send(if step % 2 == 0 { "crash" } else { "stop" }, &json!({})).await,
                9 => client.lose(&hub).await,
                10 => hub.conn(client.page.conn()).leave(TOPIC),
                _ => {
                    client.page.close();
                    client.lose(&hub).await;
                }
            }
            // In the middle of what is gathered, after it, and after what lingers.
            sleep(Duration::from_millis([0, 1, 30, 99, 100, 150, 2_000][random.below(7)])).await;
            if step % 25 == 24 {
                sleep(Duration::from_secs(6)).await;
                let listed = hub_list(&hub);
                present += listed.len();
                let members: BTreeSet<_> = hub.members(TOPIC).into_iter().map(|member| member.conn).collect();
                for client in &mut clients {
                    client.read().await;
                    if members.contains(&client.page.conn()) {
                        checked += 1;
                        assert_eq!(client.list.entries, listed, "seed {seed}, step {step}");
                    }
                }
            }
        }
        assert!(checked > 10 && present > 10, "seed {seed}: {checked} lists, {present} present");
        drop(clients);
        sleep(Duration::from_secs(6)).await;
        assert_eq!((hub.topics().len(), hub.presence(TOPIC).len()), (0, 0));
    }
}

/// A page whose list outlives its connections.
struct Client {
    page: Page,
    identity: Identity,
    list: List,
    join_ref: usize,
}

impl Client {
    fn new(hub: &Hub, n: usize) -> Self {
        // One is nobody's, and some are of one user.
        let identity = if n == 0 { Identity::anonymous() } else { Identity::user(format!("user {}", n % 3)) };
        Self { page: hub.test_page(identity.clone()), identity, list: List::default(), join_ref: 0 }
    }

    async fn join(&mut self, params: &Value) {
        self.join_ref += 1;
        self.send("phx_join", params).await;
    }

    async fn send(&mut self, event: &str, payload: &Value) {
        let join_ref = self.join_ref.to_string();
        self.page.send_message(json!([join_ref, join_ref, TOPIC, event, payload]).to_string());
        tokio::task::yield_now().await;
    }

    /// Loses its connection, and what it has not read.
    async fn lose(&mut self, hub: &Hub) {
        tokio::task::yield_now().await;
        self.page = hub.test_page(self.identity.clone());
        self.list.has_state = false;
    }

    async fn read(&mut self) {
        while let Some(frame) = self.page.next_message().await {
            self.list.take(&serde_json::from_str(frame.as_text().unwrap()).unwrap());
        }
    }
}

/// Tells a page which topic to join.
async fn page_on(hub: &Hub, topic: &str) -> Result<Value, Value> {
    let mut page = hub.test_page(Identity::user("eve"));
    let joined = page.join(topic, &json!({})).await;
    // It goes on without being looked at.
    std::mem::forget(page);
    joined
}

fn hub_list(hub: &Hub) -> BTreeMap<String, Vec<Value>> {
    let presences = hub.presence(TOPIC);
    presences.keys().map(|key| (key.to_owned(), presences.metas(key).to_vec())).collect()
}

fn metas_of(list: &Value) -> BTreeMap<String, Vec<Value>> {
    let entries = list.as_object().unwrap().iter();
    entries.map(|(key, entry)| (key.clone(), entry["metas"].as_array().unwrap().clone())).collect()
}

fn each(list: &BTreeMap<String, Vec<Value>>) -> impl Iterator<Item = (&String, &Value)> {
    list.iter().flat_map(|(key, metas)| metas.iter().map(move |meta| (key, meta)))
}

/// The next frame, as it is.
async fn text(page: &mut Page) -> Value {
    serde_json::from_str(page.next_message().await.unwrap().as_text().unwrap()).unwrap()
}

const TOPIC: &str = "room:1";

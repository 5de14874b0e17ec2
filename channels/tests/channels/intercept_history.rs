//! Sessions that have their say in what a topic keeps.

use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{
    Channel, Cx, Hub, Identity, Joined, Limits, Outgoing, Payload, Refusal, Reply, Session, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::history::{MINUTE, MOMENT, told};

/// Skips every third number, and says another in place of the one behind.
struct Editing;

impl Channel for Editing {
    type Session = Editing;

    async fn join(&self, _: &Cx, _: Payload) -> Result<Joined<Editing>, Refusal> {
        Ok(Joined::new(Editing))
    }
}

impl Session for Editing {
    async fn handle(&mut self, cx: &Cx, _: &str, payload: Payload) -> Result<Reply, Refusal> {
        // Meanwhile, what is to be edited waits.
        sleep(MOMENT * 10).await;
        cx.others().send("said", &payload)?;
        Ok(Reply::ok())
    }

    fn outgoing(&mut self, _: &Cx, event: &str, payload: &Payload) -> Outgoing {
        assert_eq!(event, "said");
        match payload.parse::<u64>() {
            Ok(n) if n % 3 == 1 => Outgoing::Skip,
            Ok(n) if n % 3 == 2 => Outgoing::Instead(Payload::of(&(n * 10)).unwrap()),
            Ok(_) => Outgoing::Pass,
            Err(_) => Outgoing::Instead(Payload::bytes(vec![0xFF])),
        }
    }
}

fn hub(limits: Limits) -> Hub {
    let options = TopicOptions::new().history(50, MINUTE).latest(4).intercept(["said"]);
    Hub::builder().channel_with("room:{id}", options, Editing).limits(limits).build().unwrap()
}

/// What is sent: edited, not edited, and bytes.
fn send(hub: &Hub, from: u64) {
    for n in from..from + 3 {
        hub.broadcast("room:1", "said", &n).unwrap();
    }
    hub.broadcast("room:1", "other", &from).unwrap();
    hub.to("room:1").send_binary("said", vec![1]).unwrap();
    hub.to("room:1").except_user("ada").send("said", &0).unwrap();
}

/// What a client has of that whose numbers begin behind this one.
async fn check(page: &mut Page, from: u64, offset: u64) {
    for n in from..from + 3 {
        let number = offset + n - from + 1;
        let expected = match n % 3 {
            0 => format!(r#"[null,null,"room:1","said",{n},{number}]"#),
            1 => format!(r#"[null,null,"room:1","$pos",{{}},{number}]"#),
            _ => format!(r#"[null,null,"room:1","said",{},{number}]"#, n * 10),
        };
        assert_eq!(told(page).await, expected);
    }
    assert_eq!(told(page).await, format!(r#"[null,null,"room:1","other",{from},{}]"#, offset + 4));
    let mut bytes = b"\x03\x06\x04".to_vec();
    bytes.extend((offset + 5).to_be_bytes());
    bytes.extend(b"room:1said\xFF");
    assert_eq!(page.next_message().await.unwrap().payload(), bytes);
    assert_eq!(told(page).await, format!(r#"[null,null,"room:1","$pos",{{}},{}]"#, offset + 6));
}

/// What a session makes of a message keeps its number, at first and when it comes again; what it skips leaves the number.
#[tokio::test(start_paused = true)]
async fn sessions_have_their_say_in_what_comes_again() {
    let hub = hub(Limits::default());
    let mut page = hub.test_page(Identity::user("ada"));
    page.send_message(r#"["1","1","room:1","phx_join",{}]"#);
    let reply: Value = serde_json::from_str(&told(&mut page).await).unwrap();
    let mut since = reply[4]["response"]["$pos"].clone();
    send(&hub, 0);
    check(&mut page, 0, 0).await;
    // While a message is handled, all of that waits, and what follows it.
    page.send_message(r#"["1",null,"room:1","say",7]"#);
    sleep(MOMENT).await;
    send(&hub, 3);
    check(&mut page, 3, 6).await;
    assert_eq!(told(&mut page).await, r#"[null,null,"room:1","$pos",{},13]"#);
    for o in [0, 6] {
        since["o"] = json!(o);
        let mut again = hub.test_page(Identity::user("ada"));
        again.send_message(json!(["1", "1", "room:1", "phx_join", { "$since": since }]).to_string());
        assert!(told(&mut again).await.ends_with(r#""$recovered":true}}]"#));
        if o == 0 {
            check(&mut again, 0, 0).await;
        }
        check(&mut again, 3, 6).await;
        // Said by another connection of this user's, which it names not.
        assert_eq!(told(&mut again).await, r#"[null,null,"room:1","$pos",{},13]"#);
        assert!(again.next_message().await.is_none());
    }
    // And in the latest, for who knows no numbers.
    let mut stock = hub.test_page(Identity::user("ada")).stock();
    send(&hub, 6);
    stock.send_message(r#"["1","1","room:1","phx_join",{}]"#);
    assert!(told(&mut stock).await.starts_with(r#"["1","1","room:1","phx_reply""#));
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","said",80]"#);
    assert_eq!(told(&mut stock).await, r#"[null,null,"room:1","other",6]"#);
    assert_eq!(stock.next_message().await.unwrap().payload(), b"\x02\x06\x04room:1said\xFF");
    assert!(stock.next_message().await.is_none());
}

/// What waits for the session counts when it is asked whether all that was missed fits.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_session_has_to_fit() {
    for (count, fits) in [(7, true), (8, false)] {
        let hub = hub(Limits::default().payload(1_024).queue(4_096, 8));
        let mut page = hub.test_page(Identity::anonymous());
        page.join("room:1", &json!({})).await.unwrap();
        page.cut();
        for _ in 0..count {
            hub.broadcast("room:1", "said", &3).unwrap();
        }
        page.reconnect().await;
        if fits {
            for _ in 0..count {
                assert_eq!(page.expect("room:1", "said").await, 3);
            }
        } else {
            page.expect("room:1", "$gap").await;
            for _ in 0..4 {
                assert_eq!(page.expect("room:1", "said").await, 3);
            }
        }
        page.expect_nothing().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(hub.conn(page.conn()).info().unwrap().queued, 0);
    }
}

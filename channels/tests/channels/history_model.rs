//! Clients that come and go beside a model: none loses anything in silence.

use sansocket_channels::test::Page;
use sansocket_channels::{ConnId, Hub, Identity, Limits, OnFull, Position, Publish, Relay, TopicOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::history::{MINUTE, MOMENT, hub_with, position};
use crate::patience::awaited;
use crate::random::Random;

/// A client that keeps account of two topics by itself.
struct Client {
    page: Page,
    user: String,
    /// The connections that it has been.
    been: Vec<ConnId>,
    /// Which it knows to be, or to have been, on each topic: it is told when it has joined, and pushes then.
    conns: [Option<ConnId>; 2],
    /// How far it is in each topic.
    at: [Option<Position>; 2],
    /// What came of each.
    told: [Vec<Told>; 2],
    /// How many gaps came from its queue.
    drops: usize,
    reference: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Said(u64),
    /// What it has not had up to here is lost.
    Gap(u64),
}

impl Client {
    fn new(hub: &Hub, user: String) -> Self {
        let page = hub.test_page(Identity::user(&*user));
        let mut client = Self {
            been: Vec::new(),
            conns: [None, None],
            page,
            user,
            at: [None, None],
            told: [Vec::new(), Vec::new()],
            drops: 0,
            reference: 0,
        };
        client.join();
        client
    }

    fn join(&mut self) {
        for topic in 0..2 {
            self.reference += 1;
            let mut params = json!({});
            if let Some(Position { epoch, offset }) = &self.at[topic] {
                params = json!({ "$since": { "e": epoch, "o": offset, "c": self.conns[topic] } });
            }
            let reference = self.reference.to_string();
            let join = json!([reference, reference, format!("room:{topic}"), "phx_join", params]);
            self.page.send_message(join.to_string());
        }
        self.been.push(self.page.conn());
    }

    async fn reconnect(&mut self) {
        self.page.reconnect().await;
        self.join();
    }

    /// Takes what has come.
    async fn take(&mut self) {
        while let Some(message) = self.page.next_message().await {
            self.read(&serde_json::from_str(message.as_text().unwrap()).unwrap());
        }
    }

    /// Reads the next message, and comes back if there is none. False: it is as far as that on the first topic.
    async fn reads_until(&mut self, offset: u64) -> bool {
        if self.at[0].as_ref().is_some_and(|at| at.offset == offset) {
            return false;
        }
        match awaited(&mut self.page).await {
            Some(message) => self.read(&serde_json::from_str(message.as_text().unwrap()).unwrap()),
            None => self.reconnect().await,
        }
        true
    }

    fn read(&mut self, frame: &Value) {
        let topic = usize::from(frame[2] == "room:1");
        let (at, told) = (&mut self.at[topic], &mut self.told[topic]);
        let mut seek = |position: &Value| {
            let (epoch, offset) = (position["e"].as_str().unwrap().into(), position["o"].as_u64().unwrap());
            at.replace(Position { epoch, offset })
        };
        match frame[3].as_str().unwrap() {
            "phx_reply" => {
                let response = &frame[4]["response"];
                self.conns[topic] = Some(response["$conn"].as_str().unwrap().parse().unwrap());
                let before = seek(&response["$pos"]);
                if response["$recovered"] == true {
                    assert_eq!(*at, before, "it was not recovered from there");
                } else {
                    // Before it has been here, too.
                    told.push(Told::Gap(response["$pos"]["o"].as_u64().unwrap()));
                }
            }
            "$gap" => {
                seek(&frame[4]);
                self.drops += 1;
                told.push(Told::Gap(frame[4]["o"].as_u64().unwrap()));
            }
            "other" => assert_eq!(frame.as_array().unwrap().len(), 5),
            event => {
                let at = &mut at.as_mut().unwrap().offset;
                *at += 1;
                assert_eq!(frame[5], *at, "{} jumps, or comes again", self.user);
                if event == "said" {
                    told.push(Told::Said(frame[4].as_u64().unwrap()));
                }
            }
        }
    }
}

/// A message of the model's.
struct Sent {
    except: Option<ConnId>,
    except_user: Option<String>,
}

/// Clients are cut, stall and come back at random, while messages are sent to all, or all but some, with others between that have no
/// number. Each is told of each topic 1, 2, 3 and so on, what is for it and nothing else, or that there is a gap, whatever becomes of
/// those without room.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_silence() {
    let (mut gaps, mut told, mut drops) = (0, 0, 0);
    for seed in 0..60 {
        let mut random = Random(seed);
        let limits = Limits::default().payload(100).queue(8_192, 16).volatile(200);
        let on_full = [OnFull::Close, OnFull::DropNewest, OnFull::DropOldest][random.below(3)];
        let options = TopicOptions::new().history([2, 5, 50][random.below(3)], MINUTE).on_full(on_full);
        let hub = Hub::builder().channel_with("room:{id}", options, Relay).limits(limits).build().unwrap();
        let mut clients: Vec<_> = (0..4).map(|n| Client::new(&hub, format!("user {n}"))).collect();
        let mut sent: [Vec<Sent>; 2] = [Vec::new(), Vec::new()];
        sleep(MOMENT).await;
        for _ in 0..200 {
            let (at, topic) = (random.below(clients.len()), random.below(2));
            let client = &mut clients[at];
            match random.below(12) {
                9 => client.page.stall(),
                10 => client.page.resume(),
                11 => {
                    let publish = hub.to(if topic == 0 { "room:0" } else { "room:1" });
                    let sent = match random.below(3) {
                        0 => publish.volatile().send("other", &1),
                        1 => publish.keyed("x").send("other", &1),
                        _ => publish.only(client.been.clone()).send("other", &1),
                    };
                    sent.unwrap();
                }
                0..=4 => {
                    for _ in 0..=random.below(8) {
                        let (name, n) = (format!("room:{topic}"), sent[topic].len() + 1);
                        let mut message = Sent { except: None, except_user: None };
                        let mut publish = hub.to(&name);
                        match random.below(4) {
                            // As which it has joined, or as whom it says that it was when it comes back.
                            0 => {
                                message.except = client.conns[topic];
                                publish = message.except.into_iter().fold(publish, Publish::except);
                            }
                            1 => {
                                message.except_user = Some(client.user.clone());
                                publish = publish.except_user(&client.user);
                            }
                            _ => {}
                        }
                        publish.send("said", &n).unwrap();
                        sent[topic].push(message);
                    }
                }
                5 => client.page.cut(),
                6 => {
                    // Of what has come, it has seen some.
                    for _ in 0..random.below(8) {
                        if let Some(message) = client.page.next_message().await {
                            client.read(&serde_json::from_str(message.as_text().unwrap()).unwrap());
                        }
                    }
                    client.reconnect().await;
                }
                7 => sleep(MOMENT).await,
                _ => client.take().await,
            }
        }
        for client in &mut clients {
            client.reconnect().await;
            client.take().await;
            drops += client.drops;
            for (sent, has) in sent.iter().zip(&client.told) {
                let (new_gaps, new_told) = check(client, sent, has, seed);
                (gaps, told) = (gaps + new_gaps, told + new_told);
            }
        }
    }
    assert!(gaps > 100 && told > 3_000 && drops > 100, "{gaps} gaps, {drops} of queues, {told} messages");
}

/// How many gaps and messages a client was told of.
fn check(client: &Client, sent: &[Sent], told: &[Told], seed: u64) -> (usize, usize) {
    let (mut gaps, mut said, mut told) = (0, 0, told.iter().peekable());
    let mut lost = 0;
    for (n, Sent { except, except_user }) in (1..).zip(sent) {
        while let Some(Told::Gap(to)) = told.peek() {
            lost = *to;
            gaps += 1;
            told.next();
        }
        let is_meant = except.is_none_or(|conn| !client.been.contains(&conn))
            && except_user.as_ref().is_none_or(|user| *user != client.user);
        if n > lost && is_meant {
            assert_eq!(told.next(), Some(&Told::Said(n)), "seed {seed}, {}", client.user);
            said += 1;
        }
    }
    // One that says that nothing was lost.
    assert!(told.all(|told| matches!(told, Told::Gap(_))), "seed {seed}, {}", client.user);
    (gaps, said)
}

/// Threads send while clients come and go: none is told of a number that is not the next, and each has heard of all in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_keep_the_order() {
    let hub = hub_with(1_000, Limits::default().messages(1_000_000, 1_000_000));
    let mut watcher = hub.test_page(Identity::anonymous());
    watcher.join("room:0", &json!({})).await.unwrap();
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let hub = hub.clone();
            std::thread::spawn(move || {
                for n in 0..2_000 {
                    hub.broadcast("room:0", "said", &n).unwrap();
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let hub = hub.clone();
            tokio::spawn(async move {
                let mut client = Client::new(&hub, format!("user {n}"));
                for _ in 0..40 {
                    for _ in 0..20 {
                        if !client.reads_until(6_000).await {
                            break;
                        }
                    }
                    client.reconnect().await;
                }
                while client.reads_until(6_000).await {}
                // Nothing comes again.
                client.take().await;
                client
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    for client in clients {
        let client = client.await.unwrap();
        assert_eq!(client.at[0], position(&hub, "room:0"));
        assert_eq!(position(&hub, "room:0").unwrap().offset, 6_000);
    }
}

//! Clients that wait for nothing, while all that can end a session does: what each is told is held against what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansocket_channels::test::Page;
use sansocket_channels::{
    Channel, Close, Cx, Hub, Identity, Joined, Leave, Limits, Payload, Refusal, Reply, Session, TopicOptions,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::metrics::gauges;
use crate::random::Random;

const TOPICS: [&str; 2] = ["room:0", "room:1"];
const PATTERN: &str = "room:{id}";

/// What sessions have done, wherever they are.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    /// What was said on each topic, in its order.
    said: BTreeMap<String, Vec<u64>>,
    /// Whose handlers run at the moment, by connection and topic.
    busy: BTreeSet<(String, String)>,
    /// The last message that was handled, by connection and topic.
    handled: BTreeMap<(String, String), u64>,
    /// How many handlers have run beside another of the same connection.
    beside: usize,
    /// How many sessions there have been, what became of them, and how many were dropped.
    begun: u64,
    crashed: u64,
    left: u64,
    dropped: u64,
}

impl Book {
    fn with<T>(&self, f: impl FnOnce(&mut Pages) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    /// A broadcast, and its place among the others.
    fn say(&self, hub: &Hub, topic: &str, n: u64) -> usize {
        self.with(|book| book.said.entry(topic.to_owned()).or_default().push(n));
        hub.broadcast(topic, "said", &n).unwrap().local
    }
}

/// A handler runs. Dropped, it does no more.
struct Busy<'a>(&'a Book, (String, String));

impl<'a> Busy<'a> {
    fn new(book: &'a Book, cx: &Cx) -> Self {
        let own = (cx.conn().to_string(), cx.topic().to_owned());
        book.with(|book| {
            book.beside += usize::from(book.busy.iter().any(|(conn, _)| *conn == own.0));
            assert!(book.busy.insert(own.clone()), "two handlers of one topic and connection");
        });
        Self(book, own)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.with(|book| book.busy.remove(&self.1));
    }
}

struct Rooms {
    book: Book,
    is_present: bool,
}

struct Room(Book);

impl Channel for Rooms {
    type Session = Room;

    async fn join(&self, cx: &Cx, params: Payload) -> Result<Joined<Room>, Refusal> {
        let _busy = Busy::new(&self.book, cx);
        match params.parse::<u64>()? {
            0 => panic!("as was asked for"),
            ms => sleep(Duration::from_millis(ms % 3)).await,
        }
        // It follows the answer.
        cx.push("early", &0)?;
        self.book.with(|book| book.begun += 1);
        let joined = Joined::new(Room(self.book.clone()));
        if self.is_present { joined.track(&json!({})) } else { Ok(joined) }
    }
}

impl Session for Room {
    async fn handle(&mut self, cx: &Cx, event: &str, payload: Payload) -> Result<Reply, Refusal> {
        let busy = Busy::new(&self.0, cx);
        let n: u64 = payload.parse()?;
        let before = self.0.with(|book| book.handled.insert(busy.1.clone(), n));
        assert!(before.is_none_or(|before| before < n), "messages have changed their order");
        match event {
            "say" => {
                self.0.say(cx.hub(), cx.topic(), n);
            }
            "wait" => sleep(Duration::from_millis(20)).await,
            "ask" => {
                let answer: u64 = cx.ask("question", &n, Duration::from_secs(9)).await?;
                assert_eq!(answer, n);
            }
            "crash" => {
                self.0.with(|book| book.crashed += 1);
                panic!("as was asked for");
            }
            _ => return Ok(Reply::with(&n)?.stop()),
        }
        Ok(Reply::with(&n)?)
    }

    async fn leave(self, cx: &Cx, _: Leave) {
        let _busy = Busy::new(&self.0, cx);
        assert!(cx.hub().members(cx.topic()).iter().all(|member| member.conn != cx.conn()));
        self.0.with(|book| book.left += 1);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.with(|book| book.dropped += 1);
    }
}

/// A client that speaks Phoenix Channels V2, and what it was told.
struct Client {
    page: Page,
    /// What it is a member of: the ref of its join, and what it was told of the topic since.
    joined: BTreeMap<String, (String, Vec<u64>)>,
    /// The last answer of each topic, and to which message.
    answered: BTreeMap<String, u64>,
    /// Heartbeats that are not answered, and what was sent just before each that takes long.
    beats: BTreeMap<String, Option<String>>,
    slow: Option<String>,
    /// The refs of what is to have been said before it is answered.
    saying: BTreeSet<u64>,
}

impl Client {
    fn new(hub: &Hub, user: usize) -> Self {
        let page = hub.test_page(Identity::user(format!("user {user}"))).stock();
        let (joined, answered, beats) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { page, joined, answered, beats, slow: None, saying: BTreeSet::new() }
    }

    fn send(&mut self, n: u64, topic: &str, event: &str) {
        let reference = n.to_string();
        match event {
            "phx_join" => {
                self.page.send_message(json!([reference, reference, topic, event, n % 7]).to_string());
            }
            "heartbeat" => {
                self.beats.insert(reference.clone(), self.slow.clone());
                self.page.send_message(json!([null, reference, "phoenix", event, {}]).to_string());
            }
            _ => {
                if event == "wait" {
                    self.slow = Some(reference.clone());
                }
                if event == "say" {
                    self.saying.insert(n);
                }
                self.page.send_message(json!([null, reference, topic, event, n]).to_string());
            }
        }
    }

    /// Takes all that comes.
    async fn take(&mut self, book: &Book) {
        while let Some(message) = self.page.next_message().await {
            let frame: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
            self.read(&frame, book);
        }
    }

    fn read(&mut self, frame: &Value, book: &Book) {
        let topic = frame[2].as_str().unwrap();
        let (join_ref, reference) = (frame[0].as_str(), frame[1].as_str());
        match frame[3].as_str().unwrap() {
            "phx_reply" if topic == "phoenix" => {
                self.beats.remove(reference.unwrap()).unwrap();
            }
            // To a join.
            "phx_reply" if join_ref.is_some() && join_ref == reference => {
                // Of a handler that waits too long for its answer, the session goes on.
                let is_overdue = frame[4]["response"]["reason"] == "timeout";
                assert!(is_overdue || !self.joined.contains_key(topic), "what it replaces goes on: {frame}");
                if frame[4]["status"] == "ok" {
                    self.joined.insert(topic.to_owned(), (reference.unwrap().to_owned(), Vec::new()));
                }
            }
            "phx_reply" if join_ref.is_some() => {
                let (own, told) = self.joined.get(topic).unwrap_or_else(|| panic!("{frame} behind the end"));
                assert_eq!(join_ref, Some(&**own));
                // A leave has another answer.
                if let Some(n) = frame[4]["response"].as_u64() {
                    assert_eq!((frame[4]["status"].as_str(), reference), (Some("ok"), Some(&*n.to_string())));
                    let before = self.answered.insert(topic.to_owned(), n);
                    assert!(before.is_none_or(|before| before < n), "answers have changed their order");
                    assert!(
                        !self.saying.contains(&n) || told.contains(&n),
                        "{n} is answered before it is said"
                    );
                    let slow = Some(n.to_string());
                    assert!(
                        self.beats.values().all(|before| *before != slow),
                        "a heartbeat waits for a handler"
                    );
                }
            }
            // Of a topic that is not joined.
            "phx_reply" => {}
            "phx_close" | "phx_error" => {
                if self.joined.get(topic).is_some_and(|(own, _)| join_ref == Some(own)) {
                    let (_, told) = self.joined.remove(topic).unwrap();
                    book.with(|book| check(&told, book.said.get(topic), false));
                }
            }
            event => {
                let (own, told) = self.joined.get_mut(topic).unwrap_or_else(|| panic!("{frame} to nobody"));
                assert!(join_ref.is_none_or(|of| of == own));
                match event {
                    "said" => told.push(frame[4].as_u64().unwrap()),
                    "question" => {
                        let reply = json!({ "ref": reference, "status": "ok", "response": frame[4] });
                        self.page.send_message(json!([own, null, topic, "$reply", reply]).to_string());
                    }
                    _ => assert!(["early", "presence_state", "presence_diff"].contains(&event), "{frame}"),
                }
            }
        }
    }

    /// It has lost its connection: what was on its way was lost, too.
    fn forget(&mut self, book: &Book) {
        for (topic, (_, told)) in std::mem::take(&mut self.joined) {
            book.with(|book| check(&told, book.said.get(&topic), false));
        }
        self.beats.clear();
    }
}

/// What was told is what was said, without a jump, from a join on; to the last, if the client is still there.
fn check(told: &[u64], said: Option<&Vec<u64>>, to_the_last: bool) {
    if let Some(first) = told.first() {
        let said = said.unwrap();
        let start = said.iter().position(|n| n == first).unwrap();
        let (of, rest) = said[start..].split_at(told.len());
        assert_eq!(told, of);
        assert!(!to_the_last || rest.is_empty(), "the last of {said:?} were not told: {told:?}");
    }
}

/// The members of each topic are the clients that were told so, and so are those who are present.
fn check_members(hub: &Hub, clients: &[Client], is_present: bool) {
    for topic in TOPICS {
        let members: BTreeSet<_> = hub.members(topic).into_iter().map(|member| member.conn).collect();
        let joined = clients.iter().filter(|client| client.joined.contains_key(topic));
        assert_eq!(members, joined.map(|client| client.page.conn()).collect());
        assert_eq!(hub.presence(topic).len(), if is_present { members.len() } else { 0 });
    }
}

/// Clients join, leave, join anew, push, crash, and are cut, kicked, thrown out of a topic, or of all by its route, without waiting for
/// anything. Each is told, of each topic: first the answer to its join, then all that is said, in the order in which it is said to all,
/// with what its own message says before the answer to that, and the answers in their order; and nothing behind the end. Handlers of
/// one topic and connection run one at a time, and heartbeats and answers to questions pass them by. Each session ends once, and in the
/// end nothing is left.
#[tokio::test(start_paused = true)]
async fn whatever_happens_is_in_order() {
    let (mut told, mut beside, mut crashed) = (0, 0, 0);
    for seed in 0..24 {
        let mut random = Random(seed);
        let book = Book::default();
        let is_present = seed & 1 > 0;
        let options = || {
            let mut options = TopicOptions::new();
            if is_present {
                options = options.presence();
            }
            if seed & 2 > 0 {
                options = options.intercept(["said"]);
            }
            if seed & 4 > 0 {
                options = options.history(5, Duration::from_secs(60)).latest(3);
            }
            options
        };
        let channel = || Rooms { book: book.clone(), is_present };
        let hub = Hub::builder()
            .channel_with(PATTERN, options(), channel())
            .limits(Limits::default().messages(1_000_000, 1_000_000))
            .build()
            .unwrap();
        let mut clients: Vec<_> = (0..4).map(|user| Client::new(&hub, user)).collect();
        for n in 1..600 {
            let (at, topic) = (random.below(clients.len()), TOPICS[random.below(2)]);
            let client = &mut clients[at];
            let conn = hub.conn(client.page.conn());
            let act = random.below(40);
            match act {
                0..=9 => client.send(n, topic, "phx_join"),
                10..=11 => client.send(n, topic, "phx_leave"),
                12..=17 => client.send(n, topic, "say"),
                18..=19 => client.send(n, topic, "wait"),
                20..=21 => client.send(n, topic, "ask"),
                22 => client.send(n, topic, ["crash", "stop"][random.below(2)]),
                23..=24 => client.send(n, topic, "heartbeat"),
                25..=29 => {
                    book.say(&hub, topic, n);
                }
                30 => conn.leave(topic),
                31 => {
                    if random.below(2) == 0 {
                        conn.close(Close::kicked());
                    } else {
                        client.page.cut();
                    }
                    client.take(&book).await;
                    client.forget(&book);
                    client.page.reconnect().await;
                }
                32 if random.below(4) == 0 => {
                    hub.unroute(PATTERN);
                    assert_eq!(TOPICS.map(|topic| hub.members(topic).len()), [0; 2]);
                    if random.below(2) == 0 {
                        tokio::task::yield_now().await;
                    }
                    hub.route(PATTERN, options(), channel()).unwrap();
                }
                33..=36 => tokio::task::yield_now().await,
                37 => sleep(Duration::from_millis(1)).await,
                _ => client.take(&book).await,
            }
            if act > 30 {
                // What takes long may be over by now.
                for client in &mut clients {
                    client.slow = None;
                }
            }
        }
        // All has been said, and answered.
        for _ in 0..2 {
            for client in &mut clients {
                client.take(&book).await;
            }
        }
        check_members(&hub, &clients, is_present);
        for client in &mut clients {
            assert!(client.beats.is_empty(), "seed {seed}: a heartbeat has no answer");
            for (topic, (_, of)) in &client.joined {
                told += of.len();
                book.with(|book| check(of, book.said.get(topic), true));
            }
        }
        clients.clear();
        sleep(Duration::from_secs(120)).await;
        assert!(hub.connections().is_empty() && hub.topics().is_empty(), "seed {seed}");
        let metrics = hub.metrics();
        assert_eq!(gauges(&metrics).map(|(_, value)| value), [0; 15], "seed {seed}");
        book.with(|book| {
            // Those of joins that were cut off in the same moment have not begun, as far as they know.
            let ended = metrics.joins_ok..=book.begun;
            assert!(ended.contains(&(book.left + book.crashed)), "seed {seed}: each session ends once");
            assert!(book.begun == book.dropped && book.busy.is_empty());
            (beside, crashed) = (beside + book.beside, crashed + book.crashed);
        });
    }
    assert!(told > 200 && beside > 50 && crashed > 20, "{told} {beside} {crashed}");
}

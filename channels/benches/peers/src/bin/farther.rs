//! One of two processes between which messages go by NATS: of hubs, or of the bare client. Or one hub, with a member of its own.
//!
//! Who receives says where it is to be told to go on, and then, when the last message has come, what it took; who publishes says
//! that when it knows so. `nodes` runs both.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use channels_peers::member::Member;
use channels_peers::{SIZE, clock, option};
use futures_util::StreamExt;
use sansocket::tokio::accept;
use sansocket_channels::backplane::Nats;
use sansocket_channels::{Hub, Open};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let role: String = option("--role").expect("--role publish|receive|local");
    runtime.block_on(async {
        timeout(PATIENCE, async {
            match &*role {
                "receive" => receive().await,
                "publish" => publish(Remote::connect().await?).await,
                _ => publish(Local::begin().await?).await,
            }
        })
        .await?
    })
}

/// How many messages there are: so many before it counts, and so many then.
#[derive(Clone, Copy)]
struct Plan {
    warm: usize,
    count: usize,
}

impl Plan {
    fn read() -> Self {
        Self { warm: option("--warm").expect("--warm"), count: option("--count").expect("--count") }
    }

    fn all(self) -> usize {
        self.warm + self.count
    }
}

fn is_hub() -> bool {
    option::<String>("--with").as_deref() == Some("hub")
}

/// A hub, which is one of several if there is a broker. It is connected.
async fn hub() -> Result<Hub, Failure> {
    let mut builder = Hub::builder().channel(TOPIC, Open);
    let broker = option::<String>("--broker");
    if let Some(broker) = &broker {
        builder = builder.backplane(Nats::new(broker)?);
    }
    let hub = builder.build()?;
    while broker.is_some() && hub.metrics().backplane_down > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(hub)
}

/// What is noted of messages that come.
struct Notes {
    plan: Plan,
    came: Arc<AtomicUsize>,
    latencies: Vec<u64>,
    begin: u64,
    /// CPU until the first that counts.
    before: u64,
    /// Who publishes is to know how many have come.
    acks: Option<std::net::TcpStream>,
    /// What it took.
    cpu: u64,
    done: Arc<Notify>,
}

impl Notes {
    fn new(done: &Arc<Notify>, acks: Option<std::net::TcpStream>) -> Self {
        let plan = Plan::read();
        let latencies = Vec::with_capacity(plan.count);
        Self { plan, came: Arc::default(), latencies, begin: 0, before: 0, acks, cpu: 0, done: done.clone() }
    }

    /// A message has come, whose number and time are somewhere in it.
    fn note(&mut self, message: &[u8]) {
        let Some(at) = message.iter().position(|byte| *byte == b'#') else {
            // That it has joined.
            return;
        };
        let digits = |part: &[u8]| part.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let (sent, number) = (digits(&message[at + 1..at + 21]), digits(&message[at + 22..at + 32]));
        let came = self.came.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(number + 1, came as u64, "each comes, in its order");
        let now = clock::now();
        if came > self.plan.warm {
            self.latencies.push(now - sent);
        } else if came == self.plan.warm {
            (self.begin, self.before) = (now, clock::cpu());
        }
        if came % ACK == 0
            && let Some(acks) = &mut self.acks
        {
            acks.write_all(&[0]).expect("who publishes is there");
        }
        if came == self.plan.all() {
            self.cpu = clock::cpu() - self.before;
            self.done.notify_one();
        }
    }

    fn is_all(&self) -> bool {
        self.came.load(Ordering::Relaxed) == self.plan.all()
    }

    /// CPU, time, and how late messages came, in nanoseconds.
    fn tell(&mut self) -> serde_json::Value {
        self.latencies.sort_unstable();
        let late = |percent: usize| {
            self.latencies[(self.latencies.len() * percent / 100).min(self.latencies.len() - 1)]
        };
        json!({ "cpu": self.cpu, "time": clock::now() - self.begin, "p50": late(50), "p99": late(99) })
    }
}

/// Joins a hub in this process, and notes what comes.
async fn join(hub: &Hub, mut notes: Notes) -> Result<(), Failure> {
    let joined = Arc::new(AtomicBool::new(false));
    let is_joined = joined.clone();
    let done = notes.done.clone();
    let member = Member::new(TOPIC, move |message: &[u8]| {
        if !is_joined.swap(true, Ordering::Relaxed) {
            return;
        }
        notes.note(message);
        if notes.is_all() {
            println!("{}", notes.tell());
        }
    });
    let hub = hub.clone();
    tokio::spawn(async move {
        let pending = accept(member).await.expect("a request");
        hub.handle(pending).await.expect("a client");
        drop(done);
    });
    while !joined.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn receive() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let done = Arc::<Notify>::default();
    // Until somebody publishes.
    let acks = async || -> io::Result<std::net::TcpStream> {
        println!("{}", listener.local_addr()?);
        let stream = listener.accept().await?.0.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    if is_hub() {
        let hub = hub().await?;
        let acks = acks().await?;
        join(&hub, Notes::new(&done, Some(acks.try_clone()?))).await?;
        // It may begin.
        (&acks).write_all(&[0])?;
        done.notified().await;
        return Ok(());
    }
    let client = connect().await?;
    let mut messages = client.subscribe(SUBJECT).await?;
    client.flush().await?;
    let acks = acks().await?;
    let mut notes = Notes::new(&done, Some(acks.try_clone()?));
    // The broker has the subscription by then.
    sleep(Duration::from_millis(50)).await;
    (&acks).write_all(&[0])?;
    while !notes.is_all() {
        let message = messages.next().await.ok_or("the connection has ended")?;
        notes.note(&message.payload);
    }
    println!("{}", notes.tell());
    Ok(())
}

async fn connect() -> Result<Client, Failure> {
    Ok(async_nats::connect(option::<String>("--broker").expect("--broker")).await?)
}

/// How a message is sent, and what tells how many have come.
trait Way {
    async fn send(&mut self, payload: &str) -> Result<(), Failure>;
    /// Waits until no more than so many are under way.
    async fn until(&mut self, sent: usize, under_way: usize) -> Result<(), Failure>;
}

/// To another process.
struct Remote {
    to: To,
    acks: TcpStream,
    came: usize,
}

enum To {
    Hub(Hub),
    Bare(Client, Subject),
}

impl Remote {
    async fn connect() -> Result<Self, Failure> {
        let to = if is_hub() {
            To::Hub(hub().await?)
        } else {
            To::Bare(connect().await?, Subject::from_static(SUBJECT))
        };
        let peer: SocketAddr = option("--peer").expect("--peer");
        let mut acks = TcpStream::connect(peer).await?;
        acks.read_u8().await?;
        Ok(Self { to, acks, came: 0 })
    }
}

impl Way for Remote {
    async fn send(&mut self, payload: &str) -> Result<(), Failure> {
        match &self.to {
            To::Hub(hub) => drop(hub.broadcast(TOPIC, EVENT, payload)?),
            To::Bare(client, subject) => {
                // Who publishes has a value, and not its JSON, with a hub or without.
                client.publish(subject.clone(), Bytes::from(serde_json::to_vec(payload)?)).await?;
            }
        }
        Ok(())
    }

    async fn until(&mut self, sent: usize, under_way: usize) -> Result<(), Failure> {
        while sent - self.came > under_way {
            let mut some = [0; 64];
            match self.acks.read(&mut some).await? {
                0 => return Err("who receives has ended".into()),
                len => self.came += len * ACK,
            }
        }
        Ok(())
    }
}

/// To a member of the hub in this process.
struct Local {
    hub: Hub,
    came: Arc<AtomicUsize>,
}

impl Local {
    async fn begin() -> Result<Self, Failure> {
        let (hub, notes) = (hub().await?, Notes::new(&Arc::default(), None));
        let came = notes.came.clone();
        join(&hub, notes).await?;
        Ok(Self { hub, came })
    }
}

impl Way for Local {
    async fn send(&mut self, payload: &str) -> Result<(), Failure> {
        self.hub.broadcast(TOPIC, EVENT, payload)?;
        Ok(())
    }

    async fn until(&mut self, sent: usize, under_way: usize) -> Result<(), Failure> {
        while sent - self.came.load(Ordering::Relaxed) > under_way {
            yield_now().await;
        }
        Ok(())
    }
}

/// Publishes all, at a rate or as fast as they come, and says what it took.
async fn publish(mut way: impl Way) -> Result<(), Failure> {
    let (plan, rate) = (Plan::read(), option::<usize>("--rate").unwrap_or(0));
    let mut payload = format!("#{:020} {:010} ", 0, 0);
    // In quotation marks.
    payload.push_str(&"x".repeat(SIZE - 2 - payload.len()));
    let mut payload = payload.into_bytes();
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let at_once = if rate > 0 { rate / 1_000 } else { ACK };
    let (mut sent, mut before) = (0, 0);
    while sent < plan.all() {
        if rate > 0 {
            tick.tick().await;
        } else {
            way.until(sent, WINDOW).await?;
            yield_now().await;
        }
        for _ in 0..at_once.min(plan.all() - sent) {
            if sent == plan.warm {
                before = clock::cpu();
            }
            write(&mut payload[1..21], clock::now());
            write(&mut payload[22..32], sent as u64);
            way.send(std::str::from_utf8(&payload)?).await?;
            sent += 1;
        }
    }
    way.until(plan.all(), 0).await?;
    println!("{}", json!({ "cpu": clock::cpu() - before }));
    Ok(())
}

/// A number, with as many digits as there is room for.
fn write(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

const TOPIC: &str = "news";
const EVENT: &str = "tick";

/// As long as a hub's.
const SUBJECT: &str = "sansocket.b.news";

/// How many messages are acknowledged at once. There are as many times so many.
const ACK: usize = 128;

/// How many are under way at most, when nothing else holds them back, before as many as are acknowledged at once are sent: together
/// they are fewer than may wait for a member.
const WINDOW: usize = 512;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(40);

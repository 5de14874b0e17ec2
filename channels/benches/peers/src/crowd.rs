//! The clients of several nodes, who look at the numbers of what comes to them.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::clock;
use crate::load::{dial, head, hear};
use crate::member::message;
use crate::protocol::{frame, text};

/// How many nodes there are.
pub const NODES: usize = 3;

/// So many topics, each of which has members on all nodes.
pub const TOPICS: usize = 300;

pub struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    tally: Tally,
    awaited: Awaited,
}

struct Client {
    stream: mio::net::TcpStream,
    node: usize,
    topic: usize,
    /// By who has published them: the number of the last, and whether it was told since that something is missing.
    last: [(u64, bool); NODES],
    /// The beginning of a frame.
    rest: Vec<u8>,
}

/// What has come.
#[derive(Default)]
pub struct Tally {
    pub deliveries: usize,
    /// Messages that were missing, and no `$gap` before the next.
    pub unsaid: u64,
    /// Messages that were missing, with one.
    pub said: u64,
    /// Messages that had come before, or were overtaken.
    pub stale: u64,
    pub gaps: usize,
    /// Of messages of the client's own node, and of the others.
    pub local: Vec<Duration>,
    pub remote: Vec<Duration>,
}

impl Tally {
    pub fn add(&mut self, more: Self) {
        self.deliveries += more.deliveries;
        self.unsaid += more.unsaid;
        self.said += more.said;
        self.stale += more.stale;
        self.gaps += more.gaps;
        self.local.extend(more.local);
        self.remote.extend(more.remote);
    }
}

/// When the first message of each other node came to each node that was sent after a time.
struct Awaited {
    since: u64,
    came: [[Option<u64>; NODES]; NODES],
}

impl Crowd {
    /// So many clients, in turns over the topics, and those of each over the nodes.
    pub fn open(nodes: &[SocketAddr], clients: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(clients);
        for at in 0..clients {
            let (topic, round) = (at % TOPICS, at / TOPICS);
            let node = (topic + round) % NODES;
            let mut stream = dial(nodes[node], "/socket/websocket?vsn=2.0.0", None)?;
            let mut read = Vec::new();
            head(&mut stream, &mut read)?;
            stream.write_all(&text(&format!(r#"["1","1","{}","phx_join",{{}}]"#, name(topic))))?;
            let joined = hear(&mut stream, &mut read)?;
            if !joined.contains(r#""status":"ok""#) {
                return Err(io::Error::other(joined));
            }
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            all.push(Client { stream, node, topic, last: [(0, false); NODES], rest: read });
        }
        let events = Events::with_capacity(1024);
        let awaited = Awaited { since: u64::MAX, came: Default::default() };
        Ok(Self { poll, events, clients: all, buffer: vec![0; 64 << 10], tally: Tally::default(), awaited })
    }

    /// Takes what comes, for so long.
    pub fn run(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.poll.poll(&mut self.events, Some(left)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                client.receive(&mut self.buffer, &mut self.tally, &mut self.awaited)?;
            }
        }
        Ok(())
    }

    /// What has come since the last time.
    pub fn take(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// From now on it is noted when messages of other nodes come that are sent from now on.
    pub fn await_others(&mut self) {
        self.awaited = Awaited { since: clock::now(), came: Default::default() };
    }

    /// How long that took for the last of all pairs of nodes. `None`: from one to another, nothing has come.
    pub fn waited(&self) -> Option<Duration> {
        let pairs = (0..NODES).flat_map(|node| (0..NODES).map(move |other| (node, other)));
        let came =
            pairs.filter(|(node, other)| node != other).map(|(node, other)| self.awaited.came[node][other]);
        let last = came.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some(Duration::from_nanos(last - self.awaited.since))
    }

    /// How many messages are missing at the end, of so many that each node has sent to each topic, and nobody has said so.
    pub fn missing(&self, sent: &[Vec<u64>]) -> u64 {
        let of = |client: &Client| {
            let by = client.last.iter().zip(sent);
            by.map(|((last, is_told), sent)| if *is_told { 0 } else { sent[client.topic] - last })
                .sum::<u64>()
        };
        self.clients.iter().map(of).sum()
    }
}

impl Client {
    fn receive(&mut self, buffer: &mut [u8], tally: &mut Tally, awaited: &mut Awaited) -> io::Result<()> {
        loop {
            let len = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("a client was disconnected")),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.rest.extend_from_slice(&buffer[..len]);
            let now = clock::now();
            let all = std::mem::take(&mut self.rest);
            let mut bytes = &*all;
            while let Some((payload, behind)) = message(bytes) {
                match bytes[0] {
                    0x81 => self.take(payload, now, tally, awaited)?,
                    0x89 => self.stream.write_all(&frame(0x8a, payload))?,
                    _ => return Err(io::Error::other("a client was told something else")),
                }
                bytes = behind;
            }
            self.rest.extend_from_slice(bytes);
            if len < buffer.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, message: &[u8], now: u64, tally: &mut Tally, awaited: &mut Awaited) -> io::Result<()> {
        let Some(at) = message.iter().position(|byte| *byte == b'#') else {
            if message.windows(7).any(|part| part == br#","$gap""#) {
                self.last.iter_mut().for_each(|(_, is_told)| *is_told = true);
                tally.gaps += 1;
                return Ok(());
            }
            return Err(io::Error::other(String::from_utf8_lossy(message).into_owned()));
        };
        let mut parts = message[at + 1..].split(|byte| *byte == b' ');
        let mut next = || {
            parts
                .next()
                .map_or(0, |part| part.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
        };
        let (node, number, sent) = (next() as usize, next(), next());
        let (last, is_told) = &mut self.last[node];
        if number <= *last {
            tally.stale += 1;
            return Ok(());
        }
        let missing = number - *last - 1;
        *(if *is_told { &mut tally.said } else { &mut tally.unsaid }) += missing;
        (*last, *is_told) = (number, false);
        tally.deliveries += 1;
        let late = Duration::from_nanos(now - sent);
        if node == self.node {
            tally.local.push(late);
        } else {
            tally.remote.push(late);
            if sent >= awaited.since {
                awaited.came[self.node][node].get_or_insert(now);
            }
        }
        Ok(())
    }
}

/// What a topic is called.
pub fn name(topic: usize) -> String {
    format!("room:{topic:03}")
}

//! A connection.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{
    Client, PublishError, PublishErrorKind, ServerAddr, SubscribeError, SubscribeErrorKind, Subscriber,
};
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::oneshot;
use tokio::task::{coop, yield_now};
use tokio::time::timeout;

use super::super::Sink;
use super::super::outbox::Waiting;
use super::subjects::Subjects;
use super::task::Task;
use super::untold::{Room, Untold};
use super::wanted::{Outgoing, Wanted};

/// A connection.
pub(super) struct Connection<'a> {
    client: Client,
    subjects: &'a Subjects,
    sink: &'a Sink,
    room: Arc<Room>,
    /// What the broker has sent back of what this connection has sent to itself. It does in order what one connection asks for, so
    /// that it has done everything before that.
    probes: Subscriber,
    /// The number of the last one that was sent.
    probe: u64,
    /// Who waits for which of them.
    asking: VecDeque<(u64, Vec<oneshot::Sender<()>>)>,
    /// What tells of each topic, and ends with its subscription.
    topics: HashMap<Arc<str>, Task>,
    /// The same, for what is sent to nodes.
    control: Vec<Task>,
    /// How many bytes were published since the client had written everything.
    unwritten: usize,
}

/// How a connection ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The client has ended, and all that belongs to it.
    Lost,
    /// The broker has not confirmed what it was asked for, or the client did not ask.
    Unconfirmed,
}

impl<'a> Connection<'a> {
    pub(super) async fn begin(
        client: Client,
        subjects: &'a Subjects,
        sink: &'a Sink,
        room: Room,
    ) -> Result<Self, End> {
        let room = Arc::new(room);
        let probes = client.subscribe(subjects.probe()).await?;
        let mut control = Vec::new();
        for subject in subjects.control() {
            let untold = Untold::new(client.subscribe(subject).await?, None, room.clone());
            let sink = sink.clone();
            control.push(Task::spawn(tell(untold, move |envelope| sink.control(envelope))));
        }
        Ok(Self {
            client,
            subjects,
            sink,
            room,
            probes,
            probe: 0,
            asking: VecDeque::new(),
            topics: HashMap::new(),
            control,
            unwritten: 0,
        })
    }

    /// Has the client end with the connection, since it knows of no server any more to which it could go. Returns those that it knew
    /// from the broker, but for these.
    pub(super) async fn forgo_others(&self, known: &[ServerAddr]) -> Result<Vec<ServerAddr>, End> {
        let pool = self.client.server_pool().await.map_err(|_| End::Lost)?;
        let nowhere: ServerAddr = NOWHERE.parse().map_err(|_| End::Lost)?;
        self.client.set_server_pool([nowhere].as_slice()).await.map_err(|_| End::Lost)?;
        let named: Vec<ServerAddr> =
            self.client.server_info().connect_urls.iter().filter_map(|url| url.parse().ok()).collect();
        let servers = pool.into_iter().map(|server| server.addr);
        Ok(servers.filter(|server| named.contains(server) && !known.contains(server)).collect())
    }

    /// How many bytes an envelope may have: the broker hangs up at one that has more than its limit.
    pub(super) fn most(&self) -> usize {
        self.client.max_payload().saturating_sub(MARGIN)
    }

    pub(super) async fn subscribe(&mut self, topics: Vec<Arc<str>>) -> Result<(), End> {
        for topic in topics {
            self.add(topic).await?;
        }
        Ok(())
    }

    /// Waits until the broker has done all so far.
    pub(super) async fn confirm(&mut self) -> Result<(), End> {
        let (sender, mut confirmed) = oneshot::channel();
        self.ask(vec![sender]).await?;
        let came = async {
            while confirmed.try_recv().is_err() {
                self.answered().await?;
            }
            Ok(())
        };
        timeout(CONFIRMING, came).await.unwrap_or(Err(End::Unconfirmed))
    }

    /// Does what is wanted since the last time.
    async fn follow(&mut self, wanted: &Wanted) -> Result<(), End> {
        let (changes, asking) = wanted.take();
        for (topic, is_wanted) in changes {
            if is_wanted {
                self.add(topic).await?;
            } else if let Some(task) = self.topics.remove(&topic) {
                // It tells nothing any more when the topic is subscribed to again.
                task.stop().await;
            }
        }
        if !asking.is_empty() {
            self.ask(asking).await?;
        }
        Ok(())
    }

    /// Publishes, and does what is wanted, for as long as the connection lasts.
    pub(super) async fn serve(&mut self, wanted: &Wanted, mut waiting: Waiting<Outgoing>) -> End {
        loop {
            let done = tokio::select! {
                biased;
                answered = self.answered() => answered,
                () = wanted.news() => self.follow(wanted).await,
                outgoing = waiting.next() => match outgoing {
                    Some(outgoing) => self.publish(outgoing, &mut waiting).await,
                    None => Err(End::Lost),
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Ends it. What came before it was lost is told.
    pub(super) async fn end(mut self, end: End) {
        for task in self.topics.drain().map(|(_, task)| task).chain(self.control.drain(..)) {
            match end {
                End::Lost => task.ended().await,
                End::Unconfirmed => task.stop().await,
            }
        }
    }

    async fn add(&mut self, topic: Arc<str>) -> Result<(), End> {
        if !self.topics.contains_key(&topic) {
            let subscriber = self.client.subscribe(self.subjects.topic(&topic)).await?;
            let untold = Untold::new(subscriber, Some(topic.clone()), self.room.clone());
            let (name, sink) = (topic.clone(), self.sink.clone());
            let task = Task::spawn(tell(untold, move |envelope| sink.message(&name, envelope)));
            self.topics.insert(topic, task);
        }
        Ok(())
    }

    /// Tells these when the broker has done all so far.
    async fn ask(&mut self, asking: Vec<oneshot::Sender<()>>) -> Result<(), End> {
        self.probe += 1;
        let number = Bytes::copy_from_slice(&self.probe.to_be_bytes());
        self.client.publish(self.subjects.probe(), number).await?;
        self.asking.push_back((self.probe, asking));
        Ok(())
    }

    /// The next answer has come, and was told to who has waited for it. Cancel safe.
    async fn answered(&mut self) -> Result<(), End> {
        let probe = poll_fn(|cx| Pin::new(&mut self.probes).poll_next(cx)).await.ok_or(End::Lost)?;
        // Whatever else is sent there is the number of none.
        let number = probe.payload.as_ref().try_into().map_or(0, u64::from_be_bytes);
        while self.asking.front().is_some_and(|(asked, _)| *asked <= number) {
            for sender in self.asking.pop_front().into_iter().flat_map(|(_, asking)| asking) {
                // Who has asked may have gone.
                let _ = sender.send(());
            }
        }
        Ok(())
    }

    /// Publishes this, and what waits behind it, up to what the client may have.
    async fn publish(&mut self, mut outgoing: Outgoing, waiting: &mut Waiting<Outgoing>) -> Result<(), End> {
        loop {
            match outgoing {
                Outgoing::Envelope(subject, payload) => {
                    self.unwritten += subject.len() + payload.len();
                    // `publish` would copy the subject.
                    self.client
                        .publish_message(OutboundMessage { subject, payload, reply: None, headers: None })
                        .await?;
                }
                Outgoing::Flush(sender) => self.ask(vec![sender]).await?,
            }
            if self.unwritten >= UNWRITTEN {
                self.client.flush().await.map_err(|_| End::Lost)?;
                self.unwritten = 0;
                return Ok(());
            }
            match waiting.take() {
                Some(next) => outgoing = next,
                None => return Ok(()),
            }
        }
    }
}

impl From<SubscribeError> for End {
    fn from(error: SubscribeError) -> Self {
        match error.kind() {
            SubscribeErrorKind::Other => Self::Lost,
            _ => Self::Unconfirmed,
        }
    }
}

impl From<PublishError> for End {
    fn from(error: PublishError) -> Self {
        match error.kind() {
            PublishErrorKind::Send => Self::Lost,
            _ => Self::Unconfirmed,
        }
    }
}

/// Tells what comes, in its order, until there is no more.
async fn tell(mut untold: Untold, told: impl Fn(Bytes)) {
    let all = async {
        let mut count = 0_usize;
        while let Some(envelope) = untold.next().await {
            told(envelope);
            count += 1;
            if count.is_multiple_of(AT_ONCE) {
                yield_now().await;
            }
        }
    };
    // The client takes in at once all that has come, of which tokio's budget lets 128 be taken, whoever else waits for a turn.
    coop::unconstrained(all).await;
}

/// Where there is no server: nobody listens at this port.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// How much an envelope is smaller than what the broker takes.
const MARGIN: usize = 64 << 10;

/// How long the broker may take to confirm what a connection begins with, once it was sent.
const CONFIRMING: Duration = Duration::from_secs(10);

/// How many bytes the client may have that it has not written.
const UNWRITTEN: usize = 256 << 10;

/// How many messages are told before others have their turn: as many as a connection's task writes at once, so that queues are emptied
/// while they are filled, however much has come.
const AT_ONCE: usize = 64;

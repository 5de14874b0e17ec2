//! What keeps a node's connections to the broker, and makes them anew when they are lost.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, InfoDict, PushInfo, PushKind, RedisResult, cmd};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::ear::{Ear, Heard, tell};
use super::wire::Names;
use super::writer::write;
use super::{Link, PATIENCE, Shared, random};
use crate::backplane::outbox::{Waiting, outbox};
use crate::backplane::{NodeId, Sink};
use crate::sync::lock;

/// What keeps a node's connections to the broker, and makes them anew when they are lost.
pub(super) struct Keeper {
    client: Client,
    names: Arc<Names>,
    shared: Arc<Shared>,
    node: NodeId,
    sink: Sink,
}

/// Both connections of a node. Dropped, they end.
pub(super) struct Connections {
    /// Hears what is published.
    hearing: MultiplexedConnection,
    ear: Arc<Ear>,
    /// What it has heard.
    heard: Waiting<Heard>,
    /// Publishes, and runs scripts.
    speaking: MultiplexedConnection,
    /// Which life of the broker it is.
    run: Arc<str>,
    /// Told when one of them ends.
    lost: Arc<Notify>,
}

impl Keeper {
    pub(super) fn new(
        client: Client,
        names: Arc<Names>,
        shared: Arc<Shared>,
        node: NodeId,
        sink: Sink,
    ) -> Self {
        Self { client, names, shared, node, sink }
    }

    /// Makes both connections, and has the broker know the scripts. Fails if that takes longer than [`CONNECT`].
    pub(super) async fn connect(&self) -> RedisResult<Connections> {
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
        timeout(CONNECT, self.connected()).await.unwrap_or_else(late)
    }

    async fn connected(&self) -> RedisResult<Connections> {
        let lost = Arc::<Notify>::default();
        let notify = lost.clone();
        let speaking = move |push: PushInfo| -> Result<(), ()> {
            if push.kind == PushKind::Disconnection {
                notify.notify_one();
            }
            Ok(())
        };
        // By itself the crate waits for half a second: a broker may be busy for longer.
        let config = configured().set_response_timeout(Some(PATIENCE)).set_push_sender(speaking);
        let mut speaking = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.shared.scripts.load(&mut speaking).await?;
        let info: InfoDict = cmd("INFO").arg("server").query_async(&mut speaking).await?;
        let run = info.get::<String>("run_id").unwrap_or_default().into();

        let (outbox, heard) = outbox();
        let ear = Arc::new(Ear::new(outbox, lost.clone()));
        let hear = {
            let ear = ear.clone();
            move |push| -> Result<(), ()> {
                ear.hear(push);
                Ok(())
            }
        };
        // An answer may be far behind what is published: whether one comes is for the pings to see.
        let config = configured().set_response_timeout(None).set_push_sender(hear);
        let mut hearing = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        hearing.subscribe(&[self.names.all(), self.names.node(self.node)]).await?;
        Ok(Connections { hearing, ear, heard, speaking, run, lost })
    }

    /// Keeps connections for ever, the first of which may be there already.
    pub(super) async fn keep(self, mut connections: Option<Connections>) {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(connections) = connections.take() {
                let since = Instant::now();
                self.run(connections).await;
                if since.elapsed() > LASTING {
                    pause = FIRST_PAUSE;
                }
            }
            // At random between half of it and all, so that not all nodes come back at once.
            sleep(Duration::from_millis(pause / 2 + random() % (pause / 2))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            connections = self.connect().await.ok();
        }
    }

    /// Lives with these connections until one is lost.
    async fn run(&self, connections: Connections) {
        let Connections { hearing, ear, heard, speaking, run, lost } = connections;
        let (outbox, waiting) = outbox();
        let link = Link { outbox, run, connection: speaking.clone() };
        let mut is_up = false;
        tokio::select! {
            () = lost.notified() => {}
            _ = self.subscribe(hearing.clone(), link, &mut is_up) => {}
            () = write(waiting, speaking.clone()) => {}
            () = tell(heard, &self.names, &self.sink) => {}
            () = ping(hearing, || ear.count()) => {}
            () = ping(speaking, || 0) => {}
        }
        lock(&self.shared.link).take();
        self.shared.subscriptions.disconnected();
        if is_up {
            self.sink.down();
        }
    }

    /// Tells the broker what is wanted, and then the node that it is up; and then the broker what changes. Returns only by a failure.
    async fn subscribe(
        &self,
        mut hearing: MultiplexedConnection,
        link: Link,
        is_up: &mut bool,
    ) -> RedisResult<()> {
        let (subscriptions, mut link) = (&self.shared.subscriptions, Some(link));
        let channels = |topics: &[Arc<str>]| -> Vec<String> {
            topics.iter().map(|topic| self.names.topic(topic)).collect()
        };
        // Of what is wanted now: there may be no end of what is wanted meanwhile.
        let mut left = subscriptions.connected();
        loop {
            if left == 0
                && let Some(link) = link.take()
            {
                lock(&self.shared.link).replace(link);
                *is_up = true;
                self.sink.up();
            }
            let Some(changes) = subscriptions.take() else {
                subscriptions.changed().await;
                continue;
            };
            if !changes.subscribe.is_empty() {
                hearing.subscribe(channels(&changes.subscribe)).await?;
                subscriptions.confirmed(&changes.subscribe);
            }
            if !changes.unsubscribe.is_empty() {
                hearing.unsubscribe(channels(&changes.unsubscribe)).await?;
            }
            left = left.saturating_sub(changes.count);
        }
    }
}

fn configured() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None)
}

/// Returns when the broker does not answer, and nothing else has come from it either.
async fn ping(mut connection: MultiplexedConnection, heard: impl Fn() -> u64) {
    let ping = cmd("PING");
    loop {
        sleep(PAUSE).await;
        let before = heard();
        match timeout(PATIENCE, connection.send_packed_command(&ping)).await {
            Ok(Ok(_)) => {}
            Err(_) if heard() != before => {}
            _ => return,
        }
    }
}

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(3);

/// For how long a connection is not asked whether it lives, when it has been.
const PAUSE: Duration = Duration::from_secs(4);

/// For how many milliseconds the first attempt waits to connect anew, at most,
const FIRST_PAUSE: u64 = 100;

/// and those behind many that have failed.
const LONGEST_PAUSE: u64 = 1_000;

/// A connection that was there for so long had been worth its while: the next one is tried for soon.
const LASTING: Duration = Duration::from_secs(10);

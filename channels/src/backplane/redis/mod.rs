//! Redis, and Valkey, which speaks its protocol.
//!
//! A node has two connections: one hears what is published to what it has subscribed to, on the other it publishes and runs two
//! scripts. Neither is worth much without the other: when one is lost, both are made anew.
//!
//! What a cluster with the prefix `sansocket` has at the broker:
//!
//! | name | what |
//! | --- | --- |
//! | `sansocket:t:TOPIC`, `sansocket:c:all`, `sansocket:c:NODE` | the channels of a topic, of all nodes, and of one |
//! | `{sansocket:TOPIC}:at`, `{sansocket:TOPIC}:log` | the keys of a topic that keeps something: see [`scripts`] |
//!
//! Of the connections that the crate `redis` has, both are multiplexed ones, in RESP3. Its `PubSub`, in RESP2, would read whatever comes
//! into a queue without a limit; here what comes waits in a bounded queue until the [`Sink`] is told of it, and a node that
//! does not keep up loses its connection, as it would by the broker's own limit (`client-output-buffer-limit pubsub`). Its
//! `ConnectionManager` would connect anew by itself, and not say so in time.

mod ear;
mod keeper;
mod scripts;
mod subscriptions;
mod wire;
mod writer;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{Client, IntoConnectionInfo, ProtocolVersion, RedisError};
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use super::outbox::Outbox;
use super::{Backplane, BackplaneError, BoxFuture, Keep, NodeId, Sequencer, Since, Sink, names};
use crate::history::Position;
use crate::sync::{Mutex, lock};
use keeper::Keeper;
use scripts::{Life, Scripts};
use subscriptions::Subscriptions;
use wire::Names;
use writer::{Command, Item};

/// Nodes that are joined by a Redis 7, or a Valkey: one server, at which all of them use the same database.
///
/// It is a [`Sequencer`], too: topics with a history have one order on all nodes, and what they keep is at the broker, in keys that
/// expire. A broker that begins anew, with what it has stored or nothing, or is replaced by its replica, ends the lives of topics: what
/// it has may lack the end. One that drops keys for want of memory ends lives, too, or what they keep.
///
/// A broker that does not answer for five to ten seconds is taken to be gone. A user of it that has not all rights needs `~{PREFIX:*`,
/// `&PREFIX:*`, `+@connection`, `+@pubsub`, `+@scripting`, `+info`, `+time`, and, for the scripts, `+@hash`, `+@list`, `+del` and `+pexpire`.
///
/// Dropped, it ends its tasks and connections.
pub struct Redis {
    client: Client,
    names: Arc<Names>,
    shared: Arc<Shared>,
    /// Lets few ask what is kept, of the many that do when there is a connection anew: what is published, and pings, are behind what has
    /// been asked, and the crate counts the time that a question waits for its turn.
    asking: Semaphore,
    keeper: Mutex<Option<AbortHandle>>,
}

/// What the task that keeps the connections shares with those who call.
#[derive(Default)]
struct Shared {
    subscriptions: Subscriptions,
    scripts: Scripts,
    /// While there is a connection.
    link: Mutex<Option<Link>>,
}

/// The way to the broker.
struct Link {
    outbox: Outbox<Item>,
    /// Which life of the broker it is: its `run_id`.
    run: Arc<str>,
    /// For what need not be in order with what is in the outbox.
    connection: MultiplexedConnection,
}

impl Redis {
    /// One at an address, which fails only if it is none: `redis://user:password@host:port/database`, where all but the host may be left
    /// out, or `unix:///path?db=database&user=user&pass=password`. User and password are percent-encoded.
    ///
    /// `rediss://`, TLS, is an address if the program has the crate `redis` with its feature `tokio-rustls-comp`.
    pub fn new(url: &str) -> Result<Self, BackplaneError> {
        Ok(Self {
            client: client(url).map_err(|error| BackplaneError::Broker(Box::new(error)))?,
            names: Arc::new(Names::new("sansocket")),
            shared: Arc::default(),
            asking: Semaphore::new(ASKING),
            keeper: Mutex::default(),
        })
    }

    /// What the names of all channels and keys begin with, `sansocket` otherwise: 1 to 64 letters, digits, `-` and `_`. Nodes with other
    /// prefixes hear nothing of each other.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, BackplaneError> {
        if !names::is_prefix(prefix) {
            return Err(BackplaneError::Broker("a prefix has 1 to 64 letters, digits, `-` and `_`".into()));
        }
        self.names = Arc::new(Names::new(prefix));
        Ok(self)
    }

    /// Has a command wait for the broker.
    fn push(&self, command: Command) -> Result<(), BackplaneError> {
        lock(&self.shared.link).as_ref().ok_or(BackplaneError::Down)?.push(command)
    }

    fn publish_to(&self, channel: &str, header: &[u8], envelope: &[u8]) -> Result<(), BackplaneError> {
        is_small(envelope)?;
        self.push(Command::publish(channel, header, envelope))
    }
}

impl Link {
    fn push(&self, command: Command) -> Result<(), BackplaneError> {
        let len = command.len();
        self.outbox.push(Item::Command(command), len)
    }
}

impl Backplane for Redis {
    /// It fails if there is a broker that does not take this node: for a wrong password, or without the permission for a command. It
    /// waits for as long as it may take to connect: three seconds.
    fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>> {
        Box::pin(async move {
            let (client, names, shared) = (self.client.clone(), self.names.clone(), self.shared.clone());
            let keeper = Keeper::new(client, names, shared, node, sink);
            let first = match keeper.connect().await {
                Ok(first) => Some(first),
                Err(error) if is_absence(&error) => None,
                Err(error) => return Err(BackplaneError::Broker(Box::new(error))),
            };
            let task = tokio::spawn(keeper.keep(first)).abort_handle();
            if let Some(before) = lock(&self.keeper).replace(task) {
                before.abort();
            }
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>> {
        let confirmed = self.shared.subscriptions.subscribe(topic);
        Box::pin(async move { confirmed?.await.map_err(|_| BackplaneError::Down) })
    }

    fn unsubscribe(&self, topic: &str) {
        self.shared.subscriptions.unsubscribe(topic);
    }

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.publish_to(&self.names.topic(topic), &[wire::PLAIN], &envelope)
    }

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        self.publish_to(&to.map_or_else(|| self.names.all(), |node| self.names.node(node)), &[], &envelope)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let flushing = lock(&self.shared.link).as_ref().map(|link| link.outbox.flush(Item::Flush));
            if let Some(flushing) = flushing {
                flushing.await;
            }
        })
    }

    fn sequencer(&self) -> Option<&dyn Sequencer> {
        Some(self)
    }
}

impl Sequencer for Redis {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        envelope: Bytes,
        keep: Keep,
    ) -> BoxFuture<'a, Result<(), BackplaneError>> {
        // It has its place in the queue by the call, whenever what is returned is polled.
        let (answer, answered) = oneshot::channel();
        let pushed = is_small(&envelope).and_then(|()| {
            let link = lock(&self.shared.link);
            let link = link.as_ref().ok_or(BackplaneError::Down)?;
            let life = Life { epoch: &candidate(), keep, run: &link.run };
            let command = self.shared.scripts.append(&self.names, topic, &envelope, &life);
            link.push(Command::append(command, envelope.len(), answer))
        });
        Box::pin(async move {
            pushed?;
            answered.await.unwrap_or(Err(BackplaneError::Down))
        })
    }

    fn since<'a>(
        &'a self,
        topic: &'a str,
        position: Option<&'a Position>,
        keep: Keep,
    ) -> BoxFuture<'a, Result<Since, BackplaneError>> {
        Box::pin(async move {
            let _asking = self.asking.acquire().await;
            let link =
                lock(&self.shared.link).as_ref().map(|link| (link.connection.clone(), link.run.clone()));
            let (connection, run) = link.ok_or(BackplaneError::Down)?;
            let life = Life { epoch: &candidate(), keep, run: &run };
            self.shared.scripts.since(connection, &self.names, topic, position, &life).await
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("names", &self.names).finish_non_exhaustive()
    }
}

/// In RESP3, in which what is published comes on a multiplexed connection; and what is written leaves at once, which the crate does
/// not ask for by itself.
fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = TcpSettings::default().set_nodelay(true);
    Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

/// Whether there is no broker at the moment, rather than one that does not want this node.
fn is_absence(error: &RedisError) -> bool {
    use ::redis::{ErrorKind, ServerErrorKind};

    let is_not_ready =
        matches!(error.kind(), ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown));
    is_not_ready || is_loss(error)
}

/// Whether it is the connection that has failed.
fn is_loss(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped()
}

fn is_small(envelope: &[u8]) -> Result<(), BackplaneError> {
    if envelope.len() > LARGEST { Err(BackplaneError::TooBig) } else { Ok(()) }
}

/// A topic's epoch if its life begins now: no two lives have one name, be they of one program or of two.
fn candidate() -> String {
    format!("{:x}", random())
}

/// Keyed at random by the system.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// How large an envelope may be. Redis takes 512 MiB; but it may keep as much for each node that is slow as
/// `client-output-buffer-limit` says, 8 MiB for a minute, and all that a node sends waits behind the largest. This is what NATS takes, so
/// that a program which sends what one broker takes may have the other.
const LARGEST: usize = (1 << 20) - (64 << 10);

/// Of how many topics the broker is asked at once what it keeps.
const ASKING: usize = 64;

/// For how long the broker may owe an answer.
const PATIENCE: Duration = Duration::from_secs(5);

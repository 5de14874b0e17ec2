//! NATS: its core, without what it stores.

mod address;
mod connection;
mod keeper;
mod subjects;
mod task;
mod untold;
mod wanted;

use std::fmt;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use bytes::Bytes;

use super::{Backplane, BackplaneError, BoxFuture, NodeId, Sink, names};
use crate::sync::{Mutex, lock};
use keeper::Keeper;
use subjects::{Subjects, control_of, subject_of};
use task::Task;
use wanted::Wanted;

/// A broker that speaks NATS, at which nodes meet under a common [prefix](Self::prefix).
///
/// It needs no more than the core of NATS: no `JetStream`, so that nothing is kept, and each node has an order of its own for a topic's
/// [history](crate::guide::history). The subjects are `{prefix}.t.{topic}`, `{prefix}.c.all`, `{prefix}.c.{node}` and
/// `{prefix}.p.{node}`: who may publish to and subscribe to `{prefix}.>`, and nothing else, can do all there is to do here, and
/// reads all there is to read.
///
/// An envelope is published at most once. While there is no connection, nothing is, and what was still waiting when it was lost is
/// dropped; what was in a socket by then may come late. A connection is lost, too, when the broker has been silent for nine seconds. It
/// is made anew until it succeeds, after 50 to 100 ms at first and a second at most. Servers of a cluster that the broker names are
/// tried like those of the address.
///
/// [`subscribe`](Backplane::subscribe) is done when the server at the other end knows it. Those of its cluster know it a little later.
/// What the broker does not allow fails in silence: it says so in its own log.
///
/// What has come and is not told yet, since this node does not keep up, takes 32 MiB, with what comes while 16 messages are told, and is
/// 65,536 messages of a topic: what is more is dropped, and is told to be lost.
///
/// Each topic with members here takes 6 to 8 KiB of memory, nearly all of which is what `async-nats` has for a subscription.
///
/// ```no_run
/// use sansocket_channels::backplane::Nats;
///
/// let nats = Nats::new("nats://chat:secret@10.0.0.5:4222,nats://10.0.0.6:4222")?.prefix("chat")?;
/// # Ok::<(), sansocket_channels::backplane::BackplaneError>(())
/// ```
pub struct Nats {
    prefix: Arc<str>,
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    wanted: Arc<Wanted>,
    /// What does all the work, once it has begun.
    task: Mutex<Option<Task>>,
}

impl Nats {
    /// One at this address: `nats://host:4222`, or `tls://`, where a server has to have a certificate that the system trusts. Several
    /// are separated by commas. A user and a password may stand before the host, percent-encoded, or a token alone; they are for
    /// all servers, as `tls://` is.
    ///
    /// Fails if that is no address, or names two users.
    pub fn new(url: &str) -> Result<Self, BackplaneError> {
        Self::with(ConnectOptions::new().name("sansocket").connection_timeout(CONNECTING), url)
    }

    /// The same, with other credentials or certificates: `async-nats` 0.50 becomes a dependency of the program, with its feature
    /// `nkeys` for files of credentials. A user in the address counts more than one in the options.
    ///
    /// How it connects anew, when it sends Pings, and who is told of events is set here, whatever they say. They must not say
    /// [`no_echo`](ConnectOptions::no_echo): then nothing is ever confirmed, and there is never a connection.
    pub fn with(options: ConnectOptions, url: &str) -> Result<Self, BackplaneError> {
        let (servers, options) = address::read(url, options).map_err(invalid)?;
        Ok(Self { prefix: PREFIX.into(), servers, options, wanted: Arc::default(), task: Mutex::default() })
    }

    /// What all subjects begin with, `sansocket` by default: nodes hear of those with the same prefix only.
    ///
    /// Fails unless it is 1 to 64 letters, digits, `-` and `_`.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, BackplaneError> {
        if !names::is_prefix(prefix) {
            return Err(invalid("a prefix is 1 to 64 letters, digits, `-` and `_`"));
        }
        self.prefix = prefix.into();
        Ok(self)
    }
}

impl Backplane for Nats {
    /// It makes the first attempt to connect, which takes two seconds a server at most once its name is resolved, and fails if the
    /// credentials or the certificates are refused. Later on, these are tried again like whatever else fails.
    fn start(&self, node: NodeId, sink: Sink) -> BoxFuture<'_, Result<(), BackplaneError>> {
        Box::pin(async move {
            let keeper = Keeper::new(
                Subjects { prefix: self.prefix.clone(), node },
                sink,
                &self.servers,
                &self.options,
                self.wanted.clone(),
            );
            let first = keeper.first().await?;
            let task = Task::spawn(keeper.keep(first));
            *lock(&self.task) = Some(task);
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BackplaneError>> {
        let confirmed = self.wanted.subscribe(topic);
        Box::pin(async move {
            match confirmed {
                Some(confirmed) => confirmed.await.map_err(|_| BackplaneError::Down),
                None => Err(BackplaneError::Down),
            }
        })
    }

    fn unsubscribe(&self, topic: &str) {
        self.wanted.unsubscribe(topic);
    }

    fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), BackplaneError> {
        self.wanted.send(subject_of(&self.prefix, topic), envelope)
    }

    fn control(&self, to: Option<NodeId>, envelope: Bytes) -> Result<(), BackplaneError> {
        self.wanted.send(control_of(&self.prefix, to), envelope)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.wanted.flush())
    }
}

impl fmt::Debug for Nats {
    /// Without the servers and the options: there may be secrets in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackplaneError {
    BackplaneError::Broker(Error::new(ErrorKind::InvalidInput, what).into())
}

const PREFIX: &str = "sansocket";

/// How long an attempt to connect may take.
const CONNECTING: Duration = Duration::from_secs(2);

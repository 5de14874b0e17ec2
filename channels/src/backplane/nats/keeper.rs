//! Who sees to it that there is a connection.

use std::error::Error;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::time::{Instant, sleep};

use super::super::outbox::{Outbox, outbox};
use super::super::{BackplaneError, Sink};
use super::connection::{Connection, End};
use super::subjects::Subjects;
use super::task::Task;
use super::untold::{Dropped, Room};
use super::wanted::{Link, Outgoing, Wanted};
use crate::fault::{Panicked, caught};

/// Who sees to it that there is a connection, and that it has what is wanted.
///
/// Each is an `async_nats::Client` of its own, which ends with it. One that came back by itself would publish what it was given while
/// it was away, as much as it has room for; and one that nobody has any more tries to come back for as long as the broker is away.
pub(super) struct Keeper {
    subjects: Subjects,
    sink: Sink,
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    wanted: Arc<Wanted>,
    /// Told of each message that is dropped, by a client or since there is no room for it.
    dropped: Arc<Dropped>,
}

impl Keeper {
    pub(super) fn new(
        subjects: Subjects,
        sink: Sink,
        servers: &[ServerAddr],
        options: &ConnectOptions,
        wanted: Arc<Wanted>,
    ) -> Self {
        let dropped = Arc::<Dropped>::default();
        let drops = dropped.clone();
        let options = options
            .clone()
            .ping_interval(PINGS)
            .client_capacity(COMMANDS)
            // Topics are escaped, and a prefix has been looked at.
            .skip_subject_validation(true)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .event_callback(move |event| {
                // Where it has no room for one, those before it are told after what was dropped, too.
                if matches!(event, Event::SlowConsumer(_)) {
                    // Of which topic, it does not say.
                    drops.add(None);
                }
                ready(())
            });
        Self { subjects, sink, servers: servers.to_vec(), options, wanted, dropped }
    }

    /// The first attempt: `None` if the broker is not there. Fails if it is, or may be, but will not do.
    pub(super) async fn first(&self) -> Result<Option<Client>, BackplaneError> {
        match self.connect(&[]).await {
            Ok(Ok(client)) => Ok(Some(client)),
            Ok(Err(error)) if is_refusal(&error) => Err(BackplaneError::Broker(error.into())),
            Ok(Err(_)) => Ok(None),
            Err(Panicked) => Err(BackplaneError::Broker("the client has panicked".into())),
        }
    }

    /// One connection after the other, for as long as this is polled.
    pub(super) async fn keep(self, mut first: Option<Client>) {
        let _telling = Task::spawn(tell_dropped(self.dropped.clone(), self.sink.clone()));
        let (mut cluster, mut delay) = (Vec::new(), SHORTEST);
        loop {
            let client = match first.take() {
                Some(client) => Some(client),
                None => self.connect(&cluster).await.ok().and_then(Result::ok),
            };
            if let Some(client) = client {
                let began = Instant::now();
                self.live(client, &mut cluster).await;
                // One that ends as soon as it has begun has failed, too.
                if began.elapsed() >= STEADY {
                    delay = SHORTEST;
                }
            }
            sleep(delay + delay.mul_f64(fraction())).await;
            delay = (delay * 2).min(LONGEST);
        }
    }

    /// An attempt with each server, those that a server has named, too, in any order.
    async fn connect(&self, cluster: &[ServerAddr]) -> Result<Result<Client, ConnectError>, Panicked> {
        let servers = [&self.servers, cluster].concat();
        // What it counts are attempts with one server, these among them.
        let options = self.options.clone().max_reconnects(servers.len());
        // Rustls panics in a program that has two of its providers and has chosen none.
        caught(Box::pin(options.connect(servers))).await
    }

    /// A connection from its beginning to its end.
    async fn live(&self, client: Client, cluster: &mut Vec<ServerAddr>) {
        let room = Room::new(self.dropped.clone());
        let Ok(mut connection) = Connection::begin(client, &self.subjects, &self.sink, room).await else {
            return;
        };
        match connection.forgo_others(&self.servers).await {
            Ok(others) => *cluster = others,
            Err(end) => return connection.end(end).await,
        }
        let (outbox, waiting) = outbox();
        let up = self.settle(&mut connection, outbox).await;
        let end = match up {
            Ok(()) => {
                self.sink.up();
                connection.serve(&self.wanted, waiting).await
            }
            Err(end) => end,
        };
        self.wanted.close();
        connection.end(end).await;
        if up.is_ok() {
            self.sink.down();
        }
    }

    /// Has it subscribed to what is wanted by now, and then is up: there may be no end of what is wanted meanwhile.
    async fn settle(&self, connection: &mut Connection<'_>, outbox: Outbox<Outgoing>) -> Result<(), End> {
        connection.subscribe(self.wanted.begin()).await?;
        connection.confirm().await?;
        self.wanted.open(Link { outbox, most: connection.most() });
        Ok(())
    }
}

/// Tells what was dropped: at once, but then not for a while, in which there may be thousands more, of which the last is told as well.
async fn tell_dropped(dropped: Arc<Dropped>, sink: Sink) {
    loop {
        let lost = dropped.take().await;
        if lost.any {
            sink.lost(None);
        } else {
            lost.topics.iter().for_each(|topic| sink.lost(Some(topic)));
        }
        sleep(BETWEEN_LOSSES).await;
    }
}

/// Whether it is there, or may be, but the credentials or the certificates of one of both are refused.
fn is_refusal(error: &ConnectError) -> bool {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => true,
        // What TLS fails with.
        ConnectErrorKind::Io => error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData),
        _ => false,
    }
}

/// Between 0 and 1, so that nodes that have lost a broker together do not come back together.
fn fraction() -> f64 {
    // Without randomness, they do.
    f64::from(SysRng.try_next_u32().unwrap_or_default()) / f64::from(u32::MAX)
}

/// How often a broker is asked whether it is there when it says nothing: at the third time without an answer it is given up.
const PINGS: Duration = Duration::from_secs(3);

/// How many commands wait for the client's own task; how many bytes is bounded by who gives it commands.
const COMMANDS: usize = 256;

/// How long nothing is told of what was dropped, when that has been told: all members are, be it of all topics.
const BETWEEN_LOSSES: Duration = Duration::from_millis(100);

/// How long to wait at least before a connection is made anew, to which comes as much again at most,
const SHORTEST: Duration = Duration::from_millis(50);

/// and what that grows to.
const LONGEST: Duration = Duration::from_millis(500);

/// How long a connection lives before its end is no failure to connect.
const STEADY: Duration = Duration::from_secs(5);

//! Connections that do not take what they are sent, while there is time to do something about it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::conn_id::ConnId;
use crate::connection::Connection;
use crate::fault::called;
use crate::hub::Hub;
use crate::limits::Room;
use crate::notes::Note;
use crate::sync::{Mutex, RwLock, lock, read, write};

/// A connection that does not take what it is sent: see [`Hub::on_slow`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Slow {
    /// Which it is.
    pub conn: ConnId,
    /// Whose it is.
    pub user: Option<String>,
    /// How many bytes wait for it in its queue. What was on its way when it ceased to read is not among them.
    pub queued: usize,
    /// How many frames these are.
    pub frames: usize,
    /// For how long what it is sent has waited for it, or the first of that.
    pub waited: Duration,
    /// How many other connections do so.
    pub others: usize,
}

/// The connections of a hub that do not take what they are sent, and who is told of them.
#[derive(Default)]
pub(crate) struct SlowOnes {
    line: Mutex<Line>,
    listener: RwLock<Option<Arc<Listener>>>,
}

type Listener = dyn Fn(&Slow) + Send + Sync;

#[derive(Default)]
struct Line {
    /// Since when each is slow.
    since: BTreeMap<ConnId, (Arc<Connection>, Instant)>,
    /// Which was told of last, and when: the next one is next.
    last: Option<(ConnId, Instant)>,
}

/// A connection is slow. Dropped, it is no more.
struct Slowness<'a>(&'a Connection);

impl Hub {
    /// Has somebody told of connections that let what they are sent wait for a second, or more, before they are closed for it. It is
    /// told of one of them each second at most, of each in its turn; how many they are, [`Slow::others`] says.
    ///
    /// It is called by the task of a connection that is slow, with nothing locked, and not to wait for anything. If it panics,
    /// nothing comes of it. Given again, the last one counts.
    ///
    /// ```
    /// use sansocket_channels::{Hub, Open};
    ///
    /// let hub = Hub::builder().channel("news", Open).build()?;
    /// hub.on_slow(|slow| eprintln!("{slow}"));
    /// # Ok::<(), sansocket_channels::BuildError>(())
    /// ```
    pub fn on_slow(&self, f: impl Fn(&Slow) + Send + Sync + 'static) {
        let before = write(&self.inner().slow.listener).replace(Arc::new(f));
        drop(before);
    }
}

impl SlowOnes {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.line).since.len()
    }

    /// Tells of the next one, if it is time.
    fn tell(&self) {
        let turn = lock(&self.line).turn(Instant::now());
        let Some((connection, waited, others)) = turn else {
            return;
        };
        let Room { bytes: queued, frames } = connection.queue.waiting();
        let user = connection.identity.name().map(ToString::to_string);
        let slow = Slow { conn: connection.id, user, queued, frames, waited, others };
        connection.note(&Note::Slow(&slow));
        let listener = read(&self.listener).clone();
        if let Some(listener) = listener {
            // What it says has gone where panics go.
            let _ = called(|| listener(&slow));
        }
    }
}

impl Line {
    /// Whose turn it is, for how long that has waited, and how many others there are.
    fn turn(&mut self, now: Instant) -> Option<(Arc<Connection>, Duration, usize)> {
        if self.last.is_some_and(|(_, at)| now < at + SECOND) {
            return None;
        }
        let behind = self.last.map_or(Bound::Unbounded, |(last, _)| Bound::Excluded(last));
        let next = self.since.range((behind, Bound::Unbounded)).next().or_else(|| self.since.iter().next());
        let (id, (connection, since)) = next?;
        self.last = Some((*id, now));
        Some((connection.clone(), now - *since, self.since.len() - 1))
    }
}

impl<'a> Slowness<'a> {
    fn begin(connection: &'a Arc<Connection>, since: Instant) -> Self {
        let slow = &connection.hub.inner().slow;
        lock(&slow.line).since.insert(connection.id, (connection.clone(), since));
        Self(connection)
    }
}

impl Drop for Slowness<'_> {
    fn drop(&mut self) {
        let gone = lock(&self.0.hub.inner().slow.line).since.remove(&self.0.id);
        drop(gone);
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conn, user, queued, frames, waited, others } = self;
        let user = user.as_deref().unwrap_or("nobody");
        write!(
            f,
            "{conn} of {user} has not read for {waited:.1?}: {frames} frames of {queued} bytes wait; others are slow, too: {others}"
        )
    }
}

/// Writes to a connection, and has it known if that takes long. Dropped, the write is.
pub(crate) async fn watched<T>(connection: &Arc<Connection>, write: impl Future<Output = T>) -> T {
    let mut write = pin!(write);
    // Most of the time it is done at once.
    if let Poll::Ready(written) = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
        return written;
    }
    // Boxed, since few connections need room for it.
    let watching = Box::pin(async {
        let now = Instant::now();
        let since = connection.queue.untaken().map_or(now, |since| since.min(now));
        sleep_until(since + SECOND).await;
        let _slowness = Slowness::begin(connection, since);
        loop {
            connection.hub.inner().slow.tell();
            sleep_until(Instant::now() + SECOND).await;
        }
    });
    tokio::select! {
        biased;
        written = write => written,
        never = watching => never,
    }
}

/// How long it may take to write to a connection before that is slow, and how often somebody is told.
const SECOND: Duration = Duration::from_secs(1);

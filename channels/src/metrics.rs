//! What a hub is doing, and has done, in numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::counters::{Counter, Histogram, Times};
use crate::hub::Hub;
use crate::limits::Room;
use crate::sync::{Mutex, lock};

/// Makes, of one table, what a hub counts, what a program sees, and what an exporter is told.
macro_rules! metrics {
    (
        now { $($(#[$gauge_doc:meta])+ $gauge:ident,)+ }
        since { $($(#[$total_doc:meta])+ $total:ident: $name:literal $([$label:literal = $value:literal])?,)+ }
    ) => {
        /// What a hub is doing, and has done since it was built, in numbers: see [`Hub::metrics`].
        ///
        /// They are read one after the other, while others go on: sums of some may not be what another says. Where a number is
        /// of a result, what has none yet is not in it.
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[$gauge_doc])+ pub $gauge: u64,)+
            $($(#[$total_doc])+ pub $total: u64,)+
            /// By their codes, since the hub was built: connections that the server has closed.
            pub closes: BTreeMap<u16, u64>,
            /// By their statuses, since the hub was built: requests for a WebSocket, and of clients that would poll, that the hub
            /// has refused. What the server around it has refused is not among them.
            pub refusals: BTreeMap<u16, u64>,
            /// Since the hub was built: for how long clients were not read that had sent more than
            /// [`Limits::messages`](crate::Limits::messages) or [`Limits::bytes`](crate::Limits::bytes) allow, all together.
            pub throttled: Duration,
            /// Since the hub was built: from when a broadcast was made to when the last of the queues that took it had handed it
            /// over to the WebSocket below. On topics with histories it counts once for each dialect that it was sent in.
            ///
            /// What the last of them dropped is not in it: its connection had ended, or a newer message took its place.
            pub delivery: Histogram,
        }

        /// What a hub counts. It is read by [`Hub::metrics`] alone, and nothing goes by it.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $total: Counter,)+
            pub(crate) closes: Mutex<BTreeMap<u16, u64>>,
            pub(crate) refusals: Mutex<BTreeMap<u16, u64>>,
            /// In nanoseconds.
            pub(crate) throttled: Counter,
            pub(crate) delivery: Times,
        }

        impl Counters {
            fn read(&self) -> Metrics {
                Metrics {
                    $($total: self.$total.get(),)+
                    closes: lock(&self.closes).clone(),
                    refusals: lock(&self.refusals).clone(),
                    throttled: Duration::from_nanos(self.throttled.get()),
                    delivery: self.delivery.read(),
                    ..Metrics::default()
                }
            }
        }

        impl Metrics {
            fn table(&self) -> Vec<Sample> {
                vec![
                    $(Sample::new(stringify!($gauge), None, self.$gauge),)+
                    $(Sample::new($name, None $(.or(Some(($label, $value))))?, self.$total),)+
                ]
            }
        }
    };
}

metrics! {
    now {
        /// Connections that are open.
        connections,
        /// Of these, those that let what they are sent wait for a second, or more: see [`Hub::on_slow`].
        slow_connections,
        /// Topics that have members.
        topics,
        /// Members of topics: a connection is one of each that it has joined.
        members,
        /// Frames that wait to be sent, counted for each connection that they wait for.
        queued_frames,
        /// How many bytes these have: [`Limits::queue`](crate::Limits::queue) is of each connection.
        queued_bytes,
        /// The most frames that wait for one connection.
        largest_queue_frames,
        /// The most bytes that wait for one connection.
        largest_queue_bytes,
        /// How many bytes of memory all frames take that wait, each of them counted once:
        /// [`Limits::memory`](crate::Limits::memory).
        held_bytes,
        /// Sessions that are in presences, with those that were lost and may be back.
        presence_entries,
        /// Messages that are kept in histories, for clients that come back.
        history_entries,
        /// How many bytes of memory these take: [`Limits::histories`](crate::Limits::histories).
        history_bytes,
        /// Other nodes that have been heard of within the last 45 seconds.
        nodes,
        /// 1 while there is a [backplane](crate::backplane) and no connection to its broker.
        backplane_down,
        /// Topics that this node hears of from others.
        subscriptions,
    }
    since {
        /// Connections that were let in.
        connected: "connected_total",
        /// Connections that their clients have closed.
        left: "left_total",
        /// Connections that were lost: the network or the client failed, or broke the protocol.
        lost: "lost_total",
        /// Joins that have succeeded.
        joins_ok: "joins_total"["result" = "ok"],
        /// Joins that were refused for good.
        joins_refused: "joins_total"["result" = "refused"],
        /// Joins that were refused for now, with another reason than `busy`, `timeout` and `join crashed`.
        joins_retried: "joins_total"["result" = "retried"],
        /// Joins that were refused with `busy`.
        joins_busy: "joins_total"["result" = "busy"],
        /// Joins that were refused with `timeout`.
        joins_timed_out: "joins_total"["result" = "timeout"],
        /// Joins that have panicked.
        joins_crashed: "joins_total"["result" = "crashed"],
        /// Joins that were under way when the client left or joined anew, when the server put an end to them, or when the
        /// connection ended.
        joins_cancelled: "joins_total"["result" = "cancelled"],
        /// Joins of clients that came back, and were sent all that they had missed.
        recoveries_won: "recoveries_total"["result" = "won"],
        /// Joins of clients that came back, and have missed something for good: it was not kept, or there was no room.
        recoveries_lost: "recoveries_total"["result" = "lost"],
        /// Sessions that have panicked, or taken longer than [`Limits::handler`](crate::Limits::handler).
        crashes: "crashes_total",
        /// Messages that clients have sent.
        frames_in: "frames_total"["direction" = "in"],
        /// Messages that the WebSockets below have taken, to be sent.
        frames_out: "frames_total"["direction" = "out"],
        /// How many bytes these have that clients have sent, without what is around them on the wire.
        bytes_in: "bytes_total"["direction" = "in"],
        /// How many bytes these have that were taken, without what is around them on the wire.
        bytes_out: "bytes_total"["direction" = "out"],
        /// Messages that were sent to topics, by [`Hub::broadcast`] or a [`Publish`](crate::Publish) of this node: one for each topic
        /// that was there. Those that a [broker](crate::backplane::Sequencer) has numbered are not among them.
        broadcasts: "broadcasts_total",
        /// Queues that took these, which is the sum of [`Sent::local`](crate::Sent::local), and those that took what other nodes have
        /// sent, or a broker has numbered.
        deliveries: "deliveries_total",
        /// Messages that found no room, and were dropped by [`OnFull`](crate::OnFull) for those that waited.
        dropped_newest: "drops_total"["class" = "newest"],
        /// Messages that waited, and were dropped by [`OnFull::DropOldest`](crate::OnFull::DropOldest) for a newer one.
        dropped_oldest: "drops_total"["class" = "oldest"],
        /// [Volatile](crate::Publish::volatile) messages that were not queued.
        dropped_volatile: "drops_total"["class" = "volatile"],
        /// [Keyed](crate::Publish::keyed) messages that waited, and that a newer one has made obsolete.
        replaced: "drops_total"["class" = "keyed"],
        /// Frames that waited when their connection ended.
        dropped_at_end: "drops_total"["class" = "ended"],
        /// `$gap` frames: how many times clients were to be told that they have missed something.
        gaps: "gaps_total",
        /// Questions that were answered.
        asks_ok: "asks_total"["result" = "ok"],
        /// Questions that pages refused to answer.
        asks_refused: "asks_total"["result" = "refused"],
        /// Questions that were not answered in time.
        asks_timed_out: "asks_total"["result" = "timeout"],
        /// Questions to pages that were gone, or went before they answered.
        asks_gone: "asks_total"["result" = "gone"],
        /// Questions beyond [`Limits::asks`](crate::Limits::asks).
        asks_too_many: "asks_total"["result" = "too_many"],
        /// Questions that could not be put, and answers that were something else than was asked for.
        asks_bad: "asks_total"["result" = "bad"],
        /// Questions to pages of other nodes that did not leave this one.
        asks_unsent: "asks_total"["result" = "unsent"],
        /// How many times a session was not tracked in a presence, or not updated: see
        /// [`Presences::untracked`](crate::Presences::untracked).
        untracked: "untracked_total",
        /// Envelopes that the [backplane](crate::backplane) has taken, for other nodes.
        backplane_sent: "backplane_envelopes_total"["direction" = "out"],
        /// Envelopes of other nodes that it has brought, and all that the broker has numbered.
        backplane_received: "backplane_envelopes_total"["direction" = "in"],
        /// Envelopes that it has not taken: there was no connection to the broker, or it does not keep up.
        backplane_failed: "backplane_failed_total",
        /// What it has brought that is no envelope, or one of another version of this crate.
        backplane_ignored: "backplane_ignored_total",
        /// Envelopes that were heard already, or came after later ones.
        backplane_stale: "backplane_stale_total",
        /// How many times something of other nodes was missing, or could have been: members were told by a `$gap`.
        backplane_lost: "backplane_lost_total",
        /// How many times the connection to the broker was lost.
        backplane_downs: "backplane_downs_total",
    }
}

/// One number, as exporters want it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// What it is of. If it ends in `_total`, `_count`, `_sum` or `_bucket`, it only grows.
    pub name: &'static str,
    /// What part of it, if it is of parts: a name, such as `code`, and a value.
    pub label: Option<(&'static str, Cow<'static, str>)>,
    /// How much; times are in seconds.
    pub value: f64,
}

impl Hub {
    /// What it is doing, and has done, on this node, in numbers. It looks at each connection and each topic: ask every few
    /// seconds, not for each message.
    ///
    /// For Prometheus, they are text, whose names begin as the program likes:
    ///
    /// ```
    /// use std::fmt::Write;
    ///
    /// use sansocket_channels::{Hub, Open};
    ///
    /// let hub = Hub::builder().channel("news", Open).build()?;
    /// hub.broadcast("news", "tick", &1)?;
    ///
    /// let mut text = String::new();
    /// for sample in hub.metrics().samples() {
    ///     writeln!(text, "channels_{sample}")?;
    /// }
    /// assert!(text.contains("channels_connections 0\n"));
    /// assert!(text.contains("channels_joins_total{result=\"ok\"} 0\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let inner = self.inner();
        let mut metrics = inner.counters.read();
        metrics.held_bytes = inner.memory.held() as u64;
        metrics.slow_connections = inner.slow.len() as u64;
        for connection in inner.registry.connections() {
            let Room { bytes, frames } = connection.queue.waiting();
            metrics.add_connection(frames as u64, bytes as u64);
        }
        for topic in inner.registry.topics() {
            topic.measure(&mut metrics);
        }
        if let Some(cluster) = &inner.cluster {
            cluster.measure(&mut metrics);
        }
        metrics
    }
}

impl Metrics {
    /// The same one by one, with names that stay as they are.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        let numbered = |name, kind, (number, count): (&u16, &u64)| {
            let label = Some((kind, number.to_string().into()));
            Sample { label, ..Sample::new(name, None, *count) }
        };
        let closes = self.closes.iter().map(|closes| numbered("closes_total", "code", closes));
        let refusals = self.refusals.iter().map(|refusals| numbered("refusals_total", "status", refusals));
        let seconds =
            |name, time: Duration| Sample { value: time.as_secs_f64(), ..Sample::new(name, None, 0) };
        let bucket = |bound: Cow<'static, str>, count| Sample {
            label: Some(("le", bound)),
            ..Sample::new("delivery_seconds_bucket", None, count)
        };
        let buckets = self.delivery.buckets();
        let buckets = buckets.map(|(bound, count)| bucket(bound.as_secs_f64().to_string().into(), count));
        let rest = [
            bucket("+Inf".into(), self.delivery.count()),
            seconds("delivery_seconds_sum", self.delivery.sum()),
            Sample::new("delivery_seconds_count", None, self.delivery.count()),
            seconds("throttled_seconds_total", self.throttled),
        ];
        let samples = self.table().into_iter().chain(closes).chain(refusals).chain(buckets).chain(rest);
        samples.collect::<Vec<_>>().into_iter()
    }

    fn add_connection(&mut self, frames: u64, bytes: u64) {
        self.connections += 1;
        self.queued_frames += frames;
        self.queued_bytes += bytes;
        self.largest_queue_frames = self.largest_queue_frames.max(frames);
        self.largest_queue_bytes = self.largest_queue_bytes.max(bytes);
    }
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "exporters have no other numbers")]
    fn new(name: &'static str, label: Option<(&'static str, &'static str)>, value: u64) -> Self {
        Self { name, label: label.map(|(label, of)| (label, of.into())), value: value as f64 }
    }
}

impl fmt::Display for Sample {
    /// As Prometheus reads it: `joins_total{result="ok"} 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some((label, value)) = &self.label {
            write!(f, "{{{label}=\"{value}\"}}")?;
        }
        write!(f, " {}", self.value)
    }
}

//! The limits and timeouts of a connection. Every one has a finite default.

use alloc::sync::Arc;
use core::time::Duration;
#[cfg(feature = "std")]
use std::sync::LazyLock;

use crate::extension::Deflate;

/// How much of everything a connection takes, and how long it waits.
///
/// The [crate's documentation](crate#limits-and-timeouts) has a table of them, with what lies beyond each and
/// what it is against. The opening handshake's limits are `handshake::Limits`.
///
/// ```
/// use sansocket::Config;
///
/// let config = Config::default().max_message_size(1 << 20).max_fragments(1_000);
/// ```
///
/// To clone it is cheap: connections share one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Shared, since each connection keeps it, twice.
    pub(crate) settings: Arc<Settings>,
}

/// What a [`Config`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    pub(crate) max_message_size: u64,
    pub(crate) max_frame_size: u64,
    pub(crate) max_fragments: u32,
    pub(crate) read_buffer_size: usize,
    pub(crate) write_buffer_size: usize,
    pub(crate) min_data_rate: u32,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) keepalive: Option<(Duration, Duration)>,
    pub(crate) close_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        // Shared too, by all connections that each begin with a new one.
        #[cfg(feature = "std")]
        static DEFAULT: LazyLock<Arc<Settings>> = LazyLock::new(Arc::default);
        #[cfg(feature = "std")]
        let settings = DEFAULT.clone();
        #[cfg(not(feature = "std"))]
        let settings = Arc::default();
        Self { settings }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // What most peers allow; a message is held in memory until it is whole.
            max_message_size: 64 << 20,
            // No smaller than a message: a sender may use one frame for each.
            max_frame_size: 64 << 20,
            // 64 MiB in frames of 512 bytes. An empty fragment costs the receiver time, but no memory.
            max_fragments: 131_072,
            // As much as one read of a busy connection brings.
            read_buffer_size: 64 << 10,
            // As much as a socket's send buffer takes at once.
            write_buffer_size: 64 << 10,
            // Below what the slowest of links carries, and far above what a peer trickles to stay connected.
            min_data_rate: 256,
            // Compression is the application's choice: it costs memory, and can reveal secrets.
            deflate: None,
            // Below the 30 to 60 seconds after which proxies and NATs forget an idle connection.
            keepalive: Some((Duration::from_secs(20), Duration::from_secs(20))),
            // A peer that is alive answers within a round trip and what it has still to send.
            close_timeout: Duration::from_secs(10),
            // A link that comes back within it goes on.
            write_timeout: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// How much payload a frame may have, with what compression may add to it: an eighth is twice what stock zlib adds with the
    /// smallest of its buffers, and 64 bytes are for short messages.
    #[inline]
    pub(crate) fn max_payload(&self, compressed: bool) -> u64 {
        let largest = self.max_frame_size;
        if compressed { largest.saturating_add(largest / 8 + 64) } else { largest }
    }

    /// How long so many bytes may take; `None` if any of them prolongs a deadline by all its time.
    pub(crate) fn time_of(&self, bytes: usize) -> Option<Duration> {
        let rate = u64::from(self.min_data_rate);
        let nanos = (bytes as u64).saturating_mul(1_000_000_000).checked_div(rate)?;
        Some(Duration::from_nanos(nanos))
    }
}

impl Config {
    /// The largest message to receive, in bytes of payload over all its fragments.
    ///
    /// It is checked at each frame's header, before the payload arrives. A message that is received
    /// part by part is held to it too: raise it there, memory does not grow with it.
    pub fn max_message_size(mut self, bytes: u64) -> Self {
        self.settings_mut().max_message_size = bytes;
        self
    }

    /// The largest frame to receive, in bytes of payload. One of a compressed message may have an eighth and 64 bytes more, since
    /// what gains nothing by compression becomes larger: so much that a message which fits may come in one frame.
    pub fn max_frame_size(mut self, bytes: u64) -> Self {
        self.settings_mut().max_frame_size = bytes;
        self
    }

    /// The most fragments in one message to receive, empty ones included.
    pub fn max_fragments(mut self, fragments: u32) -> Self {
        self.settings_mut().max_fragments = fragments;
        self
    }

    /// How many bytes are read ahead for a program that does not receive, so that Pings and Close frames among them
    /// are answered all the same. When so many wait to be received, no more is read, and the peer is not judged by
    /// its silence.
    pub fn read_buffer_size(mut self, bytes: usize) -> Self {
        self.settings_mut().read_buffer_size = bytes;
        self
    }

    /// How many bytes may wait to be written before Pongs are held back (the latest is kept, as RFC
    /// 6455 section 5.5.3 allows), and before the adapters' `send` and `feed` wait for the transport.
    ///
    /// What is kept for them counts: a message counts whole until all of it is written. One that was received and is sent
    /// on keeps at most the buffer alive that it was read into, which is no more than 128 KiB, or twice the message;
    /// below 32 KiB it is copied. `Bytes` that the program has sliced from something larger keep that alive, and count as
    /// long as they are. TLS keeps a record more, of 16 KiB.
    pub fn write_buffer_size(mut self, bytes: usize) -> Self {
        self.settings_mut().write_buffer_size = bytes;
        self
    }

    /// Offers, or accepts, permessage-deflate. The message limit then holds for the inflated size too.
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.settings_mut().deflate = Some(deflate);
        self
    }

    /// After `interval` without a sign of life from the peer, or without anything sent to it, sends a Ping; after `timeout`
    /// more without a sign of life, gives up.
    ///
    /// So neither direction is silent for long, which some peers, and what is on the way to them, take for the end of the
    /// other. In the adapters, what was sent counts from when something is next received, so that a Ping for our own silence may
    /// be late, by less than an `interval`. There is at most one Ping in an `interval`, and none while the peer's answer is waited
    /// for, or anything that is to be written.
    ///
    /// A whole frame is a sign of life, and so is that a transport which took no more takes bytes again: the peer has
    /// read. The bytes of a frame that is not yet complete count for as long as they may take by
    /// [`min_data_rate`](Self::min_data_rate). The time for the answer begins when the Ping was written.
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings_mut().keepalive = Some((interval, timeout));
        self
    }

    /// Sends no Pings of its own accord: a peer that vanished is then noticed only by sending to it. A server of MQTT does
    /// without them: paho-mqtt 2.2.0 answers a Ping by a frame without a mask, which ends the connection by 1002.
    pub fn no_keepalive(mut self) -> Self {
        self.settings_mut().keepalive = None;
        self
    }

    /// How long to wait, once a Close frame was sent, for the peer's and for the end of the transport.
    ///
    /// A call that fails because the peer broke the protocol returns when that is over, too. A server whose Close frame tells
    /// of such an error waits for the answer for no longer than a tenth of this, and 1 second: it discards what comes, and then
    /// closes the transport. (Browsers that get both at once take it for an accident.) No longer than that does tokio's adapter
    /// wait, either, once a WebSocket was dropped behind its Close frame, and that was written.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings_mut().close_timeout = timeout;
        self
    }

    /// How long the transport may take no byte of what is to be written; what it takes now and then prolongs that by
    /// as long as it may take by [`min_data_rate`](Self::min_data_rate).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.settings_mut().write_timeout = timeout;
        self
    }

    /// How many bytes a second a peer has to send of a frame that it began, and to take of what it is sent, once a
    /// timeout depends on it: else a byte now and then would keep the connection for ever. 0: any will do.
    pub fn min_data_rate(mut self, bytes_per_second: u32) -> Self {
        self.settings_mut().min_data_rate = bytes_per_second;
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

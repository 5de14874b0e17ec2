//! What a client or a server is, whatever moves its bytes: settings, the opening handshake, the two halves of a
//! connection with their buffers, and what is to be done next. No I/O.

#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod admission;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod census;
mod client;
mod closing;
mod error;
mod events;
mod inbound;
mod negotiated;
mod opening;
mod outbound;
mod pending;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod random;
mod read_buffer;
mod server;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod sync;
#[cfg(feature = "rustls")]
pub(crate) mod tls;
mod write_queue;

pub use self::client::Client;
pub(crate) use self::closing::Outcome;
pub use self::error::Error;
pub use self::events::{Incoming, Part};
pub(crate) use self::events::{Messages, MessagesAndPings, Parts, Want};
pub(crate) use self::inbound::{Act, Inbound, Next, SendSide};
pub use self::negotiated::Negotiated;
pub(crate) use self::opening::{ClientOpening, Opening, ServerOpening, timed_out};
pub(crate) use self::outbound::Outbound;
pub use self::outbound::Queued;
#[cfg(feature = "tokio")]
pub(crate) use self::outbound::ToSend;
pub use self::pending::PendingRequest;
pub(crate) use self::pending::refuse;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use self::random::random;
pub use self::server::Server;
pub(crate) use self::write_queue::{MAX_SLICES, WriteQueue};

//! What a client or a server is, whatever moves its bytes: settings, the opening handshake, the two halves of a
//! connection with their buffers, and what is to be done next. No I/O.

mod addresses;
pub(crate) mod admission;
mod ahead;
mod answer;
mod aside;
mod assembly;
pub(crate) mod census;
#[cfg(feature = "rustls")]
mod certificate;
mod client;
#[cfg(feature = "rustls")]
mod client_tls;
mod closing;
mod compressing;
mod duties;
#[expect(clippy::module_inception, reason = "the noun that the folder is about")]
mod endpoint;
mod error;
mod events;
pub(crate) mod failure;
mod farewell;
mod found;
#[cfg(any(feature = "tokio", feature = "rustls"))]
mod http_version;
mod inbound;
#[cfg(feature = "hyper")]
mod kept;
mod negotiated;
mod open;
mod opening;
mod origins;
pub(crate) mod outbound;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod outgoing;
mod pages;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod payloads;
mod pending;
pub(crate) mod process;
mod proxy;
mod queued;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod random;
mod read_buffer;
pub mod reconnect;
mod redirect;
mod refused;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod reunite_error;
pub(crate) mod sendable;
mod server;
#[cfg(feature = "rustls")]
mod server_tls;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) mod span;
#[cfg(any(feature = "blocking", feature = "tokio", feature = "rustls"))]
#[cfg_attr(sansocket_loom, path = "../../tests/loom/sync.rs")]
pub(crate) mod sync;
mod tally;
#[cfg(feature = "rustls")]
pub(crate) mod tls;
#[cfg(feature = "rustls")]
mod tls_error;
mod transport_error;
mod trusted_proxies;
pub(crate) mod write_queue;

pub use self::addresses::{Attempt, Attempts, Unreachable};
#[cfg(feature = "rustls")]
pub use self::certificate::CertificateError;
pub use self::client::Client;
pub use self::endpoint::Endpoint;
pub use self::error::Error;
pub use self::events::{EndpointEvent, Incoming, Part};
pub use self::failure::{Cause, Failure, Handled};
#[cfg(any(feature = "tokio", all(feature = "blocking", feature = "rustls")))]
pub(crate) use self::http_version::HttpVersion;
pub use self::negotiated::Negotiated;
#[cfg(feature = "blocking")]
pub(crate) use self::opening::append;
pub use self::origins::Origins;
#[cfg(feature = "hyper")]
pub(crate) use self::pending::BROKEN;
pub use self::pending::{PendingParts, PendingRequest};
pub use self::proxy::{Proxy, ProxyError, ProxyUriError, SocksReply};
pub use self::queued::Queued;
pub use self::redirect::{RedirectCause, RedirectError};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use self::reunite_error::ReuniteError;
pub use self::sendable::Sendable;
pub use self::server::Server;
pub use self::tally::Connections;
/// For the adapters.
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use self::{
    addresses::first_address,
    answer::{Answer, LINGER},
    closing::{Act, HowClosed, Outcome},
    events::{Item, Nothing},
    inbound::{Inbound, Next},
    opening::{ClientOpening, Opening, exchange, timed_out},
    outbound::{Outbound, SendSide},
    proxy::{Tunnel, by_proxy},
    random::random,
};

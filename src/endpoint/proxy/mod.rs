//! Proxies of clients: what their URIs say, which of them is used, and how a tunnel is opened. No I/O.

mod environment;
mod error;
mod proxies;
mod socks5;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod tunnel;
mod uri;

pub use self::error::{ProxyError, SocksReply};
pub(super) use self::proxies::Proxies;
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub(crate) use self::tunnel::{Tunnel, by_proxy};
pub use self::uri::{Proxy, ProxyUriError};
